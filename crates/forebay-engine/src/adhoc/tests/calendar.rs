//! Times and how far they are apart, by the calendar of the session's zone. What is expected is what Spark 4.0 gave.

use super::zones::value;

/// An expression, its value in UTC and in Berlin.
const TIMES: &[(&str, &str, &str)] = &[
    ("timestampadd(MONTH, 1, TIMESTAMP'2024-01-31 10:00:00')", "2024-02-29 10:00:00", "2024-02-29 10:00:00"),
    ("timestampadd(MONTH, 1, TIMESTAMP'2024-02-29 02:30:00')", "2024-03-29 02:30:00", "2024-03-29 02:30:00"),
    ("timestampadd(month, -1, TIMESTAMP'2024-03-31 02:30:00')", "2024-02-29 02:30:00", "2024-02-29 03:30:00"),
    ("timestampadd(QUARTER, -1, DATE'2024-05-31')", "2024-02-29 00:00:00", "2024-02-29 00:00:00"),
    ("timestampadd(YEAR, 1, TIMESTAMP'2024-02-29 12:00:00')", "2025-02-28 12:00:00", "2025-02-28 12:00:00"),
    ("timestampadd(DAY, 1, TIMESTAMP'2024-03-30 02:30:00')", "2024-03-31 02:30:00", "2024-03-31 03:30:00"),
    ("timestampadd(HOUR, 24, TIMESTAMP'2024-03-30 12:00:00')", "2024-03-31 12:00:00", "2024-03-31 13:00:00"),
    ("timestampadd(HOUR, 23, TIMESTAMP'2024-03-30 12:00:00')", "2024-03-31 11:00:00", "2024-03-31 12:00:00"),
    (
        "timestampadd(MINUTE, 1500, TIMESTAMP'2024-10-26 02:30:00')",
        "2024-10-27 03:30:00",
        "2024-10-27 02:30:00",
    ),
    (
        "timestampadd(SECOND, -1, TIMESTAMP'2024-03-31 03:00:00')",
        "2024-03-31 02:59:59",
        "2024-03-31 01:59:59",
    ),
    (
        "timestampadd(MILLISECOND, 1500, TIMESTAMP'2024-03-31 03:00:00')",
        "2024-03-31 03:00:01.5",
        "2024-03-31 03:00:01.5",
    ),
    (
        "timestampadd(MICROSECOND, 5, DATE'2024-05-31')",
        "2024-05-31 00:00:00.000005",
        "2024-05-31 00:00:00.000005",
    ),
    ("timestampadd(WEEK, 2, '2024-05-31 01:02:03')", "2024-06-14 01:02:03", "2024-06-14 01:02:03"),
    ("timestampadd(DAYOFYEAR, 2, DATE'2024-05-31')", "2024-06-02 00:00:00", "2024-06-02 00:00:00"),
    ("timestampadd(DAY, NULL, DATE'2024-05-31')", "", ""),
    (
        "timestampadd(DAY, 1, CAST('2024-03-30 02:30:00' AS TIMESTAMP_NTZ))",
        "2024-03-31 02:30:00",
        "2024-03-31 02:30:00",
    ),
    ("dateadd(DAY, 2, TIMESTAMP'2024-03-30 23:30:00')", "2024-04-01 23:30:00", "2024-04-01 23:30:00"),
    ("date_add(HOUR, 2, TIMESTAMP'2024-03-30 23:30:00')", "2024-03-31 01:30:00", "2024-03-31 01:30:00"),
    ("timestampdiff(MONTH, DATE'2024-01-31', DATE'2024-02-29')", "0", "0"),
    ("timestampdiff(MONTH, TIMESTAMP'2023-01-31 12:00:00', TIMESTAMP'2023-03-01 11:00:00')", "0", "0"),
    ("timestampdiff(MONTH, TIMESTAMP'2023-03-01 11:00:00', TIMESTAMP'2023-01-31 12:00:00')", "-1", "-1"),
    ("timestampdiff(MONTH, TIMESTAMP'2024-03-31 01:00:00', TIMESTAMP'2024-02-29 02:00:00')", "0", "0"),
    ("timestampdiff(YEAR, TIMESTAMP'2020-02-29 10:00:00', TIMESTAMP'2021-02-28 23:00:00')", "0", "0"),
    ("timestampdiff(YEAR, DATE'2024-05-01', DATE'2020-05-02')", "-3", "-3"),
    ("timestampdiff(QUARTER, DATE'2024-01-02', DATE'2025-02-01')", "4", "4"),
    ("timestampdiff(WEEK, DATE'2024-01-02', DATE'2024-02-01')", "4", "4"),
    ("timestampdiff(DAY, TIMESTAMP'2024-03-30 12:00:00', TIMESTAMP'2024-03-31 12:00:00')", "1", "1"),
    ("timestampdiff(DAY, TIMESTAMP'2024-01-02 10:00:00', TIMESTAMP'2024-01-01 11:00:00')", "0", "0"),
    ("timestampdiff(HOUR, TIMESTAMP'2024-03-30 12:00:00', TIMESTAMP'2024-03-31 12:00:00')", "24", "24"),
    ("timestampdiff(MINUTE, TIMESTAMP'2024-10-27T00:30:00Z', TIMESTAMP'2024-10-27T01:30:00Z')", "60", "0"),
    ("timestampdiff(MICROSECOND, DATE'2024-01-02', DATE'2024-01-01')", "-86400000000", "-86400000000"),
    ("timestampdiff(DAY, '2024-01-02', NULL)", "", ""),
    ("datediff(HOUR, '2024-01-02', TIMESTAMP'2024-01-03 01:00:00')", "25", "25"),
    ("date_diff(SECOND, DATE'2024-03-31', DATE'2024-04-01')", "86400", "86400"),
    ("months_between('1997-02-28 10:30:00', '1996-10-30')", "3.94959677", "3.94959677"),
    (
        "months_between('1997-02-28 10:30:00', '1996-10-30', false)",
        "3.9495967741935485",
        "3.9495967741935485",
    ),
    ("months_between('2024-02-29', '2024-01-31')", "1.0", "1.0"),
    ("months_between('2024-03-30', '2024-02-29')", "1.03225806", "1.03225806"),
    ("months_between('2024-01-31 12:00:00', '2024-01-30 13:00:00')", "0.03091398", "0.03091398"),
    ("months_between('2024-01-31 13:00:00', '2024-02-29 12:00:00')", "-1.0", "-1.0"),
    ("months_between('2024-03-31 12:00:00', '2024-03-30 12:00:00')", "0.03225806", "0.03091398"),
    (
        "months_between('2024-03-31 12:00:00', '2024-03-30 12:00:00', false)",
        "0.03225806451612903",
        "0.030913978494623656",
    ),
    ("months_between(DATE'0001-01-01', DATE'9999-12-31')", "-119987.96774194", "-119987.96774194"),
    ("months_between(NULL, '2024-01-01')", "", ""),
    (
        "convert_timezone('Europe/Brussels', 'America/Los_Angeles', CAST('2021-12-06 00:00:00' AS TIMESTAMP_NTZ))",
        "2021-12-05 15:00:00",
        "2021-12-05 15:00:00",
    ),
    (
        "convert_timezone('America/New_York', CAST('2021-12-05 15:00:00' AS TIMESTAMP_NTZ))",
        "2021-12-05 10:00:00",
        "2021-12-05 09:00:00",
    ),
    (
        "convert_timezone('Europe/Berlin', '+05:30', CAST('2024-03-31 02:30:00' AS TIMESTAMP_NTZ))",
        "2024-03-31 07:00:00",
        "2024-03-31 07:00:00",
    ),
    (
        "convert_timezone('Asia/Tokyo', TIMESTAMP'2024-10-27T01:30:00Z')",
        "2024-10-27 10:30:00",
        "2024-10-27 09:30:00",
    ),
    ("convert_timezone('Asia/Tokyo', DATE'2024-07-01')", "2024-07-01 09:00:00", "2024-07-01 07:00:00"),
    (
        "convert_timezone('UTC', 'Asia/Tokyo', '2024-07-01 12:00:00')",
        "2024-07-01 21:00:00",
        "2024-07-01 21:00:00",
    ),
    ("timestampadd(MONTH, 1.5, DATE'2024-01-02')", "2024-02-02 00:00:00", "2024-02-02 00:00:00"),
];

