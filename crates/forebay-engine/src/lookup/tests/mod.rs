//! Joins as tables: what a stream of events gives with a register of devices, and what became of each record.

mod records;
mod rows;
mod versions;

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use forebay_core::table::{StaticTable, TableRows, TableVersion, Wanted};
use forebay_core::{Error, OutputMode, Result, ddl};
use parking_lot::Mutex;

use super::*;
use crate::plan::{Catalog, Fates, Refusal, SourceColumns, StreamPlan, plan, plan_query};

const EVENTS: &str = "id STRING, n BIGINT, x DOUBLE";
const DEVICES: &str = "id STRING, site STRING, low INT, high INT, y DOUBLE";
const SITES: &str = "site STRING, city STRING";

pub(super) fn rows_of(ddl: &str, lines: &str) -> (SchemaRef, RecordBatch) {
    let schema = ddl::parse(ddl).unwrap();
    let reader =
        arrow::json::ReaderBuilder::new(Arc::clone(&schema)).build(Cursor::new(lines.to_owned())).unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    let batch = arrow::compute::concat_batches(&schema, &batches).unwrap();
    (schema, batch)
}

/// A table whose content a test changes.
pub(super) struct Register {
    name: &'static str,
    schema: SchemaRef,
    pub now: Mutex<Result<(u64, RecordBatch)>>,
    most: u64,
}

impl Register {
    pub fn new(name: &'static str, ddl: &str, lines: &str) -> Arc<Self> {
        let (schema, batch) = rows_of(ddl, lines);
        Arc::new(Self { name, schema, now: Mutex::new(Ok((1, batch))), most: 4 << 20 })
    }

    pub fn set(&self, now: Result<(u64, &str)>) {
        let now = now.map(|(version, lines)| {
            let (_, batch) = rows_of(&ddl::to_ddl(&self.schema).unwrap(), lines);
            (version, batch)
        });
        *self.now.lock() = now;
    }
}

#[async_trait]
impl StaticTable for Register {
    fn name(&self) -> &str {
        self.name
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn max_memory(&self) -> u64 {
        self.most
    }

    fn is_atomic(&self) -> bool {
        true
    }

    async fn version(&self) -> Result<TableVersion> {
        self.now.lock().as_ref().map(|(version, _)| TableVersion(version.to_string())).map_err(Error::clone)
    }

    async fn load(&self, _: &Wanted) -> Result<TableRows> {
        let now = self.now.lock();
        let (version, batch) = now.as_ref().map_err(Error::clone)?;
        Ok(TableRows { version: TableVersion(version.to_string()), batches: vec![batch.clone()] })
    }
}

pub(super) fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    catalog.add_source("iot", SourceColumns::Decoded(ddl::parse(EVENTS).unwrap())).unwrap();
    catalog.add_table("devices", ddl::parse(DEVICES).unwrap()).unwrap();
    catalog.add_table("sites", ddl::parse(SITES).unwrap()).unwrap();
    catalog
        .add_view("placed", "SELECT id AS device, low, city FROM devices JOIN sites USING (site)")
        .unwrap();
    catalog.add_view("known", "SELECT DISTINCT id FROM devices").unwrap();
    catalog
}

pub(super) fn planned(sql: &str) -> Result<StreamPlan> {
    plan_query(&catalog(), sql, None, OutputMode::Append, None).map_err(Error::from)
}

/// The rows as texts, with what became of the records.
pub(super) async fn joined(sql: &str, events: &str, tables: &[Arc<Register>]) -> (Vec<String>, Fates) {
    let plan = planned(sql).unwrap();
    let tables: Vec<Arc<dyn StaticTable>> = tables.iter().map(|it| Arc::clone(it) as _).collect();
    let held = newest(&plan, &tables).await.unwrap();
    let (_, batch) = rows_of(EVENTS, events);
    let records = batch.num_rows() as u64;
    let mut executor = plan.executor(0).holding(held);
    let mut fates = Fates::default();
    executor.take(batch);
    let (mut rows, mut firsts) = (Vec::new(), 0);
    while let Some(piece) = executor.next(&mut fates).unwrap() {
        assert_eq!(piece.batch.schema(), plan.output_schema(), "{sql}");
        let repeats = piece.repeats.map_or(0, |repeats| repeats.count_set_bits());
        firsts += (piece.batch.num_rows() - repeats) as u64;
        rows.extend(lines(&piece.batch));
    }
    assert_eq!(fates.emitted, firsts, "{sql}");
    assert_eq!(fates.emitted + fates.filtered + fates.unmatched, records, "each record has one fate: {sql}");
    (rows, fates)
}

pub(super) fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" ");
    (0..batch.num_rows()).map(row).collect()
}
