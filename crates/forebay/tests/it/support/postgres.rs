//! A PostgreSQL of a test's own, statements to it, and what a table of it holds.
//!
//! The server is started and stopped by `scripts/services/postgres.sh`, its data in a folder of the test. Statements go by
//! the simple protocol, whose answers are text: rows are compared as PostgreSQL itself prints them.

use std::cell::Cell;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::{end_within, root, run_script_with};

const SCRIPT: &str = "scripts/services/postgres.sh";

/// The password of every user: one that would break a URL, a YAML scalar, a connection string or a shell that it stood in.
pub const POSTGRES_PASSWORD: &str = "canary 7Qx'\"\\%40=&$5{}";

/// How pipeline files name [`POSTGRES_PASSWORD`]: the variable that [`with_password`] gives a command.
pub const PASSWORD_VARIABLE: &str = "FOREBAY_TEST_POSTGRES_PASSWORD";

/// The command with the password in its environment.
pub fn with_password(mut command: Command) -> Command {
    command.env(PASSWORD_VARIABLE, POSTGRES_PASSWORD);
    command
}

/// A server that ends with the test. Its database `forebay` belongs to the user `forebay`; `postgres` is the superuser.
pub struct Postgres {
    pub address: SocketAddr,
    more: Vec<String>,
    /// No file of the server may be larger, in KiB; for its next start.
    file_limit: Cell<Option<u32>>,
    dir: tempfile::TempDir,
}

impl Postgres {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments for each start: `--set NAME=VALUE`, `--ssl CERT KEY`, `--client-ca CERT`.
    pub fn start_with(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Where the tests run as root, the server is nobody, who has to come into its folder.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let address = super::free_address();
        let more = more.iter().map(|&arg| arg.to_owned()).collect();
        let server = Self { address, more, file_limit: Cell::new(None), dir };
        server.again();
        server
    }

    /// Starts it (again), with the data that is there.
    pub fn again(&self) {
        let more: Vec<&str> = self.more.iter().map(String::as_str).collect();
        let folder = self.dir.path().join("server").display().to_string();
        self.run(&[&["start", "--dir", &folder], more.as_slice()].concat());
    }

    /// An orderly end: connections are closed, what is not committed is rolled back.
    pub fn stop(&self) {
        self.run(&["stop"]);
    }

    /// A crash: everybody is told to go at once, and the next start recovers.
    pub fn crash(&self) {
        self.run(&["stop", "--immediate"]);
    }

    /// A harder one: SIGKILL for all of its processes.
    pub fn kill(&self) {
        self.run(&["stop", "--kill"]);
    }

    fn run(&self, args: &[&str]) {
        let port = self.address.port().to_string();
        let args = [&args[..1], &["--port", &port], &args[1..]].concat();
        let password = [("FOREBAY_POSTGRES_PASSWORD", POSTGRES_PASSWORD)];
        match self.file_limit.get() {
            None => run_script_with(SCRIPT, &args, &password),
            Some(limit) => {
                let limit = limit.to_string();
                let command = ["-c", "ulimit -f \"$0\" && exec \"$@\"", &limit, SCRIPT];
                run_script_with("/bin/bash", &[&command, args.as_slice()].concat(), &password)
            }
        };
    }

    /// From the next start on no file may be larger, in KiB: what stands for a full disk where none can be made.
    pub fn limit_files(&self, limit: Option<u32>) {
        self.file_limit.set(limit);
    }

