//! Silences that people make while a pipeline runs: who is told of nothing, from when until when, and who said so.
//!
//! ```text
//!  a wish ─▶ checked ─▶ file ─fsync─▶ memory ─▶ [`Notices`](crate::Notices) ask it for each transition
//! ```
//!
//! Those of the file hold by the time of the records alone, so that reading a backlog gives the same. One that a person makes holds for what
//! its person sees and hears, as well: for transitions whose record lies in it, and for all that is decided while it lasts. It is muted then,
//! opens and clears all the same, and is told at the end as after every silence. What must stay true: a silence is durable before anybody is
//! told that it is there, and before it mutes; a number is never given twice; what is kept is bounded; and who asks what is muted waits for
//! no disk.

use std::path::Path;
use std::sync::Arc;

use forebay_core::config::Severity;
use forebay_core::error::codes;
use forebay_core::silence::is_like;
use forebay_core::{Error, Result};
use forebay_storage::Door;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Deserializer, Serialize};

use crate::life::Remark;

mod file;
mod wish;

use file::SilencesFile;
pub use wish::{End, LONGEST_NAME, MOST_NAMES, Wish};

/// Silences that hold or will: whoever needs more wants another pattern.
pub const MOST: usize = 500;

/// Silences that have ended and are remembered, the newest.
const MOST_ENDED: usize = 100;

/// How long one that has ended is remembered: five days, as Alertmanager does.
const REMEMBERED_MS: i64 = 5 * 24 * 3_600_000;

/// A silence. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// Its number.
    pub id: String,
    /// The rules; none: all of them.
    pub rules: Vec<String>,
    /// The one key that it is about; `Some(None)` is NULL.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub key: Option<Option<String>>,
    /// Patterns of keys, in which `*` stands for any text; none: all keys, unless there is a `key`.
    pub keys: Vec<String>,
    /// Severities; none: all.
    pub severities: Vec<Severity>,
    /// When it begins.
    pub from: i64,
    /// When it ends; that moment does not belong to it.
    pub until: i64,
    /// Who made it, when, and why.
    pub made: Remark,
    /// Who ended it before its time, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Remark>,
}

/// How a silence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SilenceState {
    /// It holds.
    Active,
    /// It will.
    Pending,
    /// It does no more.
    Expired,
}

impl SilenceState {
    /// All of them.
    pub const WORDS: [&str; 3] = ["active", "pending", "expired"];
}

impl Silence {
    /// How it stands at this time.
    pub fn state(&self, now: i64) -> SilenceState {
        match now {
            _ if now >= self.until => SilenceState::Expired,
            _ if now < self.from => SilenceState::Pending,
            _ => SilenceState::Active,
        }
    }

    /// True if it is about such alerts.
    pub fn is_about(&self, rule: &str, key: Option<&str>, severity: Severity) -> bool {
        let is_key = || match &self.key {
            Some(only) => only.as_deref() == key,
            None => {
                self.keys.is_empty()
                    || key.is_some_and(|key| self.keys.iter().any(|pattern| is_like(pattern, key)))
            }
        };
        (self.rules.is_empty() || self.rules.iter().any(|name| name.eq_ignore_ascii_case(rule)))
            && (self.severities.is_empty() || self.severities.contains(&severity))
            && is_key()
    }

    fn has(&self, at: i64) -> bool {
        (self.from..self.until).contains(&at)
    }
}

/// A key that is given, though it may be NULL.
fn given<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// The silences of a pipeline. A shared handle; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Silences(Arc<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    /// All that are remembered, in the order in which they were made.
    all: RwLock<Arc<Vec<Silence>>>,
    /// Held by whoever changes them, for as long as a disk needs.
    keeping: Mutex<Keeping>,
}

#[derive(Debug, Default)]
struct Keeping {
    /// How many were made, ever.
    made: u64,
    /// `None`: they are kept in memory alone.
    file: Option<SilencesFile>,
}

impl Silences {
    /// Keeps them in this folder, which is made when the first of them is, and takes those that are there. Blocks.
    ///
    /// # Errors
    /// `CHECKPOINT_DAMAGED`, `CHECKPOINT_VERSION`, `STORAGE`.
    pub fn open(&self, dir: &Path, door: Door) -> Result<()> {
        let mut keeping = self.0.keeping.lock();
        let file = SilencesFile::new(dir, door);
        self.take(&mut keeping, file.read()?);
        keeping.file = Some(file);
        Ok(())
    }

    /// Those that are remembered: first what holds, then what will, then what did, each by its end, the newest end first of the last.
    pub fn all(&self, now: i64) -> Vec<Silence> {
        let mut all = self.present().iter().filter(|it| it.is_remembered(now)).cloned().collect::<Vec<_>>();
        all.sort_by_key(|it| match it.state(now) {
            SilenceState::Expired => (SilenceState::Expired, it.until.saturating_neg()),
            state => (state, it.until),
        });
        all
    }

