//! Who is told of alerts, as far as it is shown: what each channel took and refused, and whether it can be reached.
//!
//! Whoever carries notices writes it; nothing here is durable, and notices do not depend on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_core::clock::Clock;
use parking_lot::RwLock;

/// How the channels of a run stand. Clones are the same.
#[derive(Clone)]
pub struct Channels {
    all: Arc<RwLock<BTreeMap<String, Channel>>>,
    clock: Arc<dyn Clock>,
}

/// How one stands. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// By what it is told.
    pub format: String,
    /// Notices that it took, since the run began.
    pub taken: u64,
    /// Notices that it refused for good.
    pub refused: u64,
    /// Why it refused the newest of them, and when.
    pub newest_refusal: Option<(String, i64)>,
    /// Failures in a row; 0: it is well, or nobody has tried yet.
    pub failures: u64,
    /// Since when it fails, and why it did last.
    pub down: Option<(i64, String)>,
}

impl Channels {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { all: Arc::default(), clock }
    }

    /// From now on there are these channels, with their formats; what is known of one that stays goes on.
    pub fn begin(&self, channels: impl Iterator<Item = (String, String)>) {
        let mut all = self.all.write();
        let mut before = std::mem::take(&mut *all);
        for (name, format) in channels {
            let known = before.remove(&name).filter(|channel| channel.format == format);
            // Whether it fails still is seen when it is tried.
            let channel = Channel { format, failures: 0, down: None, ..known.unwrap_or_default() };
            all.insert(name, channel);
        }
    }

    /// It took a notice.
    pub fn taken(&self, channel: &str) {
        self.change(channel, |channel, _| channel.taken += 1);
    }

    /// It refused one for good.
    pub fn refused(&self, channel: &str, why: &str) {
        self.change(channel, |channel, now| {
            channel.refused += 1;
            channel.newest_refusal = Some((why.to_owned(), now));
        });
    }

    /// It can be reached.
    pub fn works(&self, channel: &str) {
        self.change(channel, |channel, _| (channel.failures, channel.down) = (0, None));
    }

    /// It cannot be reached, or does not take what it is told now.
    pub fn failed(&self, channel: &str, why: &str) {
        self.change(channel, |channel, now| {
            channel.failures += 1;
            let since = channel.down.as_ref().map_or(now, |(since, _)| *since);
            channel.down = Some((since, why.to_owned()));
        });
    }

    /// All of them, by name.
    pub fn all(&self) -> BTreeMap<String, Channel> {
        self.all.read().clone()
    }

    fn change(&self, channel: &str, change: impl FnOnce(&mut Channel, i64)) {
        if let Some(channel) = self.all.write().get_mut(channel) {
            change(channel, self.clock.now_ms());
        }
    }
}

#[cfg(test)]
mod tests {
    use forebay_core::clock::ManualClock;

    use super::*;

    #[test]
    fn a_channel_that_fails_says_since_when_and_why_until_it_works() {
        let clock = ManualClock::at(5);
        let channels = Channels::new(clock.clone());
        let named = || [("ops".to_owned(), "webhook".to_owned())].into_iter();
        channels.begin(named());
        channels.failed("ops", "no route");
        clock.advance(10);
        channels.failed("ops", "no answer");
        channels.failed("unknown", "no answer");
        let ops = channels.all()["ops"].clone();
        assert_eq!((ops.failures, ops.down), (2, Some((5, "no answer".to_owned()))));
        channels.refused("ops", "too large");
        channels.taken("ops");
        channels.works("ops");
        channels.begin(named());
        let ops = channels.all()["ops"].clone();
        assert_eq!((ops.failures, ops.down, ops.taken, ops.refused), (0, None, 1, 1));
        assert_eq!(ops.newest_refusal, Some(("too large".to_owned(), 15)));
        channels.begin(std::iter::empty());
        assert!(channels.all().is_empty());
    }
}
