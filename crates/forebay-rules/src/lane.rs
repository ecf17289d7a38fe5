//! One lane of an epoch: batches in, the points of each key out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use forebay_core::Result;
use forebay_core::sink::{LaneWriter, Part};

use crate::columns::{Columns, Rows};
use crate::logic::Watched;
use crate::rule::Bounds;
use crate::state::RuleState;
use crate::track::{Origin, Track};

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
    /// Tracks of all partitions.
    pub tracks: usize,
    /// Rows that nobody looked at, because there were too many keys.
    pub left_out: u64,
}

/// The tracks of one partition.
#[derive(Debug)]
pub(crate) struct PartitionTracks {
    pub origin: Arc<Origin>,
    pub keys: HashMap<Box<str>, Track>,
}

impl AlertLane {
    fn take(&mut self, rows: &Rows) {
        let mut current = None;
        for index in 0..rows.len() {
            let place = rows.partition(index);
            // A batch comes from one partition: this is looked for once.
            let is_same = |at: &usize| self.part.partitions.get(*at).is_some_and(|it| it.is(place));
            let at = match current.filter(is_same) {
                Some(at) => at,
                None => self.part.partition(place),
            };
            current = Some(at);
            self.part.rows += 1;
            let Some(tracks) = self.part.partitions.get_mut(at) else { continue };
            let (key, row) = (rows.key(index), rows.row(index));
            let track = match tracks.keys.get_mut(key) {
                Some(track) => track,
                None if self.part.tracks >= self.bounds.tracks
                    && !self.state.is_active(&self.watched.logic, key) =>
                {
                    self.part.left_out += 1;
                    continue;
                }
                None => {
                    self.part.tracks += 1;
                    let before = || self.state.of(&self.watched.logic, key);
                    let track = || Track::new(Arc::clone(&tracks.origin), before());
                    tracks.keys.entry(key.into()).or_insert_with(track)
                }
            };
            track.take(&self.watched, row, || rows.evidence(index));
        }
    }
}

impl PartitionTracks {
    /// True if it is this one: source, topic, partition.
    fn is(&self, (source, topic, index): (&str, &str, i32)) -> bool {
        let origin = &self.origin;
        origin.partition == index && origin.topic == topic && &*origin.source == source
    }
}

impl LanePart {
    fn partition(&mut self, place: (&str, &str, i32)) -> usize {
        let found = self.partitions.iter().position(|it| it.is(place));
        found.unwrap_or_else(|| {
            let (source, topic, partition) = place;
            let origin = Arc::new(Origin { source: source.into(), topic: topic.to_owned(), partition });
            self.partitions.push(PartitionTracks { origin, keys: HashMap::new() });
            self.partitions.len() - 1
        })
    }
}

#[async_trait]
impl LaneWriter for AlertLane {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.take(&self.columns.rows(&batch, self.latest)?);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Part> {
        Ok(Box::new(self.part))
    }
}
