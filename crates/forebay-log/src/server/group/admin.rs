//! Groups as people look at them, and how they and their offsets are removed.
//!
//! Removals go through the same queue as commits, so that each is durable, and shown, in its turn.

use super::member::Member;
use super::{Coordinator, Durable, Group, Name, OffsetKey, Phase, offsets};
use kafka_protocol::ResponseError;
use std::collections::{BTreeMap, HashSet};

impl Coordinator {
    /// Ids and protocol types of all groups, also of those that only have offsets.
    pub(crate) fn list(&self) -> BTreeMap<Name, String> {
        let groups = self.groups.lock();
        let offsets_only = groups.committed.keys().map(|id| (id.clone(), String::new()));
        let alive = groups.by_id.iter().map(|(id, group)| (id.clone(), group.protocol_type().to_owned()));
        offsets_only.chain(alive).collect()
    }

    /// Shows one group to `look`; a group that only has offsets is shown as an empty one.
    pub(crate) fn with_group<T>(&self, group: &str, look: impl FnOnce(Option<&Group>) -> T) -> T {
        let groups = self.groups.lock();
        match groups.by_id.get(group) {
            Some(found) => look(Some(found)),
            None if groups.committed.contains_key(group) => look(Some(&Group::new(self.limits))),
            None => look(None),
        }
    }

    /// Queues the removal of everything that is known of a group without members.
    pub(crate) fn delete(&self, group: &str) -> Result<Durable, ResponseError> {
        let mut groups = self.groups.lock();
        if groups.by_id.get(group).is_some_and(|found| found.phase() != Phase::Empty) {
            return Err(ResponseError::NonEmptyGroup);
        }
        let was_there = groups.by_id.remove(group).is_some();
        let keys: Vec<OffsetKey> =
            groups.committed.get(group).map(|offsets| offsets.keys().cloned().collect()).unwrap_or_default();
        if keys.is_empty() && !was_there {
            return Err(ResponseError::GroupIdNotFound);
        }
        Ok(self.write(group.into(), keys.into_iter().map(|key| (key, None)).collect()))
    }

    /// Queues the removal of some offsets; topics that a member reads are refused one by one.
    pub(crate) fn delete_offsets(
        &self,
        group: &str,
        keys: Vec<OffsetKey>,
    ) -> Result<(Durable, Vec<OffsetKey>), ResponseError> {
        let groups = self.groups.lock();
        let found = groups.by_id.get(group).filter(|found| found.phase() != Phase::Empty);
        if found.is_none() && !groups.committed.contains_key(group) {
            return Err(ResponseError::GroupIdNotFound);
        }
        let asked: HashSet<&str> = keys.iter().map(|key| key.topic.as_ref()).collect();
        let subscribed: HashSet<Name> = match found {
            None => HashSet::new(),
            Some(found) if found.protocol_type() == "consumer" => {
                let subscription =
                    |member: &Member| offsets::subscribed(&member.metadata(found.protocol()), &asked);
                found.members().iter().flat_map(subscription).collect()
            }
            Some(_) => return Err(ResponseError::NonEmptyGroup),
        };
        let (kept, gone): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| subscribed.contains(&key.topic));
        Ok((self.write(group.into(), gone.into_iter().map(|key| (key, None)).collect()), kept))
    }

    /// Queues the removal of what all groups committed for a topic that is no more: one of the same name begins
    /// at offset 0 again.
    pub(crate) fn forget_topic(&self, topic: &str) {
        let groups = self.groups.lock();
        for (group, offsets) in &groups.committed {
            let of_topic = offsets.keys().filter(|key| key.topic.as_ref() == topic);
            let entries: Vec<_> = of_topic.map(|key| (key.clone(), None)).collect();
            if !entries.is_empty() {
                drop(self.write(group.clone(), entries));
            }
        }
    }
}
