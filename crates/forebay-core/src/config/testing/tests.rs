//! What of a file of tests is taken, and what is told of it.

use super::*;

#[test]
fn what_the_test_itself_says_is_its_first_and_its_last_step() {
    let text = "tests:\n  - name: n\n    at: 10:00\n    given: { iot: [ { v: 1 } ] }\n    steps:\n      - at: +5s\n        given: { iot: [] }\n      - expect: { alerts: { hot: [] } }\n    expect: { queries: { q: { rows: [], ledger: { read: 1 } } } }\n";
    let tests = parse_tests(text, "t").0;
    let [test] = &tests[..] else { panic!("{tests:?}") };
    let times: Vec<i64> = test.steps.iter().map(|step| step.at_ms).collect();
    assert_eq!(times, [36_000_000, 36_005_000, 36_005_000, 36_005_000]);
    assert_eq!(test.steps[0].given[0].to.text, "iot");
    assert_eq!(test.steps[2].expect.alerts[0].0.text, "hot");
    let query = &test.steps[3].expect.queries[0];
    assert_eq!(
        (query.name.text.as_str(), query.ledger[0].1, query.rows.as_ref().unwrap().place),
        ("q", 1, (9, 31))
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = "tests:\n  - nme: n\n    given: [ 1 ]\n  - name: a\n    at: noon\n    steps:\n      - at: 00:00:05\n      - at: 00:00:04\n        given: { iot: { v: 1 } }\n        expect: { rows: [], queries: { q: { rws: [], ledger: { filterd: 1, read: x } } } }\n  - name: a\n    expect: { queries: { q: {} } }\n";
    let told: Vec<String> = parse_tests(text, "t")
        .1
        .iter()
        .map(|problem| format!("{} {}", problem.line, problem.error.message()))
        .collect();
    for expected in [
        "2 test 1 has no `name`",
        "2 unknown key `nme` in test 1",
        "2 test 1 expects nothing",
        "3 `given` must be a mapping: `key: value` below it",
        "5 `at` is `noon`",
        "8 step 2 of test `a` is before",
        "9 `iot` must be a list",
        "10 `rows` in `expect` of step 2 of test `a` belongs to a query",
        "10 unknown key `rws` in what is expected of `q`",
        "10 unknown count `filterd`",
        "10 `read` is `x`, expected a whole number",
        "11 two tests are named `a`",
        "12 what is expected of `q` is empty",
    ] {
        assert!(told.iter().any(|told| told.starts_with(expected)), "`{expected}` is missing in {told:#?}");
    }
    assert_eq!(told.len(), 13, "{told:#?}");
}

#[test]
fn a_test_that_could_not_fail_is_none() {
    for expect in [
        "{}",
        "{ queries: {} }",
        "{ alerts: {} }",
        "{ queries: { q: { ledger: {} } } }",
        "{ queries: { q: { contains: [] } } }",
    ] {
        for text in [
            format!("tests:\n  - name: n\n    expect: {expect}\n"),
            format!("tests:\n  - name: n\n    steps: [ {{ expect: {expect} }} ]\n"),
        ] {
            let told: Vec<String> =
                parse_tests(&text, "t").1.iter().map(|problem| problem.error.message().to_owned()).collect();
            assert_eq!(told, ["test `n` expects nothing"], "{text}");
        }
    }
    let text = "tests:\n  - name: n\n    expect: { queries: { q: { rows: [] } } }\n";
    assert!(parse_tests(text, "t").1.is_empty());
}
