//! What PostgreSQL computes where DataFusion's own answer is another, or none: statements with their rows as psql shows them.

use super::meaning::same_as_shown as same;

#[test]
fn texts_in_quotes_are_of_the_type_beside_them() {
    same(&[
        ("SELECT v FROM (VALUES (-0.1::real), (1.5::real)) t(v) WHERE v = '-0.1'", "-0.1"),
        (
            "SELECT v FROM (VALUES (-0.1::real), (1.5::real)) t(v) WHERE v IN ('-0.1', '2') AND v BETWEEN '-0.1' AND '1'",
            "-0.1",
        ),
        ("SELECT n FROM readings WHERE temperature BETWEEN '9' AND '80' OR n IN ('3')", "2; 3"),
        ("SELECT true IN ('t', 'f'), true = 'yes', 2 IS DISTINCT FROM '2'", "t|t|f"),
    ]);
}

#[test]
fn arrays_have_nulls_and_begin_at_one() {
    same(&[
        (
            "SELECT 1 = ANY(ARRAY[2, NULL]), 1 = ANY(ARRAY[1, NULL]), 1 <> ALL(ARRAY[2, NULL]), 1 <> ALL(ARRAY[1, NULL]), 2 = ALL(ARRAY[2, NULL]), 2 > ANY(ARRAY[1, NULL])",
            "NULL|t|NULL|f|NULL|t",
        ),
        ("SELECT n FROM readings WHERE n = ANY('{1,3}') ORDER BY n", "1; 3"),
        ("SELECT n FROM readings WHERE NOT n = ANY(ARRAY[1, NULL])", ""),
        (
            "SELECT 5 <> ANY(ARRAY[5, 5]), 5 <> ANY(ARRAY[5, NULL]), 5 < ANY(ARRAY[3, NULL]), 5 < ANY(ARRAY[6, NULL])",
            "f|NULL|NULL|t",
        ),
        (
            "SELECT (ARRAY[1, 2, 3])[-1], (ARRAY[1, 2, 3])[0], (ARRAY[1, 2, 3])[1], (ARRAY[1, 2, 3])[4], (ARRAY[1, 2, 3])[2:3], (ARRAY[1, 2, 3])[-1:2], (ARRAY[1, 2, 3])[n - 2] FROM readings WHERE n = 1",
            "NULL|NULL|1|NULL|{2,3}|{1,2}|NULL",
        ),
        (
            "SELECT ARRAY[1, 2]::text, ARRAY['a', 'b c', NULL]::text, ARRAY[true]::text, 'x' || ARRAY[1]::text, ARRAY[timestamp '2026-01-05']::text",
            "{1,2}|{a,\"b c\",NULL}|{t}|x{1}|{\"2026-01-05 00:00:00\"}",
        ),
    ]);
}

#[test]
fn what_is_beyond_a_number_is_an_error() {
    same(&[
        ("SELECT 1e300::float8::real", "error: value out of range: overflow"),
        ("SELECT n::real, 0.1::real FROM readings WHERE n = 1", "1|0.1"),
        ("SELECT exp(1000)", "error: value out of range: overflow"),
        ("SELECT exp(-1000::float8)", "error: value out of range: underflow"),
        ("SELECT power(10, 400)", "error: value out of range: overflow"),
        ("SELECT 10 ^ 400", "error: value out of range: overflow"),
        ("SELECT 0::float8 ^ -1", "error: zero raised to a negative power is undefined"),
        (
            "SELECT (-8)::float8 ^ 0.5",
            "error: a negative number raised to a non-integer power yields a complex result",
        ),
        ("SELECT ln(0)", "error: cannot take logarithm of zero"),
        ("SELECT ln(-1::float8)", "error: cannot take logarithm of a negative number"),
        ("SELECT log(0)", "error: cannot take logarithm of zero"),
        ("SELECT sqrt(-1)", "error: cannot take square root of a negative number"),
        ("SELECT acos(2)", "error: input is out of range"),
        ("SELECT exp(0), ln(1), log(100), power(2, 3), 2 ^ 10, sqrt(4), power(0, 2)", "1|0|2|8|1024|2|0"),
        ("SELECT '1e400'::float8", "error: \"1e400\" is out of range for type double precision"),
    ]);
}

#[test]
fn what_is_joined_is_written_as_postgresql_writes_it() {
    same(&[
        (
            "SELECT concat(1.5::float8, true, timestamp '2026-01-05 10:00', NULL, 10::float8, interval '1 day'), concat_ws(',', 1.50, NULL, true, date '2026-01-05', 1e15::float8)",
            "1.5t2026-01-05 10:00:00101 day|1.50,t,2026-01-05,1e+15",
        ),
        (
            "SELECT concat('a', 1, ARRAY[1, 2]), concat_ws(NULL, 'a', 'b'), concat_ws('-', NULL, NULL)",
            "a1{1,2}|NULL|",
        ),
    ]);
}

