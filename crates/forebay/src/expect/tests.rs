//! Expectations of a file over real records: which rows fail them, and what is told where one cannot be.

use arrow::array::BinaryViewArray;
use forebay_core::config;
use forebay_core::format::Decoded;

use crate::load::load;

const SCHEMA: &str = "id STRING, v DOUBLE, f FLOAT, n INT, big BIGINT, d DECIMAL(10, 2), b BOOLEAN, day DATE, at TIMESTAMP, \
                      wall TIMESTAMP_NTZ, gps STRUCT<lat DOUBLE, lon DOUBLE>, `a.b` INT";

/// A file with these expectations.
fn file(expectations: &str) -> String {
    format!(
        "pipeline: p\ntimeZone: Europe/Berlin\nsources:\n  s:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"localhost:9092\", \
         subscribe: t }}\n    value: json\n    schema: {SCHEMA}\n    expect:\n{expectations}\nqueries:\n  q: {{ sql: SELECT * FROM s, format: console }}\n"
    )
}

fn decoded(expectations: &str, records: &[&str]) -> Decoded {
    let text = file(expectations);
    let loaded = load(&text, "p.yaml", None)
        .unwrap_or_else(|problems| panic!("{}", config::render(&problems, &text, "p.yaml", false)));
    let format = crate::load::format_of(&loaded.pipeline.sources[0]).unwrap().unwrap();
    let values = BinaryViewArray::from_iter_values(records.iter().map(|record| record.as_bytes()));
    format.decoder().decode(&values).unwrap()
}

/// Which of the records are set aside for this one expectation.
fn failing(expectation: &str, records: &[&str]) -> Vec<usize> {
    let decoded = decoded(&format!("      - {expectation}"), records);
    assert!(
        decoded.bad.iter().all(|bad| bad.code.starts_with("expect.")),
        "{expectation}: {:?}",
        decoded.bad
    );
    decoded.bad.iter().map(|bad| bad.index as usize).collect()
}

