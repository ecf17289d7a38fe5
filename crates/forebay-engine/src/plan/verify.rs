//! Is this plan a stream? Projections, filters and generators over one source are, its joins with tables at rest and unions of streams; and
//! operators with state between them, joins of two streams among them, where the query may have state. Running anything else once
//! per epoch would give answers that look right and are not.
//!
//! [`streaming`] is the gate: it looks at the plan, whatever text that came from. The resolver refuses the same things
//! earlier, under the words that ask for them (`resolve/streaming.rs`), with the [`Refusal`]s of this module.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Distinct, Expr, LogicalPlan, ScalarUDF, Volatility, WindowFunctionDefinition,
};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;

use super::conditions::asks_time;
use super::functions::window::{self, Call};
use super::functions::{EpochTime, Learner};
use super::generator;
use super::judged;
use super::once;
use super::resolve::State;
use super::statics;

/// Refuses every plan that is more than what a stream can do, naming the operator and the way out.
pub(super) fn streaming(plan: &LogicalPlan, state: State) -> Result<(), Error> {
    if statics::is_at_rest(plan) {
        return Err(statics::no_stream());
    }
    chains(plan, state)
}

/// The same of a part of a plan that reads a stream.
fn chains(plan: &LogicalPlan, state: State) -> Result<(), Error> {
    let keeps = state != State::Refused;
    let is_whole = state == State::Kept(Some(OutputMode::Complete));
    let inputs: Vec<&LogicalPlan> = match plan {
        LogicalPlan::Projection(projection) => vec![projection.input.as_ref()],
        LogicalPlan::Filter(filter) => vec![filter.input.as_ref()],
        LogicalPlan::SubqueryAlias(alias) => vec![alias.input.as_ref()],
        LogicalPlan::TableScan(_) => return Ok(()),
        LogicalPlan::Aggregate(aggregate) if keeps => vec![aggregate.input.as_ref()],
        LogicalPlan::Distinct(Distinct::All(input)) if keeps => vec![input.as_ref()],
        LogicalPlan::Union(union) => {
            if union.inputs.iter().any(|input| !statics::reads_stream(input)) {
                return Err(statics::beside_stream());
            }
            union.inputs.iter().map(AsRef::as_ref).collect()
        }
        LogicalPlan::Join(join) => match statics::stream_below(join)? {
            Some(stream) => vec![stream],
            None if keeps => vec![join.left.as_ref(), join.right.as_ref()],
            None => return Err(refusal(plan)),
        },
        LogicalPlan::Sort(sort) if is_whole => vec![sort.input.as_ref()],
        LogicalPlan::Limit(limit) if keeps => vec![limit.input.as_ref()],
        other => match (once::of(other), judged::of(other), generator::of(other)) {
            (Some(once), ..) if keeps => vec![&once.input],
            (_, Some(judged), _) if keeps => vec![&judged.input],
            (.., Some(generate)) => vec![&generate.input],
            _ => return Err(refusal(other)),
        },
    };
    expressions(plan).map_err(|error| super::core_error(&codes::SQL_PLAN, error))?;
    inputs.into_iter().try_for_each(|input| chains(input, state))
}

/// The expressions of one node. Windows and aggregate functions are an aggregation's own.
fn expressions(node: &LogicalPlan) -> DfResult<()> {
    let check = |expr: &Expr| -> DfResult<TreeNodeRecursion> {
        expr.apply(|expr| match expression(expr) {
            Ok(()) => Ok(TreeNodeRecursion::Continue),
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        })
    };
    let LogicalPlan::Aggregate(aggregate) = node else {
        return node.apply_expressions(check).map(|_| ());
    };
    for expr in aggregate.group_expr.iter().flat_map(of_sets) {
        match window::call(expr) {
            Some(Call::Window(ts, _)) => check(ts)?,
            Some(Call::Session(ts, gap)) => check(ts).and_then(|_| check(gap))?,
            _ => check(expr)?,
        };
    }
    for expr in &aggregate.aggr_expr {
        match expr.clone().unalias() {
            Expr::AggregateFunction(call) => {
                let by = call.params.order_by.iter().map(|by| &by.expr);
                for expr in call.params.args.iter().chain(call.params.filter.as_deref()).chain(by) {
                    check(expr)?;
                }
            }
            other => {
                check(&other)?;
            }
        }
    }
    Ok(())
}

