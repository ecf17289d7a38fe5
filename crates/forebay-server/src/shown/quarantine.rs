//! The records that could not be decoded, of all queries of a pipeline together.
//!
//! The calls read files: the server makes them on threads that may wait.

use forebay_core::Result;
use forebay_core::checkpoint::RecordId;

/// The quarantine of a pipeline.
pub trait Quarantine: Send + Sync {
    /// Open records, newest first, after the one at this place, at most `limit`; and how many there are in all.
    fn list(&self, which: &Filter, after: Option<&Place>, limit: usize) -> Result<(Counted, Vec<Record>)>;

    /// How many there are.
    fn count(&self, which: &Filter) -> Result<Counted>;

    /// Asks the queries to decode these records again, or takes them out; gives how many that are.
    /// `QUARANTINE_NOT_FOUND` if one is named that is not open: then nothing is changed. Rows that a sink refused cannot be
    /// decoded again: they are left out of a replay of all, and `WRONG_USE` if they are named or nothing else is there.
    fn change(&self, which: &Chosen, change: Change) -> Result<u64>;
}

/// Which records.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those that this query could not decode.
    pub query: Option<String>,
    /// Only those with this code, such as `json.syntax`.
    pub code: Option<String>,
}

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Open records that the filter lets through.
    pub open: u64,
    /// Bytes that the quarantine's files hold, whatever the filter.
    pub bytes: u64,
    /// Of those that are open, the rows that sinks refused, by query.
    pub refused: Vec<RefusedRows>,
}

/// Rows of a query that its sink refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRows {
    /// The query.
    pub query: String,
    /// How many of them are open.
    pub rows: u64,
    /// When the newest was set aside, milliseconds since 1970.
    pub newest_ms: i64,
}

/// Records to be changed.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// These.
    Named(Vec<RecordId>),
    /// All that are open and that the filter lets through.
    All(Filter),
}

/// What to do with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The queries decode them again, with their next epochs.
    Replay,
    /// They are taken out.
    Drop,
}

/// Where a record stands in the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was set aside, milliseconds since 1970.
    pub at: i64,
    /// Which it is.
    pub id: RecordId,
    /// Tells records of one name apart: a topic that was made anew uses its offsets again.
    pub mark: u64,
}

/// One record with every query that could not decode it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it stands in the list.
    pub place: Place,
    /// The queries that set it aside, by name.
    pub queries: Vec<String>,
    /// The sources by which they read it, by name, as far as that is known.
    pub sources: Vec<String>,
    /// The sink that refused it, if it is a row and no record: then it cannot be replayed.
    pub refused_by: Option<String>,
    /// Why: a stable code such as `json.syntax`.
    pub code: String,
    /// The JSON path of the field, `$` for the whole record.
    pub path: String,
    /// What was expected and what was found.
    pub why: String,
    /// The record's own key; `None` if it has none.
    pub key: Option<Vec<u8>>,
    /// The raw value; `None` for a tombstone.
    pub raw: Option<Vec<u8>>,
}
