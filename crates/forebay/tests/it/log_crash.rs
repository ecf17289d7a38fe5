//! The embedded log: what it acknowledged survives, whatever dies, and idempotent producers leave no doubles.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::*;

/// Starts a log server that dies at the given point, on a folder and address of choice.
fn doomed(data: &Path, address: &str, point: &str, mode: &str) -> Process {
    let mut command = forebay(data, &["log", "serve", "--listen", address]);
    Process::spawn(armed(&mut command, point, mode))
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
        assert!(died_there(died), "{point} {mode}: the point was not reached");
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

/// Bytes in the segments of the topic's one partition.
fn appended(data: &Path) -> u64 {
    let files = std::fs::read_dir(data.join("log/topics/events/0")).unwrap().map(|file| file.unwrap());
    let segments = files.filter(|file| file.path().extension().is_some_and(|it| it == "log"));
    segments.map(|segment| segment.metadata().unwrap().len()).sum()
}

/// The order inside a partition is the order of sending, also across the log's death.
#[test]
fn kill_minus_nine_of_the_log_under_load_keeps_order_and_records() {
    // Enough that a machine which does other things too meets some of them on their way.
    const EACH: u64 = 5_000;
    let data = tempfile::tempdir().unwrap();
    let address = free_address();
    let serve = ["log", "serve", "--listen", &address.to_string()].map(str::to_owned);
    let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    let mut log = Process::spawn(&mut forebay(data.path(), &serve));
    log.address("kafka");
    make_topic(address, "events", 1);
    let (mut events, mut met) = (0, 0);
    let rounds = if soak() { 20 } else { 3 };
    for round in 0..rounds {
        let before = usize::try_from(events).unwrap();
        let new = proof_events(events + EACH).split_off(before);
        // Somewhere among the batches of this round, of some hundred bytes a record.
        let at = appended(data.path()) + 1 + round % 5 * 15_000;
        let produced = std::thread::spawn(move || {
            produce_with(address, "events", &new, &["-X", "kafka.batch.size=4096"]);
        });
        while appended(data.path()) < at && !produced.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        log.signal("KILL");
        met += u64::from(!produced.is_finished());
        // The lock of the log's folder is free once the process is gone.
        log.child.wait().unwrap();
        log = Process::spawn(&mut forebay(data.path(), &serve));
        log.address("kafka");
        produced.join().unwrap();
        events += EACH;
    }
    assert!(met * 2 >= rounds, "{met} of {rounds} kills came while something was sent");
    let query = tempfile::tempdir().unwrap();
    let file = copy_pipeline(query.path(), address, "events", 1_000_000);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("SELECT * FROM", "SELECT *, _kafka.offset AS at FROM")).unwrap();
    succeed(&mut forebay(query.path(), &["run", file.to_str().unwrap()]));
    let mut rows = table_rows(query.path(), &query.path().join("table"));
    assert_exactly_once(&rows, events, "after the kills");
    rows.sort_by_key(|row| row["at"].as_i64().unwrap());
    let order: Vec<u64> = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert!(order.is_sorted(), "records changed their order");
}
