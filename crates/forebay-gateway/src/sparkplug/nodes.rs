//! What is remembered of edge nodes: their metrics by alias and name since their last births, and where their sequence stands.
//!
//! Bounded in nodes, in metrics of a node and in bytes of all. A birth that has no room is not remembered: its rows are written, and those
//! that later name an alias alone carry the alias and no name.

use std::collections::HashMap;
use std::sync::Arc;

use super::payload::Metric;

/// Most nodes, of which anything is remembered.
const MOST_NODES: usize = 10_000;
/// Most metrics of a node with its devices; at its death each becomes a row.
const MOST_OF_NODE: usize = 20_000;
/// Bytes of memory for all, about.
const MOST_BYTES: usize = 64 << 20;
/// A metric in memory beside its name, and a node or device.
const METRIC: usize = 160;
const SCOPE: usize = 300;
/// How often a node is asked for its births at most, in milliseconds.
const ASK_EVERY: i64 = 30_000;

/// All nodes.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    by_name: HashMap<Box<str>, Node>,
    bytes: usize,
}

/// One node.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its birth was seen.
    pub(super) is_born: bool,
    pub(super) bd_seq: Option<u64>,
    /// The last number of its sequence.
    pub(super) seq: Option<u64>,
    own: Known,
    devices: HashMap<Box<str>, Known>,
    asked_at: Option<i64>,
}

/// The metrics of a node, or of a device of it.
#[derive(Debug, Default)]
struct Known {
    metrics: Vec<(Arc<str>, u32)>,
    by_alias: HashMap<u64, usize>,
    by_name: HashMap<Arc<str>, usize>,
    bytes: usize,
}

impl Nodes {
    /// What is remembered of a node, which is made if there is room.
    pub(super) fn node(&mut self, name: &str) -> Option<&mut Node> {
        if !self.by_name.contains_key(name) {
            let size = SCOPE + name.len();
            if self.by_name.len() >= MOST_NODES || self.bytes + size > MOST_BYTES {
                return None;
            }
            self.bytes += size;
            self.by_name.insert(name.into(), Node::default());
        }
        self.by_name.get_mut(name)
    }

    /// A node that is not made.
    pub(super) fn find(&mut self, name: &str) -> Option<&mut Node> {
        self.by_name.get_mut(name)
    }

    /// Forgets a node; answers the metrics that it had, each with its device.
    pub(super) fn forget(&mut self, name: &str) -> Vec<(Option<Box<str>>, Arc<str>, u32)> {
        let Some(node) = self.by_name.remove(name) else { return Vec::new() };
        self.bytes = self.bytes.saturating_sub(SCOPE + name.len());
        let mut all = Vec::new();
        for (device, known) in std::iter::once((None, node.own))
            .chain(node.devices.into_iter().map(|(name, known)| (Some(name), known)))
        {
            self.bytes = self.bytes.saturating_sub(known.bytes);
            all.extend(
                known.metrics.into_iter().map(|(metric, datatype)| (device.clone(), metric, datatype)),
            );
        }
        all
    }

    /// Forgets a device; answers the metrics that it had.
    pub(super) fn forget_device(&mut self, name: &str, device: &str) -> Vec<(Arc<str>, u32)> {
        let Some(known) = self.by_name.get_mut(name).and_then(|node| node.devices.remove(device)) else {
            return Vec::new();
        };
        self.bytes = self.bytes.saturating_sub(known.bytes);
        known.metrics
    }

    /// Remembers a birth; false if there is no room for it.
    pub(super) fn born(&mut self, name: &str, device: Option<&str>, metrics: &[Metric]) -> bool {
        let mut known = Known { bytes: SCOPE + device.map_or(0, str::len), ..Known::default() };
        for metric in metrics {
            let Some(metric_name) = metric.name.as_deref() else { continue };
            known.bytes += METRIC + metric_name.len();
            let at = match known.by_name.get(metric_name) {
                Some(at) => *at,
                None => {
                    let metric_name = Arc::<str>::from(metric_name);
                    known.by_name.insert(Arc::clone(&metric_name), known.metrics.len());
                    known.metrics.push((metric_name, metric.datatype.unwrap_or_default()));
                    known.metrics.len() - 1
                }
            };
            if let Some(alias) = metric.alias {
                known.by_alias.insert(alias, at);
            }
        }
        if let Some(device) = device {
            self.forget_device(name, device);
        }
        let (room, all) = (MOST_BYTES.saturating_sub(self.bytes), known.bytes);
        let Some(node) = self.node(name) else { return false };
        if all > room || node.count() + known.metrics.len() > MOST_OF_NODE {
            return false;
        }
        match device {
            None => node.own = known,
            Some(device) => drop(node.devices.insert(device.into(), known)),
        }
        self.bytes += all;
        true
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Node {
    fn count(&self) -> usize {
        self.own.metrics.len() + self.devices.values().map(|known| known.metrics.len()).sum::<usize>()
    }

    /// Whether a device was born.
    pub(super) fn has(&self, device: Option<&str>) -> bool {
        self.is_born && device.is_none_or(|device| self.devices.contains_key(device))
    }

    /// The name and the type that a metric had at its birth.
    pub(super) fn resolve(&self, device: Option<&str>, metric: &Metric) -> Option<(Arc<str>, u32)> {
        let known = match device {
            None => &self.own,
            Some(device) => self.devices.get(device)?,
        };
        let at = match (&metric.name, metric.alias) {
            (Some(name), _) => known.by_name.get(name.as_str()),
            (None, Some(alias)) => known.by_alias.get(&alias),
            (None, None) => None,
        };
        known.metrics.get(*at?).cloned()
    }

    /// Whether it may be asked for its births now; then it counts as asked.
    pub(super) fn may_ask(&mut self, now: i64) -> bool {
        let may = self.asked_at.is_none_or(|at| now.saturating_sub(at) >= ASK_EVERY || now < at);
        if may {
            self.asked_at = Some(now);
        }
        may
    }
}
