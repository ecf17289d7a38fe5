//! The task that reads a source beside the queries.
//!
//! ```text
//!   restore ─▶ ┌─ round: start once ─▶ available ─▶ read ─▶ decode ─▶ devices, history, positions ─┐
//!              │                                                                                    │
//!              └─ pause ◀─ upkeep: seconds leave, frames are written, a snapshot if it is due ◀─────┘
//! ```
//!
//! It wakes as soon as the source has something, then rests as long as it worked, five milliseconds at least: single
//! events show at once, a flood is taken in pieces, and a source that is far behind takes half of one core at most. A
//! record that does not decode is skipped, whatever the mode of the source: the queries say what is wrong with it. A
//! source that fails is tried again for ever, and the status says so. What must stay true: positions move with the rows
//! they stand for, with no `await` in between, so that a stop at any moment leaves both of one moment; and the group of
//! the queries is never touched.

mod restore;
mod round;
#[cfg(test)]
mod tests;
mod upkeep;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use forebay_core::clock::{Clock, millis};
use forebay_core::format::{Decoded, Decoder, Format};
use forebay_core::source::{Envelope, Source};
use forebay_core::{Error, Positions, Result};
use forebay_storage::Door;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::restore::Restore;
use self::upkeep::Upkeep;
use crate::device::ClockBounds;
use crate::devices::Devices;
use crate::history::coarse::Place;
use crate::history::{MINUTES_KEPT_MS, Timeline};
use crate::intake::ViewRows;
use crate::layout::Layout;
use crate::snapshot::Standing;
use crate::source::SourceLive;
use crate::tally::Tally;

/// How far back a history reaches: where a follower begins that has none.
pub const HISTORY_MS: i64 = MINUTES_KEPT_MS;

/// Most devices of a source.
const MOST_DEVICES: usize = 100_000;

/// The least rest between two rounds: what arrives meanwhile is taken together.
const LEAST_REST: Duration = Duration::from_millis(5);

/// The longest rest: what is shown must not look frozen.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Not at the source's end for so long, ms: behind.
const BEHIND_MS: i64 = 10_000;

/// Not at the source's end for so long, ms: what was told of the last second may lack most of it.
const LATE_MS: i64 = 1_000;

/// How the event times of a source's rows are known, and how far off they may be.
pub struct EventTimes {
    /// The event times of the rows of a batch; `None` where they cannot be computed.
    pub of: Box<dyn FnMut(RecordBatch) -> Option<TimestampMicrosecondArray> + Send>,
    /// Beyond them a clock is off.
    pub bounds: ClockBounds,
}

/// What a view makes of records: of an envelope and what decoded of it rows, piece by piece, handed to the last argument. It
/// fails where a row cannot be computed; what was handed over before stays.
pub type Make = dyn FnMut(&Envelope, Decoded, &mut dyn FnMut(ViewRows)) -> Result<()> + Send;

/// What must be there before rows are made: the tables that they are joined with, as they are now. Called before each look at the
/// source; while it fails nothing is read.
pub type Prepare = dyn FnMut() -> BoxFuture<'static, Result<()>> + Send;

/// A view whose rows are followed, in place of the source's own.
pub struct ViewOf {
    /// The source in the file that it reads.
    pub source: String,
    /// The columns of its rows.
    pub schema: SchemaRef,
    /// How far off its event times may be, if it has them.
    pub bounds: Option<ClockBounds>,
    /// Makes ready what they are made with, where that is more than the records.
    pub prepare: Option<Box<Prepare>>,
    /// Makes them.
    pub make: Box<Make>,
}

