//! `window(ts, '10 seconds')`, `session_window(ts, '5 minutes')` and `calendar_window(ts, 'day')`: their durations, and the names `window` and
//! `session_window` that Spark gives to what GROUP BY makes of them.
//!
//! A SELECT has one window at most, wherever it is written: in GROUP BY, in the SELECT list, in HAVING. All of it
//! becomes the same call, so that the SQL planner finds the group again. Rows without a time have no window and are
//! filtered here, and so are rows whose session would have no length.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Select, SelectItem, UnaryOperator, Value, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use forebay_core::error::codes;
use forebay_core::window::{Calendar, Interval, Sliding, interval};
use forebay_core::{Error, Zone};

use super::expr::{call, field_access};
use super::scope::{Scope, unknown};
use super::{Planner, calls, naming};
use crate::plan::functions::window::{CALENDAR_WINDOW, GAP, SESSION_WINDOW, WINDOW};
use crate::plan::session;
use crate::plan::sql_error::SqlError;

/// The window of a SELECT.
pub(super) struct GroupWindow {
    /// `window`, `session_window` or `calendar_window`.
    name: &'static str,
    /// The call, resolved.
    call: Expr,
}

impl GroupWindow {
    /// True if this is what Spark calls it.
    pub fn is_named(&self, ident: &Ident) -> bool {
        ident.value.eq_ignore_ascii_case(self.name)
    }

    /// The window, or a field of it.
    pub fn path(&self, fields: &[Ident]) -> Result<Expr, SqlError> {
        match fields {
            [] => Ok(self.call.clone()),
            [field, rest @ ..] => {
                let bounds = ["start", "end"];
                let known = bounds.into_iter().find(|bound| field.value.eq_ignore_ascii_case(bound));
                match (known, rest) {
                    (Some(bound), []) => Ok(field_access(self.call.clone(), bound, field)),
                    (Some(_), [deeper, ..]) => Err(unknown("field", deeper, &[])),
                    (None, _) => Err(unknown("field", field, &bounds)),
                }
            }
        }
    }
}

/// The window's name if an expression is a call that gives one.
pub(super) fn name_of(expr: &Expr) -> Option<&'static str> {
    let Expr::Function(function) = expr else { return None };
    let [part] = function.name.0.as_slice() else { return None };
    let ident = part.as_ident().filter(|ident| ident.quote_style.is_none())?;
    [WINDOW, SESSION_WINDOW, CALENDAR_WINDOW].into_iter().find(|name| ident.value.eq_ignore_ascii_case(name))
}

/// The calls in some expressions.
#[derive(Default)]
struct Calls(Vec<Expr>);

impl Visitor for Calls {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if name_of(expr).is_some() && !self.0.contains(expr) {
            self.0.push(expr.clone());
        }
        ControlFlow::Continue(())
    }
}

impl Planner<'_> {
    /// The window of a SELECT. Its rows without one are filtered.
    pub(super) fn window(
        &mut self,
        select: &mut Select,
        scope: &Scope<'_>,
    ) -> Result<Option<GroupWindow>, SqlError> {
        if self.refuses_state() {
            return Ok(None);
        }
        let mut calls = Calls::default();
        let _: ControlFlow<()> = select.group_by.visit(&mut calls);
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                let _: ControlFlow<()> = expr.visit(&mut calls);
            }
        }
        let Some(first) = calls.0.first() else { return Ok(None) };
        let Some(name) = name_of(first) else { return Ok(None) };
        let mut resolved: Vec<Expr> = Vec::new();
        for call in &calls.0 {
            let mut call = call.clone();
            self.expr(&mut call, scope)?;
            if !resolved.contains(&call) {
                resolved.push(call);
            }
        }
        if let (Some(other), true) = (calls.0.last(), resolved.len() > 1) {
            let error = Error::new(&codes::SQL_PLAN, "a SELECT has two windows")
                .with_hint("As in Spark, one is possible. Group by one, and by the other around it in a query of its own.");
            return Err(SqlError::spanned(error, naming::place_of(other).span));
        }
        let Some(call) = resolved.pop() else { return Ok(None) };
        if let Some(condition) = condition(&call) {
            select.selection = Some(match select.selection.take() {
                Some(before) => Expr::BinaryOp {
                    left: Box::new(Expr::Nested(Box::new(before))),
                    op: BinaryOperator::And,
                    right: Box::new(condition),
                },
                None => condition,
            });
        }
        Ok(Some(GroupWindow { name, call }))
    }
}

/// What holds for the rows that have a window. One condition, so that it reads the time as a whole: rows whose session
/// would have no length move the watermark, as in Spark.
fn condition(call: &Expr) -> Option<Expr> {
    let Expr::Function(function) = call else { return None };
    let args = calls::positional(function)?;
    let is_there = Expr::IsNotNull(Box::new(args.first()?.clone()));
    match args.as_slice() {
        [_, gap @ Expr::Function(_)] => {
            let has_length = Expr::BinaryOp {
                left: Box::new(gap.clone()),
                op: BinaryOperator::Gt,
                right: Box::new(number(0)),
            };
            Some(calls::when(is_there, has_length))
        }
        _ => Some(is_there),
    }
}

