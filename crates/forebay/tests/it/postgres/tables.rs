//! Tables as people make them: partitioned, unlogged, with columns and defaults of their own; and those that do not fit, of
//! which every difference is told at once.

use super::*;

#[test]
fn partitioned_unlogged_and_other_tables_take_rows_as_any() {
    let trial = Trial::new();
    let kinds = [
        (
            "by_range",
            "(device text, seq bigint, hash text) PARTITION BY RANGE (seq);
          CREATE TABLE by_range_1 PARTITION OF by_range FOR VALUES FROM (0) TO (1000);
          CREATE TABLE by_range_2 PARTITION OF by_range DEFAULT",
        ),
        (
            "by_list",
            "(device text, seq bigint, hash text, PRIMARY KEY (device, seq)) PARTITION BY LIST (device);
          CREATE TABLE by_list_1 PARTITION OF by_list FOR VALUES IN ('d0', 'd1', 'd2');
          CREATE TABLE by_list_2 PARTITION OF by_list DEFAULT",
        ),
        (
            "domains",
            "(hash varchar(40), id bigint GENERATED ALWAYS AS IDENTITY, device whole, seq numeric(20,0), at timestamptz DEFAULT now())",
        ),
    ];
    trial.server.run_as_forebay("CREATE DOMAIN whole AS text CHECK (VALUE LIKE 'd%')");
    for (table, columns) in kinds {
        trial.server.run_as_forebay(&format!("CREATE TABLE {table} {columns}"));
        let query = trial.copy(table, &[]);
        query.run();
        trial.assert_copied(&query, table, table);
    }
    trial.server.run_as_forebay("CREATE UNLOGGED TABLE unlogged (device text, seq bigint, hash text)");
    let query = trial.copy("unlogged", &[]);
    query.run();
    trial.assert_copied(&query, "unlogged", "unlogged");
    assert_eq!(trial.server.one("SELECT count(*) FROM by_range_1"), "1000", "rows are where they belong");
    // A view that takes rows hands them on.
    trial.server.run_as_forebay(
        "CREATE TABLE behind (device text, seq bigint, hash text); CREATE VIEW front AS SELECT device, seq, hash FROM behind;
         CREATE FUNCTION hand_on() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO behind VALUES (NEW.*); RETURN NEW; END';
         CREATE TRIGGER hand_on INSTEAD OF INSERT ON front FOR EACH ROW EXECUTE FUNCTION hand_on()",
    );
    let query = trial.copy("front", &[]);
    query.run();
    trial.assert_copied(&query, "front", "a view");
}

/// A row for which there is no partition is the row's fault; the others go on.
#[test]
fn a_row_without_a_partition_is_set_aside() {
    let trial = Trial::new();
    trial.server.run_as_forebay(
        "CREATE TABLE t (device text, seq bigint, hash text) PARTITION BY RANGE (seq);
         CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (10) TO (1000000)",
    );
    let query = trial.copy("t", &[]);
    query.run();
    assert_eq!(trial.server.count("t"), EVENTS - 10);
    let quarantined = query.quarantined();
    assert_eq!(quarantined.len(), 10);
    assert!(quarantined.iter().all(|entry| entry.contains("no partition of relation")), "{quarantined:#?}");
}

#[test]
fn a_table_that_is_made_has_what_was_asked_for() {
    let trial = Trial::new();
    let options = [
        "key: seq, device",
        "createTableColumnTypes: 'device varchar(20), hash char(16)'",
        "createTableOptions: 'PARTITION BY RANGE (seq)'",
    ];
    let query = trial.copy("t", &options);
    let rows = "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
                WHERE attrelid = 'public.t'::regclass AND attnum > 0 ORDER BY attnum";
    query.run();
    let text = |row: &[&str]| row.iter().map(|value| Some((*value).to_owned())).collect::<Vec<_>>();
    assert_eq!(
        trial.server.rows(rows),
        [
            text(&["device", "character varying(20)", "t"]),
            text(&["seq", "bigint", "t"]),
            text(&["hash", "character(16)", "f"]),
        ]
    );
    assert_eq!(query.quarantined().len() as u64, EVENTS, "there is no partition for any row");
    assert_eq!(trial.server.one("SELECT relkind::text FROM pg_class WHERE oid = 'public.t'::regclass"), "p");
}

