//! Values as texts.

use std::str::FromStr;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use forebay_engine::adhoc::postgres::{self, DIGITS, decimal};

use super::super::sqlstate::{NOT_SUPPORTED, Refusal};
use super::super::types::PgType;
use super::{infinite, listed, out_of_range, read, short, unread};

pub(super) fn text(value: &[u8], wanted: &DataType) -> Result<ScalarValue, Refusal> {
    let name = PgType::of_type(wanted).name();
    let text = std::str::from_utf8(value).map_err(|_| unread(value, name))?;
    let trimmed = text.trim();
    match wanted {
        DataType::Utf8 | DataType::Null => Ok(ScalarValue::Utf8(Some(text.to_owned()))),
        DataType::Decimal128(..) => number(trimmed),
        DataType::List(item) => list(trimmed, item.data_type()),
        DataType::Boolean => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "1" | "on" | "yes" | "y" => Ok(ScalarValue::Boolean(Some(true))),
            "f" | "false" | "0" | "off" | "no" | "n" => Ok(ScalarValue::Boolean(Some(false))),
            _ => Err(unread(value, name)),
        },
        DataType::Int16 => whole(trimmed, name).map(|value| ScalarValue::Int16(Some(value))),
        DataType::Int32 => whole(trimmed, name).map(|value| ScalarValue::Int32(Some(value))),
        DataType::Int64 => whole(trimmed, name).map(|value| ScalarValue::Int64(Some(value))),
        DataType::Float32 => {
            let value: f32 = trimmed.parse().map_err(|_| unread(value, name))?;
            float(value.into(), trimmed, name).map(|_| ScalarValue::Float32(Some(value)))
        }
        DataType::Float64 => {
            let value: f64 = trimmed.parse().map_err(|_| unread(value, name))?;
            float(value, trimmed, name).map(|value| ScalarValue::Float64(Some(value)))
        }
        other => {
            if other.is_temporal() && is_infinite(trimmed) {
                return Err(infinite(name));
            }
            let read = match other {
                DataType::Timestamp(TimeUnit::Microsecond, zone) => postgres::time(trimmed, zone.is_some())
                    .map(|micros| ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())),
                DataType::Interval(IntervalUnit::MonthDayNano) => postgres::interval(trimmed)
                    .map(|interval| ScalarValue::IntervalMonthDayNano(Some(interval))),
                _ => ScalarValue::try_from_string(trimmed.to_owned(), other).ok(),
            };
            read.filter(|read| !read.is_null()).ok_or_else(|| unread(value, name))
        }
    }
}

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?;
    if digits.len() % 2 != 0 || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

/// A whole number; one with too many digits is told from what is none.
fn whole<T: FromStr>(text: &str, name: &str) -> Result<T, Refusal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().map_err(|_| match is_number {
        true => out_of_range(short(text.as_bytes()), name),
        false => unread(text.as_bytes(), name),
    })
}

fn is_infinite(text: &str) -> bool {
    let text = text.trim_start_matches(['-', '+']);
    ["inf", "infinity"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A float, if the text did not say more than it can be.
fn float(value: f64, text: &str, name: &str) -> Result<f64, Refusal> {
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    let is_none = !digits.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    match (value.is_infinite() && !is_infinite(text)) || (value == 0.0 && !is_none) {
        true => Err(out_of_range(short(text.as_bytes()), name)),
        false => Ok(value),
    }
}

/// A number with the digits that it has.
pub(super) fn number(text: &str) -> Result<ScalarValue, Refusal> {
    let refused = || unread(text.as_bytes(), "numeric");
    if text.eq_ignore_ascii_case("nan") || is_infinite(text) {
        let message = format!("{} of type numeric is not supported", short(text.as_bytes()));
        return Err(Refusal::new(NOT_SUPPORTED, message).hint("Send it as double precision, which has it."));
    }
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().map_err(|_| refused())?),
    };
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !are_digits(whole) || !are_digits(fraction) {
        return Err(refused());
    }
    let plain = moved(whole, fraction, exponent);
    let plain = plain.and_then(|plain| decimal(&format!("{sign}{plain}")));
    plain.ok_or_else(|| out_of_range(short(text.as_bytes()), "numeric"))
}

/// The digits with the point moved to the right; `None` if those are too many.
fn moved(whole: &str, fraction: &str, by: i32) -> Option<String> {
    if by == 0 {
        let whole = whole.trim_start_matches('0');
        return Some(format!(
            "{}{}{fraction}",
            if whole.is_empty() { "0" } else { whole },
            if fraction.is_empty() { "" } else { "." }
        ));
    }
    if usize::try_from(by.unsigned_abs()).ok()? > 2 * DIGITS || whole.len() + fraction.len() > 4 * DIGITS {
        return None;
    }
    let zeros = "0".repeat(2 * DIGITS);
    let digits = format!("{zeros}{whole}{fraction}{zeros}");
    let point = i32::try_from(zeros.len() + whole.len()).ok()?.checked_add(by)?;
    let (whole, fraction) = digits.split_at_checked(usize::try_from(point).ok()?)?;
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    Some(format!("{}.{fraction}", if whole.is_empty() { "0" } else { whole }))
}

/// `{a,"b c",NULL}`.
fn list(text: &str, item: &DataType) -> Result<ScalarValue, Refusal> {
    let refused = || unread(text.as_bytes(), "array");
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(refused)?;
    let mut letters = inner.chars();
    let mut is_over = inner.is_empty();
    let next = || -> Option<Result<ScalarValue, Refusal>> {
        if is_over {
            return None;
        }
        let (mut value, mut is_quoted, mut in_quotes) = (String::new(), false, false);
        loop {
            match letters.next() {
                None if in_quotes => return Some(Err(refused())),
                None => {
                    is_over = true;
                    break;
                }
                Some(',') if !in_quotes => break,
                Some('{' | '}') if !in_quotes => return Some(Err(refused())),
                Some('"') => (is_quoted, in_quotes) = (true, !in_quotes),
                Some('\\') => match letters.next() {
                    Some(letter) => value.push(letter),
                    None => return Some(Err(refused())),
                },
                Some(letter) => value.push(letter),
            }
        }
        let is_null = !is_quoted && value.trim().eq_ignore_ascii_case("null");
        Some(read((!is_null).then_some(value.as_bytes()), false, 0, item))
    };
    listed(std::iter::from_fn(next), item)
}
