//! How far a device's clock is off: the event times of its newest records, each against when the record was written.
//!
//! One odd time must not make a device ill, nor one good one well: what counts is the median of the last nine. What must
//! stay true: a device takes the same few bytes however much it sends.

use crate::device::{ClockBounds, ClockState, DeviceClock};

/// Offsets that are kept of a device.
const KEPT: usize = 9;

/// The newest offsets of a device, and how many of all were out of bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Offsets {
    /// Milliseconds from record to event time; the place of a new one is `seen` modulo nine.
    pub newest: [i64; KEPT],
    /// How many there were.
    pub seen: u64,
    pub ahead: u64,
    pub behind: u64,
}

impl Offsets {
    /// A record with this offset, in milliseconds.
    pub fn add(&mut self, offset_ms: i64, bounds: ClockBounds) {
        self.newest[(self.seen % KEPT as u64) as usize] = offset_ms;
        self.seen += 1;
        match bounds.state(offset_ms) {
            ClockState::Ahead => self.ahead += 1,
            ClockState::Behind => self.behind += 1,
            ClockState::Right => {}
        }
    }

    /// Those that are kept, in no order.
    pub fn kept(&self) -> &[i64] {
        &self.newest[..KEPT.min(self.seen as usize)]
    }

    /// The median of those that are kept; `None` if none came.
    pub fn median(&self) -> Option<i64> {
        let mut kept = self.newest;
        let count = self.kept().len();
        let middle = count.checked_sub(1)? / 2;
        Some(*kept[..count].select_nth_unstable(middle).1)
    }

    /// As it is shown.
    pub fn shown(&self, bounds: ClockBounds) -> Option<DeviceClock> {
        let offset = self.median()?;
        let latest = self.newest[((self.seen - 1) % KEPT as u64) as usize];
        let (state, ahead, behind) = (bounds.state(offset), self.ahead, self.behind);
        Some(DeviceClock { offset, latest, state, ahead, behind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_last_nine_counts() {
        let bounds = ClockBounds { ahead_ms: 300_000, behind_ms: 10_000 };
        let mut offsets = Offsets::default();
        assert_eq!(offsets.shown(bounds), None);
        (0..9).for_each(|_| offsets.add(-40, bounds));
        offsets.add(7_200_000, bounds);
        let clock = offsets.shown(bounds).unwrap();
        assert_eq!((clock.offset, clock.latest, clock.state), (-40, 7_200_000, ClockState::Right));
        assert_eq!((clock.ahead, clock.behind), (1, 0), "one odd time is counted, and no more");
        (0..4).for_each(|_| offsets.add(7_200_000, bounds));
        assert_eq!(offsets.shown(bounds).unwrap().state, ClockState::Ahead);
        (0..5).for_each(|_| offsets.add(-10_001, bounds));
        assert_eq!(offsets.shown(bounds).unwrap().state, ClockState::Behind, "{offsets:?}");
        assert_eq!((offsets.ahead, offsets.behind, offsets.seen), (5, 5, 19));
    }

    #[test]
    fn what_is_within_the_bounds_is_right() {
        let bounds = ClockBounds { ahead_ms: 300_000, behind_ms: 10_000 };
        let states = [300_000, 300_001, -10_000, -10_001].map(|offset| bounds.state(offset));
        assert_eq!(states, [ClockState::Right, ClockState::Ahead, ClockState::Right, ClockState::Behind]);
        let mut offsets = Offsets::default();
        offsets.add(i64::MIN, bounds);
        assert_eq!(offsets.median(), Some(i64::MIN), "the first is known at once");
    }
}
