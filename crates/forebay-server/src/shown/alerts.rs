//! Alerts: durable objects that open and clear, one for each rule and key.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

pub use forebay_core::config::Severity;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_rules::{Acknowledged, AlertBook};
pub use forebay_rules::{Alert, AlertState, End, OfKey, Remark, Silence, SilenceState, Wish};
pub use forebay_rules::{LONGEST_NAME, MOST_NAMES};
use serde::Serialize;
use tokio::sync::broadcast;

use super::devices::Followed;
use super::{AboutAlert, Shown};

/// The alerts of a pipeline.
pub trait Alerts: Send + Sync {
    /// Alerts by the time they opened, newest first: those that are wanted, after this place, at most `limit`.
    fn list(&self, wanted: &Wanted, after: Option<Place>, limit: usize) -> Vec<Arc<Alert>>;

    /// Open alerts by severity.
    fn open(&self) -> Open;

    /// Open alerts by rule and severity; those without any may be missing.
    fn by_rule(&self) -> HashMap<(String, Severity), u64>;

    /// Open alerts by the value of this field of a source, where that is what they are about.
    fn by_key(&self, source: &str, field: &str) -> HashMap<String, OfKey>;

    /// Notices that wait to be taken, by channel; channels without any may be missing.
    fn due(&self) -> BTreeMap<String, u64>;

    /// Somebody takes care of the open alert of this id; gives it as it is then, also where somebody else was before. Waits for a disk.
    /// `NO_RESOURCE` if it is not open, `BAD_VALUE` if the remark cannot be kept.
    fn acknowledge(&self, id: &str, remark: Remark) -> Result<Arc<Alert>>;

    /// Somebody says something of the open alert of this id; as [`Self::acknowledge`].
    fn comment(&self, id: &str, remark: Remark) -> Result<Arc<Alert>>;

    /// The silences that people made, as they stand at this time (milliseconds since 1970): those that hold first, those that ended last.
    fn silences(&self, now: i64) -> Vec<Silence>;

    /// Makes a silence; `made` says whose it is, when, and why. Waits for a disk. `BAD_VALUE` if it cannot be kept, `CONFLICT` if there are
    /// too many.
    fn silence(&self, wish: Wish, made: Remark) -> Result<Silence>;

    /// Ends a silence. Waits for a disk. `NO_RESOURCE` if it is not known.
    fn end_silence(&self, id: &str, ended: Remark) -> Result<Silence>;

    /// Each transition (opened, raised, lowered, acknowledged, cleared) from now on. A listener that lags behind misses the oldest.
    fn changes(&self) -> broadcast::Receiver<Arc<Alert>>;
}

/// Which alerts are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those in this state.
    pub state: Which,
    /// Only those of this source, upper and lower case alike.
    pub source: Option<String>,
    /// Only those about this key; `Some(None)` is NULL.
    pub key: Option<Option<String>>,
    /// Only those of this rule.
    pub rule: Option<String>,
}

impl Wanted {
    /// Whether an alert is one of them.
    pub fn has(&self, alert: &Alert) -> bool {
        let state = match self.state {
            Which::All => true,
            Which::Open => alert.state == AlertState::Open,
            Which::Cleared => alert.state == AlertState::Cleared,
        };
        state
            && self.source.as_ref().is_none_or(|source| source.eq_ignore_ascii_case(&alert.source))
            && self.key.as_ref().is_none_or(|key| *key == alert.key)
            && self.rule.as_ref().is_none_or(|rule| *rule == alert.rule)
    }
}

/// Where an alert stands in the list, for good: also when it has cleared, or is no longer remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it opened, milliseconds since 1970.
    pub at: i64,
    /// Tells those of one millisecond apart; short, however long a key is.
    pub mark: u64,
}

impl Place {
    /// Of this alert.
    pub fn of(alert: &Alert) -> Self {
        let mut mark = DefaultHasher::new();
        alert.id.hash(&mut mark);
        Self { at: alert.opened_at, mark: mark.finish() }
    }
}

/// Alerts in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Which {
    Open,
    Cleared,
    #[default]
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

