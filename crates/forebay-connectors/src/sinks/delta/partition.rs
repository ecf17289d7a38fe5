//! Rows to partitions: which rows belong together, what the log calls their values, where their files lie.
//!
//! A partition's value stands in the log (`partitionValues`) and readers take it from there; the folder name is for
//! people only. So two things must stay true: the text in the log gives back exactly the value (NULL and the empty
//! string are one, as Delta defines), and a folder name never leaves the table, whatever the value is. Where there is no
//! log, as for CSV and Parquet files, names of folders are whole ([`Splitter::of_whole_names`]).

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use sha2::{Digest, Sha256};

/// What Hive and Spark call the folder of NULL.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";
/// Bytes that file systems allow for a name.
pub(crate) const LONGEST_NAME: usize = 255;
/// A name that is longer keeps its beginning and ends in a hash, where the log has the value.
const LONGEST_FOLDER: usize = 200;

/// One partition: its values for the log and its folder, relative to the table (empty, or with a slash at the end).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Place {
    pub values: BTreeMap<String, Option<String>>,
    pub folder: String,
}

/// Tells the rows of a lane apart by partition; places are numbered as they first appear.
pub(crate) struct Splitter {
    names: Vec<String>,
    /// Bytes above which the name of a folder is cut.
    longest: usize,
    converter: RowConverter,
    known: HashMap<Box<[u8]>, usize>,
    places: Vec<Place>,
}

impl Splitter {
    /// For partition columns of these names and types.
    pub fn new(names: Vec<String>, types: impl Iterator<Item = DataType>) -> Result<Self> {
        let converter = RowConverter::new(types.map(SortField::new).collect()).map_err(internal)?;
        Ok(Self { names, longest: LONGEST_FOLDER, converter, known: HashMap::new(), places: Vec::new() })
    }

    /// The same, with folders that name the whole value; rows that are [`too_long`] must not come.
    pub fn of_whole_names(names: Vec<String>, types: impl Iterator<Item = DataType>) -> Result<Self> {
        Ok(Self { longest: usize::MAX, ..Self::new(names, types)? })
    }

    /// The place that has this number.
    pub fn place(&self, number: usize) -> Option<&Place> {
        self.places.get(number)
    }

    /// Cuts `data` by the values in `columns` (same number of rows): pairs of place and rows, order kept inside
    /// each place.
    pub fn split(&mut self, data: RecordBatch, columns: &[ArrayRef]) -> Result<Vec<(usize, RecordBatch)>> {
        let rows = self.converter.convert_columns(columns).map_err(internal)?;
        let mut pieces: Vec<(usize, Vec<u32>)> = Vec::new();
        let mut piece_of: HashMap<usize, usize> = HashMap::new();
        let mut last: Option<(&[u8], usize)> = None;
        for (row, at) in rows.iter().zip(0u32..) {
            let bytes = row.data();
            // Neighbours mostly share their partition: compare before hashing.
            let piece = match last {
                Some((previous, piece)) if previous == bytes => piece,
                _ => {
                    let place = match self.known.get(bytes) {
                        Some(place) => *place,
                        None => {
                            let place = Place::of(&self.names, columns, at as usize, self.longest)?;
                            self.places.push(place);
                            self.known.insert(bytes.into(), self.places.len() - 1);
                            self.places.len() - 1
                        }
                    };
                    *piece_of.entry(place).or_insert_with(|| {
                        pieces.push((place, Vec::new()));
                        pieces.len() - 1
                    })
                }
            };
            last = Some((bytes, piece));
            if let Some((_, indices)) = pieces.get_mut(piece) {
                indices.push(at);
            }
        }
        if let [(place, _)] = pieces.as_slice() {
            return Ok(vec![(*place, data)]);
        }
        let cut = |(place, indices): (usize, Vec<u32>)| {
            let rows = take_record_batch(&data, &UInt32Array::from(indices)).map_err(internal)?;
            Ok((place, rows))
        };
        pieces.into_iter().map(cut).collect()
    }
}

impl Place {
    fn of(names: &[String], columns: &[ArrayRef], row: usize, longest: usize) -> Result<Self> {
        let mut place = Self::default();
        for (name, column) in names.iter().zip(columns) {
            let value = value_text(column, row)?;
            place.folder.push_str(&folder_name(name, value.as_deref(), longest));
            place.folder.push('/');
            place.values.insert(name.clone(), value);
        }
        Ok(place)
    }
}

