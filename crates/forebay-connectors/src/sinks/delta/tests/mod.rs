//! The sink on a real folder, read back by delta-rs.
#![allow(clippy::disallowed_methods, reason = "tests play the other writers, the disk and the clock")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{SessionConfig, SessionContext};
use forebay_core::Epoch;
use forebay_core::clock::ManualClock;
use serde_json::Value;

use super::*;
use crate::sinks::conformance::{self, Subject};
use crate::sinks::scratch::Scratch;

mod columns;
mod complete;
mod cost;
mod deaths;
mod model;
mod others;
mod plain;
mod readers;
mod runs;
mod update;
mod upkeep;

/// A folder for one table.
struct Lake {
    dir: Scratch,
    options: Vec<(&'static str, String)>,
    mode: OutputMode,
    keys: Vec<String>,
    clock: Arc<ManualClock>,
}

impl Lake {
    fn new(options: &[(&'static str, &str)]) -> Self {
        let options = options.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        // Late enough that files of "now" are not older than the clock says.
        let clock = ManualClock::at(chrono::Utc::now().timestamp_millis());
        Self { dir: Scratch::new(), options, mode: OutputMode::Append, keys: Vec::new(), clock }
    }

    /// A table whose rows are replaced, by these keys in update mode.
    fn replacing(mode: OutputMode, keys: &[&str], options: &[(&'static str, &str)]) -> Self {
        Self { mode, keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..Self::new(options) }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("t")
    }

    fn sink(&self) -> DeltaSink {
        let mut raw = BTreeMap::from([("path".to_owned(), "t".to_owned())]);
        raw.extend(self.options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let options = Options::parse(&SPEC, &raw).unwrap();
        let mut sink =
            DeltaSink::with_clock(&options, self.dir.path(), Door::new(), self.clock.clone()).unwrap();
        sink.output(self.mode, &self.keys).unwrap();
        sink
    }

    async fn opened(&self, schema: &SchemaRef) -> DeltaSink {
        let mut sink = self.sink();
        sink.open(schema.clone()).await.unwrap();
        sink
    }

    /// Rows as text, in the order of the query.
    async fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        let reading = read::table_provider(&self.root()).await.unwrap();
        context.register_table("t", reading.provider).unwrap();
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let options = FormatOptions::default().with_null("NULL");
        let mut rows = Vec::new();
        for batch in batches {
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap())
                .collect();
            rows.extend(
                (0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()),
            );
        }
        rows
    }

    async fn count(&self) -> u64 {
        self.query("SELECT count(*) FROM t").await[0][0].parse().unwrap()
    }

    /// The actions of a version.
    fn commit(&self, version: u64) -> Vec<Value> {
        let path = self.root().join(format!("_delta_log/{version:020}.json"));
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn newest(&self) -> u64 {
        let names = std::fs::read_dir(self.root().join("_delta_log")).unwrap();
        let versions = names.filter_map(|entry| {
            entry.unwrap().file_name().to_str()?.strip_suffix(".json")?.parse::<u64>().ok()
        });
        versions.max().unwrap()
    }

    /// Data files on disk, relative.
    fn data_files(&self) -> Vec<String> {
        fn walk(root: &Path, dir: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(root, &path, found);
                } else if path.extension().is_some_and(|e| e == "parquet")
                    && !path.to_str().unwrap().contains("_delta_log")
                {
                    found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.root(), &self.root(), &mut found);
        found.sort();
        found
    }
}

fn epoch(number: u64) -> EpochId {
    EpochId { query_id: "q-1".into(), query_name: "lake".into(), epoch: Epoch(number), planned_at_ms: 0 }
}

/// Writes an epoch with one lane per list of batches and commits it; `None` if the table has it.
async fn write(sink: &mut DeltaSink, number: u64, lanes: Vec<Vec<RecordBatch>>) -> Result<Option<Written>> {
    let Begun::Writers(writers) = sink.begin(&epoch(number), lanes.len()).await? else { return Ok(None) };
    let mut parts = Vec::new();
    for (mut writer, batches) in writers.into_iter().zip(lanes) {
        for batch in batches {
            writer.write(batch).await?;
        }
        parts.push(writer.finish().await?);
    }
    sink.commit(&epoch(number), parts).await.map(Some)
}

/// Does what is due and waits for it.
async fn tidied(sink: &mut DeltaSink) {
    sink.tidy().await.unwrap();
    sink.settle().await;
}

fn table_of(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> =
        columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect())
        .unwrap()
}

/// `id BIGINT, name STRING`
fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let names = StringArray::from_iter_values(ids.clone().map(|id| format!("name-{id}")));
    table_of(vec![("id", Arc::new(Int64Array::from_iter_values(ids))), ("name", Arc::new(names))])
}

fn rows_schema() -> SchemaRef {
    rows(0..0).schema()
}

impl Subject for Lake {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Lake::sink(self))
    }

