//! Which changes of a query its state bears: pairs of queries, of which the second finds the state of the first.

use arrow::datatypes::Schema;
use forebay_core::output_mode::OutputMode::{Append, Update};

use super::*;
use crate::epoch::Tail;
use crate::state::MEANING;

const WINDOW: &str = "GROUP BY window(at, '10 seconds')";

/// Two streams of the same columns with watermarks, and two tables at rest of the same columns.
fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    let columns = ddl::parse("k STRING, s STRING, v DOUBLE, w DOUBLE, i INT, at TIMESTAMP").unwrap();
    for source in ["l", "m"] {
        catalog.add_source(source, SourceColumns::Decoded(Arc::clone(&columns))).unwrap();
        catalog.set_watermark(source, SourceTime { column: "at".to_owned(), delay_ms: 10_000 });
    }
    let columns = ddl::parse("id STRING, name STRING, hall DOUBLE").unwrap();
    for table in ["sites", "places"] {
        catalog.add_table(table, Arc::clone(&columns)).unwrap();
    }
    catalog.add_view("renamed", "SELECT at, k AS kk, v AS vv FROM l").unwrap();
    catalog.add_view("other", "SELECT at, k AS kk, w AS vv FROM l").unwrap();
    catalog
}

/// What the query keeps, by all that a kept state is compared by.
fn kept(sql: &str, mode: OutputMode, once: Option<&Deduplicate>) -> Vec<String> {
    let plan = plan_query(&catalog(), sql, None, mode, once);
    let plan = plan.unwrap_or_else(|error| panic!("{sql}: {}", super::drawing::refused(error)));
    let tables = Tail::new(plan.graph()).unwrap().unwrap().tables;
    let told = |(name, layout): &(String, Arc<crate::state::Layout>)| {
        let keys: Vec<_> = layout.keys.iter().map(|key| (key.name(), key.data_type())).collect();
        let types: Vec<_> = layout.values.fields().iter().map(|value| value.data_type()).collect();
        let values: &Schema = &layout.values;
        format!("{name} {keys:?} {types:?} {:?}", values.metadata().get(MEANING))
    };
    tables.iter().map(told).collect()
}

#[track_caller]
fn check(resumes: bool, mode: OutputMode, pairs: &[(&str, &str)]) {
    for (before, after) in pairs {
        let (was, is) = (kept(before, mode, None), kept(after, mode, None));
        assert_eq!(was == is, resumes, "{before}\n{after}\n{was:#?}\n{is:#?}");
    }
}

/// The meaning of a query's only table.
fn meaning(sql: &str, mode: OutputMode) -> String {
    let plan = plan_query(&catalog(), sql, None, mode, None).unwrap_or_else(|_| panic!("{sql}"));
    let tables = Tail::new(plan.graph()).unwrap().unwrap().tables;
    let [(_, layout)] = tables.as_slice() else { panic!("{} tables", tables.len()) };
    layout.values.metadata()[MEANING].clone()
}

/// These texts are in checkpoints.
#[test]
fn what_has_plain_columns_is_told_by_their_names() {
    assert_eq!(
        meaning("SELECT k, count(*) AS n, max(v) AS m FROM l GROUP BY k", Update),
        "count(1), max(v) by k, never ending"
    );
    assert_eq!(
        meaning(&format!("SELECT max(v) AS m FROM l {WINDOW}"), Append),
        "max(v) by window(at, 10000000 µs, 10000000 µs, 0 µs), ending by watermark"
    );
    assert_eq!(
        meaning("SELECT kk, max(vv) AS m FROM renamed WHERE vv > 1 GROUP BY kk", Update),
        "max(v) by k, never ending"
    );
}

