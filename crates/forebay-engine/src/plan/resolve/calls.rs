//! Functions that Spark has and DataFusion spells otherwise, as rewrites of the call.
//!
//! Each rewrite happens after the arguments are resolved. What needs code of its own is a function in
//! [`crate::plan::functions`]; what can be said with functions that exist is said here.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, Spanned, TimezoneInfo, UnaryOperator, Value,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::expr::{call, null};
use super::known::{foreign, known, refuse_generators};
use super::{Planner, aggregates, naming, streaming, windows};
use crate::plan::functions;
use crate::plan::session;
use crate::plan::sql_error::SqlError;

/// Rewrites one call in place if it is one of ours.
pub(super) fn rewrite(planner: &mut Planner<'_>, expr: &mut Expr) -> Result<(), SqlError> {
    if let Some(operator) = foreign(expr) {
        let error = Error::new(&codes::NOT_YET, format!("`{operator}` is not supported"))
            .with_hint("Write LIKE with a pattern, or RLIKE with a regular expression.");
        return Err(SqlError::spanned(error, expr.span()));
    }
    if let Expr::Struct { values, fields } = expr
        && fields.is_empty()
    {
        let values = std::mem::take(values);
        let like = Ident::new("struct");
        *expr = named_struct(values, &like);
        return Ok(());
    }
    if let Expr::RLike { negated, expr: text, pattern, .. } = expr {
        let place = naming::place_of(pattern);
        let args = [text, pattern].map(|arg| std::mem::replace(arg.as_mut(), null())).to_vec();
        let matches = call("regexp_like", args, &place);
        *expr = match negated {
            true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(matches) },
            false => matches,
        };
        return Ok(());
    }
    if let Expr::Substring { expr: text, substring_from: None, substring_for: None, .. } = expr {
        let error = Error::new(&codes::SQL_PLAN, "substring needs a position").with_hint(
            "Write substring(text, position) or substring(text, position, length); the first letter is 1.",
        );
        return Err(SqlError::spanned(error, text.span()));
    }
    let Expr::Function(function) = expr else { return Ok(()) };
    let [part] = function.name.0.as_slice() else { return Ok(()) };
    let Some(ident) = part.as_ident().cloned() else { return Ok(()) };
    let name = ident.value.to_ascii_lowercase();
    refuse_generators(planner, &name, &ident)?;
    if planner.detector(function, &name, &ident)? {
        return Ok(());
    }
    if planner.streaming {
        streaming::function(planner, function, &name, &ident)?;
    }
    if let Some(rewritten) = aggregates::rewrite(function, &name, &ident)? {
        *expr = rewritten;
        return Ok(());
    }
    if function.over.is_some() || function.filter.is_some() {
        return known(planner, &name, &ident);
    }
    let Some(args) = positional(function) else { return known(planner, &name, &ident) };
    let rewritten = match (name.as_str(), args.as_slice()) {
        ("from_json", _) => planner.json_call(args, &ident)?,
        ("to_json", _) => to_json(args, &ident)?,
        ("day" | "dayofmonth", [of]) => part_of("day", of, &ident),
        ("month", [of]) => part_of("month", of, &ident),
        ("year", [of]) => part_of("year", of, &ident),
        ("quarter", [of]) => part_of("quarter", of, &ident),
        ("weekofyear", [of]) => part_of("week", of, &ident),
        ("dayofyear", [of]) => part_of("doy", of, &ident),
        ("dayofweek", [of]) => part_of("dow", of, &ident),
        // Without a pattern a text is read as a cast reads it.
        ("to_timestamp" | "to_timestamp_ltz", [of]) => cast("timestamp", of),
        ("to_timestamp_ltz", [_, _]) => call("to_timestamp", args, &ident),
        ("to_timestamp_ntz", [of]) => cast("timestamp_ntz", of),
        ("to_date", [of]) => cast("date", of),
        ("try_to_timestamp", [of]) => try_cast("timestamp", of),
        ("try_to_date", [of]) => try_cast("date", of),
        ("dayname", [of]) => call("date_format", vec![of.clone(), string("EEE")], &ident),
        ("datepart", [_, _]) => call("date_part", args, &ident),
        ("date_from_unix_date", [days]) => {
            call("date_add", vec![cast("date", &string("1970-01-01")), cast("int", days)], &ident)
        }
        ("convert_timezone", [to, of]) => {
            let here = string(&session::zone(planner.session).to_string());
            call(&name, vec![here, to.clone(), of.clone()], &ident)
        }
        ("current_timezone", []) => string(&session::zone(planner.session).to_string()),
        ("grouping", [_]) => cast("tinyint", &call(&name, args, &ident)),
        ("grouping_id", [_, ..]) => cast("bigint", &call("grouping", args, &ident)),
        ("isnull", [of]) => Expr::IsNull(Box::new(of.clone())),
        ("isnotnull", [of]) => Expr::IsNotNull(Box::new(of.clone())),
        ("nvl2", [of, there, missing]) => {
            let is_there = Expr::IsNotNull(Box::new(of.clone()));
            call("if", vec![is_there, there.clone(), missing.clone()], &ident)
        }
        ("struct", _) => named_struct(args, &ident),
        ("unix_timestamp" | "to_unix_timestamp", []) => {
            call("unix_timestamp", vec![call("current_timestamp", Vec::new(), &ident)], &ident)
        }
        ("to_unix_timestamp", _) => call("unix_timestamp", args, &ident),
        ("rlike" | "regexp" | "regexp_like", [text, pattern]) => {
            call("regexp_like", vec![text.clone(), pattern.clone()], &ident)
        }
        ("regexp_replace", [text, pattern, by]) => {
            call("regexp_replace", vec![text.clone(), pattern.clone(), by.clone(), string("g")], &ident)
        }
        ("sort_array", [array, ascending @ ..]) if ascending.len() < 2 => {
            sorted_array(array, ascending.first(), &ident)?
        }
        ("cardinality", [of]) => call("size", vec![of.clone()], &ident),
        ("split", [text, pattern]) => split(text, pattern, &ident)?,
        (
            "int" | "integer" | "bigint" | "smallint" | "tinyint" | "string" | "double" | "float" | "boolean"
            | "date" | "timestamp" | "binary",
            [of],
        ) => cast(&name, of),
        // A whole number alone is a BIGINT here; these take Spark's INT.
        ("date_add" | "dateadd" | "date_sub" | "add_months", [date, number]) => {
            call(&name, vec![cast("date", date), cast("int", number)], &ident)
        }
        ("last_day" | "next_day" | "trunc", [date, rest @ ..]) => {
            let args = std::iter::once(cast("date", date)).chain(rest.iter().cloned());
            call(&name, args.collect(), &ident)
        }
        ("window" | "session_window" | "calendar_window", _) => {
            windows::call_of(planner, &name, args, &ident)?
        }
        ("space", [number]) => call(&name, vec![cast("int", number)], &ident),
        _ => return known(planner, &name, &ident),
    };
    *expr = rewritten;
    Ok(())
}

