//! Views and queries: their SELECT, de-duplication, output mode, trigger, checkpoint and sink.

use std::fmt::Write as _;
use std::path::Path;

use forebay_connectors::{s3, sinks};
use forebay_core::catalog::{DEFAULT_CATALOG, TableName};
use forebay_core::config::{DeduplicateConfig, Pipeline, QueryConfig, ViewConfig};
use forebay_core::event_time::WatermarkPolicy;
use forebay_core::output_mode::OutputMode;
use forebay_core::trigger::Trigger;

use super::clause::{Clause, without_clauses};
use super::python::{list, literal};
use super::sql::{
    CALENDAR_WINDOW, EVENT_TIME, KAFKA, carrying, mentions, reads, with_event_time, without_hidden,
};
use super::{Writer, interval, python};

impl Writer<'_> {
    pub(super) fn view(&mut self, view: &ViewConfig, pipeline: &Pipeline) -> String {
        let name = view.name.as_str();
        let line = self.line(&["views", name]);
        let own = self.own_functions(&["views", name], &view.sql);
        let (clauses, sql) = self.without_clauses(&view.sql);
        let (sql, hidden) = carrying(&self.timed(&sql), &self.hidden);
        if !hidden.is_empty() {
            self.hidden.insert(name.to_lowercase(), hidden);
        }
        let (notes, code) = self.deduplicated(&["views", name], view.deduplicate.as_ref(), pipeline);
        let rows = indented(&format!("spark.sql({})", python::sql(&sql)));
        let end = format!("    .createOrReplaceTempView({})\n)\n", literal(&format!("`{name}`")));
        format!("\n# line {line}: view `{name}`\n{own}{notes}{clauses}(\n{rows}\n{code}{end}")
    }

    /// What is said of a SELECT that calls functions which no Spark has. `path` is that of the query or view.
    fn own_functions(&mut self, path: &[&str], sql: &str) -> String {
        if !mentions(sql, CALENDAR_WINDOW) {
            return String::new();
        }
        let line = self.keys.of(&[path, &["sql"]].concat()).unwrap_or_else(|| self.line(path));
        let (what, name) = (if path.first() == Some(&"views") { "view" } else { "query" }, path.last());
        let text = format!(
            "{what} `{}`: `{CALENDAR_WINDOW}` is Forebay's own; Spark's windows have one length and begin in UTC",
            name.copied().unwrap_or_default()
        );
        self.missing(line, text)
    }

    pub(super) fn query(&mut self, query: &QueryConfig, pipeline: &Pipeline) -> String {
        let name = query.name.as_str();
        let line = self.line(&["queries", name]);
        let head = format!("\n# line {line}: query `{name}`\n");
        let merges = query.format == "delta" && query.output_mode == OutputMode::Update;
        if merges && self.row_keys.get(name).is_none_or(Vec::is_empty) {
            let text = format!(
                "query `{name}` is not in the job: by which columns `outputMode: update` replaces rows is not known before \
                 `forebay validate` finds nothing wrong with the file"
            );
            let line = self.keys.of(&["queries", name, "outputMode"]).unwrap_or(line);
            return head + &self.missing(line, text);
        }
        let mut notes = String::new();
        if let Some(line) = self.keys.of(&["queries", name, "stateLimit"]) {
            let text = format!(
                "query `{name}`: Spark's state has no bound of its own, `stateLimit` has no counterpart"
            );
            notes.push_str(&self.note(line, text));
        }
        if let Some(line) = self.keys.of(&["queries", name, "cycle"]) {
            let text = format!(
                "query `{name}`: Spark writes its files and leaves them there; `cycle` (merging, archiving, cleaning) has no counterpart"
            );
            notes.push_str(&self.note(line, text));
        }
        notes.push_str(&self.own_functions(&["queries", name], &query.sql));
        let (clauses, sql) = self.without_clauses(&query.sql);
        let mut sql = self.timed(&sql);
        let mut drop = String::new();
        if query.deduplicate.is_some() {
            // The state is bounded by the event time, so it must be among the columns until then.
            let (carried, hidden) = carrying(&sql, &self.hidden);
            sql = carried;
            if !hidden.is_empty() {
                let names: Vec<String> = hidden.iter().map(|column| literal(column)).collect();
                drop = format!("    .drop({})\n", names.join(", "));
            }
        } else {
            match without_hidden(&sql, &self.hidden) {
                Some(shown) => sql = shown,
                None => {
                    let text = format!("query `{name}`: its `*` also gives {EVENT_TIME} or {KAFKA} in Spark");
                    notes.push_str(&self.missing(line, text));
                }
            }
        }
        let (more, deduplicated) =
            self.deduplicated(&["queries", name], query.deduplicate.as_ref(), pipeline);
        notes.push_str(&more);
        let rows = indented(&format!("spark.sql({})", python::sql(&sql)));
        let is_jdbc = query.format == "postgres";
        let (more, sink) = match (is_jdbc, merges) {
            (true, _) => match self.jdbc(query, &pipeline.name, line) {
                Ok(written) => written,
                Err(text) => return head + &self.missing(line, text),
            },
            (_, true) => self.merged(query, line),
            (_, false) => self.sink(query, line),
        };
        notes.push_str(&more);
        let format = if merges || is_jdbc {
            String::new()
        } else {
            format!("    .format({})\n", literal(&query.format))
        };
        let code = format!(
            "{rows}\n{deduplicated}{drop}    .writeStream.queryName({})\n{format}    .outputMode({})\n{}{}{sink}    {}\n",
            literal(name),
            literal(query.output_mode.word()),
            trigger(query),
            checkpoint(query),
            match &query.to_table {
                Some(table) if !merges => format!(".toTable({})", literal(&table.to_string())),
                _ => ".start()".to_owned(),
            },
        );
        let schema = match &query.to_table {
            Some(table) if !merges => {
                notes.push_str(&self.of_catalog(table, line));
                let name = format!("`{}`.`{}`", table.catalog(), table.schema());
                format!("spark.sql({})\n", literal(&format!("CREATE SCHEMA IF NOT EXISTS {name}")))
            }
            _ => String::new(),
        };
        // The setting is the session's, so each query says it where they differ.
        let differ = pipeline.queries.iter().any(|it| it.watermark_policy != WatermarkPolicy::default());
        let policy = match (differ, query.watermark_policy) {
            (false, _) => String::new(),
            (true, WatermarkPolicy::Min) => policy("min"),
            (true, WatermarkPolicy::Max) => policy("max"),
        };
        format!("{head}{notes}{policy}{schema}{clauses}queries.append(\n{code})\n")
    }

    /// What is said of a table of a catalog: Spark alone has one catalog.
    fn of_catalog(&mut self, table: &TableName, line: usize) -> String {
        let catalog = table.catalog();
        if catalog == DEFAULT_CATALOG {
            return String::new();
        }
        let text = format!(
            "table `{table}`: Spark needs a catalog `{catalog}` that keeps Delta tables (`spark.sql.catalog.{catalog}`), as Databricks has it"
        );
        self.note(line, text)
    }

    /// The code of the views that take the place of `WATERMARK` clauses, and the SELECT that reads them.
    fn without_clauses(&mut self, sql: &str) -> (String, String) {
        let (sql, clauses) = without_clauses(sql, self.clauses + 1);
        self.clauses += clauses.len();
        let mut code = String::new();
        for Clause { relation, view, expression, delay } in clauses {
            let mut hidden = self.hidden.get(&relation).cloned().unwrap_or_default();
            let timed = self.timed_by(&expression, &delay, &mut hidden);
            self.hidden.insert(view.clone(), hidden);
            let (relation, view) = (literal(&format!("`{relation}`")), literal(&format!("`{view}`")));
            let _ = writeln!(
                code,
                "(\n    spark.table({relation})\n{timed}    .createOrReplaceTempView({view})\n)"
            );
        }
        (code, sql)
    }

    /// The SELECT with the event times that are expressions as columns.
    fn timed(&self, sql: &str) -> String {
        if !reads(sql, &self.hidden, EVENT_TIME) {
            return sql.to_owned();
        }
        self.times.iter().fold(sql.to_owned(), |sql, time| with_event_time(&sql, time))
    }

    fn deduplicated(
        &mut self,
        path: &[&str],
        deduplicate: Option<&DeduplicateConfig>,
        pipeline: &Pipeline,
    ) -> (String, String) {
        let Some(DeduplicateConfig { keys, within, .. }) = deduplicate else {
            return (String::new(), String::new());
        };
        let keys = list(keys.iter().map(|key| key.text.trim_matches('`')));
        let Some(within) = within else {
            return (String::new(), format!("    .dropDuplicates({keys})\n"));
        };
        let mut notes = String::new();
        let delays = pipeline.sources.iter().filter_map(|source| source.watermark.as_ref());
        if !delays.into_iter().any(|watermark| watermark.delay == *within) {
            let line = self.line(&[path, &["deduplicate"]].concat());
            let text = format!(
                "`{}`: Spark remembers a key for the delay of the watermark, not for `within` ({})",
                path.join("."),
                interval(*within)
            );
            notes = self.missing(line, text);
        }
        (notes, format!("    .dropDuplicatesWithinWatermark({keys})\n"))
    }

    /// The sink of update mode into Delta: MERGE by the columns of GROUP BY.
    fn merged(&mut self, query: &QueryConfig, line: usize) -> (String, String) {
        let name = query.name.as_str();
        let quoted = |column: &String| format!("`{}`", column.replace('`', "``"));
        let keys: Vec<String> = self.row_keys.get(name).into_iter().flatten().map(quoted).collect();
        let mut call =
            vec![path(query.options.text("path").unwrap_or_default()), list(keys.iter().map(String::as_str))];
        let (mut notes, mut properties) = (String::new(), Vec::new());
        for (option, text) in self.written(&["queries", name], Some(&sinks::delta::SPEC), &query.options) {
            let at = self.keys.of(&["queries", name, "options", &option]).unwrap_or(line);
            match option.as_str() {
                // The latter became a trigger.
                "path" | "minCommitInterval" => {}
                "partitionBy" => {
                    call.push(format!("partition_by={}", list(text.split(',').map(str::trim))));
                }
                _ if option.starts_with("delta.") => {
                    properties.push(format!("{}: {}", literal(&option), literal(&property(&option, &text))));
                }
                _ if s3::is_option(&option) => {
                    notes.push_str(&self.note(at, of_session(&format!("query `{name}`"), &option)));
                }
                _ if text == "false" => {}
                _ => {
                    let text = format!("query `{name}`: `{option}` has no counterpart in MERGE");
                    notes.push_str(&self.note(at, text));
                }
            }
        }
        if !properties.is_empty() {
            call.push(format!("**{{{}}}", properties.join(", ")));
        }
        (notes, format!("    .foreachBatch(merged({}))\n", call.join(", ")))
    }

    /// The sink's options.
    fn sink(&mut self, query: &QueryConfig, line: usize) -> (String, String) {
        let name = query.name.as_str();
        let (mut notes, mut code) = (String::new(), String::new());
        let spec = sinks::spec(&query.format).ok();
        for (option, text) in self.written(&["queries", name], spec, &query.options) {
            let at = self.keys.of(&["queries", name, "options", &option]).unwrap_or(line);
            let value = match option.as_str() {
                // The table has a name in its place.
                "path" if query.to_table.is_some() => continue,
                "path" => path(&text),
                "partitionBy" => {
                    let names: Vec<String> = text.split(',').map(|column| literal(column.trim())).collect();
                    let _ = writeln!(code, "    .partitionBy({})", names.join(", "));
                    continue;
                }
                // It became a trigger.
                "minCommitInterval" => continue,
                _ if s3::is_option(&option) => {
                    notes.push_str(&self.note(at, of_session(&format!("query `{name}`"), &option)));
                    continue;
                }
                "autoCompact.minNumFiles"
                | "exactlyOnce"
                | "includeHeaders"
                | "neutralizeFormulas"
                | "transactionalIdPrefix"
                | "failOnUnknownEpoch" => literal_note(self, at, name, &option, &mut notes),
                "truncate" if text != "true" && text != "false" => {
                    let text = format!(
                        "query `{name}`: Spark cuts values after 20 characters or not at all, `truncate` takes no number"
                    );
                    notes.push_str(&self.note(at, text));
                    continue;
                }
                _ if option.starts_with("delta.") => literal(&property(&option, &text)),
                _ => self.value(at, &option, &text, &query.options, &mut notes),
            };
            if !value.is_empty() {
                let _ = writeln!(code, "    .option({}, {value})", literal(&option));
            }
        }
        (notes, code)
    }
}

