//! What comes out alone, and when.

use super::*;

#[test]
fn what_is_past_its_time_when_it_comes_still_meets_what_is_held() {
    for kind in [Inner, Left, Right, Full] {
        let mut meet = Meet::new(On::near(kind));
        meet.epoch(0, &[row(100, "a", 1)], &[row(100, "b", 2)]);
        // The watermark of this epoch is 150, late is what was before: 0.
        let rows = meet.epoch(150, &[row(99, "b", 3), row(98, "c", 4)], &[row(101, "a", 5), row(97, "c", 6)]);
        assert_eq!(rows, ["99 3 100 2", "98 4 97 6", "100 1 101 5"], "{kind:?}");
        assert_eq!(meet.held(), (0, 0));
        assert_eq!(meet.counts.map(|counts| (counts.taken, counts.unmatched)), [(3, 0), (3, 0)]);
    }
}

#[test]
fn rows_of_an_outer_side_come_out_alone_once_they_are_forgotten() {
    let first = [row(101, "a", 1), row(100, "a", 2), row(100, "b", 3), row(130, "b", 4)];
    let second = [row(100, "a", 5), row(115, "c", 6), row(100, "c", 7)];
    let alone = |kind| {
        let mut meet = Meet::new(On::near(kind));
        meet.epoch(0, &first, &second);
        meet.restart();
        let given = (meet.epoch(111, &[], &[]), meet.epoch(140, &[row(118, "z", 8)], &[row(119, "z", 9)]));
        (given, meet.epoch(900, &[row(141, "x", 10)], &[row(142, "y", 11)]))
    };
    let none: Vec<String> = Vec::new();
    let texts = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
    assert_eq!(alone(Inner), ((none.clone(), texts(&["118 8 119 9"])), none.clone()));
    assert_eq!(
        alone(Left),
        (
            (texts(&["100 3 NULL NULL"]), texts(&["118 8 119 9", "130 4 NULL NULL"])),
            texts(&["141 10 NULL NULL"])
        ),
        "those of `a` have met"
    );
    assert_eq!(
        alone(Right),
        ((none, texts(&["118 8 119 9", "NULL NULL 100 7", "NULL NULL 115 6"])), texts(&["NULL NULL 142 11"]))
    );
    assert_eq!(
        alone(Full),
        (
            (
                texts(&["100 3 NULL NULL"]),
                texts(&["118 8 119 9", "130 4 NULL NULL", "NULL NULL 100 7", "NULL NULL 115 6"])
            ),
            texts(&["141 10 NULL NULL", "NULL NULL 142 11"])
        )
    );
}

#[test]
fn that_a_row_has_met_another_is_remembered() {
    let mut meet = Meet::new(On::near(Full));
    meet.epoch(0, &[row(100, "a", 1)], &[row(100, "b", 2)]);
    meet.epoch(105, &[row(110, "b", 3)], &[row(106, "a", 4)]);
    meet.restart();
    assert_eq!(meet.epoch(300, &[], &[]), [""; 0]);
    assert_eq!(meet.held(), (0, 0));
}

#[test]
fn nulls_meet_nothing_and_wait_like_others() {
    let nulls: [Maybe<'_>; 3] = [(Some(100), None, 1), (None, Some("a"), 2), (None, None, 3)];
    let mut inner = Meet::new(On::near(Inner));
    assert_eq!(inner.epoch(0, &nulls, &nulls), [""; 0]);
    assert_eq!(inner.held(), (1, 1), "a row without a key meets nothing; one without a time might");
    assert_eq!(inner.counts[0], Counts { taken: 1, unmatched: 2, ..Counts::default() });

    let mut full = Meet::new(On { condition: None, ..On::near(Full) });
    assert_eq!(full.epoch(0, &nulls, &nulls), ["NULL 2 NULL 2"]);
    assert_eq!(full.epoch(109, &[], &[]), [""; 0]);
    assert_eq!(full.epoch(120, &[], &[]), ["100 1 NULL NULL", "NULL NULL 100 1"]);
    assert_eq!(full.epoch(1_000_000, &[], &[]), [""; 0]);
    assert_eq!(full.held(), (2, 2), "what has no time is never forgotten");
    assert_eq!(full.epoch(1_000_001, &[(None, Some("a"), 4)], &[]), ["NULL 4 NULL 2"]);
    assert_eq!(full.counts[0].late, 0);
}

#[test]
fn a_key_that_is_the_event_time_is_forgotten_by_it() {
    let on = On { kind: Left, keys: vec!["device", "ts"], condition: None, ends: [SideEnds::Key(1); 2] };
    let mut meet = Meet::new(on);
    assert_eq!(meet.epoch(0, &[row(5, "a", 1), row(6, "a", 2)], &[row(5, "a", 3)]), ["5 1 5 3"]);
    assert_eq!(meet.epoch(5, &[], &[]), [""; 0]);
    assert_eq!(meet.held(), (1, 0));
    assert_eq!(meet.epoch(6, &[], &[]), ["6 2 NULL NULL"]);
    assert!(meet.tables.iter().all(Table::is_empty));
    let times = EpochTimes { late: Watermark(4), evict: Watermark(9), mode: Append };
    assert_eq!(meet.operator.passes_times(times), times);
}

#[test]
fn a_condition_on_one_side_is_settled_before_rows_meet() {
    let five: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::Int64(Some(5))));
    let small = |name| binary(of_pair(name), Op::Lt, Arc::clone(&five));
    let condition = |name| Some(binary(near(), Op::And, small(name)));
    let left = [row(100, "a", 1), row(100, "a", 9)];
    let right = [row(101, "a", 2), row(101, "a", 8)];
    let mut meet = Meet::new(On { condition: condition("n"), ..On::near(Left) });
    assert_eq!(
        meet.epoch(0, &left, &right),
        ["100 1 101 2", "100 1 101 8", "100 9 NULL NULL"],
        "what can meet nothing waits for nothing"
    );
    assert_eq!(meet.held(), (1, 2));
    assert_eq!(meet.counts[0], Counts { taken: 1, unmatched: 1, ..Counts::default() });
    let mut meet = Meet::new(On { condition: condition("r_n"), ..On::near(Left) });
    assert_eq!(meet.epoch(0, &left, &right), ["100 1 101 2", "100 9 101 2"]);
    assert_eq!(meet.held(), (2, 1), "the right side keeps nothing that can meet nothing");
    assert_eq!(meet.counts[1], Counts { taken: 1, unmatched: 1, ..Counts::default() });
}
