//! The aggregates of a GROUP BY: values in, states that can be merged, results out.
//!
//! ```text
//! rows ──update──▶ ┌──────────────┐ ──state──▶ columns of a table ──merge──▶ …
//!                  │ Accumulators │
//! states ─merge──▶ └──────────────┘ ──evaluate──▶ columns of the result
//! ```
//!
//! They are DataFusion's, one [`GroupsAccumulator`] for each aggregate, over groups that are numbered from 0. What must
//! stay true: states are merged from the oldest to the newest, since `first`, `last` and `collect_list` go by that order;
//! and a group exists as soon as a row names it and not before. DataFusion's accumulators take it that each group up to
//! the given total has had a row: a group without one would have the sum 0 and not NULL.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, new_empty_array, new_null_array,
};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::groups::take_all;
use super::{broken, evaluate, failed};
use crate::plan::truth;

/// Most elements that `collect_list` and its like may hold for one group. Every change of a group writes all of them to
/// the changelog, so a list of this length is as long as an epoch can bear.
const MOST_ELEMENTS: usize = 100_000;

/// Most bytes of the text that `listagg` may hold for one group, for the same reason.
const MOST_BYTES: usize = 1 << 20;

/// The aggregates of an operator, as planned.
#[derive(Debug)]
pub(super) struct Aggregates {
    each: Vec<Aggregate>,
    fields: Vec<FieldRef>,
}

#[derive(Debug)]
struct Aggregate {
    expr: Arc<AggregateFunctionExpr>,
    args: Vec<Arc<dyn PhysicalExpr>>,
    types: Vec<DataType>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// True if no value can make an argument fail, so that it may be computed for rows that the filter refuses.
    plain: bool,
    /// Which of the state columns are its own.
    states: Range<usize>,
}

impl Aggregates {
    pub fn new(
        exprs: &[Arc<AggregateFunctionExpr>],
        filters: &[Option<Arc<dyn PhysicalExpr>>],
        input: &SchemaRef,
    ) -> Result<Arc<Self>> {
        let (mut each, mut fields) = (Vec::with_capacity(exprs.len()), Vec::new());
        for (index, expr) in exprs.iter().enumerate() {
            let mut args = expr.expressions();
            args.extend(expr.order_bys().iter().map(|by| Arc::clone(&by.expr)));
            let plain = args.iter().all(|arg| arg.is::<Column>() || arg.is::<Literal>());
            let types =
                args.iter().map(|arg| arg.data_type(input)).collect::<Result<_, _>>().map_err(failed)?;
            let first = fields.len();
            fields.extend(expr.state_fields().map_err(failed)?);
            let filter = filters.get(index).cloned().flatten();
            let states = first..fields.len();
            each.push(Aggregate { expr: Arc::clone(expr), args, types, filter, plain, states });
        }
        Ok(Arc::new(Self { each, fields }))
    }

    /// The columns of the states of all aggregates.
    pub fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// Accumulators without any group.
    pub fn accumulators(self: &Arc<Self>) -> Result<Accumulators> {
        let each = self.each.iter().map(Aggregate::accumulator).collect::<Result<_>>()?;
        Ok(Accumulators { plan: Arc::clone(self), each, groups: 0 })
    }

    /// The results of these states, row by row.
    pub fn evaluate(self: &Arc<Self>, states: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
        let mut accumulators = self.accumulators()?;
        let each: Vec<usize> = (0..rows).collect();
        accumulators.merge(states, &each, rows)?;
        accumulators.evaluate(rows)
    }
}

impl Aggregate {
    fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        if self.expr.groups_accumulator_supported() {
            return self.expr.create_groups_accumulator().map_err(failed);
        }
        let expr = Arc::clone(&self.expr);
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || expr.create_accumulator())))
    }

    fn arguments(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.args.iter().map(|arg| evaluate(arg, batch)).collect()
    }

    fn update(
        &self,
        accumulator: &mut dyn GroupsAccumulator,
        batch: &RecordBatch,
        groups: &[usize],
        total: usize,
    ) -> Result<()> {
        let Some(filter) = &self.filter else {
            return accumulator.update_batch(&self.arguments(batch)?, groups, None, total).map_err(failed);
        };
        let mask = evaluate(filter, batch)?;
        let Some(mask) = mask.as_boolean_opt() else {
            return Err(Error::new(&codes::INTERNAL, format!("a filter gave {}", mask.data_type())));
        };
        let kept = BooleanArray::new(truth(mask), None);
        // An argument is computed only for rows that count: `sum(a / b) FILTER (WHERE b <> 0)` must not fail.
        let arguments = if self.plain {
            self.arguments(batch)?
        } else {
            let counted = filter_record_batch(batch, &kept).map_err(broken)?;
            let mut next = 0;
            let place = |counts: bool| {
                next += u32::from(counts);
                counts.then(|| next - 1)
            };
            let places: UInt32Array = kept.values().iter().map(place).collect();
            take_all(&self.arguments(&counted)?, &places)?
        };
        accumulator.update_batch(&arguments, groups, Some(&kept), total).map_err(failed)
    }
}

