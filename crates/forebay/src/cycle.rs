//! The cycles of a query, as the rounds that it runs in: between two of them what it collected becomes an archive.
//!
//! What is decided stands in [`forebay_core::cycle`], the steps on disk in the file sinks, when the query runs in the
//! engine; here the three are put together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forebay_connectors::sinks::files::{Cycles, Cycling};
use forebay_core::clock::Clock;
use forebay_core::config::QueryConfig;
use forebay_core::cycle::Cycle;
use forebay_core::{Positions, Result};
use forebay_engine::plan::StreamPlan;
use forebay_engine::query::{OpenQuery, Rounds};
use forebay_engine::status::QueryStatus;
use forebay_storage::Door;
use tokio::sync::watch;

use crate::fleet::Open;

/// A query that collects and archives.
pub struct Collecting {
    cycles: Cycles,
    /// Opens the query without its cycles.
    open: Open,
}

impl Collecting {
    /// The cycles of this query, whose checkpoint lies in this folder. Touches nothing yet.
    pub fn new(
        (query, cycle): (&QueryConfig, &Cycle),
        plan: &StreamPlan,
        (checkpoint, data): (&Path, &Path),
        (door, clock): (&Door, &Arc<dyn Clock>),
        open: Open,
    ) -> Result<Self> {
        let of = Cycling {
            cycle,
            query: &query.name,
            format: &query.format,
            options: &query.options,
            schema: &plan.output_schema(),
            checkpoint,
            data_dir: data,
            zone: query.time_zone,
        };
        Ok(Self { cycles: Cycles::new(&of, door.clone(), Arc::clone(clock))?, open })
    }
}

impl Rounds for Collecting {
    fn turn(&mut self, reached: Option<&Positions>) -> Result<Option<Duration>> {
        self.cycles.turn(reached)
    }

    fn open(&self, status: watch::Sender<QueryStatus>) -> Result<OpenQuery> {
        (self.open)(status)
    }
}
