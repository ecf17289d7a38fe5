//! The plant: the whole system of `examples/plant.yaml`, and the demo that shows it.

use std::time::Duration;

use serde_json::Value;

use crate::support::*;

/// The example with the address of a test's log.
fn plant_file(dir: &std::path::Path, kafka: std::net::SocketAddr) -> std::path::PathBuf {
    let text = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
    assert!(text.contains("localhost:9092"), "the example reads from the embedded log's address");
    let file = dir.join("plant.yaml");
    std::fs::write(&file, text.replace("localhost:9092", &kafka.to_string())).unwrap();
    file
}

#[test]
fn the_plant_runs_from_one_file_with_the_log_inside() {
    let data = tempfile::tempdir().unwrap();
    let kafka = free_address();
    let file = plant_file(data.path(), kafka);
    let mut command = forebay(data.path(), &["--kafka", &kafka.to_string(), "run", file.to_str().unwrap()]);
    let mut process = Process::spawn(&mut command);
    let http = process.address("http");
    assert_eq!(process.address("kafka"), kafka, "the log is inside the process");
    let bootstrap = kafka.to_string();
    let simulate = [
        "simulate",
        "--bootstrap",
        &bootstrap,
        "--count",
        "2000",
        "--rate",
        "0",
        "--seed",
        "7",
        "--corrupt",
        "0.02",
    ];
    let said = text(&succeed(&mut forebay(data.path(), &simulate)).stderr);
    let number = |before: &str| -> u64 {
        let at = said.find(before).unwrap_or_else(|| panic!("no `{before}` in {said}"));
        said[..at].split_whitespace().last().unwrap().parse().unwrap()
    };
    let (hot, corrupt) = (number("above 70"), number("corrupt"));
    assert!(hot > 200 && corrupt > 10, "{said}");
    eventually("all records", Duration::from_secs(30), || {
        let ledger: Value = serde_json::from_str(&get(http, "/api/v1/ledger").1).unwrap();
        ["lake", "hot", "minutes"].iter().all(|name| ledger["queries"][name]["read"] == 2000)
    });
    // A reading of the minute after next: the minutes before it are over.
    let table = data.path().join("data/iot_data");
    eventually("the readings", Duration::from_secs(20), || {
        table_rows(data.path(), &table).len() as u64 == 2000 - corrupt
    });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let later = format!(
        r#"{{"device_id": "device_1", "temperature": 20, "humidity": 30, "timestamp": {}}}"#,
        now + 130
    );
    produce(kafka, "iot_topic", &[later]);
    let minutes = data.path().join("data/iot_minutes");
    let told = |table: &std::path::Path, what: &str, rest: &str| {
        let table = table.display();
        query(data.path(), &format!("SELECT {what} FROM delta.`{table}` {rest} ORDER BY device_id, minute"))
    };
    let of_readings = "date_trunc('minute', timestamp_seconds(timestamp))";
    let expected = told(
        &table,
        &format!("{of_readings} AS minute, device_id, AVG(temperature) AS mean, MAX(humidity) AS most"),
        &format!("WHERE timestamp <= {now} GROUP BY {of_readings}, device_id"),
    );
    assert!(expected.len() >= 3, "{expected:?}");
    eventually("each device's minutes", Duration::from_secs(30), || {
        minutes.join("_delta_log").exists() && table_rows(data.path(), &minutes).len() >= expected.len()
    });
    let minutes = told(&minutes, "minute, device_id, avg_temperature AS mean, max_humidity AS most", "");
    assert_eq!(minutes.len(), expected.len(), "{minutes:?}");
    for (minute, expected) in minutes.iter().zip(&expected) {
        for same in ["minute", "device_id", "most"] {
            assert_eq!(minute[same], expected[same], "{minute} {expected}");
        }
        // Sums of doubles depend on the order of the rows in the last digits.
        let difference = minute["mean"].as_f64().unwrap() - expected["mean"].as_f64().unwrap();
        assert!(difference.abs() < 1e-9, "{minute} {expected}");
    }
    let (ended_well, printed) = process.stop();
    assert!(ended_well);
    assert_eq!(printed.matches("| device_").count() as u64, hot, "every alert is on the screen");
    assert_eq!(table_rows(data.path(), &table).len() as u64, 2000 - corrupt + 1);
    for name in ["lake", "hot", "minutes"] {
        let ledger = &last_commit(data.path(), "plant", name)["ledger"];
        assert_eq!(ledger["quarantined"].as_u64(), Some(corrupt), "{name}: {ledger}");
    }
    // The analyst's query of the plant, with the table's path written as the plant's authors write it.
    let sql = format!(
        "SELECT device_id, AVG(temperature) AS avg_temp, MAX(humidity) AS max_humidity FROM delta.{}/ GROUP BY device_id",
        table.display()
    );
    let rows = query(data.path(), &sql);
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.iter().all(|row| (20.0..80.0).contains(&row["avg_temp"].as_f64().unwrap())));
}

#[test]
fn the_demo_shows_a_living_plant() {
    let data = tempfile::tempdir().unwrap();
    let kafka = free_address().to_string();
    let mut command = forebay(data.path(), &["--kafka", &kafka, "demo", "--for", "50 seconds"]);
    let mut demo = Process::spawn(&mut command);
    let http = demo.address("http");
    eventually("an alert opens by itself and clears", Duration::from_secs(60), || {
        let alerts: Value = serde_json::from_str(&get(http, "/api/v1/alerts?state=cleared").1).unwrap();
        let lasted =
            |alert: &Value| alert["clearedAt"].as_i64().unwrap() - alert["openedAt"].as_i64().unwrap();
        let cleared = alerts["alerts"].as_array().unwrap();
        assert!(cleared.iter().all(|alert| (1_000..60_000).contains(&lasted(alert))), "{alerts}");
        !cleared.is_empty()
    });
    demo.signal("TERM");
    demo.wait_for("the devices sent ", Duration::from_secs(20));
    let mut printed = String::new();
    std::io::Read::read_to_string(&mut demo.child.stdout.take().unwrap(), &mut printed).unwrap();
    assert!(demo.child.wait().unwrap().success());
    assert!(printed.contains("Batch: ") && printed.contains("device_"), "{printed}");
    demo.wait_for("(balances)", Duration::from_secs(1));
    assert!(!demo.said.iter().any(|line| line.contains("DOES NOT BALANCE")), "{:?}", demo.said);
    let table = data.path().join("demo/plant/data/iot_data");
    assert!(table_rows(data.path(), &table).len() > 100, "{:?}", demo.said);
}
