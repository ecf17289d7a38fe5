//! Joins of two streams: what they become, and what they are refused for.

use forebay_core::output_mode::OutputMode::{Append, Complete, Update};

use super::drawing::{check_drawn, draw, refused};
use super::*;

/// Two streams with watermarks, one whose event time is an expression, one without.
fn drawn(sql: &str, mode: OutputMode) -> String {
    drawn_in("UTC", sql, mode)
}

pub(super) fn drawn_in(zone: &str, sql: &str, mode: OutputMode) -> String {
    match plan_query(&sides(zone), sql, Some(&Json), mode, None) {
        Ok(plan) => draw(&plan),
        Err(error) => refused(error),
    }
}

fn sides(zone: &str) -> Catalog {
    let mut catalog = Catalog::in_zone(forebay_core::Zone::read(zone).unwrap());
    let mut add = |name: &str, columns: &str| {
        catalog.add_source(name, SourceColumns::Decoded(ddl::parse(columns).unwrap())).unwrap();
    };
    add("l", "id INT, lt TIMESTAMP, a STRING, big BIGINT");
    add("r", "rid INT, rt TIMESTAMP, b STRING");
    add("s", "id INT, at INT, c STRING");
    add("plain", "id INT, pt TIMESTAMP, d STRING");
    let time = |column: &str| SourceTime { column: column.to_owned(), delay_ms: 10_000 };
    catalog.set_watermark("l", time("lt"));
    catalog.set_watermark("r", time("rt"));
    catalog.set_watermark("s", time("timestamp_seconds(at)"));
    catalog.add_view("few", "SELECT id, a, lt FROM l WHERE a <> 'x'").unwrap();
    catalog
        .add_view(
            "pairs",
            "SELECT id, lt, b FROM l JOIN r ON id = rid AND rt BETWEEN lt AND lt + INTERVAL 10 SECONDS",
        )
        .unwrap();
    catalog.add_view("endless", "SELECT id,\n b FROM l LEFT JOIN r ON id = rid").unwrap();
    catalog
}

#[track_caller]
fn compare(cases: &[(&str, OutputMode, &str)]) {
    check_drawn(drawn, cases);
}

