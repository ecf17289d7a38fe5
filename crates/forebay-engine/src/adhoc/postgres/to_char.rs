//! `to_char(time, pattern)` with PostgreSQL's patterns for times; DataFusion's own takes those of C.
//!
//! What is no pattern is a text and comes out as it is, as in PostgreSQL, and inside of quotes everything. Numbers have patterns
//! of another kind, which are refused.

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
        let has_zone = matches!(
            args.arg_fields.first().map(|field| field.data_type()),
            Some(DataType::Timestamp(_, Some(_)))
        );
        let mut out = StringBuilder::new();
        for (micros, pattern) in time.iter().zip(pattern.as_string::<i32>()) {
            let at = micros.and_then(DateTime::from_timestamp_micros);
            out.append_option(
                at.zip(pattern).map(|(at, pattern)| written(at.naive_utc(), has_zone, pattern)),
            );
        }
        let out: ArrayRef = Arc::new(out.finish());
        Ok(ColumnarValue::Array(out))
    }
}

/// The patterns, the longer of two that begin alike first.
const PATTERNS: [&str; 72] = [
    "HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
    "AM", "PM", "am", "pm", "A.M.", "P.M.", "a.m.", "p.m.", "AD", "BC", "ad", "bc", "A.D.", "B.C.", "a.d.",
    "b.c.", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "IDDD", "ID", "IW", "I", "MONTH",
    "Month", "month", "MON", "Mon", "mon", "MM", "DAY", "Day", "day", "DY", "Dy", "dy", "DDD", "DD", "D",
    "WW", "W", "CC", "J", "Q", "RM", "rm", "TZH", "TZM", "TZ", "tz", "OF", "FX",
];

fn written(at: NaiveDateTime, has_zone: bool, pattern: &str) -> String {
    let (mut out, mut rest, mut is_filled) = (String::new(), pattern, true);
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = quoted(&rest[1..], &mut out);
            continue;
        }
        if let Some(behind) = rest.strip_prefix("\\\"") {
            out.push('"');
            rest = behind;
            continue;
        }
        if let Some(behind) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (is_filled, rest) = (false, behind);
            continue;
        }
        // Names of this language are as without it.
        if let Some(behind) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            rest = behind;
            continue;
        }
        // Numbers have no case: `yyyy-mm-dd` is `YYYY-MM-DD`.
        let folded = |known: &&&str| {
            !known.contains(char::is_lowercase) && rest.starts_with(known.to_lowercase().as_str())
        };
        let exact = PATTERNS.iter().find(|known| rest.starts_with(**known));
        let found = exact.or_else(|| PATTERNS.iter().find(folded));
        let Some(known) = found else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[known.len()..];
        let value = value(at, has_zone, known);
        let value = if is_filled { value.as_str() } else { bare(&value) };
        out.push_str(value);
        is_filled = true;
        if let Some(behind) = rest.strip_prefix("TH").or_else(|| rest.strip_prefix("th")) {
            out.push_str(&ordinal(value, rest.starts_with('T')));
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("SP").or_else(|| rest.strip_prefix("sp")) {
            rest = behind;
        }
    }
    out
}

/// The text up to the quote that ends it, in which a backslash keeps the letter behind it; gives what stands behind the quote.
fn quoted<'p>(text: &'p str, out: &mut String) -> &'p str {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => out.extend(letters.next()),
            letter => out.push(letter),
        }
    }
    letters.as_str()
}

/// `st`, `nd`, `rd` or `th` behind a number; behind a name there is none.
fn ordinal(value: &str, is_upper: bool) -> String {
    let digits = value.as_bytes();
    let (Some(last), before) = (digits.last(), digits.len().checked_sub(2).and_then(|at| digits.get(at)))
    else {
        return String::new();
    };
    if !last.is_ascii_digit() {
        return String::new();
    }
    let end = match (before, last) {
        (Some(b'1'), _) => "th",
        (_, b'1') => "st",
        (_, b'2') => "nd",
        (_, b'3') => "rd",
        _ => "th",
    };
    if is_upper { end.to_uppercase() } else { end.to_owned() }
}

