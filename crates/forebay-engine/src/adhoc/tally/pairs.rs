//! Pairs of numbers and their own numbers: how the ids of several keys become the number of a group.

use datafusion::common::Result;

use super::groups::{ENTRY, Table, broken};

/// Pairs for which there is room in an array (1 MiB); more are looked up by their hash.
const DENSE: usize = 1 << 18;

/// Pairs of numbers, numbered from 0 as they come.
#[derive(Default)]
pub(super) struct Pairs {
    pub pairs: Vec<(u32, u32)>,
    /// One more than a pair's number, at `left << bits | right`; 0 where there is none yet. Empty if there are too many.
    dense: Vec<u32>,
    bits: u32,
    sparse: Table<u64>,
    is_sparse: bool,
}

impl Pairs {
    pub fn size(&self) -> usize {
        self.pairs.capacity() * size_of::<(u32, u32)>()
            + self.dense.capacity() * size_of::<u32>()
            + self.sparse.capacity() * ENTRY
    }

    /// Makes room for so many numbers on either side.
    pub fn fit(&mut self, lefts: usize, rights: usize) {
        let has_room = rights <= 1 << self.bits && lefts << self.bits <= self.dense.len();
        if self.is_sparse || has_room {
            return;
        }
        // Twice as many, so that this is seldom.
        let bits = (2 * rights).next_power_of_two().trailing_zeros();
        let room = (2 * lefts).next_power_of_two().checked_shl(bits).filter(|room| room >> bits >= lefts);
        self.dense = Vec::new();
        match room.filter(|room| *room <= DENSE) {
            Some(room) => {
                self.bits = bits;
                self.dense.resize(room, 0);
                for (number, (left, right)) in self.pairs.iter().enumerate() {
                    if let Some(slot) = self.dense.get_mut(((*left as usize) << bits) | *right as usize) {
                        *slot = number as u32 + 1;
                    }
                }
            }
            None => {
                self.is_sparse = true;
                let pairs = self.pairs.iter().enumerate();
                self.sparse =
                    pairs.map(|(number, (left, right))| (both(*left, *right), number as u32)).collect();
            }
        }
    }

    /// Puts the number of each pair in the place of its left side.
    pub fn number(&mut self, lefts: &mut [u32], rights: &[u32]) -> Result<()> {
        if u32::try_from(self.pairs.len() + lefts.len()).is_err() {
            return Err(broken("more groups than numbers"));
        }
        if self.is_sparse {
            self.look_up(lefts, rights);
            return Ok(());
        }
        for (left, right) in lefts.iter_mut().zip(rights) {
            let at = ((*left as usize) << self.bits) | *right as usize;
            let slot = self.dense.get_mut(at).ok_or_else(|| broken("a pair has no place"))?;
            if *slot == 0 {
                self.pairs.push((*left, *right));
                *slot = self.pairs.len() as u32;
            }
            *left = *slot - 1;
        }
        Ok(())
    }

    /// As [`Self::number`], by hashes.
    fn look_up(&mut self, lefts: &mut [u32], rights: &[u32]) {
        for (left, right) in lefts.iter_mut().zip(rights) {
            let next = self.pairs.len() as u32;
            let number = *self.sparse.entry(both(*left, *right)).or_insert(next);
            if number == next {
                self.pairs.push((*left, *right));
            }
            *left = number;
        }
    }
}

fn both(left: u32, right: u32) -> u64 {
    (u64::from(left) << 32) | u64::from(right)
}
