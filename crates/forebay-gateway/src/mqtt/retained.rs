//! Retained messages: the last of each topic, in memory, bounded in number and bytes. A restart forgets them until devices publish
//! again; what was published is in the log.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::outbox::Publication;
use super::topic;

/// Topics looked at for one answer, so that a filter that matches little does not hold the store for long.
const LOOKED_AT: usize = 1_000;

/// The store.
#[derive(Default)]
pub(super) struct Store {
    topics: BTreeMap<Arc<str>, Arc<Publication>>,
    bytes: usize,
}

/// Some of the retained messages of a filter.
pub(super) struct Page {
    pub(super) messages: Vec<Arc<Publication>>,
    /// The last topic looked at, if there may be more behind it.
    pub(super) next: Option<Arc<str>>,
}

impl Store {
    pub(super) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Keeps a message as the last of its topic; an empty one forgets the topic. False if there is no room: the topic's older one is
    /// forgotten then, because it is not the last any more.
    pub(super) fn set(&mut self, publication: &Arc<Publication>, max: usize, max_bytes: usize) -> bool {
        if let Some(before) = self.topics.remove(&*publication.topic) {
            self.bytes -= before.size();
        }
        if publication.payload.is_empty() {
            return true;
        }
        let size = publication.size();
        if self.topics.len() >= max || self.bytes + size > max_bytes {
            return false;
        }
        self.bytes += size;
        self.topics.insert(Arc::from(&*publication.topic), publication.clone());
        true
    }

    /// Up to `max` messages that the filter matches, in the order of their topics, behind `after`.
    pub(super) fn page(&self, filter: &str, after: Option<&str>, max: usize, now: i64) -> Page {
        let prefix = topic::fixed_prefix(filter);
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let mut messages = Vec::new();
        for (looked_at, (name, publication)) in
            self.topics.range::<str, _>((from, Bound::Unbounded)).enumerate()
        {
            if !name.starts_with(prefix) {
                break;
            }
            if topic::matches(filter, name) && publication.expires_at.is_none_or(|at| at > now) {
                messages.push(publication.clone());
            }
            if messages.len() >= max || looked_at >= LOOKED_AT {
                return Page { messages, next: Some(name.clone()) };
            }
        }
        Page { messages, next: None }
    }
}
