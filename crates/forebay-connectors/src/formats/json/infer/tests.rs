//! Records, the schema they give, and what is said about it.

use super::*;

fn inferred(records: &[&str]) -> Inferred {
    infer(&BinaryViewArray::from_iter_values(records)).unwrap()
}

/// The notes about a place.
fn notes<'a>(inferred: &'a Inferred, place: &str) -> Vec<&'a str> {
    inferred.notes.iter().filter(|(at, _)| at == place).map(|(_, why)| why.as_str()).collect()
}

#[test]
fn the_plants_records_give_the_plants_schema() {
    let found = inferred(&[
        r#"{"device_id": "device_1", "temperature": 71.5, "humidity": 40, "timestamp": 1735689600}"#,
        r#"{"device_id": "device_2", "temperature": 20, "humidity": 40.25, "timestamp": 1735689601}"#,
    ]);
    let ddl = "device_id STRING,\ntemperature DOUBLE,\nhumidity DOUBLE,\ntimestamp BIGINT";
    assert_eq!(found.ddl().unwrap(), ddl);
    assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
    assert!(notes(&found, "timestamp")[0].starts_with("may be seconds since 1970: timestamp_seconds(…)"));
    assert!(found.refused.is_empty() && found.records == 2);
}

#[test]
fn every_kind_of_value_has_a_type_that_takes_it() {
    let cases = [
        (r#"{"a": true}"#, "BOOLEAN"),
        (r#"{"a": -5}"#, "BIGINT"),
        (r#"{"a": 1.0}"#, "DOUBLE"),
        (r#"{"a": 1e3}"#, "DOUBLE"),
        (r#"{"a": -0}"#, "DOUBLE"),
        (r#"{"a": 18446744073709551615}"#, "DECIMAL(20,0)"),
        (r#"{"a": 184467440737095516150}"#, "DOUBLE"),
        (r#"{"a": "x"}"#, "STRING"),
        (r#"{"a": "2024"}"#, "STRING"),
        (r#"{"a": "12:30:00"}"#, "STRING"),
        (r#"{"a": "2024-02-29"}"#, "DATE"),
        (r#"{"a": "2023-02-29"}"#, "STRING"),
        (r#"{"a": "2024-02-29T12:34:56.789+01:00"}"#, "TIMESTAMP"),
        (r#"{"a": "2024-02-29 12:34"}"#, "TIMESTAMP"),
        (r#"{"a": "2024-02-29T25:34:56Z"}"#, "STRING"),
        (r#"{"a": null}"#, "STRING"),
        (r#"{"a": []}"#, "ARRAY<STRING>"),
        (r#"{"a": [1, null, 2.5]}"#, "ARRAY<DOUBLE>"),
        (r#"{"a": [[{"b": true}], []]}"#, "ARRAY<ARRAY<STRUCT<b: BOOLEAN>>>"),
        (r#"{"a": {}}"#, "MAP<STRING, STRING>"),
        (r#"{"a": {"b c": {"d": 1}}}"#, "STRUCT<`b c`: STRUCT<d: BIGINT>>"),
    ];
    for (record, data_type) in cases {
        let found = inferred(&[record]);
        assert_eq!(found.ddl().unwrap(), format!("a {data_type}"), "{record}");
        assert!(found.refused.is_empty(), "{record}: {:?}", found.refused);
    }
}

#[test]
fn what_differs_between_records_is_joined_where_a_type_takes_both() {
    let found = inferred(&[
        r#"{"n": 1, "t": "2024-02-29", "o": {"x": 1}, "l": []}"#,
        r#"{"n": null, "t": "2024-02-29T01:02:03", "o": {"y": "z"}, "l": [{"q": 1}]}"#,
        r#"{"n": 2.5, "o": null, "l": [{"r": false}], "late": 7}"#,
    ]);
    assert_eq!(
        found.ddl().unwrap(),
        "n DOUBLE,\nt TIMESTAMP,\no STRUCT<x: BIGINT, y: STRING>,\nl ARRAY<STRUCT<q: BIGINT, r: BOOLEAN>>,\nlate BIGINT"
    );
    assert!(found.refused.is_empty(), "{:?}", found.refused);
    assert!(notes(&found, "t")[0].contains("UTC is meant"));
}

#[test]
fn where_no_type_takes_all_most_records_decide_and_the_rest_is_told() {
    let found = inferred(&[r#"{"v": 1}"#, r#"{"v": "off"}"#, r#"{"v": 3}"#, r#"{"v": {"raw": 1}}"#]);
    assert_eq!(found.ddl().unwrap(), "v BIGINT");
    let told = "a number 2 times, text 1 times, an object 1 times: no type takes all, so 2 would go to the quarantine";
    assert_eq!(notes(&found, "v")[0], told);
    assert_eq!(found.refused, BTreeMap::from([(("json.type", "$.v".to_owned()), 2)]));
    // As many of one as of the other: text.
    assert_eq!(inferred(&[r#"{"v": 1}"#, r#"{"v": "x"}"#]).ddl().unwrap(), "v STRING");
}

#[test]
fn records_that_are_no_objects_are_told_and_change_nothing() {
    let good = r#"{"a": 1, "b": 2.5}"#;
    let found = inferred(&[good, "{\"a\": tru", "[1]", "", "{\"a\": 1, \"a\": 2}", good]);
    assert_eq!(found.ddl().unwrap(), inferred(&[good]).ddl().unwrap());
    let codes: Vec<(&str, u64)> = found.refused.iter().map(|((code, _), count)| (*code, *count)).collect();
    assert_eq!(
        codes,
        [("json.duplicate_key", 1), ("json.empty", 1), ("json.not_object", 1), ("json.truncated", 1)]
    );
    for none in [&[][..], &["7", "null"], &["{}"]] {
        let error = infer(&BinaryViewArray::from_iter_values(none)).unwrap_err();
        assert_eq!(error.code(), &codes::BAD_SCHEMA);
    }
}

#[test]
fn names_that_cannot_stand_beside_each_other_are_left_out_and_told() {
    let found = inferred(&[r#"{"Id": 1, "id": 2, "": 3}"#, r#"{"id": 2, "a`b": true}"#]);
    assert_eq!(found.ddl().unwrap(), "id BIGINT,\n`a``b` BOOLEAN");
    assert!(notes(&found, "Id")[0].contains("differs from `id` only"));
    assert!(notes(&found, "")[0].contains("no name"));
    assert!(found.refused.is_empty());
}

#[test]
fn an_object_whose_names_are_data_is_a_map() {
    let records: Vec<String> = (0..200).map(|i| format!(r#"{{"by_device": {{"d{i}": {i}}}}}"#)).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let found = inferred(&records);
    assert_eq!(found.ddl().unwrap(), "by_device MAP<STRING, BIGINT>");
    assert!(notes(&found, "by_device")[0].contains("200 different names"));
    assert!(found.refused.is_empty());
    // Wide records that all have the same fields stay structs.
    let wide: String = (0..200).map(|i| format!("\"f{i}\": {i},")).collect();
    let wide = format!("{{\"o\": {{{}}}}}", wide.trim_end_matches(','));
    assert!(inferred(&[&wide]).ddl().unwrap().starts_with("o STRUCT<f0: BIGINT"));
}

#[test]
fn a_field_of_few_records_and_numbers_near_a_bound_are_told() {
    let mut records = vec![r#"{"a": 1.5, "n": 9007199254740993}"#; 19];
    records.push(r#"{"a": 2.5, "n": 3000000000, "rare": "x"}"#);
    let found = inferred(&records);
    assert_eq!(notes(&found, "rare"), ["in 1 of 20 only"]);
    assert!(notes(&found, "n")[0].contains("whole numbers 3000000000 to 9007199254740993: a fraction"));
    for (record, unit) in [("1735689600123", "milliseconds"), ("1735689600123456", "microseconds")] {
        let record = format!("{{\"t\": {record}}}");
        assert!(notes(&inferred(&[&record]), "t")[0].contains(unit), "{record}");
    }
}

#[test]
fn what_is_nested_without_end_is_cut_and_told() {
    let deep = format!("{{\"a\": 1, \"d\": {}0{}}}", "[".repeat(100), "]".repeat(100));
    let found = inferred(&[&deep]);
    assert_eq!(found.ddl().unwrap(), "a BIGINT");
    assert!(found.notes.iter().any(|(_, why)| why.contains("deeper than 32 levels")), "{:?}", found.notes);
    assert!(found.refused.is_empty());
}

#[test]
fn the_same_records_give_the_same_answer() {
    let records = [r#"{"b": 1, "a": {"y": 1, "x": [1]}}"#, r#"{"c": "x", "a": {"z": 1}}"#];
    let first = inferred(&records);
    for _ in 0..5 {
        let again = inferred(&records);
        assert_eq!((first.ddl().unwrap(), &first.notes), (again.ddl().unwrap(), &again.notes));
    }
}
