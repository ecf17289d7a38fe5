//! What is done now and then: seconds leave memory, frames go to files, snapshots are made.
//!
//! A small snapshot is made every ten seconds; a large one less often, so that snapshots write a mebibyte a second at
//! most. Its bytes are gathered while the follower waits, so they are of one moment; fsync and rename come behind, while it
//! reads on. What must stay true: the next snapshot begins when the one before it has its name.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::Error;
use forebay_core::error::codes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::history::coarse::Place;
use crate::snapshot::{self, Standing};
use crate::source::SourceLive;

/// How often seconds and frames are looked after, ms.
const TIDY_MS: i64 = 1_000;

/// The least time between two snapshots, ms.
const SNAPSHOT_MS: i64 = 10_000;

/// Bytes of snapshots for each millisecond between them: one mebibyte a second.
const BYTES_PER_MS: i64 = 1 << 10;

/// The upkeep of one source.
pub(super) struct Upkeep {
    place: Arc<Place>,
    tidied_ms: i64,
    saved_ms: i64,
    /// Bytes of the last snapshot.
    saved_bytes: u64,
    /// What the last snapshot holds.
    saved: Standing,
    publishing: Option<JoinHandle<io::Result<()>>>,
    /// The disk has lost what it was given: the last good snapshot must stand.
    has_given_up: bool,
}

impl Upkeep {
    pub fn new(place: Arc<Place>, now_ms: i64) -> Self {
        Self {
            place,
            tidied_ms: now_ms,
            saved_ms: now_ms,
            saved_bytes: 0,
            saved: Standing::default(),
            publishing: None,
            has_given_up: false,
        }
    }

    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// How long until there is something to do.
    pub fn until_next(&self, now_ms: i64) -> Duration {
        let wait = (self.tidied_ms + TIDY_MS - now_ms).clamp(1, TIDY_MS);
        Duration::from_millis(wait.unsigned_abs())
    }

    /// Does what is due.
    pub async fn tick(&mut self, live: &Arc<SourceLive>, standing: &Standing) {
        let now_ms = live.now_ms();
        if (0..TIDY_MS).contains(&(now_ms - self.tidied_ms)) {
            return;
        }
        self.tidied_ms = now_ms;
        let source = Arc::clone(live);
        let tidied = spawn_blocking(move || {
            let tallied = source.tally.write().as_mut().map_or(Ok(()), |tally| tally.timeline.tidy(now_ms));
            source.history.write().tidy(now_ms).and(tallied)
        });
        report(live, "the history's files cannot be written", tidied.await.map_err(io::Error::other));
        let is_published = self.publishing.as_ref().is_none_or(JoinHandle::is_finished);
        if !is_published {
            return;
        }
        self.published(live).await;
        if is_due(now_ms - self.saved_ms, self.saved_bytes) && *standing != self.saved {
            self.save(live, standing).await;
        }
    }

    /// The last snapshot of a run; none if nothing was ever read.
    pub async fn last(&mut self, live: &Arc<SourceLive>, standing: &Standing, has_started: bool) {
        self.published(live).await;
        if has_started && *standing != self.saved {
            self.save(live, standing).await;
            self.published(live).await;
        }
    }

    /// Gathers a snapshot and lets it be published behind.
    async fn save(&mut self, live: &Arc<SourceLive>, standing: &Standing) {
        self.saved_ms = live.now_ms();
        if self.has_given_up || !self.sync(live).await {
            return;
        }
        let (source, place, moment) = (Arc::clone(live), Arc::clone(&self.place), standing.clone());
        let staged = spawn_blocking(move || snapshot::stage(&place, &source, &moment)).await;
        match staged.map_err(io::Error::other).and_then(|staged| staged) {
            Ok(staged) => {
                self.saved_bytes = staged.bytes;
                self.saved = standing.clone();
                let place = Arc::clone(&self.place);
                self.publishing = Some(spawn_blocking(move || staged.publish(&place)));
            }
            Err(error) => unsaved(live, &self.place, error),
        }
    }

    /// Makes the files of frames durable; false if that failed, which is final.
    async fn sync(&mut self, live: &Arc<SourceLive>) -> bool {
        let (source, place) = (Arc::clone(live), Arc::clone(&self.place));
        let synced = spawn_blocking(move || snapshot::sync(&place, &source)).await;
        if let Err(error) = synced.map_err(io::Error::other).and_then(|synced| synced) {
            let message = "the live history is not saved any more; a restart goes on from the last snapshot";
            let error = Error::new(&codes::STORAGE, message).at(self.place.folder.display()).caused_by(error);
            self.give_up(live, error);
        }
        !self.has_given_up
    }

    /// Saves nothing any more in this run, and says why.
    pub fn give_up(&mut self, live: &SourceLive, error: Error) {
        self.has_given_up = true;
        tracing::error!(source = %live.name(), %error, hint = error.hint(), "the live history is not saved");
        live.status.lock().unsaved = Some((error, live.now_ms()));
    }

    /// Waits until the last snapshot has its name.
    async fn published(&mut self, live: &SourceLive) {
        let Some(publishing) = self.publishing.take() else { return };
        let published = publishing.await.map_err(io::Error::other).and_then(|published| published);
        match published {
            Ok(()) => {
                if live.status.lock().unsaved.take().is_some() {
                    tracing::info!(source = %live.name(), "the live history is saved again");
                }
            }
            Err(error) => {
                // It may not be there: the next one must be made even if nothing comes.
                self.saved = Standing::default();
                unsaved(live, &self.place, error);
            }
        }
    }
}

/// True if a snapshot is due that long after one of so many bytes.
fn is_due(since_ms: i64, bytes: u64) -> bool {
    let rest = SNAPSHOT_MS.max(i64::try_from(bytes).unwrap_or(i64::MAX) / BYTES_PER_MS);
    // A clock that was set back must not hold snapshots up.
    since_ms >= rest || since_ms < 0
}

/// Tells that a snapshot could not be made; the next one may.
fn unsaved(live: &SourceLive, place: &Place, error: io::Error) {
    let error = Error::new(&codes::STORAGE, "the live history cannot be saved; it is tried again")
        .at(place.folder.display())
        .with_hint("Mend the disk, make room or raise the limit of open files. Until then a restart goes on from the last snapshot.")
        .caused_by(error);
    let (now_ms, mut status) = (live.now_ms(), live.status.lock());
    let since = status.unsaved.take().map(|(_, since)| since);
    if since.is_none() {
        tracing::warn!(source = %live.name(), %error, hint = error.hint(), "the live history is not saved");
    }
    status.unsaved = Some((error, since.unwrap_or(now_ms)));
}

fn report(live: &SourceLive, what: &str, done: io::Result<io::Result<()>>) {
    if let Err(error) = done.and_then(|done| done) {
        tracing::warn!(source = %live.name(), %error, "{what}; it is tried again later");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_snapshots_are_made_less_often() {
        assert!(!is_due(9_999, 0) && is_due(10_000, 0));
        assert!(!is_due(61_000, 60 << 20) && is_due(62_000, 60 << 20));
        assert!(is_due(-5, 60 << 20), "also with a clock that was set back");
    }
}
