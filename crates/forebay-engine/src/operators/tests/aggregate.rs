//! Windows and keys against tables made by hand.

use super::*;

#[test]
fn a_window_comes_out_once_when_the_watermark_reaches_its_end() {
    let mut world = World::new(windowed(10, 10), Append, 5);
    assert!(world.epoch(&[(1, "b", 2), (9, "a", 1), (11, "a", 4), (9, "a", 5)]).is_empty());
    assert_eq!(world.watermark, 6);
    assert!(world.settle().is_empty());
    assert!(world.epoch(&[(15, "a", 8)]).is_empty(), "the watermark of the epoch before is 6");
    assert_eq!(world.settle(), ["0-10 a 2 6 5", "0-10 b 1 2 2"]);
    assert!(world.settle().is_empty());
    assert_eq!(world.tables[0].len(), 1);
    assert!(world.epoch(&[(30, "c", 1)]).is_empty());
    assert_eq!(world.settle(), ["10-20 a 2 12 8"]);
}

#[test]
fn a_row_is_late_when_its_window_had_ended_in_the_epoch_before() {
    let mut world = World::new(windowed(10, 10), Append, 0);
    world.epoch(&[(10, "a", 1)]);
    // Evicts by 10, and what is late goes by 0: the row counts, and comes out at once.
    assert_eq!(world.epoch(&[(3, "a", 7)]), ["0-10 a 1 7 7"]);
    assert!(world.epoch(&[(9, "a", 9), (10, "b", 1), (4, "a", 3)]).is_empty());
    assert_eq!(world.counts, Counts { taken: 3, late: 2, ..Counts::default() });
    let late = &world.late[0];
    assert_eq!(lines(std::slice::from_ref(&late.rows)), ["9 a 9 9.0", "4 a 3 3.0"]);
    assert_eq!(late.late_by_ms.values(), &[1, 6]);
    let (starts, ends) = late.missed.as_ref().unwrap();
    assert_eq!((starts.value(1), ends.value(1)), (0, 10_000));
}

#[test]
fn update_gives_what_changed_and_forgets_what_ended() {
    let mut world = World::new(windowed(10, 10), Update, 0);
    assert_eq!(world.epoch(&[(1, "a", 1), (12, "b", 2)]), ["0-10 a 1 1 1", "10-20 b 1 2 2"]);
    assert_eq!(world.epoch(&[(13, "b", 3), (4, "a", 5)]), ["0-10 a 2 6 5", "10-20 b 2 5 3"]);
    assert_eq!(world.tables[0].len(), 1, "the first window ended at 12");
    assert!(world.epoch(&[(5, "a", 1)]).is_empty());
    assert_eq!(world.counts.late, 1);
}

#[test]
fn complete_gives_everything_and_forgets_nothing() {
    let mut world = World::new(windowed(10, 10), Complete, 0);
    world.epoch(&[(1, "a", 1), (32, "b", 2)]);
    assert!(world.settle().is_empty(), "complete mode does not follow the watermark");
    assert_eq!(world.epoch(&[(2, "a", 1)]), ["0-10 a 2 2 1", "30-40 b 1 2 2"], "and knows no late rows");
    assert_eq!(world.epoch(&[]), ["0-10 a 2 2 1", "30-40 b 1 2 2"]);
}

#[test]
fn a_row_counts_in_every_sliding_window_that_is_open() {
    let mut world = World::new(windowed(10, 5), Append, 0);
    assert!(world.epoch(&[(7, "a", 1), (11, "a", 2)]).is_empty());
    assert_eq!(world.settle(), ["0-10 a 1 1 1"]);
    // 0-10 has ended; the row is late there and not in 5-15.
    assert!(world.epoch(&[(8, "a", 4)]).is_empty());
    assert_eq!(world.counts.late, 0);
    world.epoch(&[(21, "z", 0)]);
    assert_eq!(world.settle(), ["5-15 a 3 7 4", "10-20 a 1 2 2"]);
    assert_eq!(world.counts.taken, 4);
}

#[test]
fn update_gives_every_open_window_of_a_row() {
    let mut world = World::new(windowed(10, 4), Update, 0);
    assert_eq!(world.epoch(&[(9, "a", 1)]), ["0-10 a 1 1 1", "4-14 a 1 1 1", "8-18 a 1 1 1"]);
    assert_eq!(
        world.epoch(&[(13, "a", 2), (13, "b", 5)]),
        ["4-14 a 2 3 2", "4-14 b 1 5 5", "8-18 a 2 3 2", "8-18 b 1 5 5", "12-22 a 1 2 2", "12-22 b 1 5 5"]
    );
}

#[test]
fn windows_before_1970_are_aligned_as_those_after() {
    let mut world = World::new(windowed(10, 10), Complete, 0);
    assert_eq!(
        world.epoch(&[(-1, "a", 1), (-10, "a", 2), (-11, "a", 4)]),
        ["-20--10 a 1 4 4", "-10-0 a 2 3 2"]
    );
    let mut world = World::new(windowed(10, 10), Append, 0);
    world.epoch(&[(-1, "a", 1), (1, "a", 1)]);
    assert_eq!(world.counts.late, 1, "the watermark begins at 1970");
}

