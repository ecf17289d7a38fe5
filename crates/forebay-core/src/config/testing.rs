//! `tests:` what is given to a pipeline and what is expected of it, for `forebay test`.
//!
//! The section stands in the pipeline's file, or alone in a file beside it ([`parse_tests`]). Here its shape is read, and
//! its times; names, columns and values are looked at by whoever has planned the queries. What must stay true: time
//! never goes back from one step to the next, and a test expects something, so that none passes for want of a question.

use super::lines::Span;
use super::parse::bad_value;
use super::problems::{Problem, Problems};
use super::section::{Section, Text};
use super::written::Written;
use super::yaml::{self, Entry, Kind, Node};
use super::{Placed, keys};
use crate::error::{Error, codes};
use crate::ledger::Ledger;
use crate::options::unknown_name;

#[cfg(test)]
mod tests;
mod time;

pub use time::moment_us;
use time::time_ms;

/// Longest name of a test, in characters: it is shown in a line.
const LONGEST_NAME: usize = 120;

/// Most tests of a file.
const MOST: usize = 1_000;

/// What a time may look like, for hints.
const TIMES: &str =
    "a time such as `10:00:05`, `+5 seconds`, `2026-11-21 10:00:05` or `2026-11-21T10:00:05+01:00`";

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestConfig {
    /// What it shows.
    pub name: String,
    /// Where it stands.
    pub place: (usize, usize),
    /// When its clock begins, milliseconds since 1970.
    pub at_ms: i64,
    /// What happens; the first and the last are those of the test itself.
    pub steps: Vec<StepConfig>,
}

/// A moment of a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepConfig {
    /// When it is, milliseconds since 1970.
    pub at_ms: i64,
    /// The records that come.
    pub given: Vec<GivenConfig>,
    /// What is there by then.
    pub expect: ExpectConfig,
}

/// The records for one source or topic, or the messages for a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenConfig {
    /// Its name.
    pub to: Placed,
    /// In their order.
    pub records: Vec<Written>,
}

/// What is expected by a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectConfig {
    /// Of queries.
    pub queries: Vec<ExpectQuery>,
    /// Of alerts, by the name of the rule.
    pub alerts: Vec<(Placed, TestRows)>,
}

/// What is expected of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectQuery {
    /// Its name.
    pub name: Placed,
    /// All of its rows.
    pub rows: Option<TestRows>,
    /// Some of its rows.
    pub contains: Option<TestRows>,
    /// All of its late rows.
    pub late: Option<TestRows>,
    /// All that is in its quarantine.
    pub quarantined: Option<TestRows>,
    /// Counts of its ledger by their names, with the place of the first.
    pub ledger: Vec<(Placed, u64)>,
}

/// Rows that are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRows {
    /// Where the key stands that they are below.
    pub place: (usize, usize),
    /// Each of them.
    pub rows: Vec<Written>,
}

impl ExpectConfig {
    /// True if anything may turn out otherwise.
    fn asks(&self) -> bool {
        !self.alerts.is_empty() || self.queries.iter().any(ExpectQuery::asks)
    }
}

impl ExpectQuery {
    /// The same: that some of no rows are there is always so.
    fn asks(&self) -> bool {
        let some = self.contains.as_ref().is_some_and(|contains| !contains.rows.is_empty());
        some || self.rows.is_some()
            || self.late.is_some()
            || self.quarantined.is_some()
            || !self.ledger.is_empty()
    }
}

/// Reads a file that holds nothing but `tests:`, as far as it goes, with all that is wrong with it.
pub fn parse_tests(text: &str, file_name: &str) -> (Vec<TestConfig>, Vec<Problem>) {
    let mut problems = Problems::new(text, file_name);
    let tests = yaml::read(&mut problems).and_then(|root| file(&root, &mut problems));
    (tests.unwrap_or_default(), problems.into_found())
}

fn file(root: &Node, problems: &mut Problems<'_>) -> Option<Vec<TestConfig>> {
    let start = Span { start: root.span.start, end: root.span.start };
    let file = Section::open(root, "the file", start, problems)?;
    file.check("a file of tests", &TESTS_FILE, problems, |_| None);
    Some(read(file.get("tests")?, problems))
}

/// The keys of a file of tests.
static TESTS_FILE: keys::Section = keys::Section {
    path: "A file of tests",
    doc: "",
    keys: &[keys::KeySpec {
        name: "tests",
        kind: "list of tests",
        default: None,
        required: true,
        later: false,
        doc: "The tests of a pipeline, as they stand in its own file.",
    }],
};

