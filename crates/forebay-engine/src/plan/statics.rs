//! Tables at rest in a plan: which parts of it are read with them, and which joins of a stream with them are possible.
//!
//! A part of a plan whose leaves are all tables at rest is computed when they are read, by whatever batch operators it
//! takes. A join of such a part with a stream remembers nothing, so it is no operator but a stage among filters and
//! projections ([`crate::lookup`]).

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, TableSource};
use forebay_core::Error;
use forebay_core::error::codes;

use super::functions::EpochTime;
use super::functions::window::{self, Call};
use super::{judged, once, verify};
use crate::lookup::Kind;

/// A table at rest, as plans name it.
pub(crate) struct AtRest {
    pub name: String,
    pub schema: SchemaRef,
}

impl TableSource for AtRest {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// True if a plan reads tables at rest and nothing else.
pub(super) fn is_at_rest(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => scan.source.is::<AtRest>(),
        other => {
            let inputs = other.inputs();
            !inputs.is_empty() && inputs.into_iter().all(is_at_rest)
        }
    }
}

/// True if a plan reads a stream.
pub(super) fn reads_stream(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => !scan.source.is::<AtRest>(),
        other => other.inputs().into_iter().any(reads_stream),
    }
}

/// True if reading this table reads tables at rest and nothing else.
pub(super) fn source_is_at_rest(source: &dyn TableSource) -> bool {
    source.is::<AtRest>() || source.get_logical_plan().is_some_and(|plan| is_at_rest(&plan))
}

/// The two sides of a join of a stream with tables at rest.
pub(super) struct Sides<'p> {
    pub stream: &'p Arc<LogicalPlan>,
    pub at_rest: &'p Arc<LogicalPlan>,
    pub stream_is_left: bool,
}

/// The sides of a join, if exactly one of them is at rest.
pub(super) fn sides(join: &Join) -> Option<Sides<'_>> {
    match (is_at_rest(&join.left), is_at_rest(&join.right)) {
        (false, true) => Some(Sides { stream: &join.left, at_rest: &join.right, stream_is_left: true }),
        (true, false) => Some(Sides { stream: &join.right, at_rest: &join.left, stream_is_left: false }),
        _ => None,
    }
}

/// What such a join does with the stream's rows; `None` where Spark refuses it.
pub(super) fn kind(join_type: JoinType, stream_is_left: bool) -> Option<Kind> {
    match (join_type, stream_is_left) {
        (JoinType::Inner, _) => Some(Kind::Inner),
        (JoinType::Left, true) | (JoinType::Right, false) => Some(Kind::Outer),
        (JoinType::LeftSemi, true) | (JoinType::RightSemi, false) => Some(Kind::Semi),
        (JoinType::LeftAnti, true) | (JoinType::RightAnti, false) => Some(Kind::Anti),
        _ => None,
    }
}