/// A value as Delta writes it: numbers as in SQL, `true`, `2024-01-31`, timestamps as `2024-01-31T10:00:00.000000Z`
/// (what Spark 4 writes, and the only form that does not depend on a reader's time zone).
fn value_text(column: &ArrayRef, row: usize) -> Result<Option<String>> {
    if column.is_null(row) {
        return Ok(None);
    }
    let text = match column.data_type() {
        DataType::Float32 => float_text(f64::from(column.as_primitive::<Float32Type>().value(row)), || {
            format!("{:?}", column.as_primitive::<Float32Type>().value(row))
        }),
        DataType::Float64 => {
            let value = column.as_primitive::<Float64Type>().value(row);
            float_text(value, || format!("{value:?}"))
        }
        _ => {
            let options = FormatOptions::default()
                .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.6f"))
                .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.6fZ"));
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options).map_err(internal)?;
            formatter.value(row).try_to_string().map_err(internal)?
        }
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The column whose value in this row is longer than a whole name of a folder may be, and the bytes of that name.
pub(crate) fn too_long<'n>(
    names: &'n [String],
    columns: &[ArrayRef],
    row: usize,
) -> Result<Option<(&'n str, usize)>> {
    for (name, column) in names.iter().zip(columns) {
        // Only texts can be long, and none of them becomes longer than three times itself.
        let room = LONGEST_NAME.saturating_sub(name.len() * 3 + 1) / 3;
        if column
            .as_string_opt::<i32>()
            .is_none_or(|texts| texts.is_null(row) || texts.value(row).len() <= room)
            && !matches!(column.data_type(), DataType::LargeUtf8 | DataType::Utf8View)
        {
            continue;
        }
        let bytes = folder_name(name, value_text(column, row)?.as_deref(), usize::MAX).len();
        if bytes > LONGEST_NAME {
            return Ok(Some((name, bytes)));
        }
    }
    Ok(None)
}

/// As Java prints doubles.
fn float_text(value: f64, finite: impl FnOnce() -> String) -> String {
    if value.is_finite() {
        finite()
    } else if value.is_nan() {
        "NaN".to_owned()
    } else if value > 0.0 {
        "Infinity".to_owned()
    } else {
        "-Infinity".to_owned()
    }
}

/// `name=value`, escaped as Hive and Spark escape.
fn folder_name(name: &str, value: Option<&str>, longest: usize) -> String {
    let folder = format!("{}={}", escape(name), value.map_or_else(|| NULL_FOLDER.to_owned(), escape));
    if folder.len() <= longest {
        return folder;
    }
    let hash = Sha256::digest(folder.as_bytes());
    let mut end = LONGEST_FOLDER - 40;
    while !folder.is_char_boundary(end) {
        end -= 1;
    }
    let hash: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}~{hash}", &folder[..end])
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0'..='\u{1f}'
            | '\u{7f}'
            | '"'
            | '#'
            | '%'
            | '\''
            | '*'
            | '/'
            | ':'
            | '='
            | '?'
            | '\\'
            | '{'
            | '['
            | ']'
            | '^' => escaped.push_str(&format!("%{:02X}", u32::from(c))),
            other => escaped.push(other),
        }
    }
    escaped
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "rows cannot be split by partition").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, StringArray,
        TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Field, Schema};

    #[test]
    fn values_read_back_exactly() {
        let cases: Vec<(ArrayRef, Option<&str>)> = vec![
            (Arc::new(StringArray::from(vec!["../..\n"])), Some("../..\n")),
            (Arc::new(StringArray::from(vec![NULL_FOLDER])), Some(NULL_FOLDER)),
            (Arc::new(StringArray::from(vec![""])), None),
            (Arc::new(Int32Array::from(vec![None])), None),
            (Arc::new(Int32Array::from(vec![-7])), Some("-7")),
            (Arc::new(BooleanArray::from(vec![true])), Some("true")),
            (Arc::new(Date32Array::from(vec![-1])), Some("1969-12-31")),
            (Arc::new(Float64Array::from(vec![1.0])), Some("1.0")),
            (Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])), Some("-Infinity")),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]).with_timezone("UTC")),
                Some("2023-11-14T22:13:20.000001Z"),
            ),
            (
                Arc::new(Decimal128Array::from(vec![-12345]).with_precision_and_scale(10, 2).unwrap()),
                Some("-123.45"),
            ),
        ];
        for (column, expected) in cases {
            assert_eq!(value_text(&column, 0).unwrap().as_deref(), expected);
        }
    }

    #[test]
    fn no_value_leaves_the_table() {
        for value in ["..", "../../etc", "/etc/passwd", "a\\b", "\0", ".", "x".repeat(1 << 20).as_str(), "ü"]
        {
            let folder = folder_name("p", Some(value), LONGEST_FOLDER);
            assert!(!folder.contains('/') && folder.len() <= 255 && folder.starts_with("p="), "{folder}");
        }
        let long = |tail: &str| folder_name("p", Some(&format!("{}{tail}", "ü".repeat(200))), LONGEST_FOLDER);
        assert_ne!(long("a"), long("b"));
    }

    #[test]
    fn rows_keep_their_order_inside_a_partition() {
        let keys =
            Arc::new(StringArray::from(vec![Some("a"), Some("b"), None, Some("a"), Some("b")])) as ArrayRef;
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, true)]));
        let data =
            RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from(vec![0, 1, 2, 3, 4]))]).unwrap();
        let mut splitter = Splitter::new(vec!["k".into()], std::iter::once(DataType::Utf8)).unwrap();
        for _ in 0..2 {
            let pieces = splitter.split(data.clone(), std::slice::from_ref(&keys)).unwrap();
            let numbers: Vec<_> = pieces
                .iter()
                .map(|(place, rows)| {
                    (*place, rows.column(0).as_primitive::<arrow::datatypes::Int32Type>().values().to_vec())
                })
                .collect();
            assert_eq!(numbers, [(0, vec![0, 3]), (1, vec![1, 4]), (2, vec![2])]);
        }
        assert_eq!(splitter.place(2).unwrap().folder, format!("k={NULL_FOLDER}/"));
    }
}
