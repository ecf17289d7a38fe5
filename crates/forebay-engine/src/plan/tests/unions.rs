//! UNION of streams: what its parts become, what is refused, and what columns it has.

use forebay_core::output_mode::OutputMode::{Append, Complete, Update};

use super::drawing::{check, draw, drawn, planned_as, refused, streams};
use super::*;

#[test]
fn parts_of_a_union_are_inputs() {
    check(&[
        (
            "SELECT device_id AS d FROM iot WHERE temperature > 1 UNION ALL SELECT device_id FROM plain",
            Append,
            "i0 iot: (device_id, temperature) Filter(temperature@1 > 1) (d) | i1 plain: (device_id) (d) | d",
        ),
        (
            "SELECT d FROM (SELECT d, t FROM warm UNION ALL SELECT device_id, big FROM iot UNION ALL SELECT upper(device_id), 1 FROM plain) WHERE t > 3",
            Update,
            "i0 iot: (device_id, temperature) Filter(temperature@1 > 20) (d, t) (d, t) Filter(t@1 > 3) (d) | i1 iot: (device_id, big) (d, t=CAST(big@1 AS Float64)) Filter(t@1 > 3) (d) | i2 plain: (device_id) (d=upper(device_id@0), t=1) Filter(t@1 > 3) (d) | d",
        ),
        (
            "SELECT window, count(*) AS n FROM (SELECT at, big FROM iot UNION ALL SELECT at, big FROM plain) WHERE big > 1 GROUP BY window(at, '10 seconds')",
            Append,
            "i0 iot: (at, big) (at, big) Filter(big@1 > 1) Observe(0) Filter(at@0 IS NOT NULL) (at) | i1 plain: (at, big) (at, big) Filter(big@1 > 1 AND at@0 IS NOT NULL) (at) | aggregate-0() window#0(at@0 10/10/0) [count(1)] ends of i0+i1 | (window, n) | window, n",
        ),
        (
            "SELECT window, count(*) AS n FROM (SELECT * FROM secs UNION ALL SELECT * FROM iot) GROUP BY window(timestamp_seconds(timestamp), '10 seconds')",
            Append,
            "i0 secs: (timestamp) (timestamp) Filter(timestamp_seconds(CAST(timestamp@0 AS Int64)) IS NOT NULL) (timestamp, __event_time=timestamp_seconds(CAST(timestamp@0 AS Int64))) Observe(1) (timestamp, __event_time) | i1 iot: (timestamp, at) (timestamp, at) Filter(timestamp_seconds(CAST(timestamp@0 AS Int64)) IS NOT NULL) (timestamp, __event_time=timestamp_seconds(CAST(timestamp@0 AS Int64)), __threaded) Observe(2) (timestamp, __event_time) | aggregate-0() window#0(__event_time@1 10/10/0) [count(1)] ends of i0+i1 | (window, n) | window, n",
        ),
        (
            "SELECT window, count(*) AS n FROM (SELECT * FROM secs UNION ALL SELECT * FROM secs WHERE big > 1) GROUP BY window(_event_time, '10 seconds')",
            Append,
            "i0 secs: (timestamp) (_event_time=timestamp_seconds(CAST(timestamp@0 AS Int64))) (_event_time) Observe(0) Filter(_event_time@0 IS NOT NULL) (_event_time) | i1 secs: (timestamp, big) (big, _event_time=timestamp_seconds(CAST(timestamp@0 AS Int64))) Filter(big@0 > 1) (_event_time) Observe(0) Filter(_event_time@0 IS NOT NULL) (_event_time) | aggregate-0() window#0(_event_time@0 10/10/0) [count(1)] ends of i0+i1 | (window, n) | window, n",
        ),
        (
            "SELECT device_id, at FROM iot UNION SELECT device_id, at FROM iot",
            Append,
            "i0 iot: (device_id, at) (device_id, at) Observe(1) (device_id, at) | i1 iot: (device_id, at) (device_id, at) Observe(1) (device_id, at) | aggregate-0(device_id@0, at@1) time#1 [] ends of i0+i1 | device_id, at",
        ),
        (
            "SELECT window.start AS s, count(*) AS n FROM iot GROUP BY window(at, '10 seconds') UNION ALL SELECT at, big FROM plain",
            Append,
            "i0 iot: (at) Observe(0) Filter(at@0 IS NOT NULL) | i1 plain: (at, big) (s, n) | aggregate-0() window#0(at@0 10/10/0) [count(1)] ends | (s=__field(window(iot.at,Int64(10000000),Int64(10000000),Int64(0))@0, start), n) | Union of s1+i1 | s, n",
        ),
        (
            "SELECT device_id, count(*) AS n FROM (SELECT device_id FROM iot UNION ALL SELECT device_id FROM plain) GROUP BY device_id ORDER BY n LIMIT 3",
            Complete,
            "i0 iot: (device_id, at) (device_id, __threaded) (device_id, __threaded) Observe(1) (device_id) | i1 plain: (device_id) (device_id) | aggregate-0(device_id@0) [count(1)] of i0+i1 | (device_id, n) | Sort(n@1 ASC) None | Sort() Some(3) | device_id, n",
        ),
        (
            "SELECT at FROM iot UNION ALL (SELECT at FROM plain LIMIT 3)",
            Append,
            "i0 iot: (at) (at) Observe(0) (at) | i1 plain: (at) | limit-0(3) | (at) | Union of i0+s1 | at",
        ),
        (
            "SELECT device_id, at, other FROM (SELECT device_id, at FROM iot UNION ALL SELECT d, ts FROM warm) JOIN (SELECT device_id AS other, at AS then FROM iot) ON device_id = other AND then = at WHERE other > 'b'",
            Append,
            "i0 iot: (device_id, at) (device_id, at) Filter(device_id@0 IS NOT NULL) Observe(1) Filter(at@1 IS NOT NULL) (device_id, at) | i1 iot: (device_id, temperature, at) Filter(temperature@1 > 20) (d, ts) (device_id, at) Filter(device_id@0 IS NOT NULL) Observe(1) Filter(at@1 IS NOT NULL) (device_id, at) | i2 iot: (device_id, at) (other, then) Filter(other@0 > b) Filter(other@0 IS NOT NULL) Observe(1) Filter(then@1 IS NOT NULL) | join-0 Inner i0+i1 i2 (device_id@0, at@1) time at ends key 1 = (other@0, then@1) time then ends key 1 (device_id, at, other, then) | (device_id, at, other) | device_id, at, other",
        ),
    ]);
}

