//! Casts that people write, and `round` and its like, as PostgreSQL does them: what becomes a whole number is rounded, a
//! NUMERIC half away from zero, a double half to even; what does not fit is an error; a text is read with blanks around it,
//! a time also without seconds. Casts that DataFusion puts in by itself are its own.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Decimal128Array, Float64Array, PrimitiveArray, StringArray,
};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use chrono::Utc;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ReturnFieldArgs;

use super::arithmetic::whole_name;
use super::call::{Call, out_of_range, unread};
use super::digits::{self, Way};
use super::floats::beyond;

macro_rules! whole {
    ($name:literal, $kind:ty) => {
        Call {
            name: $name,
            takes: |types| match types {
                [of] if of.is_numeric() || matches!(of, DataType::Boolean | DataType::Utf8) => {
                    Ok(types.to_vec())
                }
                [DataType::Null] => Ok(vec![<$kind>::DATA_TYPE]),
                [of] => plan_err!("cannot cast type {of} to {}", whole_name(&<$kind>::DATA_TYPE)),
                _ => plan_err!("a cast takes one value"),
            },
            gives: |_, _| Ok(<$kind>::DATA_TYPE),
            work: |args, _| match args {
                [of] => whole_of::<$kind>(of),
                _ => plan_err!("a cast takes one value"),
            },
        }
    };
}

/// All that stand here.
pub(super) const ALL: [Call; 12] = [
    whole!("__int2", Int16Type),
    whole!("__int4", Int32Type),
    whole!("__int8", Int64Type),
    FLOAT8,
    times(false),
    times(true),
    TO_TIMESTAMP,
    CUT,
    rounding("__round", |args, to| rounded(args, to, Way::Nearest)),
    rounding("__floor", |args, to| rounded(args, to, Way::Down)),
    rounding("__ceil", |args, to| rounded(args, to, Way::Up)),
    rounding("__trunc", |args, to| rounded(args, to, Way::ToZero)),
];

fn whole_of<T: ArrowPrimitiveType>(of: &ArrayRef) -> Result<ArrayRef>
where
    T::Native: TryFrom<i128>,
{
    let name = whole_name(&T::DATA_TYPE);
    let beyond = || out_of_range(format!("{name} out of range"));
    let one = |value: i128| T::Native::try_from(value).map_err(|_| beyond());
    let made: PrimitiveArray<T> = match of.data_type() {
        DataType::Decimal128(_, scale) => {
            let values = of.as_primitive::<Decimal128Type>().iter();
            let whole = |value| digits::whole(value, *scale, Way::Nearest).ok_or_else(beyond).and_then(one);
            values.map(|value| value.map(whole).transpose()).collect::<Result<_>>()?
        }
        float if float.is_floating() => {
            let doubles = cast(of, &DataType::Float64)?;
            let values = doubles.as_primitive::<Float64Type>().iter();
            let whole = |value: f64| {
                let nearest = value.round_ties_even();
                // NaN is not below it either.
                if nearest.abs() < 1e19 { one(nearest as i128) } else { Err(beyond()) }
            };
            values.map(|value| value.map(whole).transpose()).collect::<Result<_>>()?
        }
        DataType::Utf8 => {
            let read = |text: &str| match text.trim().parse::<i128>() {
                Ok(value) => T::Native::try_from(value)
                    .map_err(|_| out_of_range(format!("value \"{text}\" is out of range for type {name}"))),
                Err(_) => Err(unread(name, text)),
            };
            of.as_string::<i32>().iter().map(|text| text.map(read).transpose()).collect::<Result<_>>()?
        }
        _ => {
            let wide = match of.data_type() {
                DataType::UInt64 => cast(of, &DataType::Decimal128(20, 0))?,
                _ => cast(&cast(of, &DataType::Int64)?, &DataType::Decimal128(19, 0))?,
            };
            let values = wide.as_primitive::<Decimal128Type>().iter();
            values.map(|value| value.map(one).transpose()).collect::<Result<_>>()?
        }
    };
    Ok(Arc::new(made))
}

