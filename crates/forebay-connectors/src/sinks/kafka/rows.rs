//! The rows of a batch as records: bytes and names borrowed from its columns.
//!
//! Columns are brought into one form once for each batch (views over the same bytes), so that nothing is looked up by
//! type for each row. A row that is no record is told with what is wrong in it; it is the one place where that is decided.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Int32Array, ListArray, RecordBatch, StringViewArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::columns::{Columns, Topic};

/// A record, but for its time.
#[derive(Debug, PartialEq)]
pub(super) struct Row<'b> {
    pub topic: &'b str,
    pub partition: Option<i32>,
    pub key: Option<&'b [u8]>,
    pub value: Option<&'b [u8]>,
}

/// The columns of one batch.
pub(super) struct Rows<'b> {
    columns: &'b Columns,
    value: BinaryViewArray,
    key: Option<BinaryViewArray>,
    topic: Option<StringViewArray>,
    partition: Option<Int32Array>,
    headers: Option<Headers>,
    len: usize,
}

struct Headers {
    lists: ListArray,
    names: StringViewArray,
    values: BinaryViewArray,
}

impl<'b> Rows<'b> {
    pub fn new(columns: &'b Columns, batch: &RecordBatch) -> Result<Self> {
        let bytes = |number: usize| {
            Ok::<_, Error>(turned(batch, number, &DataType::BinaryView)?.as_binary_view().clone())
        };
        let topic = match columns.topic {
            Topic::Fixed(_) => None,
            Topic::Column(number) => {
                Some(turned(batch, number, &DataType::Utf8View)?.as_string_view().clone())
            }
        };
        let partition = columns.partition.map(|number| {
            Ok::<_, Error>(turned(batch, number, &DataType::Int32)?.as_primitive::<Int32Type>().clone())
        });
        Ok(Self {
            columns,
            value: bytes(columns.value)?,
            key: columns.key.map(bytes).transpose()?,
            topic,
            partition: partition.transpose()?,
            headers: columns.headers.map(|number| Headers::new(batch, number)).transpose()?,
            len: batch.num_rows(),
        })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The row of this number, without its headers.
    ///
    /// # Errors
    /// `SINK_REFUSED` for a row that no topic can take, in the words of Spark where it has some.
    pub fn row(&self, number: usize) -> Result<Row<'_>> {
        let topic = match (&self.columns.topic, &self.topic) {
            (Topic::Fixed(topic), _) => topic,
            (_, Some(topics)) if topics.is_valid(number) => topics.value(number),
            _ => {
                return Err(Error::new(&codes::SINK_REFUSED, "null topic present in the data").with_hint(
                    "Every row needs a topic: use the option `topic` for all of them, or `coalesce(…, 'name') AS topic`.",
                ));
            }
        };
        let partition = self.partition.as_ref().filter(|column| column.is_valid(number));
        let of = |column: &'_ BinaryViewArray| column.is_valid(number);
        Ok(Row {
            topic,
            partition: partition.map(|column| column.value(number)),
            key: self.key.as_ref().filter(|key| of(key)).map(|key| key.value(number)),
            value: of(&self.value).then(|| self.value.value(number)),
        })
    }

    /// The headers of a row, in order, put into `found`.
    ///
    /// # Errors
    /// `SINK_REFUSED` for a header without a key: Kafka has none.
    pub fn headers<'r>(&'r self, number: usize, found: &mut Vec<(&'r str, Option<&'r [u8]>)>) -> Result<()> {
        found.clear();
        let Some(headers) = self.headers.as_ref().filter(|headers| headers.lists.is_valid(number)) else {
            return Ok(());
        };
        let offsets = headers.lists.value_offsets();
        let (Some(from), Some(to)) = (offsets.get(number), offsets.get(number + 1)) else { return Ok(()) };
        for at in (*from..*to).filter_map(|at| usize::try_from(at).ok()) {
            if headers.names.is_null(at) {
                return Err(Error::new(&codes::SINK_REFUSED, "a header without a key is in the data")
                    .with_hint("Each element of `headers` needs a key; its value may be NULL."));
            }
            let value = headers.values.is_valid(at).then(|| headers.values.value(at));
            found.push((headers.names.value(at), value));
        }
        Ok(())
    }
}

impl Headers {
    fn new(batch: &RecordBatch, number: usize) -> Result<Self> {
        let pair = Fields::from(vec![
            Field::new("key", DataType::Utf8View, true),
            Field::new("value", DataType::BinaryView, true),
        ]);
        let plain = DataType::List(Arc::new(Field::new("element", DataType::Struct(pair), true)));
        let lists = turned(batch, number, &plain)?.as_list::<i32>().clone();
        let pairs = lists.values().as_struct();
        let (names, values) =
            (pairs.column(0).as_string_view().clone(), pairs.column(1).as_binary_view().clone());
        // An element that is NULL has no key either.
        let names = match pairs.nulls() {
            None => names,
            Some(nulls) => {
                let both = arrow::buffer::NullBuffer::union(names.nulls(), Some(nulls));
                StringViewArray::try_new(names.views().clone(), names.data_buffers().to_vec(), both)
                    .map_err(internal)?
            }
        };
        Ok(Self { lists, names, values })
    }
}

/// A column in the form that is read here.
fn turned(batch: &RecordBatch, number: usize, to: &DataType) -> Result<ArrayRef> {
    let column = batch
        .columns()
        .get(number)
        .ok_or_else(|| Error::new(&codes::INTERNAL, "a batch lacks a column of its query"))?;
    let from = column.data_type();
    if from == to {
        return Ok(Arc::clone(column));
    }
    // What has no way of its own goes by the plain form of text or bytes.
    let through = match to {
        DataType::BinaryView if !arrow::compute::can_cast_types(from, to) => Some(DataType::Binary),
        _ => None,
    };
    let column = match through {
        Some(through) => cast(column, &through).map_err(internal)?,
        None => Arc::clone(column),
    };
    cast(&column, to).map_err(internal)
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "a column cannot be read as part of a record").caused_by(error)
}
