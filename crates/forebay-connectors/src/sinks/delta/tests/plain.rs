//! Where DataFusion's own scan reads the files, and where delta-rs's must stand above it.

use super::*;
use crate::sinks::delta::action::{FileFormat, Metadata, Protocol};
use crate::sinks::delta::careful::is_plain;

async fn is_read_plainly(lake: &Lake, sql: &str) -> bool {
    let plan = lake.query(&format!("EXPLAIN {sql}")).await;
    let physical = plan.iter().find(|row| row[0] == "physical_plan").unwrap();
    assert!(physical[1].contains("DataSourceExec"), "{plan:?}");
    !physical[1].contains("DeltaScanExec")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_table_is_read_without_delta_rs_above() {
    let lake = Lake::new(&[("mergeSchema", "true")]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![rows(0..100)]]).await.unwrap().unwrap();
    let site = |id: i64| {
        table_of(vec![
            ("id", Arc::new(Int64Array::from(vec![id])) as ArrayRef),
            ("site", Arc::new(StringArray::from(vec!["north"]))),
        ])
    };
    let mut sink = lake.opened(&site(0).schema()).await;
    write(&mut sink, 1, vec![vec![site(200)]]).await.unwrap().unwrap();
    let sql = "SELECT site, name, id FROM t WHERE id IN (7, 200) ORDER BY id";
    assert!(is_read_plainly(&lake, sql).await);
    assert_eq!(lake.query(sql).await, [["NULL", "name-7", "7"], ["north", "NULL", "200"]]);
    let sql = "SELECT site, count(*), max(name) FROM t GROUP BY site ORDER BY site NULLS LAST";
    assert!(is_read_plainly(&lake, sql).await);
    assert_eq!(lake.query(sql).await, [["north", "1", "NULL"], ["NULL", "100", "name-99"]]);
    assert_eq!(lake.query("SELECT count(*), min(id), max(id) FROM t").await, [["101", "0", "200"]]);
    assert_eq!(lake.query("SELECT id FROM t WHERE name LIKE 'name-9_' LIMIT 100").await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_partitions_comes_from_delta_rs() {
    let lake = Lake::new(&[("partitionBy", "name")]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![rows(0..3)]]).await.unwrap().unwrap();
    assert!(is_read_plainly(&lake, "SELECT id FROM t").await);
    assert_eq!(lake.query("SELECT id FROM t ORDER BY id").await, [["0"], ["1"], ["2"]]);
    assert!(!is_read_plainly(&lake, "SELECT id, name FROM t").await);
    assert_eq!(lake.query("SELECT name, id FROM t WHERE name = 'name-1'").await, [["name-1", "1"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_deletion_vector_stay_away() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![rows(0..40)]]).await.unwrap().unwrap();
    assert!(is_read_plainly(&lake, "SELECT id FROM t").await);
    let mut add = lake.commit(1)[2].clone();
    let path = add["add"]["path"].clone();
    // The example in Delta's protocol: six rows.
    add["add"]["deletionVector"] = serde_json::json!({"storageType": "i",
        "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", "sizeInBytes": 44, "cardinality": 6});
    let features = ["deletionVectors"];
    let protocol = serde_json::json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": features, "writerFeatures": features}});
    let remove = serde_json::json!({"remove": {"path": path, "dataChange": true}});
    others::put_version(&lake, 2, &[protocol, remove, add]);
    assert!(!is_read_plainly(&lake, "SELECT id FROM t").await);
    let gone =
        lake.query("SELECT count(*), count(*) FILTER (WHERE id IN (3, 4, 7, 11, 18, 29)) FROM t").await;
    assert_eq!(gone, [["34", "0"]]);
}

#[test]
fn columns_of_other_names_and_types_are_not_plain() {
    let metadata = |mode: Option<&str>| Metadata {
        id: "id".into(),
        name: None,
        description: None,
        format: FileFormat { provider: "parquet".into(), options: BTreeMap::new() },
        schema_string: String::new(),
        partition_columns: Vec::new(),
        configuration: mode
            .map(|mode| ("delta.columnMapping.mode".to_owned(), mode.to_owned()))
            .into_iter()
            .collect(),
        created_time: None,
    };
    let protocol = |reader: i32, features: Option<&[&str]>| Protocol {
        min_reader_version: reader,
        min_writer_version: 7,
        reader_features: features.map(|features| features.iter().map(|name| (*name).to_owned()).collect()),
        writer_features: None,
    };
    assert!(is_plain(&protocol(1, None), &metadata(None)));
    assert!(is_plain(&protocol(2, None), &metadata(Some("none"))));
    assert!(is_plain(&protocol(3, Some(&["deletionVectors", "timestampNtz"])), &metadata(None)));
    for mode in ["name", "id"] {
        assert!(!is_plain(&protocol(2, None), &metadata(Some(mode))));
    }
    for feature in ["columnMapping", "typeWidening", "typeWidening-preview", "variantType", "anything"] {
        assert!(!is_plain(&protocol(3, Some(&[feature])), &metadata(None)), "{feature}");
    }
    assert!(!is_plain(&protocol(4, None), &metadata(None)));
}
