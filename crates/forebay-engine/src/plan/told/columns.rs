//! What the columns of a plan are, over those of the sources: each is followed down through views, subqueries and the
//! operators between them.
//!
//! ```text
//! a source         its name
//! a projection     its expression, with what its columns are put in
//! a filter         what it is below: which rows there are does not change what a column is
//! a generator      `explode(array)`, with what the array is put in
//! a table at rest  `table.column (how its row is found)`
//! a union          what it is in each part, if that is not the same
//! an aggregation   a key's expression, or the function's text
//! a join           what it is on its side, with the side's name if both sides have one of that text
//! ```
//!
//! Only columns that are read are followed.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat;
use std::sync::Arc;

use datafusion::common::DFSchemaRef;
use datafusion::execution::SessionState;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan};

use super::{Told, bounded, closed, either, function, leaf, named, over, put, text};
use forebay_core::detect::verdict_fields;

use crate::plan::generator::{self, Generate};
use crate::plan::graph::{DetectSpec, StepPlan};
use crate::plan::join::columns_of;
use crate::plan::lower::simplified;
use crate::plan::statics::{AtRest, Sides, sides};

/// Columns by their places.
type Columns = BTreeMap<usize, Told>;

/// What a column is of the node that a plan stands on.
type Below<'b> = dyn Fn(&LogicalPlan, usize) -> Told + 'b;

/// What the columns of a plan are; `leaf` are those of the operator that it stands on, if that is no source.
pub(in crate::plan) fn columns(plan: &LogicalPlan, leaf: &[Told], session: &SessionState) -> Vec<Told> {
    let all: BTreeSet<usize> = (0..plan.schema().fields().len()).collect();
    let below =
        |plan: &LogicalPlan, index: usize| leaf.get(index).cloned().unwrap_or_else(|| own(plan, index));
    let mut told = Follow { session, below: &below }.columns(plan, &all);
    all.into_iter().map(|index| told.remove(&index).unwrap_or_else(|| own(plan, index))).collect()
}

/// A column by its own name.
fn own(plan: &LogicalPlan, index: usize) -> Told {
    named(plan.schema().fields().get(index).map_or("", |field| field.name().as_str()))
}

/// What the columns of a union are, of whose parts these are.
pub(in crate::plan) fn united(parts: &[Vec<Told>]) -> Vec<Told> {
    let width = parts.first().map_or(0, Vec::len);
    let column = |index: usize| parts.iter().filter_map(|part| part.get(index).cloned()).collect::<Vec<_>>();
    (0..width).map(|index| either(&column(index))).collect()
}

/// What the columns of both sides of a join are in its pairs.
pub(in crate::plan) fn paired(left: &[Told], right: &[Told]) -> Vec<Told> {
    let side = |own: &[Told], other: &[Told], name: &str| -> Vec<Told> {
        let others: BTreeSet<String> = other.iter().map(text).collect();
        let of_side = |told: &Told| match text(told) {
            text if others.contains(&text) => bounded(leaf(format!("{name}.{}", closed(told)))),
            _ => Arc::clone(told),
        };
        own.iter().map(of_side).collect()
    };
    [side(left, right, "left"), side(right, left, "right")].concat()
}

/// What the columns of a schema are, of which those in the places `given` are told; one without a place is not in it.
pub(in crate::plan) fn placed(told: Vec<Told>, given: &[Option<usize>], schema: &DFSchemaRef) -> Vec<Told> {
    let mut columns: Vec<Told> = schema.fields().iter().map(|field| named(field.name())).collect();
    for (place, told) in given.iter().zip(told) {
        if let Some(column) = place.and_then(|place| columns.get_mut(place)) {
            *column = told;
        }
    }
    columns
}

/// What the columns of an aggregation are; nothing of another step.
pub(in crate::plan) fn grouped(step: &StepPlan) -> Vec<Told> {
    let (keys, told, aggregates, filters, position, width) = match step {
        StepPlan::Aggregate(spec) => {
            let position = spec.window.as_ref().map(|window| window.position);
            let width = spec.output.fields().len();
            (&spec.keys, &spec.told, &spec.aggregates, &spec.filters, position, width)
        }
        StepPlan::Session(spec) => {
            let width = spec.output.fields().len();
            (&spec.keys, &spec.told, &spec.aggregates, &spec.filters, Some(spec.position), width)
        }
        _ => return Vec::new(),
    };
    let mut columns: Vec<Told> = keys.iter().map(|key| bounded(over(key, told))).collect();
    if let Some(position) = position {
        columns.insert(position.min(columns.len()), leaf("window"));
    }
    // The number of GROUPING SETS.
    while columns.len() + aggregates.len() < width {
        columns.push(leaf("grouping"));
    }
    let filters = filters.iter().map(Option::as_ref).chain(repeat(None));
    let functions = aggregates.iter().zip(filters);
    columns.extend(functions.map(|(it, filter)| {
        let text = function(it, filter, told);
        bounded(leaf(if filter.is_some() { format!("({text})") } else { text }))
    }));
    columns
}

/// What the columns behind a detector are.
pub(in crate::plan) fn judged(spec: &DetectSpec) -> Vec<Told> {
    let own = |index: usize| {
        let name = spec.input.fields().get(index).map_or("", |field| field.name().as_str());
        spec.told.get(index).cloned().unwrap_or_else(|| named(name))
    };
    let columns =
        |indexes: &[usize]| indexes.iter().map(|index| text(&own(*index))).collect::<Vec<_>>().join(", ");
    let (of, by) = (columns(&spec.columns), columns(&spec.keys));
    let said = verdict_fields();
    let said = said
        .iter()
        .map(|field| bounded(leaf(format!("{} by {} ({of}; {by})", field.name(), spec.model.meaning()))));
    (0..spec.input.fields().len()).map(own).chain(said).collect()
}

