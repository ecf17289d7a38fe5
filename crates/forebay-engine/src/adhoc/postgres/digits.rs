//! Products, quotients and remainders of NUMERIC, and how it is rounded: half away from zero.
//!
//! A column of NUMERIC has as many digits behind the point in each row, up to 38 in all; PostgreSQL's have as many as
//! each value needs. So a product keeps up to [`MOST`] behind the point, a quotient sixteen at least; what does not fit
//! is an error and never cut.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::compute::kernels::numeric::rem;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, i256};
use arrow::error::ArrowError;
use datafusion::common::{Result, plan_err};

use super::arithmetic::Op;
use super::call::{by_zero, out_of_range};

/// Most digits behind the point that a product keeps, where its factors have fewer.
const MOST: i8 = 20;
/// Fewest digits behind the point of a quotient.
pub(super) const QUOTIENT: i8 = 16;

/// The digits of a number as NUMERIC has them.
fn scale(data_type: &DataType) -> Option<i8> {
    match data_type {
        DataType::Decimal128(_, scale) => Some(*scale),
        whole if whole.is_integer() => Some(0),
        _ => None,
    }
}

/// The NUMERIC that has all numbers of a type.
pub(super) fn numeric(data_type: &DataType) -> DataType {
    match data_type {
        whole if whole.is_integer() => DataType::Decimal128(20, 0),
        other => other.clone(),
    }
}

pub(super) fn gives(op: Op, left: &DataType, right: &DataType) -> Option<DataType> {
    let (left, right) = (scale(left)?, scale(right)?);
    let longer = left.max(right);
    let scale = match op {
        Op::Times => left.saturating_add(right).min(longer.max(MOST)),
        Op::Over => longer.max(QUOTIENT),
        _ => longer,
    };
    Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale))
}

pub(super) fn step(op: Op, left: &ArrayRef, right: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let (left, right) = (cast(left, &numeric(left.data_type()))?, cast(right, &numeric(right.data_type()))?);
    if op == Op::Rest {
        let made = rem(&left, &right).map_err(|error| match error {
            ArrowError::DivideByZero => by_zero(),
            other => other.into(),
        })?;
        return Ok(cast(&made, to)?);
    }
    let (Some(of_left), Some(of_right), Some(of_made)) =
        (scale(left.data_type()), scale(right.data_type()), scale(to))
    else {
        return plan_err!("numbers of other digits");
    };
    let (a, b) = (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
    let shift = match op {
        Op::Times => power(of_left + of_right - of_made),
        _ => power(of_made + of_right - of_left),
    };
    let Some(shift) = shift else { return Err(out_of_range("value overflows numeric format")) };
    let one = |(a, b): (Option<i128>, Option<i128>)| {
        let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
        let (a, b) = (i256::from_i128(a), i256::from_i128(b));
        let made = match op {
            Op::Times => a.checked_mul(b).and_then(|product| rounded(product, shift)),
            _ if b == i256::ZERO => return Err(by_zero()),
            _ => a.checked_mul(shift).and_then(|shifted| rounded(shifted, b)),
        };
        let made = made.and_then(i256::to_i128).filter(|made| fits(*made));
        made.map(Some).ok_or_else(|| out_of_range("value overflows numeric format"))
    };
    let made = a.iter().zip(b).map(one).collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(made.with_precision_and_scale(DECIMAL128_MAX_PRECISION, of_made)?))
}

fn fits(value: i128) -> bool {
    value.unsigned_abs() < 10_u128.pow(u32::from(DECIMAL128_MAX_PRECISION))
}

fn power(exponent: i8) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::from(u8::try_from(exponent).ok()?))
}

/// The quotient, half away from zero; `by` is not zero.
fn rounded(value: i256, by: i256) -> Option<i256> {
    let (quotient, rest) = (value.checked_div(by)?, value.checked_rem(by)?);
    let is_half = rest.wrapping_abs().checked_mul(i256::from_i128(2))? >= by.wrapping_abs();
    let is_negative = value.is_negative() != by.is_negative();
    match (is_half, is_negative) {
        (false, _) => Some(quotient),
        (true, false) => quotient.checked_add(i256::ONE),
        (true, true) => quotient.checked_sub(i256::ONE),
    }
}

/// How a number is made whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the nearest, half away from zero.
    Nearest,
    Down,
    Up,
    ToZero,
}

/// The whole number at a decimal of this scale.
pub(super) fn whole(value: i128, scale: i8, way: Way) -> Option<i128> {
    let Ok(scale) = u32::try_from(scale) else {
        return value.checked_mul(10_i128.checked_pow(u32::from(scale.unsigned_abs()))?);
    };
    let unit = 10_i128.checked_pow(scale)?;
    let (floor, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
    let is_up = rest != 0
        && match way {
            Way::Down => false,
            Way::Up => true,
            Way::ToZero => value < 0,
            Way::Nearest if value < 0 => rest > unit - rest,
            Way::Nearest => rest >= unit - rest,
        };
    Some(floor + i128::from(is_up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_rounded_away_from_zero() {
        for (value, way, expected) in [
            (25, Way::Nearest, 3),
            (-25, Way::Nearest, -3),
            (24, Way::Nearest, 2),
            (-24, Way::Nearest, -2),
            (-21, Way::Down, -3),
            (21, Way::Up, 3),
            (-29, Way::ToZero, -2),
            (30, Way::Up, 3),
        ] {
            assert_eq!(whole(value, 1, way), Some(expected), "{value} {way:?}");
        }
        let by = |value: i128, by: i128| rounded(i256::from_i128(value), i256::from_i128(by));
        for (value, divisor, expected) in [(5, 2, 3), (-5, 2, -3), (5, -2, -3), (-5, -2, 3), (4, 3, 1)] {
            assert_eq!(by(value, divisor), Some(i256::from_i128(expected)), "{value} / {divisor}");
        }
    }
}
