//! A server that cannot take rows: down, read-only, full, silent, or changed under the query's feet. The query waits, says why
//! in its health, goes on by itself, and has lost nothing.

use std::time::Duration;

use super::*;

/// The first half of the events is written, something goes wrong, the second half comes, and the query must wait and say so;
/// once it is mended all of it is there.
fn waits_out(harm: impl FnOnce(&Trial), words: &str, mend: impl FnOnce(&Trial)) -> (Trial, Query) {
    let trial = Trial { log: LogServer::start(), server: Postgres::start() };
    let events = proof_events(EVENTS);
    let (first, second) = events.split_at(EVENTS as usize / 2);
    trial.log.produce("events", first);
    let query = trial.copy("t", &["queryTimeout: 5 seconds", "lockTimeout: 2 seconds"]);
    let running = query.running();
    eventually("the first half", PATIENCE, || trial.server.count("public.t") == EVENTS / 2);
    harm(&trial);
    trial.log.produce("events", second);
    running.waits_for(words);
    let lag = format!(" {}", EVENTS / 2);
    eventually("what waits is counted", PATIENCE, || {
        let metrics = get(running.http, "/metrics").1;
        metrics.lines().any(|line| line.starts_with("forebay_lag_records") && line.ends_with(&lag))
    });
    mend(&trial);
    eventually("the second half", 2 * PATIENCE, || trial.server.count("public.t") == EVENTS);
    running.is_well();
    assert!(running.process.stop().0, "it ends well");
    assert_ledger(&query.last_commit()["ledger"], EVENTS);
    assert!(query.quarantined().is_empty(), "nobody's row is at fault: {:?}", query.quarantined());
    (trial, query)
}

#[test]
fn a_server_that_is_down_is_waited_for() {
    let (trial, query) = waits_out(|trial| trial.server.stop(), "FB-5001", |trial| trial.server.again());
    trial.assert_copied(&query, "t", "after it was down");
}

#[test]
fn a_server_that_comes_later_than_the_query_is_waited_for() {
    let trial = Trial::new();
    trial.server.stop();
    let query = trial.copy("t", &[]);
    let mut process = Process::spawn(&mut query.command(&[]));
    process.wait_for("trying again", PATIENCE);
    trial.server.again();
    goes_on(process, "the server has come");
    trial.assert_copied(&query, "t", "after it has come");
}

#[test]
fn what_comes_before_the_server_was_ever_reached_is_written_too() {
    let trial = Trial { log: LogServer::start(), server: Postgres::start() };
    let events = proof_events(EVENTS);
    let (before, after) = events.split_at(EVENTS as usize / 2);
    trial.log.produce("events", before);
    trial.server.stop();
    let query = trial.copy("t", &[]);
    let text = std::fs::read_to_string(&query.file).unwrap();
    std::fs::write(&query.file, text.replace("startingOffsets: earliest", "startingOffsets: latest"))
        .unwrap();
    let running = query.running();
    running.waits_for("FB-5001");
    trial.log.produce("events", after);
    // Where the query starts is known also after a death.
    drop(running);
    let running = query.running();
    running.waits_for("FB-5001");
    trial.server.again();
    let there = "SELECT count(*) FROM pg_tables WHERE tablename = 't'";
    eventually("the table", 2 * PATIENCE, || trial.server.one(there) == "1");
    eventually("what came since", PATIENCE, || trial.server.count("public.t") == EVENTS / 2);
    assert!(running.process.stop().0, "it ends well");
    assert_ledger(&query.last_commit()["ledger"], EVENTS / 2);
}

#[test]
fn a_server_that_is_read_only_is_waited_for() {
    // A session keeps the setting that it began with: those of the pipeline are opened anew.
    let set = |trial: &Trial, change: &str| {
        let session = trial.server.session();
        session.run("SET default_transaction_read_only = off");
        session.run(change);
        session.run("SELECT pg_reload_conf()");
        eventually("the setting", PATIENCE, || {
            let is_on = trial.server.one("SELECT current_setting('default_transaction_read_only')") == "on";
            is_on == change.ends_with("on")
        });
        trial.server.terminate();
    };
    let (trial, query) = waits_out(
        |trial| set(trial, "ALTER SYSTEM SET default_transaction_read_only = on"),
        "25006",
        |trial| set(trial, "ALTER SYSTEM RESET default_transaction_read_only"),
    );
    trial.assert_copied(&query, "t", "after it was read-only");
}

