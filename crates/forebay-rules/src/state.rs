//! How the keys of a rule stand: what the journal holds, as a pure value that its entries ([`entry`](crate::entry)) change.
//!
//! What is remembered of a subject ([`key`](crate::key)) is its open alert, the newest cleared one, and a [`Watch`]: conditions that
//! wait, rows that are counted, the end of a cool-down, the time of the newest record where silence is told. A subject of
//! which there is none of these takes no room. Where silence is watched, each epoch writes the keys that it saw: some 60 bytes each.
//!
//! What must stay true: applying the entries of a journal in their order gives the state that the process had which
//! wrote them. Entries of version 1 are read too: their `pending` and `idle` are the watches of one level.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use forebay_core::Epoch;

use crate::alert::{Alert, AlertState};
use crate::entry::{Entry, EpochEntry, Last, PersonEntry, Snapshot, Watch};
use crate::key;
use crate::logic::{LEVELS, Logic};
use crate::machine::{Phase, Standing};
use crate::notices::Outbox;
use crate::silent::Silence;
use crate::track::KeyState;

/// See the module. Alerts are shared with whoever shows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RuleState {
    last: Option<Last>,
    watches: HashMap<String, Watch>,
    open: HashMap<String, Arc<Alert>>,
    /// Oldest first.
    cleared: VecDeque<Arc<Alert>>,
    /// The newest cleared alert of each subject, and how many of it are kept.
    newest: HashMap<String, (Arc<Alert>, usize)>,
    outbox: Outbox,
}

impl RuleState {
    /// How a key stands.
    pub fn of(&self, logic: &Logic, key: &str) -> KeyState {
        let mut state = KeyState { standing: self.standing(logic, key), ..KeyState::default() };
        if let Some(watch) = self.watches.get(key) {
            state.causes.clone_from(&watch.causes);
        }
        for field in logic.aspects() {
            let subject = key::silence(key, field);
            let watch = self.watches.get(&subject);
            let open = self.open.get(&subject).map(|alert| alert.opened_at);
            state.silences.push(Silence { seen: watch.and_then(|watch| watch.seen), open });
            state.source = state.source.or_else(|| Some(Arc::from(watch?.source.as_deref()?)));
        }
        state
    }

    fn standing(&self, logic: &Logic, key: &str) -> Standing {
        let phase = match self.open.get(key) {
            Some(alert) => Phase::Open { since: alert.level_at(), level: logic.level_of(alert.severity) },
            // Where its rule was taken out, it ended by the clock and not by a record.
            None => Phase::Idle {
                since: self.newest_cleared(key).and_then(|alert| match alert.rule_removed {
                    true => Some(alert.level_at()),
                    false => alert.cleared_at,
                }),
            },
        };
        let mut standing = Standing { phase, ..Standing::default() };
        if let Some(watch) = self.watches.get(key) {
            standing.rest_until = watch.rest_until;
            let gates = watch.gates.iter().take(logic.levels.len().min(LEVELS));
            standing.gates.iter_mut().zip(gates).for_each(|(gate, kept)| gate.clone_from(kept));
        }
        standing
    }

    /// True if something is remembered of a key beside cleared alerts.
    pub fn is_active(&self, logic: &Logic, key: &str) -> bool {
        let is = |subject: &str| self.open.contains_key(subject) || self.watches.contains_key(subject);
        is(key) || logic.aspects().any(|field| is(&key::silence(key, field)))
    }

    /// True if a condition of the key began to hold at this time, and holds.
    pub fn began(&self, key: &str, at: i64) -> bool {
        let gates = self.watches.get(key).map_or(&[][..], |watch| &watch.gates);
        gates.iter().any(|gate| gate.since == Some(at))
    }

