//! What PostgreSQL answers where DataFusion's own answer is another, or none: statements with their rows as psql shows them.

use super::meaning::same_as_shown as same;

#[test]
fn a_day_and_a_length_of_time_are_a_time() {
    same(&[
        (
            "SELECT date '2026-01-05' + interval '90 minutes', date '2026-01-05' - interval '1 day', interval '1 hour' + date '2026-01-05'",
            "2026-01-05 01:30:00|2026-01-04 00:00:00|2026-01-05 01:00:00",
        ),
        ("SELECT date '2026-01-05' + interval '1 month' > timestamp '2026-02-04 23:00'", "t"),
        (
            "SELECT timestamp '2026-01-05' + '01:30:00', timestamp '2026-01-05 10:00' - '2026-01-04 09:00', date '2026-01-05' - '2026-01-04'",
            "2026-01-05 01:30:00|1 day 01:00:00|1",
        ),
        (
            "SELECT interval '1 hour' * 2, 2 * interval '1 hour', interval '1 hour' / 2, interval '1 month' * 1.5, n * interval '1 day' FROM readings WHERE n = 3",
            "02:00:00|02:00:00|00:30:00|1 mon 15 days|3 days",
        ),
        (
            "SELECT interval '01:30:00', interval '1 12:59:10', interval 'P1Y2M3DT4H5M6S', interval '1-2', interval '1.5 days', interval '1 day ago', interval '5' day",
            "01:30:00|1 day 12:59:10|1 year 2 mons 3 days 04:05:06|1 year 2 mons|1 day 12:00:00|-1 days|5 days",
        ),
        ("SELECT '01:30:00'::interval, v::interval FROM (VALUES ('PT1H')) t(v)", "01:30:00|01:00:00"),
        ("SELECT interval '1 hour' / 0", "error: division by zero"),
        (
            "SELECT d FROM (VALUES (interval '36 hours'), (interval '1 day')) t(d) WHERE d > '1 day 02:00'",
            "36:00:00",
        ),
    ]);
}

#[test]
fn a_subquery_without_rows_is_null() {
    same(&[
        (
            "SELECT (SELECT 1 WHERE false) IS NULL, (SELECT 1 WHERE false) IS NOT NULL, (SELECT 1) IS NULL",
            "t|f|f",
        ),
        (
            "SELECT coalesce((SELECT 5 FROM readings WHERE false), 0), coalesce((SELECT 5 WHERE false), 0), (SELECT 5 WHERE false) + 1",
            "0|0|NULL",
        ),
        ("SELECT n FROM readings WHERE (SELECT 1 WHERE false) IS NULL AND n = 1", "1"),
        ("SELECT (SELECT count(*) FROM readings WHERE false) IS NULL", "f"),
    ]);
}

#[test]
fn bytes_are_compared_as_bytes() {
    same(&[
        (
            "SELECT v FROM (VALUES ('\\x0001ff'::bytea), ('\\x02'::bytea)) t(v) WHERE v = '\\x0001ff'",
            "\\x0001ff",
        ),
        (
            "SELECT v FROM (VALUES ('\\x0001ff'::bytea), ('\\x02'::bytea)) t(v) WHERE v IN ('\\x0001ff', '\\x03') AND v IS DISTINCT FROM '\\x02'",
            "\\x0001ff",
        ),
        ("SELECT 'abc'::bytea = 'abc', 'a\\\\b\\001'::bytea", "t|\\x615c6201"),
        (
            "SELECT v FROM (VALUES ('abc'::bytea)) t(v) WHERE v = '\\x0'",
            "error: invalid hexadecimal data: odd number of digits",
        ),
    ]);
}