#[test]
fn joins_become_specifications() {
    compare(&[
        (
            "SELECT id, a, b FROM l JOIN r ON id = rid AND rt BETWEEN lt AND lt + INTERVAL 10 SECONDS",
            Append,
            "i0 l: (id, lt, a) Filter(id@0 IS NOT NULL) Observe(1) Filter(lt@1 IS NOT NULL) | i1 r: (rid, rt, b) Filter(rid@0 IS NOT NULL) Observe(1) Filter(rt@1 IS NOT NULL) | join-0 Inner i0 i1 (id@0) time lt ends lt-10001 = (rid@0) time rt ends rt-1 if rt@4 >= lt@1 AND rt@4 <= lt@1 + IntervalMonthDayNano { months: 0, days: 0, nanoseconds: 10000000000 } (id, lt, a, rid, rt, b) | (id, a, b) | id, a, b",
        ),
        (
            "SELECT id, a, b FROM l JOIN r ON id = rid",
            Append,
            "i0 l: (id, lt, a) Filter(id@0 IS NOT NULL) (id, a, __threaded) Observe(2) (id, a) | i1 r: (rid, rt, b) Filter(rid@0 IS NOT NULL) (rid, b, __threaded) Observe(2) (rid, b) | join-0 Inner i0 i1 (id@0) = (rid@0) (id, a, rid, b) | (id, a, b) | id, a, b",
        ),
        (
            "SELECT l.*, b FROM l, r WHERE id = rid AND a = 'x' AND b <> 'y' AND rt > lt",
            Append,
            "i0 l: (id, lt, a, big) Filter(a@2 = x) Filter(id@0 IS NOT NULL) Observe(1) Filter(lt@1 IS NOT NULL) | i1 r: (rid, rt, b) Filter(b@2 != y) Filter(rid@0 IS NOT NULL) Observe(1) Filter(rt@1 IS NOT NULL) | join-0 Inner i0 i1 (id@0) time lt = (rid@0) time rt ends rt+0 if rt@5 > lt@1 (id, lt, a, big, rid, rt, b) | (id, lt, a, big, b) | id, lt, a, big, b",
        ),
        (
            "SELECT id, b FROM l JOIN r ON id = rid AND id > 3 AND a <=> b",
            Append,
            "i0 l: (id, lt, a) Filter(id@0 > 3 AND id@0 IS NOT NULL) (id, a, __threaded) Observe(2) (id, a) | i1 r: (rid, rt, b) Filter(rid@0 IS NOT NULL AND rid@0 > 3) (rid, b, __threaded) Observe(2) (rid, b) | join-0 Inner i0 i1 (id@0, CASE WHEN a@1 IS NOT NULL THEN a@1 ELSE  END, a@1 IS NULL) = (rid@0, CASE WHEN b@1 IS NOT NULL THEN b@1 ELSE  END, b@1 IS NULL) (id, a, rid, b) | (id, b) | id, b",
        ),
        (
            "SELECT id, b FROM l LEFT JOIN r ON id = rid AND rt <= lt + INTERVAL 1 MINUTE AND rt > lt - INTERVAL 1 DAY AND b = 'x' AND a = 'y' WHERE id > 3 AND b IS NULL",
            Append,
            "i0 l: (id, lt, a) Filter(id@0 > 3) Observe(1) | i1 r: (rid, rt, b) Filter(b@2 = x AND rid@0 IS NOT NULL AND b@2 IS NOT NULL) Observe(1) Filter(rt@1 IS NOT NULL) | join-0 Left i0 i1 (id@0) time lt ends lt-60001 = (rid@0) time rt ends rt-86400000 if rt@4 <= lt@1 + IntervalMonthDayNano { months: 0, days: 0, nanoseconds: 60000000000 } AND rt@4 > lt@1 - IntervalMonthDayNano { months: 0, days: 1, nanoseconds: 0 } AND a@2 = y (id, lt, a, rid, rt, b) | (id, b) Filter(b@1 IS NULL) | id, b",
        ),
        (
            "SELECT rid, a FROM l RIGHT JOIN r ON id = rid AND lt >= rt - INTERVAL 10 SECONDS AND lt <= rt",
            Append,
            "i0 l: (id, lt, a) Filter(id@0 IS NOT NULL) Observe(1) Filter(lt@1 IS NOT NULL) | i1 r: (rid, rt) Observe(1) | join-0 Right i0 i1 (id@0) time lt ends lt-10001 = (rid@0) time rt ends rt-1 if lt@1 >= rt@4 - IntervalMonthDayNano { months: 0, days: 0, nanoseconds: 10000000000 } AND rt@4 >= lt@1 (id, lt, a, rid, rt) | (rid, a) | rid, a",
        ),
        (
            "SELECT id, rid FROM l FULL JOIN r ON id = rid AND lt = rt",
            Append,
            "i0 l: (id, lt) Observe(1) | i1 r: (rid, rt) Observe(1) | join-0 Full i0 i1 (id@0, lt@1) time lt ends key 1 = (rid@0, rt@1) time rt ends key 1 (id, lt, rid, rt) | (id, rid) | id, rid",
        ),
        (
            "SELECT * FROM l LEFT SEMI JOIN r ON id = rid AND rt < lt + INTERVAL 10 SECONDS",
            Append,
            "i0 l: (id, lt, a, big) Filter(id@0 IS NOT NULL) Observe(1) Filter(lt@1 IS NOT NULL) | i1 r: (rid, rt) Filter(rid@0 IS NOT NULL) Observe(1) Filter(rt@1 IS NOT NULL) | join-0 LeftSemi i0 i1 (id@0) time lt ends lt-10000 = (rid@0) time rt if rt@5 < lt@1 + IntervalMonthDayNano { months: 0, days: 0, nanoseconds: 10000000000 } (id, lt, a, big) | (id, lt, a, big) | id, lt, a, big",
        ),
        (
            "SELECT a FROM l SEMI JOIN r ON lt = rt",
            Append,
            "i0 l: (lt, a) Observe(0) Filter(lt@0 IS NOT NULL) | i1 r: (rt) Observe(0) Filter(rt@0 IS NOT NULL) | join-0 LeftSemi i0 i1 (lt@0) time lt ends key 0 = (rt@0) time rt ends key 0 (lt, a) | (a) | a",
        ),
        (
            "SELECT big, b FROM l JOIN r ON big = rid",
            Append,
            "i0 l: (lt, big) Filter(big@1 IS NOT NULL) (big, __threaded) Observe(1) (big) | i1 r: (rid, rt, b) Filter(rid@0 IS NOT NULL) (rid, b, __threaded) Observe(2) (rid, b) | join-0 Inner i0 i1 (big@0) = (CAST(rid@0 AS Int64)) (big, rid, b) | (big, b) | big, b",
        ),
        (
            "SELECT id, b FROM (SELECT id, window(lt, '10 seconds') AS w FROM l) x JOIN (SELECT rid, b, window(rt, '10 seconds') AS w FROM r) y ON id = rid AND x.w = y.w",
            Append,
            "i0 l: (id, lt) Filter(id@0 IS NOT NULL) Observe(1) Filter(lt@1 IS NOT NULL) (id, w=window(lt@1, 10000000, 10000000, 0), __threaded) (id, w, __threaded) (id, w) | i1 r: (rid, rt, b) Filter(rid@0 IS NOT NULL) Observe(1) Filter(rt@1 IS NOT NULL) (rid, b, w=window(rt@1, 10000000, 10000000, 0), __threaded) (rid, b, w, __threaded) (rid, b, w) | join-0 Inner i0 i1 (id@0, w@1) time w ends key 1 = (rid@0, w@2) time w ends key 1 (id, w, rid, b, w) | (id, b) | id, b",
        ),
    ]);
}

