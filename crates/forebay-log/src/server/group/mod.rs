//! The group coordinator: who reads which partitions, and how far each group has read.
//!
//! ```text
//!  state.rs + rebalance.rs   one group as a pure machine: (request, time) → answers, for the holders of tickets
//!  member.rs                 a member, and the protocol that all members speak
//!  offsets.rs                committed offsets: written one batch after the other, shown once durable
//!  transactional.rs          offsets that come with a transaction
//!  admin.rs                  groups as people look at them and remove them
//!  mod.rs                    all groups, whose requests wait, and the clock
//! ```
//!
//! Members live in memory: after a restart they are told that nobody knows them and join anew, within one
//! heartbeat. Committed offsets live in the log's group store and are durable before they are acknowledged.
//!
//! What must stay true: the lock on the groups is held while members are looked at and counted, never across a wait;
//! the checks of a commit and its place in the queue of writes are taken under one lock, so that commits of one
//! group become durable in the order in which they were allowed.

mod admin;
mod member;
mod offsets;
mod rebalance;
mod state;
#[cfg(test)]
mod tests;
mod transactional;

pub(crate) use member::Join;
pub(crate) use offsets::{Committed, OffsetKey, OffsetWriter};
pub(crate) use state::{Group, Identity, Limits, Phase};

use super::ServerOptions;
use crate::LogError;
use crate::quiet::Quiet;
use crate::storage::GroupStore;
use bytes::Bytes;
use kafka_protocol::ResponseError;
use offsets::OffsetWrite;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Milliseconds since the coordinator started.
pub(crate) type Millis = u64;
/// Text that is kept: ids of groups and members, names of protocols and topics.
pub(crate) type Name = Arc<str>;
/// A request that waits for its answer.
pub(crate) type Ticket = u64;

/// An answer to a request that waited.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// To a join.
    Join(Result<Joined, Refused>),
    /// To a sync.
    Sync(Result<Assigned, ResponseError>),
}

/// The member is in.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol: Name,
    pub(crate) leader: Name,
    pub(crate) member_id: Name,
    /// For the leader: ids, static identities and metadata of all members. Empty for the others.
    pub(crate) members: Vec<(Name, Option<Name>, Bytes)>,
}

/// The member is not in; with [`ResponseError::MemberIdRequired`], `member_id` is the one to try again with.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) error: ResponseError,
    pub(crate) member_id: Name,
}

/// A member's share of the partitions, in the words of the group's protocol.
#[derive(Clone, Debug)]
pub(crate) struct Assigned {
    pub(crate) assignment: Bytes,
}

/// What a commit or a deletion comes to, once it is durable.
pub(crate) type Durable = oneshot::Receiver<Result<(), LogError>>;
/// An entry of the store that is somebody else's: a key, and a value if it stays.
pub(crate) type Entry = (Vec<u8>, Option<Vec<u8>>);

/// All groups.
#[derive(Debug)]
pub(crate) struct Coordinator {
    groups: Mutex<Groups>,
    writes: mpsc::UnboundedSender<OffsetWrite>,
    /// Rung when a group may have to be looked at earlier than was planned.
    wake: Notify,
    started: Instant,
    limits: Limits,
    max_groups: usize,
    max_memory: usize,
}

#[derive(Debug, Default)]
struct Groups {
    by_id: HashMap<Name, Group>,
    committed: HashMap<Name, BTreeMap<OffsetKey, Committed>>,
    waiting: HashMap<Ticket, oneshot::Sender<Reply>>,
    last_ticket: Ticket,
}

impl Coordinator {
    /// A coordinator that knows the offsets in `store`, and the part of it that [`Coordinator::run`] needs.
    pub(crate) fn open(store: GroupStore, options: &ServerOptions) -> (Self, OffsetWriter) {
        let (writes, queue) = mpsc::unbounded_channel();
        let groups = Groups { committed: offsets::load(&store), ..Groups::default() };
        let limits = Limits {
            max_members: options.max_group_members,
            initial_delay: millis(options.initial_rebalance_delay),
        };
        let coordinator = Self {
            groups: Mutex::new(groups),
            writes,
            wake: Notify::new(),
            started: Instant::now(),
            limits,
            max_groups: options.max_groups,
            max_memory: options.max_group_memory,
        };
        (coordinator, OffsetWriter { queue, store })
    }