const FLOAT8: Call = Call {
    name: "__float8",
    takes: |types| match types {
        [of] if of.is_numeric() || of == &DataType::Utf8 => Ok(types.to_vec()),
        [DataType::Null] => Ok(vec![DataType::Float64]),
        [of] => plan_err!("cannot cast type {of} to double precision"),
        _ => plan_err!("a cast takes one value"),
    },
    gives: |_, _| Ok(DataType::Float64),
    work: |args, _| {
        let [of] = args else { return plan_err!("a cast takes one value") };
        let texts = match of.data_type() {
            // The double next to the digits, which a quotient need not be.
            DataType::Decimal128(..) => cast(of, &DataType::Utf8)?,
            DataType::Utf8 => Arc::clone(of),
            _ => return Ok(cast(of, &DataType::Float64)?),
        };
        let read = |text: &str| {
            let value = text.trim().parse::<f64>().map_err(|_| unread("double precision", text))?;
            if beyond(value, text) {
                return Err(out_of_range(format!("\"{text}\" is out of range for type double precision")));
            }
            Ok(value)
        };
        let values = texts.as_string::<i32>().iter().map(|text| text.map(read).transpose());
        Ok(Arc::new(values.collect::<Result<Float64Array>>()?))
    },
};

const fn time_type(is_instant: bool) -> &'static str {
    if is_instant { "timestamp with time zone" } else { "timestamp" }
}

pub(super) fn clocks() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

const fn times(is_instant: bool) -> Call {
    Call {
        name: if is_instant { "__timestamptz" } else { "__timestamp" },
        takes: |types| match types {
            [DataType::Utf8 | DataType::Timestamp(..) | DataType::Date32] => Ok(types.to_vec()),
            [DataType::Null] => Ok(vec![DataType::Utf8]),
            [of] => plan_err!("cannot cast type {of} to timestamp"),
            _ => plan_err!("a cast takes one value"),
        },
        gives: if is_instant { |_, _| Ok(instant()) } else { |_, _| Ok(clocks()) },
        work: |args, to| match args {
            [of] if of.data_type() == &DataType::Utf8 => read(of, to),
            // What clocks show in UTC, the zone of every session.
            [of] => Ok(cast(&cast(of, &DataType::Timestamp(TimeUnit::Microsecond, zone(of)))?, to)?),
            _ => plan_err!("a cast takes one value"),
        },
    }
}

fn zone(of: &ArrayRef) -> Option<Arc<str>> {
    match of.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    }
}

fn read(of: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let is_instant = matches!(to, DataType::Timestamp(_, Some(_)));
    let one = |text: &str| time(text, is_instant).ok_or_else(|| unread(time_type(is_instant), text));
    let values = of.as_string::<i32>().iter().map(|text| text.map(one).transpose());
    let values: PrimitiveArray<TimestampMicrosecondType> = values.collect::<Result<_>>()?;
    Ok(Arc::new(values.with_timezone_opt(is_instant.then_some("UTC"))))
}

/// The microseconds of a time that is written down, also without seconds; `None` for what is none. The zone of one that
/// is no instant does not count.
pub fn time(text: &str, is_instant: bool) -> Option<i64> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("epoch") {
        return Some(0);
    }
    let at = |text: &str| match is_instant {
        true => string_to_datetime(&Utc, text).ok().map(|at| at.naive_utc()),
        // Clocks show what is written.
        false => {
            let behind = text.get(10..).unwrap_or_default();
            let end = behind.find(['+', '-', 'Z', 'z']).map_or(text.len(), |zone| zone + 10);
            string_to_datetime(&Utc, text.get(..end)?.trim_end()).ok().map(|at| at.naive_utc())
        }
    };
    at(text).or_else(|| at(&with_seconds(text)?)).map(|at| at.and_utc().timestamp_micros())
}

/// `2026-01-05 10:00+01` with `:00` behind its minutes.
fn with_seconds(text: &str) -> Option<String> {
    let minutes = text.find(':')? + 3;
    let (start, rest) = (text.get(..minutes)?, text.get(minutes..)?);
    let has_seconds =
        rest.starts_with([':', '.']) || rest.starts_with(|letter: char| letter.is_ascii_digit());
    (!has_seconds).then(|| format!("{start}:00{rest}"))
}

