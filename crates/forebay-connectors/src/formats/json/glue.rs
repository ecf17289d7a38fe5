//! Glue: what stands between two values, learned from the record before.
//!
//! ```text
//!   {"device_id": "device_1", "temperature": 55.12, "humidity": 61.7, "timestamp": 1732150000}
//!   └────────────┘          └───────────────┘     └────────────┘    └─────────────┘
//!      glue 0                   glue 1                glue 2            glue 3
//! ```
//!
//! Records of one producer are written by one program: between their values stand the same bytes every time: comma,
//! blanks, key, colon, blanks. So each object remembers them, and the next record is compared with them in two or four
//! words instead of being taken apart. Two writings are remembered, because a fleet has an old firmware and a new one;
//! what fits neither is taken apart, and remembered instead of the one that was not used last. What must stay true:
//! glue is only learned where the grammar had it checked, and only used at the same place of an object (after `{` or
//! after a value), so a match proves what the long way would have found.

use super::words::{load, matches_at};

/// Longer glue is not remembered.
const MOST_BYTES: usize = 96;

/// An object's glue is remembered up to this many values.
const MOST_STEPS: usize = 256;

/// The field of a key that the schema does not have.
pub(super) const UNKNOWN: usize = usize::MAX;

/// What stands before the values of an object, in two writings.
#[derive(Clone, Debug, Default)]
pub(super) struct Glue {
    writings: [Vec<Step>; 2],
    /// The writing that was used last.
    current: usize,
}

/// The bytes before a value, and whose value it is.
#[derive(Clone, Debug, Default)]
struct Step {
    /// Empty if it was never learned.
    bytes: Vec<u8>,
    /// The first eight of them as a word, or all if they are fewer, and which of its bits count.
    head: u64,
    mask: u64,
    /// The index of the field, or [`UNKNOWN`].
    field: usize,
}

impl Glue {
    /// How many bytes of glue stand at `at` before the value number `step`, and whose value it is.
    #[inline]
    pub(super) fn guess(&mut self, step: usize, record: &[u8], at: usize) -> Option<(usize, usize)> {
        let found = self.guess_from(self.current, step, record, at);
        if found.is_some() {
            return found;
        }
        let other = 1 - self.current;
        let found = self.guess_from(other, step, record, at);
        if found.is_some() {
            self.current = other;
        }
        found
    }

    #[inline(always)]
    fn guess_from(&self, writing: usize, step: usize, record: &[u8], at: usize) -> Option<(usize, usize)> {
        let Step { bytes, head, mask, field } = self.writings.get(writing)?.get(step)?;
        let length = bytes.len();
        // A value must begin behind it: glue with fewer blanks is a beginning of what stands here, not all of it.
        // Past the end of a record a word is zeros, and glue has none.
        let fits = length > 0
            && load(record, at) & mask == *head
            && (length <= 8 || matches_at(record, at, bytes))
            && record.get(at + length).is_some_and(|next| *next > b' ');
        fits.then_some((length, *field))
    }

    /// Turns to the writing that was not used last, to learn another one.
    pub(super) fn turn(&mut self) {
        self.current = 1 - self.current;
    }

    /// Remembers what stood before the value number `step`.
    pub(super) fn learn(&mut self, step: usize, bytes: &[u8], field: usize) {
        let Some(steps) = self.writings.get_mut(self.current) else { return };
        if step >= MOST_STEPS {
            return;
        }
        if steps.len() <= step {
            steps.resize_with(step + 1, Step::default);
        }
        if let Some(known) = steps.get_mut(step) {
            known.bytes.clear();
            if bytes.len() <= MOST_BYTES {
                known.bytes.extend_from_slice(bytes);
            }
            known.head = load(&known.bytes, 0);
            known.mask = u64::MAX >> (64 - 8 * known.bytes.len().clamp(1, 8));
            known.field = field;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_writings_are_known_and_a_third_takes_the_place_of_the_older() {
        let mut glue = Glue::default();
        for (bytes, field) in [(&b"{\"a\":"[..], 0), (b"{\"a\": ", 0), (b"{ \"b\":", 1)] {
            assert_eq!(glue.guess(0, &[bytes, b"1"].concat(), 0), None);
            glue.turn();
            glue.learn(0, bytes, field);
            assert_eq!(glue.guess(0, &[bytes, b"1"].concat(), 0), Some((bytes.len(), field)));
        }
        assert_eq!(glue.guess(0, b"{\"a\": 1", 0), Some((6, 0)));
        assert_eq!(glue.guess(0, b"{\"a\":1", 0), None);
        // Nothing or a blank behind it: not known to be all of it.
        assert_eq!(glue.guess(0, b"{\"a\": ", 0), None);
        assert_eq!(glue.guess(0, b"{\"a\":  1", 0), None);
        // Never learned is never guessed.
        glue.learn(3, b",\"x\":", UNKNOWN);
        assert_eq!(glue.guess(2, b"1", 0), None);
    }
}
