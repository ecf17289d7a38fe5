//! `window(ts, …)`, `session_window(ts, gap)` and `window_time(window)`.
//!
//! `calendar_window(ts, 'day'|'week'|'month'|'quarter'|'year', zone)` is Forebay's own: windows that follow a calendar. They
//! tumble, so it is a function of its time everywhere; GROUP BY has it as a key whose `end` is the event time.
//!
//! The resolver has read the durations: here they are microseconds. A tumbling window is a function of its time and can
//! be computed; a sliding one and a session are given to rows by GROUP BY over a stream, whose planner takes these calls
//! out of the group expressions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StructArray, TimestampMicrosecondArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Int64Type, IntervalMonthDayNanoType, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use forebay_core::Zone;
use forebay_core::window::{Calendar, CalendarWindows, Interval, Sliding, window_time};

use super::failed;
use super::seconds::timestamp_type;

/// Tumbling and sliding windows.
pub(crate) const WINDOW: &str = "window";
/// Sessions.
pub(crate) const SESSION_WINDOW: &str = "session_window";
/// The last microsecond of a window.
pub(crate) const WINDOW_TIME: &str = "window_time";
/// Windows of the calendar.
pub(crate) const CALENDAR_WINDOW: &str = "calendar_window";
/// The gap of a session in microseconds.
pub(crate) const GAP: &str = "__gap";

pub(super) fn all() -> [ScalarUDF; 5] {
    [WINDOW, SESSION_WINDOW, WINDOW_TIME, CALENDAR_WINDOW, GAP].map(udf)
}

fn udf(name: &'static str) -> ScalarUDF {
    ScalarUDF::from(Window { name, signature: Signature::user_defined(Volatility::Immutable) })
}

/// What a call of one of these functions says.
pub(crate) enum Call<'e> {
    /// The time, and the windows.
    Window(&'e Expr, Sliding),
    /// The time, and the gap in microseconds.
    Session(&'e Expr, &'e Expr),
    /// The time of a window of the calendar.
    Calendar(&'e Expr),
    /// The window.
    Time(&'e Expr),
}

/// Reads a call; `None` if the expression is another.
pub(crate) fn call(expr: &Expr) -> Option<Call<'_>> {
    if let Expr::Alias(alias) = expr {
        return call(&alias.expr);
    }
    let Expr::ScalarFunction(function) = expr else { return None };
    match (function.name(), function.args.as_slice()) {
        (WINDOW, [ts, size, slide, start]) => {
            let micros = |expr: &Expr| match expr {
                Expr::Literal(ScalarValue::Int64(micros), _) => *micros,
                _ => None,
            };
            Some(Call::Window(ts, Sliding::new(micros(size)?, micros(slide)?, micros(start)?).ok()?))
        }
        (SESSION_WINDOW, [ts, gap]) => Some(Call::Session(ts, gap)),
        (CALENDAR_WINDOW, [ts, ..]) => Some(Call::Calendar(ts)),
        (WINDOW_TIME, [window]) => Some(Call::Time(window)),
        _ => None,
    }
}

/// `window_time(window)` as an expression.
pub(crate) fn time_of(window: Expr) -> Expr {
    udf(WINDOW_TIME).call(vec![window])
}

/// A call of `calendar_window`, perhaps under a name, with another time.
pub(crate) fn calendar_at(call: Expr, ts: Expr) -> Expr {
    match call {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(calendar_at(*alias.expr, ts));
            Expr::Alias(alias)
        }
        Expr::ScalarFunction(mut call) => {
            if let Some(first) = call.args.first_mut() {
                *first = ts;
            }
            Expr::ScalarFunction(call)
        }
        other => other,
    }
}

/// The time of `calendar_window(…)`, if an expression is that.
pub(crate) fn calendar_time(expr: &Arc<dyn PhysicalExpr>) -> Option<&Arc<dyn PhysicalExpr>> {
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    if call.fun().name() == CALENDAR_WINDOW { call.args().first() } else { None }
}