    /// Lets time pass for all groups and writes offsets, until `stop`. What is queued by then is still written.
    pub(crate) async fn run(&self, writer: OffsetWriter, quiet: &Quiet, stop: CancellationToken) {
        tokio::join!(self.watch_time(&stop), writer.run(&stop, quiet, |written| self.show(written)));
    }

    async fn watch_time(&self, stop: &CancellationToken) {
        loop {
            let now = self.now();
            let next = self.tick(now);
            let pause =
                next.map_or(Duration::from_secs(3600), |at| Duration::from_millis(at.saturating_sub(now)));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Returns when it wants to be called next.
    fn tick(&self, now: Millis) -> Option<Millis> {
        let mut groups = self.groups.lock();
        let mut replies = Vec::new();
        for group in groups.by_id.values_mut() {
            group.tick(now);
            replies.append(&mut group.take_replies());
        }
        groups.by_id.retain(|_, group| !group.is_vacant());
        groups.answer(replies);
        groups.by_id.values().filter_map(|group| group.next_tick(now)).min()
    }

    fn now(&self) -> Millis {
        millis(self.started.elapsed())
    }

    /// Brings a member's join to its group. The answer comes when the rebalance completes.
    pub(crate) fn join(&self, group: &str, join: Join, fresh_id: Name) -> oneshot::Receiver<Reply> {
        let (answer, waits) = oneshot::channel();
        let mut groups = self.groups.lock();
        let error = if !groups.has_room_for(group, self.max_groups) {
            Some(ResponseError::PolicyViolation)
        } else if !groups.has_memory_for(groups.growth(group, &join), self.max_memory) {
            Some(ResponseError::GroupMaxSizeReached)
        } else {
            None
        };
        if let Some(error) = error {
            let refused = Refused { error, member_id: join.member_id };
            let _ = answer.send(Reply::Join(Err(refused)));
            return waits;
        }
        let ticket = groups.ticket(answer);
        let limits = self.limits;
        let found = groups.by_id.entry(group.into()).or_insert_with(|| Group::new(limits));
        found.join(join, fresh_id, ticket, self.now());
        self.settle(&mut groups, group);
        waits
    }

    /// Brings a member's sync to its group. The answer comes when the leader has synced.
    pub(crate) fn sync(
        &self,
        group: &str,
        from: &Identity,
        assignments: Vec<(Name, Bytes)>,
    ) -> oneshot::Receiver<Reply> {
        let (answer, waits) = oneshot::channel();
        let mut groups = self.groups.lock();
        let brought = assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        // Who is no member hears that first: it is to join again, not to give up.
        if let Err(error) = groups.may_sync(group, from, brought, self.max_memory) {
            let _ = answer.send(Reply::Sync(Err(error)));
            return waits;
        }
        let ticket = groups.ticket(answer);
        if let Some(found) = groups.by_id.get_mut(group) {
            found.sync(from, assignments, ticket, self.now());
        }
        self.settle(&mut groups, group);
        waits
    }

    /// A member's sign of life.
    pub(crate) fn heartbeat(&self, group: &str, from: &Identity) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let found = groups.by_id.get_mut(group).ok_or(ResponseError::UnknownMemberId)?;
        found.heartbeat(from, self.now())
    }

    /// A member's goodbye.
    pub(crate) fn leave(&self, group: &str, member_id: &str) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let found = groups.by_id.get_mut(group).ok_or(ResponseError::UnknownMemberId)?;
        let left = found.leave(member_id, self.now());
        self.settle(&mut groups, group);
        left
    }

