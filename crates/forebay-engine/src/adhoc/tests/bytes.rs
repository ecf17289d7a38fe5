//! Functions over columns as tables have them: bytes as views, and areas that records bring.

use arrow::array::{BinaryViewArray, StringViewArray};

use super::*;

fn asked(sql: &str) -> String {
    let bytes: [Option<&[u8]>; 4] = [Some(b"hello"), Some(&[0, 255, 16]), Some(b""), None];
    let square = "POLYGON((0 0, 4 0, 4 4, 0 4, 0 0))";
    let areas = [Some(square), Some("POLYGON((0 0, 4 0"), Some(square), None];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("b", Arc::new(BinaryViewArray::from_iter(bytes))),
        ("area", Arc::new(StringViewArray::from_iter(areas))),
        ("x", Arc::new(Float64Array::from(vec![1.0, 1.0, 9.0, 1.0]))),
    ];
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let table = Tables(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap()));
    match ask_of(&table, sql, OutputFormat::Csv, Limits::default()) {
        Ok(text) => text.trim_end().split('\n').skip(1).collect::<Vec<_>>().join("; "),
        Err(error) => format!("{error} | {}", error.hint()),
    }
}

#[test]
fn bytes_of_a_column_are_taken_as_spark_takes_them() {
    for (call, gives) in [
        ("hex(b)", "68656C6C6F; 00FF10; ; "),
        ("hex(concat(b, b))", "68656C6C6F68656C6C6F; 00FF1000FF10; ; "),
        ("hex(X'0a')", "0A; 0A; 0A; 0A"),
        ("unhex(hex(b)) = b", "true; true; true; "),
        ("octet_length(b)", "5; 3; 0; "),
        ("bit_length(b)", "40; 24; 0; "),
        ("bit_length(X'0a')", "8; 8; 8; 8"),
        ("octet_length(base64(b))", "8; 4; 0; "),
        ("length(b)", "5; 3; 0; "),
        ("base64(b)", "aGVsbG8=; AP8Q; \"\"; "),
        ("substring(hex(sha1(b)), 1, 4)", "6161; 6131; 6461; "),
        ("crc32(b)", "907060870; 1909601284; 0; "),
        ("cast(substring(b, 1, 2) AS STRING) = 'he'", "true; false; false; "),
        // What they took before.
        ("hex(octet_length('Ä') * 128)", "100; 100; 100; 100"),
        ("hex('Az')", "417A; 417A; 417A; 417A"),
        ("hex(1.9)", "1; 1; 1; 1"),
    ] {
        let got = asked(&format!("SELECT {call} AS r FROM readings"));
        let bare = |text: &str| text.replace("\"\"", "").trim_end().to_owned();
        assert_eq!(bare(&got), bare(gives), "{call}");
    }
    let refused = asked("SELECT hex(array(1)) FROM readings");
    assert!(refused.contains("FB-4002") || refused.contains("cannot call hex"), "{refused}");
}

#[test]
fn a_text_of_a_record_that_is_no_area_gives_null_and_one_that_is_written_out_is_refused() {
    let got = asked("SELECT st_within(x, 1.0, area) AS i FROM readings");
    assert_eq!(got.replace("\"\"", "").trim_end(), "true; ; false;");
    let found = asked(
        "SELECT count(*) AS c FROM readings WHERE area IS NOT NULL AND st_covers(area, st_point(x, 1.0)) IS NULL",
    );
    assert_eq!(found, "1");
    for written in ["'POLYGON((0 0'", "concat('POLY', 'GONE')"] {
        let refused = asked(&format!("SELECT st_within(x, 1.0, {written}) FROM readings"));
        assert!(refused.contains("this is no area"), "{refused}");
    }
}
