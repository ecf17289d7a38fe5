//! What is decided without a broker: options, columns, and what a row becomes. The rest is in the integration tests, which
//! hold the sink's contract against Apache Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Int16Array, LargeStringArray, ListArray, RecordBatch,
    StringArray, StringViewArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use forebay_core::clock::SystemClock;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::sink::{Guarantee, Sink};
use forebay_core::source::headers_type;
use forebay_core::{OutputMode, Result};

use super::columns::Columns;
use super::config::Config;
use super::rows::Row;
use super::{KafkaSink, SPEC};

fn options(more: &[(&str, &str)]) -> Options {
    let mut raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), "a:1".to_owned())]);
    raw.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Options::parse(&SPEC, &raw).unwrap()
}

fn columns(fields: &[(&str, DataType)], more: &[(&str, &str)]) -> Result<Columns> {
    let fields: Vec<_> = fields.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect();
    Columns::new(&Schema::new(fields), &Config::new(&options(more)).unwrap())
}

const TO_T: &[(&str, &str)] = &[("topic", "t")];

#[test]
fn options_that_would_break_the_promise_are_refused_before_anything_is_asked() {
    for (name, value) in [
        ("topic", "a b"),
        ("topic", ".."),
        ("kafka.acks", "1"),
        ("kafka.enable.idempotence", "false"),
        ("kafka.transactional.id", "mine"),
        ("kafka.transaction.timeout.ms", "long"),
        ("kafka.group.id", "g"),
        ("kafka.isolation.level", "read_committed"),
        ("transactionalIdPrefix", " "),
    ] {
        let refused = Config::new(&options(&[(name, value)])).unwrap_err();
        assert_eq!(refused.code(), &codes::BAD_VALUE, "{name}={value}");
        assert!(refused.message().contains(name), "{refused}");
    }
    let config = Config::new(&options(&[
        ("kafka.transaction.timeout.ms", "900000"),
        ("transactionalIdPrefix", "plant"),
    ]));
    let config = config.unwrap();
    assert_eq!(config.producer.transaction_timeout.as_secs(), 900);
    assert_eq!(config.transactional_id("q-1"), "plant-q-1");
}

#[test]
fn every_mode_is_taken_and_the_guarantee_is_what_was_asked_for() {
    let sink = |more: &[(&str, &str)]| KafkaSink::new(&options(more), Arc::new(SystemClock)).unwrap();
    let mut plain = sink(TO_T);
    for mode in [OutputMode::Append, OutputMode::Update, OutputMode::Complete] {
        plain.output(mode, &[]).unwrap();
    }
    assert_eq!(plain.guarantee(), Guarantee::ExactlyOnce);
    assert_eq!(sink(&[("exactlyOnce", "false")]).guarantee(), Guarantee::AtLeastOnce);
    assert_eq!(
        plain.identity(None),
        sink(&[("topic", "other")]).identity(None),
        "as in Spark, the topic may change"
    );
}

#[test]
fn columns_are_sparks_and_no_other_is_lost() {
    use DataType::{Binary, Int32, Int64, Utf8, Utf8View};
    columns(&[("value", Utf8)], TO_T).unwrap();
    columns(
        &[
            ("key", Binary),
            ("Value", Utf8View),
            ("headers", headers_type()),
            ("topic", Utf8),
            ("partition", Int32),
        ],
        &[],
    )
    .unwrap();
    for (fields, words) in [
        (&[("key", Utf8)][..], "no column `value`"),
        (&[("value", Int64)], "column `value` is Int64"),
        (&[("value", Utf8), ("device", Utf8)], "column `device` is no part"),
        (&[("value", Utf8), ("VALUE", Utf8)], "twice"),
        (&[("value", Utf8), ("partition", Int64)], "column `partition` is Int64"),
        (&[("value", Utf8), ("topic", Binary)], "column `topic` is Binary"),
        (&[("value", Utf8), ("headers", Utf8)], "column `headers` is Utf8"),
    ] {
        let refused = columns(fields, TO_T).unwrap_err();
        assert_eq!(refused.code(), &codes::SINK_SCHEMA, "{refused}");
        assert!(refused.message().contains(words) && refused.hint().contains("AS value"), "{refused:?}");
    }
    let homeless = columns(&[("value", Utf8)], &[]).unwrap_err();
    assert_eq!(homeless.code(), &codes::MISSING_KEY);
    let unwanted = columns(
        &[("value", Utf8), ("headers", headers_type())],
        &[("topic", "t"), ("includeHeaders", "false")],
    );
    assert_eq!(unwanted.unwrap_err().code(), &codes::BAD_VALUE);
}

