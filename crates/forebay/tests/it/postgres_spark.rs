//! Spark as the oracle of what is in PostgreSQL: the seed's own job (`tests/oracle/devices_job.py`, Spark and pgjdbc) and a
//! pipeline file read the same topic, and leave the same rows.

use std::fmt::Write;

use crate::kafka::ApacheKafka;
use crate::support::*;

/// The table of the seed, with the one thing that cannot be as it is there: an event of two devices is two rows, so the key
/// is the event and the device.
const EVENTS: &str = "(eventId UUID, customerId VARCHAR(20), eventOffset BIGINT, eventPublisher VARCHAR(50), eventTime TIMESTAMP,
    deviceId VARCHAR(20), measure VARCHAR(10), status VARCHAR(20), temperature FLOAT, PRIMARY KEY (eventId, deviceId))";

const STATUS: &str = "(window_start TIMESTAMP, window_end TIMESTAMP, status VARCHAR(20), events BIGINT, PRIMARY KEY (window_start, status))";

/// Events as the seed's devices send them: several devices in one, one, none, no list; text and numbers as they come.
fn device_events(count: u32, seed: u64) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut micros = 1_672_917_233_643_364u64;
    let event = |number: u32| {
        micros += random.u64(0..2_000_000);
        let at =
            chrono::DateTime::from_timestamp_micros(micros as i64).unwrap().format("%Y-%m-%d %H:%M:%S%.6f");
        let mut devices = String::new();
        for device in 0..random.u32(0..4) {
            let between = if device == 0 { "" } else { "," };
            let temperature = ["15", "-3.25", "null", "1e2", "36.600000000000001"][random.usize(0..5)];
            let status = ["SUCCESS", "ERROR", "STANDBY", "größe \\\"ü\\\" 🙈"][random.usize(0..4)];
            write!(
                devices,
                r#"{between}{{"deviceId":"D{device:03}","temperature":{temperature},"measure":"C","status":"{status}"}}"#
            )
            .unwrap();
        }
        let data = match number % 50 {
            7 => "null".to_owned(),
            8 => r#"{"devices":null}"#.to_owned(),
            _ => format!(r#"{{"devices":[{devices}]}}"#),
        };
        let id = uuid::Builder::from_random_bytes(random.u128(..).to_le_bytes()).into_uuid();
        format!(
            r#"{{"eventId":"{id}","eventOffset":{},"eventPublisher":"device","customerId":"CI{:05}","data":{data},"eventTime":"{at}"}}"#,
            10_000 + number,
            random.u32(100..200),
        )
    };
    (0..count).map(event).collect()
}

/// The pipeline file of the job.
fn pipeline(bootstrap: &str, url: &str) -> String {
    let sink = |table: &str| {
        format!(
            "    format: postgres\n    options:\n      url: {url}\n      user: forebay\n      password: ${{{PASSWORD_VARIABLE}}}\n      dbtable: {table}\n"
        )
    };
    format!(
        "pipeline: devices\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: device_stream, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: >-\n      eventId STRING, eventOffset BIGINT, eventPublisher STRING, customerId STRING,\n\
         \x20     data STRUCT<devices: ARRAY<STRUCT<deviceId: STRING, temperature: DOUBLE, measure: STRING, status: STRING>>>,\n      eventTime TIMESTAMP\n\
         \x20   watermark: {{ column: eventTime, delay: 10 seconds }}\n\
         queries:\n  rows:\n    sql: >-\n      SELECT eventId, customerId, eventOffset, eventPublisher, eventTime, d.deviceId, d.measure, d.status, d.temperature\n\
         \x20     FROM events LATERAL VIEW explode(data.devices) t AS d\n{}\
         \x20 status:\n    sql: >-\n      SELECT window.start AS window_start, window.end AS window_end, d.status, count(*) AS events\n\
         \x20     FROM events LATERAL VIEW explode(data.devices) t AS d GROUP BY window(eventTime, '1 minute'), d.status\n{}",
        sink("ours_events"),
        sink("ours_status")
    )
}

#[test]
fn sparks_job_and_the_pipeline_file_leave_the_same_rows_in_postgresql() {
    let (kafka, server, data) = (ApacheKafka::start(), Postgres::start(), tempfile::tempdir().unwrap());
    for whose in ["ours", "theirs"] {
        server.run_as_forebay(&format!(
            "CREATE TABLE {whose}_events {EVENTS}; CREATE TABLE {whose}_status {STATUS}"
        ));
    }
    make_topic(kafka.address, "device_stream", 3);
    produce(kafka.address, "device_stream", &device_events(5_000, 6));
    let bootstrap = kafka.address.to_string();
    let file = data.path().join("devices.yaml");
    std::fs::write(&file, pipeline(&bootstrap, &server.url())).unwrap();
    let run = ["run", file.to_str().unwrap(), "--trigger", "availableNow"];
    succeed(&mut with_password(forebay(data.path(), &run)));
    let url = server.url();
    let args = [
        "tests/oracle/devices_job.py",
        "--bootstrap",
        &bootstrap,
        "--topic",
        "device_stream",
        "--url",
        &url,
        "--user",
        "forebay",
        "--events",
        "theirs_events",
        "--status",
        "theirs_status",
    ];
    let password = [("FOREBAY_POSTGRES_PASSWORD", POSTGRES_PASSWORD)];
    let said = run_script_with("scripts/services/spark-python.sh", &args, &password);
    assert!(said.contains("OK written"), "{said}");
    for (table, least) in [("events", 5_000), ("status", 100)] {
        let count = server.count(&format!("theirs_{table}"));
        assert!(count >= least, "{table}: only {count} rows were compared");
        let of = |whose: &str| server.rows(&format!("SELECT r::text FROM {whose}_{table} AS r ORDER BY 1"));
        let (ours, theirs) = (of("ours"), of("theirs"));
        let differ = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
        assert_eq!(differ, None, "{table}: the first row that differs");
        assert_eq!(ours.len(), theirs.len(), "{table}");
    }
    // Each row once, though the sums of both would be the same with one lost and another doubled.
    let sql = "SELECT count(*) FROM (TABLE ours_events EXCEPT ALL TABLE theirs_events) AS d";
    assert_eq!(server.one(sql), "0");
}
