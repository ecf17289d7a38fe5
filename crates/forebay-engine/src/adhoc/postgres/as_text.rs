//! Values as PostgreSQL writes them: `x::text`, what `||` joins with a text, and what `concat` joins. Texts stay as they are,
//! an array is `{a,"b c",NULL}`; a struct has Arrow's form.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use datafusion::common::{Result, plan_err};

use super::call::Call;
use super::intervals::justified;

/// `x::text`.
pub(super) const TEXT: Call = Call {
    name: "__text",
    takes: |types| match types {
        [DataType::Null] => Ok(vec![DataType::Utf8]),
        [of] => Ok(vec![of.clone()]),
        _ => plan_err!("a cast takes one value"),
    },
    gives: |_, _| Ok(DataType::Utf8),
    work: |args, _| match args {
        [of] => written(of),
        _ => plan_err!("a cast takes one value"),
    },
};

/// A value as a client sees it, of which a truth value is one letter: what `concat` joins.
pub(super) const OUTPUT: Call = Call {
    name: "__output",
    takes: TEXT.takes,
    gives: |_, _| Ok(DataType::Utf8),
    work: |args, _| match args {
        [of] => output(of),
        _ => plan_err!("one value is expected"),
    },
};

/// The column as clients see it.
pub(super) fn output(column: &ArrayRef) -> Result<ArrayRef> {
    if column.data_type() != &DataType::Boolean {
        return written(column);
    }
    let letters = column.as_boolean().iter().map(|truth| truth.map(|truth| if truth { "t" } else { "f" }));
    Ok(Arc::new(letters.collect::<StringArray>()))
}

/// `{a,"b c",NULL}` of each array.
fn arrays(lists: &ListArray) -> Result<ArrayRef> {
    let is_nested = matches!(lists.value_type(), DataType::List(_));
    let items = output(lists.values())?;
    let items = items.as_string::<i32>();
    let mut out = StringBuilder::new();
    for row in 0..lists.len() {
        if lists.is_null(row) {
            out.append_null();
            continue;
        }
        let offsets = lists.value_offsets();
        let (start, end) = (offsets.get(row).copied(), offsets.get(row + 1).copied());
        let (start, end) = (start.unwrap_or(0), end.unwrap_or(0));
        let _ = out.write_char('{');
        for at in start..end {
            if at > start {
                let _ = out.write_char(',');
            }
            match usize::try_from(at).ok().filter(|at| items.is_valid(*at)) {
                Some(at) if is_nested => drop(out.write_str(items.value(at))),
                Some(at) => element(items.value(at), &mut out),
                None => drop(out.write_str("NULL")),
            }
        }
        out.append_value("}");
    }
    Ok(Arc::new(out.finish()))
}

/// An element of an array, in quotes where it needs them.
fn element(text: &str, out: &mut StringBuilder) {
    let is_special =
        |letter: char| matches!(letter, '{' | '}' | ',' | '"' | '\\') || letter.is_ascii_whitespace();
    if !text.is_empty() && !text.contains(is_special) && !text.eq_ignore_ascii_case("null") {
        let _ = out.write_str(text);
        return;
    }
    let _ = out.write_char('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            let _ = out.write_char('\\');
        }
        let _ = out.write_char(letter);
    }
    let _ = out.write_char('"');
}

