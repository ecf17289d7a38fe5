//! What the log says of an alert: the first change at once, then sums at most every ten seconds, so that a device that
//! flutters does not fill it.
//!
//! [`Tell`] decides; [`Teller`] says it, also where nothing more happens. What must stay true: whatever changed is said ten
//! seconds later at the latest, or when the alert ends.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::clock::Clock;
use parking_lot::Mutex;

use crate::entry::Changes;
use crate::life::Event;
use crate::rule::Bounds;

/// The least time between two sayings, milliseconds.
const EVERY_MS: i64 = 10_000;

/// Says what is due. Clones are the same.
#[derive(Clone)]
pub(crate) struct Teller {
    tell: Arc<Mutex<Tell>>,
    clock: Arc<dyn Clock>,
    say: Arc<dyn Fn(&Sum) + Send + Sync>,
}

/// What was not said yet, and when something was.
#[derive(Debug)]
struct Tell {
    every_ms: i64,
    last_ms: Option<i64>,
    sum: Sum,
    /// Somebody waits until it is due.
    is_awaited: bool,
}

/// What happened in one or more epochs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub opened: usize,
    pub raised: usize,
    pub lowered: usize,
    pub cleared: usize,
    /// Rows that opened nothing because too many keys are active.
    pub refused: u64,
    /// Rows that nobody looked at because there were too many keys.
    pub left_out: u64,
    /// The message of the newest transition.
    pub newest: String,
}

impl Teller {
    pub fn new(clock: Arc<dyn Clock>, say: impl Fn(&Sum) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(Mutex::new(Tell::new(EVERY_MS))), clock, say: Arc::new(say) }
    }

    /// Adds an epoch; what it did is said now or later. Within a runtime.
    pub fn add(&self, changes: &Changes, refused: u64, left_out: u64) {
        let mut tell = self.tell.lock();
        tell.add(changes, refused, left_out);
        if !tell.is_awaited {
            tell.is_awaited = true;
            drop(tell);
            if let Some(left) = self.say_due() {
                tokio::spawn(self.clone().wait(left));
            }
        }
    }

    /// Says what was not said yet.
    pub fn end(&self) {
        let rest = self.tell.lock().rest();
        rest.iter().for_each(|sum| (self.say)(sum));
    }

    /// Says what is due; gives how long to wait for the rest, if there is one.
    fn say_due(&self) -> Option<Duration> {
        let (due, left) = {
            let mut tell = self.tell.lock();
            let now_ms = self.clock.now_ms();
            let due = tell.due(now_ms);
            let left = tell.left(now_ms);
            tell.is_awaited = left.is_some();
            (due, left)
        };
        due.iter().for_each(|sum| (self.say)(sum));
        left
    }

    /// Until all is said.
    async fn wait(self, mut left: Duration) {
        loop {
            tokio::time::sleep(left).await;
            match self.say_due() {
                Some(more) => left = more,
                None => return,
            }
        }
    }
}

impl Tell {
    fn new(every_ms: i64) -> Self {
        Self { every_ms, last_ms: None, sum: Sum::default(), is_awaited: false }
    }

    /// Adds an epoch.
    fn add(&mut self, changes: &Changes, refused: u64, left_out: u64) {
        let count = |event| changes.transitions.iter().filter(|alert| alert.event() == event).count();
        self.sum.opened += count(Event::Opened);
        self.sum.raised += count(Event::Raised);
        self.sum.lowered += count(Event::Lowered);
        self.sum.cleared += count(Event::Cleared);
        self.sum.refused += refused;
        self.sum.left_out += left_out;
        if let Some(newest) = changes.transitions.last() {
            self.sum.newest.clone_from(&newest.message);
        }
    }

    /// What is to be said now, if anything.
    fn due(&mut self, now_ms: i64) -> Option<Sum> {
        if self.pause(now_ms) > 0 {
            return None;
        }
        let sum = self.rest()?;
        self.last_ms = Some(now_ms);
        Some(sum)
    }

