//! What a side keeps of an epoch, what it lets go, and which of its rows come out alone.
//!
//! ```text
//! numbers of a key:   . . 2 3 . 5 |        first 0, next 6: three rows, three holes
//! two rows came:      . . 2 3 . 5 6 7 |    first 0, next 8
//! many went, few stay:  . . . . . . . 7 … . 90 |  ─▶  91 92 |    the few get new numbers, the old ones go
//! ```
//!
//! Where a key gets rows and meets none for long, nobody counts its holes: then its first number follows the time by which all
//! rows below a mark are gone, so that the first to meet it is not held up by all that ever came ([`Head::advance`]).
//!
//! A head expires with the last of its rows, so nothing has to be done to it when they go. What must stay true: every row
//! that is held has a number from `first` on and below `next`; rows of a key that came later have higher numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::concat;
use arrow::datatypes::Int64Type;
use forebay_core::Result;

use super::found::{Came, Head, Held, Keys};
use super::side::Side;
use crate::operators::groups::take_all;
use crate::operators::{Counts, broken, misplaced};
use crate::state::{Changes, Slot, Table, Upserts};

/// So many holes are never worth a change.
const FEW: i64 = 16;

/// What an epoch does to the tables of a side.
pub(super) struct Kept {
    pub rows: Changes,
    pub heads: Changes,
    /// What became of the rows that came.
    pub counts: Counts,
}

/// The rows of an outer side that are forgotten now and have met no other: those that were held, and those that came; their
/// columns and how many they are.
pub(super) fn alone(
    side: &Side,
    table: &Table,
    came: &Came,
    held: &Held,
    evict: i64,
) -> Result<Vec<(Vec<ArrayRef>, usize)>> {
    let mut due = if side.forgets() { table.due(evict) } else { Vec::new() };
    let met = table.columns(&due, &[0])?;
    let met = met.first().and_then(|met| met.as_boolean_opt()).ok_or_else(misplaced)?;
    let mut is_alone = met.values().iter().map(|met| !met);
    due.retain(|_| is_alone.next().unwrap_or(false));
    let mut met_now: Vec<Slot> =
        held.slots.iter().zip(&held.met).filter(|(_, met)| **met).map(|(slot, _)| *slot).collect();
    met_now.sort_unstable();
    due.retain(|slot| met_now.binary_search(slot).is_err());
    due.sort_by(|a, b| (table.expires(*a), table.key(*a)).cmp(&(table.expires(*b), table.key(*b))));

    let mut alone = Vec::new();
    let columns: Vec<usize> = (0..side.width).map(|column| column + side.flags()).collect();
    for slots in due.chunks(super::pairs::CANDIDATES) {
        alone.push((table.columns(slots, &columns)?, slots.len()));
    }
    let now = |row: &usize| !came.met[*row] && came.expires.value(*row) <= evict;
    let rows: Vec<u32> = (0..came.len).filter(now).map(|row| row as u32).collect();
    if !rows.is_empty() {
        let count = rows.len();
        alone.push((take_all(&came.columns, &rows.into())?, count));
    }
    Ok(alone)
}

/// Which rows of a side are kept, and how its keys are numbered after that.
pub(super) fn keep(
    side: &Side,
    (table, table_of_heads): (&Table, &Table),
    keys: &Keys,
    came: &Came,
    mut held: Held,
    evict: i64,
) -> Result<Kept> {
    let mut changed = vec![false; keys.len];
    let again = written_again(side, table, &mut held, &mut changed, evict)?;
    let mut counts = Counts::default();
    let (mut rows, mut numbers) = (Vec::new(), Vec::new());
    for row in 0..came.len {
        let (expires, met) = (came.expires.value(row), came.met[row]);
        let stays = expires > evict && !(side.once && met);
        if stays {
            let key = came.key[row] as usize;
            let head = &mut held.heads[key];
            head.advance(evict);
            rows.push(row as u32);
            numbers.push(head.next);
            head.next += 1;
            head.expires = head.expires.max(expires);
            changed[key] = true;
        }
        let fate = if stays || met { &mut counts.taken } else { &mut counts.unmatched };
        *fate += 1;
    }
    let new = match rows.is_empty() {
        true => None,
        false => Some(new_rows(side, came, rows, numbers)?),
    };
    let upserts = together(again.upserts, new)?;
    let oldest = |table: &Table| table.oldest().is_some_and(|oldest| oldest <= evict);
    let evicts = |table: &Table| (side.forgets() && oldest(table)).then_some(evict);
    let removed = (!again.gone.is_empty()).then(|| table.keys(&again.gone)).transpose()?;
    Ok(Kept {
        rows: Changes { upserts, removed, evict_through: evicts(table), ..Changes::default() },
        heads: Changes {
            upserts: heads(keys, &held, &changed)?,
            evict_through: evicts(table_of_heads),
            ..Changes::default()
        },
        counts,
    })
}

/// Rows that are held and change.
#[derive(Default)]
struct Again {
    upserts: Option<Upserts>,
    /// Under their old numbers.
    gone: Vec<Slot>,
}

