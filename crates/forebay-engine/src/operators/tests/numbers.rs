//! Averages of decimals, the least and the greatest of nested values, approximate percentiles: Spark's results, epoch after
//! epoch.

use forebay_core::Zone;

use super::sql::{catalog_in, run};
use super::*;
use crate::operators::operator;
use crate::plan::plan_query;
use crate::state::MEANING;

#[test]
fn an_average_of_decimals_of_any_width_is_sparks() {
    let sql = "SELECT avg(CAST(device AS DECIMAL(38, 2))) AS a, avg(CAST(n AS DECIMAL(26, 0))) AS b, \
               avg(-CAST(n AS DECIMAL(25, 0))) AS c, avg(CAST(x AS DECIMAL(14, 2)) * CAST(x AS DECIMAL(14, 2))) AS d, \
               avg(CAST(NULL AS DECIMAL(30, 1))) AS e, try_avg(CAST(device AS DECIMAL(38, 2))) AS f FROM iot";
    let epochs: [&[Row<'_>]; 3] = [&[(1, "1", 1)], &[(2, "2", 2)], &[(3, "2.01", 2)]];
    let expected = [
        "1.000000 1.0000 -1.0000 1.00000000 NULL 1.000000",
        "1.500000 1.5000 -1.5000 2.50000000 NULL 1.500000",
        "1.670000 1.6667 -1.6667 3.00000000 NULL 1.670000",
    ];
    assert_eq!(run(sql, Update, &epochs)[..3].concat(), expected);
    let by_window = "SELECT avg(CAST(device AS DECIMAL(38, 2))) AS a FROM iot GROUP BY window(ts, '10 milliseconds', '5 milliseconds')";
    let epochs: [&[Row<'_>]; 2] = [&[(1, "1", 1), (7, "2", 1)], &[(40, "3", 1)]];
    assert_eq!(run(by_window, Append, &epochs)[2], ["1.000000", "1.500000", "2.000000"]);
}

#[test]
fn an_average_that_does_not_fit_is_null_where_that_was_asked_for() {
    let (nines, under) = ("9".repeat(36), format!("-{}", "9".repeat(36)));
    let sql =
        "SELECT try_avg(CAST(device AS DECIMAL(38, 2))) AS a, try_avg(x) AS b, try_avg(n) AS c FROM iot";
    let epochs: [&[Row<'_>]; 2] = [&[(1, nines.as_str(), 1)], &[(2, under.as_str(), 2)]];
    assert_eq!(run(sql, Update, &epochs)[..2].concat(), ["NULL 1.0 1.0", "0.000000 1.5 1.5"]);
}

#[test]
fn try_avg_goes_on_with_the_state_of_avg() {
    let meaning = |sql: &str| {
        let catalog = catalog_in(Zone::UTC);
        let plan = plan_query(&catalog, sql, None, Update, None).map_err(forebay_core::Error::from).unwrap();
        let found = plan.graph().steps.iter().find_map(|step| operator(&step.plan).unwrap()).unwrap();
        found.layouts()[0].values.metadata()[MEANING].clone()
    };
    let of = |call: &str| meaning(&format!("SELECT device, {call} AS v FROM iot GROUP BY device"));
    assert_eq!(of("try_avg(n)"), of("avg(n)"));
    assert_ne!(of("try_avg(n)"), of("avg(x)"));
}

/// NULL for 0 and NaN for 9, so that the order of these values is that of their numbers.
const F: &str = "CASE WHEN n = 0 THEN NULL WHEN n = 9 THEN CAST('NaN' AS DOUBLE) ELSE x END";

fn orders_of(rows: &[Row<'static>]) -> Vec<Vec<Row<'static>>> {
    if rows.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |first: usize| {
        let mut others = rows.to_vec();
        let row = others.remove(first);
        orders_of(&others).into_iter().map(move |others| [vec![row], others].concat())
    };
    (0..rows.len()).flat_map(with_first).collect()
}

#[test]
fn the_least_and_the_greatest_of_nested_values_do_not_depend_on_the_order_of_rows() {
    let sql = format!(
        "SELECT max(s).f AS a, max(s).k AS b, min(s).f AS c, min(s).k AS d, max(array(f)) AS e, min(array(f)) AS g, \
         max_by(device, s) AS i, min_by(device, array(f)) AS j FROM (SELECT device, named_struct('f', {F}, 'k', device) AS s, {F} AS f FROM iot)"
    );
    for (rows, expected) in [
        (vec![(1, "z", 1), (1, "m", 0), (1, "a", 5)], "5.0 a NULL m [5.0] [NULL] a m"),
        (vec![(1, "z", 1), (1, "n", 9), (1, "m", 0), (1, "a", 5)], "NaN n NULL m [NaN] [NULL] n m"),
        (vec![(1, "z", 9), (1, "n", 4), (1, "a", 5)], "NaN z 4.0 n [NaN] [4.0] z n"),
    ] {
        for order in orders_of(&rows) {
            let one_by_one: Vec<&[Row<'_>]> = order.chunks(1).collect();
            for epochs in [vec![order.as_slice()], one_by_one] {
                let given = run(&sql, Update, &epochs);
                assert_eq!(given.last().unwrap(), &[expected], "{order:?}");
            }
        }
    }
}

#[test]
fn of_zeros_that_are_equal_the_next_field_decides() {
    let sql = "SELECT max(s).k AS a, min(s).k AS b, max(s).f AS c FROM (SELECT named_struct('f', CAST(device AS DOUBLE), 'k', n) AS s FROM iot)";
    let epochs: [&[Row<'_>]; 2] = [&[(1, "0.0", 1)], &[(2, "-0.0", 2)]];
    assert_eq!(run(sql, Update, &epochs)[1], ["2 1 -0.0"]);
}

#[test]
fn a_group_without_a_value_has_no_extreme() {
    let sql = "SELECT device, max(CASE WHEN n > 1 THEN struct(n, x) END).n AS a, min(array(n)) FILTER (WHERE n > 2) AS b FROM iot GROUP BY device";
    let epochs: [&[Row<'_>]; 2] = [&[(1, "a", 1), (2, "b", 2)], &[(3, "b", 3), (4, "a", 1)]];
    let given: Vec<Vec<String>> = run(sql, Complete, &epochs);
    assert_eq!(given[..2].concat(), ["a NULL NULL", "b 2 NULL", "a NULL NULL", "b 3 [3]"]);
}

#[test]
fn an_approximate_percentile_is_a_value_that_came() {
    let of = |sql: &str, devices: &[&'static str]| {
        let rows: Vec<Row<'_>> = devices.iter().map(|device| (1, *device, 0)).collect();
        let one_by_one: Vec<&[Row<'_>]> = rows.chunks(1).collect();
        let sql = format!("SELECT {sql} AS v FROM iot");
        let once = run(&sql, Update, &[&rows])[0].clone();
        assert_eq!(run(&sql, Update, &one_by_one)[rows.len() - 1], once, "{sql}");
        once[0].clone()
    };
    let double = "percentile_approx(CAST(device AS DOUBLE), array(0.0, 0.5, 1.0))";
    assert_eq!(of(double, &["1", "NaN"]), "[1.0, 1.0, NaN]");
    assert_eq!(of(double, &["Infinity", "1"]), "[1.0, 1.0, inf]");
    assert_eq!(of(double, &["NaN", "-Infinity", "Infinity"]), "[-inf, inf, NaN]");
    assert_eq!(of(double, &["10", "0.5", "2", "1"]), "[0.5, 1.0, 10.0]");
    assert_eq!(of("percentile_approx(CAST(device AS FLOAT), 0.5)", &["0.1", "0.3"]), "0.1");
    let long = "percentile_approx(CAST(device AS BIGINT), array(0.0, 0.5, 1.0))";
    assert_eq!(of(long, &["9007199254740993"]), "[9007199254740993, 9007199254740993, 9007199254740993]");
    assert_eq!(
        of(long, &["9223372036854775807", "-9223372036854775808", "9223372036854775806"]),
        "[-9223372036854775808, 9223372036854775806, 9223372036854775807]"
    );
    let decimal = "percentile_approx(CAST(device AS DECIMAL(38, 2)), 0.5)";
    assert_eq!(of(decimal, &["999999999999999999999999999999.99", "-1"]), "-1.00");
    assert_eq!(of(decimal, &["999999999999999999999999999999.99"]), "999999999999999999999999999999.99");
    assert_eq!(of("percentile_approx(CAST(nullif(device, '1') AS INT), 0.5)", &["1"]), "NULL");
    assert_eq!(
        of("percentile_approx(CAST(device AS INT), 0.5) FILTER (WHERE device > '1')", &["1", "2", "3"]),
        "2"
    );
}

#[test]
fn an_approximate_percentile_is_exact_for_few_values_and_near_for_many() {
    let numbers: Vec<i64> = (0..20_000).map(|i| i * 7_919 % 20_000).collect();
    let rows: Vec<Row<'_>> = numbers.iter().map(|number| (1, "a", *number)).collect();
    let sql = "SELECT percentile_approx(n, array(0.0, 0.01, 0.5, 0.99, 1.0)) AS a, percentile_approx(n % 700, array(0.0, 0.5, 1.0)) AS b FROM iot";
    let epochs: Vec<&[Row<'_>]> = rows.chunks(3_000).collect();
    let last = run(sql, Update, &epochs)[epochs.len() - 1][0].clone();
    let (many, few) = last.split_once("] ").unwrap();
    let many: Vec<f64> =
        many.trim_start_matches('[').split(", ").map(|number| number.parse().unwrap()).collect();
    for (told, right) in many.iter().zip([0.0, 199.0, 9_999.0, 19_799.0, 19_999.0]) {
        assert!((told - right).abs() < 200.0, "{many:?}");
    }
    assert_eq!((many[0], many[4]), (0.0, 19_999.0));
    // 20,000 numbers below 700: 28 or 29 of each.
    assert_eq!(few, "[0, 344, 699]");
}