/// Where the query's job keeps what it needs to go on.
fn checkpoint(query: &QueryConfig) -> String {
    let folder = match &query.checkpoint {
        Some(given) => path(&format!("{}-spark", given.display())),
        None => format!("os.path.join(CHECKPOINTS, {})", literal(&query.name)),
    };
    format!("    .option(\"checkpointLocation\", {folder})\n")
}

/// A property of a Delta table as Delta reads it.
fn property(option: &str, text: &str) -> String {
    if !option.ends_with("Duration") {
        return text.to_owned();
    }
    match text.strip_suffix("ms") {
        Some(count) => format!("interval {count} milliseconds"),
        None => format!("interval {} seconds", text.trim_end_matches('s')),
    }
}

/// What is said of an option for buckets, which Spark has for all of a session.
pub(super) fn of_session(whose: &str, option: &str) -> String {
    format!("{whose}: what `{option}` says belongs to Spark's session, as `spark.hadoop.fs.s3a.*`")
}

/// A note that an option has no counterpart; no value.
fn literal_note(
    writer: &mut Writer<'_>,
    line: usize,
    name: &str,
    option: &str,
    notes: &mut String,
) -> String {
    notes.push_str(&writer.note(line, format!("query `{name}`: `{option}` has no counterpart in Spark")));
    String::new()
}

