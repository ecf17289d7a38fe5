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
use forebay_core::error::{Error, Result, codes};
use forebay_core::options::Options;
use forebay_core::zone::ZoneFault;
use pattern::Pattern;

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeFault {
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
pub(crate) struct Times {
    pub(super) timestamp: Option<Pattern>,
    pub(super) timestamp_ntz: Option<Pattern>,
    pub(super) date: Option<Pattern>,
    /// Of the TIMESTAMP texts that name none.
    pub(super) zone: Zone,
}

impl Times {
    /// As the options say: the three patterns and `timeZone`. Fails with `BAD_VALUE`.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let pattern = |name| options.text(name).map(|text| Pattern::new(name, text)).transpose();
        Ok(Self {
            timestamp: pattern("timestampFormat")?,
            timestamp_ntz: pattern("timestampNTZFormat")?,
            date: pattern("dateFormat")?,
            zone: options.text("timeZone").map_or(Ok(Zone::UTC), zone)?,
        })
    }

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
    pub(crate) fn spark_timestamp(&self, text: &[u8], zoned: bool) -> Result<i64, TimeFault> {
        let pattern = if zoned { &self.timestamp } else { &self.timestamp_ntz };
        if let Some(pattern) = pattern {
            return pattern.read(text)?.micros(self.zone_of(zoned));
        }
        let zone = self.zone_of(zoned);
        iso::timestamp(text, zone, true).or_else(|fault| legacy(text, zone.ok_or(fault)?, fault))
    }

    /// As [`Self::date`], with text after the day, which Spark takes for a date too.
    pub(crate) fn spark_date(&self, text: &[u8]) -> Result<i32, TimeFault> {
        match &self.date {
            Some(pattern) => pattern.read(text)?.days(),
            None => iso::date(text, true),
        }
    }

    /// The same, or a number of days: as Spark reads JSON.
    pub(super) fn spark_date_or_days(&self, text: &[u8]) -> Result<i32, TimeFault> {
        self.spark_date(text).or_else(|fault| {
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i32>().ok());
            number.filter(|_| self.date.is_none()).ok_or(fault)
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

fn zone(name: &str) -> Result<Zone> {
    Zone::read(name.trim()).map_err(|_| {
        let message = format!("option `timeZone` is `{name}`, which is no time zone");
        Error::new(&codes::BAD_VALUE, message).with_hint(
            "Zones have the names of the IANA database, such as `Europe/Berlin`, or are offsets: `+02:00`.",
        )
    })
}
