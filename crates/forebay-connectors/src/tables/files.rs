//! The files of a table, and what tells one state of them from another: length, time and inode of each, and on Unix when
//! the inode changed, a time that nobody sets back. That is cheap to ask, and two states that are equal by it hold the same
//! rows. A format of files is a [`Reads`], of which [`Table`] makes a table.

use std::fs::{self, File, Metadata};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::progress::iso_millis;
use forebay_core::table::{StaticTable, TableRows, TableVersion, Wanted};
use forebay_core::{Error, Result};
use sha2::{Digest, Sha256};

use super::settle::{Lacks, RENAME, explained, settled};
use super::{At, unreadable};

/// Most files of a table: all of them are looked at before every epoch.
const MOST_FILES: usize = 10_000;

/// What some programs write before a text in UTF-8.
const BYTE_ORDER: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The files of one state, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files(Vec<One>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct One {
    path: PathBuf,
    bytes: u64,
    /// Nanoseconds since 1970.
    time: u128,
    inode: Inode,
}

/// What tells a file from another in its place, and one that was written over from what it was. Nothing where there are
/// no inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Inode {
    number: u64,
    /// When it changed last, in seconds since 1970 and nanoseconds.
    changed: (i64, i64),
}

impl Files {
    /// What is there now: the file, or the files in the folder. Blocks.
    pub fn now(path: &Path) -> Result<Self> {
        let failed = |path: &Path, error| match error {
            error if matches!(std::io::Error::kind(&error), std::io::ErrorKind::NotFound) => {
                unreadable("there is no such file or folder", path)
            }
            error => unreadable("the table cannot be read", path).caused_by(error),
        };
        let metadata = fs::metadata(path).map_err(|error| failed(path, error))?;
        if !metadata.is_dir() {
            if !metadata.is_file() {
                return Err(unreadable("the table is neither a file nor a folder", path));
            }
            return Ok(Self(vec![One::new(path.to_path_buf(), &metadata)]));
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(|error| failed(path, error))? {
            let entry = entry.map_err(|error| failed(path, error))?;
            let name = entry.file_name();
            let (name, metadata) = (name.to_string_lossy(), fs::metadata(entry.path()));
            let metadata = metadata.map_err(|error| failed(&entry.path(), error))?;
            if metadata.is_dir() {
                refuse_folder(&name, path)?;
            } else if !name.starts_with(['_', '.']) && metadata.is_file() {
                files.push(One::new(entry.path(), &metadata));
            }
            if files.len() > MOST_FILES {
                let message = format!("the folder has more than {MOST_FILES} files");
                let error = Error::new(&codes::TABLE_TOO_LARGE, message).at(path.display());
                return Err(error.with_hint("Put them together into fewer, or keep the table as Delta."));
            }
        }
        files.sort();
        Ok(Self(files))
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|one| one.path.as_path())
    }

    /// The files, and when each was changed last, in milliseconds since 1970.
    pub fn changes(&self) -> impl Iterator<Item = (&Path, i64)> {
        let ms = |time: u128| i64::try_from(time / 1_000_000).unwrap_or(i64::MAX);
        self.0.iter().map(move |one| (one.path.as_path(), ms(one.time)))
    }

    /// The newest time, for people, and a sum over all that tells this state from others.
    pub fn version(&self) -> TableVersion {
        let mut sum = Sha256::new();
        for One { path, bytes, time, inode } in &self.0 {
            sum.update(path.to_string_lossy().as_bytes());
            sum.update(bytes.to_le_bytes());
            sum.update(time.to_le_bytes());
            sum.update(inode.number.to_le_bytes());
            sum.update(inode.changed.0.to_le_bytes());
            sum.update(inode.changed.1.to_le_bytes());
        }
        let sum: String = sum.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let newest = self.0.iter().map(|one| one.time).max().unwrap_or_default();
        let newest = i64::try_from(newest / 1_000_000).unwrap_or(i64::MAX);
        TableVersion(format!("{} {sum}", iso_millis(newest)))
    }
}

