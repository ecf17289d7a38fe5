//! The Kafka sink: one epoch, one transaction, once.
//!
//! ```text
//!  last_epoch   become the writer of `forebay-<query id>` (an older process is fenced, what it left open is aborted);
//!     │         read the group of the same name: its offset is the newest epoch + 1; write there who the writer is
//!  begin(N)     is the offset beyond N? ── yes ──▶ AlreadyWritten
//!     │ no
//!  lanes        rows become batches of the target partitions and go out as they fill; nobody who reads committed sees them
//!     │
//!  prepare(N)   rows that their topic refuses for good: too large for it, without the key that it asks for. Nothing of them is
//!     │         there, their neighbours are
//!  commit(N)    the group's offset N + 1 joins the transaction, which is committed: rows and epoch at once, or neither
//!  abort(N)     become the writer anew: that ends what was begun
//! ```
//!
//! | dies | the topic | the epoch on restart |
//! |---|---|---|
//! | while rows are written, or before the end of the transaction | an open transaction, which the next writer aborts, or the broker after `kafka.transaction.timeout.ms` | is written anew |
//! | after the broker has the end of it, before we know | has the epoch | is recognised by the group's offset |
//! | after that | has the epoch | the same |
//!
//! Rows go through the client's own producer, whose batches carry sequence numbers, so what is sent again after a lost
//! answer is there once. A failure of any kind ends the transaction for us; the engine comes again with the same epoch, and
//! the group's offset, which is asked then, says whether it is there.
//!
//! A process that was fenced and one whose transaction took too long get the same answer from a broker. What tells them
//! apart is the text beside the group's offset: it names the writer (`mark.rs`). Who finds another there ends for good.
//!
//! What must stay true: the offset never moves without its rows, nor rows without it; and nobody who was a writer once
//! becomes it again without having seen that no other did meanwhile.
//! With `exactlyOnce: false` there is no transaction and no group: rows are visible as they are written, and an epoch that
//! is repeated writes them again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use forebay_core::clock::Clock;
use forebay_core::error::{Code, codes};
use forebay_core::options::Options;
use forebay_core::output_mode::OutputMode;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Refused, Sink, Written};
use forebay_core::{Epoch, Error, Result};

mod columns;
mod config;
mod fault;
mod lane;
mod mark;
mod outlet;
mod refused;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

pub use config::SPEC;

use columns::Columns;
use config::Config;
use lane::{KafkaLane, LaneDone};
use mark::Resumed;
use outlet::Outlet;
use writer::Writer;

/// How long the end of a failed attempt waits for the broker to end its transaction. 5 seconds: the next attempt does it
/// otherwise, and until then readers of committed records wait.
const ABORT_PATIENCE: Duration = Duration::from_secs(5);

/// Writes to topics. See the module.
pub struct KafkaSink {
    config: Config,
    clock: Arc<dyn Clock>,
    columns: Option<Arc<Columns>>,
    writer: Writer,
    /// The epoch that is being written; its turn keeps housekeeping out of the transaction.
    current: Option<(Arc<Outlet>, outlet::Turn)>,
    /// Rows of it that topics refuse for good.
    refused: u64,
}

impl KafkaSink {
    /// A sink for these options. Touches nothing yet.
    ///
    /// # Errors
    /// `BAD_VALUE`, `MISSING_KEY`, `UNKNOWN_KEY` for options, `SECRET` for certificates that cannot be read.
    pub fn new(options: &Options, clock: Arc<dyn Clock>) -> Result<Self> {
        let config = Config::new(options)?;
        let writer = Writer::new(&config)?;
        Ok(Self { config, clock, columns: None, writer, current: None, refused: 0 })
    }

    fn columns(&self) -> Result<Arc<Columns>> {
        self.columns.clone().ok_or_else(|| Error::new(&codes::INTERNAL, "the Kafka sink was not opened"))
    }
}

#[async_trait]
impl Sink for KafkaSink {
    fn description(&self) -> String {
        format!("KafkaSink[{}]", self.config.topic.as_deref().unwrap_or("column topic"))
    }

