//! The Postgres wire under clients as people have them: each reads the same tables, whose rows it knows, asks for what a server must tell of
//! itself, and tries what must be refused.
//!
//! The programs, their data and the pipeline that makes tables of it lie under `tests/clients/postgres`; `oracle.py` there makes the
//! same tables on a real PostgreSQL, on which every program passes too. Each prints a line `OK …` for each of its checks; how many
//! there are is counted here, so that a program that checks less is noticed.

use std::path::PathBuf;
use std::time::Duration;

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(60);
const PYTHON: &str = "scripts/services/postgres-python.sh";

/// Forebay with the tables of `tests/clients/postgres/data`, all rows in, one of them late, one record quarantined, some alerts open.
struct Served {
    process: Process,
    _log: LogServer,
    _data: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let lines = |name: &str| -> Vec<String> {
            let file = given().join(format!("{name}.jsonl"));
            std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
        };
        let log = LogServer::start();
        let events = lines("iot_device_events");
        log.produce("readings", &[&events[..], &lines("late_readings")].concat());
        log.produce("iot_device_events", &[&events[..], &lines("bad_readings")].concat());
        for topic in ["device_status", "every_type"] {
            log.produce(topic, &lines(topic));
        }
        let data = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(given().join("pipeline.yaml")).unwrap();
        let file = data.path().join("clients.yaml");
        std::fs::write(&file, text.replace("LOG", &log.address.to_string())).unwrap();
        let args = ["run", file.to_str().unwrap(), "--embedded-log", "never", "--postgres", "127.0.0.1:0"];
        let process = Process::spawn(&mut forebay(data.path(), &args));
        for table in ["iot_device_events", "device_status", "device_temperature", "every_type"] {
            let expected = lines(table).len();
            eventually(table, PATIENCE, || {
                table_rows(data.path(), &data.path().join(table)).len() == expected
            });
        }
        let late = "SELECT count(*) AS n FROM late.device_temperature";
        let args = ["query", "--pipeline", file.to_str().unwrap(), "--format", "json", late];
        eventually("the late row", PATIENCE, || {
            text_lines(&forebay(data.path(), &args).output().unwrap().stdout) == ["{\"n\":1}"]
        });
        Self { process, _log: log, _data: data }
    }

    /// How many checks a program says went well; it must say so of all.
    fn passed(mut self, program: &str, args: &[&str]) -> usize {
        let address = self.process.address("postgres").to_string();
        let said = run_script(program, &[args, &[&address]].concat());
        assert!(
            self.process.child.try_wait().unwrap().is_none(),
            "Forebay ended:\n{}",
            self.process.said.join("\n")
        );
        said.lines().filter(|line| line.starts_with("OK ")).count()
    }
}

fn given() -> PathBuf {
    root().join("tests/clients/postgres/data")
}

fn text_lines(bytes: &[u8]) -> Vec<String> {
    text(bytes).lines().map(str::to_owned).collect()
}

#[test]
fn psql() {
    assert_eq!(Served::start().passed("tests/clients/postgres/psql.sh", &[]), 6);
}

#[test]
fn psycopg() {
    assert_eq!(Served::start().passed(PYTHON, &["tests/clients/postgres/psycopg_client.py"]), 12);
}

#[test]
fn asyncpg() {
    assert_eq!(Served::start().passed(PYTHON, &["tests/clients/postgres/asyncpg_client.py"]), 8);
}

#[test]
fn pandas_through_sqlalchemy() {
    assert_eq!(Served::start().passed(PYTHON, &["tests/clients/postgres/pandas_client.py"]), 6);
}

#[test]
fn node_postgres() {
    assert_eq!(Served::start().passed("tests/clients/postgres/node.sh", &[]), 8);
}

#[test]
fn pgjdbc() {
    assert_eq!(Served::start().passed("tests/clients/postgres/pgjdbc.sh", &[]), 8);
}

#[test]
fn psqlodbc() {
    assert_eq!(Served::start().passed(PYTHON, &["tests/clients/postgres/odbc_client.py"]), 7);
}

#[test]
fn dbeavers_own_statements() {
    assert_eq!(Served::start().passed(PYTHON, &["tests/clients/postgres/dbeaver.py"]), 6);
}

#[test]
fn npgsqls_and_power_bis_own_statements() {
    assert_eq!(Served::start().passed(PYTHON, &["tests/clients/powerbi.py"]), 22);
}

#[test]
fn the_power_bi_project_asks_for_what_is_there() {
    assert_eq!(Served::start().passed(PYTHON, &["tests/clients/powerbi_project.py"]), 3);
}

#[test]
fn the_statements_of_grafanas_dashboard() {
    assert_eq!(Served::start().passed(PYTHON, &["tests/clients/grafana_sql.py"]), 14);
}
