//! The operations of the door and the file it hands out.
#![allow(clippy::disallowed_methods, reason = "the door is where these calls belong")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

#[cfg(feature = "faults")]
use crate::faults;

/// The way to durable storage. Cheap to clone; all methods block, so asynchronous callers use a blocking task.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Nothing that goes through it is to outlive the process.
    is_scratch: bool,
}

impl Door {
    /// The door to the local file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// A door to what is thrown away before the process ends: nothing waits for the disk, and nothing is durable.
    pub fn scratch() -> Self {
        Self { is_scratch: true }
    }

    /// Creates a folder and its missing ancestors; every new name is durable on return.
    pub fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        let mut at = dir;
        while !at.as_os_str().is_empty() && !at.exists() {
            missing.push(at.to_path_buf());
            match at.parent() {
                Some(parent) => at = parent,
                None => break,
            }
        }
        for path in missing.iter().rev() {
            match fs::create_dir(path) {
                Ok(()) => {
                    #[cfg(feature = "faults")]
                    faults::created(path);
                    self.sync_dir(parent_of(path))?;
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Creates a file that must not exist yet. Its name is durable only after [`Door::sync_dir`] on its folder.
    pub fn create_new(&self, path: &Path) -> io::Result<DoorFile> {
        self.create_with(path, &mut OpenOptions::new())
    }

    fn create_with(&self, path: &Path, options: &mut OpenOptions) -> io::Result<DoorFile> {
        #[cfg(feature = "faults")]
        faults::check_write(path)?;
        let file = options.read(true).append(true).create_new(true).open(path)?;
        #[cfg(feature = "faults")]
        {
            faults::created(path);
            faults::opened(path, 0);
        }
        Ok(DoorFile { file, path: path.to_path_buf(), len: 0, is_scratch: self.is_scratch })
    }

    /// Opens an existing file for appending. What it holds now counts as durable.
    pub fn open_append(&self, path: &Path) -> io::Result<DoorFile> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        let len = file.metadata()?.len();
        #[cfg(feature = "faults")]
        faults::opened(path, len);
        Ok(DoorFile { file, path: path.to_path_buf(), len, is_scratch: self.is_scratch })
    }

    /// Writes a whole file and replaces what stood under that name; durable on return, never seen half-written.
    pub fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let staged = self.stage(path, bytes)?;
        self.rename(&staged, path)?;
        self.sync_dir(parent_of(path))
    }

    /// As [`Door::write_atomic`], and nobody but its owner may read or write a new file, from its first moment on. One
    /// that stood there stays whose it was, and open to whom it was; where that cannot be, nothing is written.
    pub fn write_private(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // Each process has a name of its own: what another one has begun, or left, is in nobody's way.
        let name = named(path, &format!(".{}.private.staged", std::process::id()));
        let staged = self.stage_with(name, &mut options, bytes)?;
        #[cfg(unix)]
        if let Err(e) = inherit(&staged, path) {
            self.remove_file(&staged)?;
            return Err(e);
        }
        self.rename(&staged, path)?;
        self.sync_dir(parent_of(path))
    }

    /// Writes a whole file under a name that must not exist yet (`AlreadyExists` otherwise); durable on return.
    pub fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // Not where `write_atomic` stages: who sees the new file may rewrite it before its staged name is gone.
        let staged = self.stage_at(named(path, ".new.staged"), bytes)?;
        self.publish_new(&staged, path)
    }

    /// Gives a finished, synced file its final name, which must not exist yet (`AlreadyExists` otherwise, and the
    /// staged file is gone); durable on return.
    pub fn publish_new(&self, staged: &Path, path: &Path) -> io::Result<()> {
        if let Err(e) = link(staged, path) {
            self.remove_file(staged)?;
            return Err(e);
        }
        self.sync_dir(parent_of(path))?;
        self.remove_file(staged)
    }

    /// Gives a finished, synced file a second name, which must not exist yet (`AlreadyExists` otherwise); durable on
    /// return. As long as it has both, who made the second is known by the first.
    pub fn link_new(&self, file: &Path, path: &Path) -> io::Result<()> {
        link(file, path)?;
        self.sync_dir(parent_of(path))
    }

