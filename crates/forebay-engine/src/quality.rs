//! What a query judged so far, durable in its checkpoint: the file `quality` beside its journal.
//!
//! ```text
//! commit N-1 ─ commit N ─ …            each with what its epoch judged: it counts when its commit is durable, and once
//!                 └─▶ quality          all of them up to an epoch, a line each time that so many more were committed
//! ```
//!
//! On opening, the counts are those of the file and of the commits in the journal behind it. So no epoch waits for this file: only every
//! 64th is followed by a line. What must stay true: the file is never behind the journal by more epochs than
//! [a rewritten journal keeps](crate::checkpoint), and a line of epochs that the journal does not know as committed counts for nothing. Counts
//! are worth less than the query, so one that cannot write them goes on and says so.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::quality::{EpochQuality, Judged, Past, Step};
use forebay_core::{Epoch, Error, Result};
use forebay_storage::{Door, DoorFile, kill_point, lines};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

const KIND: &str = "forebay-quality";

/// Epochs between two lines: a rewritten journal keeps more.
const EPOCHS_IN_LINE: u64 = 64;

/// The same after one that could not be written.
const EPOCHS_TO_RETRY: u64 = 8;

/// Below so many bytes the file is not written anew while the query runs: it is read in milliseconds.
const LEAST_BYTES: u64 = 1 << 20;

/// What a query judged, for who tells it.
pub type SharedPast = Arc<Mutex<Past>>;

#[derive(Serialize, Deserialize)]
struct Line {
    /// The newest epoch that is in it.
    epoch: Epoch,
    counts: Vec<Counted>,
}

/// Of one step of one source.
#[derive(Serialize, Deserialize)]
struct Counted {
    source: Box<str>,
    step: Step,
    at: i64,
    #[serde(flatten)]
    judged: Judged,
}

/// The counts of a query.
pub(crate) struct Quality {
    path: PathBuf,
    door: Door,
    /// Open once it is known which epoch the query goes on from.
    file: Option<DoorFile>,
    past: SharedPast,
    /// What the epochs behind the file's last line judged, and how many they are.
    since: Past,
    epochs: u64,
    /// Bytes of the file when it was written as a whole.
    whole: u64,
}

impl Quality {
    /// That of the query with this checkpoint.
    pub fn new(checkpoint: &Path, door: &Door) -> Self {
        Self {
            path: checkpoint.join("quality"),
            door: door.clone(),
            file: None,
            past: SharedPast::default(),
            since: Past::default(),
            epochs: 0,
            whole: 0,
        }
    }

    /// What was judged up to the newest commit.
    pub fn past(&self) -> SharedPast {
        Arc::clone(&self.past)
    }

    /// Takes up what was judged up to the commit of `committed`; `journal` is what the commits tell that are still in the journal.
    pub fn recover(
        &mut self,
        committed: Option<Epoch>,
        journal: &BTreeMap<Epoch, EpochQuality>,
    ) -> Result<()> {
        let (mut past, mut reached) = (Past::default(), None);
        match fs::read(&self.path) {
            Ok(bytes) => match read(&bytes, committed) {
                Ok(found) => (past, reached) = found,
                Err(why) => self.put_away(&why)?,
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(self.failed("read", e)),
        }
        let behind =
            journal.iter().filter(|(epoch, _)| Some(**epoch) > reached && Some(**epoch) <= committed);
        behind.for_each(|(_, quality)| past.add(quality));
        *self.past.lock() = past;
        self.file = None;
        let written = committed.map_or(Ok(()), |newest| self.rewrite(newest));
        if let Err(error) = written {
            self.again_soon(&error);
        }
        Ok(())
    }

    /// Whatever stands in the file after this error, the next one is whole.
    fn again_soon(&mut self, error: &io::Error) {
        tracing::warn!(path = %self.path.display(), %error, "the counts of quality cannot be written; they are tried again with the next epochs");
        (self.file, self.epochs) = (None, EPOCHS_IN_LINE - EPOCHS_TO_RETRY);
    }

    /// Takes over what an epoch judged, once its commit is durable.
    pub fn committed(&mut self, epoch: Epoch, quality: Option<&EpochQuality>) {
        if let Some(quality) = quality {
            self.past.lock().add(quality);
            self.since.add(quality);
        }
        self.epochs += 1;
        if self.epochs < EPOCHS_IN_LINE {
            return;
        }
        kill_point("quality.write.before");
        let written = self.write(epoch);
        kill_point("quality.write.after");
        if let Err(error) = written {
            self.again_soon(&error);
        }
    }

    /// Adds a line for what came since the last one, or writes the file anew if it is not as it should be or has grown long.
    fn write(&mut self, epoch: Epoch) -> io::Result<()> {
        let grown = self.file.as_ref().map_or(u64::MAX, DoorFile::len);
        if grown > LEAST_BYTES.max(4 * self.whole) {
            return self.rewrite(epoch);
        }
        let mut text = Vec::new();
        push(&mut text, epoch, &self.since)?;
        if let Some(file) = &mut self.file {
            file.append(&text)?;
            file.sync()?;
        }
        (self.since, self.epochs) = (Past::default(), 0);
        Ok(())
    }

    /// Writes the file anew, in one atomic step, with all that was judged up to the epoch.
    fn rewrite(&mut self, newest: Epoch) -> io::Result<()> {
        let mut text = lines::header(KIND).into_bytes();
        push(&mut text, newest, &self.past.lock())?;
        self.file = None;
        self.door.write_atomic(&self.path, &text)?;
        let file = self.door.open_append(&self.path)?;
        (self.whole, self.file) = (file.len(), Some(file));
        (self.since, self.epochs) = (Past::default(), 0);
        Ok(())
    }

    /// Puts a file aside that cannot be read: the counts begin anew, and the query goes on.
    fn put_away(&self, why: &str) -> Result<()> {
        let aside = self.path.with_extension("damaged");
        tracing::warn!(path = %self.path.display(), aside = %aside.display(), %why, "the counts of quality cannot be read; they begin anew");
        self.door.rename(&self.path, &aside).map_err(|e| self.failed("rename", e))
    }

    fn failed(&self, action: &str, error: io::Error) -> Error {
        let retry = error.kind() == io::ErrorKind::StorageFull;
        Error::new(&codes::STORAGE, format!("cannot {action} the counts of quality"))
            .at(self.path.display())
            .with_retry(retry)
            .caused_by(error)
    }
}

/// What the lines up to a commit hold, and the newest epoch in them.
fn read(bytes: &[u8], committed: Option<Epoch>) -> std::result::Result<(Past, Option<Epoch>), String> {
    let (mut past, mut reached) = (Past::default(), None);
    // A torn end is that of a line whose epochs the journal still has.
    for text in lines::read(KIND, bytes).map_err(|e| e.to_string())?.texts {
        let line: Line = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if Some(line.epoch) > committed {
            break;
        }
        for Counted { source, step, at, judged } in &line.counts {
            past.add_to(source, *step, *at, judged);
        }
        reached = Some(line.epoch);
    }
    Ok((past, reached))
}

/// Appends a line with these counts: one, so that it is there as a whole or not at all.
fn push(out: &mut Vec<u8>, epoch: Epoch, past: &Past) -> io::Result<()> {
    let counted = |(source, step, at, judged): (&str, Step, i64, &Judged)| Counted {
        source: source.into(),
        step,
        at,
        judged: judged.clone(),
    };
    let line = Line { epoch, counts: past.each().map(counted).collect() };
    lines::push_line(out, &serde_json::to_string(&line)?);
    Ok(())
}

#[cfg(test)]
mod tests;