#[test]
fn a_window_that_is_copied_keeps_its_partitions() {
    same(&[
        (
            "SELECT n, sum(n) OVER (w ORDER BY n DESC) FROM readings WINDOW w AS (PARTITION BY \"deviceId\") ORDER BY n",
            "1|4; 2|2; 3|3",
        ),
        (
            "SELECT n, sum(n) OVER (w ROWS 1 PRECEDING), sum(n) OVER (w), sum(n) OVER w FROM readings WINDOW w AS (PARTITION BY \"deviceId\" ORDER BY n) ORDER BY n",
            "1|1|1|1; 2|2|2|2; 3|4|4|4",
        ),
        (
            "SELECT n, sum(n) OVER (w2 ORDER BY n) FROM readings WINDOW w AS (PARTITION BY \"deviceId\"), w2 AS (w) ORDER BY n",
            "1|1; 2|2; 3|4",
        ),
        (
            "SELECT \"deviceId\", n FROM readings WINDOW w AS (ORDER BY n) ORDER BY rank() OVER w DESC",
            "a|3; b|2; a|1",
        ),
        (
            "SELECT sum(n) OVER (w PARTITION BY n) FROM readings WINDOW w AS (PARTITION BY \"deviceId\")",
            "error: cannot override PARTITION BY clause of window \"w\"",
        ),
        (
            "SELECT sum(n) OVER (w ORDER BY n) FROM readings WINDOW w AS (ORDER BY n)",
            "error: cannot override ORDER BY clause of window \"w\"",
        ),
        ("SELECT sum(n) OVER w FROM readings", "error: window \"w\" does not exist"),
        (
            "SELECT k, sum(x) OVER w FROM (VALUES (1, 2), (2, 5)) a(k, x) FULL JOIN (VALUES (1, 3)) b(k, y) USING (k) WINDOW w AS (ORDER BY k) ORDER BY 1",
            "1|2; 2|7",
        ),
    ]);
}

#[test]
fn an_order_is_by_the_columns_of_the_tables() {
    same(&[
        ("SELECT n, -n AS v FROM (SELECT n, n * 10 AS v FROM readings) t ORDER BY -v", "3|-3; 2|-2; 1|-1"),
        ("SELECT k AS v FROM (VALUES (1, 2), (2, 1)) t(k, v) ORDER BY (v)", "1; 2"),
        ("SELECT n % 2 AS n, n AS m FROM readings ORDER BY -n", "1|3; 0|2; 1|1"),
        ("SELECT n AS m, n % 2 AS n FROM readings ORDER BY n, m", "2|0; 1|1; 3|1"),
        ("SELECT sum(n) AS n FROM readings GROUP BY \"deviceId\" ORDER BY sum(n)", "2; 4"),
        (
            "SELECT max(n) AS n, \"deviceId\" FROM readings GROUP BY \"deviceId\" ORDER BY max(n) DESC, \"deviceId\"",
            "3|a; 2|b",
        ),
        (
            "SELECT n % 2 AS n, sum(temperature) AS temperature FROM readings GROUP BY n % 2 ORDER BY sum(temperature) DESC",
            "0|75.5; 1|3.5",
        ),
        ("SELECT aa.ts + 1 AS ts FROM (VALUES (2), (1)) aa(ts) ORDER BY aa.ts DESC", "3; 2"),
        ("SELECT DISTINCT n % 2 AS n FROM readings ORDER BY n % 2", "0; 1"),
    ]);
}

#[test]
fn times_are_rounded_to_their_digits() {
    same(&[
        (
            "SELECT timestamp(0) '2026-01-05 10:00:00.5', timestamp(3) '2026-01-05 10:00:00.1235', '2026-01-05 10:00:00.6+00'::timestamptz(0)",
            "2026-01-05 10:00:01|2026-01-05 10:00:00.124|2026-01-05 10:00:01+00",
        ),
        (
            "SELECT ts::timestamp(0), ts::timestamptz(1), ts::timestamp(3) FROM (VALUES (timestamp '2026-01-05 10:00:00.456789')) t(ts)",
            "2026-01-05 10:00:00|2026-01-05 10:00:00.5+00|2026-01-05 10:00:00.457",
        ),
        (
            "SELECT '10:00:00.6'::time(0), time(2) '10:00:00.456', timestamp(0) '1999-12-31 23:59:59.5'",
            "10:00:01|10:00:00.46|1999-12-31 23:59:59",
        ),
        ("SELECT localtimestamp(0) IS NOT NULL, current_timestamp(0) IS NOT NULL", "t|t"),
    ]);
}

