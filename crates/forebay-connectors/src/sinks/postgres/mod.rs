//! The PostgreSQL sink: one epoch, one transaction, once.
//!
//! ```text
//!  begin(N)    BEGIN; SELECT epoch FROM forebay_epochs WHERE query_id = … FOR UPDATE ── N or later? ──▶ AlreadyWritten
//!     │ no
//!  lanes       rows as binary COPY, through a few chunks, over one connection          (load.rs)
//!  prepare(N)  the end of COPY, from the stage into the table; rows that were refused   (statements.rs)
//!  commit(N)   UPDATE forebay_epochs SET epoch = N; COMMIT
//! ```
//!
//! | dies | the table | the epoch on restart |
//! |---|---|---|
//! | before COMMIT reached the server | untouched: the server rolls back | is written anew |
//! | the server, at any time | as its log says: both the rows and the number, or neither | is recognised, or written anew |
//! | after COMMIT, its answer lost | has the epoch | is recognised by its number |
//!
//! The epoch's row is locked as long as its transaction lives, so whoever comes next (after a lost answer, or a process that was
//! stopped and wakes) waits until it is decided; what hangs on is ended by name (`session.rs`).
//!
//! After any failure the connection is given up and the table is looked at anew: it may have changed. At the start a table that
//! does not fit ends the query; later, when epochs have been written, it is waited for like a server that is down, since then
//! somebody is changing it.
//!
//! What must stay true: the rows and the number are in the same transaction, and nothing is taken as written before COMMIT
//! was answered or the number was read.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::sink::{Begun, EpochId, Guarantee, Part, Refused, Sink, Stopping, Written};
use forebay_core::{Epoch, Error, OutputMode, Result, Zone};
use forebay_storage::kill_point;
use tokio_util::task::AbortOnDropHandle;

mod begin;
mod config;
mod encode;
mod fault;
mod kinds;
mod load;
mod names;
mod ready;
mod session;
mod statements;
mod table;
mod unique;
mod url;

pub use config::SPEC;

use config::{Config, WriteMode, without_key};
use load::{Failure, LanePart, Loaded};
use names::literal;
use ready::Ready;
use session::Session;

/// Epochs that are written in pieces after one in which a row was refused.
const IN_PIECES: u32 = 32;

/// Most columns of a table.
const MOST_COLUMNS: usize = 1_600;

/// Writes to a table of PostgreSQL. See the module.
pub struct PostgresSink {
    config: Arc<Config>,
    write: WriteMode,
    /// Columns of the query by which rows are told apart.
    key: Vec<String>,
    schema: Option<SchemaRef>,
    ready: Option<Ready>,
    current: Option<Current>,
    /// How many epochs are still written in pieces.
    in_pieces: u32,
    /// A key came twice in an epoch.
    twice: bool,
    /// Where the query's connections are known by; empty until its id is known.
    name: String,
    /// What was told of the table already.
    told: Vec<String>,
}

/// The epoch that is being written.
struct Current {
    load: Option<AbortOnDropHandle<Result<Loaded>>>,
    failure: Failure,
    refused: u64,
}

impl PostgresSink {
    /// A sink for these options; `zone` is the pipeline's. Touches nothing yet.
    pub fn new(options: &Options, zone: Zone) -> Result<Self> {
        let config = Arc::new(Config::new(options, zone)?);
        let write = config.write.unwrap_or(WriteMode::Append);
        let key = config.key.clone();
        let (schema, ready, current) = (None, None, None);
        Ok(Self {
            config,
            write,
            key,
            schema,
            ready,
            current,
            in_pieces: 0,
            twice: false,
            name: String::new(),
            told: Vec::new(),
        })
    }

    fn internal(what: &str) -> Error {
        Error::new(&codes::INTERNAL, format!("the PostgreSQL sink was {what}"))
    }

