//! Where an append is checked: a small one where it came in, a large one where it may take its time.
//!
//! A batch of a few bytes may expand to [`max_expanded_bytes`](super::LogOptions::max_expanded_bytes), which takes long
//! and much memory. So what is checked on the caller's thread, which serves other connections too, may expand to a
//! little only, and of the rest a few are checked at once.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::core::Core;
use super::validate::{Rules, Sound, validate};
use crate::LogError;
use crate::records::{Batch, RecordsError};

/// Bytes of an append that is checked on the caller's thread: what most producers send at once. It takes some ten
/// microseconds, about as much as a change of threads.
const SMALL: usize = 64 * 1024;
/// Bytes to which its batch may expand there, about a millisecond's work.
const SMALL_EXPANDED: usize = 1024 * 1024;
/// Others that are checked at once; a client can make each of them hold the most that a batch may expand to.
const AT_ONCE: usize = 4;

/// The turns of those that take long.
#[derive(Debug)]
pub(super) struct Checks(Arc<Semaphore>);

impl Default for Checks {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Checks {
    /// [`validate`], here or elsewhere.
    pub async fn check(
        &self,
        core: &Arc<Core>,
        batches: Bytes,
        rules: Rules,
    ) -> Result<Vec<Sound>, LogError> {
        if batches.len() <= SMALL && Batch::parse(&batches).is_ok() {
            let small = Rules { max_expanded_bytes: rules.max_expanded_bytes.min(SMALL_EXPANDED), ..rules };
            match validate(&batches, &small, &core.scratch) {
                Err(LogError::InvalidBatch(RecordsError::TooLarge { .. })) => {}
                checked => return checked,
            }
        }
        let core = Arc::clone(core);
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(|_| LogError::Closed)?;
        let checking = tokio::task::spawn_blocking(move || {
            // Also if the caller is gone meanwhile.
            let _turn = turn;
            validate(&batches, &rules, &core.scratch)
        });
        checking.await.map_err(|_| LogError::Closed)?
    }
}

#[cfg(test)]
mod tests {
    use forebay_storage::Door;

    use super::*;
    use crate::records::{BatchBuilder, Compression};
    use crate::storage::{LogOptions, TimestampType};

    /// On one thread, whoever else has something to do is not kept from it.
    #[tokio::test]
    async fn what_expands_to_much_is_checked_elsewhere() {
        let core = Arc::new(Core::new(LogOptions::new("x"), Door::new()));
        let rules = Rules {
            max_message_bytes: 1 << 20,
            max_expanded_bytes: 64 << 20,
            timestamp_type: TimestampType::CreateTime,
            now: 0,
            latest_timestamp: 1,
        };
        let checks = Checks::default();
        for (bytes, elsewhere) in [(100, false), (30 << 20, true)] {
            let mut batch = BatchBuilder::new(Compression::Zstd);
            batch.append(0, None, Some(&vec![0; bytes]), &[]);
            let batch = batch.build().unwrap();
            assert!(batch.len() < SMALL);
            let check = checks.check(&core, batch, rules);
            tokio::pin!(check);
            let here = tokio::select! {
                biased;
                checked = &mut check => Some(checked),
                () = std::future::ready(()) => None,
            };
            assert_eq!(here.is_none(), elsewhere);
            let checked = match here {
                Some(checked) => checked,
                None => check.await,
            };
            assert_eq!(checked.unwrap().len(), 1);
        }
    }
}
