//! Rows that PostgreSQL refuses for good: they alone go to the quarantine, once, with PostgreSQL's own words; the others go
//! through in order.

use serde_json::json;

use super::*;

/// A table with every kind of constraint, and rows each of which breaks one of them.
#[test]
fn each_row_that_breaks_a_rule_is_set_aside_with_postgresqls_words() {
    let (log, server) = (LogServer::start(), Postgres::start());
    server.run_as_forebay(
        "CREATE TYPE mood AS ENUM ('fine', 'bad');
         CREATE TABLE parents (id int PRIMARY KEY);
         INSERT INTO parents VALUES (1);
         CREATE TABLE t (
           id int PRIMARY KEY, name varchar(8) NOT NULL, code uuid, mood mood, parent int REFERENCES parents, data jsonb,
           place inet, CONSTRAINT lucky CHECK (id <> 13))",
    );
    let good = |id: i32| json!({ "id": id, "name": "fine" });
    let with = |id: i32, more: Value| {
        let mut row = good(id);
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    // Each with the SQLSTATE and a part of the words; those are the server's, so they are looked up there first.
    let refused = [
        (with(1, json!({ "name": "again" })), "23505", "duplicate key value violates unique constraint"),
        (
            with(2, json!({ "name": "much too long" })),
            "22001",
            "value too long for type character varying(8)",
        ),
        (with(3, json!({ "name": null })), "23502", "null value in column"),
        (with(4, json!({ "code": "no uuid" })), "22P02", "uuid"),
        (with(5, json!({ "mood": "sad" })), "22P02", "invalid input value for enum"),
        (with(6, json!({ "parent": 7 })), "23503", "violates foreign key constraint"),
        (good(13), "23514", "violates check constraint"),
        (with(8, json!({ "name": "a\u{0}b" })), "22021", "0x00"),
        (with(9, json!({ "data": "{\"a\": " })), "22P02", "json"),
        (with(10, json!({ "place": "nowhere" })), "22P02", "inet"),
    ];
    let mut lines = vec![good(1).to_string()];
    for (number, (row, _, _)) in refused.iter().enumerate() {
        lines.push(row.to_string());
        lines.push(
            with(
                100 + number as i32,
                json!({ "code": "e3cb26d3-41b2-49a2-84f3-0156ed8d7502", "mood": "bad" }),
            )
            .to_string(),
        );
    }
    log.produce("events", &lines);
    let schema = "id INT, name STRING, code STRING, mood STRING, parent INT, data STRING, place STRING";
    let query = Query::new(&query_text(
        log.address,
        schema,
        "SELECT * FROM events",
        &server.url(),
        &["dbtable: public.t"],
    ));
    query.run();
    let ids: Vec<String> = server
        .rows("SELECT id FROM t ORDER BY ctid")
        .into_iter()
        .map(|mut row| row[0].take().unwrap())
        .collect();
    let expected: Vec<String> = [1].into_iter().chain(100..110).map(|id| id.to_string()).collect();
    assert_eq!(ids, expected, "the others are there, in order");
    let quarantined = query.quarantined();
    for (row, state, words) in &refused {
        let found = quarantined
            .iter()
            .filter(|entry| entry.contains(&format!("postgres.{state}")) && entry.contains(words));
        assert!(found.count() >= 1, "{row} is not there with {state} and `{words}`: {quarantined:#?}");
    }
    assert_eq!(quarantined.len(), refused.len(), "{quarantined:#?}");
    let refused_by = quarantined.iter().filter(|entry| entry.contains("\"lake@0/0/"));
    assert_eq!(
        refused_by.count(),
        refused.len(),
        "each is named by its query, its epoch and its place: {quarantined:#?}"
    );
}

#[test]
fn foreign_rows_in_the_way_cost_only_the_rows_that_meet_them() {
    let trial = Trial::new();
    trial.server.run_as_forebay(
        "CREATE TABLE t (device text, seq bigint PRIMARY KEY, hash text);
         INSERT INTO t SELECT 'foreign', n * 100, 'x' FROM generate_series(0, 29) AS n",
    );
    let query = trial.copy("t", &["batchsize: 64"]);
    query.run();
    let rows = trial.server.proof_rows("(SELECT * FROM t WHERE device <> 'foreign') AS ours");
    assert_eq!(compare(&rows, EVENTS), Verdict { lost: 30, compared: EVENTS - 30, ..Verdict::default() });
    assert_eq!(trial.server.count("t"), EVENTS);
    let out_of_order = "SELECT count(*) FROM (SELECT seq, lag(seq) OVER (ORDER BY ctid) AS before FROM t WHERE device <> 'foreign') AS o WHERE seq < before";
    assert_eq!(trial.server.one(out_of_order), "0", "the rows stand in the order of the topic");
    let quarantined = query.quarantined();
    assert_eq!(quarantined.len(), 30);
    assert!(
        quarantined.iter().all(|entry| entry.contains("postgres.23505") && entry.contains("already exists")),
        "{quarantined:#?}"
    );
    query.run();
    assert_eq!(query.quarantined().len(), 30, "a second run finds nothing new");
    let ledger = &query.last_commit()["ledger"];
    assert_eq!((&ledger["rowsOut"], &ledger["rowsRefused"]), (&EVENTS.into(), &30.into()), "{ledger}");
}

#[test]
fn a_batch_of_which_every_row_is_refused_comes_to_an_end() {
    let trial = Trial::new();
    trial.server.run_as_forebay("CREATE TABLE t (device text, seq bigint, hash text, CHECK (seq < 0))");
    let query = trial.copy("t", &[]);
    query.run();
    assert_eq!(trial.server.count("t"), 0);
    assert_eq!(query.quarantined().len() as u64, EVENTS);
    let ledger = &query.last_commit()["ledger"];
    assert_eq!([&ledger["read"], &ledger["rowsOut"], &ledger["rowsRefused"]], [EVENTS; 3], "{ledger}");
}

/// What is looked at only when the transaction ends is still the row's fault, and found.
#[test]
fn a_constraint_that_is_looked_at_late_finds_its_row() {
    let trial = Trial::new();
    trial.server.run_as_forebay(
        "CREATE TABLE t (device text, seq bigint, hash text, UNIQUE (seq) DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO t VALUES ('foreign', 42, 'x')",
    );
    let query = trial.copy("t", &[]);
    query.run();
    let rows = trial.server.proof_rows("(SELECT * FROM t WHERE device <> 'foreign') AS ours");
    assert_eq!(compare(&rows, EVENTS), Verdict { lost: 1, compared: EVENTS - 1, ..Verdict::default() });
    assert_eq!(query.quarantined().len(), 1);
}

/// A trigger has the last word on rows, too.
#[test]
fn a_row_that_a_trigger_refuses_is_set_aside_with_the_triggers_words() {
    let trial = Trial::new();
    trial.server.run_as_forebay(
        "CREATE TABLE t (device text, seq bigint, hash text);
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN IF NEW.seq % 1000 = 5 THEN RAISE EXCEPTION ''device % is banned'', NEW.device; END IF; RETURN NEW; END';
         CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let query = trial.copy("t", &[]);
    query.run();
    assert_eq!(trial.server.count("t"), EVENTS - 3);
    let quarantined = query.quarantined();
    assert_eq!(quarantined.len(), 3, "{quarantined:#?}");
    assert!(quarantined.iter().all(|entry| entry.contains("is banned")), "{quarantined:#?}");
}

/// A refused row is no record that could be decoded again: nothing takes it for a replay, and what docs/postgresql-sink.md says
/// brings it in, once.
#[test]
fn refused_rows_are_put_in_by_hand_and_never_replayed() {
    let trial = Trial::new();
    trial.server.run_as_forebay(
        "CREATE TABLE t (device text, seq bigint, hash text, CONSTRAINT odd CHECK (seq <> 7))",
    );
    let query = trial.copy("t", &[]);
    query.run();
    let quarantined = listed(query.data());
    let row = quarantined[0]["record"].as_str().unwrap();
    assert!(quarantined[0]["refusedBy"].as_str().unwrap().contains("PostgresSink"), "{quarantined:?}");
    for named in ["--all", row] {
        let output = forebay(query.data(), &["quarantine", "replay", named]).output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("no record to decode again"), "{said}");
    }
    query.run();
    assert_eq!(
        (trial.server.count("t"), query.quarantined().len()),
        (EVENTS - 1, 1),
        "nothing was asked for"
    );
    trial.server.run_as_forebay("ALTER TABLE t DROP CONSTRAINT odd");
    let raw = forebay(query.data(), &["quarantine", "show", "--raw", row]).output().unwrap();
    let insert =
        format!("INSERT INTO t SELECT * FROM jsonb_populate_record(NULL::t, '{}')", text(&raw.stdout));
    trial.server.run_as_forebay(&insert);
    let dropped = forebay(query.data(), &["quarantine", "drop", row]).output().unwrap();
    assert!(dropped.status.success(), "{}", text(&dropped.stderr));
    assert_exactly_once(&trial.server.proof_rows("public.t"), EVENTS, "put in by hand");
    assert!(query.quarantined().is_empty());
}
