//! Sparkplug B: what edge nodes publish, turned into a row for each metric.
//!
//! ```text
//!  NBIRTH, DBIRTH ─▶ rows, and names, types and aliases are remembered
//!  NDATA, DDATA ──▶ rows, their aliases resolved by the last birth; a gap in the sequence is a row of its own
//!  NDEATH, DDEATH ▶ a row for the death, and one of quality `stale` for each metric that was known; then it is forgotten
//! ```
//!
//! What must stay true: of what was published nothing is left out: a metric whose alias nobody knows is a row with the alias, and what is no
//! Sparkplug at all goes on as it came, for whoever decodes it to set aside. Memory is bounded ([`nodes`]), and so is what
//! one payload can become. Nothing here survives a restart: nodes are then asked for their births, where the file says so (`rebirth`).

mod nodes;
mod payload;
mod row;

use bytes::Bytes;
use parking_lot::Mutex;

use self::nodes::{Node, Nodes};
use self::payload::{Metric, Payload};
use self::row::Row;
use crate::{Command, Message};

/// Longest topic; it stands in every row.
const LONGEST_TOPIC: usize = 512;
/// Most commands that wait.
const MOST_COMMANDS: usize = 1_000;

/// The nodes of one gateway, and what is to be said to them.
#[derive(Debug, Default)]
pub(crate) struct Sparkplug(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    nodes: Nodes,
    commands: Vec<Command>,
}

/// A topic: `spBv1.0/GROUP/TYPE/NODE` or `…/DEVICE`.
#[derive(Clone, Copy)]
struct Topic<'a> {
    group: &'a str,
    event: &'a str,
    node: &'a str,
    device: Option<&'a str>,
}

impl<'a> Topic<'a> {
    fn parse(topic: &'a str) -> Option<Self> {
        let mut levels = topic.split('/');
        let (space, group, event, node) = (levels.next()?, levels.next()?, levels.next()?, levels.next()?);
        let (device, end) = (levels.next(), levels.next());
        let is_of_device = match event {
            "NBIRTH" | "NDATA" | "NDEATH" | "NCMD" => false,
            "DBIRTH" | "DDATA" | "DDEATH" | "DCMD" => true,
            _ => return None,
        };
        let is_whole = space == "spBv1.0" && end.is_none() && device.is_some() == is_of_device;
        let has_names = !group.is_empty() && !node.is_empty() && device != Some("");
        (topic.len() <= LONGEST_TOPIC && is_whole && has_names).then_some(Self { group, event, node, device })
    }

    fn row(&self) -> Row<'a> {
        let (group, edge_node, device, event) = (self.group, self.node, self.device, self.event);
        Row { group, edge_node, device, event, quality: "good", ..Row::default() }
    }
}

impl Sparkplug {
    /// The rows of a message; `None` for what is no Sparkplug. With `asks`, a node whose births are missed is asked for them.
    pub(crate) fn rows(&self, message: &Message<'_>, asks: bool) -> Option<Vec<Bytes>> {
        let topic = Topic::parse(message.topic)?;
        let payload = payload::read(&message.payload)?;
        let mut state = self.0.lock();
        let mut rows = Vec::with_capacity(payload.metrics.len() + 1);
        let misses = state.take(&topic, payload, message, &mut rows);
        if misses && asks {
            state.ask(&topic, message.at);
        }
        Some(rows)
    }

    /// What is to be published to nodes, each once.
    pub(crate) fn commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.0.lock().commands)
    }
}

impl State {
    /// Turns a message into rows; true if a birth is missed.
    fn take(
        &mut self,
        topic: &Topic<'_>,
        payload: Payload,
        message: &Message<'_>,
        rows: &mut Vec<Bytes>,
    ) -> bool {
        let name = format!("{}/{}", topic.group, topic.node);
        let at = payload.timestamp.unwrap_or_else(|| u64::try_from(message.at).unwrap_or_default());
        let mut misses = match topic.event {
            "NBIRTH" => {
                self.node_born(&name, &payload, message.repeat);
                false
            }
            "NDEATH" => {
                self.node_dead(topic, &name, &payload, at, rows);
                return false;
            }
            "NCMD" | "DCMD" => false,
            _ => self.follow(topic, &name, &payload, at, message.repeat, rows),
        };
        match topic.event {
            "DBIRTH" => {
                self.nodes.born(&name, topic.device, &payload.metrics);
            }
            "DDEATH" => self.device_dead(topic, &name, payload.seq, at, rows),
            _ => {}
        }
        if payload.metrics.is_empty() && rows.is_empty() {
            rows.push(Row { seq: payload.seq, timestamp: at, is_null: true, ..topic.row() }.json());
        }
        let node = self.nodes.find(&name).map(|node| &*node);
        for metric in payload.metrics {
            misses |= push_metric(topic, node, metric, payload.seq, at, rows);
        }
        misses
    }

    fn node_born(&mut self, name: &str, payload: &Payload, is_repeat: bool) {
        let bd_seq = bd_seq(&payload.metrics);
        let is_known = |node: &&mut Node| node.is_born && node.bd_seq == bd_seq && bd_seq.is_some();
        if is_repeat && self.nodes.find(name).as_ref().is_some_and(is_known) {
            return;
        }
        self.nodes.forget(name);
        self.nodes.born(name, None, &payload.metrics);
        if let Some(node) = self.nodes.node(name) {
            (node.is_born, node.bd_seq, node.seq) = (true, bd_seq, payload.seq.map(|seq| seq % 256));
        }
    }

