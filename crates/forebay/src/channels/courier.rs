//! What carries the notices of one channel: one after the other, each until it is taken.
//!
//! What must stay true: what was taken is not sent again while this process lives, though the disk may not take that it was; and a
//! pause grows with each failure, up to five minutes, so that a receiver which comes back is not overrun.

use std::collections::BTreeSet;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_rules::{AlertBook, Notice};
use forebay_server::shown::Channels as Standings;
use forebay_storage::kill_point;
use tokio_util::sync::CancellationToken;

use super::carrier::{Carrier, Sent};

/// How often a channel looks whether there is something to tell though nothing was said of it, as where a time has come.
const LOOK: Duration = Duration::from_millis(250);

/// How often notices are looked for whose channel is in the file no more.
const LOOK_FOR_OTHERS: Duration = Duration::from_secs(5);

/// The first pause after a failure, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// See the module.
pub struct Courier {
    channel: String,
    carrier: Carrier,
    book: AlertBook,
    /// Where it is told how the channel stands.
    standings: Standings,
    /// Taken, though not yet durably so.
    taken: BTreeSet<String>,
    /// Failures in a row.
    failures: u32,
}

impl Courier {
    pub fn new(channel: String, carrier: Carrier, book: AlertBook, standings: Standings) -> Self {
        Self { channel, carrier, book, standings, taken: BTreeSet::new(), failures: 0 }
    }

    /// Carries until it is stopped.
    pub async fn run(mut self, stop: CancellationToken) {
        let stopped = stop.clone();
        tokio::select! {
            () = stopped.cancelled() => {}
            () = self.carry() => {}
        }
    }

    async fn carry(&mut self) {
        let book = self.book.clone();
        loop {
            let news = book.news();
            tokio::pin!(news);
            news.as_mut().enable();
            match self.look().await {
                // What comes meanwhile waits for the receiver as well.
                Err(pause) => tokio::time::sleep(pause).await,
                Ok(()) => tokio::select! {
                    () = news => {}
                    () = tokio::time::sleep(LOOK) => {}
                },
            }
        }
    }

    /// Tells what is there to be told; or says how long to wait before the next attempt.
    async fn look(&mut self) -> Result<(), Duration> {
        match self.carrier.tend().await {
            None => {}
            Some(Sent::Taken) => self.works(),
            // What is refused for good would be again: what is new is told all the same.
            Some(Sent::Refused(why)) => drop(self.failed(&why, None)),
            Some(Sent::Later(why, asked)) => return Err(self.failed(&why, asked)),
        }
        for (rule, notice) in self.book.due_for(&self.channel) {
            self.tell(&rule, &notice).await?;
        }
        Ok(())
    }

    /// Brings a notice to its end; or says how long to wait before the next attempt.
    async fn tell(&mut self, rule: &str, notice: &Notice) -> Result<(), Duration> {
        if !self.taken.contains(&notice.id) {
            match self.carrier.send(notice).await {
                Sent::Taken => self.standings.taken(&self.channel),
                Sent::Refused(why) => self.refused(rule, notice, &why),
                Sent::Later(why, asked) => return Err(self.failed(&why, asked)),
            }
            self.taken.insert(notice.id.clone());
            self.works();
        }
        kill_point("notice.sent.after");
        let (book, rule, ids) = (self.book.clone(), rule.to_owned(), vec![notice.id.clone()]);
        match tokio::task::spawn_blocking(move || book.delivered(&rule, &ids)).await {
            Ok(Ok(())) => {
                self.taken.remove(&notice.id);
                Ok(())
            }
            // The rule has ended meanwhile: when it runs again its journal has the notice.
            Ok(Err(error)) if error.code() == &codes::NO_RESOURCE => Ok(()),
            Ok(Err(error)) => Err(self.failed(&error.to_string(), None)),
            Err(error) => Err(self.failed(&error.to_string(), None)),
        }
    }

    /// Says that a notice will never be taken.
    fn refused(&self, rule: &str, notice: &Notice, why: &str) {
        let (channel, transitions, first) = (self.channel.as_str(), notice.count, notice.id.as_str());
        tracing::error!(channel, rule, why, transitions, first, "a channel refused a notice for good");
        self.standings.refused(channel, why);
    }

    /// The receiver is there.
    fn works(&mut self) {
        if self.failures > 0 {
            tracing::info!(channel = self.channel, failures = self.failures, "a channel works again");
            self.failures = 0;
        }
        self.standings.works(&self.channel);
    }

    /// Counts a failure, and says it now and then; gives the pause after it.
    fn failed(&mut self, why: &str, asked: Option<Duration>) -> Duration {
        let pause = pause(self.failures).max(asked.unwrap_or_default());
        self.failures = self.failures.saturating_add(1);
        self.standings.failed(&self.channel, why);
        // The first, and then where the pause is long.
        if self.failures == 1 || pause >= LONGEST_PAUSE {
            let (channel, failures) = (self.channel.as_str(), self.failures);
            tracing::warn!(channel, why, failures, "a channel does not take a notice; it is tried again");
        }
        pause
    }
}

/// The pause after a failure that so many have gone before.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}

/// Forgets the notices for channels that are in the file no more, until it is stopped.
pub async fn forget_others(names: Vec<String>, book: AlertBook, stop: CancellationToken) {
    loop {
        for (rule, notice) in book.due().into_iter().filter(|(_, notice)| !names.contains(&notice.channel)) {
            let Notice { id, channel, count, .. } = notice;
            let (of, to) = (rule.clone(), book.clone());
            let forgotten = tokio::task::spawn_blocking(move || to.delivered(&of, &[id])).await;
            if matches!(forgotten, Ok(Ok(()))) {
                tracing::warn!(
                    rule,
                    channel,
                    transitions = count,
                    "nobody is told: the file has no such channel any more"
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_FOR_OTHERS) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_five_minutes() {
        let pauses: Vec<u64> = (0..12).map(|failures| pause(failures).as_millis() as u64).collect();
        assert_eq!(pauses[..4], [500, 1_000, 2_000, 4_000]);
        assert_eq!((pauses[9], pauses[11], pause(u32::MAX)), (256_000, 300_000, LONGEST_PAUSE));
    }
}