    fn rows(&self) -> futures::future::BoxFuture<'_, Vec<(i32, i64)>> {
        Box::pin(async {
            let rows = self.query("SELECT lane, n FROM t").await;
            rows.iter().map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap())).collect()
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    conformance::contract(&Lake::new(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_with_partitions_and_eager_housekeeping() {
    let options =
        [("partitionBy", "lane"), ("delta.checkpointInterval", "1"), ("autoCompact.minNumFiles", "2")];
    conformance::contract(&Lake::new(&options)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_says_who_wrote_what() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 7, vec![vec![rows(0..3)], vec![rows(3..5)]]).await.unwrap();
    let actions = lake.commit(1);
    let info = &actions[0]["commitInfo"];
    assert_eq!(info["operation"], "STREAMING UPDATE");
    assert_eq!(info["operationParameters"]["queryId"], "q-1");
    assert_eq!(info["operationParameters"]["epochId"], "7");
    assert_eq!(info["operationParameters"]["outputMode"], "Append");
    assert!(info["engineInfo"].as_str().unwrap().starts_with("Forebay/"));
    assert_eq!(actions[1]["txn"]["appId"], "q-1");
    assert_eq!(actions[1]["txn"]["version"], 7);
    let stats: Value = serde_json::from_str(actions[2]["add"]["stats"].as_str().unwrap()).unwrap();
    assert_eq!(
        stats,
        serde_json::json!({
            "numRecords": 3, "minValues": {"id": 0, "name": "name-0"}, "maxValues": {"id": 2, "name": "name-2"},
            "nullCount": {"id": 0, "name": 0},
        })
    );
    assert_eq!(actions.len(), 4, "one file per lane");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_epoch_leaves_no_file() {
    let lake = Lake::new(&[("partitionBy", "name")]);
    let mut sink = lake.opened(&rows_schema()).await;
    let Begun::Writers(mut writers) = sink.begin(&epoch(0), 2).await.unwrap() else { panic!() };
    writers[0].write(rows(0..100)).await.unwrap();
    writers[1].write(rows(0..3)).await.unwrap();
    assert_eq!(lake.data_files().len(), 103, "files are there, some of them ended early");
    drop(writers);
    sink.abort(&epoch(0)).await.unwrap();
    assert!(lake.data_files().is_empty());
    assert_eq!(lake.newest(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_end_at_the_target_size_and_keep_the_order_of_rows() {
    let lake = Lake::new(&[("delta.targetFileSize", "64KiB"), ("compression", "none")]);
    let mut sink = lake.opened(&rows_schema()).await;
    let lane = (0..20).map(|i| rows(i * 2_000..(i + 1) * 2_000)).collect();
    let written = write(&mut sink, 0, vec![lane]).await.unwrap().unwrap();
    assert!(written.files > 3, "{written:?}");
    assert_eq!(written.rows, 40_000);
    let mut seen = 0;
    for action in lake.commit(1).iter().filter(|action| action["add"].is_object()) {
        let path = lake.root().join(action["add"]["path"].as_str().unwrap());
        let file = std::fs::File::open(path).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let ids: &Int64Array = batch.column(0).as_any().downcast_ref().unwrap();
            for id in ids.values() {
                assert_eq!(*id, seen);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 40_000);
}
