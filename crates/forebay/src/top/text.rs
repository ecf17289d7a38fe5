//! Numbers, times and names as people read them in a terminal.

use chrono::{DateTime, Datelike, FixedOffset, Local, TimeZone, Utc};
use serde_json::Value;

/// What stands for a value that is not there.
pub const NOTHING: &str = "–";

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The local time at a moment, in milliseconds since 1970.
pub type Zone = fn(i64) -> DateTime<FixedOffset>;

/// The zone of this machine.
pub fn here(ms: i64) -> DateTime<FixedOffset> {
    Local.timestamp_millis_opt(ms).single().map_or_else(|| utc(ms), |time| time.fixed_offset())
}

/// No zone.
pub fn utc(ms: i64) -> DateTime<FixedOffset> {
    Utc.timestamp_millis_opt(ms).single().unwrap_or_default().fixed_offset()
}

/// `1,234,567`
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// `3 devices`, `1 device`
pub fn many(number: u64, one: &str) -> String {
    counted(number, one, &format!("{one}s"))
}

/// `3 queries`, `1 query`
pub fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

/// A number with this many decimals and grouped thousands; far from one in powers of ten.
pub fn fixed(number: f64, decimals: usize) -> String {
    let size = number.abs();
    if !number.is_finite() {
        return number.to_string();
    }
    if size >= 1e15 || (size > 0.0 && size < 1e-6) {
        return format!("{number:.2e}");
    }
    let text = format!("{size:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let sign =
        if number < 0.0 && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) { "-" } else { "" };
    let dot = if rest.is_empty() { "" } else { "." };
    format!("{sign}{}{dot}{rest}", grouped(whole))
}

/// Decimals that carry meaning where the largest number is `size`.
pub fn decimals(size: f64) -> usize {
    match size.abs() {
        size if size >= 1_000.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 || size == 0.0 => 2,
        _ => 4,
    }
}

/// Events per second: one decimal below ten.
pub fn rate(number: f64) -> String {
    fixed(number, usize::from(number < 9.95 && number.fract() != 0.0))
}

/// `1.2 KiB`
pub fn bytes(number: u64) -> String {
    let (mut size, mut unit) = (number as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    format!("{} {unit}", fixed(size, usize::from(unit != "B" && size < 100.0)))
}

/// A span in at most two units: `320 ms`, `4.2 s`, `3 min`, `2 h 05 min`, `3 d 4 h`.
pub fn span(ms: i64) -> String {
    match ms {
        ms if ms < SECOND => format!("{} ms", ms.max(0)),
        ms if ms < 10 * SECOND => format!("{:.1} s", ms as f64 / 1000.0),
        ms if ms < 2 * MINUTE => format!("{} s", ms / SECOND),
        ms if ms < HOUR => format!("{} min", ms / MINUTE),
        ms if ms < 2 * DAY => format!("{} h {:02} min", ms / HOUR, ms % HOUR / MINUTE),
        ms => format!("{} d {} h", ms / DAY, ms % DAY / HOUR),
    }
}

/// How long ago, coarse enough not to flicker: `now`, `4 s ago`.
pub fn ago(ms: i64, now: i64) -> String {
    match now.saturating_sub(ms) {
        age if age < 2 * SECOND => "now".to_owned(),
        age if age < 2 * MINUTE => format!("{} s ago", age / SECOND),
        age => format!("{} ago", span(age)),
    }
}

/// `14:03:22`
pub fn clock(ms: i64, zone: Zone) -> String {
    zone(ms).format("%H:%M:%S").to_string()
}

/// A moment seen from `now`: `14:03` today, `20 Nov 14:03` another day, `20 Nov 2027 14:03` in another year.
pub fn moment(ms: i64, now: i64, zone: Zone) -> String {
    let (that, today) = (zone(ms), zone(now));
    let is_today = that.date_naive() == today.date_naive();
    let format = match that.year() == today.year() {
        _ if is_today => "%H:%M",
        true => "%-d %b %H:%M",
        false => "%-d %b %Y %H:%M",
    };
    that.format(format).to_string()
}

/// A moment as the server may write it: milliseconds, or ISO 8601.
pub fn millis(value: &Value) -> Option<i64> {
    let parsed = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
    value.as_i64().or_else(|| parsed(value.as_str()?))
}

/// Any value of data.
pub fn value(value: &Value, decimals: usize) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |it| fixed(it, decimals)),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_carry_meaning() {
        for (number, places, text) in [
            (1234.5, 1, "1,234.5"),
            (-0.04, 1, "0.0"),
            (-1e6, 0, "-1,000,000"),
            (999.0, 0, "999"),
            (1e300, 1, "1.00e300"),
            (f64::NAN, 1, "NaN"),
        ] {
            assert_eq!(fixed(number, places), text);
        }
        assert_eq!([rate(20.0), rate(0.5), rate(19_999.7)], ["20", "0.5", "20,000"]);
        assert_eq!([bytes(0), bytes(1_300), bytes(300 << 20)], ["0 B", "1.3 KiB", "300 MiB"]);
        assert_eq!([many(1, "device"), many(1_000, "device")], ["1 device", "1,000 devices"]);
        assert_eq!([1, 2].map(|number| counted(number, "query", "queries")), ["1 query", "2 queries"]);
    }

    #[test]
    fn times_are_as_coarse_as_they_are_old() {
        assert_eq!(
            [320, 4_200, 65_000, 185_000, 7_500_000, 273_600_000].map(span),
            ["320 ms", "4.2 s", "65 s", "3 min", "2 h 05 min", "3 d 4 h"]
        );
        assert_eq!([ago(0, 1_999), ago(0, 4_000), ago(0, 180_000)], ["now", "4 s ago", "3 min ago"]);
        let noon = 1_795_262_400_000;
        assert_eq!(moment(noon, noon + HOUR, utc), "12:00");
        assert_eq!(moment(noon - DAY, noon, utc), "20 Nov 12:00");
        assert_eq!(moment(noon + 365 * DAY, noon, utc), "21 Nov 2027 12:00");
        assert_eq!(millis(&"2026-11-21T12:00:00.000Z".into()), Some(noon));
        assert_eq!(millis(&noon.into()), Some(noon));
        assert_eq!(millis(&"soon".into()), None);
    }
}