#[test]
fn sides_may_have_operators_and_joins_be_followed_by_some() {
    compare(&[
        (
            "SELECT window.start, count(*) AS n FROM pairs GROUP BY window(lt, '1 minute')",
            Append,
            "i0 l: (id, lt) Filter(id@0 IS NOT NULL) Observe(1) Filter(lt@1 IS NOT NULL) | i1 r: (rid, rt) Filter(rid@0 IS NOT NULL) Observe(1) Filter(rt@1 IS NOT NULL) | join-0 Inner i0 i1 (id@0) time lt ends lt-10001 = (rid@0) time rt ends rt-1 if rt@3 >= lt@1 AND rt@3 <= lt@1 + IntervalMonthDayNano { months: 0, days: 0, nanoseconds: 10000000000 } (id, lt, rid, rt) | (lt) | aggregate-1() window#0(lt@0 60/60/0) [count(1)] ends | (start=__field(window(pairs.lt,Int64(60000000),Int64(60000000),Int64(0))@0, start), n) | start, n",
        ),
        (
            "SELECT id, n, b FROM (SELECT id, window(lt, '1 minute') AS w, count(*) AS n FROM l GROUP BY 1, 2) JOIN r ON id = rid AND rt < w.end AND rt >= w.start",
            Append,
            "i0 l: (id, lt) Observe(1) Filter(lt@1 IS NOT NULL) | i1 r: (rid, rt, b) Filter(rid@0 IS NOT NULL) Observe(1) Filter(rt@1 IS NOT NULL) | aggregate-0(id@0) window#1(lt@1 60/60/0) [count(1)] ends | (id, w, n) Filter(id@0 IS NOT NULL) | join-1 Inner s1 i1 (id@0) time w = (rid@0) time rt if rt@4 < __field(w@1, end) AND rt@4 >= __field(w@1, start) (id, w, n, rid, rt, b) | (id, n, b) | id, n, b",
        ),
        (
            "SELECT p.id, p.b, s.c FROM pairs p JOIN s ON p.id = s.id AND timestamp_seconds(s.at) BETWEEN p.lt AND p.lt + INTERVAL 5 SECONDS",
            Append,
            "i0 l: (id, lt) Filter(id@0 IS NOT NULL) Filter(id@0 IS NOT NULL) Observe(1) Filter(lt@1 IS NOT NULL) | i1 r: (rid, rt, b) Filter(rid@0 IS NOT NULL) Observe(1) Filter(rt@1 IS NOT NULL) | i2 s: (id, at, c) (id, c, _event_time=timestamp_seconds(CAST(at@1 AS Int64))) Filter(id@0 IS NOT NULL) Observe(2) | join-0 Inner i0 i1 (id@0) time lt ends lt-10001 = (rid@0) time rt ends rt-1 if rt@3 >= lt@1 AND rt@3 <= lt@1 + IntervalMonthDayNano { months: 0, days: 0, nanoseconds: 10000000000 } (id, lt, rid, rt, b) | (id, lt, b) | join-1 Inner s1 i2 (id@0) time lt ends lt-5001 = (id@0) time _event_time ends _event_time-1 if _event_time@5 >= lt@1 AND _event_time@5 <= lt@1 + IntervalMonthDayNano { months: 0, days: 0, nanoseconds: 5000000000 } (id, lt, b, id, c, _event_time) | (id, b, c) | id, b, c",
        ),
        (
            "SELECT x.id, y.a FROM few x JOIN few y ON x.id = y.id AND y.lt > x.lt AND y.lt < x.lt + INTERVAL 1 HOUR",
            Append,
            "i0 l: (id, lt, a) Filter(a@2 != x) (id, lt) Filter(id@0 IS NOT NULL) Observe(1) Filter(lt@1 IS NOT NULL) | i1 l: (id, lt, a) Filter(a@2 != x) (id, a, lt) Filter(id@0 IS NOT NULL) Observe(2) Filter(lt@2 IS NOT NULL) | join-0 Inner i0 i1 (id@0) time lt ends lt-3600000 = (id@0) time lt ends lt+0 if lt@4 > lt@1 AND lt@4 < lt@1 + IntervalMonthDayNano { months: 0, days: 0, nanoseconds: 3600000000000 } (id, lt, id, a, lt) | (id, a) | id, a",
        ),
        (
            "WITH x AS (SELECT * FROM l) SELECT a.id FROM x a JOIN x b ON a.id = b.id",
            Append,
            "i0 l: (id, lt) Filter(id@0 IS NOT NULL) (id, __threaded) Observe(1) (id) | i1 l: (id, lt) Filter(id@0 IS NOT NULL) (id, __threaded) Observe(1) (id) | join-0 Inner i0 i1 (id@0) = (id@0) (id, id) | (id) | id",
        ),
        (
            "SELECT x.id, y.c FROM s x JOIN s y ON x.id = y.id AND y._event_time >= x._event_time",
            Append,
            "i0 s: (id, at) (id, _event_time=timestamp_seconds(CAST(at@1 AS Int64))) Filter(id@0 IS NOT NULL) Observe(1) Filter(_event_time@1 IS NOT NULL) | i1 s: (id, at, c) (id, c, _event_time=timestamp_seconds(CAST(at@1 AS Int64))) Filter(id@0 IS NOT NULL) Observe(2) Filter(_event_time@2 IS NOT NULL) | join-0 Inner i0 i1 (id@0) time _event_time = (id@0) time _event_time ends _event_time-1 if _event_time@4 >= _event_time@1 (id, _event_time, id, c, _event_time) | (id, c) | id, c",
        ),
        (
            "SELECT id, c FROM l JOIN plain USING (id) JOIN s USING (id)",
            Append,
            "i0 l: (id, lt) Filter(id@0 IS NOT NULL) (id, __threaded) Observe(1) (id) | i1 plain: (id) Filter(id@0 IS NOT NULL) | i2 s: (id, at, c) (id, c, _event_time=timestamp_seconds(CAST(at@1 AS Int64))) Filter(id@0 IS NOT NULL) (id, c, __threaded) Observe(2) (id, c) | join-0 Inner i0 i1 (id@0) = (id@0) (id, id) | (id) | join-1 Inner s1 i2 (id@0) = (id@0) (id, id, c) | (id, c) | id, c",
        ),
    ]);
}

