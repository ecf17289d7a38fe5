//! `a.b` over a struct: the child column, without a copy; NULL where the struct is NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{FIELD, failed};

/// `struct.name` as an expression.
pub(crate) fn field(base: Expr, name: &str) -> Expr {
    ScalarUDF::from(StructField::new())
        .call(vec![base, Expr::Literal(ScalarValue::Utf8(Some(name.to_owned())), None)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct StructField {
    signature: Signature,
}

impl StructField {
    pub fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for StructField {
    fn name(&self) -> &str {
        FIELD
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("{FIELD} needs the name of a field")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let name =
            args.scalar_arguments.get(1).copied().flatten().and_then(|name| name.try_as_str().flatten());
        let (Some(base), Some(name)) = (args.arg_fields.first(), name) else {
            return plan_err!("{FIELD} needs the name of a field");
        };
        match base.data_type() {
            DataType::Struct(fields) => match fields.iter().find(|field| field.name() == name) {
                Some(field) => {
                    let nullable = base.is_nullable() || field.is_nullable();
                    Ok(Arc::new(field.as_ref().clone().with_nullable(nullable)))
                }
                None => plan_err!("there is no field `{name}`"),
            },
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    Ok(Arc::new(Field::new(name, pair[1].data_type().clone(), true)))
                }
                other => plan_err!("there is no key `{name}` in {other}"),
            },
            other => plan_err!("there is no field `{name}` in {other}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [base, ColumnarValue::Scalar(name)] = args.args.as_slice() else {
            return failed("a field must be named by a text");
        };
        if matches!(base.data_type(), DataType::Map(..)) {
            return datafusion::functions::core::get_field().inner().invoke_with_args(args);
        }
        let base = base.to_array(args.number_rows)?;
        let Some(structs) = base.as_struct_opt() else { return failed("only a struct has fields") };
        let Some(child) = name.try_as_str().flatten().and_then(|name| structs.column_by_name(name)) else {
            return failed("the struct does not have this field");
        };
        Ok(ColumnarValue::Array(under(structs.nulls(), child)?))
    }
}

/// The child with the parent's NULLs. The usual child has them already, and comes back as it is.
pub(crate) fn under(parent: Option<&NullBuffer>, child: &ArrayRef) -> Result<ArrayRef> {
    let Some(parent) = parent.filter(|nulls| nulls.null_count() > 0) else { return Ok(Arc::clone(child)) };
    if child.nulls().is_some_and(|nulls| nulls.contains(parent)) || child.data_type() == &DataType::Null {
        return Ok(Arc::clone(child));
    }
    let nulls = NullBuffer::union(Some(parent), child.nulls());
    let data = child.to_data().into_builder().nulls(nulls).build()?;
    Ok(make_array(data))
}
