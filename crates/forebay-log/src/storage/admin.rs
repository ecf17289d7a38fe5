//! The map of topics, and what changes it: create, delete, add partitions, alter settings.
//!
//! One change at a time. Each is durable before it is visible, and a failed one leaves things as they were.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use uuid::Uuid;

use super::config::Effective;
use super::core::Core;
use super::partition::Partition;
use super::topic::{Topic, check_name};
use super::{TopicConfig, TopicInfo};
use crate::LogError;

/// All topics of a log.
pub(super) struct Topics {
    dir: PathBuf,
    map: RwLock<BTreeMap<String, Arc<Topic>>>,
    /// Held during a change.
    changing: Mutex<()>,
    /// Counts the changes.
    pub changes: watch::Sender<u64>,
}

impl Topics {
    pub fn new(dir: PathBuf, map: BTreeMap<String, Arc<Topic>>) -> Self {
        Self { dir, map: RwLock::new(map), changing: Mutex::new(()), changes: watch::channel(0).0 }
    }

    pub fn list(&self) -> Vec<TopicInfo> {
        self.map.read().values().map(|topic| topic.info.clone()).collect()
    }

    pub fn get(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        self.map.read().get(name).cloned().ok_or_else(|| LogError::UnknownTopic(name.to_owned()))
    }

    pub fn partition(&self, name: &str, number: i32) -> Result<Arc<Partition>, LogError> {
        let map = self.map.read();
        let topic = map.get(name).ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
        let partition = usize::try_from(number).ok().and_then(|number| topic.partitions.get(number));
        let unknown = || LogError::UnknownPartition { topic: name.to_owned(), partition: number };
        partition.cloned().ok_or_else(unknown)
    }

    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.map.read().values().flat_map(|topic| topic.partitions.iter().cloned()).collect()
    }

    pub fn check_new(&self, core: &Core, name: &str, partitions: i32) -> Result<(), LogError> {
        check_name(name)?;
        if partitions < 1 {
            return Err(LogError::InvalidPartitions(format!("{partitions}, at least 1 is needed")));
        }
        let map = self.map.read();
        if map.contains_key(name) {
            return Err(LogError::TopicExists(name.to_owned()));
        }
        limit("topics", map.len(), 1, core.options.max_topics, "max_topics")?;
        drop(map);
        self.check_room(core, partitions)
    }

    fn check_room(&self, core: &Core, more: i32) -> Result<(), LogError> {
        let there = self.map.read().values().map(|topic| topic.partitions.len()).sum();
        let more = usize::try_from(more).unwrap_or(0);
        limit("partitions", there, more, core.options.max_partitions, "max_partitions")
    }

    pub fn create(
        &self,
        core: &Core,
        name: &str,
        partitions: i32,
        config: TopicConfig,
    ) -> Result<TopicInfo, LogError> {
        let _changing = self.changing.lock();
        core.check_writable()?;
        self.check_new(core, name, partitions)?;
        let dir = self.dir.join(name);
        if dir.exists() {
            // What a failed deletion left: a topic that is has an entry in the map.
            core.door.remove_dir_all(&dir).map_err(|e| LogError::io("remove", &dir, &e))?;
        }
        let info = TopicInfo { name: name.to_owned(), id: Uuid::new_v4(), partitions, config };
        let topic = Topic::write(core, &dir, info.clone(), &[]).inspect_err(|_| {
            // Without metadata it is no topic; the next start removes what this cannot.
            let _ = core.door.remove_dir_all(&dir);
        })?;
        self.put(topic);
        Ok(info)
    }

    pub fn delete(&self, core: &Core, name: &str) -> Result<(), LogError> {
        let _changing = self.changing.lock();
        core.check_writable()?;
        let topic = self.get(name)?;
        Topic::unlist(core, &topic.dir)?;
        self.map.write().remove(name);
        for partition in &topic.partitions {
            let mut writer = partition.writer.lock();
            partition.progress.send_modify(|progress| progress.deleted = true);
            writer.file = None;
            partition.forget_aborted(core, i64::MAX);
        }
        self.changes.send_modify(|n| *n += 1);
        let removed = core.door.remove_dir_all(&topic.dir).and_then(|()| core.door.sync_dir(&self.dir));
        if let Err(error) = removed {
            tracing::warn!(topic = name, %error, "deleted topic's files remain; the next start removes them");
        }
        Ok(())
    }

    pub fn grow(&self, core: &Core, name: &str, total: i32) -> Result<TopicInfo, LogError> {
        let _changing = self.changing.lock();
        core.check_writable()?;
        let topic = self.get(name)?;
        let there = topic.info.partitions;
        if total <= there {
            return Err(LogError::InvalidPartitions(format!("{total}, topic `{name}` has {there} already")));
        }
        self.check_room(core, total - there)?;
        let info = TopicInfo { partitions: total, ..topic.info.clone() };
        self.put(Topic::write(core, &topic.dir, info.clone(), &topic.partitions)?);
        Ok(info)
    }

    pub fn alter(&self, core: &Core, name: &str, config: TopicConfig) -> Result<TopicInfo, LogError> {
        let _changing = self.changing.lock();
        core.check_writable()?;
        let topic = self.get(name)?;
        let info = TopicInfo { config, ..topic.info.clone() };
        let effective = Effective::new(&info.config, &core.options);
        self.put(Topic::write(core, &topic.dir, info.clone(), &topic.partitions)?);
        for partition in &topic.partitions {
            *partition.config.write() = effective;
        }
        Ok(info)
    }

    fn put(&self, topic: Topic) {
        self.map.write().insert(topic.info.name.clone(), Arc::new(topic));
        self.changes.send_modify(|n| *n += 1);
    }
}

fn limit(
    what: &'static str,
    there: usize,
    more: usize,
    most: usize,
    option: &'static str,
) -> Result<(), LogError> {
    if there.saturating_add(more) > most {
        return Err(LogError::LimitReached { what, limit: most as u64, option });
    }
    Ok(())
}
