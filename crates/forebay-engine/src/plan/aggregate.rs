//! GROUP BY and DISTINCT of a stream, from the logical plan to the specification that the operators work by.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunctionParams, NullTreatment};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use forebay_core::Error;
use forebay_core::error::codes;

use super::build::{Builder, Given, Rows, arrow_schema, one_time};
use super::catalog::{COMPUTED, TIME};
use super::functions::EpochTime;
use super::functions::window::{self, Call};
use super::graph::{AggregateSpec, Gap, SessionSpec, StepPlan, WindowKey};
use super::grouping::{grouped, key_sets};
use super::lineage::Origin;
use super::lower::simplified;
use super::modes::Kind;
use super::sql_error::SqlError;
use super::verify;

/// Most group expressions and aggregates of one operator: each is a column of its state.
const MAX_COLUMNS: usize = 1_000;

/// The window of a group.
struct Window {
    /// Its place among the group expressions.
    position: usize,
    /// Its time, over the columns of the operator's input.
    ts: Expr,
    /// The input whose event time that is.
    time: Option<usize>,
}

impl Builder<'_> {
    pub fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Given, SqlError> {
        refuse_many(aggregate.schema.fields().len())?;
        let mut needs = Needs::default();
        let (exprs, sets) = grouped(&aggregate.group_expr)?;
        let mut group: Vec<Expr> = exprs.into_iter().map(|expr| needs.take(expr)).collect();
        let aggregates: Vec<Expr> = aggregate.aggr_expr.iter().map(|expr| needs.take(expr)).collect();
        let is_window = |expr: &Expr| !matches!(window::call(expr), None | Some(Call::Time(_)));
        let windows: Vec<usize> = (0..group.len()).filter(|index| is_window(&group[*index])).collect();
        let ([] | [_]) = windows.as_slice() else {
            return Err(Error::new(&codes::SQL_PLAN, "a SELECT has two windows").into());
        };
        let position = self.calendar_as_key(windows.first().copied(), &mut group, &mut needs, aggregate)?;
        let call = position.and_then(|position| window::call(&group[position]));
        let ts = match &call {
            Some(Call::Window(ts, _) | Call::Session(ts, _)) => {
                let ts = self.time(ts, &aggregate.input)?;
                needs.columns_of(&ts);
                Some(needs.time(&ts, aggregate.input.schema())?)
            }
            _ => None,
        };
        let child = self.with_record(needs.list(aggregate.input.schema()), &aggregate.input)?;
        let rows = self.rows(&child)?;
        let window = position.zip(ts).map(|(position, ts)| {
            let origin = rows.lineage.expr(&ts, &rows.schema, &rows.origins);
            Window { position, ts, time: origin.timed().filter(|_| matches!(origin, Origin::Time(_))) }
        });
        let keys: Vec<&Expr> = group
            .iter()
            .enumerate()
            .filter(|(index, _)| Some(*index) != position)
            .map(|(_, it)| it)
            .collect();
        if keys.is_empty() && matches!(call, Some(Call::Session(..))) {
            return Err(Error::new(&codes::NOT_STREAMING, "sessions are grouped by nothing else")
                .with_hint(
                    "Spark's query fails too. Write a key beside session_window(…), such as `device_id`.",
                )
                .into());
        }
        let input = arrow_schema(&rows.schema);
        let output: SchemaRef = Arc::new(Schema::new(aggregate.schema.fields().clone()));
        let columns = group.len() + usize::from(!sets.is_empty());
        let others = output.fields().len().saturating_sub(group.len());
        let key_fields = (0..columns).filter(|index| Some(*index) != position);
        let key_fields: Vec<FieldRef> = key_fields.map(|index| Arc::clone(&output.fields()[index])).collect();
        let key_origins: Vec<Origin> =
            keys.iter().map(|key| rows.lineage.expr(key, &rows.schema, &rows.origins)).collect();
        let of_window = window.as_ref().and_then(|window| window.time);
        let timed = key_origins.iter().position(|origin| origin.timed().is_some());
        let by_window = of_window.is_some();
        let event_key = timed.filter(|_| !by_window);
        let watermarked = by_window || event_key.is_some();
        let is_session = matches!(call, Some(Call::Session(..)));
        let sets = key_sets(sets, (position, event_key, is_session), key_fields.last())?;
        let keys = self.all_physical(&keys, &rows)?;
        let names = output.fields().iter().skip(columns).map(|field| field.name().as_str());
        let (functions, filters) = self.functions(&aggregates, names, &rows, &input)?;
        let count = self.kinds.len();
        let step = match (call, &window) {
            (Some(Call::Session(_, gap)), Some(window)) => StepPlan::Session(Arc::new(SessionSpec {
                name: format!("session-{count}"),
                input,
                told: rows.told.clone(),
                keys,
                key_fields,
                ts: simplified(&window.ts, &rows.schema, self.session)?,
                gap: match gap {
                    Expr::Literal(ScalarValue::Int64(Some(micros)), _) => Gap::Static(*micros),
                    gap => Gap::PerRow(simplified(gap, &rows.schema, self.session)?),
                },
                position: window.position,
                aggregates: functions,
                filters,
                output,
                // A session by itself ends by nothing else.
                watermarked: by_window,
            })),
            (call, window) => StepPlan::Aggregate(Arc::new(AggregateSpec {
                name: format!("aggregate-{count}"),
                input,
                told: rows.told.clone(),
                keys,
                key_fields,
                sets,
                window: match (call, window) {
                    (Some(Call::Window(_, sliding)), Some(window)) => Some(WindowKey {
                        ts: simplified(&window.ts, &rows.schema, self.session)?,
                        sliding,
                        position: window.position,
                    }),
                    _ => None,
                },
                event_key,
                aggregates: functions,
                filters,
                output,
                watermarked,
            })),
        };
        let watermarked = if is_session { by_window } else { watermarked };
        let kind = Kind::Aggregate { watermarked, session: is_session, distinct: false };
        self.stands(kind, rows.are_groups);
        let mut keys = key_origins.into_iter();
        let of_group = (0..group.len()).map(|index| match &window {
            Some(window) if window.position == index => window.time.map_or(Origin::Other, Origin::Window),
            _ => keys.next().map_or(Origin::Other, Origin::kept),
        });
        let origins: Vec<Origin> = of_group.chain(std::iter::repeat_n(Origin::Other, others)).collect();
        one_time(&format!("aggregate-{count}"), &origins)?;
        Ok(self.behind(rows, step, origins))
    }

    /// The position of a window among the group expressions, unless it is one of the calendar: that is a key like any
    /// other, whose time is read as a window's is.
    fn calendar_as_key(
        &self,
        position: Option<usize>,
        group: &mut [Expr],
        needs: &mut Needs,
        aggregate: &Aggregate,
    ) -> Result<Option<usize>, SqlError> {
        let Some(key) = position.and_then(|position| group.get_mut(position)) else { return Ok(None) };
        let Some(Call::Calendar(ts)) = window::call(key) else { return Ok(position) };
        let ts = self.time(ts, &aggregate.input)?;
        needs.columns_of(&ts);
        let ts = needs.time(&ts, aggregate.input.schema())?;
        *key = window::calendar_at(key.clone(), ts);
        Ok(None)
    }

    /// DISTINCT: a group of all columns, without aggregates.
    pub fn distinct(&mut self, input: &Arc<LogicalPlan>) -> Result<Given, SqlError> {
        let shown = input.schema().fields().len();
        refuse_many(shown)?;
        let child = match input.as_ref() {
            LogicalPlan::Projection(list) => self.with_record(list.expr.clone(), &list.input)?,
            other => other.clone(),
        };
        let rows = self.rows(&child)?;
        let columns: Vec<Expr> = rows.schema.iter().take(shown).map(Expr::from).collect();
        let keys = self.all_physical(&columns.iter().collect::<Vec<_>>(), &rows)?;
        let output = arrow_schema(input.schema());
        let origins: Vec<Origin> = rows.origins.iter().take(shown).cloned().map(Origin::kept).collect();
        let event_key = origins.iter().position(|origin| origin.timed().is_some());
        let name = format!("aggregate-{}", self.kinds.len());
        one_time(&name, &origins)?;
        let step = StepPlan::Aggregate(Arc::new(AggregateSpec {
            name,
            input: arrow_schema(&rows.schema),
            told: rows.told.clone(),
            keys,
            key_fields: output.fields().iter().cloned().collect(),
            sets: Vec::new(),
            window: None,
            event_key,
            aggregates: Vec::new(),
            filters: Vec::new(),
            output,
            watermarked: event_key.is_some(),
        }));
        let watermarked = event_key.is_some();
        self.stands(Kind::Aggregate { watermarked, session: false, distinct: true }, rows.are_groups);
        Ok(self.behind(rows, step, origins))
    }

    fn all_physical(&self, exprs: &[&Expr], rows: &Rows) -> Result<Vec<Arc<dyn PhysicalExpr>>, SqlError> {
        exprs.iter().map(|expr| Ok(simplified(expr, &rows.schema, self.session)?)).collect()
    }

    /// The aggregate functions and their filters.
    #[expect(clippy::type_complexity, reason = "two lists of the same length")]
    fn functions<'n>(
        &self,
        aggregates: &[Expr],
        names: impl Iterator<Item = &'n str>,
        rows: &Rows,
        input: &SchemaRef,
    ) -> Result<(Vec<Arc<AggregateFunctionExpr>>, Vec<Option<Arc<dyn PhysicalExpr>>>), SqlError> {
        let (mut functions, mut filters) = (Vec::new(), Vec::new());
        for (expr, name) in aggregates.iter().zip(names) {
            let Expr::AggregateFunction(call) = expr.clone().unalias() else {
                return Err(Error::new(&codes::INTERNAL, format!("{expr} is no aggregate function")).into());
            };
            let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = call.params;
            if distinct {
                return Err(verify::DISTINCT_AGGREGATE.error().into());
            }
            let args = self.all_physical(&args.iter().collect::<Vec<_>>(), rows)?;
            let function = AggregateExprBuilder::new(call.func, args)
                .order_by(self.order(&order_by, &rows.schema)?)
                .schema(Arc::clone(input))
                .alias(name)
                .with_ignore_nulls(null_treatment == Some(NullTreatment::IgnoreNulls))
                .build()
                .map_err(SqlError::planning)?;
            // Arguments that must be constants are looked at here, before a row is.
            function.create_accumulator().map_err(SqlError::planning)?;
            functions.push(Arc::new(function));
            let filter = filter.map(|filter| simplified(&filter, &rows.schema, self.session)).transpose()?;
            filters.push(filter);
        }
        Ok((functions, filters))
    }
}

