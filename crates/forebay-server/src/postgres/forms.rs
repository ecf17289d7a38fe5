//! The text and binary forms of single values.

use std::fmt::Display;
use std::io::Write as _;

use arrow::datatypes::IntervalMonthDayNano;
use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// Days from 1970 to 2000, from which PostgreSQL counts.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// Writing to a buffer in memory cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = write!($out, $($arg)*); };
}

pub(super) fn display(value: impl Display, out: &mut Vec<u8>) {
    put!(out, "{value}");
}

/// A text; PostgreSQL's texts have no NUL, so neither has what is sent as one.
pub(super) fn text(text: &str, out: &mut Vec<u8>) -> Result<()> {
    if text.as_bytes().contains(&0) {
        let error = Error::new(
            &codes::QUERY_FAILED,
            "a text of the answer holds a NUL, which no text of PostgreSQL's can",
        );
        return Err(error.with_hint("Take it out: replace(t, chr(0), '')."));
    }
    out.extend(text.as_bytes());
    Ok(())
}

pub(super) fn bytes(value: &[u8], is_binary: bool, out: &mut Vec<u8>) {
    if is_binary {
        out.extend(value);
        return;
    }
    out.extend(b"\\x");
    for byte in value {
        put!(out, "{byte:02x}");
    }
}

/// The shortest digits that give the same number, with an exponent where PostgreSQL has one.
macro_rules! float {
    ($name:ident, $kind:ty, $digits:literal) => {
        pub(super) fn $name(value: $kind, out: &mut Vec<u8>) {
            if value.is_nan() {
                out.extend(b"NaN");
            } else if value.is_infinite() {
                out.extend(if value > 0.0 { &b"Infinity"[..] } else { b"-Infinity" });
            } else {
                let scientific = format!("{value:e}");
                let exponent: i32 =
                    scientific.split_once('e').and_then(|(_, digits)| digits.parse().ok()).unwrap_or(0);
                if (-4..$digits).contains(&exponent) {
                    put!(out, "{value}");
                } else {
                    let digits = scientific.split('e').next().unwrap_or_default();
                    let sign = if exponent < 0 { '-' } else { '+' };
                    put!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs());
                }
            }
        }
    };
}

float!(float4, f32, 6);
float!(float8, f64, 15);

