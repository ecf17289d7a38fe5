//! A join with tables at rest, from the logical plan to the stage that the lanes run.
//!
//! Of the conditions in ON and, above an inner join, in WHERE, equalities between the two sides become keys. What reads the
//! stream alone is asked before a row looks for partners, as in Spark: there it is pushed below the join.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, NullEquality};
use datafusion::execution::SessionState;
use datafusion::logical_expr::utils::{conjunction, find_valid_equijoin_key_pair, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, Operator};
use datafusion::physical_expr::PhysicalExpr;
use forebay_core::Error;
use forebay_core::error::codes;

use super::build::arrow_schema;
use super::columns::{moved, read};
use super::lower::{self, Lowered, Stage, simplified};
use super::session;
use super::statics::{self, AtRest, Sides};
use crate::lookup::{Kind, Lookup, LookupSpec, encodable};

/// True if a filter stands on a join with tables at rest.
pub(super) fn is_inside(filter: &Filter) -> bool {
    matches!(filter.input.as_ref(), LogicalPlan::Join(join) if statics::sides(join).is_some())
}

/// Lowers a filter that stands on such a join, with what of it belongs into the join.
pub(super) fn filtered(filter: &Filter, state: &SessionState) -> Result<Lowered, Error> {
    let LogicalPlan::Join(join) = filter.input.as_ref() else { return Err(misplaced()) };
    let conditions = split_conjunction_owned(filter.predicate.clone());
    let (mut lowered, rest) = lower(join, conditions, state)?;
    if let Some(rest) = conjunction(rest) {
        lowered.stages.push(Stage::Filter(lower::physical(&rest, &join.schema, state)?));
    }
    Ok(lowered)
}

/// Lowers a join with tables at rest; gives back those conditions that stand above it and stay there.
pub(super) fn lower(
    join: &Join,
    above: Vec<Expr>,
    state: &SessionState,
) -> Result<(Lowered, Vec<Expr>), Error> {
    let sides = statics::sides(join).ok_or_else(misplaced)?;
    let kind = statics::kind(join.join_type, sides.stream_is_left).ok_or_else(misplaced)?;
    let Sides { stream, at_rest, stream_is_left } = sides;
    let (stream_schema, table_schema) = (stream.schema(), at_rest.schema());
    let (of_stream, above): (Vec<Expr>, Vec<Expr>) =
        above.into_iter().partition(|condition| reads_only(condition, stream_schema));
    let mut conditions = join.filter.clone().map(split_conjunction_owned).unwrap_or_default();
    let rest = match kind {
        Kind::Inner => {
            let (own, both): (Vec<Expr>, Vec<Expr>) =
                above.into_iter().partition(|condition| reads_only(condition, table_schema));
            conditions.extend(both);
            own
        }
        _ => above,
    };
    let mut keys = Keys::default();
    for (left, right) in &join.on {
        let null_safe = join.null_equality == NullEquality::NullEqualsNull;
        let (stream, table) = if stream_is_left { (left, right) } else { (right, left) };
        keys.add(stream.clone(), table.clone(), null_safe);
    }
    conditions.retain(|condition| !keys.take(condition, stream_schema, table_schema));

    let mut lowered = lower::lower(stream, state)?;
    if let Some(of_stream) = conjunction(of_stream) {
        lowered.stages.push(Stage::Filter(lower::physical(&of_stream, stream_schema, state)?));
    }
    let stream_keys = all(&keys.stream, stream_schema, state)?;
    let table_keys = all(&keys.table, table_schema, state)?;
    let mut types = Vec::new();
    for (stream, table) in stream_keys.iter().zip(&table_keys) {
        let typed = |key: &Arc<dyn PhysicalExpr>, schema: &DFSchemaRef| {
            key.data_type(schema.as_arrow()).map_err(|error| super::core_error(&codes::SQL_PLAN, error))
        };
        let (of_stream, of_table) = (typed(stream, stream_schema)?, typed(table, table_schema)?);
        if of_stream != of_table || !encodable(std::slice::from_ref(&of_stream)) {
            let (left, right) = (super::type_name(&of_stream), super::type_name(&of_table));
            let message = format!("a join cannot compare {left} with {right}");
            return Err(
                Error::new(&codes::SQL_PLAN, message).with_hint("Make both sides one plain type with CAST.")
            );
        }
        types.push(of_stream);
    }
    let pair = match stream_is_left {
        true => stream_schema.join(table_schema),
        false => table_schema.join(stream_schema),
    };
    let pair = Arc::new(pair.map_err(|error| super::core_error(&codes::SQL_PLAN, error))?);
    let condition = conjunction(conditions);
    let condition = condition.map(|condition| simplified(&condition, &pair, state)).transpose()?;
    // Over the columns alone that it reads.
    let condition_columns: Vec<usize> = condition.iter().flat_map(read).collect();
    let place = |column| condition_columns.binary_search(&column).ok();
    let condition = condition.map(|condition| moved(&condition, place).ok_or_else(misplaced)).transpose()?;
    let condition_fields = condition_columns.iter().filter_map(|column| pair.fields().get(*column).cloned());
    let spec = LookupSpec {
        kind,
        at_rest: at_rest.as_ref().clone(),
        tables: tables(at_rest),
        keys: table_keys,
        null_safe: keys.null_safe,
        stream_columns: stream_schema.fields().len(),
        stream_is_left,
        condition_schema: Arc::new(Schema::new(condition_fields.collect::<Vec<_>>())),
        condition_columns,
        output: arrow_schema(&join.schema),
        zone: session::zone(state),
    };
    lowered.stages.push(Stage::Lookup(Lookup { spec: Arc::new(spec), keys: stream_keys, condition }));
    Ok((lowered, rest))
}

/// Equalities between the sides.
#[derive(Default)]
struct Keys {
    stream: Vec<Expr>,
    table: Vec<Expr>,
    null_safe: Vec<bool>,
}

impl Keys {
    fn add(&mut self, stream: Expr, table: Expr, null_safe: bool) {
        self.stream.push(stream);
        self.table.push(table);
        self.null_safe.push(null_safe);
    }

    /// Takes a condition that is one.
    fn take(&mut self, condition: &Expr, stream: &DFSchemaRef, table: &DFSchemaRef) -> bool {
        let Expr::BinaryExpr(binary) = condition else { return false };
        let null_safe = match binary.op {
            Operator::Eq => false,
            Operator::IsNotDistinctFrom => true,
            _ => return false,
        };
        match find_valid_equijoin_key_pair(&binary.left, &binary.right, stream, table) {
            Ok(Some((of_stream, of_table))) => {
                self.add(of_stream, of_table, null_safe);
                true
            }
            _ => false,
        }
    }
}

fn all(
    keys: &[Expr],
    schema: &DFSchemaRef,
    state: &SessionState,
) -> Result<Vec<Arc<dyn PhysicalExpr>>, Error> {
    keys.iter().map(|key| simplified(key, schema, state)).collect()
}

/// True if a condition reads columns of this schema, and no others.
fn reads_only(condition: &Expr, schema: &DFSchemaRef) -> bool {
    let columns = condition.column_refs();
    !columns.is_empty() && columns.into_iter().all(|column| schema.has_column(column))
}

/// The names of the tables that a plan reads.
fn tables(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // The closure cannot fail.
    let _ = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.extend(scan.source.downcast_ref::<AtRest>().map(|table| table.name.clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    names
}

fn misplaced() -> Error {
    Error::new(&codes::INTERNAL, "a join of two streams is no stage")
}