#[test]
fn each_kind_of_expectation_takes_what_it_says_and_null() {
    let numbers = [r#"{"v": -0.1}"#, r#"{"v": 0}"#, r#"{"v": 300}"#, r#"{"v": 300.01}"#, "{}"];
    for (expectation, records, expected) in [
        ("{ column: v, min: 0, max: 300 }", &numbers[..], &[0, 3][..]),
        ("{ column: V, min: 0 }", &numbers, &[0]),
        ("{ column: v, max: 3e2 }", &numbers, &[3]),
        ("{ column: v, in: [0, 300.01] }", &numbers, &[0, 2]),
        ("{ column: v, required: true }", &numbers, &[4]),
        ("{ column: f, max: 0.1 }", &[r#"{"f": 0.1}"#, r#"{"f": 0.11}"#], &[1]),
        (
            "{ column: n, min: -5, max: 2.5 }",
            &[r#"{"n": -6}"#, r#"{"n": -5}"#, r#"{"n": 2}"#, r#"{"n": 3}"#],
            &[0, 3],
        ),
        (
            "{ column: big, min: 9007199254740993 }",
            &[r#"{"big": 9007199254740992}"#, r#"{"big": 9007199254740993}"#],
            &[0],
        ),
        ("{ column: d, max: 0.10 }", &[r#"{"d": 0.10}"#, r#"{"d": 0.11}"#], &[1]),
        ("{ column: b, in: [TRUE] }", &[r#"{"b": true}"#, r#"{"b": false}"#, "{}"], &[1]),
        ("{ column: day, min: 2024-02-29 }", &[r#"{"day": "2024-02-28"}"#, r#"{"day": "2024-02-29"}"#], &[0]),
        // Midnight in Berlin.
        (
            "{ column: at, max: '2024-01-01 00:00:00' }",
            &[r#"{"at": "2023-12-31T23:00:00Z"}"#, r#"{"at": "2023-12-31T23:00:01Z"}"#],
            &[1],
        ),
        (
            "{ column: wall, max: '2024-01-01 00:00:00' }",
            &[r#"{"wall": "2024-01-01T00:00:00"}"#, r#"{"wall": "2024-01-01T00:00:01"}"#],
            &[1],
        ),
        (
            "{ column: id, in: [a, \"it's\", 'back\\slash', ''] }",
            &[r#"{"id": "it's"}"#, r#"{"id": "back\\slash"}"#, r#"{"id": ""}"#, r#"{"id": "A"}"#, "{}"],
            &[3],
        ),
        (
            "{ column: id, pattern: '^\\d{2}$' }",
            &[r#"{"id": "12"}"#, r#"{"id": "123"}"#, r#"{"id": "1\n2"}"#, "{}"],
            &[1, 2],
        ),
        ("{ column: id, pattern: \"'\" }", &[r#"{"id": "it's"}"#, r#"{"id": "its"}"#], &[1]),
        ("{ column: a.b, min: 1 }", &[r#"{"a.b": 0}"#, r#"{"a.b": 1}"#], &[0]),
        ("{ column: gps.lat, required: true }", &[r#"{"gps": {"lat": 1}}"#, r#"{"gps": {}}"#, "{}"], &[1, 2]),
        (
            "{ name: c, condition: v > 1 OR id = 'x' }",
            &[r#"{"v": 1}"#, r#"{"v": 1, "id": "y"}"#, r#"{"v": 0, "id": "x"}"#],
            &[1],
        ),
        ("{ name: c, condition: s.v > 1 }", &[r#"{"v": 1}"#, r#"{"v": 2}"#], &[0]),
        (
            "{ column: v, key: id, time: n, maxRatePerSecond: 2 }",
            &[
                r#"{"v": 0, "id": "a", "n": 0}"#,
                r#"{"v": 9, "id": "a", "n": 1}"#,
                r#"{"v": 9, "id": "b", "n": 1}"#,
                r#"{"v": 4, "id": "a", "n": 2}"#,
                r#"{"v": 99, "n": 3}"#,
            ],
            &[1],
        ),
        (
            "{ column: gps.lat, key: n, time: at, maxRatePerSecond: 0.5 }",
            &[
                r#"{"gps": {"lat": 1}, "n": 1, "at": "2024-01-01T00:00:00Z"}"#,
                r#"{"n": 1, "at": "2024-01-01T00:00:01Z"}"#,
                r#"{"gps": {"lat": 2.1}, "n": 1, "at": "2024-01-01T00:00:02Z"}"#,
                r#"{"gps": {"lat": 2.1}, "n": 1, "at": "2024-01-01T00:00:03Z"}"#,
            ],
            &[2],
        ),
    ] {
        assert_eq!(failing(expectation, records), expected, "{expectation}");
    }
}

#[test]
fn a_column_that_is_never_null_may_be_expected_to_be_more() {
    let text = file("      - { column: id, pattern: '^a' }\n      - { column: v, min: 0 }");
    let text = text.replace("id STRING, v DOUBLE", "id STRING NOT NULL, v DOUBLE NOT NULL");
    let problems = load(&text, "p.yaml", None).err().unwrap_or_default();
    assert!(problems.is_empty(), "{}", config::render(&problems, &text, "p.yaml", false));
}

#[test]
fn places_lie_on_the_globe_and_in_the_box_also_over_the_180th_meridian() {
    let at = |lat: &str, lon: &str| format!(r#"{{"gps": {{"lat": {lat}, "lon": {lon}}}}}"#);
    let places = [
        at("90", "-180"),
        at("90.001", "0"),
        at("0", "180.001"),
        at("-18", "179"),
        at("-18", "-179"),
        at("-18", "0"),
        at("5", "179"),
        at("null", "179"),
        "{}".to_owned(),
    ];
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    assert_eq!(failing("{ lat: gps.lat, lon: gps.lon }", &places), [1, 2]);
    let fiji = "{ lat: gps.lat, lon: gps.lon, minLat: -21, maxLat: -12.4, minLon: 176, maxLon: -178 }";
    assert_eq!(failing(fiji, &places), [0, 1, 2, 5, 6]);
}

#[test]
fn a_record_that_is_set_aside_tells_expectation_value_and_what_was_expected() {
    let all = "      - { column: v, min: 0, max: 300 }\n      - { name: who, column: id, in: [a, b] }\n      - { lat: gps.lat, lon: gps.lon, onFail: flag }";
    let decoded = decoded(
        all,
        &[r#"{"v": 900, "id": "c", "gps": {"lat": 91, "lon": 0}}"#, r#"{"gps": {"lat": 91, "lon": 0}}"#],
    );
    let bad = &decoded.bad[0];
    assert_eq!((bad.code, bad.path.as_str()), ("expect.range", "$.v"));
    assert_eq!(
        bad.why,
        "expectation `v_range` failed: `v` is 900.0; expected from 0 to 300; expectation `who` failed: `id` is \"c\"; expected one of a, b"
    );
    assert_eq!(decoded.failed, [1, 1, 2]);
    let names = decoded.rows.column_by_name("_failed_expectations").unwrap();
    assert_eq!(arrow::util::display::array_value_to_string(names, 0).unwrap(), "[gps_lat_gps_lon_geo]");
}

#[test]
fn what_is_wrong_with_an_expectation_is_told_at_its_place() {
    for (expectation, told) in [
        ("{ column: sped, min: 0 }", "unknown column `sped`"),
        ("{ column: id, min: 0 }", "`id` is of type STRING, and this needs a number, a date or a time"),
        ("{ column: n, min: low }", "`low` is no value of `n`"),
        ("{ column: n, in: [1, x] }", "`x` is no value of `n`"),
        ("{ column: v, max: inf }", "`inf` is no value of `v`"),
        ("{ column: at, min: yesterday }", "yesterday"),
        ("{ column: n, pattern: x }", "`n` is of type INT"),
        ("{ column: id, pattern: '(x' }", "not a regular expression"),
        ("{ lat: id, lon: v }", "`id` is of type STRING"),
        (
            "{ column: id, key: id, time: at, maxRatePerSecond: 1 }",
            "`id` is of type STRING, and this needs a number",
        ),
        ("{ column: v, key: gps, time: at, maxRatePerSecond: 1 }", "this needs a text or an integer"),
        (
            "{ column: v, key: id, time: b, maxRatePerSecond: 1 }",
            "`b` is of type BOOLEAN, and this needs a time",
        ),
        ("{ column: v, key: ids, time: at, maxRatePerSecond: 1 }", "unknown column `ids`"),
        ("{ name: c, condition: v >> 1 }", "FB-4001"),
        ("{ name: c, condition: v + 1 }", "its type is DOUBLE"),
        ("{ name: c, condition: sped > 1 }", "sped"),
        ("{ name: c, condition: at < now() }", "not held to a clock"),
        ("{ name: c, condition: _kafka.offset > 1 }", "over the columns of the row alone"),
        ("{ name: c, condition: count(*) > 1 }", "error"),
    ] {
        let text = file(&format!("      - {expectation}"));
        let problems = load(&text, "p.yaml", None).err().unwrap_or_default();
        let printed = config::render(&problems, &text, "p.yaml", false);
        assert_eq!(problems.len(), 1, "{expectation}: {printed}");
        assert!(printed.contains(told) && printed.contains("p.yaml:10:"), "{expectation}: {printed}");
    }
    let text = file("      - { column: v, min: 0, onFail: flag }")
        .replace("id STRING", "_failed_expectations STRING");
    let problems = load(&text, "p.yaml", None).err().unwrap_or_default();
    assert!(
        config::render(&problems, &text, "p.yaml", false).contains("has a column `_failed_expectations`")
    );
}
