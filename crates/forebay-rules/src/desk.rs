//! Where a rule's journal lies while its sink is open: epochs are written here, and so is what people do with its alerts.
//!
//! The sink and the people take turns under one lock, for as long as an entry needs to become durable. What must stay true: memory
//! changes only after the entry is durable, whoever wrote it; and a person's word is about the alert as it is at that
//! moment, so acknowledging one that cleared meanwhile is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::kill_point;
use parking_lot::Mutex;

use crate::alert::Alert;
use crate::entry::{Entry, PersonEntry, Telling};
use crate::journal::Journal;
use crate::life::{Event, LONGEST_COMMENT, MOST_COMMENTS, Remark, push_bounded};
use crate::logic::Watched;
use crate::notices::{Around, Notice};
use crate::silences::Silences;
use crate::state::RuleState;

/// See the module. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<Mutex<Papers>>);

/// What lies on it.
#[derive(Debug)]
pub(crate) struct Papers {
    pub journal: Journal,
    pub state: Arc<RuleState>,
    watched: Arc<Watched>,
    /// Cleared alerts that are kept.
    keep: usize,
}

/// What a person did.
#[derive(Clone, Debug, PartialEq)]
pub enum Acknowledged {
    /// It is the first to: here is the alert now.
    Now(Arc<Alert>),
    /// Somebody was before: nothing changed.
    Before(Arc<Alert>),
}

impl Papers {
    /// Makes an entry durable and takes it; gives the alerts that changed, and its bytes.
    pub fn write(&mut self, entry: Entry) -> Result<(Vec<Arc<Alert>>, u64)> {
        let bytes = self.journal.append(&entry)?;
        kill_point("sink.alert.commit.after");
        let changed = Arc::make_mut(&mut self.state).apply(entry, self.keep);
        Ok((changed, bytes))
    }

    fn alert(&self, id: &str) -> Result<Arc<Alert>> {
        self.state.all_open().find(|alert| alert.id == id).cloned().ok_or_else(|| not_open(id))
    }

    fn person(&mut self, alert: Alert, telling: Telling) -> Result<Arc<Alert>> {
        let entry = Entry::Person(Box::new(PersonEntry { alert, telling }));
        let (mut changed, _) = self.write(entry)?;
        changed.pop().ok_or_else(|| Error::new(&codes::INTERNAL, "an alert was lost while it was written"))
    }
}

impl Desk {
    pub fn new(journal: Journal, state: RuleState, watched: Arc<Watched>, keep: usize) -> Self {
        Self(Arc::new(Mutex::new(Papers { journal, state: Arc::new(state), watched, keep })))
    }

    /// True if it is this one.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Does something with what lies here, alone.
    pub fn with<T>(&self, act: impl FnOnce(&mut Papers) -> T) -> T {
        act(&mut self.0.lock())
    }

    pub fn state(&self) -> Arc<RuleState> {
        Arc::clone(&self.0.lock().state)
    }

    /// Somebody takes care of an open alert; of several people the first does.
    pub fn acknowledge(&self, id: &str, remark: Remark) -> Result<Acknowledged> {
        self.with(|papers| {
            let alert = papers.alert(id)?;
            if alert.life.acknowledged.is_some() {
                return Ok(Acknowledged::Before(alert));
            }
            let now = remark.at;
            let mut acknowledged = alert.acknowledge(checked(remark)?);
            let watched = Arc::clone(&papers.watched);
            // Who was told of it is told of this, whatever mutes.
            let around = Around { silences: &Silences::default(), now, is_open: &|_| false };
            let line = watched.notices.hear(&mut acknowledged, &around);
            debug_assert_eq!(acknowledged.event(), Event::Acknowledged);
            let telling = watched.notices.tell(papers.state.outbox(), line.as_slice(), now);
            papers.person(acknowledged, telling).map(Acknowledged::Now)
        })
    }

    /// Somebody says something of an open alert. The oldest of many comments go.
    pub fn comment(&self, id: &str, remark: Remark) -> Result<Arc<Alert>> {
        self.with(|papers| {
            let mut alert = Alert::clone(&*papers.alert(id)?);
            push_bounded(&mut alert.life.comments, checked(remark)?, MOST_COMMENTS);
            papers.person(alert, Telling::default())
        })
    }

    /// What is due to be told, in the order in which it was made.
    pub fn due(&self) -> Vec<Notice> {
        self.0.lock().state.outbox().due().to_vec()
    }

    /// The same for one channel.
    pub fn due_for(&self, channel: &str) -> Vec<Notice> {
        let papers = self.0.lock();
        papers.state.outbox().due().iter().filter(|notice| notice.channel == channel).cloned().collect()
    }

    /// Adds how many there are for each channel.
    pub fn count_due(&self, counts: &mut BTreeMap<String, u64>) {
        let papers = self.0.lock();
        for notice in papers.state.outbox().due() {
            *counts.entry(notice.channel.clone()).or_default() += 1;
        }
    }

    /// These were told.
    pub fn delivered(&self, ids: &[String]) -> Result<()> {
        self.with(|papers| {
            let is_due = |id: &&String| papers.state.outbox().due().iter().any(|notice| notice.id == **id);
            let due: Vec<String> = ids.iter().filter(is_due).cloned().collect();
            if due.is_empty() { Ok(()) } else { papers.write(Entry::Delivered(due)).map(drop) }
        })
    }
}

fn not_open(id: &str) -> Error {
    Error::new(&codes::NO_RESOURCE, format!("no alert `{id}` is open"))
        .with_hint("It has cleared, or its rule is not running. `GET /api/v1/alerts` lists what is open.")
}

/// A remark that can be kept.
fn checked(remark: Remark) -> Result<Remark> {
    let long = remark.by.len().max(remark.comment.as_ref().map_or(0, String::len));
    if long <= LONGEST_COMMENT && !remark.by.trim().is_empty() {
        return Ok(remark);
    }
    let message = if long > LONGEST_COMMENT {
        format!("a name or comment has {long} bytes, more than {LONGEST_COMMENT}")
    } else {
        "nobody is named who acknowledges or comments".to_owned()
    };
    Err(Error::new(&codes::BAD_VALUE, message).with_hint("Say who you are, and keep it to a few sentences."))
}
