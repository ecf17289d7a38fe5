//! Time zones as Java (and so Spark) has them: regions such as `Europe/Berlin`, and fixed offsets such as `+02:00`.
//!
//! A [`Zone`] says what clocks show at an instant ([`Zone::local`]) and at which instant they show a time
//! ([`Zone::instant`]). A time that clocks show twice is the earlier one; a time that they leave out is moved forward by
//! as much as they are: Java's rules. A day begins at its first instant ([`Zone::day_start`]).
//!
//! What must stay true: no time makes an overflow; `local` of what `instant` gives is the time that was asked for,
//! unless clocks leave it out.

use std::fmt;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeZone as _};
use chrono_tz::{OffsetComponents, Tz};

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400;

/// The largest offset from UTC, in seconds.
const MOST: i64 = 18 * 3600;

/// How far before a gap its earlier offset is looked for, in hours: from the shortest to beyond the longest that was.
const BEFORE_GAP: [i64; 4] = [1, 3, 25, 49];

/// Clocks change, and change back, more than so many seconds apart.
const STEADY: i64 = 6 * 3600;

/// Names of three letters that stand for a region or an offset.
const SHORT: [(&str, &str); 28] = [
    ("EST", "-05:00"),
    ("MST", "-07:00"),
    ("HST", "-10:00"),
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// Seconds east of UTC.
    Offset(i64),
    /// A region of the IANA database.
    Region(Tz),
}

/// Why a text is no zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneFault {
    /// Nobody knows it.
    Unknown,
    /// Its offset is beyond 18 hours.
    Range,
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(0) => f.write_str("UTC"),
            Self::Region(zone) => f.write_str(zone.name()),
            Self::Offset(offset) => {
                let (sign, seconds) = (if *offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
                write!(f, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)?;
                if seconds % 60 > 0 { write!(f, ":{:02}", seconds % 60) } else { Ok(()) }
            }
        }
    }
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self::Offset(0);

    /// Reads a zone by its name as Java has it.
    ///
    /// # Errors
    /// [`ZoneFault`].
    pub fn read(name: &str) -> Result<Self, ZoneFault> {
        if matches!(name, "Z" | "UTC" | "GMT" | "UT") {
            return Ok(Self::UTC);
        }
        if name.starts_with(['+', '-']) {
            return offset(name).map(Self::Offset);
        }
        for prefix in ["UTC", "GMT", "UT"] {
            if let Some(rest) = name.strip_prefix(prefix)
                && rest.starts_with(['+', '-'])
            {
                return offset(rest).map(Self::Offset);
            }
        }
        if let Some((_, meaning)) = SHORT.iter().find(|(short, _)| *short == name) {
            return Self::read(meaning);
        }
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || name.len() < 2 {
            return Err(ZoneFault::Unknown);
        }
        name.parse().map(Self::Region).map_err(|_| ZoneFault::Unknown)
    }

    /// The names of all regions.
    pub fn regions() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// True if it is UTC by another name at most.
    pub fn is_utc(&self) -> bool {
        match self {
            Self::Offset(offset) => *offset == 0,
            Self::Region(zone) => matches!(zone, Tz::UTC | Tz::Etc__UTC),
        }
    }

    /// By how many seconds its clocks are ahead of UTC at this instant (seconds since 1970). Beyond chrono's calendar as
    /// at its ends.
    pub fn offset_at(&self, utc: i64) -> i64 {
        let zone = match self {
            Self::Offset(offset) => return *offset,
            Self::Region(zone) => zone,
        };
        seconds_of(zone.offset_from_utc_datetime(&naive(utc)))
    }

    /// True if its clocks are on daylight time at this instant (seconds since 1970). In Ireland and Morocco that is summer's,
    /// as people have it, though the database calls winter the exception there.
    pub fn is_daylight(&self, utc: i64) -> bool {
        let Self::Region(zone) = self else { return false };
        let offset = zone.offset_from_utc_datetime(&naive(utc));
        match zone {
            Tz::Europe__Dublin | Tz::Eire | Tz::Africa__Casablanca | Tz::Africa__El_Aaiun => {
                seconds_of(offset) == 3600
            }
            _ => offset.dst_offset() > chrono::TimeDelta::zero(),
        }
    }

    /// What its clocks show at an instant; both in microseconds, the result as if it were UTC.
    pub fn local(&self, utc_us: i64) -> i64 {
        utc_us.saturating_add(self.offset_at(utc_us.div_euclid(MICROS)) * MICROS)
    }

    /// The instant at which its clocks show a time, microseconds as in [`Self::local`].
    pub fn instant(&self, local_us: i64) -> i64 {
        self.instant_near(local_us, None)
    }

    /// The same; of two instants the one with this offset, if one has it.
    pub fn instant_near(&self, local_us: i64, offset: Option<i64>) -> i64 {
        let (earlier, later) = self.offsets(local_us.div_euclid(MICROS));
        let offset = offset.filter(|offset| *offset == later).unwrap_or(earlier);
        local_us.saturating_sub(offset * MICROS)
    }

    /// Seconds since 1970 of a local time in such seconds; `None` beyond 64 bits.
    pub fn seconds(&self, local: i64) -> Option<i64> {
        local.checked_sub(self.offsets(local).0)
    }

    /// The first instant, in microseconds, of a day (counted since 1970).
    pub fn day_start(&self, day: i64) -> i64 {
        let midnight = day.saturating_mul(DAY);
        let (offset, _) = self.offsets(midnight);
        let start = midnight.saturating_sub(offset);
        if start.saturating_add(self.offset_at(start)) == midnight {
            return start.saturating_mul(MICROS);
        }
        // Clocks leave midnight out: the day begins when they pass over it.
        let (mut before, mut after) = (start.saturating_sub(DAY), start.saturating_add(DAY));
        while after.saturating_sub(before) > 1 {
            let middle = before + (after - before) / 2;
            if middle.saturating_add(self.offset_at(middle)) < midnight {
                before = middle;
            } else {
                after = middle;
            }
        }
        after.saturating_mul(MICROS)
    }

    /// The offsets at which clocks show this time: of the earlier instant, and of the later one. Where they leave it out
    /// both are the offset before that.
    fn offsets(&self, local: i64) -> (i64, i64) {
        let zone = match self {
            Self::Offset(offset) => return (*offset, *offset),
            Self::Region(zone) => zone,
        };
        let shown = |local: i64| match zone.offset_from_local_datetime(&naive(local)) {
            MappedLocalTime::Single(offset) => Some((seconds_of(offset), seconds_of(offset))),
            // The earlier instant has the larger offset.
            MappedLocalTime::Ambiguous(one, other) => {
                let (one, other) = (seconds_of(one), seconds_of(other));
                Some((one.max(other), one.min(other)))
            }
            MappedLocalTime::None => None,
        };
        let before_gap = || {
            let earlier = |hours: &i64| shown(local.saturating_sub(hours * 3600));
            BEFORE_GAP.iter().find_map(earlier).map(|(_, offset)| (offset, offset))
        };
        shown(local).or_else(before_gap).unwrap_or_default()
    }
}