    /// Renames a file, replacing the target. Durable after [`Door::sync_dir`] on the target's folder.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        #[cfg(feature = "faults")]
        let undo = faults::before_rename(from, to)?;
        fs::rename(from, to)?;
        #[cfg(feature = "faults")]
        faults::renamed(undo);
        Ok(())
    }

    /// Removes a file. Durable after [`Door::sync_dir`] on its folder; until then it may come back.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        #[cfg(feature = "faults")]
        let undo = faults::before_remove(path)?;
        fs::remove_file(path)?;
        #[cfg(feature = "faults")]
        faults::removed(undo);
        Ok(())
    }

    /// Removes a file that may not be there; true if it was. Durable as with [`Door::remove_file`].
    pub fn remove_if_there(&self, path: &Path) -> io::Result<bool> {
        match self.remove_file(path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes a folder and all it holds, file by file.
    pub fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.remove_dir_all(&entry.path())?;
            } else {
                self.remove_file(&entry.path())?;
            }
        }
        fs::remove_dir(dir)
    }

    /// Makes the names in a folder durable: new ones, renamed ones, removed ones.
    pub fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.is_scratch {
            return Ok(());
        }
        #[cfg(feature = "faults")]
        if faults::before_sync(dir)? == faults::Sync::Skip {
            return Ok(());
        }
        File::open(dir)?.sync_all()?;
        #[cfg(feature = "faults")]
        faults::dir_synced(dir);
        Ok(())
    }

    /// Writes and fsyncs a file beside `path` and returns its temporary name, for [`Door::rename`] or
    /// [`Door::publish_new`].
    pub fn stage(&self, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
        self.stage_at(staged_name(path), bytes)
    }

    fn stage_at(&self, staged: PathBuf, bytes: &[u8]) -> io::Result<PathBuf> {
        self.stage_with(staged, &mut OpenOptions::new(), bytes)
    }

    fn stage_with(&self, staged: PathBuf, options: &mut OpenOptions, bytes: &[u8]) -> io::Result<PathBuf> {
        self.remove_if_there(&staged)?;
        let mut file = self.create_with(&staged, options)?;
        file.append(bytes)?;
        file.sync()?;
        Ok(staged)
    }
}

/// A file that was opened through the door; bytes go to its end.
#[derive(Debug)]
pub struct DoorFile {
    file: File,
    path: PathBuf,
    len: u64,
    is_scratch: bool,
}

impl DoorFile {
    /// Appends all bytes. After an error the file may hold a part of them: the caller truncates or stops.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(feature = "faults")]
        faults::check_write(&self.path)?;
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Appends all slices in order, with as few system calls as the platform allows.
    pub fn append_vectored(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        #[cfg(feature = "faults")]
        faults::check_write(&self.path)?;
        let mut rest: &mut [IoSlice<'_>] = slices;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match self.file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.len += n as u64;
                    IoSlice::advance_slices(&mut rest, n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Makes everything appended so far durable (fdatasync). An error is final: what reached the disk is unknown
    /// and a second call may answer "fine", so callers stop instead of trying again.
    pub fn sync(&self) -> io::Result<()> {
        if self.is_scratch {
            return Ok(());
        }
        #[cfg(feature = "faults")]
        if faults::before_sync(&self.path)? == faults::Sync::Skip {
            return Ok(());
        }
        self.file.sync_data()?;
        #[cfg(feature = "faults")]
        faults::file_synced(&self.path, self.len);
        Ok(())
    }

    /// Cuts the file to `len` bytes and makes that durable.
    pub fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len = len;
        if self.is_scratch {
            return Ok(());
        }
        self.file.sync_all()?;
        #[cfg(feature = "faults")]
        faults::file_synced(&self.path, len);
        Ok(())
    }

    /// Length in bytes, counting what was appended and not yet synced.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True while nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the file stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A second handle for reading the same file at any offset.
    pub fn reader(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Write for DoorFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.append(buf)?;
        Ok(buf.len())
    }

    /// Buffers nothing, so there is nothing to flush; durability is [`DoorFile::sync`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn link(file: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(file, path)?;
    #[cfg(feature = "faults")]
    faults::linked(file, path);
    Ok(())
}

/// Gives a staged file the owner, the group and the mode of the file that it is to replace, if there is one.
#[cfg(unix)]
fn inherit(staged: &Path, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let before = match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        before => before?,
    };
    let file = File::open(staged)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
        fchown(&file, Some(before.uid()), Some(before.gid()))?;
    }
    // Only now: a mode that lets a group read is meant for that group.
    file.set_permissions(before.permissions())?;
    file.sync_all()
}

/// The folder that holds a path's name; the current folder for a bare name.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Where the bytes of `path` wait for their final name. Readers of folders skip names that end in `.staged`.
fn staged_name(path: &Path) -> PathBuf {
    named(path, ".staged")
}

fn named(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
