//! One bucket of the history: for each device heard in it a count, and for each number field count, mean, min, max.
//!
//! ```text
//!           slot 0   1   2 …          lone: at most one value of each field     several: row r of
//! ids       [  7 ,  2 ,  9 ]          means[slot * width + field] is it         ns, spreads
//! counts    [  1 ,  3 ,  1 ]          several[slot] == 0                        several[slot] == r + 1
//! ```
//!
//! Most devices send at most once a second, so a device's values cost 8 bytes each; only where several values fell into the
//! bucket a row with their counts and spreads is added (12 bytes each). **Precision:** a mean is an `f64`. Min and max are
//! kept as their distances from the mean in `f32`, so they are right to about one part in ten million of the spread inside
//! of the bucket (not of the value: a counter at 10¹² keeps its units), and exact where there is one value. The merged row over
//! all devices is exact.
//!
//! Devices are found by binary search in the sorted part, by a map in what came after. [`Frame::seal`] sorts all and frees the
//! map: done once a bucket is no longer written to often. What must stay true: `ids` holds each device once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::stat::Stat;

/// A bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    width: usize,
    /// All devices merged, one for each field.
    pub all: Vec<Stat>,
    pub(super) ids: Vec<u32>,
    pub(super) counts: Vec<u32>,
    pub(super) several: Vec<u32>,
    /// NaN: no value.
    pub(super) means: Vec<f64>,
    pub(super) ns: Vec<u32>,
    /// (mean - min, max - mean).
    pub(super) spreads: Vec<[f32; 2]>,
    sorted: usize,
    /// Something was added since it was sealed.
    is_open: bool,
    unsorted: HashMap<u32, u32, BuildHasherDefault<IdHasher>>,
}

impl Frame {
    /// An empty bucket for this many fields.
    pub fn new(width: usize) -> Self {
        Self { width, all: vec![Stat::default(); width], ..Self::default() }
    }

    /// A bucket from its parts; `None` if they do not fit together. The ids need not be sorted.
    pub(super) fn from_parts(width: usize, all: Vec<Stat>, parts: Parts) -> Option<Self> {
        let Parts { ids, counts, several, means, ns, spreads } = parts;
        let rows = ns.len().checked_div(width).unwrap_or(0);
        let fits = all.len() == width
            && counts.len() == ids.len()
            && several.len() == ids.len()
            && Some(means.len()) == ids.len().checked_mul(width)
            && ns.len() == rows * width
            && spreads.len() == ns.len()
            && several.iter().all(|row| (*row as usize) <= rows);
        if !fits {
            return None;
        }
        let mut frame = Self { width, all, ids, counts, several, means, ns, spreads, ..Self::default() };
        frame.seal();
        frame.ids.is_sorted_by(|a, b| a < b).then_some(frame)
    }

    /// How many fields it holds.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many devices were heard.
    pub fn devices(&self) -> usize {
        self.ids.len()
    }

    /// The device's slot, if it was heard.
    pub fn find(&self, id: u32) -> Option<usize> {
        match self.ids[..self.sorted].binary_search(&id) {
            Ok(slot) => Some(slot),
            Err(_) => self.unsorted.get(&id).map(|slot| *slot as usize),
        }
    }

    /// Counts messages of a device and returns its slot.
    pub fn count(&mut self, id: u32, messages: u32) -> usize {
        self.is_open = true;
        let slot = match self.find(id) {
            Some(slot) => slot,
            None => {
                let slot = self.ids.len();
                self.ids.push(id);
                self.counts.push(0);
                self.several.push(0);
                self.means.resize(self.means.len() + self.width, f64::NAN);
                self.unsorted.insert(id, slot as u32);
                slot
            }
        };
        self.counts[slot] = self.counts[slot].saturating_add(messages);
        slot
    }

    /// Adds a finite value of a field.
    pub fn add(&mut self, slot: usize, field: usize, value: f64) {
        self.merge(slot, field, &Stat::of(value));
    }

