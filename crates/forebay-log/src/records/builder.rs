//! Building one batch: for our own producer, and for tests.

use bytes::Bytes;

use super::compression::compress;
use super::header::{PREFIX_BYTES, TRANSACTIONAL};
use super::{
    BatchHeader, CRC_COVERS_FROM, Compression, HEADER_BYTES, Records, RecordsError, headers, varint,
};

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

    /// The records that were added, copied.
    ///
    /// # Errors
    /// Records that cannot be read back, as with so many bytes that their places have no number.
    pub fn records(&self) -> Result<Records, RecordsError> {
        let bytes = &self.bytes[HEADER_BYTES..];
        if u32::try_from(bytes.len()).is_err() {
            return Err(RecordsError::TooLarge { limit: u32::MAX as usize });
        }
        Records::new(&self.header(self.bytes.len()), Bytes::copy_from_slice(bytes))
    }

    /// A batch of those records whose number is kept, in their order.
    ///
    /// # Errors
    /// As [`BatchBuilder::records`].
    pub fn only(&self, keep: impl Fn(usize) -> bool) -> Result<Self, RecordsError> {
        let records = self.records()?;
        let mut kept = Self {
            producer: self.producer,
            is_transactional: self.is_transactional,
            ..Self::new(self.compression)
        };
        let bytes = |range: std::ops::Range<u32>| &records.data[range.start as usize..range.end as usize];
        for (number, record) in records.iter().enumerate() {
            let record = record?;
            if keep(number) {
                let of_record: Vec<_> = headers(&records.data, record.headers, record.header_count).collect();
                kept.append(record.timestamp, record.key.map(bytes), record.value.map(bytes), &of_record);
            }
        }
        Ok(kept)
    }

    /// Compresses and seals the batch.
    ///
    /// # Errors
    /// An empty batch, and one beyond what the length field can say.
    pub fn build(mut self) -> Result<Bytes, RecordsError> {
        if self.count == 0 {
            return Err(RecordsError::BadHeader("a batch needs at least one record"));
        }
        let failed = |e: std::io::Error| RecordsError::Decompress {
            compression: self.compression,
            why: e.to_string(),
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        if self.compression != Compression::None {
            let packed = compress(self.compression, &bytes[HEADER_BYTES..]).map_err(failed)?;
            bytes.truncate(HEADER_BYTES);
            bytes.extend_from_slice(&packed);
        }
        if i32::try_from(bytes.len() - PREFIX_BYTES).is_err() {
            return Err(RecordsError::TooLarge { limit: i32::MAX as usize });
        }
        let mut header = self.header(bytes.len());
        bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        header.crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        Ok(bytes.into())
    }

    /// The header of a batch of so many bytes, but for its checksum.
    fn header(&self, length: usize) -> BatchHeader {
        let (producer_id, producer_epoch, base_sequence) = self.producer.unwrap_or((-1, -1, -1));
        BatchHeader {
            base_offset: 0,
            length,
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
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_batch_has_its_records_as_they_were() {
        let mut whole = BatchBuilder::new(Compression::Zstd);
        whole.append(1_000, Some(b"k"), Some(b"first"), &[("h", None), ("h", Some(b"2"))]);
        whole.append(900, None, Some(b"second"), &[]);
        whole.append(1_100, Some(b""), None, &[]);
        let mut expected = BatchBuilder::new(Compression::Zstd);
        expected.append(1_000, Some(b"k"), Some(b"first"), &[("h", None), ("h", Some(b"2"))]);
        expected.append(1_100, Some(b""), None, &[]);
        let part = whole.only(|number| number != 1).unwrap();
        assert_eq!((part.len(), whole.len()), (2, 3));
        assert_eq!(part.build().unwrap(), expected.build().unwrap());
        assert!(whole.only(|_| false).unwrap().is_empty());
        assert_eq!(whole.only(|_| true).unwrap().build().unwrap(), whole.build().unwrap());
    }
}
