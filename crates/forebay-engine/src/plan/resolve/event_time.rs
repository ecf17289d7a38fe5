//! The event time of a source, where it is an expression: the hidden column [`EVENT_TIME_COLUMN`].
//!
//! The source is read through a SELECT of all its columns and that one. `*` leaves it out; subqueries and views that
//! make no groups hand it on, so that whoever reads them can name it too.

use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Spanned, Statement};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::window::Interval;

use super::scope::{Relation, Scope, Tables};
use super::{Planner, SOURCE, Weight, calls, quoted, windows};
use crate::plan::catalog::{EVENT_TIME_COLUMN, SourceTime};
use crate::plan::parse::{self, Paths};
use crate::plan::provider::{PlannedTable, table_name};
use crate::plan::sql_error::SqlError;
use crate::plan::watermark::WATERMARK;

impl Planner<'_> {
    /// What `WATERMARK column DELAY OF INTERVAL …` behind a name says; other hints are left alone.
    pub(super) fn watermark_clause(&mut self, hints: &mut Vec<Expr>) -> Result<Option<SourceTime>, SqlError> {
        let [Expr::Function(function)] = hints.as_slice() else { return Ok(None) };
        if function.name.to_string() != WATERMARK {
            return Ok(None);
        }
        let span = function.name.span();
        let wrong = |error: Error| SqlError::spanned(error, span);
        let usage = || {
            let hint = "Write FROM iot WATERMARK at DELAY OF INTERVAL 10 SECONDS.";
            wrong(Error::new(&codes::SQL_SYNTAX, "WATERMARK needs one time and one delay").with_hint(hint))
        };
        if self.refuses_state() || !self.streaming {
            let error =
                Error::new(&codes::NOT_STREAMING, "WATERMARK is possible in a query over a stream only");
            return Err(wrong(error));
        }
        let args = calls::positional(function).ok_or_else(usage)?;
        let [column, delay] = args.as_slice() else { return Err(usage()) };
        let text = windows::duration(delay).ok_or_else(usage)?;
        let delay_us = Interval::parse(&text).and_then(|delay| delay.fixed_micros(&text)).map_err(wrong)?;
        if delay_us < 0 {
            return Err(wrong(Error::new(&codes::SQL_PLAN, "the delay of a watermark is below zero")));
        }
        let time = SourceTime { column: column.to_string(), delay_ms: delay_us / 1_000 };
        hints.clear();
        Ok(Some(time))
    }

    /// A table with one more column, its event time. `sql` is over its columns.
    pub(super) fn with_event_time(&mut self, index: usize, sql: &str) -> Result<usize, SqlError> {
        let outer = std::mem::take(&mut self.depth);
        let planned = self
            .event_time(index, sql)
            .map_err(|error| SqlError::from(error.error.at("the watermark of the source")))?;
        let depth = std::mem::replace(&mut self.depth, outer);
        let hidden = self.carried(index).into_iter().chain([EVENT_TIME_COLUMN]).collect();
        let index = self.add_table(std::sync::Arc::new(planned), Weight { depth, ..SOURCE });
        self.hide(index, hidden);
        Ok(index)
    }

    fn event_time(&mut self, index: usize, sql: &str) -> Result<PlannedTable, SqlError> {
        let one = || {
            Error::new(&codes::SQL_PLAN, format!("`{sql}` is not one expression")).with_hint(
                "Name a column of the source, or compute a time of them, as in timestamp_seconds(timestamp).",
            )
        };
        let table = table_name(index);
        let Statement::Query(mut query) =
            parse::one_statement(&format!("SELECT {sql} FROM `{table}`"), Paths::No)?
        else {
            return Err(one().into());
        };
        let SetExpr::Select(select) = query.body.as_mut() else { return Err(one().into()) };
        let (Some(SelectItem::UnnamedExpr(mut expr)), true) =
            (select.projection.pop(), select.projection.is_empty())
        else {
            return Err(one().into());
        };
        let columns = self.columns(index, &[]);
        let like = Ident::new("");
        let all = columns.iter().map(|column| {
            let parts = vec![quoted(table.clone(), &like), quoted(column.name.clone(), &like)];
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts))
        });
        select.projection = all.collect();
        let tables = Tables::one(Relation { qualifier: table.clone(), columns, is_at_rest: false });
        self.expr(&mut expr, &Scope { tables, parent: None })?;
        select.projection.push(SelectItem::ExprWithAlias { expr, alias: quoted(EVENT_TIME_COLUMN, &like) });
        Ok(PlannedTable::new(self.to_plan(query)?))
    }
}
