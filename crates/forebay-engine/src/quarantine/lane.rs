//! How one lane of one epoch sets records aside.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use forebay_core::{Epoch, Result};
use forebay_storage::{DoorFile, lines};

use super::files::{self, KIND, failed, to_text};
use super::{Entry, Quarantine};

/// Bytes that wait in memory before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// Takes what one lane of one epoch sets aside.
#[derive(Debug)]
pub struct LaneQuarantine {
    quarantine: Quarantine,
    path: PathBuf,
    file: Option<DoorFile>,
    buffer: Vec<u8>,
}

impl LaneQuarantine {
    pub(super) fn new(quarantine: Quarantine, epoch: Epoch, lane: usize) -> Self {
        let path = files::epoch_file(&quarantine.dir, &quarantine.query_id, epoch, lane);
        Self { quarantine, path, file: None, buffer: Vec::new() }
    }

    /// Sets a record aside.
    pub fn push(&mut self, entry: &Entry) -> Result<()> {
        lines::push_line(&mut self.buffer, &to_text(entry)?);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let before = self.file.as_ref().map_or(0, DoorFile::len);
        let write = |file: &mut Option<DoorFile>| -> io::Result<u64> {
            let file = match file {
                Some(file) => file,
                None => {
                    let mut new = self.quarantine.door.create_new(&self.path)?;
                    new.append(lines::header(KIND).as_bytes())?;
                    file.insert(new)
                }
            };
            file.append(&self.buffer)?;
            Ok(file.len())
        };
        let len = write(&mut self.file).map_err(|e| failed(&self.path, e))?;
        self.quarantine.bytes.fetch_add(len - before, Ordering::Relaxed);
        self.buffer.clear();
        Ok(())
    }

    /// Makes everything durable.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        if let Some(file) = &self.file {
            file.sync().map_err(|e| failed(&self.path, e))?;
            self.quarantine.door.sync_dir(&self.quarantine.dir).map_err(|e| failed(&self.path, e))?;
        }
        Ok(())
    }
}
