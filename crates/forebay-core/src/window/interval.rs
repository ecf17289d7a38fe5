//! Spark's intervals as text: `10 minutes`, `1 hour 30 seconds`, `interval 1.5 seconds`.

use std::fmt;

use crate::error::{Error, Result, codes};

/// A span of time as Spark's `CalendarInterval` has it: months and days have no fixed length, so they are counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Months; a year is twelve.
    pub months: i32,
    /// Days; a week is seven.
    pub days: i32,
    /// Everything shorter.
    pub micros: i64,
}

const MILLISECOND: i64 = 1_000;
const SECOND: i64 = 1_000 * MILLISECOND;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What one of a unit is, by its name without an `s` at its end.
const UNITS: [(&str, Interval); 9] = [
    ("year", Interval { months: 12, days: 0, micros: 0 }),
    ("month", Interval { months: 1, days: 0, micros: 0 }),
    ("week", Interval { months: 0, days: 7, micros: 0 }),
    ("day", Interval { months: 0, days: 1, micros: 0 }),
    ("hour", Interval { months: 0, days: 0, micros: HOUR }),
    ("minute", Interval { months: 0, days: 0, micros: MINUTE }),
    ("second", Interval { months: 0, days: 0, micros: SECOND }),
    ("millisecond", Interval { months: 0, days: 0, micros: MILLISECOND }),
    ("microsecond", Interval { months: 0, days: 0, micros: 1 }),
];

impl Interval {
    /// Reads one or several numbers with their units, in upper or lower case, with or without `interval` before them. A
    /// number may have a sign; one of seconds may have a fraction of up to nine digits, of which six count.
    ///
    /// # Errors
    /// `SQL_PLAN` that says which word is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        parse(text).map_err(|problem| {
            Error::new(&codes::SQL_PLAN, format!("`{}` is not an interval: {problem}", shown(text))).with_hint(
                "Write a number and its unit, as in `10 minutes` or `1 hour 30 seconds`. Units are written out, as in Spark: \
                 year, month, week, day, hour, minute, second, millisecond and microsecond.",
            )
        })
    }

    /// Its length, days being 24 hours; `text` is what was typed.
    ///
    /// # Errors
    /// `SQL_PLAN` if it has months or years, or is longer than 64 bits hold.
    pub fn fixed_micros(self, text: &str) -> Result<i64> {
        if self.months != 0 {
            let message = format!("`{}` has months or years, which have no fixed length", shown(text));
            let hint = "Give it in weeks, days or shorter units.";
            return Err(Error::new(&codes::SQL_PLAN, message).with_hint(hint));
        }
        i64::from(self.days).checked_mul(DAY).and_then(|days| days.checked_add(self.micros)).ok_or_else(
            || {
                Error::new(&codes::SQL_PLAN, format!("`{}` is too long", shown(text)))
                    .with_hint("Most are 292,000 years.")
            },
        )
    }

    fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            months: self.months.checked_add(other.months)?,
            days: self.days.checked_add(other.days)?,
            micros: self.micros.checked_add(other.micros)?,
        })
    }

    fn checked_mul(self, count: i64) -> Option<Self> {
        let small = |part: i32| i32::try_from(i64::from(part).checked_mul(count)?).ok();
        Some(Self {
            months: small(self.months)?,
            days: small(self.days)?,
            micros: self.micros.checked_mul(count)?,
        })
    }
}

/// A length as [`Interval::parse`] reads it: `20 seconds`, `1 day 12 hours`. Days are 24 hours.
pub fn words(us: i64) -> String {
    // 64 bits hold less than 107 million days.
    let days = i32::try_from(us / DAY).unwrap_or_default();
    Interval { months: 0, days, micros: us % DAY }.to_string()
}