    /// The address as pipeline files name it.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// What the server logged.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("server/server.log")).unwrap_or_default()
    }

    /// A connection of the superuser.
    pub fn session(&self) -> Session {
        Session::open(self.address, "postgres").unwrap()
    }

    /// Runs statements as the superuser; panics with PostgreSQL's words if one fails.
    pub fn run_sql(&self, sql: &str) {
        self.session().run(sql);
    }

    /// Runs statements as the user of the pipelines, who then owns what they make.
    pub fn run_as_forebay(&self, sql: &str) {
        Session::open(self.address, "forebay").unwrap().run(sql);
    }

    /// The rows of a SELECT, each value as text.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.session().rows(sql)
    }

    /// The one value of a SELECT; `NULL` for NULL.
    pub fn one(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}: {rows:?}");
        rows[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
    }

    /// Rows of a table; 0 while it is not there.
    pub fn count(&self, table: &str) -> u64 {
        let name = table.replace('\'', "''");
        if self.one(&format!("SELECT to_regclass('{name}') IS NOT NULL")) == "f" {
            return 0;
        }
        self.one(&format!("SELECT count(*) FROM {table}")).parse().unwrap()
    }

    /// The rows of a copy of [`super::proof_events`], to be compared with them.
    pub fn proof_rows(&self, table: &str) -> Vec<Value> {
        let rows = self.rows(&format!("SELECT device, seq, hash FROM {table}"));
        let row = |row: &Vec<Option<String>>| {
            let seq: Option<u64> = row[1].as_ref().and_then(|seq| seq.parse().ok());
            json!({ "device": row[0], "seq": seq, "hash": row[2] })
        };
        rows.iter().map(row).collect()
    }

    /// Ends the connections of the pipelines' user, as an administrator would; how many there were.
    pub fn terminate(&self) -> usize {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'forebay'";
        self.rows(sql).len()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut command = Command::new(root().join(SCRIPT));
        command.args(["stop", "--immediate", "--port", &self.address.port().to_string()]);
        let _ = end_within(std::time::Duration::from_secs(90), &mut command);
    }
}

/// A JDBC URL of the database `forebay` at an address.
pub fn url(address: SocketAddr) -> String {
    format!("jdbc:postgresql://{address}/forebay")
}

/// One connection, of which transactions and locks may be held.
pub struct Session(Client);

impl Session {
    /// Connects to the database `forebay`.
    pub fn open(address: SocketAddr, user: &str) -> Result<Self, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(address.port()).dbname("forebay");
        config.user(user).password(POSTGRES_PASSWORD).application_name("the test");
        let (client, connection) = runtime().block_on(config.connect(NoTls))?;
        runtime().spawn(connection);
        Ok(Self(client))
    }

    pub fn run(&self, sql: &str) {
        self.rows(sql);
    }

    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        rows_of(sql, runtime().block_on(self.0.simple_query(sql)))
    }

    /// Sends statements and does not wait; the thread ends with their end, well or not.
    pub fn in_background(self, sql: &str) -> std::thread::JoinHandle<Result<Self, String>> {
        let sql = sql.to_owned();
        std::thread::spawn(move || match runtime().block_on(self.0.simple_query(&sql)) {
            Ok(_) => Ok(self),
            Err(error) => Err(error.to_string()),
        })
    }
}

fn rows_of(
    sql: &str,
    answer: Result<Vec<SimpleQueryMessage>, tokio_postgres::Error>,
) -> Vec<Vec<Option<String>>> {
    let told = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(told) => panic!("{sql}: {} {}", told.code().code(), told.message()),
        None => panic!("{sql}: {error}"),
    };
    let messages = answer.unwrap_or_else(told);
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// One thread that moves the bytes of all sessions.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    })
}

/// A file system of a few megabytes that can be filled up, for a tablespace; `None` where mounting is not permitted.
pub struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    pub fn mount(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={megabytes}m,mode=0777");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "forebay-test"]).arg(dir.path());
        let mounted = command.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self { dir })
    }

    /// An empty folder that the server may take for a tablespace. Who may mount is root, and the server then nobody.
    pub fn folder(&self) -> String {
        let folder = self.dir.path().join("tablespace");
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::chown(&folder, Some(65_534), Some(65_534)).unwrap();
        folder.display().to_string()
    }

    /// Takes all but so many megabytes.
    pub fn fill_but(&self, free: u32, of: u32) {
        std::fs::write(self.dir.path().join("balloon"), vec![1; ((of - free) as usize) << 20]).unwrap();
    }

    /// Gives back what was taken.
    pub fn make_room(&self) {
        std::fs::remove_file(self.dir.path().join("balloon")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server may hold files of it open for a moment longer.
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).output();
    }
}
