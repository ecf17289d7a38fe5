//! What `approx_count_distinct` counts: floating point numbers as whole ones of the same bits, since DataFusion's sketch
//! takes none. As in Spark 0.0 and -0.0 are one value, and so are all NaN.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{COUNTABLE, failed};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Countable {
    signature: Signature,
}

impl Countable {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Countable {
    fn name(&self) -> &str {
        COUNTABLE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Float16 | DataType::Float32] => Ok(vec![DataType::Float64]),
            [other] => Ok(vec![other.clone()]),
            _ => plan_err!("{COUNTABLE} takes one value"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Float64] => Ok(DataType::Int64),
            [other] => Ok(other.clone()),
            _ => plan_err!("{COUNTABLE} takes one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return failed("one value is expected") };
        if value.data_type() != DataType::Float64 {
            return Ok(value.clone());
        }
        let column = value.to_array(args.number_rows)?;
        let Some(numbers) = column.as_primitive_opt::<Float64Type>() else {
            return failed("a number is expected");
        };
        let bits: Int64Array = numbers.unary(|number| {
            let one = if number.is_nan() { f64::NAN } else { number + 0.0 };
            one.to_bits() as i64
        });
        Ok(ColumnarValue::Array(Arc::new(bits) as ArrayRef))
    }
}