#[test]
fn what_is_no_union_of_streams_is_refused() {
    check(&[
        (
            "SELECT device_id FROM iot INTERSECT SELECT device_id FROM plain",
            Append,
            "FB-4003 EXCEPT or INTERSECT over a stream is not supported yet | SQL line 1, column 37 | Spark refuses both",
        ),
        (
            "SELECT device_id FROM iot UNION BY NAME SELECT device_id FROM plain",
            Append,
            "FB-1008 UNION BY NAME is not supported | SQL line 1, column 41 | Spark's SQL has none.",
        ),
        (
            "SELECT device_id, big FROM iot UNION ALL SELECT device_id FROM plain",
            Append,
            "FB-4002 UNION queries have different number of columns",
        ),
        (
            "SELECT device_id, tags FROM iot UNION ALL SELECT device_id, big FROM plain",
            Append,
            "FB-4002 column 2 of part 2 of the UNION is of type BIGINT, before it of type ARRAY<STRING> | - | INCOMPATIBLE_COLUMN_TYPE in Spark",
        ),
        (
            "SELECT 1 AS n UNION ALL SELECT big FROM plain",
            Append,
            "FB-4003 UNION of a stream with something that is no stream is not possible | - | Spark refuses it too",
        ),
        (
            "SELECT device_id FROM iot UNION SELECT device_id FROM plain",
            Append,
            "FB-4008 output mode append is not possible for DISTINCT without a watermark",
        ),
        (
            "SELECT window, count(*) AS n FROM (SELECT at FROM plain UNION ALL SELECT at FROM iot) GROUP BY window(at, '10 seconds')",
            Append,
            "FB-4008 output mode append is not possible for an aggregation without a watermark",
        ),
        (
            "SELECT n, count(*) FROM (SELECT count(*) AS n FROM iot GROUP BY device_id UNION ALL SELECT big FROM plain) GROUP BY n",
            Update,
            "FB-4007 an aggregation in output mode update cannot be followed by another operator with state",
        ),
        (
            "SELECT big FROM iot UNION ALL SELECT big FROM plain",
            Complete,
            "FB-4007 output mode complete needs an aggregation",
        ),
        (
            "SELECT device_id, count(*) AS n FROM iot GROUP BY device_id UNION ALL (SELECT device_id, big FROM plain ORDER BY big)",
            Complete,
            "FB-4003 ORDER BY over a stream",
        ),
    ]);
    let many = format!("SELECT big FROM iot{}", " UNION ALL SELECT big FROM iot".repeat(64));
    let error = planned_as(&many, Append).map_err(refused).unwrap_err();
    assert!(error.starts_with("FB-4002 the query reads more than 64 sources"), "{error}");
}

