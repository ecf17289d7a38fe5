//! Lengths of time: days of a difference, how long an interval is, `age`.
//!
//! The difference of two instants is a DURATION inside of a plan, so that it can be summed and averaged; a client sees
//! PostgreSQL's interval of it, with days beside hours ([`shown`]). Two intervals are compared by their length, a month
//! being thirty days; Arrow would compare their months first.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, DurationMicrosecondType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit, TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::call::{Call, out_of_range};

const DAY_MICROS: i64 = 86_400_000_000;
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const CLOCKS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// True for a length of time.
pub(super) fn is_length(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn lengths(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [of] if is_length(of) => Ok(vec![of.clone()]),
        _ => plan_err!("cannot compute: this is no interval"),
    }
}

/// A duration as an interval of days and what is left.
pub(super) const SHOWN: Call = Call {
    name: "__interval",
    takes: lengths,
    gives: |_, _| Ok(INTERVAL),
    work: |args, _| match args {
        [of] => justified(of),
        _ => plan_err!("one interval is expected"),
    },
};

/// The microseconds of a length.
pub(super) const LENGTH: Call = Call {
    name: "__length",
    takes: lengths,
    gives: |_, _| Ok(DataType::Int64),
    work: |args, _| {
        let [of] = args else { return plan_err!("one interval is expected") };
        let intervals = justified(of)?;
        let micros = intervals
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .map(|value| value.map(|value| micros_of(value, 30 * DAY_MICROS)).transpose());
        Ok(Arc::new(micros.collect::<Result<Int64Array>>()?))
    },
};

/// The microseconds of an interval whose months are so long.
pub(super) fn micros_of(value: IntervalMonthDayNano, month: i64) -> Result<i64> {
    let all = i128::from(value.months) * i128::from(month)
        + i128::from(value.days) * i128::from(DAY_MICROS)
        + i128::from(value.nanoseconds / 1_000);
    i64::try_from(all).map_err(|_| out_of_range("interval out of range"))
}

/// A column of lengths as intervals: of a duration the days are told, an interval stays as it is.
pub(super) fn justified(column: &ArrayRef) -> Result<ArrayRef> {
    if !matches!(column.data_type(), DataType::Duration(_)) {
        return Ok(cast(column, &INTERVAL)?);
    }
    let micros = cast(column, &DataType::Duration(TimeUnit::Microsecond))?;
    let one = |micros: i64| {
        let days = i32::try_from(micros / DAY_MICROS).map_err(|_| out_of_range("interval out of range"))?;
        Ok(IntervalMonthDayNano::new(0, days, micros % DAY_MICROS * 1_000))
    };
    let intervals = micros.as_primitive::<DurationMicrosecondType>().iter();
    let intervals = intervals.map(|micros| micros.map(one).transpose());
    Ok(Arc::new(intervals.collect::<Result<IntervalMonthDayNanoArray>>()?))
}

/// The plan with durations that come out as intervals.
pub(super) fn shown(plan: LogicalPlan) -> Result<LogicalPlan> {
    let is_duration = |data_type: &DataType| matches!(data_type, DataType::Duration(_));
    if !plan.schema().fields().iter().any(|field| is_duration(field.data_type())) {
        return Ok(plan);
    }
    let function = SHOWN.function();
    let columns = plan.schema().iter().map(|(table, field)| {
        let column = Expr::from((table, field));
        if is_duration(field.data_type()) {
            function.call(vec![column]).alias_qualified(table.cloned(), field.name())
        } else {
            column
        }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// `age(a, b)`: years, months and days between two times, as the calendar has them.
pub(super) const AGE: Call = Call {
    name: "age",
    takes: |types| match types {
        [_, _] if types.iter().all(|of| of.is_temporal() || of.is_null() || of == &DataType::Utf8) => {
            Ok(vec![CLOCKS, CLOCKS])
        }
        _ => plan_err!("cannot call age with these arguments: it takes two times"),
    },
    gives: |_, _| Ok(INTERVAL),
    work: |args, _| {
        let [left, right] = args else { return plan_err!("age takes two times") };
        let (left, right) = (
            left.as_primitive::<TimestampMicrosecondType>(),
            right.as_primitive::<TimestampMicrosecondType>(),
        );
        let at = |micros: i64| DateTime::from_timestamp_micros(micros).map(|at| at.naive_utc());
        let ages =
            left.iter().zip(right).map(|(left, right)| match (left.and_then(at), right.and_then(at)) {
                (Some(left), Some(right)) if left < right => between(right, left)
                    .map(|age| Some(IntervalMonthDayNano::new(-age.months, -age.days, -age.nanoseconds))),
                (Some(left), Some(right)) => between(left, right).map(Some),
                _ => Ok(None),
            });
        Ok(Arc::new(ages.collect::<Result<IntervalMonthDayNanoArray>>()?))
    },
};

/// From the earlier time to the later one.
fn between(later: NaiveDateTime, earlier: NaiveDateTime) -> Result<IntervalMonthDayNano> {
    let beyond = || out_of_range("interval out of range");
    let month = |at: NaiveDateTime| i64::from(at.year()) * 12 + i64::from(at.month0());
    let mut months = month(later) - month(earlier);
    let mut days = i64::from(later.day()) - i64::from(earlier.day());
    let mut nanos = (later.time() - earlier.time()).num_nanoseconds().ok_or_else(beyond)?;
    if nanos < 0 {
        (nanos, days) = (nanos + DAY_MICROS * 1_000, days - 1);
    }
    while days < 0 {
        // The days of the month in which the earlier time is.
        let first = NaiveDate::from_ymd_opt(earlier.year(), earlier.month(), 1).ok_or_else(beyond)?;
        let next = first.checked_add_months(Months::new(1)).ok_or_else(beyond)?;
        (days, months) = (days + (next - first).num_days(), months - 1);
    }
    let short = |number: i64| i32::try_from(number).map_err(|_| beyond());
    Ok(IntervalMonthDayNano::new(short(months)?, short(days)?, nanos))
}
