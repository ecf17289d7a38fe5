//! Generators as tables: what rows come of records, and what became of each record.

mod bombs;
mod rows;
mod slices;

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use forebay_core::{Error, OutputMode, Result, ddl};

use crate::plan::{Catalog, Fates, Refusal, SourceColumns, StreamPlan, plan_query};

const EVENTS: &str = "id STRING, n INT, tags ARRAY<STRING>, props MAP<STRING, INT>, \
                      devices ARRAY<STRUCT<id: INT, readings: ARRAY<STRUCT<k: STRING, v: DOUBLE>>>>";

/// One with everything, one with empty arrays, one without, one with what is NULL inside.
const LINES: &str = r#"
{"id":"a","n":1,"tags":["x","y"],"props":{"k":1,"l":2},"devices":[{"id":1,"readings":[{"k":"t","v":1.5},{"k":"h","v":2.5}]},{"id":2,"readings":[]}]}
{"id":"b","n":2,"tags":[],"props":{},"devices":[]}
{"id":"c","n":3}
{"id":"d","n":4,"tags":["z",null],"props":{"m":null},"devices":[null,{"id":3,"readings":null}]}
"#;

fn catalog(columns: &str) -> Catalog {
    let mut catalog = Catalog::new();
    catalog.add_source("e", SourceColumns::Decoded(ddl::parse(columns).unwrap())).unwrap();
    catalog.add_view("devices", "SELECT id AS event, n, explode(devices) AS d FROM e").unwrap();
    catalog
}

fn planned(columns: &str, sql: &str) -> Result<StreamPlan> {
    plan_query(&catalog(columns), sql, None, OutputMode::Append, None).map_err(Error::from)
}

fn json(schema: &SchemaRef, lines: &str) -> RecordBatch {
    let reader =
        arrow::json::ReaderBuilder::new(schema.clone()).build(Cursor::new(lines.trim().to_owned())).unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    arrow::compute::concat_batches(schema, &batches).unwrap()
}

/// What a query makes of a batch.
struct Made {
    batches: Vec<RecordBatch>,
    fates: Fates,
}

/// Runs a batch through a query; each record has one fate, and its first row is told from the others.
fn made(plan: &StreamPlan, batch: RecordBatch) -> Result<Made> {
    let records = batch.num_rows() as u64;
    let (mut executor, mut fates) = (plan.executor(0), Fates::default());
    let (mut batches, mut firsts) = (Vec::new(), 0);
    executor.take(batch);
    while let Some(rows) = executor.next(&mut fates)? {
        assert_eq!(rows.batch.schema(), plan.output_schema());
        assert!(rows.batch.num_rows() > 0);
        let repeats = rows.repeats.map_or(0, |repeats| repeats.count_set_bits());
        firsts += (rows.batch.num_rows() - repeats) as u64;
        batches.push(rows.batch);
    }
    assert_eq!(fates.emitted, firsts, "as many first rows as records");
    assert_eq!(fates.emitted + fates.filtered + fates.unmatched, records, "each record has one fate");
    Ok(Made { batches, fates })
}

/// The rows as texts, and how many records were emitted, unmatched and filtered.
fn told(sql: &str) -> (String, [u64; 3]) {
    let plan = planned(EVENTS, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let batch = json(&plan.input_schema(), LINES);
    let Made { batches, fates } = made(&plan, batch).unwrap();
    let rows: Vec<String> = batches.iter().flat_map(lines).collect();
    (rows.join("; "), [fates.emitted, fates.unmatched, fates.filtered])
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" ");
    (0..batch.num_rows()).map(row).collect()
}

fn names(sql: &str) -> String {
    let plan = planned(EVENTS, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let schema = plan.output_schema();
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}

fn refused(sql: &str) -> String {
    let error = planned(EVENTS, sql).expect_err(sql);
    format!("{} {} | {}", error.code().id, error.message(), error.place().unwrap_or("-"))
}

fn why(sql: &str, line: &str) -> Option<Refusal> {
    let plan = planned(EVENTS, sql).unwrap();
    let row = json(&plan.input_schema(), line);
    plan.executor(0).refusal(row).unwrap()
}
