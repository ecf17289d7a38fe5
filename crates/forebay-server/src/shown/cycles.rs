//! The queries that collect files for a time and archive them, and their archives.
//!
//! The calls read files: the server makes them on threads that may wait.

use std::fs::File;

use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// The cycles of a pipeline.
pub trait Cycles: Send + Sync {
    /// Each query that cycles, in the order of the file, with its newest archives, at most so many of each.
    fn list(&self, archives: usize) -> Result<Vec<Cycle>>;

    /// An archive, to be read. Only what the query's own journal names can be had: by that name, or by the file's own.
    /// `NO_RESOURCE` for a query that does not cycle, a name that is none, and a file that is gone or altered.
    fn open(&self, query: &str, archive: &str) -> Result<Opened>;
}

/// How a query cycles, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The query.
    pub query: String,
    /// How long a cycle collects, milliseconds.
    pub every_ms: u64,
    /// How many cycles; `None` for ever.
    pub repeat: Option<u64>,
    /// What archives are called, as the file says it.
    pub template: String,
    /// What is done now.
    pub stage: Stage,
    /// The number of the cycle that this is, from 1; `None` before the first.
    pub number: Option<u64>,
    /// Since when it collects, milliseconds since 1970; `None` while it does not.
    pub since_ms: Option<i64>,
    /// All archives, and the rows and bytes in them.
    pub count: u64,
    /// See `count`.
    pub rows: u64,
    /// See `count`.
    pub bytes: u64,
    /// The newest archives, newest first.
    pub archives: Vec<Archive>,
}

/// What a cycle does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The query has not begun one.
    Waiting,
    /// The query runs.
    Collecting,
    /// Its files become one.
    Merging,
    /// That gets its name.
    Archiving,
    /// The files go.
    Cleaning,
    /// All cycles that were asked for are over.
    Done,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Collecting, Self::Merging, Self::Archiving, Self::Cleaning, Self::Done];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Collecting => "collecting",
            Self::Merging => "merging",
            Self::Archiving => "archiving",
            Self::Cleaning => "cleaning",
            Self::Done => "done",
        }
    }
}

/// An archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The number of its cycle, from 1.
    pub cycle: u64,
    /// Its path as the journal names it.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// When its cycle ended, milliseconds since 1970.
    pub at_ms: i64,
}

/// An archive that is open for reading.
#[derive(Debug)]
pub struct Opened {
    /// Its content.
    pub file: File,
    /// Its own name, without folders.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// The refusal where a query does not cycle, or is none.
pub fn no_cycles(query: &str) -> Error {
    let message = format!("no query `{query}` archives what it collects");
    Error::new(&codes::NO_RESOURCE, message).with_hint("GET /api/v1/cycles lists those that do.")
}
