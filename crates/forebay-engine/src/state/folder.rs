//! The names in a folder of state.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use forebay_core::Result;

use super::error::failed;

const SNAPSHOT: &str = "snapshot-";
const CHANGES: &str = "changes-";

/// Where the state before epoch `base` lies.
pub(super) fn snapshot_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{SNAPSHOT}{base:020}"))
}

/// Where the changes of the epochs from `base` on lie.
pub(super) fn changes_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{CHANGES}{base:020}"))
}

/// The files that are there, by their first epoch.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub snapshots: BTreeMap<u64, PathBuf>,
    pub changes: BTreeMap<u64, PathBuf>,
    /// What a death left half-written.
    pub staged: Vec<PathBuf>,
}

/// Lists a folder; one that is not there is empty.
pub(super) fn list(dir: &Path) -> Result<Listing> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(listing),
        Err(e) => return Err(failed(dir, "list", e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| failed(dir, "list", e))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let base = |kind: &str| name.strip_prefix(kind)?.parse::<u64>().ok();
        if name.ends_with(".staged") {
            listing.staged.push(path);
        } else if let Some(base) = base(SNAPSHOT) {
            listing.snapshots.insert(base, path);
        } else if let Some(base) = base(CHANGES) {
            listing.changes.insert(base, path);
        }
    }
    Ok(listing)
}
