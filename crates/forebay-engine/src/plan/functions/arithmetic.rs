//! `/` as in Spark: of whole numbers it is a DOUBLE, and dividing by zero is an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::failed;

/// `left / right` in DOUBLE.
pub(crate) fn divide(left: Expr, right: Expr) -> Expr {
    ScalarUDF::from(Divide::new("__divide", true)).call(vec![left, right])
}

pub(super) fn all() -> [ScalarUDF; 2] {
    [ScalarUDF::from(Divide::new("__divide", true)), ScalarUDF::from(Divide::new("try_divide", false))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Divide {
    name: &'static str,
    /// Fail on zero; else give NULL.
    strict: bool,
    signature: Signature,
}

impl Divide {
    fn new(name: &'static str, strict: bool) -> Self {
        let signature = Signature::exact(vec![DataType::Float64, DataType::Float64], Volatility::Immutable);
        Self { name, strict, signature }
    }
}

impl ScalarUDFImpl for Divide {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else { return failed("/ needs two numbers") };
        let (left, right) = (left.to_array(args.number_rows)?, right.to_array(args.number_rows)?);
        let (Some(left), Some(right)) =
            (left.as_primitive_opt::<Float64Type>(), right.as_primitive_opt::<Float64Type>())
        else {
            return failed("/ needs two numbers");
        };
        let zero = |row: usize| right.value(row) == 0.0;
        let quotient: Float64Array = arrow::compute::binary(left, right, |a, b| a / b)?;
        let result = if self.strict {
            let by_zero = (0..right.len()).any(|row| zero(row) && right.is_valid(row) && left.is_valid(row));
            if by_zero {
                return failed("division by zero; try_divide(a, b) gives NULL instead");
            }
            quotient
        } else {
            quotient.into_iter().enumerate().map(|(row, value)| value.filter(|_| !zero(row))).collect()
        };
        Ok(ColumnarValue::Array(Arc::new(result) as ArrayRef))
    }
}
