//! The side of the inbox that is filled: what fetchers may ask, what becomes of their answers, and who leads a partition.
//!
//! What must stay true: of a slot one question is open at a time, and an answer counts only if the slot has not moved since it
//! was asked.

use std::time::Duration;

use forebay_core::{Error, Partition};
use tokio::time::Instant;

use super::{Chunk, Failure, Inbox, Slot};

/// What a fetcher brings for one partition.
#[derive(Debug)]
pub struct Fetched {
    pub chunk: Option<Chunk>,
    /// The position after the newest record that may be read.
    pub end: i64,
}

/// A question a fetcher may ask.
#[derive(Clone, Debug)]
pub struct Question {
    pub partition: Partition,
    pub from: i64,
    /// Bytes that are enough; the broker gives at least one batch.
    pub enough: usize,
    pub generation: u64,
    pub(super) asked_at: Instant,
}

/// An answer that took longer comes from afar: more must be on its way at once.
pub(super) const FAR: Duration = Duration::from_millis(20);

impl Slot {
    /// True if `leader` may be asked for it.
    fn is_free(&self, leader: i32) -> bool {
        self.leader == Some(leader) && self.failure.is_none() && !self.asked
    }

    fn ask(&mut self, partition: &Partition) -> Question {
        self.asked = true;
        let Self { ask_at: from, room: enough, generation, .. } = *self;
        Question { partition: partition.clone(), from, enough, generation, asked_at: Instant::now() }
    }
}

impl Inbox {
    /// What who reads in place may ask now: of slots of which all is read. What comes there meanwhile is as near as it will be, so a query
    /// that rests wakes nobody.
    pub fn to_read(&self, leader: i32) -> Vec<Question> {
        let mut slots = self.slots.lock();
        let crowded = self.bounds.are_reached(slots.values());
        let empty = slots.iter_mut().filter(|(_, slot)| slot.is_free(leader) && slot.chunks.is_empty());
        let wanted = empty.filter(|(_, slot)| slot.needed || !crowded);
        wanted.map(|(partition, slot)| slot.ask(partition)).collect()
    }

    /// What the fetcher of `leader` may ask now, and whether the broker may hold the question until something comes.
    pub fn to_fetch(&self, leader: i32) -> (Vec<Question>, bool) {
        let mut slots = self.slots.lock();
        let crowded = self.bounds.are_reached(slots.values());
        let mut someone_is_full = false;
        let mut wanted = Vec::new();
        for (partition, slot) in slots.iter_mut() {
            if !slot.is_free(leader) {
                continue;
            }
            let first_needed = slot.needed && slot.chunks.is_empty();
            if (slot.bytes < slot.room && !crowded) || first_needed {
                wanted.push((partition, slot));
            } else {
                someone_is_full = true;
            }
        }
        // A question that is held would keep a full slot from going on when it has room again.
        if someone_is_full {
            wanted.retain(|(_, slot)| slot.needed || slot.ask_at < slot.end);
        }
        let questions = wanted.into_iter().map(|(partition, slot)| slot.ask(partition));
        (questions.collect(), !someone_is_full)
    }

    /// Returns when there may be more to ask for.
    pub fn asking(&self) -> tokio::sync::futures::Notified<'_> {
        self.asking.notified()
    }

    /// True if the slot has moved since the question.
    pub fn is_stale(&self, question: &Question) -> bool {
        let slots = self.slots.lock();
        slots.get(&question.partition).is_none_or(|slot| slot.generation != question.generation)
    }

    /// Takes an answer.
    pub fn deliver(&self, question: &Question, answer: Result<Fetched, Failure>) {
        let mut slots = self.slots.lock();
        let Some(slot) = slots.get_mut(&question.partition) else { return };
        if slot.generation != question.generation {
            return;
        }
        slot.asked = false;
        slot.trouble = None;
        match answer {
            Ok(Fetched { chunk, end }) => {
                slot.end = end;
                if let Some(chunk) = chunk {
                    // One that was held until something came is not slow: it has all there is.
                    if chunk.next < end && question.asked_at.elapsed() > FAR {
                        slot.room = self.bounds.slot;
                    }
                    slot.ask_at = chunk.next;
                    slot.bytes += chunk.batches.len();
                    slot.chunks.push_back(chunk);
                }
            }
            Err(failure) => slot.failure = Some(failure),
        }
    }

    /// Tells lanes and source to look again, once after all of an answer is delivered.
    pub fn announce(&self) {
        self.arrived.notify_waiters();
    }

    /// These questions were not answered: the leader is away or is another. Patience begins.
    pub fn orphan(&self, questions: &[Question], why: &Error) {
        let mut slots = self.slots.lock();
        for question in questions {
            let Some(slot) = slots.get_mut(&question.partition) else { continue };
            if slot.generation == question.generation {
                slot.asked = false;
            }
            slot.leader = None;
            let since = slot.trouble.as_ref().map_or_else(Instant::now, |(since, _)| *since);
            slot.trouble = Some((since, why.clone()));
        }
        drop(slots);
        self.arrived.notify_waiters();
        self.leaderless.notify_one();
    }

    /// These questions were given up.
    pub fn ask_again(&self, questions: &[Question]) {
        let mut slots = self.slots.lock();
        for question in questions {
            if let Some(slot) = slots.get_mut(&question.partition)
                && slot.generation == question.generation
            {
                slot.asked = false;
            }
        }
    }

    // ---- for who knows the leaders ----

    /// Partitions whose leader is not known.
    pub fn without_leader(&self) -> Vec<Partition> {
        let slots = self.slots.lock();
        slots
            .iter()
            .filter(|(_, slot)| slot.leader.is_none())
            .map(|(partition, _)| partition.clone())
            .collect()
    }

    /// Returns when a slot has no leader.
    pub async fn leaderless(&self) {
        self.leaderless.notified().await;
    }

    /// Names leaders; `None` keeps a slot waiting, with the reason.
    pub fn lead(&self, leaders: &[(Partition, Option<i32>)], why_not: Option<&Error>) {
        let mut slots = self.slots.lock();
        for (partition, leader) in leaders {
            let Some(slot) = slots.get_mut(partition) else { continue };
            slot.leader = *leader;
            if let (None, Some(why)) = (leader, why_not) {
                let since = slot.trouble.as_ref().map_or_else(Instant::now, |(since, _)| *since);
                slot.trouble = Some((since, why.clone()));
            }
        }
        drop(slots);
        self.asking.notify_waiters();
        self.arrived.notify_waiters();
    }
}
