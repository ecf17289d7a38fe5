//! The world of one test: topics in memory that grow as the test says, and a table in memory for what comes out.
//!
//! What must stay true: nothing here reaches a network, a port or a disk; the same records in the same order give the
//! same epochs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{BinaryViewArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Sink, Written};
use forebay_core::source::{Available, Envelope, Lane, Source};
use forebay_core::{Error, Partition, Position, PositionRange, Positions, Result, TopicIds};

use super::cell::{self, Cell};

/// A record that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// The topics of a test. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Topics(Arc<Mutex<BTreeMap<Partition, Vec<Record>>>>);

/// Something that is shared; a holder that panicked leaves nothing half done here.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Topics {
    /// Appends a record to its partition.
    pub fn append(&self, record: Record) {
        let partition = Partition::new(record.topic.as_str(), record.partition);
        lock(&self.0).entry(partition).or_default().push(record);
    }

    /// What reads these of them.
    pub fn source(&self, names: &BTreeSet<String>) -> GivenSource {
        for name in names {
            lock(&self.0).entry(Partition::new(name.as_str(), 0)).or_default();
        }
        GivenSource { topics: self.clone(), names: names.clone() }
    }
}

/// Reads topics of a test from their beginning.
pub struct GivenSource {
    topics: Topics,
    names: BTreeSet<String>,
}

impl GivenSource {
    fn ends(&self) -> Positions {
        let topics = lock(&self.topics.0);
        let own = topics.iter().filter(|(partition, _)| self.names.contains(&*partition.topic));
        own.map(|(partition, records)| (partition.clone(), position(records.len()))).collect()
    }
}

fn position(index: usize) -> Position {
    Position(i64::try_from(index).unwrap_or(i64::MAX))
}

#[async_trait]
impl Source for GivenSource {
    fn description(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        format!("Given[{}]", names.join(", "))
    }

    fn resume(&mut self, _: &TopicIds) {}

    fn topics(&self) -> TopicIds {
        TopicIds::new()
    }

    async fn start(&mut self, _: bool) -> Result<Positions> {
        Ok(self.ends().into_keys().map(|partition| (partition, Position(0))).collect())
    }

    async fn available(&mut self, from: &Positions) -> Result<Available> {
        let ends = self.ends();
        let new = ends.keys().filter(|partition| !from.contains_key(*partition));
        let new = new.map(|partition| (partition.clone(), Position(0))).collect();
        Ok(Available { ends, new, moved: Positions::new() })
    }

    fn heard(&self, of: &Positions) -> Option<Positions> {
        Some(self.ends().into_iter().filter(|(partition, _)| of.contains_key(partition)).collect())
    }

    /// A query of a test ends when it has read all that is there.
    async fn wait(&mut self, _: &Positions) -> Result<()> {
        std::future::pending().await
    }

    async fn read(&mut self, ranges: &[PositionRange], _: usize) -> Result<Vec<Lane>> {
        let topics = lock(&self.topics.0);
        let envelopes: Vec<Result<Envelope>> = ranges
            .iter()
            .filter_map(|range| {
                let records = topics.get(&range.partition)?;
                let index = |position: Position| usize::try_from(position.0).ok();
                Some(Ok(envelope(range, records.get(index(range.from)?..index(range.to)?)?)))
            })
            .collect();
        Ok(vec![Box::pin(futures::stream::iter(envelopes))])
    }

    async fn confirm(&mut self, _: &[PositionRange]) -> Result<()> {
        Ok(())
    }

    async fn committed(&mut self, _: &Positions) -> Result<()> {
        Ok(())
    }
}

fn envelope(range: &PositionRange, records: &[Record]) -> Envelope {
    let bytes = |of: fn(&Record) -> &Option<Vec<u8>>| -> BinaryViewArray {
        records.iter().map(|record| of(record).as_deref()).collect()
    };
    Envelope {
        partition: range.partition.clone(),
        next: range.to,
        offsets: (range.from.0..range.to.0).collect(),
        timestamps: records.iter().map(|record| record.timestamp_ms).collect(),
        timestamp_type: 0,
        values: bytes(|record| &record.value),
        keys: Some(bytes(|record| &record.key)),
        headers: None,
    }
}

