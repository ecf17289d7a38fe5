//! Aggregates of every kind: what they keep over epochs, lanes and panes.

use arrow::array::BooleanArray;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::approx_distinct::approx_distinct_udaf;
use datafusion::functions_aggregate::approx_percentile_cont::approx_percentile_cont_udaf;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::first_last::{first_value_udaf, last_value_udaf};
use datafusion::functions_aggregate::min_max::min_udaf;
use datafusion::functions_aggregate::stddev::stddev_udaf;
use datafusion::functions_aggregate::string_agg::string_agg_udaf;
use datafusion::functions_aggregate::variance::var_samp_udaf;
use datafusion::logical_expr::Operator as Op;
use datafusion::physical_expr::expressions::{BinaryExpr, Literal, lit};
use datafusion_spark::function::aggregate::collect::{SparkCollectList, SparkCollectSet};

use super::*;
use crate::operators::accumulators::Aggregates;

fn every_kind() -> Vec<Arc<AggregateFunctionExpr>> {
    let n = || vec![column("n")];
    vec![
        call(avg_udaf(), vec![column("x")], "avg"),
        call(min_udaf(), vec![column("device")], "min"),
        call(stddev_udaf(), vec![column("x")], "stddev"),
        call(var_samp_udaf(), vec![column("x")], "variance"),
        call(approx_distinct_udaf(), vec![column("device")], "approx_count_distinct"),
        call(approx_percentile_cont_udaf(), vec![column("x"), lit(0.5)], "percentile_approx"),
        call(first_value_udaf(), n(), "first"),
        call(last_value_udaf(), n(), "last"),
        call(Arc::new(AggregateUDF::from(SparkCollectList::new())), n(), "collect_list"),
        call(Arc::new(AggregateUDF::from(SparkCollectSet::new())), n(), "collect_set"),
    ]
}

#[test]
fn every_kind_gives_the_same_in_one_epoch_and_in_many() {
    let grouping = |window| Grouping {
        keys: vec![],
        window,
        aggregates: every_kind(),
        filters: vec![None; 10],
        ..Grouping::default()
    };
    let rows: Vec<Row<'_>> = (0..12).map(|i| (i, ["a", "b", "c"][i as usize % 3], i)).collect();
    for window in [None, Some((20, 20)), Some((20, 10)), Some((30, 7))] {
        let mut once = World::new(grouping(window).operator(), Complete, 0);
        let whole = once.epoch(&rows);
        let mut many = World::new(grouping(window).operator(), Complete, 0);
        many.lanes(Vec::new());
        for rows in rows.chunks(3) {
            many.lanes(vec![vec![batch(&rows[..1])], vec![batch(&rows[1..])]]);
        }
        let given = many.lanes(Vec::new());
        // A set has no order; sums of squares end with other digits.
        let text = |lines: Vec<String>| -> Vec<String> {
            let cell =
                |cell: &str| cell.parse::<f64>().map_or(cell.to_owned(), |value| format!("{value:.9}"));
            let kept = lines.iter().map(|line| line.rsplit_once(" [").unwrap().0);
            kept.map(|line| line.split(' ').map(cell).collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(text(lines(&given)), text(whole), "{window:?}");
    }
}

#[test]
fn a_list_is_in_the_order_of_lanes_and_rows_and_keeps_it() {
    let list = Arc::new(AggregateUDF::from(SparkCollectList::new()));
    let grouping = Grouping {
        aggregates: vec![call(list, vec![column("n")], "list")],
        filters: vec![None],
        watermarked: false,
        ..Grouping::default()
    };
    let mut world = World::new(grouping.operator(), Update, 0);
    assert_eq!(world.epoch(&[(1, "a", 3), (0, "a", 1)]), ["a [3, 1]"]);
    let lanes =
        vec![vec![batch(&[(0, "a", 9), (0, "b", 2)]), batch(&[(0, "a", 8)])], vec![batch(&[(0, "a", 7)])]];
    assert_eq!(lines(&world.lanes(lanes)), ["a [3, 1, 9, 8, 7]", "b [2]"]);
}

#[test]
fn a_list_or_set_that_is_too_long_is_refused_with_a_hint() {
    let numbers: Vec<i64> = (0..100_001).collect();
    let rows = raw(&[0; 100_001], &["a"; 100_001], &numbers);
    for gathered in [AggregateUDF::from(SparkCollectList::new()), AggregateUDF::from(SparkCollectSet::new())]
        .map(Arc::new)
    {
        let call = call(gathered, vec![column("n")], "list");
        let aggregates = Aggregates::new(&[call], &[None], &schema()).unwrap();
        for (length, fits) in [(100_000, true), (100_001, false)] {
            let mut accumulators = aggregates.accumulators().unwrap();
            accumulators.update(&rows.slice(0, length), &vec![0; length], 1).unwrap();
            let state = accumulators.state(1);
            assert_eq!(state.is_ok(), fits);
            if let Err(error) = state {
                assert_eq!(error.code().id, "FB-4005");
                assert!(
                    error.message().contains("`list` would hold 100001 values")
                        && error.hint().contains("smaller window")
                );
            }
        }
    }
}

#[test]
fn a_text_of_many_that_is_too_long_is_refused_with_a_hint() {
    let listed = call(string_agg_udaf(), vec![column("device"), lit("")], "texts");
    let aggregates = Aggregates::new(&[listed], &[None], &schema()).unwrap();
    let text = "x".repeat(1 << 10);
    let rows = raw(&[0; 1_025], &[text.as_str(); 1_025], &[1; 1_025]);
    for (length, fits) in [(1_024, true), (1_025, false)] {
        let mut accumulators = aggregates.accumulators().unwrap();
        accumulators.update(&rows.slice(0, length), &vec![0; length], 1).unwrap();
        let state = accumulators.state(1);
        assert_eq!(state.is_ok(), fits);
        if let Err(error) = state {
            assert!(error.message().contains("`texts` would hold 1049600 bytes"), "{}", error.message());
        }
    }
}

#[test]
fn a_filter_keeps_an_argument_from_failing() {
    // sum(10 / n) FILTER (WHERE n <> 0): a row that the filter refuses is not divided by.
    let ten: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::Int64(Some(10))));
    let quotient: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(ten, Op::Divide, column("n")));
    let zero: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::Int64(Some(0))));
    let not_zero: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(column("n"), Op::NotEq, zero));
    let grouping = Grouping {
        aggregates: vec![
            call(sum_udaf(), vec![quotient], "sum"),
            call(count_udaf(), vec![column("n")], "count"),
            call(count_udaf(), vec![column("n")], "all"),
        ],
        filters: vec![Some(Arc::clone(&not_zero)), Some(not_zero), None],
        watermarked: false,
        ..Grouping::default()
    };
    let mut world = World::new(grouping.operator(), Update, 0);
    assert_eq!(world.epoch(&[(0, "a", 0), (0, "a", 5), (0, "a", 2), (0, "b", 0)]), ["a 7 2 3", "b NULL 0 1"]);
}

