//! What the session's zone means inside of expressions: what clocks show at an instant, the instant at which they show
//! a time, and sums and pieces of times that a calendar makes.
//!
//! A TIMESTAMP is an instant and a TIMESTAMP_NTZ what clocks show. [`crate::plan::zone`] puts these functions where one
//! becomes the other; in UTC there are none of them. Nights on which clocks change go by Java's rules ([`Zone`]).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, PrimitiveArray, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, IntervalMonthDayNanoType, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, FixedOffset, Months, NaiveDateTime, Utc};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use forebay_core::Zone;
use forebay_core::zone::Offsets;

use super::failed;
use super::seconds::timestamp_type;

pub(super) const DAY_US: i64 = 86_400_000_000;

/// A function's name as the session knows it, and as it is told: with its zone, if that is not UTC. So the text of what
/// was planned, and with it the meaning of a query's state, tells zones apart.
pub(super) fn names(name: &str, zone: Zone) -> (String, Vec<String>) {
    if zone.is_utc() {
        (name.to_owned(), Vec::new())
    } else {
        (format!("{name}[{zone}]"), vec![name.to_owned()])
    }
}

/// The type of TIMESTAMP_NTZ.
pub(crate) fn local_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// What the clocks of a zone show at an instant: TIMESTAMP to TIMESTAMP_NTZ.
pub(crate) fn local(instant: Expr, zone: Zone) -> Expr {
    call(Kind::Local, zone, vec![instant])
}

/// When they show it: TIMESTAMP_NTZ, DATE (its first instant) or STRING to TIMESTAMP. A text that is no time is an error,
/// or NULL if this is not strict.
pub(crate) fn instant(of: Expr, zone: Zone, strict: bool) -> Expr {
    call(Kind::Instant { strict }, zone, vec![of])
}

/// A TIMESTAMP and an interval (months, days and nanoseconds, or microseconds), or without it. Months and days are the
/// calendar's.
pub(crate) fn shifted(instant: Expr, interval: Expr, back: bool, zone: Zone) -> Expr {
    call(Kind::Shift { back }, zone, vec![instant, interval])
}

/// A sum of an instant and an interval, as [`shifted`] makes it, taken apart: both, whether the interval is taken away, and
/// the zone.
pub(crate) fn sum_of(expr: &Expr) -> Option<(&Expr, &Expr, bool, Zone)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let it = call.func.inner().downcast_ref::<InZone>()?;
    match (it.kind, call.args.as_slice()) {
        (Kind::Shift { back }, [instant, interval]) => Some((instant, interval, back, it.zone)),
        _ => None,
    }
}

/// `date_trunc(unit, instant)`; `None` for a unit that nobody knows.
pub(crate) fn truncated(unit: &str, instant: Expr, zone: Zone) -> Option<Expr> {
    let unit = match unit.to_ascii_lowercase().as_str() {
        "year" | "yyyy" | "yy" => Unit::Year,
        "quarter" => Unit::Quarter,
        "month" | "mon" | "mm" => Unit::Month,
        "week" => Unit::Week,
        "day" | "dd" => Unit::Clock(DAY_US),
        "hour" => Unit::Clock(3_600_000_000),
        "minute" => Unit::Clock(60_000_000),
        "second" => Unit::Steady(1_000_000),
        "millisecond" => Unit::Steady(1_000),
        "microsecond" => Unit::Steady(1),
        _ => return None,
    };
    Some(call(Kind::Truncate(unit), zone, vec![instant]))
}

fn call(kind: Kind, zone: Zone, args: Vec<Expr>) -> Expr {
    let (name, _) = names(&kind.name(), zone);
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::from(InZone { name, kind, zone, signature }).call(args)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Local,
    Instant { strict: bool },
    Shift { back: bool },
    Truncate(Unit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    /// So many microseconds of what clocks show.
    Clock(i64),
    /// So many microseconds, at which no zone's offset matters.
    Steady(i64),
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Local => "local".to_owned(),
            Self::Instant { strict: true } => "instant".to_owned(),
            Self::Instant { strict: false } => "try_instant".to_owned(),
            Self::Shift { back: false } => "plus".to_owned(),
            Self::Shift { back: true } => "minus".to_owned(),
            Self::Truncate(Unit::Clock(micros)) => format!("date_trunc {micros} µs"),
            Self::Truncate(Unit::Steady(micros)) => format!("date_trunc steady {micros} µs"),
            Self::Truncate(unit) => format!("date_trunc {unit:?}"),
        }
    }
}

