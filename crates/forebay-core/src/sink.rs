//! What a query writes to: one epoch at a time, told by number, exactly once where the system allows it.
//!
//! The engine calls [`Sink::begin`], hands each lane's batches to a [`LaneWriter`], asks [`Sink::prepare`] for rows that the
//! system behind refuses for good, and then calls [`Sink::commit`], which makes the whole epoch visible at once. After a crash it comes again with the same epoch
//! number and the same rows; a sink that promises exactly-once must then recognise the number and say so. What must
//! stay true: nothing of an epoch is visible before `commit`, and everything is durable after it.

use std::any::Any;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use futures::future::{BoxFuture, Shared};

use crate::error::{Code, Error, Result, codes};
use crate::output_mode::OutputMode;
use crate::position::Epoch;

/// What a sink promises about rows after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Every row once, whatever dies when.
    ExactlyOnce,
    /// Every row; some may come twice after a crash.
    AtLeastOnce,
}

/// Which epoch of which query is written: the key by which a sink recognises a repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochId {
    /// The query's identity: made once with its checkpoint, the same for its whole life.
    pub query_id: String,
    /// The query's name in the pipeline file.
    pub query_name: String,
    /// The number of the epoch.
    pub epoch: Epoch,
    /// When the epoch was planned, milliseconds since 1970: the same at every replay.
    pub planned_at_ms: i64,
}

/// The error of a checkpoint with the remedy of the sink that it belongs to.
pub fn with_remedy(error: Error, sink: &dyn Sink) -> Error {
    match sink.remedy(error.code()) {
        Some(remedy) => error.with_hint(remedy),
        None => error,
    }
}

/// Completes when the query is asked to end.
pub type Stopping = Shared<BoxFuture<'static, ()>>;

/// Where a query writes.
#[async_trait]
pub trait Sink: Send {
    /// How Spark would print it, for example `DeltaSink[/lake/iot]`.
    fn description(&self) -> String;

    /// What a checkpoint knows the sink by: it stays the same while the query lives. A folder in `home`, which moves
    /// together with the checkpoint, is named as [`place`] does.
    fn identity(&self, home: Option<&Path>) -> String {
        let _ = home;
        self.description()
    }

    /// What the sink promises.
    fn guarantee(&self) -> Guarantee;

    /// Told once, before [`Sink::check`] and [`Sink::open`]: what the rows of an epoch are to those before them. In
    /// update mode a row takes the place of the one with the same values of `keys`; empty if the query does not know
    /// its keys. Refuses (`OUTPUT_MODE`) what the sink cannot do.
    fn output(&mut self, mode: OutputMode, keys: &[String]) -> Result<()> {
        let _ = keys;
        if mode == OutputMode::Append {
            return Ok(());
        }
        let message = format!("{} cannot take rows in output mode `{mode}`", self.description());
        Err(Error::new(&codes::OUTPUT_MODE, message).with_hint(
            "Rows that are final, each once, are `outputMode: append`: it needs a watermark and a window (or the event \
             time) in GROUP BY.",
        ))
    }

    /// How far apart commits should be with the default trigger, if the sink suffers from many small ones.
    fn min_commit_interval(&self) -> Option<Duration> {
        None
    }

    /// Refuses a schema whose rows the sink could never take, judged by its options alone: called when a pipeline is
    /// validated, long before [`Sink::open`], so nothing outside is looked at. `BAD_VALUE` means that an option is
    /// wrong, every other code that the query's columns are.
    fn check(&self, schema: &Schema) -> Result<()> {
        let _ = schema;
        Ok(())
    }

    /// Refuses a schema whose rows the sink would not take as it stands now. Looks, and changes nothing: it may be asked
    /// while another sink of the same kind writes to the same place.
    async fn fits(&mut self, schema: &Schema) -> Result<()> {
        self.check(schema)
    }

    /// How to mend an error of the checkpoint, in whole sentences, where that differs from what the error's code says.
    fn remedy(&self, code: &Code) -> Option<String> {
        let _ = code;
        None
    }

    /// Told once, before [`Sink::open`], how the query learns that it is to end. A call in which the system behind says nothing
    /// for a few seconds after that may then give up, with an error that may pass: the epoch comes again at the next start.
    fn stopping(&mut self, stop: Stopping) {
        drop(stop);
    }

    /// Told once, before [`Sink::open`], what the checkpoint knows: the newest epoch that it counts as written, and the
    /// newest that the sink may hold, because an attempt came as far as its commit. For sinks whose record of epochs can
    /// vanish by itself: none was ever written, or it is no longer known which.
    fn resumes(&mut self, written: Option<Epoch>, tried: Option<Epoch>) {
        let _ = (written, tried);
    }

