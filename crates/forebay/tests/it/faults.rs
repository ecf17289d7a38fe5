//! Trouble while it runs: full disks, failing fsyncs, second processes, a stop under load.

use std::path::Path;
use std::time::Duration;

use crate::support::*;

const EVENTS: u64 = 3_000;

#[test]
fn a_full_disk_is_waited_out_and_nothing_is_lost() {
    let log = LogServer::start();
    log.produce("events", &proof_events(EVENTS));
    for part in ["journal", ".parquet", "_delta_log"] {
        let data = tempfile::tempdir().unwrap();
        let file = copy_pipeline(data.path(), log.address, "events", 700);
        let room = data.path().join("room");
        let mut command = forebay(data.path(), &["run", file.to_str().unwrap()]);
        command.env("FOREBAY_FAULT", format!("enospc:{part}:3")).env("FOREBAY_FAULT_UNTIL", &room);
        let mut process = Process::spawn(&mut command);
        process.wait_for("trying again", Duration::from_secs(30));
        let http = process.address("http");
        let (status, health) = get(http, "/health");
        assert_eq!(status, 503, "{part}: {health}");
        assert!(health.contains("\"lake\""), "{part}: {health}");
        std::fs::write(&room, b"").unwrap();
        assert!(process.child.wait().unwrap().success(), "{part}");
        assert_exactly_once(&table_rows(data.path(), &data.path().join("table")), EVENTS, part);
        assert_ledger(&last_commit(data.path(), "copy", "lake")["ledger"], EVENTS);
    }
}

#[test]
fn a_failed_fsync_ends_the_query_and_a_restart_goes_on() {
    let log = LogServer::start();
    log.produce("events", &proof_events(EVENTS));
    for part in ["journal", ".parquet", "_delta_log"] {
        let data = tempfile::tempdir().unwrap();
        let file = copy_pipeline(data.path(), log.address, "events", 700);
        let mut command = forebay(data.path(), &["run", file.to_str().unwrap()]);
        let output = command.env("FOREBAY_FAULT", format!("eio:{part}:2")).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{part}: {said}");
        assert!(said.contains("FB-5005"), "{part}: {said}");
        assert!(!said.contains("trying again"), "{part}: an fsync is never tried again: {said}");
        succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        assert_exactly_once(&table_rows(data.path(), &data.path().join("table")), EVENTS, part);
    }
}

#[test]
fn a_second_process_on_a_checkpoint_is_refused() {
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let args = ["run", file.to_str().unwrap(), "--trigger", "default"];
    let mut first = Process::spawn(&mut forebay(data.path(), &args));
    first.address("http");
    let second = forebay(data.path(), &args).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("FB-6001"), "{}", text(&second.stderr));
    assert!(first.stop().0, "the first goes on and ends well");
}

#[test]
fn a_checkpoint_of_another_query_is_refused_with_what_differs() {
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    log.produce("others", &proof_events(10));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let file = copy_pipeline(data.path(), log.address, "others", 700);
    let refused = forebay(data.path(), &["run", file.to_str().unwrap()]).output().unwrap();
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("FB-6002") && said.contains("events") && said.contains("others"), "{said}");
}

#[test]
fn a_data_folder_that_was_moved_goes_on_where_it_was() {
    let log = LogServer::start();
    let dir = tempfile::tempdir().unwrap();
    let file = copy_pipeline(dir.path(), log.address, "events", 700);
    let at = |name: &str| dir.path().join(name);
    let run = |data: &Path| succeed(forebay(data, &["run", file.to_str().unwrap()]).current_dir(dir.path()));
    let events = proof_events(400);
    let mut parts = events.chunks(100);
    let mut produce = || log.produce("events", parts.next().unwrap());
    produce();
    run(Path::new("first"));
    std::fs::rename(at("first"), at("second")).unwrap();
    produce();
    run(&at("second"));
    std::os::unix::fs::symlink(at("second"), at("link")).unwrap();
    produce();
    run(Path::new("./link/"));
    // The path in full is the same place, as long as the folder stays there.
    let text = std::fs::read_to_string(&file).unwrap();
    let table = at("second").join("table");
    std::fs::write(&file, text.replace("path: table", &format!("path: {}", table.display()))).unwrap();
    produce();
    run(Path::new("second"));
    assert_exactly_once(&table_rows(&at("second"), &table), 400, "moved, linked, named in full");
    assert_eq!(last_commit(&at("second"), "copy", "lake")["ledger"]["read"], 400);
}