/// A call with its durations read. `args` are resolved.
pub(super) fn call_of(
    planner: &Planner<'_>,
    name: &str,
    args: Vec<Expr>,
    ident: &Ident,
) -> Result<Expr, SqlError> {
    let wrong = |error: Error| SqlError::spanned(error, ident.span);
    let usage = |hint: &str| {
        let message = format!("{name} is called with the wrong arguments");
        wrong(Error::new(&codes::SQL_PLAN, message).with_hint(hint))
    };
    if name == SESSION_WINDOW {
        let [ts, gap] =
            <[Expr; 2]>::try_from(args).map_err(|_| usage("Write session_window(ts, '5 minutes')."))?;
        if !planner.streaming {
            let message = "session_window(…) is possible over a stream only";
            return Err(wrong(Error::new(&codes::NOT_YET, message)));
        }
        if let Some(text) = duration(&gap) {
            let there = |error: Error| at_duration(error, &gap, ident);
            let micros = Interval::parse(&text).and_then(|gap| gap.fixed_micros(&text)).map_err(there)?;
            if micros <= 0 {
                let message = format!("the gap of the session is {}", interval::words(micros));
                return Err(wrong(Error::new(&codes::SQL_PLAN, message).with_hint("It must be above zero.")));
            }
            return Ok(call(name, vec![ts, number(micros)], ident));
        }
        return Ok(call(name, vec![ts, call(GAP, vec![gap], ident)], ident));
    }
    if name == CALENDAR_WINDOW {
        let hint = "Write calendar_window(ts, 'day'), or in another zone calendar_window(ts, 'day', 'Europe/Berlin'). Periods are \
                    day, week, month, quarter and year.";
        let Some((ts, rest)) = args.split_first() else { return Err(usage(hint)) };
        let words: Option<Vec<String>> = rest.iter().map(calls::literal).collect();
        let words = words.ok_or_else(|| usage(hint))?;
        let (period, zone) = match words.as_slice() {
            [period] => (period, Ok(session::zone(planner.session))),
            [period, zone] => (period, Zone::read(zone.trim())),
            _ => return Err(usage(hint)),
        };
        let (Some(_), Ok(zone)) = (Calendar::named(period), zone) else { return Err(usage(hint)) };
        let period = period.trim().to_ascii_lowercase();
        let period = period.strip_suffix('s').unwrap_or(&period);
        let words = [period, &zone.to_string()].map(calls::string);
        return Ok(call(name, std::iter::once(ts.clone()).chain(words).collect(), ident));
    }
    let hint = "Write window(ts, '10 minutes'), or with a slide and a start: window(ts, '1 hour', '5 minutes', '2 minutes').";
    let [ts, texts @ ..] = args.as_slice() else { return Err(usage(hint)) };
    let given = texts;
    let texts: Vec<String> = texts.iter().map(duration).collect::<Option<_>>().ok_or_else(|| usage(hint))?;
    for (text, expr) in texts.iter().zip(given) {
        let length = Interval::parse(text).and_then(|interval| interval.fixed_micros(text));
        length.map_err(|error| at_duration(error, expr, ident))?;
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let sliding = match texts.as_slice() {
        [size] => Sliding::parse(size, None, None),
        [size, slide] => Sliding::parse(size, Some(slide), None),
        [size, slide, start] => Sliding::parse(size, Some(slide), Some(start)),
        _ => return Err(usage(hint)),
    }
    .map_err(wrong)?;
    if !planner.streaming && !sliding.tumbles() {
        let error = Error::new(&codes::NOT_YET, "a sliding window(…) is possible over a stream only");
        return Err(wrong(error.with_hint("Over a table windows tumble: window(ts, '10 minutes').")));
    }
    let micros = [sliding.size_us, sliding.slide_us, sliding.start_us].map(number);
    Ok(call(WINDOW, std::iter::once(ts.clone()).chain(micros).collect(), ident))
}

/// An error in a duration, where it stands; else where its call does.
fn at_duration(error: Error, duration: &Expr, call: &Ident) -> SqlError {
    let span = naming::place_of(duration).span;
    SqlError::spanned(error, if span == Span::empty() { call.span } else { span })
}

fn number(micros: i64) -> Expr {
    let digits = Expr::Value(Value::Number(micros.unsigned_abs().to_string(), false).into());
    match micros < 0 {
        true => Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(digits) },
        false => digits,
    }
}

/// The text of a duration: in quotes, or an INTERVAL.
pub(super) fn duration(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Interval(interval) if interval.last_field.is_none() => {
            let number = match interval.value.as_ref() {
                Expr::Value(value) => match &value.value {
                    Value::Number(digits, _) => digits.clone(),
                    other => other.clone().into_string()?,
                },
                _ => return None,
            };
            let unit = interval.leading_field.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
            Some(format!("{number}{unit}"))
        }
        other => calls::literal(other),
    }
}
