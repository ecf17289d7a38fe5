//! Which rows come out, under which names, and the fates of their records.

use super::*;

#[track_caller]
fn check(cases: &[(&str, &str, [u64; 3])]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(sql, rows, fates)| {
            let got = told(sql);
            (got != ((*rows).to_owned(), *fates))
                .then(|| format!("{sql}\n  expected {rows} {fates:?}\n  got      {} {:?}", got.0, got.1))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_element_is_a_row_and_a_record_without_one_is_unmatched() {
    check(&[
        ("SELECT id, explode(tags) AS tag FROM e", "a x; a y; d z; d -", [2, 2, 0]),
        ("SELECT id, explode_outer(tags) FROM e", "a x; a y; b -; c -; d z; d -", [4, 0, 0]),
        ("SELECT posexplode(tags), id FROM e", "0 x a; 1 y a; 0 z d; 1 - d", [2, 2, 0]),
        ("SELECT id, posexplode_outer(tags) FROM e", "a 0 x; a 1 y; b - -; c - -; d 0 z; d 1 -", [4, 0, 0]),
        ("SELECT id, explode(props) FROM e", "a k 1; a l 2; d m -", [2, 2, 0]),
        ("SELECT explode_outer(props) AS (k, v), n FROM e", "k 1 1; l 2 1; - - 2; - - 3; m - 4", [4, 0, 0]),
        ("SELECT posexplode(props) FROM e", "0 k 1; 1 l 2; 0 m -", [2, 2, 0]),
        ("SELECT e.id AS e, inline(devices) FROM e WHERE n > 3", "d - -; d 3 -", [1, 0, 3]),
        (
            "SELECT inline_outer(devices) AS (d, r), id FROM e WHERE n > 1",
            "- - b; - - c; - - d; 3 - d",
            [3, 0, 1],
        ),
    ]);
}

#[test]
fn lateral_views_follow_each_other() {
    check(&[
        (
            "SELECT e.id, d.id AS device, r.k, v FROM e LATERAL VIEW explode(devices) x AS d LATERAL VIEW inline(d.readings) r",
            "a 1 t 1.5; a 1 h 2.5",
            [1, 3, 0],
        ),
        (
            "SELECT e.id, d.id AS device, r.k, v FROM e LATERAL VIEW OUTER explode(devices) x AS d LATERAL VIEW OUTER inline(d.readings) r",
            "a 1 t 1.5; a 1 h 2.5; a 2 - -; b - - -; c - - -; d - - -; d 3 - -",
            [4, 0, 0],
        ),
        (
            "SELECT id, tag, k FROM e LATERAL VIEW explode(tags) t AS tag LATERAL VIEW explode(props) p AS k, v",
            "a x k; a x l; a y k; a y l; d z m; d - m",
            [2, 2, 0],
        ),
        (
            "SELECT tag, t.tag AS again FROM e LATERAL VIEW explode(tags) T AS Tag WHERE N = 1",
            "x x; y y",
            [1, 0, 3],
        ),
        (
            "SELECT x, explode(props) FROM e LATERAL VIEW explode(tags) AS x",
            "x k 1; x l 2; y k 1; y l 2; z m -; - m -",
            [2, 2, 0],
        ),
        ("SELECT event, d.id AS id FROM devices", "a 1; a 2; d -; d 3", [2, 2, 0]),
    ]);
}

#[test]
fn a_condition_that_needs_no_element_is_asked_before_and_one_that_does_behind() {
    check(&[
        ("SELECT id, explode(tags) AS t FROM e WHERE n > 2", "d z; d -", [1, 1, 2]),
        (
            "SELECT id, tag FROM e LATERAL VIEW explode(tags) t AS tag WHERE tag = 'y' AND n < 4",
            "a y",
            [1, 2, 1],
        ),
        ("SELECT id, tag FROM e LATERAL VIEW explode(tags) t AS tag WHERE tag = 'none'", "", [0, 2, 2]),
        (
            "SELECT id, tag FROM e LATERAL VIEW OUTER explode(tags) t AS tag WHERE tag IS NULL",
            "b -; c -; d -",
            [3, 0, 1],
        ),
        (
            "SELECT tag FROM (SELECT id, explode(tags) AS tag FROM e) WHERE id = 'a' AND tag <> 'x'",
            "y",
            [1, 2, 1],
        ),
        // What would fail for records that the condition leaves out is not computed for them.
        ("SELECT id, explode(array(10 / (n - 1))) AS x FROM e WHERE n = 3", "c 5.0", [1, 0, 3]),
    ]);
}

#[test]
fn arrays_may_be_computed() {
    check(&[
        (
            "SELECT id, explode(split(concat(id, ',', id), ',')) AS x FROM e WHERE n < 3",
            "a a; a a; b b; b b",
            [2, 0, 2],
        ),
        ("SELECT explode(array(n, n + 1)) AS x FROM e WHERE n = 1", "1; 2", [1, 0, 3]),
        ("SELECT explode(array(n, 2.5e0)) AS x FROM e WHERE n = 1", "1.0; 2.5", [1, 0, 3]),
        ("SELECT x FROM e LATERAL VIEW explode(array(1, 2)) t AS x WHERE n = 1", "1; 2", [1, 0, 3]),
    ]);
}

#[test]
fn columns_have_sparks_names() {
    for (sql, expected) in [
        ("SELECT explode(tags) FROM e", "col"),
        ("SELECT explode(props) FROM e", "key, value"),
        ("SELECT posexplode(tags) FROM e", "pos, col"),
        ("SELECT posexplode(props) AS (p, k, v) FROM e", "p, k, v"),
        ("SELECT inline(devices) FROM e", "id, readings"),
        ("SELECT * FROM e LATERAL VIEW explode(tags) t", "id, n, tags, props, devices, col"),
        ("SELECT *, explode(tags) AS tag FROM e", "id, n, tags, props, devices, tag"),
        ("SELECT t.*, id FROM e LATERAL VIEW posexplode(tags) t", "pos, col, id"),
        ("SELECT * EXCEPT (tags, props, devices) FROM e LATERAL VIEW explode(tags) AS x", "id, n, x"),
        ("SELECT col FROM e LATERAL VIEW explode(tags) t LIMIT 5", "col"),
        ("SELECT d.* FROM e LATERAL VIEW explode(devices) t AS d", "id, readings"),
    ] {
        assert_eq!(names(sql), expected, "{sql}");
    }
}

#[test]
fn what_cannot_be_taken_apart_is_told_with_its_place() {
    for (sql, expected) in [
        (
            "SELECT explode(id) FROM e",
            "FB-4002 explode(…) takes an ARRAY or a MAP, not a value of type STRING | SQL line 1, column 8",
        ),
        (
            "SELECT inline(tags) FROM e",
            "FB-4002 inline(…) takes an ARRAY of STRUCTs, not a value of type ARRAY<STRING> | SQL line 1, column 8",
        ),
        (
            "SELECT explode(tags, props) FROM e",
            "FB-4002 explode is called with the wrong arguments | SQL line 1, column 8",
        ),
        (
            "SELECT explode(tags), explode(props) FROM e",
            "FB-4002 a SELECT list has one generator at most, not `explode(tags)` and `explode(props)` | SQL line 1, column 23",
        ),
        (
            "SELECT upper(explode(tags)) FROM e",
            "FB-4002 explode(…) gives several rows for one, so it cannot be a part of an expression | SQL line 1, column 14",
        ),
        (
            "SELECT id FROM e WHERE explode(tags) = 'x'",
            "FB-4002 explode(…) gives several rows for one, so it cannot be a part of an expression | SQL line 1, column 24",
        ),
        (
            "SELECT explode(props) AS x FROM e",
            "FB-4002 explode(…) gives 2 columns (key, value), and AS names 1 | SQL line 1, column 8",
        ),
        (
            "SELECT id FROM e LATERAL VIEW explode(tags) t AS a, b",
            "FB-4002 explode(…) gives 1 column (col), and AS names 2 | SQL line 1, column 31",
        ),
        (
            "SELECT id FROM e LATERAL VIEW explode(props) t AS a, A",
            "FB-4002 explode(…) gives two columns named `A` | SQL line 1, column 31",
        ),
        (
            "SELECT id FROM e LATERAL VIEW explode(tags) E AS a",
            "FB-4002 FROM has two tables named `E` | SQL line 1, column 45",
        ),
        (
            "SELECT id FROM e LATERAL VIEW upper(id) t AS a",
            "FB-1008 LATERAL VIEW cannot take `upper(id)` | SQL line 1, column 31",
        ),
        (
            "SELECT id, n FROM e LATERAL VIEW explode(tags) t AS id",
            "FB-4002 column `id` is ambiguous | SQL line 1, column 8",
        ),
        (
            "SELECT explode(tags) AS t, count(*) FROM e GROUP BY id",
            "FB-1008 explode(…) in the SELECT list of a query with groups is not supported yet | SQL line 1, column 8",
        ),
        ("SELECT explode(array(1))", "FB-4003 the query reads no source | SQL line 1, column 8"),
    ] {
        assert_eq!(refused(sql), expected, "{sql}");
    }
}

#[test]
fn views_on_each_other_are_no_more_than_can_be_walked() {
    let views = |count: usize| -> String {
        let view = |at: usize| format!(" LATERAL VIEW posexplode(tags) t{at} AS p{at}, c{at}");
        format!("SELECT id FROM e{}", (0..count).map(view).collect::<String>())
    };
    assert_eq!(names(&views(16)), "id");
    for count in [17, 2_000] {
        assert!(
            refused(&views(count)).starts_with("FB-4002 a SELECT has more than 16 LATERAL VIEWs"),
            "{count}"
        );
    }
}

#[test]
fn why_a_record_gives_no_row_is_told() {
    let sql = "SELECT id, tag FROM e LATERAL VIEW explode(tags) t AS tag WHERE n < 5 AND tag <> 'x'";
    let empty = Some(Refusal::Empty("explode(tags)".to_owned()));
    assert_eq!(why(sql, r#"{"id":"a","n":1,"tags":["x","y"]}"#), None);
    assert_eq!(why(sql, r#"{"id":"a","n":1,"tags":[]}"#), empty);
    assert_eq!(why(sql, r#"{"id":"a","n":1}"#), empty);
    let condition = |text: &str| Some(Refusal::Condition(text.to_owned()));
    assert_eq!(why(sql, r#"{"id":"a","n":5,"tags":["y"]}"#), condition("n < 5"));
    assert_eq!(why(sql, r#"{"id":"a","n":1,"tags":["x","x"]}"#), condition("tag != x"));
}
