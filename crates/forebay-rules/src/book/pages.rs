//! What the book holds: open alerts by source and key, and the newest that cleared.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::alert::{Alert, AlertState};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// The field of each source that each rule's key is.
    pub fields: HashMap<String, BTreeMap<String, String>>,
    /// Open alerts by source and key (as the state holds it): of each rule one of its condition at most, and those of silence.
    pub open: HashMap<String, HashMap<String, Vec<Arc<Alert>>>>,
    /// Oldest first, by the time they cleared.
    pub cleared: VecDeque<Arc<Alert>>,
}

impl Pages {
    /// The field of a source that a rule's key is.
    pub fn field(&self, rule: &str, source: &str) -> Option<&str> {
        self.fields.get(rule)?.get(source).map(String::as_str)
    }

    pub fn all_open(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.open.values().flat_map(|keys| keys.values()).flatten()
    }

    pub fn put(&mut self, alert: &Arc<Alert>) {
        match alert.state {
            AlertState::Open if self.replace(alert) => {}
            AlertState::Open => {
                let keys = self.open.entry(alert.source.clone()).or_default();
                keys.entry(alert.held_key().into_owned()).or_default().push(Arc::clone(alert));
            }
            AlertState::Cleared => {
                self.close(alert);
                self.cleared.push_back(Arc::clone(alert));
            }
        }
    }

    /// Puts an open alert in the place of what it was, if it is there, and not newer.
    pub fn replace(&mut self, alert: &Arc<Alert>) -> bool {
        let keys = self.open.get_mut(&alert.source);
        let open = keys.and_then(|keys| keys.get_mut(&*alert.held_key()));
        let Some(known) = open.and_then(|all| all.iter_mut().find(|known| known.id == alert.id)) else {
            return false;
        };
        if known.life.step <= alert.life.step {
            *known = Arc::clone(alert);
        }
        true
    }

    pub fn close(&mut self, cleared: &Alert) {
        let Some(keys) = self.open.get_mut(&cleared.source) else { return };
        let key = cleared.held_key();
        let Some(alerts) = keys.get_mut(&*key) else { return };
        alerts.retain(|alert| alert.id != cleared.id);
        if alerts.is_empty() {
            keys.remove(&*key);
        }
    }

    pub fn forget(&mut self, rule: &str) {
        self.fields.remove(rule);
        for keys in self.open.values_mut() {
            keys.values_mut().for_each(|alerts| alerts.retain(|alert| alert.rule != rule));
            keys.retain(|_, alerts| !alerts.is_empty());
        }
        self.cleared.retain(|alert| alert.rule != rule);
    }
}