/// What a follower needs.
pub struct Follow {
    /// The pipeline's name: names a folder.
    pub pipeline: String,
    /// The source's name in the file.
    pub name: String,
    /// What it subscribes to, for people.
    pub topic: String,
    /// A source of its own. A new history begins where its options say: at [`HISTORY_MS`] ago.
    pub source: Box<dyn Source>,
    /// The decoder of its values.
    pub format: Arc<dyn Format>,
    /// The dotted name of the field that names the device; `None`: guessed.
    pub key: Option<String>,
    /// Fields that must be in the layout however many there are.
    pub named: Vec<String>,
    /// The event time, if the source has one: then clocks are looked after.
    pub event_times: Option<EventTimes>,
    /// The view whose rows are followed; then `event_times` are those of its rows.
    pub view: Option<ViewOf>,
    /// The dotted names of the fields that are labels.
    pub labels: Vec<String>,
    /// After how long a device is quiet; `None`: by its usual gap.
    pub quiet_after: Option<Duration>,
    /// Most bytes of seconds in memory.
    pub memory: usize,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The way to the disk.
    pub door: Door,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// A running follower.
#[derive(Debug)]
pub struct Follower {
    live: Arc<SourceLive>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Follow {
    /// Starts it, on the runtime of the caller. What an earlier run has left is loaded by the task itself.
    pub fn start(self) -> Follower {
        let schema = self.view.as_ref().map_or_else(|| self.format.schema(), |view| view.schema.clone());
        let named: Vec<&str> = self.named.iter().map(String::as_str).collect();
        let layout = Arc::new(Layout::new(&schema, self.key.as_deref(), &named).with_labels(&self.labels));
        let place = Arc::new(Place {
            folder: self.data_dir.join("live").join(&self.pipeline).join(&self.name),
            fingerprint: layout.fingerprint(),
            door: self.door.clone(),
        });
        let quiet_after = self.quiet_after.map(millis);
        let clocks = match &self.view {
            Some(view) => view.bounds,
            None => self.event_times.as_ref().map(|times| times.bounds),
        };
        let devices = Devices::new(&layout, MOST_DEVICES, quiet_after).with_clocks(clocks);
        let history = Timeline::new(layout.measured.len(), self.memory, &place);
        let tally = Tally::new(&layout.labels, &place);
        let (name, topic) = (self.name, self.topic);
        let live = SourceLive::new(name, topic, Arc::clone(&layout), self.clock, devices, history, tally);
        let live = Arc::new(match &self.view {
            Some(view) => live.over(view.source.clone()),
            None => live,
        });
        let stop = CancellationToken::new();
        let (prepare, make) = self.view.map_or((None, None), |view| (view.prepare, Some(view.make)));
        let runner = Runner {
            live: Arc::clone(&live),
            source: self.source,
            decoder: self.format.decoder(),
            event_times: self.event_times,
            prepare,
            make,
            standing: Standing::default(),
            has_started: false,
            ends: None,
            at_end_ms: live.now_ms(),
            late_since_ms: None,
            failures: 0,
            upkeep: Upkeep::new(Arc::clone(&place), live.now_ms()),
            stop: stop.clone(),
        };
        let restore = Restore { quiet_after, clocks, memory: self.memory };
        let task = tokio::spawn(runner.run(restore));
        Follower { live, task, stop }
    }
}

impl Follower {
    /// What it knows, for readers.
    pub fn live(&self) -> Arc<SourceLive> {
        Arc::clone(&self.live)
    }

    /// Ends it with a last snapshot.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(source = %self.live.name(), %error, "the follower ended unexpectedly");
        }
    }
}

/// What comes after a round.
enum Rest {
    /// Nothing for so long: something failed.
    Only(Duration),
    /// Nothing for so long, then whatever comes first.
    UntilMore(Duration),
}

/// The task's own.
struct Runner {
    live: Arc<SourceLive>,
    source: Box<dyn Source>,
    decoder: Box<dyn Decoder>,
    event_times: Option<EventTimes>,
    /// Makes ready what they are made with.
    prepare: Option<Box<Prepare>>,
    /// Makes the rows of a view.
    make: Option<Box<Make>>,
    standing: Standing,
    /// The source knows where it begins, or goes on.
    has_started: bool,
    /// Where the source ended at the last look; `None` while it does not answer.
    ends: Option<Positions>,
    /// When everything that was there had been read.
    at_end_ms: i64,
    /// Since when there is more than has been read; none while there is not.
    late_since_ms: Option<i64>,
    /// Failures in a row.
    failures: u32,
    upkeep: Upkeep,
    stop: CancellationToken,
}

