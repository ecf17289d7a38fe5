//! Sources: what is read, decoded and timed, as a temporary view of the source's name.

use std::fmt::Write as _;
use std::time::Duration;

use forebay_connectors::{formats, sources};
use forebay_core::config::{Pipeline, SourceConfig, ValueConfig, WatermarkConfig};
use forebay_core::format::BadRecordMode;
use forebay_core::options::{ConnectorSpec, OptionKind, Options, looks_secret};

use super::python::{literal, reference};
use super::sql::{EVENT_TIME, KAFKA, mentions};
use super::{Writer, interval};

/// Marks records that did not decode, where the schema has no column for them.
const CORRUPT: &str = "_forebay_corrupt";
const CORRUPT_OPTION: &str = "columnNameOfCorruptRecord";

impl Writer<'_> {
    pub(super) fn source(&mut self, source: &SourceConfig, pipeline: &Pipeline) -> String {
        let name = source.name.as_str();
        let line = self.line(&["sources", name]);
        let mut notes = String::new();
        let mut code = format!("(\n    spark.readStream.format({})\n", literal(&source.format));
        let spec = sources::SPECS.iter().copied().find(|spec| spec.name == source.format);
        for (option, text) in self.written(&["sources", name], spec, &source.options) {
            let at = self.keys.of(&["sources", name, "options", &option]).unwrap_or(line);
            match option.as_str() {
                "maxBatchBytes" => {
                    notes.push_str(
                        &self.note(at, format!("source `{name}`: `{option}` has no counterpart in Spark")),
                    );
                }
                _ if option.starts_with("ending") => {
                    let text = format!(
                        "source `{name}`: Spark's streams take no `{option}`, they end at the latest"
                    );
                    notes.push_str(&self.missing(at, text));
                }
                _ => {
                    let value = self.value(at, &option, &text, &source.options, &mut notes);
                    let _ = writeln!(code, "    .option({}, {value})", literal(&option));
                }
            }
        }
        code.push_str("    .load()\n");
        let wants_kafka = source.value.is_some() && texts(pipeline).any(|sql| mentions(sql, KAFKA));
        let mut hidden = Vec::new();
        if let Some(value) = &source.value {
            notes.push_str(&self.bad_records(source, value));
            if wants_kafka {
                hidden.push(KAFKA);
            }
            code.push_str(&self.decoded(name, value, wants_kafka.then_some(&source.options), &mut notes));
            code.push_str(&self.expected(name, value, &mut notes));
        }
        if let Some(watermark) = &source.watermark {
            notes.push_str(&self.late_rows(name, watermark));
            code.push_str(&self.timed_by(&watermark.column.text, &interval(watermark.delay), &mut hidden));
        }
        let _ = writeln!(code, "    .createOrReplaceTempView({})\n)", literal(&format!("`{name}`")));
        if !hidden.is_empty() {
            self.hidden.insert(name.to_lowercase(), hidden);
        }
        format!("\n# line {line}: source `{name}`\n{notes}{code}")
    }

    /// The options of what stands at a path of the file; see [`given`].
    pub(super) fn written(
        &self,
        path: &[&str],
        spec: Option<&ConnectorSpec>,
        options: &Options,
    ) -> Vec<(String, String)> {
        let is_written = |name: &str| self.keys.of(&[path, &["options", name]].concat()).is_some();
        spec.map(|spec| given(spec, options, is_written)).unwrap_or_default()
    }

    /// The value of an option as a Python expression; a secret as what gives it where the job runs.
    pub(super) fn value(
        &mut self,
        line: usize,
        name: &str,
        text: &str,
        options: &Options,
        notes: &mut String,
    ) -> String {
        if let Some(typed) = options.reference(name) {
            return reference(typed);
        }
        if !looks_secret(name) {
            return literal(text);
        }
        let variable: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        let text = format!("`{name}` may be a secret and is not in the job: set {variable} where it runs");
        notes.push_str(&self.note(line, text));
        format!("os.environ[{}]", literal(&variable))
    }

    /// The watermark over a column or an expression; the latter gets a column of its own, which is hidden.
    pub(super) fn timed_by(&mut self, column: &str, delay: &str, hidden: &mut Vec<&'static str>) -> String {
        let delay = literal(delay);
        if is_name(column) {
            return format!("    .withWatermark({}, {delay})\n", literal(column.trim_matches('`')));
        }
        hidden.retain(|other| *other != EVENT_TIME);
        hidden.push(EVENT_TIME);
        self.times.push(column.to_owned());
        let name = literal(EVENT_TIME);
        format!("    .withColumn({name}, F.expr({}))\n    .withWatermark({name}, {delay})\n", literal(column))
    }

    /// What becomes of records that do not decode.
    fn bad_records(&mut self, source: &SourceConfig, value: &ValueConfig) -> String {
        if value.mode != BadRecordMode::Quarantine {
            return String::new();
        }
        let name = source.name.as_str();
        let key = self.keys.of(&["sources", name, "mode"]);
        let line = key.unwrap_or_else(|| self.line(&["sources", name]));
        let text =
            format!("source `{name}`: records that do not decode are dropped; Spark has no quarantine");
        self.note(line, text)
    }

    fn decoded(
        &mut self,
        name: &str,
        value: &ValueConfig,
        envelope: Option<&Options>,
        notes: &mut String,
    ) -> String {
        let spec = formats::SPECS.iter().copied().find(|spec| spec.name == value.format);
        let mut options = Vec::new();
        for (option, text) in self.written(&["sources", name], spec, &value.options) {
            let written = self.keys.of(&["sources", name, "options", &option]);
            if option == "timeZone" && written.is_none() {
                // The pipeline's, which is the session's.
                continue;
            }
            if option.starts_with("max") {
                let line = written.unwrap_or_else(|| self.line(&["sources", name]));
                notes.push_str(
                    &self.note(line, format!("source `{name}`: `{option}` has no counterpart in Spark")),
                );
            } else {
                options.push((option, literal(&text)));
            }
        }
        let mut schema = value.ddl.trim().to_owned();
        let is_dropping = matches!(value.mode, BadRecordMode::Quarantine | BadRecordMode::DropMalformed);
        if is_dropping {
            options.retain(|(option, _)| option != CORRUPT_OPTION);
            options.push((CORRUPT_OPTION.to_owned(), literal(CORRUPT)));
            let _ = write!(schema, ", {CORRUPT} STRING");
        }
        let mode = if value.mode == BadRecordMode::FailFast { "FAILFAST" } else { "PERMISSIVE" };
        options.insert(0, ("mode".to_owned(), literal(mode)));
        let options: Vec<String> =
            options.iter().map(|(option, text)| format!("{}: {text}", literal(option))).collect();
        let mut code = format!(
            "    .select(\n        F.from_json(\n            F.col(\"value\").cast(\"string\"),\n            {},\n            {{{}}},\n        ).alias(\"data\"),\n",
            literal(&schema),
            options.join(", ")
        );
        if let Some(options) = envelope {
            let headers = if options.bool("includeHeaders") { ", \"headers\"" } else { "" };
            let _ = writeln!(
                code,
                "        F.struct(\"key\", \"value\", \"topic\", \"partition\", \"offset\", \"timestamp\", \"timestampType\"{headers}).alias({}),",
                literal(KAFKA)
            );
        }
        code.push_str("    )\n");
        if is_dropping {
            let _ = writeln!(code, "    .where(\"data IS NOT NULL AND data.{CORRUPT} IS NULL\")");
        }
        let kafka = if envelope.is_some() { format!(", {}", literal(KAFKA)) } else { String::new() };
        let _ = writeln!(code, "    .select(\"data.*\"{kafka})");
        if is_dropping {
            let _ = writeln!(code, "    .drop({})", literal(CORRUPT));
        }
        code
    }

    /// What event time means otherwise in Spark.
    fn late_rows(&mut self, name: &str, watermark: &WatermarkConfig) -> String {
        let place = |writer: &Self, key: &str| {
            let own = writer.keys.of(&["sources", name, "watermark", key]);
            own.unwrap_or_else(|| writer.line(&["sources", name, "watermark"]))
        };
        let line = place(self, "");
        let mut out = self.note(line, format!("source `{name}`: late rows vanish; Spark has no late table"));
        if let Some(skew) = watermark.max_future_skew {
            let line = place(self, "maxFutureSkew");
            let text = format!(
                "source `{name}`: any clock moves the watermark, also one more than `maxFutureSkew` ({}) fast",
                interval(skew)
            );
            out.push_str(&self.note(line, text));
        }
        if watermark.idle_timeout.is_some() {
            let line = place(self, "idleTimeout");
            let text = format!(
                "source `{name}`: while it is silent its windows stay open; Spark has no `idleTimeout`"
            );
            out.push_str(&self.note(line, text));
        }
        out
    }
}

