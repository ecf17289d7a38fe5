//! `generate_series` with parameters: its numbers are known once values are bound, its columns before.
//!
//! The planner of a table function sees its arguments alone, so the type of its rows follows from those that are no
//! parameters: times if one of them is a time, or an interval; else whole numbers.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, plan_err};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, TableScan, TableType};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::ExecutionPlan;

use super::super::{casts, lengths};
use super::number;

/// Arguments as DataFusion's function takes them: numbers as BIGINT, times in nanoseconds, a date as an instant, a text beside a
/// time as the time or the interval that it is.
pub fn fitted(args: &[Expr]) -> Result<Vec<Expr>> {
    let zone = args.iter().find_map(|arg| match arg {
        Expr::Literal(ScalarValue::Date32(_), _) => Some(Some("UTC".into())),
        Expr::Literal(value, _) => match value.data_type() {
            DataType::Timestamp(_, zone) => Some(zone),
            _ => None,
        },
        _ => None,
    });
    args.iter().enumerate().map(|(at, arg)| fit(at, arg, zone.as_ref())).collect()
}

fn fit(at: usize, arg: &Expr, zone: Option<&Option<Arc<str>>>) -> Result<Expr> {
    let Expr::Literal(value, meta) = arg else { return Ok(arg.clone()) };
    let nanos = |micros: i64| match micros.checked_mul(1_000) {
        Some(nanos) => Ok(ScalarValue::TimestampNanosecond(Some(nanos), zone.cloned().flatten())),
        None => plan_err!("generate_series of times is possible from 1678 to 2261"),
    };
    let made = match (value, zone) {
        (ScalarValue::Int16(Some(value)), _) => ScalarValue::Int64(Some(i64::from(*value))),
        (ScalarValue::Int32(Some(value)), _) => ScalarValue::Int64(Some(i64::from(*value))),
        (ScalarValue::TimestampMicrosecond(Some(micros), _), _) => nanos(*micros)?,
        (ScalarValue::Date32(Some(days)), _) => nanos(i64::from(*days) * 86_400_000_000)?,
        (ScalarValue::Utf8(Some(text)), Some(zone)) if at < 2 => match casts::time(text, zone.is_some()) {
            Some(micros) => nanos(micros)?,
            None => return plan_err!("invalid input syntax for type timestamp: \"{text}\""),
        },
        (ScalarValue::Utf8(Some(text)), Some(_)) => match lengths::read(text) {
            Some(interval) => ScalarValue::IntervalMonthDayNano(Some(interval)),
            None => return plan_err!("invalid input syntax for type interval: \"{text}\""),
        },
        _ => return Ok(arg.clone()),
    };
    Ok(Expr::Literal(made, meta.clone()))
}

/// A call that waits for the values of its parameters.
#[derive(Debug)]
pub struct Later {
    function: Arc<dyn TableFunctionImpl>,
    args: Vec<Expr>,
    /// Of the first two arguments, and of the third.
    of: (DataType, DataType),
    schema: SchemaRef,
}

/// The call as a table without rows, if one of its arguments waits for a value.
pub fn later(function: &Arc<dyn TableFunctionImpl>, args: &[Expr]) -> Result<Option<Arc<dyn TableProvider>>> {
    let waits = |expr: &Expr| expr.exists(|expr| Ok(matches!(expr, Expr::Placeholder(_))));
    if !args.iter().map(waits).collect::<Result<Vec<_>>>()?.contains(&true) {
        return Ok(None);
    }
    let none = DFSchema::empty();
    let is_time = |expr: &Expr| {
        let of = expr.get_type(&none);
        matches!(of, Ok(DataType::Timestamp(..) | DataType::Date32 | DataType::Interval(_)))
    };
    let zone = args.iter().find_map(|expr| match expr.get_type(&none) {
        Ok(DataType::Timestamp(_, zone)) => zone,
        Ok(DataType::Date32) => Some("UTC".into()),
        _ => None,
    });
    let of = match args.iter().any(is_time) {
        true => {
            (DataType::Timestamp(TimeUnit::Nanosecond, zone), DataType::Interval(IntervalUnit::MonthDayNano))
        }
        false => (DataType::Int64, DataType::Int64),
    };
    let schema = Arc::new(Schema::new(vec![Field::new("value", of.0.clone(), false)]));
    Ok(Some(Arc::new(Later { function: Arc::clone(function), args: args.to_vec(), of, schema })))
}

impl Later {
    /// Its arguments with the types that they have to have.
    fn places(&self) -> impl Iterator<Item = (&Expr, &DataType)> {
        self.args.iter().enumerate().map(|(at, expr)| (expr, if at < 2 { &self.of.0 } else { &self.of.1 }))
    }

