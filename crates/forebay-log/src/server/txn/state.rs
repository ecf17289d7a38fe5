//! One transactional producer, as a pure machine: (what is remembered, request, time) → what is to be remembered next.
//!
//! ```text
//!   init ─▶ Empty ── add ──▶ Ongoing ── end ──▶ Committing ── all markers written ──▶ Committed ┐
//!                   ▲           │                                                             │
//!                   │           └─ end, time is up, ──▶ Aborting ── all markers ─▶ Aborted ───┤
//!                   │              a newer init                                               │
//!                   └──────────────────────────── add ────────────────────────────────────────┘
//! ```
//! Whoever asks shows its producer id and epoch. A newer incarnation of the producer, and the log when time is up,
//! raise the epoch: from then on the older one is refused everywhere.
//!
//! What must stay true: nothing here is done; what a step returns must be durable before anybody is told or anything
//! is written to a partition. Once *Committing* or *Aborting* is durable there is no way but on.

use crate::records::Marker;
use crate::server::group::{Committed, Name, OffsetKey};
use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The last epoch that is given out; the one behind it can only fence. Then comes a new producer id.
const LAST_EPOCH: i16 = i16::MAX - 1;

/// Where a producer's transaction is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// There was none yet.
    Empty,
    /// Records may be written.
    Ongoing,
    /// Decided; markers are missing.
    Committing,
    /// Decided; markers are missing.
    Aborting,
    /// Over.
    Committed,
    /// Over.
    Aborted,
}

/// What is remembered of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// Milliseconds after which it is aborted.
    pub(crate) timeout_ms: i32,
    pub(crate) phase: Phase,
    /// When the transaction began, by the log's clock.
    pub(crate) began: i64,
    /// When anything was heard of it last.
    pub(crate) touched: i64,
    pub(crate) partitions: BTreeSet<(Name, i32)>,
    pub(crate) groups: BTreeSet<Name>,
    /// Offsets that groups get with its commit.
    pub(crate) offsets: BTreeMap<(Name, OffsetKey), Committed>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// What an initialisation comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// Remember this, then answer with its id and epoch.
    Ready(Transaction),
    /// An open transaction is in the way: remember this, which aborts it, complete it, and ask again.
    Fence(Transaction),
    /// The one before is decided and not complete.
    Busy,
    /// The epochs of its producer id are used up.
    NeedsId,
}

/// What the wish to end a transaction comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Remember this, then write the markers.
    Decide(Transaction),
    /// It ended like that before.
    Done,
}

impl Transaction {
    /// Of a producer that was never heard of.
    pub(crate) fn new(producer_id: i64, timeout_ms: i32, now: i64) -> Self {
        Self {
            producer_id,
            epoch: 0,
            timeout_ms,
            phase: Phase::Empty,
            began: now,
            touched: now,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            offsets: BTreeMap::new(),
        }
    }

    /// A new incarnation of the producer wants to begin.
    pub(crate) fn init(&self, timeout_ms: i32, now: i64) -> Init {
        match self.phase {
            Phase::Committing | Phase::Aborting => Init::Busy,
            Phase::Ongoing => Init::Fence(self.fenced(now)),
            Phase::Empty | Phase::Committed | Phase::Aborted if self.epoch >= LAST_EPOCH => Init::NeedsId,
            Phase::Empty | Phase::Committed | Phase::Aborted => {
                let epoch = self.epoch + 1;
                Init::Ready(Self { epoch, ..Self::new(self.producer_id, timeout_ms, now) })
            }
        }
    }

    /// Aborts, and shuts out whoever has the epoch: time is up, or somebody newer is there.
    pub(crate) fn fenced(&self, now: i64) -> Self {
        let epoch = self.epoch.saturating_add(1);
        Self { epoch, ..self.decided(Phase::Aborting, now) }
    }

    fn decided(&self, phase: Phase, now: i64) -> Self {
        let (groups, offsets) = Default::default();
        Self { phase, touched: now, groups, offsets, ..self.clone() }
    }

    /// Is it the producer's newest incarnation that asks?
    pub(crate) fn check(&self, from: Producer) -> Result<(), ResponseError> {
        if from.id != self.producer_id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if from.epoch != self.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        Ok(())
    }

