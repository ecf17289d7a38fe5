//! Alerts: durable objects that open and clear, one for each rule and key.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::broadcast;

/// The alerts of a pipeline.
pub trait Alerts: Send + Sync {
    /// Alerts by the time they opened, newest first: those of a state, after the one with this id, at most `limit`.
    fn list(&self, which: Which, after: Option<&str>, limit: usize) -> Vec<Alert>;

    /// Open alerts by severity.
    fn open(&self) -> Open;

    /// Open alerts of a source by the key they are about.
    fn by_key(&self, source: &str) -> HashMap<String, OfKey>;

    /// Each transition (opened, cleared) from now on. A listener that lags behind misses the oldest.
    fn changes(&self) -> broadcast::Receiver<Arc<Alert>>;
}

/// How bad an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the words of the contract")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// Which alerts are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Which {
    Open,
    Cleared,
    All,
}

/// Open alerts by severity.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Open {
    pub critical: u64,
    pub warning: u64,
    pub info: u64,
}

impl Open {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.critical + self.warning + self.info
    }
}

/// The open alerts of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfKey {
    /// How many.
    pub count: u64,
    /// The worst.
    pub severity: Severity,
}

/// Whether an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the words of the contract")]
pub enum AlertState {
    Open,
    Cleared,
}

/// One alert; serializes as the contract's ALERT.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Its identity for its whole life.
    pub id: String,
    /// The rule's name.
    pub rule: String,
    /// The source whose records it is about.
    pub source: String,
    /// What it is about.
    pub key: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it stands.
    pub state: AlertState,
    /// The record timestamp at which it opened, milliseconds since 1970.
    pub opened_at: i64,
    /// The record timestamp at which it cleared.
    pub cleared_at: Option<i64>,
    /// When this process saw the newest transition, by the wall clock.
    pub seen_at: i64,
    /// For people.
    pub message: String,
    /// The columns that its condition names, as it opened.
    pub value: Map<String, Value>,
    /// The same, as it cleared.
    pub cleared_value: Option<Map<String, Value>>,
}

/// A pipeline without alerts.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAlerts;

impl Alerts for NoAlerts {
    fn list(&self, _: Which, _: Option<&str>, _: usize) -> Vec<Alert> {
        Vec::new()
    }

    fn open(&self) -> Open {
        Open::default()
    }

    fn by_key(&self, _: &str) -> HashMap<String, OfKey> {
        HashMap::new()
    }

    fn changes(&self) -> broadcast::Receiver<Arc<Alert>> {
        broadcast::channel(1).1
    }
}
