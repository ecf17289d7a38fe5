//! Tests as tables: SQL and the rows or the refusal that it gives. Only this file touches the planner's API.

mod documented;
mod doubles;
mod drawing;
mod event_time;
mod generators;
mod graph;
mod hostile;
mod joins;
mod modes;
mod records;
mod refused;
mod replay;
mod resumed;
mod rows;
mod state_watermarks;
mod unions;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, SchemaRef};
use forebay_core::source::Envelope;
use forebay_core::{Partition, Position, Result, ddl};

use super::*;
use crate::adhoc::render::{OutputFormat, Renderer};

const SCHEMA: &str = "device_id STRING, temperature DOUBLE, humidity DOUBLE, timestamp INT, deviceName STRING, \
     place STRUCT<hall: INT, Row: STRING>, tags ARRAY<STRING>, props MAP<STRING, INT>, price DECIMAL(10,2), \
     at TIMESTAMP, big BIGINT";

/// Three events: a plain one, a hot one with odd contents, one that is NULL wherever it may be.
const EVENTS: &str = r#"
{"device_id":"a","temperature":20.5,"humidity":40.0,"timestamp":1700000000,"deviceName":"Pump","place":{"hall":1,"Row":"x"},"tags":["t0","t1"],"props":{"k":7},"price":"1.50","at":"2024-02-29T14:20:09.120Z","big":9223372036854775807}
{"device_id":"b","temperature":75.0,"humidity":null,"timestamp":-1,"deviceName":" 42 ","place":{"hall":null,"Row":"y"},"tags":[],"props":{},"price":"-0.05","at":"1969-12-31T23:59:59.999Z","big":1}
{"device_id":null,"temperature":null,"humidity":null,"timestamp":null,"deviceName":null,"place":null,"tags":null,"props":null,"price":null,"at":null,"big":null}
"#;

fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    catalog.add_source("iot", SourceColumns::Decoded(schema())).unwrap();
    catalog.add_source("raw", SourceColumns::Envelope { headers: false }).unwrap();
    catalog.add_source("with_headers", SourceColumns::Envelope { headers: true }).unwrap();
    catalog.add_view("hot", "SELECT * FROM iot WHERE temperature > 70").unwrap();
    catalog.add_view("hot_ids", "SELECT DEVICE_ID AS Id, temperature FROM HOT").unwrap();
    catalog.add_view("broken", "SELECT\n  temprature FROM iot").unwrap();
    catalog.add_view("early", "SELECT * FROM late").unwrap();
    catalog.add_view("late", "SELECT * FROM iot").unwrap();
    catalog
}

fn schema() -> SchemaRef {
    ddl::parse(SCHEMA).unwrap()
}

fn planned(sql: &str) -> Result<StreamPlan, SqlError> {
    plan(&catalog(), sql, Some(&Json))
}

/// The batch that a source would give to this plan.
fn input(plan: &StreamPlan) -> RecordBatch {
    if plan.source() != "iot" {
        return envelope().to_batch().unwrap();
    }
    let decoded = json_rows(EVENTS.trim(), &schema());
    if !plan.wants_envelope() {
        return decoded;
    }
    let kafka = StructArray::from(envelope().to_batch().unwrap());
    let mut columns = decoded.columns().to_vec();
    columns.push(Arc::new(kafka));
    RecordBatch::try_new(plan.input_schema(), columns).unwrap()
}

/// The same events as records: the values are their JSON texts, one of them is not UTF-8 beside.
fn envelope() -> Envelope {
    let values: Vec<Option<Vec<u8>>> = EVENTS
        .trim()
        .lines()
        .enumerate()
        .map(|(index, line)| match index {
            2 => Some(b"\xff{".to_vec()),
            _ => Some(line.as_bytes().to_vec()),
        })
        .collect();
    Envelope {
        partition: Partition::new("iot_topic", 3),
        next: Position(103),
        offsets: vec![100, 101, 102].into(),
        timestamps: vec![1_700_000_000_000; 3].into(),
        timestamp_type: 0,
        values: values.iter().map(Option::as_deref).collect(),
        keys: Some([Some(b"k1".as_slice()), None, Some(b"k3")].into_iter().collect()),
        headers: None,
    }
}

fn execute(sql: &str, epoch_time_ms: i64) -> Result<(RecordBatch, Fates), Error> {
    let plan = planned(sql)?;
    let mut fates = Fates::default();
    let batch = plan.executor(epoch_time_ms).process(input(&plan), &mut fates)?;
    assert_eq!(batch.schema(), plan.output_schema(), "{sql}");
    assert_eq!(fates.emitted, batch.num_rows() as u64);
    assert_eq!(fates.emitted + fates.filtered, 3, "{sql}");
    Ok((batch, fates))
}

/// The rows as CSV: a header, then a line for each row.
fn csv(batch: &RecordBatch) -> String {
    let mut text = Vec::new();
    let mut renderer = Renderer::new(&mut text, OutputFormat::Csv, batch.schema());
    renderer.write(batch).unwrap();
    renderer.finish().unwrap();
    String::from_utf8(text).unwrap().trim_end_matches('\n').to_owned()
}

/// What a query gives, or how it is refused: `id message | place | hint`.
fn outcome(sql: &str) -> String {
    match execute(sql, 1_700_000_000_123) {
        Ok((batch, _)) => csv(&batch).replace('\n', "; "),
        Err(error) => {
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!(
                "{} {}{detail} | {} | {}",
                error.code().id,
                error.message(),
                error.place().unwrap_or("-"),
                error.hint()
            )
        }
    }
}

fn json_rows(lines: &str, schema: &SchemaRef) -> RecordBatch {
    let reader =
        arrow::json::ReaderBuilder::new(Arc::clone(schema)).build(Cursor::new(lines.as_bytes())).unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    arrow::compute::concat_batches(schema, &batches).unwrap()
}

/// A stand-in for the connectors' decoder: what is not an object gives NULLs.
struct Json;

impl JsonDecoderFactory for Json {
    fn decoder(&self, schema: SchemaRef, options: &BTreeMap<String, String>) -> Result<JsonDecode> {
        if let Some(unknown) = options.keys().find(|name| *name != "mode") {
            return Err(forebay_core::options::unknown_name("option", unknown, ["mode"].into_iter()));
        }
        Ok(Arc::new(move |texts: &ArrayRef| {
            assert_eq!(texts.data_type(), &DataType::Utf8View);
            let texts = texts.as_string_view();
            let lines: Vec<&str> = texts
                .iter()
                .map(|text| {
                    text.filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok())
                        .unwrap_or("{}")
                })
                .collect();
            let rows = json_rows(&lines.join("\n"), &schema);
            Ok(Arc::new(StructArray::from(rows)) as ArrayRef)
        }))
    }
}