/// What a group expression is made of.
fn of_sets(group: &Expr) -> Vec<&Expr> {
    match group {
        Expr::GroupingSet(sets) => sets.distinct_expr(),
        other => vec![other],
    }
}

/// What a stream cannot do yet: what it is called in SQL, and the way out.
pub(super) struct Refusal {
    what: &'static str,
    hint: &'static str,
}

const TABLE: &str = "Write the rows to a table and use it with `forebay query`.";

pub(super) const AGGREGATE: Refusal = Refusal { what: "an aggregate function", hint: TABLE };
pub(super) const DISTINCT_AGGREGATE: Refusal = Refusal {
    what: "DISTINCT inside of an aggregate function",
    hint: "As in Spark, it would have to remember every value. Use approx_count_distinct(…), or group by the value first.",
};
pub(super) const GROUP_MODIFIER: Refusal = Refusal {
    what: "what stands behind this GROUP BY",
    hint: "Possible are WITH ROLLUP, WITH CUBE and GROUPING SETS (…), one of them.",
};
pub(super) const GROUP_BY: Refusal = Refusal { what: "GROUP BY", hint: TABLE };
pub(super) const DISTINCT: Refusal = Refusal { what: "DISTINCT", hint: TABLE };
pub(super) const ORDER_BY: Refusal = Refusal {
    what: "ORDER BY",
    hint: "A stream has no end to sort at; leave ORDER BY out, or sort when you read the table.",
};
pub(super) const LIMIT: Refusal = Refusal { what: "LIMIT", hint: TABLE };
pub(super) const FETCH: Refusal = Refusal { what: "FETCH", hint: "Write LIMIT." };
pub(super) const OFFSET: Refusal = Refusal {
    what: "OFFSET",
    hint: "Spark refuses it too: which rows came first is gone with their epoch. Leave it out, or begin at later offsets of \
           the source.",
};
pub(super) const WINDOW: Refusal = Refusal { what: "a window function (OVER)", hint: TABLE };
pub(super) const JOIN: Refusal = Refusal { what: "a join", hint: TABLE };
pub(super) const DEDUPLICATE: Refusal = Refusal { what: "`deduplicate`", hint: TABLE };
pub(super) const SET_OPERATION: Refusal = Refusal {
    what: "EXCEPT or INTERSECT",
    hint: "Spark refuses both between two streams: what the other will never give is not known. Join them: LEFT SEMI JOIN keeps \
           rows that are in both, LEFT JOIN … WHERE the other side IS NULL those that are not; with a table at rest LEFT ANTI \
           JOIN keeps those.",
};
pub(super) const UNION: Refusal = Refusal {
    what: "UNION without ALL",
    hint: "Of equal rows it gives one, so it would have to remember all; what reads here, as an alert does, remembers none. Write \
           UNION ALL.",
};
pub(super) const UNNEST: Refusal = Refusal { what: "UNNEST", hint: "Write explode(…), as in Spark." };
pub(super) const SUBQUERY: Refusal = Refusal {
    what: "a subquery in an expression",
    hint: "Subqueries are possible in FROM; for IN, list the values.",
};

impl Refusal {
    /// As an error.
    pub fn error(&self) -> Error {
        let message = format!("{} over a stream is not supported yet", self.what);
        Error::new(&codes::NOT_STREAMING, message).with_hint(self.hint)
    }
}

/// What [`detector`] says.
pub(super) const DETECTOR: &str = "a detector remembers, and what reads it here may not";

/// The error for a detector where nothing may be remembered.
pub(super) fn detector() -> Error {
    Error::new(&codes::NOT_STREAMING, DETECTOR)
        .with_hint("Read it in a query or an alert. What the page follows remembers nothing: let it show the query's table.")
}

fn is_detector(call: &WindowFunction) -> bool {
    matches!(&call.fun, WindowFunctionDefinition::WindowUDF(it) if it.inner().downcast_ref::<Learner>().is_some())
}

/// The error for a detector that is called where rows cannot pass it.
pub(super) fn misplaced_detector(streaming: bool) -> Error {
    let message = "a detector that learns can stand in a SELECT list and in QUALIFY, not in WHERE, ON, an aggregate or another detector";
    let over = if streaming { "PARTITION BY device" } else { "PARTITION BY device ORDER BY at" };
    Error::new(&codes::SQL_PLAN, message).with_hint(format!(
        "Judge first: SELECT * FROM (SELECT *, z_score(heat) OVER ({over}) AS z FROM iot) WHERE z.is_anomaly."
    ))
}