    /// A connection to a table that fits, made if there is none.
    async fn ready(&mut self) -> Result<&Ready> {
        if self.ready.as_ref().is_none_or(|ready| ready.session.client.is_closed()) {
            let schema = self.schema.clone().ok_or_else(|| Self::internal("not opened"))?;
            let name = if self.name.is_empty() { "forebay" } else { &self.name };
            let session = Arc::new(Session::open(self.config.clone(), name).await?);
            let ready = self.look(session, &schema).await?;
            for doubt in ready.doubts.iter().filter(|doubt| !self.told.contains(doubt)) {
                tracing::warn!(sink = %self.description(), "{doubt}");
            }
            self.told.clone_from(&ready.doubts);
            self.ready = Some(ready);
        }
        self.held()
    }

    /// The connection that holds the epoch's transaction: never another one, which would write outside of it.
    fn held(&self) -> Result<&Ready> {
        self.ready.as_ref().ok_or_else(|| Self::internal("not connected"))
    }

    /// Waits until all rows of the epoch are at the server.
    async fn loaded(&mut self) -> Result<Vec<Refused>> {
        let current = self
            .current
            .as_mut()
            .ok_or_else(|| Self::internal("asked for an epoch that it did not begin"))?;
        let Some(load) = current.load.take() else { return Ok(Vec::new()) };
        let done = load.await.map_err(|error| Self::internal("interrupted").caused_by(error))?;
        let Loaded { refused, twice } = done?;
        current.refused = refused.len() as u64;
        self.twice |= twice;
        if !refused.is_empty() {
            self.in_pieces = IN_PIECES;
        }
        Ok(refused)
    }
}

#[async_trait]
impl Sink for PostgresSink {
    fn description(&self) -> String {
        format!("PostgresSink[{} {}]", self.config.shown, self.config.table)
    }

    /// The host may change (a new primary, another name for the same one), the table may not.
    fn identity(&self, _home: Option<&Path>) -> String {
        format!("PostgresSink[{} {}]", self.config.address.database, self.config.table)
    }

    fn guarantee(&self) -> Guarantee {
        match self.config.epoch_table {
            Some(_) => Guarantee::ExactlyOnce,
            None => Guarantee::AtLeastOnce,
        }
    }

    fn stopping(&mut self, stop: Stopping) {
        // Told once; another telling would be the same.
        drop(self.config.stopping.set(stop));
    }

    fn output(&mut self, mode: OutputMode, keys: &[String]) -> Result<()> {
        self.write = self.config.write_mode(mode)?;
        if self.config.key.is_empty() {
            self.key = if mode == OutputMode::Append { Vec::new() } else { keys.to_vec() };
        }
        if self.write == WriteMode::Upsert && self.key.is_empty() {
            return Err(without_key());
        }
        Ok(())
    }

    fn check(&self, schema: &Schema) -> Result<()> {
        let refuse = |message: String| Err(Error::new(&codes::SINK_SCHEMA, message));
        if schema.fields().len() > MOST_COLUMNS {
            return refuse(format!(
                "the query has {} columns, a table of PostgreSQL at most {MOST_COLUMNS}",
                schema.fields().len()
            ));
        }
        if let Some(field) =
            schema.fields().iter().find(|field| field.name().len() > 63 || field.name().is_empty())
        {
            return refuse(format!(
                "`{}` cannot be a column of PostgreSQL: names have 1 to 63 bytes",
                field.name()
            ));
        }
        let key = table::key_columns(schema, &self.key)?;
        table::create(&self.config, schema, &key).map(|_| ())
    }

    async fn fits(&mut self, schema: &Schema) -> Result<()> {
        self.check(schema)?;
        let session = Session::open(self.config.clone(), "forebay plan").await?;
        let Some(columns) = table::look(&session, &self.config).await? else { return Ok(()) };
        if self.config.merge_schema && !table::missing(schema, &columns).is_empty() {
            return Ok(());
        }
        let key = table::key_columns(schema, &self.key)?;
        let fit = table::fit(&self.config, schema, &columns, (self.write, &key))?;
        if self.write == WriteMode::Upsert {
            unique::check_key(&session, &self.config, &fit.key).await?;
        }
        unique::check_others(&session, &self.config, &fit).await.map(|_| ())
    }

