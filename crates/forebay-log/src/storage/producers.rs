//! What each idempotent producer wrote last, so that its repeats are recognised.
//!
//! A producer numbers its records per partition. A batch must begin where its last one ended; one of its last five
//! batches come again (the answer to it was lost) is answered with the offset it got the first time, and anything
//! else is refused. A producer nobody remembers may begin with any number, as in Kafka: it may have been idle
//! longer than [`producer_expiry`](super::LogOptions::producer_expiry).
//!
//! The state belongs to the log: it is rebuilt by walking the batches' headers. The file `producers` only shortens
//! that walk; it says up to which offset it goes. The partition's transactions are kept with it (`transactions.rs`): a
//! batch is checked against both, recorded in both and taken back from both.

use std::collections::HashMap;

use super::transactions::{Aborted, Before, Transactions};
use crate::LogError;
use crate::records::{BatchHeader, Marker};

mod stored;

pub(super) use stored::Stored;

/// Batches remembered per producer: as many as a client may have under way.
const REMEMBERED: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Recent {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    next_sequence: i32,
    /// When it last appended, by the log's clock.
    last_seen: i64,
    recent: Vec<Recent>,
}

/// What is to be done with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Append,
    Duplicate { base_offset: i64 },
}

/// How to take one batch back.
pub(super) struct Undo {
    producer_id: i64,
    epoch: i16,
    /// Of a batch of data; a marker has none.
    first_sequence: Option<i32>,
    before: Option<Producer>,
    transaction: Option<Before>,
}

/// The idempotent producers of one partition.
#[derive(Debug, Default)]
pub(super) struct Producers {
    known: HashMap<i64, Producer>,
    pub transactions: Transactions,
}

impl Producers {
    /// Decides about a batch; changes nothing.
    pub fn check(&self, header: &BatchHeader) -> Result<Verdict, LogError> {
        let verdict = self.check_sequence(header)?;
        if verdict == Verdict::Append {
            self.transactions.check(header)?;
        }
        Ok(verdict)
    }

    fn check_sequence(&self, header: &BatchHeader) -> Result<Verdict, LogError> {
        if header.producer_id < 0 {
            return Ok(Verdict::Append);
        }
        let Some(producer) = self.known.get(&header.producer_id) else { return Ok(Verdict::Append) };
        if header.producer_epoch < producer.epoch {
            let (current, got) = (producer.epoch, header.producer_epoch);
            return Err(LogError::InvalidProducerEpoch { producer_id: header.producer_id, current, got });
        }
        let expected = if header.producer_epoch > producer.epoch { 0 } else { producer.next_sequence };
        if header.producer_epoch == producer.epoch {
            let last_sequence = last_sequence(header);
            let same =
                |r: &&Recent| r.first_sequence == header.base_sequence && r.last_sequence == last_sequence;
            if let Some(recent) = producer.recent.iter().find(same) {
                return Ok(Verdict::Duplicate { base_offset: recent.base_offset });
            }
        }
        if header.base_sequence == expected {
            return Ok(Verdict::Append);
        }
        Err(LogError::OutOfOrderSequence {
            producer_id: header.producer_id,
            expected,
            got: header.base_sequence,
        })
    }

    /// Remembers a batch that has its offset. The answer takes it back.
    pub fn record(&mut self, header: &BatchHeader, now: i64) -> Option<Undo> {
        if header.producer_id < 0 {
            return None;
        }
        let transaction = self.transactions.record(header);
        let before = self.known.get(&header.producer_id).cloned();
        let producer = self.known.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            next_sequence: 0,
            last_seen: now,
            recent: Vec::with_capacity(REMEMBERED),
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.recent.clear();
        }
        if producer.recent.len() == REMEMBERED {
            producer.recent.remove(0);
        }
        let last_sequence = last_sequence(header);
        producer.recent.push(Recent {
            first_sequence: header.base_sequence,
            last_sequence,
            base_offset: header.base_offset,
        });
        producer.next_sequence = after(last_sequence, 1);
        producer.last_seen = now;
        Some(Undo {
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            first_sequence: Some(header.base_sequence),
            before,
            transaction,
        })
    }

    /// Ends a transaction with the marker that `header` is of, and tells what is void now. A newer epoch in it is the
    /// producer's from now on, and it begins to number anew.
    pub fn end(&mut self, header: &BatchHeader, marker: Marker) -> (Undo, Option<Aborted>) {
        let BatchHeader { producer_id, producer_epoch: epoch, .. } = *header;
        let (last, next) = (header.base_offset, header.next_offset());
        let (transaction, aborted) = self.transactions.end(producer_id, marker, last, next);
        let before = self.known.get(&producer_id).cloned();
        if let Some(producer) = self.known.get_mut(&producer_id)
            && producer.epoch < epoch
        {
            producer.epoch = epoch;
            producer.next_sequence = 0;
            producer.recent.clear();
        }
        let undo = Undo { producer_id, epoch, first_sequence: None, before, transaction: Some(transaction) };
        (undo, aborted)
    }

    /// Takes batches back that could not be written; pass them newest first.
    ///
    /// A producer that was unknown before is not forgotten again: the batches it sent behind the failed one would
    /// be accepted out of order. It is expected to begin with the failed batch.
    pub fn undo(&mut self, undo: Undo, now: i64) {
        let begin_again =
            |next_sequence| Producer { epoch: undo.epoch, next_sequence, last_seen: now, recent: Vec::new() };
        if let Some(before) = undo.before.or_else(|| undo.first_sequence.map(begin_again)) {
            self.known.insert(undo.producer_id, before);
        }
        if let Some(transaction) = undo.transaction {
            self.transactions.undo(transaction);
        }
    }

    /// Forgets who was idle since before `idle_since`, and beyond `max` producers the longest idle; nobody who is in
    /// a transaction, whose end lies in other hands.
    pub fn expire(&mut self, idle_since: i64, max: usize) {
        let transactions = &self.transactions;
        self.known.retain(|id, producer| producer.last_seen >= idle_since || transactions.holds(*id));
        if self.known.len() <= max {
            return;
        }
        let idle = self.known.iter().filter(|(id, _)| !transactions.holds(**id));
        let mut by_age: Vec<(i64, i64)> = idle.map(|(id, p)| (p.last_seen, *id)).collect();
        by_age.sort_unstable();
        for (_, id) in by_age.iter().take(self.known.len() - max) {
            self.known.remove(id);
        }
    }

    /// Keeps the list bounded between two calls of [`Producers::expire`], whoever sends: forgetting is cheap only where
    /// it is done for many at once.
    pub fn limit(&mut self, max: usize) {
        if self.known.len() > max.saturating_mul(2) {
            self.expire(i64::MIN, max);
        }
    }
}

