//! The session's time zone: where a plan makes a date, a text or what clocks show of an instant, or an instant of them,
//! the zone is put in.
//!
//! Everywhere in a plan a TIMESTAMP is an instant, its Arrow type in UTC; DataFusion's functions and casts know no other
//! zone. This rule runs when all types are known and all casts are written out, those that nobody wrote too. In UTC there
//! is no such rule. What must stay true: in another zone nothing is computed as if it were UTC. A function that the rule
//! does not know and that makes one kind of time of another is refused ([`InZone::refuse_unknown`]).

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, WindowFrameBound, WindowFrameUnits, cast,
    try_cast,
};
use datafusion::optimizer::AnalyzerRule;
use forebay_core::ddl::timestamp;
use forebay_core::error::codes;
use forebay_core::{Error, Zone};

use super::functions::timestamp_to_text;
use super::functions::zone::{instant, local, local_type, shifted, truncated};
use super::kept_names::rewritten;

/// Functions of what clocks show: of an instant they see that.
pub(super) const OF_CLOCKS: [&str; 8] =
    ["date_part", "hour", "minute", "second", "weekday", "monthname", "to_char", "date_trunc"];

/// Functions that are not there in another zone than UTC: they read or write times by themselves.
pub(super) const UTC_ONLY: [&str; 12] = [
    "to_local_time",
    "to_time",
    "current_time",
    "to_unixtime",
    "to_timestamp_seconds",
    "to_timestamp_millis",
    "to_timestamp_micros",
    "to_timestamp_nanos",
    "arrow_cast",
    "arrow_try_cast",
    "array_to_string",
    "format_string",
];

/// The rule.
#[derive(Debug)]
pub(super) struct InZone(pub Zone);

impl AnalyzerRule for InZone {
    fn name(&self) -> &'static str {
        "session_time_zone"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| self.node(node)).map(|plan| plan.data)
    }
}

impl InZone {
    fn node(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let mut schema = merge_schema(&node.inputs());
        if let LogicalPlan::TableScan(scan) = &node {
            schema
                .merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
        }
        let zoned = rewritten(node, |expr| expr.transform_up(|expr| self.expr(expr, &schema)))?;
        if zoned.transformed { zoned.map_data(LogicalPlan::recompute_schema) } else { Ok(zoned) }
    }

