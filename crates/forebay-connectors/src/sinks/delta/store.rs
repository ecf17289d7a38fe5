//! Where the files of a table are: in a folder, behind the storage door, or in a bucket.
//!
//! The two differ in three points, and only here: how a version comes to be (a link to a finished file, a conditional
//! put), when a data file is durable (an fsync of it and later of its folder, the server's answer), and what tells that a
//! version's file is still the same (its time, its tag). Names are relative to the table, with `/` between folders. What must stay
//! true: [`Store::publish`] gives a name to the bytes of one caller only, and where it cannot tell whether it did it fails.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::{Door, DoorFile, kill_point};

use super::commit::{KillPoints, Linking};
use super::fault;
use crate::s3::{self, Address, Bucket, Found, Upload};

/// The folder of a table's log.
const LOG: &str = "_delta_log";
/// A name in the log by which a server shows that it refuses names that exist. Readers pass over it.
const PROOF: &str = "_delta_log/_forebay_create_once";

/// Where a table lies, as an option `path` says it.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    Folder(PathBuf),
    Bucket(Bucket),
}

impl Location {
    /// Relative paths lie under `data_dir`; `given` are the options for buckets.
    ///
    /// # Errors
    /// `BAD_VALUE`, and whatever is wrong with the options; `NOT_YET` for other systems.
    pub fn new(path: &str, given: &BTreeMap<String, String>, data_dir: &Path) -> Result<Self> {
        if let Some(address) = Address::parse(path)? {
            return Ok(Self::Bucket(Bucket::new(address, given, &data_dir.join(".spool"))?));
        }
        if path.contains("://") {
            let message = format!("option `path` is `{path}`, expected a folder or `s3://bucket/folder`");
            return Err(Error::new(&codes::NOT_YET, message));
        }
        s3::refuse_options(given)?;
        Ok(Self::Folder(data_dir.join(path)))
    }

    /// As messages and lists have it.
    pub fn shown(&self) -> PathBuf {
        match self {
            Self::Folder(path) => path.clone(),
            Self::Bucket(bucket) => bucket.address().to_string().into(),
        }
    }
}

/// How the files of one table are reached.
#[derive(Clone)]
pub(crate) enum Store {
    Folder { root: PathBuf, door: Door },
    Bucket(Bucket),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { root, .. } => root.fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

/// What tells one file of a name from another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mark {
    Time(SystemTime),
    Tag(String),
}

/// What became of a version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Published {
    /// It is there, and ours.
    Yes(Option<Mark>),
    /// Another one has its name.
    Taken,
}

