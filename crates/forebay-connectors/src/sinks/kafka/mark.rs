//! What stands beside the group's offset, and what follows from what is found there.
//!
//! The offset is the newest epoch + 1; 0 says that there is none yet, and that a writer has begun. The text names that writer,
//! an identity that each process makes for itself. Both move in transactions alone.
//! What must stay true: no offset at all means "never begun" only if the checkpoint knows of no epoch either.

use forebay_core::error::codes;
use forebay_core::{Epoch, Error, Result};
use serde::{Deserialize, Serialize};

/// The version of the text.
const VERSION: u32 = 1;

/// Brokers refuse texts beyond 4096 bytes (`offset.metadata.max.bytes`); a name may be as long as the file allows.
const NAME_LIMIT: usize = 256;

/// The text beside the offset.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Text {
    v: u32,
    query: String,
    writer: String,
}

/// The text for an epoch of this query, written by `writer`.
pub(super) fn text(query: &str, writer: &str) -> String {
    let end = query.char_indices().map(|(at, _)| at).take_while(|at| *at <= NAME_LIMIT).last().unwrap_or(0);
    let query = if query.len() <= NAME_LIMIT { query } else { &query[..end] };
    let text = Text { v: VERSION, query: query.to_owned(), writer: writer.to_owned() };
    serde_json::to_string(&text).unwrap_or_default()
}

/// Who wrote it; `None` if it is not of ours, as after somebody set the offset by hand.
pub(super) fn writer(text: &str) -> Option<String> {
    serde_json::from_str(text).ok().map(|text: Text| text.writer)
}

/// The offset that says that `newest` is there.
pub(super) fn offset(newest: Option<Epoch>) -> i64 {
    newest.map_or(0, |epoch| i64::try_from(epoch.0).unwrap_or(i64::MAX - 1).saturating_add(1))
}

/// What an offset says.
pub(super) fn epoch(offset: i64) -> Option<Epoch> {
    u64::try_from(offset).ok()?.checked_sub(1).map(Epoch)
}

/// What the checkpoint knows of epochs, as the engine tells it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resumed {
    pub written: Option<Epoch>,
    pub tried: Option<Epoch>,
    /// The checkpoint is believed where the group knows nothing.
    pub believed: bool,
}

/// The newest epoch that is in the sink.
///
/// # Errors
/// `SINK_BEHIND` if nobody knows: the group has no offset, and the checkpoint has epochs.
pub(super) fn newest(held: Option<i64>, resumed: Resumed, group: &str) -> Result<Option<Epoch>> {
    if let Some(offset) = held {
        return Ok(epoch(offset));
    }
    let Some(known) = resumed.tried.max(resumed.written) else { return Ok(None) };
    if resumed.believed {
        tracing::warn!(group, epoch = %known, "the group holds no offset; the checkpoint is believed");
        return Ok(resumed.written);
    }
    let message = format!(
        "the checkpoint has epoch {known}, but the group `{group}` holds no offset that says which was the last"
    );
    Err(Error::new(&codes::SINK_BEHIND, message).with_hint(unknown(group)))
}

/// How to mend it where the sink is known to be behind: for the engine's own comparison.
pub(super) fn remedy(prefix: &str) -> String {
    unknown(&format!("{prefix}-<query id>"))
}

fn unknown(group: &str) -> String {
    format!(
        "The offset of the group `{group}` is the newest epoch + 1. It is gone or too small if the group expired \
         (`offsets.retention.minutes`, 7 days without a run), if the group or its topic was deleted or set back, or on another \
         cluster. If the topic has the rows of all epochs, `failOnUnknownEpoch: false` goes on by the checkpoint where there is no \
         offset (or set it with `kafka-consumer-groups.sh --reset-offsets`); if the run before died in an epoch, that one may come \
         twice. If the rows are gone, give the query a new `checkpointLocation`: it begins where the source's starting options say."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_found_again_and_names_its_writer() {
        for newest in [None, Some(Epoch(0)), Some(Epoch(41))] {
            assert_eq!(epoch(offset(newest)), newest);
        }
        assert_eq!(writer(&text("lake", "w-1")).as_deref(), Some("w-1"));
        assert_eq!(writer(""), None);
        assert_eq!(writer("reset by hand"), None);
        let long = text(&"é".repeat(5_000), "w-1");
        assert!(long.len() < 1_000 && writer(&long).is_some());
    }

    #[test]
    fn a_group_that_knows_nothing_is_never_guessed_about() {
        let resumed = |written: Option<u64>, tried: Option<u64>, believed| Resumed {
            written: written.map(Epoch),
            tried: tried.map(Epoch),
            believed,
        };
        let newest = |held, resumed| newest(held, resumed, "g");
        assert_eq!(newest(None, resumed(None, None, false)).unwrap(), None, "a new query");
        assert_eq!(newest(Some(0), resumed(None, Some(0), false)).unwrap(), None, "begun, nothing committed");
        assert_eq!(newest(Some(8), resumed(Some(6), Some(7), false)).unwrap(), Some(Epoch(7)));
        for lost in
            [resumed(Some(3), Some(3), false), resumed(None, Some(0), false), resumed(Some(3), None, false)]
        {
            let error = newest(None, lost).unwrap_err();
            assert_eq!(error.code(), &codes::SINK_BEHIND);
            assert!(error.hint().contains("failOnUnknownEpoch") && !error.is_retryable());
        }
        assert_eq!(newest(None, resumed(Some(3), Some(4), true)).unwrap(), Some(Epoch(3)));
    }
}
