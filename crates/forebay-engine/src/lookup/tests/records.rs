//! Rows that go on to an operator know their record, whatever the columns of a table are called.

use arrow::array::{ArrayRef, StructArray};
use forebay_core::source::Envelope;
use forebay_core::{Partition, Position};

use super::*;

/// A register with columns as a record has them.
const REGISTER: &str = "id STRING, _kafka STRUCT<topic: STRING, partition: INT, offset: BIGINT, timestamp: TIMESTAMP>, \
                        topic STRING, partition INT, offset BIGINT, timestamp TIMESTAMP, timestampType INT";
const ROW: &str = "{\"id\":\"a\",\"_kafka\":{\"topic\":\"x\",\"partition\":9,\"offset\":9},\"topic\":\"x\",\"partition\":9,\"offset\":9}\n";

fn envelope() -> Envelope {
    Envelope {
        partition: Partition::new("events", 3),
        next: Position(102),
        offsets: vec![100, 101].into(),
        timestamps: vec![1_700_000_000_000; 2].into(),
        timestamp_type: 0,
        values: [Some(b"a".as_slice()), Some(b"b")].into_iter().collect(),
        keys: None,
        headers: None,
    }
}

/// What the rows before the operator say of their records.
async fn records(sql: &str) -> Vec<String> {
    let mut catalog = Catalog::new();
    catalog.add_source("iot", SourceColumns::Decoded(ddl::parse("id STRING").unwrap())).unwrap();
    catalog.add_source("raw", SourceColumns::Envelope { headers: false }).unwrap();
    catalog.add_table("devices", ddl::parse(REGISTER).unwrap()).unwrap();
    catalog
        .add_view(
            "placed",
            "SELECT d.*, e.value FROM devices d RIGHT JOIN raw e ON CAST(e.value AS STRING) = d.id",
        )
        .unwrap();
    let plan = plan_query(&catalog.carrying_records(), sql, None, OutputMode::Complete, None).unwrap();
    let table: Arc<dyn StaticTable> = Register::new("devices", REGISTER, ROW);
    let mut batch = envelope().to_batch().unwrap();
    if plan.wants_envelope() {
        let (_, ids) = rows_of("id STRING", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
        let kafka: ArrayRef = Arc::new(StructArray::from(batch));
        batch = RecordBatch::try_new(plan.input_schema(), vec![Arc::clone(ids.column(0)), kafka]).unwrap();
    }
    let mut executor = plan.executor(0).holding(newest(&plan, &[table]).await.unwrap());
    let rows = executor.process(batch, &mut Fates::default()).unwrap();
    let hidden: Vec<usize> = (0..rows.num_columns())
        .filter(|at| {
            ["__timestamp", "__topic", "__partition", "__offset"]
                .contains(&rows.schema().field(*at).name().as_str())
        })
        .collect();
    lines(&rows.project(&hidden).unwrap())
}

#[tokio::test]
async fn the_record_is_the_streams_on_whichever_side_the_table_stands() {
    let both = ["2023-11-14T22:13:20Z events 3 100", "2023-11-14T22:13:20Z events 3 101"];
    for from in [
        "devices d RIGHT JOIN iot e ON e.id = d.id",
        "iot e LEFT JOIN devices d ON e.id = d.id",
        "devices d RIGHT JOIN raw e ON CAST(e.value AS STRING) = d.id",
        "raw e LEFT JOIN devices d ON CAST(e.value AS STRING) = d.id",
        "devices x CROSS JOIN (SELECT d.topic, d._kafka, d.id FROM devices d RIGHT JOIN iot i ON i.id = d.id) d",
        "placed d",
    ] {
        let sql = format!("SELECT d.topic, count(d._kafka) FROM {from} GROUP BY d.topic");
        assert_eq!(records(&sql).await, both, "{from}");
    }
}
