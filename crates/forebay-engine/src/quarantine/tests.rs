use std::fs;

use forebay_core::checkpoint::RecordId;

use super::*;

const MANY: ReplayLimit = ReplayLimit { records: 10, bytes: usize::MAX };

fn entry(epoch: u64, offset: i64) -> Entry {
    Entry {
        id: RecordId { topic: "t".into(), partition: 0, offset },
        input: 0,
        refused_by: None,
        source: None,
        timestamp: 1,
        timestamp_type: 0,
        code: "json.syntax".into(),
        path: "$".into(),
        why: "expected a value".into(),
        at: 2,
        epoch: Epoch(epoch),
        query_id: String::new(),
        key: None,
        headers: Vec::new(),
        raw: Some(encode(b"{\xff")),
    }
}

fn id(epoch: u64, offset: i64) -> QuarantinedId {
    entry(epoch, offset).quarantined_id()
}

fn open(dir: &Path, bounds: QuarantineConfig) -> Quarantine {
    Quarantine::open(dir.into(), Door::new(), bounds).unwrap()
}

fn write(quarantine: &Quarantine, epoch: u64, offsets: &[i64]) {
    let mut writer = quarantine.writer(Epoch(epoch), 0);
    for offset in offsets {
        writer.push(&entry(epoch, *offset)).unwrap();
    }
    writer.finish().unwrap();
}

fn put(quarantine: &Quarantine, epoch: u64, offsets: &[i64]) {
    quarantine.begin(Epoch(epoch), 2, &[]).unwrap();
    write(quarantine, epoch, offsets);
}

fn offsets(quarantine: &Quarantine) -> Vec<i64> {
    quarantine.open_entries().unwrap().iter().map(|entry| entry.id.offset).collect()
}

#[test]
fn a_repeated_epoch_leaves_its_records_once() {
    let dir = tempfile::tempdir().unwrap();
    let quarantine = open(dir.path(), QuarantineConfig::default());
    put(&quarantine, 3, &[1, 2]);
    put(&quarantine, 3, &[1, 2]);
    assert_eq!(offsets(&quarantine), [1, 2]);
    let first = &quarantine.open_entries().unwrap()[0];
    assert_eq!(first.raw_bytes().as_deref(), Some(&b"{\xff"[..]));
}

#[test]
fn a_replayed_record_leaves_the_listing_and_its_request_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let quarantine = open(dir.path(), QuarantineConfig::default());
    put(&quarantine, 0, &[1, 2]);
    let ids = [id(0, 1)];
    quarantine.request(&ids).unwrap();
    assert_eq!(quarantine.requested(MANY).unwrap(), ids);
    assert_eq!(quarantine.entries_of(&ids).unwrap().len(), 1);
    quarantine.resolve(&ids, Resolved::Replayed).unwrap();
    quarantine.forget_requests(&ids).unwrap();
    assert_eq!(offsets(&quarantine), [2]);
    assert!(quarantine.requested(MANY).unwrap().is_empty());
}

#[test]
fn what_is_resolved_is_not_replayed_whatever_its_request_says() {
    for how in [Resolved::Replayed, Resolved::Dropped] {
        let dir = tempfile::tempdir().unwrap();
        let quarantine = open(dir.path(), QuarantineConfig::default());
        put(&quarantine, 0, &[1, 2]);
        quarantine.request(&[id(0, 1), id(0, 2)]).unwrap();
        // As after a power cut that took back the removal of the request, and as after `replay --all`, `drop 1`.
        quarantine.resolve(&[id(0, 1)], how).unwrap();
        assert_eq!(quarantine.requested(MANY).unwrap(), [id(0, 2)], "{how:?}");
        quarantine.resolve(&[id(0, 2)], how).unwrap();
        assert!(quarantine.requested(MANY).unwrap().is_empty(), "{how:?}");
        let requests = fs::read_dir(dir.path().join("requests")).unwrap().count();
        assert_eq!(requests, 0, "{how:?}: nothing is asked any more");
    }
}

#[test]
fn a_topic_made_anew_has_records_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let quarantine = open(dir.path(), QuarantineConfig::default());
    put(&quarantine, 0, &[1]);
    quarantine.resolve(&[id(0, 1)], Resolved::Dropped).unwrap();
    put(&quarantine, 5, &[1]);
    assert_eq!(offsets(&quarantine), [1], "the same offset in a later epoch is another record");
    quarantine.request(&[id(5, 1)]).unwrap();
    assert_eq!(quarantine.requested(MANY).unwrap(), [id(5, 1)]);
    assert_eq!(quarantine.entries_of(&[id(5, 1)]).unwrap(), [entry(5, 1)]);
}

