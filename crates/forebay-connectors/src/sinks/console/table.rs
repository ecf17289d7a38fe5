//! Rows as a table of characters, in Spark's form.
//!
//! ```text
//! +---------+-----------+
//! |device_id|temperature|
//! +---------+-----------+
//! |  press-1|       70.5|
//! +---------+-----------+
//! ```
//!
//! What must stay true: whatever a value holds, it takes exactly one line, and no character in it is one that a
//! terminal obeys.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use arrow::error::ArrowError;
use arrow::util::display::ArrayFormatter;
use forebay_core::error::codes;
use forebay_core::{Error, Result, Zone};

use super::values;

const RULE: &str = "-------------------------------------------";
/// Spark's narrowest column.
const NARROWEST: usize = 3;

/// How a table looks.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Most rows.
    pub limit: usize,
    /// The longest value that is shown whole; with it columns are aligned to the right, as in Spark.
    pub width: Option<usize>,
    /// In which times are shown.
    pub zone: Zone,
}

/// The text of an epoch: header, table, and a word if there are more rows than are shown (`total`).
pub(super) fn render(
    epoch: u64,
    schema: &Schema,
    batches: &[RecordBatch],
    total: u64,
    shape: Shape,
) -> Result<String> {
    let Shape { limit, width, zone } = shape;
    let mut lines = vec![schema.fields().iter().map(|field| shown(field.name(), width)).collect::<Vec<_>>()];
    for batch in batches {
        let room = (limit + 1).saturating_sub(lines.len()).min(batch.num_rows());
        let unprintable = |e| Error::new(&codes::QUERY_FAILED, "a value cannot be printed").caused_by(e);
        let columns = in_zone(&batch.slice(0, room), zone).map_err(unprintable)?;
        append(&mut lines, &columns, width).map_err(unprintable)?;
    }
    let widths: Vec<usize> = (0..schema.fields().len())
        .map(|at| {
            lines
                .iter()
                .filter_map(|line| line.get(at))
                .map(|cell| cells(cell))
                .max()
                .unwrap_or(0)
                .max(NARROWEST)
        })
        .collect();
    let border =
        format!("+{}\n", widths.iter().map(|width| format!("{}+", "-".repeat(*width))).collect::<String>());
    let mut text = format!("{RULE}\nBatch: {epoch}\n{RULE}\n{border}");
    for (number, line) in lines.iter().enumerate() {
        for (cell, column) in line.iter().zip(&widths) {
            let space = " ".repeat(column - cells(cell).min(*column));
            let (left, right) = if width.is_some() { (space.as_str(), "") } else { ("", space.as_str()) };
            text.push_str(&format!("|{left}{cell}{right}"));
        }
        text.push_str("|\n");
        if number == 0 {
            text.push_str(&border);
        }
    }
    text.push_str(&border);
    if total > limit as u64 {
        text.push_str(&format!("only showing top {limit} row{}\n", if limit == 1 { "" } else { "s" }));
    }
    text.push('\n');
    Ok(text)
}

/// The same rows with their times in a zone, those inside of other values too.
fn in_zone(batch: &RecordBatch, zone: Zone) -> Result<RecordBatch, ArrowError> {
    if zone.is_utc() {
        return Ok(batch.clone());
    }
    let name: Arc<str> = zone.to_string().into();
    let zoned = |field: &FieldRef| zoned(field, &name);
    let schema = Arc::new(Schema::new(batch.schema().fields().iter().map(zoned).collect::<Fields>()));
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(&schema), columns.collect::<Result<_, _>>()?, &options)
}

fn zoned(field: &FieldRef, zone: &Arc<str>) -> FieldRef {
    let inside = |field: &FieldRef| zoned(field, zone);
    let data_type = match field.data_type() {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(Arc::clone(zone))),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inside).collect()),
        DataType::List(item) => DataType::List(inside(item)),
        DataType::Map(entries, sorted) => DataType::Map(inside(entries), *sorted),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

fn append(lines: &mut Vec<Vec<String>>, batch: &RecordBatch, width: Option<usize>) -> Result<(), ArrowError> {
    let columns = batch.columns().iter().map(|column| values::formatter(column.as_ref()));
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    for row in 0..batch.num_rows() {
        let cell = |formatter: &ArrayFormatter<'_>| {
            formatter.value(row).try_to_string().map(|text| shown(&text, width))
        };
        lines.push(columns.iter().map(cell).collect::<Result<_, ArrowError>>()?);
    }
    Ok(())
}

/// A value on one line, cut to `width` characters.
fn shown(text: &str, width: Option<usize>) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => plain.push_str("\\n"),
            '\r' => plain.push_str("\\r"),
            '\t' => plain.push_str("\\t"),
            c if obeyed(c) => {
                // Writing to a string does not fail.
                let _ = write!(plain, "\\u{{{:x}}}", u32::from(c));
            }
            c => plain.push(c),
        }
    }
    match width {
        Some(width) if plain.chars().count() > width => {
            let cut = if width < 4 { width } else { width - 3 };
            let dots = if width < 4 { "" } else { "..." };
            format!("{}{dots}", plain.chars().take(cut).collect::<String>())
        }
        _ => plain,
    }
}

/// Control characters, and those that turn the direction of writing or hide.
fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Columns of the screen: wide East Asian characters take two.
fn cells(text: &str) -> usize {
    let wide = |c: char| {
        matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}
