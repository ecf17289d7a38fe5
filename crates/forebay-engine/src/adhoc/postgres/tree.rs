//! What PostgreSQL writes otherwise than DataFusion reads, put right in the tree.
//!
//! * `a ~ 'x'` becomes `regexp_like(a, 'x')`, whose work the budget knows; an operator's would be nobody's.
//! * `t AT TIME ZONE 'z'` becomes `timezone('z', t)`: an instant becomes what clocks show there and the other way round,
//!   where DataFusion would only write another zone on the same instant.
//! * `SELECT EXISTS (…)` becomes the count of what is there: DataFusion has EXISTS in conditions alone.
//! * `mod(a, b)` becomes `a % b`.
//! * `U&'…'` and `N'…'` are texts like others.
//! * `'\\x0102'::bytea` becomes the two bytes; a cast would give those of the text.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    UnaryOperator, Value, VisitMut, VisitorMut,
};
use forebay_core::Error;
use forebay_core::error::codes;

use crate::plan::SqlError;

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
            Expr::Cast { expr: inner, data_type: DataType::Bytea, .. } => {
                let Expr::Value(value) = inner.as_ref() else { return ControlFlow::Continue(()) };
                match &value.value {
                    Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                        let Some(digits) = text.strip_prefix("\\x") else { return ControlFlow::Continue(()) };
                        Expr::Value(Value::HexStringLiteral(digits.to_owned()).with_empty_span())
                    }
                    _ => return ControlFlow::Continue(()),
                }
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

/// Whether a query has rows, as a number is compared.
fn counted(query: &Query, negated: bool) -> Option<Expr> {
    let sign = if negated { "=" } else { ">" };
    // The tree of a statement that is known; the query takes the place of the one in it.
    let tokens =
        super::text::split(&format!("SELECT (SELECT count(*) {sign} 0 FROM (SELECT 1) AS forebay_exists)"));
    let Statement::Query(mut outer) = tokens.ok()?.first()?.parse().ok()? else { return None };
    let SetExpr::Select(select) = outer.body.as_mut() else { return None };
    let Some(SelectItem::UnnamedExpr(Expr::Subquery(made))) = select.projection.first_mut() else {
        return None;
    };
    let SetExpr::Select(inner) = made.body.as_mut() else { return None };
    match &mut inner.from.first_mut()?.relation {
        TableFactor::Derived { subquery, .. } => **subquery = query.clone(),
        _ => return None,
    }
    Some(Expr::Subquery(made.clone()))
}

fn text(text: &str) -> Expr {
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
