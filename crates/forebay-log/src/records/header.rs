//! The 61 bytes before the records.
//!
//! ```text
//!   0 base offset     i64 ┐ not covered by the crc: a log sets them where it stores the batch
//!   8 length          i32 │ (of what follows this field)
//!  12 leader epoch    i32 │
//!  16 magic           i8  │ always 2
//!  17 crc             u32 ┘ crc-32c of everything from the attributes on
//!  21 attributes      i16   bits 0–2 compression, 3 log-append time, 4 transactional, 5 control
//!  23 last offset Δ   i32
//!  27 base timestamp  i64   milliseconds since 1970
//!  35 max timestamp   i64
//!  43 producer id     i64   -1: none
//!  51 producer epoch  i16
//!  53 base sequence   i32
//!  57 record count    i32
//! ```

use std::fmt;

use super::RecordsError;

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes before the part that the length field counts.
pub(crate) const PREFIX_BYTES: usize = 12;
/// Where the part begins that the checksum covers.
pub(crate) const CRC_COVERS_FROM: usize = 21;
/// Bytes that must be there to know the format of a batch.
pub(crate) const MAGIC_KNOWN: usize = 17;
/// The bit of the attributes that says: the timestamps are the broker's.
pub(crate) const LOG_APPEND_TIME: i16 = 1 << 3;
/// The bit that says: the batch belongs to a transaction.
pub(crate) const TRANSACTIONAL: i16 = 1 << 4;
/// The bit that says: markers, no data.
pub(crate) const CONTROL: i16 = 1 << 5;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks: bare, or in the framing of Java's xerial library.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// The codec that the low bits of a batch's attributes name.
    pub fn from_attributes(attributes: i16) -> Result<Self, RecordsError> {
        match attributes & 0b111 {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(RecordsError::UnknownCompression(other)),
        }
    }

    /// The number that stands in the attributes.
    pub fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// The fields of a batch's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes of the whole batch, with the 12 before the length field's part.
    pub length: usize,
    /// Epoch of the leader that stored it; -1 from a producer.
    pub leader_epoch: i32,
    /// crc-32c of the bytes from the attributes on.
    pub crc: u32,
    /// Compression and flags.
    pub attributes: i16,
    /// Offset of the last record, less the base offset.
    pub last_offset_delta: i32,
    /// Timestamp to which the records' deltas are added, milliseconds since 1970.
    pub base_timestamp: i64,
    /// Greatest timestamp in the batch; with log-append time, everyone's.
    pub max_timestamp: i64,
    /// Idempotent producer, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; `None` when fewer than [`HEADER_BYTES`] are there.
    ///
    /// # Errors
    /// A format other than v2 and lengths too small for a header are refused; a batch that ends beyond `bytes`
    /// is not, that is the caller's to see.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, RecordsError> {
        if bytes.len() < MAGIC_KNOWN {
            return Ok(None);
        }
        let magic = i8::from_be_bytes(array(bytes, 16));
        if magic != 2 {
            return Err(RecordsError::UnsupportedMagic(magic));
        }
        let declared = i32::from_be_bytes(array(bytes, 8));
        let length = match usize::try_from(declared) {
            Ok(n) if n + PREFIX_BYTES >= HEADER_BYTES => n + PREFIX_BYTES,
            _ => return Err(RecordsError::BadLength(declared)),
        };
        if bytes.len() < HEADER_BYTES {
            return Ok(None);
        }
        Ok(Some(Self {
            base_offset: i64::from_be_bytes(array(bytes, 0)),
            length,
            leader_epoch: i32::from_be_bytes(array(bytes, 12)),
            crc: u32::from_be_bytes(array(bytes, 17)),
            attributes: i16::from_be_bytes(array(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array(bytes, 35)),
            producer_id: i64::from_be_bytes(array(bytes, 43)),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            record_count: i32::from_be_bytes(array(bytes, 57)),
        }))
    }

    /// The header as it stands before the records.
    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        // A header's length always came from, or goes into, an i32 field.
        let declared = i32::try_from(self.length.saturating_sub(PREFIX_BYTES)).unwrap_or(i32::MAX);
        put(&mut out, 0, self.base_offset.to_be_bytes());
        put(&mut out, 8, declared.to_be_bytes());
        put(&mut out, 12, self.leader_epoch.to_be_bytes());
        put(&mut out, 16, [2]);
        put(&mut out, 17, self.crc.to_be_bytes());
        put(&mut out, 21, self.attributes.to_be_bytes());
        put(&mut out, 23, self.last_offset_delta.to_be_bytes());
        put(&mut out, 27, self.base_timestamp.to_be_bytes());
        put(&mut out, 35, self.max_timestamp.to_be_bytes());
        put(&mut out, 43, self.producer_id.to_be_bytes());
        put(&mut out, 51, self.producer_epoch.to_be_bytes());
        put(&mut out, 53, self.base_sequence.to_be_bytes());
        put(&mut out, 57, self.record_count.to_be_bytes());
        out
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Result<Compression, RecordsError> {
        Compression::from_attributes(self.attributes)
    }

    /// True for a batch that belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// True for a batch of transaction markers: never data.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// True where all records bear the broker's time, which is [`BatchHeader::max_timestamp`].
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Offset of the last record the batch covers (after compaction it may be absent).
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset of the batch that follows.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }
}

/// `N` bytes at `at`; the caller has checked that they are there.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn put<const N: usize>(out: &mut [u8], at: usize, bytes: [u8; N]) {
    out[at..at + N].copy_from_slice(&bytes);
}