/// The column as texts.
pub(super) fn written(column: &ArrayRef) -> Result<ArrayRef> {
    let to = |data_type: &DataType| cast(column, data_type);
    macro_rules! each {
        ($column:expr, $kind:ty, $write:expr) => {{
            let column = $column;
            let mut out = StringBuilder::new();
            for value in column.as_primitive::<$kind>() {
                if let Some(value) = value {
                    $write(value, &mut out);
                    out.append_value("");
                } else {
                    out.append_null();
                }
            }
            Arc::new(out.finish())
        }};
    }
    Ok(match column.data_type() {
        DataType::Float64 => {
            each!(column, Float64Type, |value, out: &mut StringBuilder| float(value, 15, out))
        }
        DataType::Float32 => {
            each!(column, Float32Type, |value, out: &mut StringBuilder| float(value, 6, out))
        }
        DataType::Date32 => each!(column, Date32Type, |days, out: &mut StringBuilder| {
            if let Some(at) = arrow::temporal_conversions::date32_to_datetime(days) {
                let era = day(at.date(), out);
                let _ = out.write_str(era);
            }
        }),
        DataType::Time32(_) | DataType::Time64(_) => {
            each!(to(&DataType::Time64(TimeUnit::Microsecond))?, Time64MicrosecondType, clock)
        }
        DataType::Timestamp(_, zone) => {
            let zone_text = if zone.is_some() { "+00" } else { "" };
            let micros = to(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            each!(micros, TimestampMicrosecondType, |micros, out: &mut StringBuilder| {
                let Some(at) = DateTime::from_timestamp_micros(micros) else { return };
                let era = day(at.date_naive(), out);
                let _ = out.write_char(' ');
                clock(
                    i64::from(at.num_seconds_from_midnight()) * 1_000_000 + micros.rem_euclid(1_000_000),
                    out,
                );
                let _ = write!(out, "{zone_text}{era}");
            })
        }
        DataType::Interval(_) => {
            let whole = to(&DataType::Interval(IntervalUnit::MonthDayNano))?;
            each!(whole, IntervalMonthDayNanoType, interval)
        }
        DataType::Duration(_) => {
            each!(justified(column)?, IntervalMonthDayNanoType, interval)
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = to(&DataType::Binary)?;
            let mut out = StringBuilder::new();
            for value in bytes.as_binary::<i32>() {
                let hex = |bytes: &[u8]| {
                    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
                        let _ = write!(text, "{byte:02x}");
                        text
                    })
                };
                out.append_option(value.map(hex));
            }
            Arc::new(out.finish())
        }
        DataType::Utf8 => Arc::clone(column),
        DataType::List(_) => arrays(column.as_list::<i32>())?,
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            written(&to(&DataType::List(Arc::clone(item)))?)?
        }
        _ => to(&DataType::Utf8)?,
    })
}

/// The shortest digits that give the same number, with an exponent where PostgreSQL has one.
fn float<F: Into<f64> + Copy + std::fmt::Display + std::fmt::LowerExp>(
    value: F,
    digits: i32,
    out: &mut StringBuilder,
) {
    let wide: f64 = value.into();
    if wide.is_nan() {
        let _ = out.write_str("NaN");
        return;
    }
    if wide.is_infinite() {
        let _ = out.write_str(if wide > 0.0 { "Infinity" } else { "-Infinity" });
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..digits).contains(&exponent) {
        let _ = write!(out, "{value}");
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
}

/// The year, month and day, and what stands at the end of all for a year before the first.
fn day(date: NaiveDate, out: &mut StringBuilder) -> &'static str {
    let (year, era) = if date.year() > 0 { (date.year(), "") } else { (1 - date.year(), " BC") };
    let _ = write!(out, "{year:04}-{:02}-{:02}", date.month(), date.day());
    era
}

/// What a clock shows, to the last digit that is no zero.
fn clock(micros: i64, out: &mut StringBuilder) {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

/// `1 year 2 mons -3 days -01:01:01`: behind a part below zero one above it has its sign.
fn interval(value: IntervalMonthDayNano, out: &mut StringBuilder) {
    let (mut is_first, mut was_negative) = (true, false);
    for (count, one) in [(value.months / 12, "year"), (value.months % 12, "mon"), (value.days, "day")] {
        if count == 0 {
            continue;
        }
        let blank = if is_first { "" } else { " " };
        let sign = if was_negative && count > 0 { "+" } else { "" };
        let many = if count == 1 { "" } else { "s" };
        let _ = write!(out, "{blank}{sign}{count} {one}{many}");
        (is_first, was_negative) = (false, count < 0);
    }
    let micros = value.nanoseconds / 1_000;
    if micros != 0 || is_first {
        let blank = if is_first { "" } else { " " };
        let sign = match micros {
            micros if micros < 0 => "-",
            _ if was_negative => "+",
            _ => "",
        };
        let _ = write!(out, "{blank}{sign}");
        clock(i64::try_from(micros.unsigned_abs()).unwrap_or(i64::MAX), out);
    }
}
