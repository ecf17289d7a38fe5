//! For tests: a topic in memory, a decoder of `key,t,u`, and rows without either.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryViewArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::format::{BadRecord, Decoded, Decoder, Format};
use forebay_core::source::{Available, Envelope, Lane, Source};
use forebay_core::{Error, Partition, Position, PositionRange, Positions, Result, TopicIds, ddl};
use forebay_storage::Door;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::devices::Devices;
use crate::history::Timeline;
use crate::history::coarse::Place;
use crate::layout::Layout;
use crate::source::SourceLive;

/// The schema of [`Text`].
pub fn schema() -> SchemaRef {
    ddl::parse("device_id STRING, t DOUBLE COMMENT '°C', u DOUBLE").unwrap()
}

/// A time that is no multiple of anything.
pub const NOW: i64 = 1_790_000_123_456;

/// A row of the schema, and when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub at: i64,
    pub key: String,
    pub t: Option<f64>,
    pub u: Option<f64>,
}

/// An event with one number.
pub fn event(at: i64, key: &str, t: f64) -> Event {
    Event { at, key: key.to_owned(), t: Some(t), u: None }
}

/// Rows of [`schema`].
pub fn batch(events: &[Event]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(events.iter().map(|event| &event.key))),
        Arc::new(events.iter().map(|event| event.t).collect::<Float64Array>()),
        Arc::new(events.iter().map(|event| event.u).collect::<Float64Array>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// An envelope of events from partition 0, from this offset on.
pub fn envelope(first: i64, events: &[Event]) -> Envelope {
    let values: Vec<Vec<u8>> = events.iter().map(line).collect();
    Envelope {
        partition: Partition::new("t", 0),
        next: Position(first + events.len() as i64),
        offsets: (first..first + events.len() as i64).collect(),
        timestamps: events.iter().map(|event| event.at).collect(),
        timestamp_type: 0,
        values: BinaryViewArray::from_iter_values(values),
        keys: None,
        headers: None,
    }
}

fn line(event: &Event) -> Vec<u8> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    format!("{},{},{}", event.key, number(event.t), number(event.u)).into_bytes()
}

/// Where a test keeps files.
pub fn place(folder: &std::path::Path) -> Place {
    let layout = Layout::new(&schema(), None, &[]);
    Place { folder: folder.to_path_buf(), fingerprint: layout.fingerprint(), door: Door::new() }
}

/// A source without a follower.
pub fn live(clock: Arc<dyn Clock>, place: &Place, most_devices: usize) -> Arc<SourceLive> {
    let layout = Arc::new(Layout::new(&schema(), None, &[]));
    let devices = Devices::new(&layout, most_devices, None);
    let history = Timeline::new(layout.measured.len(), 1 << 30, place);
    Arc::new(SourceLive::new("s".to_owned(), "t".to_owned(), layout, clock, devices, history, None))
}

/// Gives events to a source as its follower does.
pub fn give(live: &SourceLive, first: i64, events: &[Event]) {
    live.take(&envelope(first, events), &batch(events), None, None);
}

/// The records of a partition, as time and value.
type Records = Vec<(i64, Vec<u8>)>;

/// A topic in memory.
#[derive(Debug, Default)]
pub struct Topic {
    pub partitions: Mutex<Vec<Records>>,
    pub arrived: Notify,
    pub fails: Mutex<bool>,
    /// Group offsets that somebody wrote.
    pub commits: Mutex<u64>,
}

impl Topic {
    pub fn new(partitions: usize) -> Arc<Self> {
        Arc::new(Self { partitions: Mutex::new(vec![Vec::new(); partitions]), ..Self::default() })
    }

    pub fn send(&self, partition: usize, event: &Event) {
        self.send_bytes(partition, event.at, &line(event));
    }

    pub fn send_bytes(&self, partition: usize, at: i64, value: &[u8]) {
        self.partitions.lock()[partition].push((at, value.to_vec()));
        self.arrived.notify_waiters();
    }

