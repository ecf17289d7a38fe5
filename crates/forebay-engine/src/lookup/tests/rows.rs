//! Which rows come out, and which fate each record has.

use super::*;

const THREE: &str = r#"{"id":"a","n":1}
{"id":"b","n":2}
{"id":"c","n":3}
{"n":4}
"#;

/// Two rows for b, one of them with a NULL key beside.
const REGISTER: &str = r#"{"id":"a","site":"north","low":0,"high":10}
{"id":"b","site":"south","low":0,"high":5}
{"id":"b","site":"east","low":2,"high":9}
{"site":"nowhere"}
"#;

const CITIES: &str = r#"{"site":"north","city":"Kiel"}
{"site":"south","city":"Ulm"}
"#;

async fn gives(sql: &str, expected: &[&str], (emitted, unmatched, filtered): (u64, u64, u64)) {
    let tables = [Register::new("devices", DEVICES, REGISTER), Register::new("sites", SITES, CITIES)];
    let (rows, fates) = joined(sql, THREE, &tables).await;
    assert_eq!(rows, expected, "{sql}");
    assert_eq!((fates.emitted, fates.unmatched, fates.filtered), (emitted, unmatched, filtered), "{sql}");
}

#[tokio::test]
async fn a_record_finds_none_one_or_several_partners() {
    let two = ["a north", "b south", "b east"];
    gives("SELECT iot.id, site FROM iot JOIN devices ON iot.id = devices.id", &two, (2, 2, 0)).await;
    gives("SELECT iot.id, site FROM devices JOIN iot ON iot.id = devices.id", &two, (2, 2, 0)).await;
    gives("SELECT id, site FROM iot JOIN devices USING (id)", &two, (2, 2, 0)).await;
    gives("SELECT i.id, site FROM iot i, devices d WHERE i.id = d.id", &two, (2, 2, 0)).await;
    let all = ["a north", "b south", "b east", "c -", "- -"];
    gives("SELECT iot.id, site FROM iot LEFT JOIN devices ON iot.id = devices.id", &all, (4, 0, 0)).await;
    gives("SELECT iot.id, site FROM devices RIGHT JOIN iot ON iot.id = devices.id", &all, (4, 0, 0)).await;
    gives("SELECT id, n FROM iot LEFT SEMI JOIN devices ON iot.id = devices.id", &["a 1", "b 2"], (2, 2, 0))
        .await;
    gives("SELECT id, n FROM iot LEFT ANTI JOIN devices ON iot.id = devices.id", &["c 3", "- 4"], (2, 0, 2))
        .await;
}

#[tokio::test]
async fn null_is_a_partner_of_null_only_where_that_is_asked_for() {
    let sql = "SELECT n, site FROM iot JOIN devices ON iot.id IS NOT DISTINCT FROM devices.id";
    gives(sql, &["1 north", "2 south", "2 east", "4 nowhere"], (3, 1, 0)).await;
}

#[tokio::test]
async fn conditions_stand_in_the_join_before_it_and_behind_it() {
    let on = "iot.id = devices.id AND n BETWEEN low AND high";
    gives(
        &format!("SELECT n, site FROM iot JOIN devices ON {on}"),
        &["1 north", "2 south", "2 east"],
        (2, 2, 0),
    )
    .await;
    let on = "iot.id = devices.id AND n > low + 1";
    gives(&format!("SELECT n, site FROM iot JOIN devices ON {on}"), &["2 south"], (1, 3, 0)).await;
    let outer = ["1 -", "2 south", "3 -", "4 -"];
    gives(&format!("SELECT n, site FROM iot LEFT JOIN devices ON {on}"), &outer, (4, 0, 0)).await;
    let on = "iot.id = devices.id";
    // A record whose last row is refused is filtered once.
    let sql = format!("SELECT n, site FROM iot JOIN devices ON {on} WHERE site = 'east'");
    gives(&sql, &["2 east"], (1, 2, 1)).await;
    let sql = format!("SELECT n, site FROM iot JOIN devices ON {on} WHERE n > 1 AND site <> 'x'");
    gives(&sql, &["2 south", "2 east"], (1, 2, 1)).await;
    let sql = format!("SELECT n, site FROM iot LEFT JOIN devices ON {on} WHERE site IS NULL");
    gives(&sql, &["3 -", "4 -"], (2, 0, 2)).await;
    let sql = format!("SELECT n FROM iot LEFT SEMI JOIN devices ON {on} AND high < 9 AND low < n");
    gives(&sql, &["2"], (1, 3, 0)).await;
}

#[tokio::test]
async fn without_an_equality_every_row_is_a_candidate() {
    let sql = "SELECT n, site FROM iot JOIN devices ON n > high - 4";
    gives(sql, &["2 south", "3 south", "4 south"], (3, 1, 0)).await;
    let sql = "SELECT n, city FROM iot CROSS JOIN sites WHERE n < 3";
    gives(sql, &["1 Kiel", "1 Ulm", "2 Kiel", "2 Ulm"], (2, 0, 2)).await;
}

