use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use forebay_core::Zone;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::sink::{Begun, Sink};
use forebay_storage::Door;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{CSV, FileSink, PARQUET, manifest};
use crate::sinks::conformance::{self, Subject, contract, id};
use crate::sinks::scratch::Scratch;

mod cycles;

fn sink_with(format: &str, path: &Path, more: &[(&str, &str)]) -> FileSink {
    let path = path.display().to_string();
    let given = [("path", path.as_str())];
    let raw: BTreeMap<String, String> =
        given.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let spec = if format == "csv" { &CSV } else { &PARQUET };
    FileSink::new(format, &Options::parse(spec, &raw).unwrap(), Path::new("/"), Door::new(), Zone::UTC)
        .unwrap()
}

/// The files that anybody sees, by their names.
fn visible(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(root) else { return files };
    for entry in entries {
        let path = entry.unwrap().path();
        match path.file_name().unwrap().to_str().unwrap() {
            name if name.starts_with(['_', '.']) => {}
            _ if path.is_dir() => files.extend(visible(&path)),
            _ => files.push(path),
        }
    }
    files.sort();
    files
}

fn staged(root: &Path) -> usize {
    fs::read_dir(root.join("_forebay/staged")).unwrap().count()
}

/// `(lane, number)` of each row in the folder.
fn rows(format: &str, root: &Path) -> Vec<(i32, i64)> {
    let mut rows = Vec::new();
    for path in visible(root) {
        if format == "csv" {
            for line in fs::read_to_string(path).unwrap().lines() {
                let (lane, number) = line.split_once(',').unwrap();
                rows.push((lane.parse().unwrap(), number.parse().unwrap()));
            }
            continue;
        }
        let file = fs::File::open(path).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let lanes = batch.column(0).as_primitive::<Int32Type>().values().to_vec();
            rows.extend(lanes.into_iter().zip(batch.column(1).as_primitive::<Int64Type>().values().to_vec()));
        }
    }
    rows
}

struct Folder(Scratch, &'static str);

impl Subject for Folder {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(sink_with(self.1, &self.0.path().join("out"), &[]))
    }

    fn rows(&self) -> BoxFuture<'_, Vec<(i32, i64)>> {
        async { rows(self.1, &self.0.path().join("out")) }.boxed()
    }
}

#[tokio::test]
async fn csv_files_keep_the_contract_of_a_sink() {
    contract(&Folder(Scratch::new(), "csv")).await;
}

#[tokio::test]
async fn parquet_files_keep_the_contract_of_a_sink() {
    contract(&Folder(Scratch::new(), "parquet")).await;
}

fn numbers(lane: i32, numbers: std::ops::Range<i64>) -> RecordBatch {
    let numbers: Vec<i64> = numbers.collect();
    let lanes = Int32Array::from(vec![lane; numbers.len()]);
    RecordBatch::try_new(conformance::schema(), vec![Arc::new(lanes), Arc::new(Int64Array::from(numbers))])
        .unwrap()
}

/// Writes epochs 0, 1 … of two lanes with ten rows each; gives the first that was not there before.
async fn write_epochs(sink: &mut dyn Sink, epochs: std::ops::Range<u64>) {
    for epoch in epochs {
        let Begun::Writers(writers) = sink.begin(&id(epoch), 2).await.unwrap() else { continue };
        let mut parts = Vec::new();
        for (lane, mut writer) in writers.into_iter().enumerate() {
            let first = i64::try_from(epoch * 100).unwrap();
            writer.write(numbers(i32::try_from(lane).unwrap(), first..first + 10)).await.unwrap();
            parts.push(writer.finish().await.unwrap());
        }
        sink.commit(&id(epoch), parts).await.unwrap();
    }
}

/// Run by the tests of deaths, in a process of its own.
#[tokio::test]
#[ignore = "a process that others start"]
async fn writes_until_it_dies() {
    let Ok(root) = std::env::var("FILES_TEST_ROOT") else { return };
    let mut sink = sink_with("csv", Path::new(&root), &[]);
    sink.open(conformance::schema()).await.unwrap();
    write_epochs(&mut sink, 0..3).await;
}

fn run_child(root: &Path, environment: &[(&str, &str)]) -> bool {
    let name = format!("{}::writes_until_it_dies", module_path!().split_once("::").unwrap().1);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", &name, "--ignored"])
        .env("FILES_TEST_ROOT", root)
        .envs(environment.iter().copied());
    child.output().unwrap().status.success()
}