impl fmt::Display for Interval {
    /// As [`Interval::parse`] reads it: `1 hour 30 seconds`, `8 minutes 49.25 seconds`; what is nothing is `0 seconds`. Hours
    /// do not become days, which may be longer or shorter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = [
            (i64::from(self.months / 12), "year"),
            (i64::from(self.months % 12), "month"),
            (i64::from(self.days), "day"),
            (self.micros / HOUR, "hour"),
            (self.micros % HOUR / MINUTE, "minute"),
        ];
        let there = whole.into_iter().filter(|(count, _)| *count != 0);
        let mut parts: Vec<String> = there.map(|(count, unit)| counted(&count.to_string(), unit)).collect();
        let rest = self.micros % MINUTE;
        if rest != 0 || parts.is_empty() {
            parts.push(below_a_minute(rest, parts.is_empty()));
        }
        f.write_str(&parts.join(" "))
    }
}

/// Seconds with their fraction; what is less than one and stands alone is counted in shorter units.
fn below_a_minute(micros: i64, is_alone: bool) -> String {
    if is_alone && micros != 0 && micros.abs() < SECOND {
        return match micros % MILLISECOND {
            0 => counted(&(micros / MILLISECOND).to_string(), "millisecond"),
            _ => counted(&micros.to_string(), "microsecond"),
        };
    }
    let sign = if micros < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:06}", micros.abs() / SECOND, micros.abs() % SECOND);
    counted(text.trim_end_matches('0').trim_end_matches('.'), "second")
}

fn counted(count: &str, unit: &str) -> String {
    let plural = if matches!(count, "1" | "-1") { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// A text as it may stand in a message.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

fn parse(text: &str) -> Result<Interval, String> {
    let lower = text.trim().to_ascii_lowercase();
    let mut rest = match lower.strip_prefix("interval") {
        Some(rest) if rest.is_empty() || rest.starts_with(char::is_whitespace) => rest.trim_start(),
        Some(_) => return Err("a blank stands after `interval`".to_owned()),
        None => &lower,
    };
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut total = Interval::default();
    while !rest.is_empty() {
        let (negative, unsigned) = match rest.as_bytes()[0] {
            b'-' => (true, rest[1..].trim_start()),
            b'+' => (false, rest[1..].trim_start()),
            _ => (false, rest),
        };
        let (number, after) = word(unsigned);
        let (unit, next) = word(after);
        let part = part(number, unit, negative)?;
        total = total.checked_add(part).ok_or("it is too long")?;
        rest = next;
    }
    Ok(total)
}

/// The first word, and what begins with the next.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn part(number: &str, unit: &str, negative: bool) -> Result<Interval, String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if number.is_empty() || number == "." || !digits(whole) || !digits(fraction) {
        return Err(match number.find(|c: char| !c.is_ascii_digit() && c != '.') {
            Some(at) if at > 0 => format!("a blank stands between number and unit, in `{number}`"),
            _ => format!("expected a number, found `{number}`"),
        });
    }
    if unit.is_empty() {
        return Err(format!("`{number}` has no unit"));
    }
    let name = unit.strip_suffix('s').unwrap_or(unit);
    let Some((_, one)) = UNITS.iter().find(|(known, _)| *known == name) else {
        return Err(format!("`{unit}` is no unit"));
    };
    if number.contains('.') && name != "second" {
        return Err(format!("only seconds have a fraction, not `{number} {unit}`"));
    }
    if fraction.len() > 9 {
        return Err(format!("`{number}` has more than nine digits behind its point"));
    }
    // Six digits of a fraction are microseconds.
    let micros: i64 = format!("{fraction:0<6}")[..6].parse().map_err(|_| "it is too long".to_owned())?;
    let count: i64 =
        if whole.is_empty() { 0 } else { whole.parse().map_err(|_| format!("`{number}` is too large"))? };
    let sign = if negative { -1 } else { 1 };
    let part = one.checked_mul(sign * count).ok_or("it is too long")?;
    part.checked_add(Interval { micros: sign * micros, ..Interval::default() })
        .ok_or_else(|| "it is too long".to_owned())
}
