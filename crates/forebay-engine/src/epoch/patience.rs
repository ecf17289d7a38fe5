//! Steps that may fail for a while, each tried until it works, fails for good, or a stop comes.
//!
//! What must stay true: an error that may pass never ends a query; while it lasts, the query's state says so.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

use forebay_core::checkpoint::Start;
use forebay_core::error::codes;
use forebay_core::source::Available;
use forebay_core::{Epoch, Positions, Result};

use super::pace::Backoff;
use super::{Runner, Standing};
use crate::status::State;

/// How often a query that ends by itself looks again for a missing topic: with the growing pauses in between six
/// seconds in all, time for a topic that was just made to be known to every broker.
const TOPIC_LOOKS: u32 = 6;

/// How often an idle query looks for requests to replay.
const REQUEST_POLL: Duration = Duration::from_secs(1);

/// How often a query that may not start an epoch yet looks whether its tables have changed.
const TABLES_LOOK: Duration = Duration::from_secs(1);

/// How often a query that may not start an epoch yet tells how much waits.
const LAG_POLL: Duration = Duration::from_secs(1);

impl Runner {
    /// What came of one try: its value, or `None` if a stop came, ends the trying; after a failure that may pass it
    /// waits, in the open. An error that will not pass is returned.
    pub(super) async fn settle<T>(
        &mut self,
        backoff: &mut Backoff,
        tried: Result<T>,
    ) -> Result<ControlFlow<Option<T>>> {
        let now_ms = self.clock.now_ms();
        let error = match tried {
            Ok(value) => {
                let failed = backoff.attempts();
                if failed > 0 {
                    let seconds = (now_ms - backoff.since(now_ms)) / 1000;
                    tracing::info!(query = %self.name, failed, seconds, "works again");
                }
                return Ok(Break(Some(value)));
            }
            Err(error) if error.is_retryable() => error,
            Err(error) => return Err(error),
        };
        let delay = backoff.next();
        let (since_ms, attempts) = (backoff.since(now_ms), backoff.attempts());
        self.set_state(State::Retrying { error: error.clone(), since_ms, attempts });
        if backoff.tells(now_ms) {
            tracing::warn!(query = %self.name, %error, hint = error.hint(), attempts, "attempt failed, trying again");
        }
        Ok(if self.pause(Some(delay)).await { Continue(()) } else { Break(None) })
    }

    /// Tries a step on files of our own until it works; `None` if a stop came.
    pub(super) async fn persist<T>(&mut self, step: impl Fn(&mut Self) -> Result<T>) -> Result<Option<T>> {
        let mut backoff = Backoff::default();
        loop {
            let tried = step(self);
            if let Break(end) = self.settle(&mut backoff, tried).await? {
                return Ok(end);
            }
        }
    }

    /// Opens the sink and asks it for the newest epoch it holds; `None` if a stop came. Where a new query starts does not wait for
    /// that: what comes while its sink is away is its to read.
    pub(super) async fn open_sink(
        &mut self,
        is_new: bool,
        start: &mut Option<Start>,
    ) -> Result<Option<Option<Epoch>>> {
        let query_id = self.checkpoint.query_id().to_owned();
        self.status.send_modify(|status| status.id = Some(query_id.as_str().into()));
        let mut backoff = Backoff::default();
        loop {
            let newest = match self.sink.open(self.plan.output_schema()).await {
                Ok(()) => self.sink.last_epoch(&query_id).await,
                Err(error) => Err(error),
            };
            if is_new && newest.is_err() && start.is_none() {
                *start = self.try_start().await;
            }
            if let Break(end) = self.settle(&mut backoff, newest).await? {
                return Ok(end);
            }
        }
    }

    /// Where a new query starts, durable; `None` if the source or the checkpoint cannot say so at once, which [`Runner::start`] waits for.
    pub(super) async fn try_start(&mut self) -> Option<Start> {
        self.fix_start().await.ok()
    }

    /// Asks the source where to start, and makes that durable.
    async fn fix_start(&mut self) -> Result<Start> {
        let at = self.inputs.start(self.trigger.is_bounded()).await?;
        let start = Start::at(&at, self.inputs.topics());
        self.checkpoint.start(&start)?;
        Ok(start)
    }

    /// Where a new query starts; `None` if a stop came.
    pub(super) async fn start(&mut self) -> Result<Option<Start>> {
        // Looks for a missing topic count only while the source answers.
        let (mut backoff, mut looks) = (Backoff::default(), Backoff::default());
        let ends = self.trigger.is_bounded();
        loop {
            let started = self.fix_start().await;
            let counts = match &started {
                Err(error) if error.code() == &codes::NO_TOPIC => {
                    if ends && looks.attempts() >= TOPIC_LOOKS {
                        return Err(error.clone());
                    }
                    &mut looks
                }
                Ok(_) if looks.attempts() > 0 => &mut looks,
                _ => &mut backoff,
            };
            if let Break(end) = self.settle(counts, started).await? {
                return Ok(end);
            }
        }
    }

    /// What the source has; `None` if a stop came.
    pub(super) async fn available(&mut self, positions: &Positions) -> Result<Option<Available>> {
        let mut backoff = Backoff::default();
        loop {
            let looked = self.inputs.available(positions).await;
            self.lag.looked(positions, looked.as_ref().ok());
            self.publish_lag();
            if let Break(end) = self.settle(&mut backoff, looked).await? {
                return Ok(end);
            }
        }
    }

    /// Returns when there may be data, a request to replay, or a stop.
    pub(super) async fn wait_for_data(&mut self, standing: &Standing) -> Result<()> {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = tokio::time::sleep(REQUEST_POLL) => Ok(()),
            ended = self.inputs.wait(&standing.positions) => match ended {
                Err(error) if !error.is_retryable() => Err(error),
                // What keeps the source from answering is reported by the next look for data, with back-off.
                _ => Ok(()),
            },
        }
    }

    /// Sleeps until the next epoch may start; false if a stop came. Tables that change meanwhile are read before it is there,
    /// and not beside it.
    pub(super) async fn pause_with_tables(&mut self, delay: Option<Duration>) -> Result<bool> {
        let end = Instant::now() + delay.unwrap_or_default();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if !self.pause(Some(left.min(TABLES_LOOK))).await {
                return Ok(false);
            }
            self.look_at_tables().await?;
        }
        Ok(!self.stop.is_cancelled())
    }

    /// Sleeps, and tells meanwhile how the lag grows; false if a stop came.
    pub(super) async fn pause(&mut self, delay: Option<Duration>) -> bool {
        let end = Instant::now() + delay.unwrap_or_default();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(left.min(LAG_POLL)) => {}
            }
            self.publish_lag();
        }
        !self.stop.is_cancelled()
    }
}