#[test]
fn tables_at_rest_are_no_parts() {
    let mut catalog = streams();
    catalog.add_table("register", schema()).unwrap();
    let told = |sql: &str| refused(plan_query(&catalog, sql, None, Append, None).map(|_| ()).unwrap_err());
    let beside = told("SELECT device_id FROM iot UNION ALL SELECT device_id FROM register");
    assert!(beside.starts_with("FB-4003 UNION of a stream with something that is no stream"), "{beside}");
    let joined = told(
        "SELECT i.big FROM iot i JOIN (SELECT big FROM register UNION ALL SELECT big FROM register) r ON i.big = r.big",
    );
    assert!(joined.starts_with("FB-4003 UNION of tables that a stream is joined with"), "{joined}");
    let alone = told("SELECT big FROM register UNION ALL SELECT big FROM register");
    assert!(alone.starts_with("FB-4003 the query reads tables at rest and no source"), "{alone}");
    let without = told("SELECT device_id FROM iot EXCEPT SELECT device_id FROM register");
    assert!(
        without.starts_with("FB-4003 EXCEPT or INTERSECT over a stream is not supported yet"),
        "{without}"
    );
    assert!(without.contains("with a table at rest LEFT ANTI JOIN"), "{without}");
    let instead = "SELECT i.device_id FROM iot i LEFT ANTI JOIN register r ON i.device_id = r.device_id";
    assert!(plan_query(&catalog, instead, None, Append, None).is_ok());
}

#[test]
fn parts_of_a_union_in_update_mode_may_each_have_groups() {
    let sql = "SELECT device_id, count(*) AS n FROM iot GROUP BY device_id \
               UNION ALL SELECT device_id, max(big) FROM plain GROUP BY device_id";
    let plan = planned_as(sql, Update).unwrap();
    assert_eq!(plan.row_keys(), Vec::<String>::new(), "both may give a row of the same device");
    let sql = "SELECT device_id, count(*) AS n FROM \
               (SELECT device_id FROM iot UNION ALL SELECT device_id FROM plain) GROUP BY device_id";
    assert_eq!(planned_as(sql, Update).unwrap().row_keys(), ["device_id"]);
}

/// Each part of a union over the same events, as it comes out.
fn parts(sql: &str) -> Vec<String> {
    let plan = planned_as(sql, Append).unwrap();
    let shown = plan.each_input().map(|input| {
        assert_eq!(input.schema(), schema());
        let batch =
            input.executor(0).process(json_rows(EVENTS.trim(), &schema()), &mut Fates::default()).unwrap();
        assert_eq!(batch.schema(), plan.output_schema(), "{sql}");
        csv(&batch).replace('\n', "; ")
    });
    shown.collect()
}

