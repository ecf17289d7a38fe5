//! Rules that are not in the file any more: what they have open ends.
//!
//! Nobody looks at such a rule's records, so nothing would ever clear its alerts. They end as cleared when the file is run
//! without the rule. The folder stays: if the rule comes back it goes on where it was, with nothing open. What it had to tell and no channel had
//! taken is forgotten with it: whoever removes a rule knows, and news of alerts that are gone would be told when the rule comes back, weeks later perhaps.

use std::collections::BTreeMap;
use std::path::Path;

use forebay_core::Result;
use forebay_storage::Door;

use crate::alert::Alert;
use crate::book::AlertBook;
use crate::entry::{Changes, Entry, EpochEntry};
use crate::journal::{Journal, NAME};
use crate::rule::Bounds;

/// Ends what a removed rule has open, as of `now_ms`, and shows what it had in the book; how many alerts ended. `dir` is the
/// folder of its checkpoint, which the caller holds. Blocks.
///
/// # Errors
/// `CHECKPOINT_DAMAGED`, `CHECKPOINT_VERSION`, `STORAGE`.
pub fn end_removed(
    rule: &str,
    dir: &Path,
    door: Door,
    bounds: &Bounds,
    now_ms: i64,
    book: &AlertBook,
) -> Result<usize> {
    if !dir.join(NAME).exists() {
        return Ok(0);
    }
    let (mut journal, mut state) = Journal::open(dir, door, bounds.journal, bounds.cleared)?;
    let mut transitions: Vec<Alert> = state.all_open().map(|alert| alert.end(now_ms)).collect();
    transitions.sort_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
    let ended = transitions.len();
    let watches: BTreeMap<_, _> = state.watches().map(|(subject, _)| (subject.clone(), None)).collect();
    let telling = state.outbox().without_waiting();
    let is_something = ended + watches.len() + telling.waiting.len() > 0;
    // Without an epoch there is nothing that could be open.
    if let Some(last) = state.last().filter(|_| is_something).cloned() {
        let changes = Changes { transitions, watches, telling, ..Changes::default() };
        let entry = Entry::Epoch(EpochEntry { last, changes });
        journal.append(&entry)?;
        state.apply(entry, bounds.cleared);
    }
    let untold: Vec<String> = state.outbox().due().iter().map(|notice| notice.id.clone()).collect();
    if !untold.is_empty() {
        tracing::warn!(rule, notices = untold.len(), "nobody is told: the rule is in the file no more");
        let entry = Entry::Delivered(untold);
        journal.append(&entry)?;
        state.apply(entry, bounds.cleared);
    }
    book.load(rule, &BTreeMap::new(), state.all_open(), state.cleared());
    Ok(ended)
}
