//! What the sink knows of the table between epochs, and how that stays true while others write.
//!
//! The head moves along the log; the newest `txn` of the query is looked up once by delta-rs (which knows the log's
//! past) and then kept by watching what comes by. The same look at the past tells housekeeping what earlier runs
//! left to do. What must stay true: no commit is stepped over without its `txn`s being noted, and the fit belongs to
//! the head.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use deltalake_core::DeltaTable;
use forebay_core::error::codes;
use forebay_core::{Error, OutputMode, Result};

use super::config::Upkeep;
use super::fit::Fit;
use super::live::Live;
use super::table::{Change, Head, last_txn};
use super::{DeltaSink, fault, file_stem, open, overlap, tidy};

/// The table as this sink knows it.
pub(super) struct Opened {
    pub input: SchemaRef,
    pub head: Head,
    pub fit: Fit,
    pub upkeep: Upkeep,
    /// Kept until the first epoch tells which query to look for.
    pub loaded: Option<DeltaTable>,
    /// The query whose past was looked up.
    pub asked: Option<String>,
    /// The newest `txn` of each application that was looked up or came by.
    pub txns: BTreeMap<String, i64>,
    /// The table's files at the head, where a mode takes files out; `None` also if they must be read anew.
    pub live: Option<Live>,
}

impl DeltaSink {
    /// Keeps the newest `txn` of each application, and has housekeeping look at what others took out.
    pub(super) fn note(&mut self, change: &Change) -> Result<()> {
        self.tidier.suspect(change.removals.iter().copied());
        let opened = self.opened()?;
        for txn in &change.txns {
            let known = opened.txns.entry(txn.app_id.clone()).or_insert(txn.version);
            *known = (*known).max(txn.version);
        }
        if let Some(live) = &mut opened.live {
            live.apply(&change.files);
        }
        Ok(())
    }

    /// Brings the head up to date and answers with the newest epoch of this query in the table.
    pub(super) async fn catch_up(&mut self, query_id: &str) -> Result<Option<i64>> {
        let table = self.table.clone();
        let mut head = self.opened()?.head.clone();
        let follow = move || table.follow(&mut head).map(|change| (head, change));
        let (head, change) = tokio::task::spawn_blocking(follow).await.map_err(fault::task)??;
        let replaces = self.config.output.mode != OutputMode::Append;
        let is_lost = replaces && self.opened()?.live.is_none();
        if change.reloaded || is_lost || self.opened()?.asked.as_ref().is_some_and(|asked| asked != query_id)
        {
            self.reload().await?;
        } else {
            self.moved(head, &change).await?;
        }
        if let Some(loaded) = self.opened()?.loaded.take() {
            self.ask(loaded, query_id).await?;
        }
        Ok(self.opened()?.txns.get(query_id).copied())
    }

    /// Asks a table that was just loaded about this query's past.
    async fn ask(&mut self, loaded: DeltaTable, query_id: &str) -> Result<()> {
        let table = self.table.clone();
        let opened = self.opened()?;
        if let Some(version) = last_txn(&loaded, &table.root, query_id).await? {
            let known = opened.txns.entry(query_id.to_owned()).or_insert(version);
            *known = (*known).max(version);
        }
        opened.asked = Some(query_id.to_owned());
        let (stem, upkeep) = (file_stem(query_id), opened.upkeep);
        let look = move || tidy::Left::by_earlier_runs(&loaded, &table, &stem, &upkeep);
        let left = tokio::task::spawn_blocking(look).await.map_err(fault::task)??;
        self.tidier.start(&left, self.table.clock.now_ms());
        Ok(())
    }

    /// Takes over a newer head; fits the query again if the table is not what it was.
    async fn moved(&mut self, head: Head, change: &Change) -> Result<()> {
        self.note(change)?;
        let opened = self.opened()?;
        if !change.table {
            opened.head = head;
            return Ok(());
        }
        let input = opened.input.clone();
        let same_table = opened.head.metadata.id == head.metadata.id;
        let (head, fit, since) = open::fit(&self.table, &self.config, &input, head).await?;
        if !same_table {
            tracing::warn!(table = %self.table.root.display(), "the table was replaced by another writer");
        }
        let upkeep = self.config.upkeep(&head.metadata);
        self.note(&since)?;
        let opened = self.opened()?;
        (opened.head, opened.fit, opened.upkeep) = (head, fit, upkeep);
        Ok(())
    }

    /// Loads the table anew: its log went on so far that the commits between are gone.
    async fn reload(&mut self) -> Result<()> {
        let opened = self.opened()?;
        let (id, input) = (opened.head.metadata.id.clone(), opened.input.clone());
        let followed = opened.head.version;
        let Some((loaded, head)) = self.table.load().await? else {
            return Err(Error::new(&codes::SINK_SCHEMA, "the Delta table is gone")
                .at(self.table.root.display())
                .with_hint("Restore the table, or start the query with a new checkpoint."));
        };
        if head.metadata.id != id {
            return Err(Error::new(&codes::SINK_SCHEMA, "another table stands where the query's table was")
                .at(self.table.root.display())
                .with_hint("Restore the table, or start the query with a new checkpoint."));
        }
        let (head, fit, since) = open::fit(&self.table, &self.config, &input, head).await?;
        // A checkpoint may have passed what was not followed.
        self.tidier.suspect(overlap::unseen(Some(followed), head.version));
        self.know(input, open::Ready { head, fit, loaded, since }).await
    }

    /// Starts from a table that was just loaded.
    pub(super) async fn know(&mut self, input: SchemaRef, ready: open::Ready) -> Result<()> {
        let open::Ready { head, fit, loaded, since } = ready;
        let upkeep = self.config.upkeep(&head.metadata);
        let last_checkpoint = self.table.ask(|table| table.last_checkpoint()).await?;
        self.tidier.suspect(overlap::unseen(last_checkpoint, head.version));
        let replaces = self.config.output.mode != OutputMode::Append;
        let live = replaces.then(|| Live::of(&loaded, &self.table)).transpose()?;
        let (loaded, txns) = (Some(loaded), BTreeMap::new());
        self.opened = Some(Opened { input, head, fit, upkeep, loaded, asked: None, txns, live });
        self.note(&since)
    }
}
