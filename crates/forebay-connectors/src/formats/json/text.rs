//! JSON strings: their end, their escapes, their bytes.
//!
//! The plain part of a string is copied as it stands. Control characters, unknown escapes and lone surrogates are
//! refused: what a column holds is always text. The bytes are checked as UTF-8 once for the whole record, and only if
//! one of its strings goes beyond ASCII; outside of strings the grammar allows nothing but ASCII.

use super::fault::{Fault, Parse, code};
use super::reader::Reader;
use super::words::{beyond_ascii, first, load, string_stops};

/// Names in Spark (Jackson) have at most this many characters.
const SPARK_NAME: usize = 50_000;

impl<'a> Reader<'a> {
    /// Moves to the next quote, backslash or control character of a string, or to the end of the record.
    #[inline]
    pub(super) fn plain(&mut self) {
        loop {
            let left = self.bytes.len() - self.pos.min(self.bytes.len());
            let word = load(self.bytes, self.pos);
            self.beyond_ascii |= beyond_ascii(word);
            // Past the end the word is filled with zeros, which are control characters: the end stops too.
            let stops = string_stops(word);
            if stops != 0 {
                self.pos += first(stops).min(left);
                return;
            }
            self.pos += 8;
        }
    }

    /// A string as bytes: a piece of the record, or the scratch buffer if there are escapes. The reader stands on the
    /// opening quote.
    #[inline]
    pub(super) fn string(&mut self) -> Parse<Text<'a>> {
        let text = self.string_of_any_length()?;
        self.check_length(text.bytes(self.scratch).len())?;
        Ok(text)
    }

    /// The same without a limit but the record's own length: for keys, of which nothing is held.
    pub(super) fn string_of_any_length(&mut self) -> Parse<Text<'a>> {
        self.pos += 1;
        let start = self.pos;
        self.plain();
        if self.peek() == Some(b'"') {
            let piece = self.bytes.get(start..self.pos).unwrap_or_default();
            self.pos += 1;
            return Ok(Text::Piece(piece));
        }
        let mut scratch = std::mem::take(self.scratch);
        scratch.clear();
        let read = self.rest_of_string(start, &mut scratch);
        *self.scratch = scratch;
        read.map(|()| Text::Scratch)
    }

    /// Reads a string that has an escape (or a fault) into `out`. Its plain beginning started at `start`.
    pub(super) fn rest_of_string(&mut self, start: usize, out: &mut Vec<u8>) -> Parse {
        out.extend_from_slice(self.bytes.get(start..self.pos).unwrap_or_default());
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let c = self.escape()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(self.unexpected("the end of a string")),
            }
            let start = self.pos;
            self.plain();
            out.extend_from_slice(self.bytes.get(start..self.pos).unwrap_or_default());
        }
    }

    /// Skips a string and checks it. The reader stands on the opening quote.
    pub(super) fn skip_string(&mut self) -> Parse {
        self.pos += 1;
        loop {
            self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(b'\\') => drop(self.escape()?),
                _ => return Err(self.unexpected("the end of a string")),
            }
        }
    }

    /// Reads an escape: the reader stands on the backslash.
    fn escape(&mut self) -> Parse<char> {
        self.pos += 1;
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.unexpected("one of \"\\/bfnrtu after a backslash")),
        };
        self.pos += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Parse<char> {
        let at = self.pos - 1;
        let lone =
            || Fault::new(code::SYNTAX, format!("expected a surrogate pair, found one half at byte {at}"));
        let unit = self.four_digits()?;
        if let Some(c) = char::from_u32(unit) {
            return Ok(c);
        }
        if unit >= 0xdc00 {
            return Err(lone());
        }
        for expected in [b'\\', b'u'] {
            match self.peek() {
                Some(byte) if byte == expected => {
                    if expected == b'\\' {
                        self.pos += 1;
                    }
                }
                None => return Err(self.unexpected("the second half of a surrogate pair")),
                Some(_) => return Err(lone()),
            }
        }
        let second = self.four_digits()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone());
        }
        char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(lone)
    }

    /// Reads `uXXXX`; the reader stands on the `u`.
    fn four_digits(&mut self) -> Parse<u32> {
        self.pos += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.unexpected("a hexadecimal digit")) };
            unit = unit * 16 + digit;
            self.pos += 1;
        }
        Ok(unit)
    }

    #[inline]
    pub(super) fn check_length(&self, length: usize) -> Parse {
        if length <= self.rules.max_string { Ok(()) } else { Err(self.too_long()) }
    }

    #[cold]
    fn too_long(&self) -> Box<Fault> {
        let most = self.rules.max_string;
        Fault::new(code::LIMIT, format!("expected a string of at most {most} bytes, found a longer one"))
    }

    /// In Spark's modes, refuses names that Jackson refuses.
    pub(super) fn check_name(&self, length: usize) -> Parse {
        if self.rules.spark && length > SPARK_NAME { Err(self.too_long()) } else { Ok(()) }
    }
}

/// Where the bytes of a string are.
#[derive(Clone, Copy)]
pub(super) enum Text<'a> {
    /// In the record.
    Piece(&'a [u8]),
    /// In the reader's scratch buffer.
    Scratch,
}

impl<'a> Text<'a> {
    pub(super) fn bytes<'b>(&self, scratch: &'b [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Piece(piece) => piece,
            Self::Scratch => scratch,
        }
    }
}
