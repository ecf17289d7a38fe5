//! What the transaction coordinator needs of this one: who may commit, and one order for all writes.

use super::{Committed, Coordinator, Durable, Entry, Identity, Name, OffsetKey};
use kafka_protocol::ResponseError;

impl Coordinator {
    /// Queues what the transaction coordinator remembers, together with the offsets that it commits.
    pub(crate) fn write_transaction(
        &self,
        transaction: Entry,
        offsets: Vec<(Name, OffsetKey, Committed)>,
    ) -> Durable {
        let _order = self.groups.lock();
        let entries = offsets.into_iter().map(|(group, key, committed)| (group, key, Some(committed)));
        self.queue(entries.collect(), Some(transaction))
    }

    /// May these offsets become part of a transaction? Who says it is a member must be one; who does not is believed,
    /// as the transaction says who it is.
    pub(crate) fn check_transactional(&self, group: &str, from: &Identity) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        if !groups.has_room_for(group, self.max_groups) {
            return Err(ResponseError::PolicyViolation);
        }
        if from.generation < 0 && from.member_id.is_empty() && from.instance.is_none() {
            return Ok(());
        }
        match groups.by_id.get_mut(group) {
            Some(found) => found.check_commit(from, self.now()),
            None => Err(ResponseError::IllegalGeneration),
        }
    }
}
