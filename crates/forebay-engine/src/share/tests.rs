//! Who goes with whom, and up to where.

use arrow::datatypes::{DataType, Field, Schema};
use forebay_core::{Partition, Position};

use super::*;
use crate::plan::{Catalog, SourceColumns, plan};

fn at(positions: &[i64]) -> Positions {
    let of = |(index, at): (i32, &i64)| (Partition::new("t", index), Position(*at));
    (0..).zip(positions).map(of).collect()
}

fn ranges(from: &[i64], to: &[i64]) -> Vec<PositionRange> {
    let of = |((index, from), to): ((i32, &i64), &i64)| PositionRange {
        partition: Partition::new("t", index),
        from: Position(*from),
        to: Position(*to),
    };
    (0..).zip(from).zip(to).map(of).collect()
}

fn planned(sql: &str) -> StreamPlan {
    let mut catalog = Catalog::new();
    let columns = Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("m", DataType::Int64, true),
        Field::new("word", DataType::Utf8View, true),
    ]);
    for name in ["l", "r"] {
        catalog.add_source(name, SourceColumns::Decoded(Arc::new(columns.clone()))).unwrap();
    }
    plan(&catalog, sql, None).unwrap()
}

fn sharing() -> Arc<Sharing> {
    Sharing::new(Arc::new(planned("SELECT n, n > 3 AS a, m FROM l")))
}

fn seats<const N: usize>() -> [Seat; N] {
    let sharing = sharing();
    let query = planned("SELECT n FROM l");
    [(); N].map(|()| Share::of(&sharing, &query, &[0]).unwrap().seat())
}

/// Joins where `to` is available.
fn join(seat: &mut Seat, from: &[i64], to: &[i64]) -> Vec<PositionRange> {
    seat.join(&at(from), ranges(from, to), (&TopicIds::new(), None))
}

#[test]
fn only_columns_that_are_the_querys_own_are_shared() {
    let sharing = sharing();
    let of = |sql: &str, columns: &[usize]| Share::of(&sharing, &planned(sql), columns).is_some();
    assert!(of("SELECT m, n FROM l", &[2, 0]));
    assert!(of("SELECT n > 3 AS a FROM l", &[1]));
    assert!(!of("SELECT n > 3 AS a FROM l", &[0]), "another type");
    assert!(!of("SELECT m, n FROM l", &[2]), "one is missing");
    assert!(!of("SELECT m FROM l", &[3]), "there is none");
    assert!(!of("SELECT n FROM r", &[0]), "another source");
    assert!(!of("SELECT n FROM l WHERE now() > TIMESTAMP '2020-01-01'", &[0]), "each has its own time");
}

#[test]
fn who_stands_where_another_stood_reads_what_that_one_reads() {
    let [mut one, mut two] = seats();
    assert_eq!(join(&mut one, &[0, 5], &[9, 8]), ranges(&[0, 5], &[9, 8]));
    // More came since.
    assert_eq!(join(&mut two, &[0, 5], &[20, 20]), ranges(&[0, 5], &[9, 8]));
    let span = |seat: &Seat| seat.span(&ranges(&[0, 5], &[9, 8])).unwrap();
    assert!(Arc::ptr_eq(&span(&one), &span(&two)));
    assert!(one.span(&ranges(&[0, 5], &[9, 7])).is_none(), "another plan is not of this span");
}

#[test]
fn who_stands_elsewhere_reads_up_to_where_another_stands() {
    let [mut one, mut two, mut three] = seats();
    one.stands(&at(&[7, 7]));
    three.stands(&at(&[50, 50]));
    assert_eq!(join(&mut two, &[0, 0], &[9, 9]), ranges(&[0, 0], &[7, 7]));
    assert!(two.span(&ranges(&[0, 0], &[7, 7])).is_none(), "it is alone there");
    // Neither is before the other.
    assert_eq!(join(&mut three, &[0, 8], &[9, 9]), ranges(&[0, 8], &[9, 9]));
    // Now two of them are together, and go to where the third will be.
    let both = ranges(&[7, 7], &[9, 9]);
    assert_eq!(join(&mut two, &[7, 7], &[12, 12]), both);
    assert_eq!(join(&mut one, &[7, 7], &[13, 12]), both);
}

