//! The rows of one partition in an epoch, by key.
//!
//! Most rows say nothing: no condition holds, and nothing is remembered of their key. Such a key **rests**: of its rows only the first and
//! the last time and their number are kept, in one small entry, and no machine is asked. It gets a [`Track`] of its own with the first row
//! that says something else, and where another partition's rows of the same key have one. What must stay true: a track that is made late
//! is the one that would have been there from the first row on.

use std::sync::Arc;

use arrow::array::UInt32Array;
use forebay_core::Result;

use crate::columns::Shown;
use crate::key::Keys;
use crate::logic::Watched;
use crate::machine::{Row, Said};
use crate::rule::Bounds;
use crate::state::RuleState;
use crate::track::{Origin, Track};

/// The tracks of one partition.
#[derive(Debug)]
pub(crate) struct PartitionTracks {
    pub origin: Arc<Origin>,
    keys: Keys,
    /// By the number of the key.
    entries: Vec<Entry>,
    /// Each with the number of its key.
    tracks: Vec<(u32, Track)>,
    /// What the first rows of keys show that rest, a part for each batch.
    firsts: Vec<Shown>,
    /// The places of those of the batch at hand.
    fresh: Vec<u32>,
}

/// What is known while rows are taken.
pub(crate) struct Taking<'a> {
    pub watched: &'a Watched,
    /// How the keys stand before the epoch.
    pub state: &'a RuleState,
    pub bounds: &'a Bounds,
    /// What the rows of the batch show.
    pub shown: &'a Shown,
}

/// How much a lane keeps.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Keys of all partitions.
    pub keys: usize,
    /// Rows that nobody looked at, because there were too many keys.
    pub left_out: u64,
}

/// A key: one that rests, or the place of its track.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Resting(Resting),
    Track(u32),
}

/// Rows that all say the same, which is nothing.
#[derive(Clone, Copy, Debug)]
struct Resting {
    says: [Said; crate::logic::LEVELS],
    first: i64,
    last: i64,
    /// How many came after the first.
    more: u32,
    /// Where it is told what the first shows: part, and place in it.
    shown: (u32, u32),
}

impl PartitionTracks {
    pub fn new(origin: Origin) -> Self {
        Self {
            origin: Arc::new(origin),
            keys: Keys::default(),
            entries: Vec::new(),
            tracks: Vec::new(),
            firsts: Vec::new(),
            fresh: Vec::new(),
        }
    }

    /// True if it is this one: source, topic, partition.
    pub fn is(&self, (source, topic, index): (&str, &str, i32)) -> bool {
        let origin = &self.origin;
        origin.partition == index && origin.topic == topic && &*origin.source == source
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes the row at this place of the batch.
    pub fn take(&mut self, taking: &Taking<'_>, key: &str, row: Row, index: usize, kept: &mut Kept) {
        let Taking { watched, state, bounds, shown } = *taking;
        let Some(number) = self.keys.find(key) else {
            let is_active = state.is_active(&watched.logic, key);
            if kept.keys >= bounds.tracks && !is_active {
                kept.left_out += 1;
                return;
            }
            kept.keys += 1;
            let number = self.keys.number(key);
            if row.says_nothing() && !is_active && watched.logic.no_data.is_none() {
                let shown = (self.firsts.len() as u32, self.fresh.len() as u32);
                self.fresh.push(index as u32);
                let (says, first, last) = (row.says, row.at, row.at);
                self.entries.push(Entry::Resting(Resting { says, first, last, more: 0, shown }));
            } else {
                self.entries.push(Entry::Track(self.tracks.len() as u32));
                let mut track = Track::new(Arc::clone(&self.origin), state.of(&watched.logic, key));
                track.take(watched, row, || shown.evidence(index));
                self.tracks.push((number, track));
            }
            return;
        };
        let Some(entry) = self.entries.get_mut(number as usize) else { return };
        let place = match entry {
            Entry::Track(place) => *place,
            Entry::Resting(resting) => {
                if resting.goes_on(&row) {
                    return;
                }
                let resting = *resting;
                let place = self.tracks.len() as u32;
                *entry = Entry::Track(place);
                let track = self.track_of(&resting, key, taking, shown);
                self.tracks.push((number, track));
                place
            }
        };
        if let Some((_, track)) = self.tracks.get_mut(place as usize) {
            track.take(watched, row, || shown.evidence(index));
        }
    }

    /// Ends a batch, whose rows show this.
    pub fn end_batch(&mut self, shown: &Shown) -> Result<()> {
        if !self.fresh.is_empty() {
            self.firsts.push(shown.only(&UInt32Array::from(std::mem::take(&mut self.fresh)))?);
        }
        Ok(())
    }

    /// The tracks, each with its key; those that rest stay.
    pub fn take_tracks(&mut self) -> impl Iterator<Item = (&str, Track)> {
        let (tracks, keys) = (std::mem::take(&mut self.tracks), &self.keys);
        tracks.into_iter().map(move |(number, track)| (keys.text(number), track))
    }

    /// The track of a key that rests here, if it does.
    pub fn resting(&self, watched: &Watched, state: &RuleState, key: &str) -> Option<Track> {
        let number = self.keys.find(key)?;
        let Some(Entry::Resting(resting)) = self.entries.get(number as usize) else { return None };
        let shown = self.firsts.get(resting.shown.0 as usize)?;
        Some(resting.track(&self.origin, state.of(&watched.logic, key), shown, resting.shown.1 as usize))
    }

    fn track_of(&self, resting: &Resting, key: &str, taking: &Taking<'_>, shown: &Shown) -> Track {
        let before = taking.state.of(&taking.watched.logic, key);
        let (part, place) = (resting.shown.0 as usize, resting.shown.1 as usize);
        match self.firsts.get(part) {
            Some(shown) => resting.track(&self.origin, before, shown, place),
            // It came in the batch at hand.
            None => {
                let index = self.fresh.get(place).copied().unwrap_or(0);
                resting.track(&self.origin, before, shown, index as usize)
            }
        }
    }
}

impl Resting {
    /// Takes a row that says the same; false if it does not.
    fn goes_on(&mut self, row: &Row) -> bool {
        let is_same = row.says == self.says && row.at >= self.first;
        if is_same {
            self.last = self.last.max(row.at);
            self.more = self.more.saturating_add(1);
        }
        is_same
    }

