//! Who is told of which transition: silences, inhibition, groups, and the outbox in the journal. Pure; nothing is sent here.
//!
//! ```text
//!  transition ─▶ silenced? inhibited? ─▶ muted: the alert says by what; told later if it is still open then
//!       │ no
//!       ▼
//!  each channel of the rule that wants it ─▶ waiting (`wait`) ─▶ notices: one each, or one for all in a storm
//!       ▼
//!  the entry of the epoch ─fsync─▶ outbox ─▶ whoever sends ─▶ delivered ─fsync─▶ gone
//! ```
//!
//! A notice is in the journal in the same entry as its transitions, so there is one exactly where there are they, whatever dies when.
//! Its id is made of its channel and its first transition: a sender repeats it after a crash with the same id, which
//! is the receiver's idempotency key. What must stay true: a transition is in at most one notice of a channel, in their order;
//! what waits and what is due is bounded, also while a channel is down for days: then the rest waits together, as one.
//!
//! **Who hears of what.** A silence of the file holds for transitions whose record lies in it, by the records' time, so that reading a
//! backlog gives the same; those that people make are in [`silences`](crate::silences). An open alert of a rule in `inhibitedBy`, for the
//! same key, mutes when the transition is decided: two rules have two journals, so this is not repeatable, but it is decided once, with
//! the entry, as is what a person's silence mutes. An alert whose opening was muted is told as soon as nothing mutes it any more (by the
//! time of an epoch), if it is still open and nobody has acknowledged it; until then, of its raising, too, nothing is told, and if it
//! clears before, nobody hears of it at all. One that was told is told of its clearing whatever mutes.

use std::collections::BTreeMap;

use forebay_core::config::{Severity, SilenceConfig};
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::entry::Telling;
use crate::life::Event;
use crate::silences::Silences;

/// Transitions that are listed in a notice for people, or wait to be; of more only the number is told.
pub const MOST_LINES: usize = 20;

/// The same for a channel that programs read, one transition after the other.
pub const MOST_RECORDS: usize = 1_000;

/// Notices of one channel that are due: beyond it all that comes waits as one.
pub const MOST_DUE: usize = 100;

/// Who is told of a rule's transitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Those that hear of it.
    pub channels: Vec<Channel>,
    /// The silences of the file.
    pub silences: Vec<SilenceConfig>,
    /// Rules whose open alert for the same key mutes those of this one.
    pub inhibited_by: Vec<String>,
}

/// What is so around an alert when it is decided who is told of it.
pub(crate) struct Around<'a> {
    /// The silences that people made.
    pub silences: &'a Silences,
    /// The time of the epoch, or of a person's deed.
    pub now: i64,
    /// Whether a rule has an open alert for the key.
    pub is_open: &'a dyn Fn(&str) -> bool,
}

/// How a channel wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name in the file.
    pub name: String,
    /// It hears of alerts that are, or have been, at least so bad.
    pub least: Severity,
    /// How long transitions wait for others, milliseconds, by the time of the epochs.
    pub wait_ms: i64,
    /// Up to so many that are due at once are told one by one; more are told as one.
    pub most: usize,
    /// How many are listed at most: [`MOST_LINES`], or [`MOST_RECORDS`].
    pub listed: usize,
}

/// What a channel is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its name for ever: the receiver's idempotency key.
    pub id: String,
    /// The channel.
    pub channel: String,
    /// The transitions, in their order, at most as many as its channel lists.
    pub lines: Vec<Line>,
    /// How many they are in all.
    pub count: u64,
}

/// A transition in a notice. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The transition's name, [`Alert::transition`].
    pub transition: String,
    /// The alert's.
    pub alert: String,
    /// The rule.
    pub rule: String,
    /// The key; `None` for NULL.
    pub key: Option<String>,
    /// What happened.
    pub event: Event,
    /// When, by the records.
    pub at: i64,
    /// How bad it is now.
    pub severity: Severity,
    /// How bad it has been.
    pub worst: Severity,
    /// The alert's message.
    pub message: String,
}

/// What waits to be told to a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// The time of the epoch that made the first of them.
    since: i64,
    lines: Vec<Line>,
    count: u64,
}

/// What is due and what waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outbox {
    /// In the order in which they were made.
    due: Vec<Notice>,
    waiting: BTreeMap<String, Waiting>,
}

impl Notices {
    /// What mutes an alert at this time, if something does.
    fn muted(&self, alert: &Alert, at: i64, around: &Around<'_>) -> Option<String> {
        let key = alert.key.as_deref();
        let silence = self.silences.iter().find(|it| it.holds(&alert.rule, key, alert.severity, at));
        let silence = silence.map(|silence| format!("silence {}", silence.name));
        let made = || around.silences.muting((&alert.rule, key, alert.severity), at, around.now);
        let is_inhibiting =
            |rule: &&String| !rule.eq_ignore_ascii_case(&alert.rule) && (around.is_open)(rule);
        let inhibited = || self.inhibited_by.iter().find(is_inhibiting);
        silence.or_else(made).or_else(|| Some(format!("inhibited by {}", inhibited()?)))
    }

