//! probe

use super::*;

#[test]
fn probe() {
    let exprs = [
        "n % 2",
        "n + 1",
        "n / 2",
        "n > 1",
        "temperature > 20.5",
        "temperature * 2",
        "temperature + 0.5",
        "coalesce(temperature, 0.5)",
        "coalesce(n, 0)",
        "coalesce(device_id, 'x')",
        "substr(device_id, 1, 1)",
        "upper(device_id)",
        "device_id || '!'",
        "concat(device_id, '!')",
        "device_id = 'a'",
        "device_id IN ('a', 'z')",
        "device_id LIKE 'a%'",
        "device_id LIKE 'a_'",
        "device_id LIKE '_'",
        "n BETWEEN 1 AND 2",
        "CASE WHEN n > 1 THEN 'x' ELSE 'y' END",
        "CAST(n AS STRING)",
        "CAST(n % 100 AS INT)",
        "CAST(temperature AS INT)",
        "CAST(temperature AS STRING)",
        "date_trunc('hour', timestamp_seconds(n % 1000))",
        "CAST(timestamp_seconds(n % 1000) AS STRING)",
        "CAST(timestamp_seconds(n % 1000) AS DATE)",
        "year(timestamp_seconds(n % 1000))",
        "date_format(timestamp_seconds(n % 1000), 'yyyy')",
        "CAST(device_id AS BINARY)",
        "n IS NULL",
        "if(n > 1, 'a', 'b')",
        "round(temperature, 0)",
        "floor(temperature / 10)",
        "nullif(device_id, 'a')",
        "1",
        "'x'",
        "NULL",
    ];
    for expr in exprs {
        for group in ["ROLLUP({})", "CUBE({})", "device_id, ROLLUP({})", "ROLLUP(device_id, {})", "{}"] {
            let group = group.replace("{}", expr);
            for extra in ["", ", grouping(G) AS g", ", sum(length(concat(G, 'z'))) AS h"] {
                let extra = extra.replace('G', expr);
                let sql = format!(
                    "SELECT {expr} AS e, count(*) AS c{extra} FROM readings GROUP BY {group} ORDER BY c, e"
                );
                println!("{sql}\n    {}", csv(&sql));
            }
        }
        for agg in [
            "SELECT count(*) FILTER (WHERE {} IS NOT NULL) AS c FROM readings",
            "SELECT count(*) FILTER (WHERE {} IS NOT NULL) FROM readings",
            "SELECT max({}) AS c FROM readings",
            "SELECT n, row_number() OVER (ORDER BY {}, n) AS c FROM readings",
            "SELECT n, count(*) OVER (PARTITION BY {}) AS c FROM readings ORDER BY n",
            "SELECT n, count(*) FILTER (WHERE {} IS NOT NULL) OVER (ORDER BY n) AS c FROM readings",
            "SELECT collect_list({}) FILTER (WHERE {} IS NOT NULL) AS c FROM readings",
            "SELECT first_value({}) OVER (ORDER BY {}) AS c FROM readings",
        ] {
            let sql = agg.replace("{}", expr);
            println!("{sql}\n    {}", csv(&sql));
        }
    }
}