impl Runner {
    async fn run(mut self, restore: Restore) {
        self.restore(restore).await;
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            let began = Instant::now();
            let read = tokio::select! {
                () = stop.cancelled() => break,
                read = self.round() => read,
            };
            let worked = began.elapsed();
            let rest = match read {
                Ok(0) => Rest::UntilMore(Duration::ZERO),
                Ok(_) => Rest::UntilMore(worked.clamp(LEAST_REST, LONGEST_REST)),
                Err(error) => Rest::Only(self.fails(error)),
            };
            if matches!(rest, Rest::UntilMore(_)) {
                self.works();
            }
            self.publish();
            self.upkeep.tick(&self.live, &self.standing).await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.pause(rest) => {}
            }
        }
        self.upkeep.last(&self.live, &self.standing, self.has_started).await;
        self.source.close().await;
    }

    /// Rests, then waits until the source has something or it is time for upkeep. Also a source that has more is waited
    /// for: it hears of it by itself, where a look without waiting asks the broker.
    async fn pause(&mut self, rest: Rest) {
        let rest = match rest {
            Rest::Only(rest) => return tokio::time::sleep(rest).await,
            Rest::UntilMore(rest) => rest,
        };
        tokio::time::sleep(rest).await;
        let began = Instant::now();
        let upkeep = tokio::time::sleep(self.upkeep.until_next(self.live.now_ms()));
        tokio::select! {
            () = upkeep => {}
            // What is wrong with it the next look tells.
            _ = self.source.wait(&self.standing.positions) => {}
        }
        // It may return early; that must not become a busy loop.
        if began.elapsed() < Duration::from_millis(1) && !self.hears_more() {
            tokio::time::sleep(LEAST_REST).await;
        }
    }

    fn hears_more(&self) -> bool {
        let heard = self.source.heard(&self.standing.positions).unwrap_or_default();
        heard.iter().any(|(partition, end)| self.standing.positions.get(partition).is_none_or(|at| at < end))
    }

    fn works(&mut self) {
        if self.failures > 0 {
            tracing::info!(source = %self.live.name(), failed = self.failures, "following goes on");
        }
        self.failures = 0;
        self.live.status.lock().error = None;
    }

    /// Publishes a failure; how long to rest.
    fn fails(&mut self, error: Error) -> Duration {
        let rest = Duration::from_millis(100 << self.failures.min(6));
        self.failures += 1;
        self.ends = None;
        if self.failures == 1 {
            tracing::warn!(source = %self.live.name(), %error, hint = error.hint(), "following failed; it is tried until it works");
        }
        let now_ms = self.live.now_ms();
        self.late_since_ms.get_or_insert(now_ms);
        let mut status = self.live.status.lock();
        let since = status.error.take().map_or(now_ms, |(_, since)| since);
        status.error = Some((error, since));
        rest
    }

    /// Publishes how it stands.
    fn publish(&mut self) {
        let heard = self.source.heard(&self.standing.positions);
        if let (Some(ends), Some(heard)) = (&mut self.ends, heard) {
            for (partition, end) in heard {
                let known = ends.entry(partition).or_insert(end);
                *known = end.max(*known);
            }
        }
        let lag = self.ends.as_ref().map(|ends| {
            let waits = ends.iter().map(|(partition, end)| {
                let at = self.standing.positions.get(partition).map_or(0, |at| at.0);
                u64::try_from(end.0 - at).unwrap_or(0)
            });
            waits.sum::<u64>()
        });
        let now_ms = self.live.now_ms();
        let mut status = self.live.status.lock();
        status.lag = lag;
        status.behind = now_ms - self.at_end_ms > BEHIND_MS;
        status.read = self.standing.read;
        status.skipped = self.standing.skipped;
    }
}
