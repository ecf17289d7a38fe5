//! Text to dates and timestamps: as Spark reads them by default, or by a pattern of the user's.
//!
//! | | without an option | with `timestampFormat`, `timestampNTZFormat`, `dateFormat` |
//! |---|---|---|
//! | TIMESTAMP | `2024-02-29T12:34:56.789+01:00` and its shorter forms ([`iso`]); no zone means that of the option `timeZone` | Java's pattern letters ([`pattern`]) |
//! | DATE | `2024-02-29` and its shorter forms | the same |
//!
//! What must stay true: the proleptic Gregorian calendar, microseconds cut (not rounded), and a fault says whether the
//! text has another *format* or names a time that does not exist (*range*): the first is a producer that speaks
//! another dialect, the second a producer whose clock is broken.

mod calendar;
mod iso;
mod pattern;
mod said;

use forebay_core::Zone;
use forebay_core::zone::ZoneFault;
pub(super) use pattern::Pattern;

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeFault {
    /// It is written in another way.
    Format,
    /// It is written right, but there is no such day, time or zone, or 64 bits of microseconds do not reach so far.
    Range,
}

impl From<ZoneFault> for TimeFault {
    fn from(fault: ZoneFault) -> Self {
        match fault {
            ZoneFault::Unknown => Self::Format,
            ZoneFault::Range => Self::Range,
        }
    }
}

/// How times are read.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) timestamp: Option<Pattern>,
    pub(super) timestamp_ntz: Option<Pattern>,
    pub(super) date: Option<Pattern>,
    /// Of the TIMESTAMP texts that name none.
    pub(super) zone: Zone,
}

impl Times {
    /// The pattern by which a type's texts are read, as it was given.
    pub(super) fn format_of(&self, kind: &str) -> Option<&str> {
        let pattern = match kind {
            "DATE" => &self.date,
            "TIMESTAMP_NTZ" => &self.timestamp_ntz,
            _ => &self.timestamp,
        };
        pattern.as_ref().map(Pattern::text)
    }

    /// Microseconds since 1970 UTC, or, without zone, of the local time as if it were UTC.
    pub(super) fn timestamp(&self, text: &[u8], zoned: bool) -> Result<i64, TimeFault> {
        match if zoned { &self.timestamp } else { &self.timestamp_ntz } {
            Some(pattern) => pattern.read(text)?.micros(self.zone_of(zoned)),
            None => iso::timestamp(text, self.zone_of(zoned), false),
        }
    }

    /// The zone of texts that name none; `None` for times that have none.
    fn zone_of(&self, zoned: bool) -> Option<Zone> {
        zoned.then_some(self.zone)
    }

    /// Days since 1970.
    pub(super) fn date(&self, text: &[u8]) -> Result<i32, TimeFault> {
        match &self.date {
            Some(pattern) => pattern.read(text)?.days(),
            None => iso::date(text, false),
        }
    }

    /// As [`Self::timestamp`], with what Spark also takes for a timestamp.
    pub(super) fn spark_timestamp(&self, text: &[u8], zoned: bool) -> Result<i64, TimeFault> {
        let pattern = if zoned { &self.timestamp } else { &self.timestamp_ntz };
        if let Some(pattern) = pattern {
            return pattern.read(text)?.micros(self.zone_of(zoned));
        }
        let zone = self.zone_of(zoned);
        iso::timestamp(text, zone, true).or_else(|fault| legacy(text, zone.ok_or(fault)?, fault))
    }

    /// As [`Self::date`], with what Spark also takes for a date: text after the day, a number of days.
    pub(super) fn spark_date(&self, text: &[u8]) -> Result<i32, TimeFault> {
        if let Some(pattern) = &self.date {
            return pattern.read(text)?.days();
        }
        iso::date(text, true).or_else(|fault| {
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i32>().ok());
            number.ok_or(fault)
        })
    }
}

/// Spark 2 wrote `GMT` before offsets; Spark still reads it so.
fn legacy(text: &[u8], zone: Zone, fault: TimeFault) -> Result<i64, TimeFault> {
    let Ok(text) = std::str::from_utf8(text) else { return Err(fault) };
    if !text.contains("GMT") {
        return Err(fault);
    }
    iso::timestamp(text.replace("GMT", "").as_bytes(), Some(zone), true)
}
