//! The type that takes the values of two: Spark's in its ANSI mode, for the columns of a UNION, and wherever a FLOAT or DOUBLE
//! meets another number ([`super::doubles`]).
//!
//! Numbers go up `TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE`, where a whole number beside a FLOAT is a DOUBLE; decimals keep
//! all digits of both sides; a text beside anything else becomes that (a BIGINT or DOUBLE beside numbers); a DATE beside a
//! TIMESTAMP is one. What is not said here is no pair.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Most digits of a DECIMAL.
const MAX_DIGITS: u8 = 38;

/// The type of a column as Spark tells it: a whole number that is written down is an INT if it fits.
pub(super) struct Told(DataType);

impl Told {
    /// Of this column of a plan.
    pub fn of(plan: &LogicalPlan, column: usize) -> Self {
        let data_type = plan.schema().field(column).data_type().clone();
        let written = match plan {
            LogicalPlan::Projection(projection) => projection.expr.get(column).cloned().map(Expr::unalias),
            _ => None,
        };
        let number = match &written {
            Some(Expr::Negative(of)) => Some(of.as_ref()),
            other => other.as_ref(),
        };
        match number {
            Some(Expr::Literal(ScalarValue::Int64(Some(value)), _)) if i32::try_from(*value).is_ok() => {
                Self(DataType::Int32)
            }
            _ => Self(data_type),
        }
    }

    pub fn into_type(self) -> DataType {
        self.0
    }
}

/// The type that takes the values of both; `None` if Spark has none.
pub(super) fn widest(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{Date32, Decimal128, Float32, Float64, List, Map, Null, Struct, Timestamp};
    if one == other {
        return Some(one.clone());
    }
    Some(match (one, other) {
        (Null, wide) | (wide, Null) => wide.clone(),
        _ if one.is_string() && other.is_string() => {
            flavour(one, other, &DataType::Utf8View, &DataType::Utf8)
        }
        _ if is_binary(one) && is_binary(other) => {
            flavour(one, other, &DataType::BinaryView, &DataType::Binary)
        }
        (text, wide) | (wide, text) if text.is_string() => beside_text(wide)?,
        (Decimal128(..), Float32 | Float64) | (Float32 | Float64, Decimal128(..)) => Float64,
        (Decimal128(..), _) | (_, Decimal128(..)) => decimal(digits(one)?, digits(other)?),
        (Float32, Float64) | (Float64, Float32) => Float64,
        (float, whole) | (whole, float) if float.is_floating() => {
            digits(whole)?;
            Float64
        }
        (Date32, Timestamp(TimeUnit::Microsecond, _)) => other.clone(),
        (Timestamp(TimeUnit::Microsecond, _), Date32) => one.clone(),
        (Timestamp(TimeUnit::Microsecond, Some(_)), Timestamp(TimeUnit::Microsecond, None)) => one.clone(),
        (Timestamp(TimeUnit::Microsecond, None), Timestamp(TimeUnit::Microsecond, Some(_))) => other.clone(),
        (List(one), List(other)) => List(field(one, other)?),
        (Struct(ones), Struct(others)) if ones.len() == others.len() => {
            let fields = ones.iter().zip(others);
            let same = |(one, other): (&FieldRef, &FieldRef)| {
                one.name().eq_ignore_ascii_case(other.name()).then(|| field(one, other)).flatten()
            };
            Struct(fields.map(same).collect::<Option<Vec<FieldRef>>>()?.into())
        }
        (Map(one, sorted), Map(other, _)) => Map(field(one, other)?, *sorted),
        _ => {
            let (less, more) = (digits(one)?, digits(other)?);
            if less.0 > more.0 { one.clone() } else { other.clone() }
        }
    })
}

/// The field that takes the values of both, under the first one's name.
fn field(one: &FieldRef, other: &FieldRef) -> Option<FieldRef> {
    let data_type = widest(one.data_type(), other.data_type())?;
    Some(Arc::new(Field::new(one.name(), data_type, one.is_nullable() || other.is_nullable())))
}