#[test]
fn names_of_both_sides() {
    compare(&[
        (
            "SELECT * FROM l JOIN s USING (id)",
            Append,
            "i0 l: (id, lt, a, big) Filter(id@0 IS NOT NULL) Observe(1) | i1 s: (id, at, c) (id, at, c, _event_time=timestamp_seconds(CAST(at@1 AS Int64))) Filter(id@0 IS NOT NULL) (id, at, c, __threaded) Observe(3) (id, at, c) | join-0 Inner i0 i1 (id@0) time lt = (id@0) (id, lt, a, big, id, at, c) | (id, lt, a, big, at, c) | id, lt, a, big, at, c",
        ),
        ("SELECT * FROM s FULL JOIN plain USING (id)", Append, "FB-4008 a FULL JOIN"),
        (
            "SELECT * FROM l NATURAL JOIN s",
            Append,
            "i0 l: (id, lt, a, big) Filter(id@0 IS NOT NULL) Observe(1) | i1 s: (id, at, c) (id, at, c, _event_time=timestamp_seconds(CAST(at@1 AS Int64))) Filter(id@0 IS NOT NULL) (id, at, c, __threaded) Observe(3) (id, at, c) | join-0 Inner i0 i1 (id@0) time lt = (id@0) (id, lt, a, big, id, at, c) | (id, lt, a, big, at, c) | id, lt, a, big, at, c",
        ),
        (
            "SELECT * FROM l JOIN s ON l.id = s.id",
            Append,
            "FB-4002 the SELECT gives two columns named `id` | SQL line 1, column 8",
        ),
        (
            "SELECT id FROM l JOIN s ON l.id = s.id",
            Append,
            "FB-4002 column `id` is ambiguous | SQL line 1, column 8 | Write one of: l.id, s.id.",
        ),
        ("SELECT _kafka.offset FROM l JOIN r ON id = rid", Append, "FB-4002 column `_kafka` is ambiguous"),
        (
            "SELECT l._kafka.offset AS o, r._kafka.offset AS p FROM l JOIN r ON id = rid",
            Append,
            "i0 l: (id, lt, _kafka) Filter(id@0 IS NOT NULL) (id, _kafka, __threaded) Observe(2) (id, _kafka) | i1 r: (rid, rt, _kafka) Filter(rid@0 IS NOT NULL) (rid, _kafka, __threaded) Observe(2) (rid, _kafka) | join-0 Inner i0 i1 (id@0) = (rid@0) (id, _kafka, rid, _kafka) | (c4, c8) (o=__field(c4@0, offset), p=__field(c8@1, offset)) | o, p",
        ),
        ("SELECT b FROM l LEFT SEMI JOIN r ON id = rid AND lt = rt", Append, "FB-4002 unknown column `b`"),
        ("SELECT a FROM l JOIN r USING (id)", Append, "FB-4002 unknown column `id` | SQL line 1, column 31"),
    ]);
}