    async fn open(&mut self, schema: SchemaRef) -> Result<()> {
        self.schema = Some(schema);
        self.ready = None;
        self.ready().await.map(|_| ())
    }

    async fn last_epoch(&mut self, query_id: &str) -> Result<Option<Epoch>> {
        self.named(query_id).await?;
        let Some(epochs) = self.config.epoch_table.as_ref().map(names::TableName::sql) else {
            return Ok(None);
        };
        let sql = format!("SELECT epoch FROM {epochs} WHERE query_id = {}", literal(query_id));
        let epoch = self.ready().await?.session.first("ask for the newest epoch", &sql).await?;
        Ok(epoch.and_then(|epoch| epoch.parse().ok()).map(Epoch))
    }

    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        self.current = None;
        let begun = self.begin_epoch(id, lanes).await;
        begun.map_err(|error| {
            // A transaction that failed takes nothing more, and the table may be another by now.
            self.ready = None;
            // It fitted when the query began: somebody changes the table, and will be done.
            let passes = error.code() == &codes::SINK_SCHEMA || error.code() == &codes::SINK_UNSUPPORTED;
            if passes { error.with_retry(true) } else { error }
        })
    }

    async fn prepare(&mut self, _id: &EpochId) -> Result<Vec<Refused>> {
        self.loaded().await
    }

    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written> {
        let mut all = LanePart::default();
        for part in parts {
            let part =
                part.downcast::<LanePart>().map_err(|_| Self::internal("given a part of another sink"))?;
            all.rows += part.rows;
            all.bytes += part.bytes;
        }
        let refused = self.loaded().await?;
        if !refused.is_empty() {
            return Err(Self::internal("to commit an epoch whose refused rows nobody took"));
        }
        let refused = self.current.as_ref().map_or(0, |current| current.refused);
        let rows = all.rows.saturating_sub(refused);
        let ready = self.held()?;
        if all.rows == 0 && ready.sql.empty.is_none() {
            ready.session.run("end a transaction", "ROLLBACK").await?;
            self.current = None;
            return Ok(Written::default());
        }
        if let Some(epochs) = &self.config.epoch_table {
            let sql = format!(
                "UPDATE {} SET query_name = {}, epoch = {}, rows = {rows}, planned_at = to_timestamp({} / 1000.0), \
                 committed_at = clock_timestamp() WHERE query_id = {} RETURNING 1",
                epochs.sql(),
                literal(&id.query_name),
                number(id)?,
                id.planned_at_ms,
                literal(&id.query_id),
            );
            if ready.session.rows("write the epoch's number", &sql).await?.len() != 1 {
                return Err(Self::internal("to write the epoch's number, and its row is gone"));
            }
        }
        kill_point("sink.postgres.epoch.after");
        kill_point("sink.postgres.commit.before");
        if let Err(error) = ready.session.try_run("commit", "COMMIT").await? {
            // Constraints that are looked at late.
            let Some(words) = fault::of_row(&error) else {
                return Err(ready.session.failed("commit", &error));
            };
            self.in_pieces = IN_PIECES;
            return Err(fault::rows_refused(&words));
        }
        kill_point("sink.postgres.commit.after");
        self.in_pieces = self.in_pieces.saturating_sub(1);
        self.current = None;
        Ok(Written { rows, bytes: all.bytes, files: 0 })
    }

    async fn abort(&mut self, _id: &EpochId) -> Result<()> {
        if let Some(current) = self.current.take() {
            let refused = |error: &Error| error.code() == &codes::SINK_ROWS_REFUSED;
            if current.failure.get().is_some_and(refused) {
                self.in_pieces = IN_PIECES;
            }
        }
        // The server rolls back what a connection leaves behind.
        self.ready = None;
        Ok(())
    }

    async fn close(&mut self) {
        self.current = None;
        self.ready = None;
    }
}

fn number(id: &EpochId) -> Result<i64> {
    i64::try_from(id.epoch.0).map_err(|_| PostgresSink::internal("given an epoch beyond all bounds"))
}