/// Functions that Spark calls without parentheses.
pub(super) fn bare(ident: &Ident) -> Option<Expr> {
    let name = ident.value.to_ascii_lowercase();
    (ident.quote_style.is_none() && functions::BARE.contains(&name.as_str()))
        .then(|| call(&name, Vec::new(), ident))
}

/// A number with an exponent is a DOUBLE in Spark, however many digits it has; `1L` is a BIGINT beside an INT too.
pub(super) fn number(expr: &mut Expr) {
    let Expr::Value(value) = expr else { return };
    match &value.value {
        Value::Number(text, _) if text.contains(['e', 'E']) => *expr = cast("double", &string(text)),
        Value::Number(text, true) => {
            let plain = Expr::Value(Value::Number(text.clone(), false).with_span(value.span));
            *expr = cast("bigint", &plain);
        }
        _ => {}
    }
}

impl Planner<'_> {
    /// `from_json(text, 'schema'[, map('option', 'value', …)])` becomes a function of its own with one argument.
    fn json_call(&mut self, args: Vec<Expr>, ident: &Ident) -> Result<Expr, SqlError> {
        let wrong = |what: &str| {
            let error = Error::new(&codes::SQL_PLAN, format!("from_json {what}")).with_hint(
                "Write from_json(CAST(value AS STRING), 'id STRING, at TIMESTAMP', map('timestampFormat', '…')).",
            );
            SqlError::spanned(error, ident.span)
        };
        let mut args = args.into_iter();
        let zone = session::zone(self.session);
        let (Some(text), Some(schema)) = (args.next(), args.next()) else {
            return Err(wrong("needs a text and a schema"));
        };
        let Some(ddl) = literal(&schema) else { return Err(wrong("needs its schema as a text in quotes")) };
        let mut options = match args.next() {
            None => BTreeMap::new(),
            Some(map) => {
                literal_map(&map).ok_or_else(|| wrong("needs its options as map('name', 'value', …)"))?
            }
        };
        if args.next().is_some() {
            return Err(wrong("takes at most three arguments"));
        }
        if !zone.is_utc() && !options.keys().any(|name| name.eq_ignore_ascii_case("timeZone")) {
            options.insert("timeZone".to_owned(), zone.to_string());
        }
        let Some(factory) = self.json else { return Err(wrong("is not available here")) };
        let key = (ddl.clone(), options.clone().into_iter().collect::<Vec<_>>());
        let name = match self.decoders.get(&key) {
            Some(name) => name.clone(),
            None => {
                let fields = forebay_core::ddl::parse(&ddl).map_err(|error| {
                    let error =
                        Error::new(&codes::BAD_SCHEMA, "from_json cannot read its schema").with_detail(error);
                    SqlError::spanned(error, ident.span)
                })?;
                let decode = factory
                    .decoder(Arc::clone(&fields), &options)
                    .map_err(|error| SqlError::spanned(error, ident.span))?;
                let name = format!("__from_json_{}", self.decoders.len());
                let function = functions::from_json(name.clone(), &fields, decode);
                self.functions.insert(name.clone(), Arc::new(function));
                self.decoders.insert(key, name.clone());
                name
            }
        };
        Ok(call(&name, vec![text], ident))
    }
}

