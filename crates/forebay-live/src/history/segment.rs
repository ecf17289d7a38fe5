//! Closed frames in files: how one lies there, and how one device of it is read without the others.
//!
//! ```text
//! file   "forebay-live v3\n"  fingerprint of the layout  frame frame frame …
//! frame  head: start, devices, flags, a Stat for each field merged over all devices      + checksum
//!        ids, ascending                                                                            + checksum
//!        rows, all of one size: messages, means [, counts and spreads]                              + checksum
//! ```
//!
//! Merged over all devices a frame costs one read of its head; a device costs head, ids and one row. A frame is never
//! changed; two frames may have the same start and add up (records that came late). What must stay true: nothing of a
//! frame is believed without its checksum.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::frame::Frame;
use super::stat::Stat;
use crate::codec::{Decoder, Encoder, checked};

/// The first bytes of a file of frames: its format and version.
pub(crate) const MAGIC: &[u8; 16] = b"forebay-live v4\n";

/// Where the first frame begins: after magic and fingerprint.
pub(crate) const FIRST_FRAME: u64 = 24;

/// Rows hold counts and spreads; without it each field has one value at most.
const SEVERAL: u8 = 1;

/// Bytes of a head before its stats.
const HEAD_BYTES: usize = 8 + 4 + 1;
const STAT_BYTES: usize = 4 + 3 * 8;

/// A frame in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Begin of its bucket, ms.
    pub start: i64,
    /// Where its head begins.
    pub at: u64,
}

/// The bytes at the beginning of a file.
pub(super) fn file_header(fingerprint: u64) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&fingerprint.to_le_bytes());
    header
}

/// A frame as bytes; it is sealed.
pub(super) fn encode(frame: &Frame, start: i64) -> io::Result<Vec<u8>> {
    let is_several = frame.several.iter().any(|row| *row > 0);
    let mut head = Encoder::new(Vec::new());
    head.i64(start);
    head.len(frame.devices());
    head.u8(if is_several { SEVERAL } else { 0 });
    for stat in &frame.all {
        write_stat(&mut head, stat);
    }
    let (mut bytes, _) = head.finish()?;
    let mut ids = Encoder::new(Vec::new());
    frame.ids.iter().for_each(|id| ids.u32(*id));
    bytes.extend(ids.finish()?.0);
    for (_, messages, slot) in frame.rows() {
        let mut row = Encoder::new(Vec::new());
        row.u32(messages);
        for field in 0..frame.all.len() {
            let stat = frame.get(slot, field);
            row.f64(stat.map_or(f64::NAN, |stat| stat.mean));
            if is_several {
                let stat = stat.unwrap_or_default();
                row.u32(stat.n);
                row.f32((stat.mean - stat.min) as f32);
                row.f32((stat.max - stat.mean) as f32);
            }
        }
        bytes.extend(row.finish()?.0);
    }
    Ok(bytes)
}

pub(super) fn write_stat<W: io::Write>(encoder: &mut Encoder<W>, stat: &Stat) {
    encoder.u32(stat.n);
    encoder.f64(stat.mean);
    encoder.f64(stat.min);
    encoder.f64(stat.max);
}

pub(super) fn read_stat(decoder: &mut Decoder<'_>) -> Option<Stat> {
    Some(Stat { n: decoder.u32()?, mean: decoder.f64()?, min: decoder.f64()?, max: decoder.f64()? })
}

/// Reads frames of one file, for one question after the other.
pub(super) struct Reader<'f> {
    pub file: &'f File,
    /// Fields of a row.
    pub width: usize,
    buffer: Vec<u8>,
}

/// The head of a frame.
pub(super) struct Head {
    pub all: Vec<Stat>,
    devices: usize,
    flags: u8,
    ids_at: u64,
}

impl<'f> Reader<'f> {
    pub fn new(file: &'f File, width: usize) -> Self {
        Self { file, width, buffer: Vec::new() }
    }

    /// What the frame at `entry` says of all devices. `InvalidData` if its checksum is wrong.
    pub fn head(&mut self, entry: &Entry) -> io::Result<Head> {
        let length = HEAD_BYTES + self.width * STAT_BYTES + 4;
        let width = self.width;
        let bytes = self.read(entry.at, length)?;
        let content = checked(bytes).ok_or_else(|| damaged("head"))?;
        let mut decoder = Decoder::new(content);
        let mut parse = || {
            let (_start, devices, flags) = (decoder.i64()?, decoder.u32()? as usize, decoder.u8()?);
            let all = decoder.many(width, read_stat)?;
            Some(Head { all, devices, flags, ids_at: entry.at + length as u64 })
        };
        parse().ok_or_else(|| damaged("head"))
    }

    /// What the frame says of one field of each of these devices (id, index): index and stat, where there is one.
    pub fn devices(
        &mut self,
        head: &Head,
        ids: &[(u32, usize)],
        field: usize,
    ) -> io::Result<Vec<(usize, Stat)>> {
        let ids_bytes = head.devices * 4 + 4;
        let bytes = self.read(head.ids_at, ids_bytes)?;
        let known = checked(bytes).ok_or_else(|| damaged("ids"))?;
        let (known, _) = known.as_chunks::<4>();
        let slots: Vec<(usize, usize)> = ids
            .iter()
            .filter_map(|(id, index)| {
                let slot = known.binary_search_by_key(id, |bytes| u32::from_le_bytes(*bytes)).ok()?;
                Some((slot, *index))
            })
            .collect();
        let is_several = head.flags & SEVERAL != 0;
        let of_field = if is_several { 20 } else { 8 };
        let row_bytes = 4 + self.width * of_field + 4;
        let rows_at = head.ids_at + ids_bytes as u64;
        let mut found = Vec::with_capacity(slots.len());
        for (slot, index) in slots {
            let bytes = self.read(rows_at + (slot * row_bytes) as u64, row_bytes)?;
            let content = checked(bytes).ok_or_else(|| damaged("row"))?;
            let mut decoder = Decoder::new(&content[4 + field * of_field..]);
            let stat = read_value(&mut decoder, is_several).ok_or_else(|| damaged("row"))?;
            if stat.n > 0 {
                found.push((index, stat));
            }
        }
        Ok(found)
    }

    fn read(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        self.buffer.resize(length, 0);
        self.file.read_exact_at(&mut self.buffer, at)?;
        Ok(&self.buffer)
    }
}

fn read_value(decoder: &mut Decoder<'_>, is_several: bool) -> Option<Stat> {
    let mean = decoder.f64()?;
    if mean.is_nan() {
        return Some(Stat::default());
    }
    if !is_several {
        return Some(Stat::of(mean));
    }
    let (n, below, above) = (decoder.u32()?, decoder.f32()?, decoder.f32()?);
    Some(Stat { n, mean, min: mean - f64::from(below), max: mean + f64::from(above) })
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the {what} of a frame fails its checksum"))
}
