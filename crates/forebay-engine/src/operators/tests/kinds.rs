//! Aggregates of every kind: what they keep over epochs, lanes and panes.

use arrow::array::BooleanArray;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::string_agg::string_agg_udaf;
use datafusion::logical_expr::Operator as Op;
use datafusion::physical_expr::expressions::{BinaryExpr, Literal, lit};
use datafusion_spark::function::aggregate::collect::{SparkCollectList, SparkCollectSet};
use forebay_core::Zone;

use super::sql::catalog_in;
use super::*;
use crate::operators::accumulators::Aggregates;
use crate::operators::operator;
use crate::plan::{Fates, plan_query};

/// As the planner makes them, over lanes, epochs and the panes of a window.
#[test]
fn every_kind_gives_the_same_in_one_epoch_and_in_many() {
    let rows: Vec<Row<'_>> = (0..40).map(|i| (i, ["a", "b", "c"][i as usize % 3], i * i % 11)).collect();
    let grouping = |times: &str| format!(" GROUP BY window(ts, {times})");
    for by in [
        String::new(),
        grouping("'20 milliseconds'"),
        grouping("'20 milliseconds', '10 milliseconds'"),
        grouping("'30 milliseconds', '7 milliseconds'"),
    ] {
        let sql = format!(
            "SELECT avg(x) AS a, min(device) AS b, stddev(x) AS c, variance(x) AS d, approx_count_distinct(device) AS e, \
             percentile_approx(x, 0.5) AS f, first(n) AS g, last(n) AS h, collect_list(n) AS i, collect_set(n) AS j FROM iot{by}"
        );
        let plan = plan_query(&catalog_in(Zone::UTC), &sql, None, Complete, None);
        let plan = plan.map_err(forebay_core::Error::from).unwrap();
        let given = |rows: &[Row<'_>]| plan.executor(0).process(batch(rows), &mut Fates::default()).unwrap();
        let of_plan = || {
            let found = plan.graph().steps.iter().find_map(|step| operator(&step.plan).unwrap());
            World::new(found.unwrap(), Complete, 0)
        };
        let (mut once, mut many) = (of_plan(), of_plan());
        let whole = once.lanes(vec![vec![given(&rows)]]);
        many.lanes(Vec::new());
        for rows in rows.chunks(7) {
            many.lanes(vec![vec![given(&rows[..1])], vec![given(&rows[1..])]]);
        }
        assert_eq!(comparable(&many.lanes(Vec::new())), comparable(&whole), "{by}");
    }
}

/// Lines whose last cell is a set, which has no order; sums of squares end with other digits.
fn comparable(rows: &[RecordBatch]) -> Vec<(String, Vec<String>)> {
    let cell = |cell: &str| cell.parse::<f64>().map_or(cell.to_owned(), |value| format!("{value:.9}"));
    let parts = |line: String| {
        let (kept, set) = line.rsplit_once(" [").unwrap();
        let mut set: Vec<String> = set.trim_end_matches(']').split(", ").map(str::to_owned).collect();
        set.sort_unstable();
        (kept.split(' ').map(cell).collect::<Vec<_>>().join(" "), set)
    };
    let parts: Vec<_> = lines(rows).into_iter().map(parts).collect();
    assert!(parts.iter().any(|(_, set)| set.len() > 3), "{parts:?}");
    parts
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