    fn ends(&self) -> Positions {
        let partitions = self.partitions.lock();
        let end = |(index, records): (usize, &Vec<_>)| {
            (Partition::new("t", index as i32), Position(records.len() as i64))
        };
        partitions.iter().enumerate().map(end).collect()
    }
}

/// Reads a [`Topic`] from its beginning, seven records at a time.
#[derive(Debug)]
pub struct FakeSource(pub Arc<Topic>);

#[async_trait]
impl Source for FakeSource {
    fn description(&self) -> String {
        "fake".to_owned()
    }

    fn resume(&mut self, topics: &TopicIds) {
        assert_eq!(*topics, self.topics());
    }

    fn topics(&self) -> TopicIds {
        TopicIds::from([("t".to_owned(), "id-1".to_owned())])
    }

    async fn start(&mut self, _: bool) -> Result<Positions> {
        Ok(self.0.ends().into_keys().map(|partition| (partition, Position(0))).collect())
    }

    async fn available(&mut self, _: &Positions) -> Result<Available> {
        if *self.0.fails.lock() {
            return Err(Error::new(&codes::SOURCE_UNAVAILABLE, "it is down"));
        }
        Ok(Available { ends: self.0.ends(), ..Available::default() })
    }

    fn heard(&self, _: &Positions) -> Option<Positions> {
        Some(self.0.ends())
    }

    async fn wait(&mut self, from: &Positions) -> Result<()> {
        loop {
            let arrived = self.0.arrived.notified();
            if self.0.ends() != *from {
                return Ok(());
            }
            arrived.await;
        }
    }

    async fn read(&mut self, ranges: &[PositionRange], _: usize) -> Result<Vec<Lane>> {
        let partitions = self.0.partitions.lock();
        let mut envelopes = Vec::new();
        for range in ranges {
            let records = &partitions[range.partition.index as usize];
            for first in (range.from.0..range.to.0).step_by(7) {
                let next = (first + 7).min(range.to.0);
                let slice = &records[first as usize..next as usize];
                envelopes.push(Ok(Envelope {
                    partition: range.partition.clone(),
                    next: Position(next),
                    offsets: (first..next).collect(),
                    timestamps: slice.iter().map(|(at, _)| *at).collect(),
                    timestamp_type: 0,
                    values: BinaryViewArray::from_iter_values(slice.iter().map(|(_, value)| value)),
                    keys: None,
                    headers: None,
                }));
            }
        }
        Ok(vec![futures::stream::iter(envelopes).boxed()])
    }

    async fn confirm(&mut self, _: &[PositionRange]) -> Result<()> {
        Ok(())
    }

    async fn committed(&mut self, _: &Positions) -> Result<()> {
        *self.0.commits.lock() += 1;
        Ok(())
    }
}

/// Decodes `key,t,u`; a record without two commas is bad, and an error if `fails_fast`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text {
    pub fails_fast: bool,
}

impl Format for Text {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(*self)
    }
}

impl Decoder for Text {
    fn decode(&mut self, values: &BinaryViewArray) -> Result<Decoded> {
        let (mut events, mut kept, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for (index, value) in values.iter().enumerate() {
            let text = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
            let parts: Vec<&str> = text.split(',').collect();
            if let [key, t, u] = parts[..] {
                kept.push(index as u32);
                events.push(Event { at: 0, key: key.to_owned(), t: t.parse().ok(), u: u.parse().ok() });
            } else if self.fails_fast {
                return Err(Error::new(&codes::DECODE_FAILFAST, "bad").at(format!("record {index}")));
            } else {
                let (path, why) = ("$".to_owned(), "no commas".to_owned());
                bad.push(BadRecord { index: index as u32, code: "test", path, why });
            }
        }
        let kept = (kept.len() < values.len()).then_some(kept);
        Ok(Decoded { rows: batch(&events), kept, bad, dropped: 0, filtered: 0, failed: Vec::new() })
    }
}
