//! The devices in a snapshot.

use std::io::{self, Write};

use super::offsets::Offsets;
use super::pulse::Pulse;
use super::{Devices, Row};
use crate::codec::{Decoder, Encoder};
use crate::value::Value;

impl Devices {
    /// Writes them.
    pub fn write<W: Write>(&self, encoder: &mut Encoder<W>) -> io::Result<()> {
        encoder.u32(self.next_id);
        encoder.u64(self.evicted);
        encoder.len(self.len());
        for (place, row) in self.all() {
            encoder.text(&row.key);
            encoder.u32(row.id);
            encoder.i64(row.last.0);
            encoder.i64(row.last.1);
            encoder.u64(row.count);
            encoder.f32(row.gap_ms);
            encoder.i64(row.pulse.newest);
            row.pulse.counts.iter().for_each(|count| encoder.u32(u32::from(*count)));
            let Offsets { seen, ahead, behind, .. } = row.offsets;
            [seen, ahead, behind].into_iter().for_each(|count| encoder.u64(count));
            row.offsets.kept().iter().for_each(|offset| encoder.i64(*offset));
            for value in self.values(place) {
                value.write(encoder);
            }
            encoder.spill()?;
        }
        Ok(())
    }

    /// Reads them back into an empty one; `None` where the bytes are not sound.
    pub fn read(mut self, decoder: &mut Decoder<'_>, version: u64) -> Option<Self> {
        self.next_id = decoder.u32()?;
        self.evicted = decoder.u64()?;
        for _ in 0..decoder.len(40)? {
            let place = self.rows.len();
            let mut row = Row::new(decoder.text()?.into(), decoder.u32()?);
            row.last = (decoder.i64()?, decoder.i64()?);
            row.count = decoder.u64()?;
            row.gap_ms = decoder.f32()?;
            row.version = version;
            let newest = decoder.i64()?;
            let mut counts = Pulse::default().counts;
            for count in &mut counts {
                *count = u16::try_from(decoder.u32()?).ok()?;
            }
            row.pulse = Pulse { newest, counts };
            let (seen, ahead, behind) = (decoder.u64()?, decoder.u64()?, decoder.u64()?);
            let mut offsets = Offsets { seen, ahead, behind, ..Offsets::default() };
            for at in 0..offsets.kept().len() {
                offsets.newest[at] = decoder.i64()?;
            }
            if self.clocks.is_some() {
                row.offsets = offsets;
            }
            for _ in 0..self.fields {
                self.values.push(Value::read(decoder)?);
            }
            if row.id >= self.next_id || self.by_key.insert(row.key.clone(), place as u32).is_some() {
                return None;
            }
            self.rows.push(Some(row));
        }
        self.membership = 1;
        Some(self)
    }
}