/// A row takes a page of its own, so that the few events need more than there is: 24 MB.
const PADDED: &str = "CREATE TABLE public.t (device text, seq bigint, hash text, padding char(8000) NOT NULL DEFAULT 'x') TABLESPACE place;
     ALTER TABLE public.t ALTER COLUMN padding SET STORAGE PLAIN";

#[test]
fn a_full_disk_is_waited_out() {
    const SIZE: u32 = 48;
    let Some(disk) = SmallDisk::mount(SIZE) else {
        println!("NOT TRIED: no file system may be mounted here; the limit on the size of files has to do");
        return;
    };
    let trial = Trial::new();
    trial.server.run_sql(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.folder()));
    trial.server.run_sql("GRANT CREATE ON TABLESPACE small TO forebay");
    trial.server.run_as_forebay(&PADDED.replace("place", "small"));
    disk.fill_but(8, SIZE);
    let query = trial.copy("t", &[]);
    let running = query.running();
    running.waits_for("53100");
    std::thread::sleep(Duration::from_secs(2));
    disk.make_room();
    eventually("the rows", 2 * PATIENCE, || trial.server.count("public.t") == EVENTS);
    running.is_well();
    assert!(running.process.stop().0);
    trial.assert_copied(&query, "t", "after the disk was full");
    assert!(query.quarantined().is_empty(), "a row is not at fault for a full disk");
    drop(trial);
}

/// As a full disk, by a limit that everybody may set: a file of the table cannot grow.
#[test]
fn a_file_that_may_not_grow_is_waited_out() {
    let trial = Trial::new();
    trial.server.run_as_forebay(&PADDED.replace("place", "pg_default"));
    trial.server.stop();
    // A segment of the server's own log is 16 MiB.
    trial.server.limit_files(Some(20 << 10));
    trial.server.again();
    let query = trial.copy("t", &[]);
    let running = query.running();
    running.waits_for("could not extend file");
    trial.server.stop();
    trial.server.limit_files(None);
    trial.server.again();
    eventually("the rows", 2 * PATIENCE, || trial.server.count("public.t") == EVENTS);
    running.is_well();
    assert!(running.process.stop().0);
    trial.assert_copied(&query, "t", "after it could grow");
    assert!(query.quarantined().is_empty(), "a row is not at fault for the server's files");
}

/// Nothing comes back and nothing is refused: the line is open, and nobody is at its end.
#[test]
fn a_server_that_says_nothing_is_given_up_and_tried_again() {
    let trial = Trial::new();
    let proxy = Proxy::before(trial.server.address);
    let query = trial.copy_by(proxy.address, "t", &["queryTimeout: 3 seconds", "lockTimeout: 1 second"]);
    let process = query.stopped_at("sink.postgres.copy.first");
    proxy.hold();
    process.signal("CONT");
    let mut process = process;
    process.wait_for("trying again", PATIENCE);
    assert!(process.child.try_wait().unwrap().is_none(), "it goes on trying");
    proxy.pass();
    goes_on(process, "it answers again");
    trial.assert_copied(&query, "t", "after the silence");
}

#[test]
fn a_query_whose_server_says_nothing_still_ends_when_it_is_told_to() {
    let trial = Trial::new();
    let proxy = Proxy::before(trial.server.address);
    // The step's own limit is 5 minutes.
    let query = trial.copy_by(proxy.address, "t", &[]);
    let process = query.stopped_at("sink.postgres.copy.first");
    proxy.hold();
    process.signal("TERM");
    let told = std::time::Instant::now();
    goes_on(process, "SIGTERM while nobody answers");
    assert!(told.elapsed() < Duration::from_secs(30), "it took {:?}", told.elapsed());
    proxy.pass();
    query.run();
    trial.assert_copied(&query, "t", "the next run");
}

