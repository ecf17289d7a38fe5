//! The open alerts of a pipeline and the newest cleared ones, for whoever shows them.
//!
//! Every alert's sink writes into one shared [`AlertBook`]; the server reads it and listens to its changes. Nothing
//! here is durable: each sink fills in what its journal says when it opens. Who acknowledges an alert or sends a notice comes here too,
//! and is led to the rule's journal; these calls wait for a disk and belong on a thread that may. What must stay true: a reader never waits
//! for a sink's disk, a sink never waits for a reader, and a transition is told only when it is durable.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use forebay_core::config::Severity;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use parking_lot::RwLock;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, broadcast};

use crate::alert::Alert;
use crate::desk::{Acknowledged, Desk};
use crate::key;
use crate::life::Remark;
use crate::notices::Notice;
use crate::silences::Silences;

mod pages;

use pages::Pages;

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
    /// Of each rule that runs.
    desks: RwLock<BTreeMap<String, Desk>>,
    changes: broadcast::Sender<Arc<Alert>>,
    /// Told when there may be something for whoever sends notices.
    news: Notify,
    silences: Silences,
    /// How many there are who send notices.
    attended: AtomicUsize,
}

/// Somebody sends notices as long as this is there.
#[derive(Debug)]
pub struct Attended(AlertBook);

impl Drop for Attended {
    fn drop(&mut self) {
        self.0.0.attended.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many alerts are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub open: u64,
    /// By severity; severities without any are missing.
    pub by_severity: BTreeMap<Severity, u64>,
}

/// The open alerts of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfKey {
    /// How many.
    pub count: u64,
    /// The worst.
    pub severity: Severity,
}

impl Default for AlertBook {
    fn default() -> Self {
        let (changes, _) = broadcast::channel(WAITING);
        let (pages, desks) = (RwLock::default(), RwLock::default());
        Self(Arc::new(Book {
            pages,
            desks,
            changes,
            news: Notify::new(),
            silences: Silences::default(),
            attended: AtomicUsize::new(0),
        }))
    }
}

impl AlertBook {
    /// The open alerts, newest first.
    pub fn open(&self) -> Vec<Arc<Alert>> {
        let mut open: Vec<_> = self.0.pages.read().all_open().cloned().collect();
        open.sort_by(|a, b| (b.opened_at, &b.id).cmp(&(a.opened_at, &a.id)));
        open
    }