/// Reads `tests:` of a pipeline.
pub(super) fn read(entry: &Entry, problems: &mut Problems<'_>) -> Vec<TestConfig> {
    let items = items(entry, "`- name: …`", problems);
    if let Some(item) = items.get(MOST) {
        let error = Error::new(&codes::BAD_VALUE, format!("more than {MOST} tests"))
            .with_hint("Divide them among several files: `forebay test FILE --tests TESTS`.");
        problems.report(item.span, error);
    }
    let mut tests: Vec<TestConfig> = Vec::new();
    for (index, item) in items.iter().take(MOST).enumerate() {
        let what = format!("test {}", index + 1);
        let Some(test) = test(item, &what, problems) else { continue };
        if let Some(other) = tests.iter().find(|other| other.name == test.name) {
            let error = Error::new(&codes::BAD_VALUE, format!("two tests are named `{}`", test.name))
                .with_hint(format!("The one in line {} has the name already.", other.place.0));
            problems.report(first(item), error);
        }
        tests.push(test);
    }
    tests
}

fn test(item: &Node, what: &str, problems: &mut Problems<'_>) -> Option<TestConfig> {
    let before = problems.count();
    let section = Section::open(item, what, first(item), problems)?;
    section.check(what, &keys::TEST, problems, |_| None);
    let name = section.text("name", problems);
    if let Some(name) = name {
        check_name(name, problems);
    }
    let name = name.map(|name| name.text.to_owned()).unwrap_or_default();
    let shown = if name.is_empty() { what.to_owned() } else { format!("test `{name}`") };
    // The day that times without a date are of is the one on which the test begins.
    let begins = section.text("at", problems).and_then(|text| {
        let time = moment_us(text.text, 0).map(|us| us.div_euclid(1_000));
        if time.is_none() {
            problems.report(text.span, bad_time(text.text));
        }
        time
    });
    let at_ms = begins.unwrap_or(0);
    let mut steps =
        vec![StepConfig { at_ms, given: given(&section, problems), expect: ExpectConfig::default() }];
    if let Some(entry) = section.get("steps") {
        for (index, item) in items(entry, "`- at: 10:00:05`", problems).iter().enumerate() {
            let before = steps.last().map_or(at_ms, |step| step.at_ms);
            steps.extend(step(item, &format!("step {} of {shown}", index + 1), (at_ms, before), problems));
        }
    }
    if let Some(entry) = section.get("expect") {
        let at_ms = steps.last().map_or(at_ms, |step| step.at_ms);
        steps.push(StepConfig { at_ms, given: Vec::new(), expect: expect(entry, &shown, problems) });
    }
    let expects = section.get("expect").is_some() || section.get("steps").is_some_and(has_expect);
    // An `expect` that is there and not right was told.
    let is_told = expects && problems.count() > before;
    if !is_told && !steps.iter().any(|step| step.expect.asks()) {
        let error = Error::new(&codes::MISSING_KEY, format!("{shown} expects nothing")).with_hint(
            "Add `expect: { queries: { NAME: { rows: […] } } }`, to a step or to the test itself; no rows are `rows: []`.",
        );
        problems.report(first(item), error);
    }
    Some(TestConfig { name, place: problems.place(item.span), at_ms, steps })
}

/// True if one of the steps has an `expect`.
fn has_expect(entry: &Entry) -> bool {
    let Kind::Sequence(steps) = &entry.value.kind else { return false };
    steps.iter().any(|step| match &step.kind {
        Kind::Mapping(entries) => entries.iter().any(|entry| entry.key == "expect"),
        _ => false,
    })
}

fn check_name(name: Text<'_>, problems: &mut Problems<'_>) {
    let is_plain = !name.text.trim().is_empty() && !name.text.chars().any(char::is_control);
    if !is_plain || name.text.chars().count() > LONGEST_NAME {
        let error = Error::new(&codes::BAD_VALUE, "this is not a name for a test").with_hint(format!(
            "A name is one line of at most {LONGEST_NAME} characters that says what the test shows."
        ));
        problems.report(name.span, error);
    }
}

fn step(
    item: &Node,
    what: &str,
    (begin_ms, before_ms): (i64, i64),
    problems: &mut Problems<'_>,
) -> Option<StepConfig> {
    let section = Section::open(item, what, first(item), problems)?;
    section.check(what, &keys::STEP, problems, |_| None);
    let mut at_ms = before_ms;
    if let Some(text) = section.text("at", problems) {
        match time_ms(text.text, begin_ms, before_ms) {
            None => problems.report(text.span, bad_time(text.text)),
            Some(time) if time < before_ms => {
                let error = Error::new(&codes::BAD_VALUE, format!("{what} is before the one before it"))
                    .with_hint(
                        "The clock of a test never goes back: put the steps in the order of their times.",
                    );
                problems.report(text.span, error);
            }
            Some(time) => at_ms = time,
        }
    }
    let given = given(&section, problems);
    let expect = section.get("expect").map(|entry| expect(entry, what, problems)).unwrap_or_default();
    Some(StepConfig { at_ms, given, expect })
}

