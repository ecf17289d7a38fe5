//! The durable form of a query's tables: a changelog, and snapshots that shorten it.
//!
//! ```text
//! snapshot-5                     snapshot-9                  names: the first epoch that is not in it
//!           changes-5: 5 6 7 8             changes-9: 9 10 … ◀─ write(11): one append, one fsync
//!           └─ kept with snapshot-5 until the snapshot after 9 is durable
//! ```
//!
//! | dies | on restart |
//! |---|---|
//! | before an epoch's record is durable | the record is torn or not there; the epoch has no outcome, so nobody asks for it |
//! | after it, before the epoch's outcome | the record is cut; the epoch is computed again and writes another |
//! | after the outcome | the record is applied, the epoch is not computed again |
//! | while a snapshot is written | its staged file goes; snapshot and changes before it are all there |
//! | while old files are removed | those that are left are removed with the next snapshot |
//! | while state is restored | nothing was changed but what does not count; the same again |
//!
//! A run begins a file of changes of its own with its first epoch, and another when a snapshot begins. So every
//! snapshot stands at the border of two files, and a file is never written to after it was read. What must stay true:
//! [`StateFiles::write`] returns only when the record is durable, a snapshot never holds an epoch up, and nothing is
//! removed that the snapshot before the newest needs.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use forebay_core::{Epoch, Result};
use forebay_storage::{Door, DoorFile, kill_point};

use super::error::{bug, damaged, failed};
use super::folder::{Listing, changes_path, list};
use super::layout::Named;
use super::load::{Loaded, Passed, load};
use super::table::{Frozen, Table};
use super::{Changes, record, snapshot};

/// Changes after which even a small state gets a snapshot: applying so many takes some tens of milliseconds at a restart.
const LEAST_CHANGES: u64 = 8 << 20;

/// Bytes of rows that a restart makes again of what they followed from, after which there is a snapshot: that takes longer than
/// reading them, about a second.
const LEAST_WORK: u64 = 256 << 20;

/// Files of changes after which there is a snapshot, however small they are: each run begins one.
const MOST_FILES: usize = 64;

/// The folder of a query's state; nobody else writes there.
#[derive(Debug)]
pub(crate) struct StateFiles {
    dir: PathBuf,
    door: Door,
    tables: Vec<Named>,
    /// The epoch that comes next.
    next: u64,
    /// The file that the next record goes to; none where it begins one.
    current: Option<Current>,
    /// Bytes and files of changes since the newest snapshot began.
    since: Since,
    /// Bytes of the newest snapshot.
    snapshot_bytes: u64,
    /// Below so many bytes of changes no snapshot is tried: the last attempt failed.
    not_before: u64,
    running: Option<Running>,
    /// [`LEAST_CHANGES`]; less in tests.
    pub(crate) least_changes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Since {
    bytes: u64,
    files: usize,
    /// Bytes of rows of which only the cause was written, as far as this run knows.
    work: u64,
}

#[derive(Debug)]
struct Current {
    file: DoorFile,
    /// The end of the records that count.
    end: u64,
    /// Where the newest of them begins.
    newest: u64,
    /// True if something may stand behind them.
    is_torn: bool,
}

/// A snapshot that is being written.
#[derive(Debug)]
struct Running {
    thread: JoinHandle<Result<u64>>,
    /// The changes that it makes superfluous.
    covers: Since,
}

impl StateFiles {
    /// Opens the state in `dir` as it was after the epoch `through`, the newest that has an outcome or a commit; empty
    /// for `None`. Whatever is there of later epochs is cut. The tables come in the order of `tables`, whose names stay
    /// the same over restarts.
    ///
    /// # Errors
    /// [`CHANGED`](super::error::CHANGED) if the tables are others, saying what differs;
    /// [`DAMAGED`](super::error::DAMAGED) if no snapshot with all changes after it is whole; `CHECKPOINT_VERSION`;
    /// `STORAGE`.
    pub fn open(
        dir: &Path,
        door: Door,
        tables: &[Named],
        through: Option<Epoch>,
    ) -> Result<(Self, Vec<Table>)> {
        door.create_dir_all(dir).map_err(|e| failed(dir, "create", e))?;
        kill_point("state.restore.before");
        let next = through.map_or(0, |epoch| epoch.0 + 1);
        let listing = list(dir)?;
        is_of_journal(&listing, next)?;
        let mut passed = Vec::new();
        let loaded = load(dir, &listing, tables, next, &mut passed);
        for Passed { path, why } in &passed {
            tracing::warn!(path = %path.display(), %why, "a file of the query's state is damaged; trying what came before it");
        }
        let loaded = loaded?;
        kill_point("state.restore.read");
        cut(&door, dir, &listing, &loaded, next)?;
        kill_point("state.restore.after");
        let files = Self {
            dir: dir.to_path_buf(),
            door,
            tables: tables.to_vec(),
            next,
            current: None,
            since: Since { bytes: loaded.changes_bytes, files: loaded.changes_files, work: 0 },
            snapshot_bytes: loaded.snapshot_bytes,
            not_before: 0,
            running: None,
            least_changes: LEAST_CHANGES,
        };
        Ok((files, loaded.tables))
    }

