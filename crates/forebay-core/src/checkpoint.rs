//! What a checkpoint says, and the pure decision of what to do after a restart.
//!
//! ```text
//! start ──▶ plan N ──▶ (read, compute) ──▶ outcome N ──▶ (write) ──▶ commit N ──▶ plan N+1 …
//! ```
//!
//! A [`Start`] holds where a new query begins. A [`Plan`] makes epoch N repeatable: it holds the ranges, the time of
//! the epoch and everything else that a replay must not decide anew. An [`Outcome`] says what became of N's records,
//! before a sink that recognises N takes them: an epoch that is in the sink is never computed again, because schema or
//! SQL may have changed since. A [`Commit`] says that all of N is in the sink. The checkpoint is the sequence of these;
//! [`decide`] looks at its end. What must stay true: a plan is durable before anything of its epoch is visible, an
//! outcome before such a sink holds the epoch, and N+1 writes nothing before the commit of N is durable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, codes};
use crate::event_time::{Observed, Times};
use crate::ledger::Ledger;
use crate::position::{Epoch, Partition, Position, PositionRange, Positions, TopicIds};
use crate::quality::EpochQuality;
use crate::table::TableVersion;

/// One entry of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// Where the query begins.
    Start(Start),
    /// What an epoch is to do.
    Plan(Plan),
    /// What became of its records.
    Outcome(Outcome),
    /// That it is done.
    Commit(Commit),
}

impl Entry {
    /// Whose entry.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Start(_) => Epoch(0),
            Self::Plan(plan) => plan.epoch,
            Self::Outcome(outcome) => outcome.epoch,
            Self::Commit(commit) => commit.epoch,
        }
    }
}

/// Where a new query begins, written before its first plan: `latest` is decided once, also if the query ends before
/// anything came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// One empty range for every partition, at its first position.
    #[serde(with = "ranges_as_lists")]
    pub ranges: Vec<PositionRange>,
    /// Which topics these are, as far as the source knows.
    #[serde(default, skip_serializing_if = "TopicIds::is_empty")]
    pub topics: TopicIds,
}

impl Start {
    /// A query that begins here.
    pub fn at(positions: &Positions, topics: TopicIds) -> Self {
        let range = |(partition, at): (&Partition, &Position)| PositionRange {
            partition: partition.clone(),
            from: *at,
            to: *at,
        };
        Self { ranges: positions.iter().map(range).collect(), topics }
    }

    /// Where it begins.
    pub fn positions(&self) -> Positions {
        self.ranges.iter().map(|range| (range.partition.clone(), range.from)).collect()
    }
}

/// What epoch N reads: enough to do exactly the same again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// N.
    pub epoch: Epoch,
    /// The time of the epoch, milliseconds since 1970: `current_timestamp()` of its rows.
    pub planned_at_ms: i64,
    /// One range for every known partition, empty ones too: the next epoch goes on from their ends.
    #[serde(with = "ranges_as_lists")]
    pub ranges: Vec<PositionRange>,
    /// Which topics these are, as far as the source knows: a topic that is made anew has other records at the same
    /// positions.
    #[serde(default, skip_serializing_if = "TopicIds::is_empty")]
    pub topics: TopicIds,
    /// Quarantined records that this epoch decodes again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replay: Vec<QuarantinedId>,
    /// What is late in this epoch and what is done after it; `None` in a query without event time. Idle inputs were
    /// decided with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// Which version of each table the rows are joined with, by the tables' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, TableVersion>,
}

/// One record of a source: its partition and offset. A topic that is made anew uses them again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
}

impl std::fmt::Display for RecordId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl std::str::FromStr for RecordId {
    type Err = Error;

    /// Reads `topic/partition/offset`, as the quarantine lists it.
    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let mut parts = text.rsplitn(3, '/');
            let (offset, partition, topic) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Self {
                topic: topic.to_owned(),
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        parse().ok_or_else(|| {
            Error::new(&codes::WRONG_USE, format!("`{text}` is not the name of a record")).with_hint(
                "Records are named TOPIC/PARTITION/OFFSET, as `forebay quarantine ls` prints them.",
            )
        })
    }
}

