//! The checkpoint of one query on disk.
//!
//! A folder with three files: `LOCK` (held while a process runs the query), `metadata` (who the query is) and
//! `journal` (plans, outcomes and commits as checked lines, see [`forebay_storage::lines`]); beside them [`definition`],
//! which only tells. Spark keeps a file per
//! plan and a file per commit; one append-only journal says the same with one fsync for each and no folder to clean
//! up. After [`COMPACT_AFTER`] epochs it is rewritten with its last entries, apart from the commit that it follows:
//! that one is durable, whatever becomes of the rewriting. The journal is made before the metadata: metadata
//! without a journal is never a checkpoint in the making, but one that has lost its memory.
//!
//! What must stay true: [`Checkpoint::plan`], [`Checkpoint::outcome`] and [`Checkpoint::commit`] return only when
//! their line is durable, and a journal is never cut except at its torn tail.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use forebay_core::checkpoint::{Commit, Entry, Outcome, Plan, Start};
use forebay_core::error::codes;
use forebay_core::quality::EpochQuality;
use forebay_core::{Epoch, Error, Result, TopicIds};
use forebay_storage::lines::{self, LinesError};
use forebay_storage::{Door, DoorFile, kill_point};
use serde::Serialize;

pub mod definition;
mod examined;
mod identity;
#[cfg(test)]
mod tests;

pub use examined::{Examined, examine};
pub use identity::Identity;

pub use crate::state::{Damage, ShownTable};

use crate::epoch::Tail;
use crate::plan::StreamPlan;
use crate::state;
use identity::Metadata;

const JOURNAL_KIND: &str = "forebay-checkpoint-journal";

/// Epochs in a journal before it is rewritten: some 200 KB of lines, read in a millisecond at start.
pub const COMPACT_AFTER: usize = 500;

/// What is wrong with a journal that is alone.
const NO_METADATA: &str = "the file is missing, but there is a journal";

/// Epochs that stay in a rewritten journal, for `forebay checkpoint show` (Spark's `minBatchesToRetain`).
const KEEP: u64 = 100;

/// Epochs between two attempts to rewrite a journal.
const COMPACT_RETRY: usize = 100;

/// The open checkpoint of one query; its lock is held until it is dropped.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    door: Door,
    journal: DoorFile,
    /// Commits in the journal.
    commits: usize,
    query_id: String,
    _lock: File,
}

/// The end of a journal: what [`forebay_core::checkpoint::decide`] needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Where the query begins.
    pub start: Option<Start>,
    /// The newest plan.
    pub plan: Option<Plan>,
    /// The newest outcome.
    pub outcome: Option<Outcome>,
    /// The newest commit.
    pub commit: Option<Commit>,
}

impl Ends {
    /// The topics that the newest positions belong to; empty where the journal does not say.
    pub fn topics(&self) -> TopicIds {
        let plan = self.plan.as_ref().map(|plan| &plan.topics);
        plan.or(self.start.as_ref().map(|start| &start.topics)).cloned().unwrap_or_default()
    }
}

impl Checkpoint {
    /// Opens the checkpoint in `dir`, or makes a new one for this identity.
    ///
    /// Fails if another process holds it (`CHECKPOINT_LOCKED`), if it belongs to another query
    /// (`CHECKPOINT_OTHER_QUERY`, naming what differs) or is damaged.
    pub fn open(dir: &Path, door: Door, identity: &Identity) -> Result<(Self, Ends)> {
        door.create_dir_all(dir).map_err(|e| failed(dir, "create", e))?;
        let lock = lock(dir)?;
        let metadata_path = dir.join("metadata");
        let journal_path = dir.join("journal");
        let query_id = match Metadata::read(&metadata_path)? {
            Some(metadata) => metadata.take(&metadata_path, identity)?,
            None => {
                make_journal(&door, &journal_path, &metadata_path)?;
                Metadata::write_new(&door, &metadata_path, identity)?
            }
        };
        if !journal_path.exists() {
            return Err(damaged(&journal_path, "the file is missing"));
        }
        let bytes = fs::read(&journal_path).map_err(|e| failed(&journal_path, "read", e))?;
        let (entries, good_len, torn) = parse_journal(&journal_path, &bytes)?;
        let mut journal = door.open_append(&journal_path).map_err(|e| failed(&journal_path, "open", e))?;
        if torn {
            tracing::warn!(path = %journal_path.display(), bytes = bytes.len() as u64 - good_len, "cut the torn tail of a checkpoint journal");
            journal.truncate(good_len).map_err(|e| failed(&journal_path, "truncate", e))?;
        }
        let ends = ends(&entries);
        let commits = entries.iter().filter(|entry| matches!(entry, Entry::Commit(_))).count();
        let checkpoint = Self { dir: dir.to_path_buf(), door, journal, commits, query_id, _lock: lock };
        Ok((checkpoint, ends))
    }