/// True for a STRUCT that is a window.
pub(crate) fn is_window(data_type: &DataType) -> bool {
    let is_time = |field: &Field| matches!(field.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _));
    match data_type {
        DataType::Struct(fields) => matches!(fields.as_ref(), [start, end]
            if start.name() == "start" && end.name() == "end" && is_time(start) && is_time(end)),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Window {
    name: &'static str,
    signature: Signature,
}

impl Window {
    /// The type that the time of a window is read as; a window stands for its own time.
    fn time(&self, given: &DataType) -> Result<DataType> {
        match given {
            DataType::Timestamp(TimeUnit::Microsecond, _) => Ok(given.clone()),
            window if is_window(window) => Ok(window.clone()),
            DataType::Timestamp(_, None) => Ok(DataType::Timestamp(TimeUnit::Microsecond, None)),
            DataType::Timestamp(_, Some(_))
            | DataType::Date32
            | DataType::Utf8
            | DataType::Utf8View
            | DataType::LargeUtf8
            | DataType::Null => Ok(timestamp_type()),
            other => plan_err!("{} takes a TIMESTAMP, not {other}", self.name),
        }
    }
}

impl ScalarUDFImpl for Window {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.name, types) {
            (WINDOW, [ts, rest @ ..]) if rest.len() == 3 => {
                Ok(std::iter::once(self.time(ts)?).chain(rest.iter().map(|_| DataType::Int64)).collect())
            }
            (CALENDAR_WINDOW, [ts, _, _]) => Ok(vec![self.time(ts)?, DataType::Utf8, DataType::Utf8]),
            (SESSION_WINDOW, [ts, _]) => Ok(vec![self.time(ts)?, DataType::Int64]),
            (WINDOW_TIME, [window]) if is_window(window) => Ok(vec![window.clone()]),
            (WINDOW_TIME, [other]) => plan_err!("window_time takes a window, not {other}"),
            (GAP, [gap]) => match gap {
                DataType::Interval(_) | DataType::Duration(_) => {
                    Ok(vec![DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano)])
                }
                DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => {
                    Ok(vec![DataType::Utf8])
                }
                other => plan_err!("the gap of a session is a text or an INTERVAL, not {other}"),
            },
            _ => plan_err!("{} is called with the wrong number of arguments", self.name),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("{} needs its arguments", self.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let Some(first) = args.arg_fields.first() else { return plan_err!("{} needs a time", self.name) };
        let instant = match first.data_type() {
            DataType::Struct(fields) => fields.first().map(|start| start.data_type().clone()),
            other => Some(other.clone()),
        };
        let instant = instant.unwrap_or_else(timestamp_type);
        Ok(Arc::new(match self.name {
            GAP => Field::new(GAP, DataType::Int64, true),
            WINDOW_TIME => Field::new(WINDOW_TIME, instant, first.is_nullable()),
            CALENDAR_WINDOW => {
                Field::new(CALENDAR_WINDOW, DataType::Struct(bounds(&instant)), first.is_nullable())
            }
            // Rows in which the time is NULL have no window, so they never get one.
            name => Field::new(name, DataType::Struct(bounds(&instant)), false),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let column = |index: usize| match args.args.get(index) {
            Some(value) => value.to_array(args.number_rows),
            None => failed("an argument is missing"),
        };
        let first = column(0)?;
        Ok(ColumnarValue::Array(match self.name {
            GAP => Arc::new(gaps(&first)?) as ArrayRef,
            WINDOW_TIME => {
                let (time, zone) = time_column(&first)?;
                Arc::new(time.with_timezone_opt(zone))
            }
            WINDOW => {
                let number = |index: usize| -> Result<i64> {
                    let column = column(index)?;
                    let numbers = column.as_primitive_opt::<Int64Type>().filter(|it| !it.is_empty());
                    Ok(numbers.map_or(0, |numbers| numbers.value(0)))
                };
                let size = number(1)?;
                let sliding = if args.number_rows == 0 {
                    Sliding::new(1, 1, 0)
                } else {
                    Sliding::new(size, number(2)?, number(3)?)
                };
                let Ok(sliding) = sliding else { return failed("window: its durations do not fit") };
                if !sliding.tumbles() {
                    return failed("window: a sliding window is possible in GROUP BY of a stream only");
                }
                Arc::new(tumbling(&first, &sliding)?)
            }
            CALENDAR_WINDOW => {
                let word = |index: usize| match args.args.get(index) {
                    Some(ColumnarValue::Scalar(text)) => text.try_as_str().flatten().map(str::to_owned),
                    _ => None,
                };
                let period = word(1).as_deref().and_then(Calendar::named);
                let zone = word(2).and_then(|zone| Zone::read(&zone).ok());
                let (Some(period), Some(zone)) = (period, zone) else {
                    return failed("calendar_window: its period and its zone are constants");
                };
                Arc::new(calendar(&first, period, zone)?)
            }
            _ => return failed("session_window is possible in GROUP BY of a stream only"),
        }))
    }
}

fn bounds(instant: &DataType) -> Fields {
    Fields::from(["start", "end"].map(|name| Field::new(name, instant.clone(), true)).to_vec())
}

/// The times of a column, those of windows being their last microseconds; and their zone.
fn time_column(column: &ArrayRef) -> Result<(TimestampMicrosecondArray, Option<Arc<str>>)> {
    let zone = |column: &ArrayRef| match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
        return Ok((times.clone(), zone(column)));
    }
    let ends = column.as_struct_opt().and_then(|window| {
        let ends = window.column_by_name("end")?;
        let nulls = NullBuffer::union(window.nulls(), ends.nulls());
        let values = ends.as_primitive_opt::<TimestampMicrosecondType>()?.values();
        let last = values.iter().map(|end| window_time(*end)).collect();
        Some((TimestampMicrosecondArray::new(last, nulls), zone(ends)))
    });
    match ends {
        Some(ends) => Ok(ends),
        None => failed("a time or a window is expected"),
    }
}

fn tumbling(column: &ArrayRef, sliding: &Sliding) -> Result<StructArray> {
    let (times, zone) = time_column(column)?;
    let starts = sliding.last_starts(times.values());
    let ends = starts.iter().map(|start| sliding.end(*start)).collect();
    bounded(starts, ends, times.nulls().cloned(), zone)
}

/// Windows of their starts and ends.
fn bounded(
    starts: Vec<i64>,
    ends: Vec<i64>,
    nulls: Option<NullBuffer>,
    zone: Option<Arc<str>>,
) -> Result<StructArray> {
    let of = |micros: Vec<i64>| {
        let column = TimestampMicrosecondArray::new(micros.into(), nulls.clone());
        Arc::new(column.with_timezone_opt(zone.clone())) as ArrayRef
    };
    let columns = vec![of(starts), of(ends)];
    let fields = bounds(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone()));
    Ok(StructArray::try_new(fields, columns, nulls.clone())?)
}

/// Windows of times without a zone are those of the times' own calendar.
fn calendar(column: &ArrayRef, period: Calendar, zone: Zone) -> Result<StructArray> {
    let (times, named) = time_column(column)?;
    let zone = if named.is_some() { zone } else { Zone::UTC };
    let windows = CalendarWindows::new(period, zone).or_else(|error| failed(error.message()))?;
    let (mut starts, mut ends) = (Vec::with_capacity(times.len()), Vec::with_capacity(times.len()));
    // Times that stand beside each other mostly lie in one window.
    let mut last: Option<(i64, i64)> = None;
    for row in 0..times.len() {
        let ts = if times.is_valid(row) { times.value(row) } else { 0 };
        let (start, end) = match last {
            Some((start, end)) if start <= ts && ts < end => (start, end),
            _ => windows.bounds(ts),
        };
        last = Some((start, end));
        starts.push(start);
        ends.push(end);
    }
    bounded(starts, ends, times.nulls().cloned(), named)
}

fn gaps(column: &ArrayRef) -> Result<Int64Array> {
    if let Some(intervals) = column.as_primitive_opt::<IntervalMonthDayNanoType>() {
        return intervals.try_unary(|interval| {
            let micros = i64::from(interval.days)
                .checked_mul(86_400_000_000)
                .and_then(|days| days.checked_add(interval.nanoseconds / 1_000));
            match micros {
                Some(micros) if interval.months == 0 => Ok(micros),
                Some(_) => failed("session_window: a gap cannot have months, which have no fixed length"),
                None => failed("session_window: a gap is beyond what 64 bits hold"),
            }
        });
    }
    let Some(texts) = column.as_string_opt::<i32>() else { return failed("a text is expected") };
    texts
        .iter()
        .map(|text| {
            text.map(|text| Interval::parse(text).and_then(|interval| interval.fixed_micros(text)))
                .transpose()
                .or_else(|error| failed(format!("session_window: {}", error.message())))
        })
        .collect()
}
