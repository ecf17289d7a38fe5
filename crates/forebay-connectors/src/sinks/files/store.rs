//! A folder of files, held by one sink: what is committed in it gets its name, what is not goes.
//!
//! ```text
//!  publish   folders of partitions ─ sync staged/ ─ line in the manifest ─ rename each ─ sync their folders
//!                                                   └─ from here the epoch is there
//! ```
//!
//! What must stay true: between the line and the last rename nothing is forgotten: [`Store::settle`] brings it to its end,
//! in this process before the next epoch begins, or in the next one when it opens. Nothing but staged files is ever
//! removed, and of others' files nothing is touched. All methods block.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay_core::Error;
use forebay_core::Result;
use forebay_core::error::codes;
use forebay_storage::{Door, kill_point};

use super::fault;
use super::manifest::{Committed, Manifest, OWN};

/// A program that is being started holds the locks of who starts it for some milliseconds; a query holds its own for ever.
const LOCK_LOOKS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

const STAGED: &str = "staged";
/// Spark's own manifest: a reader of Spark's sees only what it lists.
const SPARKS: &str = "_spark_metadata";

/// See the module.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    door: Door,
    manifest: Manifest,
    /// A commit whose files may not all have their names yet.
    unsettled: Option<Committed>,
    /// A line may be durable although its fsync failed: nothing is removed any more.
    in_doubt: bool,
    _lock: File,
}

impl Store {
    /// Takes the folder, makes it if it is not there, and brings it into order after a death.
    ///
    /// # Errors
    /// `SINK_UNSUPPORTED` if another query holds it or Spark's own manifest is in it; the disk's.
    pub fn open(root: &Path, door: &Door) -> Result<Self> {
        refuse_sparks(root)?;
        let own = root.join(OWN);
        let staged = own.join(STAGED);
        door.create_dir_all(&staged).map_err(|e| fault::refused("the folder cannot be made", root, e))?;
        let lock = lock(root, &own)?;
        let manifest = Manifest::open(door, &own)?;
        let unsettled = manifest.last.clone();
        let (root, door) = (root.to_path_buf(), door.clone());
        let mut store = Self { root, door, manifest, unsettled, in_doubt: false, _lock: lock };
        store.settle()?;
        store.sweep()?;
        Ok(store)
    }

    /// The newest epoch of a query.
    pub fn newest(&self, query: &str) -> Option<u64> {
        self.manifest.newest.get(query).copied()
    }

    /// The columns of the newest files.
    pub fn columns(&self) -> Option<&[String]> {
        self.manifest.last.as_ref().map(|last| last.columns.as_slice())
    }

    /// Where a file waits for its name.
    pub fn staged(root: &Path, name: &str) -> PathBuf {
        let name = name.rsplit('/').next().unwrap_or(name);
        root.join(OWN).join(STAGED).join(name)
    }

    /// Commits an epoch whose staged files are fsynced.
    pub fn publish(&mut self, committed: Committed) -> Result<()> {
        self.settle()?;
        for folder in self.folders(&committed) {
            self.door
                .create_dir_all(&folder)
                .map_err(|e| fault::refused("a partition's folder cannot be made", &folder, e))?;
        }
        let staged = self.root.join(OWN).join(STAGED);
        self.door.sync_dir(&staged).map_err(|e| fault::sync_failed(&staged, e))?;
        kill_point("sink.files.manifest.before");
        if let Err(error) = self.manifest.append(&committed) {
            self.in_doubt |= !error.is_retryable();
            return Err(error);
        }
        kill_point("sink.files.manifest.after");
        self.unsettled = Some(committed);
        self.settle()
    }

