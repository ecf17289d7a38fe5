//! What a query tells about itself while it runs: its state, its ledger, its last progress reports.
//!
//! Readers (REST, metrics, health, the dashboard) hold a [`tokio::sync::watch`] receiver; the runner publishes a new
//! value after each step and never waits for anybody.

use std::collections::VecDeque;
use std::sync::Arc;

use forebay_core::event_time::Watermark;
use forebay_core::expectation::{Expected, Spent};
use forebay_core::latency::Latency;
use forebay_core::progress::StreamingQueryProgress;
use forebay_core::{Epoch, Error, Ledger};

use crate::lookup::Standing;
use crate::quality::SharedPast;

/// Progress reports that are kept for REST, as many as Spark keeps (`spark.sql.streaming.numRecentProgressUpdates`).
pub const RECENT: usize = 100;

/// What a query is doing.
#[derive(Clone, Debug)]
pub enum State {
    /// Opening its checkpoint, source and sink.
    Starting,
    /// Nothing to do until there is data (or the trigger's time has come).
    Waiting,
    /// Computing an epoch.
    Running,
    /// The last attempt failed; the next comes by itself.
    Retrying {
        /// Why.
        error: Error,
        /// Since when, milliseconds since 1970.
        since_ms: i64,
        /// How many attempts have failed in a row.
        attempts: u32,
    },
    /// Ended as asked: stopped, or everything available is done.
    Stopped {
        /// Since when, milliseconds since 1970.
        since_ms: i64,
    },
    /// Ended by an error that trying again will not mend.
    Failed {
        /// Why.
        error: Error,
        /// Since when, milliseconds since 1970.
        since_ms: i64,
    },
}

impl State {
    /// One word for metrics and REST.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Retrying { .. } => "retrying",
            Self::Stopped { .. } => "stopped",
            Self::Failed { .. } => "failed",
        }
    }

    /// The error that a person should know of, if any.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Retrying { error, .. } | Self::Failed { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// What a query with state remembers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The watermark of the newest epoch.
    pub watermark: Watermark,
    /// Keys (groups, sessions, rows seen) in all its tables.
    pub keys: u64,
    /// Bytes they take in memory.
    pub bytes: u64,
    /// Most bytes they may take.
    pub limit: u64,
    /// When the first of them is done: the end of the oldest window, in microseconds since 1970.
    pub oldest_us: Option<i64>,
    /// When the last of them is done.
    pub newest_us: Option<i64>,
    /// Bytes of late rows on disk.
    pub late_bytes: u64,
    /// Late rows that had to make room since the start.
    pub late_evicted: u64,
    /// Rows of this run whose event time was too far ahead of the clock to move the watermark.
    pub ahead: u64,
}

/// How many rows of a source failed one of its expectations, in all epochs that were committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// The source.
    pub source: Arc<str>,
    /// The expectation.
    pub expected: Expected,
    /// The rows.
    pub rows: u64,
    /// What it cost in this run.
    pub spent: Spent,
}

/// A query at one moment.
#[derive(Clone, Debug)]
pub struct QueryStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its identity, once its checkpoint is open: the same for its whole life.
    pub id: Option<Arc<str>>,
    /// The identity of this run: new at every start.
    pub run_id: Arc<str>,
    /// What it is doing.
    pub state: State,
    /// The newest committed epoch.
    pub committed: Option<Epoch>,
    /// The balance of all committed epochs.
    pub ledger: Ledger,
    /// The balance of the epochs that this run committed.
    pub run_ledger: Ledger,
    /// How many epochs this run committed.
    pub run_epochs: u64,
    /// Records in the source beyond the last committed position, by the newest end that is known; `None` while none
    /// is: before the first look, and while the source does not answer.
    pub lag: Option<u64>,
    /// How old records were when they were committed, in the last ten seconds with a commit; `None` before the first.
    pub latency: Option<Latency>,
    /// When the trigger lets the next epoch begin, while the query waits for that; milliseconds since 1970.
    pub next_epoch_ms: Option<i64>,
    /// Bytes in its quarantine.
    pub quarantine_bytes: u64,
    /// Quarantined records that had to make room since the start.
    pub quarantine_evicted: u64,
    /// What it remembers; `None` for a query without state.
    pub remembered: Option<Remembered>,
    /// What the rows of its sources are held to, in the order of the file.
    pub expectations: Vec<Failures>,
    /// What they judged, over time.
    pub quality: SharedPast,
    /// The saved models that it judges by.
    pub models: Vec<Drift>,
    /// The tables at rest that it is joined with.
    pub tables: Arc<[Standing]>,
    /// The newest reports, oldest first, at most [`RECENT`].
    pub recent: Arc<VecDeque<Arc<StreamingQueryProgress>>>,
}

/// A saved model that a query judges by.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// What it was trained with, and which version it is.
    pub model: Arc<str>,
    /// How far the scores that it gave of late are from those of its training: the population stability index; `None` before
    /// it has given enough.
    pub index: Option<f64>,
}

impl QueryStatus {
    /// A query that has not done anything yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            id: None,
            run_id: uuid::Uuid::new_v4().to_string().into(),
            state: State::Starting,
            committed: None,
            ledger: Ledger::default(),
            run_ledger: Ledger::default(),
            run_epochs: 0,
            lag: None,
            latency: None,
            next_epoch_ms: None,
            quarantine_bytes: 0,
            quarantine_evicted: 0,
            remembered: None,
            expectations: Vec::new(),
            quality: SharedPast::default(),
            models: Vec::new(),
            tables: Arc::default(),
            recent: Arc::default(),
        }
    }

    /// The newest progress report.
    pub fn last_progress(&self) -> Option<&Arc<StreamingQueryProgress>> {
        self.recent.back()
    }
}
