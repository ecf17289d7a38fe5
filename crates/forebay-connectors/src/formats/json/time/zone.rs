//! Zones: offsets, `UTC+1`, and regions such as `Europe/Berlin`, as Java names them.
//!
//! A local time that happened twice is the earlier one; one that never happened is moved forward by the gap, as Java
//! does.

use arrow::array::timezone::Tz;
use chrono::{DateTime, Duration, MappedLocalTime, NaiveDateTime, Offset as _, TimeZone as _};

use super::TimeFault;

/// The largest offset from UTC, in seconds.
const MOST: i64 = 18 * 3600;

/// How far before a gap its earlier offset is looked for, in hours: from the shortest to beyond the longest that was.
const BEFORE_GAP: [i64; 4] = [1, 3, 25, 49];

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

/// A zone.
#[derive(Clone, Copy, Debug)]
pub(super) enum Zone {
    /// Seconds east of UTC.
    Offset(i64),
    Region(Tz),
}

impl Zone {
    /// Reads a zone by its name. `Format` if nobody knows it, `Range` if its offset is beyond 18 hours.
    pub(super) fn read(name: &str) -> Result<Self, TimeFault> {
        match name {
            "Z" | "UTC" | "GMT" | "UT" => return Ok(Self::Offset(0)),
            _ => {}
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
            return Err(TimeFault::Format);
        }
        name.parse().map(Self::Region).map_err(|_| TimeFault::Format)
    }

    /// Seconds since 1970 UTC of a local time that is this many seconds after 1970-01-01T00:00.
    pub(super) fn to_utc(self, local: i64) -> Result<i64, TimeFault> {
        let zone = match self {
            Self::Offset(offset) => return local.checked_sub(offset).ok_or(TimeFault::Range),
            Self::Region(zone) => zone,
        };
        let naive = DateTime::from_timestamp(local, 0).ok_or(TimeFault::Range)?.naive_utc();
        let offset_at = |at: NaiveDateTime| match zone.offset_from_local_datetime(&at) {
            MappedLocalTime::Single(offset) => Some(offset),
            MappedLocalTime::Ambiguous(one, other) => {
                // The earlier instant has the larger offset.
                let (first, second) = (one.fix().local_minus_utc(), other.fix().local_minus_utc());
                Some(if first >= second { one } else { other })
            }
            MappedLocalTime::None => None,
        };
        let found = offset_at(naive).or_else(|| {
            let earlier = |hours: &i64| naive.checked_sub_signed(Duration::hours(*hours)).and_then(offset_at);
            BEFORE_GAP.iter().find_map(earlier)
        });
        let offset = found.ok_or(TimeFault::Range)?.fix().local_minus_utc();
        local.checked_sub(i64::from(offset)).ok_or(TimeFault::Range)
    }
}

/// Seconds of `+1`, `+01`, `+0130`, `+01:30`, `+1:30`, `+01:3`, `+013015`, `+01:30:15`.
fn offset(text: &str) -> Result<i64, TimeFault> {
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("-", rest)) => (-1, rest),
        Some(("+", rest)) => (1, rest),
        _ => return Err(TimeFault::Format),
    };
    let parts: Vec<&str> = if rest.contains(':') {
        rest.split(':').collect()
    } else {
        match rest.len() {
            1 | 2 => vec![rest],
            4 if rest.is_ascii() => vec![&rest[..2], &rest[2..]],
            6 if rest.is_ascii() => vec![&rest[..2], &rest[2..4], &rest[4..]],
            _ => return Err(TimeFault::Format),
        }
    };
    let mut numbers = [0_i64; 3];
    let count = parts.len();
    if count > 3 {
        return Err(TimeFault::Format);
    }
    for (index, (number, part)) in numbers.iter_mut().zip(&parts).enumerate() {
        // One digit only where Spark puts the zero that Java wants: in the hours, or in minutes that end the text.
        let one_digit_allowed = index == 0 || (index == 1 && count == 2);
        if !(part.len() == 2 || part.len() == 1 && one_digit_allowed)
            || !part.bytes().all(|b| b.is_ascii_digit())
        {
            return Err(TimeFault::Format);
        }
        *number = part.parse().map_err(|_| TimeFault::Format)?;
    }
    let [hours, minutes, seconds] = numbers;
    let total = hours * 3600 + minutes * 60 + seconds;
    if minutes > 59 || seconds > 59 || total > MOST {
        return Err(TimeFault::Range);
    }
    Ok(sign * total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_in_all_their_forms() {
        for (text, expected) in [
            ("Z", 0),
            ("+1", 3600),
            ("-01", -3600),
            ("+0130", 5400),
            ("+01:30", 5400),
            ("+1:30", 5400),
            ("+01:3", 3780),
            ("+013015", 5415),
            ("-18:00", -64_800),
            ("UTC+2", 7200),
            ("GMT-03:30", -12_600),
            ("EST", -18_000),
        ] {
            assert!(matches!(Zone::read(text), Ok(Zone::Offset(offset)) if offset == expected), "{text}");
        }
        for text in [
            "",
            "z",
            "+",
            "+1a",
            "+01:60x",
            "+012",
            "01:00",
            "Mars/Olympus",
            "+01:30:1",
            "\u{fc}+1",
            "+\u{fc}\u{fc}",
        ] {
            assert_eq!(Zone::read(text).err(), Some(TimeFault::Format), "{text}");
        }
        for text in ["+19:00", "+18:01", "+01:60"] {
            assert_eq!(Zone::read(text).err(), Some(TimeFault::Range), "{text}");
        }
    }
}