#[test]
fn what_spark_refuses_is_refused() {
    compare(&[
        (
            "SELECT id, b FROM l JOIN r ON id = rid",
            Update,
            "FB-4007 output mode update is not possible for a join of two streams",
        ),
        (
            "SELECT id, count(*) FROM l JOIN r ON id = rid GROUP BY id",
            Complete,
            "FB-4007 output mode complete is not possible for a join of two streams",
        ),
        (
            "SELECT id, count(*) FROM l JOIN r ON id = rid GROUP BY id",
            Append,
            "FB-4008 output mode append is not possible for an aggregation",
        ),
        (
            "SELECT id, b FROM l LEFT JOIN r ON id = rid",
            Append,
            "FB-4008 a LEFT JOIN of two streams is not possible without a range of time that ends it | SQL line 1, column 36 | The sources have a watermark, but",
        ),
        ("SELECT id, b FROM l LEFT JOIN r ON id = rid AND rt > lt", Append, "FB-4008 a LEFT JOIN"),
        (
            "SELECT id, b FROM l LEFT JOIN r ON id = rid WHERE NOT (rt >= lt) OR b IS NULL",
            Append,
            "FB-4008 a LEFT JOIN",
        ),
        (
            "SELECT id, b FROM l LEFT JOIN r ON id = rid AND rt < lt + INTERVAL 1 MONTH",
            Append,
            "FB-4008 a LEFT JOIN",
        ),
        (
            "SELECT rid, b FROM l RIGHT JOIN r ON id = rid AND rt < lt + INTERVAL 1 MINUTE",
            Append,
            "FB-4008 a RIGHT JOIN",
        ),
        ("SELECT id, b FROM l FULL JOIN r ON id = rid", Append, "FB-4008 a FULL JOIN"),
        ("SELECT id FROM l LEFT SEMI JOIN r ON id = rid", Append, "FB-4008 a LEFT SEMI JOIN"),
        (
            "SELECT l.id, d FROM l LEFT JOIN plain p ON l.id = p.id AND pt < lt + INTERVAL 1 MINUTE",
            Append,
            "FB-4008 a LEFT JOIN",
        ),
        (
            "SELECT id FROM l LEFT ANTI JOIN r ON id = rid",
            Append,
            "FB-4003 ANTI JOIN of two streams is not possible | SQL line 1, column 38",
        ),
        ("SELECT rid FROM l RIGHT SEMI JOIN r ON id = rid", Append, "FB-4003 RightSemi JOIN of two streams"),
        ("SELECT id, b FROM l CROSS JOIN r", Append, "FB-4003 a join of two streams without equality"),
        ("SELECT id, b FROM l, r", Append, "FB-4003 a join of two streams without equality"),
        (
            "SELECT id, b FROM l JOIN r ON lt > rt",
            Append,
            "FB-4003 a join of two streams without equality is not possible | SQL line 1, column 31",
        ),
        (
            "SELECT * FROM endless",
            Append,
            "FB-4008 a LEFT JOIN of two streams is not possible without a range of time that ends it | - |",
        ),
        (
            "SELECT x.id FROM (SELECT l.id, lt, rt FROM l JOIN r ON id = rid) x JOIN s ON x.id = s.id",
            Append,
            "i0 l: (id, lt) Filter(id@0 IS NOT NULL) (id, __threaded) Observe(1) (id) | i1 r: (rid, rt) Filter(rid@0 IS NOT NULL) (rid, __threaded) Observe(1) (rid) | i2 s: (id, at) (id, _event_time=timestamp_seconds(CAST(at@1 AS Int64))) Filter(id@0 IS NOT NULL) (id, __threaded) Observe(1) (id) | join-0 Inner i0 i1 (id@0) = (rid@0) (id, rid) | (id) | join-1 Inner s1 i2 (id@0) = (id@0) (id, id) | (id) | id",
        ),
        (
            "SELECT x.id, x.lt, x.rt FROM (SELECT l.id, lt, rt FROM l JOIN r ON id = rid) x JOIN s ON x.id = s.id",
            Append,
            "FB-4003 the event times of two streams reach the operator join-1 | SQL line 1, column 90",
        ),
        (
            "SELECT id, rt, lt, count(*) FROM l JOIN r ON id = rid GROUP BY id, rt, lt",
            Append,
            "FB-4003 the event times of two streams reach the operator aggregate-1",
        ),
        ("SELECT id, b FROM l LEFT JOIN r ON id = rid AND rt < lt AND lt > now() - rt", Append, "FB-4002"),
    ]);
}