#[test]
fn every_part_gives_the_columns_of_the_first_in_the_widest_types() {
    let sql = "SELECT timestamp AS t, price, at, temperature AS x, 1 AS one, NULL AS nothing FROM iot \
               UNION ALL SELECT big, 2.125, at, timestamp, timestamp AS y, device_id FROM plain WHERE big = 1";
    assert_eq!(
        parts(sql),
        [
            "t,price,at,x,one,nothing; 1700000000,1.500,2024-02-29T14:20:09.120Z,20.5,1,; -1,-0.050,1969-12-31T23:59:59.999Z,75.0,1,; ,,,,1,",
            "t,price,at,x,one,nothing; 1,2.125,1969-12-31T23:59:59.999Z,-1.0,-1,b",
        ]
    );
    let types = |sql: &str| {
        let schema = planned_as(sql, Append).unwrap().output_schema();
        schema.fields().iter().map(|field| type_name(field.data_type())).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(types(sql), "BIGINT, DECIMAL(11,3), TIMESTAMP, DOUBLE, INT, STRING");
    assert_eq!(
        types(
            "SELECT device_id AS a, array(timestamp) AS b FROM iot UNION ALL SELECT big, array(big) FROM iot"
        ),
        "BIGINT, ARRAY<BIGINT>"
    );
}

#[test]
fn hidden_columns_are_handed_on_where_all_parts_have_them() {
    let kinds = |sql: &str| match plan_query(&streams().carrying_records(), sql, None, Append, None) {
        Ok(plan) => plan.graph().inputs.iter().map(|input| input.rows.fields().len()).collect::<Vec<_>>(),
        Err(error) => panic!("{}", refused(error)),
    };
    let of = |parts: &str| {
        kinds(&format!("SELECT window, count(*) AS n FROM ({parts}) GROUP BY window(at, '1 minute')"))
    };
    // The time and the four columns of the record.
    assert_eq!(of("SELECT at FROM iot UNION ALL SELECT at FROM plain"), [5, 5]);
    assert_eq!(
        of("SELECT at FROM iot UNION ALL SELECT ts FROM warm UNION ALL SELECT timestamp FROM raw"),
        [5, 5, 5]
    );
    assert_eq!(
        of("SELECT at FROM iot UNION ALL SELECT window.end FROM minutes"),
        [1, 7],
        "a group has no record; what it needs of its input is another matter"
    );
    let once = "SELECT at FROM (SELECT at FROM iot UNION SELECT at FROM plain)";
    assert_eq!(kinds(once), [1, 1], "equal rows of other records are equal");
}

#[test]
fn a_source_has_one_watermark_however_often_it_is_read() {
    let sql = "SELECT window, count(*) AS n FROM (SELECT at FROM iot UNION ALL SELECT at FROM plain \
               UNION ALL SELECT at FROM iot WHERE big > 3 UNION ALL SELECT at FROM iot WATERMARK at DELAY OF INTERVAL 5 SECONDS) \
               GROUP BY window(at, '1 minute')";
    let plan = planned_as(sql, Append).unwrap();
    assert_eq!(plan.delays_ms(), [Some(10_000), None, Some(10_000), Some(5_000)]);
    let observed = plan.observed(&[Some(7), None, Some(9), Some(3)]);
    assert_eq!(observed.0, [Some(9), None, Some(9), Some(3)], "what a clause says is another watermark");
    assert_eq!(plan.observed(&[None, None, Some(1), None]).0, [Some(1), None, Some(1), None]);
}

/// As over one source: whether the parts hand on their event time, or the condition has the first part's written out.
#[test]
fn a_join_knows_the_event_time_of_a_union_that_is_an_expression() {
    const SECS: &str = "timestamp_seconds(timestamp)";
    for (parts, time, ends) in [
        ("SELECT * FROM secs UNION ALL SELECT * FROM secs", "timestamp_seconds(u.timestamp)", "_event_time"),
        (
            "SELECT * FROM secs UNION ALL SELECT * FROM iot",
            "timestamp_seconds(u.timestamp)",
            "__computed_left_time",
        ),
        (
            &format!("SELECT device_id, {SECS} AS ts FROM secs UNION ALL SELECT device_id, {SECS} FROM secs"),
            "u.ts",
            "ts",
        ),
        (&format!("SELECT device_id, {SECS} AS ts FROM secs UNION ALL SELECT d, ts FROM warm"), "u.ts", "ts"),
    ] {
        for join in ["LEFT JOIN", "LEFT SEMI JOIN"] {
            let sql = format!(
                "SELECT u.device_id FROM ({parts}) u {join} iot o ON u.device_id = o.device_id AND \
                 o.at BETWEEN {time} AND {time} + INTERVAL 1 MINUTE"
            );
            let drawn = drawn(&sql, Append);
            assert!(drawn.contains(&format!("time {ends} ends {ends}-60001")), "{sql}: {drawn}");
            assert!(drawn.ends_with("| (device_id) | device_id"), "{sql}: {drawn}");
        }
        let sql = format!("SELECT u.device_id FROM ({parts}) u JOIN iot o ON {time} = o.at");
        assert!(drawn(&sql, Append).contains("ends key 0"), "{sql}: {}", drawn(&sql, Append));
    }
    // Of which part it is counts: here the time of the first part is another column.
    let sql = "SELECT u.device_id FROM (SELECT * FROM iot UNION ALL SELECT * FROM secs) u LEFT JOIN iot o \
               ON u.device_id = o.device_id AND timestamp_seconds(u.timestamp) = o.at";
    assert!(
        drawn(sql, Append).contains("ends key 1"),
        "the other side's time ends both: {}",
        drawn(sql, Append)
    );
    let sql = sql.replace("LEFT JOIN iot o", "LEFT JOIN plain o");
    assert!(drawn(&sql, Append).starts_with("FB-4008 a LEFT JOIN"), "{}", drawn(&sql, Append));
}

/// Spark takes the names of the first part; how another part calls its columns counts only there.
#[test]
fn columns_of_later_parts_need_no_names_of_their_own() {
    let first = "SELECT device_id, timestamp AS t, big FROM iot";
    for (part, rows) in [
        ("SELECT device_id, 1, 1 FROM plain WHERE big = 1", "b,1,1"),
        ("SELECT device_id, timestamp AS x, timestamp AS X FROM plain WHERE big = 1", "b,-1,-1"),
        ("(SELECT device_id, 1, 1 FROM plain WHERE big = 1)", "b,1,1"),
        ("SELECT * FROM (SELECT device_id, timestamp, big FROM plain WHERE big = 1)", "b,-1,1"),
        ("SELECT device_id, timestamp AS device_id, big FROM plain WHERE big = 1", "b,-1,1"),
    ] {
        let sql = format!("{first} UNION ALL {part}");
        assert_eq!(parts(&sql)[1], format!("device_id,t,big; {rows}"), "{sql}");
    }
    let three = format!(
        "{first} UNION ALL SELECT device_id, 2, 2 FROM iot UNION ALL SELECT device_id, 3, 3 FROM plain"
    );
    assert_eq!(parts(&three).iter().map(|part| part.lines().count()).collect::<Vec<_>>(), [1, 1, 1]);
    let all =
        "SELECT temperature AS a, temperature AS b FROM iot UNION ALL SELECT t, * FROM (SELECT t FROM warm)";
    assert_eq!(planned_as(all, Append).unwrap().output_schema().fields().len(), 2);
    let told =
        planned_as("SELECT device_id, 1, 1 FROM iot UNION ALL SELECT device_id, 1, 2 FROM iot", Append);
    let told = told.map(|_| ()).map_err(refused).unwrap_err();
    assert!(
        told.starts_with("FB-4002 the SELECT gives two columns named `1`"),
        "of the first part they count: {told}"
    );
    let inside = "SELECT device_id FROM iot UNION ALL SELECT x FROM (SELECT device_id AS x, 1, 1 FROM iot)";
    let told = planned_as(inside, Append).map(|_| ()).map_err(refused).unwrap_err();
    assert!(told.starts_with("FB-4002 the SELECT gives two columns"), "and those of a subquery: {told}");
}

/// Of a query, and of a side of its join.
#[test]
fn a_source_that_is_read_twice_is_one_source() {
    let sides = "(SELECT device_id FROM secs UNION ALL SELECT device_id FROM iot UNION ALL SELECT device_id FROM secs) a \
                 JOIN (SELECT device_id, at FROM iot) b ON a.device_id = b.device_id";
    let plan = planned_as(&format!("SELECT b.at FROM {sides}"), Append).unwrap();
    assert_eq!(plan.inputs(), ["secs", "iot", "secs", "iot"]);
    assert_eq!(plan.sources(), ["secs", "iot"]);
    let graph = plan.graph();
    let joined = graph.steps.iter().find(|step| matches!(step.plan, StepPlan::Join(_))).unwrap();
    let of_sides: Vec<Vec<String>> = joined.from.iter().map(|feeds| graph.sources(feeds)).collect();
    assert_eq!(of_sides, [vec!["secs", "iot"], vec!["iot"]]);
}

/// An alert, which remembers nothing, takes the rows of all parts as those of one.
#[test]
fn without_state_parts_are_inputs_too() {
    let sql = "SELECT device_id, at FROM iot UNION ALL SELECT d, ts FROM warm";
    let plan = plan(&streams().carrying_records(), sql, None).unwrap();
    assert_eq!(
        draw(&plan),
        "i0 iot: (device_id, at) (device_id, at) | i1 iot: (device_id, temperature, at) Filter(temperature@1 > 20) (d, ts) (device_id, at) | device_id, at"
    );
    assert_eq!(plan.origins("device_id"), vec![Some(vec!["device_id".to_owned()]); 2]);
    assert_eq!(plan.delays_ms(), [None, None]);
    let named = plan.naming_sources("source");
    assert!(
        draw(&named).ends_with(" (device_id, at, source=iot) | device_id, at, source"),
        "{}",
        draw(&named)
    );
    let input = named.each_input().next().unwrap();
    let rows = input.executor(0).process(json_rows(EVENTS.trim(), &schema()), &mut Fates::default()).unwrap();
    assert_eq!(rows.schema(), named.output_schema());
    assert!(
        csv(&rows).starts_with("device_id,at,source\na,2024-02-29T14:20:09.120Z,iot\n"),
        "{}",
        csv(&rows)
    );
    assert_eq!(named.origins("device_id"), vec![Some(vec!["device_id".to_owned()]); 2]);
    assert_eq!(named.origins("source"), [None, None]);
}
