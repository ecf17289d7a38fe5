//! How many transactional producers there may be, how large one and all of them, and who goes for others.

use super::state::{Phase, Transaction};
use super::{Transactions, durable, refused};
use crate::LogError;
use crate::server::{ServerOptions, Shared};
use kafka_protocol::ResponseError;

/// Beyond the limit of ids, the longest idle one goes; but none that was there so shortly ago. One hour, in
/// milliseconds.
const KEPT_FOR: i64 = 60 * 60 * 1000;

impl Transactions {
    /// Refuses to let one producer, or all together, become too large. What ends something always may.
    pub(super) fn check_size(
        &self,
        options: &ServerOptions,
        id: &str,
        next: &Transaction,
    ) -> Result<(), LogError> {
        if !matches!(next.phase, Phase::Empty | Phase::Ongoing) {
            return Ok(());
        }
        let known = self.known.lock();
        let after = next.bytes();
        let before = known.by_id.get(id).map_or(0, |before| before.bytes());
        let all = (known.bytes + after).saturating_sub(before);
        let one = ("bytes of a transaction", options.max_transaction_bytes, "max_transaction_bytes");
        let every = ("bytes of all transactions", options.max_transaction_memory, "max_transaction_memory");
        for (size, (what, limit, option)) in [(after, one), (all, every)] {
            if size > limit && after > before {
                return Err(LogError::LimitReached { what, limit: limit as u64, option });
            }
        }
        Ok(())
    }

    /// Lets one more id in, for which the longest idle one may have to go.
    pub(super) async fn make_room(&self, at: &Shared, now: i64) -> Result<(), ResponseError> {
        let limit = at.options.max_transactional_ids;
        let goes = {
            let known = self.known.lock();
            if known.by_id.len() < limit {
                return Ok(());
            }
            let idle = known
                .by_id
                .iter()
                .filter(|(_, it)| it.is_over() && now.saturating_sub(it.touched) > KEPT_FOR);
            idle.min_by_key(|(_, it)| it.touched).map(|(id, _)| id.clone())
        };
        if let Some(goes) = goes {
            let _turn = self.turn(&goes).await;
            return self.forget(at, &goes).await;
        }
        {
            let (what, option) = ("transactional ids", "max_transactional_ids");
            let error = LogError::LimitReached { what, limit: limit as u64, option };
            Err(refused(at, "", &error))
        }
    }

    /// Forgets an id that is over. The caller has its turn; whoever asks for it then is told to begin anew.
    pub(super) async fn forget(&self, at: &Shared, id: &str) -> Result<(), ResponseError> {
        let Some(before) = self.get(id).filter(|found| found.is_over()) else { return Ok(()) };
        self.known.lock().remove(id);
        let written = at.coordinator.write_transaction((durable::key(id), None), Vec::new()).await;
        written.unwrap_or(Err(LogError::Closed)).map_err(|error| {
            self.known.lock().put(id, Transaction::clone(&before));
            refused(at, id, &error)
        })
    }
}
