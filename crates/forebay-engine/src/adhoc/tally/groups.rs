//! Rows and their groups: from codes to ids of values, from the ids of a row's keys to the number of its group.
//!
//! Each key column has a [`Values`], which numbers its values from 1 as they come (0 is NULL). A dictionary of a file is
//! looked up there once, while batches go on having the same. Several keys are put together from the left, two at a time:
//! a [`Pairs`] numbers the pairs that occur, and its numbers are the left side of the next. The last one's numbers are
//! those of the groups. Small tables are plain arrays, so a row costs an array access for each key and one for each pair.
//! Of one key with few values the codes are counted first ([`Histogram`]): who counts rows needs no more of them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use foldhash::fast::RandomState;

use super::histogram::Histogram;
use super::pairs::Pairs;

/// Bytes that a value or a pair takes in a hash table, about.
pub(super) const ENTRY: usize = 48;

pub(super) type Table<K> = std::collections::HashMap<K, u32, RandomState>;

/// All groups so far, and what is known of them.
pub(super) struct Groups {
    values: Vec<Values>,
    /// One for each key but the first, or one for the only key.
    pairs: Vec<Pairs>,
    aggregates: Vec<Aggregate>,
    /// Reused: the ids of a key, and the groups of the rows.
    ids: Vec<u32>,
    numbers: Vec<u32>,
    rows: Vec<usize>,
    histogram: Histogram,
}

struct Aggregate {
    accumulator: Box<dyn GroupsAccumulator>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    /// The last constant argument: the same for all batches of as many rows.
    constant: Option<ArrayRef>,
    /// `count(*)`: how many rows, whatever is in them.
    counts_rows: bool,
}

impl Groups {
    pub fn new(
        keys: usize,
        aggregates: &[Arc<AggregateFunctionExpr>],
        arguments: &[Vec<Arc<dyn PhysicalExpr>>],
    ) -> Result<Self> {
        let aggregates = aggregates.iter().zip(arguments).map(|(function, arguments)| {
            Ok(Aggregate {
                accumulator: function.create_groups_accumulator()?,
                arguments: arguments.clone(),
                constant: None,
                counts_rows: function.fun().name() == "count" && is_value(arguments),
            })
        });
        Ok(Self {
            values: (0..keys).map(|_| Values::default()).collect(),
            pairs: (0..keys.saturating_sub(1).max(1)).map(|_| Pairs::default()).collect(),
            aggregates: aggregates.collect::<Result<_>>()?,
            ids: Vec::new(),
            numbers: Vec::new(),
            rows: Vec::new(),
            histogram: Histogram::default(),
        })
    }

    /// Groups that there are.
    pub fn count(&self) -> usize {
        self.pairs.last().map_or(0, |last| last.pairs.len())
    }

    /// Bytes that are held.
    pub fn size(&self) -> usize {
        let values: usize = self.values.iter().map(Values::size).sum();
        let pairs: usize = self.pairs.iter().map(Pairs::size).sum();
        let aggregates: usize = self.aggregates.iter().map(|aggregate| aggregate.accumulator.size()).sum();
        values + pairs + aggregates
    }

