//! How a call of `to_json` tells what has several forms: times, and what is NULL.

use forebay_core::Zone;
use forebay_core::json_text::write_string;
use forebay_core::zone::Offsets;

use super::OPTIONS;
use crate::plan::functions::pattern::{Pattern, Purpose};

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// The options of a call, read.
#[derive(Debug)]
pub(super) struct Words {
    /// True if fields that are NULL are written.
    pub keeps_nulls: bool,
    timestamp: Pattern,
    local: Pattern,
    date: Pattern,
    zone: Zone,
    offsets: Offsets,
    /// Of the value at hand.
    text: String,
}

impl Words {
    /// Of names and values, each a text in quotes; the error says what is wrong.
    pub fn new<'t>(options: impl Iterator<Item = Option<&'t str>>, zone: Zone) -> Result<Self, String> {
        let parse = |pattern: &str| Pattern::parse(pattern, Purpose::Write);
        let mut words = Self {
            keeps_nulls: false,
            // Spark's own have brackets around what is always there when a time is written.
            timestamp: parse("yyyy-MM-dd'T'HH:mm:ss.SSSXXX")?,
            local: parse("yyyy-MM-dd'T'HH:mm:ss.SSS")?,
            date: parse("yyyy-MM-dd")?,
            zone,
            offsets: Offsets::new(zone),
            text: String::new(),
        };
        let texts: Vec<&str> = options
            .collect::<Option<_>>()
            .ok_or("to_json needs its options as texts in quotes, and none that is NULL")?;
        for option in texts.chunks(2) {
            let [name, value] = option else { return Err("an option of to_json has no value".to_owned()) };
            match OPTIONS.iter().position(|known| known == name) {
                Some(0) if value.eq_ignore_ascii_case("true") => words.keeps_nulls = false,
                Some(0) if value.eq_ignore_ascii_case("false") => words.keeps_nulls = true,
                Some(0) => return Err(format!("to_json: ignoreNullFields is true or false, not `{value}`")),
                Some(1) => words.timestamp = parse(value)?,
                Some(2) => words.local = without_zone(value, parse(value)?)?,
                Some(_) => words.date = without_zone(value, parse(value)?)?,
                None => return Err(format!("to_json does not have the option `{name}`")),
            }
        }
        Ok(words)
    }

    /// A TIMESTAMP; false if it lies beyond the calendar.
    pub fn timestamp(&mut self, micros: i64, out: &mut Vec<u8>) -> bool {
        let (local, offset) = (self.offsets.local(micros), self.offsets.at(micros));
        self.text.clear();
        let is_there = self.timestamp.format(local, offset, self.zone, &mut self.text);
        write_string(self.text.as_bytes(), out);
        is_there
    }

    /// What clocks show.
    pub fn local(&mut self, micros: i64, out: &mut Vec<u8>) -> bool {
        self.text.clear();
        let is_there = self.local.format(micros, 0, Zone::UTC, &mut self.text);
        write_string(self.text.as_bytes(), out);
        is_there
    }

    /// A DATE.
    pub fn date(&mut self, days: i32, out: &mut Vec<u8>) -> bool {
        self.text.clear();
        let is_there = self.date.format(i64::from(days) * DAY_US, 0, Zone::UTC, &mut self.text);
        write_string(self.text.as_bytes(), out);
        is_there
    }
}

fn without_zone(text: &str, pattern: Pattern) -> Result<Pattern, String> {
    match pattern.names_zone() {
        true => Err(format!("to_json: the date pattern `{text}` has a zone, and the value has none")),
        false => Ok(pattern),
    }
}
