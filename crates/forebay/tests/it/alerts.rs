//! Alerts over real runs: they open and clear by the records' time, each once, whatever dies when.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use forebay_storage::lines;
use serde_json::Value;

use crate::support::*;

/// A pipeline that watches a topic of readings: the alert `high` opens above 70 and clears below 65.
struct Watch {
    log: LogServer,
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Watch {
    /// Over a topic of so many partitions; `more` is what else the alert says.
    fn new(partitions: i32, more: &str) -> Self {
        let (log, dir) = (LogServer::start(), tempfile::tempdir().unwrap());
        make_topic(log.address, "events", partitions);
        let alert = format!("on: events, key: device, when: reading > 70, clear: reading < 65{more}");
        let file = pipeline(dir.path(), &log, "device STRING, reading DOUBLE", 1_000, &alert);
        Self { log, dir, file }
    }

    fn data(&self) -> &Path {
        self.dir.path()
    }

    /// The file by name, as a command takes it.
    fn name(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn produce(&self, readings: &[(&str, f64)]) {
        let lines = readings
            .iter()
            .map(|(device, reading)| format!("{{\"device\": \"{device}\", \"reading\": {reading}}}"));
        self.log.produce("events", &lines.collect::<Vec<_>>());
    }

    /// Runs it to its end; what it said.
    fn run(&self) -> String {
        run(self.data(), &self.file)
    }

    /// The same of a run that must fail.
    fn fails(&self) -> String {
        let output = runs(self.data(), &self.file).output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{said}");
        said
    }

    /// Device and state of each transition.
    fn told(&self) -> Vec<String> {
        let word = |alert: &Value, field: &str| alert[field].as_str().unwrap().to_owned();
        let told = |alert: &Value| format!("{} {}", word(alert, "key"), word(alert, "state"));
        transitions(self.data()).iter().map(told).collect()
    }
}

fn pipeline(dir: &Path, log: &LogServer, schema: &str, per_epoch: u64, alert: &str) -> PathBuf {
    let file = dir.join("watch.yaml");
    let text = format!(
        "pipeline: watch\n\
         sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: {per_epoch} }}\n\
         \x20   value: json\n    schema: {schema}\n\
         queries:\n  screen:\n    sql: SELECT * FROM events WHERE device = 'nobody'\n    format: console\n    trigger: availableNow\n\
         alerts:\n  high: {{ {alert} }}\n",
        log.address
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The command that runs the alert on what is there.
fn runs(data: &Path, file: &Path) -> Command {
    forebay(data, &["run", file.to_str().unwrap(), "--trigger", "availableNow", "--query", "alerts/high"])
}

/// Runs it to its end; what it said.
fn run(data: &Path, file: &Path) -> String {
    text(&succeed(&mut runs(data, file)).stderr)
}

/// Runs it until the second time that it comes to a kill point; true if it died there.
fn dies_at(data: &Path, file: &Path, point: &str, mode: &str) -> bool {
    let mut command = runs(data, file);
    died_there(armed(&mut command, &format!("{point}:2"), mode).output().unwrap().status)
}

/// Every transition in the journal of the alert, in its order. Its files are small enough that none was left out by a
/// snapshot.
fn transitions(data: &Path) -> Vec<Value> {
    let bytes = std::fs::read(data.join("checkpoints/watch/alerts.high/alerts")).unwrap();
    let (journal, _) = lines::read_up_to("forebay-alerts", 2, &bytes).unwrap();
    let mut found = Vec::new();
    for line in journal.texts {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(entry.get("snapshot").is_none(), "this test needs every entry");
        found.extend(entry["epoch"]["transitions"].as_array().cloned().unwrap_or_default());
    }
    found
}

#[test]
fn alerts_open_and_clear_while_it_runs_and_stay_open_over_a_restart() {
    let watch = Watch::new(2, ", severity: critical, message: \"{device}: {reading} °C\"");
    let args = ["run", watch.name(), "--trigger", "default"];
    let mut process = Process::spawn(&mut forebay(watch.data(), &args));
    let http = process.address("http");
    assert!(get(http, "/api/v1/queries").1.contains("\"alerts/high\""));
    watch.produce(&[("press-1", 60.0), ("press-1", 71.5), ("press-2", 71.0)]);
    eventually("both alerts", Duration::from_secs(20), || watch.told().len() == 2);
    watch.produce(&[("press-2", 68.0), ("press-1", 72.0), ("press-2", 64.0)]);
    eventually("one cleared", Duration::from_secs(20), || watch.told().len() == 3);
    process.signal("TERM");
    process.wait_for("open alerts: 1 (press-1: 71.5 °C)", Duration::from_secs(20));
    assert!(process.child.wait().unwrap().success());

    let said = watch.run();
    assert!(said.contains("open alerts: 1 (press-1: 71.5 °C)"), "nothing new came: {said}");
    watch.produce(&[("press-1", 1.0)]);
    let said = watch.run();
    assert!(!said.contains("open alerts"), "{said}");
    let all = transitions(watch.data());
    let mut last: BTreeMap<&str, &Value> = BTreeMap::new();
    for alert in &all {
        last.insert(alert["id"].as_str().unwrap(), alert);
    }
    assert_eq!((all.len(), last.len()), (4, 2), "{all:#?}");
    let alert = last.values().find(|alert| alert["key"] == "press-1").unwrap();
    assert_eq!((&alert["severity"], &alert["source"]), (&"critical".into(), &"events".into()));
    assert_eq!(alert["value"], serde_json::json!({ "reading": 71.5 }));
    assert_eq!(alert["clearedValue"], serde_json::json!({ "reading": 1.0 }));
    assert!(alert["clearedAt"].as_i64() >= alert["openedAt"].as_i64(), "{alert}");
}

#[test]
fn a_condition_must_hold_for_its_time_by_the_records_clock() {
    let watch = Watch::new(1, ", for: 1 second");
    watch.produce(&[("a", 75.0)]);
    std::thread::sleep(Duration::from_millis(1_300));
    watch.produce(&[("a", 76.0), ("b", 75.0)]);
    std::thread::sleep(Duration::from_millis(1_300));
    watch.run();
    assert_eq!(watch.told(), ["a open"], "no record says that b was hot for a second");
    watch.produce(&[("b", 60.0), ("b", 75.0)]);
    watch.run();
    std::thread::sleep(Duration::from_millis(1_300));
    watch.produce(&[("b", 77.0)]);
    watch.run();
    assert_eq!(watch.told(), ["a open", "b open"]);
    let opened = &transitions(watch.data())[1];
    assert_eq!(opened["value"]["reading"], 77.0, "the record that filled the time: {opened}");
}

const EVENTS: u64 = 3_000;

/// What so many [`proof_events`] must give where an alert is open in the second half of each `period` of them: device, number of
/// the event that opened, number of the one that cleared.
pub(crate) fn expected(events: u64, period: u64) -> Vec<(String, u64, Option<u64>)> {
    let mut open: BTreeMap<u64, u64> = BTreeMap::new();
    let mut alerts = Vec::new();
    for seq in 0..events {
        let device = seq % 7;
        match (seq % period >= period / 2, open.get(&device)) {
            (true, None) => drop(open.insert(device, seq)),
            (false, Some(opened)) => {
                alerts.push((format!("d{device}"), *opened, Some(seq)));
                open.remove(&device);
            }
            _ => {}
        }
    }
    alerts.extend(open.into_iter().map(|(device, opened)| (format!("d{device}"), opened, None)));
    alerts.sort();
    alerts
}

/// What is in the journal; panics if an alert opened or cleared twice.
pub(crate) fn found(data: &Path, context: &str) -> Vec<(String, u64, Option<u64>)> {
    let mut alerts: BTreeMap<String, (String, u64, Option<u64>)> = BTreeMap::new();
    for alert in transitions(data) {
        let id = alert["id"].as_str().unwrap().to_owned();
        let number = |field: &str| alert[field]["seq"].as_u64();
        let opened = number("value").unwrap();
        match number("clearedValue") {
            None => {
                let new = (alert["key"].as_str().unwrap().to_owned(), opened, None);
                assert!(alerts.insert(id.clone(), new).is_none(), "{context}: {id} opened twice");
            }
            Some(cleared) => {
                let known = alerts.get_mut(&id).unwrap_or_else(|| panic!("{context}: {id} never opened"));
                assert_eq!(known.2.replace(cleared), None, "{context}: {id} cleared twice");
            }
        }
    }
    let mut alerts: Vec<_> = alerts.into_values().collect();
    alerts.sort();
    alerts
}

#[test]
fn every_kill_point_leaves_each_transition_once() {
    let log = LogServer::start();
    make_topic(log.address, "events", 3);
    // By key: the events of a device are in one partition, in their order.
    let events: Vec<String> =
        proof_events(EVENTS).iter().enumerate().map(|(seq, event)| format!("d{}|{event}", seq % 7)).collect();
    produce_with(log.address, "events", &events, &["--key-separator", "|"]);
    let expected = expected(EVENTS, 100);
    assert!(expected.len() > 150, "{}", expected.len());
    let points = epoch_points(&["sink.alert.commit."]);
    assert_eq!(points.len(), 12, "{points:?}");
    for point in points {
        for mode in ["kill", "lose"] {
            let data = tempfile::tempdir().unwrap();
            let context = format!("{point} {mode}");
            let alert = "on: events, key: device, when: seq % 100 >= 50";
            let file = pipeline(data.path(), &log, PROOF_SCHEMA, 700, alert);
            assert!(dies_at(data.path(), &file, point, mode), "{context}: not reached");
            for _ in 0..2 {
                run(data.path(), &file);
                assert_eq!(found(data.path(), &context), expected, "{context}");
                assert_ledger(&last_commit(data.path(), "watch", "alerts.high")["ledger"], EVENTS);
            }
        }
    }
}

#[test]
fn a_journal_that_lost_its_end_is_refused() {
    let watch = Watch::new(1, "");
    watch.produce(&[("a", 75.0)]);
    watch.run();
    let journal = watch.data().join("checkpoints/watch/alerts.high/alerts");
    let older = std::fs::read(&journal).unwrap();
    watch.produce(&[("a", 5.0)]);
    watch.run();
    std::fs::write(&journal, older).unwrap();
    let said = watch.fails();
    assert!(said.contains("FB-6006"), "{said}");
    assert!(!said.contains("checkpointLocation") && said.contains("Or remove the folder"), "{said}");
}

#[test]
fn conditions_may_change_between_two_runs_and_the_key_may_not() {
    let watch = Watch::new(1, "");
    watch.produce(&[("a", 75.0), ("b", 60.0)]);
    watch.run();
    let change = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&watch.file).unwrap();
        assert!(text.contains(from));
        std::fs::write(&watch.file, text.replace(from, to)).unwrap();
    };
    change("reading > 70, clear: reading < 65", "reading > 90, clear: reading < 30, for: 1 hour");
    watch.produce(&[("a", 60.0), ("b", 75.0)]);
    watch.run();
    assert_eq!(watch.told(), ["a open"], "what is open stays open until the new condition clears it");
    watch.produce(&[("a", 29.0)]);
    watch.run();
    assert_eq!(watch.told(), ["a open", "a cleared"]);
    change("schema: device STRING", "schema: device STRING, other STRING");
    change("key: device", "key: other");
    let said = watch.fails();
    assert!(said.contains("FB-6002") && said.contains("key=other"), "{said}");
    assert!(!said.contains("checkpointLocation") && said.contains("Under a new name"), "{said}");
}

#[test]
fn what_a_rule_has_open_ends_when_the_file_is_run_without_it() {
    let watch = Watch::new(1, "");
    watch.produce(&[("a", 75.0), ("b", 60.0)]);
    watch.run();
    let with = std::fs::read_to_string(&watch.file).unwrap();
    let without = with.split("alerts:\n").next().unwrap();
    std::fs::write(&watch.file, without).unwrap();
    let args = ["run", watch.name()];
    let said = text(&succeed(&mut forebay(watch.data(), &args)).stderr);
    assert!(said.contains("alert `high` is not in the file any more: 1 open ended"), "{said}");
    let said = text(&succeed(&mut forebay(watch.data(), &args)).stderr);
    assert!(!said.contains("any more"), "once: {said}");
    let ended = transitions(watch.data()).pop().unwrap();
    assert_eq!((&ended["state"], &ended["ruleRemoved"]), (&"cleared".into(), &true.into()), "{ended}");

    std::fs::write(&watch.file, with).unwrap();
    let said = watch.run();
    assert!(!said.contains("open alerts"), "it begins with nothing open: {said}");
    watch.produce(&[("a", 80.0)]);
    watch.run();
    assert_eq!(watch.told(), ["a open", "a cleared", "a open"], "and goes on where it was");
}

#[test]
fn what_is_wrong_with_an_alert_is_told_with_its_line_and_a_mark() {
    let watch = Watch::new(1, ", for: a while");
    let wrong = std::fs::read_to_string(&watch.file).unwrap().replace("reading > 70", "reeding > 70");
    std::fs::write(&watch.file, &wrong).unwrap();
    let output = forebay(watch.data(), &["validate", watch.name()]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("unknown column `reeding`") && said.contains("Did you mean `reading`?"), "{said}");
    assert!(said.contains("watch.yaml:14:42\n") && said.contains(" ^^^^^^^\n"), "{said}");
    assert!(said.contains("`for` is `a while`, expected a duration"), "{said}");
    assert!(said.contains("2 problems"), "{said}");
}

#[test]
fn an_alert_has_a_name_among_the_queries() {
    let watch = Watch::new(1, "");
    watch.produce(&[("a", 75.0)]);
    watch.log.produce("events", &["{\"device\": ".to_owned()]);
    let file = watch.name();
    let wrong = forebay(watch.data(), &["run", file, "--query", "alerts/hihg"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("Did you mean `alerts/high`?"), "{}", text(&wrong.stderr));
    let said = text(&succeed(&mut forebay(watch.data(), &["validate", file])).stderr);
    assert!(
        said.contains("1 alert(s)") && said.contains("alerts/high: events -> warning alert for each device"),
        "{said}"
    );
    succeed(&mut forebay(watch.data(), &["run", file, "--query", "screen"]));
    assert!(!watch.data().join("checkpoints/watch/alerts.high").exists(), "only what was asked for ran");
    watch.run();
    let shown =
        text(&succeed(&mut forebay(watch.data(), &["checkpoint", "show", file, "alerts/high"])).stdout);
    assert!(shown.contains("alerts/high of pipeline watch"), "{shown}");
    let listed =
        text(&succeed(&mut forebay(watch.data(), &["quarantine", "ls", "--query", "alerts/high"])).stdout);
    assert!(listed.contains("events/0/1") && listed.contains("alerts/high"), "{listed}");
}
