//! ORDER BY and LIMIT over all rows that an epoch gives, which only complete mode has at hand.

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use datafusion::physical_expr::PhysicalSortExpr;
use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// How the rows of an epoch are put in order, and which of them are given.
#[derive(Clone, Debug)]
pub(crate) struct SortSpec {
    /// The columns of the rows.
    pub rows: SchemaRef,
    /// By what; empty if only the number is bounded.
    pub by: Vec<PhysicalSortExpr>,
    /// At most so many rows.
    pub limit: Option<usize>,
}

impl SortSpec {
    /// The rows in their order; those that are equal in it stay as they were. Fails with `QUERY_FAILED` if an
    /// expression does.
    pub fn run(&self, rows: &[RecordBatch]) -> Result<RecordBatch> {
        let internal = |error| Error::new(&codes::INTERNAL, "rows cannot be put in order").caused_by(error);
        let whole = concat_batches(&self.rows, rows).map_err(internal)?;
        let most = self.limit.unwrap_or(usize::MAX).min(whole.num_rows());
        if self.by.is_empty() {
            return Ok(whole.slice(0, most));
        }
        let (mut columns, mut fields) = (Vec::<ArrayRef>::new(), Vec::new());
        for by in &self.by {
            let column = by
                .evaluate_to_sort_column(&whole)
                .map_err(|error| super::core_error(&codes::QUERY_FAILED, error).at("ORDER BY"))?;
            fields.push(SortField::new_with_options(column.values.data_type().clone(), by.options));
            columns.push(column.values);
        }
        let keys = RowConverter::new(fields)
            .and_then(|converter| converter.convert_columns(&columns))
            .map_err(internal)?;
        let mut order: Vec<usize> = (0..whole.num_rows()).collect();
        order.sort_by(|a, b| keys.row(*a).cmp(&keys.row(*b)));
        let order: UInt64Array = order.into_iter().take(most).map(|row| row as u64).collect();
        take_record_batch(&whole, &order).map_err(internal)
    }
}
