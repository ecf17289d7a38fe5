//! Trying again: pauses that grow, and an end.

use std::future::Future;
use std::time::Duration;

use forebay_core::{Error, Result};
use tokio::time::{Instant, sleep};

/// Pauses that double from the first to the longest, each shortened by chance by up to a fifth so that many clients
/// of one broker do not come back in step.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts with `first`, ends at `longest`.
    pub fn new((first, longest): (Duration, Duration)) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.longest);
        pause.mul_f64(1.0 - 0.2 * fastrand::f64())
    }

    /// Something worked: the next failure begins with the first pause again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Calls `attempt` until it succeeds, fails for good, or `patience` is over; then the last error is returned.
pub(super) async fn until<T, F>(
    patience: Duration,
    backoff: (Duration, Duration),
    mut attempt: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let end = Instant::now() + patience;
    let mut backoff = Backoff::new(backoff);
    loop {
        let error: Error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let pause = backoff.pause();
        let worth_it = error.is_retryable() && error.code().id != forebay_core::error::codes::SOURCE_AUTH.id;
        if !worth_it || Instant::now() + pause >= end {
            return Err(error);
        }
        tracing::debug!(%error, ?pause, "kafka request failed, trying again");
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new((Duration::from_millis(100), Duration::from_millis(350)));
        let pauses: Vec<_> = (0..4).map(|_| backoff.pause().as_millis()).collect();
        for (pause, most) in pauses.iter().zip([100, 200, 350, 350]) {
            assert!((most * 4 / 5..=most).contains(pause), "{pauses:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(100));
    }
}
