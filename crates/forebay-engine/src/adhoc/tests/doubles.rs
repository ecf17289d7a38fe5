//! A DOUBLE beside a DECIMAL over tables: unions, set operations, subqueries, groups.

use super::*;

#[test]
fn a_double_beside_a_decimal_is_one_in_every_clause() {
    let tiny = "temperature * 0 + 1e-20";
    for (sql, expected) in [
        ("SELECT x FROM (SELECT 1e-20 AS x UNION ALL SELECT 0.5) ORDER BY x".to_owned(), "x; 1e-20; 0.5"),
        ("SELECT x + 0.25 AS y FROM (SELECT 0.5 AS x UNION SELECT 1e0) ORDER BY y".to_owned(), "y; 0.75; 1.25"),
        (
            format!("SELECT n FROM readings WHERE {tiny} IN (SELECT CAST(0 AS DECIMAL(10,2)) FROM readings)"),
            "n",
        ),
        (
            format!("SELECT {tiny} AS x FROM readings WHERE n = 1 INTERSECT SELECT CAST(0 AS DECIMAL(10,2)) FROM readings"),
            "x",
        ),
        (
            "SELECT coalesce(temperature, 0.5) AS x, count(*) AS c FROM readings GROUP BY coalesce(temperature, 0.5) ORDER BY x".to_owned(),
            "x,c; 0.5,1; 20.0,1; 21.0,1; 75.5,1",
        ),
        (
            "SELECT device_id FROM readings GROUP BY device_id HAVING max(temperature) * 1e300 BETWEEN 0.5 AND 9.5".to_owned(),
            "device_id",
        ),
        (
            "SELECT a.n FROM readings a JOIN readings b ON a.temperature * 1e300 = CAST(b.n AS DECIMAL(38,2))".to_owned(),
            "n",
        ),
        (
            format!("SELECT n FROM readings WHERE n < 3 ORDER BY coalesce({tiny}, 0.5) + n DESC"),
            "n; 2; 1",
        ),
    ] {
        assert_eq!(csv(&sql), expected, "{sql}");
    }
}
