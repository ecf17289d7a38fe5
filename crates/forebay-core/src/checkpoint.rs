//! What a checkpoint says, and the pure decision of what to do after a restart.
//!
//! ```text
//! plan N ──▶ (read, compute, write) ──▶ commit N ──▶ plan N+1 …
//! ```
//!
//! A [`Plan`] makes epoch N repeatable: it holds the ranges, the time of the epoch and everything else that a
//! replay must not decide anew. A [`Commit`] says that all of N is in the sink. The checkpoint is the sequence of
//! both; [`decide`] looks at its end. What must stay true: a plan is durable before anything of its epoch is
//! visible, and N+1 writes nothing before the commit of N is durable.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, codes};
use crate::ledger::Ledger;
use crate::position::{Epoch, Partition, Position, PositionRange, Positions};

/// One entry of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// What an epoch is to do.
    Plan(Plan),
    /// That it is done.
    Commit(Commit),
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
    /// Quarantined records that this epoch decodes again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replay: Vec<RecordId>,
}

/// One record of a source, for ever: its partition and offset.
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

/// That epoch N is in the sink, and the balance of the query so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// N.
    pub epoch: Epoch,
    /// The ledger of all epochs up to and with N.
    pub ledger: Ledger,
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
pub enum Recovery {
    /// The checkpoint is new: epoch 0 begins where the source's options say.
    Fresh,
    /// The last plan has no commit: do exactly that epoch again.
    Replay {
        /// The plan to repeat.
        plan: Plan,
        /// The balance before it.
        ledger: Ledger,
    },
    /// The last plan is committed: go on.
    Continue {
        /// The next epoch.
        epoch: Epoch,
        /// Where it begins.
        positions: Positions,
        /// The balance so far.
        ledger: Ledger,
    },
}

/// Decides from the last plan and the last commit, and from the newest epoch that the sink holds of this query.
///
/// A sink that is ahead of the checkpoint means that the checkpoint is an older copy, or has lost its end: going on
/// would drop or double rows, so it is an error.
pub fn decide(plan: Option<Plan>, commit: Option<Commit>, in_sink: Option<Epoch>) -> Result<Recovery> {
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
    let ledger = commit.map(|commit| commit.ledger).unwrap_or_default();
    match (plan, committed) {
        (None, None) => Ok(Recovery::Fresh),
        (Some(plan), committed) if committed == Some(plan.epoch) => {
            Ok(Recovery::Continue { epoch: plan.epoch.next(), positions: plan.ends(), ledger })
        }
        (Some(plan), committed) if committed.map_or(Epoch(0), Epoch::next) == plan.epoch => {
            Ok(Recovery::Replay { plan, ledger })
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

/// Ranges as `["topic", partition, from, to]`: short, because every epoch writes them.
mod ranges_as_lists {
    use super::{Partition, Position, PositionRange};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Row = (String, i32, i64, i64);

    pub fn serialize<S: Serializer>(ranges: &[PositionRange], serializer: S) -> Result<S::Ok, S::Error> {
        let rows: Vec<(&str, i32, i64, i64)> = ranges
            .iter()
            .map(|range| (&*range.partition.topic, range.partition.index, range.from.0, range.to.0))
            .collect();
        rows.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PositionRange>, D::Error> {
        let rows = Vec::<Row>::deserialize(deserializer)?;
        Ok(rows
            .into_iter()
            .map(|(topic, index, from, to)| PositionRange {
                partition: Partition::new(topic, index),
                from: Position(from),
                to: Position(to),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(epoch: u64) -> Plan {
        let range = PositionRange { partition: Partition::new("t", 0), from: Position(5), to: Position(9) };
        Plan { epoch: Epoch(epoch), planned_at_ms: 7, ranges: vec![range], replay: Vec::new() }
    }

    fn commit(epoch: u64) -> Commit {
        Commit { epoch: Epoch(epoch), ledger: Ledger { read: 4, emitted: 4, ..Ledger::default() } }
    }

    #[test]
    fn the_crash_table() {
        assert_eq!(decide(None, None, None).unwrap(), Recovery::Fresh);
        let replay = |epoch, ledger| Recovery::Replay { plan: plan(epoch), ledger };
        assert_eq!(decide(Some(plan(0)), None, None).unwrap(), replay(0, Ledger::default()));
        assert_eq!(decide(Some(plan(0)), None, Some(Epoch(0))).unwrap(), replay(0, Ledger::default()));
        assert_eq!(decide(Some(plan(3)), Some(commit(2)), None).unwrap(), replay(3, commit(2).ledger));
        let Recovery::Continue { epoch, positions, ledger } =
            decide(Some(plan(3)), Some(commit(3)), None).unwrap()
        else {
            panic!("epoch 3 is committed")
        };
        assert_eq!((epoch, ledger), (Epoch(4), commit(3).ledger));
        assert_eq!(positions[&Partition::new("t", 0)], Position(9));
    }

    #[test]
    fn holes_and_older_copies_are_refused() {
        for (plan, commit, in_sink) in [
            (None, Some(commit(0)), None),
            (Some(plan(1)), None, None),
            (Some(plan(5)), Some(commit(3)), None),
            (Some(plan(3)), Some(commit(5)), None),
            (Some(plan(3)), Some(commit(3)), Some(Epoch(4))),
            (None, None, Some(Epoch(0))),
        ] {
            let error = decide(plan, commit, in_sink).unwrap_err();
            assert_eq!(error.code(), &codes::CHECKPOINT_DAMAGED);
        }
    }

    #[test]
    fn an_entry_is_one_line_and_reads_back() {
        let entry = Entry::Plan(plan(3));
        let text = serde_json::to_string(&entry).unwrap();
        assert!(!text.contains('\n'));
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    }

    #[test]
    fn a_record_is_named_by_topic_partition_and_offset() {
        let id: RecordId = "a/b/2/17".parse().unwrap();
        assert_eq!((id.topic.as_str(), id.partition, id.offset), ("a/b", 2, 17));
        assert_eq!(id.to_string(), "a/b/2/17");
        assert!("nonsense".parse::<RecordId>().is_err());
    }
}
