//! LIMIT: the first rows of all epochs.

use super::*;
use crate::operators::limit::Limit;
use crate::plan::graph::LimitSpec;

fn world(most: usize) -> World {
    let spec = LimitSpec { name: "limit-0".to_owned(), most };
    World::new(Arc::new(Limit::new(Arc::new(spec))), Append, 0)
}

#[test]
fn the_first_rows_of_all_epochs_come_out_by_lane_and_then_as_rows_came() {
    let mut world = world(4);
    assert_eq!(
        world.epoch(&[(9, "a", 1), (1, "a", 1), (5, "b", 2)]),
        ["9 a 1 1.0", "1 a 1 1.0", "5 b 2 2.0"]
    );
    assert!(world.epoch(&[]).is_empty());
    let lanes = vec![vec![], vec![batch(&[]), batch(&[(2, "c", 3)])], vec![batch(&[(0, "d", 4)])]];
    assert_eq!(lines(&world.lanes(lanes)), ["2 c 3 3.0"]);
    assert!(world.epoch(&[(3, "e", 5), (4, "f", 6)]).is_empty());
    assert_eq!(world.counts, Counts { filtered: 3, ..Counts::default() }, "each row once");
    assert!(world.operator.passes_rows() && world.settle().is_empty());
    assert_eq!(world.tables[0].len(), 1);
}

#[test]
fn a_lane_holds_no_more_rows_than_there_may_be() {
    let world = world(2);
    let mut lane = world.operator.partial(0, &EpochTimes::default()).unwrap();
    for _ in 0..3 {
        lane.push(batch(&[(0, "a", 1), (0, "b", 2), (0, "c", 3)]), &mut Late::default()).unwrap();
    }
    assert_eq!(lane.counts().filtered, 7);
    assert_eq!(lane.finish().unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
}

#[test]
fn nothing_comes_out_of_nothing_and_its_state_is_of_its_number() {
    let mut none = world(0);
    assert!(none.epoch(&[(0, "a", 1)]).is_empty());
    assert_eq!((none.counts.filtered, none.tables[0].len()), (1, 0));
    let layouts = |most| format!("{:?}", world(most).operator.layouts());
    assert_eq!(layouts(3), layouts(3));
    assert_ne!(layouts(3), layouts(4));
}
