//! The journal of one rule: a file of checked lines beside the checkpoint of its query.
//!
//! ```text
//! forebay-alerts v2
//! … {"snapshot":{"last":{"queryId":"…","epoch":41},"watches":{},"open":[…],"cleared":[…]}}
//! … {"epoch":{"queryId":"…","epoch":42,"transitions":[…],"watches":{"press-1":{"gates":[{"since":1700000000000}]}}}}
//! … {"person":{"alert":{…,"acknowledged":{…}}}}
//! … {"delivered":["ops/overheat/press-1/1700000000000#1"]}
//! ```
//!
//! Version 1, with `pending` in place of `watches`, is read as well, and rewritten as a snapshot of this version before anything is
//! added; a reader that knows version 1 alone then refuses the file rather than overlook half of it.
//!
//! It lies in the folder of the checkpoint, because both are one memory: a query that begins anew has no alerts, and a
//! copy of the folder has both. It grows by a line an epoch; when it has grown enough it is rewritten as a snapshot, in
//! one atomic step. What must stay true: [`Journal::append`] returns only when its line is durable, what
//! [`Journal::open`] has read is durable too, and nothing but a torn tail is ever cut.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::lines::{self, LinesError};
use forebay_storage::{Door, DoorFile, kill_point};

use crate::entry::Entry;
use crate::state::RuleState;

/// The kind of the file.
pub(crate) const KIND: &str = "forebay-alerts";

/// The version that is written.
pub(crate) const VERSION: u32 = 2;

/// The file's name in the folder of the checkpoint.
pub(crate) const NAME: &str = "alerts";

/// After a rewriting that failed, as on a full disk, so many bytes more come before the next attempt.
const RETRY_BYTES: u64 = 64 << 10;

/// The open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    door: Door,
    /// `None` once it is not known any more which file has the name.
    file: Option<DoorFile>,
    /// How long it may be before it is rewritten.
    rewrite_at: u64,
    /// How much it grows beyond its snapshot until then.
    growth: u64,
}

impl Journal {
    /// Opens or makes the journal in `dir`; gives the state that it tells of. Of the cleared alerts the newest `keep`
    /// stay.
    ///
    /// # Errors
    /// `CHECKPOINT_DAMAGED`, `CHECKPOINT_VERSION`, `STORAGE`.
    pub fn open(dir: &Path, door: Door, growth: u64, keep: usize) -> Result<(Self, RuleState)> {
        door.create_dir_all(dir).map_err(|e| failed(dir, "create", e))?;
        let path = dir.join(NAME);
        if !path.try_exists().map_err(|e| failed(&path, "read", e))? {
            let header = lines::header_of(KIND, VERSION);
            door.write_new(&path, header.as_bytes()).map_err(|e| failed(&path, "write", e))?;
        }
        let bytes = fs::read(&path).map_err(|e| failed(&path, "read", e))?;
        let Parsed { state, snapshot, good_len, torn, version } = parse(&path, &bytes, keep)?;
        let mut file = door.open_append(&path).map_err(|e| failed(&path, "open", e))?;
        if torn {
            let cut = bytes.len() as u64 - good_len;
            tracing::warn!(path = %path.display(), bytes = cut, "cut the torn tail of a journal of alerts");
            file.truncate(good_len).map_err(|e| failed(&path, "truncate", e))?;
        }
        // Its writer may have died before the fsync of what is here; an epoch that is recognised must stay.
        file.sync().map_err(|e| failed(&path, "fsync", e))?;
        let rewrite_at = growth.saturating_add(2 * snapshot);
        let mut journal = Self { path, door, file: Some(file), rewrite_at, growth };
        if version < VERSION {
            journal.rewrite(&state)?;
        }
        Ok((journal, state))
    }

