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

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// What one of a unit is, by its name without an `s` at its end.
const UNITS: [(&str, Interval); 9] = [
    ("year", Interval { months: 12, days: 0, micros: 0 }),
    ("month", Interval { months: 1, days: 0, micros: 0 }),
    ("week", Interval { months: 0, days: 7, micros: 0 }),
    ("day", Interval { months: 0, days: 1, micros: 0 }),
    ("hour", Interval { months: 0, days: 0, micros: 3_600 * SECOND }),
    ("minute", Interval { months: 0, days: 0, micros: 60 * SECOND }),
    ("second", Interval { months: 0, days: 0, micros: SECOND }),
    ("millisecond", Interval { months: 0, days: 0, micros: 1_000 }),
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

/// A length as [`Interval::parse`] reads it: `20 seconds`, `8 minutes 49.25 seconds`. Days are 24 hours.
pub fn words(us: i64) -> String {
    let sign = if us < 0 { "-" } else { "" };
    let counted = |count: &str, unit: &str| {
        let plural = if count == "1" { "" } else { "s" };
        format!("{sign}{count} {unit}{plural}")
    };
    let mut rest = us.unsigned_abs();
    let mut parts = Vec::new();
    for (size, unit) in [(DAY, "day"), (3_600 * SECOND, "hour"), (60 * SECOND, "minute")] {
        let size = size.unsigned_abs();
        if rest >= size {
            parts.push(counted(&(rest / size).to_string(), unit));
        }
        rest %= size;
    }
    let (second, milli) = (SECOND.unsigned_abs(), 1_000);
    match rest {
        0 if !parts.is_empty() => {}
        rest if rest == 0 || rest >= second || !parts.is_empty() => {
            let text = format!("{}.{:06}", rest / second, rest % second);
            parts.push(counted(text.trim_end_matches('0').trim_end_matches('.'), "second"));
        }
        rest if rest.is_multiple_of(milli) => parts.push(counted(&(rest / milli).to_string(), "millisecond")),
        rest => parts.push(counted(&rest.to_string(), "microsecond")),
    }
    parts.join(" ")
}

impl fmt::Display for Interval {
    /// As [`Interval::parse`] reads it: `1 hour 30 seconds`; what is nothing is `0 seconds`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut is_first = true;
        for (name, one) in UNITS.iter().filter(|(name, _)| *name != "week") {
            let (part, unit) = match one {
                Self { months: 1.., .. } => (i64::from(rest.months), i64::from(one.months)),
                Self { days: 1.., .. } => (i64::from(rest.days), i64::from(one.days)),
                _ => (rest.micros, one.micros),
            };
            let count = part / unit;
            match one {
                Self { months: 1.., .. } => rest.months %= one.months,
                Self { days: 1.., .. } => rest.days %= one.days,
                _ => rest.micros %= one.micros,
            }
            if count == 0 {
                continue;
            }
            let (blank, plural) = (if is_first { "" } else { " " }, if count.abs() == 1 { "" } else { "s" });
            write!(f, "{blank}{count} {name}{plural}")?;
            is_first = false;
        }
        if is_first { f.write_str("0 seconds") } else { Ok(()) }
    }
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
