//! How state fails.

use std::io;
use std::path::Path;

use arrow::error::ArrowError;
use forebay_core::Error;
use forebay_core::error::{Code, codes};

/// State that fails its checksum or has a hole.
pub(super) const DAMAGED: &Code = &codes::STATE_DAMAGED;

/// State of other tables than the query's.
pub(super) const CHANGED: &Code = &codes::STATE_CHANGED;

/// What the code around state did wrong.
pub(super) fn bug(message: impl Into<String>) -> Error {
    Error::new(&codes::INTERNAL, message)
}

/// Arrow refuses what should have been checked before.
pub(super) fn arrow_failed(error: &ArrowError) -> Error {
    bug("state cannot be computed").with_detail(error)
}

/// A file of state cannot be read or written.
pub(super) fn failed(path: &Path, action: &str, error: io::Error) -> Error {
    // A full disk may have room again; after a failed fsync nothing is known, and every other error needs a person.
    let retry = error.kind() == io::ErrorKind::StorageFull && action != "fsync";
    Error::new(&codes::STORAGE, format!("cannot {action} a file of the query's state"))
        .at(path.display())
        .with_retry(retry)
        .caused_by(error)
}

/// Nothing valid is left of the state.
pub(super) fn damaged(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(DAMAGED, "the query's state cannot be read")
        .with_detail(detail)
        .at(path.display())
        .with_hint("Restore the checkpoint's folder from a copy. Without one, give the query a new `checkpointLocation`: it then begins anew with empty state, where the source's starting options say, and rows that its sink has may come again.")
}

/// The checkpoint's state is not what the query would keep.
pub(super) fn other_state(difference: impl std::fmt::Display) -> Error {
    Error::new(CHANGED, "the query would keep another state than its checkpoint has")
        .with_detail(difference)
        .with_hint("Undo the change and the query goes on; filters, columns that are only computed and names of the output may change (a Delta table keeps its columns, though: FB-5002). With a new name or `checkpointLocation` it is a new query with empty state, which begins where the source's starting options say: rows can come twice into a sink that has them, or be left out.")
}
