//! What others than the owner may do with a file, where the system knows such a thing.

use std::io;
use std::path::Path;

/// Reading, by everybody. A group is somebody's choice, as for certificates that several services share.
pub(crate) const READ: u32 = 0o004;
/// Writing, by the group or by everybody.
pub(crate) const WRITE: u32 = 0o022;

/// True if the file is open for any of these. False for a file that is not there.
pub(crate) fn others_may(path: &Path, what: u32) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & what != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = (path, what);
        false
    }
}

/// Refuses what is no regular file of a sensible size: a pipe or a device may never end.
pub(crate) fn regular(path: &Path) -> io::Result<()> {
    const MOST: u64 = 1 << 20;
    let about = std::fs::metadata(path)?;
    match about.is_file() && about.len() <= MOST {
        true => Ok(()),
        false => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file of at most 1 MiB"))
        }
    }
}
