//! Which columns of a plan are the event time.
//!
//! The event time of a source is one of its columns, or an expression over them. Here every column is followed down
//! to the source: one that is that column, or whose expression with those of the views and subqueries put in is that
//! expression, is the event time too. Behind an aggregation its window is, and with it the window's `end` and
//! `window_time(window)`. Behind a join the event times of both sides are.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{
    Expr, Filter, Join, LogicalPlan, Projection, SubqueryAlias, build_join_schema,
};

use super::catalog::EVENT_TIME_COLUMN;
use super::functions::FIELD;
use super::functions::window::{self, Call};
use super::generator::{self, Generate};
use super::statics;

/// What a column is, as far as time goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// The event time of this input.
    Time(usize),
    /// A window of it: its end is the event time.
    Window(usize),
    /// This, over the source's columns; not larger than the event time's own expression.
    Source(Expr),
    /// Anything else.
    Other,
}

impl Origin {
    /// The input whose event time this is, or a window of it.
    pub fn timed(&self) -> Option<usize> {
        match self {
            Self::Time(input) | Self::Window(input) => Some(*input),
            _ => None,
        }
    }

    /// What of it is left when rows have become others.
    pub fn kept(self) -> Self {
        if self.timed().is_some() { self } else { Self::Other }
    }
}

/// The event time of a source, by which columns are told.
#[derive(Clone)]
pub(super) struct Lineage {
    /// Over the source's columns without qualifiers, and how many nodes it has.
    time: Option<(Expr, usize)>,
    /// The number of the input.
    input: usize,
}

/// The column of an event time that a query reads nowhere and that is observed all the same.
const THREADED: &str = "__threaded";

impl Lineage {
    /// For the source that `plan` reads as this input. `column` is its event time if that is a column; else the source is
    /// read through a projection that computes it.
    pub fn new(plan: &LogicalPlan, column: Option<&str>, input: usize) -> Self {
        let time = match column {
            Some(name) => Some(Expr::Column(Column::new_unqualified(name))),
            None => computed(plan).map(unqualified),
        };
        Self { time: time.map(|time| (time.clone(), size(&time, usize::MAX))), input }
    }

    /// For rows of several sources, whose columns are told already.
    pub fn of_several() -> Self {
        Self { time: None, input: 0 }
    }

    /// The plan of an input with its event time, and where among the columns that is: at their end, unless it was one of
    /// them. `None` if it has none.
    pub fn threaded(&self, plan: &LogicalPlan) -> Result<Option<(LogicalPlan, usize)>> {
        let of_input = |input: &Arc<LogicalPlan>| self.threaded(input);
        Ok(match plan {
            LogicalPlan::Projection(projection) => {
                let is_time = |origin: &Origin| matches!(origin, Origin::Time(_));
                if let Some(at) = self.columns(plan, &[]).iter().position(is_time) {
                    return Ok(Some((plan.clone(), at)));
                }
                let Some((input, at)) = of_input(&projection.input)? else { return Ok(None) };
                let time = Expr::from(input.schema().qualified_field(at)).alias(THREADED);
                let list: Vec<Expr> = projection.expr.iter().cloned().chain([time]).collect();
                let at = list.len() - 1;
                Some((LogicalPlan::Projection(Projection::try_new(list, Arc::new(input))?), at))
            }
            LogicalPlan::Filter(filter) => {
                let Some((input, at)) = of_input(&filter.input)? else { return Ok(None) };
                let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
                Some((LogicalPlan::Filter(filter), at))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some((input, at)) = of_input(&alias.input)? else { return Ok(None) };
                let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
                Some((LogicalPlan::SubqueryAlias(alias), at))
            }
            other => {
                let at = self.columns(other, &[]).iter().position(|it| matches!(it, Origin::Time(_)));
                match (at, other) {
                    (Some(at), _) => Some((other.clone(), at)),
                    (None, LogicalPlan::Join(join)) => self.threaded_below(join)?,
                    (None, other) => match generator::of(other) {
                        Some(generate) => self.threaded_through(generate)?,
                        None => None,
                    },
                }
            }
        })
    }

    /// A join with tables at rest whose columns have no event time, with that of its stream behind them.
    fn threaded_below(&self, join: &Join) -> Result<Option<(LogicalPlan, usize)>> {
        let Some(stream) = statics::stream_of(join) else { return Ok(None) };
        let Some((stream, at)) = self.threaded(stream)? else { return Ok(None) };
        let mut list: Vec<Expr> = join.schema.iter().map(Expr::from).collect();
        list.push(Expr::from(stream.schema().qualified_field(at)));
        let mut join = statics::with_stream(join, stream);
        join.schema = Arc::new(build_join_schema(join.left.schema(), join.right.schema(), &join.join_type)?);
        let at = list.len() - 1;
        Ok(Some((LogicalPlan::Projection(Projection::try_new(list, Arc::new(LogicalPlan::Join(join)))?), at)))
    }

