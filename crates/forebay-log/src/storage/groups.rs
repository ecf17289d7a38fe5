//! The memory of the group coordinator: small keys and values, mostly committed offsets.
//!
//! ```text
//!  "FBYG" | version u16 | (length u32 | crc-32c u32 | batch)*
//!  batch: (key length u32 | key | value length i32, -1: removed | value)*
//! ```
//! A batch is the unit of durability: all of it or nothing. A tail that is not whole is cut at start. When the file
//! is mostly history, it is written anew and replaced as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_storage::DoorFile;
use parking_lot::Mutex;

use super::core::Core;
use super::sealed::Fields;
use crate::LogError;

const HEAD: &[u8; 6] = b"FBYG\0\x01";
/// Below this size a file is left as it is, however much of it is history.
const COMPACT_FROM: u64 = 1024 * 1024;
/// A file is written anew when it is this many times as large as what it holds.
const COMPACT_RATIO: u64 = 4;
/// Largest batch: what one consumer group commits at once is a thousandth of it.
const MAX_BATCH: usize = 16 * 1024 * 1024;

/// A durable map of small keys and values. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GroupStore {
    core: Arc<Core>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    path: PathBuf,
    file: DoorFile,
    /// Bytes of the file that are whole and durable.
    len: u64,
    live: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bytes of it.
    live_bytes: u64,
}

impl GroupStore {
    pub(super) fn open(core: &Arc<Core>, path: PathBuf) -> Result<Self, LogError> {
        let io = |e: std::io::Error| LogError::io("open", &path, &e);
        if !path.exists() {
            core.door.write_atomic(&path, HEAD).map_err(io)?;
        }
        let bytes = std::fs::read(&path).map_err(io)?;
        let Some(body) = bytes.strip_prefix(HEAD) else { return Err(unknown(&path, &bytes)) };
        let mut live = BTreeMap::new();
        let mut rest = body;
        while let Some((batch, after)) = next_batch(rest) {
            if apply(&mut live, batch).is_none() {
                return Err(LogError::Damaged { path, why: "a batch holds something else".to_owned() });
            }
            rest = after;
        }
        let len = (bytes.len() - rest.len()) as u64;
        let mut file = core.door.open_append(&path).map_err(io)?;
        if !rest.is_empty() {
            tracing::warn!(path = %path.display(), bytes = rest.len(), "torn tail cut");
            file.truncate(len).map_err(io)?;
        }
        file.sync().map_err(io)?;
        let live_bytes = live.iter().map(|(key, value)| size(key, value)).sum();
        let state = State { path, file, len, live, live_bytes };
        Ok(Self { core: Arc::clone(core), state: Arc::new(Mutex::new(state)) })
    }

    /// Everything in it, by key.
    pub fn load_all(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.state.lock().live.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Sets keys, or removes those with `None`: all of them or none, durable on return. Blocks for an fsync.
    ///
    /// # Errors
    /// [`LogError::LimitReached`] where the store would grow beyond
    /// [`max_group_bytes`](super::LogOptions::max_group_bytes), [`LogError::BatchTooLarge`] for more than fits one batch.
    pub fn put_batch(&self, entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), LogError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.core.check_writable()?;
        let batch = encode(entries.iter().map(|(key, value)| (&key[..], value.as_deref())));
        if batch.len() > MAX_BATCH {
            return Err(LogError::BatchTooLarge { size: batch.len(), limit: MAX_BATCH });
        }
        let mut state = self.state.lock();
        let (more, less) = state.change(entries);
        let (after, limit) =
            (state.live_bytes.saturating_add(more).saturating_sub(less), self.core.options.max_group_bytes);
        if after > limit && more > less {
            let what = "bytes of committed offsets";
            return Err(LogError::LimitReached { what, limit, option: "max_group_bytes" });
        }
        let framed = frame(&batch);
        if let Err(e) = state.file.append(&framed) {
            let refused = LogError::io("append to", &state.path, &e);
            let len = state.len;
            if let Err(e) = state.file.truncate(len) {
                return Err(self.core.fail(&state.path, &e));
            }
            return Err(refused);
        }
        if let Err(e) = state.file.sync() {
            return Err(self.core.fail(&state.path, &e));
        }
        state.len += framed.len() as u64;
        state.live_bytes = after;
        for (key, value) in entries {
            match value {
                Some(value) => drop(state.live.insert(key.clone(), value.clone())),
                None => drop(state.live.remove(key)),
            }
        }
        if let Err(error) = state.compact(&self.core) {
            tracing::warn!(%error, "group offsets not compacted; the file goes on growing");
        }
        Ok(())
    }
}

