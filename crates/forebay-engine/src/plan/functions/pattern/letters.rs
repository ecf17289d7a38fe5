//! From a pattern's text to its items: Java's letters and widths, and what Spark refuses of them.

use super::fields::Field;
use super::offset::Form;
use super::{Item, Number, Purpose, Sign};

/// Sections within sections.
const MAX_DEPTH: usize = 32;

/// The longest pattern, in bytes.
const MAX_LENGTH: usize = 4_096;

/// Letters that count by weeks.
const WEEKS: &str = "YWwuec";

/// Letters that Spark does not have.
const UNKNOWN: &str = "ABnNp";

/// Letters by which nothing can be read.
const ONLY_WRITTEN: &str = "EFqQ";

/// Letters of which five in a row mean the narrow form, which Spark does not have.
const NARROW: &str = "GMLEQq";

/// The widest year.
const MAX_YEAR: usize = 6;

/// Most digits of a number.
const MOST: usize = 19;

/// The items of a pattern; the error says what is not possible.
pub(super) fn parse(text: &str, purpose: Purpose) -> Result<Vec<Item>, String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("a date pattern has {} bytes, more than {MAX_LENGTH}", text.len()));
    }
    let pieces: Vec<&str> = text.split('\'').collect();
    // What stands between quotes is every second piece.
    let outside = pieces.iter().step_by(2);
    outside.clone().try_for_each(|piece| refuse(piece, text, purpose))?;
    let has_era = outside.clone().any(|piece| piece.contains('G'));
    let mut items = Items { level: Level::default(), outer: Vec::new(), has_era, purpose, text };
    match purpose {
        Purpose::Write => items.written(text)?,
        Purpose::Read => items.pieces(&pieces)?,
    }
    Ok(items.finish())
}

/// What Spark refuses before Java sees it.
fn refuse(piece: &str, text: &str, purpose: Purpose) -> Result<(), String> {
    if let Some(letter) = piece.chars().find(|letter| WEEKS.contains(*letter)) {
        let instead = match letter {
            'Y' => "the year of the calendar is `y`, as in `yyyy`",
            'u' => "the year is `y`, the day of the week `E`",
            'e' | 'c' => "the day of the week is `E`, as in `EEE`",
            _ => "the week is extract(WEEK FROM …)",
        };
        return Err(format!(
            "`{letter}` in the date pattern `{text}` counts by weeks, which Spark does not take: {instead}"
        ));
    }
    let is_illegal = |letter: char| {
        UNKNOWN.contains(letter) || (purpose == Purpose::Read && ONLY_WRITTEN.contains(letter))
    };
    if let Some(letter) = piece.chars().find(|letter| is_illegal(*letter)) {
        let why = if UNKNOWN.contains(letter) {
            "is no letter of Spark's"
        } else {
            "is written only: no text is read by it"
        };
        return Err(format!("`{letter}` in the date pattern `{text}` {why}"));
    }
    let narrow = NARROW.chars().map(|letter| letter.to_string().repeat(5));
    let year = "y".repeat(MAX_YEAR + 1);
    if let Some(run) = narrow.chain([year]).find(|run| piece.contains(run.as_str())) {
        return Err(format!("`{run}` in the date pattern `{text}` is too wide"));
    }
    Ok(())
}

/// The items of one section.
#[derive(Default)]
struct Level {
    items: Vec<Item>,
    /// The number that leaves digits to those behind it.
    reserving: Option<usize>,
}

struct Items<'t> {
    /// The section that is open, and those around it, the outermost first.
    level: Level,
    outer: Vec<Level>,
    has_era: bool,
    purpose: Purpose,
    text: &'t str,
}

