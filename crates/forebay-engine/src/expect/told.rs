//! What a row failed, in words: the expectation, the values that it is about, and what was expected.
//!
//! The words are kept with the record and shown to people, so they are of bounded length and one line, whatever the values hold.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::Check;
use super::conditions::Failing;

/// Most characters of a value that are told.
const LONGEST_VALUE: usize = 80;
/// Most values that are told of a condition.
const MOST_VALUES: usize = 8;
/// Most failures that are told of a record.
const MOST_FAILURES: usize = 8;

/// Everything that a row failed.
pub(super) fn all(failed: &[(&Check, &Failing)], rows: &RecordBatch, row: usize) -> String {
    let told = failed.iter().take(MOST_FAILURES).map(|(check, it)| failure(check, it, rows, row));
    let mut told: Vec<String> = told.collect();
    let more = failed.len().saturating_sub(MOST_FAILURES);
    told.extend((more > 0).then(|| format!("and {more} more")));
    told.join("; ")
}

/// What a row failed of one expectation.
pub(super) fn failure(check: &Check, failing: &Failing, rows: &RecordBatch, row: usize) -> String {
    let values: Vec<String> = check
        .columns
        .iter()
        .take(MOST_VALUES)
        .map(|path| format!("`{}` is {}", path.join("."), value(rows, path, row)))
        .collect();
    let values: Vec<String> = values.into_iter().chain(failing.beside.get(&row).cloned()).collect();
    let values = values.join(", ");
    match failing.broken.get(&row) {
        Some(why) => {
            let told = [format!("it cannot be computed ({})", cut(why)), values];
            let told: Vec<String> = told.into_iter().filter(|part| !part.is_empty()).collect();
            format!("{}{}; expected {}", check.expected.told(), told.join(", "), check.wanted)
        }
        None if values.is_empty() => format!("{}expected {}", check.expected.told(), check.wanted),
        None => format!("{}{values}; expected {}", check.expected.told(), check.wanted),
    }
}

/// The JSON path of what an expectation is about: that of its column, `$` if there are several.
pub(super) fn path(check: &Check) -> String {
    match check.columns.as_slice() {
        [value, ..] if check.rate.is_some() => format!("$.{}", value.join(".")),
        [only] => format!("$.{}", only.join(".")),
        _ => "$".to_owned(),
    }
}

/// A value as people read it.
fn value(rows: &RecordBatch, path: &[String], row: usize) -> String {
    const NULL: &str = "NULL";
    let mut names = path.iter();
    let mut at: Option<ArrayRef> = names.next().and_then(|name| rows.column_by_name(name).cloned());
    for name in names {
        let Some(inside) = at.filter(|array| array.is_valid(row)) else { return NULL.to_owned() };
        at = inside.as_struct_opt().and_then(|inside| inside.column_by_name(name).cloned());
    }
    let Some(array) = at.filter(|array| array.is_valid(row)) else { return NULL.to_owned() };
    if let Some(text) = array.as_string_opt::<i32>().map(|texts| texts.value(row)) {
        return format!("{:?}", shortened(text));
    }
    if matches!(array.data_type(), DataType::Binary | DataType::LargeBinary | DataType::BinaryView) {
        return "bytes".to_owned();
    }
    let one = array.slice(row, 1);
    let options = FormatOptions::default().with_null(NULL);
    match ArrayFormatter::try_new(&one, &options).and_then(|formatter| formatter.value(0).try_to_string()) {
        Ok(text) => cut(&text),
        Err(_) => "a value that cannot be shown".to_owned(),
    }
}

/// One line of bounded length.
fn cut(text: &str) -> String {
    shortened(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