#[test]
fn no_query_goes_beyond_its_end() {
    let [mut one, mut two] = seats();
    join(&mut one, &[0], &[9]);
    let within = (&TopicIds::new(), Some(&at(&[4])));
    assert_eq!(two.join(&at(&[0]), ranges(&[0], &[4]), within), ranges(&[0], &[4]));
    assert!(two.span(&ranges(&[0], &[9])).is_none());
}

#[test]
fn another_topic_of_the_same_name_is_another_topic() {
    let [mut one, mut two] = seats();
    join(&mut one, &[0], &[9]);
    let topics = TopicIds::from([("t".to_owned(), "new".to_owned())]);
    assert_eq!(two.join(&at(&[0]), ranges(&[0], &[8]), (&topics, None)), ranges(&[0], &[8]));
}

#[test]
fn what_nobody_can_come_to_is_let_go() {
    let [mut one, mut two] = seats();
    let spans = |seat: &Seat| seat.share.sharing.board.lock().spans.len();
    join(&mut one, &[0], &[9]);
    join(&mut two, &[0], &[9]);
    join(&mut one, &[9], &[20]);
    assert_eq!(spans(&one), 2, "the other comes there");
    join(&mut two, &[9], &[30]);
    assert_eq!(spans(&one), 1);
    one.stands(&at(&[20]));
    two.stands(&at(&[20]));
    assert_eq!(spans(&one), 0);
    join(&mut one, &[20], &[21]);
    assert_eq!(spans(&one), 1);
    drop(two);
    one.stands(&at(&[21]));
    assert_eq!(spans(&one), 0);
    join(&mut one, &[21], &[25]);
    assert_eq!(spans(&one), 0, "who is alone reads alone");
}

#[test]
fn what_is_in_common_is_bounded() {
    let [mut one, _two] = seats();
    assert_eq!(join(&mut one, &[0], &[1 << 40]), ranges(&[0], &[1 << 18]));
    for number in 0..20 {
        join(&mut one, &[number << 18], &[1 << 40]);
    }
    assert_eq!(one.share.sharing.board.lock().spans.len(), SPANS, "another may come, for all that is known");
}

#[tokio::test]
async fn what_one_cannot_compute_is_computed_by_each_and_not_tried_again_at_once() {
    let [mut one, mut two] = seats();
    for (begin, lacks) in [(0, Lacks::Cause), (10, Lacks::Room)] {
        two.stands(&at(&[begin]));
        let ranges = join(&mut one, &[begin], &[begin + 1]);
        join(&mut two, &[begin], &[begin + 1]);
        let span = one.span(&ranges).unwrap();
        assert!(one.product(&span, async { Err(lacks) }).await.is_none());
        let tried_again = async { panic!("it is known that it cannot be had") };
        assert!(two.product(&span, tried_again).await.is_none());
        let rests = if lacks == Lacks::Cause { RESTS } else { 0 };
        for number in 0..rests {
            one.stands(&at(&[1_000]));
            two.stands(&at(&[1_000]));
            let ranges = join(&mut one, &[1_000], &[1_001]);
            assert!(one.span(&ranges).is_none(), "{number}");
        }
    }
    let ranges = join(&mut one, &[5_000], &[1 << 40]);
    assert_eq!(ranges[0].to.0, 1 << 40, "alone");
    two.stands(&at(&[9_000]));
    let ranges = join(&mut one, &[9_000], &[1 << 40]);
    assert_eq!(ranges[0].to.0 - 9_000, 1 << 17, "with less room, together");
}
