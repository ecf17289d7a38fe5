//! Columns as a table's layout has them.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, ListArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::RowConverter;
use forebay_core::Result;

use super::Layout;
use super::error::arrow_failed;

/// Key columns from their row form, which the converter has made.
pub(super) fn typed<'a>(
    layout: &Layout,
    converter: &RowConverter,
    keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<ArrayRef>> {
    let parser = converter.parser();
    let bytes: Vec<&[u8]> = keys.collect();
    let columns = converter.convert_rows(bytes.iter().map(|key| parser.parse(key)));
    let columns = columns.map_err(|e| arrow_failed(&e))?;
    columns.iter().zip(&layout.keys).map(|(array, field)| fit(array, field.data_type())).collect()
}

/// A column as its table has it: of the same type up to the names of nested fields, or a dictionary of it.
pub(super) fn conform(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    let is = array.data_type();
    if is == wanted {
        return Ok(Arc::clone(array));
    }
    let is_dictionary = matches!(wanted, DataType::Dictionary(_, values) if **values == *is);
    if is_dictionary || is.equals_datatype(wanted) {
        return cast(array, wanted);
    }
    let message = format!("a column of changed state is {is}, its table has {wanted}");
    Err(ArrowError::InvalidArgumentError(message))
}

/// As [`conform`].
pub(super) fn fit(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    conform(array, wanted).map_err(|e| arrow_failed(&e))
}

/// Views share the buffers of the array that they were taken from: gives them buffers of their own, also inside of structs
/// and lists.
pub(crate) fn own_views(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        DataType::Struct(fields) if fields.iter().any(|field| has_views(field.data_type())) => {
            let whole = array.as_struct();
            let columns = whole.columns().iter().map(own_views).collect();
            let own = StructArray::try_new(fields.clone(), columns, whole.nulls().cloned());
            own.map_or_else(|_| Arc::clone(array), |own| Arc::new(own))
        }
        DataType::List(field) if has_views(field.data_type()) => {
            let list = array.as_list::<i32>();
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            let own = ListArray::try_new(Arc::clone(field), offsets, own_views(list.values()), nulls);
            own.map_or_else(|_| Arc::clone(array), |own| Arc::new(own))
        }
        _ => Arc::clone(array),
    }
}

fn has_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_views(field.data_type())),
        DataType::List(field) => has_views(field.data_type()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringViewArray, UInt32Array};
    use arrow::buffer::OffsetBuffer;
    use arrow::compute::take;
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn views_that_were_taken_out_do_not_hold_on_to_the_others() {
        let texts: Vec<String> = (0..1_000).map(|i| format!("a text that is rather long {i}")).collect();
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(&texts));
        let field = Arc::new(Field::new("t", DataType::Utf8View, true));
        let list =
            ListArray::new(Arc::clone(&field), OffsetBuffer::from_lengths(vec![1; 1_000]), texts, None);
        let field = Field::new("l", DataType::List(field), true);
        let whole: ArrayRef = Arc::new(StructArray::new(vec![field].into(), vec![Arc::new(list)], None));
        let one = take(&whole, &UInt32Array::from(vec![7]), None).unwrap();
        let own = own_views(&one);
        assert_eq!(own.as_struct(), one.as_struct());
        assert!(one.get_array_memory_size() > 20_000 && own.get_array_memory_size() < 2_000);
    }
}
