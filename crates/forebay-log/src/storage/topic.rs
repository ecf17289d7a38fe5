//! A topic: its name, its file of metadata, its partitions.
//!
//! `topic.json` decides whether a topic is: it is written last when one is created and removed first when one is
//! deleted, so a folder without it is what a crash left of either, and is removed at start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::config::Effective;
use super::core::Core;
use super::partition::Partition;
use super::{TopicConfig, is_default, recovery};
use crate::LogError;

/// The version of `topic.json` that this code reads and writes.
const FORMAT: u32 = 1;

/// A topic as it is known outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Differs between two topics that bore the same name one after the other.
    pub id: Uuid,
    /// How many partitions; they are numbered from 0.
    pub partitions: i32,
    /// Its own settings.
    pub config: TopicConfig,
}

/// An open topic. It is never changed, but replaced.
pub(super) struct Topic {
    pub info: TopicInfo,
    pub dir: PathBuf,
    pub partitions: Vec<Arc<Partition>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    format: u32,
    name: String,
    id: Uuid,
    partitions: i32,
    #[serde(default, skip_serializing_if = "is_default")]
    config: TopicConfig,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Kafka's rule for names; it also makes every name a safe folder name.
pub(super) fn check_name(name: &str) -> Result<(), LogError> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let why = match name {
        "" => "it is empty",
        "." | ".." => "it would be a folder of its own meaning",
        _ if name.len() > 249 => "it is longer than 249 characters",
        _ if !name.bytes().all(legal) => "only letters, digits, `.`, `_` and `-` are allowed",
        _ => return Ok(()),
    };
    Err(LogError::InvalidTopicName { name: name.to_owned(), why })
}

impl Topic {
    /// Makes the folders of partitions `from..info.partitions`, opens them, and then writes the topic's metadata.
    /// What exists of it passes on to the new one.
    pub fn write(
        core: &Core,
        dir: &Path,
        info: TopicInfo,
        existing: &[Arc<Partition>],
    ) -> Result<Self, LogError> {
        let partitions = open_partitions(core, dir, &info, existing, &mut 0)?;
        write_metadata(core, dir, &info)?;
        Ok(Self { info, dir: dir.to_path_buf(), partitions })
    }

    /// Removes the metadata, durably: from then on the topic is not. Where only the removal worked, nobody knows
    /// whether the next start finds it, so nothing may be appended to it any more.
    pub fn unlist(core: &Core, dir: &Path) -> Result<(), LogError> {
        let path = metadata_path(dir);
        core.door.remove_file(&path).map_err(|e| LogError::io("remove", &path, &e))?;
        core.door.sync_dir(dir).map_err(|e| core.fail("sync", dir, &e))
    }
}

fn metadata_path(dir: &Path) -> PathBuf {
    dir.join("topic.json")
}

fn write_metadata(core: &Core, dir: &Path, info: &TopicInfo) -> Result<(), LogError> {
    let path = metadata_path(dir);
    let metadata = Metadata {
        format: FORMAT,
        name: info.name.clone(),
        id: info.id,
        partitions: info.partitions,
        config: info.config.clone(),
    };
    let bytes = serde_json::to_vec(&metadata)
        .map_err(|e| LogError::Damaged { path: path.clone(), why: e.to_string() })?;
    core.door.write_atomic(&path, &bytes).map_err(|e| LogError::io("write", path, &e))
}

/// Reads a topic's metadata; `None` where the folder is not a topic's.
fn read_metadata(dir: &Path, name: &str) -> Result<Option<TopicInfo>, LogError> {
    let path = metadata_path(dir);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(LogError::io("read", path, &e)),
    };
    let damaged = |why: String| {
        let way_out = "bring the file back from a copy, or move the topic's whole folder out of `topics` to start \
                       without the topic; do not remove this file alone, the records would be removed as well";
        LogError::Damaged { path: path.clone(), why: format!("{why}; {way_out}") }
    };
    let Format { format } = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    if format != FORMAT {
        return Err(LogError::UnknownFormat { path, found: format, known: FORMAT });
    }
    let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    if metadata.name != name {
        return Err(damaged(format!("it describes `{}`", metadata.name)));
    }
    if metadata.partitions < 1 {
        return Err(damaged("it has no partitions".to_owned()));
    }
    let Metadata { name, id, partitions, config, .. } = metadata;
    Ok(Some(TopicInfo { name, id, partitions, config }))
}

fn open_partitions(
    core: &Core,
    dir: &Path,
    info: &TopicInfo,
    existing: &[Arc<Partition>],
    cut: &mut u64,
) -> Result<Vec<Arc<Partition>>, LogError> {
    let mut partitions = existing.to_vec();
    let config = Effective::new(&info.config, &core.options);
    for number in existing.len()..usize::try_from(info.partitions).unwrap_or(0) {
        let dir = dir.join(number.to_string());
        core.door.create_dir_all(&dir).map_err(|e| LogError::io("create", &dir, &e))?;
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        partitions.push(Arc::new(recovery::open(core, &info.name, number, &dir, config, cut)?));
    }
    Ok(partitions)
}

/// Opens every topic in a folder, and removes what is left of topics that are not.
pub(super) fn open_all(
    core: &Core,
    dir: &Path,
    cut: &mut u64,
) -> Result<BTreeMap<String, Arc<Topic>>, LogError> {
    let failed = |e: std::io::Error| LogError::io("list", dir, &e);
    let mut topics = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str().filter(|name| path.is_dir() && check_name(name).is_ok()) else {
            tracing::warn!(path = %path.display(), "no topic; left alone");
            continue;
        };
        let Some(info) = read_metadata(&path, name)? else {
            tracing::warn!(path = %path.display(), "what is left of a deleted topic is removed");
            core.door.remove_dir_all(&path).map_err(|e| LogError::io("remove", &path, &e))?;
            continue;
        };
        let partitions = open_partitions(core, &path, &info, &[], cut)?;
        topics.insert(name.to_owned(), Arc::new(Topic { info, dir: path, partitions }));
    }
    Ok(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_metadata_names_its_file_and_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let door = forebay_storage::Door::new();
        door.write_atomic(&metadata_path(dir.path()), b"{\"form").unwrap();
        let refused = read_metadata(dir.path(), "t").unwrap_err().to_string();
        assert!(
            refused.contains("topic.json is damaged") && refused.contains("move the topic's whole folder")
        );
    }

    #[test]
    fn names_are_kafkas() {
        let longest = "a".repeat(249);
        for good in ["a", "iot_topic", "a.b-c_D9", "...", &longest] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(250);
        for bad in ["", ".", "..", "a/b", "a b", "ü", "a\0", "../../etc", &too_long] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
