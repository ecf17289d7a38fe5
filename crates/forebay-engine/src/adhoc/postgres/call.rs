//! Functions of the Postgres wire, written down as three plain functions: which types they take, which they give, and
//! the work on columns.
//!
//! What must stay true: the types that a function takes are a fixed point, because DataFusion asks again of arguments
//! that were made alike before; an error has PostgreSQL's words, and a detail by which its SQLSTATE is told.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use forebay_core::Error;
use forebay_core::error::codes;

/// A function whose work is told by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub name: &'static str,
    /// The types that arguments of these types are made.
    pub takes: fn(&[DataType]) -> Result<Vec<DataType>>,
    /// What it gives of arguments of these types, and of these constants.
    pub gives: fn(&[DataType], &ReturnFieldArgs<'_>) -> Result<DataType>,
    /// The values, of the type that it gives.
    pub work: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>,
}

impl Call {
    pub fn function(self) -> ScalarUDF {
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::from(Named { call: self, signature })
    }
}

#[derive(Debug)]
struct Named {
    call: Call,
    signature: Signature,
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.call.name == other.call.name
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.call.name.hash(state);
    }
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        self.call.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let plain: Vec<DataType> = types.iter().map(plain).collect();
        (self.call.takes)(&plain)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("{} needs its arguments", self.call.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let gives = (self.call.gives)(&types, &args)?;
        Ok(Arc::new(Field::new(self.call.name, gives, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Of constants it is computed once: a list may be long.
        let are_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if are_constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let made = (self.call.work)(&columns, args.return_field.data_type())?;
        match are_constant {
            true => ScalarValue::try_from_array(&made, 0).map(ColumnarValue::Scalar),
            false => Ok(ColumnarValue::Array(made)),
        }
    }
}

/// A type without a dictionary, and the one type of texts.
pub(super) fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other.clone(),
    }
}

/// A failure in PostgreSQL's words.
pub(super) fn failed(message: impl Into<String>, detail: &str) -> DataFusionError {
    let error = Error::new(&codes::QUERY_FAILED, message.into()).with_detail(detail);
    DataFusionError::External(Box::new(error))
}

/// A number that does not fit.
pub(super) fn out_of_range(message: impl Into<String>) -> DataFusionError {
    failed(message, "a value of the statement is out of range")
}

/// A quotient that is none.
pub(super) fn by_zero() -> DataFusionError {
    failed("division by zero", "an operator of the statement would divide by zero")
}

/// A text that is no value of a type.
pub(super) fn unread(what: &str, text: &str) -> DataFusionError {
    let start: String = text.chars().take(60).collect();
    failed(format!("invalid input syntax for type {what}: \"{start}\""), "the text cannot be cast")
}
