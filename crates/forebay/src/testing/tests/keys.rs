//! Which of a group's rows are there in update mode: the newest, where its rows say of which group they are.

use super::super::check::{Test, check};
use super::super::report;
use super::super::run::{Outcome, run};
use crate::load::{self, Loaded};

/// A stream of keys, and queries that count them.
const FILE: &str = "pipeline: p\n\
    sources:\n\
    \x20 l:\n\
    \x20   format: kafka\n\
    \x20   options: { subscribe: l, kafka.bootstrap.servers: \"nobody.invalid:1\" }\n\
    \x20   value: json\n\
    \x20   schema: k STRING\n\
    queries:\n\
    \x20 sets: { sql: \"SELECT k, grouping(k) AS g, count(*) AS n FROM l GROUP BY ROLLUP(k)\", format: console, outputMode: update }\n\
    \x20 all: { sql: SELECT count(*) AS n FROM l, format: console, outputMode: update }\n\
    \x20 upper: { sql: \"SELECT upper(k) AS u, count(*) AS n FROM l GROUP BY k\", format: console, outputMode: update }\n";

/// Three records in two epochs, and what is expected of the queries by then.
fn loaded(expected: &str) -> (Loaded, Vec<Test>) {
    let text = format!(
        "{FILE}tests:\n  - name: counted\n    given: {{ l: [ {{ k: a }}, {{ k: null }} ] }}\n    \
         steps: [ {{ at: +1 minute, given: {{ l: [ {{ k: a }} ] }} }} ]\n    expect: {{ queries: {{ {expected} }} }}\n"
    );
    let loaded = load::load(&text, "p.yaml", None).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut problems = Vec::new();
    let tests = check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    (loaded, tests)
}

async fn ran<'t>(loaded: &Loaded, tests: &'t [Test]) -> (&'t Test, Outcome) {
    let outcome = run(&tests[0], loaded).await.unwrap();
    assert!(outcome.failures.is_empty(), "{}", report::text(&tests[0], &outcome, false));
    (&tests[0], outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_each_group_its_newest_row_is_there() {
    let expected = "sets: { rows: [ { k: a, g: 0, n: 2 }, { k: null, g: 0, n: 1 }, { k: null, g: 1, n: 3 } ] }, all: { rows: [ { n: 3 } ] }";
    let (loaded, tests) = loaded(expected);
    let (_, outcome) = ran(&loaded, &tests).await;
    assert_eq!(outcome.notes, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_rows_do_not_say_of_which_group_they_are_all_are_there_and_that_is_told() {
    let (loaded, tests) = loaded("upper: { contains: [ { u: A, n: 1 }, { u: A, n: 2 } ] }");
    let (test, outcome) = ran(&loaded, &tests).await;
    let [note] = &outcome.notes[..] else { panic!("{:?}", outcome.notes) };
    assert!(note.starts_with("`upper` has no key in its output"), "{note}");
    assert!(report::text(test, &outcome, false).contains(&format!("\n      note: {note}\n")));
    let outcomes = [(test, outcome)];
    assert!(report::json(&outcomes).contains("has no key in its output"));
    assert!(report::junit("p", &outcomes).contains("<system-out>`upper` has no key in its output"));
}