#[test]
fn a_replay_takes_no_more_records_and_bytes_than_an_epoch_may() {
    let dir = tempfile::tempdir().unwrap();
    let quarantine = open(dir.path(), QuarantineConfig::default());
    put(&quarantine, 0, &[1, 2, 3]);
    put(&quarantine, 1, &[0]);
    let all = [id(0, 1), id(0, 2), id(0, 3), id(1, 0)];
    quarantine.request(&all).unwrap();
    let taken = |records, bytes| quarantine.requested(ReplayLimit { records, bytes }).unwrap();
    assert_eq!(taken(2, usize::MAX), all[..2], "the oldest epoch first");
    assert_eq!(taken(10, 2 * entry(0, 1).size() + 1), all[..2]);
    assert_eq!(taken(10, 1), all[..1], "one comes whatever its size");
    assert_eq!(taken(10, usize::MAX).len(), 4, "and none of it was forgotten");
}

#[test]
fn two_writers_of_what_is_resolved_do_not_mix_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    put(&open(dir.path(), QuarantineConfig::default()), 0, &(0..200).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let quarantine = open(dir.path(), QuarantineConfig::default());
            scope.spawn(move || {
                for offset in (writer..200).step_by(4) {
                    quarantine.resolve(&[id(0, offset)], Resolved::Dropped).unwrap();
                }
            });
        }
    });
    assert!(offsets(&open(dir.path(), QuarantineConfig::default())).is_empty());
}

#[test]
fn at_its_bound_it_stops_or_lets_the_oldest_go() {
    for when_full in [WhenFull::Stop, WhenFull::DropOldest] {
        let dir = tempfile::tempdir().unwrap();
        let bounds = QuarantineConfig { max_bytes: 100, when_full, ..QuarantineConfig::default() };
        let quarantine = open(dir.path(), bounds);
        put(&quarantine, 0, &[1, 2]);
        match (when_full, quarantine.begin(Epoch(1), 2, &[])) {
            (WhenFull::Stop, Err(error)) => assert_eq!(error.code(), &codes::QUARANTINE_FULL),
            (WhenFull::DropOldest, Ok(())) => {
                assert_eq!((offsets(&quarantine), quarantine.evicted()), (vec![], 2))
            }
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_about_to_be_replayed_makes_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let bounds =
        QuarantineConfig { max_bytes: 100, when_full: WhenFull::DropOldest, ..QuarantineConfig::default() };
    let quarantine = open(dir.path(), bounds);
    write(&quarantine, 0, &[1]);
    write(&quarantine, 1, &[2]);
    quarantine.begin(Epoch(2), 2, &[id(0, 1)]).unwrap();
    assert_eq!(offsets(&quarantine), [1], "the older entry is held, so the younger one goes");
    assert_eq!(quarantine.evicted(), 1);
}

#[test]
fn its_bytes_are_those_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let quarantine = open(dir.path(), QuarantineConfig::default());
    let on_disk = || total(&epoch_files(dir.path(), "").unwrap());
    put(&quarantine, 0, &[1, 2]);
    assert_eq!((quarantine.bytes(), on_disk() > 0), (on_disk(), true));
    // Another attempt of the same epoch, which sets nothing aside.
    put(&quarantine, 0, &[]);
    assert_eq!((quarantine.bytes(), on_disk()), (0, 0));
}

#[test]
fn the_folder_is_looked_at_only_where_something_can_have_been_left() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, aside) = (dir.path().join("q"), dir.path().join("aside"));
    let quarantine = open(&folder, QuarantineConfig::default());
    put(&quarantine, 0, &[1]);
    // Without its folder: whoever looks fails.
    fs::rename(&folder, &aside).unwrap();
    quarantine.begin(Epoch(1), 2, &[]).unwrap();
    assert!(quarantine.begin(Epoch(1), 2, &[]).is_err(), "an earlier attempt may have left entries");
    assert!(quarantine.begin(Epoch(2), 2, &[]).is_err(), "and nobody has looked since");
    fs::rename(&aside, &folder).unwrap();
    quarantine.begin(Epoch(2), 2, &[]).unwrap();
    assert_eq!(offsets(&quarantine), [1]);
}

#[test]
fn entries_older_than_the_retention_go() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Some(std::time::Duration::from_millis(100));
    let quarantine = open(dir.path(), QuarantineConfig { retention, ..QuarantineConfig::default() });
    put(&quarantine, 0, &[1]);
    quarantine.begin(Epoch(1), 102, &[]).unwrap();
    assert_eq!(offsets(&quarantine), [1], "exactly as old as the retention");
    quarantine.begin(Epoch(1), 103, &[id(0, 1)]).unwrap();
    assert_eq!(offsets(&quarantine), [1], "about to be replayed");
    quarantine.begin(Epoch(1), 103, &[]).unwrap();
    assert!(offsets(&quarantine).is_empty());
}

#[test]
fn an_empty_quarantine_keeps_no_resolutions() {
    let dir = tempfile::tempdir().unwrap();
    let quarantine = open(dir.path(), QuarantineConfig::default());
    put(&quarantine, 0, &[1]);
    quarantine.resolve(&[id(0, 1)], Resolved::Dropped).unwrap();
    // A query that begins anew numbers its epochs from 0 again.
    put(&quarantine, 0, &[1]);
    assert_eq!(offsets(&quarantine), [1]);
}

/// Entry `offset` of epoch 0 of this query.
fn of(query_id: &str, offset: i64) -> QuarantinedId {
    QuarantinedId { query_id: query_id.into(), ..id(0, offset) }
}

