//! `sources: NAME: expect:` what rows are expected to be, beyond the types of the schema.
//!
//! The shape is read here: each entry is one kind of expectation, and its bounds are in order. Which columns there are, what their
//! types compare with and what is SQL is checked by whoever plans them; where each piece stands is kept for that.

use std::ops::RangeInclusive;

use super::parse::{Reading, piece_or};
use super::section::Section;
use super::yaml::{Entry, Kind, Node};
use super::{Placed, keys};
use crate::Zone;
use crate::error::{Error, codes};
use crate::expectation::{Expected, OnFail};
use crate::options::unknown_name;

/// Most expectations of a source: each is computed for every row.
const MOST: usize = 256;
/// Most values of an `in`.
const MOST_VALUES: usize = 10_000;
/// Longest name that is made of those of columns.
const LONGEST_NAME: usize = 64;

/// The expectations of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectations {
    /// They, in the order of the file.
    pub all: Vec<ExpectationConfig>,
    /// The pipeline's zone, in which their SQL reads times.
    pub time_zone: Zone,
}

impl Expectations {
    /// True if one of them does this.
    pub fn any(&self, on_fail: OnFail) -> bool {
        self.all.iter().any(|it| it.expected.on_fail == on_fail)
    }

    /// The same, those with `from` as those with `to`.
    pub fn treating(&self, from: OnFail, to: OnFail) -> Self {
        let mut treated = self.clone();
        let those = treated.all.iter_mut().filter(|it| it.expected.on_fail == from);
        those.for_each(|it| it.expected.on_fail = to);
        treated
    }

    /// All that they say, for whoever keeps it to see a change; `None` if there are none. Where they stand is no part of it.
    pub fn said(&self) -> Option<String> {
        let said = |it: &ExpectationConfig| {
            format!("{}: {}, else {}", it.expected.name, it.rule.said(), it.expected.on_fail.word())
        };
        let all: Vec<String> = self.all.iter().map(said).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectationConfig {
    /// Its name and what becomes of rows that fail it.
    pub expected: Expected,
    /// What it expects.
    pub rule: RuleConfig,
    /// Where it stands in the file.
    pub place: (usize, usize),
}

/// What an expectation expects.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleConfig {
    /// `column` with `min`, `max` or both: values from `min` to `max`, both included.
    Range {
        /// The column.
        column: Placed,
        /// The least value.
        min: Option<Placed>,
        /// The greatest value.
        max: Option<Placed>,
    },
    /// `column` with `required: true`: not NULL.
    Required {
        /// The column.
        column: Placed,
    },
    /// `column` with `pattern`: a regular expression that is found in the text.
    Pattern {
        /// The column.
        column: Placed,
        /// The regular expression.
        pattern: Placed,
    },
    /// `column` with `in`: one of these values.
    In {
        /// The column.
        column: Placed,
        /// The values, at least one.
        values: Vec<Placed>,
    },
    /// `lat` and `lon`: degrees that lie in a box.
    Geo {
        /// The column with the latitude.
        lat: Placed,
        /// The column with the longitude.
        lon: Placed,
        /// The box.
        within: GeoBox,
    },
    /// `condition`: SQL over the row.
    Condition {
        /// The condition.
        sql: Placed,
    },
}

/// A box on the globe, in degrees, its edges included. West of its `min_lon` beyond 180 it goes on at -180.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoBox {
    /// The southern edge.
    pub min_lat: f64,
    /// The northern edge.
    pub max_lat: f64,
    /// The western edge.
    pub min_lon: f64,
    /// The eastern edge; less than the western one if the box lies over the 180th meridian.
    pub max_lon: f64,
}