#[tokio::test]
async fn whatever_step_it_dies_at_each_row_is_there_once() {
    if !forebay_storage::FAULTS_BUILT_IN {
        return;
    }
    for point in forebay_storage::FILES_KILL_POINTS {
        for (hit, mode) in [("1", "kill"), ("1", "lose"), ("2", "lose"), ("3", "lose")] {
            let scratch = Scratch::new();
            let root = scratch.path().join("out");
            let at = format!("{point}:{hit}");
            let died = !run_child(&root, &[("FOREBAY_KILL_AT", &at), ("FOREBAY_KILL_MODE", mode)]);
            assert!(died, "{at} was not passed");
            // What is visible is whole and right, also before anybody repairs something.
            let mut before = rows("csv", &root);
            before.sort_unstable();
            before.dedup();
            assert_eq!(before.len(), rows("csv", &root).len(), "{at} {mode}");
            let mut sink = sink_with("csv", &root, &[]);
            sink.open(conformance::schema()).await.unwrap();
            assert_eq!(staged(&root), 0, "{at} {mode}: leftovers");
            write_epochs(&mut sink, 0..3).await;
            let mut found = rows("csv", &root);
            found.sort_unstable();
            let all = (0..2)
                .flat_map(|lane| (0..3).flat_map(move |epoch| (0..10).map(move |n| (lane, epoch * 100 + n))));
            assert_eq!(found, all.collect::<Vec<_>>(), "{at} {mode}");
            let mut listed = Vec::new();
            manifest::commits(&root, |committed| {
                listed.extend(committed.files.into_iter().map(|file| root.join(file.name)));
                Ok(())
            })
            .unwrap();
            listed.sort();
            assert_eq!(listed, visible(&root), "{at} {mode}: the manifest names what is there");
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_epoch_is_written_once_there_is_room() {
    if !forebay_storage::FAULTS_BUILT_IN {
        return;
    }
    // The child fails on unwrap; what it left is taken up by the next.
    for part in ["staged/part", "manifest-", "out/part", "LOCK"] {
        let scratch = Scratch::new();
        let root = scratch.path().join("out");
        for nth in ["1", "2", "3"] {
            run_child(&root, &[("FOREBAY_FAULT", &format!("enospc:{part}:{nth}"))]);
        }
        assert!(run_child(&root, &[]), "{part}");
        let mut found = rows("csv", &root);
        found.sort_unstable();
        found.dedup();
        assert_eq!((found.len(), rows("csv", &root).len(), staged(&root)), (60, 60, 0), "{part}");
    }
}

#[tokio::test]
async fn a_folder_has_one_query_and_what_others_put_there_stays() {
    let scratch = Scratch::new();
    let root = scratch.path().join("out");
    let mut first = sink_with("csv", &root, &[]);
    first.open(conformance::schema()).await.unwrap();
    let mut second = sink_with("csv", &root, &[]);
    let refused = second.open(conformance::schema()).await.unwrap_err();
    assert_eq!(refused.code(), &codes::SINK_IN_USE);
    write_epochs(&mut first, 0..1).await;
    fs::copy(&visible(&root)[0], root.join("part-99999-foreign-c000.csv")).unwrap();
    first.close().await;
    second.open(conformance::schema()).await.unwrap();
    write_epochs(&mut second, 0..2).await;
    assert!(root.join("part-99999-foreign-c000.csv").exists());
    assert_eq!(visible(&root).len(), 5);
    assert_eq!(second.last_epoch(&id(0).query_id).await.unwrap().map(|epoch| epoch.0), Some(1));
    assert_eq!(second.last_epoch("another").await.unwrap(), None);
    second.close().await;
    fs::create_dir(root.join("_spark_metadata")).unwrap();
    assert_eq!(second.open(conformance::schema()).await.unwrap_err().code(), &codes::SINK_UNSUPPORTED);
}

#[tokio::test]
async fn partitions_are_folders_and_a_file_has_no_more_rows_than_it_may() {
    let scratch = Scratch::new();
    let root = scratch.path().join("out");
    let schema = Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("n", DataType::Int32, true),
    ]));
    let more = [("partitionBy", "k"), ("maxRecordsPerFile", "2"), ("header", "true")];
    let mut sink = sink_with("csv", &root, &more);
    sink.open(schema.clone()).await.unwrap();
    let Begun::Writers(mut writers) = sink.begin(&id(0), 1).await.unwrap() else { panic!("new") };
    let mut writer = writers.pop().unwrap();
    let keys = StringArray::from(vec![Some("a"), Some("../b"), None, Some("a"), Some("a")]);
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(keys), Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5]))];
    writer.write(RecordBatch::try_new(schema.clone(), columns).unwrap()).await.unwrap();
    let parts = vec![writer.finish().await.unwrap()];
    let written = sink.commit(&id(0), parts).await.unwrap();
    assert_eq!((written.rows, written.files), (5, 4));
    let found: Vec<(String, String)> = visible(&root)
        .iter()
        .map(|path| {
            let folder = path.parent().unwrap().strip_prefix(&root).unwrap().display().to_string();
            assert!(path.file_name().unwrap().to_str().unwrap().starts_with("part-00000-"));
            (folder, fs::read_to_string(path).unwrap())
        })
        .collect();
    let expected = [
        ("k=..%2Fb", "n\n2\n"),
        ("k=__HIVE_DEFAULT_PARTITION__", "n\n3\n"),
        ("k=a", "n\n1\n4\n"),
        ("k=a", "n\n5\n"),
    ];
    assert_eq!(found, expected.map(|(folder, text)| (folder.to_owned(), text.to_owned())));
    sink.close().await;
    // The same folder with other columns.
    let mut other = sink_with("csv", &root, &more[1..]);
    assert_eq!(other.open(schema.clone()).await.unwrap_err().code(), &codes::SINK_SCHEMA);
    assert_eq!(other.fits(&schema).await.unwrap_err().code(), &codes::SINK_SCHEMA);
}