fn is_binary(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary};
    matches!(data_type, Binary | BinaryView | LargeBinary | FixedSizeBinary(_))
}

/// Of two that Spark holds for one: the one with views if either has them.
fn flavour(one: &DataType, other: &DataType, view: &DataType, plain: &DataType) -> DataType {
    if [one, other].contains(&view) { view.clone() } else { plain.clone() }
}

/// What a text is read as beside this type.
fn beside_text(wide: &DataType) -> Option<DataType> {
    Some(match wide {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => DataType::Int64,
        DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) => DataType::Float64,
        DataType::Boolean | DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _) => wide.clone(),
        _ if is_binary(wide) => wide.clone(),
        _ => return None,
    })
}

/// Digits before and behind the point that a number takes; `None` of what is no whole number and no DECIMAL.
fn digits(data_type: &DataType) -> Option<(u8, u8)> {
    Some(match data_type {
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (20, 0),
        DataType::Decimal128(precision, scale) => {
            let scale = u8::try_from(*scale).ok()?;
            (precision.saturating_sub(scale), scale)
        }
        _ => return None,
    })
}

/// With the digits of both; of too many those before the point are kept.
fn decimal(one: (u8, u8), other: (u8, u8)) -> DataType {
    let (before, behind) = (one.0.max(other.0).min(MAX_DIGITS), one.1.max(other.1));
    let behind = behind.min(MAX_DIGITS - before);
    DataType::Decimal128(before + behind, i8::try_from(behind).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_types_become_sparks_widest() {
        use DataType::{
            Binary, Boolean, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Null, Utf8,
            Utf8View,
        };
        let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let clock = || DataType::Timestamp(TimeUnit::Microsecond, None);
        let list = |of: DataType, nullable| DataType::List(Arc::new(Field::new("element", of, nullable)));
        let of = |name: &str, of: DataType| DataType::Struct(vec![Field::new(name, of, false)].into());
        for (one, other, expected) in [
            (Int8, Int16, Some(Int16)),
            (Int32, Int64, Some(Int64)),
            (Float32, Float64, Some(Float64)),
            (Int8, Float32, Some(Float64)),
            (Int64, Float64, Some(Float64)),
            (Null, Boolean, Some(Boolean)),
            (Decimal128(10, 2), Decimal128(12, 6), Some(Decimal128(14, 6))),
            (Decimal128(10, 2), Int64, Some(Decimal128(22, 2))),
            (Decimal128(20, 0), Int64, Some(Decimal128(20, 0))),
            (Decimal128(38, 30), Decimal128(38, 0), Some(Decimal128(38, 0))),
            (Decimal128(10, 2), Float32, Some(Float64)),
            (Utf8, Utf8View, Some(Utf8View)),
            (Utf8View, Int8, Some(Int64)),
            (Decimal128(3, 1), Utf8, Some(Float64)),
            (Utf8, Boolean, Some(Boolean)),
            (Utf8, Date32, Some(Date32)),
            (Utf8, Binary, Some(Binary)),
            (Date32, instant(), Some(instant())),
            (clock(), Date32, Some(clock())),
            (clock(), instant(), Some(instant())),
            (Boolean, Int32, None),
            (Date32, Int32, None),
            (Boolean, Float32, None),
            (list(Int32, false), list(Int64, true), Some(list(Int64, true))),
            (list(Int32, true), Int32, None),
            (of("a", Int32), of("A", Float64), Some(of("a", Float64))),
            (of("a", Int32), of("b", Int32), None),
        ] {
            assert_eq!(widest(&one, &other), expected, "{one} and {other}");
            let back = widest(&other, &one).map(|found| found.to_string().to_lowercase());
            assert_eq!(back, expected.map(|it| it.to_string().to_lowercase()), "{other} and {one}");
        }
    }
}