    /// Partitions and groups join the transaction, which begins with the first of them; `None` if they are in already.
    pub(crate) fn add(
        &self,
        partitions: impl IntoIterator<Item = (Name, i32)>,
        group: Option<Name>,
        now: i64,
    ) -> Result<Option<Self>, ResponseError> {
        let mut next = match self.phase {
            Phase::Committing | Phase::Aborting => return Err(ResponseError::ConcurrentTransactions),
            Phase::Ongoing => self.clone(),
            Phase::Empty | Phase::Committed | Phase::Aborted => {
                let begun = Self::new(self.producer_id, self.timeout_ms, now);
                Self { epoch: self.epoch, phase: Phase::Ongoing, ..begun }
            }
        };
        next.partitions.extend(partitions);
        next.groups.extend(group);
        if next == *self {
            return Ok(None);
        }
        next.touched = now;
        Ok(Some(next))
    }

    /// Offsets of a group join the transaction that the group is part of.
    pub(crate) fn add_offsets(
        &self,
        group: &Name,
        offsets: Vec<(OffsetKey, Committed)>,
        now: i64,
    ) -> Result<Self, ResponseError> {
        match self.phase {
            Phase::Ongoing if self.groups.contains(group) => {}
            Phase::Committing | Phase::Aborting => return Err(ResponseError::ConcurrentTransactions),
            _ => return Err(ResponseError::InvalidTxnState),
        }
        let mut next = Self { touched: now, ..self.clone() };
        next.offsets.extend(offsets.into_iter().map(|(key, offset)| ((group.clone(), key), offset)));
        Ok(next)
    }

    /// The producer wants it to end.
    pub(crate) fn end(&self, marker: Marker, now: i64) -> Result<End, ResponseError> {
        match (self.phase, marker) {
            (Phase::Ongoing, Marker::Commit) => Ok(End::Decide(self.decided(Phase::Committing, now))),
            (Phase::Ongoing, Marker::Abort) => Ok(End::Decide(self.decided(Phase::Aborting, now))),
            (Phase::Committed, Marker::Commit) | (Phase::Aborted, Marker::Abort) => Ok(End::Done),
            (Phase::Committing, Marker::Commit) | (Phase::Aborting, Marker::Abort) => {
                Err(ResponseError::ConcurrentTransactions)
            }
            _ => Err(ResponseError::InvalidTxnState),
        }
    }

    /// What its partitions are to be told, while they are.
    pub(crate) fn marker(&self) -> Option<Marker> {
        match self.phase {
            Phase::Committing => Some(Marker::Commit),
            Phase::Aborting => Some(Marker::Abort),
            Phase::Empty | Phase::Ongoing | Phase::Committed | Phase::Aborted => None,
        }
    }

    /// All markers are written.
    pub(crate) fn completed(&self) -> Self {
        let phase = match self.phase {
            Phase::Committing => Phase::Committed,
            Phase::Aborting => Phase::Aborted,
            other => other,
        };
        Self { phase, partitions: BTreeSet::new(), ..self.clone() }
    }

    /// True once an open transaction has taken too long.
    pub(crate) fn is_late(&self, now: i64) -> bool {
        self.phase == Phase::Ongoing && now.saturating_sub(self.began) >= i64::from(self.timeout_ms)
    }