#[test]
fn other_functions_and_literals_are_refused() {
    let pairs = [
        ("first(v)", "first(v) IGNORE NULLS"),
        ("first(v)", "first(v, true)"),
        ("any_value(v)", "any_value(v, true)"),
        ("last(v) IGNORE NULLS", "last(v)"),
        ("count(*) FILTER (WHERE s = k)", "count(*) FILTER (WHERE s = 'k')"),
        ("count(*) FILTER (WHERE s = k)", "count(*) FILTER (WHERE k = 's')"),
        ("count(*) FILTER (WHERE s = '1')", "count(*) FILTER (WHERE s = '2')"),
        ("max(s)", "max('s')"),
        ("max(v)", "min(v)"),
        ("max(v)", "max(w)"),
        ("max(v - (w - i))", "max(v - w - i)"),
        ("max(CASE WHEN k = 'a' THEN 1 END)", "max(CASE WHEN k = 'b' THEN 1 END)"),
        ("max(CASE WHEN k = s THEN 1 END)", "max(CASE WHEN k = 's' THEN 1 END)"),
    ];
    let select = |what: &str| format!("SELECT {what} AS n FROM l {WINDOW}");
    for (before, after) in pairs {
        check(false, Append, &[(&select(before), &select(after))]);
    }
    for (before, after) in [("first(v) IGNORE NULLS", "first(v, true)"), ("count(*)", "count(1)")] {
        check(true, Append, &[(&select(before), &select(after))]);
    }
}

#[test]
fn another_column_of_the_same_name_is_refused() {
    check(
        false,
        Update,
        &[
            (
                "SELECT k, sum(v) AS n FROM (SELECT at, k, v FROM l) GROUP BY k",
                "SELECT k, sum(v) AS n FROM (SELECT at, k, CAST(i AS DOUBLE) AS v FROM l) GROUP BY k",
            ),
            (
                "SELECT k, sum(v) AS n FROM (SELECT at, k, v FROM l) GROUP BY k",
                "SELECT k, sum(v) AS n FROM (SELECT at, k, w AS v FROM l) GROUP BY k",
            ),
            (
                "SELECT k, count(*) AS n FROM (SELECT k FROM l) GROUP BY k",
                "SELECT k, count(*) AS n FROM (SELECT s AS k FROM l) GROUP BY k",
            ),
            ("SELECT DISTINCT k FROM l", "SELECT DISTINCT s AS k FROM l"),
            (
                "SELECT kk, sum(vv) AS n FROM renamed GROUP BY kk",
                "SELECT kk, sum(vv) AS n FROM other GROUP BY kk",
            ),
            (
                "SELECT k, sum(v) AS n FROM (SELECT k, v FROM l UNION ALL SELECT k, v FROM m) GROUP BY k",
                "SELECT k, sum(v) AS n FROM (SELECT k, v FROM l UNION ALL SELECT k, w FROM m) GROUP BY k",
            ),
            (
                "SELECT name, count(*) AS n FROM l JOIN sites ON k = id GROUP BY name",
                "SELECT name, count(*) AS n FROM l JOIN places ON k = id GROUP BY name",
            ),
            (
                "SELECT name, count(*) AS n FROM l JOIN sites ON k = id GROUP BY name",
                "SELECT name, count(*) AS n FROM l JOIN sites ON s = id GROUP BY name",
            ),
        ],
    );
    check(
        false,
        Append,
        &[
            (
                "SELECT k, count(*) AS n FROM (SELECT at, k FROM l) GROUP BY session_window(at, '5 seconds'), k",
                "SELECT k, count(*) AS n FROM (SELECT at, s AS k FROM l) GROUP BY session_window(at, '5 seconds'), k",
            ),
            (
                "SELECT v, mv FROM (SELECT k, at, v FROM l) x JOIN (SELECT k AS mk, at AS mt, v AS mv FROM m) y ON k = mk AND at = mt",
                "SELECT v, mv FROM (SELECT k, at, w AS v FROM l) x JOIN (SELECT k AS mk, at AS mt, v AS mv FROM m) y ON k = mk AND at = mt",
            ),
            (
                "SELECT v, mv FROM (SELECT k, at, v FROM l) x JOIN (SELECT k AS mk, at AS mt, v AS mv FROM m) y ON k = mk AND at = mt",
                "SELECT v, mv FROM (SELECT s AS k, at, v FROM l) x JOIN (SELECT k AS mk, at AS mt, v AS mv FROM m) y ON k = mk AND at = mt",
            ),
            (
                "SELECT window, max(a) AS x FROM (SELECT window, k, sum(v) AS a, sum(w) AS b FROM l GROUP BY window(at, '10 seconds'), k) GROUP BY window(window, '1 hour')",
                "SELECT window, max(b) AS x FROM (SELECT window, k, sum(v) AS a, sum(w) AS b FROM l GROUP BY window(at, '10 seconds'), k) GROUP BY window(window, '1 hour')",
            ),
        ],
    );
    let once = Deduplicate { keys: vec!["k".to_owned()], within_us: None };
    let keys = |sql: &str| kept(sql, Append, Some(&once));
    assert_ne!(keys("SELECT k, v FROM l"), keys("SELECT s AS k, v FROM l"));
    assert_eq!(keys("SELECT k, v FROM l"), keys("SELECT v, k, w FROM l WHERE v > 1"));
}

