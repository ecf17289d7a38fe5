//! Buffers for decompressed records that go round instead of being allocated, and zeroed, for every batch.
//!
//! A reader may hold many batches at a time, and where a producer does not wait a batch is a record: small ones lie side by side
//! in one block of memory, which is freed with the last of them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::compression::decompress;
use super::{Compression, RecordsError};

/// Buffers kept for the next batch, at most. More batches than that may be open; their buffers are freed.
const KEPT: usize = 8;
/// Larger buffers are freed at once: one huge batch must not hold its memory for ever.
const KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Batches that expand to so little share a block.
const SMALL: usize = 16 * 1024;
/// Bytes of such a block.
const BLOCK: usize = 64 * 1024;

/// A pool of decompression buffers. Clones share it; give each reader its own, or share one among many.
#[derive(Debug, Clone, Default)]
pub struct Scratch(Arc<Mutex<Pool>>);

#[derive(Debug, Default)]
struct Pool {
    free: Vec<Vec<u8>>,
    /// What is left of the block that small batches are copied to.
    block: BytesMut,
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
        let buffer = self.0.lock().free.pop().unwrap_or_default();
        let mut lease = Lease { buffer, used: 0, home: self.clone() };
        lease.used = decompress(compression, &bytes, limit, &mut lease.buffer)?;
        if lease.used > SMALL {
            return Ok(Bytes::from_owner(lease));
        }
        let mut pool = self.0.lock();
        if pool.block.capacity() < lease.used {
            pool.block = BytesMut::with_capacity(BLOCK);
        }
        pool.block.extend_from_slice(lease.as_ref());
        Ok(pool.block.split().freeze())
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
        let mut pool = self.home.0.lock();
        if pool.free.len() < KEPT && buffer.len() <= KEPT_BYTES {
            pool.free.push(buffer);
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
        assert!(scratch.0.lock().free.is_empty(), "a slice still reads it");
        drop(part);
        assert_eq!(scratch.0.lock().free.len(), 1);
        let again = scratch.expand(Compression::Lz4, packed, 200_000).unwrap();
        assert_eq!(again, vec![7; 100_000]);
    }

    #[test]
    fn small_batches_lie_side_by_side() {
        let scratch = Scratch::new();
        let plain = |number: u32| number.to_le_bytes().repeat(20);
        let pack = |number: u32| Bytes::from(compress(Compression::Lz4, &plain(number)).unwrap());
        let open: Vec<Bytes> =
            (0..5_000).map(|it| scratch.expand(Compression::Lz4, pack(it), 1_000).unwrap()).collect();
        assert!((0..).zip(&open).all(|(number, bytes)| *bytes == plain(number)));
        let joined = open.windows(2).filter(|two| two[0].as_ptr_range().end == two[1].as_ptr()).count();
        assert!(joined > 4_900, "{joined} of them lie behind the one before");
        assert_eq!(scratch.0.lock().free.len(), 1, "one buffer was enough");
        let refused = scratch.expand(Compression::Lz4, pack(7), 79).unwrap_err();
        assert_eq!(refused, RecordsError::TooLarge { limit: 79 });
    }
}