    /// True where it is over: nothing would be lost with it but the producer's place.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Empty | Phase::Committed | Phase::Aborted)
    }

    /// Everything of a topic goes: one of the same name begins at offset 0 again.
    pub(crate) fn without_topic(&self, topic: &str) -> Option<Self> {
        let has_partition = self.partitions.iter().any(|(name, _)| name.as_ref() == topic);
        if !has_partition && !self.offsets.keys().any(|(_, key)| key.topic.as_ref() == topic) {
            return None;
        }
        let mut next = self.clone();
        next.partitions.retain(|(name, _)| name.as_ref() != topic);
        next.offsets.retain(|(_, key), _| key.topic.as_ref() != topic);
        Some(next)
    }

    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        const EACH: usize = 96;
        let partitions: usize = self.partitions.iter().map(|(topic, _)| EACH + topic.len()).sum();
        let groups: usize = self.groups.iter().map(|group| EACH + group.len()).sum();
        let offset = |((group, key), it): (&(Name, OffsetKey), &Committed)| {
            2 * EACH + group.len() + key.topic.len() + it.metadata.as_ref().map_or(0, String::len)
        };
        2 * EACH + partitions + groups + self.offsets.iter().map(offset).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Transaction {
        let new = Transaction::new(7, 1_000, 10);
        new.add([("t".into(), 0)], None, 20).unwrap().unwrap()
    }

    #[test]
    fn a_transaction_begins_with_its_first_partition_and_ends_once() {
        let ongoing = begun();
        assert_eq!((ongoing.phase, ongoing.began), (Phase::Ongoing, 20));
        assert_eq!(ongoing.add([("t".into(), 0)], None, 30).unwrap(), None, "it is in already");
        assert_eq!(ongoing.add([("t".into(), 1)], None, 30).unwrap().unwrap().began, 20);
        for (marker, other, over) in [
            (Marker::Commit, Marker::Abort, Phase::Committed),
            (Marker::Abort, Marker::Commit, Phase::Aborted),
        ] {
            let Ok(End::Decide(decided)) = ongoing.end(marker, 40) else { panic!("{marker:?}") };
            assert_eq!(decided.marker(), Some(marker));
            assert_eq!(decided.end(marker, 50), Err(ResponseError::ConcurrentTransactions));
            assert_eq!(decided.end(other, 50), Err(ResponseError::InvalidTxnState));
            assert_eq!(decided.add([], None, 50), Err(ResponseError::ConcurrentTransactions));
            assert_eq!(decided.init(1, 50), Init::Busy);
            let done = decided.completed();
            assert_eq!((done.phase, done.epoch, done.marker()), (over, 0, None));
            assert_eq!(done.end(marker, 60), Ok(End::Done), "the answer was lost");
            assert_eq!(done.end(other, 60), Err(ResponseError::InvalidTxnState));
            assert_eq!(done.add([("u".into(), 0)], None, 60).unwrap().unwrap().partitions.len(), 1);
        }
        let empty = Transaction::new(7, 1_000, 10);
        assert_eq!(empty.end(Marker::Commit, 1), Err(ResponseError::InvalidTxnState));
    }

    #[test]
    fn who_is_not_the_newest_is_told_so() {
        let ongoing = begun();
        assert_eq!(ongoing.check(Producer { id: 7, epoch: 0 }), Ok(()));
        let stranger = ongoing.check(Producer { id: 8, epoch: 0 });
        assert_eq!(stranger, Err(ResponseError::InvalidProducerIdMapping));
        let Init::Fence(fenced) = ongoing.init(1_000, 30) else { panic!("it is open") };
        assert_eq!((fenced.phase, fenced.epoch, fenced.partitions.len()), (Phase::Aborting, 1, 1));
        assert_eq!(fenced.check(Producer { id: 7, epoch: 0 }), Err(ResponseError::InvalidProducerEpoch));
        let Init::Ready(ready) = fenced.completed().init(1_000, 40) else { panic!("it is over") };
        assert_eq!((ready.producer_id, ready.epoch, ready.phase), (7, 2, Phase::Empty));
        let last = Transaction { epoch: LAST_EPOCH, ..begun() };
        let Init::Fence(fenced) = last.init(1_000, 30) else { panic!("it is open") };
        assert_eq!(fenced.epoch, i16::MAX);
        assert_eq!(fenced.completed().init(1_000, 40), Init::NeedsId);
    }

    #[test]
    fn time_is_up_at_the_timeout_and_only_for_an_open_transaction() {
        let ongoing = begun();
        assert!(!ongoing.is_late(1_019) && ongoing.is_late(1_020));
        assert!(!Transaction::new(7, 1_000, 10).is_late(i64::MAX));
        assert!(!ongoing.fenced(1_020).is_late(i64::MAX));
    }

    #[test]
    fn offsets_join_only_with_their_group_and_go_with_an_abort() {
        let committed = Committed { offset: 5, leader_epoch: -1, metadata: None, committed_at: 1 };
        let key = OffsetKey { topic: "in".into(), partition: 3 };
        let group: Name = "g".into();
        let offsets = || vec![(key.clone(), committed.clone())];
        let ongoing = begun();
        assert_eq!(ongoing.add_offsets(&group, offsets(), 30), Err(ResponseError::InvalidTxnState));
        let joined = ongoing.add([], Some(group.clone()), 30).unwrap().unwrap();
        let with = joined.add_offsets(&group, offsets(), 30).unwrap();
        assert_eq!(with.offsets.len(), 1);
        assert!(with.bytes() > joined.bytes());
        let Ok(End::Decide(decided)) = with.end(Marker::Abort, 40) else { panic!("it is open") };
        assert!(decided.offsets.is_empty());
        assert_eq!(decided.add_offsets(&group, offsets(), 50), Err(ResponseError::ConcurrentTransactions));
        assert!(with.without_topic("in").unwrap().offsets.is_empty());
        assert_eq!(with.without_topic("other"), None);
    }
}
