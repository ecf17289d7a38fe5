//! Walking a part of a segment file in pieces, whatever its size and whatever is in it.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;

use crate::records::{Batch, BatchHeader, Batches, RecordsError};

/// Bytes read at a time; a batch that is longer is read whole.
const CHUNK: u64 = 1024 * 1024;

/// How a walk ended.
#[derive(Debug)]
pub(super) enum ScanEnd {
    /// At the end it was given, with a whole batch.
    Reached,
    /// Where the visitor stopped it.
    Stopped,
    /// At a place where no sound, whole batch begins.
    Broken { at: u64, why: String },
}

/// Shows `visit` each batch between two positions, and where it stands. An error of the visitor counts as a broken
/// batch. Memory is bounded by the file's size, never by a length field alone.
pub(super) fn scan(
    path: &Path,
    from: u64,
    to: u64,
    mut visit: impl FnMut(u64, Batch) -> Result<ControlFlow<()>, RecordsError>,
) -> io::Result<ScanEnd> {
    let file = File::open(path)?;
    let mut at = from;
    let mut want = CHUNK;
    while at < to {
        let size = want.min(to - at);
        let bytes = read_at(&file, at, size)?;
        let mut batches = Batches::new(&bytes);
        loop {
            let position = at + batches.position() as u64;
            match batches.next() {
                Some(Ok(batch)) => match visit(position, batch) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return Ok(ScanEnd::Stopped),
                    Err(e) => return Ok(ScanEnd::Broken { at: position, why: e.to_string() }),
                },
                Some(Err(e)) => return Ok(ScanEnd::Broken { at: position, why: e.to_string() }),
                None => break,
            }
        }
        let passed = batches.position() as u64;
        at += passed;
        want = CHUNK;
        if passed == 0 {
            // One batch fills the piece: read on as far as it says, if it says what can be.
            let length = BatchHeader::parse(&bytes).ok().flatten().map(|header| header.length as u64);
            match length {
                Some(length) if length > size && length <= to - at => want = length,
                _ => return Ok(ScanEnd::Broken { at, why: "the batch is cut off".to_owned() }),
            }
        }
    }
    Ok(ScanEnd::Reached)
}

/// Reads exactly `size` bytes at a position.
pub(super) fn read_at(file: &File, position: u64, size: u64) -> io::Result<Bytes> {
    let size = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut buffer = vec![0; size];
    file.read_exact_at(&mut buffer, position)?;
    Ok(buffer.into())
}