#[test]
fn filters_names_and_ways_of_writing_the_same_go_on() {
    check(
        true,
        Update,
        &[
            (
                "SELECT k, sum(v) AS n FROM l GROUP BY k",
                "SELECT k, sum(v) AS m FROM l WHERE w > 1 GROUP BY k",
            ),
            ("SELECT k, sum(v) AS n FROM l GROUP BY k", "SELECT k AS g, sum(v) AS n FROM l AS x GROUP BY k"),
            (
                "SELECT k, sum(v) AS n FROM l GROUP BY k",
                "SELECT k, sum(x) AS n FROM (SELECT w, k, v AS x FROM l WHERE i > 3) AS y GROUP BY k HAVING sum(x) > 1",
            ),
            (
                "SELECT k, sum(CAST(i AS DOUBLE)) AS n FROM l GROUP BY k",
                "SELECT k, sum(c) AS n FROM (SELECT k, CAST(i AS DOUBLE) AS c FROM l) GROUP BY k",
            ),
            (
                "SELECT kk, sum(vv) AS n FROM renamed GROUP BY kk",
                "SELECT kk, sum(v) AS n FROM (SELECT k AS kk, v FROM l WHERE w > 1) GROUP BY kk",
            ),
            (
                "SELECT k, sum(v) AS n FROM (SELECT k, v FROM l UNION ALL SELECT k, v FROM m) GROUP BY k",
                "SELECT k, sum(x) AS n FROM (SELECT k, v AS x FROM l WHERE v > 1 UNION ALL SELECT k, v FROM m) GROUP BY k",
            ),
            (
                "SELECT name, count(*) AS n FROM l JOIN sites ON k = id GROUP BY name",
                "SELECT name, count(*) AS many FROM l JOIN sites ON k = id WHERE hall > 1 GROUP BY name",
            ),
        ],
    );
    check(
        true,
        Append,
        &[
            (
                "SELECT v, mv FROM (SELECT k, at, v FROM l) x JOIN (SELECT k AS mk, at AS mt, v AS mv FROM m) y ON k = mk AND at = mt",
                "SELECT a, mv AS b FROM (SELECT k, at, v AS a FROM l WHERE w > 1) x JOIN (SELECT k AS mk, at AS mt, v AS mv FROM m) y ON k = mk AND at = mt",
            ),
            (
                "SELECT window, max(a) AS x FROM (SELECT window, k, sum(v) AS a FROM l GROUP BY window(at, '10 seconds'), k) GROUP BY window(window, '1 hour')",
                "SELECT window, max(b) AS x FROM (SELECT window, k, sum(v) AS b FROM l WHERE v > 1 GROUP BY window(at, '10 seconds'), k) GROUP BY window(window, '1 hour')",
            ),
        ],
    );
}
