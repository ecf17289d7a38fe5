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
    /// [`validate`], here or elsewhere, and the time at which: after the wait for a turn, which may be long, so that
    /// append times do not run backwards.
    ///
    /// What is checked here is exactly one batch: of the smallest there are hundreds in [`SMALL`], each of which
    /// could expand to [`SMALL_EXPANDED`].
    pub async fn check(
        &self,
        core: &Arc<Core>,
        batches: Bytes,
        rules: Rules,
    ) -> Result<(Vec<Sound>, i64), LogError> {
        if batches.len() <= SMALL && Batch::parse(&batches).is_ok() {
            let small = Rules { max_expanded_bytes: rules.max_expanded_bytes.min(SMALL_EXPANDED), ..rules };
            let now = core.options.clock.now();
            match validate(&batches, &small, now, &core.scratch) {
                // It may be no larger than is allowed elsewhere.
                Err(LogError::InvalidBatch(RecordsError::TooLarge { .. }))
                    if small.max_expanded_bytes < rules.max_expanded_bytes => {}
                checked => return Ok((checked?, now)),
            }
        }
        let core = Arc::clone(core);
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(|_| LogError::Closed)?;
        let checking = tokio::task::spawn_blocking(move || {
            // Also if the caller is gone meanwhile.
            let _turn = turn;
            let now = core.options.clock.now();
            Ok((validate(&batches, &rules, now, &core.scratch)?, now))
        });
        checking.await.map_err(|_| LogError::Closed)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use forebay_storage::Door;

    use super::*;
    use crate::records::{BatchBuilder, Compression};
    use crate::storage::{Clock, LogOptions, TimestampType};

    const RULES: Rules = Rules {
        max_message_bytes: 1 << 20,
        max_expanded_bytes: 64 << 20,
        timestamp_type: TimestampType::LogAppendTime,
        max_ahead: 1,
    };

    /// Compressed, it is small.
    fn batch(bytes: usize) -> Bytes {
        let mut batch = BatchBuilder::new(Compression::Zstd);
        batch.append(0, None, Some(&vec![0; bytes]), &[]);
        let batch = batch.build().unwrap();
        assert!(batch.len() < SMALL);
        batch
    }

    /// On one thread, whoever else has something to do is not kept from it.
    #[tokio::test]
    async fn what_expands_to_much_is_checked_elsewhere() {
        let core = Arc::new(Core::new(LogOptions::new("x"), Door::new()));
        let checks = Checks::default();
        for (bytes, limit, elsewhere, is_sound) in [
            (100, 64 << 20, false, true),
            (30 << 20, 64 << 20, true, true),
            (30 << 20, SMALL_EXPANDED, false, false),
        ] {
            let check = checks.check(&core, batch(bytes), Rules { max_expanded_bytes: limit, ..RULES });
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
            assert_eq!(checked.is_ok(), is_sound, "{checked:?}");
        }
    }

    #[tokio::test]
    async fn the_time_of_an_append_is_not_from_before_its_turn() {
        let time = Arc::new(AtomicI64::new(5));
        let read = Arc::clone(&time);
        let clock = Clock::new(move || read.load(Ordering::SeqCst));
        let core = Arc::new(Core::new(LogOptions { clock, ..LogOptions::new("x") }, Door::new()));
        let checks = Checks::default();
        let turns = checks.0.acquire_many(AT_ONCE as u32).await.unwrap();
        let check = checks.check(&core, batch(2 << 20), RULES);
        tokio::pin!(check);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), &mut check).await.is_err());
        time.store(9, Ordering::SeqCst);
        drop(turns);
        let (sound, now) = check.await.unwrap();
        assert_eq!((now, sound[0].header.max_timestamp), (9, 9));
    }
}