/// The quarantine as the query with this id has it.
fn of_query(dir: &Path, query_id: &str) -> Quarantine {
    open(dir, QuarantineConfig::default()).of(query_id)
}

#[test]
fn a_query_that_begins_anew_leaves_what_the_earlier_one_of_its_name_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (earlier, later) = (of_query(dir.path(), "z"), of_query(dir.path(), "a"));
    put(&earlier, 0, &[1]);
    put(&earlier, 1, &[2]);
    put(&later, 0, &[9]);
    put(&later, 0, &[9]);
    assert_eq!(offsets(&later), [1, 2, 9], "an epoch that is repeated clears its own files only");
    assert_eq!(later.bytes(), total(&epoch_files(dir.path(), "").unwrap()));
    earlier.resolve(&[of("z", 1)], Resolved::Dropped).unwrap();
    put(&later, 1, &[1]);
    assert_eq!(offsets(&later), [1, 2, 9], "what was dropped is the earlier one's");
}

/// Whether what another query set aside is in this one's sink already, nobody can know.
#[test]
fn a_query_replays_what_it_set_aside_itself_and_leaves_the_rest_to_whom_it_belongs() {
    let dir = tempfile::tempdir().unwrap();
    let (other, own) = (of_query(dir.path(), "z"), of_query(dir.path(), "a"));
    put(&other, 0, &[1, 3]);
    put(&own, 0, &[3]);
    own.request(&[of("z", 1), of("z", 3), of("a", 3)]).unwrap();
    let plan = own.requested(MANY).unwrap();
    assert_eq!(plan, [of("a", 3)]);
    own.resolve(&plan, Resolved::Replayed).unwrap();
    own.forget_requests(&plan).unwrap();
    assert!(own.requested(MANY).unwrap().is_empty());
    assert_eq!(other.requested(MANY).unwrap(), [of("z", 1), of("z", 3)]);
}

#[test]
fn of_several_earlier_queries_the_oldest_entries_make_room_first() {
    let dir = tempfile::tempdir().unwrap();
    for (query, at) in [("x", 5), ("y", 1), ("z", 3)] {
        let mut writer = of_query(dir.path(), query).writer(Epoch(0), 0);
        writer.push(&Entry { at, ..entry(0, at) }).unwrap();
        writer.finish().unwrap();
    }
    let max_bytes = total(&epoch_files(dir.path(), "").unwrap());
    let bounds =
        QuarantineConfig { max_bytes, when_full: WhenFull::DropOldest, ..QuarantineConfig::default() };
    let full = open(dir.path(), bounds).of("a");
    full.begin(Epoch(0), 9, &[]).unwrap();
    assert_eq!(offsets(&full), [3, 5]);
}

#[test]
fn what_is_oldest_goes_first_for_each_query_of_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let bounds =
        |max_bytes, retention| QuarantineConfig { max_bytes, when_full: WhenFull::DropOldest, retention };
    put(&of_query(dir.path(), "z"), 7, &[1]);
    put(&of_query(dir.path(), "a"), 0, &[2]);
    let one = total(&epoch_files(dir.path(), "").unwrap()) / 2;
    let full = open(dir.path(), bounds(2 * one, None)).of("a");
    full.begin(Epoch(1), 2, &[]).unwrap();
    assert_eq!(offsets(&full), [2], "the earlier query's, though its epoch has a higher number");
    put(&of_query(dir.path(), "y"), 0, &[3]);
    let retention = Some(std::time::Duration::from_millis(100));
    let old = open(dir.path(), bounds(u64::MAX, retention)).of("a");
    old.begin(Epoch(1), 103, &[of("y", 3)]).unwrap();
    assert_eq!(offsets(&old), [3], "what is held of one query holds nothing of another");
}

#[test]
fn an_index_follows_what_is_set_aside_and_what_is_resolved() {
    let dir = tempfile::tempdir().unwrap();
    let quarantine = open(dir.path(), QuarantineConfig::default());
    let mut index = Index::new(quarantine.clone());
    let listed = |index: &mut Index| -> Vec<i64> {
        index.refresh().unwrap();
        let mut offsets: Vec<i64> = index.open().map(|brief| brief.id.record.offset).collect();
        offsets.sort_unstable();
        offsets
    };
    assert_eq!(listed(&mut index), [] as [i64; 0]);
    put(&quarantine, 3, &[1, 2]);
    assert_eq!(listed(&mut index), [1, 2]);
    put(&quarantine, 4, &[5]);
    quarantine.resolve(&[id(3, 1)], Resolved::Dropped).unwrap();
    assert_eq!(listed(&mut index), [2, 5]);
    assert_eq!((index.bytes(), index.beyond()), (quarantine.bytes(), 0));
    put(&quarantine, 4, &[6, 7]);
    assert_eq!(listed(&mut index), [2, 6, 7], "an epoch that was computed anew replaces what it left");
    let marks: BTreeSet<u64> = index.open().map(|brief| brief.mark).collect();
    assert_eq!(marks.len(), 3);
}
