//! Java's date patterns: `dd/MM/yyyy HH:mm`, `yyyy-MM-dd'T'HH:mm:ss.SSSXXX`.
//!
//! Read once when the pipeline is built, into a list of small parts; a letter that is not supported is refused then,
//! not when the first record comes. The rules are those of Java's strict resolver as Spark sets it up: doubled letters
//! are fixed widths, a variable number leaves room for fixed ones right after it, a fraction may be shorter than its
//! letters, missing months and days are 1, missing times 0, and text is compared without case.
//!
//! | letters | |
//! |---|---|
//! | `y` `M` `d` `H` `h` `k` `K` `m` `s` `S` `a` `E` | year, month (`MMM` Feb, `MMMM` February), day, hours, minute, second, fraction, AM/PM, weekday |
//! | `X` `x` `Z` `VV` | offset with `Z` for UTC, offset, offset as `+0100`, zone by name |
//! | `'text'` `''` `[ ]` | literal text, a quote, an optional part |

use forebay_core::error::{Error, Result, codes};

use super::TimeFault;
use super::said::{Field, Said};
use forebay_core::Zone;

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
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A pattern that was understood.
#[derive(Debug)]
pub(in super::super) struct Pattern {
    /// As it was given.
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(char),
    /// `leave` digits at the end of the run belong to the numbers right after this one.
    Number {
        field: Field,
        least: usize,
        most: usize,
        leave: usize,
    },
    /// Two digits of a year from 2000 on.
    ShortYear,
    Fraction {
        most: usize,
    },
    MonthName {
        full: bool,
    },
    WeekdayName {
        full: bool,
    },
    HalfOfDay,
    /// An offset; with `minutes` always or only if needed, with colons or not, `Z` allowed for UTC or not.
    Offset {
        minutes: bool,
        colons: bool,
        zulu: bool,
    },
    ZoneName,
    Optional(Vec<Part>),
}

impl Pattern {
    /// The pattern as it was given.
    pub(in super::super) fn text(&self) -> &str {
        &self.text
    }

    /// Understands a pattern. `option` is its option's name, for the error.
    pub(in super::super) fn new(option: &str, text: &str) -> Result<Self> {
        let bad = |what: String| {
            Error::new(&codes::BAD_VALUE, format!("option `{option}` is `{text}`: {what}")).with_hint(
                "Supported are the letters y M d H h k K m s S a E X x Z VV, 'text' and [optional parts].",
            )
        };
        let mut stack = vec![Vec::new()];
        let mut letters = text.chars().peekable();
        while let Some(c) = letters.next() {
            let Some(parts) = stack.last_mut() else { break };
            match c {
                '\'' => {
                    if letters.next_if_eq(&'\'').is_some() {
                        parts.push(Part::Literal('\''));
                        continue;
                    }
                    loop {
                        match letters.next() {
                            Some('\'') if letters.next_if_eq(&'\'').is_some() => {
                                parts.push(Part::Literal('\''))
                            }
                            Some('\'') => break,
                            Some(c) => parts.push(Part::Literal(c)),
                            None => return Err(bad("a quote is not closed".to_owned())),
                        }
                    }
                }
                '[' => stack.push(Vec::new()),
                ']' => match (stack.pop(), stack.last_mut()) {
                    (Some(optional), Some(outer)) => outer.push(Part::Optional(optional)),
                    _ => return Err(bad("a `]` has no `[`".to_owned())),
                },
                '{' | '}' | '#' => return Err(bad(format!("`{c}` is reserved"))),
                letter if letter.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while letters.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    let part = part(letter, count);
                    parts.push(part.ok_or_else(|| {
                        bad(format!("`{}` is not supported", String::from(letter).repeat(count)))
                    })?);
                }
                other => parts.push(Part::Literal(other)),
            }
        }
        let mut parts = stack.pop().unwrap_or_default();
        if !stack.is_empty() {
            return Err(bad("a `[` is not closed".to_owned()));
        }
        leave_room(&mut parts);
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Reads a text, all of it.
    pub(super) fn read(&self, text: &[u8]) -> std::result::Result<Said, TimeFault> {
        let text = std::str::from_utf8(text).map_err(|_| TimeFault::Format)?;
        let mut said = Said::default();
        match read(&self.parts, text, &mut said)? {
            "" => Ok(said),
            _ => Err(TimeFault::Format),
        }
    }
}