    /// Adds what is known of values of a field.
    pub fn merge(&mut self, slot: usize, field: usize, stat: &Stat) {
        self.all[field].merge(stat);
        let mut merged = self.get(slot, field).unwrap_or_default();
        merged.merge(stat);
        self.put(slot, field, &merged);
    }

    /// What is known of a device's field.
    pub fn get(&self, slot: usize, field: usize) -> Option<Stat> {
        let mean = self.means[slot * self.width + field];
        if mean.is_nan() {
            return None;
        }
        let Some(row) = self.several[slot].checked_sub(1) else { return Some(Stat::of(mean)) };
        let at = row as usize * self.width + field;
        let [below, above] = self.spreads[at];
        Some(Stat { n: self.ns[at], mean, min: mean - f64::from(below), max: mean + f64::from(above) })
    }

    fn put(&mut self, slot: usize, field: usize, stat: &Stat) {
        if stat.n > 1 && self.several[slot] == 0 {
            self.make_several(slot);
        }
        self.means[slot * self.width + field] = stat.mean;
        if let Some(row) = self.several[slot].checked_sub(1) {
            let at = row as usize * self.width + field;
            self.ns[at] = stat.n;
            self.spreads[at] = [spread(stat.mean - stat.min), spread(stat.max - stat.mean)];
        }
    }

    fn make_several(&mut self, slot: usize) {
        let first = slot * self.width;
        let values = &self.means[first..first + self.width];
        self.ns.extend(values.iter().map(|value| u32::from(!value.is_nan())));
        self.spreads.resize(self.spreads.len() + self.width, [0.0; 2]);
        self.several[slot] = (self.ns.len() / self.width) as u32;
    }

    /// Adds all of another bucket of the same fields.
    pub fn absorb(&mut self, other: &Self) {
        for (slot, id) in other.ids.iter().enumerate() {
            let own = self.count(*id, other.counts[slot]);
            for field in 0..self.width {
                if let Some(stat) = other.get(slot, field) {
                    let mut merged = self.get(own, field).unwrap_or_default();
                    merged.merge(&stat);
                    self.put(own, field, &merged);
                }
            }
        }
        self.all.iter_mut().zip(&other.all).for_each(|(own, other)| own.merge(other));
    }

    /// Sorts the devices and gives back what the writing needed.
    pub fn seal(&mut self) {
        if self.sorted < self.ids.len() {
            let mut order: Vec<u32> = (0..self.ids.len() as u32).collect();
            order.sort_unstable_by_key(|slot| self.ids[*slot as usize]);
            let by_order =
                |values: &[u32]| order.iter().map(|slot| values[*slot as usize]).collect::<Vec<u32>>();
            let (ids, counts, several) =
                (by_order(&self.ids), by_order(&self.counts), by_order(&self.several));
            let mut means = Vec::with_capacity(self.means.len());
            for slot in &order {
                let first = *slot as usize * self.width;
                means.extend_from_slice(&self.means[first..first + self.width]);
            }
            (self.ids, self.counts, self.several, self.means) = (ids, counts, several, means);
            self.sorted = self.ids.len();
        }
        self.unsorted = HashMap::default();
        self.is_open = false;
        self.ids.shrink_to_fit();
        self.counts.shrink_to_fit();
        self.several.shrink_to_fit();
        self.means.shrink_to_fit();
        self.ns.shrink_to_fit();
        self.spreads.shrink_to_fit();
    }

    /// True if something was added since [`seal`](Self::seal).
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The memory it takes.
    pub fn bytes(&self) -> usize {
        let words =
            self.ids.capacity() + self.counts.capacity() + self.several.capacity() + self.ns.capacity();
        size_of::<Self>()
            + words * 4
            + self.means.capacity() * 8
            + self.spreads.capacity() * 8
            + self.all.capacity() * size_of::<Stat>()
            // Key, value and a byte of the table for each place.
            + self.unsorted.capacity() * 9 * 8 / 7
    }

    /// For each device, in the order of the ids: id, messages and slot. Sealed frames only.
    pub fn rows(&self) -> impl Iterator<Item = (u32, u32, usize)> + '_ {
        self.ids.iter().zip(&self.counts).enumerate().map(|(slot, (id, count))| (*id, *count, slot))
    }
}

