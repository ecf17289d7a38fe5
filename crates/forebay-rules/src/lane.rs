//! One lane of an epoch: batches in, the points of each key out.
//!
//! Nothing comes of most keys: no condition holds in any of their rows, and nothing is remembered of them. So rows are only **held** at
//! first, as the columns that came, and it is noted whose condition holds. When the epoch is decided the keys that are *awake* are known,
//! in all lanes, and their rows alone go through the machines ([`settle`]). A lane that has held many rows looks at all of them at
//! once, and so does one whose rule watches for silence, to which every row tells of its key.
//!
//! What must stay true: rows go through in the order in which they came, and those of a key that is awake all do.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use forebay_core::Result;
use forebay_core::sink::{LaneWriter, Part};

use crate::awake::{Awake, Sleepers};
use crate::columns::{Columns, Rows};
use crate::logic::Watched;
use crate::partition::{Kept, PartitionTracks, Taking};
use crate::rule::Bounds;
use crate::state::RuleState;
use crate::track::Origin;

/// Takes the rows of one lane.
pub(crate) struct AlertLane {
    pub watched: Arc<Watched>,
    pub columns: Arc<Columns>,
    /// How the keys stand before the epoch.
    pub state: Arc<RuleState>,
    pub bounds: Bounds,
    /// The epoch's time: no row is later.
    pub latest: i64,
    pub part: LanePart,
}

/// What a lane found.
#[derive(Debug, Default)]
pub(crate) struct LanePart {
    pub partitions: Vec<PartitionTracks>,
    pub rows: u64,
    pub kept: Kept,
    /// Rows that no machine has seen.
    held: Vec<Rows>,
    held_rows: usize,
    /// The keys for which a condition holds in one of the rows.
    awake: Awake,
}

impl AlertLane {
    /// Takes rows; none is later than the lane's epoch.
    pub fn take(&mut self, rows: Rows) -> Result<()> {
        let Self { watched, state, bounds, part, .. } = self;
        part.rows += rows.len() as u64;
        if watched.logic.no_data.is_some() {
            return part.feed(watched, state, bounds, &rows, None);
        }
        part.awake.take(&rows)?;
        part.held_rows += rows.len();
        part.held.push(rows);
        if part.held_rows > bounds.held {
            for rows in part.take_held() {
                part.feed(watched, state, bounds, &rows, None)?;
            }
        }
        Ok(())
    }
}

/// Takes the rows that lanes hold through the machines, as far as their keys are awake in one of them.
///
/// # Errors
/// If a column cannot be read.
pub(crate) fn settle(
    watched: &Watched,
    state: &RuleState,
    bounds: &Bounds,
    lanes: &mut [LanePart],
) -> Result<()> {
    let mut awake = Awake::default();
    lanes.iter().for_each(|lane| awake.add(&lane.awake));
    for lane in lanes {
        let held = lane.take_held();
        if awake.is_empty() && state.active() == 0 {
            continue;
        }
        let mut sleepers = Sleepers::new(&awake, watched, state);
        for rows in held {
            lane.feed(watched, state, bounds, &rows, Some(&mut sleepers))?;
        }
    }
    Ok(())
}

impl LanePart {
    fn take_held(&mut self) -> Vec<Rows> {
        self.held_rows = 0;
        std::mem::take(&mut self.held)
    }

    /// Takes rows through the machines, but for those of keys that sleep.
    fn feed(
        &mut self,
        watched: &Watched,
        state: &RuleState,
        bounds: &Bounds,
        rows: &Rows,
        mut sleepers: Option<&mut Sleepers<'_>>,
    ) -> Result<()> {
        let opened = rows.opened()?;
        let taking = Taking { watched, state, bounds, shown: rows.shown() };
        let mut from = 0;
        while from < rows.len() {
            // A batch comes from one partition, mostly.
            let until = opened.same_partition(from);
            let at = self.partition(opened.partition(from));
            let Self { partitions, kept, .. } = self;
            if let Some(partition) = partitions.get_mut(at) {
                for index in from..until {
                    let key = opened.key(index);
                    if sleepers.as_mut().is_some_and(|sleepers| sleepers.has(key)) {
                        continue;
                    }
                    partition.take(&taking, key, rows.row(index), index, kept);
                }
                partition.end_batch(rows.shown())?;
            }
            from = until;
        }
        Ok(())
    }

    fn partition(&mut self, place: (&str, &str, i32)) -> usize {
        let found = self.partitions.iter().position(|it| it.is(place));
        found.unwrap_or_else(|| {
            let (source, topic, partition) = place;
            let origin = Origin { source: source.into(), topic: topic.to_owned(), partition };
            self.partitions.push(PartitionTracks::new(origin));
            self.partitions.len() - 1
        })
    }
}

#[async_trait]
impl LaneWriter for AlertLane {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.take(self.columns.rows(&batch, self.latest)?)
    }

    async fn finish(self: Box<Self>) -> Result<Part> {
        Ok(Box::new(self.part))
    }
}
