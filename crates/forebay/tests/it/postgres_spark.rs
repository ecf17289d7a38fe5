//! Spark as the oracle of what is in PostgreSQL: the seed's own job (`tests/oracle/devices_job.py`, Spark and pgjdbc) and a
//! pipeline file read the same topic, and leave the same rows.

use std::fmt::Write;
use std::path::Path;

use crate::kafka::ApacheKafka;
use crate::spark::{jars, spark_home};
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

/// Rows that take the place of others, in the tables of a schema: the last row of a device, and how many it has.
fn upserts(log: &LogServer, url: &str, schema: &str) -> String {
    let sink = |table: &str, more: &str| {
        format!(
            "    format: postgres\n    trigger: availableNow\n    options:\n      url: {url}\n      user: forebay\n      password: ${{{PASSWORD_VARIABLE}}}\n      \
             dbtable: '{schema}.{table}'\n{more}"
        )
    };
    format!(
        "pipeline: upserts\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: 50 }}\n\
         \x20   value: json\n    schema: {PROOF_SCHEMA}\n\
         queries:\n  last:\n    sql: SELECT device AS Device, seq AS n, hash FROM events\n{}\
         \x20 counts:\n    sql: SELECT device, count(*) AS n, max(seq) AS newest FROM events GROUP BY device\n    outputMode: update\n{}",
        log.address,
        sink("\"Last\"", "      key: Device\n      writeMode: upsert\n"),
        sink("counts", ""),
    )
}

/// The same file as Spark's job, submitted to a real Spark, and by Forebay: the tables are equal, and a batch that Spark comes again
/// with changes nothing.
#[test]
fn a_submitted_job_replaces_rows_by_key_once() {
    let (log, server, data) = (LogServer::start(), Postgres::start(), tempfile::tempdir().unwrap());
    server.run_as_forebay("CREATE SCHEMA ours; CREATE SCHEMA theirs");
    make_topic(log.address, "events", 1);
    log.produce("events", &proof_events(220));
    let spark = data.path().join("spark");
    let submit = || {
        let file = data.path().join("theirs.yaml");
        std::fs::write(&file, upserts(&log, &server.url(), "theirs")).unwrap();
        let pgjdbc = spark_home().ancestors().nth(6).unwrap().join("pgjdbc/jars");
        let pgjdbc = std::fs::read_dir(pgjdbc).unwrap().map(|jar| jar.unwrap().path().display().to_string());
        let jars = [vec![jars()], pgjdbc.collect()].concat().join(",");
        let file = file.to_str().unwrap();
        let args = [
            "spark",
            file,
            "--submit",
            "--master",
            "local[2]",
            "--",
            "--jars",
            &jars,
            "--driver-memory",
            "1g",
        ];
        let mut command = with_password(forebay(&spark, &args));
        command.env("SPARK_HOME", spark_home()).env("SPARK_LOCAL_IP", "127.0.0.1").env_remove("FOREBAY_DATA");
        succeed(&mut command);
    };
    submit();
    let file = data.path().join("ours.yaml");
    std::fs::write(&file, upserts(&log, &server.url(), "ours")).unwrap();
    succeed(&mut with_password(forebay(data.path(), &["run", file.to_str().unwrap()])));
    let rows = |whose: &str, table: &str| {
        server.rows(&format!("SELECT r::text FROM {whose}.{table} AS r ORDER BY 1"))
    };
    for table in ["\"Last\"", "counts"] {
        assert_eq!(rows("theirs", table), rows("ours", table), "{table}");
        assert_eq!(rows("ours", table).len(), 7, "{table}: a row for each device");
    }
    assert_eq!(server.one("SELECT sum(n) FROM theirs.counts"), "220");
    assert_eq!(
        server.one("SELECT count(*) FROM theirs.forebay_spark_epochs WHERE epoch = 4"),
        "2",
        "five batches each"
    );
    // As after a crash behind the transaction: Spark does not know of its last batch.
    let commits = spark.join("spark-checkpoints/upserts/last/commits");
    for name in ["4", ".4.crc"] {
        let _ = std::fs::remove_file(Path::new(&commits).join(name));
    }
    server.run_as_forebay("UPDATE theirs.\"Last\" SET n = -1");
    submit();
    assert_eq!(
        server.one("SELECT count(*) FROM theirs.\"Last\" WHERE n = -1"),
        "7",
        "nothing was written again"
    );
    assert!(commits.join("4").exists(), "the batch came again");
    log.produce("events", &proof_events(230)[220..]);
    submit();
    assert_eq!(server.one("SELECT count(*) FROM theirs.\"Last\" WHERE n >= 220"), "7");
    assert_eq!(server.one("SELECT sum(n) FROM theirs.counts"), "230");
}