#[test]
fn every_kind_of_text_and_bytes_is_written_as_it_is() {
    let long = "a text that is longer than a view";
    let texts = [Some("é"), None, Some(long)];
    let dictionary: DictionaryArray<Int32Type> = texts.into_iter().collect();
    let forms: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts.to_vec())),
        Arc::new(LargeStringArray::from(texts.to_vec())),
        Arc::new(StringViewArray::from(texts.to_vec())),
        Arc::new(BinaryArray::from(texts.map(|text| text.map(str::as_bytes)).to_vec())),
        Arc::new(dictionary),
    ];
    for values in forms {
        let of = values.data_type().clone();
        let schema =
            Schema::new(vec![Field::new("value", of.clone(), true), Field::new("key", of.clone(), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![values.clone(), values]).unwrap();
        let columns = columns(&[("value", of.clone()), ("key", of.clone())], TO_T).unwrap();
        // A slice begins elsewhere in the same buffers.
        for (batch, expected) in [(batch.clone(), &texts[..]), (batch.slice(1, 2), &texts[1..])] {
            let rows = columns.rows(&batch).unwrap();
            assert_eq!(rows.len(), expected.len());
            for (number, text) in expected.iter().enumerate() {
                let bytes = text.map(str::as_bytes);
                let expected = Row { topic: "t", partition: None, key: bytes, value: bytes };
                assert_eq!(rows.row(number).unwrap(), expected, "{of}");
            }
        }
    }
}

#[test]
fn a_row_says_where_it_goes_and_one_that_cannot_is_told() {
    let fields = [("value", DataType::Utf8), ("topic", DataType::Utf8), ("partition", DataType::Int16)];
    let schema =
        Schema::new(fields.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect::<Vec<_>>());
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["1", "2"])),
        Arc::new(StringArray::from(vec![Some("a"), None])),
        Arc::new(Int16Array::from(vec![Some(3), None])),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema), arrays).unwrap();
    let by_row = columns(&fields, &[]).unwrap();
    let rows = by_row.rows(&batch).unwrap();
    assert_eq!((rows.row(0).unwrap().topic, rows.row(0).unwrap().partition), ("a", Some(3)));
    let refused = rows.row(1).unwrap_err();
    assert_eq!((refused.code(), refused.message()), (&codes::SINK_REFUSED, "null topic present in the data"));
    let fixed = columns(&fields, TO_T).unwrap();
    let rows = fixed.rows(&batch).unwrap();
    assert_eq!((rows.row(1).unwrap().topic, rows.row(1).unwrap().partition), ("t", None), "the option wins");
}

#[test]
fn headers_keep_their_order_and_need_a_key() {
    let DataType::List(element) = headers_type() else { panic!() };
    let DataType::Struct(fields) = element.data_type() else { panic!() };
    let lists = |keys: Vec<&str>, valid: Vec<bool>| {
        let values = BinaryArray::from(vec![Some(&b"1"[..]), None, Some(b"3")]);
        let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(keys)), Arc::new(values)];
        let pairs = StructArray::try_new(fields.clone(), columns, Some(NullBuffer::from(valid))).unwrap();
        let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
        let nulls = NullBuffer::from(vec![true, false, true]);
        ListArray::try_new(element.clone(), offsets, Arc::new(pairs), Some(nulls)).unwrap()
    };
    let batch = |lists: ListArray| {
        let values: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        RecordBatch::try_from_iter([("value", values), ("headers", Arc::new(lists) as ArrayRef)]).unwrap()
    };
    let columns = columns(&[("value", DataType::Utf8), ("headers", headers_type())], TO_T).unwrap();
    let good = batch(lists(vec!["x", "x", "y"], vec![true; 3]));
    for (batch, skipped) in [(good.clone(), 0), (good.slice(1, 2), 1)] {
        let rows = columns.rows(&batch).unwrap();
        type Headers<'a> = &'a [(&'a str, Option<&'a [u8]>)];
        let expected: [Headers<'_>; 3] = [&[("x", Some(b"1")), ("x", None)], &[], &[("y", Some(b"3"))]];
        for (number, expected) in expected[skipped..].iter().enumerate() {
            let mut found = vec![("left over", None)];
            rows.headers(number, &mut found).unwrap();
            assert_eq!(found, *expected);
        }
    }
    let batch = batch(lists(vec!["x", "x", "y"], vec![true, false, true]));
    let rows = columns.rows(&batch).unwrap();
    assert_eq!(rows.headers(0, &mut Vec::new()).unwrap_err().code(), &codes::SINK_REFUSED);
    rows.headers(2, &mut Vec::new()).unwrap();
}
