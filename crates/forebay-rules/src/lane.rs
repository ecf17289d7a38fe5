//! One lane of an epoch: batches in, the points of each key out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use forebay_core::Result;
use forebay_core::sink::{LaneWriter, Part};

use crate::columns::{Columns, Rows};
use crate::rule::{Bounds, Rule};
use crate::state::RuleState;
use crate::track::Track;

/// Takes the rows of one lane.
pub(crate) struct AlertLane {
    pub rule: Arc<Rule>,
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
    pub source: Arc<str>,
    pub topic: String,
    pub index: i32,
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
                None if self.part.tracks >= self.bounds.tracks && !self.state.is_active(key) => {
                    self.part.left_out += 1;
                    continue;
                }
                None => {
                    self.part.tracks += 1;
                    tracks.keys.entry(key.into()).or_insert_with(|| Track::new(self.state.of(key)))
                }
            };
            track.take(self.rule.hold_ms, row, || rows.values(index));
        }
    }
}

impl PartitionTracks {
    /// True if it is this one: source, topic, partition.
    fn is(&self, (source, topic, index): (&str, &str, i32)) -> bool {
        self.index == index && self.topic == topic && &*self.source == source
    }
}

impl LanePart {
    fn partition(&mut self, place: (&str, &str, i32)) -> usize {
        let found = self.partitions.iter().position(|it| it.is(place));
        found.unwrap_or_else(|| {
            let (source, topic, index) = place;
            let (source, topic) = (source.into(), topic.to_owned());
            self.partitions.push(PartitionTracks { source, topic, index, keys: HashMap::new() });
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
