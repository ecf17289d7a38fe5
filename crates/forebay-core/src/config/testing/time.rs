//! Times as tests write them. Pure.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use crate::options::parse_duration;

/// The time of a step, in milliseconds.
pub(super) fn time_ms(text: &str, begin_ms: i64, before_ms: i64) -> Option<i64> {
    if let Some(after) = text.trim().strip_prefix('+') {
        let after = i64::try_from(parse_duration(after)?.as_millis()).ok()?;
        return before_ms.checked_add(after);
    }
    moment_us(text, begin_ms.checked_mul(1_000)?).map(|us| us.div_euclid(1_000))
}

/// A time as tests write it, in microseconds since 1970: with its date, or a time of the day on which `begin_us` lies. In
/// UTC, unless it says how far from that it is.
pub fn moment_us(text: &str, begin_us: i64) -> Option<i64> {
    let text = text.trim();
    let us = |time: NaiveDateTime| Some(time.and_utc().timestamp_micros());
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    if let Some(time) =
        ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())
    {
        return us(DateTime::from_timestamp_micros(begin_us)?.date_naive().and_time(time));
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return us(day.and_time(NaiveTime::MIN));
    }
    let forms = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    us(forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_of_the_tests_day_or_has_its_own() {
        let day = moment_us("2026-11-21", 0).unwrap();
        for (text, expected) in [
            ("00:00:05", day + 5_000_000),
            ("00:01", day + 60_000_000),
            ("00:00:00.25", day + 250_000),
            ("2026-11-21T00:00:01Z", day + 1_000_000),
            ("2026-11-21 01:00:01+01:00", day + 1_000_000),
            ("2026-11-21 00:00:01", day + 1_000_000),
            ("1970-01-01", 0),
        ] {
            assert_eq!(moment_us(text, day + 3_600_000_000), Some(expected), "{text}");
        }
        for odd in ["", "5", "25:00", "2026-13-01", "+5 seconds", "noon", "10:00:00 uhr"] {
            assert_eq!(moment_us(odd, 0), None, "{odd}");
        }
        assert_eq!(time_ms("+1 minute 5s", 0, 7), Some(65_007));
        assert_eq!(time_ms("00:00:07", 0, 9_000), Some(7_000));
        assert_eq!((time_ms("+", 0, 0), time_ms("+5", 0, 0)), (None, None));
    }
}
