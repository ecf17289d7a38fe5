//! From a time to its text.

use std::fmt::Write;

use chrono::{DateTime, NaiveDateTime, Utc};
use forebay_core::Zone;

use super::{Item, Number, Sign, names, offset, zones};

/// The digits of a fraction.
const NANO_DIGITS: usize = 9;

/// Writes what clocks show, microseconds since 1970 as if they were UTC, by their offset and zone. False if it lies beyond
/// the calendar.
pub(super) fn format(items: &[Item], local: i64, of: (i64, Zone), out: &mut String) -> bool {
    let Some(time) = DateTime::<Utc>::from_timestamp_micros(local).map(|time| time.naive_utc()) else {
        return false;
    };
    all(items, &time, of, out).is_ok()
}

fn all(items: &[Item], time: &NaiveDateTime, of: (i64, Zone), out: &mut String) -> std::fmt::Result {
    let (offset, zone) = of;
    for item in items {
        match item {
            Item::Literal(text) => out.write_str(text)?,
            Item::Number(number) => write_number(number, number.field.of(time), out)?,
            Item::Fraction { most, .. } => {
                let digits = format!("{:0NANO_DIGITS$}", time.and_utc().timestamp_subsec_nanos());
                out.write_str(digits.get(..*most).unwrap_or(&digits))?;
            }
            Item::Text { field, full } => {
                out.write_str(names::name(*field, field.of(time), *full).unwrap_or_default())?;
            }
            Item::Offset(form) => form.write(offset, out)?,
            Item::LocalOffset { full } => offset::write_local(offset, *full, out)?,
            Item::ZoneId => write!(out, "{zone}")?,
            Item::ZoneName { full } => {
                let utc = time.and_utc().timestamp() - offset;
                match zones::name(zone, utc, *full) {
                    Some(name) => out.write_str(name)?,
                    None => write!(out, "{zone}")?,
                }
            }
            Item::Optional(items) => all(items, time, of, out)?,
        }
    }
    Ok(())
}

fn write_number(number: &Number, value: i64, out: &mut String) -> std::fmt::Result {
    let digits = value.unsigned_abs();
    let width = number.least;
    if number.reduced {
        return write!(out, "{:0width$}", digits % 100);
    }
    let exceeds = digits.checked_ilog10().map_or(1, |last| last as usize + 1) > width;
    match number.sign {
        Sign::Normal | Sign::Exceeding if value < 0 => out.write_str("-")?,
        Sign::Exceeding if exceeds => out.write_str("+")?,
        _ => {}
    }
    write!(out, "{digits:0width$}")
}