impl RuleConfig {
    fn said(&self) -> String {
        let text = |placed: &Placed| placed.text.trim().to_owned();
        let bound = |key: &str, bound: &Option<Placed>| {
            bound.as_ref().map_or_else(String::new, |bound| format!(", {key} {}", text(bound)))
        };
        match self {
            Self::Range { column, min, max } => {
                format!("{}{}{}", text(column), bound("min", min), bound("max", max))
            }
            Self::Required { column } => format!("{} required", text(column)),
            Self::Pattern { column, pattern } => format!("{} pattern {}", text(column), pattern.text),
            Self::In { column, values } => {
                let values: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
                format!("{} in {values:?}", text(column))
            }
            Self::Geo { lat, lon, within } => format!(
                "{} in {} to {}, {} in {} to {}",
                text(lat),
                within.min_lat,
                within.max_lat,
                text(lon),
                within.min_lon,
                within.max_lon
            ),
            Self::Condition { sql } => text(sql),
        }
    }

    /// A name for it, made of its columns and of what it is; a condition has none.
    fn own_name(&self) -> Option<String> {
        let (columns, kind) = match self {
            Self::Range { column, .. } => (vec![column], "range"),
            Self::Required { column } => (vec![column], "required"),
            Self::Pattern { column, .. } => (vec![column], "pattern"),
            Self::In { column, .. } => (vec![column], "in"),
            Self::Geo { lat, lon, .. } => (vec![lat, lon], "geo"),
            Self::Condition { .. } => return None,
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
        let words = columns.iter().map(|column| column.text.trim().chars().filter(|c| *c != '`').map(plain));
        let words: Vec<String> = words.map(Iterator::collect).chain([kind.to_owned()]).collect();
        Some(words.join("_"))
    }
}

pub(super) fn read(section: &Section<'_>, reading: &mut Reading<'_>) -> Expectations {
    let Some(entry) = section.get("expect") else { return Expectations::default() };
    let items = match &entry.value.kind {
        Kind::Sequence(items) => items.as_slice(),
        _ => &[],
    };
    if items.is_empty() || items.len() > MOST {
        let error =
            Error::new(&codes::BAD_VALUE, format!("`expect` takes a list of 1 to {MOST} expectations"))
                .with_hint("Write one in each line: `- { column: speed, min: 0, max: 250 }`.");
        reading.problems.report(entry.key_span, error);
        return Expectations::default();
    }
    let mut all: Vec<ExpectationConfig> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(one) = one(item, &format!("expectation {}", index + 1), reading) else { continue };
        let name = &one.expected.name;
        match all.iter().find(|other| other.expected.name.eq_ignore_ascii_case(name)) {
            None => all.push(one),
            Some(other) => {
                let line = other.place.0;
                let error = Error::new(&codes::BAD_VALUE, format!("two expectations are named `{name}`"))
                    .with_hint(format!(
                        "The one in line {line} has the name already: give one of them another `name`."
                    ));
                reading.problems.report(item.span, error);
            }
        }
    }
    Expectations { all, time_zone: Zone::UTC }
}

fn one(item: &Node, what: &str, reading: &mut Reading<'_>) -> Option<ExpectationConfig> {
    let section = Section::open(item, what, item.span, &mut reading.problems)?;
    let before = reading.problems.count();
    section.check(what, &keys::EXPECTATION, &mut reading.problems, |_| None);
    let kind = kind(&section, item, what, reading)?;
    let rule = rule(&section, kind, item, what, reading);
    let on_fail = on_fail(&section, reading);
    let given = section.text("name", &mut reading.problems);
    let rule = rule.filter(|_| reading.problems.count() == before)?;
    let name = match given {
        Some(name) => {
            reading.check_name("expectation", name.text, name.span);
            name.text.to_owned()
        }
        None => rule.own_name().filter(|name| name.len() <= LONGEST_NAME).or_else(|| {
            let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `name`"))
                .with_hint("Add `name: …`: no name can be made of what it expects, and metrics and the quarantine tell it by its name.");
            reading.problems.report(item.span, error);
            None
        })?,
    };
    let expected = Expected { name: name.into(), on_fail };
    Some(ExpectationConfig { expected, rule, place: reading.problems.place(item.span) })
}