/// Spark takes such an inner join, and of an outer one says that it has no equality.
#[test]
fn a_condition_that_never_holds_keeps_its_equalities() {
    for never in ["1 = 0", "NULL", "1 > 2", "false AND a = b", "a = 'x' AND a <> a AND false"] {
        for join in [format!("JOIN r ON id = rid AND {never}"), format!("JOIN r ON id = rid WHERE {never}")] {
            let drawn = drawn(&format!("SELECT id, b FROM l {join}"), Append);
            assert!(drawn.contains("join-0 Inner i0 i1 (id@0"), "{join}: {drawn}");
            assert_eq!(drawn.matches(" Filter(false").count(), 2, "no row is held: {join}: {drawn}");
        }
    }
    let range = "rt BETWEEN lt AND lt + INTERVAL 10 SECONDS";
    let drawn = drawn(&format!("SELECT id, b FROM l LEFT JOIN r ON id = rid AND {range} AND 1 = 0"), Append);
    assert!(drawn.contains("join-0 Left i0 i1 (id@0) time lt ends lt-10001 = (rid@0)"), "{drawn}");
    compare(&[
        (
            "SELECT id, b FROM l LEFT JOIN r ON id = rid AND false",
            Append,
            "FB-4008 a LEFT JOIN of two streams is not possible without a range of time that ends it",
        ),
        ("SELECT id, b FROM l JOIN r ON 1 = 0", Append, "FB-4003 a join of two streams without equality"),
    ]);
}

