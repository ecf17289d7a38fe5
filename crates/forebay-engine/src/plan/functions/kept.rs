//! The value of a cast that loses something, kept from the optimizer.
//!
//! DataFusion compares `CAST(n AS INT) = 2` as `n = 2.0`, and prunes files by the cast of their bounds: right where a cast loses nothing,
//! and wrong for a DECIMAL whose digits it cuts or a time whose day it forgets. Around such a cast stands a function that gives what it is
//! given, into which no rule looks. What must stay true: value, type and nullability are its argument's; of [`maybe`] the
//! nullability alone is its own.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The name that SQL texts which are rewritten call it by.
pub(crate) const KEPT: &str = "__kept";

/// This value, as it is.
pub(crate) fn kept(value: Expr) -> Expr {
    function().call(vec![value])
}

/// This value, or NULL: what gives it does not say that it may.
pub(crate) fn maybe(value: Expr) -> Expr {
    ScalarUDF::from(Kept { signature: Signature::any(1, Volatility::Immutable), is_nullable: true })
        .call(vec![value])
}

/// The function.
pub(crate) fn function() -> ScalarUDF {
    ScalarUDF::from(Kept { signature: Signature::any(1, Volatility::Immutable), is_nullable: false })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Kept {
    signature: Signature,
    is_nullable: bool,
}

impl ScalarUDFImpl for Kept {
    fn name(&self) -> &str {
        if self.is_nullable { "__maybe" } else { KEPT }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of] => Ok(of.clone()),
            _ => internal_err!("{KEPT} takes one value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [of] if self.is_nullable => Ok(Arc::new(of.as_ref().clone().with_nullable(true))),
            [of] => Ok(Arc::clone(of)),
            _ => internal_err!("{KEPT} takes one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().map_or_else(|| internal_err!("{KEPT} takes one value"), Ok)
    }
}
