//! Committed offsets: their form in the store, and the one writer that makes them durable.
//!
//! The writer takes everything that has gathered while the last fsync ran and writes it as one batch: many consumers
//! that commit each second cost one fsync, not one each. An offset is shown to readers only once it is durable, in
//! the order of the queue.
//!
//! What the transaction coordinator remembers goes the same way: a commit and its offsets are one batch. In the store
//! an offset's key is `["group","topic",partition]` and a value a JSON object: readable with any tool, and a field
//! can be added.

use super::{Entry, Name};
use crate::LogError;
use crate::quiet::{About, Quiet};
use crate::server::shape::{Shape, measure};
use crate::server::txn::is_key;
use crate::storage::GroupStore;
use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Writes that share one fsync at most.
const MAX_MERGED_WRITES: usize = 1_000;

/// A partition, as offsets are committed for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OffsetKey {
    pub(crate) topic: Name,
    pub(crate) partition: i32,
}

/// An offset that a group committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    /// The record to be read next.
    pub(crate) offset: i64,
    /// The leader epoch that the client saw; -1 is none.
    pub(crate) leader_epoch: i32,
    /// The client's own note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<String>,
    /// When it was committed, milliseconds since 1970.
    pub(crate) committed_at: i64,
}

/// Offsets of groups to be set, or with `None` removed, and what else is to be durable with them.
#[derive(Debug)]
pub(crate) struct OffsetWrite {
    pub(super) entries: Vec<(Name, OffsetKey, Option<Committed>)>,
    /// What the transaction coordinator remembers.
    pub(super) transaction: Option<Entry>,
    pub(super) done: oneshot::Sender<Result<(), LogError>>,
}

/// The reading end of the queue of writes.
#[derive(Debug)]
pub(crate) struct OffsetWriter {
    pub(super) queue: mpsc::UnboundedReceiver<OffsetWrite>,
    pub(super) store: GroupStore,
}

impl OffsetWriter {
    /// Writes until `stop`, and then what is left. `show` sees what became durable before its senders hear of it.
    pub(super) async fn run(
        mut self,
        stop: &CancellationToken,
        quiet: &Quiet,
        show: impl Fn(&[OffsetWrite]),
    ) {
        let mut writes = Vec::new();
        loop {
            let received = tokio::select! {
                biased;
                received = self.queue.recv_many(&mut writes, MAX_MERGED_WRITES) => received,
                () = stop.cancelled() => {
                    self.queue.close();
                    self.queue.recv_many(&mut writes, MAX_MERGED_WRITES).await
                }
            };
            if received == 0 {
                return;
            }
            let gathered = std::mem::take(&mut writes);
            let result = self.write(&gathered).await;
            let is_too_much =
                matches!(result, Err(LogError::BatchTooLarge { .. } | LogError::LimitReached { .. }));
            if gathered.len() == 1 || !is_too_much {
                settle(gathered, &result, quiet, &show);
                continue;
            }
            // One that is too large must not fail those that came with it.
            for write in gathered {
                let result = self.write(std::slice::from_ref(&write)).await;
                settle(vec![write], &result, quiet, &show);
            }
        }
    }

    async fn write(&self, writes: &[OffsetWrite]) -> Result<(), LogError> {
        let entries = writes.iter().flat_map(|write| {
            let offsets = write.entries.iter();
            let offsets = offsets.map(|(group, key, committed)| {
                (encode_key(group, key), committed.as_ref().map(encode_value))
            });
            offsets.chain(write.transaction.clone())
        });
        let entries: Vec<_> = entries.collect();
        if entries.is_empty() {
            return Ok(());
        }
        let store = self.store.clone();
        let written = tokio::task::spawn_blocking(move || store.put_batch(&entries)).await;
        written.unwrap_or(Err(LogError::Closed))
    }
}

/// Shows what became durable, and answers those who wait for it.
fn settle(
    writes: Vec<OffsetWrite>,
    result: &Result<(), LogError>,
    quiet: &Quiet,
    show: impl Fn(&[OffsetWrite]),
) {
    match result {
        Ok(()) => show(&writes),
        Err(error) => {
            if let Some(untold) = quiet.may_tell(About::Failures) {
                tracing::error!(%error, untold, "committed offsets could not be written");
            }
        }
    }
    for write in writes {
        // Who closed its connection does not listen any more.
        let _ = write.done.send(result.clone());
    }
}

