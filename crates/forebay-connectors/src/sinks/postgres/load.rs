//! How the rows of an epoch get to the server: lanes make the bytes, one task hands them to the connection.
//!
//! ```text
//!  lane ─ encode ─┐
//!  lane ─ encode ─┼─▶ a few chunks ─▶ [`Load::stream`] ─▶ COPY          what a query does until a row is refused
//!  lane ─ rows ───┴─▶ a few batches ─▶ [`Load::pieces`] ─▶ COPY, COPY …  then, for some epochs, piece by piece
//! ```
//!
//! COPY stands or falls as a whole, and a stream of it cannot be wound back. So an epoch in which a row was refused is
//! written again in pieces of `batchsize` rows, each behind a savepoint; a piece that is refused is halved, left half first,
//! until the row stands alone. What must stay true: rows arrive in the order of their lane, and a row is refused in the state
//! that the table has once all rows before it are in.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::json::LineDelimitedWriter;
use async_trait::async_trait;
use bytes::Bytes;
use forebay_core::error::codes;
use forebay_core::sink::{LaneWriter, Part, Refused};
use forebay_core::{Error, Result};
use forebay_storage::kill_point;
use futures::SinkExt;
use tokio::sync::mpsc;
use tokio_postgres::{CopyInSink, Statement};

use super::config::Config;
use super::encode::{Bad, HEADER, Rows, TRAILER};
use super::fault::{self, Words, rows_refused};
use super::kinds::Wire;
use super::session::Session;
use super::statements::Statements;

/// Bytes that go to the connection at a time.
const CHUNK: usize = 256 << 10;

/// Chunks or batches that may wait for the connection.
pub const WAITING: usize = 4;

/// Rows on their way.
pub enum Piece {
    Bytes(Bytes),
    Rows(RecordBatch),
}

/// What a lane gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct LanePart {
    pub rows: u64,
    pub bytes: u64,
}

/// The first thing that went wrong in an epoch, for everybody who comes upon the end of it.
pub type Failure = Arc<OnceLock<Error>>;

/// Encodes the rows of a lane.
pub struct PostgresLane {
    pub to: mpsc::Sender<Piece>,
    pub failure: Failure,
    pub config: Arc<Config>,
    pub wires: Arc<[Wire]>,
    /// Rows go as they are.
    pub by_piece: bool,
    pub part: LanePart,
    pub buffer: Vec<u8>,
}

impl PostgresLane {
    async fn send(&mut self, piece: Piece) -> Result<()> {
        let sent = self.to.send(piece).await;
        sent.map_err(|_| {
            let lost =
                || Error::new(&codes::SINK_UNAVAILABLE, "the connection to PostgreSQL ended in mid-epoch");
            self.failure.get().cloned().unwrap_or_else(lost)
        })
    }

    /// The full chunks of a batch; what is left of it stays in the buffer.
    fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<Bytes>> {
        let rows = Rows::new(batch, &self.wires, self.config.zone).map_err(|e| self.refuse(&of_arrow(&e)))?;
        let mut writer = rows.writer().map_err(|e| self.refuse(&of_arrow(&e)))?;
        let mut chunks = Vec::new();
        for row in 0..batch.num_rows() {
            if let Err(bad) = writer.write(row, &mut self.buffer) {
                return Err(self.refuse(&of_bad(bad, batch)));
            }
            if self.buffer.len() >= CHUNK {
                let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK + CHUNK / 8));
                chunks.push(Bytes::from(full));
            }
        }
        Ok(chunks)
    }

    fn refuse(&self, words: &Words) -> Error {
        self.failure.get_or_init(|| rows_refused(words)).clone()
    }
}