    /// Makes a silence of a wish; `made` is whose, when it is, and why. Durable when this returns. Blocks.
    ///
    /// # Errors
    /// `BAD_VALUE` if it cannot be kept, `CONFLICT` if there are too many, `CHECKPOINT_LOCKED` if another process is at it, `STORAGE`.
    pub fn make(&self, wish: Wish, made: Remark) -> Result<Silence> {
        let now = made.at;
        let wished = wish.checked(made)?;
        self.change(now, |all, number| {
            if all.iter().filter(|it| it.state(now) != SilenceState::Expired).count() >= MOST {
                let error = Error::new(&codes::CONFLICT, format!("{MOST} silences hold or will"));
                return Err(error
                    .with_hint("End some of them; a pattern such as `press-*` covers many keys at once."));
            }
            *number += 1;
            let silence = Silence { id: number.to_string(), ..wished };
            all.push(silence.clone());
            Ok((silence, true))
        })
    }

    /// Ends a silence now; one that has ended already stays as it is. Durable when this returns. Blocks.
    ///
    /// # Errors
    /// `NO_RESOURCE` if it is not known; else as [`Self::make`].
    pub fn end(&self, id: &str, ended: Remark) -> Result<Silence> {
        let now = ended.at;
        let ended = wish::remark(ended)?;
        self.change(now, |all, _| {
            let found = all.iter_mut().find(|it| it.id == id && it.is_remembered(now));
            let silence = found.ok_or_else(|| unknown(id))?;
            if silence.state(now) == SilenceState::Expired {
                return Ok((silence.clone(), false));
            }
            silence.until = now;
            silence.from = silence.from.min(now);
            silence.ended = Some(ended);
            Ok((silence.clone(), true))
        })
    }

    /// What mutes a transition of such an alert, if something does: by the time of its record, or because it is decided now.
    pub(crate) fn muting(&self, alert: (&str, Option<&str>, Severity), at: i64, now: i64) -> Option<String> {
        let (rule, key, severity) = alert;
        let present = self.present();
        let mut holding = present.iter().filter(|it| it.has(at) || it.has(now));
        let muting = holding.find(|it| it.is_about(rule, key, severity))?;
        Some(format!("silence #{}", muting.id))
    }

    /// Does something to them, of which it says whether it changed something: that is durable first.
    fn change<T>(
        &self,
        now: i64,
        act: impl FnOnce(&mut Vec<Silence>, &mut u64) -> Result<(T, bool)>,
    ) -> Result<T> {
        let mut keeping = self.0.keeping.lock();
        let held = keeping.file.as_ref().map(SilencesFile::hold).transpose()?;
        if let Some(file) = keeping.file.as_ref() {
            // Another process of the same pipeline may have changed them.
            let there = file.read()?;
            self.take(&mut keeping, there);
        }
        let mut all = self.present().to_vec();
        let mut made = keeping.made;
        let (done, is_changed) = act(&mut all, &mut made)?;
        if is_changed {
            forget(&mut all, now);
            if let Some(file) = &keeping.file {
                file.write(made, &all)?;
            }
            keeping.made = made;
            *self.0.all.write() = Arc::new(all);
        }
        drop(held);
        Ok(done)
    }

    fn take(&self, keeping: &mut Keeping, (made, all): (u64, Vec<Silence>)) {
        keeping.made = made.max(keeping.made);
        *self.0.all.write() = Arc::new(all);
    }

    fn present(&self) -> Arc<Vec<Silence>> {
        Arc::clone(&self.0.all.read())
    }
}

impl Silence {
    fn is_remembered(&self, now: i64) -> bool {
        now.saturating_sub(self.until) < REMEMBERED_MS
    }
}

/// Forgets those that ended long ago, and the oldest of many.
fn forget(all: &mut Vec<Silence>, now: i64) {
    all.retain(|it| it.is_remembered(now));
    let is_ended = |it: &Silence| it.state(now) == SilenceState::Expired;
    while all.iter().filter(|it| is_ended(it)).count() > MOST_ENDED {
        // Of those that ended at once the first is the one that was made first.
        let ended = all.iter().enumerate().filter(|(_, it)| is_ended(it));
        let Some((oldest, _)) = ended.min_by_key(|(_, it)| it.until) else { return };
        all.remove(oldest);
    }
}

fn unknown(id: &str) -> Error {
    let id: String = id.chars().take(40).collect();
    Error::new(&codes::NO_RESOURCE, format!("no silence `{id}` is known"))
        .with_hint("`GET /api/v1/silences` lists them; those of the file are changed there.")
}

#[cfg(test)]
mod tests;
