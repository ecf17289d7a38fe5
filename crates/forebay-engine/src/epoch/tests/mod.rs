//! The loop over several inputs: whatever is read in how many epochs, and whatever dies when, the same rows come out.

mod fakes;
mod idle;
mod inputs;
mod tables;
mod together;
mod world;

use std::sync::atomic::Ordering;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use forebay_core::checkpoint::Entry;
use forebay_core::error::codes;
use forebay_core::{Ledger, PositionRange, TopicIds};
use proptest::prelude::*;

use self::fakes::{Deaths, at};
use self::world::{Shape, World};
use crate::{checkpoint, late};

/// Partitions with so many values each; every eleventh cannot be decoded.
fn values(counts: &[usize], first: usize) -> Vec<Vec<String>> {
    let value = |number: usize| format!("{}{number}", if number % 11 == 5 { "x" } else { "" });
    let mut next = first;
    let mut partition = |count: &usize| {
        next += count;
        (next - count..next).map(value).collect()
    };
    counts.iter().map(&mut partition).collect()
}

/// What came of a query.
#[derive(Debug, PartialEq)]
struct Outcome {
    rows: Vec<i64>,
    /// Of the newest commit.
    ledger: Ledger,
    /// What is open in the quarantine: input, partition and offset. Of two inputs the one whose epoch came first has its records
    /// first, so these are put in order.
    aside: Vec<(u16, i32, i64)>,
    /// The late rows as text, sorted.
    late: Vec<String>,
}