#[test]
fn a_number_is_rounded_to_its_digits() {
    same(&[
        (
            "SELECT round(n, 1), round(n / 3.0, 1), round(temperature::numeric, 1) FROM readings ORDER BY n",
            "1.0|0.3|1.5; 2.0|0.7|75.5; 3.0|1.0|2.0",
        ),
        (
            "SELECT round(2.345, 1) = 2.3, round(25, -1), round(-2.345, 2), trunc(2.349, 2), trunc(-29, -1), round(1.5, 3)",
            "t|30|-2.35|2.34|-20|1.500",
        ),
        ("SELECT n FROM readings WHERE round(n, 1) = 2.0", "2"),
    ]);
}

#[test]
fn conditions_over_subqueries_come_out() {
    same(&[
        (
            "SELECT n, EXISTS (SELECT 1 FROM readings r WHERE r.n > 2) FROM readings ORDER BY n",
            "1|t; 2|t; 3|t",
        ),
        (
            "SELECT n, n IN (SELECT r.n FROM readings r WHERE r.n > 1) AS x FROM readings ORDER BY n",
            "1|f; 2|t; 3|t",
        ),
        (
            "SELECT n, n IN (SELECT r.n FROM readings r WHERE r.n > 1), n NOT IN (SELECT r.n FROM readings r WHERE r.n > 1) FROM readings ORDER BY 1",
            "1|f|t; 2|t|f; 3|t|f",
        ),
        (
            "SELECT n IN (SELECT nullif(r.n, 2) FROM readings r), n IN (SELECT r.n FROM readings r WHERE false), NULL IN (SELECT 1) FROM readings ORDER BY n",
            "t|f|NULL; NULL|f|NULL; t|f|NULL",
        ),
        (
            "SELECT n, EXISTS (SELECT 1 FROM readings r WHERE r.n = readings.n + 1) FROM readings ORDER BY n",
            "1|t; 2|t; 3|f",
        ),
        (
            "SELECT n, CASE WHEN EXISTS (SELECT 1 FROM readings r WHERE r.n = readings.n + 1) THEN 1 ELSE 0 END AS c FROM readings ORDER BY n DESC",
            "3|0; 2|1; 1|1",
        ),
        ("SELECT sum(CASE WHEN n IN (SELECT 2) THEN 1 ELSE 0 END) FROM readings", "1"),
        (
            "SELECT n FROM readings WHERE n = ANY (SELECT r.n FROM readings r WHERE r.n > 1) ORDER BY n",
            "2; 3",
        ),
        ("SELECT n FROM readings WHERE n <> ALL (SELECT r.n FROM readings r WHERE r.n > 1) ORDER BY n", "1"),
        ("SELECT n FROM readings WHERE n = SOME (SELECT 2) AND n > ALL (SELECT 1)", "2"),
        (
            "SELECT n, (SELECT count(*) FROM readings s WHERE s.n < r.n) FROM readings r",
            "error: a subquery that refers to columns around it in this way is not supported yet",
        ),
    ]);
}

#[test]
fn what_is_summed_is_a_whole_number() {
    same(&[
        (
            "SELECT sum(CASE WHEN n > 1 THEN 1 ELSE 0 END) / count(*), sum(1) / 2, max(CASE WHEN n > 1 THEN 1 END) FROM readings",
            "0|1|1",
        ),
        (
            "SELECT sum(v) / count(*), sum(v) * 2, sum(coalesce(v, 0)) / 2 FROM (VALUES (1), (2), (NULL)) t(v)",
            "1|6|1",
        ),
        ("SELECT sum(n) / 2, sum(coalesce(n, 0)) / 4 FROM readings", "3.0000000000000000|1.5000000000000000"),
        ("SELECT sum(CASE WHEN n > 1 THEN 1 ELSE 0 END) OVER (ORDER BY n) / 2 FROM readings", "0; 0; 1"),
        (
            "SELECT \"deviceId\", sum(-1) / 2 FROM readings GROUP BY ROLLUP (\"deviceId\") ORDER BY 1",
            "a|-1; b|0; NULL|-1",
        ),
        ("SELECT v + 2147483647 FROM (VALUES (1)) t(v)", "error: integer out of range"),
    ]);
}

#[test]
fn letters_are_escaped_by_another() {
    same(&[
        (
            "SELECT 'a%b' LIKE 'a\\%b', 'a%b' LIKE 'a!%b' ESCAPE '!', 'axb' LIKE 'a!%b' ESCAPE '!', 'a\\b' LIKE 'a\\b' ESCAPE '!', 'a\\b' LIKE 'a\\b' ESCAPE ''",
            "t|t|f|t|t",
        ),
        ("SELECT variance(temperature) > 1 FROM readings", "t"),
    ]);
}