/// One entry of a quarantine: a record, and which epoch of which query set it aside. A record that is replayed and
/// still does not decode is set aside once more, as another entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuarantinedId {
    /// Which record.
    #[serde(flatten)]
    pub record: RecordId,
    /// By which input of the query it was read, from 0: two may read the same topic.
    #[serde(default, skip_serializing_if = "is_first")]
    pub input: u16,
    /// Which epoch.
    pub epoch: Epoch,
    /// The id of the query: one that lost its checkpoint begins anew under the same name, with epoch 0.
    #[serde(rename = "queryId")]
    pub query_id: String,
}

/// True of the first input, which is not written down: a query of one input knows no other.
pub fn is_first(input: &u16) -> bool {
    *input == 0
}

/// What became of the records of epoch N alone, once all of them were computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// N.
    pub epoch: Epoch,
    /// The ledger of N.
    pub ledger: Ledger,
    /// The event times that N saw; `None` in a query without event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    /// The records that it read of each input; empty in a query of one input, whose ledger says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<u64>,
    /// What it judged by the expectations of its sources; `None` if they have none, or nothing came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<EpochQuality>,
}

/// That epoch N is in the sink, and the balance of the query so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// N.
    pub epoch: Epoch,
    /// The ledger of all epochs up to and with N.
    pub ledger: Ledger,
    /// The event times that all of them saw; `None` in a query without event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    /// When the newest epoch was planned that saw an event time of each input, in milliseconds since 1970; empty unless
    /// an input can be idle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quiet_since_ms: Vec<i64>,
    /// What N alone judged, as in its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<EpochQuality>,
    /// True if the checkpoint holds what keys said last, beside the journal.
    #[serde(default, skip_serializing_if = "is_false")]
    pub last: bool,
}

/// True of what is not written down.
fn is_false(is: &bool) -> bool {
    !is
}

/// What a query knows of event time after its newest commit: what a [`Tracker`](crate::event_time::Tracker) is restored
/// from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownTime {
    /// The times of the newest committed epoch.
    pub times: Times,
    /// How far each input had come.
    pub observed: Observed,
    /// Since when each is quiet.
    pub quiet_since_ms: Vec<i64>,
}

impl Plan {
    /// Where the next epoch goes on.
    pub fn ends(&self) -> Positions {
        self.ranges.iter().map(|range| (range.partition.clone(), range.to)).collect()
    }

    /// Where this epoch begins.
    pub fn starts(&self) -> Positions {
        self.ranges.iter().map(|range| (range.partition.clone(), range.from)).collect()
    }
}

/// What a query does when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a query has one, once, when it starts")]
pub enum Recovery {
    /// Nothing was planned yet: epoch 0 begins at the [`Start`], or where the source's options say.
    Fresh,
    /// The last plan has no commit: do exactly that epoch again.
    Replay {
        /// The plan to repeat.
        plan: Plan,
        /// The balance before it.
        ledger: Ledger,
        /// What became of its records, if an attempt came that far: the truth about it if the sink has the epoch.
        outcome: Option<Outcome>,
        /// What was known of event time before it; its own times are in the plan.
        time: KnownTime,
    },
    /// The last plan is committed: go on.
    Continue {
        /// The next epoch.
        epoch: Epoch,
        /// Where it begins.
        positions: Positions,
        /// The balance so far.
        ledger: Ledger,
        /// What is known of event time.
        time: KnownTime,
    },
}

