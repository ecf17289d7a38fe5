//! The file `producers`: what is known up to some offset, so that a start need not walk the whole log.
//!
//! ```text
//!  offset i64 | open: count u64, (producer i64, epoch i16, first i64)*
//!             | aborted: count u64, (producer, first, last, stable: i64 each)*
//!             | producers to the end: id i64, epoch i16, next sequence i32, last seen i64, recent: count u8, (…)*
//! ```

use std::path::Path;

use forebay_storage::Door;

use super::super::sealed::{self, Fields, Kind};
use super::super::transactions::Aborted;
use super::{Producer, Producers, REMEMBERED, Recent};
use crate::LogError;

const KIND: Kind = Kind { name: b"FBYP", version: 2 };
/// Written while there were no transactions; what follows the offset is all producers.
const KIND_1: Kind = Kind { name: b"FBYP", version: 1 };
/// What the file holds.
#[derive(Debug, Default)]
pub(in crate::storage) struct Stored {
    pub producers: Producers,
    /// In the order of their markers.
    pub aborted: Vec<Aborted>,
    /// The offset up to which it goes.
    pub known_to: i64,
}

impl Producers {
    /// Writes the state as it is after all batches before `next_offset`; durable on return.
    pub(in crate::storage) fn write(
        &self,
        aborted: &[Aborted],
        door: &Door,
        path: &Path,
        next_offset: i64,
    ) -> Result<(), LogError> {
        let mut payload = next_offset.to_be_bytes().to_vec();
        let open: Vec<_> = self.transactions.open().collect();
        payload.extend_from_slice(&(open.len() as u64).to_be_bytes());
        for (id, epoch, first) in open {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&epoch.to_be_bytes());
            payload.extend_from_slice(&first.to_be_bytes());
        }
        payload.extend_from_slice(&(aborted.len() as u64).to_be_bytes());
        for Aborted { producer_id, first, last, stable } in aborted {
            for field in [producer_id, first, last, stable] {
                payload.extend_from_slice(&field.to_be_bytes());
            }
        }
        for (id, producer) in &self.known {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&producer.epoch.to_be_bytes());
            payload.extend_from_slice(&producer.next_sequence.to_be_bytes());
            payload.extend_from_slice(&producer.last_seen.to_be_bytes());
            payload.push(u8::try_from(producer.recent.len()).unwrap_or(0));
            for recent in &producer.recent {
                payload.extend_from_slice(&recent.first_sequence.to_be_bytes());
                payload.extend_from_slice(&recent.last_sequence.to_be_bytes());
                payload.extend_from_slice(&recent.base_offset.to_be_bytes());
            }
        }
        sealed::write(door, path, KIND, &payload)
    }

    /// Reads a state; `None` when there is none.
    pub(in crate::storage) fn read(path: &Path) -> Result<Option<Stored>, LogError> {
        let (payload, has_transactions) = match sealed::read(path, KIND) {
            Err(LogError::UnknownFormat { found: 1, .. }) => (sealed::read(path, KIND_1)?, false),
            read => (read?, true),
        };
        let Some(payload) = payload else { return Ok(None) };
        parse(&payload, has_transactions)
            .map(Some)
            .ok_or_else(|| LogError::Damaged { path: path.to_path_buf(), why: "it is cut off".to_owned() })
    }
}

fn parse(payload: &[u8], has_transactions: bool) -> Option<Stored> {
    let mut fields = Fields(payload);
    let known_to = i64::from_be_bytes(fields.take()?);
    let (mut producers, mut aborted) = (Producers::default(), Vec::new());
    if has_transactions {
        for _ in 0..u64::from_be_bytes(fields.take()?) {
            let id = i64::from_be_bytes(fields.take()?);
            let epoch = i16::from_be_bytes(fields.take()?);
            producers.transactions.restore(id, epoch, i64::from_be_bytes(fields.take()?));
        }
        for _ in 0..u64::from_be_bytes(fields.take()?) {
            aborted.push(Aborted {
                producer_id: i64::from_be_bytes(fields.take()?),
                first: i64::from_be_bytes(fields.take()?),
                last: i64::from_be_bytes(fields.take()?),
                stable: i64::from_be_bytes(fields.take()?),
            });
        }
    }
    while !fields.0.is_empty() {
        let id = i64::from_be_bytes(fields.take()?);
        let mut producer = Producer {
            epoch: i16::from_be_bytes(fields.take()?),
            next_sequence: i32::from_be_bytes(fields.take()?),
            last_seen: i64::from_be_bytes(fields.take()?),
            recent: Vec::with_capacity(REMEMBERED),
        };
        let [count] = fields.take()?;
        for _ in 0..count {
            producer.recent.push(Recent {
                first_sequence: i32::from_be_bytes(fields.take()?),
                last_sequence: i32::from_be_bytes(fields.take()?),
                base_offset: i64::from_be_bytes(fields.take()?),
            });
        }
        producers.known.insert(id, producer);
    }
    Some(Stored { producers, aborted, known_to })
}
