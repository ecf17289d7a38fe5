//! Detectors that are called in a SELECT over a stream, `z_score(heat) OVER (PARTITION BY device)`: each call becomes a node of its own.
//!
//! ```text
//! Projection ─ Filter (QUALIFY) ─ Window z_score(heat) BY device ─ input
//!                                     ▼
//! Projection ─ Filter ─ Projection …, STRUCT(score, …) AS the call ─ Judged ─ Projection (what is read) ─ input
//! ```
//!
//! So a call is the detector that the section `detectors` would have made, with its state in the checkpoint under what it means, and rows
//! are judged as they come: OVER has no ORDER BY. What must stay true: the columns above a call are those that the window would have
//! given. Below it stands what is read above, and the times by which a detector may go.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, internal_err};
use datafusion::functions::core::named_struct;
use datafusion::logical_expr::{
    Expr, Filter, LogicalPlan, Projection, Window, WindowFunctionDefinition, lit,
};
use forebay_core::Error;
use forebay_core::detect::verdict_fields;
use forebay_core::error::codes;

use super::catalog::{COMPUTED, EVENT_TIME_COLUMN, KAFKA_COLUMN, RECORD_COLUMNS};
use super::functions::{self, Learner};
use super::judged::{self, Judged};
use super::{type_name, verify};

/// A plan in which every call of a detector in a SELECT list, or in QUALIFY, is a node.
pub(super) fn placed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let placed = plan.transform_up(|node| match node {
        LogicalPlan::Projection(projection) if stands_on_window(&projection.input) => {
            let mut read = BTreeSet::new();
            projection.expr.iter().for_each(|expr| note(expr, &mut read));
            let input = below(Arc::unwrap_or_clone(projection.input), &mut read)?;
            let projection = Projection::try_new(projection.expr, Arc::new(input))?;
            Ok(Transformed::yes(LogicalPlan::Projection(projection)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(placed.data)
}

fn stands_on_window(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => stands_on_window(&filter.input),
        LogicalPlan::Window(_) => true,
        _ => false,
    }
}

fn note(expr: &Expr, read: &mut BTreeSet<Column>) {
    read.extend(expr.column_refs().into_iter().cloned());
}

/// The plan below a SELECT list with nodes for its windows; `read` are the columns that are read above.
fn below(plan: LogicalPlan, read: &mut BTreeSet<Column>) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Filter(filter) => {
            note(&filter.predicate, read);
            let input = below(Arc::unwrap_or_clone(filter.input), read)?;
            Filter::try_new(filter.predicate, Arc::new(input)).map(LogicalPlan::Filter)
        }
        LogicalPlan::Window(Window { input, window_expr, schema }) => {
            window_expr.iter().for_each(|expr| note(expr, read));
            let width = input.schema().fields().len();
            let plan = below(Arc::unwrap_or_clone(input), read)?;
            let names = schema.fields().iter().skip(width).map(|field| field.name().as_str());
            window_expr.into_iter().zip(names).try_fold(plan, |plan, (call, name)| put(plan, call, name))
        }
        other => narrowed(other, read),
    }
}

/// The columns that are read above, and the times by which a detector may go: any of the row's own, and its record's.
fn narrowed(plan: LogicalPlan, read: &BTreeSet<Column>) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    let named: BTreeSet<usize> =
        read.iter().filter_map(|column| schema.maybe_index_of_column(column)).collect();
    let is_kept = |index: usize, field: &FieldRef| {
        let is_time = matches!(field.data_type(), DataType::Timestamp(..));
        named.contains(&index)
            || is_time
            || [EVENT_TIME_COLUMN, RECORD_COLUMNS[0]].contains(&field.name().as_str())
    };
    let mut list: Vec<Expr> = schema
        .iter()
        .enumerate()
        .filter(|(index, (_, field))| is_kept(*index, field))
        .map(|(_, column)| Expr::from(column))
        .collect();
    list.extend(record_time(&schema));
    if list.is_empty() {
        list.extend(schema.iter().next().map(Expr::from));
    }
    Projection::try_new(list, Arc::new(plan)).map(LogicalPlan::Projection)
}

