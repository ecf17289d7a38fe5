//! Tables for other readers: what Spark and Python's deltalake (the real ones, installed by the project's scripts) make
//! of ours. Both are asked for every row in one canonical form; the two texts must be equal, and hold what we wrote.

use std::process::Command;

use arrow::array::{Array, Date32Array, TimestampMicrosecondArray};

use super::*;

async fn table(dir: &Path, name: &str, options: &[(&str, &str)], epochs: Vec<RecordBatch>, tidy: bool) {
    replaced(dir, name, OutputMode::Append, options, epochs, tidy).await;
}

/// A table whose rows are known by `id`, where they are replaced.
async fn replaced(
    dir: &Path,
    name: &str,
    mode: OutputMode,
    options: &[(&str, &str)],
    epochs: Vec<RecordBatch>,
    tidy: bool,
) {
    let mut raw = BTreeMap::from([("path".to_owned(), name.to_owned())]);
    raw.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let options = Options::parse(&SPEC, &raw).unwrap();
    let mut sink: Option<(SchemaRef, DeltaSink)> = None;
    for (number, batch) in (0u64..).zip(epochs) {
        if sink.as_ref().is_none_or(|(schema, _)| *schema != batch.schema()) {
            let mut new = DeltaSink::new(&options, dir, Door::new()).unwrap();
            new.output(mode, &["id".to_owned()]).unwrap();
            new.open(batch.schema()).await.unwrap();
            sink = Some((batch.schema(), new));
        }
        let (_, sink) = sink.as_mut().unwrap();
        write(sink, number, vec![vec![batch]]).await.unwrap().unwrap();
        if tidy {
            sink.tidy().await.unwrap();
            sink.settle().await;
        }
    }
}

/// What a reader makes of these tables: for each its rows as text, and its last line.
fn read_with(reader: &str, runner: &str, dir: &Path, names: &[&str], more: &[&str]) -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(root.join("scripts/services").join(runner));
    command.arg(root.join("tests/oracle/read_delta.py")).args(["--with", reader]).args(more);
    let output = command.args(names.iter().map(|name| dir.join(name))).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{reader} (are the components installed? scripts/services/install.sh)\n{said}"
    );
    let mut tables = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if line.starts_with("{\"table\"") || tables.is_empty() {
            tables.push(Vec::new());
        }
        if !line.starts_with("{\"table\"") {
            tables.last_mut().unwrap().push(line.to_owned());
        }
    }
    tables
}

/// Both readers' rows of these tables, equal, without the line that ends each.
fn agreed(dir: &Path, names: &[&str], more: &[&str]) -> Vec<Vec<String>> {
    let mut spark = read_with("spark", "spark-python.sh", dir, names, more);
    let delta = read_with("deltalake", "python.sh", dir, names, more);
    assert_eq!(spark.len(), names.len());
    for ((name, spark), delta) in names.iter().zip(&spark).zip(&delta) {
        assert_eq!(spark, delta, "{name}");
    }
    spark.iter_mut().for_each(|rows| drop(rows.pop()));
    spark
}

