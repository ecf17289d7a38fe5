//! From a verified logical plan to stages: filters and projections over arrays, planned once for the whole life of
//! the query.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::source::Wanted;

use super::catalog::KAFKA_COLUMN;
use super::functions::{EpochTime, FIELD};
use super::{generator, lookups};
use crate::generate::{Filled, Generation};
use crate::lookup::Lookup;

/// Deepest expression that is evaluated: views on views multiply what each of them allows.
const MAX_DEPTH: usize = 1_500;

/// One step of a query.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// Keeps the rows for which the condition is true.
    Filter(Arc<dyn PhysicalExpr>),
    /// Computes columns.
    Project(Projection),
    /// Looks at the event time in this column; rows stay as they are.
    Observe(usize),
    /// Joins with tables at rest.
    Lookup(Lookup),
    /// Makes a row of each element of an array.
    Generate(Generation),
    /// Keeps the rows that have an element for it.
    Filled(Filled),
}

/// Some columns out of others.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    pub columns: Vec<Output>,
    pub schema: SchemaRef,
}

/// How an output column comes about.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    /// The input's column, as it is.
    Same(usize),
    /// Computed.
    Computed(Arc<dyn PhysicalExpr>),
}

/// The stages in the order of the rows' way, and what they read.
pub(super) struct Lowered {
    pub stages: Vec<Stage>,
    /// Which columns of the source's full schema the first stage reads.
    pub used: Vec<usize>,
}

/// Lowers a chain of projections, filters, generators and joins with tables at rest over a source or an operator.
pub(super) fn lower(plan: &LogicalPlan, state: &SessionState) -> Result<Lowered, Error> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => lower(&alias.input, state),
        LogicalPlan::TableScan(scan) => {
            if !scan.filters.is_empty() || scan.fetch.is_some() {
                return Err(Error::new(&codes::INTERNAL, "the optimizer pushed a condition into the source"));
            }
            let full = scan.source.schema().fields().len();
            let used: Vec<usize> = scan.projection.clone().unwrap_or_else(|| (0..full).collect());
            let stage = Projection {
                columns: used.iter().map(|&index| Output::Same(index)).collect(),
                schema: Arc::clone(scan.projected_schema.inner()),
            };
            Ok(Lowered { stages: vec![Stage::Project(stage)], used })
        }
        // What an operator with state gives.
        LogicalPlan::EmptyRelation(_) => Ok(Lowered { stages: Vec::new(), used: Vec::new() }),
        LogicalPlan::Join(join) => Ok(lookups::lower(join, Vec::new(), state)?.0),
        LogicalPlan::Filter(filter) if lookups::is_inside(filter) => lookups::filtered(filter, state),
        LogicalPlan::Filter(filter) => {
            let mut lowered = lower(&filter.input, state)?;
            if matches!(filter.predicate, Expr::Literal(ScalarValue::Boolean(Some(true)), _)) {
                return Ok(lowered);
            }
            lowered.stages.push(Stage::Filter(physical(&filter.predicate, filter.input.schema(), state)?));
            Ok(lowered)
        }
        LogicalPlan::Projection(projection) => {
            let mut lowered = lower(&projection.input, state)?;
            let columns = projection
                .expr
                .iter()
                .map(|expr| {
                    let expr = physical(expr, projection.input.schema(), state)?;
                    Ok(match expr.downcast_ref::<Column>() {
                        Some(column) => Output::Same(column.index()),
                        None => Output::Computed(expr),
                    })
                })
                .collect::<Result<_, Error>>()?;
            let schema = Arc::new(Schema::new(projection.schema.fields().clone()));
            lowered.stages.push(Stage::Project(Projection { columns, schema }));
            Ok(lowered)
        }
        other => match generator::of(other) {
            Some(generate) => {
                let mut lowered = lower(&generate.input, state)?;
                lowered.stages.push(Stage::Generate(generate.stage()));
                Ok(lowered)
            }
            None => Err(Error::new(
                &codes::INTERNAL,
                format!("the optimizer turned the query into {}", other.display()),
            )),
        },
    }
}

/// An expression over columns of this schema, as it is computed.
pub(super) fn physical(
    expr: &Expr,
    schema: &DFSchema,
    state: &SessionState,
) -> Result<Arc<dyn PhysicalExpr>, Error> {
    let planned = |error| super::core_error(&codes::SQL_PLAN, error);
    // A name in a projection is the schema's affair.
    let expr = expr.clone().unalias();
    let planned_expr = state.create_physical_expr(expr, schema).map_err(planned)?;
    let checked = planned_expr.transform_up(check_overflow).map_err(planned)?.data;
    let mut most = 0;
    depth(&checked, 1, &mut most);
    if most > MAX_DEPTH {
        return Err(Error::new(
            &codes::SQL_PLAN,
            format!("an expression is more than {MAX_DEPTH} operators deep"),
        )
        .with_hint("The views that the query uses add up to more than can be computed; simplify them."));
    }
    Ok(checked)
}

