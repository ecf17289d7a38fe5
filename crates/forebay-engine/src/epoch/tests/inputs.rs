//! Several sources as one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use forebay_core::limits::Limits;
use forebay_core::source::Source;
use forebay_core::{Partition, Position, PositionRange, Positions};
use futures::StreamExt;

use super::fakes::{Deaths, FakeSource, Topic, at};
use crate::epoch::inputs::{Inputs, shares};

fn topic(counts: &[usize]) -> Arc<Topic> {
    Topic::new(&counts.iter().map(|count| vec!["1".to_owned(); *count]).collect::<Vec<_>>())
}

fn inputs(topics: &[&Arc<Topic>]) -> Inputs {
    let source = |topic: &&Arc<Topic>| -> Box<dyn Source> {
        Box::new(FakeSource { topic: Arc::clone(topic), deaths: Deaths::default() })
    };
    Inputs::new(topics.iter().map(|topic| (source(topic), Limits::default())))
}

fn of(input: u16, index: i32) -> Partition {
    at(index).of_input(input)
}

fn ranges(each: &[(Partition, i64, i64)]) -> Vec<PositionRange> {
    let range = |(partition, from, to): &(Partition, i64, i64)| PositionRange {
        partition: partition.clone(),
        from: Position(*from),
        to: Position(*to),
    };
    each.iter().map(range).collect()
}

#[tokio::test]
async fn what_one_source_said_is_not_lost_because_another_fails() {
    let (left, right) = (topic(&[3]), topic(&[9]));
    let mut both = inputs(&[&left, &right]);
    let from = Positions::from([(of(0, 0), Position(1)), (of(1, 0), Position(7))]);
    *right.moves.lock() = Positions::from([(at(0), Position(2))]);
    left.fails.store(true, Ordering::SeqCst);
    assert!(both.available(&from).await.unwrap_err().is_retryable());
    assert_eq!(both.heard(&from), Some(Positions::from([(of(1, 0), Position(9))])), "only one answers");
    left.fails.store(false, Ordering::SeqCst);
    let found = both.available(&from).await.unwrap();
    assert_eq!(found.moved, Positions::from([(of(1, 0), Position(2))]), "it is told once by its source");
    assert_eq!(found.ends, Positions::from([(of(0, 0), Position(3)), (of(1, 0), Position(9))]));
    assert_eq!(both.available(&from).await.unwrap().moved, Positions::new());
}

#[tokio::test]
async fn whichever_has_something_ends_the_wait() {
    let (left, right) = (topic(&[1]), topic(&[1]));
    let mut both = inputs(&[&left, &right]);
    let from = Positions::from([(of(0, 0), Position(1)), (of(1, 0), Position(1))]);
    let arrives = async {
        right.partitions.lock()[0].push("2".to_owned());
        right.arrived.notify_waiters();
    };
    let (waited, ()) = futures::join!(both.wait(&from), arrives);
    waited.unwrap();
}

#[tokio::test]
async fn lanes_say_whose_they_are_and_so_do_their_records() {
    let (left, right) = (topic(&[4]), topic(&[2, 2]));
    let mut both = inputs(&[&left, &right]);
    let all = ranges(&[(of(0, 0), 0, 4), (of(1, 0), 0, 2), (of(1, 1), 1, 2)]);
    let mut seen = Vec::new();
    for (input, mut lane) in both.read(&all, 9).await.unwrap() {
        while let Some(envelope) = lane.next().await {
            let envelope = envelope.unwrap();
            seen.push((input, envelope.partition.clone(), envelope.len()));
        }
    }
    assert_eq!(seen, [(0, of(0, 0), 3), (0, of(0, 0), 1), (1, of(1, 0), 2), (1, of(1, 1), 1)]);
    let only = both.read(&ranges(&[(of(1, 1), 0, 2)]), 9).await.unwrap();
    assert_eq!(
        only.iter().map(|(input, _)| *input).collect::<Vec<_>>(),
        [1],
        "the other has nothing to read"
    );
}

#[test]
fn lanes_go_where_most_waits_and_each_input_with_records_has_one() {
    let input = |sizes: &[i64]| {
        let each: Vec<_> = (0..).zip(sizes).map(|(index, size)| (at(index), 0, *size)).collect();
        ranges(&each)
    };
    let of =
        |lanes, each: &[&[i64]]| shares(lanes, &each.iter().map(|sizes| input(sizes)).collect::<Vec<_>>());
    assert_eq!(of(1, &[&[5], &[5]]), [1, 1], "no input waits for another");
    assert_eq!(of(4, &[&[5, 5, 5, 5]]), [4]);
    assert_eq!(of(4, &[&[5, 5, 5], &[]]), [3, 0]);
    assert_eq!(of(4, &[&[90, 90, 90], &[10, 10]]), [3, 1]);
    assert_eq!(of(4, &[&[50, 50, 50], &[50, 50]]), [2, 2]);
    assert_eq!(of(8, &[&[90], &[1]]), [1, 1], "one lane for each partition is all that is of use");
    assert_eq!(of(2, &[&[], &[]]), [0, 0]);
}
