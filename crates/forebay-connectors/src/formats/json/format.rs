//! A schema, a mode and options, checked once: from here decoders are made.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use forebay_core::error::{Error, Result, codes};
use forebay_core::format::{BadRecordMode, Decoder, Format};
use forebay_core::options::Options;

use super::column::{Object, plan_object};
use super::decoder::JsonDecoder;
use super::options::Rules;

/// Reads JSON objects into the columns of a schema.
#[derive(Debug)]
pub struct JsonFormat {
    schema: SchemaRef,
    /// Empty columns, to be copied for each lane.
    blank: Object,
    /// The place of the column of corrupt records among the others, if there is one in this mode.
    corrupt: Option<usize>,
    mode: BadRecordMode,
    rules: Arc<Rules>,
}

impl JsonFormat {
    /// A format for this schema. In Spark's modes every field may be null, whatever the schema says, as `from_json`
    /// has it: [`Format::schema`] tells so. Fails with `BAD_SCHEMA` on types that JSON cannot give and with
    /// `BAD_VALUE` on date patterns that are not understood.
    pub fn new(schema: SchemaRef, mode: BadRecordMode, options: &Options) -> Result<Self> {
        let rules = Arc::new(Rules::new(mode, options)?);
        let mut corrupt = None;
        let mut fields = schema.fields().clone();
        if rules.spark {
            let name = options.text("columnNameOfCorruptRecord").unwrap_or("_corrupt_record");
            corrupt = schema.fields().iter().position(|field| field.name() == name);
            fields = fields.iter().map(nullable).collect();
        }
        let schema = Arc::new(Schema::new_with_metadata(fields.clone(), schema.metadata().clone()));
        if let Some(place) = corrupt {
            let field = schema.field(place);
            if field.data_type() != &DataType::Utf8 {
                let message = format!("the column of corrupt records `{}` is not STRING", field.name());
                return Err(Error::new(&codes::BAD_SCHEMA, message));
            }
            fields = fields
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != place)
                .map(|(_, field)| field.clone())
                .collect();
        }
        Ok(Self { schema, blank: plan_object(&fields)?, corrupt, mode, rules })
    }

    pub(super) fn json_decoder(&self) -> JsonDecoder {
        JsonDecoder::new(self.schema.clone(), self.blank.clone(), self.corrupt, self.mode, self.rules.clone())
    }
}

impl Format for JsonFormat {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(self.json_decoder())
    }
}

/// The same field, and all that is in it, allowed to be null.
fn nullable(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nullable).collect::<Fields>()),
        DataType::List(element) => DataType::List(nullable(element)),
        DataType::Map(entries, sorted) => {
            let entries = match entries.data_type() {
                DataType::Struct(pair) => {
                    let pair = pair
                        .iter()
                        .enumerate()
                        .map(|(i, field)| if i == 0 { field.clone() } else { nullable(field) });
                    let kind = DataType::Struct(pair.collect::<Fields>());
                    Arc::new(entries.as_ref().clone().with_data_type(kind))
                }
                _ => entries.clone(),
            };
            DataType::Map(entries, *sorted)
        }
        other => other.clone(),
    };
    let same: Field = field.as_ref().clone();
    Arc::new(same.with_data_type(kind).with_nullable(true))
}