/// A function of a zone. Only [`crate::plan::zone`] calls it, with types that fit.
#[derive(Debug, PartialEq, Eq, Hash)]
struct InZone {
    name: String,
    kind: Kind,
    zone: Zone,
    signature: Signature,
}

impl ScalarUDFImpl for InZone {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.kind == Kind::Local { local_type() } else { timestamp_type() })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((first, rest)) = args.args.split_first() else { return failed("a time is expected") };
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let first = first.to_array(rows)?;
        let made = match self.kind {
            Kind::Local => {
                let mut offsets = Offsets::new(self.zone);
                let clocks = times(&first)?.iter().map(|at| Some(offsets.local(at?)));
                let local: TimestampMicrosecondArray = clocks.collect();
                return given(Arc::new(local), constant);
            }
            Kind::Instant { strict } => self.instants(&first, strict)?,
            Kind::Truncate(unit) => self.truncated(times(&first)?, unit)?,
            Kind::Shift { back } => {
                let Some(interval) = rest.first() else { return failed("an interval is expected") };
                self.shifted(times(&first)?, &interval.to_array(rows)?, back)?
            }
        };
        given(Arc::new(made.with_timezone("UTC")), constant)
    }
}

/// A constant stays one.
pub(super) fn given(column: ArrayRef, constant: bool) -> Result<ColumnarValue> {
    if constant {
        let value = datafusion::common::ScalarValue::try_from_array(&column, 0)?;
        return Ok(ColumnarValue::Scalar(value));
    }
    Ok(ColumnarValue::Array(column))
}

pub(super) fn times(column: &ArrayRef) -> Result<&TimestampMicrosecondArray> {
    match column.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => Ok(times),
        None => failed("a time is expected"),
    }
}

pub(super) fn beyond<T>() -> Result<T> {
    failed("the time lies beyond the calendar")
}

impl InZone {
    fn instants(&self, column: &ArrayRef, strict: bool) -> Result<TimestampMicrosecondArray> {
        let zone = self.zone;
        if let Some(local) = column.as_primitive_opt::<TimestampMicrosecondType>() {
            return Ok(PrimitiveArray::unary(local, |local| zone.instant(local)));
        }
        if let Some(days) = column.as_primitive_opt::<Date32Type>() {
            return Ok(PrimitiveArray::unary(days, |day| zone.day_start(day.into())));
        }
        let Some(texts) = column.as_string_opt::<i32>() else { return failed("a time is expected") };
        let mut out = TimestampMicrosecondBuilder::with_capacity(texts.len());
        for text in texts {
            let read = text.and_then(|text| instant_of(text, zone));
            match (text, read) {
                (Some(text), None) if strict => {
                    let text: String = text.chars().take(64).collect();
                    return failed(format!("`{text}` is no TIMESTAMP; try_cast gives NULL for it"));
                }
                (_, read) => out.append_option(read),
            }
        }
        Ok(out.finish())
    }

    fn truncated(&self, times: &TimestampMicrosecondArray, unit: Unit) -> Result<TimestampMicrosecondArray> {
        let mut offsets = Offsets::new(self.zone);
        // Neighbours mostly have the same result.
        let mut last: Option<((i64, i64), i64)> = None;
        let mut out = TimestampMicrosecondBuilder::with_capacity(times.len());
        for at in times {
            let Some(at) = at else {
                out.append_null();
                continue;
            };
            if let Unit::Steady(micros) = unit {
                out.append_value(at.saturating_sub(at.rem_euclid(micros)));
                continue;
            }
            let local = offsets.local(at);
            let wanted = match unit {
                Unit::Clock(micros) => (local.saturating_sub(local.rem_euclid(micros)), offsets.at(at)),
                _ => match first_day(local, unit) {
                    Some(day) => (day, 0),
                    None => return beyond(),
                },
            };
            let instant = match last {
                Some((of, instant)) if of == wanted => instant,
                _ if matches!(unit, Unit::Clock(_)) => self.zone.instant_near(wanted.0, Some(wanted.1)),
                _ => self.zone.day_start(wanted.0),
            };
            last = Some((wanted, instant));
            out.append_value(instant);
        }
        Ok(out.finish())
    }