/// What a run of one letter means.
fn part(letter: char, count: usize) -> Option<Part> {
    let number = |field| match count {
        1 => Some(Part::Number { field, least: 1, most: 19, leave: 0 }),
        2 => Some(Part::Number { field, least: 2, most: 2, leave: 0 }),
        _ => None,
    };
    match (letter, count) {
        ('y', 2) => Some(Part::ShortYear),
        ('y', 1..=6) => Some(Part::Number { field: Field::Year, least: count, most: 19, leave: 0 }),
        ('M', 3 | 4) => Some(Part::MonthName { full: count == 4 }),
        ('M', _) => number(Field::Month),
        ('d', _) => number(Field::Day),
        ('H', _) => number(Field::Hour),
        ('k', _) => number(Field::HourFromOne),
        ('K', _) => number(Field::HalfHour),
        ('h', _) => number(Field::HalfHourFromOne),
        ('m', _) => number(Field::Minute),
        ('s', _) => number(Field::Second),
        ('S', 1..=9) => Some(Part::Fraction { most: count }),
        ('a', 1) => Some(Part::HalfOfDay),
        ('E', 1..=4) => Some(Part::WeekdayName { full: count == 4 }),
        ('X' | 'x', 1..=3) => {
            Some(Part::Offset { minutes: count > 1, colons: count == 3, zulu: letter == 'X' })
        }
        ('Z', 1..=3) => Some(Part::Offset { minutes: true, colons: false, zulu: false }),
        ('V', 2) => Some(Part::ZoneName),
        _ => None,
    }
}

/// Tells each number of variable width how many digits the fixed ones right after it need.
fn leave_room(parts: &mut [Part]) {
    let mut fixed = 0;
    for part in parts.iter_mut().rev() {
        match part {
            Part::Number { least, most, .. } if least == most => fixed += *least,
            Part::Number { leave, .. } => {
                *leave = fixed;
                fixed = 0;
            }
            Part::Optional(inner) => {
                leave_room(inner);
                fixed = 0;
            }
            _ => fixed = 0,
        }
    }
}

fn read<'a>(parts: &[Part], mut text: &'a str, said: &mut Said) -> std::result::Result<&'a str, TimeFault> {
    for part in parts {
        text = match part {
            Part::Optional(inner) => {
                let mut tried = said.clone();
                match read(inner, text, &mut tried) {
                    Ok(rest) => {
                        *said = tried;
                        rest
                    }
                    Err(_) => text,
                }
            }
            part => read_part(part, text, said)?,
        };
    }
    Ok(text)
}

fn read_part<'a>(part: &Part, text: &'a str, said: &mut Said) -> std::result::Result<&'a str, TimeFault> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let value = |text: &str| text.parse::<i64>().map_err(|_| TimeFault::Range);
    match part {
        Part::Literal(expected) => match text.chars().next() {
            Some(c) if c == *expected || c.eq_ignore_ascii_case(expected) => Ok(&text[c.len_utf8()..]),
            _ => Err(TimeFault::Format),
        },
        Part::Number { field, least, most, leave } => {
            let (sign, text) = match text.split_at_checked(1) {
                Some((sign @ ("-" | "+"), rest)) if least != most => (sign, rest),
                _ => ("", text),
            };
            let digits =
                if sign.is_empty() { digits } else { text.bytes().take_while(u8::is_ascii_digit).count() };
            let taken = digits.saturating_sub(*leave).min(*most);
            // Years wider than their letters carry a plus, narrower ones do not; no other number has one.
            let plus_fits = *field == Field::Year && *least >= 4 && taken > *least;
            if taken < *least || (sign == "+") != plus_fits && sign != "-" {
                return Err(TimeFault::Format);
            }
            let number = value(&text[..taken])?;
            said.set(*field, if sign == "-" { -number } else { number })?;
            Ok(&text[taken..])
        }
        Part::ShortYear => {
            if digits < 2 {
                return Err(TimeFault::Format);
            }
            said.set(Field::Year, 2000 + value(&text[..2])?)?;
            Ok(&text[2..])
        }
        Part::Fraction { most } => {
            let taken = digits.min(*most);
            if taken == 0 {
                return Err(TimeFault::Format);
            }
            // Nine digits are cut to micros.
            let padded = format!("{:0<6}", &text[..taken.min(6)]);
            said.micros = value(&padded)?;
            Ok(&text[taken..])
        }
        Part::MonthName { full } => {
            let (index, rest) = name(&MONTHS, *full, text)?;
            said.set(Field::Month, index + 1)?;
            Ok(rest)
        }
        Part::WeekdayName { full } => {
            let (index, rest) = name(&WEEKDAYS, *full, text)?;
            said.weekday = Some(index);
            Ok(rest)
        }
        Part::HalfOfDay => {
            let (half, rest) = text.split_at_checked(2).ok_or(TimeFault::Format)?;
            said.afternoon = match half.to_ascii_lowercase().as_str() {
                "am" => false,
                "pm" => true,
                _ => return Err(TimeFault::Format),
            };
            Ok(rest)
        }
        Part::Offset { minutes, colons, zulu } => read_offset(*minutes, *colons, *zulu, text, said),
        Part::ZoneName => {
            let zone_letter = |c: char| c.is_ascii_alphanumeric() || "/_+-~.:".contains(c);
            let end = text.find(|c| !zone_letter(c)).unwrap_or(text.len());
            said.zone = Some(Zone::read(&text[..end])?);
            Ok(&text[end..])
        }
        Part::Optional(_) => Ok(text),
    }
}

