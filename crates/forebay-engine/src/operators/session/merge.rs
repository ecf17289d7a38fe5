//! Pieces of all lanes and the sessions that are open become sessions.
//!
//! ```text
//! open sessions of the keys that came   |-----)          |------)
//! pieces                                    |-----)
//! sessions after the epoch              |---------)      |------)     the second is as it was
//! ```
//!
//! What must stay true: a session whose start moved leaves the table under its old start.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use datafusion::common::HashSet;
use forebay_core::output_mode::OutputMode;
use forebay_core::{Result, ddl};

use super::Plan;
use crate::operators::groups::{Groups, take_all};
use crate::operators::keys::Interner;
use crate::operators::{EpochTimes, Step, broken, misplaced, times_of};
use crate::state::{Changes, NEVER, Slot, Table, Upserts};

/// A stretch of time of one key: a session that is open, or a piece that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stretch {
    key: u32,
    start: i64,
    /// Its row among the sessions that are open and the pieces behind them.
    row: u32,
    end: i64,
}

/// A session after the epoch.
#[derive(Clone, Copy, Debug)]
struct Session {
    key: u32,
    start: i64,
    end: i64,
    /// False if it is as it was.
    changed: bool,
}

/// The sessions that are open of the keys that came, and the pieces behind them.
struct Found {
    /// Keys without the start.
    keys: Vec<ArrayRef>,
    slots: Vec<Slot>,
    stretches: Vec<Stretch>,
    /// In the order of [`Stretch::row`].
    states: Vec<ArrayRef>,
}

impl Plan {
    pub(super) fn run(
        &self,
        index: &Table,
        sessions: &Table,
        partials: &[RecordBatch],
        times: &EpochTimes,
    ) -> Result<Step> {
        let mut found = self.find(index, sessions, partials)?;
        found.stretches.sort_unstable();
        let merged = self.merge(&found)?;
        let evict = times.evict_us();
        let ends = self.ends(times.mode);
        let stays = |session: &Session| !ends || session.end > evict;

        let mut others = match times.mode {
            OutputMode::Complete => sessions.all(),
            _ if ends => sessions.due(evict),
            _ => Vec::new(),
        };
        let gone: HashSet<Slot> =
            merged.gone.iter().filter_map(|row| found.slots.get(*row as usize)).copied().collect();
        others.retain(|slot| !gone.contains(slot));
        let rows = self.rows(sessions, &others, &found, &merged, |session| !ends || !stays(session))?;

        let evict_through = |table: &Table| {
            let evicts = ends && table.oldest().is_some_and(|oldest| oldest <= evict);
            evicts.then_some(evict)
        };
        let index_changes = Changes {
            upserts: self.index_upserts(&found, &merged, stays)?,
            evict_through: evict_through(index),
            ..Changes::default()
        };
        let session_changes = Changes {
            upserts: self.session_upserts(&found, &merged, stays)?,
            removed: moved(&found, &merged)?,
            evict_through: evict_through(sessions),
            ..Changes::default()
        };
        Ok(Step { changes: vec![index_changes, session_changes], rows, fates: Default::default() })
    }

    fn find(&self, index: &Table, sessions: &Table, partials: &[RecordBatch]) -> Result<Found> {
        let width = self.spec.key_fields.len();
        let mut interner = Interner::new(&self.spec.key_fields)?;
        let (mut ids, mut pieces) = (Vec::new(), Groups::default());
        for partial in partials {
            let came = Groups::from_batch(partial, width);
            ids.extend(interner.intern(&came.keys, came.len)?.0.iter().map(|id| *id as u32));
            pieces = pieces.then(came)?;
        }
        let keys = interner.emit()?;
        if pieces.len == 0 {
            return Ok(Found { keys, slots: Vec::new(), stretches: Vec::new(), states: Vec::new() });
        }
        let (open_keys, slots) = self.open(index, sessions, &keys)?;
        let open = Groups { keys: Vec::new(), states: sessions.values(&slots)?, len: slots.len() };
        let open_starts = sessions.keys(&slots)?;
        let mut stretches = Vec::with_capacity(open.len + pieces.len);
        if let (Some(starts), Some(ends)) = (open_starts.last().filter(|_| open.len > 0), open.states.first())
        {
            let (starts, ends) = (times_of(starts)?, times_of(ends)?);
            let bounds = starts.values().iter().zip(ends.values()).zip(&open_keys).zip(0_u32..);
            stretches.extend(bounds.map(|(((start, end), key), row)| Stretch {
                key: *key,
                start: *start,
                row,
                end: *end,
            }));
        }
        // Behind the keys, a piece's columns are its start, its end and the states.
        let [starts, ends, states @ ..] = pieces.states.as_slice() else { return Err(misplaced()) };
        let (starts, ends) = (times_of(starts)?, times_of(ends)?);
        let bounds = starts.values().iter().zip(ends.values()).zip(&ids).zip(open.len as u32..);
        stretches.extend(bounds.map(|(((start, end), key), row)| Stretch {
            key: *key,
            start: *start,
            row,
            end: *end,
        }));
        let states = Groups {
            keys: Vec::new(),
            states: open.states.get(1..).unwrap_or_default().to_vec(),
            len: open.len,
        }
        .then(Groups { keys: Vec::new(), states: states.to_vec(), len: pieces.len })?
        .states;
        Ok(Found { keys, slots, stretches, states })
    }