    /// Decides of an alert that just changed whether its transition is told; marks it if its opening is not.
    pub(crate) fn hear(&self, alert: &mut Alert, around: &Around<'_>) -> Option<Line> {
        let mute = self.muted(alert, alert.changed_at(), around);
        let was_told = alert.life.muted.is_none();
        let event = alert.event();
        let is_told = match event {
            Event::Opened => mute.is_none(),
            Event::Raised => mute.is_none(),
            Event::Lowered => was_told && mute.is_none(),
            Event::Acknowledged | Event::Cleared => was_told,
        };
        match event {
            Event::Opened => alert.life.muted = mute,
            Event::Raised if is_told => alert.life.muted = None,
            _ => {}
        }
        is_told.then(|| Line::of(alert, event))
    }

    /// An alert whose opening was muted, if it is to be told now.
    pub(crate) fn release(&self, alert: &Alert, around: &Around<'_>) -> Option<(Alert, Line)> {
        let is_held = alert.life.muted.is_some() && alert.life.acknowledged.is_none();
        if !is_held || self.muted(alert, around.now, around).is_some() {
            return None;
        }
        let mut alert = alert.clone();
        alert.life.muted = None;
        let line = Line::of(&alert, Event::Opened);
        Some((alert, line))
    }

    /// What these lines, in their order, make of the outbox; `now` is the time of the epoch.
    pub(crate) fn tell(&self, outbox: &Outbox, lines: &[Line], now: i64) -> Telling {
        let mut telling = Telling::default();
        for channel in &self.channels {
            let before = outbox.waiting.get(&channel.name);
            let mut waiting = before.cloned().unwrap_or_default();
            for line in lines.iter().filter(|line| line.worst >= channel.least) {
                if waiting.count == 0 {
                    waiting.since = now;
                }
                waiting.count += 1;
                if waiting.lines.len() < channel.listed {
                    waiting.lines.push(line.clone());
                }
            }
            // A clock that was set back holds nothing up.
            let waited = now.saturating_sub(waiting.since);
            let is_due = waiting.count > 0 && !(0..channel.wait_ms).contains(&waited);
            if is_due && outbox.has_room(&channel.name) {
                telling.notices.extend(std::mem::take(&mut waiting).into_notices(channel));
            }
            let after = Some(waiting).filter(|waiting| waiting.count > 0);
            if after.as_ref() != before {
                telling.waiting.insert(channel.name.clone(), after);
            }
        }
        let is_gone = |name: &&String| !self.channels.iter().any(|channel| channel.name == **name);
        let gone = outbox.waiting.keys().filter(is_gone);
        telling.waiting.extend(gone.map(|name| (name.clone(), None)));
        telling
    }

    /// When something that waits is due, if something does (milliseconds since 1970, by the time of epochs). Behind a full channel
    /// it waits for that, not for a time.
    pub(crate) fn next_due(&self, outbox: &Outbox) -> Option<i64> {
        let due = |channel: &Channel| {
            let waiting = outbox.waiting.get(&channel.name).filter(|_| outbox.has_room(&channel.name))?;
            Some(waiting.since.saturating_add(channel.wait_ms))
        };
        self.channels.iter().filter_map(due).min()
    }
}

impl Line {
    fn of(alert: &Alert, event: Event) -> Self {
        Self {
            transition: alert.transition(),
            alert: alert.id.clone(),
            rule: alert.rule.clone(),
            key: alert.key.clone(),
            event,
            at: alert.changed_at(),
            severity: alert.severity,
            worst: alert.worst(),
            message: alert.message.clone(),
        }
    }
}

impl Waiting {
    /// One notice for each line, or one for all.
    fn into_notices(self, channel: &Channel) -> Vec<Notice> {
        let notice = |lines: Vec<Line>, count| {
            let first = lines.first().map(|line| line.transition.as_str()).unwrap_or_default();
            Notice { id: format!("{}/{first}", channel.name), channel: channel.name.clone(), lines, count }
        };
        let all_listed = self.count == self.lines.len() as u64;
        if all_listed && self.lines.len() <= channel.most {
            return self.lines.into_iter().map(|line| notice(vec![line], 1)).collect();
        }
        vec![notice(self.lines, self.count)]
    }
}

impl Outbox {
    /// True if nothing is due and nothing waits.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty() && self.waiting.is_empty()
    }

    /// True if a channel may have one more that is due.
    fn has_room(&self, channel: &str) -> bool {
        self.due.iter().filter(|notice| notice.channel == channel).count() < MOST_DUE
    }

    /// What is due, in the order in which it was made.
    pub fn due(&self) -> &[Notice] {
        &self.due
    }

    pub fn take(&mut self, telling: Telling) {
        self.due.extend(telling.notices);
        for (channel, waiting) in telling.waiting {
            match waiting {
                Some(waiting) => drop(self.waiting.insert(channel, waiting)),
                None => drop(self.waiting.remove(&channel)),
            }
        }
    }

    /// That nothing waits any more.
    pub fn without_waiting(&self) -> Telling {
        let waiting = self.waiting.keys().map(|channel| (channel.clone(), None)).collect();
        Telling { waiting, ..Telling::default() }
    }

    pub fn deliver(&mut self, ids: &[String]) {
        self.due.retain(|notice| !ids.contains(&notice.id));
    }
}

#[cfg(test)]
mod tests;