    /// The same of a generator.
    fn threaded_through(&self, generate: &Generate) -> Result<Option<(LogicalPlan, usize)>> {
        let Some((input, at)) = self.threaded(&generate.input)? else { return Ok(None) };
        let mut list: Vec<Expr> = generate.schema.iter().map(Expr::from).collect();
        list.push(Expr::from(input.schema().qualified_field(at)));
        let (plan, at) = (generate.on(input)?, list.len() - 1);
        Ok(Some((LogicalPlan::Projection(Projection::try_new(list, Arc::new(plan))?), at)))
    }

    /// The plan of an input in which the event time, where it is an expression, is read from its column: so it is
    /// computed once, and who reads it is seen.
    pub fn settled(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        match &self.time {
            Some((time, _)) if !matches!(time, Expr::Column(_)) => Ok(self.settle(plan)?.0),
            _ => Ok(plan.clone()),
        }
    }

    fn settle(&self, plan: &LogicalPlan) -> Result<(LogicalPlan, Vec<Origin>)> {
        Ok(match plan {
            LogicalPlan::Projection(projection) => {
                let (input, below) = self.settle(&projection.input)?;
                let (schema, mut list) = (input.schema(), Vec::with_capacity(projection.expr.len()));
                for (expr, name) in projection.expr.iter().zip(projection.schema.iter()) {
                    let settled = self.with_column(expr, schema, &below)?;
                    // What gets another expression keeps its name.
                    let renamed = settled != *expr && !matches!(expr, Expr::Alias(_));
                    list.push(if renamed {
                        settled.alias_qualified(name.0.cloned(), name.1.name())
                    } else {
                        settled
                    });
                }
                let origins = list.iter().map(|expr| self.expr(expr, schema, &below)).collect();
                let projection = Projection::try_new(list, Arc::new(input))?;
                (LogicalPlan::Projection(projection), origins)
            }
            LogicalPlan::Filter(filter) => {
                let (input, below) = self.settle(&filter.input)?;
                let mut filter = filter.clone();
                filter.predicate = self.with_column(&filter.predicate, input.schema(), &below)?;
                filter.input = Arc::new(input);
                (LogicalPlan::Filter(filter), below)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let (input, below) = self.settle(&alias.input)?;
                let mut alias = alias.clone();
                alias.input = Arc::new(input);
                (LogicalPlan::SubqueryAlias(alias), below)
            }
            LogicalPlan::Join(join) if statics::sides(join).is_some() => {
                let stream = statics::stream_of(join).unwrap_or(plan);
                let (stream, _) = self.settle(stream)?;
                let plan = LogicalPlan::Join(statics::with_stream(join, stream));
                let origins = self.columns(&plan, &[]);
                (plan, origins)
            }
            other => {
                let plan = match generator::of(other) {
                    Some(generate) => generate.on(self.settle(&generate.input)?.0)?,
                    None => other.clone(),
                };
                let origins = self.columns(&plan, &[]);
                (plan, origins)
            }
        })
    }

    /// An expression whose parts that are the event time are its column, if there is one.
    pub fn with_column(&self, expr: &Expr, schema: &DFSchema, columns: &[Origin]) -> Result<Expr> {
        match time_among(schema, columns) {
            Some(column) => Ok(self.put_in(expr.clone(), schema, columns, &column)?.0),
            None => Ok(expr.clone()),
        }
    }

    /// The same, of a new column of this name if there is none; and if it is read, the expression that it is.
    pub fn read_from(
        &self,
        expr: Expr,
        schema: &DFSchema,
        columns: &[Origin],
        name: &str,
    ) -> Result<(Expr, Option<Expr>)> {
        if let Some(column) = time_among(schema, columns) {
            return Ok((self.put_in(expr, schema, columns, &column)?.0, None));
        }
        self.put_in(expr, schema, columns, &Expr::Column(Column::new_unqualified(name)))
    }

    /// An expression with a column in place of its parts that are the event time, and what the first of these was.
    fn put_in(
        &self,
        expr: Expr,
        schema: &DFSchema,
        columns: &[Origin],
        column: &Expr,
    ) -> Result<(Expr, Option<Expr>)> {
        let mut first = None;
        let put = expr.transform_down(|expr| {
            let is_computed = !matches!(expr, Expr::Column(_) | Expr::Alias(_) | Expr::Literal(..));
            if is_computed && matches!(self.expr(&expr, schema, columns), Origin::Time(_)) {
                first.get_or_insert(expr);
                return Ok(Transformed::new(column.clone(), true, TreeNodeRecursion::Jump));
            }
            Ok(Transformed::no(expr))
        })?;
        Ok((put.data, first))
    }