    /// The open sessions of these keys: the number of the key of each, and where it lies.
    fn open(&self, index: &Table, sessions: &Table, keys: &[ArrayRef]) -> Result<(Vec<u32>, Vec<Slot>)> {
        let known = index.find(&index.encode(keys)?);
        let (numbers, slots): (Vec<u32>, Vec<Slot>) =
            (0_u32..).zip(known).filter_map(|(key, slot)| slot.map(|slot| (key, slot))).unzip();
        if slots.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let lists = index.values(&slots)?;
        let lists = lists.first().and_then(|lists| lists.as_list_opt::<i32>()).ok_or_else(misplaced)?;
        let mut named = Vec::with_capacity(lists.values().len());
        let mut starts = Vec::with_capacity(lists.values().len());
        for (row, key) in numbers.iter().enumerate() {
            let list = times_of(&lists.value(row))?;
            named.extend(std::iter::repeat_n(*key, list.len()));
            starts.extend_from_slice(list.values());
        }
        let mut wanted = take_all(keys, &UInt32Array::from(named.clone()))?;
        wanted.push(Arc::new(TimestampMicrosecondArray::from(starts).with_data_type(ddl::timestamp())));
        let found = sessions.find(&sessions.encode(&wanted)?);
        Ok(named.into_iter().zip(found).filter_map(|(key, slot)| slot.map(|slot| (key, slot))).unzip())
    }

    /// One session of all stretches that meet. Stretches come in their order.
    fn merge(&self, found: &Found) -> Result<Merged> {
        let open = found.slots.len() as u32;
        let mut sessions: Vec<Session> = Vec::with_capacity(found.stretches.len());
        let mut of_stretch = Vec::with_capacity(found.stretches.len());
        for stretch in &found.stretches {
            let came = stretch.row >= open;
            match sessions
                .last_mut()
                .filter(|session| session.key == stretch.key && stretch.start <= session.end)
            {
                Some(session) => {
                    session.end = session.end.max(stretch.end);
                    session.changed = true;
                }
                None => {
                    let Stretch { key, start, end, .. } = *stretch;
                    sessions.push(Session { key, start, end, changed: came });
                }
            }
            of_stretch.push(sessions.len() - 1);
        }
        // Only those that changed are put together anew.
        let mut number = vec![usize::MAX; sessions.len()];
        let mut changed = 0;
        for (place, session) in number.iter_mut().zip(&sessions) {
            if session.changed {
                *place = changed;
                changed += 1;
            }
        }
        let (mut rows, mut groups) = (Vec::new(), Vec::new());
        for (stretch, session) in found.stretches.iter().zip(&of_stretch) {
            if let Some(group) = number.get(*session).filter(|group| **group != usize::MAX) {
                rows.push(stretch.row);
                groups.push(*group);
            }
        }
        let gone = rows.iter().copied().filter(|row| *row < open).collect();
        let mut accumulators = self.aggregates.accumulators()?;
        if changed > 0 {
            accumulators.merge(&take_all(&found.states, &rows.into())?, &groups, changed)?;
        }
        Ok(Merged { states: accumulators.state(changed)?, sessions, gone })
    }

