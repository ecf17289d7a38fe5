//! Topics, a decoder and a sink in memory; the topics and the sink can die at any call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use arrow::array::{ArrayRef, AsArray, BinaryViewArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::format::{BadRecord, Decoded, Decoder, Format};
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Sink, Written};
use forebay_core::source::{Available, Envelope, Lane, Source};
use forebay_core::{Epoch, Error, Partition, Position, PositionRange, Positions, Result, TopicIds};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A death that is due after so many calls; 0 or less: none.
#[derive(Clone, Debug, Default)]
pub struct Deaths(Arc<AtomicI64>);

impl Deaths {
    pub fn after(calls: i64) -> Self {
        Self(Arc::new(AtomicI64::new(calls)))
    }

    pub fn call(&self) -> Result<()> {
        match self.0.fetch_sub(1, Ordering::SeqCst) {
            1 => Err(Error::new(&codes::INTERNAL, "died")),
            _ => Ok(()),
        }
    }
}

/// A topic `t`: the values of each partition.
#[derive(Debug, Default)]
pub struct Topic {
    pub partitions: Mutex<Vec<Vec<String>>>,
    pub arrived: Notify,
    /// It does not answer.
    pub fails: AtomicBool,
    /// What the next look tells to be moved; it is told once.
    pub moves: Mutex<Positions>,
    /// What it was told of its topics.
    pub resumed: Mutex<TopicIds>,
    pub committed: Mutex<Positions>,
    pub closed: AtomicBool,
    /// How many records were read of it.
    pub read: AtomicU64,
}

impl Topic {
    pub fn new(partitions: &[Vec<String>]) -> Arc<Self> {
        Arc::new(Self { partitions: Mutex::new(partitions.to_vec()), ..Self::default() })
    }

    fn ends(&self) -> Positions {
        let partitions = self.partitions.lock();
        let end = |(index, values): (usize, &Vec<_>)| (at(index as i32), Position(values.len() as i64));
        partitions.iter().enumerate().map(end).collect()
    }
}

/// A partition of the topic, as its source knows it.
pub fn at(index: i32) -> Partition {
    Partition::new("t", index)
}

#[derive(Debug)]
pub struct FakeSource {
    pub topic: Arc<Topic>,
    pub deaths: Deaths,
}

#[async_trait]
impl Source for FakeSource {
    fn description(&self) -> String {
        "Fake[t]".to_owned()
    }

    fn resume(&mut self, topics: &TopicIds) {
        self.topic.resumed.lock().clone_from(topics);
    }

    fn topics(&self) -> TopicIds {
        let id = format!("{:p}", Arc::as_ptr(&self.topic));
        TopicIds::from([("t".to_owned(), id)])
    }

    async fn start(&mut self, _: bool) -> Result<Positions> {
        self.deaths.call()?;
        Ok(self.topic.ends().into_keys().map(|partition| (partition, Position(0))).collect())
    }

    async fn available(&mut self, from: &Positions) -> Result<Available> {
        self.deaths.call()?;
        assert!(from.keys().all(|partition| partition.input == 0), "a source knows no other input");
        if self.topic.fails.load(Ordering::SeqCst) {
            return Err(Error::new(&codes::SOURCE_UNAVAILABLE, "it is down"));
        }
        let moved = std::mem::take(&mut *self.topic.moves.lock());
        let ends = self.topic.ends();
        let new = ends.keys().filter(|partition| !from.contains_key(*partition));
        let new = new.map(|partition| (partition.clone(), Position(0))).collect();
        Ok(Available { ends, new, moved })
    }

    fn heard(&self, _: &Positions) -> Option<Positions> {
        (!self.topic.fails.load(Ordering::SeqCst)).then(|| self.topic.ends())
    }

    async fn wait(&mut self, from: &Positions) -> Result<()> {
        loop {
            let arrived = self.topic.arrived.notified();
            if self.topic.ends() != *from {
                return Ok(());
            }
            arrived.await;
        }
    }

    async fn read(&mut self, ranges: &[PositionRange], lanes: usize) -> Result<Vec<Lane>> {
        self.deaths.call()?;
        let partitions = self.topic.partitions.lock();
        let mut streams: Vec<Vec<Result<Envelope>>> =
            (0..lanes.min(ranges.len())).map(|_| Vec::new()).collect();
        for (number, range) in ranges.iter().enumerate() {
            assert_eq!(range.partition.input, 0, "a source knows no other input");
            let values = &partitions[range.partition.index as usize];
            for first in (range.from.0..range.to.0).step_by(3) {
                let next = (first + 3).min(range.to.0);
                let count = (next - first) as usize;
                self.topic.read.fetch_add(count as u64, Ordering::SeqCst);
                streams[number % lanes].push(Ok(Envelope {
                    partition: range.partition.clone(),
                    next: Position(next),
                    offsets: (first..next).collect(),
                    timestamps: vec![1; count].into(),
                    timestamp_type: 0,
                    values: BinaryViewArray::from_iter_values(&values[first as usize..next as usize]),
                    keys: None,
                    headers: None,
                }));
            }
        }
        let deaths = self.deaths.clone();
        let lane = |envelopes| {
            let deaths = deaths.clone();
            futures::stream::iter(envelopes).map(move |envelope| deaths.call().and(envelope)).boxed()
        };
        Ok(streams.into_iter().map(lane).collect())
    }