/// `to_json(value[, map('option', 'value', …)])`: the options become arguments, each behind its name as the function spells it.
fn to_json(args: Vec<Expr>, ident: &Ident) -> Result<Expr, SqlError> {
    let wrong = |what: String, hint: &str| {
        let error = Error::new(&codes::SQL_PLAN, format!("to_json {what}")).with_hint(hint);
        SqlError::spanned(error, ident.span)
    };
    let example = "Write to_json(struct(id, at), map('ignoreNullFields', 'false')).";
    let mut given = args.into_iter();
    let Some(value) = given.next() else { return Err(wrong("needs a value".to_owned(), example)) };
    let mut args = vec![value];
    if let Some(map) = given.next() {
        let options = literal_map(&map);
        let options = options
            .ok_or_else(|| wrong("needs its options as map('name', 'value', …)".to_owned(), example))?;
        for (name, value) in options {
            let known = functions::TO_JSON_OPTIONS;
            let Some(name) = known.iter().find(|known| known.eq_ignore_ascii_case(&name)) else {
                let what = format!("does not have the option `{name}`");
                return Err(wrong(what, &format!("It has {}.", known.join(", "))));
            };
            args.extend([string(name), string(&value)]);
        }
    }
    if given.next().is_some() {
        return Err(wrong("takes at most two arguments".to_owned(), example));
    }
    Ok(call(functions::TO_JSON, args, ident))
}

/// The arguments if all are plain expressions.
pub(super) fn positional(function: &Function) -> Option<Vec<Expr>> {
    match &function.args {
        FunctionArguments::None => Some(Vec::new()),
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
            list.args
                .iter()
                .map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                    _ => None,
                })
                .collect()
        }
        _ => None,
    }
}

fn part_of(part: &str, of: &Expr, ident: &Ident) -> Expr {
    call("date_part", vec![string(part), of.clone()], ident)
}

/// `struct(a, b.c, 1)`: fields are named as Spark names them, `col1` … where there is no name.
fn named_struct(values: Vec<Expr>, ident: &Ident) -> Expr {
    let mut args = Vec::with_capacity(values.len() * 2);
    for (index, value) in values.into_iter().enumerate() {
        let (name, value) = match value {
            Expr::Named { expr, name } => (name.value, *expr),
            value => (naming::field_name(&value).unwrap_or_else(|| format!("col{}", index + 1)), value),
        };
        args.push(string(&name));
        args.push(value);
    }
    call("named_struct", args, ident)
}