    /// The identity that the sink sees: the same for the life of the checkpoint.
    pub fn query_id(&self) -> &str {
        &self.query_id
    }

    /// Makes durable where a new query begins.
    pub fn start(&mut self, start: &Start) -> Result<()> {
        self.append(&Entry::Start(start.clone()))
    }

    /// Makes the plan of an epoch durable: from now on the epoch can be repeated.
    pub fn plan(&mut self, plan: &Plan) -> Result<()> {
        kill_point("epoch.plan.before");
        self.append(&Entry::Plan(plan.clone()))?;
        kill_point("epoch.plan.after");
        Ok(())
    }

    /// Makes durable what became of an epoch's records: from now on the epoch may be in the sink.
    pub fn outcome(&mut self, outcome: &Outcome) -> Result<()> {
        kill_point("epoch.outcome.before");
        self.append(&Entry::Outcome(outcome.clone()))?;
        kill_point("epoch.outcome.after");
        Ok(())
    }

    /// Makes the commit of an epoch durable.
    pub fn commit(&mut self, commit: &Commit) -> Result<()> {
        kill_point("epoch.commit.before");
        self.append(&Entry::Commit(commit.clone()))?;
        kill_point("epoch.commit.after");
        self.commits += 1;
        if self.commits >= COMPACT_AFTER && self.commits.is_multiple_of(COMPACT_RETRY) {
            self.compact(commit.epoch)?;
        }
        Ok(())
    }

    /// What the epochs judged whose commits are in the journal.
    pub fn judged(&self) -> Result<BTreeMap<Epoch, EpochQuality>> {
        let path = self.dir.join("journal");
        let bytes = fs::read(&path).map_err(|e| failed(&path, "read", e))?;
        let (entries, _, _) = parse_journal(&path, &bytes)?;
        let judged = entries.into_iter().filter_map(|entry| match entry {
            Entry::Commit(commit) => Some((commit.epoch, commit.quality?)),
            _ => None,
        });
        Ok(judged.collect())
    }

    fn append(&mut self, entry: &Entry) -> Result<()> {
        let text = to_text(entry)?;
        let mut line = Vec::with_capacity(text.len() + 20);
        lines::push_line(&mut line, &text);
        let path = self.journal.path().to_path_buf();
        let before = self.journal.len();
        if let Err(e) = self.journal.append(&line) {
            // A part of the line may stand there: cut it, so that the next attempt starts on a line of its own.
            self.journal.truncate(before).map_err(|e| failed(&path, "truncate", e))?;
            return Err(failed(&path, "write", e).with_retry(true));
        }
        self.journal.sync().map_err(|e| failed(&path, "fsync", e))
    }

    /// Rewrites the journal with its last epochs, in one atomic step. Until that step a failed write costs only room:
    /// it is told, and a later commit tries again. From then on the old file is not the journal any more, and nothing
    /// may be written to it: what fails there is not retryable and ends the query.
    fn compact(&mut self, newest: Epoch) -> Result<()> {
        let path = self.dir.join("journal");
        let bytes = fs::read(&path).map_err(|e| failed(&path, "read", e))?;
        let (entries, _, _) = parse_journal(&path, &bytes)?;
        let is_kept = |entry: &&Entry| matches!(entry, Entry::Start(_)) || entry.epoch().0 + KEEP > newest.0;
        let kept: Vec<&Entry> = entries.iter().filter(is_kept).collect();
        let mut out = lines::header(JOURNAL_KIND).into_bytes();
        for entry in &kept {
            lines::push_line(&mut out, &to_text(entry)?);
        }
        kill_point("checkpoint.compact.before");
        let renamed = self.door.stage(&path, &out).and_then(|staged| self.door.rename(&staged, &path));
        if let Err(error) = renamed {
            tracing::warn!(path = %path.display(), %error, "the checkpoint's journal cannot be rewritten; it grows until that succeeds");
            return Ok(());
        }
        self.door.sync_dir(&self.dir).map_err(|e| failed(&path, "fsync", e))?;
        kill_point("checkpoint.compact.after");
        let reopened = self.door.open_append(&path);
        self.journal = reopened.map_err(|e| failed(&path, "open", e).with_retry(false))?;
        self.commits = kept.iter().filter(|entry| matches!(entry, Entry::Commit(_))).count();
        Ok(())
    }
}

/// What a sound checkpoint says: the identity and the entries that are still there.
#[derive(Debug)]
pub struct Shown {
    /// Who the query is.
    pub identity: Identity,
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// What its operators remember after the newest committed epoch; empty for a query without state.
    pub state: Vec<ShownTable>,
}

