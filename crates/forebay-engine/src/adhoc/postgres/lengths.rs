//! Intervals as people write them, `1 day 02:30`, `1-2`, `PT1H30M`, and what a number makes of one. DataFusion reads numbers with
//! units alone, so what is written down is put into that form; it stays a constant.
//!
//! A part of a year goes to its months, a part of a month to days and seconds, a month being thirty days, as in PostgreSQL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{Expr, Interval, Value};
use forebay_core::Error;
use forebay_core::error::codes;

use super::call::{Call, by_zero, out_of_range, unread};
use super::intervals::{is_length, justified};
use super::tree::text as quoted;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const SECOND: f64 = 1e6;
const DAY: f64 = 86_400.0 * SECOND;

/// An interval that is written down, as DataFusion reads it; `None` for one that is no text.
///
/// # Errors
/// `SQL_PLAN` for a text that is none.
pub(super) fn written(interval: &Interval) -> std::result::Result<Option<Interval>, Error> {
    let Expr::Value(value) = interval.value.as_ref() else { return Ok(None) };
    let Value::SingleQuotedString(text) = &value.value else { return Ok(None) };
    let unit = match (&interval.leading_field, &interval.last_field) {
        (Some(_), Some(last)) => Some(last.to_string().to_lowercase()),
        (unit, _) => unit.as_ref().map(|unit| unit.to_string().to_lowercase()),
    };
    match read_as(text, unit.as_deref()) {
        Some(value) => Ok(Some(plain(value))),
        None => {
            let message = format!("invalid input syntax for type interval: \"{text}\"");
            Err(Error::new(&codes::SQL_PLAN, message).with_hint("Write it with units: '1 day 2 hours'."))
        }
    }
}

/// The interval of a text; `None` for a text that is none.
pub(super) fn constant(text: &str) -> Option<Interval> {
    read(text).map(plain)
}

fn plain(value: IntervalMonthDayNano) -> Interval {
    let (seconds, nanos) = (value.nanoseconds / 1_000_000_000, value.nanoseconds % 1_000_000_000);
    let sign = if value.nanoseconds < 0 { "-" } else { "" };
    let seconds = format!("{sign}{}.{:06} secs", seconds.unsigned_abs(), nanos.unsigned_abs() / 1_000);
    Interval {
        value: Box::new(quoted(&format!("{} mons {} days {seconds}", value.months, value.days))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }
}

/// The interval that a text is.
pub fn read(text: &str) -> Option<IntervalMonthDayNano> {
    read_as(text, None)
}

/// What is added up.
#[derive(Default)]
struct Sum {
    months: f64,
    days: f64,
    micros: f64,
}

impl Sum {
    /// So much of a unit; a part of it goes to the smaller ones.
    fn add(&mut self, number: f64, unit: &str) -> Option<()> {
        let (whole, part) = (number.trunc(), number.fract());
        let years = |years: f64| (number * years * 12.0).round_ties_even();
        match unit {
            "millennium" | "millennia" | "mil" | "mils" => self.months += years(1_000.0),
            "century" | "centuries" | "cent" | "c" => self.months += years(100.0),
            "decade" | "decades" | "dec" | "decs" => self.months += years(10.0),
            "year" | "years" | "yr" | "yrs" | "y" => self.months += years(1.0),
            "quarter" | "quarters" => self.months += (number * 3.0).round_ties_even(),
            "month" | "months" | "mon" | "mons" => {
                self.months += whole;
                self.part_of_days(part * 30.0);
            }
            "week" | "weeks" | "w" => self.part_of_days(number * 7.0),
            "day" | "days" | "d" => self.part_of_days(number),
            "hour" | "hours" | "hr" | "hrs" | "h" => self.micros += number * 3_600.0 * SECOND,
            "minute" | "minutes" | "min" | "mins" | "m" => self.micros += number * 60.0 * SECOND,
            "second" | "seconds" | "sec" | "secs" | "s" => self.micros += number * SECOND,
            "millisecond" | "milliseconds" | "msec" | "msecs" | "ms" => self.micros += number * 1e3,
            "microsecond" | "microseconds" | "usec" | "usecs" | "us" => self.micros += number,
            _ => return None,
        }
        Some(())
    }

    fn part_of_days(&mut self, days: f64) {
        self.days += days.trunc();
        self.micros += days.fract() * DAY;
    }

    fn done(self, sign: f64) -> Option<IntervalMonthDayNano> {
        let short = |value: f64| (value.abs() <= f64::from(i32::MAX)).then_some(value as i32);
        let micros = (self.micros * sign).round_ties_even();
        // Whole nanoseconds, of which there are 292 years.
        let nanos = (micros.abs() < 9.2e15).then_some(micros as i64 * 1_000)?;
        Some(IntervalMonthDayNano::new(short(self.months * sign)?, short(self.days * sign)?, nanos))
    }
}

fn read_as(text: &str, unit: Option<&str>) -> Option<IntervalMonthDayNano> {
    let text = text.trim().trim_start_matches('@').trim_start().to_lowercase();
    if let Some(iso) = text.strip_prefix('p') {
        return of_iso(iso);
    }
    let (mut sum, mut sign, mut waiting, mut rest) = (Sum::default(), 1.0, None, text.as_str());
    if rest.is_empty() || rest == "ago" {
        return None;
    }
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_ascii_alphabetic();
        let is_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ':');
        let length = match first {
            _ if is_word => rest.find(|letter: char| !letter.is_ascii_alphabetic()),
            '+' | '-' => rest[1..].find(|letter| !is_number(letter)).map(|end| end + 1),
            _ if is_number(first) => rest.find(|letter| !is_number(letter)),
            _ => return None,
        };
        let (token, behind) = rest.split_at(length.unwrap_or(rest.len()));
        rest = behind.trim_start();
        if is_word {
            match (token, waiting.take()) {
                ("ago", None) if rest.is_empty() => sign = -1.0,
                (_, Some(number)) => sum.add(number, token)?,
                _ => return None,
            }
            continue;
        }
        // What stands before a time without a unit are days: `1 12:30`.
        if token.contains(':') {
            if let Some(days) = waiting.take() {
                sum.add(days, "day")?;
            }
            sum.micros += clock(token)?;
        } else if let Some(months) = behind.strip_prefix('-').filter(|_| waiting.is_none()) {
            // Years and months: `1-2`.
            let end = months.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(months.len());
            let (months, behind) = months.split_at(end);
            let (years, months): (f64, f64) = (token.parse().ok()?, months.parse().ok()?);
            let below = if token.starts_with('-') { -1.0 } else { 1.0 };
            sum.months += years * 12.0 + below * months;
            rest = behind.trim_start();
        } else {
            if waiting.is_some() {
                return None;
            }
            waiting = Some(token.parse::<f64>().ok()?);
        }
    }
    if let Some(number) = waiting {
        sum.add(number, unit.unwrap_or("second"))?;
    }
    sum.done(sign)
}

