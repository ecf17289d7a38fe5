//! From the tree of the file to the [`Pipeline`]: one function per kind of section, all problems gathered.
//!
//! A function that meets a problem reports it and goes on with what it has; it returns `None` only when nothing
//! useful is left. The pipeline counts only if nothing was reported at all; until then it is a [`Draft`], which says
//! what of it can still be checked.

use std::collections::HashMap;

use super::keys;
use super::lines::Span;
use super::problems::Problems;
use super::secrets::Lookup;
use super::section::{Section, text_of};
use super::yaml::{self, Entry, Kind, Node};
use super::{
    Draft, Pipeline, Placed, Problem, QuarantineConfig, Registry, TestConfig, ViewConfig, WhenFull, alert,
    channel, dashboard, detector, event_time, gateway, query, silence, source, table, testing,
};
use crate::Zone;
use crate::error::{Error, codes};
use crate::options::{parse_duration, parse_size};

/// Larger files are refused: nobody writes them, and every later step may be slow in the file's length.
const MAX_BYTES: usize = 1 << 20;

/// Most sources, views, queries and alerts: each costs memory, threads and files for as long as the pipeline runs.
const MOST_NAMES: usize = 1_000;

/// Reads a pipeline file.
///
/// `file_name` is for messages only. All problems are returned at once, in the order of their places; print them
/// with [`render`](super::render).
pub fn parse(
    text: &str,
    file_name: &str,
    registry: &Registry<'_>,
    lookup: &Lookup<'_>,
) -> Result<Pipeline, Vec<Problem>> {
    let draft = draft(text, file_name, registry, lookup);
    match draft.pipeline {
        Some(pipeline) if draft.problems.is_empty() && draft.test_problems.is_empty() => Ok(pipeline),
        _ => Err(draft.all_problems()),
    }
}

/// Reads a pipeline file as far as it goes, so that its SQL and its connectors can be checked beside its problems.
pub fn draft(text: &str, file_name: &str, registry: &Registry<'_>, lookup: &Lookup<'_>) -> Draft {
    let too_large = text.len() > MAX_BYTES;
    let shown = if too_large { "" } else { text };
    let mut reading = Reading {
        problems: Problems::new(shown, file_name),
        registry,
        lookup: *lookup,
        tables: Vec::new(),
        alerts: Vec::new(),
        time_zone: Zone::UTC,
        detectors: Vec::new(),
        unsound: Vec::new(),
        unknown: Vec::new(),
        test_problems: Vec::new(),
    };
    if too_large {
        let message = format!("the file has {} bytes, more than {MAX_BYTES}", text.len());
        let error = Error::new(&codes::FILE_UNREADABLE, message).with_hint("Is this a pipeline file?");
        reading.problems.report(Span::default(), error);
    }
    let root = if too_large { None } else { yaml::read(&mut reading.problems) };
    let pipeline = root.and_then(|root| reading.pipeline(&root));
    let Reading { problems, unsound, unknown, test_problems, .. } = reading;
    let mut problems = problems.into_found();
    if pipeline.is_none() && problems.is_empty() {
        let error = Error::new(&codes::INTERNAL, "the file was refused without a reason");
        problems.push(Problem::at(error, file_name, (1, 1), 1));
    }
    Draft { pipeline, problems, test_problems, unknown, unsound }
}

/// What every part of the parsing has at hand.
pub(super) struct Reading<'a> {
    pub problems: Problems<'a>,
    pub registry: &'a Registry<'a>,
    pub lookup: Lookup<'a>,
    /// The names of all sources, tables, views and detectors, sound or not.
    pub tables: Vec<String>,
    /// The names of all alerts, sound or not.
    pub alerts: Vec<String>,
    /// The file's zone.
    pub time_zone: Zone,
    /// Those of the detectors, in the order of the file.
    pub detectors: Vec<String>,
    /// As [`Draft::is_sound`] asks for it: what and name.
    pub unsound: Vec<(&'static str, String)>,
    /// As in [`Draft::unknown`].
    pub unknown: Vec<String>,
    /// As in [`Draft::test_problems`].
    pub test_problems: Vec<Problem>,
}

