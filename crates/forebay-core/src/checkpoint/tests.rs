//! Where a query goes on after each end that a checkpoint can have.

use super::*;
use crate::event_time::Watermark;

fn plan(epoch: u64) -> Plan {
    let range = PositionRange { partition: Partition::new("t", 0), from: Position(5), to: Position(9) };
    let topics = TopicIds::from([("t".to_owned(), "id".to_owned())]);
    Plan {
        epoch: Epoch(epoch),
        planned_at_ms: 7,
        ranges: vec![range],
        topics,
        replay: Vec::new(),
        times: None,
        tables: BTreeMap::new(),
    }
}

fn commit(epoch: u64) -> Commit {
    let ledger = Ledger { read: 4, emitted: 4, ..Ledger::default() };
    Commit {
        epoch: Epoch(epoch),
        ledger,
        observed: None,
        quiet_since_ms: Vec::new(),
        quality: None,
        last: false,
    }
}

fn outcome(epoch: u64) -> Outcome {
    let ledger = Ledger { read: 2, filtered: 2, ..Ledger::default() };
    Outcome { epoch: Epoch(epoch), ledger, observed: None, reads: Vec::new(), quality: None }
}

#[test]
fn the_crash_table() {
    assert_eq!(decide(None, None, None, None).unwrap(), Recovery::Fresh);
    let time = KnownTime::default;
    let replay =
        |epoch, ledger, outcome| Recovery::Replay { plan: plan(epoch), ledger, outcome, time: time() };
    let nothing = Ledger::default();
    assert_eq!(decide(Some(plan(0)), None, None, None).unwrap(), replay(0, nothing, None));
    let known = Some(outcome(0));
    assert_eq!(
        decide(Some(plan(0)), Some(outcome(0)), None, Some(Epoch(0))).unwrap(),
        replay(0, nothing, known)
    );
    let (before, ledger) = (Some(outcome(2)), commit(2).ledger);
    assert_eq!(
        decide(Some(plan(3)), before, Some(commit(2)), Some(Epoch(2))).unwrap(),
        replay(3, ledger, None),
        "the outcome of epoch 2 says nothing about epoch 3"
    );
    let Recovery::Continue { epoch, positions, ledger, .. } =
        decide(Some(plan(3)), Some(outcome(3)), Some(commit(3)), Some(Epoch(3))).unwrap()
    else {
        panic!("epoch 3 is committed")
    };
    assert_eq!((epoch, ledger), (Epoch(4), commit(3).ledger));
    assert_eq!(positions[&Partition::new("t", 0)], Position(9));
}

#[test]
fn holes_and_older_copies_are_refused() {
    for (plan, outcome, commit, in_sink) in [
        (None, None, Some(commit(0)), None),
        (Some(plan(1)), None, None, None),
        (Some(plan(5)), None, Some(commit(3)), None),
        (Some(plan(3)), None, Some(commit(5)), None),
        (Some(plan(3)), Some(outcome(3)), Some(commit(3)), Some(Epoch(4))),
        (None, None, None, Some(Epoch(0))),
        (Some(plan(0)), None, None, Some(Epoch(0))),
        (Some(plan(3)), Some(outcome(2)), Some(commit(2)), Some(Epoch(3))),
    ] {
        let error = decide(plan, outcome, commit, in_sink).unwrap_err();
        assert_eq!(error.code(), &codes::CHECKPOINT_DAMAGED);
    }
}

#[test]
fn a_sink_that_lacks_what_was_written_is_refused() {
    let wrote = |epoch| Outcome {
        epoch: Epoch(epoch),
        ledger: Ledger { read: 4, emitted: 4, rows_out: 4, ..Ledger::default() },
        observed: None,
        reads: Vec::new(),
        quality: None,
    };
    for in_sink in [None, Some(Epoch(2))] {
        let refused = decide(Some(plan(3)), Some(wrote(3)), Some(commit(3)), in_sink).unwrap_err();
        assert_eq!(refused.code(), &codes::SINK_BEHIND);
        let replayed = decide(Some(plan(4)), Some(wrote(3)), Some(commit(3)), in_sink).unwrap_err();
        assert_eq!(replayed.code(), &codes::SINK_BEHIND);
        decide(Some(plan(3)), Some(outcome(3)), Some(commit(3)), in_sink).expect("no row was written");
        decide(Some(plan(3)), None, Some(commit(3)), in_sink).expect("a sink that recognises nothing");
        decide(Some(plan(3)), Some(wrote(3)), Some(commit(2)), Some(Epoch(2))).expect("not yet written");
    }
}

