//! Building one batch: for our own producer, and for tests.

use bytes::Bytes;

use super::compression::compress;
use super::header::{PREFIX_BYTES, TRANSACTIONAL};
use super::{BatchHeader, CRC_COVERS_FROM, Compression, HEADER_BYTES, RecordsError, varint};

/// Collects records and makes one batch of them, with base offset 0 as producers send it.
///
/// ```
/// use forebay_log::records::{BatchBuilder, Compression};
///
/// let mut batch = BatchBuilder::new(Compression::Lz4);
/// batch.append(1_700_000_000_000, Some(b"device-1"), Some(b"{}"), &[("unit", Some(b"C"))]);
/// let bytes = batch.build()?;
/// # Ok::<(), forebay_log::records::RecordsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    compression: Compression,
    /// The header's bytes, left blank, and the records behind them.
    bytes: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: Option<(i64, i16, i32)>,
    is_transactional: bool,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            bytes: vec![0; HEADER_BYTES],
            count: 0,
            base_timestamp: 0,
            max_timestamp: -1,
            producer: None,
            is_transactional: false,
        }
    }

    /// Marks the batch as an idempotent producer's; `sequence` is its first record's.
    pub fn producer(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        self.producer = Some((id, epoch, sequence));
        self
    }

    /// Marks the batch as part of its producer's open transaction.
    pub fn transactional(mut self) -> Self {
        self.is_transactional = true;
        self
    }

    /// Adds a record. `timestamp` is in milliseconds since 1970.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let offset_delta = i64::from(self.count);
        let headers_length: usize = headers
            .iter()
            .map(|(key, value)| field_length(Some(key.as_bytes())) + field_length(*value))
            .sum();
        let length = 1
            + varint::length(timestamp_delta)
            + varint::length(offset_delta)
            + field_length(key)
            + field_length(value)
            + varint::length(headers.len() as i64)
            + headers_length;
        let out = &mut self.bytes;
        varint::write(out, length as i64);
        out.push(0);
        varint::write(out, timestamp_delta);
        varint::write(out, offset_delta);
        write_field(out, key);
        write_field(out, value);
        varint::write(out, headers.len() as i64);
        for (key, value) in headers {
            write_field(out, Some(key.as_bytes()));
            write_field(out, *value);
        }
        self.count += 1;
    }

    /// Records added so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True before the first record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch as it would be without compression.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Compresses and seals the batch.
    ///
    /// # Errors
    /// An empty batch, and one beyond what the length field can say.
    pub fn build(self) -> Result<Bytes, RecordsError> {
        if self.count == 0 {
            return Err(RecordsError::BadHeader("a batch needs at least one record"));
        }
        let failed = |e: std::io::Error| RecordsError::Decompress {
            compression: self.compression,
            why: e.to_string(),
        };
        let mut bytes = self.bytes;
        if self.compression != Compression::None {
            let packed = compress(self.compression, &bytes[HEADER_BYTES..]).map_err(failed)?;
            bytes.truncate(HEADER_BYTES);
            bytes.extend_from_slice(&packed);
        }
        if i32::try_from(bytes.len() - PREFIX_BYTES).is_err() {
            return Err(RecordsError::TooLarge { limit: i32::MAX as usize });
        }
        let (producer_id, producer_epoch, base_sequence) = self.producer.unwrap_or((-1, -1, -1));
        let mut header = BatchHeader {
            base_offset: 0,
            length: bytes.len(),
            leader_epoch: -1,
            crc: 0,
            attributes: self.compression.id() | if self.is_transactional { TRANSACTIONAL } else { 0 },
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count: self.count,
        };
        bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        header.crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        Ok(bytes.into())
    }
}

fn field_length(field: Option<&[u8]>) -> usize {
    match field {
        None => varint::length(-1),
        Some(bytes) => varint::length(bytes.len() as i64) + bytes.len(),
    }
}

fn write_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => varint::write(out, -1),
        Some(bytes) => {
            varint::write(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
