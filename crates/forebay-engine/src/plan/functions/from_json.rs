//! `from_json(text, schema)`: the pipeline's own JSON decoder as an expression.
//!
//! The engine does not know the decoder; the binary hands in a factory. One function is made for each schema and
//! set of options of a statement, so that nothing is looked up per batch.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::failed;
use crate::plan::JsonDecode;

/// The function `name`: one string column in, a struct of the schema's fields out.
pub(crate) fn from_json(name: String, schema: &SchemaRef, decode: JsonDecode) -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8View], Volatility::Immutable);
    // Whatever the schema says, a text that cannot be read gives NULLs.
    let fields =
        schema.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect();
    ScalarUDF::from(FromJson { name, returns: DataType::Struct(fields), decode, signature })
}

struct FromJson {
    name: String,
    returns: DataType,
    decode: JsonDecode,
    signature: Signature,
}

impl fmt::Debug for FromJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromJson")
            .field("name", &self.name)
            .field("returns", &self.returns)
            .finish_non_exhaustive()
    }
}

impl PartialEq for FromJson {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.decode, &other.decode)
    }
}

impl Eq for FromJson {}

impl Hash for FromJson {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for FromJson {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text] = args.args.as_slice() else { return failed("from_json needs one text") };
        let text = text.to_array(args.number_rows)?;
        let decoded = (self.decode)(&text).map_err(|error| DataFusionError::External(Box::new(error)))?;
        if decoded.len() != text.len() || decoded.data_type() != &self.returns {
            return Err(DataFusionError::Internal(format!(
                "the JSON decoder gave {} rows of {} for {} rows of {}",
                decoded.len(),
                decoded.data_type(),
                text.len(),
                self.returns
            )));
        }
        Ok(ColumnarValue::Array(decoded))
    }
}