#[test]
fn each_difference_of_a_table_that_does_not_fit_is_told_at_once() {
    let trial = Trial::new();
    trial.server.run_as_forebay(
        "CREATE TABLE t (device int[], seq smallint, other text NOT NULL, twice bigint GENERATED ALWAYS AS (1) STORED)",
    );
    let query = trial.copy("t", &[]);
    query.change(
        "SELECT * FROM events",
        "SELECT array(device) AS device, seq, hash, seq AS twice FROM events",
    );
    let said = query.refused();
    assert!(said.contains("FB-5002"), "{said}");
    for difference in [
        "`device` is text[] in the query and integer[] in the table",
        "`seq` is bigint in the query and smallint in the table",
        "the table has no column `hash`",
        "`other` is NOT NULL",
        "`twice` is computed",
    ] {
        assert!(said.contains(difference), "`{difference}` is not told: {said}");
    }
    assert_eq!(trial.server.count("t"), 0);
    // The table stays as it is, and once it fits all of it comes.
    trial.server.run_as_forebay(
        "ALTER TABLE t DROP COLUMN twice, DROP COLUMN other, DROP COLUMN device, ADD COLUMN device text,
                                 ADD COLUMN hash text, ALTER COLUMN seq TYPE bigint",
    );
    query.change(
        "SELECT array(device) AS device, seq, hash, seq AS twice FROM events",
        "SELECT * FROM events",
    );
    query.run();
    trial.assert_copied(&query, "t", "once it fits");
}

#[test]
fn columns_that_the_table_does_not_have_are_added_on_request() {
    let trial = Trial::new();
    trial.server.run_as_forebay("CREATE TABLE t (device text, seq bigint)");
    let query = trial.copy("t", &[]);
    assert!(query.refused().contains("no column `hash`"));
    query.change("      dbtable: public.t", "      mergeSchema: true\n      dbtable: public.t");
    query.run();
    trial.assert_copied(&query, "t", "with its new column");
}

#[test]
fn what_is_no_table_is_refused() {
    let trial = Trial::new();
    trial.server.run_as_forebay("CREATE MATERIALIZED VIEW m AS SELECT 1 AS seq; CREATE SEQUENCE s");
    for name in ["m", "s"] {
        let said = trial.copy(name, &[]).refused();
        assert!(said.contains("FB-5004") && said.contains("no table"), "{name}: {said}");
    }
}

/// The table was emptied or made anew behind the query's back: what the checkpoint counts is not there any more. The epoch's
/// row alone says what was written, so the query goes on; an older checkpoint than the row is refused.
#[test]
fn an_older_copy_of_the_checkpoint_is_refused() {
    let trial = Trial::new();
    let query = trial.copy("t", &[]);
    let mut command = query.command(&[]);
    let died = end_within(PATIENCE, armed(&mut command, "epoch.commit.after:2", "kill"));
    assert!(died_there(died.status), "{}", text(&died.stderr));
    let checkpoint = query.data().join("checkpoints/copy/lake/journal");
    let older = std::fs::read(&checkpoint).unwrap();
    query.run();
    trial.assert_copied(&query, "t", "the newer run");
    std::fs::write(&checkpoint, older).unwrap();
    let said = query.refused();
    assert!(said.contains("FB-6003"), "{said}");
    assert_exactly_once(&trial.server.proof_rows("t"), EVENTS, "after the refusal");
}

#[test]
fn without_epochs_rows_are_there_at_least_once() {
    let trial = Trial::new();
    let query = trial.copy("t", &["exactlyOnce: false"]);
    query.run();
    assert_exactly_once(&trial.server.proof_rows("t"), EVENTS, "nothing died");
    assert_eq!(trial.server.one("SELECT to_regclass('forebay_epochs') IS NULL"), "t");
    let query = trial.copy("u", &["exactlyOnce: false"]);
    let mut command = query.command(&[]);
    let died = end_within(PATIENCE, armed(&mut command, "sink.postgres.commit.after:2", "kill"));
    assert!(died_there(died.status), "{}", text(&died.stderr));
    query.run();
    let verdict = compare(&trial.server.proof_rows("u"), EVENTS);
    assert_eq!((verdict.lost, verdict.altered), (0, 0));
    assert!(verdict.doubled > 0, "the epoch that was not known to be written came again");
}

/// A table that would refuse every row but the first of each event is told at the start, not row by row in the quarantine.
#[test]
fn a_table_whose_primary_key_is_a_part_of_the_key_is_refused_at_the_start() {
    let trial = Trial::new();
    trial.server.run_as_forebay("CREATE TABLE t (device text PRIMARY KEY, seq bigint UNIQUE, hash text)");
    let query = trial.copy("t", &["key: seq, device"]);
    let said = query.refused();
    for part in ["FB-5002", "its primary key `t_pkey` is on (\"device\")", "DROP CONSTRAINT \"t_pkey\""] {
        assert!(said.contains(part), "`{part}` is not told: {said}");
    }
    assert_eq!(trial.server.count("t"), 0);
    // Its other index too.
    trial.server.run_as_forebay("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (device, seq)");
    assert!(query.refused().contains("its unique index `t_seq_key` is on (\"seq\")"));
    // One that the key says nothing about may be meant.
    trial.server.run_as_forebay("ALTER TABLE t DROP CONSTRAINT t_seq_key, ADD UNIQUE (hash, seq)");
    query.run();
    trial.assert_copied(&query, "t", "other columns");
    assert_eq!(query.quarantined().len(), 0);
}
