//! UNION ALL of streams: no operator, but several ways to one. What stands on a union is done to each of its parts, so that
//! each is what a plan over one source is, and the operator above takes the rows of all.
//!
//! ```text
//! Aggregate ─ Filter ─ Union ┬ a                  ┌ Filter ─ a
//!                            └ b   ─▶   Aggregate ┴ Filter ─ b
//! ```
//!
//! So a condition holds rows back before the watermark sees them, as Spark's optimizer has it. What must stay true: every
//! part gives the union's columns, by their place, under the names of the first part and of the types of [`widened`]; and what
//! of event time is known of the first part's columns is what is known of the union's, as in Spark.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Union, cast};
use forebay_core::Error;
use forebay_core::error::codes;

use super::type_name;
use super::widest::{Told, widest};
use super::{generator, statics};

/// The plans of which a plan down to its operators is the union: itself, where no union is among its filters and projections.
pub(super) fn parts(plan: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
    match (plan, below(plan)) {
        _ if !is_in(plan) => Ok(vec![plan.clone()]),
        (LogicalPlan::Union(union), _) => {
            let mut all = Vec::with_capacity(union.inputs.len());
            for input in &union.inputs {
                for part in parts(input)? {
                    all.push(named(part, &union.schema)?);
                }
            }
            Ok(all)
        }
        (_, input) => {
            let inputs = input.map_or_else(|| Ok(Vec::new()), parts)?;
            inputs.into_iter().map(|input| on(plan, input)).collect()
        }
    }
}

/// True if a union is among the filters and projections of a plan.
pub(super) fn is_in(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Union(_)) || below(plan).is_some_and(is_in)
}

/// True if a union is anywhere in a plan.
pub(super) fn is_anywhere(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Union(_)) || plan.inputs().into_iter().any(is_anywhere)
}

/// What a node that looks at each row by itself stands on.
fn below(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Projection(projection) => Some(&projection.input),
        LogicalPlan::Filter(filter) => Some(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => Some(&alias.input),
        LogicalPlan::Join(join) => statics::stream_of(join),
        other => generator::of(other).map(|generate| &generate.input),
    }
}

/// The same node on another plan of the same columns.
fn on(plan: &LogicalPlan, input: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Projection(projection) => {
            let (list, schema) = (projection.expr.clone(), Arc::clone(&projection.schema));
            LogicalPlan::Projection(Projection::try_new_with_schema(list, Arc::new(input), schema)?)
        }
        LogicalPlan::Filter(filter) => {
            let mut filter = filter.clone();
            filter.input = Arc::new(input);
            LogicalPlan::Filter(filter)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let mut alias = alias.clone();
            alias.input = Arc::new(input);
            LogicalPlan::SubqueryAlias(alias)
        }
        LogicalPlan::Join(join) => LogicalPlan::Join(statics::with_stream(join, input)),
        other => match generator::of(other) {
            Some(generate) => generate.on(input)?,
            None => other.clone(),
        },
    })
}

/// A part with the names and the schema of its union.
fn named(part: LogicalPlan, schema: &Arc<DFSchema>) -> Result<LogicalPlan> {
    let columns = part.schema().iter().zip(schema.iter());
    let list = columns
        .map(|(own, (qualifier, field))| Expr::from(own).alias_qualified(qualifier.cloned(), field.name()));
    let list = list.collect();
    Projection::try_new_with_schema(list, Arc::new(part), Arc::clone(schema)).map(LogicalPlan::Projection)
}

/// A plan whose unions have parts of the same types: Spark's widest of each column, to which the parts are cast.
pub(super) fn widened(plan: LogicalPlan) -> Result<LogicalPlan> {
    let widened = plan.transform_up(|node| match node {
        LogicalPlan::Union(union) => widen(union).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(widened.data)
}

fn widen(union: Union) -> Result<LogicalPlan> {
    let Some(first) = union.inputs.first().map(|input| Arc::clone(input.schema())) else {
        return Ok(LogicalPlan::Union(union));
    };
    let mut types = Vec::with_capacity(first.fields().len());
    for (column, field) in first.fields().iter().enumerate() {
        let mut of_all = field.data_type().clone();
        if union.inputs.iter().any(|input| input.schema().field(column).data_type() != &of_all) {
            let mut told = union.inputs.iter().map(|input| Told::of(input, column));
            of_all = told.next().map_or(of_all, Told::into_type);
            for (part, next) in told.enumerate() {
                let next = next.into_type();
                of_all = widest(&of_all, &next)
                    .ok_or_else(|| unlike(column, part + 2, &type_name(&next), &type_name(&of_all)))?;
            }
        }
        types.push(of_all);
    }
    let parts = union.inputs.into_iter().map(|input| {
        let fits =
            input.schema().fields().iter().zip(&types).all(|(field, of_all)| field.data_type() == of_all);
        if fits {
            return Ok(input);
        }
        let columns = input.schema().iter().zip(&types).zip(first.fields());
        let list = columns.map(|((own, of_all), named)| {
            let is = own.1.data_type().clone();
            let column = Expr::from(own);
            let column = if is == *of_all { column } else { cast(column, of_all.clone()) };
            column.alias(named.name())
        });
        let list = list.collect();
        Projection::try_new(list, input).map(|it| Arc::new(LogicalPlan::Projection(it)))
    });
    Union::try_new(parts.collect::<Result<_>>()?).map(LogicalPlan::Union)
}

fn unlike(column: usize, part: usize, is: &str, before: &str) -> DataFusionError {
    let message = format!(
        "column {} of part {part} of the UNION is of type {is}, before it of type {before}",
        column + 1
    );
    let hint = "INCOMPATIBLE_COLUMN_TYPE in Spark: parts have the same columns in the same order. Make both one type with CAST.";
    DataFusionError::External(Box::new(Error::new(&codes::SQL_PLAN, message).with_hint(hint)))
}
