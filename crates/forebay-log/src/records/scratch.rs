//! Buffers for decompressed records that go round instead of being allocated, and zeroed, for every batch.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::compression::decompress;
use super::{Compression, RecordsError};

/// Buffers kept for the next batch, at most. More batches than that may be open; their buffers are freed.
const KEPT: usize = 8;
/// Larger buffers are freed at once: one huge batch must not hold its memory for ever.
const KEPT_BYTES: usize = 8 * 1024 * 1024;

/// A pool of decompression buffers. Clones share it; give each reader its own, or share one among many.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Scratch {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// The records' bytes: the same ones when they are not compressed, else at most `limit` in a buffer that
    /// returns to the pool when the last handle on them is dropped.
    pub(super) fn expand(
        &self,
        compression: Compression,
        bytes: Bytes,
        limit: usize,
    ) -> Result<Bytes, RecordsError> {
        if compression == Compression::None {
            return if bytes.len() > limit { Err(RecordsError::TooLarge { limit }) } else { Ok(bytes) };
        }
        let buffer = self.free.lock().pop().unwrap_or_default();
        let mut lease = Lease { buffer, used: 0, home: self.clone() };
        lease.used = decompress(compression, &bytes, limit, &mut lease.buffer)?;
        Ok(Bytes::from_owner(lease))
    }
}

/// A buffer on its way through some reader's hands.
struct Lease {
    /// Grows, never shrinks: so its bytes were zeroed once, when it grew.
    buffer: Vec<u8>,
    used: usize,
    home: Scratch,
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.used]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut free = self.home.free.lock();
        if free.len() < KEPT && buffer.len() <= KEPT_BYTES {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::compression::compress;

    #[test]
    fn a_buffer_comes_back_when_its_last_reader_is_gone() {
        let scratch = Scratch::new();
        let packed = Bytes::from(compress(Compression::Lz4, &[7; 100_000]).unwrap());
        let open = scratch.expand(Compression::Lz4, packed.clone(), 200_000).unwrap();
        let part = open.slice(10..20);
        drop(open);
        assert!(scratch.free.lock().is_empty(), "a slice still reads it");
        drop(part);
        assert_eq!(scratch.free.lock().len(), 1);
        let again = scratch.expand(Compression::Lz4, packed, 200_000).unwrap();
        assert_eq!(again, vec![7; 100_000]);
    }
}