    /// The sessions that come out: `others` of the table, and those that changed for which `given` holds.
    fn rows(
        &self,
        table: &Table,
        others: &[Slot],
        found: &Found,
        merged: &Merged,
        given: impl Fn(&Session) -> bool,
    ) -> Result<Vec<RecordBatch>> {
        let (mut keys, mut states) = (table.keys(others)?, table.values(others)?);
        let (starts, ends) = match (keys.pop(), (!states.is_empty()).then(|| states.remove(0))) {
            (Some(starts), Some(ends)) => (times_of(&starts)?, times_of(&ends)?),
            _ => return Err(misplaced()),
        };
        let mut bounds: Vec<(i64, i64)> =
            starts.values().iter().copied().zip(ends.values().iter().copied()).collect();
        let (rows, own): (Vec<u32>, Vec<&Session>) =
            (0_u32..).zip(merged.changed()).filter(|(_, session)| given(session)).unzip();
        let own_keys: Vec<u32> = own.iter().map(|session| session.key).collect();
        bounds.extend(own.iter().map(|session| (session.start, session.end)));
        let own = Groups {
            keys: take_all(&found.keys, &own_keys.into())?,
            states: take_all(&merged.states, &rows.into())?,
            len: own.len(),
        };
        let all = Groups { keys, states, len: others.len() }.then(own)?;
        self.out(&all.keys, bounds, &all.states)
    }

    fn session_upserts(
        &self,
        found: &Found,
        merged: &Merged,
        stays: impl Fn(&Session) -> bool,
    ) -> Result<Option<Upserts>> {
        let (rows, kept): (Vec<u32>, Vec<&Session>) =
            (0_u32..).zip(merged.changed()).filter(|(_, session)| stays(session)).unzip();
        if kept.is_empty() {
            return Ok(None);
        }
        let of: Vec<u32> = kept.iter().map(|session| session.key).collect();
        let mut keys = take_all(&found.keys, &of.into())?;
        keys.push(time_column(kept.iter().map(|session| session.start)));
        let mut values = vec![time_column(kept.iter().map(|session| session.end))];
        values.extend(take_all(&merged.states, &rows.into())?);
        let expires = kept.iter().map(|session| self.expiry(session.end)).collect();
        Ok(Some(Upserts { keys, expires, values }))
    }

    /// The starts of the sessions of every key that came.
    fn index_upserts(
        &self,
        found: &Found,
        merged: &Merged,
        stays: impl Fn(&Session) -> bool,
    ) -> Result<Option<Upserts>> {
        let (mut of, mut expires, mut lengths, mut starts) =
            (Vec::new(), Vec::<i64>::new(), Vec::new(), Vec::new());
        for session in merged.sessions.iter().filter(|session| stays(session)) {
            starts.push(session.start);
            let expiry = self.expiry(session.end);
            if of.last() == Some(&session.key)
                && let (Some(latest), Some(length)) = (expires.last_mut(), lengths.last_mut())
            {
                *latest = expiry.max(*latest);
                *length += 1;
            } else {
                of.push(session.key);
                expires.push(expiry);
                lengths.push(1_usize);
            }
        }
        if of.is_empty() {
            return Ok(None);
        }
        let field = Arc::new(Field::new_list_field(ddl::timestamp(), false));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let lists = ListArray::try_new(field, offsets, time_column(starts), None).map_err(broken)?;
        let keys = take_all(&found.keys, &of.into())?;
        Ok(Some(Upserts { keys, expires: Int64Array::from(expires), values: vec![Arc::new(lists)] }))
    }

    fn expiry(&self, end: i64) -> i64 {
        if self.spec.watermarked { end } else { NEVER }
    }
}

/// The keys that came, with their sessions.
struct Merged {
    /// In the order of key and start.
    sessions: Vec<Session>,
    /// Of those that changed.
    states: Vec<ArrayRef>,
    /// The rows of the table that went into them.
    gone: Vec<u32>,
}

impl Merged {
    fn changed(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.changed)
    }
}

/// The keys of the rows whose session begins earlier now.
fn moved(found: &Found, merged: &Merged) -> Result<Option<Vec<ArrayRef>>> {
    let gone: HashSet<u32> = merged.gone.iter().copied().collect();
    let begin: HashSet<(u32, i64)> = merged.changed().map(|session| (session.key, session.start)).collect();
    let moved = found
        .stretches
        .iter()
        .filter(|stretch| gone.contains(&stretch.row) && !begin.contains(&(stretch.key, stretch.start)));
    let (of, starts): (Vec<u32>, Vec<i64>) = moved.map(|stretch| (stretch.key, stretch.start)).unzip();
    if of.is_empty() {
        return Ok(None);
    }
    let mut keys = take_all(&found.keys, &of.into())?;
    keys.push(time_column(starts));
    Ok(Some(keys))
}

fn time_column(times: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_data_type(ddl::timestamp()))
}
