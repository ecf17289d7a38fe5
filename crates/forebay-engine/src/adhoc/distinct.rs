//! `count(DISTINCT x)` of structs, arrays and maps counts bytes that tell the values apart.
//!
//! DataFusion keeps each such value as a slice of the batch that it came in, which holds the whole batch and counts as all of
//! it: some thousand values are gigabytes. As bytes (Arrow's row form, in which equal values and only those are equal) they
//! are kept, and counted in the pool, as long as they are. What must stay true: a value that is NULL is not counted, one of
//! NULLs is.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::budget::Budget;
use super::budget::metered;

/// The call, with bytes in the place of what it counts where that is nested.
pub(super) fn by_bytes(expr: Expr, schema: &DFSchema, budget: &Arc<Budget>) -> Transformed<Expr> {
    match expr {
        Expr::AggregateFunction(AggregateFunction { func, mut params })
            if func.name() == "count"
                && params.distinct
                && matches!(params.args.as_slice(), [of] if is_nested(of, schema)) =>
        {
            let bytes = Arc::new(ScalarUDF::from(InBytes::new()));
            let call = ScalarFunction { func: bytes, args: std::mem::take(&mut params.args) };
            params.args = vec![metered::metered(Expr::ScalarFunction(call), schema, budget).data];
            Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params }))
        }
        other => Transformed::no(other),
    }
}

fn is_nested(expr: &Expr, schema: &DFSchema) -> bool {
    let data_type = expr.get_type(schema).ok().filter(DataType::is_nested);
    data_type.is_some_and(|data_type| RowConverter::supports_fields(&[SortField::new(data_type)]))
}

/// A value as bytes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct InBytes {
    signature: Signature,
}

impl InBytes {
    fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for InBytes {
    fn name(&self) -> &str {
        "__in_bytes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return plan_err!("one value is expected") };
        let values = value.to_array(args.number_rows)?;
        let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
        let nulls = values.logical_nulls();
        let rows = converter.convert_columns(&[values])?;
        let (offsets, bytes, _) = rows.try_into_binary()?.into_parts();
        Ok(ColumnarValue::Array(Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)))
    }
}