/// The same for an expression that no optimizer has seen: some functions are only there to be simplified to others.
pub(super) fn simplified(
    expr: &Expr,
    schema: &DFSchemaRef,
    state: &SessionState,
) -> Result<Arc<dyn PhysicalExpr>, Error> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(schema))
        .with_config_options(Arc::clone(state.config_options()))
        .build();
    let simple = ExprSimplifier::new(context).simplify(expr.clone().unalias());
    physical(&simple.map_err(|error| super::core_error(&codes::SQL_PLAN, error))?, schema, state)
}

/// Spark's ANSI mode: arithmetic on whole numbers fails instead of wrapping around.
fn check_overflow(
    expr: Arc<dyn PhysicalExpr>,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>, DataFusionError> {
    match expr.downcast_ref::<BinaryExpr>() {
        Some(binary) if matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply) => {
            let checked =
                BinaryExpr::new(Arc::clone(binary.left()), *binary.op(), Arc::clone(binary.right()));
            Ok(Transformed::yes(Arc::new(checked.with_fail_on_overflow(true))))
        }
        _ => Ok(Transformed::no(expr)),
    }
}

fn depth(expr: &Arc<dyn PhysicalExpr>, now: usize, most: &mut usize) {
    *most = (*most).max(now);
    if now > MAX_DEPTH {
        return;
    }
    for child in expr.children() {
        depth(child, now + 1, most);
    }
}

/// True if any stage asks for the epoch's time.
pub(super) fn uses_time(stages: &[Stage]) -> bool {
    let mut found = false;
    for expr in stages.iter().flat_map(expressions) {
        // The closure cannot fail.
        let _ = expr.apply(|expr| {
            found |= epoch_time(expr).is_some();
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
    }
    found
}

/// The epoch-time function that an expression is a call of.
pub(super) fn epoch_time(expr: &Arc<dyn PhysicalExpr>) -> Option<&EpochTime> {
    expr.downcast_ref::<ScalarFunctionExpr>()?.fun().inner().downcast_ref::<EpochTime>()
}

pub(super) fn expressions(stage: &Stage) -> Vec<&Arc<dyn PhysicalExpr>> {
    match stage {
        Stage::Observe(_) | Stage::Generate(_) => Vec::new(),
        Stage::Lookup(lookup) => lookup.keys.iter().chain(&lookup.condition).collect(),
        Stage::Filter(condition) => vec![condition],
        Stage::Filled(filled) => vec![&filled.array],
        Stage::Project(projection) => projection
            .columns
            .iter()
            .filter_map(|column| match column {
                Output::Computed(expr) => Some(expr),
                Output::Same(_) => None,
            })
            .collect(),
    }
}

/// Which optional envelope columns a plan reads: `key` and `headers` themselves, or as fields of the hidden struct.
/// A use of the whole struct wants both.
pub(super) fn wanted(plan: &LogicalPlan, used: &[String]) -> Wanted {
    if !used.iter().any(|name| name == KAFKA_COLUMN) {
        return Wanted {
            keys: used.iter().any(|name| name == "key"),
            headers: used.iter().any(|name| name == "headers"),
        };
    }
    if !has_projection(plan) {
        return Wanted { keys: true, headers: true };
    }
    let mut wanted = Wanted::default();
    let hands_it_on = plan.schema().fields().iter().any(|field| field.name() == KAFKA_COLUMN);
    // The closures cannot fail.
    let _ = plan.apply(|node| {
        node.apply_expressions(|expr| {
            // Handed from one projection to the next it is not read yet.
            if !hands_it_on && is_envelope(expr) {
                return Ok(TreeNodeRecursion::Continue);
            }
            expr.apply(|expr| {
                match expr {
                    Expr::ScalarFunction(call) if call.name() == FIELD => {
                        if let [base, Expr::Literal(name, _)] = call.args.as_slice()
                            && is_envelope(base)
                        {
                            match name.try_as_str().flatten() {
                                Some("key") => wanted.keys = true,
                                Some("headers") => wanted.headers = true,
                                _ => {}
                            }
                            return Ok(TreeNodeRecursion::Jump);
                        }
                    }
                    other if is_envelope(other) => wanted = Wanted { keys: true, headers: true },
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    wanted
}

/// False if the source's columns come out as they are, with no expression that would name them.
fn has_projection(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(_) => true,
        LogicalPlan::Filter(filter) => has_projection(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => has_projection(&alias.input),
        _ => false,
    }
}

fn is_envelope(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == KAFKA_COLUMN)
}