/// The open alerts of the devices of a source: none of a source without a key. Those of a view's devices are of the rules that
/// watch the view by the same key.
pub(crate) fn of_devices(shown: &Shown, source: &dyn Followed) -> HashMap<String, OfKey> {
    let layout = source.layout();
    let Some(key) = layout.key_name() else { return HashMap::new() };
    if source.reads() == source.name() {
        return shown.alerts.by_key(source.name(), key);
    }
    let rules: Vec<&str> = shown
        .about
        .alerts
        .iter()
        .filter(|rule| is_of(rule, source.name(), key))
        .map(|rule| &*rule.name)
        .collect();
    let mut keys: HashMap<String, OfKey> = HashMap::new();
    if rules.is_empty() {
        return keys;
    }
    let wanted = Wanted { state: Which::Open, ..Wanted::default() };
    for alert in shown.alerts.list(&wanted, None, usize::MAX) {
        if rules.contains(&&*alert.rule) {
            let none = OfKey { count: 0, severity: alert.severity };
            let of_key = keys.entry(alert.key.clone().unwrap_or_default()).or_insert(none);
            of_key.count += 1;
            of_key.severity = alert.severity.max(of_key.severity);
        }
    }
    keys
}

/// True if a rule watches a view by the key of its devices.
pub(crate) fn is_of(rule: &AboutAlert, view: &str, key: &str) -> bool {
    rule.on.eq_ignore_ascii_case(view) && rule.key.eq_ignore_ascii_case(key)
}

impl Alerts for AlertBook {
    fn list(&self, wanted: &Wanted, after: Option<Place>, limit: usize) -> Vec<Arc<Alert>> {
        let all = match wanted.state {
            Which::Open => self.open(),
            Which::Cleared => self.cleared(),
            Which::All => [self.open(), self.cleared()].concat(),
        };
        let found = all.into_iter().filter(|alert| wanted.has(alert)).map(|alert| (Place::of(&alert), alert));
        let mut rest: Vec<_> = found.filter(|(place, _)| after.is_none_or(|after| *place < after)).collect();
        rest.sort_by_key(|(place, _)| Reverse(*place));
        rest.into_iter().take(limit).map(|(_, alert)| alert).collect()
    }

    fn open(&self) -> Open {
        let counts = self.counts();
        let of = |severity| counts.by_severity.get(&severity).copied().unwrap_or_default();
        Open { critical: of(Severity::Critical), warning: of(Severity::Warning), info: of(Severity::Info) }
    }

    fn by_rule(&self) -> HashMap<(String, Severity), u64> {
        let mut rules = HashMap::new();
        let of = |alert: &Alert| (alert.rule.clone(), alert.severity);
        self.open().iter().for_each(|alert| *rules.entry(of(alert)).or_default() += 1);
        rules
    }

    fn by_key(&self, source: &str, field: &str) -> HashMap<String, OfKey> {
        self.keys(source, field)
    }

    fn due(&self) -> BTreeMap<String, u64> {
        self.due_counts()
    }

    fn acknowledge(&self, id: &str, remark: Remark) -> Result<Arc<Alert>> {
        let alert = self.open_one(id).ok_or_else(|| not_open(id))?;
        match Self::acknowledge(self, &alert.rule, id, remark)? {
            Acknowledged::Now(alert) | Acknowledged::Before(alert) => Ok(alert),
        }
    }

    fn comment(&self, id: &str, remark: Remark) -> Result<Arc<Alert>> {
        let alert = self.open_one(id).ok_or_else(|| not_open(id))?;
        Self::comment(self, &alert.rule, id, remark)
    }

    fn silences(&self, now: i64) -> Vec<Silence> {
        self.silences().all(now)
    }

    fn silence(&self, wish: Wish, made: Remark) -> Result<Silence> {
        self.silences().make(wish, made)
    }

    fn end_silence(&self, id: &str, ended: Remark) -> Result<Silence> {
        self.silences().end(id, ended)
    }

    fn changes(&self) -> broadcast::Receiver<Arc<Alert>> {
        self.changes()
    }
}

fn not_open(id: &str) -> Error {
    Error::new(&codes::NO_RESOURCE, format!("no alert `{id}` is open")).with_hint(
        "It has cleared, or its rule is not running. `GET /api/v1/alerts?state=open` lists what is open.",
    )
}