/// The aggregates of groups that are numbered from 0.
pub(super) struct Accumulators {
    plan: Arc<Aggregates>,
    each: Vec<Box<dyn GroupsAccumulator>>,
    groups: usize,
}

impl Accumulators {
    /// Adds rows; `groups` says to which group each belongs, `total` how many groups there are now. Each of them has a row
    /// here or had one before.
    pub fn update(&mut self, batch: &RecordBatch, groups: &[usize], total: usize) -> Result<()> {
        self.groups = total;
        for (aggregate, accumulator) in self.plan.each.iter().zip(&mut self.each) {
            aggregate
                .update(&mut **accumulator, batch, groups, total)
                .map_err(|error| error.at(format_args!("`{}`", aggregate.expr.name())))?;
        }
        Ok(())
    }

    /// Adds states as [`Accumulators::state`] gave them, in their order. As for rows, each group has one.
    pub fn merge(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        self.groups = total;
        for (aggregate, accumulator) in self.plan.each.iter().zip(&mut self.each) {
            let own = states.get(aggregate.states.clone()).unwrap_or_default();
            accumulator
                .merge_batch(own, groups, total)
                .map_err(|error| failed(error).at(format_args!("`{}`", aggregate.expr.name())))?;
        }
        Ok(())
    }

    /// The states of all `total` groups; groups that saw nothing are there too. Fails with `QUERY_LIMIT` if a list or a
    /// text made of many has become too long.
    pub fn state(mut self, total: usize) -> Result<Vec<ArrayRef>> {
        if total == 0 {
            return Ok(self.plan.fields.iter().map(|field| new_empty_array(field.data_type())).collect());
        }
        self.reach(total)?;
        let mut states = Vec::with_capacity(self.plan.fields.len());
        for (aggregate, accumulator) in self.plan.each.iter().zip(&mut self.each) {
            let own = accumulator.state(EmitTo::All).map_err(failed)?;
            let fields = self.plan.fields.get(aggregate.states.clone()).unwrap_or_default();
            if own.len() != fields.len() || own.iter().any(|column| column.len() != total) {
                let message = format!("the state of `{}` is not what it said", aggregate.expr.name());
                return Err(Error::new(&codes::INTERNAL, message));
            }
            for (column, field) in own.into_iter().zip(fields) {
                bounded(&column, aggregate.expr.name())?;
                states.push(of_type(column, field.data_type())?);
            }
        }
        Ok(states)
    }

    /// The results of all `total` groups.
    pub fn evaluate(mut self, total: usize) -> Result<Vec<ArrayRef>> {
        if total == 0 {
            let types = self.plan.each.iter().map(|aggregate| aggregate.expr.field());
            return Ok(types.map(|field| new_empty_array(field.data_type())).collect());
        }
        self.reach(total)?;
        let results = self.plan.each.iter().zip(&mut self.each).map(|(aggregate, accumulator)| {
            let result = accumulator
                .evaluate(EmitTo::All)
                .map_err(|error| failed(error).at(format_args!("`{}`", aggregate.expr.name())))?;
            of_type(result, aggregate.expr.field().data_type())
        });
        results.collect()
    }

    /// Sees to it that there are so many groups: those that no row named get one that a filter refuses.
    fn reach(&mut self, total: usize) -> Result<()> {
        let groups: Vec<usize> = (self.groups..total).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let refused = BooleanArray::from(vec![false; groups.len()]);
        for (aggregate, accumulator) in self.plan.each.iter().zip(&mut self.each) {
            let nulls: Vec<ArrayRef> =
                aggregate.types.iter().map(|data_type| new_null_array(data_type, groups.len())).collect();
            accumulator.update_batch(&nulls, &groups, Some(&refused), total).map_err(failed)?;
        }
        self.groups = total;
        Ok(())
    }
}

/// DataFusion's lists sometimes differ from their declaration by the name of their elements.
fn of_type(column: ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if column.data_type() == data_type { Ok(column) } else { cast(&column, data_type).map_err(broken) }
}

/// Refuses lists, and texts made of many, that have become too long.
fn bounded(column: &ArrayRef, name: &str) -> Result<()> {
    let (longest, most, what) = match column.data_type() {
        DataType::List(_) => {
            let offsets = column.as_list::<i32>().offsets();
            (offsets.lengths().max(), MOST_ELEMENTS, "values")
        }
        DataType::LargeList(_) => {
            (column.as_list::<i64>().offsets().lengths().max(), MOST_ELEMENTS, "values")
        }
        // The state of `listagg` alone; every other text is as long as it came.
        DataType::LargeUtf8 => (column.as_string::<i64>().offsets().lengths().max(), MOST_BYTES, "bytes"),
        _ => return Ok(()),
    };
    let longest = longest.unwrap_or(0);
    if longest <= most {
        return Ok(());
    }
    let message = format!("`{name}` would hold {longest} {what} for one group, and {most} are possible");
    Err(Error::new(&codes::QUERY_LIMIT, message).with_hint(
        "Group by a smaller window or by more keys, or use an aggregate that keeps less: `count`, `approx_count_distinct`, `max_by`.",
    ))
}
