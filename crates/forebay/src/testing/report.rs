//! What came of tests: for people, with the rows side by side; as JSON; as JUnit's XML, which every CI reads.

use std::fmt::Write as _;
use std::time::Duration;

use forebay_core::config;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::cell::{Cell, moment};
use super::check::{Test, What};
use super::compare::Difference;
use super::run::{Failure, Outcome, Why};
use crate::alerts;
use crate::talk::one_line;

/// Widest cell that is shown whole.
const WIDEST: usize = 60;

/// What is shown of a test as soon as it has ended.
pub fn text(test: &Test, outcome: &Outcome, color: bool) -> String {
    let is_ok = outcome.failures.is_empty();
    let mark = match (is_ok, color) {
        (true, false) => "ok  ".to_owned(),
        (false, false) => "FAIL".to_owned(),
        (true, true) => "\u{1b}[32mok\u{1b}[0m  ".to_owned(),
        (false, true) => "\u{1b}[1;31mFAIL\u{1b}[0m".to_owned(),
    };
    let mut out = format!("{mark}  {}  ({})\n", one_line(&test.name), took(outcome.took));
    for note in &outcome.notes {
        let _ = writeln!(out, "      note: {}", one_line(note));
    }
    for failure in &outcome.failures {
        let _ = write!(out, "\n{}", indented(&failure_text(test, failure, color)));
    }
    if !is_ok {
        out.push('\n');
    }
    out
}

/// The last line.
pub fn sum(outcomes: &[(&Test, Outcome)]) -> String {
    let failed = outcomes.iter().filter(|(_, outcome)| !outcome.failures.is_empty()).count();
    let (count, ok) = (outcomes.len(), outcomes.len() - failed);
    let all = outcomes.iter().map(|(_, outcome)| outcome.took).sum();
    let tests = if count == 1 { "test" } else { "tests" };
    format!("{count} {tests}: {ok} ok, {failed} failed ({})\n", took(all))
}

/// Everything as one JSON document.
pub fn json(outcomes: &[(&Test, Outcome)]) -> String {
    let tests: Vec<Value> = outcomes
        .iter()
        .map(|(test, outcome)| {
            let failures: Vec<Value> =
                outcome.failures.iter().map(|failure| failure_json(test, failure)).collect();
            json!({
                "name": test.name,
                "file": test.file,
                "line": test.line,
                "ok": failures.is_empty(),
                "tookMs": millis(outcome.took),
                "failures": failures,
                "notes": outcome.notes,
            })
        })
        .collect();
    let failed = outcomes.iter().filter(|(_, outcome)| !outcome.failures.is_empty()).count();
    let ok = outcomes.len() - failed;
    format!("{:#}\n", json!({ "tests": tests, "ok": ok, "failed": failed }))
}

/// Everything as JUnit's XML.
pub fn junit(pipeline: &str, outcomes: &[(&Test, Outcome)]) -> String {
    let failed = outcomes.iter().filter(|(_, outcome)| !outcome.failures.is_empty()).count();
    let seconds = |took: Duration| format!("{:.3}", took.as_secs_f64());
    let all = outcomes.iter().map(|(_, outcome)| outcome.took).sum();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" time=\"{}\">\n",
        xml(pipeline),
        outcomes.len(),
        seconds(all)
    );
    for (test, outcome) in outcomes {
        let _ = write!(
            out,
            "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\" time=\"{}\"",
            xml(&test.name),
            xml(pipeline),
            xml(&test.file),
            test.line,
            seconds(outcome.took)
        );
        if outcome.failures.is_empty() && outcome.notes.is_empty() {
            out.push_str("/>\n");
            continue;
        }
        out.push_str(">\n");
        for failure in &outcome.failures {
            let text = failure_text(test, failure, false);
            let first = text.lines().next().unwrap_or_default();
            let _ = writeln!(out, "      <failure message=\"{}\">{}</failure>", xml(first), xml(&text));
        }
        if !outcome.notes.is_empty() {
            let _ = writeln!(out, "      <system-out>{}</system-out>", xml(&outcome.notes.join("\n")));
        }
        out.push_str("    </testcase>\n");
    }
    out + "  </testsuite>\n</testsuites>\n"
}

fn failure_text(test: &Test, failure: &Failure, color: bool) -> String {
    let begin_us = test.at_ms.saturating_mul(1_000);
    let (line, column) = failure.place;
    let by = moment(failure.at_ms.saturating_mul(1_000), begin_us);
    let mut out = format!("{}:{line}:{column}: by {by} ", test.file);
    match &failure.why {
        Why::Failed(error) => {
            let _ = write!(out, "`{}` has failed\n{}", failure.of, config::explain(error, color));
        }
        Why::Differs(what, difference) => {
            let told = counts(difference);
            let _ = write!(
                out,
                "{}: {told}\n\n{}",
                subject(*what, &failure.of),
                table(difference, begin_us, color)
            );
        }
    }
    out
}

/// Of what the rows are.
fn subject(what: What, of: &str) -> String {
    match what {
        What::Rows => format!("the rows of `{of}`"),
        What::Contains => format!("some of the rows of `{of}`"),
        What::Late => format!("the late rows of `{of}`"),
        What::Quarantined => format!("the quarantine of `{of}`"),
        What::Ledger => format!("the ledger of `{of}`"),
        What::Alerts => format!("the alerts of `{}`", alerts::rule_of(of).unwrap_or(of)),
    }
}

