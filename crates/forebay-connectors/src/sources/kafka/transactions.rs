//! Which batches of a Fetch belong to aborted transactions.
//!
//! A broker sends, beside the batches, a list of (producer, first offset) of the transactions in them that were
//! aborted. From that offset on, the producer's transactional batches are void until its abort marker, a control
//! batch. The same bytes may be walked twice (a range may end inside a batch); taking a batch again changes nothing.

use std::collections::HashSet;

use forebay_log::records::{Batch, RecordsError, Scratch};

/// Control records are two small numbers; anything large is not one.
const MARKER_LIMIT: usize = 4096;

/// The aborted transactions that a stretch of batches still has to do with.
#[derive(Clone, Debug, Default)]
pub(super) struct Aborted {
    /// (first offset, producer), the last first.
    coming: Vec<(i64, i64)>,
    /// Producers in the middle of one.
    within: HashSet<i64>,
}

impl Aborted {
    /// From the pairs (producer, first offset) of an answer.
    pub(super) fn new(pairs: impl Iterator<Item = (i64, i64)>) -> Self {
        let mut coming: Vec<_> = pairs.map(|(producer, first)| (first, producer)).collect();
        coming.sort_unstable_by(|a, b| b.cmp(a));
        Self { coming, within: HashSet::new() }
    }

    /// True if the batch holds no data that counts: markers, and records of aborted transactions. Must be told of
    /// every batch, in order.
    pub(super) fn is_void(&mut self, batch: &Batch, scratch: &Scratch) -> Result<bool, RecordsError> {
        let header = &batch.header;
        while let Some((_, producer)) = self.coming.pop_if(|(first, _)| *first <= header.last_offset()) {
            self.within.insert(producer);
        }
        if header.is_control() {
            if self.within.contains(&header.producer_id) && is_abort(batch, scratch)? {
                self.within.remove(&header.producer_id);
            }
            return Ok(true);
        }
        Ok(header.is_transactional() && self.within.contains(&header.producer_id))
    }
}

/// The key of a marker is its version and its type, two bytes each; type 0 aborts.
fn is_abort(batch: &Batch, scratch: &Scratch) -> Result<bool, RecordsError> {
    let records = batch.records(MARKER_LIMIT, scratch)?;
    let Some(marker) = records.iter().next().transpose()? else { return Ok(false) };
    let key = marker.key.and_then(|key| records.data.get(key.start as usize..key.end as usize));
    Ok(key.is_some_and(|key| key.get(2..4) == Some(&[0, 0])))
}
