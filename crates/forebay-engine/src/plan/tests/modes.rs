//! What a query with state is refused for, and in which words: what Spark refuses, and no more.

use forebay_core::output_mode::OutputMode::{self, Append, Complete, Update};

use super::drawing::{draw, drawn, planned_as, refused, streams};
use super::*;

#[track_caller]
fn check(cases: &[(&str, OutputMode, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(sql, mode, expected)| {
            let got = drawn(sql, *mode);
            let fits = match *expected {
                "" => !got.starts_with("FB-"),
                expected => got.starts_with(expected),
            };
            (!fits).then(|| format!("{mode}: {sql}\n  expected {expected}\n  got      {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

const WINDOWED: &str = "SELECT window, count(*) FROM iot GROUP BY window(at, '1 minute')";
const UNTIMED: &str = "SELECT device_id, count(*) FROM iot GROUP BY device_id";
const SESSIONS: &str =
    "SELECT session_window, count(*) FROM iot GROUP BY session_window(at, '1 minute'), device_id";
const CHAINED: &str = "SELECT window, max(hottest) FROM minutes GROUP BY window(window, '1 hour')";

#[test]
fn output_modes_are_refused_where_spark_refuses_them() {
    const NO_WATERMARK: &str =
        "FB-4008 output mode append is not possible for an aggregation without a watermark";
    const NOT_FOLLOWED: &str = "FB-4007 an aggregation in output mode";
    check(&[
        (WINDOWED, Append, ""),
        (WINDOWED, Update, ""),
        (WINDOWED, Complete, ""),
        (UNTIMED, Append, NO_WATERMARK),
        (UNTIMED, Update, ""),
        (UNTIMED, Complete, ""),
        ("SELECT count(*) FROM iot", Append, NO_WATERMARK),
        (
            "SELECT DISTINCT device_id FROM iot",
            Append,
            "FB-4008 output mode append is not possible for DISTINCT",
        ),
        ("SELECT DISTINCT device_id, at FROM iot", Append, ""),
        ("SELECT DISTINCT device_id FROM iot", Update, ""),
        (SESSIONS, Append, ""),
        (SESSIONS, Update, "FB-4007 output mode update is not possible for session_window"),
        (SESSIONS, Complete, ""),
        (CHAINED, Append, ""),
        (CHAINED, Update, NOT_FOLLOWED),
        (CHAINED, Complete, NOT_FOLLOWED),
        ("SELECT hottest, count(*) FROM minutes GROUP BY hottest", Append, NO_WATERMARK),
        ("SELECT DISTINCT hottest FROM minutes", Update, NOT_FOLLOWED),
        ("SELECT device_id FROM iot", Append, ""),
        ("SELECT device_id FROM iot", Update, ""),
        ("SELECT device_id FROM iot", Complete, "FB-4007 output mode complete needs an aggregation"),
        ("SELECT * FROM first_only", Append, ""),
        ("SELECT * FROM first_only", Update, ""),
        ("SELECT * FROM first_only", Complete, "FB-4007 output mode complete needs an aggregation"),
        ("SELECT device_id, count(*) FROM first_only GROUP BY device_id", Update, ""),
        ("SELECT device_id, count(*) FROM first_only GROUP BY device_id", Complete, ""),
    ]);
}

#[test]
fn what_no_mode_has_is_refused_at_its_place() {
    check(&[
        (
            "SELECT device_id, count(DISTINCT big) FROM iot GROUP BY device_id",
            Update,
            "FB-4003 DISTINCT inside of an aggregate function over a stream is not supported yet | SQL line 1, column 19 | As in Spark",
        ),
        (
            "SELECT device_id, count(*) FROM iot GROUP BY device_id ORDER BY device_id",
            Update,
            "FB-4003 ORDER BY over a stream is not supported yet | SQL line 1, column 65",
        ),
        (
            "SELECT device_id, count(*) FROM iot GROUP BY device_id LIMIT 3",
            Update,
            "FB-4007 LIMIT is not possible in output mode update",
        ),
        ("SELECT device_id FROM iot LIMIT 3", Update, "FB-4007 LIMIT is not possible in output mode update"),
        ("SELECT device_id FROM iot LIMIT 3", Complete, "FB-4007 output mode complete needs an aggregation"),
        ("SELECT device_id FROM iot LIMIT 3 OFFSET 1", Append, "FB-4003 OFFSET over a stream"),
        (
            "SELECT device_id, count(*) FROM iot GROUP BY device_id LIMIT 3 OFFSET 1",
            Complete,
            "FB-4003 OFFSET over a stream",
        ),
        (
            "SELECT window, count(*) FROM (SELECT * FROM iot ORDER BY at) GROUP BY window(at, '1 minute')",
            Complete,
            "FB-4003 ORDER BY",
        ),
        (
            "SELECT window, count(*) FROM (SELECT * FROM iot LIMIT 3 OFFSET 1) GROUP BY window(at, '1 minute')",
            Complete,
            "FB-4003 OFFSET",
        ),
        ("SELECT device_id, count(*) FROM iot GROUP BY ROLLUP(device_id)", Update, ""),
        ("SELECT device_id, count(*) FROM iot GROUP BY device_id WITH CUBE", Update, ""),
        (
            "SELECT device_id, count(*) FROM iot GROUP BY ROLLUP(device_id)",
            Append,
            "FB-4008 output mode append is not possible for an aggregation without a watermark",
        ),
        (
            "SELECT device_id, count(*) FROM iot GROUP BY device_id WITH TOTALS",
            Update,
            "FB-4003 what stands behind this GROUP BY",
        ),
        (
            "SELECT device_id, count(*) FROM iot GROUP BY ROLLUP(window(at, '1 minute'), device_id)",
            Complete,
            "FB-1008 the event time is in some of the grouping sets only",
        ),
        (
            "SELECT at, device_id, count(*) FROM iot GROUP BY CUBE(at, device_id)",
            Update,
            "FB-1008 the event time is in some of the grouping sets only",
        ),
        (
            "SELECT device_id, big, count(*) FROM iot GROUP BY session_window(at, '1 minute'), ROLLUP(device_id, big)",
            Append,
            "FB-1008 GROUPING SETS, CUBE or ROLLUP of sessions",
        ),
        ("SELECT percentile(temperature, 1.5) AS p FROM iot", Update, "FB-4002 1.5 in "),
        ("SELECT percentile(temperature, big) AS p FROM iot", Update, "FB-4002 the percentages of "),
        (
            "SELECT a.big, count(*) FROM iot a JOIN iot b ON a.big = b.big GROUP BY a.big",
            Update,
            "FB-4007 output mode update is not possible for a join of two streams",
        ),
        ("SELECT window(at, '1 minute') FROM iot", Append, ""),
        (
            "SELECT window(at, '1 minute', '30 seconds') FROM iot",
            Append,
            "FB-4003 a sliding window or a session stands outside of GROUP BY",
        ),
        (
            "SELECT device_id, count(*), sum(rand()) FROM iot GROUP BY device_id",
            Update,
            "FB-4003 rand() gives another value",
        ),
        ("SELECT device_id, rank() OVER (ORDER BY big) FROM iot", Update, "FB-4003 a window function (OVER)"),
        (
            "SELECT device_id FROM iot GROUP BY big",
            Update,
            "FB-4002 column `iot.device_id` must stand in GROUP BY",
        ),
    ]);
}

#[test]
fn a_limit_counts_the_rows_there_ever_are_but_those_of_a_whole_result() {
    let windows = format!("{WINDOWED} LIMIT 3");
    for (sql, mode, parts) in [
        ("SELECT big FROM iot LIMIT 3", Append, ["iot: (big) | limit-0(3) | big", ""]),
        (windows.as_str(), Append, ["| aggregate-0", "| limit-1(3) |"]),
        (
            "SELECT device_id, count(*) AS n FROM iot GROUP BY device_id ORDER BY n LIMIT 3",
            Complete,
            ["| aggregate-0", "| Sort() Some(3) |"],
        ),
        (
            "SELECT device_id, count(*) AS n FROM (SELECT * FROM iot LIMIT 3) GROUP BY device_id",
            Complete,
            ["| limit-0(3) |", "| aggregate-1"],
        ),
        (
            "SELECT * FROM (SELECT device_id, count(*) AS n FROM iot GROUP BY device_id LIMIT 3) WHERE n > 1",
            Complete,
            ["| aggregate-0", "| Sort() Some(3) |"],
        ),
    ] {
        let got = drawn(sql, mode);
        assert!(parts.iter().all(|part| got.contains(part)), "{sql}: {got}");
    }
}

#[test]
fn windows_are_read_as_spark_reads_them() {
    let of = |call: &str| format!("SELECT count(*) FROM iot GROUP BY {call}");
    for (call, expected) in [
        ("window(at, '1 month')", "FB-4002"),
        ("window(at, '0 seconds')", "FB-4002 the length of the window is 0 seconds | SQL line 1, column 35"),
        (
            "window(at, '5 minutes', '10 minutes')",
            "FB-4002 the window slides by 10 minutes and is only 5 minutes long",
        ),
        (
            "window(at, '5 minutes', '5 minutes', '6 minutes')",
            "FB-4002 the window's start time is 6 minutes, its slide 5 minutes",
        ),
        (
            "window(at, 'soon')",
            "FB-4002 `soon` is not an interval: expected a number, found `soon` | SQL line 1, column 46",
        ),
        (
            "window(at, '1 minute', '5 secs')",
            "FB-4002 `5 secs` is not an interval: `secs` is no unit | SQL line 1, column 58",
        ),
        (
            "session_window(at, '5 secnods')",
            "FB-4002 `5 secnods` is not an interval: `secnods` is no unit | SQL line 1, column 54",
        ),
        (
            "window(at)",
            "FB-4002 window is called with the wrong arguments | SQL line 1, column 35 | Write window(",
        ),
        ("window(at, big)", "FB-4002 window is called with the wrong arguments"),
        ("window(tags, '1 minute')", "FB-4002 window takes a TIMESTAMP, not ARRAY<STRING>"),
        ("session_window(at)", "FB-4002 session_window is called with the wrong arguments"),
        ("session_window(at, '-5 minutes')", "FB-4002 the gap of the session is -5 minutes"),
        ("session_window(at, big)", "FB-4002 the gap of a session is a text or an INTERVAL, not BIGINT"),
        ("window(at, '1 minute'), window(at, '2 minutes')", "FB-4002 a SELECT has two windows"),
        ("window(at, '1 minute'), window(at, '60 seconds')", "FB-4002 a SELECT has two windows"),
        ("window(at, '1 minute').middle", "FB-"),
    ] {
        let got = drawn(&of(call), Complete);
        let fits = if expected.is_empty() { !got.starts_with("FB-") } else { got.starts_with(expected) };
        assert!(fits, "{call}: {got}");
    }
    let got = drawn("SELECT window.middle FROM iot GROUP BY window(at, '1 minute')", Complete);
    assert!(got.starts_with("FB-4002 unknown field `middle` | SQL line 1, column 15"), "{got}");
    let got = drawn("SELECT window FROM iot", Complete);
    assert!(got.starts_with("FB-4002 unknown column `window`"), "{got}");
}

#[test]
fn a_watermark_is_a_time_of_the_source() {
    let told = |column: &str| {
        let mut catalog = streams();
        catalog.set_watermark("iot", SourceTime { column: column.to_owned(), delay_ms: 0 });
        check_watermark(&catalog, "IOT", None).map_or_else(refused, |()| "sound".to_owned())
    };
    for column in
        ["at", "`At`", "timestamp_seconds(timestamp)", "to_timestamp(deviceName)", "_kafka.timestamp"]
    {
        assert_eq!(told(column), "sound", "{column}");
    }
    for (column, expected) in [
        ("timestamp", "FB-4002 the event time `timestamp` is of type INT, not TIMESTAMP"),
        ("big + 1", "FB-4002 the event time `big + 1` is of type BIGINT, not TIMESTAMP"),
        ("attt", "FB-4002 unknown column `attt` | the watermark of the source"),
        ("at, big", "FB-4002 `at, big` is not one expression"),
        ("at AS x", "FB-4002 `at AS x` is not one expression"),
        ("max(at)", "FB-4"),
        ("at FROM iot --", "FB-4"),
        ("(", "FB-4001"),
    ] {
        assert!(told(column).starts_with(expected), "{column}: {}", told(column));
    }
    // Who needs no state needs no watermark either.
    let mut catalog = streams();
    catalog.set_watermark("iot", SourceTime { column: "nope(".to_owned(), delay_ms: 0 });
    assert!(plan(&catalog, "SELECT * FROM iot", None).is_ok());
}

#[test]
fn a_query_counts_rows_once() {
    let with = |sql: &str, keys: &[&str], within_us| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let once = Deduplicate { keys, within_us };
        match plan_query(&streams(), sql, None, Append, Some(&once)) {
            Ok(plan) => draw(&plan),
            Err(error) => refused(error),
        }
    };
    assert_eq!(
        with("SELECT device_id, at FROM iot", &["DEVICE_ID"], None),
        "iot: (device_id, at) Observe(1) | deduplicate-0(device_id) time at | device_id, at"
    );
    assert_eq!(
        with("SELECT device_id FROM secs", &[], Some(7)),
        "secs: (device_id, timestamp) (device_id, _event_time=timestamp_seconds(CAST(timestamp@1 AS Int64))) Observe(1) \
         | deduplicate-0(device_id) time _event_time within 7 | (device_id) | device_id"
    );
    let got = with("SELECT device_id FROM plain", &["device_id"], Some(7));
    assert!(
        got.starts_with("FB-4008 `deduplicate` with `within` is not possible without a watermark"),
        "{got}"
    );
    let got = with("SELECT device_id FROM iot", &["devise_id"], None);
    assert!(
        got.starts_with("FB-4002 `deduplicate`: unknown column `devise_id` | - | Did you mean `device_id`?"),
        "{got}"
    );
    let got = refused(plan(&streams(), "SELECT * FROM first_only", None).unwrap_err());
    assert!(got.starts_with("FB-4003 `deduplicate` over a stream"), "{got}");
}

/// In complete mode no window ends, so its rows are never late; those of sessions are, as in Spark (case `session-complete`).
#[test]
fn a_row_can_be_late_where_an_operator_refuses_it() {
    let of_first = "SELECT device_id, count(*) FROM first_only GROUP BY device_id";
    let unwatched = SESSIONS.replace("iot", "plain");
    for (sql, mode, expected) in [
        (WINDOWED, Append, true),
        (WINDOWED, Update, true),
        (WINDOWED, Complete, false),
        (SESSIONS, Append, true),
        (SESSIONS, Complete, true),
        (unwatched.as_str(), Complete, false),
        (UNTIMED, Update, false),
        (of_first, Complete, true),
        ("SELECT device_id FROM iot", Append, false),
    ] {
        assert_eq!(planned_as(sql, mode).unwrap().can_be_late(), expected, "{mode}: {sql}");
    }
}

#[test]
fn late_rows_keep_their_position() {
    let catalog = streams().carrying_records();
    let draw = |sql: &str| draw(&plan_query(&catalog, sql, None, Append, None).unwrap());
    let ends = |sql: &str| {
        let drawn = draw(sql);
        let rows = drawn.split(" | ").next().unwrap();
        let records = "__timestamp=__field(_kafka@";
        assert!(rows.contains(records) && rows.contains("__offset=__field(_kafka@"), "{drawn}");
    };
    ends(WINDOWED);
    ends(CHAINED);
    ends("SELECT window, d, avg(t) FROM warm GROUP BY window(ts, '1 minute'), d");
    ends("SELECT DISTINCT device_id, at FROM iot");
    ends("SELECT * FROM first_only");
    let drawn = draw("SELECT window, count(*) FROM raw GROUP BY window(timestamp, '1 minute')");
    assert!(drawn.contains("__offset"), "{drawn}");
    // Neither keys nor headers are asked of the source for that.
    for sql in [
        "SELECT window, count(*) FROM secs WHERE temperature > 1 GROUP BY window(_event_time, '1 minute')",
        "SELECT window, count(*) FROM (SELECT * FROM secs WHERE big > 1) GROUP BY window(_event_time, '1 minute')",
    ] {
        let plan = plan_query(&catalog, sql, None, Append, None).unwrap();
        assert!(plan.wants_envelope() && plan.wanted() == Wanted::default(), "{sql}: {:?}", plan.wanted());
    }
}

#[test]
fn rows_of_grouping_sets_are_known_by_their_columns_and_their_set() {
    let none: &[&str] = &[];
    let rolled = "FROM iot GROUP BY ROLLUP(device_id)";
    let cube = "FROM iot GROUP BY CUBE(device_id, big)";
    for (select, from, keys) in [
        ("device_id, grouping(device_id) AS g, count(*) AS n", rolled, &["device_id", "g"][..]),
        ("grouping_id() AS id, device_id, count(*) AS n", rolled, &["id", "device_id"]),
        (
            "device_id, CASE WHEN grouping(device_id) = 1 THEN 'all' ELSE 'one' END AS level, count(*) AS n",
            rolled,
            &["device_id", "level"],
        ),
        ("device_id, count(*) AS n", rolled, none),
        ("grouping(device_id) AS g, count(*) AS n", rolled, none),
        (
            "window.start AS s, device_id, grouping(device_id) AS g, count(*) AS n",
            "FROM iot GROUP BY window(at, '1 minute'), ROLLUP(device_id)",
            &["s", "device_id", "g"],
        ),
        ("device_id, big, grouping(device_id) AS g, count(*) AS n", cube, none),
        (
            "device_id, big, grouping(device_id) AS g, grouping(big) AS h, count(*) AS n",
            cube,
            &["device_id", "big", "g", "h"],
        ),
        ("device_id, big, grouping_id() AS id, count(*) AS n", cube, &["device_id", "big", "id"]),
        ("upper(device_id) AS d, count(*) AS n", "FROM iot GROUP BY device_id", none),
    ] {
        let sql = format!("SELECT {select} {from}");
        let plan = planned_as(&sql, Update).unwrap();
        assert_eq!(plan.row_keys(), keys, "{sql}");
        assert_eq!(plan.repeats_without_keys(), keys.is_empty(), "{sql}");
    }
    let one = planned_as("SELECT count(*) AS n FROM iot", Update).unwrap();
    assert_eq!((one.group_keys(), one.repeats_without_keys()), (Some(Vec::new()), false));
    let filtered = planned_as("SELECT device_id FROM iot", Update).unwrap();
    assert_eq!((filtered.group_keys(), filtered.repeats_without_keys()), (None, false));
}

#[test]
fn a_field_of_a_group_is_no_key_of_it() {
    let keys = |select: &str| {
        let sql = format!("SELECT {select}, count(*) AS n FROM iot GROUP BY place");
        planned_as(&sql, Update).unwrap().row_keys()
    };
    assert_eq!(keys("place"), ["place"]);
    assert_eq!(keys("place.hall AS hall"), Vec::<String>::new(), "two groups may have the same hall");
    let days = "SELECT calendar_window.start AS day, count(*) AS n FROM iot GROUP BY calendar_window(at, 'day', 'Europe/Berlin')";
    assert_eq!(planned_as(days, Update).unwrap().row_keys(), ["day"]);
}
