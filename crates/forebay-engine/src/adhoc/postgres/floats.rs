//! Powers, roots and logarithms of doubles, and the cast to REAL: what is beyond a double or has no result is an error in
//! PostgreSQL, where DataFusion gives Infinity or NaN.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{DataFusionError, Result, plan_err};

use super::call::{Call, by_zero, failed, out_of_range, unread};

/// All that stand here.
pub(super) const ALL: [Call; 9] = [
    FLOAT4,
    of_one("__exp", |args, _| each(args, exp)),
    of_one("__sqrt", |args, _| each(args, sqrt)),
    of_one("__ln", |args, _| each(args, |value| logarithm(value, f64::ln))),
    of_one("__log10", |args, _| each(args, |value| logarithm(value, f64::log10))),
    of_one("__acos", |args, _| each(args, |value| within_one(value, f64::acos))),
    of_one("__asin", |args, _| each(args, |value| within_one(value, f64::asin))),
    of_two("__power", |args, _| both(args, power)),
    of_two("__log", |args, _| both(args, log)),
];

fn are_numbers(types: &[DataType]) -> Result<Vec<DataType>> {
    match types.iter().all(|of| of.is_numeric() || of.is_null() || of == &DataType::Utf8) {
        true => Ok(vec![DataType::Float64; types.len()]),
        false => plan_err!("cannot call a function of numbers with these arguments"),
    }
}

const fn of_one(name: &'static str, work: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>) -> Call {
    Call { name, takes: are_numbers, gives: |_, _| Ok(DataType::Float64), work }
}

const fn of_two(name: &'static str, work: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>) -> Call {
    of_one(name, work)
}

fn each(args: &[ArrayRef], one: impl Fn(f64) -> Result<f64>) -> Result<ArrayRef> {
    let [of] = args else { return plan_err!("one number is expected") };
    let values = of.as_primitive::<Float64Type>().iter().map(|value| value.map(&one).transpose());
    Ok(Arc::new(values.collect::<Result<Float64Array>>()?))
}

fn both(args: &[ArrayRef], one: impl Fn(f64, f64) -> Result<f64>) -> Result<ArrayRef> {
    let [left, right] = args else { return plan_err!("two numbers are expected") };
    let pairs = left.as_primitive::<Float64Type>().iter().zip(right.as_primitive::<Float64Type>().iter());
    let values = pairs.map(|(left, right)| left.zip(right).map(|(left, right)| one(left, right)).transpose());
    Ok(Arc::new(values.collect::<Result<Float64Array>>()?))
}

fn none(message: &str) -> DataFusionError {
    failed(message, "a function of the statement has no result")
}

/// A result of numbers that were none of the ends.
fn within(made: f64, may_be_zero: bool) -> Result<f64> {
    match made {
        made if made.is_infinite() => Err(out_of_range("value out of range: overflow")),
        0.0 if !may_be_zero => Err(out_of_range("value out of range: underflow")),
        made => Ok(made),
    }
}

fn exp(value: f64) -> Result<f64> {
    if value.is_finite() { within(value.exp(), false) } else { Ok(value.exp()) }
}

fn sqrt(value: f64) -> Result<f64> {
    if value < 0.0 { Err(none("cannot take square root of a negative number")) } else { Ok(value.sqrt()) }
}

fn logarithm(value: f64, of: fn(f64) -> f64) -> Result<f64> {
    if value == 0.0 {
        return Err(none("cannot take logarithm of zero"));
    }
    if value < 0.0 { Err(none("cannot take logarithm of a negative number")) } else { Ok(of(value)) }
}

fn log(base: f64, value: f64) -> Result<f64> {
    let (of_base, of_value) = (logarithm(base, f64::ln)?, logarithm(value, f64::ln)?);
    match base {
        1.0 => Err(by_zero()),
        2.0 => Ok(value.log2()),
        10.0 => Ok(value.log10()),
        _ => Ok(of_value / of_base),
    }
}

fn within_one(value: f64, of: fn(f64) -> f64) -> Result<f64> {
    if value.abs() > 1.0 { Err(out_of_range("input is out of range")) } else { Ok(of(value)) }
}

fn power(base: f64, exponent: f64) -> Result<f64> {
    if base == 0.0 && exponent < 0.0 {
        return Err(none("zero raised to a negative power is undefined"));
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(none("a negative number raised to a non-integer power yields a complex result"));
    }
    let made = base.powf(exponent);
    if base.is_finite() && exponent.is_finite() { within(made, base == 0.0) } else { Ok(made) }
}

/// A cast to REAL.
const FLOAT4: Call = Call {
    name: "__float4",
    takes: |types| match types {
        [of] if of.is_numeric() || of == &DataType::Utf8 => Ok(types.to_vec()),
        [DataType::Null] => Ok(vec![DataType::Float32]),
        [of] => plan_err!("cannot cast type {of} to real"),
        _ => plan_err!("a cast takes one value"),
    },
    gives: |_, _| Ok(DataType::Float32),
    work: |args, _| {
        let [of] = args else { return plan_err!("a cast takes one value") };
        let texts = match of.data_type() {
            DataType::Utf8 => Arc::clone(of),
            DataType::Float64 => {
                let one = |value: f64| {
                    let made = value as f32;
                    let is_within = made.is_finite() && (made != 0.0 || value == 0.0);
                    if is_within || !value.is_finite() {
                        Ok(made)
                    } else {
                        within(made.into(), false).map(|_| made)
                    }
                };
                let values = of.as_primitive::<Float64Type>().iter().map(|value| value.map(one).transpose());
                return Ok(Arc::new(values.collect::<Result<Float32Array>>()?));
            }
            // The float next to the digits.
            DataType::Decimal128(..) => cast(of, &DataType::Utf8)?,
            _ => return Ok(cast(of, &DataType::Float32)?),
        };
        let read = |text: &str| {
            let value: f32 = text.trim().parse().map_err(|_| unread("real", text))?;
            if beyond(value.into(), text) {
                return Err(out_of_range(format!("\"{text}\" is out of range for type real")));
            }
            Ok(value)
        };
        let values = texts.as_string::<i32>().iter().map(|text| text.map(read).transpose());
        let values: Float32Array = values.collect::<Result<_>>()?;
        Ok(Arc::new(values))
    },
};

/// True of a text of digits that are more than the type has.
pub(super) fn beyond(value: f64, text: &str) -> bool {
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    let is_none = !digits.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    let is_word = !digits.bytes().any(|byte| byte.is_ascii_digit());
    !is_word && (value.is_infinite() || (value == 0.0 && !is_none))
}
