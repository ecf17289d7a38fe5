//! From what a file says of its tests to tests that can run; or to all that is wrong with them, each at its place.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Field, Fields};
use forebay_core::config::{ExpectQuery, Placed, Problem, StepConfig, TestConfig, TestRows, Value, Written};
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, ddl};

use super::cell::Cell;
use super::expected::{Reader, loose};
use super::given;
use super::world::Record;
use crate::alerts;
use crate::load::Loaded;

/// A test that can run.
#[derive(Debug)]
pub struct Test {
    pub name: String,
    /// The file that it stands in.
    pub file: String,
    pub line: usize,
    pub at_ms: i64,
    pub steps: Vec<Step>,
    /// The queries and alerts that something is expected of, by their names.
    pub runs: BTreeSet<String>,
    /// The topics that each source reads, by its name.
    pub topics: BTreeMap<String, BTreeSet<String>>,
}

/// A moment of it.
#[derive(Debug)]
pub struct Step {
    pub at_ms: i64,
    pub records: Vec<Record>,
    pub claims: Vec<Claim>,
}

/// One thing that is expected by then.
#[derive(Debug)]
pub struct Claim {
    /// The query, or the alert as `alerts/NAME`.
    pub of: String,
    pub what: What,
    /// Where it stands in the file.
    pub place: (usize, usize),
    /// Each with its line.
    pub rows: Vec<(usize, Cell)>,
}

/// What something is expected of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Rows,
    Contains,
    Late,
    Quarantined,
    Ledger,
    Alerts,
}

/// The tests of one file, checked against the pipeline. What is wrong goes to `problems`.
pub fn check(tests: &[TestConfig], file: &str, loaded: &Loaded, problems: &mut Vec<Problem>) -> Vec<Test> {
    tests.iter().map(|test| check_one(test, file, loaded, problems)).collect()
}

fn check_one(test: &TestConfig, file: &str, loaded: &Loaded, problems: &mut Vec<Problem>) -> Test {
    let begin_us = test.at_ms.saturating_mul(1_000);
    let mut reader = Reader { file, begin_us, problems };
    let mut given: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut steps = Vec::new();
    for StepConfig { at_ms, given: records, expect } in &test.steps {
        let mut step = Step { at_ms: *at_ms, records: Vec::new(), claims: Vec::new() };
        for of_source in records {
            let read = given::records(&mut reader, of_source, &loaded.pipeline, *at_ms);
            let Some((source, records)) = read else { continue };
            if let Some(source) = source {
                let topics = records.iter().map(|record| record.topic.clone());
                given.entry(source.name.clone()).or_default().extend(topics);
            }
            step.records.extend(records);
        }
        for query in &expect.queries {
            of_query(&mut reader, query, loaded, &mut step.claims);
        }
        for (rule, rows) in &expect.alerts {
            of_alert(&mut reader, rule, rows, loaded, &mut step.claims);
        }
        steps.push(step);
    }
    let none = BTreeSet::new();
    let sources = loaded.pipeline.sources.iter();
    let topics = sources
        .map(|source| {
            let given = given.get(&source.name).unwrap_or(&none);
            (source.name.clone(), given::topics_of(source, given))
        })
        .collect();
    let runs = steps.iter().flat_map(|step| step.claims.iter().map(|claim| claim.of.clone())).collect();
    let (name, line) = (test.name.clone(), test.place.0);
    Test { name, file: file.to_owned(), line, at_ms: test.at_ms, steps, runs, topics }
}

