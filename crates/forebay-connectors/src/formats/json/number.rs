//! JSON numbers to integers and floats.
//!
//! `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`, nothing more. Short numbers, which is nearly all that sensors
//! send, go by words: up to seven digits before and after the point make a mantissa below 2^53, and dividing it by a
//! power of ten up to 10^22 rounds once, so the result is the nearest double (Clinger's fast path). Everything else is
//! checked byte by byte and read by `fast_float2`, which is exact too.

use super::fault::{Fault, Parse, code};
use super::reader::Reader;
use super::words::{leading_digits, load};

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The same as integers.
const WHOLE_POWERS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Integers up to this are exact in a float of 32 bits.
const FLOAT_EXACT: u64 = 1 << 24;

/// A number whose text was checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    /// The whole text with its sign.
    pub(super) text: &'a [u8],
    /// Without point and exponent.
    pub(super) integer: bool,
}

/// A short number: `mantissa / 10^fraction`.
struct Short {
    negative: bool,
    mantissa: u64,
    fraction: usize,
    integer: bool,
}

impl<'a> Reader<'a> {
    /// A number of at most seven digits on each side of the point and without exponent; else `None`, and the reader
    /// has not moved.
    #[inline(always)]
    fn short_number(&mut self) -> Option<Short> {
        let negative = self.peek() == Some(b'-');
        let start = self.pos + usize::from(negative);
        let word = load(self.bytes, start);
        let (whole, digits) = leading_digits(word);
        let leading_zero = word & 0xff == u64::from(b'0') && digits > 1;
        if digits == 0 || digits == 8 || leading_zero {
            return None;
        }
        let end = start + digits;
        match self.bytes.get(end) {
            Some(b'.') => {
                let (part, places) = leading_digits(load(self.bytes, end + 1));
                let end = end + 1 + places;
                if places == 0 || places == 8 || matches!(self.bytes.get(end), Some(b'e' | b'E')) {
                    return None;
                }
                self.pos = end;
                let mantissa = whole * WHOLE_POWERS.get(places)? + part;
                Some(Short { negative, mantissa, fraction: places, integer: false })
            }
            Some(b'e' | b'E') => None,
            _ => {
                self.pos = end;
                Some(Short { negative, mantissa: whole, fraction: 0, integer: true })
            }
        }
    }

    /// Reads any number and checks its text.
    pub(super) fn number(&mut self) -> Parse<Number<'a>> {
        let start = self.pos;
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        match self.peek() {
            Some(b'0') => self.pos += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.unexpected("a digit")),
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.pos += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            integer = false;
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            self.some_digits()?;
        }
        let text = self.bytes.get(start..self.pos).unwrap_or_default();
        if text.len() > self.rules.max_number {
            let most = self.rules.max_number;
            return Err(Fault::new(code::LIMIT, format!("expected a number of at most {most} characters")));
        }
        Ok(Number { text, integer })
    }

    fn some_digits(&mut self) -> Parse {
        match self.peek() {
            Some(b'0'..=b'9') => {
                self.digits();
                Ok(())
            }
            _ => Err(self.unexpected("a digit")),
        }
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
    }

    /// A number as a double, the nearest one.
    #[inline]
    pub(super) fn double(&mut self) -> Parse<f64> {
        if let Some(short) = self.short_number() {
            if short.integer && short.mantissa == 0 && short.negative && self.rules.spark {
                return Ok(0.0);
            }
            let power = POWERS.get(short.fraction).copied().unwrap_or(1.0);
            let value = short.mantissa as f64 / power;
            return Ok(if short.negative { -value } else { value });
        }
        let number = self.number()?;
        let value: f64 = fast_float2::parse(number.text).unwrap_or(f64::INFINITY);
        if value.is_infinite() {
            return Err(Fault::new(code::RANGE, "expected DOUBLE, found a number beyond its range"));
        }
        Ok(if self.rules.spark && number.integer && value == 0.0 { 0.0 } else { value })
    }

    /// A number as a float of 32 bits, rounded once from its text.
    pub(super) fn float(&mut self) -> Parse<f32> {
        let start = self.pos;
        if let Some(short) = self.short_number() {
            if short.integer && short.mantissa == 0 && short.negative && self.rules.spark {
                return Ok(0.0);
            }
            if short.mantissa <= FLOAT_EXACT {
                // Both are exact floats (ten to the seventh at most), so the division rounds once.
                let power = WHOLE_POWERS.get(short.fraction).copied().unwrap_or(1) as f32;
                let value = short.mantissa as f32 / power;
                return Ok(if short.negative { -value } else { value });
            }
            self.pos = start;
        }
        let number = self.number()?;
        let value: f32 = fast_float2::parse(number.text).unwrap_or(f32::INFINITY);
        if value.is_infinite() {
            return Err(Fault::new(code::RANGE, "expected FLOAT, found a number beyond its range"));
        }
        Ok(if self.rules.spark && number.integer && value == 0.0 { 0.0 } else { value })
    }

    /// A whole number between `least` and `most`; `kind` is its Spark type, for the message.
    #[inline]
    pub(super) fn integer(&mut self, least: i64, most: i64, kind: &'static str) -> Parse<i64> {
        let start = self.pos;
        let value = match self.short_number() {
            Some(short) if short.integer => {
                let magnitude = short.mantissa as i64;
                Some(if short.negative { -magnitude } else { magnitude })
            }
            Some(_) => return Err(not_whole(kind)),
            None => {
                self.pos = start;
                self.long_integer(kind)?
            }
        };
        match value {
            Some(value) if (least..=most).contains(&value) => Ok(value),
            _ => Err(Fault::new(code::RANGE, format!("expected {kind}, found a number beyond its range"))),
        }
    }

    /// Eight digits and more; `None` beyond 64 bits.
    fn long_integer(&mut self, kind: &'static str) -> Parse<Option<i64>> {
        let start = self.pos;
        let negative = self.peek() == Some(b'-');
        let first = start + usize::from(negative);
        let (high, digits) = leading_digits(load(self.bytes, first));
        if digits == 8 && self.bytes.get(first) != Some(&b'0') {
            let (low, more) = leading_digits(load(self.bytes, first + 8));
            let end = first + 8 + more;
            if more < 8 && !matches!(self.bytes.get(end), Some(b'.' | b'e' | b'E')) {
                self.pos = end;
                let magnitude = (high * WHOLE_POWERS.get(more).copied().unwrap_or(1) + low) as i64;
                return Ok(Some(if negative { -magnitude } else { magnitude }));
            }
        }
        let number = self.number()?;
        if !number.integer {
            return Err(not_whole(kind));
        }
        Ok(parse_i64(number.text))
    }
}

#[cold]
fn not_whole(kind: &'static str) -> Box<Fault> {
    Fault::new(code::TYPE, format!("expected {kind}, found a number with a fraction or an exponent"))
}

/// The value of checked digits; `None` beyond 64 bits.
pub(super) fn parse_i64(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
