//! Records that give no row, as rows: of every class of bad input, through `examples/fleet.yaml` into PostgreSQL and Delta.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use forebay_connectors::kafka::{Client, ClientConfig, NewRecord, Producer, ProducerConfig};
use forebay_core::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::*;
use crate::vehicles::fleet_file;

/// A record and what becomes of it: the code under which it is invalid, none if it is a report.
struct Case {
    /// Its class in the list of trials.
    class: u8,
    payload: Option<Vec<u8>>,
    code: Option<&'static str>,
}

const WHOSE: &str = r#""car_id": "CAR-1", "event_timestamp": "2026-01-05 11:13:53""#;

/// A report with these fields.
fn report(fields: &str) -> Vec<u8> {
    format!("{{{WHOSE}, {fields}}}").into_bytes()
}

/// A report of this time.
fn timed(time: &str) -> Vec<u8> {
    format!(r#"{{"car_id": "CAR-1", "event_timestamp": {time}}}"#).into_bytes()
}

/// A report of this car.
fn of_car(car: &[u8]) -> Vec<u8> {
    [&br#"{"event_timestamp": "2026-01-05 11:13:53", "car_id": ""#[..], car, &br#""}"#[..]].concat()
}

/// The classes of bad input that a record can be of, syntax, values and time, some several times.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |class: u8, code: Option<&'static str>, payload: Vec<u8>| {
        cases.push(Case { class, payload: Some(payload), code });
    };
    let whole = report(r#""speed_kmph": 87.5"#);
    let text = String::from_utf8(whole.clone()).unwrap();
    let (syntax, truncated, kind) = (Some("json.syntax"), Some("json.truncated"), Some("json.type"));
    add(1, Some("json.empty"), Vec::new());
    add(3, Some("json.empty"), b" \n\t ".to_vec());
    add(4, truncated, br#"{"car_id": "CAR-1", "event_time"#.to_vec());
    add(4, truncated, br#"{"car_id": "CAR-1","#.to_vec());
    add(5, truncated, br#"{"car_id": "CAR-1", "speed_kmph": 8"#.to_vec());
    add(5, truncated, br#"{"car_id": "CAR-\u00"#.to_vec());
    add(5, Some("json.utf8"), b"{\"car_id\": \"CAR-\xc3".to_vec());
    add(6, syntax, format!("{{{WHOSE},}}").into_bytes());
    add(7, Some("json.trailing"), [whole.clone(), whole.clone()].concat());
    add(8, Some("json.trailing"), [whole.clone(), b" garbage".to_vec()].concat());
    add(9, truncated, br#"{"car_id": "CAR-1", "trip_id": "left "#.to_vec());
    add(9, syntax, br#"right", "event_timestamp": "2026-01-05 11:13:53"}"#.to_vec());
    for scalar in [format!("[{text}]"), "\"THIS_IS_NOT_JSON\"".to_owned(), "12".to_owned(), "null".to_owned()]
    {
        add(10, Some("json.not_object"), scalar.into_bytes());
    }
    add(11, syntax, b"{'car_id': 'CAR-1'}".to_vec());
    add(11, syntax, format!("{{{WHOSE} /* a remark */}}").into_bytes());
    for value in ["NaN", "Infinity", "-Infinity", "0x1F"] {
        add(11, syntax, report(&format!("\"speed_kmph\": {value}")));
    }
    for value in ["012", "-", "1.", ".5", "1e", "+1"] {
        add(12, syntax, report(&format!("\"speed_kmph\": {value}")));
    }
    add(13, syntax, [b"\xef\xbb\xbf".to_vec(), whole.clone()].concat());
    add(14, syntax, text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    add(14, syntax, text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    add(15, syntax, of_car(b"CAR\x00"));
    add(15, syntax, of_car(b"CAR\x1f"));
    // As JSON may write it, which no text of PostgreSQL takes.
    add(15, Some("expect.pattern"), report(r#""trip_id": "z\u0000""#));
    add(15, Some("expect.pattern"), report(r#""message_key": "z\u0000""#));
    add(16, Some("json.utf8"), of_car(b"CAR\xff"));
    add(16, Some("json.utf8"), of_car(b"CAR\xc0\xaf"));
    add(17, syntax, of_car(br"CAR\ud800"));
    add(17, syntax, of_car(br"CAR\udc00"));
    add(18, Some("json.depth"), report(&format!("\"deep\": {}{}", "[".repeat(10_000), "]".repeat(10_000))));
    // As long as a message may be: as the name of a car, and where nobody reads it.
    add(19, Some("expect.pattern"), of_car(&b"x".repeat(900_000)));
    add(19, None, report(&format!("\"note\": \"{}\"", "x".repeat(900_000))));
    let unknown: Vec<String> = (0..10_000).map(|field| format!("\"field_{field}\": {field}")).collect();
    add(20, None, report(&unknown.join(", ")));
    add(21, Some("expect.range"), report("\"speed_kmph\": 99999999999999999999"));
    add(22, Some("json.range"), report("\"speed_kmph\": 1e309"));
    add(22, None, report("\"speed_kmph\": -0.0"));
    add(22, None, report("\"speed_kmph\": 1e-400"));
    add(23, None, report("\"speed_kmph\": 87.123456789012345678901234567891"));
    add(24, kind, report("\"speed_kmph\": \"87\""));
    add(24, kind, report("\"trip_id\": 5"));
    add(24, kind, report("\"speed_kmph\": true"));
    add(25, Some("json.required"), br#"{"event_timestamp": "2026-01-05 11:13:53"}"#.to_vec());
    add(25, Some("json.required"), br#"{"car_id": null, "event_timestamp": "2026-01-05 11:13:53"}"#.to_vec());
    add(26, Some("json.duplicate_key"), report("\"speed_kmph\": 1, \"speed_kmph\": 1"));
    add(27, None, report(r#""": 1, "car.id": 2, "car id": 3, "\u0061": 4"#));
    add(28, kind, report("\"speed_kmph\": []"));
    add(28, kind, report("\"speed_kmph\": {\"now\": 1}"));
    add(29, None, report(&format!("\"list\": [{}0]", "0,".repeat(400_000))));
    for (code, value) in [(None, "87.5"), (kind, "\"fast\""), (None, "88")] {
        add(30, code, report(&format!("\"speed_kmph\": {value}")));
    }
    add(31, kind, report("\"engine_temp_c\": \"NaN\""));
    for time in ["1767611633", "1767611633000", "1767611633000000", "1767611633000000000"] {
        add(32, kind, timed(time));
    }
    for time in ["2026-01-05T11:13:53Z", "2026-01-05T11:13:53+03:00", "2026-01-05T11:13:53"] {
        add(33, None, timed(&json!(time).to_string()));
    }
    for time in ["2026-01-05 24:00:00", "2016-12-31T23:59:60Z", "2025-02-29 00:00:00"] {
        add(33, Some("json.range"), timed(&json!(time).to_string()));
    }
    add(33, Some("json.format"), timed("\"yesterday\""));
    for time in ["1970-01-01 00:00:00", "2038-01-19 03:14:08", "9999-12-31 23:59:59", "1969-12-31 23:59:59"] {
        add(34, None, timed(&json!(time).to_string()));
    }
    for hours in [1, 24 * 365] {
        let ahead = SystemClock.now_ms() + hours * 3_600_000;
        let told = forebay_core::progress::iso_millis(ahead);
        add(35, None, timed(&json!(told).to_string()));
    }
    add(36, None, timed("\"2001-01-01 00:00:00\""));
    for _ in 0..2 {
        add(37, None, whole.clone());
    }
    add(38, Some("json.required"), timed("null"));
    add(38, Some("json.required"), br#"{"car_id": "CAR-1"}"#.to_vec());
    // What the file expects beyond the types.
    for value in
        ["\"fuel_level\": 100.5", "\"fuel_level\": -1", "\"engine_temp_c\": 301", "\"engine_rpm\": -1"]
    {
        add(0, Some("expect.range"), report(value));
    }
    for car in [&b""[..], b"two words", b"CAR\\n1"] {
        add(39, Some("expect.pattern"), of_car(car));
    }
    cases.push(Case { class: 2, payload: None, code: Some("json.null") });
    cases
}

async fn produce_all(bootstrap: SocketAddr, payloads: &[Option<Vec<u8>>]) {
    let raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), bootstrap.to_string())]);
    let client = Client::connect(ClientConfig::from_options(&raw).unwrap()).await.unwrap();
    let config = ProducerConfig::from_client(client.config()).unwrap();
    let producer = Producer::new(client, config);
    for payload in payloads {
        let record = NewRecord::value("raw_telemetry", b"", SystemClock.now_ms());
        let record =
            NewRecord { partition: Some(0), key: Some(b"CAR\x00-1"), value: payload.as_deref(), ..record };
        producer.send(record).await.unwrap();
    }
    producer.flush().await.unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// What a table of invalid records says of each offset: code and bytes.
type Told = BTreeMap<usize, (String, Option<String>)>;

fn once(rows: Vec<(String, String, Option<String>)>) -> Told {
    let count = rows.len();
    let told: Told =
        rows.into_iter().map(|(offset, code, raw)| (offset.parse().unwrap(), (code, raw))).collect();
    assert_eq!(told.len(), count, "a record is there twice");
    told
}

fn in_delta(data: &Path) -> Told {
    let path = data.join("data/fleet/corrupt_records");
    let sql =
        format!("SELECT CAST(kafka_offset AS STRING) AS at, error_code, raw FROM delta.`{}`", path.display());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let row = |row: Value| {
        let bytes = text(&row["raw"]).map(|hex| hex.to_uppercase());
        (text(&row["at"]).unwrap(), text(&row["error_code"]).unwrap(), bytes)
    };
    once(query(data, &sql).into_iter().map(row).collect())
}

fn in_postgres(postgres: &Postgres) -> Told {
    let sql = "SELECT kafka_offset, error_code, upper(encode(raw, 'hex')) FROM corrupt_records";
    let row = |row: Vec<Option<String>>| {
        let [at, code, raw] = <[_; 3]>::try_from(row).unwrap();
        (at.unwrap(), code.unwrap(), raw)
    };
    once(postgres.rows(sql).into_iter().map(row).collect())
}

/// The example, reading what is there and then ending.
fn example(data: &Path, log: &LogServer, postgres: &Postgres) -> PathBuf {
    let file = fleet_file(data, &log.address.to_string(), &postgres.url());
    let earliest = std::fs::read_to_string(&file).unwrap().replace("Offsets: latest", "Offsets: earliest");
    std::fs::write(&file, earliest).unwrap();
    file
}

#[test]
fn a_record_of_every_class_that_is_no_report_is_in_the_tables_of_invalid_ones_with_its_bytes() {
    let (data, postgres, log) = (tempfile::tempdir().unwrap(), Postgres::start(), LogServer::start());
    let cases = cases();
    for class in 1..=38 {
        assert!(cases.iter().any(|case| case.class == class), "class {class} is not tried");
    }
    // Each stands between two good neighbours.
    let neighbour = |index: usize| {
        Some(format!(r#"{{"trip_id": "neighbour-{index}", {WHOSE}, "speed_kmph": 50}}"#).into_bytes())
    };
    let each = cases.iter().enumerate();
    let mut payloads: Vec<_> =
        each.flat_map(|(index, case)| [neighbour(index), case.payload.clone()]).collect();
    payloads.push(neighbour(cases.len()));
    tokio::runtime::Runtime::new().unwrap().block_on(produce_all(log.address, &payloads));
    let file = example(data.path(), &log, &postgres);
    let args = ["run", file.to_str().unwrap(), "--trigger", "availableNow"];
    let run = succeed(forebay(data.path(), &args).env("PGPASSWORD", POSTGRES_PASSWORD));
    assert!(!text(&run.stderr).contains("DOES NOT BALANCE"), "{}", text(&run.stderr));

    let expected: Told = cases
        .iter()
        .enumerate()
        .filter_map(|(index, case)| {
            let bytes = case.payload.as_deref().map(hex);
            Some((2 * index + 1, (case.code?.to_owned(), bytes)))
        })
        .collect();
    for (place, found) in [("Delta", in_delta(data.path())), ("PostgreSQL", in_postgres(&postgres))] {
        for (index, case) in cases.iter().enumerate() {
            let at = 2 * index + 1;
            let shown =
                case.payload.as_deref().map(|bytes| bytes[..bytes.len().min(90)].escape_ascii().to_string());
            let code = |told: &Told| told.get(&at).map(|(code, _)| code.clone());
            assert_eq!(code(&found), code(&expected), "class {} in {place}: {shown:?}", case.class);
            assert!(
                found.get(&at) == expected.get(&at),
                "class {} in {place}: other bytes: {shown:?}",
                case.class
            );
        }
        assert_eq!(found.len(), expected.len(), "{place}: no neighbour is among them");
    }
    // The others are reports, each once, in both tables; and each record is in one kind of table.
    let reports = (payloads.len() - expected.len()) as u64;
    assert_eq!(postgres.count("device_data"), reports);
    assert_eq!(postgres.one("SELECT count(DISTINCT kafka_offset) FROM device_data"), reports.to_string());
    let neighbours = "SELECT count(DISTINCT trip_id) FROM device_data WHERE trip_id LIKE 'neighbour-%' AND speed_kmph = 50";
    assert_eq!(postgres.one(neighbours), (cases.len() + 1).to_string());
    assert_eq!(table_rows(data.path(), &data.path().join("data/fleet/device_data")).len() as u64, reports);
    let both = "SELECT count(*) FROM device_data d JOIN corrupt_records c USING (kafka_offset)";
    assert_eq!(postgres.one(both), "0");
    // The quarantine of the table of reports says the same of the same records.
    let listed = ["quarantine", "ls", "--query", "device_data", "--format", "json"];
    let listed = text(&succeed(&mut forebay(data.path(), &listed)).stdout);
    let aside = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let aside: BTreeMap<usize, String> = aside
        .map(|it| (it["offset"].as_u64().unwrap() as usize, it["code"].as_str().unwrap().to_owned()))
        .collect();
    let codes: BTreeMap<usize, String> =
        expected.iter().map(|(offset, (code, _))| (*offset, code.clone())).collect();
    assert_eq!(aside, codes);
    // People read texts: what is no text is made one, and nothing that PostgreSQL would refuse was lost for it.
    let nul = "SELECT count(*) FROM corrupt_records WHERE value_str LIKE '%CAR␀%' AND message_key = 'CAR␀-1'";
    assert_eq!(postgres.one(nul), "1");
    let ledger = last_commit(data.path(), "fleet", "postgres_corrupt_records")["ledger"].clone();
    let counts =
        ["read", "emitted", "filtered", "quarantined", "dropped"].map(|name| ledger[name].as_u64().unwrap());
    assert_eq!(counts, [payloads.len() as u64, expected.len() as u64, reports, 0, 0]);
}

#[test]
fn what_a_source_drops_or_stops_at_is_invalid_too_and_what_it_flags_is_not() {
    let log = LogServer::start();
    let record = |vin: &str, speed: u32| format!(r#"{{"vin": "{vin}", "speed": {speed}}}"#);
    log.produce(
        "cars",
        &[record("a", 1), record("b", 150), record("c", 250), record("d", 350), "{".to_owned()],
    );
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("cars.yaml");
    let text = format!(
        "pipeline: fleet\nsources:\n  cars:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: cars, startingOffsets: earliest }}\n\
         \x20   value: json\n    mode: FAILFAST\n    schema: vin STRING, speed DOUBLE\n    expect:\n\
         \x20     - {{ name: fast, column: speed, max: 100, onFail: flag }}\n      - {{ name: faster, column: speed, max: 200, onFail: drop }}\n\
         \x20     - {{ name: fastest, column: speed, max: 300, onFail: fail }}\n  refused: {{ invalidOf: Cars }}\n\
         queries:\n  lake:\n    sql: SELECT code, path, why, CAST(value AS STRING) AS text, _kafka.offset AS at FROM refused\n    format: delta\n    options: {{ path: lake }}\n    trigger: availableNow\n",
        log.address
    );
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    succeed(&mut forebay(data.path(), &["run", path]));
    let mut rows = table_rows(data.path(), &data.path().join("lake"));
    rows.sort_by_key(|row| row["at"].as_u64());
    let told: Vec<Value> =
        rows.iter().map(|row| json!([row["at"], row["code"], row["path"], row["text"]])).collect();
    let range = |at: u32, vin: &str, speed: u32| json!([at, "expect.range", "$.speed", record(vin, speed)]);
    assert_eq!(told, [range(2, "c", 250), range(3, "d", 350), json!([4, "json.truncated", "$", "{"])]);
    let why = rows[1]["why"].as_str().unwrap();
    assert!(why.contains("`faster` failed") && why.contains("`fastest` failed: `speed` is 350.0"), "{why}");
    // Whoever asks for them by name sees the same, and what they are is kept with the query.
    let sql = "SELECT count(*) AS n FROM refused WHERE code = 'expect.range'";
    let asked = succeed(&mut forebay(data.path(), &["query", sql, "--pipeline", path, "--format", "csv"]));
    assert_eq!(crate::support::text(&asked.stdout).trim(), "n\n2");
}