#[test]
fn a_group_that_saw_only_nulls_has_no_sum_wherever_it_is_merged() {
    let unknown = |rows: &[Row<'_>]| {
        let mut columns = batch(rows).columns().to_vec();
        columns[2] = Arc::new(Int64Array::from(vec![None; rows.len()]));
        RecordBatch::try_new(schema(), columns).unwrap()
    };
    for (size, slide) in [(10, 10), (20, 10), (30, 7)] {
        let mut world = World::new(windowed(size, slide), Complete, 0);
        world.lanes(vec![vec![batch(&[(1, "a", 1)])], vec![unknown(&[(1, "b", 0), (25, "b", 0)])]]);
        world.lanes(vec![vec![unknown(&[(2, "b", 0)])], vec![batch(&[(2, "a", 2), (25, "a", 4)])]]);
        for line in world.epoch(&[(90, "c", 9)]) {
            let known = !line.contains(" b ");
            assert_eq!(line.ends_with(" b 0 NULL NULL"), !known, "{line}");
        }
    }
}

#[test]
fn a_filter_that_is_null_refuses() {
    let whole = batch(&[(0, "a", 1), (0, "a", 2), (0, "a", 4)]);
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("f", DataType::Boolean, true),
    ]));
    let columns: Vec<ArrayRef> =
        vec![Arc::clone(whole.column(2)), Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))];
    let rows = RecordBatch::try_new(schema, columns).unwrap();
    let number: Arc<dyn PhysicalExpr> = Arc::new(Column::new("n", 0));
    let sum = AggregateExprBuilder::new(sum_udaf(), vec![number])
        .schema(rows.schema())
        .alias("sum")
        .build()
        .unwrap();
    let filter: Arc<dyn PhysicalExpr> = Arc::new(Column::new("f", 1));
    let aggregates = Aggregates::new(&[Arc::new(sum)], &[Some(filter)], &rows.schema()).unwrap();
    let mut accumulators = aggregates.accumulators().unwrap();
    accumulators.update(&rows, &[0, 0, 0], 1).unwrap();
    let result = accumulators.evaluate(1).unwrap();
    assert_eq!(result[0].as_primitive::<arrow::datatypes::Int64Type>().values(), &[1]);
}
