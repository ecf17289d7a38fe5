//! The names of types: what each means in Arrow, which are refused and why, and what a stranger probably meant.

use arrow::datatypes::{DataType, TimeUnit};

use super::DdlError;

/// What a word in the place of a type asks for.
pub(super) enum Named {
    /// A type that is complete.
    Plain(DataType),
    /// `DECIMAL`, with or without `(p, s)`.
    Decimal,
    /// `ARRAY<…>`
    Array,
    /// `MAP<…, …>`
    Map,
    /// `STRUCT<…>`
    Struct,
}

/// The names to guess from.
const NAMES: &[&str] = &[
    "BOOLEAN",
    "TINYINT",
    "BYTE",
    "SMALLINT",
    "SHORT",
    "INT",
    "INTEGER",
    "BIGINT",
    "LONG",
    "FLOAT",
    "REAL",
    "DOUBLE",
    "DECIMAL",
    "DEC",
    "NUMERIC",
    "STRING",
    "BINARY",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "TIMESTAMP_NTZ",
    "ARRAY",
    "MAP",
    "STRUCT",
];

/// Names from other systems, and what they are called here.
const STRANGERS: &[(&str, &str)] = &[
    ("BOOL", "BOOLEAN"),
    ("BIT", "BOOLEAN"),
    ("INT8", "TINYINT"),
    ("INT16", "SMALLINT"),
    ("INT2", "SMALLINT"),
    ("INT32", "INT"),
    ("INT4", "INT"),
    ("INT64", "BIGINT"),
    ("UINT8", "SMALLINT"),
    ("UINT16", "INT"),
    ("UINT32", "BIGINT"),
    ("UINT64", "DECIMAL(20, 0)"),
    ("SERIAL", "INT"),
    ("FLOAT32", "FLOAT"),
    ("FLOAT4", "FLOAT"),
    ("FLOAT64", "DOUBLE"),
    ("FLOAT8", "DOUBLE"),
    ("NUMBER", "DOUBLE"),
    ("MONEY", "DECIMAL(18, 2)"),
    ("TEXT", "STRING"),
    ("STR", "STRING"),
    ("UTF8", "STRING"),
    ("NVARCHAR", "STRING"),
    ("UUID", "STRING"),
    ("JSON", "STRING"),
    ("JSONB", "STRING"),
    ("ENUM", "STRING"),
    ("BLOB", "BINARY"),
    ("BYTES", "BINARY"),
    ("BYTEA", "BINARY"),
    ("VARBINARY", "BINARY"),
    ("DATETIME", "TIMESTAMP"),
    ("TIMESTAMPTZ", "TIMESTAMP"),
    ("LIST", "ARRAY"),
    ("DICT", "MAP"),
    ("OBJECT", "STRUCT"),
    ("ROW", "STRUCT"),
    ("RECORD", "STRUCT"),
];

/// The type of TIMESTAMP: an instant, in microseconds in UTC.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Looks a type's name up, in any case. `offset` is where the word stands.
pub(super) fn named(word: &str, offset: usize) -> Result<Named, DdlError> {
    let upper = word.to_ascii_uppercase();
    let plain = match upper.as_str() {
        "BOOLEAN" => DataType::Boolean,
        "TINYINT" | "BYTE" => DataType::Int8,
        "SMALLINT" | "SHORT" => DataType::Int16,
        "INT" | "INTEGER" => DataType::Int32,
        "BIGINT" | "LONG" => DataType::Int64,
        "FLOAT" | "REAL" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "STRING" => DataType::Utf8,
        "BINARY" => DataType::Binary,
        "DATE" => DataType::Date32,
        // TIMESTAMP is a name for one of the other two by `spark.sql.timestampType`; its default is LTZ.
        "TIMESTAMP" | "TIMESTAMP_LTZ" => timestamp(),
        "TIMESTAMP_NTZ" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "DECIMAL" | "DEC" | "NUMERIC" => return Ok(Named::Decimal),
        "ARRAY" => return Ok(Named::Array),
        "MAP" => return Ok(Named::Map),
        "STRUCT" => return Ok(Named::Struct),
        _ => return Err(not_a_type(word, &upper, offset)),
    };
    Ok(Named::Plain(plain))
}

fn not_a_type(word: &str, upper: &str, offset: usize) -> DdlError {
    let refused = match upper {
        "VARCHAR" | "CHAR" | "CHARACTER" => Some((
            "has no meaning for decoded values; Spark refuses it in from_json too",
            "Write `STRING`: lengths are not checked while decoding.",
        )),
        "INTERVAL" => Some((
            "cannot be a column of a table",
            "Write a number and say its unit in the name, such as `took_ms BIGINT`.",
        )),
        "VARIANT" => Some((
            "is not supported yet",
            "Write `STRING` and take values out of it in SQL, or name the fields in a `STRUCT<…>`.",
        )),
        "VOID" | "NULL" => {
            Some(("has no values", "Leave the column out, or give it the type it will have one day."))
        }
        "TIME" => Some(("is not a type of a table's column", "Write `STRING`, or a whole `TIMESTAMP`.")),
        _ => None,
    };
    let (message, hint) = match refused {
        Some((why, hint)) => (format!("the type {upper} {why}"), hint.to_owned()),
        None => {
            let guess = match guess(upper) {
                Some(guess) => format!("Did you mean `{guess}`? "),
                None => String::new(),
            };
            let hint = format!("{guess}Known: {}.", NAMES.join(", "));
            (format!("unknown type `{}`", super::Excerpt(word)), hint)
        }
    };
    DdlError { offset, length: word.len(), message, hint }
}

fn guess(upper: &str) -> Option<&'static str> {
    if let Some((_, here)) = STRANGERS.iter().find(|(there, _)| *there == upper) {
        return Some(here);
    }
    // A longer word cannot be near any name; without this bound a long text would cost its square.
    if upper.len() > 24 {
        return None;
    }
    NAMES
        .iter()
        .map(|name| (strsim::damerau_levenshtein(upper, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .map(|(_, name)| name)
}