    /// What was not said yet, if anything.
    fn rest(&mut self) -> Option<Sum> {
        Some(std::mem::take(&mut self.sum)).filter(|sum| *sum != Sum::default())
    }

    /// How long it is until there is something to say, if there is.
    fn left(&self, now_ms: i64) -> Option<Duration> {
        let pause = Duration::from_millis(self.pause(now_ms).unsigned_abs());
        (self.sum != Sum::default()).then_some(pause)
    }

    /// Milliseconds in which nothing is said.
    fn pause(&self, now_ms: i64) -> i64 {
        let passed = self.last_ms.map_or(self.every_ms, |last| now_ms.saturating_sub(last));
        // A clock that was set back holds nothing up.
        if passed < 0 { 0 } else { (self.every_ms - passed).max(0) }
    }
}

impl Sum {
    /// Says it.
    pub fn say(&self, alert: &str, bounds: &Bounds) {
        let Self { opened, raised, lowered, cleared, refused, left_out, newest } = self;
        if opened + raised + lowered + cleared > 0 {
            tracing::info!(
                alert,
                opened,
                raised,
                lowered,
                cleared,
                newest = newest.as_str(),
                "alerts changed"
            );
        }
        if *refused > 0 {
            let most = bounds.active;
            tracing::warn!(alert, most, rows = refused, "too many keys have an open alert: others open none");
        }
        if *left_out > 0 {
            let most = bounds.tracks;
            tracing::warn!(
                alert,
                most,
                rows = left_out,
                "too many keys in an epoch: some were not looked at"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use forebay_core::clock::ManualClock;
    use tokio::sync::mpsc;

    use super::*;
    use crate::alert::Alert;
    use crate::tests::rule;

    fn flutter() -> Changes {
        let opened = Alert::open((&rule(0), "iot"), "d1", 5, &[], 0, None);
        let cleared = opened.clear(&rule(0), 6, &[], 0);
        Changes { transitions: vec![opened, cleared], ..Changes::default() }
    }

    #[tokio::test]
    async fn what_is_held_back_is_said_when_its_time_has_come_though_nothing_more_happens() {
        let (clock, (said, mut heard)) = (ManualClock::at(1_000), mpsc::unbounded_channel());
        let say = move |sum: &Sum| said.send(sum.opened).unwrap();
        let tell = Arc::new(Mutex::new(Tell::new(20)));
        let teller = Teller { tell, clock: clock.clone(), say: Arc::new(say) };
        let mut next =
            async || tokio::time::timeout(Duration::from_secs(20), heard.recv()).await.ok().flatten();
        teller.add(&flutter(), 0, 0);
        assert_eq!(next().await, Some(1), "the first at once");
        (0..3).for_each(|_| teller.add(&flutter(), 0, 0));
        clock.advance(20);
        assert_eq!(next().await, Some(3), "what was held back, as one sum");
        teller.add(&flutter(), 0, 0);
        teller.end();
        assert_eq!(next().await, Some(1), "what is left when the alert ends");
    }

    #[test]
    fn a_device_that_flutters_is_told_at_once_and_then_in_sums() {
        let changes = flutter();
        let mut tell = Tell::new(EVERY_MS);
        let mut said = Vec::new();
        for second in 0..25 {
            tell.add(&changes, 0, 1);
            said.extend(tell.due(second * 1_000).map(|sum| (second, sum.opened, sum.cleared, sum.left_out)));
        }
        assert_eq!(said, [(0, 1, 1, 1), (10, 10, 10, 10), (20, 10, 10, 10)]);
        let rest = tell.rest().unwrap();
        assert_eq!((rest.opened, rest.newest.as_str()), (4, "overheat: d1"));
        tell.add(&Changes::default(), 0, 0);
        assert_eq!((tell.due(99_000), tell.rest()), (None, None), "nothing to say is not said");
    }
}
