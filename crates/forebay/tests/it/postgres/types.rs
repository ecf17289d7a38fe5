//! Every type, into a table that is made and into one that somebody made: what comes out is what went in.

use serde_json::json;

use super::*;

const SCHEMA: &str = "id INT, flag BOOLEAN, tiny TINYINT, small SMALLINT, big BIGINT, single FLOAT, wide DOUBLE, special STRING, \
    amount DECIMAL(38,18), day DATE, at TIMESTAMP, raw BINARY, words ARRAY<STRING>, numbers ARRAY<INT>, \
    nested STRUCT<a: INT, b: STRING>, text STRING, uuid STRING, mood STRING";

/// `special` is what JSON has no number for; `clock` is what clocks show.
const SELECT: &str = "SELECT id, flag, tiny, small, big, single, wide, CAST(special AS DOUBLE) AS special, amount, day, at, \
    CAST(at AS TIMESTAMP_NTZ) AS clock, raw, words, numbers, nested, text, uuid, mood FROM events";

fn rows() -> Vec<Value> {
    vec![
        json!({ "id": 1, "flag": true, "tiny": 127, "small": 32767, "big": 9_223_372_036_854_775_807i64, "single": 3.4028235e38, "wide": 1.7976931348623157e308,
            "special": "NaN", "amount": "AMOUNT+", "day": "9999-12-31", "at": "2023-01-05 11:13:53.643364", "raw": "AAECAwD/", "words": ["a", "b\"c", null, "", "d,e", "{f}", "NULL"],
            "numbers": [1, null, -2147483648], "nested": { "a": 1, "b": "x\"y" }, "text": "🙈 ünï 'quoted' \"twice\" \\ back\ttab\nline", "uuid": "E3CB26D3-41b2-49a2-84f3-0156ed8d7502", "mood": "fine" }),
        json!({ "id": 2, "flag": false, "tiny": -128, "small": -32768, "big": i64::MIN, "single": 1.1754944e-38, "wide": 5e-324,
            "special": "Infinity", "amount": "AMOUNT-", "day": "0001-01-01", "at": "1969-12-31 23:59:59.999999", "raw": "", "words": [],
            "numbers": [], "nested": { "a": null, "b": null }, "text": "", "uuid": "00000000-0000-0000-0000-000000000000", "mood": "bad" }),
        json!({ "id": 3, "special": "-Infinity", "wide": -0.0, "amount": 0 }),
        json!({ "id": 4 }),
    ]
}

/// The rows as lines. A JSON number of 38 digits is beyond what the macro can write.
fn lines() -> Vec<String> {
    let digits = |sign: &str| format!("{sign}99999999999999999999.999999999999999999");
    let of = |row: &Value| {
        row.to_string().replace("\"AMOUNT+\"", &digits("")).replace("\"AMOUNT-\"", &digits("-"))
    };
    rows().iter().map(of).collect()
}