#[test]
fn a_query_that_fails_at_its_start_is_named_by_the_ready_line() {
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let other = "  narrow:\n    sql: SELECT seq, hash AS other FROM events\n    format: delta\n    options: { path: table }\n";
    let text = std::fs::read_to_string(&file).unwrap() + other;
    std::fs::write(&file, text).unwrap();
    let args = ["run", file.to_str().unwrap(), "--trigger", "default"];
    let mut process = Process::spawn(&mut forebay(data.path(), &args));
    let http = process.address("http");
    let ready = process.wait_for("ready ", Duration::ZERO);
    assert!(ready.starts_with("ready ") && ready.ends_with(" (1 of 2 queries failed: narrow)"), "{ready}");
    assert!(get(http, "/health").1.contains("FB-5002"));
    assert!(!process.stop().0, "its exit code says so too");
}

#[test]
fn sigterm_under_load_drains_commits_and_ends_well() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 500);
    let mut process =
        Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--trigger", "default"]));
    process.address("http");
    let events = proof_events(EVENTS);
    let (first, rest) = events.split_at(1_500);
    log.produce("events", first);
    eventually("some rows", Duration::from_secs(20), || {
        !table_rows(data.path(), &data.path().join("table")).is_empty()
    });
    log.produce("events", rest);
    let (ended_well, _) = process.stop();
    assert!(ended_well);
    let kept = table_rows(data.path(), &data.path().join("table"));
    let verdict = compare(&kept, EVENTS);
    assert_eq!((verdict.doubled, verdict.altered), (0, 0));
    let ledger = &last_commit(data.path(), "copy", "lake")["ledger"];
    assert_eq!(ledger["emitted"].as_u64().unwrap(), kept.len() as u64, "what is committed is what is there");
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    assert_exactly_once(&table_rows(data.path(), &data.path().join("table")), EVENTS, "after the restart");
}

#[test]
fn records_that_are_gone_stop_the_query_unless_told_otherwise() {
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    // The topic is made anew, with fewer records than the checkpoint knows.
    run_script(
        "scripts/services/python.sh",
        &["tests/clients/delete_topic.py", "--bootstrap", &log.address.to_string(), "--topic", "events"],
    );
    log.produce("events", &proof_events(5));
    let refused = forebay(data.path(), &["run", file.to_str().unwrap()]).output().unwrap();
    assert!(text(&refused.stderr).contains("FB-2003"), "{}", text(&refused.stderr));
    let told = std::fs::read_to_string(&file)
        .unwrap()
        .replace("startingOffsets", "failOnDataLoss: false, startingOffsets");
    std::fs::write(&file, told).unwrap();
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    assert_eq!(table_rows(data.path(), &data.path().join("table")).len(), 105);
}

/// `latest` is where the query was started first, also if nothing came before it ended.
#[test]
fn what_arrives_between_two_runs_is_read_also_if_the_first_read_nothing() {
    let log = LogServer::start();
    let old: Vec<String> = (0..5).map(|seq| proof("old", seq)).collect();
    log.produce("events", &old);
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 1_000);
    let text = std::fs::read_to_string(&file).unwrap().replace("earliest", "latest");
    std::fs::write(&file, text).unwrap();
    let table = data.path().join("table");
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    assert!(table_rows(data.path(), &table).is_empty(), "`latest` takes nothing that was there");
    log.produce("events", &proof_events(7));
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    assert_exactly_once(&table_rows(data.path(), &table), 7, "between two runs");
}

/// A query that cannot go on says so at once, not when the others end.
#[test]
fn a_query_that_ends_with_an_error_says_so_at_once() {
    let log = LogServer::start();
    log.produce("events", &proof_events(3));
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), log.address, "events", 1_000);
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    // Legal for a new table, which only the table that is there can refuse.
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("path: table", "path: table, partitionBy: device").replace(
        "    trigger: { availableNow: true }\n",
        "  other:\n    sql: SELECT * FROM events\n    format: delta\n    options: { path: other }\n",
    );
    std::fs::write(&file, text).unwrap();
    let mut run = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let told = run.wait_for("the query has ended", Duration::from_secs(20));
    assert!(told.contains("partitioned in another way"), "{told}");
}