/// Follows columns down to what a plan stands on.
struct Follow<'f> {
    session: &'f SessionState,
    below: &'f Below<'f>,
}

impl Follow<'_> {
    /// What these columns of a plan are.
    fn columns(&self, plan: &LogicalPlan, read: &BTreeSet<usize>) -> Columns {
        match plan {
            LogicalPlan::Projection(projection) => {
                let schema = projection.input.schema();
                let exprs: Vec<(usize, &Expr)> =
                    read.iter().filter_map(|index| Some((*index, projection.expr.get(*index)?))).collect();
                let mut read = BTreeSet::new();
                for (_, expr) in &exprs {
                    columns_of(expr, schema, &mut read);
                }
                let below = self.columns(&projection.input, &read);
                exprs
                    .into_iter()
                    .map(|(index, expr)| (index, self.expression(expr, schema, &below)))
                    .collect()
            }
            LogicalPlan::Filter(filter) => self.columns(&filter.input, read),
            LogicalPlan::SubqueryAlias(alias) => self.columns(&alias.input, read),
            LogicalPlan::TableScan(scan) => {
                let table = scan.source.downcast_ref::<AtRest>().map(|table| table.name.as_str());
                let column = |index: &usize| {
                    let name = own(plan, *index);
                    (
                        *index,
                        table.map_or_else(
                            || Arc::clone(&name),
                            |table| leaf(format!("{table}.{}", text(&name))),
                        ),
                    )
                };
                read.iter().map(column).collect()
            }
            LogicalPlan::Join(join) => match sides(join) {
                Some(sides) => self.looked_up(join, &sides, read),
                None => self.stood_on(plan, read),
            },
            other => match generator::of(other) {
                Some(generate) => self.generated(generate, read),
                None => self.stood_on(other, read),
            },
        }
    }

    /// What columns behind a generator are.
    fn generated(&self, generate: &Generate, read: &BTreeSet<usize>) -> Columns {
        let place = |index: &usize| generate.below(*index).unwrap_or_else(|| generate.array());
        let told = self.columns(&generate.input, &read.iter().map(place).collect());
        let column = |index: &usize| {
            let place = place(index);
            let of = told.get(&place).cloned().unwrap_or_else(|| own(&generate.input, place));
            match generate.below(*index) {
                Some(_) => (*index, of),
                None => (*index, bounded(leaf(generate.told(*index, &text(&of))))),
            }
        };
        read.iter().map(column).collect()
    }

    fn stood_on(&self, plan: &LogicalPlan, read: &BTreeSet<usize>) -> Columns {
        read.iter().map(|index| (*index, (self.below)(plan, *index))).collect()
    }

    /// What an expression is over columns of which these are told.
    fn expression(&self, expr: &Expr, schema: &DFSchemaRef, below: &Columns) -> Told {
        let told = |index: usize, name: &str| below.get(&index).cloned().unwrap_or_else(|| named(name));
        let expr = expr.clone().unalias();
        if let Expr::Column(column) = &expr {
            return told(schema.maybe_index_of_column(column).unwrap_or(usize::MAX), &column.name);
        }
        match simplified(&expr, schema, self.session) {
            Ok(computed) => bounded(put(&computed, |column| told(column.index(), column.name()))),
            // It is refused where it is computed, if it is.
            Err(_) => bounded(leaf(format!("({expr})"))),
        }
    }

    /// What columns of a join with tables at rest are.
    fn looked_up(&self, join: &Join, sides: &Sides<'_>, read: &BTreeSet<usize>) -> Columns {
        let width = sides.stream.schema().fields().len();
        let others = join.schema.fields().len().saturating_sub(width);
        let first = if sides.stream_is_left { 0 } else { others };
        let of_stream = |index: &usize| (first..first + width).contains(index);
        let mut all = read.clone();
        let on = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
        let condition = conjunction(on.chain(join.filter.clone()));
        let condition = condition.filter(|_| !read.iter().all(of_stream));
        if let Some(condition) = &condition {
            columns_of(condition, &join.schema, &mut all);
        }
        let table = if sides.stream_is_left { width } else { 0 };
        let (stream, at_rest): (BTreeSet<usize>, BTreeSet<usize>) =
            all.iter().partition(|index| of_stream(index));
        let down =
            |side: BTreeSet<usize>, first: usize| side.into_iter().map(|index| index - first).collect();
        let up =
            |side: Columns, first: usize| side.into_iter().map(move |(index, told)| (index + first, told));
        let of_table = Follow { session: self.session, below: &of_table };
        let stream = self.columns(sides.stream, &down(stream, first));
        let at_rest = of_table.columns(sides.at_rest, &down(at_rest, table));
        let mut told: Columns = up(stream, first).chain(up(at_rest, table)).collect();
        let Some(condition) = condition else { return told };
        let found = text(&self.expression(&condition, &join.schema, &told));
        for (index, told) in &mut told {
            if !of_stream(index) {
                *told = bounded(leaf(format!("{} ({found})", closed(told))));
            }
        }
        told
    }
}

/// A column of what is computed when a table is read.
fn of_table(plan: &LogicalPlan, index: usize) -> Told {
    let computed = plan.display_indent().to_string();
    leaf(format!("{} #{:08x}", text(&own(plan, index)), crc32c::crc32c(computed.as_bytes())))
}
