//! Columns as a table's layout has them.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef};
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