    /// Queues offsets to be committed, if this member may commit them now.
    pub(crate) fn commit(
        &self,
        group: &str,
        from: &Identity,
        offsets: Vec<(OffsetKey, Committed)>,
    ) -> Result<Durable, ResponseError> {
        let mut groups = self.groups.lock();
        if !groups.has_room_for(group, self.max_groups) {
            return Err(ResponseError::PolicyViolation);
        }
        match groups.by_id.get_mut(group) {
            Some(found) => found.check_commit(from, self.now())?,
            None => Group::new(self.limits).check_commit(from, 0)?,
        }
        let entries = offsets.into_iter().map(|(key, committed)| (key, Some(committed))).collect();
        Ok(self.write(group.into(), entries))
    }

    /// The caller holds the lock on the groups: that makes the order.
    fn write(&self, group: Name, entries: Vec<(OffsetKey, Option<Committed>)>) -> Durable {
        let entries = entries.into_iter().map(|(key, committed)| (group.clone(), key, committed));
        self.queue(entries.collect(), None)
    }

    fn queue(
        &self,
        entries: Vec<(Name, OffsetKey, Option<Committed>)>,
        transaction: Option<Entry>,
    ) -> Durable {
        let (done, durable) = oneshot::channel();
        // Without its reader the queue drops the write, and with it `done`: the caller hears of it.
        let _ = self.writes.send(OffsetWrite { entries, transaction, done });
        durable
    }

    fn show(&self, written: &[OffsetWrite]) {
        let mut groups = self.groups.lock();
        for write in written {
            for (group, key, committed) in &write.entries {
                let offsets = groups.committed.entry(group.clone()).or_default();
                match committed {
                    Some(committed) => drop(offsets.insert(key.clone(), committed.clone())),
                    None => drop(offsets.remove(key)),
                }
                if offsets.is_empty() {
                    groups.committed.remove(group);
                }
            }
        }
    }

    /// What a group has committed.
    pub(crate) fn committed(&self, group: &str) -> BTreeMap<OffsetKey, Committed> {
        self.groups.lock().committed.get(group).cloned().unwrap_or_default()
    }

    /// After a request: hands out answers, drops what is empty, and has the time looked at anew.
    fn settle(&self, groups: &mut Groups, group: &str) {
        if let Some(found) = groups.by_id.get_mut(group) {
            let replies = found.take_replies();
            if found.is_vacant() {
                groups.by_id.remove(group);
            }
            groups.answer(replies);
        }
        self.wake.notify_one();
    }
}

impl Groups {
    fn has_room_for(&self, group: &str, max_groups: usize) -> bool {
        let is_known = self.by_id.contains_key(group) || self.committed.contains_key(group);
        is_known || self.by_id.len().max(self.committed.len()) < max_groups
    }

    /// Bytes by which a join makes a group larger: none for a member that comes back as it was, nor for the new process
    /// of a static one.
    fn growth(&self, group: &str, join: &Join) -> usize {
        let members = self.by_id.get(group).map_or(&[][..], |found| found.members());
        let member = members.iter().find(|member| member.is_of(join));
        join.bytes().saturating_sub(member.map_or(0, member::Member::bytes))
    }

    fn may_sync(
        &self,
        group: &str,
        from: &Identity,
        brought: usize,
        most: usize,
    ) -> Result<(), ResponseError> {
        self.by_id.get(group).ok_or(ResponseError::UnknownMemberId)?.identify(from)?;
        if self.has_memory_for(brought, most) { Ok(()) } else { Err(ResponseError::GroupMaxSizeReached) }
    }

    /// Counted anew each time: members join seldom, and a sum that is kept can go wrong.
    fn has_memory_for(&self, more: usize, most: usize) -> bool {
        more == 0 || self.by_id.values().map(Group::bytes).sum::<usize>().saturating_add(more) <= most
    }

    fn ticket(&mut self, answer: oneshot::Sender<Reply>) -> Ticket {
        self.last_ticket += 1;
        self.waiting.insert(self.last_ticket, answer);
        self.last_ticket
    }

    fn answer(&mut self, replies: Vec<(Ticket, Reply)>) {
        for (ticket, reply) in replies {
            if let Some(answer) = self.waiting.remove(&ticket) {
                // Who closed its connection does not listen any more.
                let _ = answer.send(reply);
            }
        }
    }
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
