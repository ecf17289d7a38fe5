//! Queries and the rows they give: names, expressions, Spark's meanings.

use super::*;

/// NULL is empty in CSV, and `""` where the line would be empty otherwise.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(sql, expected)| {
            let got = outcome(sql);
            (got != *expected).then(|| format!("{sql}\n  expected {expected}\n  got      {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn names_are_found_whatever_their_case_and_keep_what_was_written() {
    check(&[
        ("SELECT device_id FROM iot WHERE temperature > 70", "device_id; b"),
        ("select DEVICE_ID from IOT where Temperature > 70", "DEVICE_ID; b"),
        ("SELECT `Device_Id` FROM `Iot` AS X WHERE x.TEMPERATURE > 70", "Device_Id; b"),
        ("SELECT devicename FROM iot WHERE timestamp = -1", "devicename;  42 "),
        ("SELECT Iot.DeviceName AS N FROM iot WHERE device_id = 'a'", "N; Pump"),
        ("SELECT place.HALL, place.row FROM iot WHERE device_id = 'a'", "HALL,row; 1,x"),
        ("SELECT i.place.hall h FROM iot i WHERE i.device_id = \"a\"", "h; 1"),
        ("SELECT x.Y FROM (SELECT temperature AS y FROM iot) x WHERE y > 70", "Y; 75.0"),
        ("WITH T AS (SELECT device_id d FROM iot) SELECT D FROM t WHERE d = 'a'", "D; a"),
        ("WITH t (q) AS (SELECT device_id FROM iot) SELECT Q FROM t WHERE q = 'a'", "Q; a"),
        ("SELECT ID FROM hot_ids", "ID; b"),
        ("SELECT h.* FROM Hot_Ids h", "Id,temperature; b,75.0"),
    ]);
}

#[test]
fn stars_expand_as_in_spark() {
    check(&[
        (
            "SELECT * EXCEPT (tags, PROPS, place, price, at, big) FROM iot WHERE device_id = 'a'",
            "device_id,temperature,humidity,timestamp,deviceName; a,20.5,40.0,1700000000,Pump",
        ),
        ("SELECT place.* FROM iot WHERE device_id = 'a'", "hall,Row; 1,x"),
        ("SELECT I.PLACE.* FROM iot i WHERE device_id = 'b'", "hall,Row; ,y"),
        (
            "SELECT device_id, _kafka.offset, _kafka.Topic t FROM iot WHERE device_id = 'a'",
            "device_id,offset,t; a,100,iot_topic",
        ),
        ("SELECT offset, topic FROM raw WHERE offset > 100", "offset,topic; 101,iot_topic; 102,iot_topic"),
    ]);
    let names = |sql: &str| -> Vec<String> {
        planned(sql).unwrap().output_schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    assert!(!names("SELECT * FROM iot").contains(&"_kafka".to_owned()));
    assert_eq!(names("SELECT * FROM iot").len(), schema().fields().len());
    assert_eq!(names("SELECT * FROM (SELECT *, _kafka FROM iot)").last().unwrap(), "_kafka");
    assert_eq!(names("SELECT * FROM raw").len(), 7);
    assert_eq!(names("SELECT * FROM with_headers").len(), 8);
}

#[test]
fn star_and_plain_columns_share_their_buffers() {
    let plan = planned("SELECT * FROM iot").unwrap();
    let batch = input(&plan);
    let out = plan.executor(0).process(batch.clone(), &mut Fates::default()).unwrap();
    assert_eq!(batch.num_columns(), out.num_columns());
    for (before, after) in batch.columns().iter().zip(out.columns()) {
        assert!(Arc::ptr_eq(before, after));
    }
    let plan = planned("SELECT place.row FROM iot").unwrap();
    let out = plan.executor(0).process(batch.slice(0, 2), &mut Fates::default()).unwrap();
    let place = batch.slice(0, 2).column(5).as_struct().column(1).clone();
    assert_eq!(place.to_data().buffers()[0].as_ptr(), out.column(0).to_data().buffers()[0].as_ptr());
}

#[test]
fn the_seed_job_runs() {
    let sql = "SELECT data.* FROM (SELECT from_json(CAST(value AS STRING), \
               'device_id STRING, temperature DOUBLE, humidity DOUBLE, timestamp INT') AS data FROM raw)";
    check(&[
        (sql, "device_id,temperature,humidity,timestamp; a,20.5,40.0,1700000000; b,75.0,,-1; ,,,"),
        (
            "SELECT Data.Temperature FROM (SELECT from_json(CAST(value AS STRING), 'temperature DOUBLE', map('mode', 'PERMISSIVE')) data FROM raw) WHERE DATA.temperature > 70",
            "Temperature; 75.0",
        ),
        (
            "SELECT from_json(string(value), 'temperature DOUBLE').temperature t FROM raw WHERE offset = 100",
            "t; 20.5",
        ),
        (
            "SELECT from_json(deviceName, 'a INT', map('mood', 'x')) FROM iot",
            "FB-1003 unknown option `mood` | SQL line 1, column 8 | Did you mean `mode`? Known: mode.",
        ),
    ]);
    assert!(
        outcome("SELECT from_json(deviceName, 'a WHAT') FROM iot")
            .starts_with("FB-1006 from_json cannot read its schema")
    );
    assert!(
        outcome("SELECT from_json(deviceName, device_id) FROM iot")
            .starts_with("FB-4002 from_json needs its schema")
    );
}

#[test]
fn bytes_become_text_without_failing() {
    check(&[
        ("SELECT CAST(key AS STRING), topic FROM raw", "key,topic; k1,iot_topic; ,iot_topic; k3,iot_topic"),
        ("SELECT string(value) v FROM raw WHERE offset = 102", "v; \u{fffd}{"),
    ]);
}

#[test]
fn columns_without_alias_are_named_as_in_spark() {
    for (item, name) in [
        ("temperature", "temperature"),
        ("CAST(temperature AS INT)", "temperature"),
        ("(device_id)", "device_id"),
        ("temperature + 1", "(temperature + 1)"),
        ("upper(device_id)", "upper(device_id)"),
        ("UPPER(Device_ID)", "upper(Device_ID)"),
        ("temperature > 70 AND humidity IS NULL", "((temperature > 70) AND (humidity IS NULL))"),
        ("tags[0]", "tags[0]"),
        ("props['k']", "props[k]"),
        ("'x'", "x"),
        ("-temperature", "(- temperature)"),
        ("round(temperature, 1)", "round(temperature, 1)"),
        (
            "CASE WHEN temperature > 70 THEN 'hot' ELSE 'ok' END",
            "CASE WHEN (temperature > 70) THEN hot ELSE ok END",
        ),
        ("current_timestamp()", "current_timestamp()"),
        ("device_id NOT RLIKE 'x'", "(NOT RLIKE(device_id, x))"),
    ] {
        let plan = planned(&format!("SELECT {item} FROM iot")).unwrap();
        assert_eq!(plan.output_schema().field(0).name(), name, "{item}");
    }
}

#[test]
fn arithmetic_and_comparison_follow_ansi_spark() {
    check(&[
        ("SELECT timestamp / 2 x FROM iot WHERE device_id = 'b'", "x; -0.5"),
        ("SELECT 7 / 2 x, 7 div 2 y, 7 % 4 z FROM iot WHERE device_id = 'b'", "x,y,z; 3.5,3,3"),
        ("SELECT 1 + 6 div 4 * 2 x FROM iot WHERE device_id = 'b'", "x; 3"),
        ("SELECT temperature / 0 x FROM iot WHERE temperature IS NULL", "x; \"\""),
        ("SELECT try_divide(temperature, 0) x FROM iot WHERE device_id = 'b'", "x; \"\""),
        ("SELECT CAST('12' AS INT) x, try_cast('x' AS INT) y FROM iot WHERE device_id = 'b'", "x,y; 12,"),
        ("SELECT CAST(deviceName AS INT) x FROM iot WHERE device_id = 'b'", "x; 42"),
        ("SELECT int('7') + 1 x FROM iot WHERE device_id = 'b'", "x; 8"),
        ("SELECT temperature * 1.8 + 32 f FROM iot WHERE device_id = 'b'", "f; 167.0"),
        ("SELECT 0.1 + 0.2 x, 1e1 y FROM iot WHERE device_id = 'b'", "x,y; 0.3,10.0"),
        ("SELECT price * 2 x FROM iot WHERE price < 0", "x; -0.10"),
        ("SELECT device_id FROM iot WHERE humidity <=> NULL AND device_id IS NOT NULL", "device_id; b"),
        ("SELECT device_id FROM iot WHERE NOT (temperature > 70)", "device_id; a"),
        ("SELECT device_id FROM iot WHERE device_id IN ('a', 'c')", "device_id; a"),
        ("SELECT device_id FROM iot WHERE deviceName LIKE 'P%' OR device_id RLIKE '^b$'", "device_id; a; b"),
        (
            "SELECT device_id FROM iot WHERE deviceName NOT RLIKE 'um' OR device_id REGEXP '^A'",
            "device_id; b",
        ),
        ("SELECT device_id FROM iot WHERE temperature BETWEEN 20 AND 21", "device_id; a"),
    ]);
    let types =
        planned("SELECT timestamp + 1 a, timestamp / 1 b, temperature + 1 c, temperature + 0.5 d FROM iot")
            .unwrap();
    let types: Vec<DataType> = types.output_schema().fields().iter().map(|f| f.data_type().clone()).collect();
    assert_eq!(types, [DataType::Int32, DataType::Float64, DataType::Float64, DataType::Float64]);
}

#[test]
fn rounding_a_decimal_leaves_the_digits_that_were_asked_for() {
    for (item, value, data_type) in [
        ("round(2.345, 2)", "2.35", DataType::Decimal128(4, 2)),
        ("round(-2.345, 2)", "-2.35", DataType::Decimal128(4, 2)),
        ("round(9.99, 1)", "10.0", DataType::Decimal128(3, 1)),
        ("round(price)", "2", DataType::Decimal128(9, 0)),
        ("round(price, 5)", "1.50", DataType::Decimal128(11, 2)),
        ("round(155.5, -1)", "160", DataType::Decimal128(4, 0)),
        ("round(temperature, 0)", "21.0", DataType::Float64),
        ("round(big, -1)", "9223372036854775810", DataType::Int64),
    ] {
        let sql = format!("SELECT {item} x FROM iot WHERE device_id = 'a'");
        assert_eq!(planned(&sql).unwrap().output_schema().field(0).data_type(), &data_type, "{item}");
        let got = outcome(&sql);
        match item {
            // Rounding the largest number up fails rather than wrapping around.
            "round(big, -1)" => assert!(got.starts_with("FB-4004"), "{got}"),
            _ => assert_eq!(got, format!("x; {value}"), "{item}"),
        }
    }
}

#[test]
fn times_count_in_their_unit_on_both_sides_of_1970() {
    check(&[(
        "SELECT unix_seconds(at) s, unix_millis(at) ms, unix_micros(at) us, CAST(at AS BIGINT) c FROM iot",
        "s,ms,us,c; 1709216409,1709216409120,1709216409120000,1709216409; -1,-1,-1000,-1; ,,,",
    )]);
}

#[test]
fn a_number_cannot_make_a_value_that_fills_the_memory() {
    for call in [
        "repeat('x', 2000000000)",
        "space(2000000000)",
        "lpad(device_id, 2000000000, '.')",
        "rpad('x', timestamp)",
        "array_repeat(1, 2000000000)",
        "array_repeat(array_repeat(1, 60000), 60000)",
        "format_string('%2000000000d', timestamp)",
    ] {
        let text = outcome(&format!("SELECT size(array({call})) FROM iot WHERE device_id = 'a'"));
        assert!(text.starts_with("FB-4004") && text.contains("at most 65536 are possible"), "{call}: {text}");
    }
    check(&[
        ("SELECT length(repeat(device_id, 60000)) n FROM iot WHERE device_id = 'a'", "n; 60000"),
        (
            "SELECT rpad(device_id, -5) n, size(array_repeat(device_id, 3)) m FROM iot WHERE device_id = 'a'",
            "n,m; ,3",
        ),
        ("SELECT format_string('%05d|%s', 42, device_id) n FROM iot WHERE device_id = 'a'", "n; 00042|a"),
    ]);
}

#[test]
fn failing_expressions_fail_the_query_in_plain_words() {
    for (sql, part) in [
        ("SELECT big + 1 FROM iot", "overflow"),
        ("SELECT 1 / 0 FROM iot", "division by zero"),
        ("SELECT timestamp div 0 FROM iot", "divide by zero"),
        ("SELECT timestamp % 0 FROM iot", "divide by zero"),
        ("SELECT CAST(device_id AS INT) FROM iot", "cannot cast"),
        ("SELECT to_timestamp(device_id, 'yyyy') FROM iot", "does not fit its date pattern"),
    ] {
        let text = outcome(sql);
        assert!(text.starts_with("FB-400"), "{sql}: {text}");
        assert!(text.to_lowercase().contains(part), "{sql}: {text}");
    }
}

#[test]
fn nested_values_are_reached_as_in_spark() {
    check(&[
        ("SELECT tags[0] x, tags[1] y, size(tags) n FROM iot WHERE device_id = 'a'", "x,y,n; t0,t1,2"),
        ("SELECT tags[5] x FROM iot WHERE device_id = 'a'", "x; \"\""),
        ("SELECT props['k'] x, props['none'] y FROM iot WHERE device_id = 'a'", "x,y; 7,"),
        ("SELECT props.k x FROM iot WHERE device_id = 'a'", "x; 7"),
        ("SELECT place.hall FROM iot", "hall; 1; \"\"; \"\""),
        ("SELECT place['hall'] h FROM iot WHERE device_id = 'a'", "h; 1"),
        ("SELECT s.B FROM (SELECT named_struct('a', 1, 'b', device_id) s FROM iot) WHERE s.b = 'a'", "B; a"),
        (
            "SELECT s.device_id, s.col2 FROM (SELECT struct(device_id, 5) s FROM iot) WHERE s.device_id = 'a'",
            "device_id,col2; a,5",
        ),
        ("SELECT array(1, 2)[1] x FROM iot WHERE device_id = 'a'", "x; 2"),
        ("SELECT split('a|b', '\\\\|')[1] x FROM iot WHERE device_id = 'a'", "x; b"),
    ]);
}

#[test]
fn gaps_of_sessions_are_read_row_by_row() {
    check(&[
        ("SELECT `__gap`(concat(timestamp, ' seconds')) g FROM iot WHERE timestamp = -1", "g; -1000000"),
        (
            "SELECT `__gap`(INTERVAL 1 DAY) g, `__gap`(NULL) h FROM iot WHERE timestamp = -1",
            "g,h; 86400000000,",
        ),
    ]);
    let text = outcome("SELECT `__gap`(deviceName) g FROM iot WHERE device_id = 'a'");
    assert!(text.starts_with("FB-4004") && text.contains("session_window"), "{text}");
}