    fn track(
        &self,
        origin: &Arc<Origin>,
        before: crate::track::KeyState,
        shown: &Shown,
        place: usize,
    ) -> Track {
        let row = Row { at: self.first, says: self.says, fields: 0 };
        let end = (self.more > 0).then_some((self.last, self.more));
        Track::of_rest(Arc::clone(origin), before, (row, shown.evidence(place)), end)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use forebay_core::config::Severity;

    use super::*;
    use crate::logic::Logic;
    use crate::tests::rule;
    use crate::track::KeyState;

    /// Rows as (key, milliseconds, when, clear) through a partition in batches of this size, and through a track each.
    fn both(rows: &[(usize, i64, Option<bool>, bool)], batch: usize) {
        let mut watched: Watched = rule(0).into();
        watched.logic = Logic::plain(Severity::Warning, 20);
        watched.logic.levels[0].has_clear = true;
        let (state, bounds) = (RuleState::default(), Bounds::default());
        let origin = || Origin { source: "iot".into(), topic: "t".into(), partition: 0 };
        let row = |&(_, at, when, clear): &(usize, i64, Option<bool>, bool)| {
            let said = Said { when, clear: Some(clear) };
            Row { at, says: [said, Said::default(), Said::default()], fields: 0 }
        };
        let shown = |rows: &[(usize, i64, Option<bool>, bool)]| {
            let column: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
            Shown::new(vec![column], None)
        };
        let (mut partition, mut kept) = (PartitionTracks::new(origin()), Kept::default());
        for rows in rows.chunks(batch) {
            let shown = shown(rows);
            let taking = Taking { watched: &watched, state: &state, bounds: &bounds, shown: &shown };
            for (index, it) in rows.iter().enumerate() {
                partition.take(&taking, &format!("d{}", it.0), row(it), index, &mut kept);
            }
            partition.end_batch(&shown).unwrap();
        }
        let mut late: Vec<(String, Track)> =
            partition.take_tracks().map(|(key, track)| (key.to_owned(), track)).collect();
        let keys: std::collections::BTreeSet<usize> = rows.iter().map(|it| it.0).collect();
        assert_eq!((partition.len(), kept.keys), (keys.len(), keys.len()));
        for key in keys {
            let name = format!("d{key}");
            let mut expected = Track::new(Arc::new(origin()), KeyState::default());
            let own = |it: &&(usize, i64, Option<bool>, bool)| it.0 == key;
            for it in rows.iter().filter(own) {
                let of = shown(std::slice::from_ref(it));
                expected.take(&watched, row(it), || of.evidence(0));
            }
            let place = late.iter().position(|(key, _)| *key == name);
            let found = match place {
                Some(place) => late.swap_remove(place).1,
                None => {
                    assert!(expected.steps.is_empty());
                    partition.resting(&watched, &state, &name).unwrap()
                }
            };
            assert_eq!((&found.state, &found.steps), (&expected.state, &expected.steps), "{name}");
            let [found, expected] = [found, expected].map(|track| format!("{:?}", track.into_points()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_track_that_is_made_late_is_the_one_that_would_have_been_there_from_the_first_row_on() {
        let mut state = 11_u64;
        let mut chance = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..300 {
            let hot = chance(6) + 1;
            let row = |n: i64, chance: &mut dyn FnMut(u64) -> u64| {
                let when = match chance(10) {
                    0 => None,
                    _ => Some(chance(10 * hot) == 0),
                };
                // Some come late.
                let at = n * 7 - if chance(9) == 0 { 40 } else { 0 };
                (chance(4) as usize, at, when, chance(12) != 0)
            };
            let rows: Vec<_> = (0..60).map(|n| row(n, &mut chance)).collect();
            both(&rows, 1 + chance(30) as usize);
        }
    }
}
