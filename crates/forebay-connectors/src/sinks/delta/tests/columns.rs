//! Columns: types, partitions, new columns, and what does not fit.

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Int32Type, TimeUnit};
use forebay_core::error::codes;

use super::*;

/// One row of values and one of NULLs in every type that Delta has, as the engine may hand them over.
pub(super) fn every_type() -> RecordBatch {
    let at = 1_700_000_000_123_456;
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let fields =
        vec![Field::new("x", DataType::Float64, true), Field::new("label", DataType::Utf8View, true)];
    let inner: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(vec![Some(1.5), None])),
        Arc::new(StringViewArray::from(vec![Some("a label that is longer than twelve bytes"), None])),
    ];
    let nested = StructArray::new(fields.into(), inner, Some(vec![true, false].into()));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("k");
    map.values().append_value(9);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let elements = StructArray::from(vec![(
        Arc::new(Field::new("n", DataType::Int32, true)),
        Arc::new(Int32Array::from(vec![7, 8])) as ArrayRef,
    )]);
    let structs = ListArray::new(
        Arc::new(Field::new("item", elements.data_type().clone(), true)),
        OffsetBuffer::new(vec![0, 2, 2].into()),
        Arc::new(elements),
        Some(vec![true, false].into()),
    );
    let decimal = Decimal128Array::from(vec![Some(-12_345), None]).with_precision_and_scale(20, 3).unwrap();
    table_of(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(-8), None]))),
        ("i16", Arc::new(Int16Array::from(vec![Some(-16), None]))),
        ("u16", Arc::new(UInt16Array::from(vec![Some(65_535), None]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.5), None]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(f64::NAN), None]))),
        ("s", Arc::new(StringViewArray::from(vec![Some("grüße, \u{1F600}"), None]))),
        ("bin", Arc::new(BinaryViewArray::from(vec![Some(&[0u8, 255][..]), None]))),
        ("d", Arc::new(Date32Array::from(vec![Some(19_000), None]))),
        ("dec", Arc::new(decimal)),
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![Some(at), None]).with_timezone("UTC"))),
        (
            "ns",
            Arc::new(
                TimestampNanosecondArray::from(vec![Some(at * 1_000 + 7), None]).with_timezone("+02:00"),
            ),
        ),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![Some(at / 1_000), None]).with_timezone("UTC"))),
        ("list", Arc::new(list)),
        ("nested", Arc::new(nested)),
        ("map", Arc::new(map.finish())),
        ("structs", Arc::new(structs)),
        ("dict", Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("one"), None]))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_reads_back() {
    let lake = Lake::new(&[]);
    let batch = every_type();
    let mut sink = lake.opened(&batch.schema()).await;
    write(&mut sink, 0, vec![vec![batch.clone()]]).await.unwrap().unwrap();
    let found = lake
        .query(
            "SELECT b, i8, i16, u16, u64, f32, f64, s, encode(bin, 'hex'), d, dec, list[1], nested['label'], \
             structs[2]['n'], dict, CAST(ts AS BIGINT), CAST(ns AS BIGINT), CAST(ms AS BIGINT) FROM t ORDER BY id",
        )
        .await;
    let text = "true -8 -16 65535 18446744073709551615 0.5 NaN";
    assert_eq!(found[0][..7].join(" "), text);
    assert_eq!(found[0][7], "grüße, \u{1F600}");
    assert_eq!(found[0][8], "00ff");
    assert_eq!(
        found[0][9..].join("|"),
        "2022-01-08|-12.345|1|a label that is longer than twelve bytes|8|one\
         |1700000000123456|1700000000123456|1700000000123000"
    );
    assert!(found[1].iter().all(|value| value == "NULL"), "{:?}", found[1]);
    let stats: Value = serde_json::from_str(lake.commit(1)[2]["add"]["stats"].as_str().unwrap()).unwrap();
    assert_eq!(stats["nullCount"]["nested"]["x"], 1);
    assert_eq!(stats["minValues"]["dec"].to_string(), "-12.345");
    assert_eq!(stats["maxValues"]["ts"], "2023-11-14T22:13:20.124Z");
    assert!(stats["maxValues"].get("f64").is_none(), "NaN has no bound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_without_zone_asks_for_the_feature() {
    let lake = Lake::new(&[]);
    let batch = table_of(vec![("at", Arc::new(TimestampMicrosecondArray::from(vec![1_000_000])))]);
    let mut sink = lake.opened(&batch.schema()).await;
    write(&mut sink, 0, vec![vec![batch]]).await.unwrap().unwrap();
    assert_eq!(lake.commit(0)[1]["protocol"]["readerFeatures"], serde_json::json!(["timestampNtz"]));
    assert_eq!(lake.query("SELECT at FROM t").await, [["1970-01-01T00:00:01"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_value_can_be_a_partition() {
    let lake = Lake::new(&[("partitionBy", "P, day")]);
    let long = "x".repeat(100_000);
    let values = [
        "../..",
        "/etc/passwd",
        "__HIVE_DEFAULT_PARTITION__",
        "a b",
        "a=b/c",
        "100%",
        "%2F",
        "grüße \u{1F600}",
        "'; DROP",
        "new\nline",
        "\u{1}",
        ".",
        "..",
        "a\\b",
        "#?&+",
        " lead",
        "trail ",
        "_hidden",
        &long,
    ];
    let count = values.len() + 2;
    let keys = values.iter().map(|value| Some(*value)).chain([None, Some("")]);
    let batch = table_of(vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..count as i64))),
        ("p", Arc::new(StringArray::from_iter(keys))),
        ("day", Arc::new(Date32Array::from(vec![19_000; count]))),
    ]);
    let mut sink = lake.opened(&batch.schema()).await;
    let written = write(&mut sink, 0, vec![vec![batch.clone(), batch]]).await.unwrap().unwrap();
    assert_eq!(written.rows, 2 * count as u64);
    let found = lake.query("SELECT DISTINCT id, p, day FROM t ORDER BY id").await;
    assert_eq!(found.len(), count);
    for (row, value) in found.iter().zip(values.iter().copied().chain(["NULL", "NULL"])) {
        assert_eq!(row[1], value);
        assert_eq!(row[2], "2022-01-08");
    }
    let one = lake.query("SELECT count(*) FROM t WHERE p = '../..'").await;
    assert_eq!(one, [["2"]]);
    assert!(lake.data_files().iter().all(|file| file.starts_with("p=") && file.matches('/').count() == 2));
    assert_eq!(
        std::fs::read_dir(lake.dir.path()).unwrap().count(),
        1,
        "nothing was written outside of the table"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_every_type_read_back() {
    let lake = Lake::new(&[("partitionBy", "i,b,f,dec,ts")]);
    let batch = table_of(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("i", Arc::new(Int32Array::from(vec![Some(-5), None]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(false), None]))),
        ("f", Arc::new(Float64Array::from(vec![Some(2.0), None]))),
        (
            "dec",
            Arc::new(Decimal128Array::from(vec![Some(150), None]).with_precision_and_scale(9, 2).unwrap()),
        ),
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_000_001), None]).with_timezone("UTC"))),
    ]);
    let mut sink = lake.opened(&batch.schema()).await;
    write(&mut sink, 0, vec![vec![batch]]).await.unwrap().unwrap();
    let found = lake.query("SELECT i, b, f, dec, CAST(ts AS BIGINT) FROM t ORDER BY id").await;
    assert_eq!(found, [["-5", "false", "2.0", "1.50", "1000001"], ["NULL"; 5]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_columns_come_with_merge_schema_only() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    let wider = table_of(vec![
        ("ID", Arc::new(Int32Array::from(vec![5])) as ArrayRef),
        ("site", Arc::new(StringArray::from(vec!["north"]))),
    ]);
    let error = lake.sink().open(wider.schema()).await.unwrap_err();
    assert_eq!(error.code(), &codes::SINK_SCHEMA);
    assert!(error.detail().unwrap().contains("`site` is not in the table"));
    assert!(error.hint().contains("mergeSchema"));

    let merging = Lake { options: vec![("mergeSchema", "true".into())], ..lake };
    let mut sink = merging.opened(&wider.schema()).await;
    write(&mut sink, 1, vec![vec![wider]]).await.unwrap().unwrap();
    let found = merging.query("SELECT id, name, site FROM t ORDER BY id").await;
    assert_eq!(found, [["0", "name-0", "NULL"], ["5", "NULL", "north"]]);
    assert_eq!(merging.newest(), 3, "create, epoch, new column, epoch");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_leaves_no_table() {
    let with_bytes = || {
        let bytes = arrow::array::BinaryArray::from(vec![&b"x"[..]]);
        table_of(vec![("b", Arc::new(bytes) as ArrayRef), ("id", Arc::new(Int64Array::from(vec![1])))])
    };
    for (options, batch, code, words) in [
        (vec![("partitionBy", "nmae")], rows(0..0), &codes::BAD_VALUE, "nmae"),
        (vec![("partitionBy", "id,name")], rows(0..0), &codes::BAD_VALUE, "every column"),
        (vec![("partitionBy", "id, ID")], rows(0..0), &codes::BAD_VALUE, "twice"),
        (vec![("partitionBy", "b")], with_bytes(), &codes::BAD_VALUE, "binary"),
        (
            vec![],
            table_of(vec![("t", Arc::new(Time64MicrosecondArray::from(vec![1])))]),
            &codes::SINK_SCHEMA,
            "Time64",
        ),
        (vec![], table_of(vec![("a", Arc::new(NullArray::new(1)))]), &codes::SINK_SCHEMA, "Null"),
    ] {
        let lake = Lake::new(&options);
        let error = lake.sink().open(batch.schema()).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.message().contains(words), "{error}");
        assert!(!lake.root().exists());
        let checked = lake.sink().check(&batch.schema()).unwrap_err();
        assert_eq!(checked.message(), error.message(), "told when the file is validated, too");
    }
    let error = Lake::new(&[("partitionBy", "nmae")]).sink().check(&rows_schema()).unwrap_err();
    assert!(error.hint().contains("Did you mean `name`?"), "{error:?}");
    let lake = Lake::new(&[]);
    lake.opened(&rows_schema()).await;
    let other = Lake { options: vec![("partitionBy", "name".into())], ..lake };
    let error = other.sink().open(rows_schema()).await.unwrap_err();
    assert!(error.message().contains("partitioned in another way"), "{error}");
    assert!(!error.hint().contains("mergeSchema") && error.hint().contains("`path`"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_beyond_microseconds_is_an_error_and_not_a_null() {
    let lake = Lake::new(&[]);
    let batch =
        table_of(vec![("at", Arc::new(TimestampSecondArray::from(vec![i64::MAX]).with_timezone("UTC")))]);
    assert_eq!(
        batch.schema().field(0).data_type(),
        &DataType::Timestamp(TimeUnit::Second, Some("UTC".into()))
    );
    let mut sink = lake.opened(&batch.schema()).await;
    let error = write(&mut sink, 0, vec![vec![batch]]).await.unwrap_err();
    assert_eq!(error.code(), &codes::SINK_SCHEMA);
}
