//! One commit: the next version file, created if it is not there, and what to do when it is.
//!
//! ```text
//!  follow the log ──▶ decide ──▶ stage (unique name, fsync) ──▶ link N+1 ──▶ fsync folder ──▶ done
//!       ▲               │                                         │
//!       │               └─▶ Stop (our txn is there, lost a race)  └─▶ exists: another writer was faster
//!       └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! delta-rs does not refuse a `txn` that it has already seen, so the decision is asked before the first attempt and
//! again after every conflict, each time with everything that is new in the log. What must stay true: between the
//! decision and the link no version can come in unseen, because the link fails if the next version's file is there.

use std::sync::atomic::{AtomicBool, Ordering};

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::kill_point;

use super::action::{Action, to_text};
use super::store::Published;
use super::table::{Change, Head, Table};

/// The verdict on what came into the log since the head that a commit was built on.
pub(crate) enum Verdict {
    /// Go on with these actions on the head that was shown.
    Write(Vec<Action>),
    /// Write nothing.
    Stop,
}

/// Conflicts after which a commit gives up and lets the engine try the epoch again.
const MOST_CONFLICTS: usize = 100;

/// Names of points at which test builds may die around a commit.
#[derive(Clone, Copy)]
pub(crate) struct KillPoints {
    pub before: Option<&'static str>,
    pub after: Option<&'static str>,
}

impl KillPoints {
    pub const NONE: Self = Self { before: None, after: None };
}

/// True while a version file may have come to be without this process knowing it: set just before the link, taken
/// back if the name was taken. Whoever wants to remove data files of a failed commit asks this first.
#[derive(Debug, Default)]
pub(crate) struct Linking(AtomicBool);

impl Linking {
    /// From now on a version may come to be.
    pub fn begin(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Another version has the name: ours never comes to be.
    pub fn take_back(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// True if the outcome of the last attempt is not known, or was success.
    pub fn may_have_happened(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Commits what `decide` says, on top of the newest version; returns true if it did. `head` moves along, to the new
/// version if one was written. Blocks.
///
/// # Errors
///
/// `SINK_CONFLICT` if the log was cut so far that `head` must be loaded anew, or after very many conflicts;
/// `SINK_UNAVAILABLE` if the storage refuses; `STORAGE` after a failed fsync.
pub(crate) fn commit(
    table: &Table,
    head: &mut Head,
    points: KillPoints,
    linking: &Linking,
    decide: &mut dyn FnMut(&Head, &Change) -> Result<Verdict>,
) -> Result<bool> {
    for _ in 0..MOST_CONFLICTS {
        let change = table.follow(head)?;
        if change.reloaded {
            return Err(Error::new(&codes::SINK_CONFLICT, "the table's log went on without this writer"));
        }
        let actions = match decide(head, &change)? {
            Verdict::Stop => return Ok(false),
            Verdict::Write(actions) => actions,
        };
        if let Published::Yes(mark) = publish(table, head.version + 1, &actions, points, linking)? {
            head.version += 1;
            head.mark = mark;
            return Ok(true);
        }
    }
    Err(Error::new(
        &codes::SINK_CONFLICT,
        format!("another writer was faster {MOST_CONFLICTS} times in a row"),
    ))
}

/// Makes `version` exist with these actions, unless there is one. Blocks.
pub(crate) fn publish(
    table: &Table,
    version: u64,
    actions: &[Action],
    points: KillPoints,
    linking: &Linking,
) -> Result<Published> {
    let text = to_text(actions)?;
    let published = table.store.publish(&table.version_file(version), &text, points, linking)?;
    points.after.filter(|_| published != Published::Taken).into_iter().for_each(kill_point);
    Ok(published)
}