#[test]
fn an_entry_from_before_a_count_was_there_reads_with_none_of_it() {
    let line = r#"{"epoch":3,"ledger":{"read":2,"emitted":2,"rowsOut":2}}"#;
    let outcome: Outcome = serde_json::from_str(line).unwrap();
    assert_eq!((outcome.ledger.rows_out, outcome.ledger.rows_refused), (2, 0));
    let refused = Outcome { ledger: Ledger { rows_refused: 1, ..outcome.ledger }, ..outcome };
    let again: Outcome = serde_json::from_str(&serde_json::to_string(&refused).unwrap()).unwrap();
    assert_eq!(again, refused);
}

#[test]
fn an_entry_is_one_line_and_reads_back() {
    let record = RecordId { topic: "t".into(), partition: 1, offset: 7 };
    let replay = vec![QuarantinedId { record, input: 0, epoch: Epoch(2), query_id: "id".into() }];
    for entry in
        [Entry::Plan(Plan { replay, ..plan(3) }), Entry::Outcome(outcome(3)), Entry::Commit(commit(3))]
    {
        let text = serde_json::to_string(&entry).unwrap();
        assert!(!text.contains('\n'));
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    }
}

#[test]
fn event_time_is_in_the_entries_of_queries_that_have_it_only() {
    let times = Times { late: Watermark(5), evict: Watermark(9) };
    let seen = Observed(vec![Some(-3), None]);
    let with_time = [
        Entry::Plan(Plan { times: Some(times), ..plan(3) }),
        Entry::Outcome(Outcome { observed: Some(seen.clone()), ..outcome(3) }),
        Entry::Commit(Commit { observed: Some(seen), quiet_since_ms: vec![7, 8], ..commit(3) }),
    ];
    let without = [Entry::Plan(plan(3)), Entry::Outcome(outcome(3)), Entry::Commit(commit(3))];
    let tails = [
        r#","times":{"late":5,"evict":9}}}"#,
        r#","observed":[-3,null]}}"#,
        r#","observed":[-3,null],"quietSinceMs":[7,8]}}"#,
    ];
    for ((with, without), tail) in with_time.into_iter().zip(without).zip(tails) {
        let bare = serde_json::to_string(&without).unwrap();
        let text = serde_json::to_string(&with).unwrap();
        assert_eq!(text, format!("{}{tail}", bare.strip_suffix("}}").unwrap()), "the rest is as it was");
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), with);
        assert_eq!(serde_json::from_str::<Entry>(&bare).unwrap(), without);
    }
}

#[test]
fn event_time_goes_on_where_the_newest_commit_left_it() {
    let times = |late, evict| Some(Times { late: Watermark(late), evict: Watermark(evict) });
    let (before, after) = (Observed(vec![Some(10)]), Observed(vec![Some(20)]));
    let committed = Commit { observed: Some(before.clone()), quiet_since_ms: vec![7], ..commit(2) };
    let known = KnownTime { times: times(5, 9).unwrap(), observed: before, quiet_since_ms: vec![7] };
    let last = Plan { times: times(5, 9), ..plan(2) };
    let Recovery::Continue { time, .. } = decide(Some(last), None, Some(committed.clone()), None).unwrap()
    else {
        panic!("epoch 2 is committed")
    };
    assert_eq!(time, known);
    let next = Plan { times: times(9, 12), ..plan(3) };
    let seen = Outcome { observed: Some(after), ..outcome(3) };
    let again = decide(Some(next.clone()), Some(seen.clone()), Some(committed), None).unwrap();
    let Recovery::Replay { plan, outcome, time, .. } = again else { panic!("epoch 3 is not committed") };
    assert_eq!((plan, outcome), (next, Some(seen)), "what the epoch has of its own is used again");
    assert_eq!(time.times.evict, Watermark(9), "what epoch 2 evicted by is late in epoch 3");
    assert_eq!((time.observed, time.quiet_since_ms), (known.observed, known.quiet_since_ms));
}