fn seconds_of(offset: impl chrono::Offset) -> i64 {
    offset.fix().local_minus_utc().into()
}

fn naive(utc: i64) -> NaiveDateTime {
    let ends = || if utc < 0 { NaiveDateTime::MIN } else { NaiveDateTime::MAX };
    DateTime::from_timestamp(utc, 0).map_or_else(ends, |time| time.naive_utc())
}

/// A zone's offsets for many instants that mostly lie near each other.
#[derive(Debug)]
pub struct Offsets {
    zone: Zone,
    /// From which second until which the offset holds.
    from: i64,
    until: i64,
    offset: i64,
}

impl Offsets {
    /// Nothing is known yet.
    pub fn new(zone: Zone) -> Self {
        Self { zone, from: 0, until: 0, offset: 0 }
    }

    /// As [`Zone::offset_at`] of an instant in microseconds.
    #[inline]
    pub fn at(&mut self, utc_us: i64) -> i64 {
        let utc = utc_us.div_euclid(MICROS);
        if utc < self.from || utc >= self.until {
            let from = utc.div_euclid(STEADY).saturating_mul(STEADY);
            let until = from.saturating_add(STEADY);
            let offset = self.zone.offset_at(utc);
            let steady = [from, until.saturating_sub(1)].iter().all(|at| self.zone.offset_at(*at) == offset);
            (self.from, self.until) = if steady { (from, until) } else { (utc, utc.saturating_add(1)) };
            self.offset = offset;
        }
        self.offset
    }

    /// As [`Zone::local`].
    #[inline]
    pub fn local(&mut self, utc_us: i64) -> i64 {
        utc_us.saturating_add(self.at(utc_us) * MICROS)
    }
}

/// Seconds of `+1`, `+01`, `+0130`, `+01:30`, `+1:30`, `+01:3`, `+013015`, `+01:30:15`.
fn offset(text: &str) -> Result<i64, ZoneFault> {
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("-", rest)) => (-1, rest),
        Some(("+", rest)) => (1, rest),
        _ => return Err(ZoneFault::Unknown),
    };
    let parts: Vec<&str> = if rest.contains(':') {
        rest.split(':').collect()
    } else {
        match rest.len() {
            1 | 2 => vec![rest],
            4 if rest.is_ascii() => vec![&rest[..2], &rest[2..]],
            6 if rest.is_ascii() => vec![&rest[..2], &rest[2..4], &rest[4..]],
            _ => return Err(ZoneFault::Unknown),
        }
    };
    let mut numbers = [0_i64; 3];
    let count = parts.len();
    if count > 3 {
        return Err(ZoneFault::Unknown);
    }
    for (index, (number, part)) in numbers.iter_mut().zip(&parts).enumerate() {
        // One digit only where Spark puts the zero that Java wants: in the hours, or in minutes that end the text.
        let one_digit_allowed = index == 0 || (index == 1 && count == 2);
        if !(part.len() == 2 || part.len() == 1 && one_digit_allowed)
            || !part.bytes().all(|b| b.is_ascii_digit())
        {
            return Err(ZoneFault::Unknown);
        }
        *number = part.parse().map_err(|_| ZoneFault::Unknown)?;
    }
    let [hours, minutes, seconds] = numbers;
    let total = hours * 3600 + minutes * 60 + seconds;
    if minutes > 59 || seconds > 59 || total > MOST {
        return Err(ZoneFault::Range);
    }
    Ok(sign * total)
}

#[cfg(test)]
mod tests;
