//! Spark's date-time patterns: Java's `DateTimeFormatter` letters, as far as Spark takes them. Read once, used for every row.
//!
//! ```text
//! text ─[letters]─▶ items ─┬─[write]─▶ text of what clocks show
//!                          └─[read]──▶ fields that a text names ─[fields]─▶ an instant
//! ```
//!
//! What must stay true: what Spark refuses is refused when the pattern is read, with Spark's reason, and what it takes is
//! written and read as Spark does it (`tests/oracle/date_patterns.json`). Names are those of English (US), as in Spark.
//! A pattern that is read by is not one that is written by: Spark lets a fraction be shorter than its letters there, and
//! knows fewer letters. Times are written, and read where a text names no zone, in a [`Zone`].

use forebay_core::Zone;

mod fields;
mod letters;
mod names;
mod offset;
mod read;
#[cfg(test)]
mod tests;
mod write;
mod zones;

use self::fields::Field;
use self::offset::Form;

/// What a pattern is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Times become texts.
    Write,
    /// Texts become times.
    Read,
}

/// A pattern, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Item>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    Number(Number),
    /// `SSS`: digits of the second's fraction.
    Fraction {
        least: usize,
        most: usize,
        /// Digits of the numbers right behind it.
        reserved: usize,
    },
    /// A name: of an era, a month, a day, a quarter, a half of a day.
    Text {
        field: Field,
        full: bool,
    },
    Offset(Form),
    /// `GMT+8`, or `GMT+08:00`.
    LocalOffset {
        full: bool,
    },
    /// `VV`.
    ZoneId,
    /// `PST`, or `Pacific Standard Time`.
    ZoneName {
        full: bool,
    },
    /// `[…]`: written always, read where it is there.
    Optional(Vec<Item>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    field: Field,
    least: usize,
    most: usize,
    sign: Sign,
    /// Two digits of a year of this century.
    reduced: bool,
    /// Digits of the numbers right behind it, whose widths are fixed: where digits run together they are left to those.
    reserved: usize,
}

/// Which signs a number has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// `-`.
    Normal,
    /// None.
    Never,
    /// `-`, and `+` where there are more digits than the least.
    Exceeding,
}

impl Pattern {
    /// Reads a pattern; the error says what is not possible.
    pub fn parse(text: &str, purpose: Purpose) -> Result<Self, String> {
        letters::parse(text, purpose).map(Self)
    }

    /// True if a text that it reads names a zone.
    pub fn names_zone(&self) -> bool {
        fn any(items: &[Item]) -> bool {
            items.iter().any(|item| match item {
                Item::Offset(_) | Item::LocalOffset { .. } | Item::ZoneId | Item::ZoneName { .. } => true,
                Item::Optional(items) => any(items),
                _ => false,
            })
        }
        any(&self.0)
    }

    /// Writes what the clocks of a zone show, microseconds since 1970 as if they were UTC, so many seconds ahead of it.
    /// False if it lies beyond the calendar.
    pub fn format(&self, local: i64, offset: i64, zone: Zone, out: &mut String) -> bool {
        write::format(&self.0, local, (offset, zone), out)
    }

    /// Reads a time: microseconds since 1970 UTC, in `zone` if the text names none. All of the text must fit.
    pub fn read(&self, text: &str, zone: Zone) -> Option<i64> {
        read::time(&self.0, text)?.micros(zone)
    }
}
