//! From a key to its slot.
//!
//! An entry keeps 32 bits of its key's hash beside the slot, so the index grows and shrinks without a look at the keys,
//! and takes 8 bytes a row where a hash of its own beside each entry would take 16. What must stay true: every row that
//! counts has exactly one entry.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::Slot;

/// Entries below which an index is not worth shrinking.
const WORTH_SHRINKING: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    slot: Slot,
}

/// The slots of all rows by the hash of their key; what a key is the caller knows.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashTable<Entry>,
    /// Seeded anew in each process: nobody outside can choose keys that collide.
    seed: RandomState,
}

impl Index {
    pub fn hash(&self, key: &[u8]) -> u32 {
        // All 64 bits are of equal quality.
        self.seed.hash_one(key) as u32
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A slot whose key has this hash: nearly always the only one.
    pub fn candidate(&self, hash: u32) -> Option<Slot> {
        self.find(hash, |_| true)
    }

    /// The slot of the key with this hash that `is_it` recognises.
    pub fn find(&self, hash: u32, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        let entry = self.entries.find(spread(hash), |entry| entry.hash == hash && is_it(entry.slot));
        entry.map(|entry| entry.slot)
    }

    /// The key that `is_it` recognises lies at `slot`; gives the slot where it lay before.
    pub fn set(&mut self, hash: u32, slot: Slot, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        let found = self.entries.find_mut(spread(hash), |entry| entry.hash == hash && is_it(entry.slot));
        if let Some(entry) = found {
            return Some(std::mem::replace(&mut entry.slot, slot));
        }
        self.entries.insert_unique(spread(hash), Entry { hash, slot }, |entry| spread(entry.hash));
        None
    }

    /// The key that lies at `before` lies at `slot` now; false if none lies there.
    pub fn replace(&mut self, hash: u32, before: Slot, slot: Slot) -> bool {
        let found = self.entries.find_mut(spread(hash), |entry| entry.slot == before);
        found.map(|entry| entry.slot = slot).is_some()
    }

    /// Takes out the key that `is_it` recognises; gives its slot.
    pub fn remove(&mut self, hash: u32, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        let found =
            self.entries.find_entry(spread(hash), |entry| entry.hash == hash && is_it(entry.slot)).ok()?;
        Some(found.remove().0.slot)
    }

    /// Takes out every slot that `stays` does not want; for many at once.
    pub fn retain(&mut self, stays: impl Fn(Slot) -> bool) {
        self.entries.retain(|entry| stays(entry.slot));
    }

    /// Room for as many more.
    pub fn reserve(&mut self, more: usize) {
        self.entries.reserve(more, |entry| spread(entry.hash));
    }

    /// Gives memory back where three quarters stand empty.
    pub fn shrink(&mut self) {
        let (len, room) = (self.entries.len(), self.entries.capacity());
        if room > WORTH_SHRINKING && len < room / 4 {
            self.entries.shrink_to(len * 2, |entry| spread(entry.hash));
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.entries.allocation_size()
    }
}

/// hashbrown looks at the lowest bits and at the seven highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}