#[async_trait]
impl LaneWriter for PostgresLane {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.part.rows += batch.num_rows() as u64;
        if self.by_piece {
            self.part.bytes += batch.get_array_memory_size() as u64;
            return self.send(Piece::Rows(batch)).await;
        }
        for chunk in self.encode(&batch)? {
            self.part.bytes += chunk.len() as u64;
            self.send(Piece::Bytes(chunk)).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Part> {
        if !self.buffer.is_empty() {
            let rest = Bytes::from(std::mem::take(&mut self.buffer));
            self.part.bytes += rest.len() as u64;
            self.send(Piece::Bytes(rest)).await?;
        }
        Ok(Box::new(self.part))
    }
}

fn of_bad(bad: Bad, batch: &RecordBatch) -> Words {
    let place = batch.schema().fields().get(bad.column).map(|field| field.name().clone());
    Words { sqlstate: bad.sqlstate.to_owned(), place, text: bad.why }
}

fn of_arrow(error: &arrow::error::ArrowError) -> Words {
    Words { sqlstate: "22003".to_owned(), place: None, text: format!("a value does not fit: {error}") }
}

/// Hands the rows of an epoch to the connection.
pub struct Load {
    pub session: Arc<Session>,
    pub config: Arc<Config>,
    pub wires: Arc<[Wire]>,
    pub sql: Arc<Statements>,
    /// The prepared COPY.
    pub copy: Statement,
    /// A key came twice in an epoch before.
    pub twice: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Loaded {
    pub refused: Vec<Refused>,
    /// A key came twice in an epoch.
    pub twice: bool,
}

type Copy = Pin<Box<CopyInSink<Bytes>>>;

impl Load {
    /// All rows in one COPY.
    pub async fn stream(mut self, mut from: mpsc::Receiver<Piece>) -> Result<Loaded> {
        let mut copy: Option<Copy> = None;
        while let Some(piece) = from.recv().await {
            let Piece::Bytes(bytes) = piece else { return Err(mixed()) };
            let running = match &mut copy {
                Some(running) => running,
                None => copy.insert(self.begin().await?),
            };
            self.feed(running, bytes).await?;
            kill_point("sink.postgres.copy.first");
        }
        if let Some(copy) = copy {
            self.end(copy).await?.map_err(|error| self.judged("write rows", &error))?;
            kill_point("sink.postgres.copy.after");
            self.merge().await?.map_err(|error| self.judged("bring rows into the table", &error))?;
            kill_point("sink.postgres.merge.after");
        }
        Ok(Loaded { refused: Vec::new(), twice: self.twice })
    }

    /// Piece by piece; rows that are refused are handed back.
    pub async fn pieces(mut self, mut from: mpsc::Receiver<Piece>) -> Result<Loaded> {
        // Else a constraint that is looked at late would be broken by a row that nobody can name any more.
        self.session.run("write rows", "SET CONSTRAINTS ALL IMMEDIATE").await?;
        let (mut refused, mut waiting, mut count) = (Vec::new(), Vec::new(), 0);
        while let Some(piece) = from.recv().await {
            let Piece::Rows(batch) = piece else { return Err(mixed()) };
            let mut start = 0;
            while start < batch.num_rows() {
                let len = (self.config.batch_size - count).min(batch.num_rows() - start);
                waiting.push(batch.slice(start, len));
                (start, count) = (start + len, count + len);
                if count == self.config.batch_size {
                    self.piece(&std::mem::take(&mut waiting), &mut refused).await?;
                    count = 0;
                }
            }
        }
        self.piece(&waiting, &mut refused).await?;
        Ok(Loaded { refused, twice: self.twice })
    }

    /// Some rows, without those that are refused.
    async fn piece(&mut self, batches: &[RecordBatch], refused: &mut Vec<Refused>) -> Result<()> {
        let Some(first) = batches.first() else { return Ok(()) };
        let all = concat_batches(&first.schema(), batches).map_err(internal)?;
        let mut left = vec![(0, all.num_rows())];
        while let Some((start, len)) = left.pop() {
            let rows = all.slice(start, len);
            match self.try_rows(&rows).await? {
                None => {}
                Some(words) if len == 1 => refused.push(refusal(&rows, words)?),
                Some(_) => {
                    let half = len / 2;
                    left.push((start + half, len - half));
                    left.push((start, half));
                }
            }
        }
        Ok(())
    }

    /// Writes these rows, or none of them and says why one is refused.
    async fn try_rows(&mut self, batch: &RecordBatch) -> Result<Option<Words>> {
        let mut bytes = HEADER.to_vec();
        if let Err(words) = encoded(batch, &self.wires, &self.config, &mut bytes) {
            return Ok(Some(words));
        }
        bytes.extend_from_slice(TRAILER);
        self.session.run("write rows", "SAVEPOINT forebay_piece").await?;
        match self.try_bytes(Bytes::from(bytes)).await? {
            Ok(()) => self.session.run("write rows", "RELEASE SAVEPOINT forebay_piece").await.map(|()| None),
            Err(error) => {
                let words = fault::of_row(&error).ok_or_else(|| self.session.failed("write rows", &error))?;
                let back = "ROLLBACK TO SAVEPOINT forebay_piece; RELEASE SAVEPOINT forebay_piece";
                self.session.run("write rows", back).await?;
                Ok(Some(words))
            }
        }
    }

