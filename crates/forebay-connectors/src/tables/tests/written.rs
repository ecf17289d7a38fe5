//! Tables that somebody writes just now, or has written anew.

use std::io::Write;
use std::time::{Instant, SystemTime};

use forebay_core::clock::{Clock, SystemClock};

use super::*;

/// Long enough to be sure of, short enough to wait for.
const PATIENCE: Patience = Patience {
    still: Duration::from_millis(300),
    half: Duration::from_millis(1_200),
    most: Duration::from_millis(2_400),
};

const CSV: &str = "format: csv, path: t, schema: \"id STRING, n INT\"";
const HEADED: &str = "format: csv, path: t, schema: \"id STRING, n INT\", options: { header: true }";
const JSON: &str = "format: json, path: t, schema: \"id STRING, n INT\"";
const PARQUET: &str = "format: parquet, path: t";

async fn load_patiently(section: &str, folder: &Path) -> Result<Vec<String>> {
    let config = table(section);
    let opened = open_at(At { patience: PATIENCE, ..At::new(&config, folder) }, &config, folder).await?;
    Ok(lines(&opened.load(&Wanted::Newest).await?.batches))
}

/// Writes the pieces into one file, with a pause behind each.
async fn write(path: &Path, pieces: Vec<Vec<u8>>, pause: Duration) {
    let mut file = fs::File::create(path).unwrap();
    for piece in pieces {
        file.write_all(&piece).unwrap();
        file.flush().unwrap();
        tokio::time::sleep(pause).await;
    }
}

fn parquet(values: &[i32]) -> Vec<u8> {
    let column: arrow::array::ArrayRef = Arc::new(arrow::array::Int32Array::from(values.to_vec()));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn a_file_that_is_being_written_at_the_start_is_read_once_it_is_whole() {
    let whole = parquet(&[7]);
    let (head, tail) = whole.split_at(whole.len() / 2);
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let cases = [
        (CSV, texts(&["a,1\nb,12", "34\n"]), vec!["a|1", "b|1234"]),
        (CSV, texts(&["", "a,1\n"]), vec!["a|1"]),
        (CSV, texts(&["a,1\n", "b,2\n", "c,3\n"]), vec!["a|1", "b|2", "c|3"]),
        (JSON, texts(&["{\"id\":\"a\",\"n\":1}\n{\"id\":", "\"b\"}\n"]), vec!["a|1", "b|-"]),
        (PARQUET, vec![head.to_vec(), tail.to_vec()], vec!["7"]),
    ];
    for (number, (section, pieces, expected)) in cases.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        // Between whole lines the pauses must be short: nothing tells some of them from all.
        let pause = Duration::from_millis(if pieces.len() == 3 { 150 } else { 600 });
        let writing = tokio::spawn(async move { write(&path, pieces, pause).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(load_patiently(section, dir.path()).await.unwrap(), expected, "case {number}");
        writing.await.unwrap();
    }
}

#[tokio::test]
async fn what_never_comes_to_an_end_is_refused_with_the_file_and_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    let pieces = (0..100).map(|n| format!("a,{n}\nb,{n}").into_bytes()).collect();
    let place = path.clone();
    let writing = tokio::spawn(async move { write(&place, pieces, Duration::from_millis(50)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let told = load_patiently(CSV, dir.path()).await.unwrap_err();
    writing.abort();
    let message = "the table is being written: its file ends within a line and keeps changing";
    assert_eq!((told.code(), told.message()), (&codes::TABLE_UNREADABLE, message));
    assert_eq!(told.place(), Some(path.display().to_string().as_str()));
    assert!(told.hint().contains("rename it into its place"), "{}", told.hint());
}

#[tokio::test]
async fn half_a_file_that_stays_so_is_told_to_be_that() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    let whole = parquet(&[7]);
    for (section, half, lacks) in [
        (PARQUET, &whole[..whole.len() - 2], "has no footer"),
        (PARQUET, &[], "has no footer"),
        (JSON, b"{\"id\":\"a\"}\n{\"id\":", "ends within a line"),
        (CSV, b"a,1\nb", "ends within a line"),
        (HEADED, b"", "is empty"),
    ] {
        // An error of a record of CSV says its line.
        let line = if section == CSV { ":2" } else { "" };
        fs::write(&path, half).unwrap();
        let told = load_patiently(section, dir.path()).await.unwrap_err();
        assert_eq!(told.place(), Some(format!("{}{line}", path.display()).as_str()), "{section}: {told}");
        let hint = format!("The file {lacks}: it may be half-written. Write the file under another name");
        assert!(told.hint().starts_with(&hint), "{section}: {}", told.hint());
    }
}

#[tokio::test]
async fn a_file_that_nobody_touched_lately_waits_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    for text in ["a,1", ""] {
        fs::write(&path, text).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock.now_ms() as u64);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(now - Duration::from_secs(5)).unwrap();
        let began = Instant::now();
        assert_eq!(load_patiently(CSV, dir.path()).await.unwrap().len(), text.lines().count());
        assert!(began.elapsed() < PATIENCE.still, "{:?}", began.elapsed());
    }
}

/// Makes a Delta table of one version anew, with a row of this number.
fn make_delta(folder: &Path, id: &str, n: i32) {
    let (lake, log) = (folder.join("t"), folder.join("t/_delta_log"));
    let _ = fs::remove_dir_all(&lake);
    fs::create_dir_all(&log).unwrap();
    let data = parquet(&[n]);
    fs::write(lake.join(format!("{id}.parquet")), &data).unwrap();
    let schema = r#"{\"type\":\"struct\",\"fields\":[{\"name\":\"n\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{}}]}"#;
    let actions = [
        r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#.to_owned(),
        format!(
            r#"{{"metaData":{{"id":"{id}","format":{{"provider":"parquet","options":{{}}}},"schemaString":"{schema}","partitionColumns":[],"configuration":{{}},"createdTime":0}}}}"#
        ),
        format!(
            r#"{{"add":{{"path":"{id}.parquet","partitionValues":{{}},"size":{},"modificationTime":0,"dataChange":true}}}}"#,
            data.len()
        ),
    ];
    fs::write(log.join(format!("{:020}.json", 0)), actions.join("\n") + "\n").unwrap();
}

#[tokio::test]
async fn a_delta_table_that_is_made_anew_is_another_with_the_same_number() {
    let dir = tempfile::tempdir().unwrap();
    make_delta(dir.path(), "11111111-aaaa", 1);
    let table = open(&table("format: delta, path: t"), dir.path()).await.unwrap();
    let first = table.version().await.unwrap();
    assert_eq!(first.0, "0 11111111");
    // As plans of the time before name it, too.
    for name in [first.clone(), TableVersion("0".to_owned())] {
        let rows = table.load(&Wanted::Exact(name)).await.unwrap();
        assert_eq!((lines(&rows.batches), rows.version), (vec!["1".to_owned()], first.clone()));
    }
    // The time of a file may be as coarse as that.
    tokio::time::sleep(Duration::from_millis(20)).await;
    make_delta(dir.path(), "22222222-bbbb", 2);
    let second = table.version().await.unwrap();
    assert_eq!(second.0, "0 22222222");
    assert_eq!(table.version().await.unwrap(), second);
    let rows = table.load(&Wanted::Exact(first)).await.unwrap();
    assert_eq!((lines(&rows.batches), rows.version), (vec!["2".to_owned()], second), "the first is gone");
    fs::remove_dir_all(dir.path().join("t")).unwrap();
    assert_eq!(table.version().await.unwrap_err().message(), "there is no Delta table");
}