/// A WHERE that refuses the rows of an outer join that stay alone makes another join of it, as Spark's optimizer does.
#[test]
fn outer_joins_whose_lonely_rows_are_refused_are_inner() {
    const LEFT: &str = "LEFT JOIN r ON id = rid AND rt BETWEEN lt AND lt + INTERVAL 10 SECONDS";
    const FULL: &str = "FULL JOIN r ON id = rid AND rt BETWEEN lt AND lt + INTERVAL 10 SECONDS";
    for (join, condition, kind) in [
        (LEFT, "b = 'x'", "Inner"),
        (LEFT, "b IN ('x', 'y') AND a > 'z'", "Inner"),
        (LEFT, "b = 'x' OR b LIKE 'y%'", "Inner"),
        (LEFT, "b = 'x' OR a = 'y'", "Left"),
        (LEFT, "b IS NULL", "Left"),
        (LEFT, "NOT (b IS NOT NULL AND a = 'x')", "Left"),
        (LEFT, "coalesce(b, 'x') = 'x'", "Left"),
        (LEFT, "a = 'x'", "Left"),
        (FULL, "big > 3", "Left"),
        (FULL, "b = 'x'", "Right"),
        (FULL, "rt > lt", "Inner"),
        (FULL, "big IS NULL", "Full"),
    ] {
        let drawn = drawn(&format!("SELECT id, b FROM l {join} WHERE {condition}"), Append);
        assert!(drawn.contains(&format!("join-0 {kind} ")), "{condition}: {drawn}");
    }
}

/// Spark's query ends where rows have the time and its window; both are one stream's, so either will do.
#[test]
fn a_window_and_its_time_may_both_be_there() {
    let drawn = drawn(
        "SELECT id, lt, b FROM (SELECT id, lt, window(lt, '10 seconds') AS w FROM l) JOIN (SELECT rid, b, window(rt, '10 seconds') AS v FROM r) ON id = rid AND w = v",
        Append,
    );
    assert!(
        drawn.contains("join-0 Inner i0 i1 (id@0, w@2) time lt ends key 1 = (rid@0, v@2) time v ends key 1"),
        "{drawn}"
    );
}

#[test]
fn structs_that_are_keys_have_the_same_fields() {
    for on in ["struct(id) = struct(rid)", "id = rid AND struct(a, id) <=> struct(a, id + 0)"] {
        let text = drawn(&format!("SELECT id, b FROM l JOIN r ON {on}"), Append);
        assert!(
            text.starts_with("FB-4002 cannot compare STRUCT<") && text.contains("named_struct("),
            "{text}"
        );
    }
}

/// What a join holds is told by the sides that its condition reads, not by names that both of them have.
#[test]
fn the_source_that_needs_a_watermark_is_named() {
    let refused = drawn("SELECT l.id FROM plain p LEFT JOIN l ON l.id = p.id", Append);
    assert!(refused.contains("without a watermark that ends it"), "{refused}");
    assert!(refused.contains("Give the source `plain` a `watermark`"), "{refused}");
    let both = drawn("SELECT l.id FROM plain l LEFT JOIN plain p ON l.id = p.id", Append);
    assert!(both.contains("Give the source `plain` a `watermark`"), "{both}");
}

#[test]
fn a_condition_that_is_turned_round_has_another_meaning() {
    let meaning = |on: &str| {
        let sql = format!(
            "SELECT x.big, y.big AS other FROM l x JOIN l y ON x.id = y.id AND {on} AND y.lt BETWEEN x.lt AND x.lt + INTERVAL 1 MINUTE"
        );
        let plan = plan_query(&sides("UTC"), &sql, None, Append, None).unwrap();
        let operator =
            plan.graph().steps.iter().find_map(|step| crate::operators::operator(&step.plan).unwrap());
        operator.unwrap().layouts()[0].values.metadata()[crate::state::MEANING].clone()
    };
    assert_eq!(meaning("x.big < y.big"), meaning("x.big < y.big"));
    assert_ne!(meaning("x.big < y.big"), meaning("y.big < x.big"));
}
