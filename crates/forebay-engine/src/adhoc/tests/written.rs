//! How answers are written: as a table, CSV and JSON lines, and as one JSON text of bounded size.

use arrow::array::{BinaryArray, Decimal128Array, TimestampMicrosecondArray};

use super::*;

#[test]
fn answers_are_written_exactly_and_safely() {
    let nested =
        Fields::from(vec![Field::new("x", DataType::Int64, true), Field::new("s", DataType::Utf8, true)]);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("big", Arc::new(Int64Array::from(vec![Some(i64::MAX), None])) as ArrayRef, true),
        (
            "price",
            Arc::new(
                Decimal128Array::from(vec![Some(12_345_678_901_234_567_890_123_i128), None])
                    .with_precision_and_scale(38, 4)
                    .unwrap(),
            ) as ArrayRef,
            true,
        ),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1_709_216_409_120_000), None]).with_timezone("UTC"),
            ) as ArrayRef,
            true,
        ),
        ("text", Arc::new(StringArray::from(vec![Some("a,\"b\"\n\u{1b}[31m"), None])) as ArrayRef, true),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(b"\x01\xff".as_slice()), None])) as ArrayRef, true),
        (
            "nested",
            Arc::new(StructArray::new(
                nested,
                vec![
                    Arc::new(Int64Array::from(vec![1, 2])),
                    Arc::new(StringArray::from(vec![Some("q\"}"), None])),
                ],
                Some(vec![true, false].into()),
            )) as ArrayRef,
            true,
        ),
    ])
    .unwrap();
    let render = |format| {
        let mut text = Vec::new();
        let mut renderer = Renderer::new(&mut text, format, batch.schema());
        renderer.write(&batch).unwrap();
        renderer.write(&batch.slice(0, 0)).unwrap();
        assert_eq!(renderer.finish().unwrap(), 2);
        String::from_utf8(text).unwrap()
    };
    let json = render(OutputFormat::Json);
    assert_eq!(
        json.lines().next().unwrap(),
        r#"{"big":9223372036854775807,"price":1234567890123456789.0123,"at":"2024-02-29T14:20:09.120Z","text":"a,\"b\"\n\u001b[31m","bytes":"01ff","nested":{"x":1,"s":"q\"}"}}"#
    );
    assert_eq!(
        json.lines().nth(1).unwrap(),
        r#"{"big":null,"price":null,"at":null,"text":null,"bytes":null,"nested":null}"#
    );
    let csv = render(OutputFormat::Csv);
    assert!(csv.starts_with("big,price,at,text,bytes,nested\n"), "{csv}");
    assert!(csv.contains(r#""{""x"":1,""s"":""q\""}""}""#), "{csv}");
    assert!(csv.ends_with(",,,,,\n"), "{csv}");
    let table = render(OutputFormat::Table);
    assert!(!table.contains('\u{1b}') && table.contains("\\u{1b}[31m"), "{table}");
    let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
    assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    // In a table NULL is a word and an empty text is empty, whatever stands beside it; nothing is put in quotes.
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(" x "), Some(""), None]));
    let texts = RecordBatch::try_from_iter_with_nullable([("a", texts, true)]).unwrap();
    for (format, expected) in [
        (OutputFormat::Table, "+------+\n| a    |\n+------+\n|  x   |\n|      |\n| NULL |\n+------+\n"),
        (OutputFormat::Csv, "a\n x \n\"\"\n\"\"\n"),
        (OutputFormat::Json, "{\"a\":\" x \"}\n{\"a\":\"\"}\n{\"a\":null}\n"),
    ] {
        let mut text = Vec::new();
        let mut renderer = Renderer::new(&mut text, format, texts.schema());
        renderer.write(&texts).unwrap();
        renderer.finish().unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
    let empty = Renderer::new(Vec::new(), OutputFormat::Csv, batch.schema()).finish();
    assert_eq!(empty.unwrap(), 0);
}