    /// Adds the rows of a batch: first the keys' codes, then the columns that the arguments read.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if let ([_], Some(column)) = (self.values.as_slice(), batch.columns().first())
            && let codes = codes_of(column)?
            && self.histogram.count(codes)
        {
            return self.add_counted(batch, codes);
        }
        // Of one key, each id is the right side of a pair with 0.
        let is_single = self.values.len() == 1;
        self.numbers.clear();
        self.numbers.resize(if is_single { batch.num_rows() } else { 0 }, 0);
        let mut lefts = 1;
        let mut pairs = self.pairs.iter_mut();
        for (at, (values, column)) in self.values.iter_mut().zip(batch.columns()).enumerate() {
            values.ids_of(column, &mut self.ids)?;
            let rights = values.texts.len() + 1;
            if at == 0 && !is_single {
                self.numbers.extend_from_slice(&self.ids);
                lefts = rights;
                continue;
            }
            let Some(pairs) = pairs.next() else { break };
            pairs.fit(lefts, rights);
            pairs.number(&mut self.numbers, &self.ids)?;
            lefts = pairs.pairs.len();
        }
        self.rows.clear();
        self.rows.extend(self.numbers.iter().map(|number| *number as usize));
        let groups = self.count();
        for aggregate in &mut self.aggregates {
            aggregate.add(batch, &self.rows, groups)?;
        }
        Ok(())
    }

    /// Adds a batch of one key whose codes were counted.
    fn add_counted(&mut self, batch: &RecordBatch, codes: &DictionaryArray<Int32Type>) -> Result<()> {
        let (Some(values), Some(pairs)) = (self.values.first_mut(), self.pairs.first_mut()) else {
            return Err(broken("no key"));
        };
        values.look_up_all(codes)?;
        // The values that occur, and how often; then NULL.
        let Histogram { counts, nulls, null_rows, .. } = &self.histogram;
        let occur = || values.ids.iter().zip(counts).filter(|(_, count)| **count > 0);
        self.ids.clear();
        self.ids.extend(occur().map(|(id, _)| *id));
        let mut times: Vec<i64> = occur().map(|(_, count)| i64::from(*count)).collect();
        if *nulls > 0 {
            self.ids.push(0);
            times.push(i64::from(*nulls));
        }
        self.numbers.clear();
        self.numbers.resize(self.ids.len(), 0);
        pairs.fit(1, values.texts.len() + 1);
        pairs.number(&mut self.numbers, &self.ids)?;
        let groups = pairs.pairs.len();
        let occurring: Vec<usize> = self.numbers.iter().map(|number| *number as usize).collect();
        let times: ArrayRef = Arc::new(Int64Array::from(times));

        self.rows.clear();
        if self.aggregates.iter().any(|aggregate| !aggregate.counts_rows) {
            let mut next = occurring.iter();
            let of_code = counts.iter().map(|count| if *count > 0 { next.next().copied() } else { None });
            let of_code: Vec<usize> = of_code.map(Option::unwrap_or_default).collect();
            let group = |code: &i32| of_code.get(*code as usize).copied().unwrap_or_default();
            self.rows.extend(codes.keys().values().iter().map(group));
            for at in null_rows {
                if let (Some(row), Some(null)) = (self.rows.get_mut(*at), occurring.last()) {
                    *row = *null;
                }
            }
        }
        for aggregate in &mut self.aggregates {
            match aggregate.counts_rows {
                true => aggregate.accumulator.merge_batch(&[Arc::clone(&times)], &occurring, groups)?,
                false => aggregate.add(batch, &self.rows, groups)?,
            }
        }
        Ok(())
    }

    /// The keys and states of all groups, as `schema` has them. What comes later belongs to groups of its own, in a new
    /// `Groups`.
    pub fn emit(mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        let groups = self.count();
        let mut ids = vec![Vec::new(); self.values.len()];
        let mut left: Vec<u32> =
            (0..u32::try_from(groups).map_err(|_| broken("more groups than numbers"))?).collect();
        let is_single = self.values.len() == 1;
        for (at, pairs) in self.pairs.iter().enumerate().rev() {
            let pair = |number: &u32| pairs.pairs.get(*number as usize).copied().unwrap_or_default();
            let key = if is_single { 0 } else { at + 1 };
            if let Some(ids) = ids.get_mut(key) {
                *ids = left.iter().map(|number| pair(number).1).collect();
            }
            left = left.iter().map(|number| pair(number).0).collect();
        }
        if let Some(first) = ids.first_mut().filter(|_| !is_single) {
            *first = left;
        }
        let mut columns = Vec::with_capacity(schema.fields().len());
        for ((values, ids), field) in self.values.iter().zip(ids).zip(schema.fields()) {
            let texts = std::iter::once(None).chain(values.texts.iter().map(|text| Some(text.as_ref())));
            let texts = cast(&StringArray::from_iter(texts), field.data_type())?;
            columns.push(take(&texts, &UInt32Array::from(ids), None)?);
        }
        for aggregate in &mut self.aggregates {
            columns.extend(aggregate.accumulator.state(EmitTo::All)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

impl Aggregate {
    fn add(&mut self, batch: &RecordBatch, rows: &[usize], groups: usize) -> Result<()> {
        let constant = self.constant.take().filter(|constant| constant.len() == batch.num_rows());
        let values = match (constant, self.arguments.as_slice()) {
            (Some(constant), _) => vec![constant],
            (None, arguments) => {
                let values =
                    arguments.iter().map(|given| given.evaluate(batch)?.into_array(batch.num_rows()));
                values.collect::<Result<Vec<_>>>()?
            }
        };
        self.accumulator.update_batch(&values, rows, None, groups)?;
        if let ([given], [value]) = (self.arguments.as_slice(), values.as_slice())
            && given.downcast_ref::<Literal>().is_some()
        {
            self.constant = Some(Arc::clone(value));
        }
        Ok(())
    }
}

/// The values of a key column, numbered from 1.
#[derive(Default)]
struct Values {
    found: Table<Arc<str>>,
    texts: Vec<Arc<str>>,
    bytes: usize,
    /// The last dictionary, held so that nothing else takes its place in memory, and the ids of its values.
    last: Option<StringArray>,
    ids: Vec<u32>,
}

impl Values {
    fn size(&self) -> usize {
        self.bytes + self.texts.len() * ENTRY + self.ids.capacity() * size_of::<u32>()
    }

    /// Writes the id of each row's value into `out`.
    fn ids_of(&mut self, column: &ArrayRef, out: &mut Vec<u32>) -> Result<()> {
        let codes = codes_of(column)?;
        self.look_up_all(codes)?;
        out.clear();
        let ids = self.ids.as_slice();
        // The reader has checked that each code has a value, but for those that stand for NULL.
        let id = |code: i32| ids.get(code as usize).copied().unwrap_or(0);
        match codes.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => out.extend(codes.keys().values().iter().map(|code| id(*code))),
            Some(nulls) => {
                let rows = codes.keys().values().iter().zip(nulls.iter());
                out.extend(rows.map(|(code, is_there)| if is_there { id(*code) } else { 0 }));
            }
        }
        Ok(())
    }

    /// Looks up the dictionary's values, if they are not the last one's.
    fn look_up_all(&mut self, codes: &DictionaryArray<Int32Type>) -> Result<()> {
        let values =
            codes.values().as_string_opt::<i32>().ok_or_else(|| broken("a key's values are no texts"))?;
        if !self.last.as_ref().is_some_and(|last| is_same(last, values)) {
            self.look_up(values)?;
        }
        Ok(())
    }

    fn look_up(&mut self, values: &StringArray) -> Result<()> {
        self.ids.clear();
        self.ids.reserve(values.len());
        for value in values {
            let id = match value {
                None => 0,
                Some(text) => match self.found.get(text) {
                    Some(id) => *id,
                    None => {
                        let text: Arc<str> = text.into();
                        self.bytes += text.len();
                        self.texts.push(Arc::clone(&text));
                        let id =
                            u32::try_from(self.texts.len()).map_err(|_| broken("more values than ids"))?;
                        self.found.insert(text, id);
                        id
                    }
                },
            };
            self.ids.push(id);
        }
        self.last = Some(values.clone());
        Ok(())
    }
}

fn codes_of(column: &ArrayRef) -> Result<&DictionaryArray<Int32Type>> {
    column.as_dictionary_opt::<Int32Type>().ok_or_else(|| broken("a key has no codes"))
}

/// True for one constant that is not NULL.
fn is_value(arguments: &[Arc<dyn PhysicalExpr>]) -> bool {
    let [given] = arguments else { return false };
    given.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null())
}

/// True if both are the same values in the same place.
fn is_same(one: &StringArray, other: &StringArray) -> bool {
    one.len() == other.len()
        && one.value_offsets().as_ptr() == other.value_offsets().as_ptr()
        && one.values().as_ptr() == other.values().as_ptr()
        && one.nulls().map(|nulls| nulls.validity().as_ptr())
            == other.nulls().map(|nulls| nulls.validity().as_ptr())
}

pub(super) fn broken(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}
