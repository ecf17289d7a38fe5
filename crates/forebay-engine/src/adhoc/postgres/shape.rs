//! The columns of an answer: what a client is told of them before the rows come, and that these are so.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::labels::shown;
use crate::adhoc::show;

/// The columns under the names that clients see.
pub(super) fn labelled(plan: &LogicalPlan, labels: Option<Vec<String>>) -> SchemaRef {
    let fields = plan.schema().fields();
    let labels = labels.filter(|labels| labels.len() == fields.len());
    let named = fields.iter().enumerate().map(|(at, field)| {
        let label =
            labels.as_ref().and_then(|labels| labels.get(at)).map_or(field.name().as_str(), |name| name);
        field.as_ref().clone().with_name(shown(label))
    });
    Arc::new(Schema::new(named.collect::<Vec<_>>()))
}

/// The one column of a plan that is shown.
pub(super) fn explained_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, true)]))
}

/// Refuses rows of another type than the client was told: it would read their bytes as something else.
pub(super) fn as_told(told: &Schema, batch: &RecordBatch) -> Result<()> {
    let is_text = |it: &DataType| matches!(it, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_bytes =
        |it: &DataType| matches!(it, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    let is_same = |a: &DataType, b: &DataType| {
        a == b
            || (is_text(a) && is_text(b))
            || (is_bytes(a) && is_bytes(b))
            || (!a.is_primitive() && !is_text(a) && !is_bytes(a) && a.is_nested() == b.is_nested())
            || matches!((a, b), (DataType::Timestamp(..), DataType::Timestamp(..)))
            || (a.is_decimal() && b.is_decimal())
    };
    let columns = told.fields().iter().zip(batch.schema_ref().fields());
    for (told, came) in columns {
        if !is_same(told.data_type(), came.data_type()) {
            let words =
                format!("column `{}` is {} and not {}", told.name(), came.data_type(), told.data_type());
            return Err(Error::new(&codes::INTERNAL, "the rows have another type than was told")
                .with_detail(words)
                .with_hint(
                    "Cast the column to the type that it should have, and please report the statement.",
                ));
        }
    }
    Ok(())
}

/// The lines of a plan, without the folders of this machine: who may ask for rows may not have to know them.
pub(super) fn lines(plans: &RecordBatch) -> Result<RecordBatch> {
    let lines = show::line_by_line(plans)?;
    let column = lines.columns().get(1).and_then(|column| show::without_folders(column));
    let column = column.ok_or_else(|| Error::new(&codes::INTERNAL, "a plan has no lines"))?;
    RecordBatch::try_new(explained_schema(), vec![column])
        .map_err(|error| Error::new(&codes::INTERNAL, "a plan does not fit its schema").caused_by(error))
}
