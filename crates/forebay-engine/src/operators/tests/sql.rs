//! SQL as the planner hands it on: stages in the lane, operators behind it, epoch after epoch.

use forebay_core::Zone;

use super::*;
use crate::operators::operator;
use crate::plan::graph::StepPlan;
use crate::plan::{Catalog, Fates, SourceColumns, SourceTime, plan_query};

/// What each of these epochs gives, and what the one without data behind the last gives. The watermark is 5 ms behind.
pub(super) fn run(sql: &str, mode: OutputMode, epochs: &[&[Row<'_>]]) -> Vec<Vec<String>> {
    run_in(Zone::UTC, sql, mode, epochs)
}

pub(super) fn catalog_in(zone: Zone) -> Catalog {
    let mut catalog = Catalog::in_zone(zone);
    catalog.add_source("iot", SourceColumns::Decoded(schema())).unwrap();
    catalog.set_watermark("iot", SourceTime { column: "ts".to_owned(), delay_ms: 5 });
    catalog
}

fn run_in(zone: Zone, sql: &str, mode: OutputMode, epochs: &[&[Row<'_>]]) -> Vec<Vec<String>> {
    let plan =
        plan_query(&catalog_in(zone), sql, None, mode, None).map_err(forebay_core::Error::from).unwrap();
    let steps: Vec<&StepPlan> = plan.graph().steps.iter().map(|step| &step.plan).collect();
    let mut worlds: Vec<Option<World>> = steps
        .iter()
        .map(|step| operator(step).unwrap().map(|operator| World::new(operator, mode, 0)))
        .collect();
    let (mut late, mut evict, mut highest) = (0, 0, 0);
    let mut given = Vec::new();
    let nothing: &[Row<'_>] = &[];
    for epoch in epochs.iter().copied().chain([nothing]) {
        let mut fates = Fates::default();
        let mut rows = vec![plan.executor(0).process(batch(epoch), &mut fates).unwrap()];
        for (step, world) in steps.iter().copied().zip(&mut worlds) {
            rows = match (step, world) {
                (StepPlan::Stages(staged), _) => {
                    let mut executor = staged.executor(0);
                    rows.into_iter().map(|rows| executor.process(rows, &mut fates).unwrap()).collect()
                }
                (StepPlan::Sort(sort), _) => vec![sort.run(&rows).unwrap()],
                (_, Some(world)) => {
                    (world.watermark, world.times.evict) = (evict, Watermark(late));
                    world.lanes(vec![rows])
                }
                (_, None) => unreachable!("every other step has an operator"),
            };
        }
        given.push(lines(&rows));
        late = evict;
        highest = epoch.iter().map(|row| row.0).fold(highest, i64::max);
        evict = evict.max(highest - 5);
    }
    given
}

#[test]
fn windows_of_a_statement() {
    let sql = "SELECT window.start AS s, device, count(*) AS c, avg(x) AS a FROM iot GROUP BY window(ts, '10 milliseconds'), device HAVING count(*) > 1";
    let epochs: [&[Row<'_>]; 2] =
        [&[(1, "a", 1), (3, "a", 2), (2, "b", 9), (12, "a", 4)], &[(18, "a", 6), (9, "a", 6)]];
    assert_eq!(run(sql, Append, &epochs), [vec![], vec![], vec!["0 a 3 3.0"]]);
    assert_eq!(run(sql, Update, &epochs), [vec!["0 a 2 1.5"], vec!["0 a 3 3.0", "10 a 2 5.0"], vec![]]);
}

/// A spring day of Berlin, 23 hours long, in milliseconds.
const DAY: (i64, i64) = (1_711_839_600_000, 1_711_922_400_000);

#[test]
fn days_of_the_calendar_end_by_the_watermark() {
    let berlin = Zone::read("Europe/Berlin").unwrap();
    let (start, end) = DAY;
    let epochs: [&[Row<'_>]; 2] = [
        &[(start - 1, "a", 0), (start, "a", 1), (end - 1, "a", 2), (end, "b", 3)],
        &[(end - 2, "a", 4), (end + 5, "a", 5)],
    ];
    let day = format!("{start}-{end} a 3");
    let before = format!("{}-{start} a 1", start - 86_400_000);
    for (zone, call) in
        [(berlin, "calendar_window(ts, 'day')"), (Zone::UTC, "calendar_window(ts, 'day', 'Europe/Berlin')")]
    {
        let sql = format!("SELECT calendar_window, device, count(*) AS c FROM iot GROUP BY {call}, device");
        let given = run_in(zone, &sql, Append, &epochs);
        assert_eq!(given, [vec![], vec![before.clone()], vec![day.clone()]], "{sql}");
        let mut last = run_in(zone, &sql, Complete, &epochs).pop().unwrap();
        last.sort();
        let open = |device: &str| format!("{end}-{} {device} 1", end + 86_400_000);
        assert_eq!(last, [before.clone(), day.clone(), open("a"), open("b")], "{sql}");
    }
    let sql = "SELECT calendar_window.end AS e, window_time(calendar_window) AS t, count(*) AS c FROM iot \
               GROUP BY calendar_window(ts, 'day') HAVING count(*) > 2";
    let given = run_in(berlin, sql, Update, &epochs[..1]);
    assert_eq!(given, [Vec::<String>::new(), vec![]]);
    let given = run_in(berlin, sql, Update, &epochs);
    assert_eq!(given[1], [format!("{end} {} 3", end - 1)]);
}

#[test]
fn a_row_too_late_for_its_day_tells_the_day_that_it_missed() {
    let (start, end) = DAY;
    let sql =
        "SELECT calendar_window, device, count(*) AS c FROM iot GROUP BY calendar_window(ts, 'day'), device";
    let catalog = catalog_in(Zone::read("Europe/Berlin").unwrap());
    let plan = plan_query(&catalog, sql, None, Append, None).map_err(forebay_core::Error::from).unwrap();
    let (step, mut world) = plan
        .graph()
        .steps
        .iter()
        .find_map(|step| Some((&step.plan, World::new(operator(&step.plan).unwrap()?, Append, 0))))
        .unwrap();
    assert!(matches!(step, StepPlan::Aggregate(spec) if spec.watermarked && spec.window.is_none()));
    (world.times.evict, world.watermark) = (Watermark(end), end);
    let rows: &[Row<'_>] = &[(end - 1, "a", 1), (start - 1, "b", 2), (end, "c", 3)];
    let rows = plan.executor(0).process(batch(rows), &mut Fates::default()).unwrap();
    world.lanes(vec![vec![rows]]);
    let [late] = world.late.as_slice() else { panic!("{:?}", world.late) };
    assert_eq!(late.late_by_ms.values().as_ref(), [1, end - start + 1]);
    let (starts, ends) = late.missed.as_ref().unwrap();
    let micros = |times: &[i64]| times.iter().map(|ms| ms * 1_000).collect::<Vec<i64>>();
    assert_eq!(starts.values().to_vec(), micros(&[start, start - 86_400_000]));
    assert_eq!(ends.values().to_vec(), micros(&[end, start]));
}

#[test]
fn a_day_of_days_ends_too() {
    let (start, end) = DAY;
    let sql = "SELECT calendar_window(w, 'month', 'Europe/Berlin') AS m, sum(c) AS c FROM \
               (SELECT calendar_window AS w, device, count(*) AS c FROM iot GROUP BY calendar_window(ts, 'day', 'Europe/Berlin'), device) \
               GROUP BY calendar_window(w, 'month', 'Europe/Berlin')";
    let epochs: [&[Row<'_>]; 2] = [&[(start, "a", 1), (start + 1, "b", 1)], &[(end + 10, "a", 1)]];
    let given = run(sql, Append, &epochs);
    assert_eq!(given.last().unwrap(), &[format!("{}-{end} 2", 1_709_247_600_000_i64)]);
}

#[test]
fn state_is_good_in_another_zone_where_no_zone_is_in_it() {
    let layout = |zone: &str, sql: &str| {
        let catalog = catalog_in(Zone::read(zone).unwrap());
        let plan = plan_query(&catalog, sql, None, Update, None).map_err(forebay_core::Error::from).unwrap();
        let found = plan.graph().steps.iter().find_map(|step| operator(&step.plan).unwrap()).unwrap();
        found.layouts().iter().map(|layout| format!("{layout:?}")).collect::<Vec<_>>()
    };
    let by_hour =
        "SELECT window, hour(window.start) AS h, count(*) AS c FROM iot GROUP BY window(ts, '1 hour')";
    assert_eq!(layout("UTC", by_hour), layout("Europe/Berlin", by_hour));
    for sql in [
        "SELECT date_trunc('DAY', ts) AS d, count(*) AS c FROM iot GROUP BY date_trunc('DAY', ts)",
        "SELECT device, max(date_format(ts, 'HH:mm')) AS m FROM iot GROUP BY device",
        "SELECT count(*) FILTER (WHERE hour(ts) < 12) AS m FROM iot",
        "SELECT calendar_window, count(*) AS c FROM iot GROUP BY calendar_window(ts, 'day')",
    ] {
        assert_ne!(layout("UTC", sql), layout("Europe/Berlin", sql), "{sql}");
        assert_ne!(layout("America/New_York", sql), layout("Europe/Berlin", sql), "{sql}");
        assert_eq!(layout("Europe/Berlin", sql), layout("Europe/Berlin", sql), "{sql}");
    }
}

#[test]
fn sessions_of_a_statement() {
    let sql = "SELECT session_window, device, sum(n) AS s FROM iot GROUP BY session_window(ts, '10 milliseconds'), device";
    let epochs: [&[Row<'_>]; 2] = [&[(1, "a", 1), (30, "b", 2)], &[(40, "b", 3), (60, "a", 4)]];
    assert_eq!(run(sql, Append, &epochs), [vec![], vec!["1-11 a 1"], vec!["30-50 b 5"]]);
}

#[test]
fn windows_of_windows_of_a_statement() {
    let sql = "SELECT window(w, '20 milliseconds') AS outer_window, sum(c) AS c FROM (SELECT window AS w, device, count(*) AS c FROM iot GROUP BY window(ts, '10 milliseconds'), device) GROUP BY window(w, '20 milliseconds')";
    let epochs: [&[Row<'_>]; 2] = [&[(1, "a", 1), (2, "b", 1), (15, "a", 1)], &[(30, "a", 1)]];
    assert_eq!(run(sql, Append, &epochs), [vec![], vec![], vec!["0-20 3"]]);
}

#[test]
fn aggregates_of_a_statement() {
    let sql = "SELECT count(*) AS c, sum(n) AS s, max_by(device, n) AS d, count_if(n > 2) AS m, approx_count_distinct(device) AS u, stddev_pop(x) AS p, min(device) AS i FROM iot";
    let epochs: [&[Row<'_>]; 2] = [&[(1, "b", 1), (2, "c", 5)], &[(3, "a", 3)]];
    let given = run(sql, Update, &epochs);
    assert_eq!(given[0], ["2 6 c 1 2 2.0 b"]);
    assert!(
        given[1][0].starts_with("3 9 c 2 3 1.63299316185545") && given[1][0].ends_with(" a"),
        "{given:?}"
    );
    assert_eq!(given[2], given[1], "a row in every epoch");
}

/// What docs/sql.md promises of them, over epochs.
#[test]
fn approximate_functions_are_as_near_as_the_docs_say() {
    const VALUES: i64 = 60_000;
    let numbers: Vec<i64> = (0..100_000).map(|i| i * 7 % VALUES).collect();
    let names: Vec<String> = numbers.iter().map(|n| format!("device-{n}")).collect();
    let rows: Vec<Row<'_>> =
        names.iter().zip(&numbers).map(|(name, number)| (1, name.as_str(), *number)).collect();
    let sql = "SELECT approx_count_distinct(device) AS a, approx_count_distinct(n) AS b, approx_count_distinct(x) AS c, \
               percentile_approx(n, 0.1) AS d, percentile_approx(x, 0.5) AS e, percentile_approx(n, 0.99) AS f FROM iot";
    let epochs: Vec<&[Row<'_>]> = rows.chunks(30_000).collect();
    let given = run(sql, Update, &epochs);
    let told: Vec<f64> = given[3][0].split(' ').map(|value| value.parse().unwrap()).collect();
    for (place, told) in told.iter().enumerate() {
        let (right, apart) = match place {
            3 => (0.1, 0.02),
            4 => (0.5, 0.02),
            5 => (0.99, 0.02),
            _ => (1.0, 0.05),
        };
        let (right, apart) = (right * VALUES as f64, apart * VALUES as f64);
        assert!((told - right).abs() <= apart, "{place}: {told}, not {right}");
    }
}

#[test]
fn a_column_and_a_cast_of_it_are_two_aggregates() {
    let sql = "SELECT avg(x) AS a, mean(x) AS b, avg(CAST(x AS DECIMAL(12, 3))) AS c, sum(n) AS d, sum(CAST(n AS DECIMAL(10, 0))) AS e, \
               count(CAST(n AS DOUBLE)) FILTER (WHERE CAST(n AS STRING) = '2') AS f, count(CAST(n AS DOUBLE)) AS g FROM iot";
    assert_eq!(run(sql, Update, &[&[(1, "a", 1), (2, "a", 2)]])[0], ["1.5 1.5 1.5000000 3 3 1 2"]);
}

#[test]
fn an_average_of_decimals_is_rounded_half_up() {
    let sql = "SELECT avg(CAST(x AS DECIMAL(12, 3))) AS a, avg(CAST(-x AS DECIMAL(5, 0))) AS b, avg(CAST(NULL AS DECIMAL(5, 0))) AS c FROM iot";
    let epochs: [&[Row<'_>]; 2] =
        [&[(1, "a", 1), (2, "a", 1), (3, "a", 0)], &[(4, "a", 0), (5, "a", 0), (6, "a", 3)]];
    assert_eq!(run(sql, Update, &epochs)[..2], [["0.6666667 -0.6667 NULL"], ["0.8333333 -0.8333 NULL"]]);
}

#[test]
fn gathered_lists_leave_nulls_out() {
    let sql = "SELECT array_agg(try_cast(device AS INT)) AS l, sum(CAST(n AS INT) + 1L) AS s FROM iot";
    assert_eq!(run(sql, Update, &[&[(1, "7", 2_147_483_647), (2, "x", 1)]])[0], ["[7] 2147483650"]);
}

#[test]
fn of_equals_the_later_is_the_greatest_and_the_least() {
    let sql = "SELECT max_by(device, x) AS a, min_by(device, n) AS b, max_by(device, n) FILTER (WHERE n < 2) AS c FROM iot";
    let epochs: [&[Row<'_>]; 3] =
        [&[(1, "a", 1), (2, "b", 1)], &[(3, "c", 1), (4, "d", 2)], &[(5, "e", 2), (6, "f", 0)]];
    assert_eq!(run(sql, Update, &epochs)[..3], [["b b b"], ["d c c"], ["e f c"]]);
}

#[test]
fn nan_is_above_every_other_number() {
    let sql = "SELECT min(d) AS a, max(d) AS b, sort_array(collect_list(d), false) AS l, min(CAST(d AS FLOAT)) AS f \
               FROM (SELECT CAST(device AS DOUBLE) AS d FROM iot)";
    let epochs: [&[Row<'_>]; 3] =
        [&[(1, "NaN", 1)], &[(2, "NaN", 1), (3, "1", 1), (4, "-Infinity", 1)], &[(5, "Infinity", 1)]];
    let given = run(sql, Update, &epochs);
    let expected = [
        "NaN NaN [NaN] NaN",
        "-inf NaN [NaN, NaN, 1.0, -inf] -inf",
        "-inf NaN [NaN, NaN, inf, 1.0, -inf] -inf",
    ];
    assert_eq!(given[..3].concat(), expected);
    let least = run("SELECT max(x) AS a, min(-x) AS b FROM iot", Update, &[&[(1, "a", -5)], &[(2, "a", -7)]]);
    assert_eq!(least[..2], [["-5.0 5.0"], ["-5.0 5.0"]]);
}

#[test]
fn functions_that_are_there_to_be_simplified_stand_in_groups_and_aggregates() {
    let sql = "SELECT date_trunc('SECOND', ts) AS s, max(date_trunc('SECOND', ts)) FILTER (WHERE date_trunc('SECOND', ts) IS NOT NULL) AS m \
               FROM iot GROUP BY date_trunc('SECOND', ts)";
    assert_eq!(run(sql, Update, &[&[(1, "a", 1), (1_700, "a", 1)]])[0], ["0 0", "1000 1000"]);
}

#[test]
fn what_is_kept_of_a_group_gives_over_epochs_what_all_rows_give_at_once() {
    let rows: Vec<Row<'_>> =
        (0..40).map(|i| (i, ["a", "b", "c", "b"][i as usize % 4], i * i % 23 - 7)).collect();
    for function in [
        "median(n)",
        "percentile(x, array(0.0, 0.3, 0.5, 1.0))",
        "percentile(n, 0.9, abs(n))",
        "percentile(n, 0.25) FILTER (WHERE n > 100)",
        "percentile_cont(0.4) WITHIN GROUP (ORDER BY n)",
        "percentile_cont(0.4) WITHIN GROUP (ORDER BY n DESC)",
        "percentile_disc(0.4) WITHIN GROUP (ORDER BY x)",
        "percentile_disc(array(0.1, 0.9)) WITHIN GROUP (ORDER BY x DESC)",
        "percentile_cont(array(0.1, 0.9)) WITHIN GROUP (ORDER BY x DESC)",
        "percentile_approx(n, 1.0)",
        "percentile_approx(x, array(0.0, 1.0))",
        "round(corr(n, unix_micros(ts)), 6)",
        "round(covar_pop(n, x), 6)",
        "round(covar_samp(n, x), 6)",
        "regr_count(n, x)",
        "round(regr_avgx(n, x) + regr_avgy(n, x), 6)",
        "round(regr_sxx(n, x) + regr_syy(n, x) + regr_sxy(n, x), 4)",
        "round(regr_slope(n, unix_micros(ts)), 6)",
        "round(regr_intercept(n, x), 6)",
        "round(regr_r2(n, unix_micros(ts)), 6)",
        "round(skewness(n), 6)",
        "round(kurtosis(x), 6)",
        "bit_and(n)",
        "bit_or(n)",
        "bit_xor(n)",
        "listagg(device, '-')",
        "listagg(device) WITHIN GROUP (ORDER BY n DESC, x)",
        "max(struct(n, device)).device",
        "min(struct(device, x)).x",
        "any_value(n)",
        "mode(n % 3)",
        "mode(device)",
        "try_sum(n)",
        "try_avg(n)",
        "bool_and(n > -8)",
        "last(n, true)",
    ] {
        let sql = format!("SELECT device, {function} AS v FROM iot GROUP BY device");
        let once = run(&sql, Complete, &[&rows]);
        let chunks: Vec<&[Row<'_>]> = rows.chunks(7).collect();
        let many = run(&sql, Complete, &chunks);
        assert_eq!(once.last(), many.last(), "{function}");
        assert_eq!(once.last().map(Vec::len), Some(3), "{function}");
    }
}

#[test]
fn exact_percentiles_are_doubles_between_two_numbers() {
    let sql = "SELECT median(n) AS a, percentile(n, array(0.25, 1.0)) AS b, percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS c, \
               median(CAST(NULL AS INT)) AS d, percentile_approx(n, array(0.0, 1.0)) AS e FROM iot";
    let epochs: [&[Row<'_>]; 2] = [&[(1, "a", 4), (2, "a", 1)], &[(3, "a", 10)]];
    let given = run(sql, Update, &epochs);
    assert_eq!(given[..2], [["2.5 [1.75, 4.0] 1.0 NULL [1, 4]"], ["4.0 [2.5, 10.0] 4.0 NULL [1, 10]"]]);
    let sql = "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY n DESC) AS a, \
               percentile_disc(array(0.0, 1.0)) WITHIN GROUP (ORDER BY n DESC) AS b, \
               percentile_cont(array(0.1, 0.5)) WITHIN GROUP (ORDER BY n DESC) AS c FROM iot";
    let given = run(sql, Update, &epochs);
    assert_eq!(given[..2], [["4.0 [4.0, 1.0] [3.7, 2.5]"], ["4.0 [10.0, 1.0] [8.8, 4.0]"]]);
}

#[test]
fn a_limit_gives_the_first_rows_of_all_epochs() {
    let epochs: [&[Row<'_>]; 3] = [&[(1, "a", 1), (2, "b", -1)], &[(3, "c", 2), (4, "d", 3)], &[(5, "e", 4)]];
    let given = run("SELECT device FROM iot WHERE n > 0 LIMIT 2", Append, &epochs);
    assert_eq!(given, [vec!["a"], vec!["c"], vec![], vec![]]);
    let given = run(
        "SELECT device, count(*) AS c FROM (SELECT * FROM iot LIMIT 3) GROUP BY device",
        Complete,
        &epochs,
    );
    assert_eq!(given[3], ["a 1", "b 1", "c 1"]);
}

#[test]
fn each_row_is_in_a_group_of_each_set() {
    let sql = "SELECT device, n, grouping(n) AS g, grouping_id() AS i, count(*) AS c FROM iot GROUP BY ROLLUP (device, n)";
    let epochs: [&[Row<'_>]; 2] = [&[(1, "a", 1), (2, "b", 1)], &[(3, "a", 1), (4, "a", 2)]];
    let given = run(sql, Complete, &epochs);
    let mut last = given[1].clone();
    last.sort();
    assert_eq!(
        last,
        ["NULL NULL 1 3 4", "a 1 0 0 2", "a 2 0 0 1", "a NULL 1 1 3", "b 1 0 0 1", "b NULL 1 1 1"]
    );
    let with = run(&sql.replace("ROLLUP (device, n)", "device, n WITH ROLLUP"), Complete, &epochs);
    assert_eq!(with, given);
}

#[test]
fn the_groups_of_each_set_end_with_their_window() {
    for (windows, expected) in [
        ("'10 milliseconds'", ["0 NULL 2", "0 a 1", "0 b 1"].as_slice()),
        (
            "'10 milliseconds', '5 milliseconds'",
            ["-5 NULL 1", "-5 a 1", "0 NULL 2", "0 a 1", "0 b 1", "5 NULL 1", "5 b 1"].as_slice(),
        ),
    ] {
        let sql = format!(
            "SELECT window.start AS s, device, count(*) AS c FROM iot GROUP BY window(ts, {windows}), ROLLUP (device)"
        );
        let epochs: [&[Row<'_>]; 2] = [&[(1, "a", 1), (7, "b", 1)], &[(30, "a", 1)]];
        let mut given = run(&sql, Append, &epochs)[2].clone();
        given.sort();
        assert_eq!(given, expected, "{windows}");
    }
}
