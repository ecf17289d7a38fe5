//! The Postgres wire end point, asked by tokio-postgres.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::*;

/// A running pipeline with its Postgres wire, and a client of it.
struct Wire {
    _process: Process,
    data: tempfile::TempDir,
    _log: LogServer,
    runtime: tokio::runtime::Runtime,
    client: Client,
    address: std::net::SocketAddr,
}

impl Wire {
    /// With so many records in the table `lake`.
    fn start(records: u64) -> Self {
        let log = LogServer::start();
        log.produce("events", &proof_events(records));
        let data = tempfile::tempdir().unwrap();
        let file = copy_pipeline(data.path(), log.address, "events", 700);
        let args = ["run", file.to_str().unwrap(), "--trigger", "default", "--postgres", "127.0.0.1:0"];
        let mut process = Process::spawn(&mut forebay(data.path(), &args));
        let (http, address) = (process.address("http"), process.address("postgres"));
        eventually("all records", Duration::from_secs(30), || {
            get(http, "/api/v1/ledger").1.contains(&format!("\"read\":{records}"))
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let client = runtime.block_on(connect(address));
        Self { _process: process, data, _log: log, runtime, client, address }
    }
}

async fn connect(address: std::net::SocketAddr) -> Client {
    let parameters = format!("host={} port={} user=ana dbname=plant", address.ip(), address.port());
    let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[test]
fn a_client_of_postgresql_reads_what_the_pipeline_wrote() {
    let wire = Wire::start(500);
    let client = &wire.client;
    wire.runtime.block_on(async {
        let row =
            client.query_one("SELECT count(*), 'x'::text, 2.5::float8, true FROM lake", &[]).await.unwrap();
        let (count, text, number, truth): (i64, &str, f64, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        assert_eq!((count, text, number, truth), (500, "x", 2.5, true));
        // Values both ways in binary; a name without quotes in any case.
        let rows =
            client.query("SELECT $1::int8 + 1 AS n, $2::text AS t", &[&41_i64, &"it's"]).await.unwrap();
        assert_eq!((rows[0].get::<_, i64>("n"), rows[0].get::<_, &str>("t")), (42, "it's"));
        let tables = client
            .query(
                "SELECT table_name FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'public' ORDER BY 1",
                &[],
            )
            .await
            .unwrap();
        assert!(tables.iter().any(|row| row.get::<_, &str>(0) == "lake"), "{tables:?}");
        for called in ["z_score(n) OVER (ORDER BY n)", "k_means('far.json', n)"] {
            let error =
                client.query(&format!("SELECT {called} FROM (VALUES (1.5)) t(n)"), &[]).await.unwrap_err();
            let told = error.as_db_error().unwrap().message().to_owned();
            assert!(
                told.ends_with("is a detector, and detectors are not called over the Postgres wire"),
                "{told}"
            );
        }
        let columns = "SELECT a.attname, t.typname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
                       JOIN pg_type t ON t.oid = a.atttypid WHERE c.oid = 'lake'::regclass ORDER BY a.attnum";
        let columns = client.simple_query(columns).await.unwrap();
        assert!(columns.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))));
        // A condition that names no column is not lost on its way into the table's scan.
        for (condition, expected) in [
            ("seq >= 0 AND NULL", 0),
            ("seq NOT IN (1, NULL)", 0),
            ("seq BETWEEN 1 AND NULL", 0),
            ("seq < 3 OR NULL", 3),
            ("seq >= 0 AND 1 = 1", 500),
        ] {
            let sql = format!("SELECT count(*) FROM lake WHERE {condition}");
            let count: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
            assert_eq!(count, expected, "{condition}");
        }
        let balance = client.query_one("SELECT bool_and(balances) FROM forebay.ledger", &[]).await.unwrap();
        assert!(balance.get::<_, bool>(0));
    });
}

#[test]
fn nothing_can_be_changed_and_a_wrong_statement_leaves_the_connection_as_it_was() {
    let wire = Wire::start(10);
    let client = &wire.client;
    wire.runtime.block_on(async {
        for (sql, state) in [
            ("INSERT INTO lake VALUES (1)", &SqlState::READ_ONLY_SQL_TRANSACTION),
            ("DROP TABLE lake", &SqlState::READ_ONLY_SQL_TRANSACTION),
            ("COPY lake TO '/tmp/x'", &SqlState::READ_ONLY_SQL_TRANSACTION),
            ("SELECT * FROM nothing", &SqlState::UNDEFINED_TABLE),
            ("SELECT nothing FROM lake", &SqlState::UNDEFINED_COLUMN),
            ("SELECT * FROM '/etc/passwd'", &SqlState::UNDEFINED_TABLE),
            ("SELECT 1 +", &SqlState::SYNTAX_ERROR),
            ("SET TimeZone = 'Europe/Berlin'", &SqlState::INVALID_PARAMETER_VALUE),
        ] {
            let refused = client.simple_query(sql).await.unwrap_err();
            assert_eq!(refused.code(), Some(state), "{sql}: {refused}");
        }
        assert!(client.prepare("SELECT nothing FROM lake").await.is_err());
        assert_eq!(client.query_one("SELECT 1::int4", &[]).await.unwrap().get::<_, i32>(0), 1);
    });
}

#[test]
fn a_plan_names_the_table_and_no_folder_of_the_machine() {
    let wire = Wire::start(50);
    let folder = wire.data.path().display().to_string();
    wire.runtime.block_on(async {
        // What ran reads files: the table's own folder is named there.
        for (explain, name) in
            [("EXPLAIN", "lake"), ("EXPLAIN VERBOSE", "lake"), ("EXPLAIN ANALYZE", "table/")]
        {
            let sql = format!("{explain} SELECT device, seq FROM lake WHERE seq > 3");
            let plan = wire.client.simple_query(&sql).await.unwrap();
            let plan = said(&plan).join("\n");
            assert!(plan.contains(name), "{plan}");
            assert!(!plan.contains(folder.trim_start_matches('/')), "{plan}");
        }
    });
}

#[test]
fn a_driver_learns_the_types_of_parameters_by_their_places() {
    let wire = Wire::start(50);
    wire.runtime.block_on(async {
        let sql = "SELECT seq FROM lake WHERE $3 ORDER BY seq LIMIT $1 OFFSET $2";
        let rows = wire.client.query(sql, &[&2_i64, &1_i64, &true]).await.unwrap();
        assert_eq!(rows.len(), 2);
        let sum = wire.client.query_one("SELECT sum(value) FROM generate_series(1, $1)", &[&4_i64]).await;
        assert!(sum.is_ok(), "{sum:?}");
        for (sql, state) in [
            ("SELECT 'x'::int", &SqlState::INVALID_TEXT_REPRESENTATION),
            ("SELECT 1 / 0", &SqlState::DIVISION_BY_ZERO),
            ("SELECT nothing(1)", &SqlState::UNDEFINED_FUNCTION),
            ("SELECT seq FROM lake WHERE seq", &SqlState::DATATYPE_MISMATCH),
            ("SELECT '99999999999'::int", &SqlState::NUMERIC_VALUE_OUT_OF_RANGE),
        ] {
            let refused = wire.client.simple_query(sql).await.unwrap_err();
            assert_eq!(refused.code(), Some(state), "{sql}: {refused:?}");
        }
    });
}

/// The values of the rows and the counts of the answers, in their order.
fn said(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let said = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("null").to_owned()),
        SimpleQueryMessage::CommandComplete(count) => Some(format!("({count})")),
        _ => None,
    };
    messages.iter().filter_map(said).collect()
}