fn last_sequence(header: &BatchHeader) -> i32 {
    after(header.base_sequence, header.last_offset_delta)
}

/// Sequence numbers run from 0 to the greatest i32 and begin again.
fn after(sequence: i32, delta: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(delta);
    // The remainder is below 2^31, so it is an i32.
    i32::try_from(sum.rem_euclid(1 << 31)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use forebay_storage::Door;

    use super::*;

    fn batch(epoch: i16, sequence: i32, count: i32, base_offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset,
            length: 61,
            leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence: sequence,
            record_count: count,
        }
    }

    #[test]
    fn repeats_gaps_and_old_epochs() {
        let mut producers = Producers::default();
        for i in 0..7 {
            let header = batch(0, i * 10, 10, i64::from(i) * 10);
            assert_eq!(producers.check(&header).unwrap(), Verdict::Append);
            producers.record(&header, 0);
        }
        for i in 2..7 {
            let verdict = producers.check(&batch(0, i * 10, 10, 0)).unwrap();
            assert_eq!(verdict, Verdict::Duplicate { base_offset: i64::from(i) * 10 });
        }
        for (sequence, count) in [(10, 10), (80, 1), (60, 5), (69, 1)] {
            let refused = producers.check(&batch(0, sequence, count, 0)).unwrap_err();
            assert!(matches!(refused, LogError::OutOfOrderSequence { expected: 70, .. }), "{refused}");
        }
        assert!(matches!(
            producers.check(&batch(1, 70, 1, 0)),
            Err(LogError::OutOfOrderSequence { expected: 0, .. })
        ));
        let newer = batch(1, 0, 1, 70);
        assert_eq!(producers.check(&newer).unwrap(), Verdict::Append);
        producers.record(&newer, 0);
        assert!(matches!(producers.check(&batch(0, 70, 1, 0)), Err(LogError::InvalidProducerEpoch { .. })));
    }

    #[test]
    fn sequence_numbers_begin_again_after_the_greatest() {
        let mut producers = Producers::default();
        producers.record(&batch(0, i32::MAX - 1, 3, 0), 0);
        assert_eq!(producers.check(&batch(0, 1, 1, 3)).unwrap(), Verdict::Append);
        assert_eq!(
            producers.check(&batch(0, i32::MAX - 1, 3, 0)).unwrap(),
            Verdict::Duplicate { base_offset: 0 }
        );
    }

    #[test]
    fn after_a_failed_first_write_only_that_batch_may_come() {
        let mut producers = Producers::default();
        let first = producers.record(&batch(0, 0, 10, 0), 5).unwrap();
        let second = producers.record(&batch(0, 10, 10, 10), 5).unwrap();
        producers.undo(second, 5);
        producers.undo(first, 5);
        assert!(producers.check(&batch(0, 10, 10, 0)).is_err());
        assert_eq!(producers.check(&batch(0, 0, 10, 0)).unwrap(), Verdict::Append);
    }

    #[test]
    fn many_producers_in_a_short_time_are_not_all_remembered() {
        let mut producers = Producers::default();
        for i in 0..1000 {
            producers.record(&BatchHeader { producer_id: i, ..batch(0, 0, 1, i) }, i);
            producers.limit(10);
            assert!(producers.known.len() <= 20);
        }
        assert!(producers.known.contains_key(&999));
    }

    #[test]
    fn state_survives_the_disk_and_expires() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("producers");
        let mut producers = Producers::default();
        for i in 0..4 {
            producers.record(&BatchHeader { producer_id: i, ..batch(0, 0, 1, i) }, i);
        }
        producers.transactions.restore(2, 1, 40);
        let aborted = [Aborted { producer_id: 9, first: 3, last: 8, stable: 5 }];
        producers.write(&aborted, &Door::new(), &path, 44).unwrap();
        let read = Producers::read(&path).unwrap().unwrap();
        assert_eq!((read.producers.known, read.known_to), (producers.known.clone(), 44));
        assert_eq!(read.producers.transactions, producers.transactions);
        assert_eq!(read.aborted, aborted);
        producers.transactions = Transactions::default();
        producers.expire(1, 2);
        let mut left: Vec<_> = producers.known.keys().copied().collect();
        left.sort_unstable();
        assert_eq!(left, [2, 3]);
    }
}