fn given(section: &Section<'_>, problems: &mut Problems<'_>) -> Vec<GivenConfig> {
    let Some(entry) = section.get("given") else { return Vec::new() };
    let Some(named) = Section::open(&entry.value, "`given`", entry.key_span, problems) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in named.entries() {
        let items = items(entry, "a `- ` before each record", problems);
        let records = items.iter().map(|item| Written::of(item, problems)).collect();
        all.push(GivenConfig { to: placed(entry, problems), records });
    }
    all
}

fn expect(entry: &Entry, of: &str, problems: &mut Problems<'_>) -> ExpectConfig {
    let mut config = ExpectConfig::default();
    let what = format!("`expect` of {of}");
    let Some(section) = Section::open(&entry.value, &what, entry.key_span, problems) else { return config };
    section.check(&what, &keys::EXPECT, problems, |key| {
        let is_of_query = keys::EXPECT_QUERY.keys.iter().any(|known| known.name == key);
        is_of_query.then(|| {
            Error::new(&codes::UNKNOWN_KEY, format!("`{key}` in {what} belongs to a query"))
                .with_hint(format!("Say whose: `expect: {{ queries: {{ NAME: {{ {key}: … }} }} }}`."))
        })
    });
    if let Some(entry) = section.get("queries")
        && let Some(queries) = Section::open(&entry.value, "`queries` of `expect`", entry.key_span, problems)
    {
        config.queries = queries.entries().iter().filter_map(|entry| of_query(entry, problems)).collect();
    }
    if let Some(entry) = section.get("alerts")
        && let Some(alerts) = Section::open(&entry.value, "`alerts` of `expect`", entry.key_span, problems)
    {
        let alerts = alerts.entries().iter();
        config.alerts = alerts.map(|entry| (placed(entry, problems), rows(entry, problems))).collect();
    }
    config
}

fn of_query(entry: &Entry, problems: &mut Problems<'_>) -> Option<ExpectQuery> {
    let what = format!("what is expected of `{}`", entry.key);
    let section = Section::open(&entry.value, &what, entry.key_span, problems)?;
    section.check(&what, &keys::EXPECT_QUERY, problems, |_| None);
    if section.entries().is_empty() {
        let error = Error::new(&codes::MISSING_KEY, format!("{what} is empty"))
            .with_hint("Write `rows: […]`; no rows are `rows: []`.");
        problems.report(entry.key_span, error);
    }
    let name = placed(entry, problems);
    let mut of = |key: &str| section.get(key).map(|entry| rows(entry, problems));
    let (rows, contains, late, quarantined) = (of("rows"), of("contains"), of("late"), of("quarantined"));
    Some(ExpectQuery { name, rows, contains, late, quarantined, ledger: ledger(&section, problems) })
}

fn rows(entry: &Entry, problems: &mut Problems<'_>) -> TestRows {
    let items = items(entry, "`- { column: value }`, or `[]` for none", problems);
    let rows = items.iter().map(|item| Written::of(item, problems)).collect();
    TestRows { place: problems.place(entry.key_span), rows }
}

fn ledger(section: &Section<'_>, problems: &mut Problems<'_>) -> Vec<(Placed, u64)> {
    let Some(entry) = section.get("ledger") else { return Vec::new() };
    let Some(counts) = Section::open(&entry.value, "`ledger`", entry.key_span, problems) else {
        return Vec::new();
    };
    let known = Ledger::default().counts();
    let mut all = Vec::new();
    for entry in counts.entries() {
        if !known.iter().any(|(name, _)| *name == entry.key) {
            let unknown = unknown_name("count", &entry.key, known.iter().map(|(name, _)| *name));
            problems.report(entry.key_span, unknown);
            continue;
        }
        let Some(text) = counts.text(&entry.key, problems) else { continue };
        match text.text.parse() {
            Ok(count) => all.push((placed(entry, problems), count)),
            Err(_) => problems.report(text.span, bad_value(&entry.key, text.text, "a whole number")),
        }
    }
    all
}

/// The items of a list; what is no list is told, with how an item begins.
fn items<'n>(entry: &'n Entry, begins: &str, problems: &mut Problems<'_>) -> &'n [Node] {
    match &entry.value.kind {
        Kind::Sequence(items) => items,
        _ => {
            let error = Error::new(&codes::BAD_VALUE, format!("`{}` must be a list", entry.key))
                .with_hint(format!("Its items stand below it: {begins}."));
            problems.report(entry.key_span, error);
            &[]
        }
    }
}

fn placed(entry: &Entry, problems: &Problems<'_>) -> Placed {
    Placed { text: entry.key.clone(), place: problems.place(entry.key_span) }
}

/// Where problems of an item as a whole are shown.
fn first(item: &Node) -> Span {
    Span { start: item.span.start, end: item.span.start + 1 }
}

fn bad_time(text: &str) -> Error {
    let shown: String = text.chars().take(60).collect();
    Error::new(&codes::BAD_VALUE, format!("`at` is `{shown}`, expected {TIMES}")).with_hint(
        "A time of day is of the day on which the test begins (`at` of the test, else 1970-01-01), in UTC.",
    )
}
