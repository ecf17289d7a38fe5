//! Java's date patterns, to write by: `yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]`.
//!
//! Read once, when the sink is built; a letter that is not supported is refused then. An optional part is written, as
//! Java does where the value knows what it asks for; the sink's options see to it that it does.

use std::io::Write as _;

use chrono::{Datelike, NaiveDateTime, Timelike};

/// A pattern that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
    /// What people write most, which is written without a look at the parts.
    pub(super) known: Option<Known>,
}

/// Patterns with a way of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// `yyyy-MM-dd'T'HH:mm:ss[.SSS]`, with an offset or not.
    Iso { offset: bool },
    /// `yyyy-MM-dd`
    Day,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(char),
    Run(char, usize),
}

/// A time of day on a day, and by how many seconds its clock is ahead of UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'z> {
    pub at: NaiveDateTime,
    pub offset: i64,
    pub zone: &'z str,
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

impl Pattern {
    /// Understands a pattern; else says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let (mut parts, mut depth) = (Vec::new(), 0_usize);
        let mut letters = text.chars().peekable();
        while let Some(c) = letters.next() {
            match c {
                '\'' if letters.next_if_eq(&'\'').is_some() => parts.push(Part::Literal('\'')),
                '\'' => loop {
                    match letters.next() {
                        Some('\'') if letters.next_if_eq(&'\'').is_some() => parts.push(Part::Literal('\'')),
                        Some('\'') => break,
                        Some(c) => parts.push(Part::Literal(c)),
                        None => return Err("a quote is not closed".to_owned()),
                    }
                },
                '[' => depth += 1,
                ']' => depth = depth.checked_sub(1).ok_or("a `]` has no `[`")?,
                '{' | '}' | '#' => return Err(format!("`{c}` is reserved")),
                letter if letter.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while letters.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    if !is_supported(letter, count) {
                        return Err(format!("`{}` is not supported", String::from(letter).repeat(count)));
                    }
                    parts.push(Part::Run(letter, count));
                }
                other => parts.push(Part::Literal(other)),
            }
        }
        if depth > 0 {
            return Err("a `[` is not closed".to_owned());
        }
        let known = match text {
            "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]" => Some(Known::Iso { offset: true }),
            "yyyy-MM-dd'T'HH:mm:ss[.SSS]" => Some(Known::Iso { offset: false }),
            "yyyy-MM-dd" => Some(Known::Day),
            _ => None,
        };
        Ok(Self { parts, known })
    }

    /// The letters that stand for something.
    pub fn letters(&self) -> impl Iterator<Item = char> {
        self.parts.iter().filter_map(|part| match part {
            Part::Run(letter, _) => Some(*letter),
            Part::Literal(_) => None,
        })
    }

    /// Appends a time.
    pub(super) fn write(&self, out: &mut Vec<u8>, shown: &Shown<'_>) {
        for part in &self.parts {
            match part {
                Part::Literal(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Part::Run(letter, count) => run(out, *letter, *count, shown),
            }
        }
    }
}

fn is_supported(letter: char, count: usize) -> bool {
    match letter {
        'y' | 'u' => count <= 6,
        'M' | 'L' | 'E' => count <= 4,
        'd' | 'H' | 'h' | 'K' | 'k' | 'm' | 's' => count <= 2,
        'D' => count <= 3,
        'S' => count <= 9,
        'Q' => count <= 2,
        'a' => count == 1,
        'X' | 'x' => count <= 3,
        'Z' => count <= 3,
        'V' => count == 2,
        _ => false,
    }
}

/// Appends what a run of one letter stands for. Writing to a `Vec` cannot fail.
fn run(out: &mut Vec<u8>, letter: char, count: usize, Shown { at, offset, zone }: &Shown<'_>) {
    let number = |out: &mut Vec<u8>, value: u32| drop(write!(out, "{value:0count$}"));
    match letter {
        'y' | 'u' => year(out, letter, count, at.year()),
        'M' | 'L' if count >= 3 => {
            let name = MONTHS.get(at.month0() as usize).copied().unwrap_or_default();
            out.extend_from_slice(if count == 3 { name.get(..3).unwrap_or(name) } else { name }.as_bytes());
        }
        'M' | 'L' => number(out, at.month()),
        'E' => drop(write!(out, "{}", at.format(if count == 4 { "%A" } else { "%a" }))),
        'd' => number(out, at.day()),
        'D' => number(out, at.ordinal()),
        'Q' => number(out, at.month0() / 3 + 1),
        'H' => number(out, at.hour()),
        'k' => number(out, if at.hour() == 0 { 24 } else { at.hour() }),
        'K' => number(out, at.hour() % 12),
        'h' => number(out, if at.hour() % 12 == 0 { 12 } else { at.hour() % 12 }),
        'm' => number(out, at.minute()),
        's' => number(out, at.second()),
        'S' => {
            let digits = format!("{:09}", at.nanosecond() % 1_000_000_000);
            out.extend_from_slice(digits.get(..count).unwrap_or_default().as_bytes());
        }
        'a' => out.extend_from_slice(if at.hour() < 12 { b"AM" } else { b"PM" }),
        'V' => out.extend_from_slice(zone.as_bytes()),
        'Z' => offset_text(out, *offset, true, false, false),
        _ if letter == 'X' && *offset == 0 => out.push(b'Z'),
        _ => offset_text(out, *offset, count > 1, count == 3, true),
    }
}

/// Java counts `y` from the year 1 of its era; `yy` are the last two digits.
fn year(out: &mut Vec<u8>, letter: char, count: usize, year: i32) {
    let shown = if letter == 'y' && year <= 0 { 1 - year } else { year };
    let _ = match count {
        2 => write!(out, "{:02}", shown.rem_euclid(100)),
        _ => {
            let sign = if shown < 0 {
                "-"
            } else if count >= 4 && shown.unsigned_abs() >= 10_u32.pow(count as u32) {
                "+"
            } else {
                ""
            };
            write!(out, "{sign}{:0count$}", shown.unsigned_abs())
        }
    };
}

/// `+0130`, `+01:30`, `+01`; seconds where there are some and the letters know them.
pub(super) fn offset_text(out: &mut Vec<u8>, offset: i64, minutes: bool, colon: bool, short: bool) {
    let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
    let (hours, rest) = (offset / 3600, offset / 60 % 60);
    let _ = match (minutes, colon) {
        (_, true) => write!(out, "{sign}{hours:02}:{rest:02}"),
        (true, false) => write!(out, "{sign}{hours:02}{rest:02}"),
        (false, false) if rest == 0 && short => write!(out, "{sign}{hours:02}"),
        (false, false) => write!(out, "{sign}{hours:02}{rest:02}"),
    };
}