/// The keys of one kind of expectation; the first must be there.
struct KindOf {
    name: &'static str,
    is: &'static [&'static str],
    keys: &'static [&'static str],
}

static KINDS: [KindOf; 6] = [
    KindOf { name: "range", is: &["min", "max"], keys: &["column", "min", "max"] },
    KindOf { name: "required", is: &["required"], keys: &["column", "required"] },
    KindOf { name: "pattern", is: &["pattern"], keys: &["column", "pattern"] },
    KindOf { name: "in", is: &["in"], keys: &["column", "in"] },
    KindOf {
        name: "geo",
        is: &["lat", "lon"],
        keys: &["lat", "lon", "minLat", "maxLat", "minLon", "maxLon"],
    },
    KindOf { name: "condition", is: &["condition"], keys: &["condition"] },
];

/// The one kind that an entry is; keys that belong to another are told.
fn kind(
    section: &Section<'_>,
    item: &Node,
    what: &str,
    reading: &mut Reading<'_>,
) -> Option<&'static KindOf> {
    let has = |key: &&&str| section.get(key).is_some();
    let mut kinds = KINDS.iter().filter(|kind| kind.is.iter().any(|key| has(&key)));
    let Some(first) = kinds.next() else {
        let later = keys::EXPECTATION.keys.iter().any(|key| key.later && has(&&key.name));
        if !later {
            let error = Error::new(&codes::MISSING_KEY, format!("{what} does not say what it expects")).with_hint(
                "Give `column` with `min`, `max`, `required`, `pattern` or `in`; or `lat` and `lon`; or a `condition`.",
            );
            reading.problems.report(item.span, error);
        }
        return None;
    };
    let known =
        || keys::EXPECTATION.keys.iter().filter(|key| !key.later && !matches!(key.name, "name" | "onFail"));
    for stranger in known().filter(|key| !first.keys.contains(&key.name)) {
        let Some(entry) = section.get(stranger.name) else { continue };
        let error = Error::new(
            &codes::BAD_VALUE,
            format!(
                "`{}` does not belong to `{}`: one expectation is of one kind",
                stranger.name, first.name
            ),
        )
        .with_hint("Write two: each has its name, its `onFail` and its count.");
        reading.problems.report(entry.key_span, error);
    }
    Some(first)
}

fn rule(
    section: &Section<'_>,
    kind: &KindOf,
    item: &Node,
    what: &str,
    reading: &mut Reading<'_>,
) -> Option<RuleConfig> {
    let mut needed =
        |key: &str| {
            if section.get(key).is_none() {
                let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `{key}`"))
                    .with_hint(format!("`{}` goes with {}.", kind.name, kind.keys.join(", ")));
                reading.problems.report(item.span, error);
            }
            piece_or(section, key, bad_value, reading)
        };
    Some(match kind.name {
        "geo" => {
            let (lat, lon) = (needed("lat"), needed("lon"));
            let within = geo_box(section, item, reading);
            RuleConfig::Geo { lat: lat?, lon: lon?, within }
        }
        "condition" => RuleConfig::Condition { sql: needed("condition")? },
        "range" => {
            let column = needed("column");
            let (min, max) =
                (piece_or(section, "min", bad_value, reading), piece_or(section, "max", bad_value, reading));
            in_order(min.as_ref(), max.as_ref(), section, reading);
            RuleConfig::Range { column: column?, min, max }
        }
        "pattern" => RuleConfig::Pattern { column: needed("column")?, pattern: needed("pattern")? },
        "in" => RuleConfig::In { column: needed("column")?, values: values(section.get("in")?, reading)? },
        _ => {
            let column = needed("column");
            if let Some(text) = section.text("required", &mut reading.problems)
                && !text.text.eq_ignore_ascii_case("true")
            {
                reading.problems.report(text.span, bad_value("required", text.text, "`true`"));
            }
            RuleConfig::Required { column: column? }
        }
    })
}

