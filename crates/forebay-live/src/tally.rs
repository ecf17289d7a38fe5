//! How often each value of a label came, over time: a history of its own, whose "devices" are the combinations of values.
//!
//! ```text
//! labels: customerId, status      row (CI00103, ERROR) ──hash──▶ group 7 ──▶ Timeline: one more in this second of group 7
//!
//! "status of CI00103"   =   the groups whose customerId is CI00103, put together by status
//! ```
//!
//! Because a group is a combination, any label can be counted within any choice of the others, also for yesterday. The
//! number of groups is bounded: what finds no place counts for [`OTHERS`], and a group that nothing came for in longer than the
//! history reaches gives its place up. An **id** is never given twice. What must stay true: every row counts once, in one group.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use crate::answer::{Share, Shares};
use crate::codec::{Decoder, Encoder};
use crate::columns::Columns;
use crate::history::buckets::{Buckets, Range};
use crate::history::coarse::Place;
use crate::history::{Gathered, MINUTES_KEPT_MS, Timeline, Who};
use crate::order::natural;
use crate::value::Value;

/// Most groups: a question puts all of them together at once, and each costs some bytes in every second it is heard in.
const MOST_GROUPS: usize = 1_000;

/// Values that a question tells apart; the rarer ones are one more line.
const MOST_SHARES: usize = 12;

/// Most steps of an answer: with all groups ten megabytes while it is put together.
pub(crate) const MOST_POINTS: usize = 300;

/// The group of what found no place.
const OTHERS: u32 = 0;

/// Most bytes of seconds in memory.
const MEMORY: usize = 16 << 20;

/// A group that nothing came for in this time is in no history any more, ms: an hour beyond what is kept.
const FORGOTTEN_MS: i64 = MINUTES_KEPT_MS + 3_600_000;

/// While no group can be forgotten, it is looked for one so often, ms.
const LOOK_MS: i64 = 60_000;

/// The counts of a source's labels.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Indices of the labels in the layout.
    labels: Vec<usize>,
    groups: HashMap<Arc<[Value]>, Group>,
    next_id: u32,
    /// When it was last looked for groups to forget, ms.
    looked_ms: i64,
    pub timeline: Timeline,
    scratch: Vec<Value>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    id: u32,
    /// The newest record of it, ms.
    last: i64,
}

/// What a question asks: how often each value of a label came, among the rows that fit.
#[derive(Clone, Debug)]
pub struct SharesAsk {
    /// Index of a label in the layout.
    pub label: usize,
    /// How far back.
    pub range: Range,
    /// No more steps than these, 300 at most.
    pub points: usize,
    /// Of these labels only these values.
    pub only: Vec<(usize, Vec<String>)>,
}

impl Tally {
    /// Nothing yet, of these labels (indices in the layout); `None` without labels.
    pub fn new(labels: &[usize], place: &Place) -> Option<Self> {
        (!labels.is_empty()).then(|| Self {
            labels: labels.to_vec(),
            groups: HashMap::new(),
            next_id: OTHERS + 1,
            looked_ms: i64::MIN,
            timeline: Timeline::of_labels(MEMORY, place),
            scratch: Vec::new(),
        })
    }

    /// Counts a row of a batch; `at` is its record's time, ms.
    pub fn take(&mut self, columns: &Columns, row: usize, at: i64, now_ms: i64) {
        let mut values = std::mem::take(&mut self.scratch);
        values.resize(self.labels.len(), Value::Null);
        for (label, value) in self.labels.iter().zip(&mut values) {
            if columns.of(*label).is_null(row) {
                *value = Value::Null;
            } else {
                columns.show(*label, row, value);
            }
        }
        let id = self.group(&values, at, now_ms);
        self.scratch = values;
        self.timeline.add(at, id, &[(0, 1.0)], now_ms);
    }

