//! A schema that changes between death and restart, and deaths while the quarantine is replayed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::crash::{assert_counts, run_until_killed};
use crate::quarantine::listed;
use crate::support::*;

/// A copy of events with two more fields, whose types and SELECT are chosen.
fn copy_with(dir: &Path, log: &LogServer, per_epoch: u64, types: (&str, &str), select: &str) -> PathBuf {
    let file = copy_pipeline(dir, log.address, "events", per_epoch);
    let (note, big) = types;
    let schema = format!("{PROOF_SCHEMA}, note {note}, big {big}");
    let pipeline = std::fs::read_to_string(&file).unwrap();
    let pipeline = pipeline.replace(PROOF_SCHEMA, &schema).replace("SELECT *", select);
    std::fs::write(&file, pipeline).unwrap();
    file
}

/// As the schema was when the events came: a `note` that is text does not decode.
fn copy_before(dir: &Path, log: &LogServer, per_epoch: u64) -> PathBuf {
    copy_with(dir, log, per_epoch, ("DOUBLE", "BIGINT"), "SELECT device, seq, hash, note, big")
}

/// As it is after a change: a `note` that is text decodes, a large `big` does not.
fn copy_after(dir: &Path, log: &LogServer, per_epoch: u64) -> PathBuf {
    let select = "SELECT device, seq, hash, CAST(note AS DOUBLE) AS note, CAST(big AS BIGINT) AS big";
    copy_with(dir, log, per_epoch, ("STRING", "INT"), select)
}

/// Events of which every tenth has a `note` that is text, and, if asked, as many a large `big`. Their offsets are
/// their numbers.
fn events_of_two_schemas(count: u64, with_big: bool) -> Vec<String> {
    let more = |seq: usize| match seq % 10 {
        3 => ", \"note\": \"1.5\"}",
        7 if with_big => ", \"big\": 3000000000}",
        _ => "}",
    };
    let events = proof_events(count).into_iter().enumerate();
    events.map(|(seq, event)| event.trim_end_matches('}').to_owned() + more(seq)).collect()
}

/// A repeated epoch must not mix two schemas: what the sink has of it stays as it was computed, and so do its
/// quarantine and its counts; what the sink does not have is computed anew as a whole.
#[test]
fn a_schema_that_changes_between_death_and_restart_loses_and_doubles_nothing() {
    const RECORDS: u64 = 1_400;
    let log = LogServer::start();
    log.produce("events", &events_of_two_schemas(RECORDS, true));
    for (point, in_sink) in [
        ("epoch.plan.after", false),
        ("epoch.read.after", false),
        ("epoch.outcome.after", false),
        ("sink.delta.commit.before", false),
        ("sink.delta.commit.after", true),
        ("epoch.write.after", true),
        ("epoch.commit.before", true),
    ] {
        for mode in ["kill", "lose"] {
            let data = tempfile::tempdir().unwrap();
            let context = format!("{point} {mode}");
            let file = copy_before(data.path(), &log, 500);
            assert!(run_until_killed(data.path(), &file, point, 2, mode, &[]), "{context}: not reached");
            // In the window in which the version file has its name and its folder is not synced, the disk decides.
            let in_sink = in_sink && (point, mode) != ("sink.delta.commit.after", "lose")
                || table_rows(data.path(), &data.path().join("table")).len() > 500;
            let file = copy_after(data.path(), &log, 500);
            succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
            let rows = table_rows(data.path(), &data.path().join("table"));
            let Verdict { doubled, altered, .. } = compare(&rows, RECORDS);
            assert_eq!((doubled, altered), (0, 0), "{context}");
            let mut everywhere: BTreeSet<u64> = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
            let records = listed(data.path());
            for record in &records {
                let seq = record["offset"].as_u64().unwrap();
                assert!(everywhere.insert(seq), "{context}: {seq} is in the table and in the quarantine");
                let epoch_is_old = seq < if in_sink { 1_000 } else { 500 };
                assert_eq!(seq % 10 == 3, epoch_is_old, "{context}: {seq} is bad by the wrong schema");
            }
            assert_eq!(everywhere.len() as u64, RECORDS, "{context}: records are nowhere");
            let [good, bad] = [rows.len() as u64, records.len() as u64];
            assert_counts(data.path(), &context, [RECORDS, good, bad, 0]);
        }
    }
}

#[test]
fn dying_in_a_replay_brings_each_record_back_once() {
    const RECORDS: u64 = 300;
    let log = LogServer::start();
    log.produce("events", &events_of_two_schemas(RECORDS, false));
    for point in [
        "epoch.plan.before",
        "epoch.plan.after",
        "quarantine.write.after",
        "epoch.read.after",
        "epoch.outcome.after",
        "sink.delta.commit.before",
        "sink.delta.commit.after",
        "quarantine.resolve.after",
        "epoch.write.after",
        "epoch.commit.before",
        "epoch.commit.after",
    ] {
        for mode in ["kill", "lose"] {
            let data = tempfile::tempdir().unwrap();
            let context = format!("{point} {mode}");
            let file = copy_before(data.path(), &log, RECORDS);
            succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
            assert_eq!(listed(data.path()).len() as u64, RECORDS / 10, "{context}");
            let file = copy_after(data.path(), &log, RECORDS);
            succeed(&mut forebay(data.path(), &["quarantine", "replay", "--all"]));
            assert!(run_until_killed(data.path(), &file, point, 1, mode, &[]), "{context}: not reached");
            for _ in 0..2 {
                succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
                let rows = table_rows(data.path(), &data.path().join("table"));
                assert_exactly_once(&rows, RECORDS, &context);
                assert!(listed(data.path()).is_empty(), "{context}");
                let bad = RECORDS / 10;
                assert_counts(data.path(), &context, [RECORDS + bad, RECORDS, bad, bad]);
            }
        }
    }
}
