//! Casts and functions that mean something else to DataFusion than to PostgreSQL, put into calls of our own in the tree.
//! Only what a statement itself says: a view of the pipeline keeps Spark's casts and functions.
//!
//! What must stay true: a cast of ours tells the type of a parameter as DataFusion's does ([`super::parameters`]), and what
//! describes the pipeline's tables is asked as DataFusion means it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, CharacterLength, DataType, ExactNumberInfo, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArguments, LimitClause, Query, SetExpr, SetOperator, SetQuantifier,
    Statement, TimezoneInfo, UnaryOperator, Value, VisitMut, VisitorMut,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::lengths;
use super::tree::{call, text};
use crate::plan::functions::KEPT;
use crate::plan::resolve::counted_rows;

/// The statement with calls of ours.
pub(super) fn rewritten(statement: &mut Statement) -> Result<(), Error> {
    match statement.visit(&mut Spelled) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Spelled;

impl VisitorMut for Spelled {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        if let Some(op) = counts_rows(&query.body) {
            return ControlFlow::Break(counted_rows(op));
        }
        let Some(fetch) = query.fetch.take() else { return ControlFlow::Continue(()) };
        if fetch.with_ties || fetch.percent {
            let error = Error::new(&codes::NOT_YET, "FETCH FIRST … WITH TIES is not supported yet");
            return ControlFlow::Break(error.with_hint("Write LIMIT, or rank() in a subquery."));
        }
        let most = fetch.quantity.unwrap_or_else(|| number("1"));
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(most),
            clause @ None => {
                *clause =
                    Some(LimitClause::LimitOffset { limit: Some(most), offset: None, limit_by: Vec::new() });
            }
            _ => {
                let error = Error::new(&codes::SQL_SYNTAX, "multiple LIMIT clauses not allowed");
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let made = match expr {
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, .. } => cast_as_here(expr),
            Expr::TypedString(typed) => match typed.value.value.clone().into_string() {
                Some(value) => cast(&text(&value), &typed.data_type)
                    .or_else(|| precise(Expr::TypedString(typed.clone()), &typed.data_type)),
                None => None,
            },
            Expr::Interval(interval) => match lengths::written(interval) {
                Ok(made) => made.map(Expr::Interval),
                Err(error) => return ControlFlow::Break(error),
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } if !is_constant(inner) => {
                Some(call("__negate", vec![inner.as_ref().clone()]))
            }
            Expr::Extract { field, expr: inner, .. } => {
                let field = field.to_string().trim_matches('\'').to_lowercase();
                Some(call("__extract", vec![text(&field), inner.as_ref().clone()]))
            }
            Expr::Floor { expr: inner, field: CeilFloorKind::DateTimeField(_) } => {
                Some(call("__floor", vec![inner.as_ref().clone()]))
            }
            Expr::Ceil { expr: inner, field: CeilFloorKind::DateTimeField(_) } => {
                Some(call("__ceil", vec![inner.as_ref().clone()]))
            }
            Expr::BinaryOp { left, op, right } => match (left.as_ref(), right.as_ref()) {
                (Expr::Tuple(left), Expr::Tuple(right)) => match rows(left, op, right) {
                    Ok(made) => Some(made),
                    Err(error) => return ControlFlow::Break(error),
                },
                (left, right) if *op == BinaryOperator::PGExp => {
                    Some(call("__power", vec![left.clone(), right.clone()]))
                }
                _ => None,
            },
            Expr::Function(function) => called(function),
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) if is_far(digits) => Some(call("__float8", vec![text(digits)])),
                _ => None,
            },
            _ => None,
        };
        if let Some(made) = made {
            *expr = made;
        }
        ControlFlow::Continue(())
    }
}

/// The INTERSECT ALL or EXCEPT ALL among these.
fn counts_rows(body: &SetExpr) -> Option<SetOperator> {
    match body {
        SetExpr::SetOperation { op, set_quantifier: SetQuantifier::All, .. } if *op != SetOperator::Union => {
            Some(*op)
        }
        SetExpr::SetOperation { left, right, .. } => counts_rows(left).or_else(|| counts_rows(right)),
        _ => None,
    }
}

pub(super) fn number(digits: &str) -> Expr {
    Expr::Value(Value::Number(digits.to_owned(), false).with_empty_span())
}

