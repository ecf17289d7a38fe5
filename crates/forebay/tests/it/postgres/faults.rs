//! Faults in the middle of an epoch: the server restarts, ends the connection, commits without a word; a clock that stands
//! still shows that the old transaction cannot come back.

use super::*;

/// Points in an epoch, in their order.
const IN_AN_EPOCH: &[&str] = &[
    "sink.postgres.begin.after",
    "sink.postgres.copy.first",
    "sink.postgres.copy.after",
    "sink.postgres.epoch.after",
    "sink.postgres.commit.before",
    "sink.postgres.commit.after",
];

/// The process stands still at a point, something is done to the server, and both go on.
fn at_each_point(trial: &Trial, name: &str, harm: impl Fn(&Trial)) {
    for (number, point) in IN_AN_EPOCH.iter().enumerate() {
        let (table, context) = (format!("{name}_{number}"), format!("{name} at {point}"));
        let query = trial.copy(&table, &[]);
        let process = query.stopped_at(point);
        harm(trial);
        goes_on(process, &context);
        trial.assert_copied(&query, &table, &context);
    }
}

#[test]
fn a_server_that_crashes_in_mid_copy_has_every_row_once() {
    let trial = Trial::new();
    at_each_point(&trial, "crashed", |trial| {
        trial.server.crash();
        trial.server.again();
    });
}

#[test]
fn a_server_that_is_restarted_in_mid_copy_has_every_row_once() {
    let trial = Trial::new();
    at_each_point(&trial, "restarted", |trial| {
        trial.server.stop();
        trial.server.again();
    });
}

#[test]
fn a_connection_that_is_terminated_at_commit_is_opened_again() {
    let trial = Trial::new();
    at_each_point(&trial, "terminated", |trial| {
        assert!(trial.server.terminate() >= 1, "there was nobody to terminate");
    });
}

#[test]
fn an_answer_to_commit_that_is_lost_doubles_nothing() {
    let trial = Trial::new();
    let proxy = Proxy::before(trial.server.address);
    for (table, cuts) in [
        ("after", &[Cut::After, Cut::After, Cut::After][..]),
        ("before", &[Cut::Before, Cut::Before, Cut::Before]),
        ("both", &[Cut::After, Cut::Before, Cut::After, Cut::Before]),
    ] {
        let query = trial.copy_by(proxy.address, table, &[]);
        proxy.cut_commits(cuts);
        let before = proxy.cut();
        query.run();
        assert_eq!(proxy.cut() - before, cuts.len() as u32, "{table}: not every commit was cut");
        trial.assert_copied(&query, table, table);
    }
}

/// The answer is lost and the process dies before it asks again: the next one must recognise the epoch by its row.
#[test]
fn an_answer_to_commit_that_is_lost_in_a_crash_doubles_nothing() {
    let trial = Trial::new();
    let proxy = Proxy::before(trial.server.address);
    let query = trial.copy_by(proxy.address, "t", &[]);
    for cut in [Cut::After, Cut::Before, Cut::After] {
        proxy.cut_commits(&[cut]);
        let before = proxy.cut();
        let mut process = query.running().process;
        eventually("the commit is cut", PATIENCE, || proxy.cut() > before);
        process.signal("KILL");
        process.child.wait().unwrap();
    }
    query.run();
    trial.assert_copied(&query, "t", "three crashes");
}

/// A connection that was left behind holds the epoch's row; it is ended, and does not stand in the way for long.
#[test]
fn a_transaction_that_was_left_behind_is_ended() {
    let trial = Trial::new();
    let proxy = Proxy::before(trial.server.address);
    let query = trial.copy_by(proxy.address, "t", &["lockTimeout: 1 second"]);
    let mut process = query.stopped_at("sink.postgres.copy.after");
    // The process is gone, and the server does not learn of it: its half of the line stays open.
    proxy.hold();
    process.signal("KILL");
    process.child.wait().unwrap();
    let next = trial.copy_by(trial.server.address, "t", &["lockTimeout: 1 second"]);
    let checkpoint = next.data().join("checkpoints");
    succeed(Command::new("cp").arg("-a").arg(query.data().join("checkpoints")).arg(&checkpoint));
    assert_eq!(
        trial.server.one("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"),
        "1"
    );
    next.run();
    trial.assert_copied(&next, "t", "after the one that was left behind");
}

#[test]
fn sigterm_in_mid_epoch_ends_well_and_what_is_there_is_what_is_committed() {
    let trial = Trial::new();
    let query = trial.copy("t", &[]);
    let process = query.stopped_at("sink.postgres.copy.first");
    process.signal("TERM");
    goes_on(process, "SIGTERM");
    let rows = trial.server.proof_rows("public.t");
    let verdict = compare(&rows, EVENTS);
    assert_eq!((verdict.doubled, verdict.altered), (0, 0));
    assert_eq!(query.last_commit()["ledger"]["emitted"], rows.len() as u64);
    query.run();
    trial.assert_copied(&query, "t", "after the restart");
}
