//! The shape of `expect:`: each entry is of one kind, has what that kind needs, and bounds between which something lies.

use std::ops::RangeInclusive;

use super::{ExpectationConfig, Expectations, GeoBox, RuleConfig};
use crate::Zone;
use crate::config::parse::{self, Reading, piece_or};
use crate::config::section::Section;
use crate::config::yaml::{Entry, Kind, Node};
use crate::config::{Placed, keys};
use crate::error::{Error, codes};
use crate::expectation::{Expected, OnFail};
use crate::options::unknown_name;

/// Most expectations of a source: each is computed for every row.
const MOST: usize = 256;
/// Most values of an `in`.
const MOST_VALUES: usize = 10_000;
/// Longest name that is made of those of columns.
const LONGEST_NAME: usize = 64;

pub(in crate::config) fn read(section: &Section<'_>, reading: &mut Reading<'_>) -> Expectations {
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
    Expectations { all, time_zone: Zone::UTC, devices: Vec::new() }
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

static KINDS: [KindOf; 7] = [
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
    KindOf {
        name: "maxRatePerSecond",
        is: &["maxRatePerSecond"],
        keys: &["column", "key", "time", "maxRatePerSecond"],
    },
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
        let error = Error::new(&codes::MISSING_KEY, format!("{what} does not say what it expects")).with_hint(
            "Give `column` with `min`, `max`, `required`, `pattern`, `in` or `maxRatePerSecond`; or `lat` and `lon`; or a `condition`.",
        );
        reading.problems.report(item.span, error);
        return None;
    };
    let known = keys::EXPECTATION.keys.iter().filter(|key| !matches!(key.name, "name" | "onFail"));
    for stranger in known.filter(|key| !first.keys.contains(&key.name)) {
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
        "maxRatePerSecond" => {
            let (column, key, time) = (needed("column"), needed("key"), needed("time"));
            let max = needed("maxRatePerSecond")?;
            let number = max.text.trim().parse::<f64>().ok().filter(|max| max.is_finite() && *max > 0.0);
            if number.is_none()
                && let Some(entry) = section.get("maxRatePerSecond")
            {
                let error = bad_value("maxRatePerSecond", &max.text, "a number greater than 0");
                reading.problems.report(entry.value.span, error);
            }
            RuleConfig::Rate { column: column?, key: key?, time: time?, max: (number?, max) }
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
    let error = parse::bad_value(key, text, expected);
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