    /// Makes the changes of an epoch durable, one for each table. The newest epoch may be written again as long as it
    /// is not committed: the new changes replace the old ones. An error that may pass leaves the file as it was.
    pub fn write(&mut self, epoch: Epoch, changes: &[Changes]) -> Result<()> {
        if changes.len() != self.tables.len() {
            return Err(bug("an epoch changes another number of tables than there are"));
        }
        let mut record = Vec::new();
        record::push_changes(&mut record, epoch, &self.tables, changes)?;
        kill_point("state.changes.before");
        if epoch.0 + 1 == self.next
            && let Some(current) = self.current.as_mut().filter(|current| current.newest < current.end)
        {
            self.since.bytes -= current.end - current.newest;
            (current.end, current.is_torn, self.next) = (current.newest, true, epoch.0);
        }
        if epoch.0 != self.next {
            return Err(bug(format!("epoch {epoch} is written where epoch {} should be", self.next)));
        }
        match &mut self.current {
            Some(current) => current.append(&record)?,
            None => {
                self.current = Some(self.begin(&record)?);
                self.since.files += 1;
            }
        }
        self.since.bytes += record.len() as u64;
        self.since.work +=
            changes.iter().filter(|it| it.cause.is_some()).map(|it| it.bytes() as u64).sum::<u64>();
        self.next += 1;
        kill_point("state.changes.after");
        Ok(())
    }

    /// The epoch is committed and `tables` have its changes: begins a snapshot in the background where the changes have outgrown
    /// the last one. A snapshot that fails is told and tried again later; it costs nothing but the room of the changes.
    pub fn committed(&mut self, epoch: Epoch, tables: &[Table]) -> Result<()> {
        if epoch.0 + 1 != self.next || tables.len() != self.tables.len() {
            return Err(bug(format!("epoch {epoch} is committed, but epoch {} comes next", self.next)));
        }
        if self.running.as_ref().is_some_and(|running| !running.thread.is_finished()) {
            return Ok(());
        }
        self.settle();
        let is_due = self.since.bytes > self.snapshot_bytes.max(self.least_changes)
            || self.since.work > self.snapshot_bytes.max(LEAST_WORK)
            || self.since.files > MOST_FILES;
        if is_due && self.since.bytes >= self.not_before {
            self.snapshot(tables);
        }
        Ok(())
    }

    /// Waits for the snapshot that is being written, if there is one. Dropping the files does so too.
    pub fn settle(&mut self) {
        let Some(running) = self.running.take() else { return };
        match running.thread.join() {
            Ok(Ok(bytes)) => {
                self.snapshot_bytes = bytes;
                self.since.bytes -= running.covers.bytes;
                self.since.work -= running.covers.work;
                self.since.files -= running.covers.files;
                self.not_before = 0;
            }
            Ok(Err(error)) => self.failed(&error),
            Err(_) => self.failed(&bug("the thread that writes a snapshot died")),
        }
    }

    fn failed(&mut self, error: &forebay_core::Error) {
        self.not_before = self.since.bytes + self.least_changes / 2;
        tracing::warn!(dir = %self.dir.display(), %error, "a snapshot of the query's state cannot be written; its changes grow until that succeeds");
    }

