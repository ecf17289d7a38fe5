//! What can be wrong with a record batch.

use super::Compression;

/// Why bytes are not a sound record batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// The batch's length field cannot be.
    #[error("batch length {0} is impossible")]
    BadLength(i32),

    /// An older message format than v2 (magic 0 and 1 ended with Kafka 4), or no batch at all.
    #[error("message format {0} is not record batch v2")]
    UnsupportedMagic(i8),

    /// The checksum over the batch does not match.
    #[error("crc is {computed:#010x}, the batch says {stored:#010x}")]
    BadCrc {
        /// What the batch says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },

    /// The attributes name no known compression.
    #[error("unknown compression {0}")]
    UnknownCompression(i16),

    /// The compressed bytes are malformed.
    #[error("cannot decompress {compression}: {why}")]
    Decompress {
        /// The codec.
        compression: Compression,
        /// What it found.
        why: String,
    },

    /// Decompression would exceed the limit it was given.
    #[error("batch expands beyond the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },

    /// A record ends before its fields do, or a length points outside it.
    #[error("record {index} is malformed: {why}")]
    BadRecord {
        /// Its index in the batch.
        index: i32,
        /// What is wrong.
        why: &'static str,
    },

    /// The header's record count and the records differ.
    #[error("batch says {declared} records and holds {found}")]
    BadCount {
        /// What the header says.
        declared: i32,
        /// What was found, at least.
        found: i32,
    },

    /// A rule among the header's fields is broken.
    #[error("{0}")]
    BadHeader(&'static str),
}
