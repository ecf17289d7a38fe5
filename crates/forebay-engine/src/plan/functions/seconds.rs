//! Numbers to timestamps and back: `timestamp_seconds`, `timestamp_millis`, `timestamp_micros`, `unix_seconds`,
//! `unix_millis`, `unix_micros`.
//!
//! `datafusion-spark` turns the last three into casts, which [`crate::plan::semantics`] would take for Spark's cast
//! of a timestamp to seconds.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, PrimitiveArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use forebay_core::ddl;

use super::failed;

/// `timestamp_seconds(number)`.
pub(crate) fn timestamp_seconds(number: Expr) -> Expr {
    ScalarUDF::from(ToTimestamp::new("timestamp_seconds", 1_000_000)).call(vec![number])
}

/// The whole seconds of a timestamp, rounded down: what `CAST(timestamp AS BIGINT)` means.
pub(crate) fn seconds_of(timestamp: Expr) -> Expr {
    ScalarUDF::from(FromTimestamp::new(SECONDS, 1_000_000)).call(vec![timestamp])
}

/// The name of what a cast of a timestamp to a whole number means.
const SECONDS: &str = "__seconds";

pub(super) fn all() -> [ScalarUDF; 7] {
    [
        ScalarUDF::from(ToTimestamp::new("timestamp_seconds", 1_000_000)),
        ScalarUDF::from(ToTimestamp::new("timestamp_millis", 1_000)),
        ScalarUDF::from(ToTimestamp::new("timestamp_micros", 1)),
        ScalarUDF::from(FromTimestamp::new(SECONDS, 1_000_000)),
        ScalarUDF::from(FromTimestamp::new("unix_seconds", 1_000_000)),
        ScalarUDF::from(FromTimestamp::new("unix_millis", 1_000)),
        ScalarUDF::from(FromTimestamp::new("unix_micros", 1)),
    ]
}

/// The type of Spark's TIMESTAMP.
pub(super) fn timestamp_type() -> DataType {
    ddl::timestamp()
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

/// A timestamp as a number of whole units since 1970, rounded down.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FromTimestamp {
    name: &'static str,
    /// Microseconds in one unit of the result.
    micros: i64,
    signature: Signature,
}

impl FromTimestamp {
    fn new(name: &'static str, micros: i64) -> Self {
        Self { name, micros, signature: Signature::exact(vec![timestamp_type()], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FromTimestamp {
    fn name(&self) -> &str {
        self.name
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
        let units: Int64Array = PrimitiveArray::unary(micros, |micros| micros.div_euclid(self.micros));
        Ok(ColumnarValue::Array(Arc::new(units) as ArrayRef))
    }
}
