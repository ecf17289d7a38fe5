//! What PostgreSQL 15 answers: each line is a statement and its rows as text, in PostgreSQL's form.

use super::*;
use crate::adhoc::postgres::as_text;

type Form = fn(&arrow::array::ArrayRef) -> arrow::array::ArrayRef;

/// The rows, columns parted by `|` and rows by `; `, or the words of the refusal.
fn rows(sql: &str, form: Form) -> String {
    let run = async {
        let text = split(sql)?.remove(0);
        let planning = Planning::new(&Readings, None, &NoSystem, Limits::default(), 1_700_000_000_000);
        let planned = plan(planning, &text, &[]).await?;
        let mut answer = planned.run(Vec::new()).await?;
        let mut out = Vec::new();
        while let Some(batch) = answer.batches.next().await {
            let batch = batch?;
            let columns: Vec<_> = batch.columns().iter().map(form).collect();
            for row in 0..batch.num_rows() {
                let cell = |column: &arrow::array::ArrayRef| match column.is_null(row) {
                    true => "NULL".to_owned(),
                    false => array_value_to_string(column, row).unwrap(),
                };
                out.push(columns.iter().map(cell).collect::<Vec<_>>().join("|"));
            }
        }
        std::result::Result::<String, SqlError>::Ok(out.join("; "))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match runtime.block_on(run) {
        Ok(rows) => rows,
        Err(error) => format!("error: {}", error.error.message()),
    }
}

fn same(cases: &[(&str, &str)]) {
    compared(cases, |column| as_text::written(column).unwrap());
}

/// The same with truth values as clients see them, by one letter.
pub(super) fn same_as_shown(cases: &[(&str, &str)]) {
    compared(cases, |column| as_text::output(column).unwrap());
}

fn compared(cases: &[(&str, &str)], form: Form) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(sql, expected)| (sql, rows(sql, form), expected))
        .filter(|(_, came, expected)| came != *expected)
        .map(|(sql, came, expected)| format!("{sql}\n     came {came}\n expected {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn whole_numbers_never_wrap() {
    same(&[
        ("SELECT 2147483647 + 1", "error: integer out of range"),
        ("SELECT 2147483647 + 1::bigint", "2147483648"),
        ("SELECT (-2147483648)::int - 1", "error: integer out of range"),
        ("SELECT 65536 * 65536", "error: integer out of range"),
        ("SELECT 9223372036854775807 + n FROM readings WHERE n = 1", "error: bigint out of range"),
        ("SELECT n * 9223372036854775807 FROM readings ORDER BY n", "error: bigint out of range"),
        ("SELECT -(n - 9223372036854775807 - 2) FROM readings WHERE n = 1", "error: bigint out of range"),
        ("SELECT 32767::smallint + 1::smallint", "error: smallint out of range"),
        ("SELECT 2147483647 + 1 + 1::bigint", "error: integer out of range"),
        ("SELECT n FROM readings WHERE n + 9223372036854775806 > 5 ORDER BY n", "error: bigint out of range"),
        (
            "SELECT 5 - 2 - 1, 7 - (2 - 1), 2 + 3 * 4, (2 + 3) * 4, -7 / 2, -7 % 3, 100 / 7 * 7",
            "2|6|14|20|-3|-1|98",
        ),
        ("SELECT a + b, a - b FROM (SELECT 2 AS a, 3 AS b) t", "5|-1"),
        ("SELECT sum(n * 9000000000000000000 / n) FROM readings WHERE n = 1", "9000000000000000000"),
        (
            "SELECT sum(v) FROM (VALUES (9223372036854775807), (9223372036854775807)) t(v)",
            "18446744073709551614",
        ),
        ("SELECT sum(v) FROM (VALUES (2147483647), (2147483647)) t(v)", "4294967294"),
        ("SELECT sum(v::int) OVER (ORDER BY v ROWS 1 PRECEDING) FROM (VALUES (1), (2), (3)) t(v)", "1; 3; 5"),
        (
            "SELECT sum(v) OVER (ORDER BY v) FROM (VALUES (9223372036854775806), (9223372036854775807)) t(v)",
            "9223372036854775806; 18446744073709551613",
        ),
        ("SELECT sum(DISTINCT v), sum(v), count(*) FROM (VALUES (2), (2), (3)) t(v)", "5|7|3"),
        ("SELECT sum(n) + 1, sum(n) / count(*) FROM readings", "7|2.0000000000000000"),
        ("SELECT sum(v::int) / count(*) FROM (VALUES (1), (2)) t(v)", "1"),
        ("SELECT 1 / 0", "error: division by zero"),
        ("SELECT 1 % 0", "error: division by zero"),
        ("SELECT n / (n - 1) FROM readings ORDER BY n", "error: division by zero"),
        ("SELECT temperature / 0 FROM readings", "error: division by zero"),
        ("SELECT 1.5 / 0", "error: division by zero"),
        ("SELECT 1e300::float8 * 1e300::float8", "error: value out of range: overflow"),
        ("SELECT CASE WHEN n = 1 THEN 0 ELSE 6 / (n - 1) END FROM readings ORDER BY n", "0; 6; 3"),
    ]);
}

#[test]
fn a_double_beside_a_decimal_is_a_double() {
    same(&[
        ("SELECT temperature * 1e15 FROM readings WHERE n = 1", "1.5e+15"),
        ("SELECT temperature + 1e-20 FROM readings WHERE n = 1", "1.5"),
        (
            "SELECT 1e15::float8, 1e22::float8, 0.1::float8, 123456789.123456789::float8, 1e-7::float8",
            "1e+15|1e+22|0.1|123456789.12345679|1e-07",
        ),
        ("SELECT n FROM readings WHERE temperature > 1e-300 AND temperature < 1e20 ORDER BY n", "1; 2; 3"),
        ("SELECT n FROM readings WHERE temperature BETWEEN 1.5 AND 2.0 ORDER BY n", "1; 3"),
        ("SELECT n FROM readings WHERE temperature IN (75.5, 1e20)", "2"),
        ("SELECT 1.5::float, 1.1::real + 1", "1.5|2.100000023841858"),
        ("SELECT coalesce(temperature, 1e20) FROM readings WHERE n = 1", "1.5"),
        ("SELECT 0.1 + 0.2, 1.10 * 2, 1.5 * 1.5", "0.3|2.20|2.25"),
    ]);
}

#[test]
fn numbers_are_rounded_and_divided_as_numeric() {
    same(&[
        ("SELECT 2.5::int, 3.5::int, -2.5::int, 2.4::int, 0.5::bigint", "3|4|-3|2|1"),
        ("SELECT 2.5::float8::int, 3.5::float8::int, (-2.5)::float8::int", "2|4|-2"),
        ("SELECT 2147483648::int", "error: integer out of range"),
        ("SELECT 1e10::float8::int", "error: integer out of range"),
        ("SELECT 'NaN'::float8::int", "error: integer out of range"),
        ("SELECT ' 12 '::int, true::int", "12|1"),
        ("SELECT 'x'::int", "error: invalid input syntax for type integer: \"x\""),
        ("SELECT '99999999999'::int", "error: value \"99999999999\" is out of range for type integer"),
        (
            "SELECT round(2.5::float8), round(3.5::float8), round(2.5), round(-2.5), round(2.345, 2)",
            "2|4|3|-3|2.35",
        ),
        ("SELECT -2 ^ 2, 2 ^ 3, floor(-1.5), ceil(1.2), trunc(-1.7), floor(1.5::float8)", "4|8|-2|2|-1|1"),
        (
            "SELECT 7.0 / 2, 1.0 / 3, 2.0 / 3, -1.0 / 3",
            "3.5000000000000000|0.3333333333333333|0.6666666666666667|-0.3333333333333333",
        ),
        ("SELECT avg(n), avg(temperature) FROM readings WHERE n < 3", "1.5000000000000000|38.5"),
        ("SELECT avg(v) FROM (VALUES (1.0), (2.0), (2.0)) t(v)", "1.6666666666666667"),
        (
            "SELECT avg(n) OVER (ORDER BY n) FROM readings ORDER BY n",
            "1.0000000000000000; 1.5000000000000000; 2.0000000000000000",
        ),
        ("SELECT 0x1F, 1_000, 0b11, 0o17", "31|1000|3|15"),
        ("SELECT 1x", "error: trailing junk after numeric literal"),
    ]);
}

#[test]
fn is_distinct_from_binds_as_a_comparison() {
    same(&[
        ("SELECT n FROM readings WHERE n IS DISTINCT FROM 1 AND n < 3", "2"),
        ("SELECT n FROM readings WHERE n IS NOT DISTINCT FROM 1 OR n = 3 ORDER BY n", "1; 3"),
        ("SELECT n FROM readings WHERE NOT n IS DISTINCT FROM 1 + 1", "2"),
        ("SELECT n FROM readings WHERE n < 2 IS DISTINCT FROM true ORDER BY n", "2; 3"),
        (
            "SELECT (1, NULL) = (1, 2), (1, NULL) = (2, 2), (1, 2) = (1, 2), (1, 2) <> (1, 3)",
            "NULL|false|true|true",
        ),
    ]);
}

#[test]
fn a_joined_column_is_that_of_the_side_that_has_it() {
    let with = |select: &str| {
        format!(
            "WITH a(k, x) AS (VALUES (1, 'a'), (2, 'b')), b(k, y) AS (VALUES (2, 'c'), (3, 'd')), \
             c(k, z) AS (VALUES (3, 'e'), (4, 'f')) {select}"
        )
    };
    for (select, expected) in [
        ("SELECT k, x, y FROM a RIGHT JOIN b USING (k) ORDER BY k", "2|b|c; 3|NULL|d"),
        ("SELECT k, x, y FROM a FULL JOIN b USING (k) ORDER BY k", "1|a|NULL; 2|b|c; 3|NULL|d"),
        ("SELECT * FROM a FULL JOIN b USING (k) ORDER BY k", "1|a|NULL; 2|b|c; 3|NULL|d"),
        ("SELECT * FROM a RIGHT OUTER JOIN b USING (k) WHERE k > 2", "3|NULL|d"),
        ("SELECT k, count(*) FROM a FULL JOIN b USING (k) GROUP BY k ORDER BY k", "1|1; 2|1; 3|1"),
        (
            "SELECT k, x, y, z FROM a FULL JOIN b USING (k) FULL JOIN c USING (k) ORDER BY 1",
            "1|a|NULL|NULL; 2|b|c|NULL; 3|NULL|d|e; 4|NULL|NULL|f",
        ),
        ("SELECT k + 1 FROM a FULL JOIN b USING (k) ORDER BY -k", "4; 3; 2"),
        ("SELECT a.k, b.k FROM a FULL JOIN b USING (k) ORDER BY k", "1|NULL; 2|2; NULL|3"),
        ("SELECT k, x FROM a LEFT JOIN b USING (k) ORDER BY k", "1|a; 2|b"),
        (
            "SELECT * FROM a NATURAL FULL JOIN b",
            "error: NATURAL beside a RIGHT or FULL JOIN is not supported yet",
        ),
    ] {
        same(&[(&with(select), expected)]);
    }
}

#[test]
fn sets_of_groups_are_grouped() {
    same(&[
        (
            "SELECT \"deviceId\", count(*) FROM readings GROUP BY ROLLUP (\"deviceId\") ORDER BY 1",
            "a|2; b|1; NULL|3",
        ),
        (
            "SELECT \"deviceId\", n, sum(temperature) FROM readings GROUP BY CUBE (\"deviceId\", n) ORDER BY 1, 2 LIMIT 3",
            "a|1|1.5; a|3|2; a|NULL|3.5",
        ),
        (
            "SELECT \"deviceId\", grouping(\"deviceId\"), sum(n) FROM readings GROUP BY GROUPING SETS ((\"deviceId\"), ()) ORDER BY 1",
            "a|0|4; b|0|2; NULL|1|6",
        ),
    ]);
}

#[test]
fn times_are_compared_far_away_and_without_seconds() {
    let t = "(VALUES (timestamptz '2026-01-05 10:00:00+00'), (timestamptz '2026-01-05 11:00+00')) t(at)";
    for (select, expected) in [
        ("SELECT count(*) FROM {t} WHERE at < '9999-12-31'", "2"),
        ("SELECT count(*) FROM {t} WHERE at > '0001-01-01' AND at < date '9999-12-31'", "2"),
        ("SELECT count(*) FROM {t} WHERE at BETWEEN '1500-01-01' AND '2999-01-01'", "2"),
        ("SELECT count(*) FROM {t} WHERE at >= '2026-01-05 11:00'", "1"),
        ("SELECT count(*) FROM {t} WHERE at IN ('2026-01-05 11:00+00', '9999-01-01')", "1"),
        ("SELECT count(*) FROM {t} WHERE at = timestamp '2026-01-05 10:00'", "1"),
        ("SELECT count(*) FROM {t} WHERE at::date = '2026-01-05'", "2"),
        (
            "SELECT count(*) FROM {t} WHERE at > 'soon'",
            "error: invalid input syntax for type timestamp: \"soon\"",
        ),
        ("SELECT timestamp '9999-12-31 23:59' - interval '1 day'", "9999-12-30 23:59:00"),
        (
            "SELECT '2026-01-05 10:00'::timestamp, '2026-01-05 10:00+01'::timestamptz",
            "2026-01-05 10:00:00|2026-01-05 09:00:00+00",
        ),
        ("SELECT date '2026-01-05' - date '2025-12-31', date '2026-01-05' + 1", "5|2026-01-06"),
    ] {
        same(&[(&select.replace("{t}", t), expected)]);
    }
}

#[test]
fn values_become_texts_as_postgresql_writes_them() {
    same(&[
        (
            "SELECT 10::float8::text, 1e15::float8::text, 0.5::float8::text, 1.50::text, true::text",
            "10|1e+15|0.5|1.50|true",
        ),
        (
            "SELECT timestamptz '2026-01-05 10:00:00.5+00'::text, timestamp '2026-01-05 10:00'::text, date '2026-01-05'::text",
            "2026-01-05 10:00:00.5+00|2026-01-05 10:00:00|2026-01-05",
        ),
        ("SELECT '\\x0aff'::bytea::text", "\\x0aff"),
        (
            "SELECT (interval '1 year 2 months -3 days 4 hours')::text, (interval '36 hours')::text",
            "1 year 2 mons -3 days +04:00:00|36:00:00",
        ),
        ("SELECT 'a' || 10::float8 || 1.5 || true || n FROM readings WHERE n = 1", "a101.5true1"),
        ("SELECT 'a' || NULL || 'b', NULL || 'x'", "NULL|NULL"),
        (
            "SELECT 'abcdef'::varchar(3), 'äöü'::varchar(2), 'abc'::char(2), 12345::varchar(2), 'ab'::varchar",
            "abc|äö|ab|12|ab",
        ),
        ("SELECT cast('abcdef' AS character varying(2)), 'x'::varchar(5)", "ab|x"),
    ]);
    let long = format!("SELECT length('a'{})", " || 'a'".repeat(299));
    let started = Instant::now();
    same(&[(&long, "300")]);
    let sums = format!("SELECT n{} FROM readings WHERE n = 2", " + 1 - 1".repeat(150));
    same(&[(&sums, "2")]);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn parts_of_times_keep_their_fraction() {
    let at = "timestamptz '2026-01-05 10:11:12.345678+00'";
    for (select, expected) in [
        (
            "SELECT extract(second FROM {at}), extract(minute FROM {at}), extract(epoch FROM {at})",
            "12.345678|11|1767607872.345678",
        ),
        (
            "SELECT date_part('second', {at}), extract(dow FROM {at}), extract(doy FROM {at}), extract(week FROM {at})",
            "12.345678|1|5|2",
        ),
        (
            "SELECT extract(milliseconds FROM {at}), extract(microseconds FROM {at}), extract(century FROM {at})",
            "12345.678|12345678|21",
        ),
        (
            "SELECT extract(epoch FROM interval '1 day 2 hours'), extract(hour FROM interval '26 hours'), extract(epoch FROM interval '1 year 1 month')",
            "93600.000000|26|34149600.000000",
        ),
        ("SELECT {at} - timestamptz '2026-01-03 22:11:12.345678+00'", "1 day 12:00:00"),
        ("SELECT extract(epoch FROM {at} - timestamptz '2026-01-05 10:11:10+00')", "2.345678"),
        (
            "SELECT {at} - timestamptz '2026-01-03 22:00+00' > interval '36 hours', interval '1 month' > interval '29 days'",
            "true|true",
        ),
        ("SELECT avg(d) FROM (VALUES ({at} - timestamptz '2026-01-03 10:11:12.345678+00')) t(d)", "2 days"),
        (
            "SELECT age(timestamp '2026-03-01', timestamp '2025-01-31 12:00'), age(timestamp '2001-04-10', timestamp '1957-06-13')",
            "1 year 1 mon 12:00:00|43 years 9 mons 27 days",
        ),
        (
            "SELECT date({at}), to_timestamp(floor(extract(epoch FROM {at}) / 300) * 300)",
            "2026-01-05|2026-01-05 10:10:00+00",
        ),
        ("SELECT extract(nonsense FROM {at})", "error: unit \"nonsense\" not recognized"),
    ] {
        same(&[(&select.replace("{at}", at), expected)]);
    }
}

#[test]
fn counts_of_rows_are_whole_numbers() {
    same(&[
        (
            "SELECT row_number() OVER (ORDER BY n) - 5, rank() OVER (ORDER BY n) FROM readings ORDER BY n",
            "-4|1; -3|2; -2|3",
        ),
        ("SELECT n FROM readings ORDER BY n FETCH FIRST 2 ROWS ONLY", "1; 2"),
        ("SELECT n FROM readings ORDER BY n OFFSET 1 ROW FETCH NEXT ROW ONLY", "2"),
        (
            "SELECT n FROM readings ORDER BY n FETCH FIRST 1 ROW WITH TIES",
            "error: FETCH FIRST … WITH TIES is not supported yet",
        ),
        ("SELECT array_length(string_to_array('a,b', ','), 1)", "2"),
        ("SELECT count(*) FROM generate_series(1, 2 + 3)", "5"),
        ("SELECT n FROM readings ORDER BY n LIMIT 1 + 1", "1; 2"),
    ]);
}

#[test]
fn a_view_keeps_sparks_meaning() {
    same(&[("SELECT * FROM halves ORDER BY 1", "0|1; 1|2; 1|3")]);
}

/// DataFusion compares what a cast was made of, where it takes it for the same.
#[test]
fn what_a_cast_cuts_is_not_compared() {
    same(&[
        (
            "SELECT d, d::numeric(10,0) = 3 FROM (VALUES (2.5::numeric(10,2)), (3)) t(d) WHERE d::numeric(10,0) IN (3, 4) ORDER BY d",
            "2.50|true; 3.00|true",
        ),
        (
            "SELECT ts FROM (VALUES (TIMESTAMP '2026-01-05 00:00:00'), (TIMESTAMP '2026-01-06 10:00:00')) v(ts) \
             WHERE ts::time < TIME '01:00:00'",
            "2026-01-05 00:00:00",
        ),
    ]);
}

#[test]
fn rows_that_count_as_often_as_they_are_there_are_refused() {
    for op in ["INTERSECT", "EXCEPT"] {
        same(&[(
            &format!("SELECT n FROM readings {op} ALL SELECT n FROM readings"),
            &format!("error: {op} ALL is not supported yet"),
        )]);
    }
}

#[test]
fn zones_that_are_numbers_count_to_the_west() {
    same(&[
        ("SELECT TIMESTAMPTZ '2024-01-01 00:00:00+00' AT TIME ZONE '+02'", "2023-12-31 22:00:00"),
        ("SELECT TIMESTAMPTZ '2024-01-01 00:00:00+00' AT TIME ZONE 'Europe/Berlin'", "2024-01-01 01:00:00"),
        ("SELECT to_char(TIMESTAMP '2024-01-01 13:00:00', 'HH12 am | p.m. | yyyy')", "01 pm | p.m. | 2024"),
    ]);
}
