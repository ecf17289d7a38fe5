//! Other people's transactions: a lock that is held, a deadlock, a limit on waiting.

use std::time::Duration;

use super::*;

#[test]
fn a_table_that_somebody_locks_is_waited_for() {
    let trial = Trial::new();
    let query = trial.copy("t", &["lockTimeout: 1 second"]);
    trial.server.run_as_forebay("CREATE TABLE public.t (device text, seq bigint, hash text)");
    let somebody = trial.server.session();
    somebody.run("BEGIN; LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE");
    let running = query.running();
    running.waits_for("lock timeout");
    let held = if soak() { 60 } else { 3 };
    std::thread::sleep(Duration::from_secs(held));
    somebody.run("COMMIT");
    eventually("the rows", PATIENCE, || trial.server.count("public.t") == EVENTS);
    running.is_well();
    assert!(running.process.stop().0);
    trial.assert_copied(&query, "t", "after the lock");
}

/// Within the time that the sink waits nothing fails, and nothing is tried again.
#[test]
fn a_lock_that_is_held_for_a_moment_is_no_trouble() {
    let trial = Trial::new();
    let query = trial.copy("t", &[]);
    trial.server.run_as_forebay("CREATE TABLE public.t (device text, seq bigint, hash text)");
    let somebody = trial.server.session();
    somebody.run("BEGIN; LOCK TABLE public.t IN SHARE MODE");
    let mut process = Process::spawn(&mut query.command(&[]));
    process.address("http");
    eventually("it waits", PATIENCE, || {
        trial.server.one(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'forebay' AND wait_event_type = 'Lock'",
        ) == "1"
    });
    somebody.run("ROLLBACK");
    goes_on(process, "after the lock");
    trial.assert_copied(&query, "t", "after the lock");
}

/// Whatever fails at the beginning of an epoch, the next attempt begins anew and not in what is left of the last one.
#[test]
fn a_row_of_epochs_that_somebody_holds_is_waited_for() {
    let trial = Trial::new();
    let query = trial.copy("t", &["lockTimeout: 1 second"]);
    let process = query.stopped_at("epoch.plan.after");
    let somebody = trial.server.session();
    somebody.run("BEGIN; LOCK TABLE forebay_epochs IN ACCESS EXCLUSIVE MODE");
    process.signal("CONT");
    let mut process = process;
    process.wait_for("trying again", PATIENCE);
    std::thread::sleep(Duration::from_secs(4));
    somebody.run("COMMIT");
    goes_on(process, "the row is free");
    trial.assert_copied(&query, "t", "after the row was held");
}

#[test]
fn a_statement_that_is_cancelled_at_the_beginning_of_an_epoch_is_tried_again() {
    let trial = Trial::new();
    let query = trial.copy("t", &["lockTimeout: 1 minute"]);
    let process = query.stopped_at("epoch.plan.after");
    let somebody = trial.server.session();
    somebody.run("BEGIN; LOCK TABLE forebay_epochs IN ACCESS EXCLUSIVE MODE");
    process.signal("CONT");
    let waiting = "FROM pg_stat_activity WHERE usename = 'forebay' AND wait_event_type = 'Lock'";
    eventually("it waits", PATIENCE, || trial.server.one(&format!("SELECT count(*) {waiting}")) == "1");
    trial.server.run_sql(&format!("SELECT pg_cancel_backend(pid) {waiting}"));
    let mut process = process;
    process.wait_for("trying again", PATIENCE);
    somebody.run("COMMIT");
    goes_on(process, "the row is free");
    trial.assert_copied(&query, "t", "after the cancellation");
}

#[test]
fn a_deadlock_is_resolved_and_nothing_is_lost() {
    let trial = Trial::new();
    // Longer than the server takes to look for deadlocks, so that it is one of these that is found.
    let query = trial.copy("t", &["lockTimeout: 1 minute"]);
    trial.server.run_as_forebay("CREATE TABLE public.t (device text, seq bigint, hash text)");
    let process = query.stopped_at("sink.postgres.begin.after");
    // The sink holds its epoch's row and will want the table; somebody holds the table and wants the row.
    let somebody = trial.server.session();
    somebody.run("BEGIN; LOCK TABLE public.t IN SHARE MODE");
    let wants = somebody.in_background("SELECT * FROM forebay_epochs FOR UPDATE; ROLLBACK");
    eventually("somebody waits", PATIENCE, || {
        trial.server.one("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'the test' AND wait_event_type = 'Lock'") == "1"
    });
    // Whoever waits looks once, after a second; who comes later finds the deadlock and is refused.
    std::thread::sleep(Duration::from_millis(1_500));
    goes_on(process, "the deadlock");
    assert!(wants.join().unwrap().is_ok(), "it was the sink that had to give way");
    assert!(trial.server.logged().contains("deadlock detected"), "there was no deadlock");
    trial.assert_copied(&query, "t", "after the deadlock");
}

/// Two queries that write to the same table do not disturb each other's epochs.
#[test]
fn two_queries_write_to_one_table() {
    let trial = Trial::new();
    let queries = [trial.copy("t", &[]), trial.copy("t", &[])];
    queries[1].change("SELECT * FROM events", "SELECT device, seq + 3000 AS seq, hash FROM events");
    let running: Vec<Process> = queries.iter().map(|query| Process::spawn(&mut query.command(&[]))).collect();
    for process in running {
        goes_on(process, "two at once");
    }
    let of = |which: &str| {
        trial
            .server
            .rows(&format!("SELECT count(*), count(DISTINCT seq) FROM public.t WHERE seq {which} 3000"))
    };
    let all = Some(EVENTS.to_string());
    assert_eq!(of("<"), [[all.clone(), all.clone()]]);
    assert_eq!(of(">="), [[all.clone(), all]]);
    assert_eq!(trial.server.one("SELECT count(*) FROM forebay_epochs WHERE query_name = 'lake'"), "2");
}
