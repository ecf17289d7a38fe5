//! The sink on a real folder: a helper that plays the engine, and what its tests share.

mod deaths;
mod epochs;
mod suite;
mod whole;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    BooleanArray, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use forebay_core::clock::ManualClock;
use forebay_core::config::Severity;
use forebay_core::sink::{Begun, EpochId, Sink, Written};
use forebay_core::{Epoch, Result};
use forebay_storage::Door;

use crate::columns::{CLEAR, KEY, PARTITION, SOURCE, TIMESTAMP, TOPIC, WHEN, value_column};
use crate::{Alert, AlertBook, AlertSink, AlertState, Bounds, Rule, ValueColumn};

/// A rule with two value columns, of which one is shown.
pub(crate) fn rule(hold_ms: i64) -> Rule {
    let column = |name: &str, shown| ValueColumn { name: name.to_owned(), shown };
    Rule {
        name: "overheat".to_owned(),
        key_column: "device_id".to_owned(),
        key_fields: BTreeMap::from([("iot".to_owned(), "device_id".to_owned())]),
        severity: Severity::Critical,
        hold_ms,
        message: None,
        values: vec![column("temperature", true), column("place", false)],
    }
}

fn schema() -> SchemaRef {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new(KEY, DataType::Utf8, true),
        Field::new(WHEN, DataType::Boolean, true),
        Field::new(CLEAR, DataType::Boolean, true),
        Field::new(TIMESTAMP, timestamp, false),
        Field::new(TOPIC, DataType::Utf8, false),
        Field::new(PARTITION, DataType::Int32, false),
        Field::new(value_column("temperature"), DataType::Float64, true),
        Field::new(value_column("place"), DataType::Utf8, true),
        Field::new(SOURCE, DataType::Utf8, false),
    ]))
}

/// One reading: key, milliseconds, temperature. Above 70 is hot, below 65 clears, none is NULL.
type Reading<'a> = (&'a str, i64, Option<f64>);

/// Readings of one partition.
fn batch(partition: i32, readings: &[Reading<'_>]) -> RecordBatch {
    batch_of("iot", partition, readings)
}

/// The same of this source.
fn batch_of(source: &str, partition: i32, readings: &[Reading<'_>]) -> RecordBatch {
    let of = |condition: fn(f64) -> bool| -> BooleanArray {
        readings.iter().map(|(_, _, temperature)| temperature.map(condition)).collect()
    };
    let micros = readings.iter().map(|(_, at, _)| at * 1_000 + 999);
    let rows = readings.len();
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(readings.iter().map(|(key, ..)| Some(*key)).collect::<StringArray>()),
            Arc::new(of(|temperature| temperature > 70.0)),
            Arc::new(of(|temperature| temperature < 65.0)),
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC")),
            Arc::new(StringArray::from(vec!["iot_topic"; rows])),
            Arc::new(Int32Array::from(vec![partition; rows])),
            Arc::new(readings.iter().map(|(_, _, temperature)| *temperature).collect::<Float64Array>()),
            Arc::new(StringArray::from(vec!["hall 3"; rows])),
            Arc::new(StringArray::from(vec![source; rows])),
        ],
    )
    .unwrap()
}

/// The clock of the sinks: `seenAt`.
const NOW: i64 = 1_700_000_000_000;

fn sink(dir: &Path, hold_ms: i64, bounds: Bounds) -> (AlertSink, AlertBook) {
    let book = AlertBook::default();
    let clock = ManualClock::at(NOW);
    (AlertSink::new(rule(hold_ms), bounds, dir.to_path_buf(), Door::new(), clock, book.clone()), book)
}

async fn opened(dir: &Path, hold_ms: i64, bounds: Bounds) -> (AlertSink, AlertBook) {
    let (mut sink, book) = sink(dir, hold_ms, bounds);
    sink.open(schema()).await.unwrap();
    (sink, book)
}

fn id(epoch: u64) -> EpochId {
    EpochId {
        query_id: "q-1".into(),
        query_name: "alerts/overheat".into(),
        epoch: Epoch(epoch),
        planned_at_ms: NOW,
    }
}

/// Writes an epoch with one lane per list of batches and commits it; `None` if the sink has it.
async fn write(sink: &mut AlertSink, epoch: u64, lanes: Vec<Vec<RecordBatch>>) -> Result<Option<Written>> {
    let Begun::Writers(writers) = sink.begin(&id(epoch), lanes.len()).await? else { return Ok(None) };
    let mut parts = Vec::new();
    for (mut writer, batches) in writers.into_iter().zip(lanes) {
        for batch in batches {
            writer.write(batch).await?;
        }
        parts.push(writer.finish().await?);
    }
    let written = sink.commit(&id(epoch), parts).await?;
    sink.tidy().await?;
    Ok(Some(written))
}

/// Every alert of a book: key, opened, cleared; by key and time.
fn alerts(book: &AlertBook) -> Vec<(String, i64, Option<i64>)> {
    let row = |alert: Arc<Alert>| {
        assert_eq!(alert.state == AlertState::Open, alert.cleared_at.is_none());
        (alert.key.clone().unwrap_or_else(|| "NULL".to_owned()), alert.opened_at, alert.cleared_at)
    };
    let mut all: Vec<_> = book.open().into_iter().chain(book.cleared()).map(row).collect();
    all.sort();
    all
}