/// `forebay query --limit` shows a part of a batch.
#[test]
fn what_is_not_shown_is_not_judged() {
    let rows = "SELECT * FROM (VALUES (1, array(DATE '2024-01-01'), map('a', DATE '2024-01-01')), \
                (2, array(date_add(DATE '2024-01-01', 2000000000)), map('a', date_add(DATE '2024-01-01', 2000000000)))) \
                AS t(n, days, by_name) ORDER BY n";
    block(async {
        let answer = run(&tables(), None, rows, Takes::All, Limits::default(), 0).await.unwrap();
        let schema = Arc::clone(&answer.schema);
        let batches: Vec<RecordBatch> = answer.batches.try_collect().await.unwrap();
        let all = arrow::compute::concat_batches(&schema, &batches).unwrap();
        let written = |part: RecordBatch| {
            let mut renderer = Renderer::new(Vec::new(), OutputFormat::Json, Arc::clone(&schema));
            renderer.write(&part).and_then(|()| renderer.finish())
        };
        assert_eq!(written(all.slice(0, 1)).unwrap(), 1);
        assert!(written(all.slice(1, 1)).is_err());
    });
}

/// Arrow's writers would print the words of an error among the rows.
#[test]
fn a_date_beyond_what_can_be_written_is_an_error_with_a_code() {
    for value in [
        "date_add(DATE '2024-01-01', 2000000000)",
        "timestamp_seconds(9000000000000)",
        "array(date_add(DATE '2024-01-01', 2000000000))",
        "named_struct('d', timestamp_seconds(9000000000000))",
    ] {
        for format in [OutputFormat::Table, OutputFormat::Csv, OutputFormat::Json] {
            let refused = block(async {
                let sql = format!("SELECT {value} AS v");
                let answer = run(&tables(), None, &sql, Takes::All, Limits::default(), 0).await.unwrap();
                let schema = Arc::clone(&answer.schema);
                let batches: Vec<RecordBatch> = answer.batches.try_collect().await.unwrap();
                Renderer::new(Vec::new(), format, schema).write(&batches[0]).unwrap_err()
            });
            let ours = refused.downcast::<Error>().unwrap();
            assert_eq!(ours.code().id, "FB-4004", "{value}: {ours}");
            assert!(ours.message().contains("too far away"), "{value}: {ours}");
        }
    }
}

async fn collected(sql: &str, bounds: rows::Bounds) -> rows::Rows {
    let answer = run(&tables(), None, sql, Takes::Rows, Limits::default(), 0).await.unwrap();
    rows::collect(answer, bounds).await.unwrap()
}

#[tokio::test]
async fn an_answer_as_json_ends_at_its_bounds() {
    let wide = rows::Bounds { rows: 10, bytes: 1 << 20 };
    let sql = "SELECT Device_Id, n, temperature AS `a \"b\"` FROM readings ORDER BY n LIMIT 3";
    let all = collected(sql, wide).await;
    assert_eq!(all.json, "[[\"a\",1,20.0],[\"b\",2,75.5],[\"a\",3,21.0]]");
    assert_eq!((all.count, all.truncated), (3, false));
    assert_eq!(all.columns[1], ("n".to_owned(), "BIGINT".to_owned()));
    let short = collected(sql, rows::Bounds { rows: 2, ..wide }).await;
    assert_eq!((short.json.as_str(), short.truncated), ("[[\"a\",1,20.0],[\"b\",2,75.5]]", true));
    let narrow = collected(sql, rows::Bounds { bytes: 20, ..wide }).await;
    assert_eq!((narrow.count, narrow.truncated), (1, true));
    assert!(serde_json::from_str::<serde_json::Value>(&narrow.json).is_ok());
    // A row that is larger than the answer may be is not written at all.
    let large = "SELECT repeat('x', if(n = 1, 3, 60000)) FROM readings WHERE n < 4 ORDER BY n";
    let large = collected(large, rows::Bounds { bytes: 1_000, ..wide }).await;
    assert_eq!((large.json.as_str(), large.truncated), ("[[\"xxx\"]]", true));
    let none = collected("SELECT n FROM readings WHERE n < 0", wide).await;
    assert_eq!((none.json.as_str(), none.truncated), ("[]", false));
    let odd = collected("SELECT 'NaN'::double, '\\n\"' AS t FROM readings LIMIT 1", wide).await;
    assert_eq!(odd.json, "[[null,\"\\n\\\"\"]]");
}

/// An answer without rows would be a wrong one.
#[tokio::test]
async fn a_first_row_beyond_the_bounds_is_an_error() {
    for length in [100, 60_000] {
        let sql = format!("SELECT repeat('x', {length}) AS t FROM readings");
        let answer = run(&tables(), None, &sql, Takes::Rows, Limits::default(), 0).await.unwrap();
        let refused = rows::collect(answer, rows::Bounds { rows: 10, bytes: 50 }).await.unwrap_err();
        assert_eq!(refused.code(), &codes::QUERY_LIMIT, "{refused}");
    }
}
