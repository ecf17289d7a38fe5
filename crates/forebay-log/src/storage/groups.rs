//! The memory of the group coordinator and the transaction coordinator: small keys and values, mostly committed offsets.
//!
//! ```text
//!  "FBYG" | version u16 | (length u32 | crc-32c u32 | batch)*
//!  batch: (key length u32 | key | value length i32, -1: removed | value)*
//! ```
//! A batch is the unit of durability: all of it or nothing. A tail that is not whole is cut at start. When the file
//! is mostly history, it is written anew and replaced as a whole.
//!
//! A sound batch *behind* an unsound one is not what a torn write leaves: then what is sound counts, a copy of the
//! whole file stays beside it, and a person is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_storage::{DoorFile, kill_point};
use parking_lot::Mutex;

use super::core::Core;
use super::sealed::Fields;
use crate::LogError;
use crate::quiet::About;

const HEAD: &[u8; 6] = b"FBYG\0\x01";
/// Below this size a file is left as it is, however much of it is history.
const COMPACT_FROM: u64 = 1024 * 1024;
/// A file is written anew when it is this many times as large as what it holds.
const COMPACT_RATIO: u64 = 4;
/// The system's numbers for too many open files, its own or the process's: no fsync answers so.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
/// Largest batch: what one consumer group commits at once is a thousandth of it.
const MAX_BATCH: usize = 16 * 1024 * 1024;

/// A durable map of small keys and values, which several may share: each knows its keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GroupStore {
    core: Arc<Core>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    path: PathBuf,
    /// `None` once a compaction has put another in its place, until [`State::opened`].
    file: Option<DoorFile>,
    /// Bytes of the file that are whole and durable.
    len: u64,
    live: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bytes of `live`, each entry by its [`size`].
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
        let Replayed { live, torn, unsound } = replay(&path, body)?;
        let mut len = (bytes.len() - torn) as u64;
        if let Some(at) = unsound.first() {
            let kept = path.with_extension(format!("damaged-{at}"));
            core.door.write_atomic(&kept, &bytes).map_err(|e| LogError::io("write", &kept, &e))?;
            let whole = whole(&live);
            core.door.write_atomic(&path, &whole).map_err(io)?;
            len = whole.len() as u64;
            tracing::error!(
                path = %path.display(), kept = %kept.display(), places = unsound.len(), at,
                "committed offsets are damaged: what was committed in between is lost, so a group may read again from \
                 an older offset; look at the disk, and compare the groups' offsets. The file as it was is kept"
            );
        }
        let mut file = core.door.open_append(&path).map_err(io)?;
        if torn > 0 && unsound.is_empty() {
            tracing::warn!(path = %path.display(), bytes = torn, "torn tail cut");
            file.truncate(len).map_err(io)?;
        }
        file.sync().map_err(io)?;
        let live_bytes = live.iter().map(|(key, value)| size(key, value)).sum();
        let state = State { path, file: Some(file), len, live, live_bytes };
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
    /// [`max_group_bytes`](super::LogOptions::max_group_bytes), [`LogError::BatchTooLarge`] for more than fits one
    /// batch.
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
        let after = state.live_bytes.saturating_add(more).saturating_sub(less);
        let limit = self.core.options.max_group_bytes;
        if after > limit && more > less {
            let what = "bytes of committed offsets";
            return Err(LogError::LimitReached { what, limit, option: "max_group_bytes" });
        }
        let framed = frame(&batch);
        let len = state.len;
        let file = state.opened(&self.core)?;
        if let Err(e) = file.append(&framed) {
            let refused = LogError::io("append to", file.path(), &e);
            if let Err(e) = file.truncate(len) {
                return Err(self.core.fail("cut", file.path(), &e));
            }
            return Err(refused);
        }
        kill_point("log.groups.written");
        if let Err(e) = file.sync() {
            return Err(self.core.fail("sync", file.path(), &e));
        }
        kill_point("log.groups.synced");
        state.len += framed.len() as u64;
        state.live_bytes = after;
        for (key, value) in entries {
            match value {
                Some(value) => drop(state.live.insert(key.clone(), value.clone())),
                None => drop(state.live.remove(key)),
            }
        }
        if let Err(error) = state.compact(&self.core)
            && let Some(untold) = self.core.quiet.may_tell(About::Failures)
        {
            tracing::warn!(%error, untold, "group offsets not compacted; the file goes on growing");
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
        let bytes = whole(&self.live);
        let staged = self.path.with_extension("staged");
        stage(core, &staged, &bytes)?;
        core.door.rename(&staged, &self.path).map_err(|e| core.fail("replace", &self.path, &e))?;
        self.len = bytes.len() as u64;
        self.file = None;
        self.opened(core).map(drop)
    }

    /// The file to append to: behind a compaction, once its name is durable. To be short of open files is not final,
    /// the next batch tries again. After a failed fsync it is not known which file has the name, and for good: what is
    /// appended to either could be lost.
    fn opened(&mut self, core: &Core) -> Result<&mut DoorFile, LogError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let dir = &core.options.data_dir;
                core.door.sync_dir(dir).map_err(|e| match e.raw_os_error() {
                    Some(ENFILE | EMFILE) => LogError::io("open", dir, &e),
                    _ => core.fail("sync", dir, &e),
                })?;
                core.door.open_append(&self.path).map_err(|e| LogError::io("open", &self.path, &e))?
            }
        };
        Ok(self.file.insert(file))
    }
}

