//! What a query reads from: positions that can be replayed, and records as arrays.
//!
//! A source never decides what an epoch holds and never sees a control message: the engine owns the loop. It tells
//! where its partitions start and end, and hands over exactly the records of the ranges it is given, as often as it
//! is asked. What must stay true: reading the same ranges twice gives the same records in the same order inside
//! each partition.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::ddl;
use crate::error::Result;
use crate::position::{Partition, Position, PositionRange, Positions, TopicIds};

/// A stream of envelopes: one of the parallel ways by which an epoch is read. It ends when its ranges are read.
pub type Lane = BoxStream<'static, Result<Envelope>>;

/// Where a query reads.
#[async_trait]
pub trait Source: Send {
    /// How Spark would print it in a progress report, for example `KafkaV2[Subscribe[iot_topic]]`.
    fn description(&self) -> String;

    /// Told once, before anything is read, by a query that goes on: which topics its positions belong to.
    fn resume(&mut self, topics: &TopicIds);

    /// The topics that the last positions from here belong to; kept in the checkpoint beside them.
    fn topics(&self) -> TopicIds;

    /// Where a new query starts, by the source's options. Fails with `NO_TOPIC` while nothing of what they name is
    /// there; if the query `ends` by itself, while anything of it is missing: nobody would read what appears later.
    async fn start(&mut self, ends: bool) -> Result<Positions>;

    /// The ends of all partitions as of now, including partitions that `from` does not know: those come with their
    /// first position in `new`. Fails with `DATA_LOSS` if `from` lies outside of what the source still has, or a new
    /// partition has lost its first records already, unless its options allow to go on; then `from` of that partition
    /// is moved in `moved`. A topic that was made anew has nothing of `from`, however long it is. Asked from nowhere
    /// before [`start`](Self::start) and [`resume`](Self::resume), it only says what is there: nobody lost anything.
    async fn available(&mut self, from: &Positions) -> Result<Available>;

    /// The ends of these partitions as last heard of, without asking; `None` if nothing was heard.
    fn heard(&self, of: &Positions) -> Option<Positions>;

    /// Returns when there is probably something beyond `from`; may return early. Safe to cancel.
    async fn wait(&mut self, from: &Positions) -> Result<()>;

    /// Reads exactly these ranges of the topics they were planned for, as at most `lanes` parallel streams. A partition
    /// is in one lane only, in order. After an error inside a lane the epoch is abandoned; the next call starts afresh.
    async fn read(&mut self, ranges: &[PositionRange], lanes: usize) -> Result<Vec<Lane>>;

    /// Told that these ranges were read by another source of the same topics, for this one too: what is held of them can go.
    fn passed(&mut self, _ranges: &[PositionRange]) {}

    /// Asked once all lanes are at their ends and before anything of the epoch is durable: fails with `DATA_LOSS` if a
    /// topic was made anew meanwhile, so that what was read may be the new one's. Where the options allow to go on the
    /// error is retryable, and the next [`read`](Self::read) leaves that topic out.
    async fn confirm(&mut self, ranges: &[PositionRange]) -> Result<()>;

    /// Told after an epoch is committed, so that lag monitors can see it. Never read back by Forebay; an error is
    /// logged and forgotten.
    async fn committed(&mut self, through: &Positions) -> Result<()>;

    /// Told once, when the query has ended: what [`committed`](Self::committed) still has to show is shown. Waits a
    /// few seconds at most.
    async fn close(&mut self) {}
}

/// What a source has, beyond what was asked from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Available {
    /// The position after the newest record of each partition.
    pub ends: Positions,
    /// First positions of partitions that were not known yet.
    pub new: Positions,
    /// New starting points of partitions whose records are gone (`failOnDataLoss: false`).
    pub moved: Positions,
}

impl Available {
    /// What there is to read from these positions on, partition by partition; where there is nothing, no range.
    pub fn ranges(&self, from: &Positions) -> Vec<PositionRange> {
        let range = |(partition, from): (&Partition, &Position)| {
            let to = *self.ends.get(partition)?;
            Some(PositionRange { partition: partition.clone(), from: *from, to })
        };
        from.iter().filter_map(range).filter(|range| !range.is_empty()).collect()
    }
}

/// Which of an envelope's columns a query wants; value, offsets and timestamps always come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The record keys.
    pub keys: bool,
    /// The record headers (`includeHeaders`).
    pub headers: bool,
}

/// Some records of one partition, in order, as arrays. The bytes of keys and values are shared with the buffers
/// they were read into.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Whose records.
    pub partition: Partition,
    /// The position to go on from after these records; there may be gaps before it.
    pub next: Position,
    /// One offset per record, ascending.
    pub offsets: ScalarBuffer<i64>,
    /// One timestamp per record, milliseconds since 1970 UTC.
    pub timestamps: ScalarBuffer<i64>,
    /// Kafka's timestamp type: 0 create time, 1 log append time.
    pub timestamp_type: i32,
    /// The record values; null is a tombstone.
    pub values: BinaryViewArray,
    /// The record keys, if wanted.
    pub keys: Option<BinaryViewArray>,
    /// The record headers, if wanted: a list of `(key: Utf8, value: Binary)` as [`headers_type`] says.
    pub headers: Option<ArrayRef>,
}

impl Envelope {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// True if there is no record (a range may end in a gap).
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The records as Spark's Kafka columns, in the order of [`envelope_schema`]. Missing keys and headers are null.
    pub fn to_batch(&self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let rows = self.len();
        let micros: ScalarBuffer<i64> = self.timestamps.iter().map(|ms| ms.saturating_mul(1000)).collect();
        let keys = self.keys.clone().unwrap_or_else(|| BinaryViewArray::new_null(rows));
        let headers =
            self.headers.clone().unwrap_or_else(|| arrow::array::new_null_array(&headers_type(), rows));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(keys),
            Arc::new(self.values.clone()),
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&*self.partition.topic, rows))),
            Arc::new(Int32Array::from_value(self.partition.index, rows)),
            Arc::new(Int64Array::new(self.offsets.clone(), None)),
            Arc::new(TimestampMicrosecondArray::new(micros, None).with_timezone("UTC")),
            Arc::new(Int32Array::from_value(self.timestamp_type, rows)),
            headers,
        ];
        RecordBatch::try_new(envelope_schema(), columns)
    }
}

/// When a record happened (milliseconds since 1970) as one sees it who looks at `now_ms`: at its timestamp, never later
/// than now. One without a timestamp (Kafka's -1, and 0, which a client sends that fills in none) happened now.
pub fn happened_at(timestamp: i64, now_ms: i64) -> i64 {
    if timestamp <= 0 { now_ms } else { timestamp.min(now_ms) }
}

/// The type of the column `headers`.
pub fn headers_type() -> DataType {
    let header = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Binary, true),
    ]);
    DataType::List(Arc::new(Field::new("element", DataType::Struct(header), true)))
}

/// Spark's Kafka columns: key, value, topic, partition, offset, timestamp, timestampType, headers.
pub fn envelope_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::BinaryView, true),
        Field::new("value", DataType::BinaryView, true),
        Field::new("topic", DataType::Utf8, false),
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("timestamp", ddl::timestamp(), false),
        Field::new("timestampType", DataType::Int32, false),
        Field::new("headers", headers_type(), true),
    ]))
}