    fn expr(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match expr {
            Expr::Cast(it) => {
                let from = it.expr.get_type(schema)?;
                let to = it.field.data_type().clone();
                match self.cast(it.expr.as_ref(), &from, &to, true)? {
                    Some(zoned) => Ok(Transformed::yes(zoned)),
                    None => Ok(Transformed::no(Expr::Cast(it))),
                }
            }
            Expr::TryCast(it) => {
                let from = it.expr.get_type(schema)?;
                let to = it.field.data_type().clone();
                match self.cast(it.expr.as_ref(), &from, &to, false)? {
                    Some(zoned) => Ok(Transformed::yes(zoned)),
                    None => Ok(Transformed::no(Expr::TryCast(it))),
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) => {
                self.sum(*left, op, *right, schema)
            }
            Expr::ScalarFunction(call) => self.function(call, schema),
            Expr::WindowFunction(call) => {
                self.frame(&call, schema)?;
                Ok(Transformed::no(Expr::WindowFunction(call)))
            }
            other => Ok(Transformed::no(other)),
        }
    }

    /// A cast that goes by the zone.
    fn cast(&self, inner: &Expr, from: &DataType, to: &DataType, strict: bool) -> Result<Option<Expr>> {
        let again = |expr: Expr, to: &DataType| match strict {
            true => cast(expr, to.clone()),
            false => try_cast(expr, to.clone()),
        };
        let zoned = match (Time::of(from), Time::of(to)) {
            (Some(Time::Instant), Some(Time::Text)) => {
                again_unless(timestamp_to_text(micros(inner, from), self.0), &DataType::Utf8, to, again)
            }
            (Some(Time::Instant), Some(Time::Clock)) => {
                again_unless(local(micros(inner, from), self.0), &local_type(), to, again)
            }
            (Some(other @ (Time::Clock | Time::Text)), Some(Time::Instant)) => {
                let given = match (from, other) {
                    (DataType::Date32, _) => inner.clone(),
                    (DataType::Date64, _) => again(inner.clone(), &DataType::Date32),
                    (_, Time::Text) => again_unless(inner.clone(), from, &DataType::Utf8, again),
                    _ => again_unless(inner.clone(), from, &local_type(), again),
                };
                again_unless(instant(given, self.0, strict), &timestamp(), to, again)
            }
            _ if changes(from, to) => {
                let what =
                    format!("a CAST of {} to {}", super::words::type_name(from), super::words::type_name(to));
                return self.refused(&what, "Take the times out of the value and cast each.");
            }
            _ => return Ok(None),
        };
        Ok(Some(zoned))
    }

    /// Days and months that are added are the calendar's; what lies between two instants is what clocks show.
    fn sum(&self, left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let (of_left, of_right) = (left.get_type(schema)?, right.get_type(schema)?);
        let is_instant = |data_type: &DataType| Time::of(data_type) == Some(Time::Instant);
        let length = |expr: Expr, data_type: &DataType| match data_type {
            DataType::Interval(_) => {
                Some(cast(expr, DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano)))
            }
            DataType::Duration(_) => Some(cast(expr, DataType::Duration(TimeUnit::Microsecond))),
            _ => None,
        };
        let back = op == Operator::Minus;
        if is_instant(&of_left) && is_instant(&of_right) && back {
            let clocks =
                [(left, of_left), (right, of_right)].map(|(of, from)| local(micros(&of, &from), self.0));
            let [left, right] = clocks.map(Box::new);
            return Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })));
        }
        if is_instant(&of_left)
            && let Some(length) = length(right.clone(), &of_right)
        {
            return Ok(Transformed::yes(shifted(micros(&left, &of_left), length, back, self.0)));
        }
        if is_instant(&of_right)
            && !back
            && let Some(length) = length(left.clone(), &of_left)
        {
            return Ok(Transformed::yes(shifted(micros(&right, &of_right), length, false, self.0)));
        }
        let (left, right) = (Box::new(left), Box::new(right));
        Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })))
    }

    fn function(&self, mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let name = call.func.name().to_owned();
        let types = call.args.iter().map(|arg| arg.get_type(schema)).collect::<Result<Vec<_>>>()?;
        let is_instant = |data_type: &DataType| Time::of(data_type) == Some(Time::Instant);
        let word = |arg: Option<&Expr>| match arg {
            Some(Expr::Literal(text, _)) => text.try_as_str().flatten().map(str::to_owned),
            _ => None,
        };
        if name == "date_trunc" {
            let (Some(of), true) = (call.args.get(1), types.get(1).is_some_and(is_instant)) else {
                return Ok(Transformed::no(Expr::ScalarFunction(call)));
            };
            let from = types.get(1).cloned().unwrap_or_else(timestamp);
            let unit = word(call.args.first());
            let zoned = unit.and_then(|unit| truncated(&unit, micros(of, &from), self.0));
            return match zoned {
                Some(zoned) => Ok(Transformed::yes(zoned)),
                None => self.refused(
                    "this unit of date_trunc(…)",
                    "Write date_trunc('DAY', time), or another unit in quotes.",
                ),
            };
        }
        if OF_CLOCKS.contains(&name.as_str()) {
            // Seconds since 1970 are the same in every zone.
            if word(call.args.first()).is_some_and(|part| part.eq_ignore_ascii_case("epoch")) {
                return Ok(Transformed::no(Expr::ScalarFunction(call)));
            }
            let mut zoned = false;
            for (arg, from) in call.args.iter_mut().zip(&types).filter(|(_, from)| is_instant(from)) {
                *arg = local(micros(arg, from), self.0);
                zoned = true;
            }
            let call = Expr::ScalarFunction(call);
            return Ok(if zoned { Transformed::yes(call) } else { Transformed::no(call) });
        }
        let expr = Expr::ScalarFunction(call);
        self.refuse_unknown(&name, &types, &expr.get_type(schema)?)?;
        Ok(Transformed::no(expr))
    }

    /// Refuses a function that makes texts or clocks' times of instants, or instants of them, in a way nobody here has
    /// looked at. What has a zone by itself is told by its name.
    fn refuse_unknown(&self, name: &str, types: &[DataType], gives: &DataType) -> Result<()> {
        if name.ends_with(&format!("[{}]", self.0)) {
            return Ok(());
        }
        let of = |data_type: &DataType| Time::of(item(data_type));
        let takes = |time: Time| types.iter().any(|data_type| of(data_type) == Some(time));
        let takes_whole = types.iter().any(|data_type| item(data_type).is_nested());
        let takes_number = types.first().is_some_and(DataType::is_numeric);
        let unknown = match of(gives) {
            _ if UTC_ONLY.contains(&name) => {
                !takes_number && (name == "current_time" || takes(Time::Instant) || takes(Time::Text))
            }
            Some(given @ (Time::Text | Time::Clock)) => takes(Time::Instant) && !takes(given) && !takes_whole,
            Some(Time::Instant) => {
                !takes(Time::Instant) && !takes_whole && (takes(Time::Text) || takes(Time::Clock))
            }
            None => false,
        };
        if !unknown {
            return Ok(());
        }
        self.refused(
            &format!("{name}(…) of these arguments"),
            "Make texts with date_format or CAST(time AS STRING), times with to_timestamp or CAST(text AS TIMESTAMP).",
        )
    }

    /// A frame of days or months would reach as far as in UTC.
    fn frame(&self, call: &WindowFunction, schema: &DFSchema) -> Result<()> {
        let frame = &call.params.window_frame;
        let by_time = |data_type: DataType| Time::of(&data_type) == Some(Time::Instant);
        let first = call.params.order_by.first().map(|by| by.expr.get_type(schema)).transpose()?;
        if frame.units != WindowFrameUnits::Range || !first.is_some_and(by_time) {
            return Ok(());
        }
        let follows_calendar = |bound: &WindowFrameBound| match bound {
            WindowFrameBound::CurrentRow => false,
            WindowFrameBound::Preceding(by) | WindowFrameBound::Following(by) => match by {
                ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, .. })) => {
                    *months != 0 || *days != 0
                }
                ScalarValue::DurationMicrosecond(_) | ScalarValue::DurationNanosecond(_) => false,
                other => !other.is_null(),
            },
        };
        if follows_calendar(&frame.start_bound) || follows_calendar(&frame.end_bound) {
            return self
                .refused("a frame of days or months", "Write its length in hours: INTERVAL 24 HOURS.");
        }
        Ok(())
    }

    fn refused<T>(&self, what: &str, hint: &str) -> Result<T> {
        let error =
            Error::new(&codes::NOT_YET, format!("{what} is not supported in the time zone {}", self.0));
        Err(DataFusionError::External(Box::new(error.with_hint(hint))))
    }
}

