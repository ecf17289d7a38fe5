//! JOIN: its condition, and what is in scope behind it.
//!
//! `USING` and `NATURAL` become a condition, and of each pair of columns one is left, as in Spark: of an inner or left join the
//! left one, of a right join the right one, of a full join the one that is not NULL. These come first in `*`, then what
//! is left of the left side and of the right one.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, Spans};
use datafusion::logical_expr::{self, LogicalPlan};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator};
use forebay_core::Error;
use forebay_core::error::codes;

use super::expr::columns_expr;
use super::from::cannot_read;
use super::scope::{Given, Scope, Tables, unknown};
use super::{Planner, last_part};
use crate::plan::sql_error::SqlError;

/// Which rows a join gives, as far as names go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gives {
    /// Both sides, of which the left one is always there.
    Left,
    /// Both sides, of which the right one is always there.
    Right,
    /// Both sides, of which either may be missing.
    Both,
    /// The left side alone.
    LeftOnly,
    /// The right side alone.
    RightOnly,
}

impl Planner<'_> {
    /// Resolves the condition of a join; gives what is in scope behind it.
    pub(super) fn join(
        &mut self,
        operator: &mut JoinOperator,
        left: Tables,
        right: Tables,
        outer: Option<&Scope<'_>>,
    ) -> Result<Tables, SqlError> {
        let (gives, constraint) = parts(operator)?;
        let mut pairs = Vec::new();
        match constraint {
            JoinConstraint::On(condition) => {
                let mut tables = left.clone();
                tables.extend(right.clone());
                self.expr(condition, &Scope { tables, parent: outer })?;
            }
            JoinConstraint::Using(names) => {
                for name in names.iter() {
                    let Some(ident) = last_part(name) else { continue };
                    pairs.push((found(&left, ident)?, found(&right, ident)?, ident.clone()));
                }
            }
            JoinConstraint::Natural => {
                for given in left.given.iter().filter(|given| !given.hidden) {
                    let ident = Ident::new(given.name.clone());
                    if let Some(other) = right.named(&ident)?.filter(|other| !other.hidden) {
                        pairs.push((found(&left, &ident)?, other, ident));
                    }
                }
            }
            JoinConstraint::None => {}
        }
        let equal = pairs.iter().map(|(left, right, like)| Expr::BinaryOp {
            left: Box::new(columns_expr(&left.of, like)),
            op: BinaryOperator::Eq,
            right: Box::new(columns_expr(&right.of, like)),
        });
        let and = |left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        };
        match equal.reduce(and) {
            Some(condition) => *constraint = JoinConstraint::On(condition),
            None if matches!(constraint, JoinConstraint::Natural) => *constraint = JoinConstraint::None,
            None => {}
        }
        let one = |(left, right, _): &(&Given, &Given, Ident)| match gives {
            Gives::Right | Gives::RightOnly => (*right).clone(),
            Gives::Both => Given { of: [&left.of[..], &right.of[..]].concat(), ..(*left).clone() },
            Gives::Left | Gives::LeftOnly => (*left).clone(),
        };
        let is_paired = |given: &Given| pairs.iter().any(|(l, r, _)| l.of == given.of || r.of == given.of);
        let sides = match gives {
            Gives::LeftOnly => vec![&left],
            Gives::RightOnly => vec![&right],
            _ => vec![&left, &right],
        };
        let rest = sides.iter().flat_map(|side| &side.given).filter(|given| !is_paired(given)).cloned();
        let given = pairs.iter().map(one).chain(rest).collect();
        let relations = sides.into_iter().flat_map(|side| side.relations.clone()).collect();
        Ok(Tables { given, relations, streams: left.streams + right.streams })
    }
}

/// A view's plan without the places of what its joins compare: those are in the view's text, and whoever builds the plan
/// looks at another.
pub(super) fn without_places(plan: LogicalPlan) -> Result<LogicalPlan> {
    let without = plan.transform_up(|node| match node {
        LogicalPlan::Join(join) => LogicalPlan::Join(join).map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                logical_expr::Expr::Column(mut column) => {
                    column.spans = Spans::new();
                    Ok(Transformed::yes(logical_expr::Expr::Column(column)))
                }
                other => Ok(Transformed::no(other)),
            })
        }),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(without.data)
}

/// The column of one side that USING names.
fn found<'t>(side: &'t Tables, name: &Ident) -> Result<&'t Given, SqlError> {
    match side.named(name)? {
        Some(given) => Ok(given),
        None => {
            let known: Vec<&str> =
                side.given.iter().filter(|given| !given.hidden).map(|given| given.name.as_str()).collect();
            Err(unknown("column", name, &known))
        }
    }
}

/// What a join gives, and its constraint. SEMI and ANTI become what they are short for.
fn parts(operator: &mut JoinOperator) -> Result<(Gives, &mut JoinConstraint), SqlError> {
    if let JoinOperator::Semi(constraint) = operator {
        *operator = JoinOperator::LeftSemi(std::mem::replace(constraint, JoinConstraint::None));
    } else if let JoinOperator::Anti(constraint) = operator {
        *operator = JoinOperator::LeftAnti(std::mem::replace(constraint, JoinConstraint::None));
    }
    Ok(match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => (Gives::Left, constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (Gives::Right, constraint),
        JoinOperator::FullOuter(constraint) => (Gives::Both, constraint),
        JoinOperator::LeftSemi(constraint) | JoinOperator::LeftAnti(constraint) => {
            (Gives::LeftOnly, constraint)
        }
        JoinOperator::RightSemi(constraint) | JoinOperator::RightAnti(constraint) => {
            (Gives::RightOnly, constraint)
        }
        JoinOperator::AsOf { .. } => {
            return Err(Error::new(&codes::NOT_YET, "ASOF JOIN is not supported")
                .with_hint("Write JOIN … ON with a range of times.")
                .into());
        }
        _ => return Err(cannot_read("this kind of join")),
    })
}
