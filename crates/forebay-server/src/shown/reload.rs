//! What becomes of the pipeline's file when it is read again while the pipeline runs.

use forebay_core::Error;

/// The file was taken: what became of each query and alert.
#[derive(Clone, Debug, Default)]
pub struct Reloaded {
    /// In the order of the file; those that are gone come last. Alerts' queries are named `alerts/NAME`.
    pub queries: Vec<Turned>,
    /// True if the file says something else of the page now.
    pub dashboard: bool,
}

/// What became of one query.
#[derive(Clone, Debug)]
pub struct Turned {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub fate: Fate,
    /// What the file says otherwise of it, in words such as `sql` and `trigger`.
    pub changes: Vec<String>,
    /// What it failed with when it was started; also in its status.
    pub error: Option<Error>,
}

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs on and was not interrupted.
    Unchanged,
    /// It ended after the epoch it was in and goes on by the new file, from its checkpoint.
    Changed,
    /// It is new.
    New,
    /// It was in the file before, was taken out and is back: it goes on where its checkpoint ends.
    Returned,
    /// It ended after the epoch it was in.
    Removed,
}

impl Fate {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Unchanged, Self::Changed, Self::New, Self::Returned, Self::Removed];

    /// The word in REST.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::New => "new",
            Self::Returned => "returned",
            Self::Removed => "removed",
        }
    }
}

/// The file was not taken: the pipeline goes on as it was.
#[derive(Clone, Debug)]
pub struct NotReloaded {
    /// Why, in one sentence.
    pub error: Error,
    /// Each thing that is wrong; the place of one in the file reads `FILE:LINE:COLUMN`.
    pub problems: Vec<Error>,
}

/// The newest reading of the file, which was refused: the pipeline runs by an older one.
#[derive(Clone, Debug)]
pub struct RefusedFile {
    /// Who had it read, as people say it.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Why, in one sentence.
    pub why: String,
    /// The first thing that is wrong.
    pub first: Error,
}

impl From<Error> for NotReloaded {
    fn from(error: Error) -> Self {
        Self { error, problems: Vec::new() }
    }
}
