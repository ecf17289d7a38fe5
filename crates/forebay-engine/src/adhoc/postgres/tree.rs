//! What PostgreSQL writes otherwise than DataFusion reads, put right in the tree.
//!
//! * `a ~ 'x'` becomes `regexp_like(a, 'x')`, whose work the budget knows; an operator's would be nobody's.
//! * `t AT TIME ZONE 'z'` becomes `timezone('z', t)`: an instant becomes what clocks show there and the other way round,
//!   where DataFusion would only write another zone on the same instant.
//! * `mod(a, b)` becomes `a % b`.
//! * `LIKE … ESCAPE '!'` has a backslash in the place of the `!`.
//! * `FROM generate_series(…) AS d` names the column too.
//! * `U&'…'` and `N'…'` are texts like others.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Ident, ObjectName, Select, SelectItem, Statement, TableAliasColumnDef, TableFactor, UnaryOperator, Value,
    VisitMut, VisitorMut,
};
use forebay_core::Error;
use forebay_core::error::codes;

use crate::plan::SqlError;

use super::quantified::counted;
use super::zone::TIMEZONE;

/// The statement as DataFusion reads it.
pub(super) fn rewritten(statement: &mut Statement) -> Result<(), SqlError> {
    match statement.visit(&mut Rewrite) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error.into()),
    }
}

struct Rewrite;

impl VisitorMut for Rewrite {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        // Of the catalogue's; those of other tables were written otherwise before.
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                && let Expr::Exists { subquery, negated } = expr
                && let Some(counted) = counted(subquery, *negated)
            {
                *expr = counted;
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::Table { name, args: Some(_), alias: Some(alias), with_ordinality: false, .. } =
            table
            && alias.columns.is_empty()
            && name.to_string().eq_ignore_ascii_case("generate_series")
        {
            alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let made = match expr {
            Expr::BinaryOp { left, op, right } => {
                let (is_not, is_insensitive) = match op {
                    BinaryOperator::PGRegexMatch => (false, false),
                    BinaryOperator::PGRegexIMatch => (false, true),
                    BinaryOperator::PGRegexNotMatch => (true, false),
                    BinaryOperator::PGRegexNotIMatch => (true, true),
                    _ => return ControlFlow::Continue(()),
                };
                let mut args = vec![left.as_ref().clone(), right.as_ref().clone()];
                if is_insensitive {
                    args.push(text("i"));
                }
                let matched = call("regexp_like", args);
                if is_not {
                    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(matched) }
                } else {
                    matched
                }
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                call(TIMEZONE, vec![time_zone.as_ref().clone(), timestamp.as_ref().clone()])
            }
            Expr::Value(value) => {
                let (Value::UnicodeStringLiteral(letters) | Value::NationalStringLiteral(letters)) =
                    &value.value
                else {
                    return ControlFlow::Continue(());
                };
                text(letters)
            }
            Expr::Function(Function { name, args: FunctionArguments::List(list), .. })
                if name.to_string().eq_ignore_ascii_case("mod") =>
            {
                let [
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(left)),
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(right)),
                ] = list.args.as_slice()
                else {
                    return ControlFlow::Continue(());
                };
                let nested = |expr: &Expr| Box::new(Expr::Nested(Box::new(expr.clone())));
                Expr::Nested(Box::new(Expr::BinaryOp {
                    left: nested(left),
                    op: BinaryOperator::Modulo,
                    right: nested(right),
                }))
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if let Some(Value::SingleQuotedString(escape)) =
                    escape_char.as_ref().map(|escape| &escape.value)
                    && let Expr::Value(written) = pattern.as_mut()
                    && let Value::SingleQuotedString(text) = &written.value
                    && let Some(made) = by_backslash(text, escape)
                {
                    written.value = Value::SingleQuotedString(made);
                    *escape_char = None;
                }
                return ControlFlow::Continue(());
            }
            Expr::SimilarTo { .. } => {
                let error = Error::new(&codes::NOT_YET, "SIMILAR TO is not supported yet");
                return ControlFlow::Break(error.with_hint("Write LIKE, or a regular expression: a ~ '…'."));
            }
            _ => return ControlFlow::Continue(()),
        };
        *expr = made;
        ControlFlow::Continue(())
    }
}

/// A pattern of LIKE whose letters are escaped by a backslash; `None` where it cannot be told.
fn by_backslash(pattern: &str, escape: &str) -> Option<String> {
    let mut escapes = escape.chars();
    let (escape, None) = (escapes.next(), escapes.next()) else { return None };
    let (mut made, mut letters) = (String::with_capacity(pattern.len()), pattern.chars());
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == escape => {
                made.push('\\');
                made.push(letters.next()?);
            }
            '\\' => made.push_str("\\\\"),
            letter => made.push(letter),
        }
    }
    Some(made)
}

/// A text in quotes.
pub(super) fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).with_empty_span())
}

/// A call of a function.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        args: FunctionArguments::List(FunctionArgumentList {
            args,
            duplicate_treatment: None,
            clauses: Vec::new(),
        }),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
