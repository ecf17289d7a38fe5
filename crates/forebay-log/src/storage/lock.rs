//! One log, one owner.

use std::fs::{File, TryLockError};
use std::path::Path;

use forebay_storage::Door;

use crate::LogError;

/// The lock on a log's folder. The system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing the file would do only as long as nobody has a copy of it: a process that is just being started has one
    /// until it runs its own program.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`LogError::Locked`] while another process, or another [`Log`](super::Log) of this one, has it.
    pub fn take(door: &Door, dir: &Path) -> Result<Self, LogError> {
        let path = dir.join("lock");
        match door.create_new(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(LogError::io("create", path, &e));
            }
            _ => {}
        }
        let file = File::open(&path).map_err(|e| LogError::io("open", &path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(LogError::Locked(dir.to_path_buf())),
            Err(TryLockError::Error(e)) => Err(LogError::io("lock", path, &e)),
        }
    }
}