    /// The group of these values; a new one is given a place, if there is one.
    fn group(&mut self, values: &[Value], at: i64, now_ms: i64) -> u32 {
        if let Some(group) = self.groups.get_mut(values) {
            group.last = group.last.max(at);
            return group.id;
        }
        if at < now_ms - MINUTES_KEPT_MS {
            return OTHERS;
        }
        if self.groups.len() >= MOST_GROUPS && !(0..LOOK_MS).contains(&now_ms.saturating_sub(self.looked_ms))
        {
            self.looked_ms = now_ms;
            self.groups.retain(|_, group| group.last >= now_ms - FORGOTTEN_MS);
        }
        if self.groups.len() >= MOST_GROUPS {
            return OTHERS;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.groups.insert(values.into(), Group { id, last: at });
        id
    }

    /// What memory knows of a question; `None` if it asks of what is no label.
    pub fn gather(&self, ask: &SharesAsk, now_ms: i64) -> Option<Asked> {
        let at = |field: usize| self.labels.iter().position(|label| *label == field);
        let of = at(ask.label)?;
        let only: Vec<(usize, &[String])> = ask
            .only
            .iter()
            .map(|(field, values)| Some((at(*field)?, values.as_slice())))
            .collect::<Option<_>>()?;
        let mut values: Vec<Value> = Vec::new();
        let mut whose = Vec::new();
        let mut places: HashMap<&Value, usize> = HashMap::new();
        for (group, known) in &self.groups {
            if !only.iter().all(|(label, wanted)| wanted.iter().any(|text| group[*label].is(text))) {
                continue;
            }
            let place = *places.entry(&group[of]).or_insert_with(|| {
                values.push(group[of].clone());
                values.len() - 1
            });
            whose.push((Who::Device(known.id), place));
        }
        // Nobody knows whether those fit a choice.
        if only.is_empty() {
            whose.push((Who::Device(OTHERS), values.len()));
        }
        let lines = values.len() + 1;
        let points = ask.points.clamp(1, MOST_POINTS);
        let gathered = self.timeline.gather_into(0, ask.range, points, whose, lines, now_ms);
        Some(Asked { values, gathered })
    }

    /// Writes it.
    pub fn write<W: Write>(&self, encoder: &mut Encoder<W>) -> io::Result<()> {
        encoder.u32(self.next_id);
        encoder.len(self.groups.len());
        for (values, group) in &self.groups {
            values.iter().for_each(|value| value.write(encoder));
            encoder.u32(group.id);
            encoder.i64(group.last);
        }
        self.timeline.write(encoder)
    }

    /// Reads it back into an empty one.
    ///
    /// # Errors
    /// `InvalidData` where the bytes are not sound, and what the disk says of the files.
    pub fn read(mut self, decoder: &mut Decoder<'_>, now_ms: i64) -> io::Result<Self> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the snapshot's labels are not sound");
        self.read_groups(decoder).ok_or_else(malformed)?;
        self.timeline = self.timeline.read(decoder, now_ms)?;
        Ok(self)
    }

    fn read_groups(&mut self, decoder: &mut Decoder<'_>) -> Option<()> {
        self.next_id = decoder.u32()?;
        for _ in 0..decoder.len(12)? {
            let values = decoder.many(self.labels.len(), Value::read)?;
            let group = Group { id: decoder.u32()?, last: decoder.i64()? };
            let is_sound = (OTHERS + 1..self.next_id).contains(&group.id);
            if !is_sound || self.groups.insert(values.into(), group).is_some() {
                return None;
            }
        }
        Some(())
    }
}

/// A question half answered: what is left to do needs no lock.
#[derive(Debug)]
pub(crate) struct Asked {
    values: Vec<Value>,
    gathered: Gathered,
}

impl Asked {
    /// Adds what the files hold. Blocks.
    pub fn read(self) -> Shares {
        let Buckets { start, step, series } = self.gathered.read();
        let mut lines: Vec<Vec<u64>> =
            series.iter().map(|stats| stats.iter().map(|stat| u64::from(stat.n)).collect()).collect();
        let mut others = lines.pop().unwrap_or_default();
        let mut shares: Vec<(u64, Value, Vec<u64>)> = self
            .values
            .into_iter()
            .zip(lines)
            .map(|(value, counts)| (counts.iter().sum(), value, counts))
            .filter(|(total, _, _)| *total > 0)
            .collect();
        shares.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| by_name(&a.1, &b.1)));
        for (_, _, counts) in shares.split_off(MOST_SHARES.min(shares.len())) {
            others.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        shares.sort_by(|a, b| by_name(&a.1, &b.1));
        let shares = shares.into_iter().map(|(_, value, count)| Share { value: value.words(), count });
        Shares { start, step, shares: shares.collect(), others }
    }
}

/// By their words, what has none at the end: a value keeps its place whatever comes.
pub(crate) fn by_name(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a.words(), b.words()) {
        (Some(a), Some(b)) => natural(&a, &b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

#[cfg(test)]
mod tests;