    /// Gives the files of the last commit their names, if they do not have them yet.
    pub fn settle(&mut self) -> Result<()> {
        let Some(committed) = &self.unsettled else { return Ok(()) };
        for (number, file) in committed.files.iter().enumerate() {
            let (staged, path) = (Self::staged(&self.root, &file.name), self.root.join(&file.name));
            // It was renamed already, and whoever takes files out of the folder may have taken this one.
            if !staged.exists() {
                continue;
            }
            self.door
                .rename(&staged, &path)
                .map_err(|e| fault::refused("a file cannot get its name", &path, e))?;
            if number == 0 {
                kill_point("sink.files.rename.first");
            }
        }
        kill_point("sink.files.rename.after");
        for folder in self.folders(committed) {
            if folder.exists() {
                self.door.sync_dir(&folder).map_err(|e| fault::sync_failed(&folder, e))?;
            }
        }
        self.unsettled = None;
        Ok(())
    }

    /// Forgets the files of the folder, and with `removed` removes them; which epoch is the newest stays known.
    pub fn forget(&mut self, removed: bool) -> Result<()> {
        let mut folders = BTreeSet::from([self.root.clone()]);
        if removed {
            let (root, door, mut count) = (self.root.clone(), self.door.clone(), 0_u64);
            super::manifest::commits(&self.root, |committed| {
                for file in committed.files {
                    let path = root.join(&file.name);
                    door.remove_if_there(&path).map_err(|e| {
                        fault::refused("a file that was archived cannot be removed", &path, e)
                    })?;
                    folders.extend(path.parent().map(Path::to_path_buf));
                    if count == 0 {
                        kill_point("cycle.clean.first");
                    }
                    count += 1;
                }
                Ok(())
            })?;
        }
        kill_point("cycle.clean.removed");
        for folder in folders.iter().filter(|folder| folder.exists()) {
            self.door.sync_dir(folder).map_err(|e| fault::sync_failed(folder, e))?;
        }
        self.manifest.forget()
    }

    /// Removes staged files that will not be committed. What was not settled is kept.
    pub fn discard(&self, names: Vec<String>, query: &str, epoch: u64) {
        if self.in_doubt || self.newest(query) >= Some(epoch) {
            return;
        }
        for name in names {
            if let Err(error) = self.door.remove_if_there(&Self::staged(&self.root, &name)) {
                tracing::warn!(file = name, %error, "a staged file stays behind until the next start");
            }
        }
    }

    /// Removes what dead epochs left; a commit was settled before.
    fn sweep(&self) -> Result<()> {
        let staged = self.root.join(OWN).join(STAGED);
        let unlisted = |e| fault::refused("a folder cannot be listed", &staged, e);
        for entry in fs::read_dir(&staged).map_err(unlisted)? {
            let path = entry.map_err(unlisted)?.path();
            let removed = self.door.remove_if_there(&path);
            removed.map_err(|e| fault::refused("a staged file cannot be removed", &path, e))?;
        }
        Ok(())
    }

    /// The folders in which a commit's files lie.
    fn folders(&self, committed: &Committed) -> BTreeSet<PathBuf> {
        let folder = |name: &str| self.root.join(name).parent().unwrap_or(&self.root).to_path_buf();
        committed.files.iter().map(|file| folder(&file.name)).collect()
    }
}

/// Refuses a folder that Spark's streaming sink wrote to.
pub(crate) fn refuse_sparks(root: &Path) -> Result<()> {
    let sparks = root.join(SPARKS);
    if !sparks.exists() {
        return Ok(());
    }
    let message = "a streaming query of Spark wrote to this folder";
    Err(Error::new(&codes::SINK_UNSUPPORTED, message).at(sparks.display()).with_hint(
        "Spark reads only the files that its `_spark_metadata` lists, so what is added here would not be seen. Name another \
         folder, or remove `_spark_metadata` once nobody streams to the folder with Spark any more.",
    ))
}

fn lock(root: &Path, own: &Path) -> Result<File> {
    let path = own.join("LOCK");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|e| fault::refused("the folder's lock cannot be opened", &path, e))?;
    for _ in 0..LOCK_LOOKS {
        if file.try_lock().is_ok() {
            return Ok(file);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(Error::new(&codes::SINK_IN_USE, "another query writes to this folder").at(root.display()))
}