/// The stream below a join of it with tables at rest; `None` of a join of two streams. Refuses what Spark refuses, and
/// what a table would not give again when it is read again, or what only a stream has.
pub(super) fn stream_below(join: &Join) -> Result<Option<&LogicalPlan>, Error> {
    let Some(sides) = sides(join) else { return Ok(None) };
    if kind(join.join_type, sides.stream_is_left).is_none() {
        return Err(refused(join.join_type, sides.stream_is_left));
    }
    let mut wrong = None;
    // The closures cannot fail.
    let _ = sides.at_rest.apply(|node| {
        if judged::of(node).is_some() {
            wrong = wrong.take().or_else(|| Some(of_streams("a detector", "Read it over a stream.")));
        }
        if once::of(node).is_some() {
            wrong = wrong
                .take()
                .or_else(|| Some(of_streams("`deduplicate`", "Write SELECT DISTINCT, or GROUP BY the key.")));
        }
        if matches!(node, LogicalPlan::Union(_)) {
            wrong = wrong.take().or_else(|| Some(union_at_rest()));
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                wrong = wrong.take().or_else(|| windows(expr)).or_else(|| unrepeatable(expr));
                Ok(if wrong.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    });
    wrong.map_or(Ok(Some(sides.stream)), Err)
}

/// The same of a plan that was looked at before.
pub(super) fn stream_of(join: &Join) -> Option<&LogicalPlan> {
    sides(join).map(|sides| sides.stream.as_ref())
}

/// A join whose stream is another plan of the same columns.
pub(super) fn with_stream(join: &Join, stream: LogicalPlan) -> Join {
    let mut join = join.clone();
    match sides(&join).is_some_and(|sides| sides.stream_is_left) {
        true => join.left = Arc::new(stream),
        false => join.right = Arc::new(stream),
    }
    join
}

/// Windows that only the rows of a stream are given.
fn windows(expr: &Expr) -> Option<Error> {
    let is_one = match window::call(expr)? {
        Call::Window(_, sliding) => !sliding.tumbles(),
        Call::Session(..) => true,
        Call::Calendar(_) | Call::Time(_) => false,
    };
    is_one.then(|| {
        of_streams("a sliding window or a session", "Over a table windows tumble: window(ts, '10 minutes').")
    })
}

fn of_streams(what: &str, hint: &str) -> Error {
    let message = format!("{what} stands in a part of the query that is read with its tables");
    Error::new(&codes::NOT_STREAMING, message).with_hint(hint)
}

fn unrepeatable(expr: &Expr) -> Option<Error> {
    let Expr::ScalarFunction(call) = expr else { return None };
    if verify::is_volatile(&call.func) {
        return Some(verify::not_repeatable(call.func.name()));
    }
    call.func.inner().downcast_ref::<EpochTime>()?;
    let message =
        format!("{}() stands in a part of the query that is read with its tables", call.func.name());
    Some(Error::new(&codes::NOT_STREAMING, message).with_hint(
        "A table is read when it changes, not in every epoch. Compare with the time where the table is joined: in ON or WHERE.",
    ))
}

/// Spark's refusals, with its reason.
fn refused(join_type: JoinType, stream_is_left: bool) -> Error {
    let side = |left: bool| if left { "left" } else { "right" };
    let (stream, table) = (side(stream_is_left), side(!stream_is_left));
    let words = match join_type {
        JoinType::Full => "FULL OUTER JOIN",
        JoinType::Left => "LEFT OUTER JOIN",
        JoinType::Right => "RIGHT OUTER JOIN",
        JoinType::LeftSemi | JoinType::RightSemi => "SEMI JOIN",
        JoinType::LeftAnti | JoinType::RightAnti => "ANTI JOIN",
        _ => "this join",
    };
    let message =
        format!("{words} is not possible with the stream on the {stream} and the table on the {table}");
    Error::new(&codes::NOT_STREAMING, message).with_hint(
        "Spark refuses it too: that a row of the table stays alone is known only when the stream has ended. Keep the rows of \
         the stream: `stream LEFT JOIN table`, or `table RIGHT JOIN stream`.",
    )
}

/// Its parts would be read side by side, so that rows came in another order each time.
fn union_at_rest() -> Error {
    Error::new(&codes::NOT_STREAMING, "UNION of tables that a stream is joined with is not supported yet")
        .with_hint("Join the stream with each of them, and unite the results; or make one table of them.")
}

/// The error for a union of a stream with what is none.
pub(super) fn beside_stream() -> Error {
    Error::new(&codes::NOT_STREAMING, "UNION of a stream with something that is no stream is not possible").with_hint(
        "Spark refuses it too: the rows of the table would come once, or with every epoch. Write its rows to a topic, or unite \
         both when the table is read.",
    )
}

/// The error for a query without a stream.
pub(super) fn no_stream() -> Error {
    Error::new(&codes::NOT_STREAMING, "the query reads tables at rest and no source")
        .with_hint("Join a table with a source. Tables alone can be asked with `forebay query`.")
}