fn trigger(query: &QueryConfig) -> String {
    match query.trigger {
        Trigger::Default => {
            // Commits of the Delta sink are that far apart.
            let apart = query.options.duration("minCommitInterval").filter(|apart| !apart.is_zero());
            apart.map_or_else(String::new, |apart| {
                format!("    .trigger(processingTime={})\n", literal(&interval(apart)))
            })
        }
        Trigger::ProcessingTime(every) => {
            format!("    .trigger(processingTime={})\n", literal(&interval(every)))
        }
        Trigger::AvailableNow => "    .trigger(availableNow=True)\n".to_owned(),
        Trigger::Once => "    .trigger(once=True)\n".to_owned(),
    }
}

fn policy(word: &str) -> String {
    format!("spark.conf.set(\"spark.sql.streaming.multipleWatermarkPolicy\", {})\n", literal(word))
}

/// A path as an expression: a relative one lies under the data folder.
pub(super) fn path(text: &str) -> String {
    // Hadoop's client has a scheme of its own.
    if s3::is_address(text) {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        return literal(&format!("s3a://{rest}"));
    }
    match Path::new(text).is_absolute() {
        true => literal(text),
        false => format!("os.path.join(DATA, {})", literal(text)),
    }
}

/// Code one level further in; the lines of a SELECT stay where they are, they are text.
fn indented(code: &str) -> String {
    let mut is_text = false;
    let mut lines = Vec::new();
    for line in code.lines() {
        let is_inside = is_text;
        if line.matches("\"\"\"").count() % 2 == 1 {
            is_text = !is_text;
        }
        lines.push(if is_inside || line.is_empty() { line.to_owned() } else { format!("    {line}") });
    }
    lines.join("\n")
}
