//! One connection to the database, set up so that a dead end of it is noticed on both sides.
//!
//! What must stay true: TLS is verified or off, as the URL says, and never given up on the way; a connection that was lost
//! in mid-transaction cannot hold the query's epoch row for long: the server is told to notice dead clients, and what
//! still holds it is ended by name ([`Session::end_ghosts`]).

use std::sync::Arc;
use std::time::Duration;

use forebay_core::{Error, Result};
use tokio_postgres::config::{Config as PgConfig, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use super::config::Config;
use super::fault::{failed, given_up, timed_out};
use super::names::literal;
use super::url::Tls;

/// How long a host may take to answer, if the URL does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A side that says nothing for this long is gone.
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// How long a step may go on once the query is to end: a server that answers has done most of them by then, and whoever
/// stops a process waits for so long.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A connection that is ready.
pub struct Session {
    pub client: Client,
    config: Arc<Config>,
    /// Ends the connection with the session, whatever it is doing.
    _driver: AbortOnDropHandle<()>,
}

impl Session {
    /// Connects as `name`, which the server shows as the application's.
    pub async fn open(config: Arc<Config>, name: &str) -> Result<Self> {
        let address = &config.address;
        let mut pg = PgConfig::new();
        for (host, port) in &address.hosts {
            pg.host(host).port(*port);
        }
        pg.dbname(if address.database.is_empty() { "postgres" } else { &address.database })
            .user(config.user.as_str())
            .application_name(name)
            .connect_timeout(address.connect_timeout.unwrap_or(CONNECT_TIMEOUT))
            .keepalives(true)
            .keepalives_idle(DEAD_AFTER / 3)
            .keepalives_interval(DEAD_AFTER / 3)
            .keepalives_retries(2)
            .tcp_user_timeout(DEAD_AFTER);
        if let Some(password) = &config.password {
            pg.password(password.reveal());
        }
        if let Some(options) = &address.options {
            pg.options(options.as_str());
        }
        if address.hosts.len() > 1 {
            pg.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let what = "open a connection";
        let lost = |error: tokio_postgres::Error| failed(what, &config.shown, &error);
        // The library's limit is for the network alone; a server may take a connection and never greet.
        let limit = 2 * address.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let (client, driver) = match address.tls() {
            Tls::Off => {
                pg.ssl_mode(SslMode::Disable);
                let (client, connection) =
                    config.within(limit, what, pg.connect(NoTls)).await?.map_err(lost)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
            Tls::VerifyFull => {
                pg.ssl_mode(SslMode::Require);
                let connector = MakeRustlsConnect::new(config.tls.config()?);
                let (client, connection) =
                    config.within(limit, what, pg.connect(connector)).await?.map_err(lost)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
        };
        let session = Self { client, config, _driver: AbortOnDropHandle::new(driver) };
        session.set_up().await?;
        Ok(session)
    }

    async fn set_up(&self) -> Result<()> {
        let dead = DEAD_AFTER.as_secs();
        let mut settings = format!(
            "SET client_min_messages = warning; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; \
             SET DateStyle = 'ISO'; SET lock_timeout = '{}ms'; SET statement_timeout = 0; \
             SET tcp_keepalives_idle = {}; SET tcp_keepalives_interval = {}; SET tcp_keepalives_count = 2; \
             SET tcp_user_timeout = '{dead}s'",
            self.config.lock_timeout.as_millis(),
            dead / 3,
            dead / 3,
        );
        if let Some(schema) = &self.config.address.schema {
            settings.push_str(&format!("; SELECT set_config('search_path', {}, false)", literal(schema)));
        }
        self.run("set up a session", &settings).await?;
        // What `COMMIT` answers must be on the server's disk, since the checkpoint goes on from there.
        let durable =
            self.first("look at the session", "SELECT current_setting('synchronous_commit')").await?;
        if durable.as_deref() == Some("off") {
            self.run("set up a session", "SET synchronous_commit = on").await?;
        }
        match &self.config.session_init {
            Some(statement) => self.run("run `sessionInitStatement`", statement).await,
            None => Ok(()),
        }
    }

    /// Runs statements without parameters.
    pub async fn run(&self, what: &str, sql: &str) -> Result<()> {
        self.try_run(what, sql).await?.map_err(|error| self.failed(what, &error))
    }

    /// The same; what the database refuses is the inner result.
    pub async fn try_run(&self, what: &str, sql: &str) -> Result<Result<(), tokio_postgres::Error>> {
        self.config.within(self.config.query_timeout, what, self.client.batch_execute(sql)).await
    }

    /// The first value of the first row; `None` for no row and for NULL.
    pub async fn first(&self, what: &str, sql: &str) -> Result<Option<String>> {
        let rows = self.rows(what, sql).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// All rows, as text.
    pub async fn rows(&self, what: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.try_rows(what, sql).await?.map_err(|error| self.failed(what, &error))
    }

    /// The same; what the database refuses is the inner result.
    pub async fn try_rows(
        &self,
        what: &str,
        sql: &str,
    ) -> Result<Result<Vec<Vec<Option<String>>>, tokio_postgres::Error>> {
        let answer =
            self.config.within(self.config.query_timeout, what, self.client.simple_query(sql)).await?;
        Ok(answer.map(|messages| {
            let row = |message: SimpleQueryMessage| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
                }
                _ => None,
            };
            messages.into_iter().filter_map(row).collect()
        }))
    }

    /// An error of a step on this connection.
    pub fn failed(&self, what: &str, error: &tokio_postgres::Error) -> Error {
        failed(what, &self.config.shown, error)
    }

    /// Ends other connections of this name: what a process that died, was stopped or lost its network left behind. The
    /// checkpoint is locked, so no other process may write for this query.
    pub async fn end_ghosts(&self, name: &str) -> Result<()> {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = {} AND pid <> pg_backend_pid()",
            literal(name)
        );
        self.rows("end an earlier connection of this query", &sql).await.map(|_| ())
    }
}

impl Config {
    /// Waits for a step no longer than `limit`, and no longer than [`STOP_GRACE`] once the query is to end. What is given up
    /// leaves nothing half done: its transaction ends with its connection, and a COMMIT whose answer nobody waited for is
    /// recognised at the next start.
    pub async fn within<T>(&self, limit: Duration, what: &str, step: impl Future<Output = T>) -> Result<T> {
        let stopped = async {
            match self.stopping.get() {
                Some(stopping) => stopping.clone().await,
                None => std::future::pending().await,
            }
            tokio::time::sleep(STOP_GRACE).await;
        };
        tokio::select! {
            biased;
            done = tokio::time::timeout(limit, step) => done.map_err(|_| timed_out(what, &self.shown, limit)),
            () = stopped => Err(given_up(what, &self.shown, STOP_GRACE)),
        }
    }
}
