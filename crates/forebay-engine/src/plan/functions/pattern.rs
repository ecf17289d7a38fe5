//! Spark's date-time patterns (Java's `DateTimeFormatter` letters): read once, then used for every row.
//!
//! Times are written, and read where a text names no zone, in a [`Zone`]. What a pattern asks for and this module does
//! not know is an error when the pattern is read, so nothing is formatted wrongly in silence.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use forebay_core::Zone;

/// A pattern, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Item>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    Number(Field, usize),
    /// `SSS`: digits of the second's fraction.
    Fraction(usize),
    MonthName {
        full: bool,
    },
    DayName {
        full: bool,
    },
    AmPm,
    /// `Z`, `+01`, `+0100`, `+01:00`: by width, and whether UTC prints as `Z`.
    Offset {
        width: usize,
        zulu: bool,
    },
    /// `z`: known for UTC only.
    ZoneName,
    /// `VV`.
    ZoneId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    DayOfYear,
    Hour24,
    Hour12,
    Minute,
    Second,
    Quarter,
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
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MICROS: u64 = 1_000_000;

impl Pattern {
    /// Reads a pattern for times in a zone; the error says what is not supported.
    pub fn parse(text: &str, zone: Zone) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(letter) = chars.next() {
            if letter == '\'' {
                items.push(Item::Literal(quoted(&mut chars)?));
                continue;
            }
            if !letter.is_ascii_alphabetic() {
                if "[]{}#".contains(letter) {
                    return Err(format!("`{letter}` in the date pattern `{text}` is not supported"));
                }
                items.push(Item::Literal(letter.to_string()));
                continue;
            }
            let mut count = 1;
            while chars.next_if_eq(&letter).is_some() {
                count += 1;
            }
            items.push(item(letter, count).ok_or_else(|| {
                format!(
                    "`{}` in the date pattern `{text}` is not supported",
                    letter.to_string().repeat(count)
                )
            })?);
        }
        if items.contains(&Item::ZoneName) && !zone.is_utc() {
            return Err(format!(
                "`z` in the date pattern `{text}` is not supported in the zone {zone}: write `VV` for its name, `xxx` for its offset"
            ));
        }
        Ok(Self(items))
    }

    /// True if a text that it reads names a zone.
    pub fn names_zone(&self) -> bool {
        self.0.iter().any(|item| matches!(item, Item::Offset { .. } | Item::ZoneName | Item::ZoneId))
    }

    /// Writes what the clocks of a zone show, microseconds since 1970 as if they were UTC, so many seconds ahead of it.
    /// False if it lies beyond the calendar.
    pub fn format(&self, local: i64, offset: i64, zone: Zone, out: &mut String) -> bool {
        let Some(time) = DateTime::<Utc>::from_timestamp_micros(local).map(|time| time.naive_utc()) else {
            return false;
        };
        for item in &self.0 {
            // Writing to a String cannot fail.
            let _ = match item {
                Item::Literal(text) => out.write_str(text),
                Item::Number(Field::Year, 2) => write!(out, "{:02}", time.year().rem_euclid(100)),
                Item::Number(field, width) => write!(out, "{:0width$}", field.of(&time), width = *width),
                Item::Fraction(width) => {
                    let digits = format!("{:06}000", time.and_utc().timestamp_subsec_micros());
                    out.write_str(digits.get(..*width).unwrap_or(&digits))
                }
                Item::MonthName { full } => out.write_str(name(&MONTHS, time.month0() as usize, *full)),
                Item::DayName { full } => {
                    out.write_str(name(&DAYS, time.weekday().num_days_from_monday() as usize, *full))
                }
                Item::AmPm => out.write_str(if time.hour() < 12 { "AM" } else { "PM" }),
                Item::Offset { zulu: true, .. } if offset == 0 => out.write_str("Z"),
                Item::Offset { width, .. } => {
                    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
                    let (hours, minutes) = (minutes / 60, minutes % 60);
                    match width {
                        1 if minutes == 0 => write!(out, "{sign}{hours:02}"),
                        3 => write!(out, "{sign}{hours:02}:{minutes:02}"),
                        _ => write!(out, "{sign}{hours:02}{minutes:02}"),
                    }
                }
                Item::ZoneName => out.write_str("UTC"),
                Item::ZoneId => write!(out, "{zone}"),
            };
        }
        true
    }

    /// Reads a time: microseconds since 1970 UTC, in `zone` if the text names none. All of the text must fit.
    pub fn read(&self, text: &str, zone: Zone) -> Option<i64> {
        let mut found = Found { year: 1970, month: 1, day: 1, ..Found::default() };
        let mut rest = text;
        for (index, item) in self.0.iter().enumerate() {
            let digits_follow = matches!(self.0.get(index + 1), Some(Item::Number(..) | Item::Fraction(_)));
            rest = match item {
                Item::Literal(literal) => rest.strip_prefix(literal.as_str())?,
                Item::Number(field, width) => {
                    let (least, most) = field.digits(*width, digits_follow);
                    let (number, rest) = digits(rest, least, most)?;
                    found.set(*field, *width, number)?;
                    rest
                }
                Item::Fraction(width) => {
                    let (number, rest) = digits(rest, *width, *width)?;
                    let scale = 10_u64.checked_pow(u32::try_from(*width).ok()?)?;
                    found.micros = u64::from(number) * MICROS / scale;
                    rest
                }
                Item::MonthName { full } => {
                    let (month, rest) = named(rest, &MONTHS, *full)?;
                    found.month = u32::try_from(month).ok()? + 1;
                    rest
                }
                Item::DayName { full } => named(rest, &DAYS, *full)?.1,
                Item::AmPm => {
                    let half = rest.get(..2)?;
                    found.afternoon = Some(half.eq_ignore_ascii_case("PM"));
                    (half.eq_ignore_ascii_case("AM") || half.eq_ignore_ascii_case("PM"))
                        .then(|| &rest[2..])?
                }
                Item::Offset { .. } => {
                    let (offset, rest) = offset(rest)?;
                    found.zone = Some(Zone::Offset(offset));
                    rest
                }
                Item::ZoneName => ["UTC", "GMT", "Z"].iter().find_map(|zone| rest.strip_prefix(zone))?,
                Item::ZoneId => {
                    let of_zone = |c: char| c.is_ascii_alphanumeric() || "/_+-:".contains(c);
                    let (name, rest) = rest.split_at(rest.find(|c| !of_zone(c)).unwrap_or(rest.len()));
                    found.zone = Some(Zone::read(name).ok()?);
                    rest
                }
            };
        }
        if rest.is_empty() { found.micros(zone) } else { None }
    }
}

fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let mut text = String::new();
    if chars.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    loop {
        match chars.next() {
            Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') => return Ok(text),
            Some(c) => text.push(c),
            None => return Err("a quote in the date pattern is not closed".to_owned()),
        }
    }
}

fn item(letter: char, count: usize) -> Option<Item> {
    let number = |field| (count <= 2).then_some(Item::Number(field, count));
    match letter {
        'y' | 'u' if count <= 6 => Some(Item::Number(Field::Year, count)),
        'M' | 'L' => match count {
            1 | 2 => number(Field::Month),
            3 => Some(Item::MonthName { full: false }),
            4 => Some(Item::MonthName { full: true }),
            _ => None,
        },
        'd' => number(Field::Day),
        'D' if count <= 3 => Some(Item::Number(Field::DayOfYear, count)),
        'H' => number(Field::Hour24),
        'h' => number(Field::Hour12),
        'm' => number(Field::Minute),
        's' => number(Field::Second),
        'q' | 'Q' => number(Field::Quarter),
        'S' if count <= 9 => Some(Item::Fraction(count)),
        'E' if count <= 3 => Some(Item::DayName { full: false }),
        'E' if count == 4 => Some(Item::DayName { full: true }),
        'a' if count == 1 => Some(Item::AmPm),
        'X' if count <= 3 => Some(Item::Offset { width: count, zulu: true }),
        'x' if count <= 3 => Some(Item::Offset { width: count, zulu: false }),
        'Z' if count <= 3 => Some(Item::Offset { width: 2, zulu: false }),
        'z' if count <= 3 => Some(Item::ZoneName),
        'V' if count == 2 => Some(Item::ZoneId),
        _ => None,
    }
}

