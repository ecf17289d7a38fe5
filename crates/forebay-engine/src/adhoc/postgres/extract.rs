//! `extract(field FROM t)`: a NUMERIC, with the fraction of a second where there is one, of times and of intervals.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, NaiveDateTime};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ReturnFieldArgs;

use super::call::Call;
use super::intervals::{is_length, justified, micros_of};

/// A year of an interval is 365.25 days long where seconds are counted, a month that is left thirty days.
const YEAR_MICROS: i64 = 31_557_600_000_000;
const MONTH_MICROS: i64 = 2_592_000_000_000;

/// The function; its first argument is the field, a constant.
pub(super) const EXTRACT: Call = Call {
    name: "__extract",
    takes: |types| match types {
        [
            _,
            of @ (DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(_) | DataType::Time64(_)),
        ] => Ok(vec![DataType::Utf8, of.clone()]),
        [_, of] if is_length(of) => Ok(vec![DataType::Utf8, of.clone()]),
        [_, DataType::Null] => Ok(vec![DataType::Utf8, CLOCKS]),
        _ => plan_err!("cannot call extract of this type: it takes a time, a date or an interval"),
    },
    gives: |types, args| {
        let scale = match (field(args)?.as_str(), types.get(1)) {
            ("epoch" | "second", Some(DataType::Date32)) => 0,
            ("epoch" | "second", _) => 6,
            ("millisecond", _) => 3,
            _ => 0,
        };
        Ok(DataType::Decimal128(24, scale))
    },
    work: |args, to| {
        let [field, of] = args else { return plan_err!("extract takes a field and a time") };
        let fields = field.as_string::<i32>();
        let name = if fields.is_empty() { String::new() } else { singular(fields.value(0)) };
        let scale = match to {
            DataType::Decimal128(_, scale) => u32::try_from(*scale).unwrap_or(0),
            _ => 0,
        };
        let unit = 10_i128.pow(6_u32.saturating_sub(scale));
        let values = micros(&name, of)?;
        let values: Decimal128Array =
            values.into_iter().map(|value| value.map(|value| value / unit)).collect();
        Ok(Arc::new(values.with_precision_and_scale(24, i8::try_from(scale).unwrap_or(0))?) as ArrayRef)
    },
};

const CLOCKS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

const FIELDS: [&str; 18] = [
    "microsecond",
    "millisecond",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "decade",
    "century",
    "millennium",
    "epoch",
    "dow",
    "isodow",
    "doy",
    "isoyear",
];

/// `seconds` and `second` are one.
fn singular(name: &str) -> String {
    let name = name.to_lowercase();
    match name.as_str() {
        "centuries" => "century".to_owned(),
        "millennia" | "millenniums" => "millennium".to_owned(),
        _ => match name.strip_suffix('s') {
            Some(one) if FIELDS.contains(&one) => one.to_owned(),
            _ => name,
        },
    }
}

fn field(args: &ReturnFieldArgs<'_>) -> Result<String> {
    let name = args.scalar_arguments.first().copied().flatten().and_then(|name| name.try_as_str().flatten());
    let Some(name) = name.map(singular) else { return plan_err!("the field of extract must be a constant") };
    if FIELDS.contains(&name.as_str()) { Ok(name) } else { plan_err!("unit \"{name}\" not recognized") }
}

/// The values of a field, each in millionths.
fn micros(name: &str, of: &ArrayRef) -> Result<Vec<Option<i128>>> {
    let million = |number: i128| number * 1_000_000;
    if is_length(of.data_type()) {
        let intervals = justified(of)?;
        let values = intervals.as_primitive::<IntervalMonthDayNanoType>().iter();
        return values.map(|value| value.map(|value| of_interval(name, value)).transpose()).collect();
    }
    if matches!(of.data_type(), DataType::Time32(_) | DataType::Time64(_)) {
        let times = cast(of, &DataType::Time64(TimeUnit::Microsecond))?;
        let values = times.as_primitive::<Time64MicrosecondType>().iter();
        let one = |micros: i64| match of_clock(name, micros) {
            Some(value) => Ok(value),
            None if name == "epoch" => Ok(i128::from(micros)),
            None => plan_err!("unit \"{name}\" not supported for type time"),
        };
        return values.map(|value| value.map(one).transpose()).collect();
    }
    let zone = match of.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let times = cast(of, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
    let one = |micros: i64| {
        if name == "epoch" {
            return Some(i128::from(micros));
        }
        let at = DateTime::from_timestamp_micros(micros)?.naive_utc();
        of_clock(name, micros.rem_euclid(86_400_000_000)).or_else(|| of_day(name, at).map(million))
    };
    Ok(times.as_primitive::<TimestampMicrosecondType>().iter().map(|value| value.and_then(one)).collect())
}

/// What a clock shows; `None` for another field.
fn of_clock(name: &str, micros: i64) -> Option<i128> {
    let micros = i128::from(micros);
    Some(match name {
        "microsecond" => micros % 60_000_000 * 1_000_000,
        "millisecond" => micros % 60_000_000 * 1_000,
        "second" => micros % 60_000_000,
        "minute" => micros / 60_000_000 % 60 * 1_000_000,
        "hour" => micros / 3_600_000_000 * 1_000_000,
        _ => return None,
    })
}

fn of_day(name: &str, at: NaiveDateTime) -> Option<i128> {
    // There is no year 0: 1 BC is the one before 1.
    let year = i64::from(if at.year() > 0 { at.year() } else { at.year() - 1 });
    let spans =
        |years: i64| if year > 0 { (year + years - 1) / years } else { -((years - 1 - year) / years) };
    Some(i128::from(match name {
        "day" => i64::from(at.day()),
        "month" => i64::from(at.month()),
        "quarter" => i64::from(at.month0() / 3 + 1),
        "year" => year,
        "decade" => i64::from(at.year().div_euclid(10)),
        "century" => spans(100),
        "millennium" => spans(1_000),
        "week" => i64::from(at.iso_week().week()),
        "isoyear" => i64::from(at.iso_week().year()),
        "dow" => i64::from(at.weekday().num_days_from_sunday()),
        "isodow" => i64::from(at.weekday().number_from_monday()),
        "doy" => i64::from(at.ordinal()),
        _ => return None,
    }))
}

fn of_interval(name: &str, value: IntervalMonthDayNano) -> Result<i128> {
    let micros = value.nanoseconds / 1_000;
    if let Some(value) = of_clock(name, micros) {
        return Ok(value);
    }
    let (years, months) = (i128::from(value.months / 12), i128::from(value.months % 12));
    let whole = match name {
        "epoch" => {
            let left = IntervalMonthDayNano::new(value.months % 12, value.days, value.nanoseconds);
            return Ok(years * i128::from(YEAR_MICROS) + i128::from(micros_of(left, MONTH_MICROS)?));
        }
        "day" => i128::from(value.days),
        "month" => months,
        "quarter" => months / 3 + 1,
        "year" => years,
        "decade" => years / 10,
        "century" => years / 100,
        "millennium" => years / 1_000,
        _ => return plan_err!("unit \"{name}\" not supported for type interval"),
    };
    Ok(whole * 1_000_000)
}