/// The microseconds of `[-]HH:MM[:SS]`, or of minutes and seconds that have a fraction.
fn clock(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let parts: Vec<f64> = digits.split(':').map(|part| part.parse::<f64>().ok()).collect::<Option<_>>()?;
    let seconds = match parts.as_slice() {
        [minutes, seconds] if digits.contains('.') => minutes * 60.0 + seconds,
        [hours, minutes] if *minutes < 60.0 => hours * 3_600.0 + minutes * 60.0,
        [hours, minutes, seconds] if *minutes < 60.0 && *seconds <= 60.0 => {
            hours * 3_600.0 + minutes * 60.0 + seconds
        }
        _ => return None,
    };
    Some(sign * seconds * SECOND)
}

/// `1y2m3dt4h5m6s`, or `0001-02-03t04:05:06`.
fn of_iso(text: &str) -> Option<IntervalMonthDayNano> {
    let (date, time) = text.split_once('t').unwrap_or((text, ""));
    if text.is_empty() || text.ends_with('t') {
        return None;
    }
    let mut sum = Sum::default();
    let parts: Vec<&str> = date.split('-').collect();
    if let [years, months, days] = parts.as_slice()
        && !years.is_empty()
    {
        sum.add(years.parse().ok()?, "year")?;
        sum.add(months.parse().ok()?, "month")?;
        sum.add(days.parse().ok()?, "day")?;
    } else {
        each(date, &mut sum, |unit| match unit {
            'y' => Some("year"),
            'm' => Some("month"),
            'w' => Some("week"),
            'd' => Some("day"),
            _ => None,
        })?;
    }
    if time.contains(':') {
        sum.micros += clock(time)?;
    } else {
        each(time, &mut sum, |unit| match unit {
            'h' => Some("hour"),
            'm' => Some("minute"),
            's' => Some("second"),
            _ => None,
        })?;
    }
    sum.done(1.0)
}

fn each(mut rest: &str, sum: &mut Sum, named: impl Fn(char) -> Option<&'static str>) -> Option<()> {
    while !rest.is_empty() {
        let end = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, behind) = rest.split_at(end);
        let mut letters = behind.chars();
        sum.add(number.parse().ok()?, named(letters.next()?)?)?;
        rest = letters.as_str();
    }
    Some(())
}