impl One {
    fn new(path: PathBuf, metadata: &Metadata) -> Self {
        let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            path,
            bytes: metadata.len(),
            time: time.unwrap_or_default().as_nanos(),
            inode: inode(metadata),
        }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> Inode {
    use std::os::unix::fs::MetadataExt;
    Inode { number: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> Inode {
    Inode::default()
}

/// Reads the files of a table that did not change meanwhile. Blocks.
fn read<T>(path: &Path, read: impl FnOnce(&Files) -> Result<T>) -> Result<(TableVersion, T)> {
    let before = Files::now(path)?;
    let rows = read(&before);
    if Files::now(path)? != before {
        let error = unreadable("the table is being written", path);
        return Err(error.with_hint(format!("It is read once that is done. {RENAME}")));
    }
    Ok((before.version(), rows?))
}

/// A file of texts, behind the mark of its byte order if it has one.
pub(super) fn open_text(path: &Path) -> Result<File> {
    let failed = |e| unreadable("a file of the table cannot be read", path).caused_by(e);
    let (mut file, mut start) = (open(path)?, Vec::new());
    (&mut file).take(BYTE_ORDER.len() as u64).read_to_end(&mut start).map_err(failed)?;
    if start != BYTE_ORDER {
        file.rewind().map_err(failed)?;
    }
    Ok(file)
}

/// Refuses a folder whose files are not the table's rows, or not all of them, by a folder that it holds.
fn refuse_folder(name: &str, path: &Path) -> Result<()> {
    if name == "_delta_log" {
        let error = unreadable("the folder is a Delta table", path);
        return Err(error.with_hint("Write `format: delta`: some of its files hold rows that are gone."));
    }
    if name.contains('=') && !name.starts_with(['_', '.']) {
        let error = unreadable(format!("the folder is divided into others, such as `{name}`"), path);
        return Err(error.with_hint("Put the files of a table into one folder, or keep it as Delta."));
    }
    Ok(())
}

pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| unreadable("a file of the table cannot be read", path).caused_by(error))
}

/// Runs what waits for the disk beside the tasks of the stream.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended
        .map_err(|e| Error::new(&codes::INTERNAL, "the reading of a table ended unexpectedly").caused_by(e))?
}

/// How a format reads its files.
pub(super) trait Reads: Send + Sync + 'static {
    /// The table's place and bound.
    fn at(&self) -> &At;

    /// The table's columns.
    fn schema(&self) -> &SchemaRef;

    /// What a file lacks that a whole one has.
    const LACKS: Lacks;

    /// The rows of files, one file after the other. Blocks.
    fn rows(&self, files: &Files) -> Result<Vec<RecordBatch>>;
}

/// A table of files of a format.
pub(super) struct Table<R>(Arc<R>);

impl<R: Reads> Table<R> {
    pub fn new(reads: R) -> Self {
        Self(Arc::new(reads))
    }
}

#[async_trait]
impl<R: Reads> StaticTable for Table<R> {
    fn name(&self) -> &str {
        &self.0.at().name
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(self.0.schema())
    }

    fn max_memory(&self) -> u64 {
        self.0.at().max_memory
    }

    async fn version(&self) -> Result<TableVersion> {
        let reads = Arc::clone(&self.0);
        blocking(move || Ok(Files::now(&reads.at().path)?.version())).await
    }

    async fn load(&self, _: &Wanted) -> Result<TableRows> {
        let reads = Arc::clone(&self.0);
        let At { path, patience, .. } = reads.at();
        settled(path, R::LACKS, *patience).await?;
        blocking(move || {
            let rows = |files: &Files| reads.rows(files).map_err(|error| explained(error, R::LACKS));
            let (version, batches) = read(&reads.at().path, rows)?;
            Ok(TableRows { version, batches })
        })
        .await
    }
}