#[test]
fn without_group_by_there_is_a_row_in_every_epoch() {
    for mode in [Update, Complete] {
        let one = Grouping { keys: vec![], watermarked: false, ..Grouping::default() };
        let mut world = World::new(one.operator(), mode, 0);
        assert_eq!(lines(&world.lanes(Vec::new())), ["0 NULL NULL"]);
        assert_eq!(world.epoch(&[(1, "a", 3)]), ["1 3 3"]);
        assert_eq!(
            lines(&world.lanes(vec![vec![batch(&[(1, "b", 4)])], vec![batch(&[(0, "c", 5)])]])),
            ["3 12 5"]
        );
        assert_eq!(world.epoch(&[]), ["3 12 5"]);
    }
}

#[test]
fn keys_alone_are_kept_for_ever() {
    let keys = Grouping { watermarked: false, ..Grouping::default() };
    let mut world = World::new(keys.operator(), Update, 0);
    assert_eq!(world.epoch(&[(1, "b", 1), (1, "a", 2)]), ["a 1 2 2", "b 1 1 1"]);
    assert_eq!(world.epoch(&[(900, "b", 5)]), ["b 2 6 5"]);
    assert_eq!((world.epoch(&[]).len(), world.settle().len(), world.tables[0].len()), (0, 0, 2));
}

#[test]
fn a_key_that_is_the_event_time_ends_by_it() {
    let grouping = Grouping { keys: vec!["ts", "device"], event_key: Some(0), ..Grouping::default() };
    let mut world = World::new(grouping.operator(), Append, 0);
    assert!(world.epoch(&[(5, "a", 1), (7, "a", 2), (5, "a", 3)]).is_empty());
    assert_eq!(world.settle(), ["5 a 2 4 3", "7 a 1 2 2"]);
    assert!(world.epoch(&[(7, "b", 1), (8, "b", 1)]).is_empty());
    assert_eq!(world.counts.late, 1);
    assert_eq!(world.late[0].late_by_ms.values(), &[0]);
    assert_eq!(world.settle(), ["8 b 1 1 1"]);
}

#[test]
fn windows_of_another_time_end_by_the_key_that_is_the_event_time() {
    // Windows of `ts` here, and `ts` itself as the key by which they end: what counts is the key.
    let grouping =
        || Grouping { keys: vec!["ts"], window: Some((10, 5)), event_key: Some(0), ..Grouping::default() };
    let mut world = World::new(grouping().operator(), Append, 0);
    assert!(world.epoch(&[(7, "a", 1), (3, "b", 2)]).is_empty());
    assert_eq!(world.settle(), ["-5-5 3 1 2 2", "0-10 3 1 2 2", "0-10 7 1 1 1", "5-15 7 1 1 1"]);
    assert!(world.epoch(&[(7, "c", 1)]).is_empty());
    assert_eq!((world.counts.late, world.counts.taken, world.tables[0].len()), (1, 2, 0));
    let mut world = World::new(grouping().operator(), Update, 0);
    assert_eq!(world.epoch(&[(7, "a", 1)]), ["0-10 7 1 1 1", "5-15 7 1 1 1"]);
}

#[test]
fn distinct_rows_are_groups_without_aggregates() {
    let distinct =
        Grouping { aggregates: vec![], filters: vec![], watermarked: false, ..Grouping::default() };
    let mut world = World::new(distinct.operator(), Update, 0);
    assert_eq!(world.epoch(&[(1, "a", 1), (2, "a", 1)]), ["a"]);
}

#[test]
fn the_order_of_rows_follows_from_the_rows() {
    let rows: Vec<Row<'_>> =
        (0..200).map(|i| (i * 37 % 100, ["c", "a", "b", "d"][i as usize % 4], i)).collect();
    let mut one = World::new(windowed(10, 5), Complete, 0);
    let mut many = World::new(windowed(10, 5), Complete, 0);
    one.epoch(&rows);
    for chunk in rows.chunks(23) {
        let (left, right) = chunk.split_at(chunk.len() / 2);
        many.lanes(vec![vec![batch(right)], vec![batch(&[]), batch(left)]]);
    }
    assert_eq!(one.epoch(&[]), many.epoch(&[]));
}

#[test]
fn a_sliding_window_comes_out_before_its_panes_are_done() {
    let mut world = World::new(windowed(60, 1), Append, 0);
    world.epoch(&[(100, "a", 1)]);
    world.settle();
    // The window 41-101 ends with the pane's first millisecond; the pane is done at 160.
    world.epoch(&[(101, "b", 1)]);
    assert_eq!(world.settle(), ["41-101 a 1 1 1"]);
}