    /// Begins a snapshot of these tables, and a new file for what comes after it.
    fn snapshot(&mut self, tables: &[Table]) {
        self.current = None;
        let rows: Vec<Frozen> = tables.iter().map(Table::freeze).collect();
        let (door, dir, named, base) = (self.door.clone(), self.dir.clone(), self.tables.clone(), self.next);
        let write = move || snapshot::write(&door, &dir, base, &named, rows);
        match std::thread::Builder::new().name("forebay-state".to_owned()).spawn(write) {
            Ok(thread) => self.running = Some(Running { thread, covers: self.since }),
            Err(error) => self.failed(&bug("no thread for a snapshot").caused_by(error)),
        }
    }

    /// A new file of changes that begins with this record; durable on return, and not there after an error.
    fn begin(&self, record: &[u8]) -> Result<Current> {
        let path = changes_path(&self.dir, self.next);
        let begun = self.create(&path, record);
        if begun.is_err() {
            let _ = self.door.remove_if_there(&path);
        }
        begun
    }

    fn create(&self, path: &Path, record: &[u8]) -> Result<Current> {
        let mut bytes = Vec::new();
        record::push_header(&mut bytes, record::CHANGES_MAGIC, self.next, 0, &self.tables)?;
        let newest = bytes.len() as u64;
        bytes.extend_from_slice(record);
        // What an attempt left that failed; its record never counted.
        self.door.remove_if_there(path).map_err(|e| failed(path, "remove", e))?;
        let mut file = self.door.create_new(path).map_err(|e| failed(path, "create", e))?;
        file.append(&bytes).map_err(|e| failed(path, "write", e))?;
        kill_point("state.changes.created");
        file.sync().map_err(|e| failed(path, "fsync", e))?;
        self.door.sync_dir(&self.dir).map_err(|e| failed(path, "fsync", e))?;
        Ok(Current { file, end: bytes.len() as u64, newest, is_torn: false })
    }
}

impl Current {
    /// Appends a record; durable on return.
    fn append(&mut self, record: &[u8]) -> Result<()> {
        let path = self.file.path().to_path_buf();
        if self.is_torn {
            self.file.truncate(self.end).map_err(|e| failed(&path, "truncate", e))?;
        }
        self.is_torn = true;
        self.file.append(record).map_err(|e| failed(&path, "write", e))?;
        kill_point("state.changes.written");
        self.file.sync().map_err(|e| failed(&path, "fsync", e))?;
        (self.newest, self.end, self.is_torn) = (self.end, self.end + record.len() as u64, false);
        Ok(())
    }
}

impl Drop for StateFiles {
    /// The folder's lock goes after this, and the next who opens it must be alone.
    fn drop(&mut self) {
        self.settle();
    }
}

/// Refuses state that is ahead of a journal whose next epoch is this: a snapshot begins only after the commit of the epoch
/// before it.
pub(super) fn is_of_journal(listing: &Listing, next: u64) -> Result<()> {
    let Some((base, path)) = listing.snapshots.range(next + 1..).next() else { return Ok(()) };
    let why =
        format!("it holds {base} epochs, the checkpoint's journal {next}: one of them is an older copy");
    Err(damaged(path, why))
}

/// Removes what does not count: half-written files, damaged snapshots, records of epochs from `next` on.
fn cut(door: &Door, dir: &Path, listing: &Listing, loaded: &Loaded, next: u64) -> Result<()> {
    let damaged = listing.snapshots.range(loaded.base + 1..).map(|(_, path)| path);
    let later = listing.changes.range(next..).map(|(_, path)| path);
    let gone: Vec<&PathBuf> = listing.staged.iter().chain(damaged).chain(later).collect();
    for path in &gone {
        door.remove_if_there(path).map_err(|e| failed(path, "remove", e))?;
        kill_point("state.restore.removed");
    }
    if !gone.is_empty() {
        door.sync_dir(dir).map_err(|e| failed(dir, "fsync", e))?;
    }
    if let Some((path, len)) = &loaded.cut {
        let mut file = door.open_append(path).map_err(|e| failed(path, "open", e))?;
        tracing::info!(path = %path.display(), bytes = file.len() - len, "cut the changes of an epoch that was not finished");
        file.truncate(*len).map_err(|e| failed(path, "truncate", e))?;
    }
    Ok(())
}
