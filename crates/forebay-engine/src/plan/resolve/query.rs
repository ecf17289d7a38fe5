//! One query: what stands around its SELECTs, and each of these.

use datafusion::sql::sqlparser::ast::{OrderBy, Query, SetExpr, SetOperator, SetQuantifier, Spanned};
use forebay_core::Error;
use forebay_core::error::codes;

use super::scope::{Scope, Tables};
use super::{Planner, streaming};
use crate::plan::sql_error::SqlError;

impl Planner<'_> {
    /// Resolves a query in place.
    pub(super) fn query(&mut self, query: &mut Query, outer: Option<&Scope<'_>>) -> Result<(), SqlError> {
        let odd = [
            (!query.locks.is_empty(), "FOR UPDATE"),
            (query.for_clause.is_some(), "FOR XML/JSON"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
            (!query.pipe_operators.is_empty(), "|>"),
        ];
        if let Some((_, what)) = odd.iter().find(|(there, _)| *there) {
            return Err(Error::new(&codes::NOT_YET, format!("{what} is not supported")).into());
        }
        if let Some(deadline) = self.deadline {
            deadline.check()?;
        }
        if self.streaming {
            streaming::query(query, self)?;
        }
        let outer_ctes = self.ctes.len();
        if let Some(with) = query.with.take() {
            if with.recursive {
                return Err(Error::new(&codes::NOT_YET, "WITH RECURSIVE is not supported").into());
            }
            for cte in with.cte_tables {
                let index = self.aside(cte.query)?;
                let columns = cte.alias.columns.into_iter().map(|column| column.name).collect();
                self.ctes.push((cte.alias.name.value, index, columns));
            }
        }
        let mut order_by = query.order_by.take();
        let resolved = self.set_expr(&mut query.body, outer, order_by.as_mut());
        query.order_by = order_by;
        self.ctes.truncate(outer_ctes);
        resolved
    }

    pub(super) fn set_expr(
        &mut self,
        body: &mut SetExpr,
        outer: Option<&Scope<'_>>,
        order_by: Option<&mut OrderBy>,
    ) -> Result<(), SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select, outer, order_by),
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::SetOperation { op, set_quantifier, left, right } if self.streaming => {
                let is_once = streaming::set_operation(*op, *set_quantifier, right, self.state)?;
                self.union(left, right, outer, is_once)
            }
            SetExpr::SetOperation { op, set_quantifier: SetQuantifier::All, right, .. }
                if *op != SetOperator::Union =>
            {
                Err(SqlError::spanned(streaming::counted_rows(*op), right.span()))
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.set_expr(left, outer, None)?;
                self.later(|planner| planner.set_expr(right, outer, None))
            }
            SetExpr::Values(values) => {
                let scope = Scope { tables: Tables::default(), parent: outer };
                for expr in values.rows.iter_mut().flat_map(|row| row.content.iter_mut()) {
                    self.expr(expr, &scope)?;
                }
                Ok(())
            }
            SetExpr::Table(_) => Err(Error::new(&codes::NOT_YET, "TABLE is not supported here")
                .with_hint("Write SELECT * FROM the table.")
                .into()),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(Error::new(&codes::SQL_PLAN, "a query cannot write").with_hint("Write a SELECT.").into())
            }
        }
    }
}