impl State {
    /// Bytes that entries would add, and take away.
    fn change(&self, entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> (u64, u64) {
        let last: BTreeMap<_, _> = entries.iter().map(|(key, value)| (key, value)).collect();
        let more =
            last.iter().filter_map(|(key, value)| value.as_deref().map(|value| size(key, value))).sum();
        let less = last.keys().filter_map(|key| self.live.get(*key).map(|value| size(key, value))).sum();
        (more, less)
    }

    fn compact(&mut self, core: &Core) -> Result<(), LogError> {
        if self.len < COMPACT_FROM.max(self.live_bytes.saturating_mul(COMPACT_RATIO)) {
            return Ok(());
        }
        let mut bytes = HEAD.to_vec();
        for (key, value) in &self.live {
            bytes.extend_from_slice(&frame(&encode([(&key[..], Some(&value[..]))])));
        }
        match core.door.write_atomic(&self.path, &bytes) {
            Ok(()) => {}
            // The new file was not finished; the old one stands.
            Err(e) if is_full(&e) => return Err(LogError::io("write", &self.path, &e)),
            // Perhaps the new one has the name, perhaps not for good: what is appended to either could be lost.
            Err(e) => return Err(core.fail(&self.path, &e)),
        }
        // From here on the old file has no name: what is appended to it would be lost.
        match core.door.open_append(&self.path) {
            Ok(file) => self.file = file,
            Err(e) => return Err(core.fail(&self.path, &e)),
        }
        self.len = bytes.len() as u64;
        Ok(())
    }
}

fn size(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len() + 8) as u64
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn unknown(path: &Path, bytes: &[u8]) -> LogError {
    match bytes.get(..6) {
        Some([b'F', b'B', b'Y', b'G', high, low]) => LogError::UnknownFormat {
            path: path.to_path_buf(),
            found: u16::from_be_bytes([*high, *low]).into(),
            known: 1,
        },
        _ => LogError::Damaged { path: path.to_path_buf(), why: "it does not begin as it should".to_owned() },
    }
}

fn frame(batch: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(batch.len() + 8);
    // A batch is far below 4 GiB.
    out.extend_from_slice(&u32::try_from(batch.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(batch).to_be_bytes());
    out.extend_from_slice(batch);
    out
}

/// The batch at the front, and what follows; `None` when no whole, sound one is there.
fn next_batch(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Fields(bytes);
    let length = usize::try_from(u32::from_be_bytes(fields.take()?)).ok()?;
    let crc = u32::from_be_bytes(fields.take()?);
    let (batch, rest) = bytes.get(8..)?.split_at_checked(length)?;
    // A tail of zeros, as some file systems leave it, has a valid sum of nothing.
    (length > 0 && crc32c::crc32c(batch) == crc).then_some((batch, rest))
}

fn encode<'a>(entries: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in entries {
        out.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(key);
        match value {
            Some(value) => {
                out.extend_from_slice(&i32::try_from(value.len()).unwrap_or(i32::MAX).to_be_bytes());
                out.extend_from_slice(value);
            }
            None => out.extend_from_slice(&(-1i32).to_be_bytes()),
        }
    }
    out
}

fn apply(live: &mut BTreeMap<Vec<u8>, Vec<u8>>, mut batch: &[u8]) -> Option<()> {
    while !batch.is_empty() {
        let (length, rest) = batch.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => {
                let (value, rest) = rest.split_at_checked(length)?;
                live.insert(key.to_vec(), value.to_vec());
                batch = rest;
            }
            Err(_) => {
                live.remove(key);
                batch = rest;
            }
        }
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests damage files on purpose")]
mod tests {
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
            let expected =
                if cut == whole.len() { [("a", "3"), ("c", "4")] } else { [("a", "1"), ("b", "2")] };
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
}
