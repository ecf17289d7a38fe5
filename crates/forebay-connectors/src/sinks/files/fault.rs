//! What the words of the disk mean to the engine.
//!
//! A write that found no room may be made again; an fsync that failed may not, because nothing is known any more about
//! what reached the disk.

use std::io;
use std::path::Path;

use forebay_core::Error;
use forebay_core::error::codes;

/// Input/output error, the operating system's `EIO`.
const EIO: i32 = 5;

/// A read, write, create, rename or remove that failed: worth another attempt, unless the device itself is ill.
pub(crate) fn refused(what: &str, path: &Path, error: io::Error) -> Error {
    if error.raw_os_error() == Some(EIO) {
        return sync_failed(path, error);
    }
    Error::new(&codes::SINK_UNAVAILABLE, what.to_owned()).at(path.display()).caused_by(error)
}

/// An fsync that failed: final.
pub(crate) fn sync_failed(path: &Path, error: io::Error) -> Error {
    Error::new(&codes::STORAGE, "fsync failed").at(path.display()).caused_by(error)
}

/// A manifest that cannot be read.
pub(crate) fn damaged(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(&codes::SINK_MANIFEST, "the manifest of a folder of files cannot be read")
        .with_detail(detail)
        .at(path.display())
}

/// A blocking task that panicked or was cancelled with the runtime.
pub(crate) fn task(error: tokio::task::JoinError) -> Error {
    Error::new(&codes::INTERNAL, "a storage task ended early").caused_by(error)
}
