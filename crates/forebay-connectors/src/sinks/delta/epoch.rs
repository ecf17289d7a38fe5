//! The end of an epoch: its one commit, with what it takes out of the table, or the removal of its files.
//!
//! What must stay true: files are removed only when it is certain that no version names them. While a commit runs,
//! or after one whose outcome is not known, they stay; better some bytes too many than a row too few.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use forebay_core::error::codes;
use forebay_core::sink::EpochId;
use forebay_core::{Error, OutputMode, Result};

use super::action::{Action, CommitInfo, Txn};
use super::commit::{KillPoints, Linking, Verdict, commit};
use super::config::Config;
use super::file::Finished;
use super::fit::{Fit, Outcome};
use super::keys::EpochKeys;
use super::table::{Change, Head, Table};
use super::upsert::{Replaced, Upsert};
use super::writer::EpochShape;
use super::{DeltaSink, fault, open};

const KILL_POINTS: KillPoints =
    KillPoints { before: Some("sink.delta.commit.before"), after: Some("sink.delta.commit.after") };

/// The epoch that is being written.
pub(super) struct Current {
    pub shape: Arc<EpochShape>,
    pub linking: Arc<Linking>,
    /// A commit is running, or ran and was not waited for.
    pub busy: Arc<AtomicBool>,
}

impl DeltaSink {
    /// Commits the files on a blocking thread, and takes out of the table what the mode says: the files that were
    /// rewritten for that, or `None` if the epoch was there and no version was written.
    pub(super) async fn publish(
        &mut self,
        id: &EpochId,
        files: Vec<Finished>,
        keys: EpochKeys,
    ) -> Result<Option<Vec<Finished>>> {
        let epoch = epoch_version(id)?;
        let Some(Current { shape, linking, busy }) = &self.current else {
            return Err(Error::new(&codes::INTERNAL, "a commit without an epoch"));
        };
        let (linking, busy) = (linking.clone(), busy.clone());
        let mode = self.config.output.mode;
        let mut upsert = Upsert::new(mode, shape.clone(), keys);
        let table = self.table.clone();
        let (config, opened) = (self.config.clone(), self.opened()?);
        let (input, fit, known) =
            (opened.input.clone(), opened.fit.clone(), opened.txns.get(&id.query_id).copied());
        let (mut head, id, query_id) = (opened.head.clone(), id.clone(), id.query_id.clone());
        // If this fails they are read anew.
        let mut live = opened.live.take();
        busy.store(true, Ordering::SeqCst);
        let run = move || {
            let (mut all, mut replaced, mut wrote) = (Change::default(), Vec::new(), Vec::new());
            let done = commit(&table, &mut head, KILL_POINTS, &linking, &mut |head, change| {
                if change.table {
                    still_fits(&config, &input, head, &fit)?;
                }
                all.join(change.clone());
                let ours = all.txns.iter().filter(|txn| txn.app_id == id.query_id).map(|txn| txn.version);
                if ours.chain(known).max() >= Some(epoch) {
                    return Ok(Verdict::Stop);
                }
                if let Some(live) = &mut live {
                    live.apply(&change.files);
                    replaced = upsert.replaced(live, &head.metadata)?;
                }
                let actions = epoch_actions(&id, epoch, mode, &files, &replaced, table.clock.now_ms());
                if mode != OutputMode::Append {
                    wrote = actions.clone();
                }
                Ok(Verdict::Write(actions))
            });
            busy.store(linking.may_have_happened(), Ordering::SeqCst);
            if !done? {
                return Ok((None, head, all, None));
            }
            if let Some(live) = &mut live {
                live.wrote(&wrote);
            }
            remove(&table, upsert.unused(&replaced));
            let rest = replaced.into_iter().filter_map(|replaced| replaced.rest).collect();
            Ok((Some(rest), head, all, live))
        };
        let (rewritten, head, mut change, live) =
            tokio::task::spawn_blocking(run).await.map_err(fault::task)??;
        // Columns were compared above: the fit stays, the rest of the table's facts may be new.
        change.table = false;
        let upkeep = self.config.upkeep(&head.metadata);
        self.note(&change)?;
        let opened = self.opened()?;
        if rewritten.is_some() {
            opened.txns.insert(query_id, epoch);
        }
        (opened.head, opened.upkeep, opened.live) = (head, upkeep, live);
        Ok(rewritten)
    }

    /// Removes the files of an epoch that did not become part of the table.
    pub(super) async fn discard(&self, current: Current) -> Result<()> {
        let table = self.table.clone();
        let names = std::mem::take(&mut *current.shape.created.lock());
        tokio::task::spawn_blocking(move || remove(&table, names)).await.map_err(fault::task)
    }
}

/// Delta's txn versions are signed.
pub(super) fn epoch_version(id: &EpochId) -> Result<i64> {
    i64::try_from(id.epoch.0)
        .map_err(|e| Error::new(&codes::INTERNAL, "an epoch beyond all bounds").caused_by(e))
}

/// After a foreign change of the table between `begin` and `commit`: files written under the old fit may only go in
/// if the new one is the same. Otherwise the epoch is tried again, and then told what no longer fits.
fn still_fits(config: &Config, input: &SchemaRef, head: &Head, fit: &Fit) -> Result<()> {
    match open::try_fit(config, input, head)? {
        Outcome::Fits(now) if now == *fit => Ok(()),
        _ => Err(Error::new(&codes::SINK_CONFLICT, "another writer changed the table's columns meanwhile")),
    }
}

/// Removes files that no version names. Blocks.
fn remove(table: &Table, names: Vec<String>) {
    for name in names {
        if let Err(error) = table.store.remove_if_there(&name) {
            tracing::warn!(file = name, %error, "a file that no version has stays behind");
        }
    }
}

/// The lines of an epoch's commit, with Spark's names for what it is.
fn epoch_actions(
    id: &EpochId,
    epoch: i64,
    mode: OutputMode,
    files: &[Finished],
    replaced: &[Replaced],
    now_ms: i64,
) -> Vec<Action> {
    let rest = || replaced.iter().filter_map(|replaced| replaced.rest.as_ref());
    let added = || files.iter().chain(rest());
    let sparks_name = match mode {
        OutputMode::Append => "Append",
        OutputMode::Update => "Update",
        OutputMode::Complete => "Complete",
    };
    let mut info = CommitInfo::new(now_ms, "STREAMING UPDATE", mode == OutputMode::Append)
        .parameter("outputMode", sparks_name)
        .parameter("queryId", &id.query_id)
        .parameter("queryName", &id.query_name)
        .parameter("epochId", epoch)
        .metric("numAddedFiles", added().count())
        .metric("numRemovedFiles", replaced.len())
        .metric("numOutputRows", files.iter().map(|file| file.rows).sum::<u64>())
        .metric("numOutputBytes", added().map(|file| file.size).sum::<u64>());
    if mode == OutputMode::Update {
        info = info.metric("numTargetRowsCopied", rest().map(|file| file.rows).sum::<u64>());
    }
    let txn = Txn { app_id: id.query_id.clone(), version: epoch, last_updated: Some(now_ms) };
    let mut actions = vec![Action::CommitInfo(info), Action::Txn(txn)];
    actions.extend(replaced.iter().map(|replaced| Action::Remove(replaced.old.remove(now_ms))));
    actions.extend(added().map(|file| Action::Add(file.add(now_ms, true))));
    actions
}
