//! Tests of the decoder as a whole: what is common to them.
//!
//! | file | promise |
//! |---|---|
//! | [`table`] | every case of `json_cases.json`, in all four modes, alone and among others |
//! | [`neighbours`] | a bad record changes nothing but itself |
//! | [`documents`] | valid documents of any shape and writing give what a slow, plain reader gives |
//! | [`sql`] | `from_json` keeps its rows |

mod documents;
mod neighbours;
mod sql;
mod table;

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BinaryViewArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef, TimestampMicrosecondType,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forebay_core::format::{BadRecordMode, Decoded, Format as _};
use forebay_core::options::Options;
use serde_json::{Map, Value, json};

use super::{JsonFormat, SPEC};

pub(super) const MODES: [BadRecordMode; 4] = [
    BadRecordMode::Quarantine,
    BadRecordMode::Permissive,
    BadRecordMode::DropMalformed,
    BadRecordMode::FailFast,
];

pub(super) fn schema(ddl: &str) -> SchemaRef {
    forebay_core::ddl::parse(ddl).unwrap()
}

pub(super) fn format(ddl: &str, mode: BadRecordMode, options: &[(&str, &str)]) -> JsonFormat {
    let raw: BTreeMap<String, String> = options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    JsonFormat::new(schema(ddl), mode, &Options::parse(&SPEC, &raw).unwrap()).unwrap()
}

pub(super) fn values<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> BinaryViewArray {
    BinaryViewArray::from_iter_values(records)
}

pub(super) fn decode(format: &JsonFormat, records: &[&[u8]]) -> Decoded {
    let decoded = format.decoder().decode(&values(records.iter().copied())).unwrap();
    check(&decoded, records.len());
    decoded
}

/// What is true of every outcome.
pub(super) fn check(decoded: &Decoded, records: usize) {
    assert_eq!(decoded.rows.num_rows() + decoded.bad.len() + decoded.dropped as usize, records);
    match &decoded.kept {
        Some(kept) => {
            assert_eq!(kept.len(), decoded.rows.num_rows());
            assert!(kept.is_sorted_by(|a, b| a < b));
            assert!(kept.len() < records);
        }
        None => assert_eq!(decoded.rows.num_rows(), records),
    }
    assert!(decoded.bad.is_sorted_by(|a, b| a.index < b.index));
}

/// The row of a record, if it gave one.
pub(super) fn row_of(decoded: &Decoded, index: usize) -> Option<Value> {
    let row = match &decoded.kept {
        Some(kept) => kept.iter().position(|kept| *kept as usize == index)?,
        None => index,
    };
    Some(render_row(&decoded.rows, row))
}

pub(super) fn render_row(batch: &RecordBatch, row: usize) -> Value {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    Value::Object(columns.map(|(field, column)| (field.name().clone(), render(column, row))).collect())
}

/// A cell as the case file writes it.
pub(super) fn render(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int8 => json!(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => json!(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => double(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => json!(array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Utf8 => string(array.as_string::<i32>().value(row)),
        DataType::Binary => json!(STANDARD.encode(array.as_binary::<i32>().value(row))),
        DataType::Date32 => json!(date(i64::from(array.as_primitive::<Date32Type>().value(row)))),
        DataType::Timestamp(_, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
            let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            json!(format!("{}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z", date(days)))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            Value::Object(
                columns.map(|(field, column)| (field.name().clone(), render(column, row))).collect(),
            )
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            let length = list.len();
            if length > 100 {
                let (first, last) = (render(&list, 0), render(&list, length - 1));
                return json!({"$array": {"length": length, "first": first, "last": last}});
            }
            Value::Array((0..length).map(|index| render(&list, index)).collect())
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            let pairs = (0..entries.len()).map(|index| (keys.value(index).to_owned(), render(values, index)));
            let pairs: Vec<(String, Value)> = pairs.collect();
            let object: Map<String, Value> = pairs.iter().cloned().collect();
            // Spark keeps both entries of a key that is there twice.
            if object.len() < pairs.len() { json!({ "$map": pairs }) } else { Value::Object(object) }
        }
        other => panic!("no case has {other}"),
    }
}

fn double(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(value)
    }
}

pub(super) fn string(text: &str) -> Value {
    use sha2::Digest as _;
    if text.len() <= 1024 {
        return json!(text);
    }
    let digest = sha2::Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"$string": {"bytes": text.len(), "sha256": hex}})
}

fn date(days: i64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let sign = if year < 0 {
        "-"
    } else if year > 9999 {
        "+"
    } else {
        ""
    };
    format!("{sign}{:04}-{month:02}-{day:02}", year.abs())
}

/// Equal, but for what `serde_json` rounds when it reads doubles.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) if x.is_f64() || y.is_f64() => {
            let (Some(x), Some(y)) = (x.as_f64(), y.as_f64()) else { return false };
            x.is_sign_negative() == y.is_sign_negative() && x.to_bits().abs_diff(y.to_bits()) <= 1
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}