/// A number of more digits than a NUMERIC has here: it is read as a double.
fn is_far(digits: &str) -> bool {
    let exponent = digits.split_once(['e', 'E']).and_then(|(_, exponent)| exponent.parse::<i32>().ok());
    exponent.is_some_and(|exponent| exponent.unsigned_abs() > FAR)
}

/// Digits of an exponent beside which a NUMERIC has room for those of the number.
const FAR: u32 = 20;

/// A number that is written down, or a parameter: its sign is its own.
fn is_constant(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..) | Value::Placeholder(_)))
}

/// The function that casts to a type as PostgreSQL does, where DataFusion does not.
fn target(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::SmallInt(_) | DataType::Int2(_) => "__int2",
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "__int4",
        DataType::BigInt(_) | DataType::Int8(_) => "__int8",
        DataType::DoublePrecision | DataType::Float8 | DataType::Double(ExactNumberInfo::None) => "__float8",
        DataType::Real | DataType::Float4 | DataType::Float(ExactNumberInfo::Precision(1..=24)) => "__float4",
        DataType::Float(_) => "__float8",
        DataType::Bytea => "__bytea",
        DataType::Interval { .. } => "__to_interval",
        DataType::Text
        | DataType::Varchar(_)
        | DataType::CharacterVarying(_)
        | DataType::CharVarying(_)
        | DataType::Char(_)
        | DataType::Character(_) => "__text",
        DataType::Timestamp(None | Some(0..=6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            "__timestamp"
        }
        DataType::Timestamp(None | Some(0..=6), TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
            "__timestamptz"
        }
        _ => return None,
    })
}

/// A cast that may lose digits or a day, which comparisons must not look through.
fn kept(cast: &Expr) -> Option<Expr> {
    let Expr::Cast { expr: inner, data_type, .. } = cast else { return None };
    let loses = matches!(
        data_type,
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) | DataType::Time(..)
    );
    let is_column = !matches!(inner.as_ref(), Expr::Value(_));
    (loses && is_column).then(|| call(KEPT, vec![cast.clone()]))
}

/// A cast of ours, or one of DataFusion's whose value is kept from the optimizer.
fn cast_as_here(whole: &Expr) -> Option<Expr> {
    let Expr::Cast { expr: inner, data_type, .. } = whole else { return None };
    if let Some(made) = cast(inner, data_type) {
        return Some(made);
    }
    let kept = kept(whole);
    precise(kept.clone().unwrap_or_else(|| whole.clone()), data_type).or(kept)
}

/// A time with as many digits behind the seconds as its type says, rounded; `None` where that is not said.
fn precise(time: Expr, data_type: &DataType) -> Option<Expr> {
    match data_type {
        DataType::Timestamp(Some(digits @ 0..=5), _) | DataType::Time(Some(digits @ 0..=5), _) => {
            Some(call("__precision", vec![time, number(&digits.to_string())]))
        }
        _ => None,
    }
}

fn cast(inner: &Expr, data_type: &DataType) -> Option<Expr> {
    let target = target(data_type)?;
    let made = match inner {
        // With the digits that it has.
        Expr::Value(value) if matches!(target, "__float8" | "__float4") => match &value.value {
            Value::Number(digits, _) => call(target, vec![text(digits)]),
            _ => call(target, vec![inner.clone()]),
        },
        // A constant, which some places ask for.
        Expr::Value(value) if target == "__to_interval" => match &value.value {
            Value::SingleQuotedString(text) => match lengths::constant(text) {
                Some(interval) => Expr::Interval(interval),
                None => call(target, vec![inner.clone()]),
            },
            _ => call(target, vec![inner.clone()]),
        },
        Expr::Array(_) if target != "__text" => return None,
        _ => call(target, vec![inner.clone()]),
    };
    if let Some(precise) = precise(made.clone(), data_type) {
        return Some(precise);
    }
    let length = match data_type {
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            *length
        }
        // `char` alone has one letter.
        DataType::Char(length) | DataType::Character(length) => {
            Some(length.unwrap_or(CharacterLength::IntegerLength { length: 1, unit: None }))
        }
        _ => None,
    };
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) => {
            Some(call("__cut", vec![made, number(&length.to_string())]))
        }
        _ => Some(made),
    }
}

