//! Tables at rest between epochs that are far apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use forebay_core::Result;
use forebay_core::format::Format;
use forebay_core::output_mode::OutputMode;
use forebay_core::table::{StaticTable, TableRows, TableVersion, Wanted};
use forebay_core::trigger::Trigger;

use super::fakes::{Deaths, Numbers};
use super::values;
use super::world::World;
use crate::plan::{Catalog, SourceColumns, plan_query};

/// A table with one row: its version.
struct Numbered(AtomicI64);

#[async_trait]
impl StaticTable for Numbered {
    fn name(&self) -> &str {
        "t"
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]))
    }

    fn max_memory(&self) -> u64 {
        1 << 20
    }

    fn is_atomic(&self) -> bool {
        true
    }

    async fn version(&self) -> Result<TableVersion> {
        Ok(TableVersion(self.0.load(Ordering::SeqCst).to_string()))
    }

    async fn load(&self, _: &Wanted) -> Result<TableRows> {
        let now = self.0.load(Ordering::SeqCst);
        let column: ArrayRef = Arc::new(Int64Array::from(vec![now]));
        let batch = RecordBatch::try_new(self.schema(), vec![column]).unwrap();
        Ok(TableRows { version: TableVersion(now.to_string()), batches: vec![batch] })
    }
}

/// The next epoch is an hour away, and the version that comes meanwhile is there before it: else it would be joined with the
/// one of an hour ago.
#[tokio::test]
async fn a_table_that_changes_between_two_epochs_is_read_before_the_second() {
    let world = World::new(&values(&[2], 0), &[], [None, None]);
    let table = Arc::new(Numbered(AtomicI64::new(1)));
    let mut catalog = Catalog::new();
    let columns = Numbers { adds: 0, mended: Arc::default() }.schema();
    catalog.add_source("l", SourceColumns::Decoded(columns)).unwrap();
    catalog.add_table("t", table.schema()).unwrap();
    let sql = "SELECT n + v AS n FROM l JOIN t ON n < v + 100";
    let mut query = world.query(&["l"], &Deaths::default());
    query.plan = Arc::new(plan_query(&catalog, sql, None, OutputMode::Append, None).unwrap());
    query.trigger = Trigger::ProcessingTime(Duration::from_secs(3_600));
    query.tables = vec![Arc::clone(&table) as _];
    let handle = query.open().unwrap().start();
    let mut status = handle.status();
    let held = |version: &'static str| {
        move |status: &crate::status::QueryStatus| {
            let is = |it: &crate::lookup::Standing| it.version.as_ref().is_some_and(|it| it.0 == version);
            status.recent.len() == 1 && status.tables.iter().all(is) && !status.tables.is_empty()
        }
    };
    status.wait_for(held("1")).await.unwrap();
    table.0.store(2, Ordering::SeqCst);
    tokio::time::timeout(Duration::from_secs(60), status.wait_for(held("2")))
        .await
        .expect("it is read")
        .unwrap();
    handle.stopper().cancel();
    handle.join().await.unwrap();
    assert_eq!(world.table.rows(), [1, 2], "the first epoch has the first version");
}
