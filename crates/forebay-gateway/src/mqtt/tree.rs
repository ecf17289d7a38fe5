//! Who has subscribed to what: a tree of topic levels. A lookup visits each node at most once, and no deeper than the name has levels.

use std::collections::HashMap;
use std::sync::Arc;

use mqtt_proto::QoS;

use super::session::Session;

/// How a session wants the messages of one filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) qos: QoS,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) id: Option<u32>,
}

/// One session that a message is for.
pub(super) struct Match {
    pub(super) session: Arc<Session>,
    pub(super) wish: Wish,
}

#[derive(Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    here: HashMap<Arc<str>, (Arc<Session>, Wish)>,
    groups: HashMap<Box<str>, Group>,
}

#[derive(Default)]
struct Group {
    members: Vec<(Arc<Session>, Wish)>,
    turn: std::sync::atomic::AtomicUsize,
}

/// All subscriptions.
#[derive(Default)]
pub(super) struct Tree {
    root: Node,
    len: usize,
}

impl Tree {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a subscription, or replaces the session's one of the same filter. Says whether it is new.
    pub(super) fn insert(
        &mut self,
        group: Option<&str>,
        filter: &str,
        session: &Arc<Session>,
        wish: Wish,
    ) -> bool {
        let mut node = &mut self.root;
        for level in filter.split('/') {
            node = node.children.entry(level.into()).or_default();
        }
        let new = match group {
            None => node.here.insert(session.client.clone(), (session.clone(), wish)).is_none(),
            Some(group) => {
                let members = &mut node.groups.entry(group.into()).or_default().members;
                let before = members.len();
                members.retain(|(other, _)| other.client != session.client);
                let new = members.len() == before;
                members.push((session.clone(), wish));
                new
            }
        };
        self.len += usize::from(new);
        new
    }

    /// Takes a subscription away. Says whether it was there.
    pub(super) fn remove(&mut self, group: Option<&str>, filter: &str, client: &str) -> bool {
        let there = self.root.remove(group, &mut filter.split('/'), client);
        self.len -= usize::from(there);
        there
    }

    /// The subscriptions that match a topic's name: every plain one, and of each shared group one member, in turns, connected ones first.
    pub(super) fn matches(&self, name: &str) -> Vec<Match> {
        let mut found = Vec::new();
        if self.len > 0 {
            self.root.collect(&mut name.split('/'), name.starts_with('$'), &mut found);
        }
        found
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.here.is_empty() && self.groups.is_empty()
    }

    fn remove(&mut self, group: Option<&str>, levels: &mut std::str::Split<'_, char>, client: &str) -> bool {
        let Some(level) = levels.next() else {
            return match group {
                None => self.here.remove(client).is_some(),
                Some(name) => {
                    let Some(group) = self.groups.get_mut(name) else { return false };
                    let before = group.members.len();
                    group.members.retain(|(session, _)| &*session.client != client);
                    let there = group.members.len() < before;
                    if group.members.is_empty() {
                        self.groups.remove(name);
                    }
                    there
                }
            };
        };
        let Some(child) = self.children.get_mut(level) else { return false };
        let there = child.remove(group, levels, client);
        if child.is_empty() {
            self.children.remove(level);
        }
        there
    }

    fn collect(&self, levels: &mut std::str::Split<'_, char>, reserved: bool, found: &mut Vec<Match>) {
        if !reserved && let Some(rest) = self.children.get("#") {
            rest.take(found);
        }
        let Some(level) = levels.next() else { return self.take(found) };
        if !reserved && let Some(any) = self.children.get("+") {
            any.collect(&mut levels.clone(), false, found);
        }
        if let Some(child) = self.children.get(level) {
            child.collect(levels, false, found);
        }
    }

    fn take(&self, found: &mut Vec<Match>) {
        found.extend(
            self.here.values().map(|(session, wish)| Match { session: session.clone(), wish: *wish }),
        );
        for group in self.groups.values() {
            let first = group.turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let count = group.members.len();
            let in_turn = (0..count).filter_map(|at| group.members.get((first.wrapping_add(at)) % count));
            let chosen = in_turn
                .clone()
                .find(|(session, _)| session.is_connected())
                .or_else(|| in_turn.clone().next());
            if let Some((session, wish)) = chosen {
                found.push(Match { session: session.clone(), wish: *wish });
            }
        }
    }
}