/// Refuses detectors that are called where rows cannot pass them, and those that would judge by a clock. Other windows are none of its business.
pub(super) fn detectors_stand(plan: &LogicalPlan, streaming: bool) -> Result<(), Error> {
    let mut refused = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            let placed = matches!(node, LogicalPlan::Window(_));
            expr.apply(|part| {
                if let Expr::WindowFunction(call) = part
                    && is_detector(call)
                {
                    let args = &call.params;
                    if !placed {
                        refused = Some(misplaced_detector(streaming));
                    } else if args.args.iter().chain(&args.partition_by).any(asks_time) {
                        refused = Some(clock_in_detector());
                    }
                }
                Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    });
    match (refused, walked) {
        (Some(refused), _) => Err(refused),
        (None, Err(error)) => Err(super::core_error(&codes::SQL_PLAN, error)),
        (None, Ok(_)) => Ok(()),
    }
}

/// The error for `now()` among what a detector is given.
fn clock_in_detector() -> Error {
    Error::new(&codes::SQL_PLAN, "a detector does not judge by a clock").with_hint(
        "The same rows must get the same verdicts, however they are cut into epochs. Leave `now()` and its family out of its arguments and PARTITION BY; give it a time of the row.",
    )
}

/// The error for a function that a replay would give another value; `name` is what was written.
pub(super) fn not_repeatable(name: &str) -> Error {
    Error::new(&codes::NOT_STREAMING, format!("{name}() gives another value at every call")).with_hint(
        "An epoch that is replayed after a crash would give other rows than before. Use something of the record \
         instead, such as `_kafka.partition` and `_kafka.offset`.",
    )
}

/// True if a function gives another value at every call, other than by the epoch's time.
pub(super) fn is_volatile(function: &ScalarUDF) -> bool {
    function.signature().volatility == Volatility::Volatile
        && function.inner().downcast_ref::<EpochTime>().is_none()
}

fn refusal(plan: &LogicalPlan) -> Error {
    match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => AGGREGATE,
        LogicalPlan::Aggregate(_) => GROUP_BY,
        LogicalPlan::Distinct(_) => DISTINCT,
        LogicalPlan::Sort(_) => ORDER_BY,
        LogicalPlan::Limit(_) => LIMIT,
        LogicalPlan::Window(_) => WINDOW,
        LogicalPlan::Join(_) => JOIN,
        LogicalPlan::Unnest(_) => UNNEST,
        LogicalPlan::RecursiveQuery(_) => Refusal { what: "WITH RECURSIVE", hint: TABLE },
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
            return Error::new(&codes::NOT_STREAMING, "the query reads no source")
                .with_hint("Add FROM and the name of a source or view.");
        }
        _ => Refusal { what: "this operator", hint: TABLE },
    }
    .error()
}

fn expression(expr: &Expr) -> Result<(), Error> {
    match expr {
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
            Err(SUBQUERY.error())
        }
        Expr::AggregateFunction(_) => Err(AGGREGATE.error()),
        Expr::WindowFunction(call) if is_detector(call) => Err(misplaced_detector(true)),
        Expr::WindowFunction(_) => Err(WINDOW.error()),
        Expr::Unnest(_) => Err(UNNEST.error()),
        Expr::Placeholder(placeholder) => {
            Err(Error::new(&codes::SQL_PLAN, format!("the parameter {} has no value", placeholder.id)))
        }
        Expr::ScalarFunction(function) if is_volatile(&function.func) => {
            Err(not_repeatable(function.func.name()))
        }
        // Where it tumbles, each row has one window, which can be computed.
        _ => match window::call(expr) {
            Some(Call::Window(_, sliding)) if sliding.tumbles() => Ok(()),
            Some(Call::Window(..) | Call::Session(..)) => Err(Error::new(
                &codes::NOT_STREAMING,
                "a sliding window or a session stands outside of GROUP BY",
            )
            .with_hint("GROUP BY window(ts, '10 seconds', '5 seconds') makes groups of it; without groups only windows that tumble can be computed.")),
            _ => Ok(()),
        },
    }
}