#[test]
fn a_text_of_several_statements_is_answered_in_order_up_to_the_first_error() {
    let wire = Wire::start(10);
    let client = &wire.client;
    wire.runtime.block_on(async {
        let sql = "SELECT 1; SET x.y = 'z'; SELECT 2 UNION ALL SELECT 2; SHOW x.y; SELECT count(*) FROM lake";
        let answers = client.simple_query(sql).await.unwrap();
        assert_eq!(said(&answers), ["1", "(1)", "(0)", "2", "2", "(2)", "z", "(0)", "10", "(1)"]);
        let refused = client.simple_query("SELECT 1; SELECT nothing FROM lake; SET x.y = 'late'").await;
        assert_eq!(refused.unwrap_err().code(), Some(&SqlState::UNDEFINED_COLUMN));
        assert_eq!(said(&client.simple_query("SHOW x.y").await.unwrap())[0], "z", "what stood behind it");
        let many = "SELECT 1;".repeat(9);
        let refused = client.simple_query(&many).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::PROGRAM_LIMIT_EXCEEDED));
        // In a transaction it fails whole.
        assert!(client.simple_query("BEGIN; SELECT 1; SELECT nothing FROM lake").await.is_err());
        let refused = client.simple_query("SELECT 1").await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
        client.simple_query("ROLLBACK").await.unwrap();
    });
}