fn outcome(world: &World) -> Outcome {
    let ledger = checkpoint::show(&world.checkpoint()).unwrap().ends().commit.unwrap().ledger;
    let open = world.quarantine().open_entries().unwrap();
    let mut aside: Vec<_> =
        open.iter().map(|entry| (entry.input, entry.id.partition, entry.id.offset)).collect();
    aside.sort_unstable();
    let mut late = Vec::new();
    if let Some((_, batches)) = late::rows(&world.late()).unwrap() {
        let options = FormatOptions::default();
        for batch in batches.map(Result::unwrap) {
            let cells: Vec<_> =
                batch.columns().iter().map(|it| ArrayFormatter::try_new(it, &options).unwrap()).collect();
            let line =
                |row| cells.iter().map(|cell| cell.value(row).to_string()).collect::<Vec<_>>().join(" ");
            late.extend((0..batch.num_rows()).map(line));
        }
    }
    late.sort_unstable();
    Outcome { rows: world.table.rows(), ledger, aside, late }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs a query until it has read all there is; one with windows again, until what came then has ended them. It goes on
/// after a death; true if there was one.
fn run_through(world: &World, deaths: &Deaths) -> bool {
    let has_windows = matches!(world.shape, Shape::Windows(_));
    let mut died = false;
    for is_end in [false].into_iter().chain(has_windows.then_some(true)) {
        if is_end {
            world.far_ahead();
        }
        if runtime().block_on(world.run(deaths)).is_err() {
            runtime().block_on(world.run(&Deaths::default())).unwrap();
            died = true;
        }
    }
    died
}

/// Deaths at each call, one by one: what comes of them is what comes of none.
fn holds_whatever_dies(world: &dyn Fn() -> World, expected: &Outcome) {
    for calls in 1.. {
        let world = world();
        let died = run_through(&world, &Deaths::after(calls));
        assert_eq!(&outcome(&world), expected, "death at call {calls}");
        if !died {
            break;
        }
    }
}

/// What comes of a query that nothing disturbs.
fn calm(world: &World) -> Outcome {
    run_through(world, &Deaths::default());
    let outcome = outcome(world);
    assert!(outcome.ledger.balances());
    assert_eq!(outcome.ledger.late, outcome.late.len() as u64);
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn any_split_into_epochs_and_any_death_give_the_same_rows_and_ledger(
        left in prop::collection::vec(0usize..14, 1..3),
        right in prop::collection::vec(0usize..14, 1..3),
        max in prop::collection::vec(prop::option::of(1u64..12), 2),
        // A delay of more than all there is: nothing is late, in whichever epochs it comes.
        shape in prop_oneof![Just(Shape::Beside), Just(Shape::Joined), Just(Shape::Windows(100_000))],
    ) {
        let (left, right) = (values(&left, 0), values(&right, 40));
        let world = |max| World { shape, ..World::new(&left, &right, max) };
        prop_assume!(left.iter().chain(&right).any(|values| !values.is_empty()));
        let expected = calm(&world([None, None]));
        prop_assert!(expected.late.is_empty());
        holds_whatever_dies(&|| world([max[0], max[1]]), &expected);
    }
}

/// What is late depends on the epochs, so they are the same here.
#[test]
fn any_death_gives_the_same_late_rows() {
    // The second partition of the left source is ahead of the first; the right one holds nobody back.
    let (left, right) = (values(&[8, 8], 0), values(&[3], 40));
    let world = || World { shape: Shape::Windows(0), ..World::new(&left, &right, [Some(4), None]) };
    let expected = calm(&world());
    assert!(expected.late.len() > 1 && expected.rows.len() > 2, "{expected:?}");
    holds_whatever_dies(&world, &expected);
}

/// The ranges of each plan in the journal: input, partition, from and to; empty ones are left out.
fn plans(world: &World) -> Vec<Vec<(u16, i32, i64, i64)>> {
    let shown = checkpoint::show(&world.checkpoint()).unwrap();
    let range = |range: &PositionRange| {
        let PositionRange { partition, from, to } = range;
        (!range.is_empty()).then_some((partition.input, partition.index, from.0, to.0))
    };
    let ranges = |entry: &Entry| match entry {
        Entry::Plan(plan) => Some(plan.ranges.iter().filter_map(range).collect()),
        _ => None,
    };
    shown.entries.iter().filter_map(ranges).collect()
}

#[tokio::test]
async fn each_source_keeps_its_own_limit_and_is_told_for_itself() {
    let world = World::new(&values(&[5], 0), &values(&[4], 0), [Some(2), Some(3)]);
    let handle = world.query(&["l", "r"], &Deaths::default()).open().unwrap().start();
    let status = handle.status();
    handle.join().await.unwrap();
    let (l, r) = (|from, to| (0, 0, from, to), |from, to| (1, 0, from, to));
    assert_eq!(plans(&world), [vec![l(0, 2), r(0, 3)], vec![l(2, 4), r(3, 4)], vec![l(4, 5)]]);
    let status = status.borrow();
    assert_eq!(status.lag, Some(0));
    let [first, .., last] = &status.recent.iter().collect::<Vec<_>>()[..] else { panic!("three epochs") };
    assert_eq!(first.num_input_rows, 5);
    let rows = |report: &forebay_core::progress::StreamingQueryProgress| {
        report.sources.iter().map(|source| source.num_input_rows).collect::<Vec<_>>()
    };
    assert_eq!((rows(first), rows(last)), (vec![2, 3], vec![1, 0]));
    let ends: Vec<_> = last.sources.iter().map(|source| source.end_offset["t"]["0"].clone()).collect();
    assert_eq!(ends, [5, 4], "the same topic twice");
    for (topic, end) in [(&world.left, 5), (&world.right, 4)] {
        assert_eq!(topic.committed.lock()[&at(0)].0, end);
        assert!(topic.closed.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn a_query_goes_on_in_each_topic_that_its_checkpoint_knows() {
    let world = World::new(&values(&[2], 0), &values(&[2], 0), [None, None]);
    world.run(&Deaths::default()).await.unwrap();
    world.run(&Deaths::default()).await.unwrap();
    let id = |topic| format!("{:p}", std::sync::Arc::as_ptr(topic));
    for topic in [&world.left, &world.right] {
        assert_eq!(*topic.resumed.lock(), TopicIds::from([("t".to_owned(), id(topic))]));
    }
}

#[tokio::test]
async fn a_record_is_replayed_by_the_input_that_read_it() {
    // The same topic, partition and offset in both.
    let bad = [vec!["1".to_owned(), "x2".to_owned()]];
    let world = World::new(&bad, &bad, [None, None]);
    world.run(&Deaths::default()).await.unwrap();
    assert_eq!(world.table.rows(), [1, 1_001]);
    let open = world.quarantine().open_entries().unwrap();
    let sources: Vec<_> = open.iter().map(|entry| (entry.input, entry.source.as_deref())).collect();
    assert_eq!(sources, [(0, Some("l")), (1, Some("r"))]);
    assert_eq!(open[0].id, open[1].id);
    world.mended.store(true, Ordering::SeqCst);
    world.quarantine().request(&[open[1].quarantined_id()]).unwrap();
    world.run(&Deaths::default()).await.unwrap();
    assert_eq!(world.table.rows(), [1, 1_001, 1_002]);
    let Outcome { ledger, aside, .. } = outcome(&world);
    assert_eq!((ledger.replayed, aside), (1, vec![(0, 0, 1)]), "that of the other input stays");
}

#[tokio::test]
async fn a_checkpoint_of_other_inputs_is_refused_and_says_what_differs() {
    let world = World::new(&values(&[2], 0), &values(&[2], 0), [None, None]);
    world.run(&Deaths::default()).await.unwrap();
    for (names, is) in [(&["l"][..], "Fake[t]"), (&["r", "l"], "r = Fake[t], l = Fake[t]")] {
        let refused = world.query(names, &Deaths::default()).open().err().unwrap();
        assert_eq!(refused.code(), &codes::CHECKPOINT_OTHER_QUERY);
        let expected = format!("source was `l = Fake[t], r = Fake[t]`, is `{is}`");
        assert!(refused.message().contains(&expected), "{refused}");
    }
}

#[test]
fn a_sink_that_has_something_to_do_gets_an_epoch_without_records_and_not_one_after_the_other() {
    for (due, empty) in [(None, 0), (Some(5_001), 0), (Some(5_000), 1)] {
        let values = values(&[4], 0);
        let world = World { due, ..World::new(&values, &values, [None, None]) };
        runtime().block_on(world.run(&Deaths::default())).unwrap();
        let (all, without) = world.table.epochs();
        assert_eq!((all - without, without), (1, empty), "{due:?}");
    }
}