/// The value stands in the folder's name alone: it is whole, or the row is set aside.
#[tokio::test]
async fn a_value_too_long_for_a_folder_is_set_aside_and_never_cut() {
    let scratch = Scratch::new();
    let schema = Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ]));
    let mut sink = sink_with("csv", scratch.path(), &[("partitionBy", "k")]);
    sink.open(schema.clone()).await.unwrap();
    let (fits, colons, not) = ("x".repeat(253), ":".repeat(84), "y".repeat(254));
    let keys = [fits.as_str(), not.as_str(), colons.as_str(), "a"];
    let batch = RecordBatch::try_new(
        schema,
        vec![Arc::new(StringArray::from(keys.to_vec())), Arc::new(Int64Array::from(vec![1, 2, 3, 4]))],
    )
    .unwrap();
    let Begun::Writers(mut writers) = sink.begin(&id(0), 1).await.unwrap() else { panic!() };
    let mut writer = writers.remove(0);
    writer.write(batch).await.unwrap();
    let part = writer.finish().await.unwrap();
    let refused = sink.prepare(&id(0)).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].path.as_str(), refused[0].code.as_str()), ("$.k", "files.name_too_long"));
    let row: serde_json::Value = serde_json::from_slice(&refused[0].row).unwrap();
    assert_eq!(row, serde_json::json!({ "k": not, "n": 2 }));
    assert_eq!(sink.commit(&id(0), vec![part]).await.unwrap().rows, 3);
    let mut folders: Vec<_> = visible(scratch.path())
        .iter()
        .map(|path| path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    folders.sort();
    let mut expected = [format!("k={fits}"), format!("k={}", "%3A".repeat(84)), "k=a".to_owned()];
    expected.sort();
    assert_eq!(folders, expected);
}

#[test]
fn what_the_files_cannot_hold_is_refused_with_every_column_and_a_hint() {
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
    let schema = Schema::new(vec![
        Field::new("a", list.clone(), true),
        Field::new("b", DataType::Binary, true),
        Field::new("n", DataType::Int32, true),
    ]);
    let root = Path::new("/nowhere");
    let error = sink_with("csv", root, &[]).check(&schema).unwrap_err();
    assert_eq!(error.code(), &codes::SINK_SCHEMA);
    assert!(error.message().contains("`a`") && error.message().contains("`b`"), "{error}");
    assert!(error.hint().contains("to_json"), "{}", error.hint());
    sink_with("parquet", root, &[]).check(&schema).unwrap();
    let error = sink_with("csv", root, &[("partitionBy", "nobody")]).check(&schema).unwrap_err();
    assert_eq!(error.code(), &codes::BAD_VALUE);
}