    /// Makes an entry durable; gives its bytes.
    pub fn append(&mut self, entry: &Entry) -> Result<u64> {
        let line = to_line(entry)?;
        let path = &self.path;
        let Some(file) = &mut self.file else {
            return Err(Error::new(&codes::STORAGE, "a journal of alerts could not be rewritten")
                .at(path.display())
                .with_hint("Start again: what is in the journal is whole, and the query goes on there."));
        };
        let before = file.len();
        if let Err(e) = file.append(&line) {
            // A part of the line may stand there: cut it, so that the next attempt starts on a line of its own.
            file.truncate(before).map_err(|e| failed(path, "truncate", e))?;
            return Err(failed(path, "write", e));
        }
        file.sync().map_err(|e| failed(path, "fsync", e))?;
        Ok(line.len() as u64)
    }

    /// Rewrites the journal as a snapshot of `state` if it has grown enough. Until the new file has the name a failure
    /// costs only room and is tried again later; what fails then shows at the next append.
    pub fn tidy(&mut self, state: &RuleState) -> Result<()> {
        let length = self.file.as_ref().map_or(0, DoorFile::len);
        if length < self.rewrite_at {
            return Ok(());
        }
        self.rewrite_at = length.saturating_add(RETRY_BYTES);
        self.rewrite(state)
    }

    fn rewrite(&mut self, state: &RuleState) -> Result<()> {
        let mut bytes = lines::header_of(KIND, VERSION).into_bytes();
        bytes.extend(to_line(&state.snapshot())?);
        let staged = self.door.stage(&self.path, &bytes).map_err(|e| failed(&self.path, "write", e))?;
        kill_point("sink.alert.compact.before");
        self.file = None;
        self.door.rename(&staged, &self.path).map_err(|e| failed(&self.path, "rename", e))?;
        self.door
            .sync_dir(self.path.parent().unwrap_or(Path::new(".")))
            .map_err(|e| failed(&self.path, "fsync", e))?;
        kill_point("sink.alert.compact.after");
        self.file = Some(self.door.open_append(&self.path).map_err(|e| failed(&self.path, "open", e))?);
        self.rewrite_at = self.growth.saturating_add(2 * bytes.len() as u64);
        Ok(())
    }
}

/// What the bytes of a journal say.
pub(crate) struct Parsed {
    pub state: RuleState,
    /// Bytes of the newest snapshot.
    snapshot: u64,
    /// Up to where they are good.
    good_len: u64,
    torn: bool,
    version: u32,
}

/// Reads the bytes of a journal; of the cleared alerts the newest `keep` stay.
pub(crate) fn parse(path: &Path, bytes: &[u8], keep: usize) -> Result<Parsed> {
    let (found, version) = lines::read_up_to(KIND, VERSION, bytes).map_err(|e| unreadable(path, e))?;
    let (mut state, mut snapshot) = (RuleState::default(), 0);
    for text in &found.texts {
        let entry: Entry = serde_json::from_str(text).map_err(|e| damaged(path, e))?;
        if matches!(entry, Entry::Snapshot(_)) {
            snapshot = text.len() as u64;
        }
        state.apply(entry, keep);
    }
    Ok(Parsed { state, snapshot, good_len: found.good_len, torn: found.torn, version })
}

fn to_line(entry: &Entry) -> Result<Vec<u8>> {
    let text = serde_json::to_string(entry)
        .map_err(|e| Error::new(&codes::INTERNAL, "cannot write an entry of alerts").caused_by(e))?;
    let mut line = Vec::with_capacity(text.len() + 20);
    lines::push_line(&mut line, &text);
    Ok(line)
}

fn unreadable(path: &Path, error: LinesError) -> Error {
    match &error {
        LinesError::Version(_) => Error::new(&codes::CHECKPOINT_VERSION, "the alerts have another version")
            .with_detail(error)
            .at(path.display()),
        _ => damaged(path, error),
    }
}

fn damaged(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(&codes::CHECKPOINT_DAMAGED, "the journal of alerts cannot be read")
        .with_detail(detail)
        .at(path.display())
}

fn failed(path: &Path, action: &str, error: io::Error) -> Error {
    // A full disk may have room again; after a failed fsync nothing is known, and every other error needs a person.
    let retry = error.kind() == io::ErrorKind::StorageFull && action != "fsync";
    Error::new(&codes::STORAGE, format!("cannot {action} a journal of alerts"))
        .at(path.display())
        .with_retry(retry)
        .caused_by(error)
}