/// Closes holes, and writes down which rows have met another.
fn written_again(
    side: &Side,
    table: &Table,
    held: &mut Held,
    changed: &mut [bool],
    evict: i64,
) -> Result<Again> {
    let (mut again, mut slots, mut numbers, mut met) = (Again::default(), Vec::new(), Vec::new(), Vec::new());
    for (key, changed) in changed.iter_mut().enumerate() {
        if !held.looked_up[key] {
            continue;
        }
        let (own, head) = (held.of(key), held.heads[key]);
        let (live, least) = (own.len() as i64, held.least[key]);
        let is_sparse = head.next - least > 2 * live + FEW;
        let head = &mut held.heads[key];
        if is_sparse {
            head.first = head.next;
            *changed = true;
        } else if least - head.first > live + FEW {
            head.first = least;
            *changed = true;
        }
        for index in own {
            let slot = held.slots[index];
            let goes = side.once && held.met[index];
            if goes || is_sparse {
                again.gone.push(slot);
            }
            if goes || table.expires(slot) <= evict {
                continue;
            }
            if is_sparse {
                slots.push(slot);
                numbers.push(Some(head.next));
                met.push(held.met[index]);
                head.next += 1;
            } else if side.outer && held.met[index] {
                slots.push(slot);
                numbers.push(None);
                met.push(true);
            }
        }
    }
    if side.outer {
        let flags = table.columns(&slots, &[0])?;
        let flags = flags.first().and_then(|flags| flags.as_boolean_opt()).ok_or_else(misplaced)?;
        // What has met another before and keeps its number is as it was.
        let is_as_it_was = |index: usize| numbers[index].is_none() && flags.value(index);
        let stays: Vec<bool> = (0..slots.len()).map(|index| !is_as_it_was(index)).collect();
        met.iter_mut().zip(flags.values().iter()).for_each(|(met, before)| *met |= before);
        retain(&mut slots, &stays);
        retain(&mut numbers, &stays);
        retain(&mut met, &stays);
    }
    if slots.is_empty() {
        return Ok(again);
    }
    let (mut keys, mut values) = (table.keys(&slots)?, table.values(&slots)?);
    let own = keys.pop().and_then(|own| own.as_primitive_opt::<Int64Type>().cloned());
    let own = own.ok_or_else(misplaced)?;
    let numbers = numbers.iter().enumerate().map(|(index, new)| new.unwrap_or_else(|| own.value(index)));
    keys.push(Arc::new(Int64Array::from_iter_values(numbers)));
    if side.outer {
        values[0] = Arc::new(BooleanArray::from(met));
    }
    let expires = Int64Array::from_iter_values(slots.iter().map(|slot| table.expires(*slot)));
    again.upserts = Some(Upserts::taken(&keys, expires, &values));
    Ok(again)
}

fn retain<T>(all: &mut Vec<T>, stays: &[bool]) {
    let mut stays = stays.iter();
    all.retain(|_| stays.next().copied().unwrap_or(false));
}

/// Rows that came, with their numbers.
fn new_rows(side: &Side, came: &Came, rows: Vec<u32>, numbers: Vec<i64>) -> Result<Upserts> {
    let rows = UInt32Array::from(rows);
    let mut keys = take_all(&came.keys, &rows)?;
    keys.push(Arc::new(Int64Array::from(numbers)));
    let expires =
        Int64Array::from_iter_values(rows.values().iter().map(|row| came.expires.value(*row as usize)));
    let met = rows.values().iter().map(|row| came.met[*row as usize]);
    let met: Option<ArrayRef> =
        side.outer.then(|| Arc::new(BooleanArray::from(met.collect::<Vec<bool>>())) as ArrayRef);
    let values: Vec<ArrayRef> = met.into_iter().chain(take_all(&came.columns, &rows)?).collect();
    Ok(Upserts::taken(&keys, expires, &values))
}

fn heads(keys: &Keys, held: &Held, changed: &[bool]) -> Result<Option<Upserts>> {
    let rows: Vec<u32> = (0..keys.len).filter(|key| changed[*key]).map(|key| key as u32).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let column = |of: fn(&Head) -> i64| {
        Int64Array::from_iter_values(rows.iter().map(|key| of(&held.heads[*key as usize])))
    };
    let bounds: [fn(&Head) -> i64; 4] =
        [|head| head.first, |head| head.next, |head| head.mark, |head| head.until];
    let bounds = bounds.map(|bound| Arc::new(column(bound)) as ArrayRef);
    let keys = take_all(&keys.columns, &UInt32Array::from(rows.clone()))?;
    Ok(Some(Upserts::taken(&keys, column(|head| head.expires), &bounds)))
}

fn together(one: Option<Upserts>, other: Option<Upserts>) -> Result<Option<Upserts>> {
    let (one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return Ok(one.or(other)),
    };
    let both = |one: &[ArrayRef], other: &[ArrayRef]| -> Result<Vec<ArrayRef>> {
        let columns = one.iter().zip(other);
        columns.map(|(one, other)| concat(&[one.as_ref(), other.as_ref()]).map_err(broken)).collect()
    };
    let expires = concat(&[&one.expires as &dyn Array, &other.expires]).map_err(broken)?;
    Ok(Some(Upserts {
        keys: both(&one.keys, &other.keys)?,
        expires: expires.as_primitive_opt::<Int64Type>().ok_or_else(misplaced)?.clone(),
        values: both(&one.values, &other.values)?,
    }))
}
