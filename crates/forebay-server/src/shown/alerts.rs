//! Alerts: durable objects that open and clear, one for each rule and key.

use std::collections::HashMap;
use std::sync::Arc;

pub use forebay_core::config::Severity;
use forebay_rules::AlertBook;
pub use forebay_rules::{Alert, AlertState};
use serde::Serialize;
use tokio::sync::broadcast;

/// The alerts of a pipeline.
pub trait Alerts: Send + Sync {
    /// Alerts by the time they opened, newest first: those of a state, after the one with this id, at most `limit`.
    fn list(&self, which: Which, after: Option<&str>, limit: usize) -> Vec<Arc<Alert>>;

    /// Open alerts by severity.
    fn open(&self) -> Open;

    /// Open alerts of a source by the key they are about.
    fn by_key(&self, source: &str) -> HashMap<String, OfKey>;

    /// Each transition (opened, cleared) from now on. A listener that lags behind misses the oldest.
    fn changes(&self) -> broadcast::Receiver<Arc<Alert>>;
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

impl Alerts for AlertBook {
    fn list(&self, which: Which, after: Option<&str>, limit: usize) -> Vec<Arc<Alert>> {
        let mut all = match which {
            Which::Open => self.open(),
            Which::Cleared => self.cleared(),
            Which::All => [self.open(), self.cleared()].concat(),
        };
        all.sort_by(|a, b| (b.opened_at, &b.id).cmp(&(a.opened_at, &a.id)));
        let after =
            after.and_then(|id| all.iter().position(|alert| alert.id == id)).map_or(0, |index| index + 1);
        all.into_iter().skip(after).take(limit).collect()
    }

    fn open(&self) -> Open {
        let counts = self.counts();
        let of = |severity| counts.by_severity.get(&severity).copied().unwrap_or_default();
        Open { critical: of(Severity::Critical), warning: of(Severity::Warning), info: of(Severity::Info) }
    }

    fn by_key(&self, source: &str) -> HashMap<String, OfKey> {
        let keys = self.keys(source).into_iter();
        keys.map(|(key, count, severity)| (key, OfKey { count, severity })).collect()
    }

    fn changes(&self) -> broadcast::Receiver<Arc<Alert>> {
        self.changes()
    }
}