    /// The open alert of this id.
    pub fn open_one(&self, id: &str) -> Option<Arc<Alert>> {
        self.0.pages.read().all_open().find(|alert| alert.id == id).cloned()
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

    /// The values of a source's field that have open alerts: how many, and how bad the worst of them is. Alerts whose key
    /// is another column are not among them. Records without a value count under the empty one.
    pub fn keys(&self, source: &str, field: &str) -> HashMap<String, OfKey> {
        let pages = self.0.pages.read();
        let open = pages.open.get(source).into_iter().flatten().flat_map(|(_, alerts)| alerts);
        let mut keys: HashMap<String, OfKey> = HashMap::new();
        for alert in open.filter(|alert| pages.field(&alert.rule, source) == Some(field)) {
            let none = OfKey { count: 0, severity: alert.severity };
            let of_key = keys.entry(alert.key.clone().unwrap_or_default()).or_insert(none);
            of_key.count += 1;
            of_key.severity = alert.severity.max(of_key.severity);
        }
        keys
    }

    /// The silences that people make, which every rule heeds.
    pub fn silences(&self) -> &Silences {
        &self.0.silences
    }

    /// Each transition from now on, as soon as it is durable. A listener that lags behind misses the oldest.
    pub fn changes(&self) -> broadcast::Receiver<Arc<Alert>> {
        self.0.changes.subscribe()
    }

    /// True if the rule has an open alert of its condition, or of silence, for this key (`None`: NULL).
    pub fn is_open(&self, rule: &str, key: Option<&str>) -> bool {
        let (pages, held) = (self.0.pages.read(), key::held(key));
        pages
            .open
            .values()
            .filter_map(|keys| keys.get(&*held))
            .flatten()
            .any(|alert| alert.rule.eq_ignore_ascii_case(rule))
    }

    /// Somebody takes care of an open alert of a rule; once, by the first who does. Durable when this returns. Blocks.
    ///
    /// # Errors
    /// `NO_RESOURCE` if it is not open, or the rule does not run; `BAD_VALUE` if name or comment cannot be kept; `STORAGE`.
    pub fn acknowledge(&self, rule: &str, id: &str, remark: Remark) -> Result<Acknowledged> {
        let done = self.desk(rule)?.acknowledge(id, remark)?;
        if let Acknowledged::Now(alert) = &done {
            self.replace(alert);
        }
        Ok(done)
    }

    /// Somebody says something of an open alert of a rule. Durable when this returns. Blocks.
    ///
    /// # Errors
    /// As [`Self::acknowledge`].
    pub fn comment(&self, rule: &str, id: &str, remark: Remark) -> Result<Arc<Alert>> {
        let alert = self.desk(rule)?.comment(id, remark)?;
        self.replace(&alert);
        Ok(alert)
    }

    /// What rules that run have to tell, each with its rule, by rule and in the order in which it was made.
    pub fn due(&self) -> Vec<(String, Notice)> {
        let desks = self.0.desks.read().clone();
        let of =
            |(rule, desk): (String, Desk)| desk.due().into_iter().map(move |notice| (rule.clone(), notice));
        desks.into_iter().flat_map(of).collect()
    }

    /// The same for one channel.
    pub fn due_for(&self, channel: &str) -> Vec<(String, Notice)> {
        let desks = self.0.desks.read().clone();
        let of = |(rule, desk): (String, Desk)| {
            desk.due_for(channel).into_iter().map(move |notice| (rule.clone(), notice))
        };
        desks.into_iter().flat_map(of).collect()
    }

    /// How many notices are due to each channel; channels without any may be missing.
    pub fn due_counts(&self) -> BTreeMap<String, u64> {
        let desks = self.0.desks.read().clone();
        let mut counts = BTreeMap::new();
        desks.values().for_each(|desk| desk.count_due(&mut counts));
        counts
    }

    /// Says that somebody sends what is due, as long as the answer lives: a rule that ends waits a little for it.
    pub fn attended(&self) -> Attended {
        self.0.attended.fetch_add(1, Ordering::Relaxed);
        Attended(self.clone())
    }

    /// True if somebody sends what is due.
    pub(crate) fn is_attended(&self) -> bool {
        self.0.attended.load(Ordering::Relaxed) > 0
    }

    /// These notices of a rule reached their channel, or never will: they are due no more. Durable when this returns. Blocks.
    ///
    /// # Errors
    /// `NO_RESOURCE` if the rule does not run; `STORAGE`.
    pub fn delivered(&self, rule: &str, ids: &[String]) -> Result<()> {
        self.desk(rule)?.delivered(ids)
    }

    fn desk(&self, rule: &str) -> Result<Desk> {
        self.0.desks.read().get(rule).cloned().ok_or_else(|| {
            Error::new(&codes::NO_RESOURCE, format!("no rule `{rule}` is running"))
                .with_hint("Start it again: its alerts are where they were.")
        })
    }

    /// An open alert is another now, if it did not clear meanwhile.
    fn replace(&self, alert: &Arc<Alert>) {
        if self.0.pages.write().replace(alert) {
            let _ = self.0.changes.send(Arc::clone(alert));
        }
    }

    /// The journal of a rule that runs lies here.
    pub(crate) fn attend(&self, rule: &str, desk: &Desk) {
        self.0.desks.write().insert(rule.to_owned(), desk.clone());
    }

    /// It does no more, unless another took its place.
    pub(crate) fn leave(&self, rule: &str, desk: &Desk) {
        let mut desks = self.0.desks.write();
        if desks.get(rule).is_some_and(|now| now.is(desk)) {
            desks.remove(rule);
        }
    }

    /// What a rule's journal says when it opens, in place of whatever is there of that rule. `fields` are those of its
    /// sources that its key is. Tells nobody.
    pub(crate) fn load<'a>(
        &self,
        rule: &str,
        fields: &BTreeMap<String, String>,
        open: impl Iterator<Item = &'a Arc<Alert>>,
        cleared: impl Iterator<Item = &'a Arc<Alert>>,
    ) {
        let mut pages = self.0.pages.write();
        pages.forget(rule);
        pages.fields.insert(rule.to_owned(), fields.clone());
        open.for_each(|alert| pages.put(alert));
        let mut all: Vec<_> = pages.cleared.drain(..).chain(cleared.cloned()).collect();
        all.sort_by_key(|alert| Reverse(alert.cleared_at));
        all.truncate(CLEARED);
        pages.cleared.extend(all.into_iter().rev());
    }