    /// The topic may change while the query lives, as in Spark, and the addresses of brokers do.
    fn identity(&self, _: Option<&Path>) -> String {
        "KafkaSink".to_owned()
    }

    fn guarantee(&self) -> Guarantee {
        if self.config.exactly_once { Guarantee::ExactlyOnce } else { Guarantee::AtLeastOnce }
    }

    /// Every mode: each epoch's rows become records, as in Spark. A key tells readers which row a later one replaces.
    fn output(&mut self, _: OutputMode, _: &[String]) -> Result<()> {
        Ok(())
    }

    fn check(&self, schema: &Schema) -> Result<()> {
        Columns::new(schema, &self.config).map(drop)
    }

    fn resumes(&mut self, written: Option<Epoch>, tried: Option<Epoch>) {
        self.writer.resumes(Resumed { written, tried, believed: self.config.believe_checkpoint });
    }

    fn remedy(&self, code: &Code) -> Option<String> {
        (code == &codes::SINK_BEHIND).then(|| mark::remedy(&self.config.prefix))
    }

    async fn open(&mut self, schema: SchemaRef) -> Result<()> {
        self.columns = Some(Arc::new(Columns::new(&schema, &self.config)?));
        for warning in &self.config.client.warnings {
            tracing::warn!("{warning}");
        }
        self.writer.reach().await.map_err(fault::of_sink)
    }

    async fn last_epoch(&mut self, query_id: &str) -> Result<Option<Epoch>> {
        self.writer.newest(query_id).await.map_err(fault::of_sink)
    }

    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        self.current = None;
        if self.writer.newest(&id.query_id).await.map_err(fault::of_sink)? >= Some(id.epoch) {
            return Ok(Begun::AlreadyWritten);
        }
        let (columns, outlet) = (self.columns()?, self.writer.outlet().await.map_err(fault::of_sink)?);
        let turn = outlet.turn().await;
        // Rows that may wait in lanes altogether, beside those that the producer holds already.
        let room = (self.config.producer.buffer_bytes / lanes.max(1)).max(self.config.producer.batch_bytes);
        let lane = |_| {
            let lane = KafkaLane::new(&outlet, &columns, &self.config.producer, room, &self.clock);
            Box::new(lane) as Box<dyn LaneWriter>
        };
        let writers = (0..lanes).map(lane).collect();
        self.current = Some((outlet, turn));
        self.refused = 0;
        Ok(Begun::Writers(writers))
    }

    async fn prepare(&mut self, _: &EpochId) -> Result<Vec<Refused>> {
        let Some((outlet, _)) = &self.current else { return Ok(Vec::new()) };
        let refused = outlet.producer.take_refused();
        self.refused = refused.len() as u64;
        Ok(refused.into_iter().map(refused::row).collect())
    }

    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written> {
        let mut written = Written::default();
        for part in parts {
            let lane = part
                .downcast::<LaneDone>()
                .map_err(|_| Error::new(&codes::INTERNAL, "a part of another sink came to a Kafka commit"))?;
            written.rows += lane.rows;
            written.bytes += lane.bytes;
        }
        let Some((outlet, turn)) = self.current.take() else {
            return Err(Error::new(&codes::INTERNAL, "a commit without an epoch"));
        };
        // Also if all of them were refused: the checkpoint counts the epoch as written.
        if written.rows > 0 {
            let committed = self.writer.commit(&outlet, id).await;
            committed.map_err(|error| fault::of_sink(outlet.explained(error)))?;
        }
        drop(turn);
        written.rows = written.rows.saturating_sub(self.refused);
        Ok(written)
    }

    async fn abort(&mut self, _id: &EpochId) -> Result<()> {
        self.current = None;
        // Whatever failed, lanes of it may still be sending: only a later author is safe from them.
        self.writer.leave();
        match tokio::time::timeout(ABORT_PATIENCE, self.writer.end_what_was_left()).await {
            Ok(ended) => ended.map_err(fault::of_sink),
            Err(_) => {
                tracing::debug!("the broker does not end the transaction yet; the next attempt does");
                Ok(())
            }
        }
    }

    async fn close(&mut self) {
        self.current = None;
        self.writer.leave();
    }
}