#[tokio::test]
async fn the_tables_side_may_be_a_query_of_its_own() {
    let sql = "SELECT n, city FROM iot JOIN placed ON id = device";
    gives(sql, &["1 Kiel", "2 Ulm"], (2, 2, 0)).await;
    let sql = "SELECT n, k.c FROM iot LEFT JOIN (SELECT id, count(*) AS c FROM devices GROUP BY id) k ON iot.id = k.id";
    gives(sql, &["1 1", "2 2", "3 -", "4 -"], (4, 0, 0)).await;
    gives("SELECT n FROM iot LEFT SEMI JOIN known ON iot.id = known.id", &["1", "2"], (2, 2, 0)).await;
    let sql = "SELECT n, site, city FROM iot JOIN devices USING (id) LEFT JOIN sites USING (site)";
    gives(sql, &["1 north Kiel", "2 south Ulm", "2 east -"], (2, 2, 0)).await;
}

#[tokio::test]
async fn a_record_with_several_rows_keeps_one_fate_through_a_second_join() {
    let sql = "SELECT n, site, city FROM iot LEFT JOIN devices USING (id) JOIN sites USING (site)";
    gives(sql, &["1 north Kiel", "2 south Ulm"], (2, 2, 0)).await;
    let sql = "SELECT n, a.site, b.site AS other FROM iot JOIN devices a ON iot.id = a.id JOIN devices b ON iot.id = b.id WHERE a.site < b.site";
    gives(sql, &["2 east south"], (1, 2, 1)).await;
}

#[tokio::test]
async fn keys_are_compared_as_spark_compares_them() {
    let events = r#"{"n":1,"x":-0.0}
{"n":2,"x":0.5}
"#;
    let register = r#"{"site":"zero","low":1,"y":0.0}
{"site":"half","low":2,"y":0.5}
"#;
    let devices = [Register::new("devices", DEVICES, register)];
    let (rows, _) = joined("SELECT n, site FROM iot JOIN devices ON x = y", events, &devices).await;
    assert_eq!(rows, ["1 zero", "2 half"], "-0.0 is 0.0");
    let (rows, _) = joined("SELECT n, site FROM iot JOIN devices ON n = low", events, &devices).await;
    assert_eq!(rows, ["1 zero", "2 half"], "BIGINT and INT");
    let (rows, _) = joined("SELECT n, site FROM iot JOIN devices ON n + 1 = low * 2", events, &devices).await;
    assert_eq!(rows, ["1 zero"], "keys may be computed");
}

#[tokio::test]
async fn many_pairs_come_out_in_pieces_and_no_record_is_divided() {
    let sites: String = (0..40_000).map(|n| format!("{{\"site\":\"s{n}\",\"city\":\"c\"}}\n")).collect();
    let tables = [Register::new("sites", SITES, &sites)];
    let plan = planned("SELECT n, site FROM iot JOIN sites ON n >= 0").unwrap();
    let all: Vec<Arc<dyn StaticTable>> = tables.iter().map(|it| Arc::clone(it) as _).collect();
    let held = newest(&plan, &all).await.unwrap();
    let events: String = (0..5).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let mut executor = plan.executor(0).holding(held);
    let mut fates = Fates::default();
    executor.take(rows_of(EVENTS, &events).1);
    let mut pieces = Vec::new();
    while let Some(piece) = executor.next(&mut fates).unwrap() {
        let repeats = piece.repeats.map_or(0, |repeats| repeats.count_set_bits());
        pieces.push((piece.batch.num_rows(), piece.batch.num_rows() - repeats));
    }
    assert_eq!(pieces, [(40_000, 1); 5], "a record in each, since two would have too many pairs");
    assert_eq!((fates.emitted, fates.unmatched), (5, 0));
}

#[tokio::test]
async fn whether_a_row_is_refused_for_a_partner_or_for_want_of_one_is_told() {
    let tables: Vec<Arc<dyn StaticTable>> = vec![Register::new("devices", DEVICES, REGISTER)];
    for (kind, id, expected) in [
        ("JOIN", "c", Some(Refusal::Alone("`devices`".to_owned()))),
        ("LEFT SEMI JOIN", "c", Some(Refusal::Alone("`devices`".to_owned()))),
        ("LEFT ANTI JOIN", "b", Some(Refusal::Met("`devices`".to_owned()))),
        ("LEFT ANTI JOIN", "c", None),
        ("LEFT JOIN", "c", None),
    ] {
        let plan = planned(&format!("SELECT n FROM iot {kind} devices ON iot.id = devices.id")).unwrap();
        let executor = plan.executor(0).holding(newest(&plan, &tables).await.unwrap());
        let (_, row) = rows_of(EVENTS, &format!("{{\"id\":\"{id}\",\"n\":1}}\n"));
        assert_eq!(executor.refusal(row).unwrap(), expected, "{kind} of {id}");
    }
}

