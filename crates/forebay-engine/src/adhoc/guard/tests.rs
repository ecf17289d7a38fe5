//! Guards over tables in memory.

use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
use arrow::datatypes::Int8Type;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::physical_plan::collect;

use super::*;

fn pool() -> Arc<dyn MemoryPool> {
    Arc::new(GreedyMemoryPool::new(1 << 20))
}

fn through(column: ArrayRef, deadline: Option<Deadline>) -> Result<Vec<RecordBatch>> {
    let batch = RecordBatch::try_from_iter([("x", column)])?;
    let schema = batch.schema();
    let table = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None)?;
    let guarded = guarded(table, 1 << 20, &pool(), deadline)?;
    futures::executor::block_on(collect(guarded, Arc::default()))
}

#[test]
fn batches_are_cut_by_rows_and_by_bytes() {
    let rows = |batches: Vec<RecordBatch>| batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1; 2 * BATCH_ROWS + 5]));
    assert_eq!(rows(through(numbers, None).unwrap()), [BATCH_ROWS, BATCH_ROWS, 5]);
    // 16 MiB of texts, and of lists.
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(16 << 10); 1_024]));
    let list = Some((0..8 << 10).map(|n| Some(n as i8)).collect::<Vec<_>>());
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int8Type, _, _>(vec![list; 2_048]));
    for column in [texts, lists] {
        let whole = column.len();
        let parts = through(Arc::clone(&column), None).unwrap();
        assert_eq!(parts.iter().map(RecordBatch::num_rows).sum::<usize>(), whole);
        for part in &parts {
            assert!(size_of(part.column(0)) <= BATCH_BYTES, "{} rows", part.num_rows());
            // Who holds a part holds no more.
            assert!(part.column(0).get_buffer_memory_size() as u64 <= 2 * BATCH_BYTES);
            assert_eq!(part.column(0).slice(0, 1).as_ref(), column.slice(0, 1).as_ref());
        }
    }
    let one: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(5 << 20), "y".to_owned()]));
    assert_eq!(rows(through(one, None).unwrap()), [1, 1]);
}

#[test]
fn nothing_goes_on_after_the_deadline() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let time = Duration::from_secs(1);
    let passed = Deadline { at: Instant::now(), time };
    assert!(through(Arc::clone(&numbers), Some(passed)).is_err());
    let to_come = Deadline { at: Instant::now() + 600 * time, time };
    assert!(through(numbers, Some(to_come)).is_ok());
}

#[test]
fn a_weighted_pool_counts_several_times() {
    let (pool, weight) = (pool(), 4);
    let weighted = weighted::pool(&pool, weight);
    let reservation = MemoryConsumer::new("test").register(&weighted);
    reservation.try_grow(1_000).unwrap();
    assert_eq!((pool.reserved(), weighted.reserved()), (4_000, 1_000));
    assert!(reservation.try_grow(300_000).is_err());
    drop(reservation);
    assert_eq!(pool.reserved(), 0);
}