/// Writes a file, durably, that is to replace another one later. Whatever fails, the other one stands and may be
/// appended to; only after a failed fsync nothing may be written any more.
fn stage(core: &Core, path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let refused = |e: std::io::Error| LogError::io("write", path, &e);
    core.door.remove_if_there(path).map_err(refused)?;
    let mut file = core.door.create_new(path).map_err(refused)?;
    file.append(bytes).map_err(refused)?;
    file.sync().map_err(|e| match LogError::io("sync", path, &e) {
        full @ LogError::OutOfSpace(_) => full,
        _ => core.fail("sync", path, &e),
    })
}

/// Bytes that an entry takes in a batch.
fn size(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len() + 8) as u64
}

fn damaged(path: &Path, why: &str) -> LogError {
    let way_out = "bring the file back from a copy, or move it away to start without any committed offset: each group \
                   then begins where its `auto.offset.reset` says";
    LogError::Damaged { path: path.to_path_buf(), why: format!("{why}; {way_out}") }
}

fn unknown(path: &Path, bytes: &[u8]) -> LogError {
    match bytes.get(..6) {
        Some([b'F', b'B', b'Y', b'G', high, low]) => LogError::UnknownFormat {
            path: path.to_path_buf(),
            found: u16::from_be_bytes([*high, *low]).into(),
            known: 1,
        },
        _ => damaged(path, "it does not begin as it should"),
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

/// What a file tells.
struct Replayed {
    live: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bytes at the end with nothing sound in them.
    torn: usize,
    /// Where batches that are not sound stand before sound ones, from the file's beginning.
    unsound: Vec<usize>,
}

fn replay(path: &Path, body: &[u8]) -> Result<Replayed, LogError> {
    let (mut live, mut unsound, mut rest) = (BTreeMap::new(), Vec::new(), body);
    loop {
        while let Some((batch, after)) = next_batch(rest) {
            if apply(&mut live, batch).is_none() {
                return Err(damaged(path, "a batch holds something else"));
            }
            rest = after;
        }
        let Some(sound) = sound_behind(rest) else { return Ok(Replayed { live, torn: rest.len(), unsound }) };
        unsound.push(HEAD.len() + body.len() - rest.len());
        rest = sound;
    }
}

/// The rest from the next sound batch on: where the length says, or else at any byte. The sum is only made of what
/// could be a batch.
fn sound_behind(bytes: &[u8]) -> Option<&[u8]> {
    let is_sound = |bytes: &&[u8]| {
        let length = Fields(bytes).take().map(|length| u32::from_be_bytes(length) as usize);
        let batch = length.filter(|length| *length <= MAX_BATCH).and_then(|length| bytes.get(8..8 + length));
        batch.is_some_and(is_whole) && next_batch(bytes).is_some()
    };
    let length = u32::from_be_bytes(Fields(bytes).take()?) as usize;
    let said = bytes.get(length.saturating_add(8)..).filter(is_sound);
    said.or_else(|| (1..bytes.len()).filter_map(|at| bytes.get(at..)).find(is_sound))
}

/// The file that holds this and nothing else.
fn whole(live: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut bytes = HEAD.to_vec();
    for (key, value) in live {
        bytes.extend_from_slice(&frame(&encode([(&key[..], Some(&value[..]))])));
    }
    bytes
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
        let ((key, value), rest) = entry(batch)?;
        match value {
            Some(value) => drop(live.insert(key.to_vec(), value.to_vec())),
            None => drop(live.remove(key)),
        }
        batch = rest;
    }
    Some(())
}

/// True for a batch that is entries to its end.
fn is_whole(mut batch: &[u8]) -> bool {
    while let Some((_, rest)) = entry(batch) {
        batch = rest;
    }
    batch.is_empty()
}

/// A key, and its value if it is not removed.
type Pair<'a> = (&'a [u8], Option<&'a [u8]>);

/// The entry at the front of a batch, and what follows.
fn entry(batch: &[u8]) -> Option<(Pair<'_>, &[u8])> {
    let (length, rest) = batch.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) => rest.split_at_checked(length).map(|(value, rest)| ((key, Some(value)), rest)),
        Err(_) => Some(((key, None), rest)),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests damage files on purpose")]
mod tests;