/// Without blanks behind a name and zeros before a number.
fn bare(value: &str) -> &str {
    let value = value.trim_end();
    match value.trim_start_matches('0') {
        "" => value.get(value.len().saturating_sub(1)..).unwrap_or(value),
        rest => rest,
    }
}

/// The months as Romans number them.
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
/// The day 1970-01-01, counted from the first of the calendar that astronomers use.
const JULIAN: i64 = 2_440_588;

fn value(at: NaiveDateTime, has_zone: bool, pattern: &str) -> String {
    // Before the first year stands the first before it.
    let year = if at.year() > 0 { at.year() } else { 1 - at.year() };
    let is_bc = at.year() <= 0;
    let name = |form: &str| at.format(form).to_string();
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
        "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
            let digits = format!("{:06}", at.nanosecond() / 1_000);
            let count = pattern.get(2..).and_then(|count| count.parse().ok()).unwrap_or(6);
            digits.get(..count).unwrap_or(&digits).to_owned()
        }
        "AD" | "BC" => if is_bc { "BC" } else { "AD" }.to_owned(),
        "ad" | "bc" => if is_bc { "bc" } else { "ad" }.to_owned(),
        "A.D." | "B.C." => if is_bc { "B.C." } else { "A.D." }.to_owned(),
        "a.d." | "b.c." => if is_bc { "b.c." } else { "a.d." }.to_owned(),
        "CC" => match (is_bc, (year + 99) / 100) {
            (true, century) => format!("-{century:02}"),
            (false, century) => format!("{century:02}"),
        },
        "J" => (at.and_utc().timestamp().div_euclid(86_400) + JULIAN).to_string(),
        "W" => ((at.day() - 1) / 7 + 1).to_string(),
        "RM" => format!("{:<4}", ROMAN.get(at.month0() as usize).copied().unwrap_or_default()),
        "rm" => format!("{:<4}", ROMAN.get(at.month0() as usize).copied().unwrap_or_default()).to_lowercase(),
        // Every session is in UTC.
        "TZ" => if has_zone { "UTC" } else { "" }.to_owned(),
        "tz" => if has_zone { "utc" } else { "" }.to_owned(),
        "TZH" | "OF" => "+00".to_owned(),
        "TZM" => "00".to_owned(),
        "FX" => String::new(),
        "Y,YYY" => format!("{},{:03}", year / 1_000, year % 1_000),
        "YYYY" => format!("{year:04}"),
        "YYY" => format!("{:03}", year % 1_000),
        "YY" => format!("{:02}", year % 100),
        "Y" => (year % 10).to_string(),
        "IYYY" => format!("{:04}", week.year()),
        "IYY" => format!("{:03}", week.year() % 1_000),
        "IY" => format!("{:02}", week.year() % 100),
        "I" => (week.year() % 10).to_string(),
        "IDDD" => format!("{:03}", (week.week() - 1) * 7 + at.weekday().number_from_monday()),
        "ID" => at.weekday().number_from_monday().to_string(),
        "IW" => format!("{:02}", week.week()),
        "MONTH" | "Month" | "month" => format!("{:<9}", cased(&name("%B"), pattern)),
        "MON" | "Mon" | "mon" => cased(&name("%b"), pattern),
        "MM" => format!("{:02}", at.month()),
        "DAY" | "Day" | "day" => format!("{:<9}", cased(&name("%A"), pattern)),
        "DY" | "Dy" | "dy" => cased(&name("%a"), pattern),
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
            ("DDth FMDDth YYYYTH Day th", "02nd 2nd 2026TH Friday    th"),
            ("W CC J TZ OF rm AD a.d. FF3", "1 21 2461043 UTC +00 i    AD a.d. 006"),
            ("\"W\" \"a\\\"b\" \\\"", "W a\"b \""),
        ] {
            assert_eq!(written(at, true, pattern), expected, "{pattern}");
        }
    }
}