impl Shown {
    /// The end of the journal.
    pub fn ends(&self) -> Ends {
        ends(&self.entries)
    }
}

/// Reads a checkpoint without opening it, beside a running query; `CHECKPOINT_NOT_FOUND` if there is none.
pub fn show(dir: &Path) -> Result<Shown> {
    let metadata_path = dir.join("metadata");
    let Some(metadata) = Metadata::read(&metadata_path)? else {
        return Err(if dir.join("journal").exists() {
            damaged(&metadata_path, NO_METADATA)
        } else {
            not_found(dir)
        });
    };
    let journal_path = dir.join("journal");
    let bytes = fs::read(&journal_path).map_err(|e| damaged(&journal_path, e))?;
    let (entries, _, _) = parse_journal(&journal_path, &bytes)?;
    let committed = ends(&entries).commit.map(|commit| commit.epoch);
    let folder = state::folder(dir);
    let state = if folder.exists() { state::show(&folder, committed)? } else { Vec::new() };
    Ok(Shown { identity: metadata.identity, entries, state })
}

/// Refuses a plan that the state of the checkpoint in `dir` does not fit, which reached this epoch: `STATE_CHANGED`.
pub fn bears(dir: &Path, committed: Option<Epoch>, plan: &StreamPlan) -> Result<()> {
    let tail = Tail::new(plan.graph())?;
    let wanted = tail.map(|tail| tail.tables).unwrap_or_default();
    state::bears(&state::folder(dir), committed, &wanted)
}

fn ends(entries: &[Entry]) -> Ends {
    let mut ends = Ends::default();
    for entry in entries {
        match entry {
            Entry::Start(start) => ends.start = Some(start.clone()),
            Entry::Plan(plan) => ends.plan = Some(plan.clone()),
            Entry::Outcome(outcome) => ends.outcome = Some(outcome.clone()),
            Entry::Commit(commit) => ends.commit = Some(commit.clone()),
        }
    }
    ends
}

fn parse_journal(path: &Path, bytes: &[u8]) -> Result<(Vec<Entry>, u64, bool)> {
    let lines = lines::read(JOURNAL_KIND, bytes).map_err(|e| bad_lines(path, e))?;
    let mut entries = Vec::with_capacity(lines.texts.len());
    for text in &lines.texts {
        entries.push(serde_json::from_str(text).map_err(|e| damaged(path, e))?);
    }
    Ok((entries, lines.good_len, lines.torn))
}

/// Holds the checkpoint in `dir`, which is there, as long as the answer lives: nobody else opens it meanwhile.
///
/// # Errors
/// `CHECKPOINT_LOCKED` if another process does, `STORAGE`.
pub fn hold(dir: &Path) -> Result<impl Sized + use<>> {
    lock(dir)
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("LOCK");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| failed(&path, "open", e))?;
    file.try_lock().map_err(|_| {
        let message = "another process runs on this checkpoint";
        Error::new(&codes::CHECKPOINT_LOCKED, message).at(dir.display())
    })?;
    Ok(file)
}

/// Makes the journal of a new checkpoint; one that a crash left before its metadata is as good as new.
fn make_journal(door: &Door, path: &Path, metadata: &Path) -> Result<()> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let header = lines::header(JOURNAL_KIND);
            return door.write_new(path, header.as_bytes()).map_err(|e| failed(path, "write", e));
        }
        Err(e) => return Err(failed(path, "read", e)),
    };
    match parse_journal(path, &bytes)? {
        (entries, _, false) if entries.is_empty() => Ok(()),
        _ => Err(damaged(metadata, "the file is missing, but the journal holds epochs")),
    }
}

fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::new(&codes::INTERNAL, "cannot write a checkpoint entry").caused_by(e))
}

fn bad_lines(path: &Path, error: LinesError) -> Error {
    match &error {
        LinesError::Version(_) => {
            Error::new(&codes::CHECKPOINT_VERSION, "the checkpoint has another version")
                .with_detail(error)
                .at(path.display())
        }
        _ => damaged(path, error),
    }
}

fn not_found(dir: &Path) -> Error {
    Error::new(&codes::CHECKPOINT_NOT_FOUND, "there is no checkpoint").at(dir.display())
}

fn damaged(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(&codes::CHECKPOINT_DAMAGED, "the checkpoint cannot be read")
        .with_detail(detail)
        .at(path.display())
}

fn failed(path: &Path, action: &str, error: io::Error) -> Error {
    // A full disk may have room again; after a failed fsync nothing is known, and every other error needs a person.
    let retry = error.kind() == io::ErrorKind::StorageFull && action != "fsync";
    Error::new(&codes::STORAGE, format!("cannot {action} a checkpoint file"))
        .at(path.display())
        .with_retry(retry)
        .caused_by(error)
}
