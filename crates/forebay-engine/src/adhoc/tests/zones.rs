//! What SQL makes of times in a zone, on the nights on which clocks change: by Java's rules, as Spark.

use super::*;

/// No tables, in a zone.
struct Nowhere(Zone);

#[async_trait]
impl TableResolver for Nowhere {
    async fn resolve(&self, _: Option<&str>, _: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(None)
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn time_zone(&self) -> Zone {
        self.0
    }
}

/// The value of an expression, as CSV.
pub(super) fn value(zone: &str, expression: &str) -> String {
    let zone = Nowhere(Zone::read(zone).unwrap());
    let sql = format!("SELECT {expression} AS v");
    let answered = block(async {
        let answer = run(&zone, None, &sql, Takes::All, Limits::default(), 1_700_000_000_000).await?;
        let schema = Arc::clone(&answer.schema);
        let batches: Vec<RecordBatch> = answer.batches.try_collect().await?;
        let mut text = Vec::new();
        let mut renderer = Renderer::new(&mut text, OutputFormat::Csv, schema);
        batches.iter().for_each(|batch| renderer.write(batch).unwrap());
        renderer.finish().unwrap();
        Ok::<_, Error>(String::from_utf8(text).unwrap())
    });
    match answered {
        Ok(text) => text.trim_start_matches("v\n").trim_end().to_owned(),
        Err(error) => format!("{error} | {}", error.hint()),
    }
}

fn check(zone: &str, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (expression, expected) in cases {
        let given = value(zone, expression);
        if given != *expected {
            wrong.push(format!("{expression}\n    gives {given}\n    and not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "in {zone}:\n{}", wrong.join("\n"));
}

#[test]
fn berlin_in_spring_and_autumn() {
    check(
        "Europe/Berlin",
        &[
            (
                "date_format(TIMESTAMP '2024-10-27T00:30:00Z', 'yyyy-MM-dd HH:mm XXX VV')",
                "2024-10-27 02:30 +02:00 Europe/Berlin",
            ),
            ("date_format(TIMESTAMP '2024-10-27T01:30:00Z', 'HH:mm Z')", "02:30 +0100"),
            ("hour(TIMESTAMP '2024-10-27T01:30:00Z')", "2"),
            ("hour(TIMESTAMP '2024-03-31T01:00:00Z')", "3"),
            ("extract(HOUR FROM TIMESTAMP '2024-03-31T00:59:59Z')", "1"),
            ("day(TIMESTAMP '2024-03-30T23:30:00Z')", "31"),
            ("dayofweek(TIMESTAMP '2024-03-30T23:30:00Z')", "1"),
            ("weekday(TIMESTAMP '2024-03-31T22:30:00Z')", "0"),
            ("monthname(TIMESTAMP '2024-03-31T22:30:00Z')", "Apr"),
            ("year(TIMESTAMP '2024-12-31T23:00:00Z')", "2025"),
            ("CAST(TIMESTAMP '2024-03-30T23:30:00Z' AS DATE)", "2024-03-31"),
            ("to_date(TIMESTAMP '2024-03-30T23:30:00Z')", "2024-03-31"),
            ("to_date('30.03.2024 23:30', 'dd.MM.yyyy HH:mm')", "2024-03-30"),
            ("CAST(TIMESTAMP '2024-03-31 02:30:00' AS STRING)", "2024-03-31 03:30:00"),
            ("concat('at ', TIMESTAMP '2024-10-27T00:30:00.5Z')", "at 2024-10-27 02:30:00.5"),
            ("TIMESTAMP '2024-03-31 02:30:00'", "2024-03-31T01:30:00Z"),
            ("TIMESTAMP '2024-10-27 02:30:00'", "2024-10-27T00:30:00Z"),
            ("TIMESTAMP '2024-10-27T02:30:00+01:00'", "2024-10-27T01:30:00Z"),
            ("to_timestamp('27.10.2024 02:30', 'dd.MM.yyyy HH:mm')", "2024-10-27T00:30:00Z"),
            ("to_timestamp('27.10.2024 02:30 +01:00', 'dd.MM.yyyy HH:mm XXX')", "2024-10-27T01:30:00Z"),
            ("unix_timestamp('2024-03-31 00:00:00')", "1711839600"),
            ("from_unixtime(0)", "1970-01-01 01:00:00"),
            ("unix_seconds(TIMESTAMP '1970-01-01 01:00:00')", "0"),
            ("CAST(TIMESTAMP '1970-01-01 01:00:00' AS BIGINT)", "0"),
            ("CAST(DATE '2024-03-31' AS TIMESTAMP)", "2024-03-30T23:00:00Z"),
            ("TIMESTAMP '2024-03-30T23:30:00Z' > '2024-03-31'", "true"),
            ("TIMESTAMP '2024-03-30T23:30:00Z' > DATE '2024-03-31'", "true"),
            ("TIMESTAMP '2024-03-30T22:30:00Z' BETWEEN '2024-03-31' AND '2024-04-01'", "false"),
            ("CAST(CAST('2024-03-31 02:30:00' AS TIMESTAMP_NTZ) AS TIMESTAMP)", "2024-03-31T01:30:00Z"),
            ("CAST(CAST('2024-03-31 02:30:00' AS TIMESTAMP_NTZ) AS STRING)", "2024-03-31 02:30:00"),
            ("CAST(TIMESTAMP '2024-03-31T01:30:00Z' AS TIMESTAMP_NTZ)", "2024-03-31T03:30:00"),
            ("hour(CAST('2024-03-31 02:30:00' AS TIMESTAMP_NTZ))", "2"),
            ("isnull(try_cast('x' AS TIMESTAMP))", "true"),
            ("current_timezone()", "Europe/Berlin"),
            ("last_day(TIMESTAMP '2024-03-31T22:30:00Z')", "2024-04-30"),
            ("datediff(TIMESTAMP '2024-03-31T22:30:00Z', DATE '2024-03-31')", "1"),
            ("add_months(TIMESTAMP '2024-03-30T23:30:00Z', 1)", "2024-04-30"),
            ("date_add(TIMESTAMP '2024-03-30T23:30:00Z', 1)", "2024-04-01"),
            ("next_day(TIMESTAMP '2024-03-30T23:30:00Z', 'SUN')", "2024-04-07"),
            ("trunc(TIMESTAMP '2024-03-31T22:30:00Z', 'MM')", "2024-04-01"),
            ("now()", "2023-11-14T22:13:20Z"),
            ("coalesce(NULL, TIMESTAMP '2024-03-31 00:00:00')", "2024-03-30T23:00:00Z"),
        ],
    );
}

#[test]
fn what_is_cut_from_times_is_cut_where_clocks_show_it() {
    let cut = |unit: &str, time: &str| format!("date_trunc('{unit}', TIMESTAMP '{time}')");
    for (zone, unit, time, expected) in [
        ("Europe/Berlin", "HOUR", "2024-10-27T01:45:00Z", "2024-10-27T01:00:00Z"),
        ("Europe/Berlin", "HOUR", "2024-10-27T00:45:00Z", "2024-10-27T00:00:00Z"),
        ("Europe/Berlin", "DAY", "2024-10-27T12:00:00Z", "2024-10-26T22:00:00Z"),
        ("Europe/Berlin", "WEEK", "2024-10-27T12:00:00Z", "2024-10-20T22:00:00Z"),
        ("Europe/Berlin", "MONTH", "2024-04-15T12:00:00Z", "2024-03-31T22:00:00Z"),
        ("Europe/Berlin", "QUARTER", "2024-02-15T12:00:00Z", "2023-12-31T23:00:00Z"),
        ("Europe/Berlin", "YEAR", "2024-08-15T12:00:00Z", "2023-12-31T23:00:00Z"),
        ("Europe/Berlin", "SECOND", "2024-08-15T12:00:00.5Z", "2024-08-15T12:00:00Z"),
        ("America/New_York", "DAY", "2024-03-11T03:59:59Z", "2024-03-10T05:00:00Z"),
        ("America/New_York", "HOUR", "2024-11-03T06:30:00Z", "2024-11-03T06:00:00Z"),
        ("Asia/Kolkata", "HOUR", "2024-01-01T00:15:00Z", "2023-12-31T23:30:00Z"),
        ("America/Sao_Paulo", "WEEK", "2018-11-06T12:00:00Z", "2018-11-05T02:00:00Z"),
        ("America/Sao_Paulo", "DAY", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z"),
    ] {
        check(zone, &[(&cut(unit, time), expected)]);
    }
}

#[test]
fn days_and_months_that_are_added_are_the_calendars() {
    check(
        "Europe/Berlin",
        &[
            ("TIMESTAMP '2024-03-30T12:00:00Z' + INTERVAL 1 DAY", "2024-03-31T11:00:00Z"),
            ("INTERVAL 1 DAY + TIMESTAMP '2024-03-30T12:00:00Z'", "2024-03-31T11:00:00Z"),
            // As in Spark, whose intervals of days and less are one length.
            ("TIMESTAMP '2024-03-30T12:00:00Z' + INTERVAL 24 HOURS", "2024-03-31T11:00:00Z"),
            ("TIMESTAMP '2024-03-30T12:00:00Z' + INTERVAL 23 HOURS", "2024-03-31T11:00:00Z"),
            ("TIMESTAMP '2024-03-30T01:30:00Z' + INTERVAL 1 DAY", "2024-03-31T01:30:00Z"),
            ("TIMESTAMP '2024-02-29T12:00:00Z' + INTERVAL 1 MONTH", "2024-03-29T12:00:00Z"),
            ("TIMESTAMP '2024-03-31T12:00:00Z' - INTERVAL 1 MONTH", "2024-02-29T13:00:00Z"),
            ("TIMESTAMP '2024-10-28T00:30:00Z' - INTERVAL 1 DAY", "2024-10-26T23:30:00Z"),
            (
                "TIMESTAMP '2024-03-30T12:00:00Z' + (TIMESTAMP '2024-03-31T12:00:00Z' - TIMESTAMP '2024-03-30T12:00:00Z')",
                "2024-03-31T12:00:00Z",
            ),
        ],
    );
}

#[test]
fn zones_of_offsets_and_the_time_of_the_query() {
    check(
        "+05:30",
        &[
            ("current_date", "2023-11-15"),
            ("localtimestamp()", "2023-11-15T03:43:20"),
            ("current_timezone()", "+05:30"),
            ("hour(TIMESTAMP '2024-01-01T00:00:00Z')", "5"),
            ("CAST(TIMESTAMP '2024-01-01T00:00:00Z' AS STRING)", "2024-01-01 05:30:00"),
        ],
    );
    check("UTC", &[("current_timezone()", "UTC"), ("current_date", "2023-11-14")]);
}

#[test]
fn windows_are_sparks_and_those_of_the_calendar_are_the_zones() {
    check(
        "Europe/Berlin",
        &[
            ("window(TIMESTAMP '2024-03-31T12:00:00Z', '1 day').start", "2024-03-31T00:00:00Z"),
            ("calendar_window(TIMESTAMP '2024-03-31T12:00:00Z', 'day').start", "2024-03-30T23:00:00Z"),
            ("calendar_window(TIMESTAMP '2024-03-31T12:00:00Z', 'DAY').end", "2024-03-31T22:00:00Z"),
            ("calendar_window(TIMESTAMP '2024-10-27T12:00:00Z', 'week').start", "2024-10-20T22:00:00Z"),
            ("calendar_window(TIMESTAMP '2024-10-27T12:00:00Z', 'month').end", "2024-10-31T23:00:00Z"),
            ("calendar_window(TIMESTAMP '2024-10-27T12:00:00Z', 'quarter').start", "2024-09-30T22:00:00Z"),
            ("calendar_window(TIMESTAMP '2024-10-27T12:00:00Z', 'year').end", "2024-12-31T23:00:00Z"),
            (
                "calendar_window(TIMESTAMP '2024-03-10T12:00:00Z', 'day', 'America/New_York').end",
                "2024-03-11T04:00:00Z",
            ),
        ],
    );
    for bad in ["'hour'", "'day', 'Mars/Olympus'", "concat('d', 'ay')"] {
        let told = value("UTC", &format!("calendar_window(now(), {bad})"));
        assert!(told.contains("calendar_window(ts, 'day')"), "{bad}: {told}");
    }
}

#[test]
fn what_would_be_computed_in_utc_is_refused() {
    for call in [
        "to_local_time(now())",
        "arrow_cast(now(), 'Utf8')",
        "array_to_string(array(now()), ',')",
        "CAST(named_struct('t', now()) AS STRING)",
        "current_time()",
        "to_timestamp_millis('2024-01-01T00:00:00')",
        "count(*) OVER (ORDER BY now() RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND CURRENT ROW)",
    ] {
        let told = value("Europe/Berlin", call);
        assert!(told.contains("is not supported in the") && told.contains("Europe/Berlin"), "{call}: {told}");
    }
    assert_eq!(value("Europe/Berlin", "to_timestamp_millis(1500)"), "1970-01-01T00:00:01.500Z");
}