#[tokio::test(flavor = "multi_thread")]
async fn spark_and_deltalake_read_what_was_written() {
    let lake = tempfile::tempdir().unwrap();
    let dir = lake.path().to_path_buf();
    leave_tables(&dir).await;
    let names = ["types", "partitions", "tidied", "compacted", "updated", "completed"];
    let found = tokio::task::spawn_blocking(move || {
        let all = agreed(&dir, &names, &[]);
        let skipped = agreed(&dir, &["partitions"], &["--where", "p = '../..'", "--columns", "id,p"]);
        let ntz = read_with("spark", "spark-python.sh", &dir, &["ntz"], &[]);
        (all, skipped, ntz)
    });
    let (all, skipped, ntz) = found.await.unwrap();
    assert_eq!(ntz[0][0], r#"{"at": "1970-01-01T00:00:01.000001"}"#);
    let [types, partitions, tidied, compacted, updated, completed] = all.try_into().unwrap();
    assert_eq!(types.len(), 2);
    assert!(
        types.iter().any(|row| row.contains("grüße, \u{1F600}") && row.contains("\"f64\": \"NaN\"")),
        "{types:?}"
    );
    // Each odd key is a row of its own; only the empty text becomes NULL, as in every Delta table.
    let keys: std::collections::BTreeSet<_> = partitions.iter().collect();
    assert_eq!((partitions.len(), keys.len()), (12, 12));
    for key in ["\"../..\"", "\"%2F\"", "\"new\\nline\"", "\"\\u0001\"", "grüße \u{1F600}", "null"] {
        assert!(partitions.iter().any(|row| row.contains(key)), "{key}: {partitions:?}");
    }
    assert_eq!(skipped, [[r#"{"id": 0, "p": "../.."}"#]]);
    assert_eq!(tidied.len(), 45);
    assert_eq!(tidied.iter().filter(|row| row.contains("\"site\": \"north\"")).count(), 25);
    assert_eq!(compacted.len(), 240);
    // Ids 0 to 59, of which each epoch wrote twenty, ten of them anew; and the last ten.
    assert_eq!((updated.len(), completed.len()), (60, 10));
    assert!(completed.iter().all(|row| row.contains("\"id\": 4")), "{completed:?}");
    for row in &partitions {
        assert_eq!(compacted.iter().filter(|other| *other == row).count(), 20, "{row}");
    }
}

async fn leave_tables(dir: &Path) {
    table(dir, "types", &[], vec![columns::every_type()], false).await;

    let odd = [
        "../..",
        "__HIVE_DEFAULT_PARTITION__",
        "a b",
        "a=b/c",
        "100%",
        "%2F",
        "grüße \u{1F600}",
        "new\nline",
        "\u{1}",
    ];
    let long = "x".repeat(5_000);
    let keys = odd.iter().copied().chain([long.as_str()]).map(Some).chain([None, Some("")]);
    let keys = StringArray::from_iter(keys);
    let count = keys.len();
    let partitioned = table_of(vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..count as i64))),
        ("p", Arc::new(keys)),
        ("day", Arc::new(Date32Array::from(vec![19_000; count]))),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![1_700_000_000_000_001; count]).with_timezone("UTC"),
            ),
        ),
    ]);
    table(dir, "partitions", &[("partitionBy", "p,day,at")], vec![partitioned.clone()], false).await;

    let wider = |id: i64| {
        table_of(vec![
            ("ID", Arc::new(Int64Array::from(vec![id])) as ArrayRef),
            ("site", Arc::new(StringArray::from(vec!["north"]))),
        ])
    };
    let merged = (0..20).map(|i| rows(i..i + 1)).chain((20..45).map(wider)).collect();
    let options =
        [("mergeSchema", "true"), ("autoCompact.minNumFiles", "15"), ("delta.checkpointInterval", "7")];
    table(dir, "tidied", &options, merged, true).await;

    let options = [("partitionBy", "p"), ("autoCompact.minNumFiles", "100"), ("compression", "zstd")];
    table(dir, "compacted", &options, vec![partitioned; 20], true).await;

    let epochs = |rows_of: fn(i64) -> std::ops::Range<i64>| (0..5).map(|n| rows(rows_of(n))).collect();
    let options = [("delta.checkpointInterval", "3")];
    replaced(dir, "updated", OutputMode::Update, &options, epochs(|n| n * 10..n * 10 + 20), true).await;
    replaced(dir, "completed", OutputMode::Complete, &options, epochs(|n| n * 10..n * 10 + 10), true).await;

    // Spark reads it; Python's deltalake does not know the table feature in every version.
    let ntz = table_of(vec![("at", Arc::new(TimestampMicrosecondArray::from(vec![1_000_001])))]);
    table(dir, "ntz", &[], vec![ntz], false).await;
}
