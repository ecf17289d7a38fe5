//! `forebay demo devices`: what a person sees in its first minutes, and the files of devices beside its example.

use std::time::Duration;

use serde_json::Value;

use crate::support::*;

/// What is to be seen within the first minutes, each of it once at least.
#[derive(Debug, Default)]
struct Seen {
    alert_opened: bool,
    alert_cleared: bool,
    silent: bool,
    late: bool,
    late_readings: bool,
    late_rows: bool,
}

#[test]
fn the_demo_of_devices_opens_an_alert_and_has_late_events_and_a_silent_device() {
    let data = tempfile::tempdir().unwrap();
    let kafka = free_address().to_string();
    // A PostgreSQL that is not there, and is wanted: its queries wait, and nothing else does.
    let mut command = forebay(data.path(), &["--kafka", &kafka, "demo", "devices"]);
    command.env("FOREBAY_DEMO_POSTGRES", format!("postgresql://{}/none", free_address()));
    let mut demo = Process::spawn(&mut command);
    let http = demo.address("http");
    let ask = |path: &str| serde_json::from_str::<Value>(&get(http, path).1).unwrap_or_default();
    let mut seen = Seen::default();
    eventually("all that the demo promises", Duration::from_secs(150), || {
        let labels = ask("/api/v1/labels?source=fleet");
        seen.silent |= labels["quiet"].as_u64() > Some(0);
        seen.late |= labels["late"].as_u64() > Some(0);
        seen.late_readings |= labels["lateRows"].as_u64() > Some(0);
        assert!(labels["total"].as_u64() <= Some(6), "no reading without a device is one: {labels}");
        let is_any = |state: &str| {
            let alerts = ask(&format!("/api/v1/alerts?state={state}"));
            alerts["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty())
        };
        seen.alert_opened |= is_any("open");
        seen.alert_cleared |= is_any("cleared");
        let sql = "{\"sql\": \"SELECT count(*) AS n FROM late.device_status\"}";
        let rows: Value = serde_json::from_str(&post(http, "/api/v1/sql", sql).1).unwrap_or_default();
        seen.late_rows |= rows["rows"][0][0].as_u64() > Some(0);
        let Seen { alert_opened, alert_cleared, silent, late, late_readings, late_rows } = seen;
        alert_opened && alert_cleared && silent && late && late_readings && late_rows
    });
    let line = demo.wait_for(" records read · ", Duration::from_secs(10));
    assert!(line.chars().count() <= 120 && line.contains("postgres_events and 2 more retrying"), "{line}");
    demo.signal("TERM");
    demo.wait_for("the devices sent ", Duration::from_secs(20));
    assert!(demo.child.wait().unwrap().success());
    assert!(!demo.said.iter().any(|line| line.contains("DOES NOT BALANCE")), "{:?}", demo.said);
}

#[test]
fn a_demo_of_an_address_that_is_none_says_how_to_write_it() {
    let data = tempfile::tempdir().unwrap();
    let mut command = forebay(data.path(), &["demo", "devices", "--for", "1 second"]);
    let output = command.env("FOREBAY_DEMO_POSTGRES", "localhost:6290").output().unwrap();
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("FOREBAY_DEMO_POSTGRES"), "{said}");
    assert!(said.contains("postgresql://localhost:5432/forebay"), "{said}");
}

#[test]
fn the_files_of_devices_beside_the_example_can_be_played() {
    let log = LogServer::start();
    make_topic(log.address, "device_stream", 1);
    let (data, address, folder) = (tempfile::tempdir().unwrap(), log.address.to_string(), "examples/devices");
    let simulate = |more: &[&str]| {
        let args =
            ["simulate", "--bootstrap", &address, "--topic", "device_stream", "--rate", "0", "--seed", "7"];
        let mut command = forebay(data.path(), &[&args[..], more].concat());
        text(&succeed(command.current_dir(root())).stderr)
    };
    let late = format!("{folder}/late_data_samples.txt");
    let made = simulate(&["--device-files", folder, "--late-samples", &late, "--count", "200"]);
    assert!(made.contains("simulating 5 device(s) of 3 file(s) with 3 late one(s)"), "{made}");
    let samples = format!("{folder}/device_data_samples.txt");
    let played = simulate(&["--samples", &samples, "--late-samples", &late, "--shift"]);
    assert!(
        played.contains("playing 6 sample(s) and 3 late one(s)") && played.contains("9 message(s)"),
        "{played}"
    );
}
