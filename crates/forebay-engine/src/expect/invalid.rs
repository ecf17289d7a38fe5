//! The records of a source that give no row, as rows: a format around the one that finds them.
//!
//! What must stay true: each record of the source is a row of the source or a row here, never both and never neither. So the format
//! inside has to set aside whatever the source itself sets aside, drops or stops at; those that are left are counted, and leave no row.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, BinaryBuilder, BinaryViewArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use forebay_core::error::codes;
use forebay_core::format::{BadRecord, Decoded, Decoder, Format, Of};
use forebay_core::last::LastValues;
use forebay_core::{Error, Result};

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let value = Field::new("value", DataType::Binary, true);
    Arc::new(Schema::new(vec![text("code"), text("path"), text("why"), value]))
});

/// The columns of such rows: what is wrong as the quarantine tells it, and the bytes; NULL where the record had none.
pub fn invalid_columns() -> SchemaRef {
    Arc::clone(&COLUMNS)
}

/// A format whose rows are the records that another format sets aside.
pub struct Invalid {
    inner: Arc<dyn Format>,
}

impl Invalid {
    /// Those of `inner`, which sets aside everything that gives no row.
    pub fn new(inner: Arc<dyn Format>) -> Self {
        Self { inner }
    }
}

impl Format for Invalid {
    fn schema(&self) -> SchemaRef {
        invalid_columns()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Turned { inner: self.inner.decoder() })
    }

    fn remembers(&self) -> bool {
        self.inner.remembers()
    }
}

struct Turned {
    inner: Box<dyn Decoder>,
}

impl Decoder for Turned {
    fn decode(&mut self, values: &BinaryViewArray) -> Result<Decoded> {
        turned(self.inner.decode(values)?, values)
    }

    fn decode_of(&mut self, values: &BinaryViewArray, of: Of<'_>) -> Result<Decoded> {
        turned(self.inner.decode_of(values, of)?, values)
    }

    fn begin(&mut self, before: Arc<LastValues>) {
        self.inner.begin(before);
    }

    fn said(&mut self) -> LastValues {
        self.inner.said()
    }
}

/// What was set aside, as rows.
fn turned(decoded: Decoded, values: &BinaryViewArray) -> Result<Decoded> {
    let Decoded { rows, bad, dropped, filtered, .. } = decoded;
    let told = |of: fn(&BadRecord) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(bad.iter().map(of)))
    };
    let mut bytes = BinaryBuilder::new();
    for record in &bad {
        let index = record.index as usize;
        let is_there = index < values.len() && values.is_valid(index);
        bytes.append_option(is_there.then(|| values.value(index)));
    }
    let columns = vec![
        told(|it| it.code),
        told(|it| &it.path),
        told(|it| &it.why),
        Arc::new(bytes.finish()) as ArrayRef,
    ];
    let found = RecordBatch::try_new(invalid_columns(), columns).map_err(|error| {
        Error::new(&codes::INTERNAL, "the invalid records of a source make no rows").caused_by(error)
    })?;
    Ok(Decoded {
        rows: found,
        kept: Some(bad.iter().map(|record| record.index).collect()),
        bad: Vec::new(),
        dropped,
        filtered: filtered + rows.num_rows() as u64,
        failed: Vec::new(),
    })
}
