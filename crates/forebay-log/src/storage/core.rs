//! What all parts of an open log share: settings, the door, and whether it still writes.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use forebay_storage::Door;

use super::LogOptions;
use super::buffers::Buffers;
use crate::LogError;
use crate::quiet::Quiet;
use crate::records::Scratch;

/// Shared by the log's handle, its writers and its keeper.
#[derive(Debug)]
pub(super) struct Core {
    pub options: LogOptions,
    pub door: Door,
    pub scratch: Scratch,
    /// For what readers read.
    pub buffers: Buffers,
    /// Warnings that clients can cause; a server before the log uses the same.
    pub quiet: Arc<Quiet>,
    /// Aborted transactions that readers are told of, over all partitions.
    pub aborted: AtomicUsize,
    /// Why the log writes no more; set once, for good.
    failed: OnceLock<String>,
}

impl Core {
    pub fn new(options: LogOptions, door: Door) -> Self {
        let quiet = Arc::new(Quiet::new(options.clock.clone()));
        let (scratch, buffers) = (Scratch::new(), Buffers::default());
        Self { options, door, scratch, buffers, quiet, aborted: AtomicUsize::new(0), failed: OnceLock::new() }
    }

    /// Ends all writing: what is on disk is unknown from here on, since we could not do (a verb) that to `path`.
    pub fn fail(&self, doing: &str, path: &Path, error: &io::Error) -> LogError {
        let why = self.failed.get_or_init(|| {
            let why = format!("could not {doing} {}: {error}", path.display());
            tracing::error!(%why, "what is on disk is unknown; the log takes no more writes");
            why
        });
        LogError::Failed(why.clone())
    }

    /// Refuses while there are too many aborted transactions to begin another that may be aborted.
    pub fn check_aborted(&self) -> Result<(), LogError> {
        let most = self.options.max_aborted_transactions;
        if self.aborted.load(Ordering::Relaxed) < most {
            return Ok(());
        }
        let (what, option) = ("aborted transactions", "max_aborted_transactions");
        Err(LogError::LimitReached { what, limit: most as u64, option })
    }

    /// Refuses once the log has failed.
    pub fn check_writable(&self) -> Result<(), LogError> {
        match self.failed.get() {
            Some(why) => Err(LogError::Failed(why.clone())),
            None => Ok(()),
        }
    }
}
