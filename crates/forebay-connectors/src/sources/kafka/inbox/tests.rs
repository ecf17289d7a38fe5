//! Promises of the inbox.

use super::fetching::FAR;
use super::*;
use forebay_core::Position;

fn inbox(at: i64) -> (Inbox, Partition) {
    let inbox = Inbox::new(Bounds { slot: 100, total: 200 });
    let partition = Partition::new("t", 0);
    inbox.follow(&[(partition.clone(), Position(at))].into());
    inbox.lead(&[(partition.clone(), Some(1))], None);
    (inbox, partition)
}

/// Two partitions of one leader.
fn two() -> (Inbox, Partition, Partition) {
    let (inbox, first) = inbox(0);
    let second = Partition::new("t", 1);
    inbox.follow(&[(first.clone(), Position(0)), (second.clone(), Position(0))].into());
    inbox.lead(&[(second.clone(), Some(1))], None);
    (inbox, first, second)
}

/// An answer of so many bytes, and the end of the partition.
fn fetched(from: i64, next: i64, bytes: usize, end: i64) -> Fetched {
    let chunk = Chunk { from, next, batches: vec![0; bytes].into(), aborted: Aborted::default() };
    Fetched { chunk: Some(chunk), end }
}

fn bring(inbox: &Inbox, next: i64, bytes: usize, end: i64) -> bool {
    let (questions, _) = inbox.to_fetch(1);
    let Some(question) = questions.first() else { return false };
    inbox.deliver(question, Ok(fetched(question.from, next, bytes, end)));
    true
}

#[test]
fn chunks_follow_each_other_and_a_rest_goes_back() {
    let (inbox, p) = inbox(5);
    assert!(bring(&inbox, 10, 10, 30) && bring(&inbox, 20, 10, 30));
    let Taken::Chunk(mut chunk) = inbox.take(&p, 5) else { panic!() };
    assert_eq!((chunk.from, chunk.next), (5, 10));
    chunk.from = 8;
    inbox.put_back(&p, chunk);
    let Taken::Chunk(chunk) = inbox.take(&p, 8) else { panic!() };
    assert_eq!((chunk.from, chunk.next), (8, 10));
    let Taken::Chunk(chunk) = inbox.take(&p, 12) else { panic!() };
    assert_eq!((chunk.from, chunk.next), (10, 20));
}

#[test]
fn a_full_slot_is_not_fetched_for_until_it_is_read() {
    let (inbox, p) = inbox(0);
    assert!(bring(&inbox, 1, 60, 9) && bring(&inbox, 2, 60, 9));
    assert!(!bring(&inbox, 3, 60, 9));
    assert!(matches!(inbox.take(&p, 0), Taken::Chunk(_)));
    assert!(bring(&inbox, 3, 60, 9));
}

#[test]
fn what_another_has_read_makes_room_and_is_not_asked_for() {
    let (inbox, p) = inbox(0);
    assert!(bring(&inbox, 10, 60, 90) && bring(&inbox, 20, 60, 90));
    assert!(!bring(&inbox, 30, 60, 90), "it is full");
    inbox.pass([(&p, 15)].into_iter());
    let Taken::Chunk(chunk) = inbox.take(&p, 15) else { panic!("it has the rest") };
    assert_eq!((chunk.from, chunk.next), (10, 20));
    inbox.pass([(&p, 50)].into_iter());
    let (questions, _) = inbox.to_fetch(1);
    assert_eq!(questions[0].from, 50);
    // An answer that is on its way tells how far the partition goes, and its records go with what comes after.
    inbox.pass([(&p, 70)].into_iter());
    inbox.deliver(&questions[0], Ok(fetched(50, 60, 60, 99)));
    assert!(inbox.is_beyond(&[(p.clone(), Position(70))].into()));
    inbox.pass([(&p, 70)].into_iter());
    assert!(!inbox.is_ready(&p));
    assert_eq!(inbox.to_fetch(1).0[0].from, 70);
}