/// All SQL of a file that a query may read by.
fn texts(pipeline: &Pipeline) -> impl Iterator<Item = &str> {
    let queries = pipeline.queries.iter().map(|query| query.sql.as_str());
    let views = pipeline.views.iter().map(|view| view.sql.as_str());
    let times = pipeline.sources.iter().filter_map(|source| source.watermark.as_ref());
    queries.chain(views).chain(times.map(|watermark| watermark.column.text.as_str()))
}

/// True if the event time is a column and no expression.
fn is_name(column: &str) -> bool {
    let quoted = column.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    match quoted {
        Some(inside) => !inside.contains('`'),
        None => column.chars().all(|c| c.is_alphanumeric() || c == '_'),
    }
}

/// The options that are written in the file or not as they are by default, as Spark writes them.
fn given(
    spec: &ConnectorSpec,
    options: &Options,
    is_written: impl Fn(&str) -> bool,
) -> Vec<(String, String)> {
    let mut given = Vec::new();
    for option in spec.options {
        let Some(text) = typed(options, option.name, option.kind) else { continue };
        let is_default =
            option.default.is_some_and(|default| is_same(options, option.name, option.kind, default, &text));
        if !is_default || is_written(option.name) {
            given.push((option.name.to_owned(), text));
        }
    }
    given.extend(options.passed_on().iter().map(|(name, text)| (name.clone(), text.clone())));
    given
}

/// A value as Spark writes it; `None` if it is not given.
fn typed(options: &Options, name: &str, kind: OptionKind) -> Option<String> {
    match kind {
        OptionKind::String | OptionKind::OneOf(_) => options.text(name).map(str::to_owned),
        OptionKind::Bool => Some(options.bool(name).to_string()),
        OptionKind::Integer(..) => options.integer(name).map(|number| number.to_string()),
        OptionKind::Duration => options.duration(name).map(time),
        OptionKind::Size => options.size(name).map(|bytes| bytes.to_string()),
    }
}

fn is_same(options: &Options, name: &str, kind: OptionKind, default: &str, text: &str) -> bool {
    match kind {
        OptionKind::Duration => options.duration(name) == forebay_core::options::parse_duration(default),
        OptionKind::Size => options.size(name) == forebay_core::options::parse_size(default),
        OptionKind::Bool => options.bool(name) == (default == "true"),
        _ => text == default,
    }
}

/// A duration as Spark reads it in options.
fn time(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}