/// How a type tells a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    /// TIMESTAMP.
    Instant,
    /// What clocks show: DATE, TIMESTAMP_NTZ, a time of day.
    Clock,
    /// A text that may be one.
    Text,
}

impl Time {
    fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Timestamp(_, Some(_)) => Some(Self::Instant),
            DataType::Timestamp(_, None)
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_) => Some(Self::Clock),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Self::Text),
            _ => None,
        }
    }
}

/// An instant in microseconds.
fn micros(inner: &Expr, from: &DataType) -> Expr {
    again_unless(inner.clone(), from, &timestamp(), |inner, to| cast(inner, to.clone()))
}

/// A cast that is needed only between different types.
fn again_unless(expr: Expr, from: &DataType, to: &DataType, again: impl Fn(Expr, &DataType) -> Expr) -> Expr {
    if from == to { expr } else { again(expr, to) }
}

/// The type of a list's items, else the type itself.
fn item(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) => item.data_type(),
        other => other,
    }
}

/// True if a cast makes other times of those that are inside of values.
fn changes(from: &DataType, to: &DataType) -> bool {
    let instants = |data_type: &DataType| Time::of(data_type) == Some(Time::Instant);
    match (from, to) {
        (DataType::List(a) | DataType::LargeList(a), DataType::List(b) | DataType::LargeList(b))
        | (DataType::Map(a, _), DataType::Map(b, _)) => changes(a.data_type(), b.data_type()),
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() != b.len() || a.iter().zip(b).any(|(a, b)| changes(a.data_type(), b.data_type()))
        }
        (DataType::Null, _) => false,
        (from, to) if from.is_nested() || to.is_nested() => holds_instants(from) || holds_instants(to),
        (from, to) => instants(from) != instants(to) && Time::of(from).is_some() && Time::of(to).is_some(),
    }
}

fn holds_instants(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
            holds_instants(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|field| holds_instants(field.data_type())),
        other => Time::of(other) == Some(Time::Instant),
    }
}

#[cfg(test)]
mod tests;