#[test]
fn calendars_are_sparks_in_every_zone() {
    let mut wrong = Vec::new();
    for (expression, utc, berlin) in TIMES {
        for (zone, expected) in [("UTC", utc), ("Europe/Berlin", berlin)] {
            let got = value(zone, &format!("CAST({expression} AS STRING)"));
            if got.trim_matches('"') != *expected {
                wrong.push(format!("{zone}: {expression}: expected {expected}, got {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(TIMES.len() > 45);
}

#[test]
fn what_is_no_unit_no_zone_and_no_time_is_refused() {
    for (expression, told) in [
        ("timestampadd('MONTH', 1, DATE '2024-01-02')", "Write one of YEAR, QUARTER, MONTH"),
        ("timestampadd(MONHT, 1, DATE '2024-01-02')", "timestampadd(…) begins with a unit of time"),
        ("date_diff(DAYOFYEAR, DATE '2024-01-02', now())", "timestampdiff(…) begins with a unit of time"),
        ("timestampadd(MONTH, 9223372036854775807, DATE '2024-01-02')", "beyond the calendar"),
        ("timestampadd(DAY, 9223372036854775807, now())", "beyond the calendar"),
        ("timestampadd(WEEK, 1317624576693539401, now())", "beyond the calendar"),
        ("timestampadd(MICROSECOND, 9223372036854775807, now())", "beyond the calendar"),
        ("timestampadd(MONTH, 1, 5)", "timestampadd takes a unit, a number and a time"),
        ("timestampdiff(DAY, 1, now())", "timestampdiff takes a unit and two times"),
        ("months_between(now(), 3)", "months_between takes two times"),
        (
            "convert_timezone('nowhere', CAST('2021-12-05 15:00:00' AS TIMESTAMP_NTZ))",
            "`nowhere` is no time zone",
        ),
    ] {
        for zone in ["UTC", "Europe/Berlin"] {
            let got = value(zone, expression);
            assert!(got.contains(told), "{zone}: {expression}: {got}");
        }
    }
}
