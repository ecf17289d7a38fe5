//! `from_json` in SQL, on the decoder of the sources.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use forebay_connectors::formats::json;
use forebay_core::error::codes;
use forebay_core::format::BadRecordMode;
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use forebay_engine::plan::{JsonDecode, JsonDecoderFactory};

/// Makes the decoders behind `from_json`.
pub struct FromJson;

impl JsonDecoderFactory for FromJson {
    fn decoder(&self, schema: SchemaRef, options: &BTreeMap<String, String>) -> Result<JsonDecode> {
        let mut raw = options.clone();
        let mode = match raw.remove("mode").map(|mode| mode.to_ascii_uppercase()).as_deref() {
            None | Some("PERMISSIVE") => BadRecordMode::Permissive,
            Some("FAILFAST") => BadRecordMode::FailFast,
            Some(other) => {
                let message = format!("from_json knows the modes PERMISSIVE and FAILFAST, not `{other}`");
                return Err(Error::new(&codes::BAD_VALUE, message));
            }
        };
        let options = Options::parse(&json::SPEC, &raw).map_err(|problems| {
            let first = problems.into_iter().next().map(|(_, error)| error);
            first.unwrap_or_else(|| Error::new(&codes::BAD_VALUE, "the options of from_json are refused"))
        })?;
        let decoder = json::FromJson::new(schema.fields().clone(), mode, &options)?;
        Ok(Arc::new(move |texts| Ok(Arc::new(decoder.decode(texts)?) as ArrayRef)))
    }
}
