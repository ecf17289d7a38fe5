//! The beginning: what an earlier run has left is taken up, set aside or left alone.
//!
//! | found | done |
//! |---|---|
//! | a sound snapshot | goes on from there |
//! | none | begins with nothing |
//! | one that is damaged, of another version or of another schema | set aside, told; begins with nothing |
//! | a disk that refuses to answer | asked again for some seconds; then nothing is touched, and this run keeps its history in memory |
//!
//! What must stay true: a history is given up for what stands in it and never because it could not be read just now.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::Error;
use forebay_core::error::codes;

use super::{MOST_DEVICES, Runner};
use crate::device::ClockBounds;
use crate::devices::Devices;
use crate::history::coarse::Place;
use crate::layout::Layout;
use crate::snapshot::{self, Restored};

/// How often a disk is asked that refuses.
const ATTEMPTS: u32 = 7;

/// The pause after the first of them; each is twice as long as the one before it: six seconds in all.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 100 });

/// What a snapshot is read into.
#[derive(Clone, Copy)]
pub(super) struct Restore {
    pub quiet_after: Option<i64>,
    pub clocks: Option<ClockBounds>,
    pub memory: usize,
}

impl Runner {
    /// Goes on from what an earlier run has left, or begins with nothing.
    pub(super) async fn restore(&mut self, restore: Restore) {
        for attempt in 0.. {
            let (place, layout) = (Arc::clone(self.upkeep.place()), Arc::clone(self.live.layout()));
            let (name, now_ms) = (self.live.name().to_owned(), self.live.now_ms());
            let loaded = tokio::task::spawn_blocking(move || load(&name, &place, &layout, restore, now_ms));
            match loaded.await.map_err(io::Error::other).and_then(|loaded| loaded) {
                Ok(None) => return,
                Ok(Some(restored)) => {
                    *self.live.devices.write() = restored.devices;
                    *self.live.history.write() = restored.history;
                    *self.live.tally.write() = restored.tally;
                    self.standing = restored.standing;
                    self.source.resume(&self.standing.topics);
                    self.has_started = true;
                    self.live.changed();
                    return;
                }
                Err(error) if attempt + 1 < ATTEMPTS => {
                    tracing::debug!(source = %self.live.name(), %error, "the live history cannot be read; it is tried again");
                    tokio::select! {
                        () = self.stop.cancelled() => return self.leave(error),
                        () = tokio::time::sleep(PAUSE * (1 << attempt)) => {}
                    }
                }
                Err(error) => return self.leave(error),
            }
        }
    }

    /// Leaves the files alone in this run.
    fn leave(&mut self, error: io::Error) {
        self.live.history.write().stay_in_memory();
        self.live.tally.write().iter_mut().for_each(|tally| tally.timeline.stay_in_memory());
        let message =
            "the live history of earlier runs cannot be read, so this run keeps its own in memory only";
        let error = Error::new(&codes::STORAGE, message)
            .at(self.upkeep.place().folder.display())
            .with_hint(
                "What is there was left as it is. Mend the disk, or raise the limit of open files (`ulimit -n`), and start again: it goes on there.",
            )
            .caused_by(error);
        self.upkeep.give_up(&self.live, error);
    }
}

/// What an earlier run has left, if it can be used; else the folder is made ready for a new history. Blocks.
fn load(
    name: &str,
    place: &Place,
    layout: &Layout,
    restore: Restore,
    now_ms: i64,
) -> io::Result<Option<Restored>> {
    let devices = Devices::new(layout, MOST_DEVICES, restore.quiet_after).with_clocks(restore.clocks);
    match snapshot::load(place, layout, devices, restore.memory, now_ms) {
        Ok(Some(restored)) => return Ok(Some(restored)),
        Ok(None) => snapshot::clear(&place.folder, &place.door)?,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let aside = snapshot::set_aside(place)?;
            tracing::warn!(source = name, %error, kept = %aside.display(), "the live history begins anew: what earlier runs have left cannot be used and is set aside");
        }
        Err(error) => return Err(error),
    }
    Ok(None)
}
