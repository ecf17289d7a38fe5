//! The time in an event: `2023-01-05 11:13:53.643364`, also with `T` and with a zone.
//!
//! What must stay true: a time that is moved keeps its form, and no more of the event than its time changes.

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeDelta};

/// A time, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    at: DateTime<FixedOffset>,
    separator: char,
    zone: Zone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    /// None is written; it is UTC.
    Unsaid,
    Z,
    Offset,
}

impl Stamp {
    /// Reads a time; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let separator = match text.as_bytes().get(10)? {
            b' ' => ' ',
            b'T' => 'T',
            _ => return None,
        };
        let iso = text.replacen(' ', "T", 1);
        if let Ok(at) = DateTime::parse_from_rfc3339(&iso) {
            let zone = if iso.ends_with(['Z', 'z']) { Zone::Z } else { Zone::Offset };
            return Some(Self { at, separator, zone });
        }
        let at = NaiveDateTime::parse_from_str(&iso, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        Some(Self { at: at.and_utc().fixed_offset(), separator, zone: Zone::Unsaid })
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.at.timestamp_micros()
    }

    /// The time so many microseconds later, written as this one, with microseconds.
    pub fn later(self, micros: i64) -> String {
        let at = self.at.checked_add_signed(TimeDelta::microseconds(micros)).unwrap_or(self.at);
        let zone = match self.zone {
            Zone::Unsaid => String::new(),
            Zone::Z => "Z".to_owned(),
            Zone::Offset => at.format("%:z").to_string(),
        };
        format!("{}{}{}{zone}", at.format("%Y-%m-%d"), self.separator, at.format("%H:%M:%S%.6f"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_moved_keeps_its_form() {
        let minute = 60_000_000;
        for (text, later) in [
            ("2023-01-05 11:13:53.643364", "2023-01-05 11:14:53.643364"),
            ("2023-01-05 23:59:53", "2023-01-06 00:00:53.000000"),
            ("2023-01-05T11:13:53.5", "2023-01-05T11:14:53.500000"),
            ("2023-01-05T11:13:53.643364Z", "2023-01-05T11:14:53.643364Z"),
            ("2023-01-05 11:13:53+01:00", "2023-01-05 11:14:53.000000+01:00"),
        ] {
            assert_eq!(Stamp::parse(text).unwrap().later(minute), later, "{text}");
        }
        let micros = |text: &str| Stamp::parse(text).unwrap().micros();
        assert_eq!(micros("1970-01-01 00:00:00.000001"), 1);
        assert_eq!(micros("1970-01-01 01:00:00+01:00"), 0);
        for wrong in
            ["", "2023-01-05", "2023-01-0511:13:53.643364", "2023-13-05 11:13:53", "2023-01-05 11:13", "now"]
        {
            assert_eq!(Stamp::parse(wrong), None, "{wrong}");
        }
    }
}
