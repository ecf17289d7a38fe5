//! The LZ4 frame format, read straight into the output.
//!
//! `lz4_flex`'s own frame reader copies each block once more than needed; here its block decoder writes where the
//! bytes stay. The frame's optional xxHash checksums are skipped over: the batch's crc covers the same bytes.

use super::RecordsError;
use super::compression::Output;

const MAGIC: u32 = 0x184D_2204;
const SKIPPABLE: u32 = 0x184D_2A50;
/// Set in a block's length where its bytes are stored as they are.
const STORED: u32 = 1 << 31;

const INDEPENDENT: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY: u8 = 1;

/// Decompresses one or more frames.
pub(super) fn decompress(input: &[u8], output: &mut Output<'_>) -> Result<(), RecordsError> {
    let mut input = Input(input);
    loop {
        let magic = input.u32(output)?;
        if magic & 0xffff_fff0 == SKIPPABLE {
            let length = input.u32(output)?;
            input.take(length as usize, output)?;
        } else if magic == MAGIC {
            frame(&mut input, output)?;
        } else {
            return Err(output.malformed("not an lz4 frame"));
        }
        if input.0.is_empty() {
            return Ok(());
        }
    }
}

fn frame(input: &mut Input<'_>, output: &mut Output<'_>) -> Result<(), RecordsError> {
    let [flags, sizes] = *input.take(2, output)? else {
        return Err(output.malformed("the frame is cut off"));
    };
    if flags >> 6 != 1 {
        return Err(output.malformed("unknown frame version"));
    }
    if flags & DICTIONARY != 0 {
        return Err(output.malformed("frames with a dictionary are not Kafka's"));
    }
    let block_max = match (sizes >> 4) & 0b111 {
        size @ 4..=7 => 1usize << (8 + 2 * size),
        _ => return Err(output.malformed("unknown block size")),
    };
    if flags & CONTENT_SIZE != 0 {
        input.take(8, output)?;
    }
    input.take(1, output)?; // header checksum
    loop {
        let length = input.u32(output)?;
        if length == 0 {
            break;
        }
        let stored = length & STORED != 0;
        let block = input.take((length & !STORED) as usize, output)?;
        if stored {
            let room = output.room(block.len())?;
            room[..block.len()].copy_from_slice(block);
            output.advance(block.len());
        } else {
            compressed_block(block, block_max, flags & INDEPENDENT != 0, output)?;
        }
        if flags & BLOCK_CHECKSUMS != 0 {
            input.take(4, output)?;
        }
    }
    if flags & CONTENT_CHECKSUM != 0 {
        input.take(4, output)?;
    }
    Ok(())
}

fn compressed_block(
    block: &[u8],
    block_max: usize,
    independent: bool,
    output: &mut Output<'_>,
) -> Result<(), RecordsError> {
    // An LZ4 block expands at most 255 times: the second bound keeps small inputs from asking for 4 MiB.
    let most = block_max.min(block.len().saturating_mul(255));
    let room_is_limited = output.left() < most;
    let need = most.min(output.left());
    let (written, room) = output.written_and_room(need)?;
    let room = &mut room[..need];
    let result = if independent {
        lz4_flex::block::decompress_into(block, room)
    } else {
        let window = &written[written.len().saturating_sub(64 * 1024)..];
        lz4_flex::block::decompress_into_with_dict(block, room, window)
    };
    match result {
        Ok(n) => {
            output.advance(n);
            Ok(())
        }
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if room_is_limited => {
            Err(output.too_large())
        }
        Err(e) => Err(output.malformed(e)),
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize, output: &Output<'_>) -> Result<&'a [u8], RecordsError> {
        let (taken, rest) =
            self.0.split_at_checked(n).ok_or_else(|| output.malformed("the frame is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self, output: &Output<'_>) -> Result<u32, RecordsError> {
        let (bytes, rest) =
            self.0.split_first_chunk::<4>().ok_or_else(|| output.malformed("the frame is cut off"))?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use crate::records::Compression;
    use crate::records::compression::decompress;

    #[test]
    fn every_kind_of_frame_is_read() {
        let plain: Vec<u8> = (0..400_000u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for checksums in [false, true] {
                for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
                    let info = FrameInfo::new()
                        .block_mode(mode)
                        .block_size(size)
                        .block_checksums(checksums)
                        .content_checksum(checksums)
                        .content_size(checksums.then_some(plain.len() as u64));
                    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                    encoder.write_all(&plain).unwrap();
                    let packed = encoder.finish().unwrap();
                    let mut out = Vec::new();
                    let used = decompress(Compression::Lz4, &packed, plain.len(), &mut out).unwrap();
                    assert!(out[..used] == plain, "{mode:?} {size:?} {checksums}");
                }
            }
        }
    }
}
