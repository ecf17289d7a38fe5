//! Buffers for what is read from segments, used again when their readers are done.
//!
//! A piece is read by one thread and let go by another, a megabyte at a time, as fast as consumers take it; an
//! allocator keeps such memory for long in the hope of the next, for every thread that ever read. What must stay true:
//! a buffer goes back only when nobody can see it any more, and no more are kept than [`KEPT`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// Buffers of this size are kept: a full piece of a partition for a consumer with its client's defaults, and what the
/// index is coarse.
const SIZE: usize = (1 << 20) + (64 << 10);

/// Pieces that are smaller are not worth a buffer of full size: a reader may hold them for long.
const WORTH: usize = SIZE / 4;

/// Buffers that wait for their next use, at most.
const KEPT: usize = 32;

/// The buffers of a log.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A buffer in use, and how much of it is read.
struct Lent {
    buffer: Vec<u8>,
    size: usize,
    home: Buffers,
}

impl Buffers {
    /// Reads exactly `size` bytes at a position.
    pub fn read_at(&self, file: &File, position: u64, size: u64) -> io::Result<Bytes> {
        let size = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        if !(WORTH..=SIZE).contains(&size) {
            let mut buffer = vec![0; size];
            file.read_exact_at(&mut buffer, position)?;
            return Ok(buffer.into());
        }
        let free = self.free.lock().pop();
        let mut lent = Lent { buffer: free.unwrap_or_else(|| vec![0; SIZE]), size, home: self.clone() };
        file.read_exact_at(&mut lent.buffer[..size], position)?;
        Ok(Bytes::from_owner(lent))
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.size]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut free = self.home.free.lock();
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_buffer_is_used_again_only_when_its_last_reader_is_done() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..3 * SIZE).map(|at| (at / 1000) as u8).collect();
        file.write_all(&content).unwrap();
        let buffers = Buffers::default();
        let kept = || buffers.free.lock().len();
        let size = SIZE - 7;
        let first = buffers.read_at(&file, 5, size as u64).unwrap();
        let part = first.slice(100..200);
        drop(first);
        let second = buffers.read_at(&file, SIZE as u64, WORTH as u64).unwrap();
        assert_eq!(part, content[105..205], "a part holds the whole");
        assert_eq!(second, content[SIZE..SIZE + WORTH]);
        drop((part, second));
        assert_eq!(kept(), 2);
        let third = buffers.read_at(&file, 9, WORTH as u64).unwrap();
        assert_eq!((third.as_ref(), kept()), (&content[9..9 + WORTH], 1));
        for size in [0, WORTH - 1, SIZE + 1, 2 * SIZE] {
            assert_eq!(buffers.read_at(&file, 1, size as u64).unwrap(), content[1..1 + size], "{size}");
        }
        let many: Vec<_> = (0..2 * KEPT).map(|_| buffers.read_at(&file, 0, SIZE as u64).unwrap()).collect();
        drop(many);
        assert_eq!(kept(), KEPT);
        assert!(buffers.read_at(&file, content.len() as u64 - 9, WORTH as u64).is_err());
        assert_eq!(kept(), KEPT, "also after a read that failed");
    }
}
