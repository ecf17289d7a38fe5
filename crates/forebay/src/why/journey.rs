//! Which epoch read a record, as far as the checkpoint's journal says.

use std::path::Path;

use forebay_core::checkpoint::{Entry, Plan};
use forebay_core::error::codes;
use forebay_core::{Epoch, Partition, Position, Result};
use forebay_engine::checkpoint;

/// Where a record is on its way through a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journey {
    /// This epoch read it; its rows are in the sink if it is committed.
    Read {
        epoch: Epoch,
        /// The time of the epoch, milliseconds since 1970.
        planned_at_ms: i64,
        is_committed: bool,
    },
    /// Before the query began: it never reads it.
    BeforeStart,
    /// Read by an epoch before this one, the oldest that the journal still holds.
    Before(Epoch),
    /// Not read yet.
    Waits,
    /// The journal says nothing about the partition.
    Unknown,
}

impl Journey {
    /// The time of the epoch that read it (milliseconds since 1970), if that is known.
    pub fn time(self) -> Option<i64> {
        match self {
            Self::Read { planned_at_ms, .. } => Some(planned_at_ms),
            _ => None,
        }
    }

    /// In words; `has_run` is false of a query whose checkpoint holds nothing.
    pub fn words(self, has_run: bool) -> String {
        match self {
            Self::Read { epoch, is_committed, .. } => {
                let state = if is_committed { "committed" } else { "not committed yet" };
                format!("read by epoch {epoch} ({state})")
            }
            Self::BeforeStart => "never read: the query began after it".to_owned(),
            Self::Waits => "not read yet".to_owned(),
            Self::Before(epoch) => {
                format!("read before epoch {epoch}, the oldest that its checkpoint still holds")
            }
            Self::Unknown if !has_run => "it has not run yet".to_owned(),
            Self::Unknown => "its checkpoint does not say whether it was read".to_owned(),
        }
    }
}

/// The entries of the journal of a checkpoint, oldest first; none if there is no checkpoint yet.
pub fn entries(folder: &Path) -> Result<Vec<Entry>> {
    match checkpoint::show(folder) {
        Ok(shown) => Ok(shown.entries),
        Err(error) if error.code() == &codes::CHECKPOINT_NOT_FOUND => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Looks a record up in the entries of a journal, oldest first.
pub fn journey(entries: &[Entry], partition: &Partition, offset: i64) -> Journey {
    let at = Position(offset);
    let ranges = |plan: &Plan| plan.ranges.iter().find(|range| &range.partition == partition).cloned();
    let plans =
        || entries.iter().filter_map(|entry| if let Entry::Plan(plan) = entry { Some(plan) } else { None });
    let committed = entries.iter().rev().find_map(|entry| match entry {
        Entry::Commit(commit) => Some(commit.epoch),
        _ => None,
    });
    let start = entries.iter().find_map(|entry| match entry {
        Entry::Start(start) => start.positions().get(partition).copied(),
        _ => None,
    });
    // The newest plan that has it: a topic that was made anew uses its offsets again.
    let reads = |plan: &&Plan| ranges(plan).is_some_and(|range| range.from <= at && at < range.to);
    if let Some(plan) = plans().rfind(reads) {
        let is_committed = committed.is_some_and(|committed| committed >= plan.epoch);
        return Journey::Read { epoch: plan.epoch, planned_at_ms: plan.planned_at_ms, is_committed };
    }
    let known: Vec<(Epoch, Position, Position)> =
        plans().filter_map(|plan| ranges(plan).map(|range| (plan.epoch, range.from, range.to))).collect();
    match (start, known.first(), known.last()) {
        (Some(start), ..) if at < start => Journey::BeforeStart,
        (_, _, Some((_, _, to))) if at >= *to => Journey::Waits,
        (_, Some((oldest, from, _)), _) if at < *from => match oldest {
            Epoch(0) => Journey::BeforeStart,
            _ => Journey::Before(*oldest),
        },
        (Some(_), None, None) => Journey::Waits,
        _ => Journey::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::checkpoint::{Commit, Start};
    use forebay_core::{Ledger, PositionRange, TopicIds};

    fn plan(epoch: u64, from: i64, to: i64) -> Entry {
        let range =
            PositionRange { partition: Partition::new("t", 0), from: Position(from), to: Position(to) };
        let (ranges, topics) = (vec![range], TopicIds::new());
        let (epoch, replay) = (Epoch(epoch), Vec::new());
        Entry::Plan(Plan {
            epoch,
            planned_at_ms: 7,
            ranges,
            topics,
            replay,
            times: None,
            tables: Default::default(),
        })
    }

    fn commit(epoch: u64) -> Entry {
        let (epoch, ledger) = (Epoch(epoch), Ledger::default());
        Entry::Commit(Commit {
            epoch,
            ledger,
            observed: None,
            quiet_since_ms: Vec::new(),
            quality: None,
            last: false,
        })
    }

    #[test]
    fn a_record_is_told_from_the_ranges_of_the_plans() {
        let read =
            |epoch, is_committed| Journey::Read { epoch: Epoch(epoch), planned_at_ms: 7, is_committed };
        let young = [plan(0, 5, 9), commit(0), plan(1, 9, 12)];
        let old = [plan(7, 50, 60), commit(7)];
        for (entries, offset, expected) in [
            (&young[..], 5, read(0, true)),
            (&young, 8, read(0, true)),
            (&young, 9, read(1, false)),
            (&young, 12, Journey::Waits),
            (&young, 4, Journey::BeforeStart),
            (&old, 49, Journey::Before(Epoch(7))),
            (&old, 60, Journey::Waits),
            (&[], 0, Journey::Unknown),
        ] {
            assert_eq!(journey(entries, &Partition::new("t", 0), offset), expected, "{offset}");
        }
        assert_eq!(journey(&young, &Partition::new("t", 1), 5), Journey::Unknown, "another partition");
        let positions = [(Partition::new("t", 0), Position(3))].into();
        let fresh = [Entry::Start(Start::at(&positions, TopicIds::new()))];
        assert_eq!(journey(&fresh, &Partition::new("t", 0), 2), Journey::BeforeStart);
        assert_eq!(journey(&fresh, &Partition::new("t", 0), 3), Journey::Waits);
    }
}