    async fn try_bytes(&mut self, bytes: Bytes) -> Result<Result<(), tokio_postgres::Error>> {
        let mut copy = match self.open_copy().await? {
            Ok(copy) => copy,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = self.within(copy.send(bytes)).await? {
            return Ok(Err(self.better(copy, error).await));
        }
        if let Err(error) = self.within(copy.as_mut().finish()).await? {
            return Ok(Err(error));
        }
        if let Err(error) = self.merge().await? {
            return Ok(Err(error));
        }
        match &self.sql.merge {
            Some(merge) => self.session.try_run("write rows", merge.clear).await,
            None => Ok(Ok(())),
        }
    }

    /// From the stage into the table, if there is one.
    async fn merge(&mut self) -> Result<Result<(), tokio_postgres::Error>> {
        let (what, sql) = ("bring rows into the table", self.sql.clone());
        let Some(merge) = &sql.merge else { return Ok(Ok(())) };
        let Some(last) = &merge.last else { return self.session.try_run(what, &merge.plain).await };
        if !self.twice {
            self.session.run(what, "SAVEPOINT forebay_merge").await?;
            match self.session.try_run(what, &merge.plain).await? {
                // A row would be replaced twice by the same statement.
                Err(error) if error.code().is_some_and(|state| state.code() == "21000") => {
                    self.session.run(what, "ROLLBACK TO SAVEPOINT forebay_merge").await?;
                    self.twice = true;
                }
                Err(error) => return Ok(Err(error)),
                Ok(()) => {
                    self.session.run(what, "RELEASE SAVEPOINT forebay_merge").await?;
                    return Ok(Ok(()));
                }
            }
        }
        self.session.try_run(what, last).await
    }

    async fn begin(&self) -> Result<Copy> {
        let mut copy = self.open_copy().await?.map_err(|error| self.judged("write rows", &error))?;
        self.feed(&mut copy, Bytes::from_static(HEADER)).await?;
        Ok(copy)
    }

    async fn open_copy(&self) -> Result<Result<Copy, tokio_postgres::Error>> {
        Ok(self.within(self.session.client.copy_in(&self.copy)).await?.map(Box::pin))
    }

    async fn feed(&self, copy: &mut Copy, bytes: Bytes) -> Result<()> {
        match self.within(copy.feed(bytes)).await? {
            Ok(()) => Ok(()),
            // The server's own words come with the end.
            Err(error) => match self.within(copy.as_mut().finish()).await? {
                Err(better) if better.as_db_error().is_some() => Err(self.judged("write rows", &better)),
                _ => Err(self.judged("write rows", &error)),
            },
        }
    }

    async fn end(&self, mut copy: Copy) -> Result<Result<(), tokio_postgres::Error>> {
        if let Err(error) = self.within(copy.feed(Bytes::from_static(TRAILER))).await? {
            return Ok(Err(self.better(copy, error).await));
        }
        Ok(self.within(copy.as_mut().finish()).await?.map(|_| ()))
    }

    async fn better(&self, mut copy: Copy, error: tokio_postgres::Error) -> tokio_postgres::Error {
        match self.within(copy.as_mut().finish()).await {
            Ok(Err(better)) if better.as_db_error().is_some() => better,
            _ => error,
        }
    }

    async fn within<T>(&self, step: impl Future<Output = T>) -> Result<T> {
        self.config.within(self.config.query_timeout, "write rows", step).await
    }

    /// An error that may be a row's.
    fn judged(&self, what: &str, error: &tokio_postgres::Error) -> Error {
        match fault::of_row(error) {
            Some(words) => rows_refused(&words),
            None => self.session.failed(what, error),
        }
    }
}

fn encoded(
    batch: &RecordBatch,
    wires: &Arc<[Wire]>,
    config: &Config,
    out: &mut Vec<u8>,
) -> Result<(), Words> {
    let rows = Rows::new(batch, wires, config.zone).map_err(|e| of_arrow(&e))?;
    let mut writer = rows.writer().map_err(|e| of_arrow(&e))?;
    (0..batch.num_rows()).try_for_each(|row| writer.write(row, out).map_err(|bad| of_bad(bad, batch)))
}

/// A row for the quarantine, with the words of the server.
fn refusal(row: &RecordBatch, words: Words) -> Result<Refused> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(row).and_then(|()| writer.finish()).map_err(internal)?;
    let mut text = writer.into_inner();
    text.truncate(text.trim_ascii_end().len());
    let path = words.place.map_or_else(|| "$".to_owned(), |place| format!("$.{place}"));
    Ok(Refused { code: format!("postgres.{}", words.sqlstate), path, why: words.text, row: text })
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "an epoch's rows do not fit together").caused_by(error)
}

fn mixed() -> Error {
    Error::new(&codes::INTERNAL, "rows came in the wrong form to the PostgreSQL sink")
}
