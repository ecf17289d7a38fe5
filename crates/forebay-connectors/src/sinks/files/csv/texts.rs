//! Values as texts, as Spark's CSV writer makes them.

use std::fmt::Write as _;
use std::io::Write as _;

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use forebay_core::Zone;
use forebay_core::zone::Offsets;

use super::pattern::{Known, Pattern, Shown, offset_text};

const DAY_US: i64 = 86_400_000_000;

/// How dates and times are written.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    pub zone: Zone,
    pub date: Pattern,
    pub timestamp: Pattern,
    /// Of a TIMESTAMP_NTZ.
    pub local: Pattern,
}

/// What a writer of times keeps between rows.
pub(crate) struct Clock {
    offsets: Offsets,
    zone: String,
}

impl Clock {
    pub fn new(zone: Zone) -> Self {
        Self { offsets: Offsets::new(zone), zone: zone.to_string() }
    }
}

impl Texts {
    /// Appends an instant, microseconds since 1970. False beyond the calendar.
    pub fn timestamp(&self, out: &mut Vec<u8>, instant: i64, clock: &mut Clock) -> bool {
        let offset = clock.offsets.at(instant);
        let Some(at) = naive(instant.saturating_add(offset.saturating_mul(1_000_000))) else { return false };
        write(&self.timestamp, out, &Shown { at, offset, zone: &clock.zone });
        true
    }

    /// Appends what a clock shows. False beyond the calendar.
    pub fn local(&self, out: &mut Vec<u8>, local: i64) -> bool {
        let Some(at) = naive(local) else { return false };
        write(&self.local, out, &Shown { at, offset: 0, zone: "" });
        true
    }

    /// Appends a day, counted from 1970. False beyond the calendar.
    pub fn date(&self, out: &mut Vec<u8>, day: i32) -> bool {
        let Some(at) = naive(i64::from(day).saturating_mul(DAY_US)) else { return false };
        write(&self.date, out, &Shown { at, offset: 0, zone: "" });
        true
    }
}

fn naive(local: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(local).map(|at| at.naive_utc())
}

fn write(pattern: &Pattern, out: &mut Vec<u8>, shown: &Shown<'_>) {
    let at = &shown.at;
    // Years of four digits are written by hand; Java has signs for the others.
    match pattern.known {
        Some(known) if (1..=9999).contains(&at.year()) => {
            let year = u32::try_from(at.year()).unwrap_or_default();
            two(out, year / 100);
            two(out, year % 100);
            out.push(b'-');
            two(out, at.month());
            out.push(b'-');
            two(out, at.day());
            if let Known::Iso { offset } = known {
                out.push(b'T');
                two(out, at.hour());
                out.push(b':');
                two(out, at.minute());
                out.push(b':');
                two(out, at.second());
                out.push(b'.');
                let milli = at.nanosecond() / 1_000_000;
                out.push(digit(milli / 100));
                two(out, milli % 100);
                match offset {
                    true if shown.offset == 0 => out.push(b'Z'),
                    true => {
                        offset_text(out, shown.offset, true, true, true);
                        // Local times of before there were zones.
                        if shown.offset % 60 != 0 {
                            out.push(b':');
                            two(out, u32::try_from(shown.offset.unsigned_abs() % 60).unwrap_or_default());
                        }
                    }
                    false => {}
                }
            }
        }
        _ => pattern.write(out, shown),
    }
}

fn two(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&[digit(number / 10), digit(number % 10)]);
}

fn digit(number: u32) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or_default()
}

/// Appends a decimal: plain, or with an exponent where Java's `BigDecimal` has one.
pub(super) fn decimal(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::try_from(scale).unwrap_or_default();
    if unscaled < 0 {
        out.push(b'-');
    }
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
    } else if scale + 1 > digits.len() + 6 {
        // The first digit stands more than six places behind the point.
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let _ = write!(out, "{first}{point}{rest}E-{}", scale + 1 - digits.len());
    } else if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let _ = write!(out, "{whole}.{fraction}");
    } else {
        let _ = write!(out, "0.{digits:0>scale$}");
    }
}

/// Appends a floating number as Java writes it. `text` is of scratch; `shortest` prints `value` as Rust does.
pub(super) fn floating(
    out: &mut Vec<u8>,
    value: f64,
    scratch: &mut String,
    shortest: impl Fn(&mut String, bool),
) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
        return;
    }
    scratch.clear();
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        shortest(scratch, false);
        out.extend_from_slice(scratch.as_bytes());
        return;
    }
    shortest(scratch, true);
    // Java writes two digits at least, and those that come nearest: 4.9E-324.
    if !scratch.contains('.') && magnitude < 1e-37 {
        nearest_two(scratch, value);
    }
    let (mantissa, exponent) = scratch.split_once('e').unwrap_or((scratch, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let _ = write!(out, "{mantissa}{point}E{exponent}");
}

/// Takes two digits for one, where they stand for the same number. `value` is of a FLOAT if `text` reads as one.
fn nearest_two(text: &mut String, value: f64) {
    let two = format!("{value:.1e}");
    let is_same = match text.parse() == Ok(value) {
        true => two.parse() == Ok(value),
        false => two.parse::<f32>() == text.parse::<f32>(),
    };
    if is_same {
        *text = two;
    }
}

/// [`floating`] of a DOUBLE.
pub(super) fn double(out: &mut Vec<u8>, value: f64, scratch: &mut String) {
    floating(out, value, scratch, |text, exponent| {
        // Writing to a `String` cannot fail.
        let _ = if exponent { write!(text, "{value:e}") } else { write!(text, "{value:?}") };
    });
}

/// [`floating`] of a FLOAT.
pub(super) fn float(out: &mut Vec<u8>, value: f32, scratch: &mut String) {
    floating(out, f64::from(value), scratch, |text, exponent| {
        let _ = if exponent { write!(text, "{value:e}") } else { write!(text, "{value:?}") };
    });
}