/// Two rows are compared column by column, so that an unknown one makes the answer unknown.
fn rows(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Result<Expr, Error> {
    let (inner, outer) = match op {
        BinaryOperator::Eq => (BinaryOperator::Eq, BinaryOperator::And),
        BinaryOperator::NotEq => (BinaryOperator::NotEq, BinaryOperator::Or),
        _ => {
            let error = Error::new(
                &codes::NOT_YET,
                "comparing rows with other signs than = and <> is not supported yet",
            );
            return Err(error.with_hint("Write it out: a > x OR (a = x AND b > y)."));
        }
    };
    if left.len() != right.len() {
        return Err(Error::new(&codes::SQL_SYNTAX, "unequal number of entries in row expressions"));
    }
    let nested = |expr: &Expr| Box::new(Expr::Nested(Box::new(expr.clone())));
    let pairs = left.iter().zip(right).map(|(left, right)| Expr::BinaryOp {
        left: nested(left),
        op: inner.clone(),
        right: nested(right),
    });
    let all = pairs.reduce(|all, pair| Expr::BinaryOp {
        left: Box::new(all),
        op: outer.clone(),
        right: Box::new(pair),
    });
    let empty = || Error::new(&codes::SQL_SYNTAX, "a row has no columns");
    all.map(|all| Expr::Nested(Box::new(all))).ok_or_else(empty)
}

/// The arguments of a plain call.
fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let plain = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(plain).collect()
}

/// A value as a client sees it.
fn output(value: Expr) -> Expr {
    call("__output", vec![value])
}

fn called(function: &Function) -> Option<Expr> {
    let [name] = function.name.0.as_slice() else { return None };
    let name = name.as_ident()?.value.to_lowercase();
    let whole = || Expr::Function(function.clone());
    if function.over.is_some() {
        return match name.as_str() {
            "row_number" | "rank" | "dense_rank" => Some(call("__int8", vec![whole()])),
            "ntile" => Some(call("__int4", vec![whole()])),
            _ => None,
        };
    }
    let args = arguments(function)?;
    match (name.as_str(), args.as_slice()) {
        ("round", [_]) => Some(call("__round", args)),
        ("round", [_, _]) => Some(call("__round_to", args)),
        ("trunc", [_, _]) => Some(call("__trunc_to", args)),
        ("exp" | "sqrt" | "ln" | "acos" | "asin", [_]) => Some(call(&format!("__{name}"), args)),
        ("log" | "log10", [_]) => Some(call("__log10", args)),
        ("log", [_, _]) => Some(call("__log", args)),
        ("power" | "pow", [_, _]) => Some(call("__power", args)),
        ("concat", _) => Some(call("concat", args.into_iter().map(output).collect())),
        ("concat_ws", [_, _, ..]) => {
            let args = args.into_iter().enumerate();
            let args = args.map(|(at, arg)| if at == 0 { call("__text", vec![arg]) } else { output(arg) });
            Some(call("concat_ws", args.collect()))
        }
        ("current_timestamp", [digits]) => {
            Some(call("__precision", vec![call("now", Vec::new()), digits.clone()]))
        }
        ("localtimestamp", [digits]) => {
            let now = call("__timestamp", vec![call("now", Vec::new())]);
            Some(call("__precision", vec![now, digits.clone()]))
        }
        ("trunc", [_]) => Some(call("__trunc", args)),
        ("floor", [_]) => Some(call("__floor", args)),
        ("ceil" | "ceiling", [_]) => Some(call("__ceil", args)),
        ("date_part", [_, _]) => Some(call("__float8", vec![call("__extract", args)])),
        ("date", [_]) => Some(Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(args.into_iter().next()?),
            data_type: DataType::Date,
            array: false,
            format: None,
        }),
        ("age", [to]) => Some(call("age", vec![call("current_date", Vec::new()), to.clone()])),
        // An empty array has no dimensions.
        ("array_length", [_, _]) => Some(call("nullif", vec![call("__int4", vec![whole()]), number("0")])),
        ("cardinality" | "array_ndims" | "array_position", _) => Some(call("__int4", vec![whole()])),
        _ => None,
    }
}