    /// Returns when there may be something new for whoever sends notices. Enable it, look, then await it: nothing is missed.
    pub fn news(&self) -> Notified<'_> {
        self.0.news.notified()
    }

    /// Takes an epoch's transitions, in their order, and tells them.
    pub(crate) fn publish(&self, transitions: Vec<Arc<Alert>>) {
        self.0.news.notify_waiters();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rule;

    fn alert(name: &str, key: &str, at: i64, severity: Severity) -> Arc<Alert> {
        let mut rule = rule(0);
        (rule.name, rule.severity) = (name.to_owned(), severity);
        Arc::new(Alert::open((&rule, "iot"), key, at, &[], 0, None))
    }

    fn iot(field: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("iot".to_owned(), field.to_owned())])
    }

    fn cleared(alert: &Alert, at: i64) -> Arc<Alert> {
        Arc::new(alert.clear(&rule(0), at, &[], 0))
    }

    #[test]
    fn a_key_shows_its_worst_open_alert() {
        let book = AlertBook::default();
        for rule in ["hot", "dry"] {
            book.load(rule, &iot("device_id"), [].iter(), [].iter());
        }
        let (hot, dry) = (alert("hot", "d1", 5, Severity::Critical), alert("dry", "d1", 6, Severity::Info));
        book.publish(vec![hot.clone(), dry.clone(), alert("hot", "d2", 7, Severity::Critical)]);
        let worst = |key: &str| book.keys("iot", "device_id").get(key).copied();
        assert_eq!(worst("d1"), Some(OfKey { count: 2, severity: Severity::Critical }));
        assert_eq!(book.counts().by_severity, BTreeMap::from([(Severity::Info, 1), (Severity::Critical, 2)]));
        book.publish(vec![cleared(&hot, 9)]);
        assert_eq!(worst("d1"), Some(OfKey { count: 1, severity: Severity::Info }));
        assert_eq!((worst("d3"), book.keys("other", "device_id").len()), (None, 0));
        let open: Vec<_> = book.open().iter().map(|alert| alert.opened_at).collect();
        assert_eq!((open, book.counts().open), (vec![7, 6], 2));
        assert_eq!(book.cleared()[0].cleared_at, Some(9));
    }

    #[test]
    fn a_value_of_another_column_is_nobodys_device() {
        let book = AlertBook::default();
        book.load("hot", &iot("device_id"), [].iter(), [].iter());
        book.load("stopped", &iot("line"), [].iter(), [].iter());
        book.load("odd", &BTreeMap::new(), [].iter(), [].iter());
        for rule in ["hot", "stopped", "odd"] {
            book.publish(vec![alert(rule, "7", 5, Severity::Info)]);
        }
        let counted = |field| book.keys("iot", field).get("7").map(|of_key| of_key.count);
        assert_eq!((counted("device_id"), counted("line"), counted("hall")), (Some(1), Some(1), None));
        assert_eq!(book.counts().open, 3);
    }

    #[test]
    fn each_transition_is_told_and_what_was_there_before_is_not() {
        let book = AlertBook::default();
        let mut changes = book.changes();
        let old = alert("hot", "d1", 5, Severity::Critical);
        book.load("hot", &BTreeMap::new(), [old.clone()].iter(), [cleared(&old, 6)].iter());
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
            book.load(
                "hot",
                &BTreeMap::new(),
                [hot.clone()].iter(),
                [cleared(&hot, 6), cleared(&hot, 9)].iter(),
            );
            book.load("dry", &BTreeMap::new(), [dry.clone()].iter(), [cleared(&dry, 8)].iter());
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