/// `x::interval` of what is no constant.
pub(super) const TO_INTERVAL: Call = Call {
    name: "__to_interval",
    takes: |types| match types {
        [of] if is_length(of) || of == &DataType::Utf8 => Ok(types.to_vec()),
        [DataType::Null] => Ok(vec![DataType::Utf8]),
        [of] => plan_err!("cannot cast type {of} to interval"),
        _ => plan_err!("a cast takes one value"),
    },
    gives: |_, _| Ok(INTERVAL),
    work: |args, _| match args {
        [of] if of.data_type() == &DataType::Utf8 => {
            let one = |text: &str| read(text).ok_or_else(|| unread("interval", text));
            let values = of.as_string::<i32>().iter().map(|text| text.map(one).transpose());
            Ok(Arc::new(values.collect::<Result<IntervalMonthDayNanoArray>>()?))
        }
        [of] => justified(of),
        _ => plan_err!("a cast takes one value"),
    },
};

const fn by(name: &'static str, work: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>) -> Call {
    Call {
        name,
        takes: |types| match types {
            [of, number] if is_length(of) && (number.is_numeric() || number.is_null()) => {
                Ok(vec![of.clone(), DataType::Float64])
            }
            _ => plan_err!("cannot compute: an interval is multiplied with a number, and divided by one"),
        },
        gives: |_, _| Ok(INTERVAL),
        work,
    }
}

/// An interval times a number.
pub(super) const TIMES: Call = by("__interval_times", |args, _| multiplied(args, Ok));
/// An interval divided by a number.
pub(super) const OVER: Call = by("__interval_over", |args, _| {
    multiplied(args, |number| if number == 0.0 { Err(by_zero()) } else { Ok(1.0 / number) })
});

fn multiplied(args: &[ArrayRef], factor: impl Fn(f64) -> Result<f64>) -> Result<ArrayRef> {
    let [of, by] = args else { return plan_err!("an interval and a number are expected") };
    let (of, by) = (justified(of)?, by.as_primitive::<Float64Type>());
    let pairs = of.as_primitive::<IntervalMonthDayNanoType>().iter().zip(by.iter());
    let one = |(of, by): (Option<IntervalMonthDayNano>, Option<f64>)| match (of, by) {
        (Some(of), Some(by)) => product(of, factor(by)?).map(Some),
        _ => Ok(None),
    };
    Ok(Arc::new(pairs.map(one).collect::<Result<IntervalMonthDayNanoArray>>()?))
}

/// What is left of a month becomes days, and what is left of a day seconds.
fn product(of: IntervalMonthDayNano, by: f64) -> Result<IntervalMonthDayNano> {
    let to_micros = |seconds: f64| (seconds * SECOND).round_ties_even() / SECOND;
    let (months, days) = (f64::from(of.months) * by, f64::from(of.days) * by);
    let days_of_month = to_micros(months.fract() * 30.0);
    let seconds = to_micros((days.fract() + days_of_month.fract()) * 86_400.0);
    let sum = Sum {
        months: months.trunc(),
        days: days.trunc() + days_of_month.trunc() + (seconds / 86_400.0).trunc(),
        micros: (of.nanoseconds as f64 / 1e3 * by + (seconds % 86_400.0) * SECOND).round_ties_even(),
    };
    sum.done(1.0).ok_or_else(|| out_of_range("interval out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_in_all_their_forms() {
        let seconds = 1_000_000_000;
        for (text, months, days, nanos) in [
            ("1 day", 0, 1, 0),
            ("01:30:00", 0, 0, 5_400 * seconds),
            ("1 12:59:10", 0, 1, 46_750 * seconds),
            ("-00:00:01.5", 0, 0, -1_500_000_000),
            ("P1Y2M3DT4H5M6S", 14, 3, 14_706 * seconds),
            ("PT0.5S", 0, 0, 500_000_000),
            ("P0001-02-03T04:05:06", 14, 3, 14_706 * seconds),
            ("1-2", 14, 0, 0),
            ("-1-2", -14, 0, 0),
            ("1.5 days", 0, 1, 43_200 * seconds),
            ("1.5 mons", 1, 15, 0),
            ("0.5 years", 6, 0, 0),
            ("2 weeks", 0, 14, 0),
            ("1 day -2 hours", 0, 1, -7_200 * seconds),
            ("1 day ago", 0, -1, 0),
            ("1h30m", 0, 0, 5_400 * seconds),
            ("90", 0, 0, 90 * seconds),
        ] {
            assert_eq!(read(text), Some(IntervalMonthDayNano::new(months, days, nanos)), "{text}");
        }
        for text in ["", "soon", "1 fortnight", "day", "1 2", "P", "PT", "1:99", "ago"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read_as("5", Some("day")), Some(IntervalMonthDayNano::new(0, 5, 0)));
    }
}
