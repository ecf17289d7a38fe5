//! Values with as many digits as somebody says: `timestamp(0)`, `time(3)`, `round(n, 2)`, `trunc(n, 2)`. What is left over is
//! rounded, half away from zero; of a time half away from the year 2000, from which PostgreSQL counts.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::ReturnFieldArgs;

use super::call::{Call, out_of_range};
use super::digits::{self, Way, numeric};

/// Microseconds from 1970 to 2000.
const EPOCH: i64 = 946_684_800_000_000;

/// A time with so many digits behind its seconds.
pub(super) const TIME: Call = Call {
    name: "__precision",
    takes: |types| match types {
        [DataType::Timestamp(_, zone), _] => {
            Ok(vec![DataType::Timestamp(TimeUnit::Microsecond, zone.clone()), DataType::Int64])
        }
        [DataType::Time32(_) | DataType::Time64(_), _] => {
            Ok(vec![DataType::Time64(TimeUnit::Microsecond), DataType::Int64])
        }
        [DataType::Null, _] => Ok(vec![DataType::Timestamp(TimeUnit::Microsecond, None), DataType::Int64]),
        _ => plan_err!("cannot cast this type to a time of some digits"),
    },
    gives: |types, _| types.first().map_or_else(|| plan_err!("a time is expected"), |of| Ok(of.clone())),
    work: |args, to| {
        let [of, digits] = args else { return plan_err!("a time and a number are expected") };
        let digits = digits.as_primitive::<Int64Type>().iter().flatten().next().unwrap_or(6).clamp(0, 6);
        let unit = 10_i64.pow(u32::try_from(6 - digits).unwrap_or(0));
        let nearest = |micros: i64| {
            let half = if micros < 0 { -(unit / 2) } else { unit / 2 };
            (micros.saturating_add(half)) / unit * unit
        };
        Ok(match to {
            DataType::Timestamp(_, zone) => {
                let values = of.as_primitive::<TimestampMicrosecondType>();
                let made: PrimitiveArray<TimestampMicrosecondType> =
                    values.unary(|micros| nearest(micros.saturating_sub(EPOCH)).saturating_add(EPOCH));
                Arc::new(made.with_timezone_opt(zone.clone()))
            }
            _ => Arc::new(
                of.as_primitive::<Time64MicrosecondType>().unary::<_, Time64MicrosecondType>(nearest),
            ),
        })
    },
};

/// `round(number, digits)`.
pub(super) const ROUND: Call = to_digits("__round_to", |args, to| made(args, to, Way::Nearest));
/// `trunc(number, digits)`.
pub(super) const TRUNC: Call = to_digits("__trunc_to", |args, to| made(args, to, Way::ToZero));

const fn to_digits(name: &'static str, work: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>) -> Call {
    fn gives(types: &[DataType], args: &ReturnFieldArgs<'_>) -> Result<DataType> {
        let Some(DataType::Decimal128(_, own)) = types.first() else { return Ok(DataType::Float64) };
        let digits = match args.scalar_arguments.get(1).copied().flatten() {
            Some(ScalarValue::Int64(Some(digits))) => i8::try_from((*digits).clamp(0, 30)).unwrap_or(0),
            Some(other) => match other.cast_to(&DataType::Int64) {
                Ok(ScalarValue::Int64(Some(digits))) => i8::try_from(digits.clamp(0, 30)).unwrap_or(0),
                _ => *own,
            },
            None => *own,
        };
        Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, digits))
    }
    Call {
        name,
        takes: |types| match types {
            [of, _] if of.is_integer() || of.is_decimal() => Ok(vec![numeric(of), DataType::Int64]),
            [of, _] if of.is_numeric() || of.is_null() => Ok(vec![DataType::Float64, DataType::Int64]),
            _ => plan_err!(
                "cannot call round or trunc with these arguments: they take a number and its digits"
            ),
        },
        gives,
        work,
    }
}

fn made(args: &[ArrayRef], to: &DataType, way: Way) -> Result<ArrayRef> {
    let [of, digits] = args else { return plan_err!("a number and its digits are expected") };
    let digits = digits.as_primitive::<Int64Type>();
    if let (DataType::Decimal128(_, own), DataType::Decimal128(_, scale)) = (of.data_type(), to) {
        let beyond = || out_of_range("value overflows numeric format");
        let one = |value: i128, digits: i64| {
            let cut = i64::from(*own).saturating_sub(digits);
            // As many digits as the column has, of which the last are zeros where fewer are wanted.
            let short = match i8::try_from(cut) {
                Ok(cut @ 1..) => match cut {
                    1..=38 => digits::whole(value, cut, way).ok_or_else(beyond)?,
                    _ => 0,
                },
                Ok(_) => return rescaled(value, i64::from(*scale) - i64::from(*own)).ok_or_else(beyond),
                Err(_) if cut > 0 => 0,
                Err(_) => return rescaled(value, i64::from(*scale) - i64::from(*own)).ok_or_else(beyond),
            };
            rescaled(short, i64::from(*scale).saturating_sub(digits)).ok_or_else(beyond)
        };
        let pairs = of.as_primitive::<Decimal128Type>().iter().zip(digits.iter());
        let values = pairs.map(|pair| match pair {
            (Some(value), Some(digits)) => one(value, digits).map(Some),
            _ => Ok(None),
        });
        let values: Decimal128Array = values.collect::<Result<_>>()?;
        return Ok(Arc::new(values.with_precision_and_scale(DECIMAL128_MAX_PRECISION, *scale)?));
    }
    let doubles = cast(of, &DataType::Float64)?;
    let one = |value: f64, digits: i64| {
        let unit = 10_f64.powi(i32::try_from(digits.clamp(-330, 330)).unwrap_or(0));
        let scaled = value * unit;
        let whole = if way == Way::Nearest { scaled.round() } else { scaled.trunc() };
        if scaled.is_finite() && unit != 0.0 { whole / unit } else { value }
    };
    let pairs = doubles.as_primitive::<Float64Type>().iter().zip(digits.iter());
    let values = pairs.map(|(value, digits)| value.zip(digits).map(|(value, digits)| one(value, digits)));
    Ok(Arc::new(values.collect::<Float64Array>()))
}

/// The same number with more digits; with fewer only where those are zeros.
fn rescaled(value: i128, by: i64) -> Option<i128> {
    let unit = 10_i128.checked_pow(u32::try_from(by.unsigned_abs()).ok()?);
    match (value, by) {
        (0, _) => Some(0),
        (_, 0..) => value.checked_mul(unit?),
        _ => unit.and_then(|unit| (value % unit == 0).then_some(value / unit)),
    }
    .filter(|made| made.unsigned_abs() < 10_u128.pow(u32::from(DECIMAL128_MAX_PRECISION)))
}