    fn shifted(
        &self,
        times: &TimestampMicrosecondArray,
        intervals: &ArrayRef,
        back: bool,
    ) -> Result<TimestampMicrosecondArray> {
        let sign = if back { -1 } else { 1 };
        let mut out = TimestampMicrosecondBuilder::with_capacity(times.len());
        for row in 0..times.len() {
            let interval = interval_at(intervals, row)?;
            let (Some((months, days, micros)), true) = (interval, times.is_valid(row)) else {
                out.append_null();
                continue;
            };
            // Days and less are one length in Spark: 24 hours of it are a day of the calendar.
            let (days, micros) = match months {
                0 => {
                    let all = i128::from(days) * i128::from(DAY_US) + i128::from(micros);
                    let (days, rest) = (all / i128::from(DAY_US), all % i128::from(DAY_US));
                    (i64::try_from(days).unwrap_or(i64::MAX), rest as i64)
                }
                _ => (days, micros),
            };
            match shift(self.zone, times.value(row), sign * months, days.saturating_mul(sign), micros * sign)
            {
                Some(shifted) => out.append_value(shifted),
                None => return beyond(),
            }
        }
        Ok(out.finish())
    }
}

/// One time, by months, days and microseconds, one after the other; `None` beyond the calendar.
pub(super) fn shift(zone: Zone, at: i64, months: i64, days: i64, micros: i64) -> Option<i64> {
    // The instant at which clocks show this; of two the one with the offset of another instant.
    let resolved =
        |near: i64, local: i64| zone.instant_near(local, Some(zone.offset_at(near.div_euclid(1_000_000))));
    let mut at = at;
    if months != 0 {
        let clocks = DateTime::<Utc>::from_timestamp_micros(zone.local(at))?.naive_utc();
        at = resolved(at, add_months(clocks, months)?.and_utc().timestamp_micros());
    }
    if days != 0 {
        let local = zone.local(at).checked_add(days.checked_mul(DAY_US)?)?;
        at = resolved(at, local);
    }
    at.checked_add(micros)
}

/// The day, counted since 1970, with which the year, quarter, month or week of a local time begins.
fn first_day(local: i64, unit: Unit) -> Option<i64> {
    let date = DateTime::<Utc>::from_timestamp_micros(local)?.date_naive();
    let first = match unit {
        Unit::Week => date.week(chrono::Weekday::Mon).checked_first_day()?,
        Unit::Month => date.with_day(1)?,
        Unit::Quarter => date.with_day(1)?.with_month0(date.month0() / 3 * 3)?,
        _ => date.with_day(1)?.with_month0(0)?,
    };
    Some(first.and_time(chrono::NaiveTime::MIN).and_utc().timestamp().div_euclid(86_400))
}

fn add_months(time: NaiveDateTime, months: i64) -> Option<NaiveDateTime> {
    let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    if months < 0 { time.checked_sub_months(count) } else { time.checked_add_months(count) }
}

/// Months, days and microseconds.
fn interval_at(column: &ArrayRef, row: usize) -> Result<Option<(i64, i64, i64)>> {
    if column.is_null(row) {
        return Ok(None);
    }
    if let Some(intervals) = column.as_primitive_opt::<IntervalMonthDayNanoType>() {
        let interval = intervals.value(row);
        let (months, days) = (i64::from(interval.months), i64::from(interval.days));
        return Ok(Some((months, days, interval.nanoseconds / 1_000)));
    }
    match column.as_primitive_opt::<DurationMicrosecondType>() {
        Some(lengths) => Ok(Some((0, 0, lengths.value(row)))),
        None => failed("an interval is expected"),
    }
}

/// A text that says its zone is the same instant wherever it is read.
fn instant_of(text: &str, zone: Zone) -> Option<i64> {
    let here = string_to_datetime(&Utc, text).ok()?.timestamp_micros();
    let elsewhere = string_to_datetime(&FixedOffset::east_opt(3_600)?, text).ok()?.timestamp_micros();
    Some(if here == elsewhere { here } else { zone.instant(here) })
}
