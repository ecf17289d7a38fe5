//! The transactions of one partition: who may write in one, which are open, which were aborted.
//!
//! ```text
//!   enrol (pid, epoch) ──▶ batches of (pid, epoch) … ──▶ marker
//!                          first offset: open            commit: they count
//!                                                        abort:  (pid, first, last) joins the list of aborted ones
//! ```
//! The **last stable offset** is the first offset of the oldest open transaction, or the end: what lies before it is
//! decided. A reader of committed data is shown nothing behind it, and skips what the list says is void.
//!
//! **What must stay true:** a transactional batch is only appended for a producer that is enrolled with its epoch,
//! and a marker ends the enrolment in the partition's own order. So a batch that comes late, from a producer that was
//! fenced or timed out meanwhile, can never begin a transaction that nobody will end.
//!
//! Open and aborted transactions belong to the log: they are rebuilt by walking headers and markers, from where the
//! file `producers` ends. Enrolments belong to the coordinator, which brings them again after a restart.

use std::collections::HashMap;

use crate::LogError;
use crate::records::{BatchHeader, Marker};

/// A transaction that may write to the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Enrolled {
    pub epoch: i16,
    /// Offset of its first batch, once there is one.
    pub first: Option<i64>,
}

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aborted {
    pub producer_id: i64,
    pub first: i64,
    /// Offset of its marker.
    pub last: i64,
    /// The last stable offset behind the marker: what is aborted later began there or later.
    pub stable: i64,
}

/// How to take one change back.
pub(super) struct Before(i64, Option<Enrolled>);

/// The enrolled and open transactions of one partition.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Transactions {
    by_producer: HashMap<i64, Enrolled>,
}

impl Transactions {
    /// Lets a producer write in a transaction. One that is open goes on.
    pub fn enrol(&mut self, producer_id: i64, epoch: i16) {
        let enrolled = self.by_producer.entry(producer_id).or_insert(Enrolled { epoch, first: None });
        enrolled.epoch = enrolled.epoch.max(epoch);
    }

    /// May this batch be appended? Changes nothing.
    pub fn check(&self, header: &BatchHeader) -> Result<(), LogError> {
        let BatchHeader { producer_id, producer_epoch: got, .. } = *header;
        let refuse = |why| Err(LogError::InvalidTransaction { producer_id, why });
        match self.by_producer.get(&producer_id) {
            Some(enrolled) if got < enrolled.epoch => {
                Err(LogError::InvalidProducerEpoch { producer_id, current: enrolled.epoch, got })
            }
            Some(enrolled) if header.is_transactional() && got > enrolled.epoch => {
                refuse("its epoch is not the transaction's")
            }
            Some(Enrolled { first: Some(_), .. }) if !header.is_transactional() => {
                refuse("it writes outside of the transaction that it has open")
            }
            None if header.is_transactional() => refuse("the partition is not part of a transaction of it"),
            _ => Ok(()),
        }
    }

    /// Remembers a batch of data that has its offset. What the log holds is believed, enrolled or not.
    pub fn record(&mut self, header: &BatchHeader) -> Option<Before> {
        if !header.is_transactional() || header.is_control() || header.producer_id < 0 {
            return None;
        }
        let before = Before(header.producer_id, self.by_producer.get(&header.producer_id).copied());
        let new = Enrolled { epoch: header.producer_epoch, first: None };
        let enrolled = self.by_producer.entry(header.producer_id).or_insert(new);
        enrolled.epoch = enrolled.epoch.max(header.producer_epoch);
        enrolled.first.get_or_insert(header.base_offset);
        Some(before)
    }

    /// What a marker of that epoch would end.
    pub fn find(&self, producer_id: i64, epoch: i16) -> Result<Option<Enrolled>, LogError> {
        match self.by_producer.get(&producer_id) {
            Some(Enrolled { epoch: current, .. }) if *current > epoch => {
                Err(LogError::InvalidProducerEpoch { producer_id, current: *current, got: epoch })
            }
            found => Ok(found.copied()),
        }
    }

    /// Ends a transaction with a marker at `last`, which `next` follows; tells what is void now.
    pub fn end(
        &mut self,
        producer_id: i64,
        marker: Marker,
        last: i64,
        next: i64,
    ) -> (Before, Option<Aborted>) {
        let ended = self.by_producer.remove(&producer_id);
        let first = ended.and_then(|ended| ended.first).filter(|_| marker == Marker::Abort);
        let stable = self.first_open().unwrap_or(next);
        let aborted = first.map(|first| Aborted { producer_id, first, last, stable });
        (Before(producer_id, ended), aborted)
    }

