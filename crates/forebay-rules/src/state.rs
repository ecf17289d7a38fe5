//! How the keys of a rule stand, and the entries that change it: what the journal holds, as a pure value.
//!
//! Keys are those of `key`: NULL is one of its own. A key that is idle and of which no cleared alert is remembered
//! takes no room. What must stay true: applying the entries of a journal in their order gives the state that the
//! process had which wrote them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use forebay_core::Epoch;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, AlertState};
use crate::machine::State;

/// An epoch's changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes {
    /// Alerts that opened or cleared, in the order in which they did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Alert>,
    /// Keys whose condition began to hold, with the time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: BTreeMap<String, i64>,
    /// Keys whose condition ceased before an alert opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<String>,
}

/// Which epoch of which query is in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Last {
    pub query_id: String,
    pub epoch: Epoch,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Entry {
    /// Everything so far.
    Snapshot(Snapshot),
    /// What one epoch changed.
    Epoch(EpochEntry),
}

/// Everything so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    pub last: Option<Last>,
    pub pending: BTreeMap<String, i64>,
    pub open: Vec<Alert>,
    pub cleared: Vec<Alert>,
}

/// What one epoch changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochEntry {
    #[serde(flatten)]
    pub last: Last,
    #[serde(flatten)]
    pub changes: Changes,
}

/// See the module. Alerts are shared with whoever shows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RuleState {
    last: Option<Last>,
    pending: HashMap<String, i64>,
    open: HashMap<String, Arc<Alert>>,
    /// Oldest first.
    cleared: VecDeque<Arc<Alert>>,
    /// The newest cleared alert of each key, and how many of the key are kept.
    newest: HashMap<String, (Arc<Alert>, usize)>,
}

impl RuleState {
    /// How a key stands.
    pub fn of(&self, key: &str) -> State {
        if let Some(alert) = self.open.get(key) {
            return State::Open { since: alert.opened_at };
        }
        match self.pending.get(key) {
            Some(since) => State::Pending { since: *since },
            // Where its rule was taken out, it ended by the clock and not by a record.
            None => State::Idle {
                since: self.newest_cleared(key).and_then(|alert| match alert.rule_removed {
                    true => Some(alert.opened_at),
                    false => alert.cleared_at,
                }),
            },
        }
    }

    /// True if a key waits or has an open alert.
    pub fn is_active(&self, key: &str) -> bool {
        self.open.contains_key(key) || self.pending.contains_key(key)
    }

    /// How many keys wait or have an open alert.
    pub fn active(&self) -> usize {
        self.open.len() + self.pending.len()
    }

    /// The open alert of a key.
    pub fn open(&self, key: &str) -> Option<&Arc<Alert>> {
        self.open.get(key)
    }

    /// Every open alert, in no order.
    pub fn all_open(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.open.values()
    }

    /// The keys that wait.
    pub fn all_pending(&self) -> Vec<String> {
        self.pending.keys().cloned().collect()
    }

    /// The newest epoch that is in the journal.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// Cleared alerts, oldest first.
    pub fn cleared(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.cleared.iter()
    }

    /// The newest cleared alert of a key, if it is remembered.
    pub fn newest_cleared(&self, key: &str) -> Option<&Arc<Alert>> {
        self.newest.get(key).map(|(alert, _)| alert)
    }

    /// The newest epoch of a query.
    pub fn last_epoch(&self, query_id: &str) -> Option<Epoch> {
        self.last.as_ref().filter(|last| last.query_id == query_id).map(|last| last.epoch)
    }

    /// Takes an entry; of the cleared alerts the newest `keep` stay. Gives the transitions.
    pub fn apply(&mut self, entry: Entry, keep: usize) -> Vec<Arc<Alert>> {
        let transitions = match entry {
            Entry::Epoch(EpochEntry { last, changes }) => {
                self.last = Some(last);
                let transitions =
                    changes.transitions.into_iter().map(|alert| self.transition(alert)).collect();
                for key in &changes.idle {
                    self.pending.remove(key);
                }
                self.pending.extend(changes.pending);
                transitions
            }
            Entry::Snapshot(Snapshot { last, pending, open, cleared }) => {
                *self = Self { last, ..Self::default() };
                let transitions =
                    cleared.into_iter().chain(open).map(|alert| self.transition(alert)).collect();
                // Last: an older alert of a key that waits again says nothing of its waiting.
                self.pending.extend(pending);
                transitions
            }
        };
        while self.cleared.len() > keep {
            let Some(oldest) = self.cleared.pop_front() else { break };
            match self.newest.get_mut(&*oldest.held_key()) {
                Some((_, count)) if *count > 1 => *count -= 1,
                _ => drop(self.newest.remove(&*oldest.held_key())),
            }
        }
        transitions
    }

    fn transition(&mut self, alert: Alert) -> Arc<Alert> {
        let alert = Arc::new(alert);
        let key = alert.held_key().into_owned();
        self.pending.remove(&key);
        match alert.state {
            AlertState::Open => drop(self.open.insert(key, Arc::clone(&alert))),
            AlertState::Cleared => {
                self.open.remove(&key);
                self.cleared.push_back(Arc::clone(&alert));
                let (newest, count) = self.newest.entry(key).or_insert_with(|| (Arc::clone(&alert), 0));
                *newest = Arc::clone(&alert);
                *count += 1;
            }
        }
        alert
    }

    /// Everything, as one entry.
    pub fn snapshot(&self) -> Entry {
        Entry::Snapshot(Snapshot {
            last: self.last.clone(),
            pending: self.pending.iter().map(|(key, since)| (key.clone(), *since)).collect(),
            open: self.open.values().map(|alert| Alert::clone(alert)).collect(),
            cleared: self.cleared.iter().map(|alert| Alert::clone(alert)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rule;

    #[test]
    fn a_snapshot_says_the_same_as_what_it_was_made_of() {
        let mut state = RuleState::default();
        let open = |key: &str, at| Alert::open((&rule(0), "iot"), key, at, &[], 0, None);
        let transitions = vec![open("a", 1), open("a", 1).clear(&rule(0), 2, &[], 0), open("b", 3)];
        // `a` waits again, after an alert that is remembered.
        let changes = Changes {
            transitions,
            pending: [("a".to_owned(), 9), ("c".to_owned(), 4)].into(),
            ..Changes::default()
        };
        let last = Last { query_id: "q-1".into(), epoch: Epoch(7) };
        state.apply(Entry::Epoch(EpochEntry { last, changes }), 10);
        let mut again = RuleState::default();
        again.apply(state.snapshot(), 10);
        assert_eq!(again, state);
        assert_eq!(again.of("a"), State::Pending { since: 9 });
    }
}