/// The timestamp of a row's record, where it is not a column yet.
fn record_time(schema: &DFSchema) -> Option<Expr> {
    let found = |name: &str| {
        let mut of_name = schema.iter().filter(|(_, field)| field.name() == name);
        // Of several records none is the row's.
        of_name.next().filter(|_| of_name.next().is_none())
    };
    if found(RECORD_COLUMNS[0]).is_some() {
        return None;
    }
    let time = match (found(KAFKA_COLUMN), found("timestampType"), found("timestamp")) {
        (Some((qualifier, field)), ..) => {
            let has_it = matches!(field.data_type(), DataType::Struct(fields)
                if fields.iter().any(|field| field.name() == "timestamp"));
            has_it.then(|| functions::field(Expr::from((qualifier, field)), "timestamp"))?
        }
        (None, Some(_), Some(column)) => Expr::from(column),
        _ => return None,
    };
    Some(time.alias(RECORD_COLUMNS[0]))
}

/// A plan with the node of one call on it, and its verdict as a column of this name.
fn put(plan: LogicalPlan, call: Expr, name: &str) -> Result<LogicalPlan> {
    let Expr::WindowFunction(call) = call.unalias() else { return internal_err!("a window is no call") };
    let WindowFunctionDefinition::WindowUDF(function) = &call.fun else {
        return Err(ours(verify::WINDOW.error()));
    };
    let Some(learner) = function.inner().downcast_ref::<Learner>() else {
        return Err(ours(verify::WINDOW.error()));
    };
    let own = Arc::clone(plan.schema());
    // A column that is called as one of the verdict's has another name while it passes the node.
    let said = verdict_fields();
    let is_said = |name: &str| said.iter().any(|field| field.name().eq_ignore_ascii_case(name));
    let mut list: Vec<Expr> = Vec::with_capacity(own.fields().len() + 4);
    for (index, (qualifier, field)) in own.iter().enumerate() {
        let column = Expr::from((qualifier, field));
        list.push(if is_said(field.name()) { column.alias(format!("{COMPUTED}{index}")) } else { column });
    }
    let mut place = |expr: &Expr| {
        let there = match expr {
            Expr::Column(column) => own.maybe_index_of_column(column),
            _ => None,
        };
        there.unwrap_or_else(|| {
            let index = list.len();
            list.push(expr.clone().alias(format!("{COMPUTED}{index}")));
            index
        })
    };
    let arguments: Vec<usize> = call.params.args.iter().map(&mut place).collect();
    let mut keys: Vec<usize> = call.params.partition_by.iter().map(&mut place).collect();
    keys.sort_unstable();
    keys.dedup();
    let input = Projection::try_new(list, Arc::new(plan))?;
    let field = |index: &usize| input.schema.fields().get(*index).cloned();
    if let Some(wrong) = keys.iter().filter_map(field).find(|field| !judged::is_key(field.data_type())) {
        let found = type_name(wrong.data_type());
        let message = format!("PARTITION BY of a detector takes texts and whole numbers, not {found}");
        return Err(ours(Error::new(&codes::SQL_PLAN, message)));
    }
    let (model, places) = learner.model(&arguments.iter().filter_map(field).collect::<Vec<_>>())?;
    let of_arguments = |index: &usize| arguments.get(*index).copied();
    let columns: Vec<usize> = places.judged.iter().filter_map(of_arguments).collect();
    let time = places.time.as_ref().and_then(of_arguments);
    let through: Vec<Column> = input.schema.columns();
    let node = Judged::new(LogicalPlan::Projection(input), keys, columns, time, model)?;
    let mut list: Vec<Expr> = Vec::with_capacity(own.fields().len() + 1);
    for ((qualifier, field), column) in own.iter().zip(through) {
        let is_renamed = column.name != *field.name();
        let column = Expr::Column(column);
        list.push(match is_renamed {
            true => column.alias_qualified(qualifier.cloned(), field.name()),
            false => column,
        });
    }
    let verdict = said.iter().flat_map(|field| {
        [lit(field.name().as_str()), Expr::Column(Column::new_unqualified(field.name().as_str()))]
    });
    list.push(named_struct().call(verdict.collect()).alias(name));
    Projection::try_new(list, Arc::new(node.into_plan())).map(LogicalPlan::Projection)
}

fn ours(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
