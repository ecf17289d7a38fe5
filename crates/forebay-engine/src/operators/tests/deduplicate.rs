//! De-duplication with the event time among the keys, without it, and within a time.

use proptest::prelude::*;

use super::*;
use crate::operators::deduplicate::Deduplication;
use crate::plan::graph::DeduplicateSpec;

pub(super) fn operator(keys: &[&str], event_time: bool, within: Option<i64>) -> Arc<dyn Operator> {
    let schema = schema();
    let spec = DeduplicateSpec {
        name: "deduplicate-0".to_owned(),
        keys: keys.iter().map(|key| schema.index_of(key).unwrap()).collect(),
        input: schema,
        told: Vec::new(),
        event_time: event_time.then_some(0),
        within_us: within.map(|ms| ms * 1_000),
    };
    Arc::new(Deduplication::new(Arc::new(spec)).unwrap())
}

#[test]
fn the_first_row_of_a_key_comes_out_by_lane_and_then_as_rows_came() {
    let mut world = World::new(operator(&["device"], false, None), Append, 0);
    let lanes = vec![
        vec![batch(&[(1, "a", 1), (2, "b", 2)]), batch(&[(3, "a", 3)])],
        vec![batch(&[(0, "b", 4), (9, "c", 5), (9, "c", 6)])],
    ];
    assert_eq!(lines(&world.lanes(lanes)), ["1 a 1 1.0", "2 b 2 2.0", "9 c 5 5.0"]);
    assert_eq!(world.epoch(&[(900, "c", 7), (0, "d", 8), (1, "d", 9)]), ["0 d 8 8.0"]);
    assert_eq!(world.counts, Counts { deduplicated: 5, ..Counts::default() });
    assert!(world.operator.passes_rows());
    assert!(world.settle().is_empty());
    assert_eq!(world.tables[0].len(), 4, "kept for ever");
}

#[test]
fn a_key_with_the_event_time_is_forgotten_when_the_watermark_reaches_it() {
    let mut world = World::new(operator(&["device", "ts"], true, None), Append, 5);
    assert_eq!(world.epoch(&[(10, "a", 1), (10, "a", 2), (12, "a", 3)]).len(), 2);
    assert_eq!(world.epoch(&[(17, "b", 1), (10, "a", 4)]).len(), 1);
    assert!(world.settle().is_empty());
    assert_eq!(world.tables[0].len(), 1, "10 and 12 are reached by 12");
    assert!(world.epoch(&[(12, "a", 5), (10, "c", 5)]).is_empty());
    assert_eq!(world.counts, Counts { deduplicated: 2, late: 2, ..Counts::default() });
    assert!(world.late[0].missed.is_none());
    assert_eq!(world.late[0].late_by_ms.values(), &[0, 2]);
}

#[test]
fn within_counts_from_the_first_row_and_is_not_moved_by_the_others() {
    let mut world = World::new(operator(&["device"], true, Some(10)), Append, 0);
    assert_eq!(world.epoch(&[(10, "a", 1)]).len(), 1);
    assert!(world.epoch(&[(19, "a", 2)]).is_empty(), "expires at 20");
    assert_eq!(world.epoch(&[(20, "b", 3)]).len(), 1);
    assert!(world.settle().is_empty());
    assert_eq!(world.tables[0].len(), 1);
    assert_eq!(world.epoch(&[(21, "a", 4)]), ["21 a 4 4.0"]);
}

#[test]
fn both_zeros_are_keys_and_every_nan_is_one() {
    let numbers = |values: &[f64]| {
        let mut columns = batch(&vec![(1, "a", 1); values.len()]).columns().to_vec();
        columns[3] = Arc::new(Float64Array::from(values.to_vec()));
        RecordBatch::try_new(schema(), columns).unwrap()
    };
    for keys in [&["x"][..], &["device", "x"]] {
        let mut world = World::new(operator(keys, false, None), Append, 0);
        let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        let given = lines(&world.lanes(vec![vec![numbers(&[-0.0, f64::NAN, 0.0, other_nan, -0.0])]]));
        assert_eq!(given, ["1 a 1 -0.0", "1 a 1 NaN", "1 a 1 0.0"], "{keys:?}");
        assert!(world.lanes(vec![vec![numbers(&[0.0, -0.0, -f64::NAN])]]).is_empty(), "{keys:?}");
    }
}

#[test]
fn rows_are_late_by_their_event_time_though_it_is_no_key() {
    let mut world = World::new(operator(&["device"], true, None), Append, 0);
    world.epoch(&[(50, "a", 1)]);
    world.settle();
    assert!(world.epoch(&[(50, "b", 1)]).is_empty());
    assert_eq!((world.counts.late, world.tables[0].len()), (1, 1));
}

#[test]
fn a_row_without_event_time_is_never_late() {
    let mut world = World::new(operator(&["device"], true, Some(10)), Append, 0);
    world.epoch(&[(50, "a", 1)]);
    world.settle();
    let rows = RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(TimestampMicrosecondArray::from(vec![None, None]).with_data_type(utc())) as ArrayRef,
            Arc::new(StringViewArray::from_iter_values(["n", "n"])),
            Arc::new(Int64Array::from(vec![1, 2])),
            Arc::new(Float64Array::from(vec![0.0, -0.0])),
        ],
    )
    .unwrap();
    assert_eq!(lines(&world.lanes(vec![vec![rows.clone()]])).len(), 1);
    assert_eq!(
        lines(&world.lanes(vec![vec![rows.clone()]])).len(),
        1,
        "Spark forgets it at once, as if it were of 1970"
    );
    let mut world = World::new(operator(&["x"], false, None), Append, 0);
    assert_eq!(lines(&world.lanes(vec![vec![rows]])).len(), 2, "-0.0 is not 0.0");
}

proptest! {
    #[test]
    fn each_key_comes_out_once_however_rows_are_cut(
        rows in prop::collection::vec((1_i64..30, prop_oneof![Just("a"), Just("b"), Just("c")], 0_i64..5), 0..80),
        cut in 0_usize..80, lanes in 1_usize..4,
    ) {
        let mut world = World::new(operator(&["device", "n"], true, Some(1_000)), Append, 1_000);
        let (first, second) = rows.split_at(cut.min(rows.len()));
        let mut given = Vec::new();
        for rows in [first, second] {
            let lane = |lane: usize| rows.iter().skip(lane).step_by(lanes).copied().collect::<Vec<_>>();
            given.extend(lines(&world.lanes((0..lanes).map(|n| vec![batch(&lane(n))]).collect())));
        }
        let keys: std::collections::BTreeSet<_> = rows.iter().map(|row| (row.1, row.2)).collect();
        let out: std::collections::BTreeSet<_> = given.iter().map(|row| row.split(' ').skip(1).collect::<Vec<_>>().join(" ")).collect();
        prop_assert_eq!(given.len(), keys.len());
        prop_assert_eq!(out.len(), keys.len());
        prop_assert_eq!(world.counts.deduplicated as usize, rows.len() - keys.len());
    }
}
