//! `sources: NAME: expect:` what rows are expected to be, beyond the types of the schema.
//!
//! What they are stands here; [`read`] looks at their shape: each entry is one kind of expectation, and its bounds are in order. Which
//! columns there are, what their types compare with and what is SQL is checked by whoever plans them; where each piece stands is
//! kept for that.

mod read;

pub(super) use self::read::read;
use super::{Pipeline, Placed};
use crate::Zone;
use crate::expectation::{Expected, OnFail};

/// The expectations of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectations {
    /// They, in the order of the file.
    pub all: Vec<ExpectationConfig>,
    /// The pipeline's zone, in which their SQL reads times.
    pub time_zone: Zone,
    /// Fields by which the file tells devices apart, the likeliest first: what fails is counted by the first that the source has.
    pub devices: Vec<String>,
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

/// Tells the expectations of each source by which fields the file tells devices apart: its own on the page, those of views on the page,
/// then those of alerts.
pub(super) fn tell_devices(pipeline: &mut Pipeline) {
    let Pipeline { sources, dashboard, alerts, .. } = pipeline;
    let views = dashboard.views.iter().map(|view| &view.key.text);
    let all: Vec<String> = views.chain(alerts.iter().map(|alert| &alert.key.text)).cloned().collect();
    for source in sources {
        let own = dashboard.source(&source.name).and_then(|said| said.key.clone());
        let Some(value) = source.value.as_mut().filter(|value| !value.expect.all.is_empty()) else {
            continue;
        };
        value.expect.devices = own.into_iter().chain(all.iter().cloned()).collect();
        value.expect.devices.dedup();
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
    /// `column` with `maxRatePerSecond`: how fast the values of a key change.
    Rate {
        /// The column.
        column: Placed,
        /// The column that tells the keys apart.
        key: Placed,
        /// The column with the time of a value.
        time: Placed,
        /// The greatest change in a second, and where it stands.
        max: (f64, Placed),
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
            Self::Rate { column, key, time, max } => {
                format!("{} at most {} in a second by {} at {}", text(column), max.0, text(key), text(time))
            }
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
            Self::Rate { column, .. } => (vec![column], "rate"),
            Self::Condition { .. } => return None,
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
        let words = columns.iter().map(|column| column.text.trim().chars().filter(|c| *c != '`').map(plain));
        let words: Vec<String> = words.map(Iterator::collect).chain([kind.to_owned()]).collect();
        Some(words.join("_"))
    }
}
