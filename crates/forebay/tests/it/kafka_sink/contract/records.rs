//! What becomes of the parts of a record.

use arrow::array::{BinaryBuilder, ListBuilder, StringBuilder, StructBuilder};
use arrow::datatypes::Fields;

use super::*;

/// Of one record: names and values.
type Headers<'a> = &'a [(&'a str, Option<&'a [u8]>)];

/// A header list: of each row its pairs, or NULL.
fn headers(rows: &[Option<Headers<'_>>]) -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("key", DataType::Utf8, true),
        Field::new("value", DataType::Binary, true),
    ]);
    let pairs = StructBuilder::new(
        fields,
        vec![Box::new(StringBuilder::new()) as _, Box::new(BinaryBuilder::new()) as _],
    );
    let mut lists = ListBuilder::new(pairs);
    for row in rows {
        for (key, value) in row.unwrap_or_default() {
            let pair = lists.values();
            pair.field_builder::<StringBuilder>(0).unwrap().append_value(key);
            pair.field_builder::<BinaryBuilder>(1).unwrap().append_option(*value);
            pair.append(true);
        }
        lists.append(row.is_some());
    }
    Arc::new(lists.finish())
}

pub async fn every_part_of_a_record_arrives(place: &Place) {
    let topic = place.topic("parts", 3).await;
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("key", Arc::new(StringArray::from(vec![Some("foobar"), None, Some("x")])) as ArrayRef, true),
        (
            "value",
            Arc::new(arrow::array::BinaryArray::from(vec![Some(&b"\xff\x00"[..]), Some(b""), None])),
            true,
        ),
        ("partition", Arc::new(Int32Array::from(vec![None, Some(2), Some(0)])), true),
        ("headers", headers(&[Some(&[("a", Some(b"1")), ("a", None)]), None, Some(&[])]), true),
    ])
    .unwrap();
    for compression in ["none", "zstd", "lz4"] {
        let query = uuid();
        let mut sink = place.sink(&[("topic", &topic), ("kafka.compression.type", compression)]);
        sink.open(batch.schema()).await.unwrap();
        let written = epoch(&mut sink, &id(&query, 0), batch.clone()).await.unwrap();
        assert_eq!(written.rows, 3);
    }
    let found = place.committed(&topic);
    assert_eq!(found.len(), 9);
    let of = |key: Option<&str>| {
        let is = |record: &&Value| record["key"].as_str() == key;
        let mut found: Vec<&Value> = found.iter().filter(is).collect();
        assert_eq!(found.len(), 3, "{key:?}");
        found.pop().unwrap()
    };
    let keyed = of(Some("foobar"));
    let expected = forebay_connectors::kafka::partition_for_key(b"foobar", 3);
    assert_eq!(keyed["partition"], expected);
    assert_eq!(
        (&keyed["value"], &keyed["headers"]),
        (&"hex:ff00".into(), &serde_json::json!([["a", "1"], ["a", null]]))
    );
    assert_eq!((&of(None)["partition"], &of(None)["value"]), (&2.into(), &"".into()));
    assert_eq!(
        (&of(Some("x"))["partition"], &of(Some("x"))["value"]),
        (&0.into(), &Value::Null),
        "a tombstone"
    );
}