/// The columns of a frame as they lie in a snapshot.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub ids: Vec<u32>,
    pub counts: Vec<u32>,
    pub several: Vec<u32>,
    pub means: Vec<f64>,
    pub ns: Vec<u32>,
    pub spreads: Vec<[f32; 2]>,
}

/// A distance from the mean; rounding never makes it negative.
fn spread(distance: f64) -> f32 {
    (distance.max(0.0) as f32).min(f32::MAX)
}

/// Ids are numbers that this process gives out one after the other: nobody can choose them to collide.
#[derive(Clone, Copy, Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The table looks at the lowest and at the highest bits.
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_value_is_exact_and_several_keep_mean_and_ends() {
        let mut frame = Frame::new(2);
        let slot = frame.count(7, 1);
        frame.add(slot, 0, 0.1);
        assert_eq!(frame.get(slot, 0), Some(Stat::of(0.1)));
        assert_eq!(frame.get(slot, 1), None);
        let slot = frame.count(7, 1);
        frame.add(slot, 0, 0.3);
        let stat = frame.get(slot, 0).unwrap();
        assert_eq!(stat.n, 2);
        assert!(
            (stat.mean - 0.2).abs() < 1e-12 && (stat.min - 0.1).abs() < 1e-7 && (stat.max - 0.3).abs() < 1e-7
        );
        assert_eq!(frame.all[0], Stat { n: 2, mean: stat.mean, min: 0.1, max: 0.3 });
        assert_eq!((frame.counts[0], frame.devices()), (2, 1));
    }

    #[test]
    fn a_large_offset_costs_no_precision() {
        let mut frame = Frame::new(1);
        for step in 0..1000 {
            let slot = frame.count(1, 1);
            frame.add(slot, 0, 1e12 + f64::from(step) * 0.01);
        }
        let stat = frame.get(0, 0).unwrap();
        assert!((stat.min - 1e12).abs() < 1e-3, "{}", stat.min - 1e12);
        assert!((stat.max - (1e12 + 9.99)).abs() < 1e-3, "{}", stat.max - 1e12);
        assert!((stat.mean - (1e12 + 4.995)).abs() < 1e-2, "{}", stat.mean - 1e12);
    }

    #[test]
    fn devices_are_found_before_and_after_sorting() {
        let mut frame = Frame::new(1);
        for id in [5u32, 1, 9, 3] {
            let slot = frame.count(id, 1);
            frame.add(slot, 0, f64::from(id));
        }
        frame.seal();
        let late = frame.count(2, 1);
        frame.add(late, 0, 2.0);
        for id in [1u32, 2, 3, 5, 9] {
            assert_eq!(frame.get(frame.find(id).unwrap(), 0).unwrap().mean, f64::from(id));
        }
        assert_eq!(frame.find(4), None);
        frame.seal();
        assert_eq!(frame.rows().map(|(id, ..)| id).collect::<Vec<_>>(), [1, 2, 3, 5, 9]);
    }

    #[test]
    fn absorbing_counts_everything_once() {
        let (mut left, mut right) = (Frame::new(1), Frame::new(1));
        for (frame, ids) in [(&mut left, [1u32, 2, 2]), (&mut right, [2u32, 3, 3])] {
            for id in ids {
                let slot = frame.count(id, 1);
                frame.add(slot, 0, f64::from(id));
            }
        }
        left.absorb(&right);
        assert_eq!((left.counts.iter().sum::<u32>(), left.devices(), left.all[0].n), (6, 3, 6));
        let of = |id| left.get(left.find(id).unwrap(), 0).unwrap();
        assert_eq!((of(1).n, of(2).n, of(3).n), (1, 3, 2));
    }

    #[test]
    fn a_device_whose_fields_come_one_by_one_needs_no_second_row() {
        let mut frame = Frame::new(3);
        for field in 0..3 {
            let slot = frame.count(1, 1);
            frame.add(slot, field, 1.0);
        }
        assert_eq!((frame.counts[0], frame.several[0], frame.ns.len()), (3, 0, 0));
    }
}
