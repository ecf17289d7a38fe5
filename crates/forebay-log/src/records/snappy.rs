//! Snappy: bare blocks, as librdkafka writes them, and the framing of Java's xerial library.
//!
//! ```text
//!  82 'SNAPPY' 00 | version i32 | compatible i32 | (length i32, block)*        all big endian
//! ```

use std::io;

use snap::raw::{Decoder, Encoder, decompress_len};

use super::RecordsError;
use super::compression::Output;

const XERIAL: &[u8; 8] = b"\x82SNAPPY\0";
/// Magic, version, compatible version.
const XERIAL_HEADER: usize = 16;
/// The block size that xerial's writer uses, too.
const XERIAL_BLOCK: usize = 32 * 1024;

/// Decompresses either form; which one it is the first bytes tell.
pub(super) fn decompress(input: &[u8], output: &mut Output<'_>) -> Result<(), RecordsError> {
    if !input.starts_with(XERIAL) {
        return block(input, output);
    }
    let Some(mut rest) = input.get(XERIAL_HEADER..) else {
        return Err(output.malformed("the xerial header is cut off"));
    };
    while !rest.is_empty() {
        // Streams that were joined repeat the header.
        if rest.starts_with(XERIAL) && rest.len() >= XERIAL_HEADER {
            rest = &rest[XERIAL_HEADER..];
            continue;
        }
        let framed = rest.split_first_chunk::<4>().and_then(|(length, after)| {
            let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
            after.split_at_checked(length)
        });
        let Some((chunk, after)) = framed else {
            return Err(output.malformed("a xerial block is cut off"));
        };
        block(chunk, output)?;
        rest = after;
    }
    Ok(())
}

fn block(input: &[u8], output: &mut Output<'_>) -> Result<(), RecordsError> {
    let need = decompress_len(input).map_err(|e| output.malformed(e))?;
    if need > output.left() {
        return Err(output.too_large());
    }
    // Snappy's copies are at most 64 bytes long and take at least two bytes: a length beyond that is a lie, and is
    // refused before it sizes anything.
    if need > input.len().saturating_mul(64) {
        return Err(output.malformed("the block's length cannot be true"));
    }
    let room = output.room(need)?;
    let written = Decoder::new().decompress(input, &mut room[..need]);
    let written = written.map_err(|e| output.malformed(e))?;
    output.advance(written);
    Ok(())
}

/// Compresses in the xerial framing, which every Kafka client reads.
pub(super) fn compress(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = XERIAL.to_vec();
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = Encoder::new();
    for chunk in input.chunks(XERIAL_BLOCK) {
        let packed = encoder.compress_vec(chunk).map_err(io::Error::other)?;
        let length = i32::try_from(packed.len()).map_err(io::Error::other)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Compression;
    use crate::records::compression::decompress;

    #[test]
    fn bare_blocks_and_xerial_frames_are_told_apart() {
        let plain: Vec<u8> = (0..100_000u32).map(|i| (i / 7) as u8).collect();
        let bare = Encoder::new().compress_vec(&plain).unwrap();
        let framed = compress(&plain).unwrap();
        assert!(framed.starts_with(XERIAL));
        for packed in [bare, framed] {
            let mut out = Vec::new();
            let used = decompress(Compression::Snappy, &packed, plain.len(), &mut out).unwrap();
            assert_eq!(out[..used], plain);
        }
    }

    #[test]
    fn a_length_that_lies_sizes_nothing() {
        let mut out = Vec::new();
        // A block that says it holds 268,435,455 bytes.
        let refused = decompress(Compression::Snappy, &[0xff, 0xff, 0xff, 0x7f, 0, 0], usize::MAX, &mut out);
        assert!(refused.is_err());
        assert_eq!(out.capacity(), 0);
    }
}
