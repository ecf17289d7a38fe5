//! Is this plan a stream? Only a chain of projections and filters over one source is, until the stateful operators
//! exist: running anything else once per epoch would give answers that look right and are not.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use forebay_core::Error;
use forebay_core::error::codes;

use super::functions::EpochTime;

/// Refuses every plan that is not a linear chain, naming the operator and the way out.
pub(super) fn streaming(plan: &LogicalPlan) -> Result<(), Error> {
    let mut node = plan;
    loop {
        let input = match node {
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::Filter(filter) => &filter.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::TableScan(_) => return Ok(()),
            other => return Err(refusal(other)),
        };
        node.apply_expressions(|expr| {
            expr.apply(|expr| match expression(expr) {
                Ok(()) => Ok(TreeNodeRecursion::Continue),
                Err(error) => Err(datafusion::common::DataFusionError::External(Box::new(error))),
            })
        })
        .map_err(|error| super::core_error(&codes::SQL_PLAN, error))?;
        node = input;
    }
}

fn refusal(plan: &LogicalPlan) -> Error {
    let table = "Write the rows to a table and use it with `forebay query`.";
    let (what, hint) = match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
            ("an aggregate function", table)
        }
        LogicalPlan::Aggregate(_) => ("GROUP BY", table),
        LogicalPlan::Distinct(_) => ("DISTINCT", table),
        LogicalPlan::Sort(_) => (
            "ORDER BY",
            "A stream has no end to sort at; leave ORDER BY out, or sort when you read the table.",
        ),
        LogicalPlan::Limit(_) => (
            "LIMIT or OFFSET",
            "A stream has no end to count to; leave it out, or bound the source's offsets.",
        ),
        LogicalPlan::Window(_) => ("a window function (OVER)", table),
        LogicalPlan::Join(_) => ("a join", table),
        LogicalPlan::Union(_) => ("UNION", "Make one query for each part; they may write to the same table."),
        LogicalPlan::Unnest(_) => ("UNNEST or explode", table),
        LogicalPlan::RecursiveQuery(_) => ("WITH RECURSIVE", table),
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
            return Error::new(&codes::NOT_STREAMING, "the query reads no source")
                .with_hint("Add FROM and the name of a source or view.");
        }
        _ => ("this operator", table),
    };
    Error::new(&codes::NOT_STREAMING, format!("{what} over a stream is not supported yet")).with_hint(hint)
}

fn expression(expr: &Expr) -> Result<(), Error> {
    match expr {
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
            Err(Error::new(&codes::NOT_STREAMING, "a subquery in an expression over a stream is not supported yet")
                .with_hint("Subqueries are possible in FROM; for IN, list the values."))
        }
        Expr::AggregateFunction(_) => {
            Err(Error::new(&codes::NOT_STREAMING, "an aggregate function over a stream is not supported yet"))
        }
        Expr::WindowFunction(_) => {
            Err(Error::new(&codes::NOT_STREAMING, "a window function (OVER) over a stream is not supported yet"))
        }
        Expr::Unnest(_) => Err(Error::new(&codes::NOT_STREAMING, "UNNEST over a stream is not supported yet")),
        Expr::Placeholder(placeholder) => {
            Err(Error::new(&codes::SQL_PLAN, format!("the parameter {} has no value", placeholder.id)))
        }
        Expr::ScalarFunction(function)
            if function.func.signature().volatility == Volatility::Volatile
                && function.func.inner().downcast_ref::<EpochTime>().is_none() =>
        {
            Err(Error::new(
                &codes::NOT_STREAMING,
                format!("{}() gives another value at every call", function.func.name()),
            )
            .with_hint(
                "An epoch that is replayed after a crash would give other rows than before. Use something of the \
                 record instead, such as `_kafka.partition` and `_kafka.offset`.",
            ))
        }
        _ => Ok(()),
    }
}