#[test]
fn topics_without_ids_leave_nothing_in_an_entry() {
    let text = r#"{"plan":{"epoch":3,"plannedAtMs":7,"ranges":[["t",0,5,9]]}}"#;
    let expected = Plan { topics: TopicIds::new(), ..plan(3) };
    assert_eq!(serde_json::from_str::<Entry>(text).unwrap(), Entry::Plan(expected.clone()));
    assert_eq!(serde_json::to_string(&Entry::Plan(expected)).unwrap(), text);
    let text = r#"{"start":{"ranges":[["t",0,5,5]]}}"#;
    let positions = [(Partition::new("t", 0), Position(5))].into();
    let expected = Entry::Start(Start::at(&positions, TopicIds::new()));
    assert_eq!(serde_json::from_str::<Entry>(text).unwrap(), expected);
}

#[test]
fn a_record_is_named_by_topic_partition_and_offset() {
    let id: RecordId = "a/b/2/17".parse().unwrap();
    assert_eq!((id.topic.as_str(), id.partition, id.offset), ("a/b", 2, 17));
    assert_eq!(id.to_string(), "a/b/2/17");
    assert!("nonsense".parse::<RecordId>().is_err());
}

#[test]
fn an_input_after_the_first_is_in_the_entries_and_the_first_is_not() {
    let topics = TopicIds::from([("t".to_owned(), "id".to_owned()), ("1/t".to_owned(), "id".to_owned())]);
    let second =
        |range: &PositionRange| PositionRange { partition: range.partition.of_input(1), ..range.clone() };
    let record = RecordId { topic: "t".into(), partition: 1, offset: 7 };
    let aside =
        |input| QuarantinedId { record: record.clone(), input, epoch: Epoch(2), query_id: "id".into() };
    let mut both = Plan { topics, replay: vec![aside(0), aside(1)], ..plan(3) };
    both.ranges.push(second(&both.ranges[0]));
    let text = serde_json::to_string(&Entry::Plan(both.clone())).unwrap();
    assert!(text.contains(r#""ranges":[["t",0,5,9],["t",0,5,9,1]]"#), "{text}");
    assert!(
        text.contains(r#""offset":7,"epoch":2"#) && text.contains(r#""offset":7,"input":1,"epoch":2"#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), Entry::Plan(both.clone()));
    assert_eq!(both.ends().len(), 2, "the same partition twice");
    let read = Entry::Outcome(Outcome { reads: vec![2, 0], ..outcome(3) });
    let text = serde_json::to_string(&read).unwrap();
    assert!(text.ends_with(r#","reads":[2,0]}}"#), "{text}");
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), read);
    for range in [r#"["t",0,5]"#, r#"["t",0,5,9,1,1]"#, r#"["t",0,5,9,-1]"#] {
        let text = format!(r#"{{"plan":{{"epoch":3,"plannedAtMs":7,"ranges":[{range}]}}}}"#);
        assert!(serde_json::from_str::<Entry>(&text).is_err(), "{range}");
    }
}

#[test]
fn a_commit_says_that_last_values_are_kept_and_one_of_before_says_nothing() {
    let kept = serde_json::to_string(&Commit { last: true, ..commit(3) }).unwrap();
    assert!(kept.ends_with(",\"last\":true}"), "{kept}");
    assert!(serde_json::from_str::<Commit>(&kept).unwrap().last);
    let before = kept.replace(",\"last\":true", "");
    assert_eq!(serde_json::to_string(&commit(3)).unwrap(), before);
    assert_eq!(serde_json::from_str::<Commit>(&before).unwrap(), commit(3));
}
