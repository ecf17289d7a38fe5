//! What the server says, as types. What a newer server says besides is passed over; what an older one leaves out is
//! nothing. Times are milliseconds since 1970.

#![allow(missing_docs, reason = "the names say it")]

use std::collections::{BTreeMap, HashMap};

use forebay_core::Ledger;
use forebay_core::config::Severity;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::bounds::{Cells, Few, Plain};
use super::listed::OPEN;
use super::model::MOST_DEVICES;

/// Most sources of a pipeline, and readers beside them.
const SOURCES: usize = 100;
/// Most fields of a source, panels of the page, queries and rules of a pipeline.
const EACH: usize = 1_000;
/// Most problems, and epochs of a query: one is shown, the others are counted.
const COUNTED: usize = 100;

/// What is true for as long as the server runs: `/api/v1/schema`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Schema {
    pub pipeline: String,
    pub title: Option<String>,
    pub sources: Few<Source, SOURCES>,
    pub queries: Few<Planned, EACH>,
    pub panels: Few<Panel, EACH>,
}

/// What the pipeline file says of a query.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Planned {
    pub name: String,
    pub trigger: Option<String>,
}

/// What the pipeline file says of a field.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Panel {
    pub source: Option<String>,
    pub field: Option<String>,
    pub unit: Option<String>,
}

impl Schema {
    /// Gives each field the unit of the first panel that shows it, as on the page.
    pub fn with_units(mut self) -> Self {
        let mut units = HashMap::new();
        for Panel { source, field, unit } in &self.panels {
            if let (Some(source), Some(field), Some(unit)) = (source, field, unit) {
                units.entry((source.as_str(), field.as_str())).or_insert(unit);
            }
        }
        for source in self.sources.iter_mut() {
            for field in source.fields.iter_mut() {
                if let Some(unit) = units.get(&(source.name.as_str(), field.name.as_str())) {
                    field.unit = Some((*unit).clone());
                }
            }
        }
        self
    }

    /// Whether a query ends by itself when it has read what there was: to have stopped is what it is for.
    pub fn ends(&self, query: &str) -> bool {
        let of = self.queries.iter().find(|planned| planned.name == query);
        let trigger = of.and_then(|planned| planned.trigger.as_deref()).unwrap_or_default();
        ["availableNow", "once"].iter().any(|ending| ending.eq_ignore_ascii_case(trigger))
    }
}

/// A source, and what its devices say.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Source {
    pub name: String,
    pub key: Option<String>,
    pub fields: Few<Field, EACH>,
}

/// A field of a source.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
    pub kind: String,
    pub role: String,
    pub unit: Option<String>,
}

/// The first event of a connection.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hello {
    pub pipeline: String,
    pub version: String,
    pub started_at: i64,
}

/// How everything stands, once a second.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Tick {
    pub now: i64,
    pub rate: f64,
    pub lag: Option<u64>,
    pub latency: Option<Latency>,
    pub status: String,
    pub problems: Few<Problem, COUNTED>,
    /// The pipeline's file, if it was refused when it was read last.
    #[serde(rename = "refusedReload")]
    pub refused_reload: Option<Problem>,
    /// Tables at rest of which a newer version cannot be read, once for each query that reads them.
    #[serde(rename = "brokenTables")]
    pub broken_tables: Few<BrokenTable, COUNTED>,
    pub queries: Few<Query, EACH>,
    #[serde(rename = "ledger")]
    pub ledgers: Ledgers,
    pub alerts: OpenAlerts,
    pub quarantine: Quarantine,
    pub devices: Counts,
    pub followers: Few<Follower, SOURCES>,
}

/// The ledgers of all queries, added up: a record that two of them read is in it twice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ledgers {
    /// Their counts, as far as this program knows them.
    pub sum: Ledger,
    /// Whether each of them balances: what one has too few another may have too many.
    pub each_balances: bool,
}

impl Default for Ledgers {
    fn default() -> Self {
        Self { sum: Ledger::default(), each_balances: true }
    }
}

impl Ledgers {
    /// Whether every record has one fate.
    pub fn balance(&self) -> bool {
        self.each_balances && self.sum.balances()
    }
}

impl<'de> Deserialize<'de> for Ledgers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut given = Cells::deserialize(from)?;
        let each_balances = given.get("balances").and_then(Value::as_bool).unwrap_or(true);
        let known = Ledger::default().counts();
        given.retain(|name| known.iter().any(|(known, _)| *known == name));
        let given = given.iter().map(|(name, count)| (name.clone(), count.clone()));
        let sum = serde_json::from_value(Value::Object(given.collect())).map_err(serde::de::Error::custom)?;
        Ok(Self { sum, each_balances })
    }
}