impl Reading<'_> {
    fn pipeline(&mut self, root: &Node) -> Option<Pipeline> {
        let start = Span { start: root.span.start, end: root.span.start };
        let file = Section::open(root, "the file", start, &mut self.problems)?;
        file.check("the file", &keys::PIPELINE, &mut self.problems, |_| None);
        let name = file.text("pipeline", &mut self.problems);
        if let Some(name) = name {
            self.check_name("pipeline", name.text, name.span);
        }
        let named = |key: &str| match file.get(key).map(|entry| &entry.value.kind) {
            Some(Kind::Mapping(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
            _ => Vec::new(),
        };
        self.tables = ["sources", "tables", "views", "detectors"].into_iter().flat_map(named).collect();
        self.detectors = named("detectors");
        self.alerts = named("alerts");
        let mut names = Names::default();
        let mut sources = self.each(&file, "source", "sources", &mut names, source::read);
        let (time_zone, time_zone_place) = event_time::time_zone(&file, self);
        self.time_zone = time_zone;
        let mut tables = self.each(&file, "table", "tables", &mut names, table::read);
        let values = sources.iter_mut().filter_map(|source| source.value.as_mut());
        let values = values.map(|value| (&value.format, &mut value.options));
        for (format, options) in values {
            event_time::decode_in(time_zone, format, options, self.registry.formats);
        }
        let values = sources.iter_mut().filter_map(|source| source.value.as_mut());
        values.for_each(|value| value.expect.time_zone = time_zone);
        let sources = source::resolve(sources, &file, self);
        for table in &mut tables {
            event_time::decode_in(time_zone, &table.format, &mut table.options, self.registry.tables);
            event_time::decode_in(
                time_zone,
                &table.format,
                &mut table.decoder_options,
                self.registry.formats,
            );
        }
        let views = self.each(&file, "view", "views", &mut names, view);
        let dashboard = file.get("dashboard").map(|entry| dashboard::read(entry, &sources, &views, self));
        let detectors = self.each(&file, "detector", "detectors", &mut names, detector::read);
        let views = detector::among(views, detectors, &sources, self);
        let mut queries = self.each(&file, "query", "queries", &mut Names::default(), query::read);
        queries.iter_mut().for_each(|query| query.time_zone = time_zone);
        let mut pipeline = Pipeline {
            name: name.map(|name| name.text.to_owned()).unwrap_or_default(),
            time_zone,
            time_zone_place,
            gateways: self.each(&file, "gateway", "gateways", &mut Names::default(), gateway::read),
            sources,
            tables,
            views,
            queries,
            alerts: self.each(&file, "alert", "alerts", &mut Names::default(), alert::read),
            silences: self.each(&file, "silence", "silences", &mut Names::default(), silence::read),
            channels: self.each(&file, "channel", "channels", &mut Names::default(), channel::read),
            quarantine: file.get("quarantine").map(|entry| self.quarantine(entry)).unwrap_or_default(),
            dashboard: dashboard.unwrap_or_default(),
            tests: self.tests(&file),
        };
        super::expect::tell_devices(&mut pipeline);
        Some(pipeline)
    }

    fn tests(&mut self, file: &Section<'_>) -> Vec<TestConfig> {
        let Some(entry) = file.get("tests") else { return Vec::new() };
        let (tests, found) = self.problems.apart(|problems| testing::read(entry, problems));
        self.test_problems = found;
        tests
    }

    /// Reads every entry of a mapping of names.
    fn each<T>(
        &mut self,
        file: &Section<'_>,
        what: &'static str,
        key: &str,
        names: &mut Names,
        read: impl Fn(&Entry, &str, &mut Self) -> Option<T>,
    ) -> Vec<T> {
        let Some(entry) = file.get(key) else { return Vec::new() };
        let Some(section) =
            Section::open(&entry.value, &format!("`{key}`"), entry.key_span, &mut self.problems)
        else {
            return Vec::new();
        };
        if section.entries().is_empty() {
            let error = Error::new(&codes::MISSING_KEY, format!("`{key}` is empty"))
                .with_hint(format!("Name at least one {what} in it."));
            self.problems.report(entry.key_span, error);
        }
        if let Some(entry) = section.entries().get(MOST_NAMES) {
            let error = Error::new(&codes::BAD_VALUE, format!("`{key}` has more than {MOST_NAMES} names"))
                .with_hint("Divide the pipeline among several files.");
            self.problems.report(entry.key_span, error);
        }
        let mut read_ones = Vec::new();
        for entry in section.entries().iter().take(MOST_NAMES) {
            let before = self.problems.count();
            self.check_name(what, &entry.key, entry.key_span);
            self.check_unique(what, entry, names);
            match read(entry, &format!("{what} `{}`", entry.key), self) {
                Some(one) => read_ones.push(one),
                None if shares_names(what) => self.unknown.push(entry.key.clone()),
                None => {}
            }
            if self.problems.count() > before {
                self.unsound.push((what, entry.key.clone()));
            }
        }
        read_ones
    }

    /// Names become tables in SQL, folders and labels of metrics, so they are plain.
    pub fn check_name(&mut self, what: &str, name: &str, span: Span) {
        const LONGEST: usize = 64;
        let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !is_plain || name.len() > LONGEST {
            let article = if matches!(what, "alert" | "expectation") { "an" } else { "a" };
            let message = format!("this is not a name for {article} {what}");
            let error = Error::new(&codes::BAD_VALUE, message).with_hint(format!(
                "A name has letters, digits, `_` and `-`, begins with a letter or `_`, and has at most {LONGEST} of them."
            ));
            self.problems.report(span, error);
        }
    }

    fn check_unique(&mut self, what: &'static str, entry: &Entry, names: &mut Names) {
        let line = self.problems.line_of(entry.key_span.start);
        if let Some((other, line)) = names.0.insert(entry.key.to_lowercase(), (what, line)) {
            let shared = if shares_names(what) {
                " Sources, tables, views and detectors share their names."
            } else {
                ""
            };
            let hint = format!(
                "The {other} in line {line} has it; upper and lower case do not matter, as in SQL.{shared}"
            );
            let error =
                Error::new(&codes::BAD_VALUE, format!("the name `{}` is taken", entry.key)).with_hint(hint);
            self.problems.report(entry.key_span, error);
        }
    }

    fn quarantine(&mut self, entry: &Entry) -> QuarantineConfig {
        let mut config = QuarantineConfig::default();
        let problems = &mut self.problems;
        let Some(section) = Section::open(&entry.value, "`quarantine`", entry.key_span, problems) else {
            return config;
        };
        section.check("`quarantine`", &keys::QUARANTINE, problems, |_| None);
        if let Some(text) = section.text("maxBytes", problems) {
            match parse_size(text.text).filter(|bytes| *bytes > 0) {
                Some(bytes) => config.max_bytes = bytes,
                None => {
                    problems.report(text.span, bad_value("maxBytes", text.text, "a size such as `64MiB`"))
                }
            }
        }
        if let Some(text) = section.text("retention", problems)
            && !text.text.eq_ignore_ascii_case("forever")
        {
            config.retention = parse_duration(text.text);
            if config.retention.is_none() {
                problems.report(
                    text.span,
                    bad_value("retention", text.text, "a duration such as `30 days`, or forever"),
                );
            }
        }
        if let Some(text) = section.text("whenFull", problems) {
            match text.text {
                "stop" => config.when_full = WhenFull::Stop,
                "dropOldest" => config.when_full = WhenFull::DropOldest,
                other => problems.report(text.span, bad_value("whenFull", other, "`stop` or `dropOldest`")),
            }
        }
        config
    }

    /// The SQL text of an entry and where it begins.
    pub fn sql(&mut self, entry: &Entry) -> Option<(String, (usize, usize))> {
        let text = text_of(entry, &mut self.problems)?;
        if text.text.trim().is_empty() {
            let error = Error::new(&codes::BAD_VALUE, "the SQL text is empty").with_hint("Write a SELECT.");
            self.problems.report(entry.key_span, error);
            return None;
        }
        Some((text.text.to_owned(), self.problems.place(text.span)))
    }
}

/// True for what SQL reads by its name.
fn shares_names(what: &str) -> bool {
    matches!(what, "source" | "table" | "view" | "detector")
}

/// Names in lower case: what has them, and in which line.
#[derive(Default)]
struct Names(HashMap<String, (&'static str, usize)>);

fn view(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Option<ViewConfig> {
    let (sql_entry, deduplicate) = match &entry.value.kind {
        Kind::Scalar(_) => (entry, None),
        _ => {
            let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
            section.check(what, &keys::VIEW, &mut reading.problems, |_| None);
            let deduplicate = event_time::deduplicate(&section, &keys::VIEW_DEDUPLICATE, reading);
            (section.get("sql")?, deduplicate)
        }
    };
    let (sql, place) = reading.sql(sql_entry)?;
    Some(ViewConfig { name: entry.key.clone(), sql, place, deduplicate, detector: None })
}

/// The text of a key and where it begins; an empty one is reported.
pub(super) fn piece(section: &Section<'_>, key: &str, reading: &mut Reading<'_>) -> Option<Placed> {
    piece_or(section, key, bad_value, reading)
}

/// The same; `refused` says what is wrong with a text: its key, itself, what it should be.
pub(super) fn piece_or(
    section: &Section<'_>,
    key: &str,
    refused: fn(&str, &str, &str) -> Error,
    reading: &mut Reading<'_>,
) -> Option<Placed> {
    let entry = section.get(key)?;
    let text = text_of(entry, &mut reading.problems)?;
    if text.text.trim().is_empty() {
        reading.problems.report(entry.key_span, refused(key, text.text, "a text that is not empty"));
        return None;
    }
    Some(Placed { text: text.text.to_owned(), place: reading.problems.place(text.span) })
}

/// The error for a value of a key that is not of its kind.
pub(super) fn bad_value(key: &str, text: &str, expected: &str) -> Error {
    let shown: String = text.chars().take(60).collect();
    let error = Error::new(&codes::BAD_VALUE, format!("`{key}` is `{shown}`, expected {expected}"));
    // An expectation has names of keys that others have, and tells its own.
    let sections = keys::ALL.iter().filter(|section| !std::ptr::eq(**section, &keys::EXPECTATION));
    match sections.flat_map(|section| section.keys).find(|known| known.name == key) {
        Some(known) => error.with_hint(known.doc),
        None => error,
    }
}
