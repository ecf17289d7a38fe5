//! `CAST(binary AS STRING)`: never fails, and copies nothing where the bytes are UTF-8.
//!
//! Spark does not check the bytes. A column of strings must hold UTF-8 here, so what is not becomes U+FFFD, as it
//! does when Spark shows or writes it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::failed;

/// The bytes as text.
pub(crate) fn binary_to_text(bytes: Expr) -> Expr {
    ScalarUDF::from(BinaryToText::new()).call(vec![bytes])
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct BinaryToText {
    signature: Signature,
}

impl BinaryToText {
    pub fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for BinaryToText {
    fn name(&self) -> &str {
        "__text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [bytes] = args.args.as_slice() else { return failed("one binary column is expected") };
        let bytes = bytes.to_array(args.number_rows)?;
        let bytes = match bytes.data_type() {
            DataType::BinaryView => bytes,
            _ => cast(&bytes, &DataType::BinaryView)?,
        };
        let Some(views) = bytes.as_binary_view_opt() else { return failed("a binary column is expected") };
        let text: ArrayRef = match views.clone().to_string_view() {
            Ok(text) => Arc::new(text),
            Err(_) => Arc::new(lossy(views)),
        };
        Ok(ColumnarValue::Array(text))
    }
}

fn lossy(bytes: &BinaryViewArray) -> arrow::array::StringViewArray {
    let mut text = StringViewBuilder::with_capacity(bytes.len());
    for value in bytes {
        text.append_option(value.map(String::from_utf8_lossy));
    }
    text.finish()
}
