//! What stood in one place of the records: kinds and how often, and the places below it.

use std::collections::HashMap;

use super::shape::Shape;
use super::times::Reads;

/// One place: the record itself, a field, the elements of a list.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) nulls: u64,
    pub(super) bools: u64,
    /// Whole numbers that fit a BIGINT, with the least and the most of them.
    pub(super) wholes: u64,
    pub(super) range: Option<(i64, i64)>,
    pub(super) huge: u64,
    pub(super) reals: u64,
    pub(super) texts: u64,
    /// Texts that read as a time of day on a date, and those of them that say their zone.
    pub(super) times: u64,
    pub(super) zoned: u64,
    /// Texts that read as a date.
    pub(super) dates: u64,
    pub(super) lists: u64,
    /// The elements of all lists together.
    pub(super) element: Option<Box<Seen>>,
    pub(super) objects: u64,
    pub(super) fields: Fields,
}

/// Fields in the order in which they were first met.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    all: Vec<(String, Seen)>,
    index: HashMap<String, usize>,
}

impl Fields {
    /// Names and what stood there.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Seen)> {
        self.all.iter().map(|(name, seen)| (name.as_str(), seen))
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    fn of(&mut self, name: &str) -> &mut Seen {
        let at = *self.index.entry(name.to_owned()).or_insert_with(|| {
            self.all.push((name.to_owned(), Seen::default()));
            self.all.len() - 1
        });
        &mut self.all[at].1
    }
}

impl Seen {
    /// How many values stood here, null or not.
    pub(super) fn count(&self) -> u64 {
        self.nulls + self.kinds().iter().map(|(_, count)| count).sum::<u64>()
    }

    /// Numbers of any kind.
    pub(super) fn numbers(&self) -> u64 {
        self.wholes + self.huge + self.reals
    }

    /// The kinds that no type has in common, each with its count.
    pub(super) fn kinds(&self) -> [(Kind, u64); 5] {
        [
            (Kind::Text, self.texts),
            (Kind::Number, self.numbers()),
            (Kind::Bool, self.bools),
            (Kind::Object, self.objects),
            (Kind::List, self.lists),
        ]
    }

    /// Counts a value.
    pub(super) fn add(&mut self, shape: &Shape) {
        match shape {
            Shape::Null => self.nulls += 1,
            Shape::Bool => self.bools += 1,
            Shape::Whole(number) => {
                self.wholes += 1;
                self.widen(*number, *number);
            }
            Shape::Huge => self.huge += 1,
            Shape::Real => self.reals += 1,
            Shape::Text(reads) => {
                self.texts += 1;
                match reads {
                    Reads::Time { zoned } => {
                        self.times += 1;
                        self.zoned += u64::from(*zoned);
                    }
                    Reads::Date => self.dates += 1,
                    Reads::Nothing => {}
                }
            }
            Shape::List(elements) => {
                self.lists += 1;
                if !elements.is_empty() {
                    let seen = self.element.get_or_insert_default();
                    elements.iter().for_each(|element| seen.add(element));
                }
            }
            Shape::Object(fields) => {
                self.objects += 1;
                fields.iter().for_each(|(name, value)| self.fields.of(name).add(value));
            }
        }
    }

    /// Counts all that another place has seen.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.nulls += other.nulls;
        self.bools += other.bools;
        self.wholes += other.wholes;
        self.huge += other.huge;
        self.reals += other.reals;
        self.texts += other.texts;
        self.times += other.times;
        self.zoned += other.zoned;
        self.dates += other.dates;
        self.lists += other.lists;
        self.objects += other.objects;
        if let Some((least, most)) = other.range {
            self.widen(least, most);
        }
        if let Some(element) = &other.element {
            self.element.get_or_insert_default().absorb(element);
        }
        other.fields.iter().for_each(|(name, seen)| self.fields.of(name).absorb(seen));
    }

    fn widen(&mut self, least: i64, most: i64) {
        let (old_least, old_most) = self.range.unwrap_or((least, most));
        self.range = Some((old_least.min(least), old_most.max(most)));
    }
}

/// Kinds of values that no type takes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Bool,
    Object,
    List,
}

impl Kind {
    /// The word for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Object => "an object",
            Self::List => "a list",
        }
    }
}