#[test]
fn a_cursor_gives_its_rows_piece_by_piece_and_ends_with_its_transaction() {
    let wire = Wire::start(10);
    let client = &wire.client;
    wire.runtime.block_on(async {
        let ask = async |sql: &str| client.simple_query(sql).await.map(|answers| said(&answers));
        let state = async |sql: &str| client.simple_query(sql).await.unwrap_err().code().cloned();
        // As psqlODBC sends it, and as psycopg does.
        let series = "SELECT value FROM generate_series(1, 1000000)";
        let sql = format!("BEGIN; declare \"SQL_CUR1\" cursor for {series};fetch 2 in \"SQL_CUR1\"");
        assert_eq!(ask(&sql).await.unwrap(), ["(0)", "(0)", "1", "2", "(2)"]);
        assert_eq!(ask("FETCH FORWARD 1 FROM \"SQL_CUR1\"").await.unwrap(), ["3", "(1)"]);
        assert_eq!(ask("MOVE 6 IN \"SQL_CUR1\"; FETCH NEXT FROM \"SQL_CUR1\"").await.unwrap(), ["(6)", "10", "(1)"]);
        assert_eq!(ask("FETCH ABSOLUTE 100000 FROM \"SQL_CUR1\"").await.unwrap(), ["100000", "(1)"]);
        let rest = ask("FETCH ALL FROM \"SQL_CUR1\"").await.unwrap();
        assert_eq!((rest.len(), rest[900_000].as_str()), (900_001, "(900000)"));
        assert_eq!(ask("FETCH 5 FROM \"SQL_CUR1\"; CLOSE \"SQL_CUR1\"").await.unwrap(), ["(0)", "(0)"]);
        assert_eq!(ask("DECLARE c CURSOR FOR SELECT 7; COMMIT").await.unwrap(), ["(0)", "(0)"]);
        assert_eq!(state("FETCH c").await, Some(SqlState::INVALID_CURSOR_NAME));
        // WITH HOLD outlives it, and is known outside of one.
        ask(&format!("BEGIN; DECLARE c CURSOR WITH HOLD FOR {series}; FETCH 1 FROM c; COMMIT")).await.unwrap();
        assert_eq!(ask("FETCH 2 FROM c").await.unwrap(), ["2", "3", "(2)"]);
        assert_eq!(state("DECLARE c CURSOR WITH HOLD FOR SELECT 1").await, Some(SqlState::DUPLICATE_CURSOR));
        assert_eq!(ask("FETCH 1 FROM c; CLOSE ALL").await.unwrap(), ["4", "(1)", "(0)"]);
        assert_eq!(state("DECLARE c CURSOR FOR SELECT 1").await, Some(SqlState::NO_ACTIVE_SQL_TRANSACTION));
        assert_eq!(state("DECLARE c CURSOR WITH HOLD FOR DELETE FROM lake").await, Some(SqlState::READ_ONLY_SQL_TRANSACTION));
        // Backwards there is nothing, and half-read answers are few.
        ask(&format!("BEGIN; DECLARE a CURSOR FOR {series}; FETCH 2 FROM a")).await.unwrap();
        assert_eq!(state("FETCH PRIOR FROM a").await, Some(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
        ask("ROLLBACK").await.unwrap();
        for name in ["a", "b", "c"] {
            ask(&format!("DECLARE {name} CURSOR WITH HOLD FOR {series}; FETCH 1 FROM {name}")).await.unwrap();
        }
        let refused = state(&format!("DECLARE d CURSOR WITH HOLD FOR {series}; FETCH 1 FROM d")).await;
        assert_eq!(refused, Some(SqlState::CONFIGURATION_LIMIT_EXCEEDED));
        assert_eq!(ask("CLOSE a; FETCH 1 FROM b").await.unwrap(), ["(0)", "2", "(1)"]);
        // With parameters, described and bound: rows in binary.
        client.batch_execute("BEGIN").await.unwrap();
        let declare = "DECLARE p CURSOR FOR SELECT value * $1::int8 AS n FROM generate_series(1, 5) WHERE value > $2::int8";
        client.execute(declare, &[&10_i64, &2_i64]).await.unwrap();
        let rows = client.query("FETCH 2 FROM p", &[]).await.unwrap();
        let rows: Vec<i64> = rows.iter().map(|row| row.get("n")).collect();
        assert_eq!(rows, [30, 40]);
        client.batch_execute("COMMIT").await.unwrap();
    });
}

#[test]
fn a_statement_ends_when_it_is_cancelled_and_others_go_on() {
    let wire = Wire::start(10);
    let (client, address) = (&wire.client, wire.address);
    wire.runtime.block_on(async {
        let long = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b";
        let cancel = client.cancel_token();
        let other = connect(address).await;
        let (ended, ()) = tokio::join!(client.simple_query(long), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(other.simple_query("SELECT 1").await.unwrap().len(), 3);
            cancel.cancel_query(NoTls).await.unwrap();
        });
        assert_eq!(ended.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
        assert_eq!(client.simple_query("SELECT 1").await.unwrap().len(), 3);
    });
}
