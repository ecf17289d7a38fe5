//! Devices that a view makes of events, over REST: their latest status, by customer and status, before and after a restart.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::*;

/// Follows a view that makes a row of each device of an event.
fn file(dir: &Path, bootstrap: SocketAddr) -> PathBuf {
    let text = format!(
        "pipeline: fleet\nsources:\n  device_stream:\n    format: kafka\n\
         \x20   options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: device_stream, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: |\n      eventId STRING, customerId STRING,\n\
         \x20     data STRUCT<devices: ARRAY<STRUCT<deviceId: STRING, temperature: DOUBLE, status: STRING>>>\n\
         views:\n  devices: SELECT eventId, customerId, d.deviceId, d.temperature, d.status FROM device_stream LATERAL VIEW explode(data.devices) t AS d\n\
         queries:\n  lake: {{ sql: SELECT * FROM devices, format: delta, options: {{ path: table }} }}\n\
         dashboard:\n  views:\n    devices: {{ key: deviceId, labels: [customerId, status], quietAfter: 1 hour }}\n"
    );
    let path = dir.join("fleet.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

/// An event of a customer with devices, each with a temperature and a status.
fn event(id: u32, customer: &str, devices: &[(&str, f64, &str)]) -> String {
    let devices: Vec<Value> = devices
        .iter()
        .map(|(device, temperature, status)| json!({ "deviceId": device, "temperature": temperature, "status": status }))
        .collect();
    json!({ "eventId": format!("e{id}"), "customerId": customer, "data": { "devices": devices } }).to_string()
}

fn asked(http: SocketAddr, path: &str) -> Value {
    let (status, body) = get(http, &format!("/api/v1/{path}"));
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The devices of an answer with their statuses.
fn told(http: SocketAddr, query: &str) -> Vec<(String, String)> {
    let page = asked(http, &format!("devices?source=devices{query}"));
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let devices = page["devices"].as_array().unwrap().iter();
    devices.map(|device| (text(&device["key"]), text(&device["values"]["status"]))).collect()
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, status)| ((*key).to_owned(), (*status).to_owned())).collect()
}

#[test]
fn the_latest_status_of_each_device_of_an_event_is_told_by_customer_and_status_also_after_a_restart() {
    let log = LogServer::start();
    let data = tempfile::tempdir().unwrap();
    let file = file(data.path(), log.address);
    log.produce(
        "device_stream",
        &[
            event(1, "C1", &[("D1", 15.0, "ERROR"), ("D2", 16.0, "SUCCESS")]),
            "{\"eventId\": \"cut".to_owned(),
            event(2, "C2", &[]),
            event(3, "C2", &[("D3", 30.0, "STANDBY")]),
            event(4, "C1", &[("D1", 17.0, "SUCCESS"), ("D2", 18.0, "ERROR")]),
        ],
    );
    for run in 0..2 {
        let arguments = ["run", file.to_str().unwrap(), "--trigger", "default"];
        let mut process = Process::spawn(&mut forebay(data.path(), &arguments));
        let http = process.address("http");
        let last = named(&[("D1", "SUCCESS"), ("D2", "ERROR"), ("D3", "STANDBY")]);
        eventually("the devices", Duration::from_secs(30), || told(http, "") == last);
        assert_eq!(told(http, "&where=customerId:C1&where=status:ERROR"), named(&[("D2", "ERROR")]));
        assert_eq!(told(http, "&where=status:ERROR&where=status:STANDBY").len(), 2);
        let labels = asked(http, "labels?source=devices&where=customerId:C1");
        assert_eq!((&labels["total"], &labels["quiet"]), (&json!(2), &json!(0)));
        assert_eq!(
            labels["labels"][0]["values"].as_array().unwrap().len(),
            2,
            "another customer can be chosen"
        );
        let shares = asked(http, "shares?source=devices&field=status&range=24h");
        let sum = |of: &Value| of["count"].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>();
        let counts: Vec<u64> = shares["series"].as_array().unwrap().iter().map(sum).collect();
        assert_eq!(counts, [2, 1, 2], "each row once in run {run}: {shares}");
        let history = asked(http, "history?source=devices&field=temperature&range=24h&key=D1&points=1");
        let series = &history["series"][0];
        assert_eq!((&series["mean"], &series["count"]), (&json!([16.0]), &json!([2])));
        // What one device said, from the topic through the view that takes arrays apart, and from the table.
        let expected = json!([["e4", 17.0, "SUCCESS"], ["e1", 15.0, "ERROR"]]);
        let path = "device/history?source=devices&key=D1&time=eventId&fields=status,temperature";
        assert_eq!(asked(http, path)["rows"], expected);
        for table in ["lake", "LAKE"] {
            let path = format!(
                "device/history?source=devices&key=D1&table={table}&time=eventId&fields=status,temperature"
            );
            eventually("the rows are in the table", Duration::from_secs(30), || {
                asked(http, &path)["rowCount"] == 2
            });
            let said = asked(http, &path);
            assert_eq!((&said["rows"], &said["truncated"]), (&expected, &json!(false)), "{table}");
            let one = asked(http, &format!("{path}&where=status:ERROR"));
            assert_eq!(one["rows"], json!([["e1", 15.0, "ERROR"]]), "{table}");
            assert_eq!(asked(http, &format!("{path}&limit=1"))["truncated"], true);
        }
        let schema = asked(http, "schema");
        let source = &schema["sources"][0];
        assert_eq!((&source["name"], &source["reads"]), (&json!("devices"), &json!("device_stream")));
        assert_eq!(schema["sources"].as_array().unwrap().len(), 1, "its records are shown once");
        assert!(process.stop().0);
    }
}