    /// Every subject of which something is remembered beside cleared alerts; some come twice.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.open.keys().chain(self.watches.keys()).map(String::as_str)
    }

    /// How much is remembered beside cleared alerts.
    pub fn active(&self) -> usize {
        self.open.len() + self.watches.len()
    }

    /// The open alert of a subject.
    pub fn open(&self, subject: &str) -> Option<&Arc<Alert>> {
        self.open.get(subject)
    }

    /// Every open alert, in no order.
    pub fn all_open(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.open.values()
    }

    /// What is remembered of a subject.
    pub fn watch(&self, subject: &str) -> Option<&Watch> {
        self.watches.get(subject)
    }

    /// Every subject of which something is remembered, in no order.
    pub fn watches(&self) -> impl Iterator<Item = (&String, &Watch)> {
        self.watches.iter()
    }

    /// The newest epoch that is in the journal.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// Cleared alerts, oldest first.
    pub fn cleared(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.cleared.iter()
    }

    /// The newest cleared alert of a subject, if it is remembered.
    pub fn newest_cleared(&self, subject: &str) -> Option<&Arc<Alert>> {
        self.newest.get(subject).map(|(alert, _)| alert)
    }

    /// The newest epoch of a query.
    pub fn last_epoch(&self, query_id: &str) -> Option<Epoch> {
        self.last.as_ref().filter(|last| last.query_id == query_id).map(|last| last.epoch)
    }

    /// Who is to be told of what.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Takes an entry; of the cleared alerts the newest `keep` stay. Gives the alerts that changed.
    pub fn apply(&mut self, entry: Entry, keep: usize) -> Vec<Arc<Alert>> {
        let changed = match entry {
            Entry::Epoch(EpochEntry { last, changes }) => {
                self.last = Some(last);
                let transitions = changes.transitions.into_iter().map(|alert| self.transition(alert));
                let mut changed: Vec<_> = transitions.collect();
                changed.extend(changes.updates.into_iter().map(|alert| self.update(alert)));
                for key in &changes.idle {
                    self.watches.remove(key);
                }
                self.watches
                    .extend(changes.pending.into_iter().map(|(key, since)| (key, Watch::pending(since))));
                for (subject, watch) in changes.watches {
                    match watch {
                        Some(watch) => drop(self.watches.insert(subject, watch)),
                        None => drop(self.watches.remove(&subject)),
                    }
                }
                self.outbox.take(changes.telling);
                changed
            }
            Entry::Snapshot(snapshot) => {
                let Snapshot { last, watches, open, cleared, outbox, pending } = *snapshot;
                *self = Self { last, outbox, ..Self::default() };
                let changed = cleared.into_iter().chain(open).map(|alert| self.transition(alert)).collect();
                // Last: an older alert of a key that waits again says nothing of its waiting.
                self.watches.extend(pending.into_iter().map(|(key, since)| (key, Watch::pending(since))));
                self.watches.extend(watches);
                changed
            }
            Entry::Person(person) => {
                let PersonEntry { alert, telling } = *person;
                self.outbox.take(telling);
                vec![self.update(alert)]
            }
            Entry::Delivered(ids) => {
                self.outbox.deliver(&ids);
                Vec::new()
            }
        };
        while self.cleared.len() > keep {
            let Some(oldest) = self.cleared.pop_front() else { break };
            match self.newest.get_mut(&*oldest.subject()) {
                Some((_, count)) if *count > 1 => *count -= 1,
                _ => drop(self.newest.remove(&*oldest.subject())),
            }
        }
        changed
    }

    /// An open alert is another now.
    fn update(&mut self, alert: Alert) -> Arc<Alert> {
        let alert = Arc::new(alert);
        if let Some(open) = self.open.get_mut(&*alert.subject()) {
            *open = Arc::clone(&alert);
        }
        alert
    }

    fn transition(&mut self, alert: Alert) -> Arc<Alert> {
        let alert = Arc::new(alert);
        let subject = alert.subject().into_owned();
        // What is remembered from now on comes after it.
        self.watches.remove(&subject);
        match alert.state {
            AlertState::Open => drop(self.open.insert(subject, Arc::clone(&alert))),
            AlertState::Cleared => {
                self.open.remove(&subject);
                self.cleared.push_back(Arc::clone(&alert));
                let (newest, count) = self.newest.entry(subject).or_insert_with(|| (Arc::clone(&alert), 0));
                *newest = Arc::clone(&alert);
                *count += 1;
            }
        }
        alert
    }

    /// Everything, as one entry.
    pub fn snapshot(&self) -> Entry {
        let watches = self.watches.iter().map(|(subject, watch)| (subject.clone(), watch.clone()));
        Entry::Snapshot(Box::new(Snapshot {
            last: self.last.clone(),
            watches: watches.collect(),
            open: self.open.values().map(|alert| Alert::clone(alert)).collect(),
            cleared: self.cleared.iter().map(|alert| Alert::clone(alert)).collect(),
            outbox: self.outbox.clone(),
            pending: BTreeMap::new(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Changes;
    use crate::tests::rule;

    fn last() -> Last {
        Last { query_id: "q-1".into(), epoch: Epoch(7) }
    }

    #[test]
    fn a_snapshot_says_the_same_as_what_it_was_made_of() {
        let mut state = RuleState::default();
        let open = |key: &str, at| Alert::open((&rule(0), "iot"), key, at, &[], 0, None);
        let transitions = vec![open("a", 1), open("a", 1).clear(&rule(0), 2, &[], 0), open("b", 3)];
        // `a` waits again, after an alert that is remembered.
        let watches = [("a", 9), ("c", 4)].map(|(key, at)| (key.to_owned(), Some(Watch::pending(at))));
        let changes = Changes { transitions, watches: watches.into(), ..Changes::default() };
        state.apply(Entry::Epoch(EpochEntry { last: last(), changes }), 10);
        let mut again = RuleState::default();
        again.apply(state.snapshot(), 10);
        assert_eq!(again, state);
        assert!(again.began("a", 9) && !again.began("b", 3));
    }

    #[test]
    fn what_version_1_wrote_is_understood() {
        let alert = |state: &str, key: &str, cleared: &str| {
            format!(
                r#"{{"id":"hot/{key}/1","rule":"hot","source":"iot","key":"{key}","severity":"critical","state":"{state}","openedAt":1,"clearedAt":{cleared},"seenAt":1,"message":"m","value":{{}},"clearedValue":null}}"#
            )
        };
        let (open, cleared) = (alert("open", "b", "null"), alert("cleared", "d", "5"));
        let snapshot = format!(
            r#"{{"snapshot":{{"last":{{"queryId":"q-1","epoch":6}},"pending":{{"a":9,"c":4}},"open":[{open}],"cleared":[{cleared}]}}}}"#
        );
        let opened = alert("open", "a", "null");
        let epoch = format!(
            r#"{{"epoch":{{"queryId":"q-1","epoch":7,"transitions":[{opened}],"pending":{{"e":12}},"idle":["c"]}}}}"#
        );
        let mut state = RuleState::default();
        for line in [snapshot, epoch] {
            state.apply(serde_json::from_str(&line).unwrap(), 10);
        }
        let watched: Vec<_> = state.watches().collect();
        assert_eq!(watched, [(&"e".to_owned(), &Watch::pending(12))]);
        let mut keys: Vec<_> = state.all_open().filter_map(|alert| alert.key.clone()).collect();
        keys.sort();
        assert_eq!(
            (keys, state.cleared().count(), state.last()),
            (vec!["a".into(), "b".into()], 1, Some(&last()))
        );
        let a = state.open("a").unwrap();
        assert_eq!(
            (a.event(), a.transition(), a.worst()),
            (crate::Event::Opened, "hot/a/1#1".into(), a.severity)
        );
        let logic = Logic::plain(a.severity, 0);
        assert_eq!(state.of(&logic, "d").standing.phase, Phase::Idle { since: Some(5) });
    }
}