/// `to_timestamp(seconds)`.
const TO_TIMESTAMP: Call = Call {
    name: "to_timestamp",
    takes: |types| match types {
        [of] if of.is_numeric() || of.is_null() => Ok(vec![DataType::Float64]),
        _ => plan_err!(
            "cannot call to_timestamp with these arguments: it takes seconds since 1970; cast a text to timestamptz"
        ),
    },
    gives: |_, _| Ok(instant()),
    work: |args, _| {
        let [seconds] = args else { return plan_err!("to_timestamp takes seconds") };
        let one = |seconds: f64| {
            let micros = (seconds * 1e6).round_ties_even();
            // The year 294276, as in PostgreSQL.
            if micros.abs() < 9.224e18 {
                Ok(micros as i64)
            } else {
                Err(out_of_range(format!("timestamp out of range: \"{seconds}\"")))
            }
        };
        let values = seconds.as_primitive::<Float64Type>().iter().map(|value| value.map(one).transpose());
        let values: PrimitiveArray<TimestampMicrosecondType> = values.collect::<Result<_>>()?;
        Ok(Arc::new(values.with_timezone("UTC")))
    },
};

/// The first letters of a text, as many as the second argument says: `varchar(n)`.
const CUT: Call = Call {
    name: "__cut",
    takes: |types| match types {
        [_, _] => Ok(vec![DataType::Utf8, DataType::Int64]),
        _ => plan_err!("a cast takes one value"),
    },
    gives: |_, _| Ok(DataType::Utf8),
    work: |args, _| {
        let [texts, lengths] = args else { return plan_err!("a cast takes one value") };
        let length = lengths.as_primitive::<Int64Type>().iter().flatten().next();
        let most = usize::try_from(length.unwrap_or(0)).unwrap_or(0);
        let cut = |text: &'_ str| text.char_indices().nth(most).map_or(text.len(), |(end, _)| end);
        let values = texts.as_string::<i32>().iter();
        let values: StringArray = values.map(|text| text.and_then(|text| text.get(..cut(text)))).collect();
        Ok(Arc::new(values))
    },
};

/// `round`, `floor`, `ceil` and `trunc` of one number: a NUMERIC has no digits behind the point then, all else is a double.
const fn rounding(name: &'static str, work: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>) -> Call {
    fn gives(types: &[DataType], _: &ReturnFieldArgs<'_>) -> Result<DataType> {
        Ok(match types {
            [DataType::Decimal128(..)] => DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0),
            _ => DataType::Float64,
        })
    }
    Call {
        name,
        takes: |types| match types {
            [DataType::Decimal128(..)] => Ok(types.to_vec()),
            [of] if of.is_numeric() || of.is_null() || of == &DataType::Utf8 => Ok(vec![DataType::Float64]),
            _ => {
                plan_err!("cannot call round, floor, ceil or trunc with these arguments: they take a number")
            }
        },
        gives,
        work,
    }
}

fn rounded(args: &[ArrayRef], to: &DataType, way: Way) -> Result<ArrayRef> {
    let [of] = args else { return plan_err!("one number is expected") };
    if let DataType::Decimal128(_, scale) = of.data_type() {
        let beyond = || out_of_range("value overflows numeric format");
        let one = |value| digits::whole(value, *scale, way).ok_or_else(beyond);
        let values = of.as_primitive::<Decimal128Type>().iter().map(|value| value.map(one).transpose());
        let values: Decimal128Array = values.collect::<Result<_>>()?;
        return Ok(Arc::new(values.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?));
    }
    let doubles = cast(of, to)?;
    let one = |value: f64| match way {
        Way::Nearest => value.round_ties_even(),
        Way::Down => value.floor(),
        Way::Up => value.ceil(),
        Way::ToZero => value.trunc(),
    };
    Ok(Arc::new(doubles.as_primitive::<Float64Type>().unary::<_, Float64Type>(one)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_and_without_seconds() {
        let noon = 1_767_614_400_000_000;
        for (text, is_instant, expected) in [
            ("2026-01-05 12:00:00", false, Some(noon)),
            ("2026-01-05 12:00", false, Some(noon)),
            (" 2026-01-05T12:00 ", true, Some(noon)),
            ("2026-01-05 13:00+01", true, Some(noon)),
            ("2026-01-05 13:00:00+01:00", true, Some(noon)),
            ("2026-01-05 12:00+01", false, Some(noon)),
            ("2026-01-05 12:00:00.5", false, Some(noon + 500_000)),
            ("1970-01-01", true, Some(0)),
            ("9999-12-31", false, Some(253_402_214_400_000_000)),
            ("0001-01-01", false, Some(-62_135_596_800_000_000)),
            ("soon", true, None),
            ("2026-01-05 12", false, None),
        ] {
            assert_eq!(time(text, is_instant), expected, "{text}");
        }
    }
}
