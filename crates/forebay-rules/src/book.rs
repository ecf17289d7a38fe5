//! The open alerts of a pipeline and the newest cleared ones, for whoever shows them.
//!
//! Every alert's sink writes into one shared [`AlertBook`]; the server reads it and listens to its changes. Nothing
//! here is durable: each sink fills in what its journal says when it opens. What must stay true: a reader never waits
//! for a sink's disk, a sink never waits for a reader, and a transition is told only when it is durable.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use forebay_core::config::Severity;
use parking_lot::RwLock;
use tokio::sync::broadcast;

use crate::alert::{Alert, AlertState};

/// Cleared alerts that are kept of all rules together; the oldest go.
const CLEARED: usize = 10_000;

/// Transitions that wait for a slow listener; one that is further behind is told how many it missed and reads anew.
const WAITING: usize = 1_024;

/// A shared handle; clones are the same book.
#[derive(Clone, Debug)]
pub struct AlertBook(Arc<Book>);

#[derive(Debug)]
struct Book {
    pages: RwLock<Pages>,
    changes: broadcast::Sender<Arc<Alert>>,
}

#[derive(Debug, Default)]
struct Pages {
    /// Open alerts by source and key: one for each rule at most.
    open: HashMap<String, HashMap<String, Vec<Arc<Alert>>>>,
    /// Oldest first, by the time they cleared.
    cleared: VecDeque<Arc<Alert>>,
}

/// How many alerts are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub open: u64,
    /// By severity; severities without any are missing.
    pub by_severity: BTreeMap<Severity, u64>,
}

impl Default for AlertBook {
    fn default() -> Self {
        let (changes, _) = broadcast::channel(WAITING);
        Self(Arc::new(Book { pages: RwLock::default(), changes }))
    }
}

impl AlertBook {
    /// The open alerts, newest first.
    pub fn open(&self) -> Vec<Arc<Alert>> {
        let mut open: Vec<_> = self.0.pages.read().all_open().cloned().collect();
        open.sort_by(|a, b| (b.opened_at, &b.id).cmp(&(a.opened_at, &a.id)));
        open
    }

    /// The newest cleared alerts, newest first.
    pub fn cleared(&self) -> Vec<Arc<Alert>> {
        self.0.pages.read().cleared.iter().rev().cloned().collect()
    }

    /// How many are open.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for alert in self.0.pages.read().all_open() {
            counts.open += 1;
            *counts.by_severity.entry(alert.severity).or_default() += 1;
        }
        counts
    }

    /// The keys of a source that have open alerts: how many, and how bad the worst of them is.
    pub fn keys(&self, source: &str) -> Vec<(String, u64, Severity)> {
        let pages = self.0.pages.read();
        let keys = pages.open.get(source).into_iter().flatten();
        keys.filter_map(|(key, alerts)| {
            let worst = alerts.iter().map(|alert| alert.severity).max()?;
            Some((key.clone(), alerts.len() as u64, worst))
        })
        .collect()
    }

    /// Each transition from now on, as soon as it is durable. A listener that lags behind misses the oldest.
    pub fn changes(&self) -> broadcast::Receiver<Arc<Alert>> {
        self.0.changes.subscribe()
    }

    /// What a rule's journal says when it opens, in place of whatever is there of that rule. Tells nobody.
    pub(crate) fn load<'a>(
        &self,
        rule: &str,
        open: impl Iterator<Item = &'a Arc<Alert>>,
        cleared: impl Iterator<Item = &'a Arc<Alert>>,
    ) {
        let mut pages = self.0.pages.write();
        pages.forget(rule);
        open.for_each(|alert| pages.put(alert));
        let mut all: Vec<_> = pages.cleared.drain(..).chain(cleared.cloned()).collect();
        all.sort_by_key(|alert| Reverse(alert.cleared_at));
        all.truncate(CLEARED);
        pages.cleared.extend(all.into_iter().rev());
    }

    /// Takes an epoch's transitions, in their order, and tells them.
    pub(crate) fn publish(&self, transitions: Vec<Arc<Alert>>) {
        if transitions.is_empty() {
            return;
        }
        let mut pages = self.0.pages.write();
        transitions.iter().for_each(|alert| pages.put(alert));
        let surplus = pages.cleared.len().saturating_sub(CLEARED);
        pages.cleared.drain(..surplus);
        drop(pages);
        for alert in transitions {
            // Nobody may be listening.
            let _ = self.0.changes.send(alert);
        }
    }
}

impl Pages {
    fn all_open(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.open.values().flat_map(|keys| keys.values()).flatten()
    }

