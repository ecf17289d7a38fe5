//! The Postgres wire end point, asked by tokio-postgres.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::*;

/// A running pipeline with its Postgres wire, and a client of it.
struct Wire {
    _process: Process,
    _data: tempfile::TempDir,
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
        Self { _process: process, _data: data, _log: log, runtime, client, address }
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
        let columns = "SELECT a.attname, t.typname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
                       JOIN pg_type t ON t.oid = a.atttypid WHERE c.oid = 'lake'::regclass ORDER BY a.attnum";
        let columns = client.simple_query(columns).await.unwrap();
        assert!(columns.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))));
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
            ("SELECT 1; SELECT 2", &SqlState::FEATURE_NOT_SUPPORTED),
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
