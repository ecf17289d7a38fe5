//! Who looks at what: the views that are open, and the readers of each.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures::Stream;
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Looked;
use super::feed::{Feed, event};
use super::mailbox::Mailbox;
use super::seats::{MOST_VIEWS, Owner, SHARE, Seat, Seats, beyond_share};
use super::tick::Tick;
use crate::places::Holder;
use crate::problem::Problem;
use crate::shown::Shown;

/// The time between two frames: 30 in a second, more than an eye tells apart in numbers.
const FRAME: Duration = Duration::from_millis(33);
/// What it is for each reader once there are more than sixteen: all together are sent 500 frames a second at most, so that
/// who looks costs the pipeline little, however many they are.
const FRAME_PER_READER: Duration = Duration::from_millis(2);
/// How often all rows are sent although nobody came or went.
const ROWS_EVERY: Duration = Duration::from_secs(15);
/// How often a comment keeps proxies awake.
const COMMENT_EVERY: Duration = Duration::from_secs(10);

/// All views that are looked at.
pub(crate) struct Hub {
    shown: Shown,
    tick: Tick,
    groups: Mutex<HashMap<Looked, Arc<Group>>>,
    /// Of this hub and of those before it.
    seats: Arc<Seats>,
    /// Readers that were dropped because they did not read, of this hub and of those before it.
    dropped: Arc<AtomicU64>,
    stop: CancellationToken,
}

/// The readers of one view.
#[derive(Default)]
struct Group {
    readers: Mutex<Readers>,
}

#[derive(Default)]
struct Readers {
    /// Those that have the rows from which the next changes go on.
    members: Vec<Arc<Mailbox>>,
    /// Those that have nothing yet.
    fresh: Vec<Arc<Mailbox>>,
}

/// One reader's place; given back when it is dropped.
pub(crate) struct Reader {
    mailbox: Arc<Mailbox>,
    hub: Arc<Hub>,
    holder: Option<Holder>,
    _seat: Seat,
}

impl Hub {
    /// No views yet; all of them end at `stop`.
    pub fn new(shown: Shown, stop: CancellationToken) -> Arc<Self> {
        let (tick, groups) = (Tick::new(shown.clone()), Mutex::default());
        Arc::new(Self { shown, tick, groups, seats: Arc::default(), dropped: Arc::default(), stop })
    }

    /// No views yet, of something else that is shown from now on; the readers of both together are bounded.
    pub fn next(&self, shown: Shown, stop: CancellationToken) -> Arc<Self> {
        let (tick, groups) = (self.tick.next(shown.clone()), Mutex::default());
        let (seats, dropped) = (Arc::clone(&self.seats), Arc::clone(&self.dropped));
        Arc::new(Self { shown, tick, groups, seats, dropped, stop })
    }

    /// A place among the readers of a view, for its owner.
    pub async fn join(
        self: &Arc<Self>,
        looked: Looked,
        owner: Owner,
        holder: Option<Holder>,
    ) -> Result<Reader, Problem> {
        let seat = self.seats.take(owner.clone())?;
        let mailbox = Arc::new(Mailbox::of(owner));
        let reader = Reader { mailbox, hub: Arc::clone(self), holder, _seat: seat };
        let hello = json!({
            "pipeline": &*self.shown.pipeline,
            "version": self.shown.version,
            "startedAt": self.shown.started_ms,
            "now": self.shown.clock.now_ms(),
            "rates": self.shown.devices.rates(),
        });
        reader.mailbox.push(Instant::now(), &event("hello", &hello));
        if self.stop.is_cancelled() {
            reader.mailbox.end();
            return Ok(reader);
        }
        if !self.joined(&looked, &reader, None)? {
            let feed = Feed::open(&self.shown, &looked).await?;
            self.joined(&looked, &reader, Some(feed))?;
        }
        Ok(reader)
    }

    /// Adds a reader to the view's others, or opens the view with `feed`; false if that is needed. Fails if there are
    /// too many views for another one, of all or of the reader's owner.
    fn joined(
        self: &Arc<Self>,
        looked: &Looked,
        reader: &Reader,
        feed: Option<Feed>,
    ) -> Result<bool, Problem> {
        let mut groups = self.groups.lock();
        if let Some(group) = groups.get(looked) {
            group.readers.lock().fresh.push(Arc::clone(&reader.mailbox));
            return Ok(true);
        }
        if groups.len() >= MOST_VIEWS {
            let hint = "Pages that look at the same devices share a view; close some that look at others.";
            return Err(Problem::busy(format!("{MOST_VIEWS} different views are watched already")).hint(hint));
        }
        let owner = reader.mailbox.owner();
        let own = groups.values().filter(|group| owner.is_some() && group.is_of(owner));
        if own.count() >= MOST_VIEWS / SHARE {
            return Err(beyond_share(MOST_VIEWS / SHARE, "different views"));
        }
        let Some(feed) = feed else { return Ok(false) };
        let group = Arc::new(Group::default());
        group.readers.lock().fresh.push(Arc::clone(&reader.mailbox));
        groups.insert(looked.clone(), Arc::clone(&group));
        tokio::spawn(Arc::clone(self).show(looked.clone(), group, feed));
        Ok(true)
    }

