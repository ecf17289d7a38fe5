//! When the next epoch may start, and how long to wait after a failure. Pure: time comes in as a number.

use std::time::{Duration, Instant};

use forebay_core::clock::millis;
use forebay_core::trigger::Trigger;

/// Keeps the trigger's time.
#[derive(Debug)]
pub(crate) struct Pace {
    trigger: Trigger,
    min_interval: Option<Duration>,
    /// From the beginning of the last epoch to that of the next, for others' sake.
    turn: Duration,
    /// When the last epoch started, milliseconds since 1970.
    last_ms: Option<i64>,
    /// Since when each input waits for an epoch that reads it.
    waiting_since: Vec<Instant>,
}

impl Pace {
    /// The pace of a trigger over so many inputs; `min_interval` holds for the default trigger only, since the others
    /// say themselves how often to commit.
    pub fn new(trigger: Trigger, min_interval: Option<Duration>, inputs: usize) -> Self {
        Self {
            trigger,
            min_interval,
            turn: Duration::ZERO,
            last_ms: None,
            waiting_since: vec![Instant::now(); inputs],
        }
    }

    /// How long to wait before the next epoch may start; `None` for not at all.
    pub fn until_next(&self, now_ms: i64) -> Option<Duration> {
        let last = self.last_ms?;
        let next = match self.trigger {
            Trigger::Default => last + millis(self.least_interval()),
            // Spark's rule: epochs start at multiples of the interval; a missed one is not made up for.
            Trigger::ProcessingTime(interval) if !interval.is_zero() => {
                let interval = millis(interval);
                (last / interval + 1) * interval
            }
            _ => return None,
        };
        // A clock that was set back must not stop the query for longer than one interval.
        let longest = match self.trigger {
            Trigger::ProcessingTime(interval) => interval,
            _ => self.least_interval(),
        };
        let wait = Duration::from_millis(u64::try_from(next - now_ms).unwrap_or(0)).min(longest);
        (!wait.is_zero()).then_some(wait)
    }

    /// Of epochs of the default trigger.
    fn least_interval(&self) -> Duration {
        self.min_interval.unwrap_or_default().max(self.turn)
    }

    /// The next epoch of the default trigger begins so long after the last one at the earliest.
    pub fn rests(&mut self, turn: Duration) {
        self.turn = turn;
    }

    /// Told when an epoch starts, and which inputs it reads.
    pub fn started(&mut self, now_ms: i64, reads: &[bool]) {
        self.last_ms = Some(now_ms);
        for (since, _) in self.waiting_since.iter_mut().zip(reads).filter(|(_, reads)| **reads) {
            *since = Instant::now();
        }
    }

    /// How long each input has waited since an epoch last read it (`maxTriggerDelay`).
    pub fn waited(&self) -> Vec<Duration> {
        self.waiting_since.iter().map(Instant::elapsed).collect()
    }
}

/// The least time between two epochs without records that a sink asks for: it tells of silences and the like, which wait a
/// second as well, and one that is not satisfied by its epoch must not fill the checkpoint.
const TICK_MS: i64 = 1_000;

/// True if an epoch without records is to run now, because the sink has something to do from `due_ms` on; `ticked_ms` is when the
/// last such epoch ran.
pub(crate) fn is_due(due_ms: Option<i64>, ticked_ms: Option<i64>, now_ms: i64) -> bool {
    // A clock that was set back holds nothing up.
    let rests = ticked_ms.is_some_and(|ticked| (0..TICK_MS).contains(&now_ms.saturating_sub(ticked)));
    !rests && due_ms.is_some_and(|due| due <= now_ms)
}

/// Waits longer after each failure: 100 ms, doubled up to 30 s.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempts: u32,
    since_ms: Option<i64>,
    told_ms: Option<i64>,
}

/// The log says that attempts still fail at most this often: the first failure counts, the tenth tells nothing new.
const TELL_EVERY_MS: i64 = 10_000;

impl Backoff {
    /// The delay before the next attempt.
    pub fn next(&mut self) -> Duration {
        let delay = Duration::from_millis(100 << self.attempts.min(9)).min(Duration::from_secs(30));
        self.attempts = self.attempts.saturating_add(1);
        delay
    }

    /// Failed attempts in a row.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// True if the log should say that an attempt failed: the first time, then every ten seconds at most.
    pub fn tells(&mut self, now_ms: i64) -> bool {
        let tells = self.told_ms.is_none_or(|told| now_ms.saturating_sub(told) >= TELL_EVERY_MS);
        if tells {
            self.told_ms = Some(now_ms);
        }
        tells
    }

    /// When the first of them failed.
    pub fn since(&mut self, now_ms: i64) -> i64 {
        *self.since_ms.get_or_insert(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processing_time_starts_at_multiples_and_makes_nothing_up() {
        let mut pace = Pace::new(Trigger::ProcessingTime(Duration::from_secs(10)), None, 1);
        assert_eq!(pace.until_next(12_345), None, "the first epoch starts at once");
        pace.started(12_345, &[true]);
        assert_eq!(pace.until_next(13_000), Some(Duration::from_millis(7_000)));
        assert_eq!(pace.until_next(57_000), None, "a long epoch is followed at once");
    }

    #[test]
    fn the_default_trigger_waits_only_for_the_sink() {
        let mut free = Pace::new(Trigger::Default, None, 1);
        free.started(1_000, &[true]);
        assert_eq!(free.until_next(1_000), None);
        let mut lake = Pace::new(Trigger::Default, Some(Duration::from_secs(1)), 1);
        lake.started(1_000, &[true]);
        assert_eq!(lake.until_next(1_400), Some(Duration::from_millis(600)));
    }

    #[test]
    fn a_sink_gets_an_epoch_without_records_when_it_is_due_and_once_a_second_at_most() {
        let times = [(None, None), (Some(1_001), None), (Some(1_000), None), (Some(5), Some(1))];
        assert_eq!(times.map(|(due, ticked)| is_due(due, ticked, 1_000)), [false, false, true, false]);
        assert!(is_due(Some(5), Some(0), 1_000) && is_due(Some(5), Some(1_001), 1_000));
    }

    #[test]
    fn an_input_waits_until_it_is_read_whatever_the_others_do() {
        let mut pace = Pace::new(Trigger::Default, None, 2);
        let before = pace.waiting_since.clone();
        pace.started(1_000, &[true, false]);
        assert!(pace.waiting_since[0] > before[0] && pace.waiting_since[1] == before[1]);
    }

    #[test]
    fn a_clock_set_back_delays_one_interval_at_most() {
        let mut pace = Pace::new(Trigger::ProcessingTime(Duration::from_secs(1)), None, 1);
        pace.started(3_600_000, &[true]);
        assert_eq!(pace.until_next(0), Some(Duration::from_secs(1)));
    }

    #[test]
    fn failures_are_told_at_once_and_then_now_and_then() {
        let mut backoff = Backoff::default();
        let told: Vec<i64> = (0..30).map(|second| second * 1_000).filter(|ms| backoff.tells(*ms)).collect();
        assert_eq!(told, [0, 10_000, 20_000]);
    }

    #[test]
    fn backoff_grows_and_has_a_ceiling() {
        let mut backoff = Backoff::default();
        let delays: Vec<u64> = (0..12).map(|_| backoff.next().as_millis() as u64).collect();
        assert_eq!(delays[..4], [100, 200, 400, 800]);
        assert_eq!(delays[11], 30_000);
    }
}