impl Store {
    /// What stands under a name. Blocks.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Folder { root, .. } => if_there(std::fs::read(root.join(name))),
            Self::Bucket(bucket) => Ok(bucket.read(name)?.map(|(bytes, _)| bytes.to_vec())),
        }
    }

    /// What tells whether a file is still the same; `None` if there is none. Blocks.
    pub fn mark(&self, name: &str) -> io::Result<Option<Mark>> {
        match self {
            Self::Folder { root, .. } => {
                let time = std::fs::metadata(root.join(name)).and_then(|file| file.modified());
                Ok(if_there(time)?.map(Mark::Time))
            }
            Self::Bucket(bucket) => Ok(bucket.tag(name)?.map(Mark::Tag)),
        }
    }

    /// The names in the log; none if there is no log. Blocks.
    pub fn log_names(&self) -> io::Result<Vec<String>> {
        match self {
            Self::Folder { root, .. } => {
                let Some(entries) = if_there(std::fs::read_dir(root.join(LOG)))? else {
                    return Ok(Vec::new());
                };
                Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
            }
            Self::Bucket(bucket) => bucket.names(LOG),
        }
    }

    /// Every file outside of folders that begin with `_` or `.`, with milliseconds of its last change. What cannot be read on
    /// this machine is passed over; it will be there next time. Blocks.
    pub fn data_files(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        match self {
            Self::Folder { root, .. } => walk(root, root, &mut found),
            Self::Bucket(bucket) => {
                found = bucket.all()?;
                let is_hidden = |name: &str| {
                    let folders = name.rsplit_once('/').map_or("", |(folders, _)| folders);
                    folders.split('/').any(|folder| folder.starts_with(['_', '.']))
                };
                found.retain(|file| !is_hidden(&file.name));
            }
        }
        Ok(found)
    }

    /// Staged files of the log with their times: what killed processes leave in a folder. Blocks.
    pub fn staged(&self) -> Vec<Found> {
        let Self::Folder { root, .. } = self else { return Vec::new() };
        let Ok(entries) = std::fs::read_dir(root.join(LOG)) else { return Vec::new() };
        let staged = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_staged =
                (name.starts_with("_commit_") || name.starts_with("_put_")) && name.ends_with(".tmp");
            let modified_ms = modified_ms(&entry.path())?;
            is_staged.then(|| Found { name: format!("{LOG}/{name}"), modified_ms })
        });
        staged.collect()
    }

    /// Makes it possible to write below a folder.
    pub fn make_folder(&self, folder: &str) -> Result<()> {
        let Self::Folder { root, door } = self else { return Ok(()) };
        let path = root.join(folder);
        door.create_dir_all(&path)
            .map_err(|e| fault::refused("a folder of the table cannot be created", &path, e))
    }

    /// Makes the names in a folder durable. Blocks.
    pub fn sync_folder(&self, folder: &str) -> Result<()> {
        let Self::Folder { root, door } = self else { return Ok(()) };
        let path = root.join(folder);
        door.sync_dir(&path).map_err(|e| fault::sync_failed(&path, e))
    }

    /// Makes the names in the log durable. Blocks.
    pub fn sync_log(&self) -> Result<()> {
        self.sync_folder(LOG)
    }

    /// Makes the folder of the log.
    pub fn make_log(&self) -> Result<()> {
        self.make_folder(LOG)
    }

    /// Makes sure that a version is taken once, before anything is written. Blocks.
    ///
    /// # Errors
    /// `SINK_UNSUPPORTED` if two writers could take the same one.
    pub fn prove(&self) -> Result<()> {
        let Self::Bucket(bucket) = self else { return Ok(()) };
        bucket.prove_create(PROOF).map_err(|e| match e.kind() {
            io::ErrorKind::Unsupported => {
                let error = Error::new(&codes::SINK_UNSUPPORTED, "the server of the bucket cannot keep two writers apart");
                error.at(bucket.address()).with_detail(e).with_hint(
                    "A commit is a put with `If-None-Match: *`, which the server must refuse where the object exists. AWS S3, MinIO, Ceph and \
                     Cloudflare R2 do, in their newer versions; update the server, or write to a folder.",
                )
            }
            _ => fault::refused("the table's log cannot be written", &self.path(PROOF), e),
        })
    }

    /// Removes a file that may not be there. Blocks.
    pub fn remove_if_there(&self, name: &str) -> io::Result<bool> {
        match self {
            Self::Folder { root, door } => door.remove_if_there(&root.join(name)),
            Self::Bucket(bucket) => bucket.remove_if_there(name),
        }
    }

    /// A new data file, in a folder that can be written.
    pub fn create(&self, name: &str) -> io::Result<NewFile> {
        match self {
            Self::Folder { root, door } => door.create_new(&root.join(name)).map(NewFile::Local),
            Self::Bucket(bucket) => bucket.upload(name).map(NewFile::Remote),
        }
    }

    /// A data file to read; of one in a bucket a copy. Blocks.
    pub fn open(&self, name: &str) -> io::Result<File> {
        match self {
            Self::Folder { root, .. } => File::open(root.join(name)),
            Self::Bucket(bucket) => bucket.download(name),
        }
    }

    /// Gives a file of the log, which must not exist yet, its content. `linking` is true from the moment in which it may
    /// come to be, and false again only where another one is there for certain. Blocks.
    pub fn publish(
        &self,
        name: &str,
        text: &[u8],
        points: KillPoints,
        linking: &Linking,
    ) -> Result<Published> {
        match self {
            Self::Folder { root, door } => {
                let path = root.join(name);
                let published = link(door, &path, text, points, linking)?;
                // A time that cannot be read means that the log is loaded anew: a version is there all the same.
                let mark = || self.mark(name).unwrap_or_default();
                Ok(if published { Published::Yes(mark()) } else { Published::Taken })
            }
            Self::Bucket(bucket) => {
                points.before.into_iter().for_each(kill_point);
                linking.begin();
                let created = bucket.create(name, text);
                match created
                    .map_err(|e| fault::refused("a commit cannot be published", &self.path(name), e))?
                {
                    Some(tag) => Ok(Published::Yes(tag.map(Mark::Tag))),
                    None => {
                        linking.take_back();
                        Ok(Published::Taken)
                    }
                }
            }
        }
    }

    /// A name as messages have it.
    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder { root, .. } => root.join(name),
            Self::Bucket(bucket) => format!("{}/{name}", bucket.address()).into(),
        }
    }
}

/// A staged file, fsynced, and a link to it; true if the link was the first of its name.
fn link(door: &Door, path: &Path, text: &[u8], points: KillPoints, linking: &Linking) -> Result<bool> {
    // A name of its own for each attempt: two writers may stage the same version at the same time.
    let staged = path.with_file_name(format!("_commit_{}.json.tmp", uuid::Uuid::new_v4()));
    let refused = |e| fault::refused("the table's log cannot be written", &staged, e);
    let mut file = door.create_new(&staged).map_err(refused)?;
    let written = file
        .append(text)
        .map_err(refused)
        .and_then(|()| file.sync().map_err(|e| fault::sync_failed(&staged, e)));
    if let Err(error) = written {
        if let Err(left) = door.remove_file(&staged) {
            tracing::warn!(path = %staged.display(), error = %left, "a staged commit stays behind");
        }
        return Err(error);
    }
    points.before.into_iter().for_each(kill_point);
    linking.begin();
    match door.publish_new(&staged, path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            linking.take_back();
            Ok(false)
        }
        Err(e) => Err(fault::refused("a commit cannot be published", path, e)),
    }
}

/// A data file that is being written.
#[derive(Debug)]
pub(crate) enum NewFile {
    Local(DoorFile),
    Remote(Upload),
}

impl NewFile {
    /// Bytes that were written.
    pub fn len(&self) -> u64 {
        match self {
            Self::Local(file) => file.len(),
            Self::Remote(upload) => upload.len(),
        }
    }

    /// Makes it durable; `path` is its place in messages. Blocks.
    pub fn finish(&self, path: &Path) -> Result<()> {
        match self {
            Self::Local(file) => file.sync().map_err(|e| fault::sync_failed(path, e)),
            Self::Remote(upload) => {
                upload.finish().map_err(|e| fault::refused("a data file cannot be sent", path, e))
            }
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local(file) => file.write(bytes),
            Self::Remote(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<Found>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            let hidden = entry.file_name().to_string_lossy().starts_with(['_', '.']);
            if !hidden {
                walk(root, &path, found);
            }
        } else if kind.is_file()
            && let Some(modified_ms) = modified_ms(&path)
            && let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str)
        {
            found.push(Found { name: name.to_owned(), modified_ms });
        }
    }
}

fn modified_ms(path: &Path) -> Option<i64> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}