fn refuse_many(columns: usize) -> Result<(), Error> {
    if columns <= MAX_COLUMNS {
        return Ok(());
    }
    let message = format!(
        "a GROUP BY with {columns} group expressions and aggregates; at most {MAX_COLUMNS} are possible"
    );
    Err(Error::new(&codes::SQL_PLAN, message).with_hint("Make several queries of it."))
}

/// What an operator reads of the rows below it.
#[derive(Default)]
struct Needs {
    columns: Vec<Column>,
    /// Computed below, under a name.
    computed: Vec<(Expr, String)>,
}

impl Needs {
    /// An expression over the columns that are needed. Parts that ask for the epoch's time are computed below the
    /// operator, which knows no epoch.
    fn take(&mut self, expr: &Expr) -> Expr {
        let mut asks = false;
        // The closures cannot fail.
        let _ = expr.apply(|expr| {
            asks |= matches!(expr, Expr::ScalarFunction(call)
                if call.func.inner().downcast_ref::<EpochTime>().is_some());
            Ok(TreeNodeRecursion::Continue)
        });
        let expr = if asks { self.below(expr) } else { expr.clone() };
        self.columns_of(&expr);
        expr
    }

    /// The expression with its outermost scalar parts computed below.
    fn below(&mut self, expr: &Expr) -> Expr {
        let put = |needs: &mut Self, expr: Expr| {
            let name = format!("{COMPUTED}{}", needs.computed.len());
            needs.computed.push((expr, name.clone()));
            Expr::Column(Column::new_unqualified(name))
        };
        match expr.clone() {
            Expr::Alias(mut alias) => {
                alias.expr = Box::new(self.below(&alias.expr));
                Expr::Alias(alias)
            }
            Expr::AggregateFunction(mut call) => {
                let whole = |needs: &mut Self, expr: Expr| match expr {
                    literal @ Expr::Literal(..) => literal,
                    expr => put(needs, expr),
                };
                call.params.args = call.params.args.into_iter().map(|arg| whole(self, arg)).collect();
                call.params.filter = call.params.filter.map(|filter| Box::new(whole(self, *filter)));
                for by in &mut call.params.order_by {
                    by.expr = whole(self, by.expr.clone());
                }
                Expr::AggregateFunction(call)
            }
            other => put(self, other),
        }
    }