    /// The origins of a plan's columns; `leaf` are those of the operator that it stands on, if that is no source.
    pub fn columns(&self, plan: &LogicalPlan, leaf: &[Origin]) -> Vec<Origin> {
        match plan {
            LogicalPlan::Projection(projection) => {
                let below = self.columns(&projection.input, leaf);
                let schema = projection.input.schema();
                projection.expr.iter().map(|expr| self.expr(expr, schema, &below)).collect()
            }
            LogicalPlan::Filter(filter) => self.columns(&filter.input, leaf),
            LogicalPlan::SubqueryAlias(alias) => self.columns(&alias.input, leaf),
            LogicalPlan::TableScan(scan) => {
                let names = scan.projected_schema.fields().iter().map(|field| field.name());
                names.map(|name| self.known(Expr::Column(Column::new_unqualified(name)))).collect()
            }
            LogicalPlan::Join(join) => match statics::sides(join) {
                Some(sides) => {
                    let stream = self.columns(sides.stream, leaf);
                    let more = join.schema.fields().len().saturating_sub(stream.len());
                    let others = vec![Origin::Other; more];
                    if sides.stream_is_left { [stream, others].concat() } else { [others, stream].concat() }
                }
                None => leaf.to_vec(),
            },
            other => match generator::of(other) {
                Some(generate) => generate.passed(&self.columns(&generate.input, leaf), &Origin::Other),
                None => leaf.to_vec(),
            },
        }
    }

    /// The origin of an expression over columns of these origins.
    pub fn expr(&self, expr: &Expr, schema: &DFSchema, columns: &[Origin]) -> Origin {
        match expr {
            Expr::Alias(alias) => return self.expr(&alias.expr, schema, columns),
            Expr::Column(column) => {
                let index = schema.maybe_index_of_column(column);
                return index.and_then(|index| columns.get(index)).cloned().unwrap_or(Origin::Other);
            }
            Expr::ScalarFunction(call) if call.name() == FIELD => {
                if let [base, Expr::Literal(name, _)] = call.args.as_slice()
                    && name.try_as_str().flatten() == Some("end")
                    && let Origin::Window(input) = self.expr(base, schema, columns)
                {
                    return Origin::Time(input);
                }
            }
            _ => {}
        }
        match window::call(expr) {
            Some(Call::Time(of)) => {
                if let Origin::Window(input) = self.expr(of, schema, columns) {
                    return Origin::Time(input);
                }
            }
            Some(Call::Window(of, _) | Call::Session(of, _) | Call::Calendar(of)) => {
                let timed = self.expr(of, schema, columns).timed();
                return timed.map_or(Origin::Other, Origin::Window);
            }
            None => {}
        }
        let Some((_, most)) = &self.time else { return Origin::Other };
        if size(expr, *most) > *most {
            return Origin::Other;
        }
        let mut is_known = true;
        let put_in = expr.clone().transform_up(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            let index = schema.maybe_index_of_column(column);
            match index.and_then(|index| columns.get(index)) {
                Some(Origin::Source(below)) => Ok(Transformed::yes(below.clone())),
                _ => {
                    is_known = false;
                    Ok(Transformed::no(expr))
                }
            }
        });
        match put_in {
            Ok(put_in) if is_known => self.known(put_in.data),
            _ => Origin::Other,
        }
    }

    /// The origin of an expression over the source's columns.
    fn known(&self, expr: Expr) -> Origin {
        match &self.time {
            Some((time, _)) if *time == expr => Origin::Time(self.input),
            Some((_, most)) if size(&expr, *most) <= *most => Origin::Source(expr),
            _ => Origin::Other,
        }
    }
}

/// The column that is the event time.
fn time_among(schema: &DFSchema, columns: &[Origin]) -> Option<Expr> {
    let index = columns.iter().position(|it| matches!(it, Origin::Time(_)))?;
    Some(Expr::from(schema.qualified_field(index)))
}

/// The expression of the hidden column of the source that a plan reads.
fn computed(plan: &LogicalPlan) -> Option<Expr> {
    let mut node = plan;
    let mut last = None;
    loop {
        node = match (node, node.inputs().as_slice()) {
            (LogicalPlan::Join(join), _) => match statics::stream_of(join) {
                Some(stream) => stream,
                None => break,
            },
            (LogicalPlan::Projection(projection), [input]) => {
                last = Some(projection);
                input
            }
            (_, [input]) => input,
            _ => break,
        };
    }
    matches!(node, LogicalPlan::TableScan(_)).then_some(())?;
    last?.expr.iter().find_map(|expr| match expr {
        Expr::Alias(alias) if alias.name == EVENT_TIME_COLUMN => Some(alias.expr.as_ref().clone()),
        _ => None,
    })
}

fn unqualified(expr: Expr) -> Expr {
    let plain = expr.clone().transform_up(|expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    });
    plain.map_or(expr, |plain| plain.data)
}

/// The nodes of an expression; beyond `most` they are not counted.
fn size(expr: &Expr, most: usize) -> usize {
    let mut nodes = 0;
    // The closure cannot fail.
    let _ = expr.apply(|_| {
        nodes += 1;
        Ok(if nodes > most { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    nodes
}
