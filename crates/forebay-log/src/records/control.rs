//! Transaction markers: the batches that end a producer's transaction in a partition.
//!
//! ```text
//!  key:   version i16 = 0 | type i16: 0 abort, 1 commit
//!  value: version i16 = 0 | epoch of the coordinator i32
//! ```
//! A marker is the one record of a control batch, uncompressed, transactional, without a sequence number. It takes an
//! offset, and no reader is ever given it as data.

use bytes::Bytes;

use super::header::{CONTROL, PREFIX_BYTES, TRANSACTIONAL};
use super::{Batch, BatchBuilder, BatchHeader, CRC_COVERS_FROM, Compression, RecordsError, Scratch};

/// Control records are two small numbers; anything large is not one.
const MARKER_LIMIT: usize = 4096;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// What it wrote is void.
    Abort,
    /// What it wrote counts.
    Commit,
}

impl Marker {
    fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
        }
    }

    /// The batch that says so, with base offset 0. `timestamp` is in milliseconds since 1970.
    pub(crate) fn batch(
        self,
        producer_id: i64,
        producer_epoch: i16,
        timestamp: i64,
    ) -> Result<Bytes, RecordsError> {
        let mut key = [0; 4];
        key[2..].copy_from_slice(&self.id().to_be_bytes());
        let mut batch = BatchBuilder::new(Compression::None).producer(producer_id, producer_epoch, -1);
        batch.append(timestamp, Some(&key), Some(&[0; 6]), &[]);
        let mut bytes = batch.build()?.to_vec();
        let header = BatchHeader::parse(&bytes)?.ok_or(RecordsError::BadLength(0))?;
        let mut header = BatchHeader { attributes: TRANSACTIONAL | CONTROL, leader_epoch: 0, ..header };
        let head = header.to_bytes();
        bytes[..head.len()].copy_from_slice(&head);
        header.crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[PREFIX_BYTES..head.len()].copy_from_slice(&header.to_bytes()[PREFIX_BYTES..]);
        Ok(bytes.into())
    }
}

impl Batch {
    /// The marker that a control batch is; `None` for data, and for control records of other kinds.
    pub fn marker(&self, scratch: &Scratch) -> Result<Option<Marker>, RecordsError> {
        if !self.header.is_control() {
            return Ok(None);
        }
        let records = self.records(MARKER_LIMIT, scratch)?;
        let Some(record) = records.iter().next().transpose()? else { return Ok(None) };
        let key = record.key.and_then(|key| records.data.get(key.start as usize..key.end as usize));
        Ok(match key.and_then(|key| key.get(2..4)) {
            Some([0, 0]) => Some(Marker::Abort),
            Some([0, 1]) => Some(Marker::Commit),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_sound_control_batches_and_say_how_it_ended() {
        for marker in [Marker::Abort, Marker::Commit] {
            let batch = Batch::parse(&marker.batch(7, 3, 99).unwrap()).unwrap();
            batch.verify_crc().unwrap();
            let header = batch.header;
            assert!(header.is_control() && header.is_transactional());
            assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 3, -1));
            assert_eq!((header.record_count, header.last_offset_delta, header.max_timestamp), (1, 0, 99));
            assert_eq!(batch.marker(&Scratch::new()).unwrap(), Some(marker));
        }
        let mut data = BatchBuilder::new(Compression::None);
        data.append(1, Some(&[0, 0, 0, 1]), None, &[]);
        let data = Batch::parse(&data.build().unwrap()).unwrap();
        assert_eq!(data.marker(&Scratch::new()).unwrap(), None);
    }
}
