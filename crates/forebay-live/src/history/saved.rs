//! The history in a snapshot: seconds and open frames whole, files by name, length and what is where in them.
//!
//! What must stay true: what is read back answers every question as what was written did.

use std::io::{self, Write};

use super::Timeline;
use super::coarse::Coarse;
use super::frame::{Frame, Parts};
use super::segment::{Entry, read_stat, write_stat};
use crate::codec::{Decoder, Encoder};

impl Timeline {
    /// Writes it. The files are those as of now: synced before.
    pub fn write<W: Write>(&self, encoder: &mut Encoder<W>) -> io::Result<()> {
        encoder.u64(self.too_old);
        encoder.i64(self.early);
        encoder.len(self.seconds.len());
        for (second, frame) in &self.seconds {
            encoder.i64(*second);
            write_frame(encoder, frame)?;
        }
        encoder.len(self.messages.len());
        for (second, messages) in &self.messages {
            encoder.i64(*second);
            encoder.u64(*messages);
        }
        for coarse in self.coarse() {
            encoder.len(coarse.open.len());
            for (start, open) in &coarse.open {
                encoder.i64(*start);
                write_frame(encoder, &open.frame)?;
            }
            encoder.len(coarse.files.len());
            for segment in &coarse.files {
                encoder.u64(segment.number);
                encoder.u64(segment.length);
                encoder.len(segment.entries.len());
                for entry in &segment.entries {
                    encoder.i64(entry.start);
                    encoder.u64(entry.at);
                }
            }
        }
        encoder.spill()
    }

    /// Reads it back into an empty one and cuts the files to their recorded lengths.
    ///
    /// # Errors
    /// `InvalidData` where the bytes are not what [`write`](Self::write) wrote, and what the disk says of the files.
    pub fn read(self, decoder: &mut Decoder<'_>, now_ms: i64) -> io::Result<Self> {
        let mut history = self;
        let width = history.width;
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the snapshot's history is not sound");
        let mut head = || {
            history.too_old = decoder.u64()?;
            history.early = decoder.i64()?;
            let count = decoder.len(8)?;
            history.seconds = decoder
                .many(count, |decoder| Some((decoder.i64()?, read_frame(decoder, width)?)))?
                .into_iter()
                .collect();
            let count = decoder.len(16)?;
            history.messages =
                decoder.many(count, |decoder| Some((decoder.i64()?, decoder.u64()?)))?.into_iter().collect();
            Some(())
        };
        head().ok_or_else(malformed)?;
        for coarse in history.coarse_mut() {
            read_coarse(decoder, coarse, width, now_ms).unwrap_or_else(|| Err(malformed()))?;
        }
        Ok(history)
    }

    /// Removes files of frames that the history does not know.
    pub fn remove_strangers(&self) -> io::Result<()> {
        self.coarse().into_iter().try_for_each(Coarse::remove_strangers)
    }
}

/// `None` where the bytes are not sound.
fn read_coarse(
    decoder: &mut Decoder<'_>,
    coarse: &mut Coarse,
    width: usize,
    now_ms: i64,
) -> Option<io::Result<()>> {
    for _ in 0..decoder.len(8)? {
        let start = decoder.i64()?;
        coarse.restore_open(start, read_frame(decoder, width)?, now_ms);
    }
    for _ in 0..decoder.len(20)? {
        let (number, length) = (decoder.u64()?, decoder.u64()?);
        let count = decoder.len(16)?;
        let entries =
            decoder.many(count, |decoder| Some(Entry { start: decoder.i64()?, at: decoder.u64()? }))?;
        if let Err(error) = coarse.restore_file(number, length, entries) {
            return Some(Err(error));
        }
    }
    Some(Ok(()))
}

fn write_frame<W: Write>(encoder: &mut Encoder<W>, frame: &Frame) -> io::Result<()> {
    frame.all.iter().for_each(|stat| write_stat(encoder, stat));
    encoder.len(frame.ids.len());
    for column in [&frame.ids, &frame.counts, &frame.several] {
        column.iter().for_each(|value| encoder.u32(*value));
    }
    frame.means.iter().for_each(|mean| encoder.f64(*mean));
    encoder.len(frame.ns.len());
    frame.ns.iter().for_each(|n| encoder.u32(*n));
    frame.spreads.iter().flatten().for_each(|spread| encoder.f32(*spread));
    encoder.spill()
}

fn read_frame(decoder: &mut Decoder<'_>, width: usize) -> Option<Frame> {
    let all = decoder.many(width, read_stat)?;
    let devices = decoder.len(12)?;
    let ids = decoder.many(devices, Decoder::u32)?;
    let counts = decoder.many(devices, Decoder::u32)?;
    let several = decoder.many(devices, Decoder::u32)?;
    let means = decoder.many(devices.checked_mul(width)?, Decoder::f64)?;
    let rows = decoder.len(12)?;
    let ns = decoder.many(rows, Decoder::u32)?;
    let spreads = decoder.many(rows, |decoder| Some([decoder.f32()?, decoder.f32()?]))?;
    Frame::from_parts(width, all, Parts { ids, counts, several, means, ns, spreads })
}
