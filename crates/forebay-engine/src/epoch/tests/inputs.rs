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
    let names = ["left", "right"];
    named(&topics.iter().copied().zip(names).collect::<Vec<_>>())
}

/// Inputs of sources of these names.
fn named(topics: &[(&Arc<Topic>, &str)]) -> Inputs {
    let source = |topic: &Arc<Topic>| -> Box<dyn Source> {
        Box::new(FakeSource { topic: Arc::clone(topic), deaths: Deaths::default() })
    };
    Inputs::new(topics.iter().map(|(topic, name)| ((*name).to_owned(), source(topic), Limits::default())))
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

#[tokio::test]
async fn a_source_that_is_read_twice_is_told_how_far_both_are() {
    let (once, again, other) = (topic(&[9, 9]), topic(&[9, 9]), topic(&[9, 9]));
    let mut all = named(&[(&once, "events"), (&again, "events"), (&other, "others")]);
    let through = [(of(0, 0), 5), (of(0, 1), 6), (of(1, 0), 7), (of(1, 1), 2), (of(2, 0), 1)];
    let through = through.map(|(partition, at)| (partition, Position(at))).into();
    all.committed(&through).await.unwrap();
    let both = Positions::from([(at(0), Position(5)), (at(1), Position(2))]);
    assert_eq!((&*once.committed.lock(), &*again.committed.lock()), (&both, &both));
    assert_eq!(
        *other.committed.lock(),
        Positions::from([(at(0), Position(1))]),
        "another source is another group"
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

#[tokio::test]
async fn inputs_of_one_source_go_together() {
    let (one, same, other) = (topic(&[3, 5]), topic(&[4, 2, 7]), topic(&[1]));
    let mut all = named(&[(&one, "iot"), (&same, "iot"), (&other, "plant")]);
    let started = all.start(false).await.unwrap();
    let known = |positions: &Positions, input| {
        positions.keys().filter(|partition| partition.input == input).map(|it| it.index).collect::<Vec<_>>()
    };
    assert_eq!(
        [known(&started, 0), known(&started, 1), known(&started, 2)],
        [vec![0, 1], vec![0, 1], vec![0]]
    );
    let found = all.available(&started).await.unwrap();
    let both = |input| [(of(input, 0), Position(3)), (of(input, 1), Position(2))];
    let expected: Positions = both(0).into_iter().chain(both(1)).chain([(of(2, 0), Position(1))]).collect();
    assert_eq!(found.ends, expected, "as far as both have seen");
    assert_eq!(found.new, Positions::new(), "a partition that one of them knows waits for the other");
    one.partitions.lock().push(vec!["1".to_owned()]);
    let found = all.available(&started).await.unwrap();
    assert_eq!(found.new, Positions::from([(of(0, 2), Position(0)), (of(1, 2), Position(0))]));
    assert_eq!(found.ends.get(&of(1, 2)), Some(&Position(1)));
    // What a checkpoint of one alone knows already is new to the other alone.
    let mut alone = named(&[(&one, "iot"), (&same, "iot")]);
    let from: Positions =
        [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)].map(|(input, at)| (of(input, at), Position(0))).into();
    assert_eq!(alone.available(&from).await.unwrap().new, Positions::from([(of(1, 2), Position(0))]));
}