/// Half and 99 of 100 records are through in this many milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Latency {
    pub p50: i64,
    pub p99: i64,
}

/// Something that is wrong: with a query, or with the history of a source.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Problem {
    pub query: Option<String>,
    pub source: Option<String>,
    pub gateway: Option<String>,
    pub what: String,
    pub since: Plain,
    pub code: Option<String>,
    pub error: Option<String>,
    /// In the error of a query: what its problem calls `error`.
    pub message: Option<String>,
    /// In the error of a query: what the other side said.
    pub detail: Option<String>,
    /// In the error of a table: which file, and which line of it.
    pub place: Option<String>,
    pub hint: Option<String>,
}

/// A table at rest of which a newer version cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BrokenTable {
    pub name: String,
    pub since: Plain,
    pub error: Problem,
}

/// A query or an alert's rule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Query {
    pub name: String,
    pub kind: String,
    pub state: String,
    pub epoch: Option<u64>,
    pub lag: Option<u64>,
    /// Rows that its sink refused, ever.
    pub rows_refused: u64,
    pub rate: f64,
    pub latency: Option<Latency>,
    pub state_bytes: u64,
    /// None of a query without state.
    pub remembers: Option<Remembers>,
    pub error: Option<Problem>,
    pub waiting_for: Option<String>,
    pub epochs: Few<Epoch, COUNTED>,
}

/// What a query with state tells beside its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Remembers {
    /// Rows that came too late.
    pub late: u64,
}

/// An epoch that was committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Epoch {
    pub rows: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OpenAlerts {
    pub open: u64,
    pub by_severity: BTreeMap<Severity, u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Quarantine {
    pub open: u64,
    pub bytes: u64,
    /// Rows that sinks refused, by query.
    pub refused: Few<RefusedRows, COUNTED>,
}

/// Rows of a query that its sink refused and that are still in the quarantine.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RefusedRows {
    pub query: String,
    pub rows: u64,
    /// When the newest was set aside.
    pub newest: i64,
}

/// Devices of all sources by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub total: u64,
    pub live: u64,
    pub quiet: u64,
}

/// How the reader beside a source stands, by which devices are shown.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Follower {
    pub source: String,
    pub lag: Option<u64>,
    pub behind: bool,
    /// How many devices the source has.
    pub devices: Option<u64>,
    pub clocks: Option<Clocks>,
}

/// Devices whose clocks are off, and those that are furthest off.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Clocks {
    pub ahead: u64,
    pub behind: u64,
    pub worst: Few<OffClock, EACH>,
}

/// A clock that is off by so many milliseconds; more than 0: ahead.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OffClock {
    pub key: String,
    pub offset: i64,
}

/// The devices that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Slice {
    pub total: usize,
    pub offset: usize,
    pub rows: Few<Device, MOST_DEVICES>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Device {
    pub key: String,
    pub state: String,
    pub last_seen: i64,
    pub rate: f64,
    pub severity: Option<Severity>,
    pub values: Cells,
}

/// What changed in a slice: index in it, last seen, rate, the fields that changed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Values {
    pub rows: Few<(usize, i64, f64, Cells), MOST_DEVICES>,
}

/// An alert as it stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Alert {
    pub id: String,
    pub rule: String,
    /// None for NULL.
    pub key: Option<String>,
    pub severity: Severity,
    pub state: String,
    pub opened_at: i64,
    pub cleared_at: Option<i64>,
    pub message: String,
}

impl Alert {
    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.state == "open"
    }

    /// Its key, for people.
    pub fn about(&self) -> &str {
        match self.key.as_deref() {
            None => "NULL",
            Some("") => "(empty name)",
            Some(key) => key,
        }
    }

    /// What it says; the rule and the key where it says nothing.
    pub fn words(&self) -> String {
        if self.message.is_empty() {
            return format!("{} on {}", self.rule, self.about());
        }
        self.message.clone()
    }
}

/// `/api/v1/alerts`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AlertList {
    pub alerts: Few<Alert, OPEN>,
}

/// A refusal: `application/problem+json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Refusal {
    pub code: String,
    pub detail: String,
    pub hint: String,
}

#[cfg(test)]
mod tests;
