//! The tables of a plan that runs beside the queries, without epochs: whoever follows a view.
//!
//! Nothing is repeated there, so no version is written down: rows are joined with the newest that could be read. What must stay true: the
//! first rows wait for the tables; later a version that cannot be read never takes the place of one that could.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_core::Result;
use forebay_core::table::StaticTable;

use super::Held;
use super::versions::Tables;
use crate::plan::StreamPlan;

/// How often it is looked for another version: who looks at a page sees no sooner.
const LOOK: Duration = Duration::from_secs(1);

/// The newest versions of the tables that a plan reads.
pub struct Newest {
    tables: Tables,
    /// When it was last looked; `None` before they were read.
    looked: Option<Instant>,
}

impl Newest {
    /// Of those tables that there are; `name` is told with what is wrong with them. Fails if one is missing.
    pub fn new(plan: &StreamPlan, all: &[Arc<dyn StaticTable>], name: &str) -> Result<Self> {
        Ok(Self { tables: Tables::new(plan, all)?.of(name), looked: None })
    }

    /// What rows are joined with from now on. Fails while the tables were never read; `now_ms` is the time, for people.
    pub async fn look(&mut self, now_ms: i64) -> Result<Arc<Held>> {
        match self.looked {
            None => self.tables.read(&BTreeMap::new()).await?,
            Some(looked) if looked.elapsed() < LOOK => return Ok(self.tables.held()),
            Some(_) => self.tables.look(now_ms).await?,
        }
        self.looked = Some(Instant::now());
        Ok(self.tables.held())
    }
}
