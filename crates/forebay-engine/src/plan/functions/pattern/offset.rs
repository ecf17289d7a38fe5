//! Offsets from UTC as texts: `+01:00`, `+0100`, `Z`, `GMT+1`.

use std::fmt::Write;

use super::read::{digits, strip};

/// The greatest offset, in seconds.
const MOST: i64 = 18 * 3600;

/// How an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub colons: bool,
    pub minutes: Part,
    pub seconds: Part,
    /// What stands for no offset.
    pub zero: &'static str,
}

/// When a part of an offset is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Never,
    NotZero,
    Always,
}

/// `+01:00`, as zones are named.
pub(super) const ID: Form = Form { colons: true, minutes: Part::Always, seconds: Part::NotZero, zero: "Z" };

impl Form {
    /// That of `X`, `x` and `Z`, so many times.
    pub fn of(letter: char, count: usize) -> Option<Self> {
        let zero = match (letter, count) {
            ('X', 1..=5) | ('Z', 5) => "Z",
            ('x', 1) => "+00",
            ('x', 2 | 4) | ('Z', 1..=3) => "+0000",
            ('x', 3 | 5) => "+00:00",
            _ => return None,
        };
        let width = if letter == 'Z' && count < 4 { 2 } else { count };
        let minutes = if width == 1 { Part::NotZero } else { Part::Always };
        let seconds = if width > 3 { Part::NotZero } else { Part::Never };
        Some(Self { colons: matches!(width, 3 | 5), minutes, seconds, zero })
    }

    /// Writes an offset in seconds. One of which nothing is left is none.
    pub fn write(self, offset: i64, out: &mut String) -> std::fmt::Result {
        let of = offset.unsigned_abs();
        let (hours, minutes, seconds) = (of / 3600, of / 60 % 60, of % 60);
        let has = |part, value| part == Part::Always || (part == Part::NotZero && value > 0);
        let (has_minutes, has_seconds) = (has(self.minutes, minutes), has(self.seconds, seconds));
        if hours == 0 && (!has_minutes || minutes == 0) && (!has_seconds || seconds == 0) {
            return out.write_str(self.zero);
        }
        let colon = if self.colons { ":" } else { "" };
        write!(out, "{}{hours:02}", if offset < 0 { '-' } else { '+' })?;
        if has_minutes {
            write!(out, "{colon}{minutes:02}")?;
        }
        if has_seconds {
            write!(out, "{colon}{seconds:02}")?;
        }
        Ok(())
    }

    /// Reads an offset: its seconds, and what stands behind it.
    pub fn read(self, text: &str) -> Option<(i64, &str)> {
        if let Some(rest) = strip(text, self.zero) {
            return Some((0, rest));
        }
        let (sign, rest) = signed(text)?;
        let (hours, mut rest) = two(rest)?;
        let mut parts = [0, 0];
        for (part, value) in [self.minutes, self.seconds].into_iter().zip(&mut parts) {
            let behind = if self.colons { rest.strip_prefix(':') } else { Some(rest) };
            match (part, behind.and_then(two)) {
                (Part::Never, _) | (Part::NotZero, None) => {}
                (_, Some((read, behind))) => (*value, rest) = (read, behind),
                (Part::Always, None) => return None,
            }
        }
        within(sign * (hours * 3600 + parts[0] * 60 + parts[1])).map(|offset| (offset, rest))
    }
}

/// `GMT`, `GMT+8`, `GMT+8:30`; in full `GMT+08:00`.
pub(super) fn write_local(offset: i64, full: bool, out: &mut String) -> std::fmt::Result {
    out.write_str("GMT")?;
    if offset == 0 {
        return Ok(());
    }
    let of = offset.unsigned_abs();
    let (hours, minutes, seconds) = (of / 3600, of / 60 % 60, of % 60);
    let sign = if offset < 0 { '-' } else { '+' };
    if full {
        write!(out, "{sign}{hours:02}:{minutes:02}")?;
    } else {
        write!(out, "{sign}{hours}")?;
        if minutes > 0 || seconds > 0 {
            write!(out, ":{minutes:02}")?;
        }
    }
    if seconds > 0 { write!(out, ":{seconds:02}") } else { Ok(()) }
}

/// Reads what [`write_local`] writes.
pub(super) fn read_local(text: &str, full: bool) -> Option<(i64, &str)> {
    let text = strip(text, "GMT")?;
    let Some((sign, rest)) = signed(text) else { return Some((0, text)) };
    let (hours, mut rest) = if full { two(rest)? } else { digits(rest, 1, 2)? };
    let mut parts = [0, 0];
    for (index, value) in parts.iter_mut().enumerate() {
        match rest.strip_prefix(':').and_then(two) {
            Some((read, behind)) => (*value, rest) = (read, behind),
            None if full && index == 0 => return None,
            None => break,
        }
    }
    within(sign * (hours * 3600 + parts[0] * 60 + parts[1])).map(|offset| (offset, rest))
}

fn signed(text: &str) -> Option<(i64, &str)> {
    text.strip_prefix('+').map(|rest| (1, rest)).or_else(|| text.strip_prefix('-').map(|rest| (-1, rest)))
}

/// Two digits of an hour, a minute or a second.
fn two(text: &str) -> Option<(i64, &str)> {
    digits(text, 2, 2).filter(|(value, _)| *value <= 59)
}

fn within(offset: i64) -> Option<i64> {
    (offset.abs() <= MOST).then_some(offset)
}
