//! Places in a source: partitions, positions, ranges, epochs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One ordered sequence of records in a source. In Kafka: a topic partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// Of which of the query's inputs, from 0: two of them may read the same topic. A source knows only its own
    /// partitions, all of input 0.
    pub input: u16,
    /// The topic.
    pub topic: Arc<str>,
    /// The number of the partition in its topic, from 0.
    pub index: i32,
}

impl Partition {
    /// The partition `index` of `topic`, of the first input.
    pub fn new(topic: impl Into<Arc<str>>, index: i32) -> Self {
        Self { input: 0, topic: topic.into(), index }
    }

    /// The same partition of this input.
    pub fn of_input(&self, input: u16) -> Self {
        Self { input, ..self.clone() }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)?;
        if self.input > 0 { write!(f, " (input {})", self.input) } else { Ok(()) }
    }
}

/// A place in one partition: the next record to read has this position or a higher one. In Kafka: an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub i64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One position for each partition.
pub type Positions = BTreeMap<Partition, Position>;

/// The topics that positions belong to: an opaque id for each name. A topic that is deleted and made anew keeps its
/// name and gets another id; a name without an id is not checked. Of an input after the first the name begins with its
/// number and a slash, which no name of a topic holds.
pub type TopicIds = BTreeMap<String, String>;

/// What an epoch reads of one partition: `from` is included, `to` is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRange {
    /// Whose records.
    pub partition: Partition,
    /// The first position that belongs to the range.
    pub from: Position,
    /// The first position after the range.
    pub to: Position,
}

impl PositionRange {
    /// True if the range holds no position.
    pub fn is_empty(&self) -> bool {
        self.to <= self.from
    }
}

/// One micro-batch of one query, numbered from 0: the unit of commit, retry and de-duplication (Spark's `batchId`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The positions of one input as Spark prints them: `{"topic":{"0":12}}`.
pub fn to_spark_json(positions: &Positions) -> serde_json::Value {
    let mut topics = serde_json::Map::new();
    for (partition, position) in positions {
        let topic = topics.entry(partition.topic.to_string()).or_insert_with(|| serde_json::json!({}));
        if let Some(topic) = topic.as_object_mut() {
            topic.insert(partition.index.to_string(), position.0.into());
        }
    }
    topics.into()
}
