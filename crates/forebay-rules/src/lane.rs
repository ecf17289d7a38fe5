//! One lane of an epoch: batches in, the points of each key out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use forebay_core::Result;
use forebay_core::sink::{LaneWriter, Part};

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
}

impl AlertLane {
    /// Takes rows; none is later than the lane's epoch.
    pub fn take(&mut self, rows: &Rows) -> Result<()> {
        let (watched, state) = (Arc::clone(&self.watched), Arc::clone(&self.state));
        let taking = Taking { watched: &watched, state: &state, bounds: &self.bounds, shown: rows.shown() };
        let mut from = 0;
        while from < rows.len() {
            // A batch comes from one partition, mostly.
            let place = rows.partition(from);
            let until = rows.same_partition(from);
            let at = self.part.partition(place);
            let LanePart { partitions, rows: count, kept } = &mut self.part;
            *count += (until - from) as u64;
            if let Some(partition) = partitions.get_mut(at) {
                for index in from..until {
                    partition.take(&taking, rows.key(index), rows.row(index), index, kept);
                }
                partition.end_batch(rows.shown())?;
            }
            from = until;
        }
        Ok(())
    }
}

impl LanePart {
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
        self.take(&self.columns.rows(&batch, self.latest)?)
    }

    async fn finish(self: Box<Self>) -> Result<Part> {
        Ok(Box::new(self.part))
    }
}