    /// The time of a window, as one column.
    fn time(&mut self, ts: &Expr, schema: &DFSchema) -> Result<Expr, SqlError> {
        let is_window = window::is_window(&ts.get_type(schema).map_err(SqlError::planning)?);
        match (ts, is_window) {
            (Expr::Column(_), false) => Ok(ts.clone()),
            (_, true) => Ok(self.time_below(window::time_of(ts.clone()))),
            (_, false) => Ok(self.time_below(ts.clone())),
        }
    }

    fn time_below(&mut self, ts: Expr) -> Expr {
        self.computed.push((ts, TIME.to_owned()));
        Expr::Column(Column::new_unqualified(TIME))
    }

    fn columns_of(&mut self, expr: &Expr) {
        let _ = expr.apply(|expr| {
            if let Expr::Column(column) = expr
                && !self.columns.contains(column)
                && !self.computed.iter().any(|(_, name)| *name == column.name)
            {
                self.columns.push(column.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }

    /// The projection that gives it.
    fn list(self, schema: &DFSchema) -> Vec<Expr> {
        let mut indexes: Vec<usize> =
            self.columns.iter().filter_map(|column| schema.maybe_index_of_column(column)).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let columns = indexes.into_iter().map(|index| Expr::from(schema.qualified_field(index)));
        columns.chain(self.computed.into_iter().map(|(expr, name)| expr.alias(name))).collect()
    }
}