fn of_query(reader: &mut Reader<'_>, expected: &ExpectQuery, loaded: &Loaded, claims: &mut Vec<Claim>) {
    let name = &expected.name;
    let queries = &loaded.pipeline.queries;
    let found = loaded.queries().find(|(query, _)| query.name.eq_ignore_ascii_case(&name.text));
    let Some((query, plan)) = found else {
        let mut error = unknown_name("query", &name.text, queries.iter().map(|query| query.name.as_str()));
        if loaded.alerts.iter().any(|alert| alert.config.name.eq_ignore_ascii_case(&name.text)) {
            error = error.with_hint("It is an alert: write `expect: { alerts: { NAME: […] } }`.");
        }
        reader.problems.push(Problem::at(error, reader.file, name.place, name.text.chars().count()));
        return;
    };
    if !plan.can_be_late() {
        never_late(reader, expected, &query.name);
    }
    let (columns, whose) = (plan.output_schema(), format!("query `{}`", query.name));
    let quarantine = quarantine_columns();
    let mut claim = |what: What, rows: &Option<TestRows>, read: &mut dyn FnMut(&Written) -> Cell| {
        let Some(TestRows { place, rows }) = rows else { return };
        let rows = rows.iter().map(|row| (row.place.0, read(row))).collect();
        claims.push(Claim { of: query.name.clone(), what, place: *place, rows });
    };
    let mut row = |row: &Written| reader.row(row, columns.fields(), &whose);
    claim(What::Rows, &expected.rows, &mut row);
    claim(What::Contains, &expected.contains, &mut row);
    // Which columns a late row has is known once there is one.
    claim(What::Late, &expected.late, &mut |row| match &row.value {
        Value::Fields(_) => loose(row),
        _ => reader.row(row, &Fields::empty(), &whose),
    });
    claim(What::Quarantined, &expected.quarantined, &mut |row| match row.text() {
        Some(code) => Cell::Fields(vec![("code".to_owned(), Cell::Text(code.to_owned()))]),
        None => reader.row(row, &quarantine, "a quarantined record"),
    });
    if let Some((first, _)) = expected.ledger.first() {
        let counts =
            expected.ledger.iter().map(|(name, count)| (name.text.clone(), Cell::Int((*count).into())));
        let rows = vec![(first.place.0, Cell::Fields(counts.collect()))];
        claims.push(Claim { of: query.name.clone(), what: What::Ledger, place: first.place, rows });
    }
}

/// Refuses to expect no late rows of a query that can have none: that can never fail.
fn never_late(reader: &mut Reader<'_>, expected: &ExpectQuery, query: &str) {
    let no_rows = expected.late.iter().filter(|late| late.rows.is_empty()).map(|late| late.place);
    let no_count = expected.ledger.iter().filter(|(name, count)| name.text == "late" && *count == 0);
    for place in no_rows.chain(no_count.map(|(name, _)| name.place)) {
        let message = format!("no row can be late for `{query}`, so that none is can never fail");
        let error = Error::new(&codes::BAD_VALUE, message).with_hint(
            "Leave `late` out: rows are late for windows, sessions, `deduplicate` and joins by event time.",
        );
        reader.problems.push(Problem::at(error, reader.file, place, "late".len()));
    }
}

fn of_alert(
    reader: &mut Reader<'_>,
    rule: &Placed,
    rows: &TestRows,
    loaded: &Loaded,
    claims: &mut Vec<Claim>,
) {
    let found = loaded.alerts.iter().find(|alert| alert.config.name.eq_ignore_ascii_case(&rule.text));
    let Some(alert) = found else {
        let known = loaded.alerts.iter().map(|alert| alert.config.name.as_str());
        let error = unknown_name("alert", &rule.text, known);
        reader.problems.push(Problem::at(error, reader.file, rule.place, rule.text.chars().count()));
        return;
    };
    for (_, state) in
        rows.rows.iter().filter_map(Written::fields).flatten().filter(|(key, _)| key.text == "state")
    {
        if !matches!(state.text(), Some("open" | "cleared")) {
            let error = Error::new(&codes::BAD_VALUE, "the state of an alert is `open` or `cleared`")
                .with_hint("Before it opens there is none: `[]`.");
            reader.tell(error, state);
        }
    }
    let columns = alert_columns();
    let rows_read =
        rows.rows.iter().map(|row| (row.place.0, reader.row(row, &columns, "an alert"))).collect();
    let of = alerts::query_name(&alert.config.name);
    claims.push(Claim { of, what: What::Alerts, place: rows.place, rows: rows_read });
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn time(name: &str) -> Field {
    Field::new(name, ddl::timestamp(), true)
}

/// What a row of the quarantine has.
fn quarantine_columns() -> Fields {
    Fields::from(vec![
        text("code"),
        text("path"),
        text("why"),
        text("topic"),
        Field::new("partition", DataType::Int32, true),
        Field::new("offset", DataType::Int64, true),
        time("timestamp"),
        text("key"),
        text("value"),
    ])
}

/// What an alert has; its values are those of the columns that its condition names.
fn alert_columns() -> Fields {
    Fields::from(vec![
        text("rule"),
        text("source"),
        text("key"),
        text("severity"),
        text("state"),
        time("openedAt"),
        time("clearedAt"),
        text("message"),
        Field::new("value", DataType::Null, true),
        Field::new("clearedValue", DataType::Null, true),
        text("worst"),
        Field::new("noData", DataType::Boolean, true),
        text("field"),
        text("muted"),
    ])
}