    /// Prepares for rows of this schema (creates the table, checks that it fits). Called once, before any epoch.
    async fn open(&mut self, schema: SchemaRef) -> Result<()>;

    /// The newest epoch of this query that the sink holds, if it keeps such a record. Called once, after `open`: a
    /// sink that is ahead of the checkpoint shows that the checkpoint is an older copy.
    async fn last_epoch(&mut self, query_id: &str) -> Result<Option<Epoch>> {
        let _ = query_id;
        Ok(None)
    }

    /// Starts an epoch with one writer per lane, or says that the epoch is already there.
    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun>;

    /// Brings the epoch to where only its commit is missing, once all lanes are done: the rows that the system behind refuses
    /// for good, in order. They are durable in the quarantine before [`Sink::commit`] is called, which writes the others.
    async fn prepare(&mut self, id: &EpochId) -> Result<Vec<Refused>> {
        let _ = id;
        Ok(Vec::new())
    }

    /// Makes all parts of the epoch durable and visible at once. `parts` come in the order of the lanes; an epoch
    /// without rows may be skipped.
    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written>;

    /// From when on an epoch would have something to do though no record came (milliseconds since 1970), if there is such a
    /// time: silence that is to be told, something that waits for others. Asked between epochs, at `now_ms`; one without records is
    /// planned when it has come, at most once a second.
    fn next_due(&self, now_ms: i64) -> Option<i64> {
        let _ = now_ms;
        None
    }

    /// Throws away what was begun; called when a lane failed, before the epoch is tried again.
    async fn abort(&mut self, id: &EpochId) -> Result<()>;

    /// Housekeeping between epochs, never in the way of one: returns at once if nothing is due.
    async fn tidy(&mut self) -> Result<()> {
        Ok(())
    }

    /// Told once, when the query has ended: housekeeping that was begun may end well. Waits half a minute at most.
    async fn close(&mut self) {}
}

/// An absolute path as an identity names it: relative to `home` if it lies in it, and without `.`, `..` and doubled
/// separators. No disk is asked, so links are not followed.
pub fn place(path: &Path, home: Option<&Path>) -> PathBuf {
    let path = plain(path);
    let inside = home.and_then(|home| path.strip_prefix(plain(home)).ok()).map(Path::to_path_buf);
    inside.unwrap_or(path)
}

fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// The answer to [`Sink::begin`].
pub enum Begun {
    /// Write the rows to these, one per lane.
    Writers(Vec<Box<dyn LaneWriter>>),
    /// The sink has this epoch: its rows need not come again.
    AlreadyWritten,
}

/// What a lane wrote, to be handed back in [`Sink::commit`]; only its own sink looks inside.
pub type Part = Box<dyn Any + Send>;

/// Takes the rows of one lane of one epoch, in order.
#[async_trait]
pub trait LaneWriter: Send {
    /// Takes a batch of the schema that [`Sink::open`] was told.
    async fn write(&mut self, batch: RecordBatch) -> Result<()>;

    /// Told before the first batch if others hold what comes too, so that holding on to it takes no more memory.
    fn lent(&mut self) {}

    /// Ends the lane. What it returns is durable, though not visible.
    async fn finish(self: Box<Self>) -> Result<Part>;
}

/// A row that the system behind a sink refuses, now and whenever it came again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A stable code: the system's name and its own code, `postgres.23505`.
    pub code: String,
    /// The column or constraint, `$` for the whole row.
    pub path: String,
    /// The system's own words.
    pub why: String,
    /// The row as a JSON object.
    pub row: Vec<u8>,
}

/// What a commit wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Bytes as stored.
    pub bytes: u64,
    /// Files, for sinks that write files.
    pub files: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_data_folder_is_named_from_there_and_any_other_in_full() {
        for (path, home, expected) in [
            ("/d/lake/t", Some("/d"), "lake/t"),
            ("/d/./lake//t/", Some("/x/../d/"), "lake/t"),
            ("/d/lake/../t", Some("/d"), "t"),
            ("/d/../other/t", Some("/d"), "/other/t"),
            ("/data/t", Some("/d"), "/data/t"),
            ("/d/a/../t", None, "/d/t"),
            ("/../t", None, "/t"),
        ] {
            assert_eq!(place(Path::new(path), home.map(Path::new)), Path::new(expected), "{path}");
        }
    }
}