#[test]
fn a_column_that_is_dropped_is_waited_for() {
    let (trial, query) = waits_out(
        |trial| trial.server.run_sql("ALTER TABLE public.t DROP COLUMN hash"),
        "hash",
        |trial| trial.server.run_sql("ALTER TABLE public.t ADD COLUMN hash text"),
    );
    // What the column held went with it, by the hand that dropped it.
    let rows = trial.server.proof_rows("public.t");
    let (later, earlier): (Vec<Value>, Vec<Value>) =
        rows.into_iter().partition(|row| row["seq"].as_u64() >= Some(EVENTS / 2));
    assert!(earlier.iter().all(|row| row["hash"].is_null()) && earlier.len() as u64 == EVENTS / 2);
    let expected = Verdict { lost: EVENTS / 2, compared: EVENTS / 2, ..Verdict::default() };
    assert_eq!(compare(&later, EVENTS), expected);
    query.run();
}

#[test]
fn a_table_that_is_gone_for_a_while_is_waited_for() {
    // One of the same name in its place would be taken for it, so there is none, and none may be made.
    let (trial, query) = waits_out(
        |trial| {
            trial.server.run_sql(
                "REVOKE CREATE ON SCHEMA public FROM pg_database_owner; ALTER TABLE public.t RENAME TO away",
            )
        },
        "42501",
        |trial| {
            trial.server.run_sql(
                "ALTER TABLE public.away RENAME TO t; GRANT CREATE ON SCHEMA public TO pg_database_owner",
            )
        },
    );
    trial.assert_copied(&query, "t", "after it was away");
}

#[test]
fn a_permission_that_is_taken_away_is_waited_for() {
    let (trial, query) = waits_out(
        |trial| {
            trial
                .server
                .run_sql("ALTER TABLE public.t OWNER TO postgres; REVOKE ALL ON public.t FROM forebay")
        },
        "42501",
        |trial| trial.server.run_sql("GRANT ALL ON public.t TO forebay"),
    );
    trial.assert_copied(&query, "t", "after it was permitted again");
}

/// Both tables are made by an administrator; the user may do what the epochs need and nothing more.
#[test]
fn a_user_who_may_only_insert_is_enough() {
    let trial = Trial::new();
    trial.server.run_sql(
        "REVOKE CREATE ON SCHEMA public FROM pg_database_owner, PUBLIC;
         CREATE TABLE public.t (device text, seq bigint, hash text);
         CREATE TABLE public.forebay_epochs (query_id text PRIMARY KEY, query_name text NOT NULL, epoch bigint, rows bigint,
           planned_at timestamptz, committed_at timestamptz);
         GRANT INSERT ON public.t TO forebay;
         GRANT SELECT, INSERT, UPDATE ON public.forebay_epochs TO forebay",
    );
    let query = trial.copy("t", &[]);
    query.run();
    trial.assert_copied(&query, "t", "with few rights");
}

#[test]
fn a_user_who_may_not_log_in_is_waited_for() {
    let (trial, query) = waits_out(
        |trial| {
            trial.server.run_sql("ALTER ROLE forebay NOLOGIN");
            trial.server.terminate();
        },
        "28000",
        |trial| trial.server.run_sql("ALTER ROLE forebay LOGIN"),
    );
    trial.assert_copied(&query, "t", "after the user was let in again");
}

/// Rows come while the table gets a column, with a value of its own or none.
#[test]
fn a_column_that_is_added_is_no_trouble() {
    let trial = Trial { log: LogServer::start(), server: Postgres::start() };
    let query = trial.copy("t", &[]);
    let running = query.running();
    for (number, part) in proof_events(EVENTS).chunks(EVENTS as usize / 3).enumerate() {
        trial.log.produce("events", part);
        let expected = EVENTS / 3 * (number as u64 + 1);
        eventually("the rows", PATIENCE, || trial.server.count("public.t") == expected);
        let added = [
            "note text",
            "seen timestamptz NOT NULL DEFAULT now()",
            "n int GENERATED ALWAYS AS (seq % 7) STORED",
        ][number];
        trial.server.run_sql(&format!("ALTER TABLE public.t ADD COLUMN {added}"));
    }
    running.is_well();
    assert!(running.process.stop().0);
    trial.assert_copied(&query, "t", "with columns of its own");
    assert_eq!(
        trial
            .server
            .one("SELECT count(*) FROM public.t WHERE note IS NULL AND seen IS NOT NULL AND n = seq % 7"),
        EVENTS.to_string()
    );
}