fn read_offset<'a>(
    minutes: bool,
    colons: bool,
    zulu: bool,
    text: &'a str,
    said: &mut Said,
) -> std::result::Result<&'a str, TimeFault> {
    if zulu && let Some(rest) = text.strip_prefix(['Z', 'z']) {
        said.zone = Some(Zone::Offset(0));
        return Ok(rest);
    }
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let both = |at: usize| is_digit(at) && is_digit(at + 1);
    if !text.starts_with(['+', '-']) || !both(1) {
        return Err(TimeFault::Format);
    }
    let minutes_at = if colons { 4 } else { 3 };
    let has_minutes = both(minutes_at) && (!colons || bytes.get(3) == Some(&b':'));
    let end = match (has_minutes, minutes) {
        (true, _) => minutes_at + 2,
        (false, false) => 3,
        (false, true) => return Err(TimeFault::Format),
    };
    said.zone = Some(Zone::read(&text[..end])?);
    Ok(&text[end..])
}

/// One of these names, in full or by its first three letters.
fn name<'a>(names: &[&str], full: bool, text: &'a str) -> std::result::Result<(i64, &'a str), TimeFault> {
    for (index, name) in names.iter().enumerate() {
        let wanted = if full { name } else { &name[..3] };
        if let Some((found, rest)) = text.split_at_checked(wanted.len())
            && found.eq_ignore_ascii_case(wanted)
        {
            return Ok((index as i64, rest));
        }
    }
    Err(TimeFault::Format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_read_what_java_reads() {
        let second = 1_000_000;
        let noon = (19_782 * 86_400 + 12 * 3600) * second;
        for (pattern, text, expected) in [
            ("yyyy-MM-dd HH:mm:ss", "2024-02-29 12:00:00", Ok(noon)),
            ("yyyy-MM-dd HH:mm:ss", "2024-2-29 12:00:00", Err(TimeFault::Format)),
            ("yyyy-MM-dd HH:mm:ss", "2024-02-30 12:00:00", Err(TimeFault::Range)),
            ("yyyy-MM-dd HH:mm:ss", "2024-02-29 12:00:00 ", Err(TimeFault::Format)),
            ("yyyyMMddHHmmss", "20240229120000", Ok(noon)),
            // The year leaves room for the five pairs of digits, but not for a fraction: so it is in Java too.
            ("yyyyMMddHHmmssSSS", "20240229120000500", Err(TimeFault::Format)),
            ("yyyyMMddHHmmss.SSS", "20240229120000.500", Ok(noon + second / 2)),
            ("d/M/yy h:mm a", "29/2/24 12:00 pm", Ok(noon)),
            ("EEE, dd MMM yyyy HH:mm:ss Z", "Thu, 29 Feb 2024 13:00:00 +0100", Ok(noon)),
            ("EEE, dd MMM yyyy HH:mm:ss Z", "Fri, 29 Feb 2024 13:00:00 +0100", Err(TimeFault::Range)),
            (
                "yyyy-MM-dd'T'HH:mm:ss[.SSSSSS][XXX]",
                "2024-02-29T13:00:00.000000001+01:00",
                Err(TimeFault::Format),
            ),
            ("yyyy-MM-dd'T'HH:mm:ss[.SSSSSSSSS][XXX]", "2024-02-29T13:00:00.000000001+01:00", Ok(noon)),
            ("yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]", "2024-02-29T12:00:00", Ok(noon)),
            ("yyyy-MM-dd HH:mm VV", "2024-02-29 13:00 Europe/Berlin", Ok(noon)),
            ("yyyy-MM-dd HH:mm", "24-02-29 12:00", Err(TimeFault::Format)),
            ("yyyy-MM-dd HH:mm", "12024-02-29 12:00", Err(TimeFault::Format)),
        ] {
            let found = Pattern::new("timestampFormat", pattern).unwrap().read(text.as_bytes());
            assert_eq!(found.and_then(|said| said.micros(Some(Zone::UTC))), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_that_are_not_understood_are_refused() {
        for pattern in ["YYYY", "yyyy-DDD", "'open", "[", "]", "{", "MMMMM", "zzz", "HHH"] {
            assert!(Pattern::new("dateFormat", pattern).is_err(), "{pattern}");
        }
    }
}
