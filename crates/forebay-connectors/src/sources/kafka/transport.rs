//! The log as the source sees it, near or far: the one seam between embedded segments and brokers.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use forebay_core::{Partition, Positions, Result};
use uuid::Uuid;

use crate::kafka::{At, Topics};

/// A topic as a transport finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundTopic {
    /// Differs between two topics of one name; `None` where the broker does not say.
    pub(super) id: Option<Uuid>,
    /// The numbers of its partitions, ascending.
    pub(super) partitions: Vec<i32>,
}

/// Reaches a log. Its background work fills the [`Inbox`](super::inbox::Inbox) it was made with, until it is dropped.
#[async_trait]
pub(super) trait Transport: Send + Sync + std::fmt::Debug {
    /// The topics that exist among those asked for.
    async fn topics(&self, topics: &Topics) -> Result<BTreeMap<Arc<str>, FoundTopic>>;

    /// Makes [`Transport::id_of`] true of these topics as of now.
    async fn hear(&self, topics: &Topics) -> Result<()>;

    /// The id of a topic as last heard of, without asking anybody.
    fn id_of(&self, topic: &str) -> Option<Uuid>;

    /// One offset in each partition; `None` if there is none (no record as late as a timestamp).
    async fn offsets(&self, places: &BTreeMap<Partition, At>) -> Result<BTreeMap<Partition, Option<i64>>>;

    /// Sets ends that were heard of to those of now, where that asks nobody.
    fn refresh(&self, _ends: &mut Positions) {}

    /// Starts the background work, once. Must be called inside a runtime.
    fn start(&self);

    /// Shows positions to lag monitors, as far as there is a way.
    async fn show(&self, group: &str, positions: &Positions) -> Result<()>;
}
