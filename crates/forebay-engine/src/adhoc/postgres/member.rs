//! `x IN (subquery)` where it is no condition: a search in the array of what the subquery gives, which is one constant for all
//! rows. As IN has it: of no rows it is false, and NULL where nothing fits and a value is NULL on either side. Beside it what
//! else is asked of arrays ([`super::quantified`]).

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call::Call;
use crate::adhoc::budget::metered::SEARCH;

/// The function `__in(x, array)`.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(Member { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Member {
    signature: Signature,
}

impl ScalarUDFImpl for Member {
    fn name(&self) -> &'static str {
        SEARCH
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [of, DataType::List(item)] = types else { return plan_err!("cannot compare with such a list") };
        let item = item.data_type();
        let common = if of == item { Some(of.clone()) } else { comparison_coercion(of, item) };
        let Some(common) = common else { return plan_err!("cannot compare {of} with {item}") };
        let list = DataType::List(Arc::new(Field::new_list_field(common.clone(), true)));
        Ok(vec![common, list])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [of, lists] = args.args.as_slice() else { return plan_err!("a value and a list are expected") };
        let of = of.to_array(args.number_rows)?;
        let none = || new_null_array(of.data_type(), 0);
        let made = match lists {
            ColumnarValue::Scalar(ScalarValue::List(list)) if list.is_valid(0) => found(&of, &list.value(0))?,
            ColumnarValue::Scalar(_) => found(&of, &none())?,
            ColumnarValue::Array(lists) => {
                let lists = lists.as_list::<i32>();
                let values = |row| if lists.is_valid(row) { lists.value(row) } else { none() };
                let one = |row: usize| found(&of.slice(row, 1), &values(row));
                let rows = (0..of.len()).map(|row| Ok(one(row)?.iter().next().flatten()));
                rows.collect::<Result<BooleanArray>>()?
            }
        };
        Ok(ColumnarValue::Array(Arc::new(made)))
    }
}

fn found(of: &ArrayRef, values: &ArrayRef) -> Result<BooleanArray> {
    if values.is_empty() {
        return Ok(BooleanArray::from(vec![false; of.len()]));
    }
    let converter = RowConverter::new(vec![SortField::new(of.data_type().clone())])?;
    let known = converter.convert_columns(&[Arc::clone(values)])?;
    let known: HashSet<&[u8]> =
        (0..values.len()).filter(|at| values.is_valid(*at)).map(|at| known.row(at).data()).collect();
    let sought = converter.convert_columns(&[Arc::clone(of)])?;
    let is_unknown = values.null_count() > 0;
    let one = |row: usize| match of.is_valid(row) {
        true if known.contains(sought.row(row).data()) => Some(true),
        true if !is_unknown => Some(false),
        _ => None,
    };
    Ok((0..of.len()).map(one).collect())
}

/// NULL for an array with a NULL in it, else false: what `= ANY` says where nothing fits.
pub(super) const UNKNOWN_IN: Call = Call {
    name: "__unknown_in",
    takes: |types| match types {
        [DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Null] => {
            Ok(types.to_vec())
        }
        _ => plan_err!("cannot compare: ANY and ALL take an array"),
    },
    gives: |_, _| Ok(DataType::Boolean),
    work: |args, _| {
        let [lists] = args else { return plan_err!("one array is expected") };
        let lists = match lists.data_type() {
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                cast(lists, &DataType::List(Arc::clone(item)))?
            }
            DataType::Null => new_null_array(
                &DataType::List(Arc::new(Field::new_list_field(DataType::Null, true))),
                lists.len(),
            ),
            _ => Arc::clone(lists),
        };
        let values = lists.as_list::<i32>().iter();
        let values = values.map(|list| list.filter(|list| list.logical_null_count() == 0).map(|_| false));
        Ok(Arc::new(values.collect::<BooleanArray>()))
    },
};

/// A place in an array, not before this one.
pub(super) const FROM: Call = Call {
    name: "__from",
    takes: |types| match types {
        [of, _] if of.is_integer() || of.is_null() => Ok(vec![DataType::Int64, DataType::Int64]),
        [of, _] => plan_err!("cannot compute: a place in an array is a whole number, not {of}"),
        _ => plan_err!("a place in an array is expected"),
    },
    gives: |_, _| Ok(DataType::Int64),
    work: |args, _| {
        let [at, least] = args else { return plan_err!("a place in an array is expected") };
        let pairs = at.as_primitive::<Int64Type>().iter().zip(least.as_primitive::<Int64Type>().iter());
        let places = pairs.map(|(at, least)| Some(at?.max(least?)));
        Ok(Arc::new(places.collect::<Int64Array>()))
    },
};