#[test]
fn patterns_of_times_are_postgresqls() {
    same(&[
        (
            "SELECT to_char(timestamp '2026-01-05 10:11:12.345', 'DDth FMDDth, YYYYth, MIth, SSTH'), to_char(timestamptz '2026-01-05 10:00:00+00', 'W CC J TZ OF tz TZH TZM')",
            "05th 5th, 2026th, 11th, 12TH|1 21 2461046 UTC +00 utc +00 00",
        ),
        (
            "SELECT to_char(timestamp '2026-01-05 10:00:00', 'W CC J [TZ] OF RM AD a.d. FF3 FF6')",
            "1 21 2461046 [] +00 I    AD a.d. 000 000000",
        ),
        (
            "SELECT to_char(timestamp '2026-01-05', 'Week number xyz LL \\\"x'), to_char(timestamp '2026-01-05', '\"W\" W \"a\\\"b\"')",
            "1eek number x6z LL \"x|W 1 a\"b",
        ),
    ]);
}

#[test]
fn a_day_that_becomes_an_instant_is_one() {
    same(&[
        (
            "SELECT CASE WHEN n = 1 THEN date '2026-01-05' ELSE timestamptz '2026-01-05 10:00:00+00' END FROM readings WHERE n < 3 ORDER BY n",
            "2026-01-05 00:00:00+00; 2026-01-05 10:00:00+00",
        ),
        (
            "SELECT date '2026-01-05' AS d UNION ALL SELECT timestamptz '2026-01-05 10:00:00+00' ORDER BY 1",
            "2026-01-05 00:00:00+00; 2026-01-05 10:00:00+00",
        ),
        (
            "SELECT date '2026-01-05' AS d UNION ALL SELECT timestamp '2026-01-05 10:00:00' ORDER BY 1",
            "2026-01-05 00:00:00; 2026-01-05 10:00:00",
        ),
        (
            "SELECT coalesce(date '2026-01-05', timestamptz '2026-01-05 10:00:00+00'), greatest(date '2026-01-05', timestamptz '2026-01-05 10:00:00+00')",
            "2026-01-05 00:00:00+00|2026-01-05 10:00:00+00",
        ),
        (
            "SELECT n FROM readings WHERE date '2026-01-05' IN (SELECT timestamp '2026-01-05 00:00') AND n = 1",
            "1",
        ),
        ("SELECT n FROM readings WHERE date '2026-01-05' IN (SELECT timestamp '2026-01-05 10:00')", ""),
    ]);
}

#[test]
fn series_of_times_are_series_of_times() {
    same(&[
        (
            "SELECT * FROM generate_series(date '2026-01-05', date '2026-01-07', interval '1 day')",
            "2026-01-05 00:00:00+00; 2026-01-06 00:00:00+00; 2026-01-07 00:00:00+00",
        ),
        (
            "SELECT * FROM generate_series(timestamp '2026-01-05', timestamp '2026-01-07', interval '1 day')",
            "2026-01-05 00:00:00; 2026-01-06 00:00:00; 2026-01-07 00:00:00",
        ),
        (
            "SELECT * FROM generate_series(timestamptz '2026-01-05 00:00+00', '2026-01-05 01:00+00', interval '30 minutes')",
            "2026-01-05 00:00:00+00; 2026-01-05 00:30:00+00; 2026-01-05 01:00:00+00",
        ),
        (
            "SELECT * FROM generate_series('2026-01-31'::timestamp, '2026-03-31', '1 month')",
            "2026-01-31 00:00:00; 2026-02-28 00:00:00; 2026-03-28 00:00:00",
        ),
    ]);
}
