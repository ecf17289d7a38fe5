//! `to_char(time, pattern)` with PostgreSQL's patterns for times; DataFusion's own takes those of C.
//!
//! A pattern that is not known is a text and comes out as it is, as in PostgreSQL. Numbers have patterns of another kind,
//! which are refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The function.
pub(super) fn to_char() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(ToChar { signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToChar {
    signature: Signature,
}

const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &'static str {
        "to_char"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [time, _] = types else { return plan_err!("to_char takes a time and a pattern") };
        if !(time.is_temporal() || time.is_null()) {
            return plan_err!("to_char takes a time here, not {time}: cast a number to text, or round it");
        }
        // What clocks show in UTC, the zone of every session.
        let time = match time {
            DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            _ => TIME,
        };
        Ok(vec![time, DataType::Utf8])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [time, pattern] = args.args.as_slice() else { return exec_err!("to_char takes two arguments") };
        let (time, pattern) = (time.to_array(args.number_rows)?, pattern.to_array(args.number_rows)?);
        let (time, pattern) =
            (time.as_primitive::<TimestampMicrosecondType>(), cast(&pattern, &DataType::Utf8)?);
        let mut out = StringBuilder::new();
        for (micros, pattern) in time.iter().zip(pattern.as_string::<i32>()) {
            let at = micros.and_then(DateTime::from_timestamp_micros);
            out.append_option(at.zip(pattern).map(|(at, pattern)| written(at.naive_utc(), pattern)));
        }
        let out: ArrayRef = Arc::new(out.finish());
        Ok(ColumnarValue::Array(out))
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The patterns, the longer of two that begin alike first.
const PATTERNS: [&str; 47] = [
    "HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "AM", "PM", "am", "pm", "A.M.", "P.M.",
    "a.m.", "p.m.", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "IDDD", "ID", "IW", "I", "MONTH",
    "Month", "month", "MON", "Mon", "mon", "MM", "DAY", "Day", "day", "DY", "Dy", "dy", "DDD", "DD", "D",
    "WW", "Q",
];

fn written(at: NaiveDateTime, pattern: &str) -> String {
    let (mut out, mut rest, mut is_filled) = (String::new(), pattern, true);
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (text, behind) = rest[1..].split_once('"').unwrap_or((&rest[1..], ""));
            out.push_str(text);
            rest = behind;
            continue;
        }
        if let Some(behind) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (is_filled, rest) = (false, behind);
            continue;
        }
        // Numbers have no case: `yyyy-mm-dd` is `YYYY-MM-DD`.
        let found = PATTERNS.iter().find(|known| {
            rest.starts_with(**known)
                || (!known.contains(char::is_lowercase) && rest.starts_with(known.to_lowercase().as_str()))
        });
        let Some(known) = found else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[known.len()..];
        let value = value(at, known);
        out.push_str(if is_filled { &value } else { bare(&value) });
        is_filled = true;
    }
    out
}

/// Without blanks behind a name and zeros before a number.
fn bare(value: &str) -> &str {
    let value = value.trim_end();
    match value.trim_start_matches('0') {
        "" => value.get(value.len().saturating_sub(1)..).unwrap_or(value),
        rest => rest,
    }
}

fn value(at: NaiveDateTime, pattern: &str) -> String {
    let month = MONTHS.get(at.month0() as usize).copied().unwrap_or_default();
    let day = DAYS.get(at.weekday().num_days_from_sunday() as usize).copied().unwrap_or_default();
    let week = at.iso_week();
    let cased = |name: &str, pattern: &str| match pattern.chars().nth(1) {
        Some(second) if second.is_uppercase() => name.to_uppercase(),
        _ if pattern.starts_with(char::is_uppercase) => name.to_owned(),
        _ => name.to_lowercase(),
    };
    let hour = at.hour();
    match pattern {
        "HH24" => format!("{hour:02}"),
        "HH12" | "HH" => format!("{:02}", if hour.is_multiple_of(12) { 12 } else { hour % 12 }),
        "MI" => format!("{:02}", at.minute()),
        "SSSSS" | "SSSS" => at.num_seconds_from_midnight().to_string(),
        "SS" => format!("{:02}", at.second()),
        "MS" => format!("{:03}", at.nanosecond() / 1_000_000),
        "US" => format!("{:06}", at.nanosecond() / 1_000),
        "AM" | "PM" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "am" | "pm" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        "A.M." | "P.M." => if hour < 12 { "A.M." } else { "P.M." }.to_owned(),
        "a.m." | "p.m." => if hour < 12 { "a.m." } else { "p.m." }.to_owned(),
        "Y,YYY" => format!("{},{:03}", at.year() / 1_000, at.year() % 1_000),
        "YYYY" => format!("{:04}", at.year()),
        "YYY" => format!("{:03}", at.year() % 1_000),
        "YY" => format!("{:02}", at.year() % 100),
        "Y" => (at.year() % 10).to_string(),
        "IYYY" => format!("{:04}", week.year()),
        "IYY" => format!("{:03}", week.year() % 1_000),
        "IY" => format!("{:02}", week.year() % 100),
        "I" => (week.year() % 10).to_string(),
        "IDDD" => format!("{:03}", (week.week() - 1) * 7 + at.weekday().number_from_monday()),
        "ID" => at.weekday().number_from_monday().to_string(),
        "IW" => format!("{:02}", week.week()),
        "MONTH" | "Month" | "month" => format!("{:<9}", cased(month, pattern)),
        "MON" | "Mon" | "mon" => cased(month.get(..3).unwrap_or(month), pattern),
        "MM" => format!("{:02}", at.month()),
        "DAY" | "Day" | "day" => format!("{:<9}", cased(day, pattern)),
        "DY" | "Dy" | "dy" => cased(day.get(..3).unwrap_or(day), pattern),
        "DDD" => format!("{:03}", at.ordinal()),
        "DD" => format!("{:02}", at.day()),
        "D" => (at.weekday().num_days_from_sunday() + 1).to_string(),
        "WW" => format!("{:02}", (at.ordinal() - 1) / 7 + 1),
        _ => (at.month0() / 3 + 1).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_postgresqls() {
        let at = DateTime::from_timestamp_micros(1_767_323_045_006_700).unwrap().naive_utc();
        for (pattern, expected) in [
            ("YYYY-MM-DD HH24:MI:SS", "2026-01-02 03:04:05"),
            ("yyyy-mm-dd\"T\"hh24:mi:ss.MS", "2026-01-02T03:04:05.006"),
            ("Day, DD Mon YYYY", "Friday   , 02 Jan 2026"),
            ("FMDay, FMDD FMMonth", "Friday, 2 January"),
            ("HH12:MI AM, US", "03:04 AM, 006700"),
            ("IYYY-\"W\"IW-ID Q", "2026-W01-5 1"),
        ] {
            assert_eq!(written(at, pattern), expected);
        }
    }
}