/// Decides from the last plan, outcome and commit, and from the newest epoch that the sink holds of this query.
///
/// A sink that is ahead of the checkpoint means that the checkpoint is an older copy, or has lost its end: going on
/// would drop or double rows, so it is an error. So is a sink that lacks what the checkpoint counts as written.
pub fn decide(
    plan: Option<Plan>,
    outcome: Option<Outcome>,
    commit: Option<Commit>,
    in_sink: Option<Epoch>,
) -> Result<Recovery> {
    let planned = plan.as_ref().map(|plan| plan.epoch);
    let committed = commit.as_ref().map(|commit| commit.epoch);
    if in_sink.is_some() && in_sink > planned {
        let known = planned.map_or_else(|| "nothing".to_owned(), |epoch| format!("epoch {epoch}"));
        let held = in_sink.map_or_else(String::new, |epoch| epoch.to_string());
        let message = format!("the sink holds epoch {held} of this query, but the checkpoint knows {known}");
        return Err(Error::new(&codes::CHECKPOINT_DAMAGED, message).with_hint(
            "The checkpoint is an older copy or has lost its end. Restore the newest copy; going on would lose or double rows.",
        ));
    }
    let written = outcome.as_ref().filter(|outcome| outcome.ledger.rows_out > 0).map(|outcome| outcome.epoch);
    if written.is_some() && written <= committed && in_sink < written {
        let epoch = written.map_or_else(String::new, |epoch| epoch.to_string());
        let held = in_sink.map_or_else(|| "nothing of this query".to_owned(), |held| format!("epoch {held}"));
        let message = format!("epoch {epoch} was written, but the newest that the sink holds is {held}");
        return Err(Error::new(&codes::SINK_BEHIND, message));
    }
    let ledger = commit.as_ref().map(|commit| commit.ledger).unwrap_or_default();
    let time = known_time(plan.as_ref(), commit);
    match (plan, committed) {
        (None, None) => Ok(Recovery::Fresh),
        (Some(plan), committed) if committed == Some(plan.epoch) => {
            Ok(Recovery::Continue { epoch: plan.epoch.next(), positions: plan.ends(), ledger, time })
        }
        (Some(plan), committed) if committed.map_or(Epoch(0), Epoch::next) == plan.epoch => {
            let outcome = outcome.filter(|outcome| outcome.epoch == plan.epoch);
            if in_sink == Some(plan.epoch) && outcome.is_none() {
                return Err(unknown_outcome(plan.epoch));
            }
            Ok(Recovery::Replay { plan, ledger, outcome, time })
        }
        (plan, committed) => {
            let message = format!(
                "the last plan is {:?} but the last commit is {:?}",
                plan.map(|plan| plan.epoch.0),
                committed.map(|epoch| epoch.0)
            );
            Err(Error::new(&codes::CHECKPOINT_DAMAGED, message))
        }
    }
}

/// What is known of event time after `commit`; `plan` is the newest.
fn known_time(plan: Option<&Plan>, commit: Option<Commit>) -> KnownTime {
    let times = plan.and_then(|plan| plan.times).unwrap_or_default();
    // What is late in an epoch is what the epoch before it evicted by, so the plan to repeat tells that too.
    let is_committed = plan.map(|plan| plan.epoch) == commit.as_ref().map(|commit| commit.epoch);
    let times = if is_committed { times } else { Times { late: times.late, evict: times.late } };
    let (observed, quiet_since_ms) =
        commit.map(|commit| (commit.observed, commit.quiet_since_ms)).unwrap_or_default();
    KnownTime { times, observed: observed.unwrap_or_default(), quiet_since_ms }
}

/// The error for an epoch that the sink has although the checkpoint does not say what became of its records.
pub fn unknown_outcome(epoch: Epoch) -> Error {
    let message =
        format!("the sink holds epoch {epoch}, but the checkpoint does not say what became of its records");
    Error::new(&codes::CHECKPOINT_DAMAGED, message).with_hint(
        "The checkpoint is an older copy or has lost its end. Restore the newest copy; computing the epoch anew could lose or double rows.",
    )
}

/// Ranges as `["topic", partition, from, to]`: short, because every epoch writes them. Of an input after the first its
/// number comes last.
mod ranges_as_lists {
    use super::{Partition, Position, PositionRange};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Row {
        First(String, i32, i64, i64),
        Other(String, i32, i64, i64, u16),
    }

    pub fn serialize<S: Serializer>(ranges: &[PositionRange], serializer: S) -> Result<S::Ok, S::Error> {
        let row = |range: &PositionRange| {
            let Partition { input, topic, index } = &range.partition;
            match input {
                0 => Row::First(topic.to_string(), *index, range.from.0, range.to.0),
                input => Row::Other(topic.to_string(), *index, range.from.0, range.to.0, *input),
            }
        };
        serializer.collect_seq(ranges.iter().map(row))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PositionRange>, D::Error> {
        let range = |row| {
            let (topic, index, from, to, input) = match row {
                Row::First(topic, index, from, to) => (topic, index, from, to, 0),
                Row::Other(topic, index, from, to, input) => (topic, index, from, to, input),
            };
            PositionRange {
                partition: Partition { input, topic: topic.into(), index },
                from: Position(from),
                to: Position(to),
            }
        };
        Ok(Vec::<Row>::deserialize(deserializer)?.into_iter().map(range).collect())
    }
}

#[cfg(test)]
mod tests;
