//! A CSV file as a table: its first line names the columns, the source says of what type they are.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use forebay_connectors::tables;
use forebay_core::config::{OptionPlaces, TableConfig};
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::table::Wanted;
use forebay_core::{Error, Result, ddl};
use forebay_engine::adhoc::{TableProvider, lanes};

/// The longest line of names that is read.
const LONGEST_HEADER: u64 = 1 << 16;

/// What is known of columns: the source's own, and one that is a time.
pub struct Known<'a> {
    pub source: &'a Schema,
    pub time: Option<&'a str>,
}

/// Reads a file below the data folder, whose rows take no more than so many bytes.
pub async fn table(
    data: &Path,
    on: &str,
    known: &Known<'_>,
    memory: usize,
) -> Result<Arc<dyn TableProvider>> {
    let missing = || Error::new(&codes::INTERNAL, "a format of tables is not there");
    let spec = tables::SPECS.iter().find(|spec| spec.name == "csv").ok_or_else(missing)?;
    let refused =
        |problems: Vec<(String, Error)>| problems.into_iter().next().map_or_else(missing, |(_, error)| error);
    let raw = [("path", on), ("header", "true")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = TableConfig {
        name: on.to_owned(),
        format: "csv".to_owned(),
        options: Options::parse(spec, &raw.into_iter().collect()).map_err(refused)?,
        decoder_options: Options::default(),
        schema: Some(header(&data.join(on), known)?),
        max_memory: memory as u64,
        option_places: OptionPlaces::none(),
        place: (1, 1),
        of_catalog: None,
    };
    let table = tables::open(&config, data).await?;
    let rows = table.load(&Wanted::Newest).await?;
    lanes::whole(table.schema(), rows.batches)
}

fn header(path: &Path, known: &Known<'_>) -> Result<(SchemaRef, String)> {
    let unreadable = |error| {
        Error::new(&codes::FILE_UNREADABLE, "the table cannot be read").at(path.display()).caused_by(error)
    };
    let mut line = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    BufReader::new(file.take(LONGEST_HEADER)).read_line(&mut line).map_err(unreadable)?;
    let field = |name: &str| {
        let name = name.trim().trim_start_matches('\u{feff}').trim_matches('"');
        let of_source = known.source.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
        let data_type = match of_source {
            Some(field) => field.data_type().clone(),
            None if known.time.is_some_and(|time| time.eq_ignore_ascii_case(name)) => ddl::timestamp(),
            None => DataType::Utf8View,
        };
        Field::new(name, data_type, true)
    };
    let schema = Arc::new(Schema::new(line.trim_end().split(',').map(field).collect::<Vec<_>>()));
    let text = ddl::to_ddl(&schema)?;
    Ok((schema, text))
}
