//! `round(x, n)` with Spark's type: a DECIMAL has `n` digits after the point and not as many as before.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::failed;

/// Rounds by `inner`, half up, and gives the result Spark's type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Round {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl Round {
    pub fn new(inner: Arc<ScalarUDF>) -> Self {
        Self { inner, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        "round"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The number of digits keeps its type: a cast around it would hide its value from
    /// [`Self::return_field_from_args`].
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let ([number] | [number, _]) = types else { return plan_err!("round takes one or two numbers") };
        let number = match number {
            number if number.is_numeric() => number.clone(),
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Float64,
            other => return plan_err!("round takes a number, not {other}"),
        };
        let digits = match types.get(1) {
            None => return Ok(vec![number]),
            Some(digits) if digits.is_integer() || digits == &DataType::Null => digits.clone(),
            Some(other) => return plan_err!("round takes a whole number of digits, not {other}"),
        };
        Ok(vec![number, digits])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("round needs its number of digits")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let Some(number) = args.arg_fields.first() else { return plan_err!("round takes a number") };
        let digits = match args.scalar_arguments.get(1) {
            None => Some(0),
            Some(digits) => digits.and_then(whole),
        };
        let data_type = match (number.data_type(), digits) {
            (DataType::Decimal128(precision, scale), Some(digits)) => rounded(*precision, *scale, digits),
            (other, _) => other.clone(),
        };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = args.return_field.data_type().clone();
        let Some(number) = args.args.first_mut() else { return failed("round takes a number") };
        // 9.99 has three digits, 10.0 has as many before they are cut.
        if let DataType::Decimal128(precision, scale) = number.data_type() {
            let wider = DataType::Decimal128((precision + 1).min(DECIMAL128_MAX_PRECISION), scale);
            *number = number.cast_to(&wider, None)?;
        }
        self.inner.invoke_with_args(args)?.cast_to(&to, None)
    }
}

fn whole(digits: &ScalarValue) -> Option<i32> {
    match digits.cast_to(&DataType::Int32) {
        Ok(ScalarValue::Int32(digits)) => digits,
        _ => None,
    }
}

/// Spark's type of a DECIMAL(precision, scale) rounded to so many digits.
fn rounded(precision: u8, scale: i8, digits: i32) -> DataType {
    let before_point = i32::from(precision) - i32::from(scale) + 1;
    let (precision, scale) = if digits < 0 {
        (before_point.max(digits.saturating_neg().saturating_add(1)), 0)
    } else {
        let scale = digits.min(i32::from(scale));
        (before_point + scale, scale)
    };
    let precision = precision.clamp(1, i32::from(DECIMAL128_MAX_PRECISION));
    DataType::Decimal128(
        u8::try_from(precision).unwrap_or(DECIMAL128_MAX_PRECISION),
        i8::try_from(scale).unwrap_or_default(),
    )
}
