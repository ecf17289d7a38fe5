//! What Spark wrote, byte for byte.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use forebay_core::options::Options;
use forebay_core::{Zone, ddl};
use serde_json::Value;

use super::super::config::{CSV, Config, CsvFormat, FileFormat};
use super::Encoder;

const CASES: &str = include_str!("../../../../../../tests/oracle/csv_cases.json");

fn column(ty: &DataType, values: &[&Value]) -> ArrayRef {
    let whole = || values.iter().map(|value| value.as_i64());
    let bits =
        |value: &&Value| value.as_str().map(|hex| f64::from_bits(u64::from_str_radix(hex, 16).unwrap()));
    match ty {
        DataType::Boolean => Arc::new(values.iter().map(|value| value.as_bool()).collect::<BooleanArray>()),
        DataType::Int8 => Arc::new(whole().map(|it| it.map(|it| it as i8)).collect::<Int8Array>()),
        DataType::Int16 => Arc::new(whole().map(|it| it.map(|it| it as i16)).collect::<Int16Array>()),
        DataType::Int32 => Arc::new(whole().map(|it| it.map(|it| it as i32)).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(whole().collect::<Int64Array>()),
        DataType::Float64 => Arc::new(values.iter().map(bits).collect::<Float64Array>()),
        DataType::Float32 => {
            Arc::new(values.iter().map(|it| bits(it).map(|it| it as f32)).collect::<Float32Array>())
        }
        DataType::Date32 => Arc::new(whole().map(|it| it.map(|it| it as i32)).collect::<Date32Array>()),
        DataType::Timestamp(_, zone) => {
            Arc::new(whole().collect::<TimestampMicrosecondArray>().with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(precision, scale) => {
            let unscaled = |text: &str| {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                format!("{whole}{fraction:0<width$}", width = *scale as usize).parse::<i128>().unwrap()
            };
            let values = values.iter().map(|value| value.as_str().map(unscaled));
            Arc::new(
                values.collect::<Decimal128Array>().with_precision_and_scale(*precision, *scale).unwrap(),
            )
        }
        _ => Arc::new(values.iter().map(|value| value.as_str()).collect::<StringArray>()),
    }
}

/// True if both lines hold the same floating numbers, here in fewer digits.
fn is_shorter_double(ours: &str, rest: &str) -> bool {
    let theirs = rest.lines().next().unwrap_or_default();
    let numbers =
        |line: &str| line.trim_end().split(',').map(str::parse::<f64>).collect::<Result<Vec<_>, _>>();
    match (numbers(ours), numbers(theirs)) {
        (Ok(a), Ok(b)) => {
            a.iter().zip(&b).all(|(a, b)| a == b || *a as f32 == *b as f32)
                && ours.trim_end().len() <= theirs.len()
        }
        _ => false,
    }
}

#[test]
fn every_csv_file_of_spark_is_forebays_too() {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let (mut compared, mut wrong) = (0, Vec::new());
    for case in &cases {
        let Some(expected) = case["file"].as_str() else { continue };
        let raw: BTreeMap<String, String> = case["options"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .chain([("path".to_owned(), "x".to_owned())])
            .collect();
        let options = Options::parse(&CSV, &raw).unwrap();
        let zone = Zone::read(case["zone"].as_str().unwrap()).unwrap();
        let config = match Config::new("csv", &options, Path::new("."), zone) {
            Ok(config) => config,
            Err(error) => {
                wrong.push(format!("{raw:?}: {error}"));
                continue;
            }
        };
        let FileFormat::Csv(CsvFormat { dialect, texts, header, .. }) = &config.format else { panic!() };
        let schema = ddl::parse(case["schema"].as_str().unwrap()).unwrap();
        let rows: Vec<&Vec<Value>> =
            case["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap()).collect();
        let columns = schema.fields().iter().enumerate().map(|(at, field)| {
            column(field.data_type(), &rows.iter().map(|row| &row[at]).collect::<Vec<_>>())
        });
        let batch = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
        let mut encoder = Encoder::new(dialect, texts);
        let mut written = Vec::new();
        if *header {
            encoder.header(&mut written, &schema);
        }
        // Row by row, so that a difference is told with its row.
        let mut rest = expected;
        for row in 0..=batch.num_rows() {
            let text = String::from_utf8(std::mem::take(&mut written)).unwrap();
            match rest.strip_prefix(&text) {
                Some(after) => rest = after,
                // Before version 19 Java writes some doubles with more digits than it takes to tell them.
                None if is_shorter_double(&text, rest) => {
                    rest = rest.split_once('\n').unwrap().1;
                }
                None => {
                    let there: String = rest.chars().take(text.chars().count() + 12).collect();
                    let at = row.checked_sub(1).map(|row| rows[row]);
                    wrong.push(format!(
                        "{} {raw:?} {zone}\n  row {at:?}\n  is   {text:?}\n  not  {there:?}",
                        case["schema"]
                    ));
                    rest = "";
                    break;
                }
            }
            if row < batch.num_rows() {
                encoder.rows(&mut written, &batch.slice(row, 1)).unwrap();
            }
        }
        if !rest.is_empty() {
            wrong.push(format!("{} {raw:?}: Spark goes on with {rest:?}", case["schema"]));
        }
        compared += 1;
    }
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 50, "compared {compared}");
}

#[test]
fn a_formula_becomes_a_text_and_a_number_stays_one() {
    let raw = [("path", "x"), ("neutralizeFormulas", "true")];
    let raw = raw.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = Options::parse(&CSV, &raw).unwrap();
    let config = Config::new("csv", &options, Path::new("."), Zone::UTC).unwrap();
    let FileFormat::Csv(CsvFormat { dialect, texts, .. }) = &config.format else { panic!() };
    let schema = ddl::parse("a STRING, n INT").unwrap();
    let texts_in = ["=1+1", "+1", "-1", "@x", " =x", "\tx", "a=1", "'=1", ""];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts_in.to_vec())),
        Arc::new(Int32Array::from(vec![-1; texts_in.len()])),
    ];
    let mut out = Vec::new();
    Encoder::new(dialect, texts).rows(&mut out, &RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    let text = String::from_utf8(out).unwrap();
    let firsts: Vec<&str> = text.lines().map(|line| line.strip_suffix(",-1").unwrap()).collect();
    assert_eq!(firsts, ["'=1+1", "'+1", "'-1", "'@x", "' =x", "'\tx", "a=1", "'=1", "\"\""]);
}