/// The values as PostgreSQL prints them, of each row by its id.
const EXPECTED: [(&str, [Option<&str>; 4]); 18] = [
    ("flag", [Some("t"), Some("f"), None, None]),
    ("tiny", [Some("127"), Some("-128"), None, None]),
    ("small", [Some("32767"), Some("-32768"), None, None]),
    ("big", [Some("9223372036854775807"), Some("-9223372036854775808"), None, None]),
    ("single", [Some("3.4028235e+38"), Some("1.1754944e-38"), None, None]),
    ("wide", [Some("1.7976931348623157e+308"), Some("5e-324"), Some("-0"), None]),
    ("special", [Some("NaN"), Some("Infinity"), Some("-Infinity"), None]),
    (
        "amount",
        [
            Some("99999999999999999999.999999999999999999"),
            Some("-99999999999999999999.999999999999999999"),
            Some("0.000000000000000000"),
            None,
        ],
    ),
    ("day", [Some("9999-12-31"), Some("0001-01-01"), None, None]),
    (
        "at AT TIME ZONE 'UTC'",
        [Some("2023-01-05 11:13:53.643364"), Some("1969-12-31 23:59:59.999999"), None, None],
    ),
    ("clock", [Some("2023-01-05 11:13:53.643364"), Some("1969-12-31 23:59:59.999999"), None, None]),
    ("raw", [Some("\\x0001020300ff"), Some("\\x"), None, None]),
    ("words", [Some(r#"{a,"b\"c",NULL,"","d,e","{f}","NULL"}"#), Some("{}"), None, None]),
    ("numbers", [Some("{1,NULL,-2147483648}"), Some("{}"), None, None]),
    ("nested ->> 'b'", [Some("x\"y"), None, None, None]),
    ("text", [Some("🙈 ünï 'quoted' \"twice\" \\ back\ttab\nline"), Some(""), None, None]),
    (
        "lower(uuid::text)",
        [
            Some("e3cb26d3-41b2-49a2-84f3-0156ed8d7502"),
            Some("00000000-0000-0000-0000-000000000000"),
            None,
            None,
        ],
    ),
    ("mood", [Some("fine"), Some("bad"), None, None]),
];

fn assert_values(server: &Postgres, table: &str) {
    for (column, expected) in EXPECTED {
        let found: Vec<Option<String>> = server
            .rows(&format!("SELECT {column} FROM {table} ORDER BY id"))
            .into_iter()
            .map(|mut row| row.remove(0))
            .collect();
        assert_eq!(found, expected.map(|value| value.map(str::to_owned)), "{table}.{column}");
    }
}

fn copy(log: &LogServer, server: &Postgres, table: &str, more: &[&str]) -> Query {
    let dbtable = format!("dbtable: {table}");
    let options = [&[&*dbtable], more].concat();
    let query = Query::new(&query_text(log.address, SCHEMA, SELECT, &server.url(), &options));
    query.run();
    assert!(query.quarantined().is_empty(), "{table}: {:#?}", query.quarantined());
    query
}

#[test]
fn every_type_comes_out_as_it_went_in() {
    let (log, server) = (LogServer::start(), Postgres::start());
    log.produce("events", &lines());
    copy(&log, &server, "made", &[]);
    assert_values(&server, "made");
    let types = "SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
                 WHERE attrelid = 'made'::regclass AND attnum > 0 ORDER BY attnum";
    let types: Vec<String> = server.rows(types).into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    let expected = [
        "id integer",
        "flag boolean",
        "tiny smallint",
        "small smallint",
        "big bigint",
        "single real",
        "wide double precision",
        "special double precision",
        "amount numeric(38,18)",
        "day date",
        "at timestamp with time zone",
        "clock timestamp without time zone",
        "raw bytea",
        "words text[]",
        "numbers integer[]",
        "nested jsonb",
        "text text",
        "uuid text",
        "mood text",
    ];
    assert_eq!(types, expected);
    // The same into the types that people choose, by COPY and over the stage of an upsert.
    server.run_as_forebay("CREATE TYPE mood AS ENUM ('fine', 'bad')");
    let chosen = "(id bigint PRIMARY KEY, flag bool, tiny int, small bigint, big numeric, single float4, wide float8, special float8,
        amount numeric, day date, at timestamptz, clock timestamp(6), raw bytea, words text[], numbers int[], nested json,
        text varchar(100), uuid uuid, mood mood)";
    for (table, more) in [("chosen", &[][..]), ("upserted", &["key: id", "writeMode: upsert"])] {
        server.run_as_forebay(&format!("CREATE TABLE {table} {chosen}"));
        copy(&log, &server, table, more);
        assert_values(&server, table);
    }
}

#[test]
fn numbers_get_wider_without_a_digit_changed() {
    let (log, server) = (LogServer::start(), Postgres::start());
    log.produce("events", &lines());
    server.run_as_forebay(
        "CREATE TABLE wider (id numeric(12,2), tiny bigint, small float8, big numeric(30,4), single float8)",
    );
    let sql = "SELECT id, tiny, small, big, single FROM events";
    let query = Query::new(&query_text(log.address, SCHEMA, sql, &server.url(), &["dbtable: wider"]));
    query.run();
    let found = server.rows("SELECT * FROM wider WHERE id < 3 ORDER BY id");
    let text = |row: [&str; 5]| row.map(|value| Some(value.to_owned())).to_vec();
    assert_eq!(
        found,
        [
            text(["1.00", "127", "32767", "9223372036854775807.0000", "3.4028234663852886e+38"]),
            text(["2.00", "-128", "-32768", "-9223372036854775808.0000", "1.1754943508222875e-38"]),
        ]
    );
}

/// An instant into a column of what clocks show: those of the pipeline's zone, as Spark writes it.
#[test]
fn an_instant_is_shown_by_the_clocks_of_the_pipelines_zone() {
    let (log, server) = (LogServer::start(), Postgres::start());
    log.produce("events", &["{\"id\": 1, \"at\": \"2023-07-01T12:00:00Z\"}".to_owned()]);
    server.run_as_forebay("CREATE TABLE t (id int, at timestamp)");
    let text = query_text(log.address, SCHEMA, "SELECT id, at FROM events", &server.url(), &["dbtable: t"]);
    for (zone, shown) in [("UTC", "2023-07-01 12:00:00"), ("Europe/Berlin", "2023-07-01 14:00:00")] {
        server.run_as_forebay("TRUNCATE t");
        Query::new(&text.replace("pipeline: copy\n", &format!("pipeline: copy\ntimeZone: {zone}\n"))).run();
        assert_eq!(server.one("SELECT at FROM t"), shown, "{zone}");
    }
}