#[test]
fn a_replay_seeks_and_drops_the_answer_to_an_older_question() {
    let (inbox, p) = inbox(50);
    let (questions, _) = inbox.to_fetch(1);
    assert!(matches!(inbox.take(&p, 20), Taken::Nothing));
    assert!(inbox.is_stale(&questions[0]));
    inbox.deliver(&questions[0], Err(Failure::OutOfRange));
    let (questions, _) = inbox.to_fetch(1);
    assert_eq!(questions[0].from, 20);
    assert!(!inbox.is_stale(&questions[0]));
}

#[test]
fn a_failure_is_seen_by_reader_and_source() {
    let (inbox, p) = inbox(0);
    let (questions, _) = inbox.to_fetch(1);
    inbox.deliver(&questions[0], Err(Failure::OutOfRange));
    assert!(matches!(inbox.take(&p, 0), Taken::Failure(Failure::OutOfRange)));
    assert!(inbox.is_beyond(&[(p.clone(), Position(0))].into()));
    assert!(inbox.to_fetch(1).0.is_empty());
    // Elsewhere it may go on.
    assert!(matches!(inbox.take(&p, 7), Taken::Nothing));
    assert_eq!(inbox.to_fetch(1).0[0].from, 7);
}

#[test]
fn a_full_neighbour_keeps_no_question_parked() {
    let (inbox, _full, idle) = two();
    let (questions, may_park) = inbox.to_fetch(1);
    assert_eq!((questions.len(), may_park), (2, true));
    inbox.deliver(&questions[0], Ok(fetched(0, 9, 150, 20)));
    inbox.deliver(&questions[1], Ok(Fetched { chunk: None, end: 0 }));
    let (questions, may_park) = inbox.to_fetch(1);
    assert!(questions.is_empty() && !may_park);
    // A lane that waits for the idle one is served all the same.
    assert!(matches!(inbox.take(&idle, 0), Taken::Nothing));
    assert_eq!(inbox.to_fetch(1).0.len(), 1);
}

#[test]
fn little_is_asked_of_a_near_broker_and_all_that_is_allowed_of_a_far_one() {
    let most = NEAR_BYTES * 4;
    let inbox = Inbox::new(Bounds { slot: most, total: most });
    let partition = Partition::new("t", 0);
    inbox.follow(&[(partition.clone(), Position(0))].into());
    inbox.lead(&[(partition, Some(1))], None);
    // Asks, and answers after so long with as many records as there are up to `next`; gives what was enough.
    let turn = |took: Duration, next: i64, end: i64| {
        let mut question = inbox.to_fetch(1).0.remove(0);
        question.asked_at -= took;
        inbox.deliver(&question, Ok(fetched(question.from, next, 10, end)));
        question.enough
    };
    assert_eq!(turn(FAR / 2, 1, 100), NEAR_BYTES);
    // What was held until it came says nothing of the way.
    assert_eq!(turn(FAR * 20, 100, 100), NEAR_BYTES);
    assert_eq!(turn(FAR * 2, 101, 200), NEAR_BYTES);
    assert_eq!(turn(FAR / 2, 102, 200), most);
}

#[test]
fn who_reads_in_place_is_asked_for_what_is_all_read_and_not_for_more() {
    let (inbox, idle, full) = two();
    let asked = || inbox.to_read(1).into_iter().map(|it| it.partition).collect::<Vec<_>>();
    let questions = inbox.to_read(1);
    assert_eq!(questions.len(), 2);
    assert!(asked().is_empty(), "both are under way");
    inbox.deliver(&questions[0], Ok(Fetched { chunk: None, end: 0 }));
    inbox.deliver(&questions[1], Ok(fetched(0, 9, 10, 20)));
    assert_eq!(asked(), std::slice::from_ref(&idle), "the other has something that nobody has read");
    assert!(matches!(inbox.take(&full, 0), Taken::Chunk(_)));
    assert_eq!(asked(), [full]);
}

#[test]
fn who_reads_in_place_is_asked_for_little_where_much_waits() {
    let (inbox, _large, other) = two();
    let questions = inbox.to_read(1);
    inbox.deliver(&questions[0], Ok(fetched(0, 9, 200, 20)));
    inbox.deliver(&questions[1], Ok(Fetched { chunk: None, end: 0 }));
    assert!(inbox.to_read(1).is_empty());
    assert!(matches!(inbox.take(&other, 0), Taken::Nothing));
    assert_eq!(inbox.to_read(1).len(), 1, "a lane waits for it");
}
