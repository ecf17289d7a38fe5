//! `from_json`: as many rows as texts, NULL for what is no record.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, LargeStringArray, StringArray, StringViewArray,
};
use arrow::datatypes::Int32Type;
use forebay_core::error::codes;
use forebay_core::format::BadRecordMode;
use forebay_core::options::Options;

use super::super::{FromJson, SPEC};
use super::{render, schema};

fn from_json(ddl: &str, mode: BadRecordMode) -> forebay_core::Result<FromJson> {
    let options = Options::parse(&SPEC, &BTreeMap::new()).unwrap();
    FromJson::new(schema(ddl).fields().clone(), mode, &options)
}

#[test]
fn every_text_gives_a_row_and_what_is_no_record_gives_null() {
    let texts =
        vec![Some(r#"{"a":1}"#), None, Some("  "), Some("{"), Some(r#"{"a":"x","b":"y"}"#), Some("{}")];
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts.clone())),
        Arc::new(LargeStringArray::from(texts.clone())),
        Arc::new(StringViewArray::from(texts.clone())),
        Arc::new(texts.iter().map(|text| text.map(str::as_bytes)).collect::<BinaryViewArray>()),
    ];
    for array in arrays {
        let call =
            from_json("a INT NOT NULL, b STRING, _corrupt_record STRING", BadRecordMode::Permissive).unwrap();
        let rows = call.decode(&array).unwrap();
        assert_eq!(rows.data_type(), &call.data_type());
        let found: Vec<String> = (0..rows.len()).map(|row| render(&rows, row).to_string()).collect();
        assert_eq!(
            found,
            [
                r#"{"_corrupt_record":null,"a":1,"b":null}"#,
                "null",
                "null",
                r#"{"_corrupt_record":"{","a":null,"b":null}"#,
                r#"{"_corrupt_record":"{\"a\":\"x\",\"b\":\"y\"}","a":null,"b":"y"}"#,
                r#"{"_corrupt_record":null,"a":null,"b":null}"#,
            ]
        );
    }
}

#[test]
fn failfast_names_the_row_and_other_modes_do_not_exist() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(r#"{"a":1}"#), None, Some(r#"{"a":"x"}"#)]));
    let error = from_json("a INT", BadRecordMode::FailFast).unwrap().decode(&texts).unwrap_err();
    assert_eq!(error.code(), &codes::DECODE_FAILFAST);
    assert_eq!(error.place(), Some("record 2"));
    let good = texts.slice(0, 2);
    let rows = from_json("a INT", BadRecordMode::FailFast).unwrap().decode(&good).unwrap();
    assert_eq!(rows.column(0).as_primitive::<Int32Type>().value(0), 1);
    assert!(rows.is_null(1));
    assert!(from_json("a INT", BadRecordMode::Quarantine).is_err());
    assert!(from_json("a INT", BadRecordMode::DropMalformed).is_err());
}

#[test]
fn the_column_of_corrupt_records_is_text() {
    assert!(from_json("a INT, _corrupt_record INT", BadRecordMode::Permissive).is_err());
}
