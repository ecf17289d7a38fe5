//! The tables at rest of a query, between its epochs: read at the start, looked at before each plan.

use std::collections::BTreeMap;
use std::ops::ControlFlow::Break;

use forebay_core::checkpoint::Recovery;
use forebay_core::{Epoch, Result};

use super::Runner;
use super::pace::Backoff;

impl Runner {
    /// Reads the tables that the first epoch is joined with: one that is repeated, those of its plan. False if a stop came.
    pub(super) async fn read_tables(&mut self, recovery: &Recovery, in_sink: Option<Epoch>) -> Result<bool> {
        let exact = match recovery {
            // What the sink has is not computed again.
            Recovery::Replay { plan, .. } if in_sink != Some(plan.epoch) => plan.tables.clone(),
            _ => BTreeMap::new(),
        };
        let mut backoff = Backoff::default();
        loop {
            let tried = self.tables.read(&exact).await;
            if let Break(end) = self.settle(&mut backoff, tried).await? {
                self.tell_tables();
                return Ok(end.is_some());
            }
        }
    }

    /// Takes a new version of a table that has been read, and begins to read what is newer.
    pub(super) async fn look_at_tables(&mut self) -> Result<()> {
        self.tables.look(self.clock.now_ms()).await?;
        self.tell_tables();
        Ok(())
    }

    fn tell_tables(&mut self) {
        if let Some(tables) = self.tables.news() {
            self.status.send_modify(|status| status.tables = tables.into());
        }
    }
}