    /// Tells that records were replayed or dropped.
    pub fn quarantine_changed(&self) {
        self.tick.quarantine_changed();
    }

    /// Shows a view until nobody looks, or until the server stops.
    async fn show(self: Arc<Self>, looked: Looked, group: Arc<Group>, mut feed: Feed) {
        let mut frame_at = tokio::time::Instant::now();
        let (mut second, mut rows_at, mut comment_at) = (i64::MIN, Instant::now(), Instant::now());
        let mut tick = Bytes::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep_until(frame_at) => {}
            }
            frame_at = tokio::time::Instant::now() + pace(self.readers());
            if self.is_left(&looked, &group) {
                return;
            }
            let (now, now_ms) = (Instant::now(), self.shown.clock.now_ms());
            let mut events = Vec::new();
            if now_ms.div_euclid(1000) != second {
                second = now_ms.div_euclid(1000);
                match feed.again(now.duration_since(rows_at) >= ROWS_EVERY).await {
                    Ok(false) => {}
                    Ok(true) => {
                        rows_at = now;
                        events.push(feed.devices());
                    }
                    Err(_) => break,
                }
                tick = event("tick", &self.tick.with(now_ms, &feed.charts(), feed.labels()));
                events.push(tick.clone());
            }
            events.extend(feed.values(now_ms));
            events.extend(feed.alerts());
            if now.duration_since(comment_at) >= COMMENT_EVERY {
                comment_at = now;
                events.push(Bytes::from_static(b": still here\n\n"));
            }
            group.send(now, &events, || [feed.devices(), tick.clone()]);
        }
        self.groups.lock().remove(&looked);
        let mut readers = group.readers.lock();
        let Readers { members, fresh } = &mut *readers;
        members.drain(..).chain(fresh.drain(..)).for_each(|mailbox| mailbox.end());
    }

    /// True if nobody looks at the view any more; then it is forgotten.
    fn is_left(&self, looked: &Looked, group: &Group) -> bool {
        let mut groups = self.groups.lock();
        let mut readers = group.readers.lock();
        readers.members.retain(|mailbox| mailbox.is_open());
        readers.fresh.retain(|mailbox| mailbox.is_open());
        let is_left = readers.members.is_empty() && readers.fresh.is_empty();
        if is_left {
            groups.remove(looked);
        }
        is_left
    }

    /// How many readers there are.
    pub fn readers(&self) -> usize {
        self.seats.taken()
    }

    /// How many views are open.
    pub fn views(&self) -> usize {
        self.groups.lock().len()
    }

    /// How many readers were dropped because they did not read.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The time between two frames when so many look.
fn pace(readers: usize) -> Duration {
    FRAME.max(FRAME_PER_READER.saturating_mul(u32::try_from(readers).unwrap_or(u32::MAX)))
}

impl Group {
    /// Whether somebody's reader looks at it.
    fn is_of(&self, owner: &Owner) -> bool {
        let readers = self.readers.lock();
        let mut all = readers.members.iter().chain(&readers.fresh);
        all.any(|mailbox| mailbox.owner() == owner && mailbox.is_open())
    }

    /// Sends events to those who have the rows, and the `first` ones to those who come.
    fn send(&self, now: Instant, events: &[Bytes], first: impl FnOnce() -> [Bytes; 2]) {
        let mut readers = self.readers.lock();
        readers.members.retain(|mailbox| events.iter().all(|event| mailbox.push(now, event)));
        if readers.fresh.is_empty() {
            return;
        }
        let first = first();
        let mut fresh = std::mem::take(&mut readers.fresh);
        fresh.retain(|mailbox| first.iter().all(|event| mailbox.push(now, event)));
        readers.members.append(&mut fresh);
    }
}

impl Reader {
    /// Its events as the body of an answer.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        futures::stream::unfold(self, |reader| async move {
            let event = reader.mailbox.next().await?;
            Some((event, reader))
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.mailbox.is_behind() || self.holder.as_ref().is_some_and(Holder::has_stalled) {
            self.hub.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.mailbox.end();
    }
}

#[cfg(test)]
mod tests {
    use super::super::seats::MOST_READERS;
    use super::*;

    #[test]
    fn many_readers_are_sent_fewer_frames_each() {
        let frames = |readers: usize| 1000 / pace(readers).as_millis();
        assert_eq!([1, 16, 50, MOST_READERS].map(frames), [30, 30, 10, 2]);
    }
}
