//! What meets, and what never does.

use super::*;

#[test]
fn rows_meet_whichever_came_first() {
    let mut meet = Meet::new(On::near(Inner));
    assert_eq!(meet.epoch(0, &[row(100, "a", 1), row(103, "b", 2)], &[]), [""; 0]);
    assert_eq!(
        meet.epoch(0, &[row(105, "a", 3)], &[row(110, "a", 4), row(99, "a", 5), row(200, "b", 6)]),
        ["105 3 110 4", "105 3 99 5", "100 1 110 4", "100 1 99 5"],
        "200 is too far from 103"
    );
    assert_eq!(meet.epoch(0, &[row(111, "a", 7)], &[]), ["111 7 110 4", "111 7 99 5"]);
    assert_eq!(meet.held(), (4, 3));
    assert_eq!(meet.counts.map(|counts| counts.taken), [4, 3]);
}

#[test]
fn rows_are_forgotten_at_their_sides_time_and_not_before() {
    let mut meet = Meet::new(On::near(Inner));
    meet.epoch(0, &[row(100, "a", 1)], &[row(100, "a", 2)]);
    meet.epoch(109, &[], &[]);
    assert_eq!(meet.held(), (1, 1));
    meet.epoch(110, &[], &[]);
    assert_eq!(meet.held(), (0, 1), "a left row may be met until 10 ms after it");
    meet.epoch(119, &[], &[]);
    assert_eq!(meet.held(), (0, 1));
    meet.epoch(120, &[], &[]);
    assert_eq!(meet.held(), (0, 0));
    assert!(meet.tables.iter().all(Table::is_empty), "heads go with the last of their rows");
}

#[test]
fn a_semi_join_gives_each_row_of_the_left_once() {
    for condition in [None, Some(near())] {
        let mut meet = Meet::new(On { condition, ..On::near(LeftSemi) });
        let rights = [row(100, "a", 3), row(101, "a", 4)];
        assert_eq!(meet.epoch(0, &[row(100, "a", 1), row(100, "b", 2)], &rights), ["100 1"]);
        assert_eq!(meet.held(), (1, 2), "a row that has come out is not kept");
        let rights = [row(105, "b", 5), row(106, "b", 6), row(107, "a", 7)];
        assert_eq!(meet.epoch(0, &[row(102, "a", 8)], &rights), ["102 8", "100 2"]);
        assert_eq!(meet.epoch(0, &[], &[row(103, "b", 9)]), [""; 0]);
        assert_eq!(meet.epoch(500, &[], &[]), [""; 0]);
        assert_eq!(meet.counts[0], Counts { taken: 3, ..Counts::default() });
    }
}

#[test]
fn numbers_that_spark_takes_for_one_meet() {
    let on = On { keys: vec!["x"], condition: None, ..On::near(Inner) };
    let mut meet = Meet::new(on);
    let with = |numbers: Vec<f64>| {
        let whole = maybe(&vec![row(100, "a", 1); numbers.len()]);
        let mut columns = whole.columns().to_vec();
        columns[3] = Arc::new(Float64Array::from(numbers));
        RecordBatch::try_new(schema(), columns).unwrap()
    };
    meet.lanes(0, [vec![with(vec![-0.0, f64::NAN])], vec![]]);
    let other_nan = f64::from_bits(f64::NAN.to_bits() | 1 << 63);
    let rows = meet.lanes(0, [vec![], vec![with(vec![0.0, other_nan, 1.0])]]);
    let numbers: Vec<RecordBatch> = rows.iter().map(|rows| rows.project(&[3, 7]).unwrap()).collect();
    assert_eq!(lines(&numbers), ["-0.0 0.0", "NaN NaN"], "they come out as they went in");
}

#[test]
fn late_rows_are_put_aside_on_either_side() {
    let mut meet = Meet::new(On::near(Full));
    meet.epoch(200, &[], &[]);
    let rows = meet.epoch(210, &[row(200, "a", 1), row(201, "a", 2)], &[row(150, "a", 3), row(205, "a", 4)]);
    assert_eq!(rows, ["201 2 205 4"]);
    assert_eq!(meet.counts.map(|counts| (counts.late, counts.taken)), [(1, 1), (1, 1)]);
    let late: Vec<i64> = meet.late.iter().flat_map(|late| late.late_by_ms.values().to_vec()).collect();
    assert_eq!(late, [0, 50]);
}

#[test]
fn the_operator_behind_waits_for_the_oldest_row_that_may_come_out() {
    let join = On::near(Inner).join();
    let times = EpochTimes { late: Watermark(100), evict: Watermark(500), mode: Append };
    let held_back = EpochTimes { late: Watermark(80), evict: Watermark(480), mode: Append };
    assert_eq!(join.passes_times(times), held_back);
    assert!(join.follows_watermark(Append));
    let never = On { ends: [SideEnds::Never; 2], ..On::near(Inner) }.join();
    assert_eq!(never.passes_times(times), times);
    assert!(!never.follows_watermark(Append));
}