/// The error for a value of a key that is not of its kind.
fn bad_value(key: &str, text: &str, expected: &str) -> Error {
    let error = super::parse::bad_value(key, text, expected);
    match keys::EXPECTATION.keys.iter().find(|known| known.name == key) {
        Some(known) => error.with_hint(known.doc),
        None => error,
    }
}

/// Tells numbers that no value can lie between.
fn in_order(min: Option<&Placed>, max: Option<&Placed>, section: &Section<'_>, reading: &mut Reading<'_>) {
    let number = |bound: Option<&Placed>| bound.and_then(|bound| bound.text.trim().parse::<f64>().ok());
    if let (Some(min), Some(max), Some(entry)) = (number(min), number(max), section.get("max"))
        && min > max
    {
        let error = Error::new(&codes::BAD_VALUE, format!("`max` ({max}) is less than `min` ({min})"))
            .with_hint("No value lies between them: exchange the two.");
        reading.problems.report(entry.value.span, error);
    }
}

/// The values of an `in`.
fn values(entry: &Entry, reading: &mut Reading<'_>) -> Option<Vec<Placed>> {
    let items = match &entry.value.kind {
        Kind::Sequence(items) => items.as_slice(),
        Kind::Scalar(_) => std::slice::from_ref(&entry.value),
        Kind::Null | Kind::Mapping(_) => &[],
    };
    if items.is_empty() || items.len() > MOST_VALUES {
        let error = Error::new(&codes::BAD_VALUE, format!("`in` takes from 1 to {MOST_VALUES} values"))
            .with_hint("Write a list: `in: [idle, driving]`.");
        reading.problems.report(entry.key_span, error);
        return None;
    }
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        let Kind::Scalar(text) = &item.kind else {
            let error = Error::new(&codes::BAD_VALUE, "a value of `in` is a text, a number or a boolean")
                .with_hint("NULL meets every expectation but `required`, so it needs no place in the list.");
            reading.problems.report(item.span, error);
            return None;
        };
        values.push(Placed { text: text.clone(), place: reading.problems.place(item.span) });
    }
    Some(values)
}

fn geo_box(section: &Section<'_>, item: &Node, reading: &mut Reading<'_>) -> GeoBox {
    let mut edge = |key: &str, default: f64, valid: RangeInclusive<f64>| {
        let Some(text) = section.text(key, &mut reading.problems) else { return default };
        let degrees = text.text.trim().parse::<f64>().ok().filter(|degrees| valid.contains(degrees));
        degrees.unwrap_or_else(|| {
            let expected = format!("degrees from {} to {}", valid.start(), valid.end());
            reading.problems.report(text.span, bad_value(key, text.text, &expected));
            default
        })
    };
    let within = GeoBox {
        min_lat: edge("minLat", -90.0, -90.0..=90.0),
        max_lat: edge("maxLat", 90.0, -90.0..=90.0),
        min_lon: edge("minLon", -180.0, -180.0..=180.0),
        max_lon: edge("maxLon", 180.0, -180.0..=180.0),
    };
    if within.min_lat > within.max_lat {
        let error = Error::new(&codes::BAD_VALUE, "`maxLat` is less than `minLat`")
            .with_hint("The box ends in the north of where it begins: exchange the two.");
        reading.problems.report(item.span, error);
    }
    within
}

fn on_fail(section: &Section<'_>, reading: &mut Reading<'_>) -> OnFail {
    let Some(text) = section.text("onFail", &mut reading.problems) else { return OnFail::default() };
    let found = OnFail::ALL.into_iter().find(|it| it.word().eq_ignore_ascii_case(text.text));
    found.unwrap_or_else(|| {
        let unknown = unknown_name("`onFail`", text.text, OnFail::ALL.iter().map(|it| it.word()));
        let error = Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint());
        reading.problems.report(text.span, error);
        OnFail::default()
    })
}
