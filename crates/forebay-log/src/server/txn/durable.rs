//! The form of a transactional producer in the group store.
//!
//! It lies beside the committed offsets on purpose: one batch of that file is written whole or not at all, so the
//! decision to commit and the offsets that come with it are durable together. A key is `{"transaction":"id"}`, where
//! an offset's is an array; a value is a JSON object: readable with any tool, and a field can be added.

use super::state::{Phase, Transaction};
use crate::server::group::{Committed, Name, OffsetKey};
use crate::storage::GroupStore;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    transaction: String,
}

#[derive(Serialize, Deserialize)]
struct Value {
    producer_id: i64,
    epoch: i16,
    timeout_ms: i32,
    phase: Phase,
    began: i64,
    touched: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    partitions: Vec<(String, i32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    /// Group, topic, partition, offset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    offsets: Vec<(String, String, i32, Committed)>,
}

/// True for the keys of this module.
pub(crate) fn is_key(key: &[u8]) -> bool {
    serde_json::from_slice::<Key>(key).is_ok()
}

pub(super) fn key(id: &str) -> Vec<u8> {
    // Text: there is nothing in it that JSON could refuse.
    serde_json::to_vec(&Key { transaction: id.to_owned() }).unwrap_or_default()
}

pub(super) fn value(transaction: &Transaction) -> Vec<u8> {
    let offset = |((group, key), offset): (&(Name, OffsetKey), &Committed)| {
        (group.to_string(), key.topic.to_string(), key.partition, offset.clone())
    };
    let value = Value {
        producer_id: transaction.producer_id,
        epoch: transaction.epoch,
        timeout_ms: transaction.timeout_ms,
        phase: transaction.phase,
        began: transaction.began,
        touched: transaction.touched,
        partitions: transaction.partitions.iter().map(|(topic, it)| (topic.to_string(), *it)).collect(),
        groups: transaction.groups.iter().map(ToString::to_string).collect(),
        offsets: transaction.offsets.iter().map(offset).collect(),
    };
    serde_json::to_vec(&value).unwrap_or_default()
}

fn parse(value: &[u8]) -> Result<Transaction, serde_json::Error> {
    let value: Value = serde_json::from_slice(value)?;
    let offset = |(group, topic, partition, offset): (String, String, i32, Committed)| {
        ((group.into(), OffsetKey { topic: topic.into(), partition }), offset)
    };
    Ok(Transaction {
        producer_id: value.producer_id,
        epoch: value.epoch,
        timeout_ms: value.timeout_ms,
        phase: value.phase,
        began: value.began,
        touched: value.touched,
        partitions: value.partitions.into_iter().map(|(topic, it)| (topic.into(), it)).collect(),
        groups: value.groups.into_iter().map(Into::into).collect(),
        offsets: value.offsets.into_iter().map(offset).collect(),
    })
}

/// Reads all of them. What cannot be read was not written by us: it is left alone and reported.
pub(super) fn load(store: &GroupStore) -> HashMap<Name, Transaction> {
    let mut found = HashMap::new();
    for (key, value) in store.load_all() {
        let Ok(Key { transaction: id }) = serde_json::from_slice(&key) else { continue };
        match parse(&value) {
            Ok(transaction) => drop(found.insert(id.into(), transaction)),
            Err(error) => tracing::warn!(id, %error, "ignored a transactional producer of the group store"),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_comes_back() {
        let mut transaction = Transaction::new(7, 60_000, 5);
        transaction.phase = Phase::Committing;
        transaction.partitions = [("a".into(), 1), ("b".into(), 0)].into();
        transaction.groups = ["g\"".into()].into();
        let committed = Committed { offset: 3, leader_epoch: 1, metadata: Some("n".into()), committed_at: 9 };
        let key = OffsetKey { topic: "in".into(), partition: 2 };
        transaction.offsets = [(("g\"".into(), key), committed)].into();
        assert_eq!(parse(&value(&transaction)).unwrap(), transaction);
        assert!(is_key(&super::key("a\"\n")) && !is_key(br#"["group","topic",3]"#));
    }
}