/// A number of any length, given as digits with or without a point.
pub(super) fn number(digits: &str, is_binary: bool, out: &mut Vec<u8>) -> Result<()> {
    if !is_binary {
        out.extend(digits.as_bytes());
        return Ok(());
    }
    let (sign, digits) = digits.strip_prefix('-').map_or((0_u16, digits), |rest| (0x4000, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // Groups of four digits, counted from the point.
    let pad = (4 - whole.len() % 4) % 4;
    let padded = format!("{}{whole}{fraction}{}", "0".repeat(pad), "0".repeat((4 - fraction.len() % 4) % 4));
    let group = |four: &[u8]| {
        four.iter().fold(0_i16, |group, digit| group * 10 + i16::from(digit.wrapping_sub(b'0')))
    };
    let groups: Vec<i16> = padded.as_bytes().chunks(4).map(group).collect();
    let weight = (whole.len() + pad) / 4;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups.iter().skip(leading).rev().take_while(|group| **group == 0).count();
    let kept = groups.get(leading..groups.len().saturating_sub(trailing)).unwrap_or_default();
    let short = |number: usize| {
        i16::try_from(number).map_err(|_| Error::new(&codes::QUERY_LIMIT, "a number is too long to be sent"))
    };
    let first = if kept.is_empty() { 0 } else { short(weight)? - 1 - short(leading)? };
    out.extend(short(kept.len())?.to_be_bytes());
    out.extend(first.to_be_bytes());
    out.extend(if kept.is_empty() { 0 } else { sign }.to_be_bytes());
    out.extend(short(fraction.len())?.to_be_bytes());
    kept.iter().for_each(|group| out.extend(group.to_be_bytes()));
    Ok(())
}

pub(super) fn date_binary(days: i32, out: &mut Vec<u8>) {
    out.extend(days.saturating_sub(EPOCH_DAYS).to_be_bytes());
}

pub(super) fn timestamp_binary(micros: i64, out: &mut Vec<u8>) {
    out.extend(micros.saturating_sub(EPOCH_MICROS).to_be_bytes());
}

pub(super) fn interval_binary(value: IntervalMonthDayNano, out: &mut Vec<u8>) {
    out.extend((value.nanoseconds / 1_000).to_be_bytes());
    out.extend(value.days.to_be_bytes());
    out.extend(value.months.to_be_bytes());
}

/// The year, month and day; a year before the first counts backwards, and ` BC` stands at the end.
fn day(date: NaiveDate, out: &mut Vec<u8>) -> bool {
    let (year, is_bc) = if date.year() > 0 { (date.year(), false) } else { (1 - date.year(), true) };
    put!(out, "{year:04}-{:02}-{:02}", date.month(), date.day());
    is_bc
}

pub(super) fn date(days: i32, out: &mut Vec<u8>) {
    // What is too far away was refused before.
    let Some(date) = arrow::temporal_conversions::date32_to_datetime(days) else { return };
    if day(date.date(), out) {
        out.extend(b" BC");
    }
}

pub(super) fn time(micros: i64, out: &mut Vec<u8>) {
    let seconds = micros.div_euclid(1_000_000);
    put!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    fraction(micros.rem_euclid(1_000_000), out);
}

/// Microseconds behind a point, without zeros at their end.
fn fraction(micros: i64, out: &mut Vec<u8>) {
    if micros > 0 {
        let digits = format!("{micros:06}");
        put!(out, ".{}", digits.trim_end_matches('0'));
    }
}

pub(super) fn timestamp(micros: i64, out: &mut Vec<u8>) {
    let Some(at) = DateTime::from_timestamp_micros(micros) else { return };
    let is_bc = day(at.date_naive(), out);
    put!(out, " {:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
    fraction(micros.rem_euclid(1_000_000), out);
    if is_bc {
        out.extend(b" BC");
    }
}

/// The zone, which stands before ` BC`.
pub(super) fn in_utc(out: &mut Vec<u8>) {
    if out.ends_with(b" BC") {
        out.truncate(out.len() - 3);
        out.extend(b"+00 BC");
    } else {
        out.extend(b"+00");
    }
}

pub(super) fn interval(value: IntervalMonthDayNano, out: &mut Vec<u8>) {
    let start = out.len();
    let named = |count: i32, one: &str, out: &mut Vec<u8>| {
        if count != 0 {
            let blank = if out.len() > start { " " } else { "" };
            let many = if count == 1 { "" } else { "s" };
            put!(out, "{blank}{count} {one}{many}");
        }
    };
    named(value.months / 12, "year", out);
    named(value.months % 12, "mon", out);
    named(value.days, "day", out);
    let micros = value.nanoseconds / 1_000;
    if micros != 0 || out.len() == start {
        if out.len() > start {
            out.push(b' ');
        }
        if micros < 0 {
            out.push(b'-');
        }
        time(i64::try_from(micros.unsigned_abs()).unwrap_or(i64::MAX), out);
    }
}

/// An element of an array, in quotes where it needs them.
pub(super) fn element(value: &[u8], out: &mut Vec<u8>) {
    let is_special =
        |byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || byte.is_ascii_whitespace();
    if !value.is_empty() && !value.iter().any(is_special) && !value.eq_ignore_ascii_case(b"null") {
        out.extend(value);
        return;
    }
    out.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written<T>(write: fn(T, &mut Vec<u8>), value: T) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_read_as_postgresql_writes_them() {
        for (value, expected) in [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (1e15, "1e+15"),
            (123456789012345.0, "123456789012345"),
            (1e-5, "1e-05"),
            (1.5e300, "1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(written(float8, value), expected);
        }
        assert_eq!(written(date, 0), "1970-01-01");
        assert_eq!(written(date, -719_528), "0001-01-01 BC");
        assert_eq!(written(date, -719_529), "0002-12-31 BC");
        assert_eq!(written(timestamp, 1_500_000), "1970-01-01 00:00:01.5");
        let long = IntervalMonthDayNano::new(14, -3, -3_661_000_000_000);
        assert_eq!(written(interval, long), "1 year 2 mons -3 days -01:01:01");
        assert_eq!(written(interval, IntervalMonthDayNano::new(0, 0, 0)), "00:00:00");
        let mut out = Vec::new();
        for value in ["a", "", "null", "a b", "q\"\\"] {
            element(value.as_bytes(), &mut out);
            out.push(b',');
        }
        assert_eq!(String::from_utf8(out).unwrap(), r#"a,"","null","a b","q\"\\","#);
    }

    #[test]
    fn a_number_keeps_all_its_digits_in_binary() {
        for (digits, expected) in [
            ("0", vec![0, 0, 0, 0]),
            ("0.00", vec![0, 0, 0, 2]),
            ("12345.678", vec![3, 1, 0, 3, 1, 2345, 6780]),
            ("-0.0001", vec![1, -1, 0x4000, 4, 1]),
            ("10000", vec![1, 1, 0, 0, 1]),
        ] {
            let mut out = Vec::new();
            number(digits, true, &mut out).unwrap();
            let shorts: Vec<i16> = out.chunks(2).map(|two| i16::from_be_bytes([two[0], two[1]])).collect();
            assert_eq!(shorts, expected, "{digits}");
        }
    }
}