/// Which field of a device an alert's key is: told by the stream's columns, wherever in a join they stand.
#[test]
fn a_column_behind_a_join_comes_from_the_stream_or_from_a_table() {
    for (list, expected) in [
        ("i.id AS key, i.n", Some("id")),
        ("i.n AS key, d.site, i.id", Some("n")),
        ("d.site AS key, i.id", None),
        ("i.n + 1 AS key", None),
    ] {
        for tables in ["devices d JOIN iot i ON d.id = i.id", "iot i LEFT JOIN devices d ON d.id = i.id"] {
            let sql = format!("SELECT {list} FROM {tables}");
            let origins = planned(&sql).unwrap().origins("key");
            assert_eq!(origins, [expected.map(|name| vec![name.to_owned()])], "{sql}");
        }
    }
}

#[test]
fn what_spark_refuses_is_refused_with_its_reason() {
    let left = "is not possible with the stream on the left and the table on the right";
    let right = "is not possible with the stream on the right and the table on the left";
    for (sql, told) in [
        ("SELECT n FROM iot FULL JOIN devices ON iot.id = devices.id", format!("FULL OUTER JOIN {left}")),
        ("SELECT n FROM iot RIGHT JOIN devices ON iot.id = devices.id", format!("RIGHT OUTER JOIN {left}")),
        ("SELECT n FROM devices LEFT JOIN iot ON iot.id = devices.id", format!("LEFT OUTER JOIN {right}")),
        (
            "SELECT devices.id FROM devices LEFT SEMI JOIN iot ON iot.id = devices.id",
            format!("SEMI JOIN {right}"),
        ),
        (
            "SELECT devices.id FROM devices LEFT ANTI JOIN iot ON iot.id = devices.id",
            format!("ANTI JOIN {right}"),
        ),
        ("SELECT id FROM devices", "the query reads tables at rest and no source".to_owned()),
        ("SELECT device FROM placed", "the query reads tables at rest and no source".to_owned()),
        (
            "SELECT n FROM iot JOIN (SELECT id FROM devices WHERE low < unix_timestamp(now())) d USING (id)",
            "current_timestamp() stands in a part of the query that is read with its tables".to_owned(),
        ),
    ] {
        let error = planned(sql).unwrap_err();
        assert_eq!(error.message(), told, "{sql}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn where_nothing_is_remembered_a_table_is_joined_and_a_second_stream_is_not() {
    let stateless = |sql: &str| plan(&catalog(), sql, None);
    assert!(stateless("SELECT iot.n FROM iot JOIN devices ON iot.id = devices.id").is_ok());
    let refused =
        stateless("SELECT a.n FROM iot a JOIN devices ON a.id = devices.id JOIN iot b ON a.id = b.id");
    let refused = refused.unwrap_err();
    assert_eq!(refused.error.message(), "a join over a stream is not supported yet");
    assert_eq!(refused.place, Some((1, 62)));
}

/// Each would be taken, and then fail at every look at the table.
#[test]
fn what_only_a_stream_has_is_refused_of_a_table() {
    let mut catalog = catalog();
    catalog.add_table("log", ddl::parse("id STRING, at TIMESTAMP").unwrap()).unwrap();
    let once = crate::plan::Deduplicate { keys: vec!["id".to_owned()], within_us: None };
    catalog.add_view_once("each", "SELECT * FROM log", Some(once)).unwrap();
    let of = "stands in a part of the query that is read with its tables";
    for (side, told) in [
        ("each", format!("`deduplicate` {of}")),
        (
            "(SELECT id, count(*) AS c FROM log GROUP BY id, window(at, '10 minutes', '5 minutes'))",
            format!("a sliding window or a session {of}"),
        ),
        (
            "(SELECT id, count(*) AS c FROM log GROUP BY id, session_window(at, '5 minutes'))",
            format!("a sliding window or a session {of}"),
        ),
    ] {
        let sql = format!("SELECT n FROM iot JOIN {side} t ON iot.id = t.id");
        let error =
            plan_query(&catalog, &sql, None, OutputMode::Append, None).map_err(Error::from).unwrap_err();
        assert_eq!(error.message(), told, "{sql}");
        assert!(!error.hint().is_empty());
    }
    let sql = "SELECT n FROM iot JOIN (SELECT id, window(at, '10 minutes') AS w FROM log) t ON iot.id = t.id";
    plan_query(&catalog, sql, None, OutputMode::Append, None).map_err(Error::from).unwrap();
}

#[test]
fn a_column_of_the_table_is_none_of_the_source() {
    let n = vec![Some(vec!["n".to_owned()])];
    for from in ["iot JOIN devices ON iot.id = devices.id", "devices JOIN iot ON iot.id = devices.id"] {
        let plan = planned(&format!("SELECT site, low, n, x FROM {from}")).unwrap();
        let none = vec![None];
        let found = ["site", "low", "n"].map(|name| plan.origins(name));
        assert_eq!(found, [none.clone(), none, n.clone()], "{from}");
    }
    let plan = planned("SELECT x, n FROM iot LEFT SEMI JOIN devices ON iot.id = devices.id").unwrap();
    assert_eq!(plan.origins("n"), n);
}
