//! Update mode: a row takes the place of the one with the same keys.

use arrow::array::{Float64Array, StructArray, TimestampMicrosecondArray};
use forebay_core::error::codes;
use parquet::data_type::{Int64Type, Int96, Int96Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::others::{foreign_append, put_version};
use super::*;

pub(super) fn update(keys: &[&str], options: &[(&'static str, &str)]) -> Lake {
    Lake::replacing(OutputMode::Update, keys, options)
}

/// `k BIGINT, p STRING, v BIGINT`
pub(super) fn keyed(rows: &[(Option<i64>, Option<&str>, i64)]) -> RecordBatch {
    table_of(vec![
        ("k", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.0)))),
        ("p", Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1)))),
        ("v", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2)))),
    ])
}

async fn all(lake: &Lake) -> Vec<Vec<String>> {
    lake.query("SELECT k, p, v FROM t ORDER BY k, p, v").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_take_the_places_of_those_with_their_keys_and_no_other_file_is_touched() {
    let lake = update(&["k"], &[]);
    let mut sink = lake.opened(&keyed(&[]).schema()).await;
    let a = |k| (Some(k), Some("a"), 0);
    write(&mut sink, 0, vec![vec![keyed(&[a(1), a(2), (None, None, 0)])]]).await.unwrap().unwrap();
    write(&mut sink, 1, vec![vec![keyed(&[a(10), a(12)])]]).await.unwrap().unwrap();
    write(&mut sink, 2, vec![vec![keyed(&[(Some(11), None, 2)])]]).await.unwrap().unwrap();
    // 2 and NULL of the first file; 11 lies between 10 and 12, so the second file is read and left as it is.
    let rows = [(Some(2), Some("b"), 3), (None, Some("b"), 3), (Some(11), None, 3), (Some(50), None, 3)];
    let written = write(&mut sink, 3, vec![vec![keyed(&rows)]]).await.unwrap().unwrap();
    assert_eq!((written.rows, written.files), (4, 1));
    let row = |k: &str, p: &str, v: &str| vec![k.to_owned(), p.to_owned(), v.to_owned()];
    let expected = [
        row("1", "a", "0"),
        row("2", "b", "3"),
        row("10", "a", "0"),
        row("11", "NULL", "3"),
        row("12", "a", "0"),
        row("50", "NULL", "3"),
        row("NULL", "b", "3"),
    ];
    assert_eq!(all(&lake).await, expected);
    let actions = lake.commit(4);
    let info = &actions[0]["commitInfo"];
    assert_eq!(info["operationParameters"]["outputMode"], "Update");
    assert_eq!(info["isBlindAppend"], false);
    assert_eq!(info["operationMetrics"]["numRemovedFiles"], "2", "the third is gone altogether");
    assert_eq!(info["operationMetrics"]["numAddedFiles"], "2");
    assert_eq!(info["operationMetrics"]["numTargetRowsCopied"], "1");
    let second = lake.commit(2)[2]["add"]["path"].clone();
    assert!(actions.iter().all(|action| action["remove"]["path"] != second));
    // It comes again.
    assert!(write(&mut sink, 3, vec![vec![keyed(&rows)]]).await.unwrap().is_none());
    let mut again = lake.opened(&keyed(&[]).schema()).await;
    assert!(write(&mut again, 3, vec![vec![keyed(&rows)]]).await.unwrap().is_none());
    assert_eq!(all(&lake).await, expected);
    // An epoch without rows is none.
    assert_eq!(write(&mut again, 4, vec![vec![]]).await.unwrap().unwrap(), Written::default());
    assert_eq!(lake.newest(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_equal_where_spark_groups_them() {
    let batch = |f: &[Option<f64>], v: i64| {
        table_of(vec![
            ("f", Arc::new(Float64Array::from(f.to_vec())) as ArrayRef),
            ("v", Arc::new(Int64Array::from(vec![v; f.len()]))),
        ])
    };
    for options in [&[][..], &[("partitionBy", "f")]] {
        let lake = update(&["f"], options);
        let mut sink = lake.opened(&batch(&[], 0).schema()).await;
        let odd = f64::from_bits(0xfff8_0000_0000_0007);
        let first = [Some(-0.0), Some(odd), None, Some(f64::INFINITY), Some(1.5)];
        write(&mut sink, 0, vec![vec![batch(&first, 0)]]).await.unwrap().unwrap();
        let second = [Some(0.0), Some(f64::NAN), None, Some(f64::INFINITY)];
        write(&mut sink, 1, vec![vec![batch(&second, 1)]]).await.unwrap().unwrap();
        let found = lake.query("SELECT v, count(*) FROM t GROUP BY v ORDER BY v").await;
        assert_eq!(found, [["0", "1"], ["1", "4"]], "{options:?}");
    }
}

/// What a table of windows looks like: `window STRUCT<start, end>, device STRING, n BIGINT`
fn windows(rows: &[(i64, &str, i64)]) -> RecordBatch {
    let time = |plus: i64| {
        let micros = rows.iter().map(|row| (row.0 + plus) * 10_000_000);
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC")) as ArrayRef
    };
    let (start, end) = (time(0), time(1));
    let fields = ["start", "end"].map(|name| Field::new(name, start.data_type().clone(), false));
    let window = StructArray::try_new(fields.to_vec().into(), vec![start.clone(), end], None).unwrap();
    table_of(vec![
        ("window", Arc::new(window)),
        ("device", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
        ("n", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2)))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_windows_that_are_over_are_not_read() {
    let lake = update(&["window", "device"], &[]);
    let mut sink = lake.opened(&windows(&[]).schema()).await;
    let (away, mut moved) = (lake.root().join("away"), None);
    for number in 0..6i64 {
        // The window before gets its last rows together with the first ones of the next.
        let rows = [(number - 1, "a", 2), (number, "a", 1), (number, "b", 1)];
        write(&mut sink, number as u64, vec![vec![windows(&rows)]]).await.unwrap().unwrap();
        if number == 1 {
            // What is left of the first epoch: whoever reads it from now on fails.
            let rest = lake.commit(2).iter().find_map(|action| {
                let path = action["add"]["path"].as_str()?;
                path.contains("-u-").then(|| lake.root().join(path))
            });
            std::fs::rename(rest.as_ref().unwrap(), &away).unwrap();
            moved = rest;
        }
    }
    std::fs::rename(&away, moved.unwrap()).unwrap();
    let found = lake.query("SELECT device, n, count(*) FROM t GROUP BY device, n ORDER BY device, n").await;
    // Window -1 and the five that are done have two rows of `a`, the open one has one.
    assert_eq!(found, [["a", "1", "1"], ["a", "2", "6"], ["b", "1", "6"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_others_wrote_meanwhile_are_replaced_too() {
    let lake = update(&["k"], &[("partitionBy", "p")]);
    let mut sink = lake.opened(&keyed(&[]).schema()).await;
    let one = |k, v| keyed(&[(Some(k), Some("a b"), v)]);
    write(&mut sink, 0, vec![vec![keyed(&[(Some(1), Some("x"), 0), (Some(2), Some("x"), 0)])]])
        .await
        .unwrap()
        .unwrap();
    for number in 1..5u64 {
        let value = i64::try_from(number).unwrap();
        if number == 3 {
            sink = lake.opened(&keyed(&[]).schema()).await;
        }
        let Begun::Writers(mut writers) = sink.begin(&epoch(number), 1).await.unwrap() else { panic!() };
        let mut writer = writers.remove(0);
        writer.write(one(1, value)).await.unwrap();
        let part = writer.finish().await.unwrap();
        foreign_append(&lake, keyed(&[(Some(1), Some("ü"), 99), (Some(7), Some("ü"), value)])).await;
        if number % 2 == 0 {
            let url = url::Url::from_directory_path(lake.root()).unwrap();
            deltalake_core::open_table(url).await.unwrap().optimize().await.unwrap();
        }
        sink.commit(&epoch(number), vec![part]).await.unwrap();
        let found = lake.query("SELECT k, v FROM t WHERE k <> 7 ORDER BY k").await;
        assert_eq!(found, [["1".to_owned(), number.to_string()], ["2".to_owned(), "0".to_owned()]]);
    }
    assert_eq!(lake.query("SELECT count(*) FROM t WHERE k = 7").await, [["4"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_loses_the_race_looks_at_what_is_new_and_leaves_no_file() {
    let lake = update(&["k"], &[]);
    let mut sink = lake.opened(&keyed(&[]).schema()).await;
    let row = |k, v| (Some(k), Some("a"), v);
    write(&mut sink, 0, vec![vec![keyed(&[row(1, 0), row(2, 0)])]]).await.unwrap().unwrap();
    let shape = {
        let Begun::Writers(writers) = sink.begin(&epoch(1), 1).await.unwrap() else { panic!() };
        drop(writers);
        sink.current.as_ref().unwrap().shape.clone()
    };
    let mut keys = EpochKeys::default();
    let batch = keyed(&[row(1, 1)]);
    let (data, partition) = shape.fit.apply(&batch).unwrap();
    keys.add(shape.keys.as_ref().unwrap(), &data, &partition).unwrap();
    let mut upsert = upsert::Upsert::new(OutputMode::Update, shape, keys);
    let opened = sink.opened().unwrap();
    let (mut live, metadata) = (opened.live.clone().unwrap(), opened.head.metadata.clone());
    let first = upsert.replaced(&live, &metadata).unwrap();
    assert_eq!(first.len(), 1);
    assert!(upsert.unused(&first).is_empty());
    // Another writer puts the same rows into another file.
    foreign_append(&lake, keyed(&[row(1, 5), row(3, 5)])).await;
    let (old, new) = (first[0].old.key.clone(), lake.sink().table.read_version(2).unwrap().unwrap());
    live.apply(&[live::FileEvent::Gone(old)]);
    live.apply(&new.files);
    let second = upsert.replaced(&live, &metadata).unwrap();
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].old, first[0].old);
    assert_eq!(upsert.unused(&second), [first[0].rest.as_ref().unwrap().name.clone()]);
    sink.abort(&epoch(1)).await.unwrap();
    let active = read::table_provider(&lake.root()).await.unwrap().files;
    assert_eq!(lake.data_files().len(), active, "an aborted epoch takes its rewritten files with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_upserted_is_refused() {
    let lake = Lake::new(&[]);
    let error = lake.sink().output(OutputMode::Update, &[]).unwrap_err();
    assert_eq!(error.code(), &codes::OUTPUT_MODE);
    for part in ["GROUP BY", "SELECT", "complete", "append"] {
        assert!(error.hint().contains(part), "{error:?}");
    }
    // Rows that a deletion vector hides would come back if their file were rewritten as it is.
    let lake = update(&["k"], &[]);
    let mut sink = lake.opened(&keyed(&[]).schema()).await;
    write(&mut sink, 0, vec![vec![keyed(&[(Some(1), None, 0), (Some(2), None, 0)])]]).await.unwrap().unwrap();
    let mut add = lake.commit(1)[2].clone();
    let path = add["add"]["path"].clone();
    add["add"]["deletionVector"] = serde_json::json!({"storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
        "sizeInBytes": 40, "cardinality": 1});
    put_version(&lake, 2, &[serde_json::json!({"remove": {"path": path, "dataChange": true}}), add]);
    write(&mut sink, 1, vec![vec![keyed(&[(Some(9), None, 1)])]]).await.unwrap().unwrap();
    let error = write(&mut sink, 2, vec![vec![keyed(&[(Some(2), None, 2)])]]).await.unwrap_err();
    assert_eq!(error.code(), &codes::SINK_UNSUPPORTED);
    assert!(error.hint().contains("PURGE"), "{error:?}");
    sink.abort(&epoch(2)).await.unwrap();
    // The files are read anew after a failure, and the next epoch goes on.
    write(&mut sink, 2, vec![vec![keyed(&[(Some(9), None, 2)])]]).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_takes_what_was_rewritten_for_its_own() {
    let lake = update(&["k"], &[("autoCompact.minNumFiles", "4")]);
    let mut sink = lake.opened(&keyed(&[]).schema()).await;
    for number in 0..40i64 {
        let rows = [(Some(number - 1), None, number), (Some(number), None, number), (Some(-5), None, number)];
        write(&mut sink, number as u64, vec![vec![keyed(&rows)]]).await.unwrap().unwrap();
        // Not waited for: runs beside the next epochs, and loses against them.
        sink.tidy().await.unwrap();
    }
    sink.settle().await;
    let found = lake.query("SELECT count(*), count(DISTINCT k), sum(v) FROM t WHERE k >= -1").await;
    assert_eq!(found, [["41".to_owned(), "41".to_owned(), ((1..40).sum::<i64>() + 39).to_string()]]);
    assert_eq!(lake.query("SELECT v FROM t WHERE k = -5").await, [["39"]]);
    // Alone it wins, and the next epoch replaces rows of its file.
    let number = 40u64;
    write(&mut sink, number, vec![vec![keyed(&[(Some(0), None, 40)])]]).await.unwrap().unwrap();
    sink.tidier.wrote(100);
    tidied(&mut sink).await;
    assert!(read::table_provider(&lake.root()).await.unwrap().files < 8);
    write(&mut sink, 41, vec![vec![keyed(&[(Some(0), None, 41)])]]).await.unwrap().unwrap();
    assert_eq!(lake.query("SELECT v FROM t WHERE k = 0").await, [["41"]]);
}

/// A file as Spark writes it unless told otherwise: times as INT96, midnights so many days after 1970.
fn sparks_file(path: &Path, keys: &[i64], days: &[i64]) {
    let schema = parse_message_type("message spark_schema { optional int64 k; optional int96 at; }").unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let there = vec![1; keys.len()];
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(keys, Some(&there), None).unwrap();
    column.close().unwrap();
    let time = |day: &i64| {
        let mut time = Int96::new();
        time.set_data(0, 0, u32::try_from(2_440_588 + day).unwrap());
        time
    };
    let mut column = group.next_column().unwrap().unwrap();
    let times: Vec<_> = days.iter().map(time).collect();
    column.typed::<Int96Type>().write_batch(&times, Some(&there), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_spark_keep_their_times() {
    let batch = |k: i64, day: i64| {
        let at = TimestampMicrosecondArray::from(vec![day * 86_400_000_000]).with_timezone("UTC");
        table_of(vec![("k", Arc::new(Int64Array::from(vec![k])) as ArrayRef), ("at", Arc::new(at))])
    };
    // The year 2500 has no place in 64 bits of nanoseconds.
    const FAR: i64 = 193_579;
    for key in ["k", "at"] {
        let lake = update(&[key], &[]);
        let mut sink = lake.opened(&batch(0, 0).schema()).await;
        sparks_file(&lake.root().join("part-0.snappy.parquet"), &[1, 2], &[1, FAR]);
        let add = serde_json::json!({"add": {"path": "part-0.snappy.parquet", "partitionValues": {}, "size": 1,
            "modificationTime": 0, "dataChange": true}});
        put_version(&lake, 1, &[add]);
        write(&mut sink, 0, vec![vec![batch(1, 1)]]).await.unwrap().unwrap();
        let found = lake.query("SELECT k, at FROM t ORDER BY k").await;
        assert_eq!(found, [["1", "1970-01-02T00:00:00Z"], ["2", "2500-01-01T00:00:00Z"]], "{key}");
        let rest = lake.data_files().into_iter().find(|name| name.contains("-u-")).unwrap();
        let file = std::fs::File::open(lake.root().join(rest)).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!(reader.schema().field(1).data_type(), batch(0, 0).column(1).data_type());
    }
}
