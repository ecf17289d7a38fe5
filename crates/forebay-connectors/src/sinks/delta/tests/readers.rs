//! Tables for other readers: `FOREBAY_LAKE=DIR cargo test … readers -- --ignored` leaves them in DIR, and
//! `tests/oracle/read_delta.py` shows what Spark and Python's deltalake make of them.

use arrow::array::{Array, Date32Array, TimestampMicrosecondArray};

use super::*;

async fn table(dir: &Path, name: &str, options: &[(&str, &str)], epochs: Vec<RecordBatch>, tidy: bool) {
    let mut raw = BTreeMap::from([("path".to_owned(), name.to_owned())]);
    raw.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let options = Options::parse(&SPEC, &raw).unwrap();
    let mut sink: Option<(SchemaRef, DeltaSink)> = None;
    for (number, batch) in (0u64..).zip(epochs) {
        if sink.as_ref().is_none_or(|(schema, _)| *schema != batch.schema()) {
            let mut new = DeltaSink::new(&options, dir, Door::new()).unwrap();
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "leaves tables in FOREBAY_LAKE"]
async fn leave_tables() {
    let Some(dir) = std::env::var_os("FOREBAY_LAKE").map(PathBuf::from) else { return };
    table(&dir, "types", &[], vec![columns::every_type()], false).await;

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
    table(&dir, "partitions", &[("partitionBy", "p,day,at")], vec![partitioned.clone()], false).await;

    let wider = |id: i64| {
        table_of(vec![
            ("ID", Arc::new(Int64Array::from(vec![id])) as ArrayRef),
            ("site", Arc::new(StringArray::from(vec!["north"]))),
        ])
    };
    let merged = (0..20).map(|i| rows(i..i + 1)).chain((20..45).map(wider)).collect();
    let options =
        [("mergeSchema", "true"), ("autoCompact.minNumFiles", "15"), ("delta.checkpointInterval", "7")];
    table(&dir, "tidied", &options, merged, true).await;

    let options = [("partitionBy", "p"), ("autoCompact.minNumFiles", "100"), ("compression", "zstd")];
    table(&dir, "compacted", &options, vec![partitioned; 20], true).await;

    let ntz = table_of(vec![("at", Arc::new(TimestampMicrosecondArray::from(vec![1_000_001])))]);
    table(&dir, "ntz", &[], vec![ntz], false).await;
}