    async fn confirm(&mut self, _: &[PositionRange]) -> Result<()> {
        self.deaths.call()
    }

    async fn committed(&mut self, through: &Positions) -> Result<()> {
        self.topic.committed.lock().clone_from(through);
        Ok(())
    }

    async fn close(&mut self) {
        self.topic.closed.store(true, Ordering::SeqCst);
    }
}

/// Decodes a number and adds something to it: who decoded it can be seen. `x` before it makes it bad, until it is mended.
#[derive(Clone, Debug)]
pub struct Numbers {
    pub adds: i64,
    pub mended: Arc<AtomicBool>,
}

impl Format for Numbers {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(self.clone())
    }
}

impl Decoder for Numbers {
    fn decode(&mut self, values: &BinaryViewArray) -> Result<Decoded> {
        let (mut rows, mut kept, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for (index, value) in (0u32..).zip(values.iter()) {
            let text = String::from_utf8(value.unwrap().to_vec()).unwrap();
            let text = if self.mended.load(Ordering::SeqCst) { text.trim_start_matches('x') } else { &text };
            match text.parse::<i64>() {
                Ok(number) => {
                    rows.push(number + self.adds);
                    kept.push(index);
                }
                Err(why) => {
                    bad.push(BadRecord { index, code: "test", path: "$".into(), why: why.to_string() });
                }
            }
        }
        let column: ArrayRef = Arc::new(Int64Array::from(rows));
        let rows = RecordBatch::try_new(self.schema(), vec![column]).unwrap();
        Ok(Decoded { rows, kept: Some(kept), bad, dropped: 0, filtered: 0, failed: Vec::new() })
    }
}

/// The rows of each epoch.
#[derive(Clone, Debug, Default)]
pub struct Table(Arc<Mutex<BTreeMap<u64, Vec<i64>>>>);

impl Table {
    /// How many epochs were written, and how many of them without rows.
    pub fn epochs(&self) -> (usize, usize) {
        let table = self.0.lock();
        (table.len(), table.values().filter(|rows| rows.is_empty()).count())
    }

    /// All rows, sorted.
    pub fn rows(&self) -> Vec<i64> {
        let mut rows: Vec<i64> = self.0.lock().values().flatten().copied().collect();
        rows.sort_unstable();
        rows
    }
}

pub struct FakeSink {
    pub table: Table,
    /// What [`Sink::next_due`] says, whatever was written.
    pub due: Option<i64>,
    pub deaths: Deaths,
}

struct Writer(Vec<i64>, Deaths);

#[async_trait]
impl LaneWriter for Writer {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.1.call()?;
        self.0.extend(batch.column(0).as_primitive::<Int64Type>().values());
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Part> {
        self.1.call()?;
        Ok(Box::new(self.0))
    }
}

#[async_trait]
impl Sink for FakeSink {
    fn description(&self) -> String {
        "FakeSink".to_owned()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    async fn open(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    async fn last_epoch(&mut self, _: &str) -> Result<Option<Epoch>> {
        Ok(self.table.0.lock().keys().max().copied().map(Epoch))
    }

    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        self.deaths.call()?;
        if self.table.0.lock().contains_key(&id.epoch.0) {
            return Ok(Begun::AlreadyWritten);
        }
        let writer = |_| -> Box<dyn LaneWriter> { Box::new(Writer(Vec::new(), self.deaths.clone())) };
        Ok(Begun::Writers((0..lanes).map(writer).collect()))
    }

    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written> {
        self.deaths.call()?;
        let rows: Vec<i64> =
            parts.into_iter().flat_map(|part| *part.downcast::<Vec<i64>>().unwrap()).collect();
        let written = Written { rows: rows.len() as u64, bytes: 0, files: 0 };
        let before = self.table.0.lock().insert(id.epoch.0, rows);
        assert_eq!(before, None, "an epoch is written once");
        self.deaths.call()?;
        Ok(written)
    }

    fn next_due(&self, _: i64) -> Option<i64> {
        self.due
    }

    async fn abort(&mut self, _: &EpochId) -> Result<()> {
        Ok(())
    }
}
