//! How often a device sends: counts of its last seconds.

/// Seconds over which a rate is taken.
const RATE_SECONDS: i64 = 10;

/// Seconds that are kept: those of the rate and the one that is not over yet.
const KEPT: i64 = RATE_SECONDS + 1;

/// Messages of each of the last eleven seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pulse {
    /// The newest second that was heard.
    pub newest: i64,
    /// By the second's number, modulo eleven; a second with more counts as full.
    pub counts: [u16; KEPT as usize],
}

impl Pulse {
    /// A message in this second.
    pub fn beat(&mut self, second: i64) {
        if second <= self.newest - KEPT {
            return;
        }
        if second > self.newest {
            for gone in (self.newest + 1).max(second - KEPT + 1)..=second {
                self.counts[index(gone)] = 0;
            }
            self.newest = second;
        }
        let count = &mut self.counts[index(second)];
        *count = count.saturating_add(1);
    }

    /// Messages per second in the ten seconds before this one.
    pub fn rate(&self, second: i64) -> f64 {
        let oldest_kept = self.newest - KEPT + 1;
        let counted = (second - RATE_SECONDS).max(oldest_kept)..=(second - 1).min(self.newest);
        // Whole numbers: a sum of no floating ones is -0.0.
        let beats: u32 = counted.map(|second| u32::from(self.counts[index(second)])).sum();
        f64::from(beats) / RATE_SECONDS as f64
    }
}

fn index(second: i64) -> usize {
    second.rem_euclid(KEPT) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_ten_full_seconds() {
        let mut pulse = Pulse::default();
        for second in 1_000..1_020 {
            pulse.beat(second);
            pulse.beat(second);
        }
        assert_eq!(pulse.rate(1_020), 2.0);
        assert_eq!(pulse.rate(1_025), 1.0);
        assert_eq!(pulse.rate(1_030), 0.0);
        assert_eq!(pulse.rate(i64::MAX / 2), 0.0);
        assert!(pulse.rate(i64::MAX / 2).is_sign_positive());
    }

    #[test]
    fn late_messages_count_in_their_own_second_or_not_at_all() {
        let mut pulse = Pulse::default();
        pulse.beat(1_000);
        pulse.beat(995);
        pulse.beat(900);
        assert_eq!(pulse.rate(1_001), 0.2);
        pulse.beat(5_000);
        assert_eq!(pulse.rate(5_001), 0.1, "what is long ago is forgotten");
        assert_eq!(pulse.rate(5_000), 0.0, "the second that is not over does not count");
    }
}
