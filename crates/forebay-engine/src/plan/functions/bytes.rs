//! Functions that take a BINARY in Spark and, as they come, not in the form in which columns have it.
//!
//! `hex` knows every form of bytes but views, which is what tables and topics give; `octet_length` and `bit_length` know texts alone.

use std::sync::Arc;

use arrow::compute::kernels::length::{bit_length, length};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::failed;

/// The functions, by name.
pub(super) const TAKING: [(&str, Does); 3] =
    [("hex", Does::Inner), ("octet_length", Does::Bytes), ("bit_length", Does::Bits)];

/// What is done with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Does {
    /// What the function does, once they are in a form that it knows.
    Inner,
    /// Their number.
    Bytes,
    /// Eight times their number.
    Bits,
}

/// A function that takes bytes beside what it takes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TakesBytes {
    inner: Arc<ScalarUDF>,
    does: Does,
    signature: Signature,
}

impl TakesBytes {
    pub fn new(inner: Arc<ScalarUDF>, does: Does) -> Self {
        Self { inner, does, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn is_ours(&self, data_type: Option<&DataType>) -> bool {
        self.does != Does::Inner && data_type == Some(&DataType::Binary)
    }
}

impl ScalarUDFImpl for TakesBytes {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if let [DataType::Binary | DataType::LargeBinary | DataType::BinaryView] = types {
            return Ok(vec![DataType::Binary]);
        }
        let field =
            |data_type: &DataType| Arc::new(arrow::datatypes::Field::new("", data_type.clone(), true));
        let fields: Vec<FieldRef> = types.iter().map(field).collect();
        let taken = fields_with_udf(&fields, self.inner.as_ref())?;
        Ok(taken.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if self.is_ours(types.first()) { Ok(DataType::Int32) } else { self.inner.return_type(types) }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if self.is_ours(args.arg_fields.first().map(|field| field.data_type())) {
            return Ok(Arc::new(arrow::datatypes::Field::new(self.name(), DataType::Int32, true)));
        }
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [bytes] = args.args.as_slice() else {
            return failed(format!("{} takes one argument", self.name()));
        };
        if !self.is_ours(Some(&bytes.data_type())) {
            return self.inner.invoke_with_args(args);
        }
        let bytes = bytes.to_array(args.number_rows)?;
        let counted = if self.does == Does::Bits { bit_length(&bytes)? } else { length(&bytes)? };
        Ok(ColumnarValue::Array(counted))
    }
}