    /// The table of these values.
    fn with(&self, values: &[ScalarValue], state: &SessionState) -> Result<Arc<dyn TableProvider>> {
        let context =
            SimplifyContext::builder().with_config_options(Arc::clone(state.config_options())).build();
        let (simplifier, none) = (ExprSimplifier::new(context), DFSchema::empty());
        let bound = |(expr, wanted): (&Expr, &DataType)| {
            let valued = expr.clone().transform_up(|expr| match &expr {
                Expr::Placeholder(Placeholder { id, .. }) => {
                    let value = number(id).and_then(|number| values.get(number.checked_sub(1)?));
                    let value =
                        value.ok_or_else(|| DataFusionError::Plan(format!("there is no parameter {id}")))?;
                    Ok(Transformed::yes(Expr::Literal(value.clone(), None)))
                }
                _ => Ok(Transformed::no(expr)),
            })?;
            match simplifier.simplify(simplifier.coerce(valued.data, &none)?)? {
                Expr::Literal(value, _) if value.is_null() => Ok(Expr::Literal(ScalarValue::Null, None)),
                Expr::Literal(ScalarValue::Utf8(Some(text)), _) if wanted.is_temporal() => {
                    let at = if matches!(wanted, DataType::Interval(_)) { 2 } else { 0 };
                    let zone = match wanted {
                        DataType::Timestamp(_, zone) => zone.clone(),
                        _ => None,
                    };
                    fit(at, &Expr::Literal(ScalarValue::Utf8(Some(text)), None), Some(&zone))
                }
                Expr::Literal(value, _) => Ok(Expr::Literal(value.cast_to(wanted)?, None)),
                _ => plan_err!("an argument of generate_series is no constant"),
            }
        };
        let args = self.places().map(bound).collect::<Result<Vec<_>>>()?;
        // Of nothing to begin with it would be taken for a series of numbers.
        if matches!(args.first(), Some(Expr::Literal(ScalarValue::Null, _))) {
            return Ok(Arc::new(datafusion::datasource::empty::EmptyTable::new(Arc::clone(&self.schema))));
        }
        self.function.call_with_args(TableFunctionArgs::new(&args, state))
    }
}

fn of(scan: &TableScan) -> Option<Arc<dyn TableProvider>> {
    source_as_provider(&scan.source).ok().filter(|provider| provider.is::<Later>())
}

/// The parameters of a call that waits, with the types of their places.
pub(super) fn parameters(scan: &TableScan) -> Vec<(String, Option<DataType>)> {
    let Some(provider) = of(scan) else { return Vec::new() };
    let Some(later) = provider.downcast_ref::<Later>() else { return Vec::new() };
    let mut found = Vec::new();
    for (expr, wanted) in later.places() {
        let _ = expr.apply(|inner| {
            match inner {
                Expr::Cast(cast) => {
                    if let Expr::Placeholder(Placeholder { id, .. }) = cast.expr.as_ref() {
                        found.push((id.clone(), Some(cast.field.data_type().clone())));
                    }
                }
                Expr::ScalarFunction(call) if super::cast_to(call.name()).is_some() => {
                    if let [Expr::Placeholder(Placeholder { id, .. })] = call.args.as_slice() {
                        found.push((id.clone(), super::cast_to(call.name())));
                    }
                }
                Expr::Placeholder(Placeholder { id, field }) => {
                    let told = field.as_ref().map(|field| field.data_type().clone());
                    found.push((id.clone(), told.or_else(|| Some(wanted.clone()))));
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }
    found
}

/// Refuses types of parameters that a call that waits cannot have.
pub(super) fn agree(plan: &LogicalPlan, types: &[DataType]) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(provider) = of(scan)
            && let Some(later) = provider.downcast_ref::<Later>()
        {
            for (expr, wanted) in later.places() {
                let Expr::Placeholder(Placeholder { id, .. }) = expr else { continue };
                let has = number(id).and_then(|number| types.get(number.checked_sub(1)?));
                if has.is_some_and(|has| has.is_temporal() != wanted.is_temporal()) {
                    return plan_err!(
                        "cannot tell the type of generate_series from {id}: cast it, as in {id}::timestamp"
                    );
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The plan with the rows of the calls that waited.
pub fn with_values(plan: LogicalPlan, values: &[ScalarValue], state: &SessionState) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
        let Some(provider) = of(&scan) else { return Ok(Transformed::no(LogicalPlan::TableScan(scan))) };
        if let Some(later) = provider.downcast_ref::<Later>() {
            scan.source = provider_as_source(later.with(values, state)?);
        }
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })?;
    Ok(plan.data)
}

#[async_trait]
impl TableProvider for Later {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan_err!("generate_series waits for the value of a parameter")
    }
}
