//! What keys said last, durable in the checkpoint of a query: the file `last` beside its journal.
//!
//! ```text
//! forebay-last v1
//! … {"epoch":7,"last":[["cars",0,0,"speed…","car-1",1763892000000000,4632233691727265792], …]}
//! ```
//!
//! A line for each epoch in which something was said, durable before the epoch's outcome; so an epoch that a sink may have is never
//! computed again, and what it remembered is there. On opening what counts is put together: lines of epochs that have no outcome are
//! left out, and the file is written anew. Values stand as their bits, so they come back as they were.
//!
//! What must stay true: between two epochs the values in memory are those that the records up to the newest commit said.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_core::checkpoint::Recovery;
use forebay_core::error::codes;
use forebay_core::last::{LastValue, LastValues};
use forebay_core::{Epoch, Error, Partition, Result};
use forebay_storage::{Door, DoorFile, lines};
use serde::{Deserialize, Serialize};

const KIND: &str = "forebay-last";

/// Most keys in a line, so that none grows with the epoch.
const KEYS_IN_LINE: usize = 1_000;

/// Below so many bytes the file is not written anew while the query runs: it is read in milliseconds.
const LEAST_BYTES: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Line {
    epoch: Epoch,
    last: Vec<Said>,
}

/// Topic, number of the partition, input, rule, key, time, bits of the value.
#[derive(Serialize, Deserialize)]
struct Said(String, i32, u16, String, String, i64, u64);

/// What the keys of a query said last.
pub(crate) struct Last {
    path: PathBuf,
    door: Door,
    /// Open once it is known which epoch the query goes on from.
    file: Option<DoorFile>,
    values: Arc<LastValues>,
    /// What the epoch that is being written said; it is durable.
    pending: LastValues,
    /// Bytes of the file when it was written as a whole.
    whole: u64,
    /// Most bytes in memory.
    limit: u64,
}

impl Last {
    /// That of the query with this checkpoint.
    pub fn new(checkpoint: &Path, door: &Door, limit: u64) -> Self {
        Self {
            path: checkpoint.join("last"),
            door: door.clone(),
            file: None,
            values: Arc::default(),
            pending: LastValues::default(),
            whole: 0,
            limit,
        }
    }

    /// Reads what was said up to the epoch that the query goes on from. An epoch that the sink has is not computed again: what it said
    /// is durable, and part of it. `was_kept`: the newest commit was made with what keys had said, so that the file is there.
    pub fn recover(&mut self, recovery: &Recovery, in_sink: Option<Epoch>, was_kept: bool) -> Result<()> {
        let next = match recovery {
            Recovery::Fresh => Epoch(0),
            Recovery::Continue { epoch, .. } => *epoch,
            Recovery::Replay { plan, .. } if in_sink == Some(plan.epoch) => plan.epoch.next(),
            Recovery::Replay { plan, .. } => plan.epoch,
        };
        // The last line of an epoch that has ended is whole: only what is computed again may have been cut.
        let may_be_cut = match recovery {
            Recovery::Fresh => true,
            Recovery::Continue { .. } => false,
            Recovery::Replay { plan, .. } => in_sink != Some(plan.epoch),
        };
        self.open(next, may_be_cut, !was_kept)
    }