fn counts(difference: &Difference) -> String {
    let differing = difference.missing.iter().filter(|(_, _, near)| near.is_some()).count();
    let missing = difference.missing.len() - differing;
    let surplus = difference.surplus.len() + difference.more;
    let parts = [
        (difference.alike, "as expected"),
        (differing, "not as expected"),
        (missing, "missing"),
        (surplus, "too much"),
    ];
    let parts = parts.iter().enumerate().filter(|(at, (count, _))| *at == 0 || *count > 0);
    parts.map(|(_, (count, word))| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// A line of the table.
struct Row {
    mark: &'static str,
    label: String,
    cells: Vec<String>,
    /// The columns that are not as expected.
    wrong: Vec<usize>,
}

/// Expected rows (`-`) above the found ones (`+`) that are most like them, marks below what differs.
fn table(difference: &Difference, begin_us: i64, color: bool) -> String {
    let columns = columns(difference);
    let cells = |row: &Cell| -> Vec<String> {
        let shown =
            |name: &String| row.field(name).map_or_else(String::new, |cell| short(&cell.shown(begin_us)));
        columns.iter().map(shown).collect()
    };
    let mut rows = Vec::new();
    for (line, expected, near) in &difference.missing {
        let label = format!("line {line}");
        rows.push(Row { mark: "-", label, cells: cells(expected), wrong: Vec::new() });
        let Some(near) = near else { continue };
        let is_wrong = |name: &String| {
            expected
                .field(name)
                .is_some_and(|value| !near.field(name).is_some_and(|found| value.expects(found)))
        };
        let wrong = columns.iter().enumerate().filter(|(_, name)| is_wrong(name)).map(|(at, _)| at).collect();
        let found = cells(&near.part(expected));
        rows.push(Row { mark: "+", label: "found".to_owned(), cells: found, wrong });
    }
    for row in &difference.surplus {
        rows.push(Row { mark: "+", label: "found".to_owned(), cells: cells(row), wrong: Vec::new() });
    }
    let label_width = rows.iter().map(|row| row.label.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            rows.iter().filter_map(|row| row.cells.get(at)).chain(columns.get(at)).map(|it| it.width()).max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    let line = |cells: &[String]| -> String {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| padded(cell, *width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let blank = " ".repeat(label_width);
    let mut out = format!("    {blank}  {}\n", line(&columns));
    for row in rows {
        let text = format!("  {} {}  {}", row.mark, padded(&row.label, label_width), line(&row.cells));
        let painted = match (color, row.mark) {
            (true, "-") => format!("\u{1b}[32m{text}\u{1b}[0m"),
            (true, _) => format!("\u{1b}[31m{text}\u{1b}[0m"),
            _ => text,
        };
        let _ = writeln!(out, "{painted}");
        if !row.wrong.is_empty() {
            let marks: Vec<String> =
                row.cells
                    .iter()
                    .enumerate()
                    .map(|(at, cell)| {
                        if row.wrong.contains(&at) { "^".repeat(cell.width().max(1)) } else { String::new() }
                    })
                    .collect();
            let _ = writeln!(out, "    {blank}  {}", line(&marks));
        }
    }
    if difference.more > 0 {
        let _ = writeln!(out, "    … and {} more", difference.more);
    }
    out
}

/// The columns that are shown: those that are compared; where no row is expected, all.
fn columns(difference: &Difference) -> Vec<String> {
    let rows = difference.missing.iter().map(|(_, row, _)| row).chain(&difference.surplus);
    let mut columns: Vec<String> = Vec::new();
    for name in rows.flat_map(Cell::names) {
        if !columns.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            columns.push(name.to_owned());
        }
    }
    columns
}

fn short(text: &str) -> String {
    let text = one_line(text);
    if text.chars().count() <= WIDEST {
        return text;
    }
    let head: String = text.chars().take(WIDEST - 1).collect();
    format!("{head}…")
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{}", if line.is_empty() { String::new() } else { format!("  {line}") });
        out
    })
}

fn failure_json(test: &Test, failure: &Failure) -> Value {
    let begin_us = test.at_ms.saturating_mul(1_000);
    let shown = |row: &Cell| row.shown(begin_us);
    let mut document = json!({
        "line": failure.place.0,
        "by": moment(failure.at_ms.saturating_mul(1_000), i64::MIN),
        "of": failure.of,
    });
    let more = match &failure.why {
        Why::Failed(error) => json!({
            "error": { "code": error.code().id, "message": error.message(), "hint": error.hint() },
        }),
        Why::Differs(what, difference) => json!({
            "what": word(*what),
            "alike": difference.alike,
            "missing": difference.missing.iter().map(|(line, row, near)| json!({
                "line": line, "expected": shown(row), "found": near.as_ref().map(shown),
            })).collect::<Vec<_>>(),
            "tooMuch": difference.surplus.iter().map(shown).collect::<Vec<_>>(),
            "more": difference.more,
        }),
    };
    if let (Value::Object(document), Value::Object(more)) = (&mut document, more) {
        document.extend(more);
    }
    document
}

fn word(what: What) -> &'static str {
    match what {
        What::Rows => "rows",
        What::Contains => "contains",
        What::Late => "late",
        What::Quarantined => "quarantined",
        What::Ledger => "ledger",
        What::Alerts => "alerts",
    }
}

fn took(time: Duration) -> String {
    format!("{} ms", millis(time))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Text as it may stand in XML.
fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}
