//! Limits over Delta tables, whose scans may read no file at all.

use std::collections::BTreeMap;

use arrow::array::{AsArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use forebay_connectors::sinks::SinkContext;
use forebay_core::clock::SystemClock;
use forebay_core::sink::{Begun, EpochId};
use forebay_core::{Epoch, Zone};
use forebay_engine::adhoc::{self, Limits, Takes};
use forebay_storage::Door;
use futures::TryStreamExt;

use super::*;

/// Rows of each table, in two files of three dates.
const ROWS: usize = 12;

/// Writes the table `name` with the columns `n` (0 to 11), `made` (three dates) and `machine`.
async fn write(data: &Path, name: &str, partition: Option<&str>) {
    let mut raw = BTreeMap::from([("path".to_owned(), name.to_owned())]);
    raw.extend(partition.map(|column| ("partitionBy".to_owned(), column.to_owned())));
    let options = Options::parse(sinks::spec("delta").unwrap(), &raw).unwrap();
    let context =
        SinkContext { data_dir: data, door: Door::new(), clock: Arc::new(SystemClock), time_zone: Zone::UTC };
    let mut sink = sinks::build("delta", &options, &context).unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("made", DataType::Date32, true),
        Field::new("machine", DataType::Utf8, true),
    ]));
    sink.open(Arc::clone(&schema)).await.unwrap();
    for epoch in 0..2 {
        let numbers: Vec<i64> = (epoch * 6..epoch * 6 + 6).collect();
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(Int64Array::from(numbers.clone())),
            Arc::new(Date32Array::from_iter_values(numbers.iter().map(|n| 19_723 + (n % 3) as i32))),
            Arc::new(StringArray::from_iter_values(numbers.iter().map(|n| format!("m{n}")))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let id = EpochId {
            query_id: "q".into(),
            query_name: "q".into(),
            epoch: Epoch(epoch as u64),
            planned_at_ms: 0,
        };
        let Begun::Writers(writers) = sink.begin(&id, 1).await.unwrap() else { panic!("the epoch is new") };
        let mut parts = Vec::new();
        for mut writer in writers {
            writer.write(batch.clone()).await.unwrap();
            parts.push(writer.finish().await.unwrap());
        }
        sink.commit(&id, parts).await.unwrap();
    }
    sink.close().await;
}

async fn ask(data: &Path, sql: &str) -> Result<Vec<RecordBatch>> {
    let tables = Tables {
        data: data.to_owned(),
        kafka: "127.0.0.1:9".to_owned(),
        pipeline: None,
        undecoded: Arc::default(),
        made: Made::default(),
    };
    let answer = adhoc::run(&tables, None, sql, Takes::All, Limits::default(), 0).await?;
    answer.batches.try_collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_whatever_columns_are_read() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "lake", Some("made")).await;
    write(data.path(), "flat", None).await;
    let shapes = [
        ("SELECT {c} x FROM {t}", ROWS),
        ("SELECT {c} x FROM {t} LIMIT 0", 0),
        ("SELECT {c} x FROM {t} LIMIT 1", 1),
        ("SELECT {c} x FROM {t} LIMIT 7", 7),
        ("SELECT {c} x FROM {t} LIMIT 99", ROWS),
        ("SELECT {c} x FROM {t} OFFSET 5", ROWS - 5),
        ("SELECT {c} x FROM {t} LIMIT 3 OFFSET 10", 2),
        ("SELECT {c} x FROM {t} WHERE made = DATE '2024-01-01' LIMIT 3", 3),
        ("SELECT {c} x FROM {t} ORDER BY {c} LIMIT 5", 5),
        ("SELECT x FROM (SELECT {c} x FROM {t} LIMIT 4)", 4),
        ("SELECT x FROM (SELECT {c} x FROM {t} LIMIT 4) LIMIT 9", 4),
        ("SELECT x FROM (SELECT {c} x FROM {t} LIMIT 9 OFFSET 2) LIMIT 8 OFFSET 3", 6),
        ("SELECT a.x FROM (SELECT {c} x FROM {t} LIMIT 2) a CROSS JOIN (SELECT {c} y FROM {t} LIMIT 3) b", 6),
        ("SELECT a.made FROM {t} a CROSS JOIN {t} b LIMIT 5", 5),
        ("SELECT a.made FROM {t} a JOIN {t} b ON a.made = b.made LIMIT 5", 5),
        ("SELECT a.x FROM (SELECT made x FROM {t} LIMIT 2) a LEFT JOIN {t} b ON b.n = 100", 2),
        ("SELECT {c} x FROM {t} UNION ALL SELECT {c} FROM {t} LIMIT 15", 15),
        ("(SELECT {c} x FROM {t} LIMIT 2) UNION ALL (SELECT {c} FROM {t} LIMIT 3)", 5),
        ("SELECT made FROM (SELECT made FROM {t} LIMIT 12) GROUP BY made LIMIT 2", 2),
        ("SELECT DISTINCT made FROM {t} LIMIT 2", 2),
        ("SELECT n FROM {t} WHERE n IN (SELECT n FROM {t} LIMIT 4)", 4),
        ("SELECT row_number() OVER (ORDER BY made) r FROM {t} LIMIT 4", 4),
    ];
    for table in ["lake", "flat"] {
        for column in ["made", "1", "n", "machine"] {
            for (shape, expected) in &shapes {
                let sql = shape.replace("{t}", &format!("delta.`{table}`")).replace("{c}", column);
                let batches = ask(data.path(), &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
                assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), *expected, "{sql}");
            }
            // An aggregate counts only the rows that the limit lets through.
            let sql = format!("SELECT count(*) c FROM (SELECT {column} x FROM delta.`{table}` LIMIT 5)");
            let counted = ask(data.path(), &sql).await.unwrap();
            assert_eq!(counted[0].column(0).as_primitive::<Int64Type>().value(0), 5, "{sql}");
        }
    }
}

/// A file's reader puts such an error into three of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_no_number_is_told_in_words() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "lake", None).await;
    let error = ask(data.path(), "SELECT n FROM delta.`lake` WHERE machine = 5").await.unwrap_err();
    let told = format!("{error} {}", error.detail().unwrap_or_default());
    assert!(told.contains("cannot cast string 'm") && !told.contains("Error("), "{told}");
}
