//! Which aggregates can be computed on codes, and what they read.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode, PlanProperties};

use super::super::budget::growth::varies;

/// An aggregate by text columns over Parquet files.
#[derive(Debug)]
pub(super) struct Shape {
    /// What comes out: the keys, then the states of the aggregates.
    pub schema: SchemaRef,
    /// As of the aggregate that this was.
    pub properties: Arc<PlanProperties>,
    /// The columns to read, as the table has them: first those of the keys, in the order of the keys.
    pub columns: Vec<FieldRef>,
    /// How many of the columns are keys.
    pub keys: usize,
    pub aggregates: Vec<Arc<AggregateFunctionExpr>>,
    /// The arguments of each aggregate, over `columns`.
    pub arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    /// The scan that this reads with.
    pub config: FileScanConfig,
    pub source: ParquetSource,
}

impl Shape {
    /// `None` if the node is anything else.
    pub fn of(node: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let aggregate = node.downcast_ref::<AggregateExec>()?;
        let by = aggregate.group_expr();
        let is_plain = *aggregate.mode() == AggregateMode::Partial
            && *aggregate.input_order_mode() == InputOrderMode::Linear
            && aggregate.limit_options().is_none()
            && by.is_single()
            && !by.is_empty()
            && aggregate.filter_expr().iter().all(Option::is_none);
        if !is_plain || !aggregate.aggr_expr().iter().all(|function| is_known(function)) {
            return None;
        }
        let (config, source) = files(aggregate.input())?;
        let read = read(config, source)?;
        let mut columns = Vec::with_capacity(read.len());
        for (key, _) in by.expr() {
            let field = read.get(key.downcast_ref::<Column>()?.index())?;
            let is_text =
                matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            if !is_text || columns.contains(field) {
                return None;
            }
            columns.push(Arc::clone(field));
        }
        let keys = columns.len();
        let mut arguments = Vec::with_capacity(aggregate.aggr_expr().len());
        for function in aggregate.aggr_expr() {
            let given = function.expressions().into_iter();
            let given: Option<_> = given.map(|given| argument(given, &read, &mut columns, keys)).collect();
            arguments.push(given?);
        }
        Some(Self {
            schema: aggregate.schema(),
            properties: Arc::clone(aggregate.properties()),
            columns,
            keys,
            aggregates: aggregate.aggr_expr().to_vec(),
            arguments,
            config: config.clone(),
            source: source.clone(),
        })
    }

    /// True if no row that is read takes more bytes than another: keys are numbers there.
    pub fn is_narrow(&self) -> bool {
        !self.columns.iter().skip(self.keys).any(|field| varies(field.data_type()))
    }
}

/// True for an aggregate whose groups are kept together, and that asks for nothing but its arguments.
fn is_known(function: &AggregateFunctionExpr) -> bool {
    !function.is_distinct() && function.order_bys().is_empty() && function.groups_accumulator_supported()
}

/// The scan of Parquet files that a node is, if it gives all their rows.
fn files(node: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &ParquetSource)> {
    let node = match node.downcast_ref::<CooperativeExec>() {
        Some(_) => *node.children().first()?,
        None => node,
    };
    let (config, source) =
        node.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
    let is_whole = config.limit.is_none()
        && config.output_ordering.is_empty()
        && source.filter().is_none()
        && source.table_schema().virtual_columns().is_empty();
    is_whole.then_some((config, source))
}

/// The columns of the files that a scan gives, in its order; `None` if it computes one or takes it from elsewhere.
fn read(config: &FileScanConfig, source: &ParquetSource) -> Option<Vec<FieldRef>> {
    let in_files = source.table_schema().file_schema();
    let named = config.file_source().projection()?.iter().map(|projected| {
        let (_, field) = in_files.fields().find(projected.expr.downcast_ref::<Column>()?.name())?;
        Some(Arc::clone(field))
    });
    named.collect()
}

/// An argument over `columns`, to which it adds what it reads; `None` if it is more than a column, a constant or a cast of
/// one, or reads a key, whose values are not there.
fn argument(
    given: Arc<dyn PhysicalExpr>,
    read: &[FieldRef],
    columns: &mut Vec<FieldRef>,
    keys: usize,
) -> Option<Arc<dyn PhysicalExpr>> {
    let mut fits = true;
    let over = given.transform_up(|expr| {
        let Some(column) = expr.downcast_ref::<Column>() else {
            fits &= expr.downcast_ref::<Literal>().is_some() || expr.downcast_ref::<CastExpr>().is_some();
            return Ok(Transformed::no(expr));
        };
        let Some(field) = read.get(column.index()) else {
            fits = false;
            return Ok(Transformed::no(expr));
        };
        let at = columns.iter().position(|known| known == field).unwrap_or_else(|| {
            columns.push(Arc::clone(field));
            columns.len() - 1
        });
        fits &= at >= keys;
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
        Ok(Transformed::new(column, true, TreeNodeRecursion::Continue))
    });
    over.ok().filter(|_| fits).map(|over| over.data)
}