    /// Takes a change back; pass them newest first.
    pub fn undo(&mut self, Before(producer_id, before): Before) {
        match before {
            Some(before) => drop(self.by_producer.insert(producer_id, before)),
            None => drop(self.by_producer.remove(&producer_id)),
        }
    }

    /// Offset of the oldest batch whose transaction is open.
    pub fn first_open(&self) -> Option<i64> {
        self.by_producer.values().filter_map(|enrolled| enrolled.first).min()
    }

    /// True while the producer is enrolled.
    pub fn holds(&self, producer_id: i64) -> bool {
        self.by_producer.contains_key(&producer_id)
    }

    /// (producer, epoch, first offset) of the open ones.
    pub fn open(&self) -> impl Iterator<Item = (i64, i16, i64)> {
        self.by_producer.iter().filter_map(|(id, it)| Some((*id, it.epoch, it.first?)))
    }

    /// Puts one back that the file told of.
    pub fn restore(&mut self, producer_id: i64, epoch: i16, first: i64) {
        self.by_producer.insert(producer_id, Enrolled { epoch, first: Some(first) });
    }
}

/// Those of `list` that void something in `from..to`, as (producer, first offset). `list` is in the order of markers.
pub(super) fn within(list: &[Aborted], from: i64, to: i64) -> Vec<(i64, i64)> {
    let behind = list.partition_point(|aborted| aborted.last < from);
    let mut found = Vec::new();
    for aborted in &list[behind..] {
        if aborted.first < to {
            found.push((aborted.producer_id, aborted.first));
        }
        if aborted.stable >= to {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Batch, BatchBuilder, Compression};

    fn header(producer: i64, epoch: i16, offset: i64) -> BatchHeader {
        let mut batch = BatchBuilder::new(Compression::None).producer(producer, epoch, 0).transactional();
        batch.append(0, None, None, &[]);
        BatchHeader { base_offset: offset, ..Batch::parse(&batch.build().unwrap()).unwrap().header }
    }

    #[test]
    fn only_the_enrolled_may_write_and_a_marker_ends_it() {
        let mut transactions = Transactions::default();
        assert!(matches!(
            transactions.check(&header(1, 0, 0)),
            Err(LogError::InvalidTransaction { producer_id: 1, .. })
        ));
        transactions.enrol(1, 3);
        assert!(matches!(
            transactions.check(&header(1, 2, 0)),
            Err(LogError::InvalidProducerEpoch { current: 3, got: 2, .. })
        ));
        assert!(matches!(transactions.check(&header(1, 4, 0)), Err(LogError::InvalidTransaction { .. })));
        transactions.check(&header(1, 3, 0)).unwrap();
        assert_eq!(transactions.first_open(), None, "nothing was written yet");
        transactions.record(&header(1, 3, 5)).unwrap();
        transactions.record(&header(1, 3, 6)).unwrap();
        assert_eq!(transactions.first_open(), Some(5));
        let outside = BatchHeader { attributes: 0, ..header(1, 3, 7) };
        assert!(matches!(transactions.check(&outside), Err(LogError::InvalidTransaction { .. })));
        assert!(transactions.find(1, 2).is_err(), "a marker of an older epoch");
        let (before, aborted) = transactions.end(1, Marker::Abort, 7, 8);
        assert_eq!(aborted, Some(Aborted { producer_id: 1, first: 5, last: 7, stable: 8 }));
        assert!(transactions.check(&header(1, 3, 8)).is_err(), "the late batch");
        transactions.undo(before);
        assert_eq!(transactions.first_open(), Some(5));
        assert_eq!(transactions.end(1, Marker::Commit, 7, 8).1, None);
        assert_eq!(transactions, Transactions::default());
    }

    /// Against the definition: every pair of ranges and transactions that touch, and no other.
    #[test]
    fn a_reader_is_told_of_exactly_the_aborted_transactions_it_meets() {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let (mut transactions, mut list, mut next) = (Transactions::default(), Vec::new(), 0);
            while next < 60 {
                let producer = random.i64(0..5);
                transactions.enrol(producer, 0);
                if random.u8(0..3) > 0 {
                    transactions.record(&header(producer, 0, next));
                } else if transactions.find(producer, 0).unwrap().and_then(|found| found.first).is_some() {
                    let marker = if random.bool() { Marker::Abort } else { Marker::Commit };
                    list.extend(transactions.end(producer, marker, next, next + 1).1);
                }
                next += 1;
            }
            for from in 0..60 {
                for to in from + 1..61 {
                    let touched = list.iter().filter(|it| it.last >= from && it.first < to);
                    let expected: Vec<_> = touched.map(|it| (it.producer_id, it.first)).collect();
                    assert_eq!(within(&list, from, to), expected, "{from}..{to} of {list:?}, seed {seed}");
                }
            }
        }
    }
}