    /// Reads what was said before the epoch `next`; whatever is there of later ones is cut. Whether the last line may be cut and the
    /// file missing is known.
    pub fn open(&mut self, next: Epoch, may_be_cut: bool, may_be_missing: bool) -> Result<()> {
        let mut values = LastValues::default();
        match fs::read(&self.path) {
            Ok(bytes) => self.read(&bytes, next, may_be_cut, &mut values)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound && may_be_missing => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(self.damaged(&"the file is missing, and epochs were committed with it"));
            }
            Err(e) => return Err(self.failed("read", e)),
        }
        self.values = Arc::new(values);
        self.rewrite(next)
    }

    fn read(&self, bytes: &[u8], next: Epoch, may_be_cut: bool, values: &mut LastValues) -> Result<()> {
        let found = lines::read(KIND, bytes).map_err(|e| self.damaged(&e))?;
        if found.torn && !may_be_cut {
            return Err(self.damaged(&"its last line is cut, and the epoch that wrote it had ended"));
        }
        for text in found.texts {
            let line: Line = serde_json::from_str(text).map_err(|e| self.damaged(&e))?;
            if line.epoch >= next {
                continue;
            }
            for Said(topic, index, input, rule, key, time_us, bits) in line.last {
                let lane = (Partition::new(topic, index).of_input(input), Arc::from(rule));
                let last = LastValue { time_us, value: f64::from_bits(bits) };
                values.of_mut(&lane).insert(key.into(), last);
            }
        }
        Ok(())
    }

    /// What was said up to the newest commit.
    pub fn values(&self) -> Arc<LastValues> {
        Arc::clone(&self.values)
    }

    /// Makes durable what an epoch said. From now on the sink may have the epoch.
    pub fn keep(&mut self, epoch: Epoch, said: LastValues) -> Result<()> {
        let bytes = self.values.bytes() + said.bytes_beyond(&self.values);
        if bytes > self.limit {
            let message =
                format!("what keys said last would take {bytes} bytes, the limit is {}", self.limit);
            return Err(Error::new(&codes::STATE_LIMIT, message).at(self.path.display()));
        }
        let mut text = Vec::new();
        push(&mut text, epoch, &said)?;
        self.pending = said;
        let Some(file) = &mut self.file else {
            return Err(Error::new(&codes::INTERNAL, "what keys said last is not open"));
        };
        if text.is_empty() {
            return Ok(());
        }
        let before = file.len();
        if let Err(e) = file.append(&text) {
            // A part of the lines may stand there: cut it, so that the next attempt starts on a line of its own.
            let cut = file.truncate(before);
            return Err(cut
                .err()
                .map_or_else(|| self.failed("write", e).with_retry(true), |e| self.failed("truncate", e)));
        }
        let synced = file.sync();
        synced.map_err(|e| self.failed("fsync", e))
    }

    /// Takes over what an epoch said, once its commit is durable.
    pub fn committed(&mut self, epoch: Epoch) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        Arc::make_mut(&mut self.values).take(pending);
        let grown = self.file.as_ref().map_or(0, DoorFile::len);
        if grown > LEAST_BYTES.max(4 * self.whole) { self.rewrite(epoch.next()) } else { Ok(()) }
    }

    /// Writes the file anew, in one atomic step, with what was said before the epoch `next`.
    fn rewrite(&mut self, next: Epoch) -> Result<()> {
        let mut text = lines::header(KIND).into_bytes();
        if let Some(before) = next.0.checked_sub(1) {
            push(&mut text, Epoch(before), &self.values)?;
        }
        // Nothing may be written to the old file once the new one stands in its place.
        self.file = None;
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        let renamed =
            self.door.stage(&self.path, &text).and_then(|staged| self.door.rename(&staged, &self.path));
        renamed.map_err(|e| self.failed("write", e))?;
        self.door.sync_dir(dir).map_err(|e| self.failed("fsync", e))?;
        let file = self.door.open_append(&self.path).map_err(|e| self.failed("open", e))?;
        self.whole = file.len();
        self.file = Some(file);
        Ok(())
    }

    fn damaged(&self, detail: &dyn std::fmt::Display) -> Error {
        Error::new(&codes::CHECKPOINT_DAMAGED, "what keys said last cannot be read")
            .with_detail(detail)
            .at(self.path.display())
    }

    fn failed(&self, action: &str, error: io::Error) -> Error {
        Error::new(&codes::STORAGE, format!("cannot {action} what keys said last"))
            .at(self.path.display())
            .with_retry(false)
            .caused_by(error)
    }
}

/// Appends lines with these values.
fn push(out: &mut Vec<u8>, epoch: Epoch, values: &LastValues) -> Result<()> {
    let said = values.all().map(|((partition, rule), key, last)| {
        let Partition { input, topic, index } = partition;
        Said(
            topic.to_string(),
            *index,
            *input,
            rule.to_string(),
            key.to_owned(),
            last.time_us,
            last.value.to_bits(),
        )
    });
    let mut all: Vec<Said> = said.collect();
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(KEYS_IN_LINE));
        let line = Line { epoch, last: all };
        let text = serde_json::to_string(&line)
            .map_err(|e| Error::new(&codes::INTERNAL, "cannot write what keys said last").caused_by(e))?;
        lines::push_line(out, &text);
        all = rest;
    }
    Ok(())
}