    fn put(&mut self, alert: &Arc<Alert>) {
        match alert.state {
            AlertState::Open => {
                let keys = self.open.entry(alert.source.clone()).or_default();
                keys.entry(alert.key.clone()).or_default().push(Arc::clone(alert));
            }
            AlertState::Cleared => {
                self.close(alert);
                self.cleared.push_back(Arc::clone(alert));
            }
        }
    }

    fn close(&mut self, cleared: &Alert) {
        let Some(keys) = self.open.get_mut(&cleared.source) else { return };
        let Some(alerts) = keys.get_mut(&cleared.key) else { return };
        alerts.retain(|alert| alert.id != cleared.id);
        if alerts.is_empty() {
            keys.remove(&cleared.key);
        }
    }

    fn forget(&mut self, rule: &str) {
        for keys in self.open.values_mut() {
            keys.values_mut().for_each(|alerts| alerts.retain(|alert| alert.rule != rule));
            keys.retain(|_, alerts| !alerts.is_empty());
        }
        self.cleared.retain(|alert| alert.rule != rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rule;

    fn alert(name: &str, key: &str, at: i64, severity: Severity) -> Arc<Alert> {
        let mut rule = rule(0);
        (rule.name, rule.severity) = (name.to_owned(), severity);
        Arc::new(Alert::open(&rule, key, at, &[], 0, None))
    }

    fn cleared(alert: &Alert, at: i64) -> Arc<Alert> {
        Arc::new(alert.clear(&rule(0), at, &[], 0))
    }

    #[test]
    fn a_key_shows_its_worst_open_alert() {
        let book = AlertBook::default();
        let (hot, dry) = (alert("hot", "d1", 5, Severity::Critical), alert("dry", "d1", 6, Severity::Info));
        book.publish(vec![hot.clone(), dry.clone(), alert("hot", "d2", 7, Severity::Critical)]);
        let worst = |key: &str| {
            let keys = book.keys("iot").into_iter();
            keys.filter(|(of, ..)| of == key).map(|(_, count, worst)| (count, worst)).next()
        };
        assert_eq!(worst("d1"), Some((2, Severity::Critical)));
        assert_eq!(book.counts().by_severity, BTreeMap::from([(Severity::Info, 1), (Severity::Critical, 2)]));
        book.publish(vec![cleared(&hot, 9)]);
        assert_eq!(worst("d1"), Some((1, Severity::Info)));
        assert_eq!((worst("d3"), book.keys("other").len()), (None, 0));
        let open: Vec<_> = book.open().iter().map(|alert| alert.opened_at).collect();
        assert_eq!((open, book.counts().open), (vec![7, 6], 2));
        assert_eq!(book.cleared()[0].cleared_at, Some(9));
    }

    #[test]
    fn each_transition_is_told_and_what_was_there_before_is_not() {
        let book = AlertBook::default();
        let mut changes = book.changes();
        let old = alert("hot", "d1", 5, Severity::Critical);
        book.load("hot", [old.clone()].iter(), [cleared(&old, 6)].iter());
        assert!(changes.try_recv().is_err());
        let new = alert("hot", "d2", 7, Severity::Critical);
        book.publish(vec![new.clone(), cleared(&new, 8)]);
        assert_eq!(changes.try_recv().unwrap(), new);
        assert_eq!(changes.try_recv().unwrap().cleared_at, Some(8));
        assert!(changes.try_recv().is_err());
    }

    #[test]
    fn a_rule_that_opens_again_replaces_what_was_known_of_it() {
        let book = AlertBook::default();
        let (hot, dry) = (alert("hot", "d1", 5, Severity::Critical), alert("dry", "d1", 6, Severity::Info));
        for _ in 0..2 {
            book.load("hot", [hot.clone()].iter(), [cleared(&hot, 6), cleared(&hot, 9)].iter());
            book.load("dry", [dry.clone()].iter(), [cleared(&dry, 8)].iter());
        }
        assert_eq!(book.counts().open, 2);
        let cleared: Vec<_> = book.cleared().iter().map(|alert| alert.cleared_at).collect();
        assert_eq!(cleared, [Some(9), Some(8), Some(6)]);
    }

    #[test]
    fn cleared_alerts_do_not_grow_without_bound() {
        let book = AlertBook::default();
        for at in 0..i64::try_from(CLEARED).unwrap() + 5 {
            let alert = alert("hot", "d1", at, Severity::Info);
            book.publish(vec![alert.clone(), cleared(&alert, at)]);
        }
        assert_eq!((book.cleared().len(), book.counts().open), (CLEARED, 0));
        assert_eq!(book.cleared()[CLEARED - 1].cleared_at, Some(5));
    }
}
