use super::*;
use forebay_core::Ledger;

fn identity() -> Identity {
    Identity {
        pipeline: "plant".into(),
        query: "lake".into(),
        source: "KafkaV2[Subscribe[iot]]".into(),
        sink: "DeltaSink[lake]".into(),
    }
}

fn plan(epoch: u64) -> Plan {
    Plan {
        epoch: Epoch(epoch),
        planned_at_ms: 1,
        ranges: Vec::new(),
        topics: TopicIds::new(),
        replay: Vec::new(),
        times: None,
        tables: Default::default(),
    }
}

fn commit(epoch: u64) -> Commit {
    let ledger = Ledger { read: epoch, ..Ledger::default() };
    Commit {
        epoch: Epoch(epoch),
        ledger,
        observed: None,
        quiet_since_ms: Vec::new(),
        quality: None,
        last: false,
    }
}

#[test]
fn a_reopened_checkpoint_knows_its_end_and_its_query() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, ends) = Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap();
    assert_eq!(ends, Ends::default());
    first.plan(&plan(0)).unwrap();
    first.commit(&commit(0)).unwrap();
    first.plan(&plan(1)).unwrap();
    let outcome = Outcome {
        epoch: Epoch(1),
        ledger: commit(1).ledger,
        observed: None,
        reads: Vec::new(),
        quality: None,
    };
    first.outcome(&outcome).unwrap();
    let id = first.query_id().to_owned();
    drop(first);
    let (second, ends) = Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap();
    assert_eq!(second.query_id(), id);
    assert_eq!(
        ends,
        Ends { plan: Some(plan(1)), outcome: Some(outcome), commit: Some(commit(0)), ..Ends::default() }
    );
}

#[test]
fn a_second_process_and_another_query_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let held = Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap();
    let second = Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap_err();
    assert_eq!(second.code(), &codes::CHECKPOINT_LOCKED);
    drop(held);
    let other = Identity { sink: "DeltaSink[/other]".into(), ..identity() };
    let refused = Checkpoint::open(dir.path(), Door::new(), &other).unwrap_err();
    assert_eq!(refused.code(), &codes::CHECKPOINT_OTHER_QUERY);
    assert!(refused.message().contains("sink was `DeltaSink[lake]`, is `DeltaSink[/other]`"));
}

#[test]
fn a_journal_is_rewritten_with_its_start_and_its_last_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let (mut checkpoint, _) = Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap();
    let start = Start::at(&forebay_core::Positions::new(), TopicIds::new());
    checkpoint.start(&start).unwrap();
    for epoch in 0..COMPACT_AFTER as u64 + 10 {
        checkpoint.plan(&plan(epoch)).unwrap();
        checkpoint.commit(&commit(epoch)).unwrap();
    }
    drop(checkpoint);
    let shown = show(dir.path()).unwrap();
    assert_eq!(shown.entries.len() as u64, 1 + 2 * (KEEP + 10));
    assert_eq!(shown.entries.first(), Some(&Entry::Start(start)));
    assert_eq!(shown.entries.last(), Some(&Entry::Commit(commit(COMPACT_AFTER as u64 + 9))));
}

#[test]
fn a_journal_that_cannot_be_rewritten_grows_and_holds_every_entry_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut checkpoint, _) = Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap();
    // Where the new journal would be written.
    let in_the_way = dir.path().join("journal.staged");
    fs::create_dir(&in_the_way).unwrap();
    let epochs = (COMPACT_AFTER + COMPACT_RETRY) as u64;
    for epoch in 0..epochs {
        if epoch == epochs - 1 {
            let epochs: Vec<u64> = show(dir.path()).unwrap().entries.iter().map(|it| it.epoch().0).collect();
            let expected: Vec<u64> = (0..epochs.len() as u64 / 2).flat_map(|epoch| [epoch, epoch]).collect();
            assert_eq!(epochs, expected, "a plan and a commit of each");
            fs::remove_dir(&in_the_way).unwrap();
        }
        checkpoint.plan(&plan(epoch)).unwrap();
        checkpoint.commit(&commit(epoch)).unwrap();
    }
    checkpoint.plan(&plan(epochs)).unwrap();
    let entries = show(dir.path()).unwrap().entries;
    assert_eq!(entries.len() as u64, 2 * KEEP + 1, "tried again, and written on");
    assert_eq!(entries.last(), Some(&Entry::Plan(plan(epochs))));
}

#[test]
fn a_zero_length_or_damaged_file_is_never_taken_for_a_new_checkpoint() {
    for name in ["metadata", "journal"] {
        let dir = tempfile::tempdir().unwrap();
        drop(Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap());
        fs::write(dir.path().join(name), b"").unwrap();
        let error = Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap_err();
        assert_eq!(error.code(), &codes::CHECKPOINT_DAMAGED, "{name}");
    }
}

#[test]
fn a_missing_file_is_never_taken_for_a_new_checkpoint() {
    for (name, epochs, is_damaged) in
        [("journal", 0, true), ("journal", 1, true), ("metadata", 1, true), ("metadata", 0, false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let (mut checkpoint, _) = Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap();
        for epoch in 0..epochs {
            checkpoint.plan(&plan(epoch)).unwrap();
        }
        drop(checkpoint);
        fs::remove_file(dir.path().join(name)).unwrap();
        let opened = Checkpoint::open(dir.path(), Door::new(), &identity());
        let code = opened.err().map(|error| error.code().id);
        assert_eq!(code, is_damaged.then_some(codes::CHECKPOINT_DAMAGED.id), "{name} after {epochs} epochs");
        if is_damaged {
            let shown = show(dir.path()).unwrap_err();
            assert_eq!(shown.code(), &codes::CHECKPOINT_DAMAGED, "{name}: showing it says the same");
        }
    }
}

#[test]
fn a_folder_without_a_checkpoint_is_said_to_be_that() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [dir.path().to_owned(), dir.path().join("missing")] {
        assert_eq!(show(&dir).unwrap_err().code(), &codes::CHECKPOINT_NOT_FOUND);
    }
}

#[test]
fn what_is_sound_of_a_damaged_checkpoint_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (mut checkpoint, _) = Checkpoint::open(dir.path(), Door::new(), &identity()).unwrap();
    for epoch in 0..3 {
        checkpoint.plan(&plan(epoch)).unwrap();
        checkpoint.commit(&commit(epoch)).unwrap();
    }
    drop(checkpoint);
    assert!(examine(dir.path()).unwrap().damaged.is_empty());
    let journal = dir.path().join("journal");
    let whole = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, whole.replacen("\"epoch\":1", "\"epoch\":7", 1)).unwrap();
    fs::write(dir.path().join("metadata"), "no metadata").unwrap();

    let examined = examine(dir.path()).unwrap();
    let epochs: Vec<u64> = examined.entries.iter().map(|entry| entry.epoch().0).collect();
    assert_eq!(epochs, [0, 0, 1, 2, 2], "all but the plan of epoch 1");
    assert!(examined.identity.is_none() && examined.is_refused());
    let [metadata, lines] = &examined.damaged[..] else { panic!("{:?}", examined.damaged) };
    assert_eq!((&metadata.file, &lines.file), (&dir.path().join("metadata"), &journal));
    assert_eq!(lines.why, "line 4 fails its checksum");
    assert!(lines.next_start.starts_with("is refused (FB-6003). Restore it from a copy."), "{lines:?}");
    fs::remove_file(journal).unwrap();
    let missing = examine(dir.path()).unwrap();
    assert!(missing.entries.is_empty() && missing.damaged.len() == 2, "{:?}", missing.damaged);
}
