//! Walking over whole batches, as they stand in a segment or in the answer to a Fetch.

use bytes::Bytes;

use super::header::CRC_COVERS_FROM;
use super::{BatchHeader, HEADER_BYTES, Records, RecordsError, Scratch};

/// An iterator over the whole batches in some bytes.
///
/// A batch that is cut off at the end is no error: answers to a Fetch and segments after a crash end like that. It
/// ends the iteration, and [`Batches::rest`] tells how many bytes were left. After an error the iteration is over.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    bytes: &'a Bytes,
    at: usize,
    broken: bool,
}

impl<'a> Batches<'a> {
    /// Starts at the first byte, where a batch must begin.
    pub fn new(bytes: &'a Bytes) -> Self {
        Self { bytes, at: 0, broken: false }
    }

    /// Bytes that were passed: the place where the next batch begins.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes not yet passed; once the iteration has ended, those of a batch that is cut off (or broken).
    pub fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn advance(&mut self) -> Result<Option<Batch>, RecordsError> {
        let rest = &self.bytes[self.at..];
        let Some(header) = BatchHeader::parse(rest)? else { return Ok(None) };
        if header.length > rest.len() {
            return Ok(None);
        }
        let end = self.at + header.length;
        let bytes = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(Some(Batch { header, bytes }))
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let found = self.advance().transpose();
        self.broken = matches!(found, Some(Err(_)));
        found
    }
}

/// One whole batch. Its bytes are a slice of what was walked, not a copy.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The header's fields.
    pub header: BatchHeader,
    /// The whole batch, header included.
    pub bytes: Bytes,
}

impl Batch {
    /// The one batch that `bytes` are, or an error.
    pub fn parse(bytes: &Bytes) -> Result<Self, RecordsError> {
        let mut batches = Batches::new(bytes);
        match batches.next() {
            Some(Ok(batch)) if batches.rest() == 0 => Ok(batch),
            Some(Err(error)) => Err(error),
            _ => Err(RecordsError::BadHeader("the bytes are not exactly one batch")),
        }
    }

    /// Compares the checksum with the bytes.
    pub fn verify_crc(&self) -> Result<(), RecordsError> {
        let computed = crc32c::crc32c(&self.bytes[CRC_COVERS_FROM..]);
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(RecordsError::BadCrc { stored: self.header.crc, computed })
        }
    }

    /// Opens the records: a slice of the batch, or decompressed into a buffer that comes from `scratch` and goes
    /// back there when the last handle on [`Records::data`] is gone.
    ///
    /// # Errors
    /// Beyond `limit` decompressed bytes the batch is refused, before they are written.
    pub fn records(&self, limit: usize, scratch: &Scratch) -> Result<Records, RecordsError> {
        let compressed = self.bytes.slice(HEADER_BYTES..);
        // Ranges into the data are 32 bits wide.
        let limit = limit.min(u32::MAX as usize);
        let data = scratch.expand(self.header.compression()?, compressed, limit)?;
        Records::new(&self.header, data)
    }
}
