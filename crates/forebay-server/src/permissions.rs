//! What others than the owner may do with a file, where the system knows such a thing.

use std::path::Path;

/// Reading, by everybody. A group is somebody's choice, as for certificates that several services share.
pub(crate) const READ: u32 = 0o004;
/// Writing, by the group or by everybody.
pub(crate) const WRITE: u32 = 0o022;

/// Largest file of tokens, certificates or a key, in bytes.
pub(crate) const MOST_BYTES: u64 = 1 << 20;

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