impl Items<'_> {
    /// A pattern by Java's rules for quotes.
    fn written(&mut self, text: &str) -> Result<(), String> {
        let mut rest = text;
        while let Some(at) = rest.find('\'') {
            let (before, quote) = rest.split_at(at);
            self.letters(before)?;
            let mut literal = String::new();
            let mut inside = quote.get(1..).unwrap_or_default();
            loop {
                let Some(end) = inside.find('\'') else {
                    return Err(format!("a quote in the date pattern `{}` is not closed", self.text));
                };
                literal.push_str(inside.get(..end).unwrap_or_default());
                inside = inside.get(end + 1..).unwrap_or_default();
                match inside.strip_prefix('\'') {
                    Some(behind) => {
                        literal.push('\'');
                        inside = behind;
                    }
                    None => break,
                }
            }
            self.literal(if literal.is_empty() { "'" } else { &literal });
            rest = inside;
        }
        self.letters(rest)
    }

    /// The pieces between quotes, by Spark's own rules for texts that are read: an empty one is a quote.
    fn pieces(&mut self, pieces: &[&str]) -> Result<(), String> {
        let count = pieces.iter().rposition(|piece| !piece.is_empty()).map_or(0, |last| last + 1);
        for (index, piece) in pieces.iter().take(count).enumerate() {
            match (piece.is_empty(), index) {
                (true, 0) => {}
                (true, _) => self.literal("'"),
                (false, index) if index % 2 == 0 => self.letters(piece)?,
                (false, _) => self.literal(piece),
            }
        }
        Ok(())
    }

    fn letters(&mut self, piece: &str) -> Result<(), String> {
        let mut chars = piece.chars().peekable();
        while let Some(letter) = chars.next() {
            if letter.is_ascii_alphabetic() {
                let mut count = 1;
                while chars.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                self.letter(letter, count)?;
                continue;
            }
            match letter {
                '[' if self.outer.len() >= MAX_DEPTH => {
                    return Err(format!(
                        "the date pattern `{}` has too many sections within sections",
                        self.text
                    ));
                }
                '[' => {
                    self.level.reserving = None;
                    self.outer.push(std::mem::take(&mut self.level));
                }
                ']' if self.outer.is_empty() => {
                    return Err(format!("the date pattern `{}` has a `]` without its `[`", self.text));
                }
                ']' => self.close(),
                '{' | '}' | '#' => {
                    return Err(format!(
                        "`{letter}` in the date pattern `{}` is reserved: put it into quotes",
                        self.text
                    ));
                }
                other => self.literal(other.encode_utf8(&mut [0; 4])),
            }
        }
        Ok(())
    }

    fn letter(&mut self, letter: char, count: usize) -> Result<(), String> {
        let Some(item) = item(letter, count, self.has_era, self.purpose) else {
            let run = letter.to_string().repeat(count.min(20));
            return Err(format!("`{run}` in the date pattern `{}` is not possible", self.text));
        };
        self.append(item);
        Ok(())
    }

    fn literal(&mut self, text: &str) {
        let level = &mut self.level;
        level.reserving = None;
        match level.items.last_mut() {
            _ if text.is_empty() => {}
            Some(Item::Literal(before)) => before.push_str(text),
            _ => level.items.push(Item::Literal(text.to_owned())),
        }
    }

    /// Appends an item. A number of fixed width that follows a number takes its digits from that.
    fn append(&mut self, item: Item) {
        let level = &mut self.level;
        let fixed = match &item {
            Item::Number(number) if number.least == number.most && number.sign == Sign::Never => {
                Some(number.most)
            }
            Item::Fraction { least, most, .. } if least == most => Some(*most),
            _ => None,
        };
        let is_value = fixed.is_some() || matches!(item, Item::Number(_));
        let next = level.items.len();
        match (level.reserving, fixed) {
            (Some(before), Some(width)) => {
                if let Some(Item::Number(Number { reserved, .. }) | Item::Fraction { reserved, .. }) =
                    level.items.get_mut(before)
                {
                    *reserved += width;
                }
            }
            _ => level.reserving = is_value.then_some(next),
        }
        level.items.push(item);
    }

    fn close(&mut self) {
        let Some(around) = self.outer.pop() else { return };
        let items = std::mem::replace(&mut self.level, around).items;
        if !items.is_empty() {
            self.level.reserving = None;
            self.level.items.push(Item::Optional(items));
        }
    }

    /// A section that nobody closed ends with the pattern.
    fn finish(mut self) -> Vec<Item> {
        while !self.outer.is_empty() {
            self.close();
        }
        self.level.items
    }
}

/// A letter so many times; `None` if Java has no such thing.
fn item(letter: char, count: usize, has_era: bool, purpose: Purpose) -> Option<Item> {
    let number = |field, least, most, sign| Number { field, least, most, sign, reduced: false, reserved: 0 };
    let fixed = |field, width| Item::Number(number(field, width, width, Sign::Never));
    let free = |field| Item::Number(number(field, 1, MOST, Sign::Normal));
    let one_or_two = |field| match count {
        1 => Some(free(field)),
        2 => Some(fixed(field, 2)),
        _ => None,
    };
    let or_text = |field| match count {
        1 | 2 => one_or_two(field),
        3 | 4 => Some(Item::Text { field, full: count == 4 }),
        _ => None,
    };
    match letter {
        // Without an era a year has a sign.
        'y' => {
            let field = if has_era { Field::YearOfEra } else { Field::Year };
            Some(Item::Number(match count {
                2 => Number { reduced: true, ..number(field, 2, 2, Sign::Never) },
                1 | 3 => number(field, count, MOST, Sign::Normal),
                _ => number(field, count, MOST, Sign::Exceeding),
            }))
        }
        'G' => (count <= 4).then_some(Item::Text { field: Field::Era, full: count == 4 }),
        'M' | 'L' => or_text(Field::Month),
        'Q' | 'q' => or_text(Field::Quarter),
        'E' => (count <= 4).then_some(Item::Text { field: Field::DayOfWeek, full: count == 4 }),
        'a' => (count == 1).then_some(Item::Text { field: Field::Half, full: false }),
        'F' => (count == 1).then_some(free(Field::AlignedDay)),
        'd' => one_or_two(Field::Day),
        'D' => match count {
            1 => Some(free(Field::DayOfYear)),
            2 | 3 => Some(Item::Number(number(Field::DayOfYear, count, 3, Sign::Never))),
            _ => None,
        },
        'H' => one_or_two(Field::Hour),
        'k' => one_or_two(Field::ClockHour),
        'K' => one_or_two(Field::HourOfHalf),
        'h' => one_or_two(Field::ClockHourOfHalf),
        'm' => one_or_two(Field::Minute),
        's' => one_or_two(Field::Second),
        'S' => {
            let least = if purpose == Purpose::Read { 1 } else { count };
            (count <= 9).then_some(Item::Fraction { least, most: count, reserved: 0 })
        }
        'V' => (count == 2).then_some(Item::ZoneId),
        'z' => (count <= 4).then_some(Item::ZoneName { full: count == 4 }),
        'O' => matches!(count, 1 | 4).then_some(Item::LocalOffset { full: count == 4 }),
        'Z' if count == 4 => Some(Item::LocalOffset { full: true }),
        'X' | 'x' | 'Z' => Form::of(letter, count).map(Item::Offset),
        _ => None,
    }
}
