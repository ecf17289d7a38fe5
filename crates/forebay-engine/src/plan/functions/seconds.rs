//! Numbers to timestamps and back: `timestamp_seconds`, `timestamp_millis`, `timestamp_micros`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, PrimitiveArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::failed;

/// `timestamp_seconds(number)`.
pub(crate) fn timestamp_seconds(number: Expr) -> Expr {
    ScalarUDF::from(ToTimestamp::new("timestamp_seconds", 1_000_000)).call(vec![number])
}

/// The whole seconds of a timestamp, rounded down: what `CAST(timestamp AS BIGINT)` means.
pub(crate) fn seconds_of(timestamp: Expr) -> Expr {
    ScalarUDF::from(SecondsOf::new()).call(vec![timestamp])
}

pub(super) fn all() -> [ScalarUDF; 4] {
    [
        ScalarUDF::from(ToTimestamp::new("timestamp_seconds", 1_000_000)),
        ScalarUDF::from(ToTimestamp::new("timestamp_millis", 1_000)),
        ScalarUDF::from(ToTimestamp::new("timestamp_micros", 1)),
        ScalarUDF::from(SecondsOf::new()),
    ]
}

/// The type of Spark's TIMESTAMP.
pub(super) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestamp {
    name: &'static str,
    /// Microseconds in one unit of the argument.
    micros: i64,
    signature: Signature,
}

impl ToTimestamp {
    fn new(name: &'static str, micros: i64) -> Self {
        Self { name, micros, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [number] if number.is_integer() || number == &DataType::Null => Ok(vec![DataType::Int64]),
            // Only seconds may have a fraction.
            [number] if self.micros == 1_000_000 && number.is_numeric() => Ok(vec![DataType::Float64]),
            [other] => datafusion::common::plan_err!("{} takes a number, not {other}", self.name),
            _ => datafusion::common::plan_err!("{} takes one number", self.name),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number] = args.args.as_slice() else { return failed("one number is expected") };
        let number = number.to_array(args.number_rows)?;
        let micros: TimestampMicrosecondArray = if let Some(whole) = number.as_primitive_opt::<Int64Type>() {
            whole.try_unary(|value| match value.checked_mul(self.micros) {
                Some(micros) => Ok(micros),
                None => failed(format!("{}: {value} is beyond the range of TIMESTAMP", self.name)),
            })?
        } else if let Some(fraction) = number.as_primitive_opt::<Float64Type>() {
            let limit = i64::MAX as f64;
            let micros: TimestampMicrosecondArray =
                fraction.unary_opt::<_, TimestampMicrosecondType>(|value| {
                    let micros = value * 1_000_000.0;
                    // NaN and the infinities give NULL, as in Spark.
                    (micros.abs() < limit).then_some(micros as i64)
                });
            micros
        } else {
            return failed("a number is expected");
        };
        Ok(ColumnarValue::Array(Arc::new(micros.with_timezone("UTC")) as ArrayRef))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SecondsOf {
    signature: Signature,
}

impl SecondsOf {
    fn new() -> Self {
        Self { signature: Signature::exact(vec![timestamp_type()], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for SecondsOf {
    fn name(&self) -> &str {
        "__seconds"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [timestamp] = args.args.as_slice() else { return failed("one timestamp is expected") };
        let timestamp = timestamp.to_array(args.number_rows)?;
        let Some(micros) = timestamp.as_primitive_opt::<TimestampMicrosecondType>() else {
            return failed("a timestamp is expected");
        };
        let seconds: Int64Array = PrimitiveArray::unary(micros, |micros| micros.div_euclid(1_000_000));
        Ok(ColumnarValue::Array(Arc::new(seconds) as ArrayRef))
    }
}
