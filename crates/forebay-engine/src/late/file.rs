//! One file of late rows: a header line, then frames of length, CRC-32C and an Arrow IPC stream.

use std::io::{self, Cursor, Read};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

pub(super) const HEADER: &[u8] = b"forebay-late v1\n";

/// Bytes before the stream of a frame: its length and its checksum, both little endian.
const FRAME: usize = 8;

/// A batch as a frame.
pub(super) fn frame(batch: &RecordBatch) -> Result<Vec<u8>, String> {
    let mut out = vec![0; FRAME];
    let mut writer = StreamWriter::try_new(&mut out, &batch.schema()).map_err(|e| e.to_string())?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(|e| e.to_string())?;
    drop(writer);
    let stream = &out[FRAME..];
    let length = u32::try_from(stream.len()).map_err(|_| "a batch of more than 4 GiB")?;
    let sum = crc32c::crc32c(stream);
    out[..4].copy_from_slice(&length.to_le_bytes());
    out[4..FRAME].copy_from_slice(&sum.to_le_bytes());
    Ok(out)
}

/// The beginning of a file, with its first frame.
pub(super) fn first(file: impl Read) -> io::Result<Vec<u8>> {
    let mut file = file.take((HEADER.len() + FRAME) as u64);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if let Some(&[a, b, c, d]) = bytes.get(HEADER.len()..HEADER.len() + 4) {
        file.set_limit(u32::from_le_bytes([a, b, c, d]).into());
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The batches of a file; says what is wrong with one that is damaged. A frame that is not whole is being written, or
/// an attempt died over it: no committed epoch counts its rows.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<RecordBatch>, String> {
    let Some(mut rest) = bytes.strip_prefix(HEADER) else {
        let begun = HEADER.starts_with(bytes);
        return if begun { Ok(Vec::new()) } else { Err("it is of another kind or version".to_owned()) };
    };
    let mut batches = Vec::new();
    while let Some((&[a, b, c, d, e, f, g, h], after)) = rest.split_first_chunk::<FRAME>() {
        let (length, sum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let Some((stream, after)) = after.split_at_checked(length as usize) else { break };
        if crc32c::crc32c(stream) != sum {
            return Err("a batch fails its checksum".to_owned());
        }
        let reader = StreamReader::try_new(Cursor::new(stream), None).map_err(|e| e.to_string())?;
        for batch in reader {
            batches.push(batch.map_err(|e| e.to_string())?);
        }
        rest = after;
    }
    Ok(batches)
}
