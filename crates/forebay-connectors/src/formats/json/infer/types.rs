//! From what was seen to a type, and to what is unsure about it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use forebay_core::ddl;

use super::seen::{Kind, Seen};
use super::times;

/// Levels of a type: a schema that people read stays far below what DDL takes.
const DEEPEST: usize = ddl::MAX_DEPTH / 2;

/// An object with more names than this, of which each record has few, is a MAP: its names are data.
const MOST_NAMES: usize = 50;

/// Beyond it a DOUBLE does not tell neighbouring whole numbers apart.
const EXACT: u64 = 1 << 53;

/// The columns of records, and notes about them: place and why.
pub(super) fn columns(root: &Seen) -> (Vec<Field>, Vec<(String, String)>) {
    let mut typing = Typing { notes: Vec::new(), left: ddl::MAX_FIELDS };
    let fields = typing.fields(root, "", 0);
    (fields, typing.notes)
}

struct Typing {
    notes: Vec<(String, String)>,
    /// Fields that a schema may still have.
    left: usize,
}

impl Typing {
    fn note(&mut self, place: &str, why: impl Into<String>) {
        self.notes.push((place.to_owned(), why.into()));
    }

    /// The fields of an object.
    fn fields(&mut self, object: &Seen, place: &str, depth: usize) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        let keepers = keepers(object);
        for (name, seen) in object.fields.iter() {
            let below = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
            if let Some((twin, _)) = keepers.get(&name.to_lowercase()).filter(|(keeper, _)| *keeper != name) {
                self.note(&below, format!("left out: it differs from `{twin}` only in upper and lower case"));
                continue;
            }
            if let Some(why) = unusable(name) {
                self.note(&below, format!("left out: {why}"));
                continue;
            }
            if self.left == 0 {
                self.note(
                    &below,
                    format!("left out, and what follows: a schema has at most {} fields", ddl::MAX_FIELDS),
                );
                break;
            }
            self.left -= 1;
            if seen.count() * 10 < object.objects {
                self.note(&below, format!("in {} of {} only", seen.count(), object.objects));
            }
            if let Some(data_type) = self.of(seen, &below, depth + 1) {
                fields.push(Field::new(name, data_type, true));
            }
        }
        fields
    }

    /// The type of a place; `None` if it has none, which is noted.
    fn of(&mut self, seen: &Seen, place: &str, depth: usize) -> Option<DataType> {
        let mut kinds: Vec<(Kind, u64)> = seen.kinds().into_iter().filter(|(_, count)| *count > 0).collect();
        // Of two that are as frequent the first stays first.
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let Some((kind, _)) = kinds.first().copied() else {
            self.note(place, "always NULL: STRING is a guess, any other value would go to the quarantine");
            return Some(DataType::Utf8);
        };
        if kinds.len() > 1 {
            let counts: Vec<String> =
                kinds.iter().map(|(kind, count)| format!("{} {count} times", kind.word())).collect();
            let others: u64 = kinds[1..].iter().map(|(_, count)| count).sum();
            let why =
                format!("{}: no type takes all, so {others} would go to the quarantine", counts.join(", "));
            self.note(place, why);
        }
        if depth > DEEPEST && matches!(kind, Kind::Object | Kind::List) {
            self.note(place, format!("left out: it is nested deeper than {DEEPEST} levels"));
            return None;
        }
        match kind {
            Kind::Bool => Some(DataType::Boolean),
            Kind::Number => Some(self.number(seen, place)),
            Kind::Text => Some(self.text(seen, place)),
            Kind::List => self.list(seen, place, depth),
            Kind::Object => self.object(seen, place, depth),
        }
    }

    fn number(&mut self, seen: &Seen, place: &str) -> DataType {
        let range = seen.range.unwrap_or_default();
        if seen.reals > 0 {
            if seen.huge > 0 || range.0.unsigned_abs().max(range.1.unsigned_abs()) > EXACT {
                self.note(
                    place,
                    "DOUBLE keeps the first 15 digits of its largest numbers, a DECIMAL all of them",
                );
            }
            return DataType::Float64;
        }
        if seen.huge > 0 {
            self.note(place, "whole numbers beyond BIGINT: DECIMAL(20, 0)");
            return DataType::Decimal128(20, 0);
        }
        match times::clock(range.0, range.1) {
            Some((unit, function)) => self.note(
                place,
                format!("may be {unit} since 1970: {function}(…) makes a TIMESTAMP of it in SQL"),
            ),
            None => {
                let int = i32::try_from(range.0).is_ok() && i32::try_from(range.1).is_ok();
                let small = if int { "INT would do so far; " } else { "" };
                self.note(place, format!("whole numbers {} to {}: {small}a fraction would go to the quarantine, DOUBLE takes both", range.0, range.1));
            }
        }
        DataType::Int64
    }

    fn text(&mut self, seen: &Seen, place: &str) -> DataType {
        let Seen { texts, times, dates, zoned, .. } = *seen;
        if times + dates == texts && texts > 0 {
            let zone = if zoned < times { "; where it names no zone, UTC is meant" } else { "" };
            let (name, data_type) = match times {
                0 => ("DATE", DataType::Date32),
                _ => ("TIMESTAMP", ddl::timestamp()),
            };
            self.note(place, format!("text that reads as {name}{zone}; STRING would keep it as it is"));
            return data_type;
        }
        if times + dates > 0 {
            self.note(
                place,
                format!("{} of {texts} read as times, the others do not: STRING", times + dates),
            );
        }
        DataType::Utf8
    }

    fn list(&mut self, seen: &Seen, place: &str, depth: usize) -> Option<DataType> {
        let below = format!("{place}[]");
        let element = match &seen.element {
            Some(element) => self.of(element, &below, depth + 1)?,
            None => {
                self.note(&below, "the list was always empty: STRING is a guess");
                DataType::Utf8
            }
        };
        Some(DataType::List(Arc::new(Field::new("element", element, true))))
    }

    fn object(&mut self, seen: &Seen, place: &str, depth: usize) -> Option<DataType> {
        let names = seen.fields.len();
        if names == 0 {
            self.note(place, "an object without fields: MAP<STRING, STRING> is a guess");
            return Some(map(DataType::Utf8));
        }
        let values: u64 = seen.fields.iter().map(|(_, field)| field.count()).sum();
        let filled = u128::from(values) * 5 >= u128::from(seen.objects) * names as u128;
        if names > MOST_NAMES && !filled {
            let mut all = Seen::default();
            seen.fields.iter().for_each(|(_, field)| all.absorb(field));
            self.note(
                place,
                format!("{names} different names, few in each record: they are read as keys of a MAP"),
            );
            return self.of(&all, &format!("{place}[]"), depth + 1).map(map);
        }
        let fields = self.fields(seen, place, depth);
        if fields.is_empty() {
            self.note(place, "left out: none of its fields can be a column");
            return None;
        }
        Some(DataType::Struct(Fields::from(fields)))
    }
}

/// For each name in lower case the field that stays: the most frequent, or of equals the first. SQL does not tell upper
/// from lower case.
fn keepers(object: &Seen) -> HashMap<String, (&str, u64)> {
    let mut keepers = HashMap::new();
    for (name, seen) in object.fields.iter() {
        let best = keepers.entry(name.to_lowercase()).or_insert((name, seen.count()));
        if seen.count() > best.1 {
            *best = (name, seen.count());
        }
    }
    keepers
}

/// Why a column cannot have this name, if so: it is to stand in a file and in SQL.
fn unusable(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        return Some("it has no name");
    }
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    name.contains(is_odd).then_some("its name has a line break or another control character")
}

/// A MAP as Delta and Parquet lay it out.
fn map(value: DataType) -> DataType {
    let pair = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
    let entries = Field::new("key_value", DataType::Struct(Fields::from(pair)), false);
    DataType::Map(Arc::new(entries), false)
}