impl Field {
    fn of(self, time: &NaiveDateTime) -> i64 {
        match self {
            Self::Year => i64::from(time.year()),
            Self::Month => i64::from(time.month()),
            Self::Day => i64::from(time.day()),
            Self::DayOfYear => i64::from(time.ordinal()),
            Self::Hour24 => i64::from(time.hour()),
            Self::Hour12 => i64::from(time.hour12().1),
            Self::Minute => i64::from(time.minute()),
            Self::Second => i64::from(time.second()),
            Self::Quarter => i64::from(time.month0() / 3 + 1),
        }
    }

    /// How many digits may stand in a text: `d` takes one or two, `dd` exactly two, as Java does.
    fn digits(self, width: usize, digits_follow: bool) -> (usize, usize) {
        match (self, width) {
            (_, width) if digits_follow => (width, width),
            (Self::Year, 1 | 3) => (1, 6),
            (Self::DayOfYear, 1) => (1, 3),
            (_, 1) => (1, 2),
            (_, width) => (width, width),
        }
    }
}

#[derive(Default)]
struct Found {
    year: i32,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    hour: u32,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    micros: u64,
    zone: Option<Zone>,
}

impl Found {
    fn set(&mut self, field: Field, width: usize, number: u32) -> Option<()> {
        match field {
            Field::Year if width == 2 => self.year = 2000 + i32::try_from(number).ok()?,
            Field::Year => self.year = i32::try_from(number).ok()?,
            Field::Month => self.month = number,
            Field::Day => self.day = number,
            Field::DayOfYear => self.day_of_year = Some(number),
            Field::Hour24 => self.hour = number,
            Field::Hour12 => self.hour = (1..=12).contains(&number).then_some(number % 12)?,
            Field::Minute => self.minute = number,
            Field::Second => self.second = number,
            Field::Quarter => {}
        }
        Some(())
    }

    fn micros(self, zone: Zone) -> Option<i64> {
        let date = match self.day_of_year {
            Some(day) => NaiveDate::from_yo_opt(self.year, day)?,
            None => NaiveDate::from_ymd_opt(self.year, self.month, self.day)?,
        };
        let hour = self.hour + if self.afternoon == Some(true) { 12 } else { 0 };
        let time = NaiveTime::from_hms_opt(hour, self.minute, self.second)?;
        let seconds = self.zone.unwrap_or(zone).seconds(date.and_time(time).and_utc().timestamp())?;
        seconds.checked_mul(1_000_000)?.checked_add(i64::try_from(self.micros).ok()?)
    }
}

fn name(names: &[&'static str], index: usize, full: bool) -> &'static str {
    let name = names.get(index).copied().unwrap_or_default();
    if full { name } else { name.get(..3).unwrap_or(name) }
}

fn named<'t>(text: &'t str, names: &[&'static str], full: bool) -> Option<(usize, &'t str)> {
    (0..names.len()).find_map(|index| {
        let name = name(names, index, full);
        text.strip_prefix(name).map(|rest| (index, rest))
    })
}

fn digits(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    (length >= least).then_some(())?;
    Some((text.get(..length)?.parse().ok()?, text.get(length..)?))
}

fn offset(text: &str) -> Option<(i64, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = digits(text.get(1..)?, 2, 2)?;
    let after_colon = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = digits(after_colon, 2, 2).unwrap_or((0, rest));
    (hours <= 18 && minutes < 60).then(|| (sign * i64::from(hours * 3600 + minutes * 60), rest))
}

#[cfg(test)]
mod tests;
