//! Merging segments that became sparse or are small.
//!
//! A segment is rewritten when more than half of its rows are dead, so each move is paid by a death. Many can become so
//! at once, where an epoch touches all of them evenly: then an epoch moves some times as many rows as it changed, and
//! the next ones do the rest, so that none waits for all. Nobody waits for the moves but who looks at the table next:
//! they are made while an epoch's records are read. Small segments are merged as a binary counter does it: the smallest
//! ones up to the first that is larger than all before it together, so that each move at least doubles the segment that
//! a row lies in. An epoch of ten rows costs ten rows some moves. Of these, too, many can become small at once: one epoch
//! merges some of them.

use super::Slot;
use super::error::bug;
use super::segment::{Held, MOST_ROWS, Segment};
use super::table::Table;
use forebay_core::Result;

/// Rows below which a segment is merged with others.
const SMALL: usize = 8192;

/// Rows of sparse segments that an epoch moves for each row that it changed. More than one, or sparse segments would pile up.
const MOVES: usize = 3;

/// Bytes that are merged into one segment at most, so that no column outgrows its offsets.
const MOST_BYTES: usize = 64 << 20;

impl Table {
    /// True if there may be something to merge.
    pub fn is_untidy(&self) -> bool {
        self.changed > 0 || self.held.iter().any(|held| held.dead() > held.alive())
    }

    /// Merges what is sparse or small, after an epoch.
    pub fn tidy(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        if let Err(error) = self.compact(changed) {
            tracing::warn!(%error, "a table of state is not compacted; it takes more memory until that succeeds");
        }
    }

    /// Merges as much as so many changed rows pay for. After an error every row is where it can be found.
    fn compact(&mut self, changed: usize) -> Result<()> {
        let (mut sparse, mut small) = (Vec::new(), Vec::new());
        for (id, held) in self.held.iter().enumerate().filter(|(_, held)| held.alive() > 0) {
            if held.dead() > held.alive() {
                sparse.push((held.alive(), id as u16));
            } else if held.alive() < SMALL && held.bytes() < MOST_BYTES / 2 {
                small.push((held.alive(), id as u16));
            }
        }
        sparse.sort_unstable();
        let mut moves = 0;
        let affordable = sparse.iter().take_while(|(alive, _)| {
            let is_affordable = moves <= changed * MOVES;
            moves += alive;
            is_affordable
        });
        let mut chosen: Vec<u16> = affordable.map(|(_, id)| *id).collect();
        chosen.extend(to_merge(&mut small, (changed * MOVES).max(4 * SMALL)));
        for group in self.groups(&chosen) {
            self.merge(group)?;
        }
        self.index.shrink();
        Ok(())
    }

    /// Parts of `ids` that fit into one segment each.
    fn groups<'a>(&self, ids: &'a [u16]) -> Vec<&'a [u16]> {
        let (mut groups, mut first, mut rows, mut bytes) = (Vec::new(), 0, 0, 0);
        for (at, id) in ids.iter().enumerate() {
            let held = &self.held[usize::from(*id)];
            (rows, bytes) = (rows + held.alive(), bytes + held.bytes());
            if at > first && (rows > MOST_ROWS || bytes > MOST_BYTES) {
                groups.push(&ids[first..at]);
                (first, rows, bytes) = (at, held.alive(), held.bytes());
            }
        }
        groups.push(&ids[first..]);
        groups.retain(|group| !group.is_empty());
        groups
    }

    fn merge(&mut self, ids: &[u16]) -> Result<()> {
        let parts: Vec<&Held> = ids.iter().map(|id| &self.held[usize::from(*id)]).collect();
        if let [only] = parts[..]
            && only.dead() <= only.alive()
        {
            return Ok(());
        }
        let merged = Segment::merged(&parts)?;
        let moved: Vec<Slot> = ids
            .iter()
            .flat_map(|id| self.held[usize::from(*id)].rows().map(|row| Slot { segment: *id, row }))
            .collect();
        if moved.len() != merged.len() {
            return Err(bug("a merged segment of state has another number of rows"));
        }
        let hashes: Vec<u32> = (0..merged.len()).map(|row| self.index.hash(merged.key(row as u16))).collect();
        // The old ids are free only after the last row has moved: until then two keys of one hash are told apart by slot.
        let segment = self.hold(merged);
        for (row, (from, hash)) in moved.into_iter().zip(hashes).enumerate() {
            self.index.replace(hash, from, Slot { segment, row: row as u16 });
        }
        ids.iter().for_each(|id| self.held[usize::from(*id)] = Held::default());
        Ok(())
    }
}

/// The smallest segments, up to the first that is larger than all before it together, and as long as they are `most` rows.
/// Many become small at once where an epoch touches all of them evenly. What is left for later epochs loses nothing: as
/// `most` is several small segments, what is merged up to there is small no more.
fn to_merge(small: &mut [(usize, u16)], most: usize) -> impl Iterator<Item = u16> + '_ {
    small.sort_unstable();
    let (mut sum, mut count) = (0, 0);
    for (rows, _) in small.iter() {
        if count > 0 && (*rows > sum || sum + rows > most) {
            break;
        }
        sum += rows;
        count += 1;
    }
    let count = if count > 1 { count } else { 0 };
    small[..count].iter().map(|(_, id)| *id)
}
