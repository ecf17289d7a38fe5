//! The embedded log: what it acknowledged survives, whatever dies, and idempotent producers leave no doubles.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::*;

/// Starts a log server that dies at the given point, on a folder and address of choice.
fn doomed(data: &std::path::Path, address: &str, point: &str, mode: &str) -> Process {
    let mut command = forebay(data, &["log", "serve", "--listen", address]);
    command.env("FOREBAY_KILL_AT", point).env("FOREBAY_KILL_MODE", mode);
    Process::spawn(&mut command)
}

/// The producer keeps trying while the log dies and comes back; every record must be there once.
#[test]
fn a_producer_that_outlives_the_log_leaves_every_record_once() {
    let events = 4_000;
    for (point, mode) in [
        ("log.append.written:5", "kill"),
        ("log.append.written:5", "lose"),
        ("log.append.synced:5", "kill"),
        ("log.append.synced:5", "lose"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut first = doomed(data.path(), &address.to_string(), point, mode);
        first.address("kafka");
        make_topic(address, "events", 1);
        let mut producer = Command::new(FOREBAY);
        producer.args([
            "produce",
            "--topic",
            "events",
            "--bootstrap",
            &address.to_string(),
            "-X",
            "kafka.batch.size=4096",
        ]);
        let mut producer = Leashed(producer.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        let mut stdin = producer.0.stdin.take().unwrap();
        let input = proof_events(events).join("\n") + "\n";
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, input.as_bytes()));
        let died = first.child.wait().unwrap();
        assert_eq!(died.signal(), Some(6), "{point} {mode}: the point was not reached");
        let mut second =
            Process::spawn(&mut forebay(data.path(), &["log", "serve", "--listen", &address.to_string()]));
        second.address("kafka");
        writer.join().unwrap().unwrap();
        let mut said = String::new();
        producer.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(producer.0.wait().unwrap().success(), "{point} {mode}: {said}");
        let query = tempfile::tempdir().unwrap();
        let file = copy_pipeline(query.path(), address, "events", 10_000);
        succeed(&mut forebay(query.path(), &["run", file.to_str().unwrap()]));
        let rows = table_rows(query.path(), &query.path().join("table"));
        assert_exactly_once(&rows, events, &format!("{point} {mode}"));
    }
}

/// The order inside a partition is the order of sending, also across the log's death.
#[test]
fn kill_minus_nine_of_the_log_under_load_keeps_order_and_records() {
    let data = tempfile::tempdir().unwrap();
    let address = free_address();
    let serve = ["log", "serve", "--listen", &address.to_string()].map(str::to_owned);
    let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    let mut log = Process::spawn(&mut forebay(data.path(), &serve));
    log.address("kafka");
    make_topic(address, "events", 1);
    let mut events = 0;
    for _ in 0..if soak() { 20 } else { 3 } {
        let all = proof_events(events + 1_000);
        let killer = std::thread::spawn({
            let id = log.child.id().to_string();
            move || {
                std::thread::sleep(Duration::from_millis(15));
                Command::new("kill").args(["-s", "KILL", &id]).status()
            }
        });
        let produced = std::thread::spawn(move || produce(address, "events", &all[all.len() - 1_000..]));
        killer.join().unwrap().unwrap();
        let _ = log.child.wait();
        log = Process::spawn(&mut forebay(data.path(), &serve));
        log.address("kafka");
        produced.join().unwrap();
        events += 1_000;
    }
    let query = tempfile::tempdir().unwrap();
    let file = copy_pipeline(query.path(), address, "events", 1_000_000);
    succeed(&mut forebay(query.path(), &["run", file.to_str().unwrap()]));
    let rows = table_rows(query.path(), &query.path().join("table"));
    assert_exactly_once(&rows, events, "after the kills");
    let order: Vec<u64> = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert!(order.is_sorted(), "records changed their order");
}
