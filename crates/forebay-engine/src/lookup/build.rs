//! The table's side: what the query reads of it, and where the rows of a key are.

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execute_stream;
use foldhash::quality::RandomState;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use futures::StreamExt;
use hashbrown::HashTable;

use super::LookupSpec;
use crate::operators::{Zeros, normalised};
use crate::plan::core_error;
use crate::plan::session::{self, Purpose};
use crate::plan::statics::AtRest;

/// The rows of one version.
#[derive(Debug)]
pub(crate) struct Built {
    pub rows: RecordBatch,
    keys: Option<Keys>,
}

#[derive(Debug)]
struct Keys {
    converter: RowConverter,
    /// Each key once.
    each: Rows,
    index: HashTable<u32>,
    seed: RandomState,
    /// Where the rows of a key begin in `order`; one more than there are keys.
    starts: Vec<u32>,
    /// The numbers of the rows, by keys; of one key as they stand in the table.
    order: Vec<u32>,
}

/// Rows of a table as they were read.
pub(super) type Raw = BTreeMap<String, (SchemaRef, Vec<RecordBatch>)>;

/// True if values of these types can be looked up.
pub(crate) fn encodable(types: &[DataType]) -> bool {
    RowConverter::supports_fields(&types.iter().cloned().map(SortField::new).collect::<Vec<_>>())
}

impl Built {
    /// Reads what the join reads of its tables; it may take `limit` bytes.
    pub async fn read(spec: &LookupSpec, raw: &Raw, limit: u64) -> Result<Self> {
        let batches = rows(spec, raw, limit).await?;
        let schema: SchemaRef = Arc::new(spec.at_rest.schema().as_arrow().clone());
        Self::of(spec, &schema, &batches)
    }

    /// Of these rows.
    pub fn of(spec: &LookupSpec, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        let rows = concat_batches(schema, batches).map_err(broken)?;
        if u32::try_from(rows.num_rows()).is_err() {
            let message = format!("the table has {} rows, more than can be counted", rows.num_rows());
            return Err(Error::new(&codes::TABLE_TOO_LARGE, message));
        }
        let keys = if spec.keys.is_empty() { None } else { Some(Keys::new(spec, &rows)?) };
        Ok(Self { rows, keys })
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> u64 {
        let keys = self
            .keys
            .as_ref()
            .map_or(0, |keys| keys.each.size() + 4 * (keys.order.len() + keys.starts.len()));
        (self.rows.get_array_memory_size() + keys) as u64
    }

    /// For each row of these keys its candidates: a range of [`Self::candidate`]'s numbers.
    pub fn candidates(&self, keys: &[ArrayRef], null_safe: &[bool], rows: usize) -> Result<Vec<Range<u32>>> {
        let Some(own) = &self.keys else {
            return Ok(vec![0..u32::try_from(self.rows.num_rows()).unwrap_or(u32::MAX); rows]);
        };
        let encoded = own.converter.convert_columns(keys).map_err(broken)?;
        let candidates = (0..rows).map(|row| {
            if is_nobody(keys, null_safe, row) {
                return 0..0;
            }
            let key = encoded.row(row);
            match own.find(key.as_ref()) {
                Some(number) => own.range(number),
                None => 0..0,
            }
        });
        Ok(candidates.collect())
    }

    /// The row that a number of [`Self::candidates`] means.
    pub fn candidate(&self, number: u32) -> u32 {
        match &self.keys {
            Some(keys) => keys.order.get(number as usize).copied().unwrap_or_default(),
            None => number,
        }
    }
}

impl Keys {
    fn new(spec: &LookupSpec, rows: &RecordBatch) -> Result<Self> {
        let columns = evaluate(&spec.keys, rows)?;
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
        let converter = RowConverter::new(fields.collect()).map_err(broken)?;
        let encoded = converter.convert_columns(&columns).map_err(broken)?;
        let mut keys = Self {
            each: converter.empty_rows(0, 0),
            converter,
            index: HashTable::new(),
            seed: RandomState::default(),
            starts: Vec::new(),
            order: Vec::new(),
        };
        // The key of each row that has one; then the rows are counted into their places.
        let mut of_row: Vec<Option<u32>> = Vec::with_capacity(rows.num_rows());
        let mut counts: Vec<u32> = Vec::new();
        for row in 0..rows.num_rows() {
            if is_nobody(&columns, &spec.null_safe, row) {
                of_row.push(None);
                continue;
            }
            let key = encoded.row(row);
            let number = match keys.find(key.as_ref()) {
                Some(number) => number,
                None => {
                    let number = u32::try_from(counts.len()).unwrap_or(u32::MAX);
                    keys.each.push(key);
                    counts.push(0);
                    let Self { index, each, seed, .. } = &mut keys;
                    let hash = |number: &u32| seed.hash_one(each.row(*number as usize).as_ref());
                    index.insert_unique(hash(&number), number, hash);
                    number
                }
            };
            counts[number as usize] += 1;
            of_row.push(Some(number));
        }
        keys.starts = Vec::with_capacity(counts.len() + 1);
        keys.starts.push(0);
        let mut sum = 0;
        for count in counts {
            sum += count;
            keys.starts.push(sum);
        }
        let mut next = keys.starts.clone();
        keys.order = vec![0; sum as usize];
        for (row, number) in of_row.into_iter().enumerate() {
            let Some(number) = number else { continue };
            let place = &mut next[number as usize];
            keys.order[*place as usize] = u32::try_from(row).unwrap_or(u32::MAX);
            *place += 1;
        }
        Ok(keys)
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        let is_it = |number: &u32| self.each.row(*number as usize).as_ref() == key;
        self.index.find(self.seed.hash_one(key), is_it).copied()
    }