/// The table of a query: what it has given so far. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Table(Arc<Mutex<Vec<Cell>>>);

impl Table {
    /// Its rows.
    pub fn rows(&self) -> Vec<Cell> {
        lock(&self.0).clone()
    }

    /// What fills it, in this mode; `keys` are the columns by which update mode knows a row, none if there is but one.
    /// Without keys it holds all rows that came.
    pub fn sink(&self, mode: OutputMode, keys: Option<Vec<String>>) -> TableSink {
        TableSink { table: self.clone(), mode, keys }
    }

    fn take(&self, rows: Vec<Cell>, mode: OutputMode, keys: Option<&[String]>) {
        let mut table = lock(&self.0);
        match (mode, keys) {
            (OutputMode::Complete, _) => *table = rows,
            (OutputMode::Update, Some(keys)) => {
                for row in rows {
                    let is_same = |other: &Cell| {
                        keys.iter().all(|key| match (row.field(key), other.field(key)) {
                            (Some(a), Some(b)) => a.expects(b),
                            _ => false,
                        })
                    };
                    match table.iter_mut().find(|other| is_same(other)) {
                        Some(old) => *old = row,
                        None => table.push(row),
                    }
                }
            }
            (OutputMode::Update | OutputMode::Append, _) => table.extend(rows),
        }
    }
}

/// Writes into a [`Table`].
pub struct TableSink {
    table: Table,
    mode: OutputMode,
    keys: Option<Vec<String>>,
}

#[async_trait]
impl Sink for TableSink {
    fn description(&self) -> String {
        "TableOfATest".to_owned()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    async fn begin(&mut self, _: &EpochId, lanes: usize) -> Result<Begun> {
        let lane = |_| Box::new(Rows(Vec::new())) as Box<dyn LaneWriter>;
        Ok(Begun::Writers((0..lanes).map(lane).collect()))
    }

    async fn commit(&mut self, _: &EpochId, parts: Vec<Part>) -> Result<Written> {
        let mut rows = Vec::new();
        for part in parts {
            let lane = part.downcast::<Vec<Cell>>();
            rows.extend(
                *lane.map_err(|_| Error::new(&codes::INTERNAL, "a part of another sink came to a test"))?,
            );
        }
        let written = Written { rows: rows.len() as u64, bytes: 0, files: 0 };
        self.table.take(rows, self.mode, self.keys.as_deref());
        Ok(written)
    }

    async fn abort(&mut self, _: &EpochId) -> Result<()> {
        Ok(())
    }
}

/// The rows of one lane.
struct Rows(Vec<Cell>);

#[async_trait]
impl LaneWriter for Rows {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let rows = cell::rows(&batch);
        self.0.extend(rows.map_err(|e| Error::new(&codes::INTERNAL, "rows cannot be read").caused_by(e))?);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Part> {
        Ok(Box::new(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_what_the_mode_says() {
        let row = |key: &str, count| {
            Cell::Fields(vec![
                ("k".to_owned(), Cell::Text(key.to_owned())),
                ("n".to_owned(), Cell::Int(count)),
            ])
        };
        let keys = ["k".to_owned()];
        for (mode, keys, expected) in [
            (OutputMode::Append, Some(&[][..]), vec![row("a", 1), row("b", 1), row("a", 2)]),
            (OutputMode::Update, Some(&keys[..]), vec![row("a", 2), row("b", 1)]),
            (OutputMode::Update, Some(&[][..]), vec![row("a", 2)]),
            (OutputMode::Update, None, vec![row("a", 1), row("b", 1), row("a", 2)]),
            (OutputMode::Complete, Some(&keys[..]), vec![row("a", 2)]),
        ] {
            let table = Table::default();
            table.take(vec![row("a", 1), row("b", 1)], mode, keys);
            table.take(vec![row("a", 2)], mode, keys);
            assert_eq!(table.rows(), expected, "{mode:?}");
        }
    }
}
