//! Rows that take the place of others: by key, in update mode, all at once in complete mode, and whatever dies meanwhile.

use forebay_storage::POSTGRES_KILL_POINTS;

use super::*;

#[test]
fn rows_of_the_same_key_are_replaced_and_the_last_one_stays() {
    let trial = Trial::new();
    let query = trial.copy("t", &["key: device", "writeMode: upsert"]);
    query.run();
    let rows = trial.server.rows("SELECT device, seq FROM t ORDER BY device");
    let newest = |device: u64| (EVENTS - 1) - ((EVENTS - 1) % 7 + 7 - device) % 7;
    let expected: Vec<Vec<Option<String>>> =
        (0..7).map(|device| vec![Some(format!("d{device}")), Some(newest(device).to_string())]).collect();
    assert_eq!(
        rows, expected,
        "seven devices, each with its newest row, though each came often in every epoch"
    );
}

const COUNTS: &str = "SELECT device, count(*) AS n, max(seq) AS newest FROM events GROUP BY device";

/// Each device with the number of its events and the newest.
fn assert_counts(trial: &Trial, table: &str, context: &str) {
    let rows = trial.server.rows(&format!("SELECT device, n, newest FROM public.{table} ORDER BY device"));
    let expected: Vec<Vec<Option<String>>> = (0..7)
        .map(|device| {
            let of: Vec<u64> = (0..EVENTS).filter(|seq| seq % 7 == device).collect();
            vec![Some(format!("d{device}")), Some(of.len().to_string()), of.last().map(u64::to_string)]
        })
        .collect();
    assert_eq!(rows, expected, "{context}");
}

#[test]
fn update_mode_replaces_by_its_groups_whatever_dies_when() {
    let trial = Trial::new();
    let sinks = POSTGRES_KILL_POINTS.iter().copied();
    let mut points: Vec<_> = epoch_points(&[]).into_iter().chain(sinks).collect();
    assert!(points.contains(&"sink.postgres.merge.after"), "{points:?}");
    // Nothing here is refused, so nothing is written to the quarantine.
    points.retain(|point| !point.starts_with("quarantine."));
    for (number, point) in points.into_iter().enumerate() {
        for mode in ["kill", "lose"] {
            let (table, context) = (format!("t_{number}_{mode}"), format!("{point} {mode}"));
            let query = trial.copy(&table, &[]);
            query.change("SELECT * FROM events", COUNTS);
            query.change("    trigger:", "    outputMode: update\n    trigger:");
            let mut command = query.command(&[]);
            let output = end_within(PATIENCE, armed(&mut command, &format!("{point}:2"), mode));
            assert!(died_there(output.status), "{context}: not reached: {}", text(&output.stderr));
            query.run();
            assert_counts(&trial, &table, &context);
        }
    }
}

#[test]
fn complete_mode_leaves_the_whole_result_and_readers_see_it_whole() {
    let trial = Trial::new();
    for (table, truncate) in [("deleted", "truncate: false"), ("truncated", "truncate: true")] {
        let query = trial.copy(table, &[truncate]);
        query.change("SELECT * FROM events", COUNTS);
        query.change("    trigger:", "    outputMode: complete\n    trigger:");
        query.run();
        assert_counts(&trial, table, table);
    }
}

#[test]
fn an_upsert_by_a_lost_commit_and_a_crash_of_the_server_has_every_row_once() {
    let trial = Trial::new();
    let proxy = Proxy::before(trial.server.address);
    let query = trial.copy_by(proxy.address, "t", &["key: seq", "writeMode: upsert"]);
    proxy.cut_commits(&[Cut::After, Cut::Before]);
    let process = query.stopped_at("sink.postgres.merge.after");
    trial.server.kill();
    trial.server.again();
    goes_on(process, "after the crash");
    trial.assert_copied(&query, "t", "upsert");
}

/// Keys of which one is NULL, or of several columns, are those of the table.
#[test]
fn what_cannot_be_replaced_is_refused_before_anything_is_written() {
    let trial = Trial::new();
    trial.server.run_as_forebay("CREATE TABLE t (device text, seq bigint, hash text)");
    let said = trial.copy("t", &["key: seq", "writeMode: upsert"]).refused();
    assert!(said.contains("FB-5002") && said.contains("unique index") && said.contains("\"seq\""), "{said}");
    let said = trial.copy("t", &["writeMode: upsert"]).refused();
    assert!(said.contains("`key`"), "{said}");
    let said = trial.copy("t", &["key: sequence", "writeMode: upsert"]).refused();
    assert!(said.contains("sequence") && said.contains("device, seq, hash"), "{said}");
    trial.server.run_as_forebay("CREATE UNIQUE INDEX ON t (seq)");
    let query = trial.copy("t", &["key: seq", "writeMode: upsert"]);
    query.run();
    trial.assert_copied(&query, "t", "with an index");
}