    /// A death that belongs to a connection before the last birth says nothing about now.
    fn node_dead(
        &mut self,
        topic: &Topic<'_>,
        name: &str,
        payload: &Payload,
        at: u64,
        rows: &mut Vec<Bytes>,
    ) {
        let (of, born) = (bd_seq(&payload.metrics), self.nodes.find(name).and_then(|node| node.bd_seq));
        let is_old = of.is_some() && born.is_some() && of != born;
        let mut death = Row { timestamp: at, is_null: true, quality: "stale", ..topic.row() };
        if is_old {
            (death.quality, death.note) = ("good", Some("of a connection before the last birth".to_owned()));
        }
        rows.push(death.json());
        if is_old {
            return;
        }
        for (device, metric, datatype) in self.nodes.forget(name) {
            let row = Row { device: device.as_deref(), ..stale(topic, &metric, datatype, at) };
            rows.push(row.json());
        }
    }

    fn device_dead(
        &mut self,
        topic: &Topic<'_>,
        name: &str,
        seq: Option<u64>,
        at: u64,
        rows: &mut Vec<Bytes>,
    ) {
        let Some(device) = topic.device else { return };
        rows.push(Row { seq, timestamp: at, is_null: true, quality: "stale", ..topic.row() }.json());
        for (metric, datatype) in self.nodes.forget_device(name, device) {
            rows.push(Row { seq, ..stale(topic, &metric, datatype, at) }.json());
        }
    }

    /// Follows the sequence of a node; true if a birth is missed.
    fn follow(
        &mut self,
        topic: &Topic<'_>,
        name: &str,
        payload: &Payload,
        at: u64,
        is_repeat: bool,
        rows: &mut Vec<Bytes>,
    ) -> bool {
        let Some(node) = self.nodes.node(name) else { return true };
        if !node.is_born {
            return true;
        }
        let Some(seq) = payload.seq.map(|seq| seq % 256) else { return false };
        let Some(last) = node.seq else {
            node.seq = Some(seq);
            return false;
        };
        let expected = (last + 1) % 256;
        // A repeat is one that was seen, or the one that is expected.
        if seq != expected && is_repeat {
            return false;
        }
        node.seq = Some(seq);
        if seq == expected {
            return !node.has(topic.device) && topic.event != "DBIRTH";
        }
        let missed = (seq + 256 - expected) % 256;
        let note = format!("expected {expected}, so {missed} or more messages are missing");
        let gap = Row {
            device: None,
            event: "GAP",
            seq: Some(seq),
            timestamp: at,
            is_null: true,
            quality: "uncertain",
            note: Some(note),
            ..topic.row()
        };
        rows.push(gap.json());
        true
    }

    /// Asks a node for its births.
    fn ask(&mut self, topic: &Topic<'_>, now: i64) {
        let name = format!("{}/{}", topic.group, topic.node);
        let is_full = self.commands.len() >= MOST_COMMANDS;
        if !is_full && self.nodes.node(&name).is_some_and(|node| node.may_ask(now)) {
            let to = format!("spBv1.0/{}/NCMD/{}", topic.group, topic.node);
            self.commands.push(Command { topic: to, payload: payload::rebirth(now).into() });
        }
    }
}

/// The row of a metric; true if nobody knows its alias.
fn push_metric(
    topic: &Topic<'_>,
    node: Option<&Node>,
    mut metric: Metric,
    seq: Option<u64>,
    at: u64,
    rows: &mut Vec<Bytes>,
) -> bool {
    let known = node.and_then(|node| node.resolve(topic.device, &metric));
    let datatype = metric.datatype.or(known.as_ref().map(|known| known.1)).unwrap_or_default();
    let value = row::shown(&mut metric, datatype);
    let quality = metric.properties.as_deref().map(payload::quality).unwrap_or_default();
    let misses = metric.name.is_none() && known.is_none();
    let row = Row {
        seq,
        metric: metric.name.as_deref().or(known.as_ref().map(|known| &*known.0)),
        alias: metric.alias,
        datatype: row::type_name(datatype),
        value,
        timestamp: metric.timestamp.unwrap_or(at),
        is_null: metric.is_null.unwrap_or_default(),
        is_historical: metric.is_historical.unwrap_or_default(),
        is_transient: metric.is_transient.unwrap_or_default(),
        quality: row::quality_name(quality),
        note: misses.then(|| "no birth says what this alias is".to_owned()),
        ..topic.row()
    };
    rows.push(row.json());
    misses
}

/// A metric of which nothing is known any more.
fn stale<'a>(topic: &Topic<'a>, metric: &'a str, datatype: u32, at: u64) -> Row<'a> {
    Row {
        metric: Some(metric),
        datatype: row::type_name(datatype),
        timestamp: at,
        is_null: true,
        quality: "stale",
        ..topic.row()
    }
}

/// Which connection of a node a birth or a death belongs to.
fn bd_seq(metrics: &[Metric]) -> Option<u64> {
    let metric = metrics.iter().find(|metric| metric.name.as_deref() == Some("bdSeq"))?;
    match metric.value {
        Some(payload::Value::Int(value)) => Some(value.into()),
        Some(payload::Value::Long(value)) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
