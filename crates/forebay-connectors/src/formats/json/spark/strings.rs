//! Jackson's strings: escapes by UTF-16 units, and what becomes of half a pair.

use super::tokens::{Broken, Step, Tokens};

/// Jackson counts a string when it is whole, and before that whenever another piece of this many characters is full:
/// a string that is a little too long is read to its end, one that is much too long breaks off inside.
const SEGMENT: usize = 65_536;

impl Tokens<'_> {
    /// Reads a string up to this quote; `keep` is whether anybody wants its text.
    pub(super) fn finish_string(&mut self, quote: u8, keep: bool) -> Step {
        self.string.clear();
        let mut high: Option<u32> = None;
        let mut units = 0;
        loop {
            let byte = self.next_byte().ok_or(Broken)?;
            if byte == b'\\' {
                let unit = self.escape()?;
                self.push_unit(unit, &mut high);
                units += 1;
            } else {
                self.flush(&mut high);
                if byte == quote {
                    return if keep && units > self.max_string { Err(Broken) } else { Ok(()) };
                }
                if byte < 0x20 {
                    return Err(Broken);
                }
                self.string.push(byte);
                // UTF-16 units: none for a continuation byte, two for a sequence of four.
                units += usize::from(byte & 0xc0 != 0x80) + usize::from(byte >= 0xf0);
            }
            if keep && units > self.max_string.saturating_add(SEGMENT) {
                return Err(Broken);
            }
            if !keep {
                self.string.clear();
            }
        }
    }

    /// Adds a UTF-16 unit; a half without its other half becomes `?`, as Java writes it.
    fn push_unit(&mut self, unit: u32, high: &mut Option<u32>) {
        if let (Some(first), 0xdc00..=0xdfff) = (*high, unit) {
            *high = None;
            let c = char::from_u32(0x10000 + ((first - 0xd800) << 10) + (unit - 0xdc00)).unwrap_or('?');
            self.string.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
        self.flush(high);
        match char::from_u32(unit) {
            Some(c) => self.string.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None if unit < 0xdc00 => *high = Some(unit),
            None => self.string.push(b'?'),
        }
    }

    fn flush(&mut self, high: &mut Option<u32>) {
        if high.take().is_some() {
            self.string.push(b'?');
        }
    }

    fn escape(&mut self) -> Step<u32> {
        Ok(match self.next_byte().ok_or(Broken)? {
            b'b' => 0x08,
            b't' => 0x09,
            b'n' => 0x0a,
            b'f' => 0x0c,
            b'r' => 0x0d,
            // Where strings may stand in single quotes, those may be escaped.
            plain @ (b'"' | b'/' | b'\\' | b'\'') => u32::from(plain),
            b'u' => {
                let mut unit = 0;
                for _ in 0..4 {
                    let byte = self.next_byte().ok_or(Broken)?;
                    unit = unit * 16 + char::from(byte).to_digit(16).ok_or(Broken)?;
                }
                unit
            }
            _ => return Err(Broken),
        })
    }
}
