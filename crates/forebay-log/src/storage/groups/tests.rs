//! What survives of the store, and what it refuses.

use forebay_storage::Door;

use super::*;
use crate::storage::LogOptions;

fn open(dir: &Path) -> GroupStore {
    let core = Arc::new(Core::new(LogOptions::new(dir), Door::new()));
    GroupStore::open(&core, dir.join("groups")).unwrap()
}

fn pair(key: &str, value: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into(), Some(value.into()))
}

#[test]
fn a_cut_at_any_byte_leaves_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_batch(&[pair("a", "1"), pair("b", "2")]).unwrap();
    let after_first = std::fs::read(dir.path().join("groups")).unwrap().len();
    store.put_batch(&[pair("a", "3"), ("b".into(), None), pair("c", "4")]).unwrap();
    drop(store);
    let whole = std::fs::read(dir.path().join("groups")).unwrap();
    for cut in after_first..=whole.len() {
        std::fs::write(dir.path().join("groups"), &whole[..cut]).unwrap();
        let expected = if cut == whole.len() { [("a", "3"), ("c", "4")] } else { [("a", "1"), ("b", "2")] };
        let expected: Vec<(Vec<u8>, Vec<u8>)> =
            expected.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        let store = open(dir.path());
        assert_eq!(store.load_all(), expected, "cut at {cut}");
        store.put_batch(&[pair("d", "5")]).unwrap();
        drop(store);
        let found = open(dir.path()).load_all();
        assert_eq!(found.last(), Some(&(b"d".to_vec(), b"5".to_vec())), "cut at {cut}");
    }
}

#[test]
fn what_stands_behind_a_damaged_batch_counts_and_the_file_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("groups");
    let store = open(dir.path());
    store.put_batch(&[pair("a", "1")]).unwrap();
    let first = std::fs::read(&path).unwrap().len();
    store.put_batch(&[pair("b", "2"), pair("a", "2")]).unwrap();
    store.put_batch(&[pair("c", "3")]).unwrap();
    drop(store);
    let sound = std::fs::read(&path).unwrap();
    let last = sound.len() - (first - HEAD.len());
    for bit in (HEAD.len() * 8..last * 8).step_by(5) {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        let (at, expected) = match bit / 8 < first {
            true => (HEAD.len(), vec!["a2", "b2", "c3"]),
            false => (first, vec!["a1", "c3"]),
        };
        for _ in 0..2 {
            let store = open(dir.path());
            let found =
                store.load_all().into_iter().map(|(key, value)| String::from_utf8([key, value].concat()));
            assert_eq!(found.map(Result::unwrap).collect::<Vec<_>>(), expected, "bit {bit}");
        }
        let kept = dir.path().join(format!("groups.damaged-{at}"));
        assert!(std::fs::read(&kept).unwrap() == bytes, "bit {bit}: {at}");
        std::fs::remove_file(kept).unwrap();
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "the second start finds nothing to keep"
        );
    }
}

#[test]
fn a_file_of_something_else_names_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("groups"), b"FBXG\0\x01").unwrap();
    let core = Arc::new(Core::new(LogOptions::new(dir.path()), Door::new()));
    let refused = GroupStore::open(&core, dir.path().join("groups")).unwrap_err().to_string();
    assert!(refused.contains("groups is damaged") && refused.contains("move it away"), "{refused}");
}

#[test]
fn it_grows_to_its_limit_and_what_is_there_may_change() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { max_group_bytes: 1000, ..LogOptions::new(dir.path()) };
    let open = || {
        let core = Arc::new(Core::new(options.clone(), Door::new()));
        GroupStore::open(&core, dir.path().join("groups")).unwrap()
    };
    open().put_batch(&[pair("a", &"x".repeat(600))]).unwrap();
    for _ in 0..2 {
        let store = open();
        let refused = store.put_batch(&[pair("b", &"x".repeat(600))]).unwrap_err();
        assert!(refused.to_string().contains("max_group_bytes"), "{refused}");
        store.put_batch(&[pair("a", &"y".repeat(900)), pair("a", &"z".repeat(600))]).unwrap();
    }
    let store = open();
    store.put_batch(&[("a".into(), None), pair("b", &"x".repeat(600))]).unwrap();
    assert_eq!(store.load_all().len(), 1);
}

#[test]
fn history_is_compacted_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for i in 0..40 {
        store.put_batch(&[("k".into(), Some(vec![i; 100_000]))]).unwrap();
    }
    drop(store);
    assert!(std::fs::metadata(dir.path().join("groups")).unwrap().len() < 1_500_000);
    assert_eq!(open(dir.path()).load_all(), [(b"k".to_vec(), vec![39; 100_000])]);
}

#[test]
fn a_compaction_that_cannot_begin_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let in_the_way = dir.path().join("groups.staged");
    std::fs::create_dir(&in_the_way).unwrap();
    for i in 0..40 {
        store.put_batch(&[("k".into(), Some(vec![i; 100_000]))]).unwrap();
    }
    assert!(std::fs::metadata(dir.path().join("groups")).unwrap().len() > 4_000_000, "it goes on growing");
    std::fs::remove_dir(&in_the_way).unwrap();
    store.put_batch(&[pair("last", "1")]).unwrap();
    drop(store);
    assert!(std::fs::metadata(dir.path().join("groups")).unwrap().len() < 200_000);
    let expected = [(b"k".to_vec(), vec![39; 100_000]), (b"last".to_vec(), b"1".to_vec())];
    assert_eq!(open(dir.path()).load_all(), expected);
}

#[test]
fn a_file_that_cannot_be_opened_behind_a_compaction_is_not_final() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_batch(&[pair("a", "1")]).unwrap();
    store.state.lock().file = None;
    let (path, away) = (dir.path().join("groups"), dir.path().join("away"));
    std::fs::rename(&path, &away).unwrap();
    let refused = store.put_batch(&[pair("b", "2")]).unwrap_err();
    assert!(matches!(refused, LogError::Storage { doing: "open", .. }), "{refused}");
    std::fs::rename(&away, &path).unwrap();
    store.put_batch(&[pair("b", "2")]).unwrap();
    drop(store);
    assert_eq!(open(dir.path()).load_all().len(), 2);
}