/// Spark splits at a regular expression; here the pattern must be a text without its special characters, or with
/// them escaped.
fn split(text: &Expr, pattern: &Expr, ident: &Ident) -> Result<Expr, SqlError> {
    let plain = literal(pattern).and_then(|pattern| plain_pattern(&pattern)).ok_or_else(|| {
        let error = Error::new(&codes::NOT_YET, "split(…) at a regular expression is not supported yet")
            .with_hint("Split at a plain text, for example ',' or '\\\\|'.");
        SqlError::spanned(error, ident.span)
    })?;
    Ok(call("string_to_array", vec![text.clone(), string(&plain)], ident))
}

/// `sort_array(array[, ascending])`: NULLs come first, or last where the order descends.
fn sorted_array(array: &Expr, ascending: Option<&Expr>, ident: &Ident) -> Result<Expr, SqlError> {
    let ascends = match ascending {
        None => true,
        Some(Expr::Value(value)) if matches!(value.value, Value::Boolean(_)) => {
            matches!(value.value, Value::Boolean(true))
        }
        Some(other) => {
            let error = Error::new(&codes::SQL_PLAN, "sort_array takes true or false behind its array")
                .with_hint("Write sort_array(array), or sort_array(array, false) for the greatest first.");
            return Err(SqlError::spanned(error, other.span()));
        }
    };
    let (order, nulls) = if ascends { ("ASC", "NULLS FIRST") } else { ("DESC", "NULLS LAST") };
    Ok(call("array_sort", vec![array.clone(), string(order), string(nulls)], ident))
}

/// The text that a regular expression matches if it matches exactly one.
fn plain_pattern(pattern: &str) -> Option<String> {
    let mut plain = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|escaped| !escaped.is_alphanumeric())?),
            '[' => {
                plain.push(chars.next().filter(|inside| !matches!(inside, '^' | '\\' | ']'))?);
                chars.next().filter(|end| *end == ']')?;
            }
            '.' | '*' | '+' | '?' | '(' | ')' | '{' | '}' | '|' | '^' | '$' | ']' => return None,
            _ => plain.push(c),
        }
    }
    (!plain.is_empty()).then_some(plain)
}

pub(super) fn cast(to: &str, of: &Expr) -> Expr {
    let data_type = match to {
        "int" | "integer" => DataType::Int(None),
        "bigint" => DataType::BigInt(None),
        "smallint" => DataType::SmallInt(None),
        "tinyint" => DataType::TinyInt(None),
        "double" => DataType::Double(ExactNumberInfo::None),
        "float" => DataType::Float(ExactNumberInfo::None),
        "boolean" => DataType::Boolean,
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "timestamp_ntz" => DataType::TimestampNtz(None),
        "binary" => DataType::Binary(None),
        _ => DataType::String(None),
    };
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(of.clone()), data_type, array: false, format: None }
}

fn try_cast(to: &str, of: &Expr) -> Expr {
    match cast(to, of) {
        Expr::Cast { expr, data_type, array, format, .. } => {
            Expr::Cast { kind: CastKind::TryCast, expr, data_type, array, format }
        }
        other => other,
    }
}

/// `CASE WHEN condition THEN result END`.
pub(super) fn when(condition: Expr, result: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: None,
    }
}

pub(super) fn string(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

/// The text of a string literal.
pub(super) fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => value.value.clone().into_string(),
        Expr::Nested(inner) => literal(inner),
        _ => None,
    }
}

/// The pairs of `map('a', 'b', …)`.
fn literal_map(expr: &Expr) -> Option<BTreeMap<String, String>> {
    let Expr::Function(function) = expr else { return None };
    if !function.name.to_string().trim_matches('`').eq_ignore_ascii_case("map") {
        return None;
    }
    let texts: Vec<String> = positional(function)?.iter().map(literal).collect::<Option<_>>()?;
    let (pairs, rest) = texts.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[name, value]| (name.clone(), value.clone())).collect())
}