/// Reads all offsets. What cannot be read was not written by us: it is left alone and reported.
pub(super) fn load(store: &GroupStore) -> HashMap<Name, BTreeMap<OffsetKey, Committed>> {
    let mut groups: HashMap<Name, BTreeMap<OffsetKey, Committed>> = HashMap::new();
    for (key, value) in store.load_all() {
        if is_key(&key) {
            continue;
        }
        let key_parts: Result<(String, String, i32), _> = serde_json::from_slice(&key);
        match (key_parts, serde_json::from_slice::<Committed>(&value)) {
            (Ok((group, topic, partition)), Ok(committed)) => {
                let key = OffsetKey { topic: topic.into(), partition };
                groups.entry(group.into()).or_default().insert(key, committed);
            }
            _ => tracing::warn!(key = %String::from_utf8_lossy(&key), "ignored an entry of the group store"),
        }
    }
    groups
}

fn encode_key(group: &str, key: &OffsetKey) -> Vec<u8> {
    serde_json::json!([group, key.topic.as_ref(), key.partition]).to_string().into_bytes()
}

fn encode_value(committed: &Committed) -> Vec<u8> {
    // Numbers and text: there is nothing in it that JSON could refuse.
    serde_json::to_vec(committed).unwrap_or_default()
}

/// Those of some topics that a consumer subscribed to, by the metadata it joined with; none if it is not understood.
pub(super) fn subscribed(metadata: &Bytes, of: &HashSet<&str>) -> HashSet<Name> {
    const HEAD: &[Shape] = &[Shape::Fixed(2), Shape::Array(&[Shape::Text])];
    let mut found = HashSet::new();
    let Ok(_) = measure(HEAD, metadata, 100_000) else { return found };
    let mut rest = metadata.clone();
    rest.advance(2);
    for _ in 0..rest.get_i32().max(0) {
        let len = usize::try_from(rest.get_i16()).unwrap_or(0);
        let topic = rest.split_to(len);
        if let Some(topic) = std::str::from_utf8(&topic).ok().and_then(|topic| of.get(topic)) {
            found.insert(Name::from(*topic));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Clock, Log, LogOptions};
    use forebay_storage::Door;

    #[test]
    fn keys_and_values_come_back() {
        let key = OffsetKey { topic: "a\"b\n".into(), partition: 3 };
        let parts: (String, String, i32) = serde_json::from_slice(&encode_key("g,\"", &key)).unwrap();
        assert_eq!(parts, ("g,\"".to_owned(), "a\"b\n".to_owned(), 3));
        let committed =
            Committed { offset: 7, leader_epoch: -1, metadata: Some("x".into()), committed_at: 1 };
        assert_eq!(serde_json::from_slice::<Committed>(&encode_value(&committed)).unwrap(), committed);
    }

    #[tokio::test]
    async fn a_commit_that_is_too_large_fails_alone() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(LogOptions::new(dir.path()), Door::new()).unwrap();
        let (writes, queue) = mpsc::unbounded_channel();
        let mut answers = Vec::new();
        for size in [1, 17 << 20, 2] {
            let committed =
                Committed { offset: 1, leader_epoch: -1, metadata: Some("x".repeat(size)), committed_at: 1 };
            let key = OffsetKey { topic: "t".into(), partition: 0 };
            let (done, answer) = oneshot::channel();
            let entries = vec![(format!("g{size}").into(), key, Some(committed))];
            writes.send(OffsetWrite { entries, transaction: None, done }).unwrap();
            answers.push(answer);
        }
        drop(writes);
        let writer = OffsetWriter { queue, store: log.group_store() };
        let shown = std::sync::atomic::AtomicUsize::new(0);
        let count = |written: &[OffsetWrite]| {
            shown.fetch_add(written.len(), std::sync::atomic::Ordering::SeqCst);
        };
        writer.run(&CancellationToken::new(), &Quiet::new(Clock::system()), count).await;
        let mut codes = Vec::new();
        for answer in answers {
            codes.push(answer.await.unwrap().is_ok());
        }
        assert_eq!(codes, [true, false, true]);
        assert_eq!((shown.into_inner(), load(&log.group_store()).len()), (2, 2));
    }

    #[test]
    fn subscriptions_are_read_and_garbage_is_none() {
        let metadata = Bytes::from_static(&[0, 1, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 9, 9]);
        let asked = HashSet::from(["bc", "d"]);
        assert_eq!(subscribed(&metadata, &asked), HashSet::from(["bc".into()] as [Name; 1]));
        assert!(subscribed(&Bytes::from_static(&[0, 1, 0x7f, 0xff, 0xff, 0xff]), &asked).is_empty());
    }
}