    fn range(&self, number: u32) -> Range<u32> {
        let at = |number: usize| self.starts.get(number).copied().unwrap_or_default();
        at(number as usize)..at(number as usize + 1)
    }
}

/// True if a key has a NULL that is nobody's partner.
fn is_nobody(keys: &[ArrayRef], null_safe: &[bool], row: usize) -> bool {
    keys.iter().zip(null_safe).any(|(key, null_safe)| !null_safe && key.is_null(row))
}

/// The values of keys, comparable: NaN is NaN, and -0.0 is 0.0, as in Spark's joins.
pub(super) fn evaluate(keys: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let values = keys.iter().map(|key| {
        let value = key.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
        let value =
            value.map_err(|error| core_error(&codes::QUERY_FAILED, error).at("the keys of the join"))?;
        Ok(normalised(&value, Zeros::Same))
    });
    values.collect()
}

/// Runs a plan over tables at rest.
async fn rows(spec: &LookupSpec, raw: &Raw, limit: u64) -> Result<Vec<RecordBatch>> {
    let failed = |error| core_error(&codes::TABLE_UNREADABLE, error);
    let memory = usize::try_from(limit.saturating_mul(2)).unwrap_or(usize::MAX);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .build_arc()
        .map_err(failed)?;
    let session = session::session(Purpose::Table, spec.zone, runtime).map_err(failed)?;
    let plan = spec.at_rest.clone().transform_up(|node| {
        let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
        let found = scan.source.downcast_ref::<AtRest>().and_then(|table| raw.get(&table.name));
        let Some((schema, batches)) = found else { return Ok(Transformed::no(LogicalPlan::TableScan(scan))) };
        let table = MemTable::try_new(Arc::clone(schema), vec![batches.clone()])?;
        scan.source = provider_as_source(Arc::new(table));
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    });
    let plan = plan.map_err(failed)?.data;
    let plan = session.optimizer().optimize(plan, &session, |_, _| {}).map_err(failed)?;
    let planned = session.query_planner().create_physical_plan(&plan, &session).await.map_err(failed)?;
    let mut stream = execute_stream(planned, session.task_ctx()).map_err(failed)?;
    let (mut batches, mut bytes, mut seen) = (Vec::new(), 0, HashSet::new());
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(failed)?;
        bytes += batch.columns().iter().map(|column| taken(&column.to_data(), &mut seen)).sum::<u64>();
        if bytes > limit {
            let message =
                format!("what the query reads of its tables takes more than {limit} bytes of memory");
            return Err(Error::new(&codes::TABLE_TOO_LARGE, message));
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// What a column takes beside what was seen: batches may be pieces of the same memory.
fn taken(data: &ArrayData, seen: &mut HashSet<usize>) -> u64 {
    let nulls = data.nulls().map(|nulls| nulls.buffer());
    let new =
        data.buffers().iter().chain(nulls).filter(|buffer| seen.insert(buffer.data_ptr().as_ptr() as usize));
    let own: u64 = new.map(|buffer| buffer.capacity() as u64).sum();
    own + data.child_data().iter().map(|child| taken(child, seen)).sum::<u64>()
}

pub(super) fn broken(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "the columns of a join do not fit together").caused_by(error)
}
