//! What the words of the disk, of Parquet and of delta-rs mean to the engine.
//!
//! Owns the one decision that matters after a failure: *may the same attempt be made again?* A write that found no
//! room may (the epoch is aborted, its files removed, and tried again later); an fsync that failed may not, because
//! nothing is known any more about what reached the disk.

use std::io;
use std::path::Path;

use deltalake_core::DeltaTableError;
use forebay_core::Error;
use forebay_core::error::codes;
use parquet::errors::ParquetError;

/// Input/output error, the operating system's `EIO`.
const EIO: i32 = 5;

/// A write, a create or a remove that failed: worth another attempt, unless the device itself is ill.
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

/// What the Parquet writer says: mostly what the file under it said.
pub(crate) fn parquet(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io_error) => refused("the table's storage refuses a data file", path, *io_error),
            Err(other) => Error::new(&codes::SINK_UNAVAILABLE, "a data file cannot be written")
                .at(path.display())
                .with_detail(other),
        },
        other => Error::new(&codes::INTERNAL, "a batch does not fit its data file")
            .at(path.display())
            .caused_by(other),
    }
}

/// A data file of the table that cannot be read, or not as what the log says it is.
pub(crate) fn unreadable(path: &Path, error: ParquetError) -> Error {
    Error::new(&codes::SINK_UNAVAILABLE, "a data file of the table cannot be read")
        .at(path.display())
        .caused_by(error)
}

/// What delta-rs says while a table's log is read.
pub(crate) fn delta(root: &Path, error: DeltaTableError) -> Error {
    let unreadable = matches!(
        error,
        DeltaTableError::NotATable(_)
            | DeltaTableError::InvalidTableLocation(_)
            | DeltaTableError::InvalidJsonLog { .. }
    );
    let code = if unreadable { &codes::SINK_UNSUPPORTED } else { &codes::SINK_UNAVAILABLE };
    Error::new(code, "the Delta table cannot be read").at(root.display()).caused_by(error)
}

/// A blocking task that panicked or was cancelled with the runtime.
pub(crate) fn task(error: tokio::task::JoinError) -> Error {
    Error::new(&codes::INTERNAL, "a storage task ended early").caused_by(error)
}
