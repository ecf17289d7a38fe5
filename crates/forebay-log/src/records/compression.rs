//! The codecs behind one door each way.
//!
//! Decompression writes into a buffer that grows as output appears: by what a codec really produced, never by what
//! a field of the input promises, and never beyond the caller's limit. Compression is for our own producer.

use std::io::{self, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::{Compression, RecordsError, lz4, snappy};

/// First size of a growing buffer: what batches of most clients expand to.
const FIRST: usize = 64 * 1024;

/// Decompresses `input` to the start of `out` and returns how many bytes that were. What `out` held is overwritten;
/// it never shrinks.
///
/// # Errors
/// Output beyond `limit`, and malformed input.
pub(crate) fn decompress(
    compression: Compression,
    input: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<usize, RecordsError> {
    let mut output = Output { buffer: out, used: 0, limit, compression };
    match compression {
        Compression::None => {
            let used = output.room(input.len())?;
            used[..input.len()].copy_from_slice(input);
            output.used = input.len();
        }
        Compression::Gzip => gunzip(input, &mut output)?,
        Compression::Snappy => snappy::decompress(input, &mut output)?,
        Compression::Lz4 => lz4::decompress(input, &mut output)?,
        Compression::Zstd => unzstd(input, &mut output)?,
    }
    Ok(output.used)
}

/// A buffer that is filled from the start and grows up to a limit.
pub(super) struct Output<'a> {
    buffer: &'a mut Vec<u8>,
    used: usize,
    limit: usize,
    compression: Compression,
}

impl Output<'_> {
    /// Room for exactly `need` more bytes or more; the caller owns up to `need` through [`Output::advance`].
    ///
    /// # Errors
    /// When that would exceed the limit.
    pub fn room(&mut self, need: usize) -> Result<&mut [u8], RecordsError> {
        let end = self.used.saturating_add(need);
        if end > self.limit {
            return Err(RecordsError::TooLarge { limit: self.limit });
        }
        if end > self.buffer.len() {
            // Doubling keeps the copying of a growing buffer linear.
            let size = end.max(self.buffer.len() * 2).max(FIRST).min(self.limit.max(end));
            self.buffer.resize(size, 0);
        }
        Ok(&mut self.buffer[self.used..])
    }

    /// Some room, as much as the limit and the buffer allow; an error when the limit is reached.
    pub fn some_room(&mut self) -> Result<&mut [u8], RecordsError> {
        if self.used == self.buffer.len() || self.used == self.limit {
            self.room(1)?;
        }
        let end = self.buffer.len().min(self.limit);
        Ok(&mut self.buffer[self.used..end])
    }

    /// What was written so far, and room for `need` more bytes behind it.
    pub fn written_and_room(&mut self, need: usize) -> Result<(&[u8], &mut [u8]), RecordsError> {
        self.room(need)?;
        let (written, room) = self.buffer.split_at_mut(self.used);
        Ok((written, room))
    }

    /// `n` bytes of the room were written.
    pub fn advance(&mut self, n: usize) {
        self.used += n;
    }

    /// Bytes that may still follow.
    pub fn left(&self) -> usize {
        self.limit - self.used
    }

    /// Bytes that may not follow.
    pub fn too_large(&self) -> RecordsError {
        RecordsError::TooLarge { limit: self.limit }
    }

    /// The error for malformed input.
    pub fn malformed(&self, why: impl ToString) -> RecordsError {
        RecordsError::Decompress { compression: self.compression, why: why.to_string() }
    }
}

/// Java's GZIPInputStream reads several members one after the other, so this does too.
fn gunzip(input: &[u8], output: &mut Output<'_>) -> Result<(), RecordsError> {
    let mut decoder = MultiGzDecoder::new(input);
    loop {
        if output.left() == 0 {
            let mut one_more = [0];
            let more = decoder.read(&mut one_more).map_err(|e| output.malformed(e))?;
            return if more == 0 { Ok(()) } else { Err(output.too_large()) };
        }
        match decoder.read(output.some_room()?) {
            Ok(0) => return Ok(()),
            Ok(n) => output.advance(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(output.malformed(e)),
        }
    }
}

/// The window of a zstd frame is limited by the library to 128 MiB, and its pages are touched only as output
/// appears, so the output's limit bounds it too.
fn unzstd(input: &[u8], output: &mut Output<'_>) -> Result<(), RecordsError> {
    let mut decoder = Decoder::new().map_err(|e| output.malformed(e))?;
    let mut source = InBuffer::around(input);
    loop {
        let full = output.left() == 0;
        let mut one_more = [0];
        let room = if full { &mut one_more[..] } else { output.some_room()? };
        let offered = room.len();
        let mut target = OutBuffer::around(room);
        let hint = decoder.run(&mut source, &mut target);
        let produced = target.pos();
        let hint = hint.map_err(|e| output.malformed(e))?;
        if full && produced > 0 {
            return Err(output.too_large());
        }
        output.advance(if full { 0 } else { produced });
        let input_is_read = source.pos() == input.len();
        if hint == 0 && input_is_read {
            return Ok(());
        }
        if input_is_read && produced < offered {
            return Err(output.malformed("the frame is cut off"));
        }
    }
}

/// Compresses as a producer does.
pub(crate) fn compress(compression: Compression, input: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(input)?;
            encoder.finish()
        }
        Compression::Snappy => snappy::compress(input),
        Compression::Lz4 => {
            // Independent blocks are the only kind that Kafka's Java client reads.
            let frame = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
            let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
            encoder.write_all(input)?;
            encoder.finish().map_err(io::Error::other)
        }
        Compression::Zstd => zstd::bulk::compress(input, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    fn sample(len: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(7);
        (0..len).map(|i| if i % 3 == 0 { random.u8(..) } else { (i % 50) as u8 }).collect()
    }

    #[test]
    fn every_codec_round_trips() {
        for compression in ALL {
            for len in [0, 1, 100, 65_536, 300_000] {
                let plain = sample(len);
                let packed = compress(compression, &plain).unwrap();
                let mut out = vec![9; 10];
                let used = decompress(compression, &packed, len, &mut out).unwrap();
                assert_eq!(out[..used], plain, "{compression} {len}");
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        for compression in ALL {
            let packed = compress(compression, &vec![0; 8 << 20]).unwrap();
            let mut out = Vec::new();
            let refused = decompress(compression, &packed, 1 << 20, &mut out).unwrap_err();
            assert_eq!(refused, RecordsError::TooLarge { limit: 1 << 20 }, "{compression}");
            assert!(out.capacity() <= 2 << 20, "{compression}: {}", out.capacity());
        }
    }

    #[test]
    fn cut_input_is_an_error_or_shorter_output_never_a_panic() {
        for compression in ALL {
            let plain = sample(70_000);
            let packed = compress(compression, &plain).unwrap();
            let mut out = Vec::new();
            for cut in (0..packed.len()).step_by(997) {
                if let Ok(used) = decompress(compression, &packed[..cut], 1 << 20, &mut out) {
                    assert!(used < plain.len(), "{compression}");
                }
            }
        }
    }
}
