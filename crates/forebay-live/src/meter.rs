//! How many records were read in the last full second of the clock.

/// Counts of this second and of the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    second: i64,
    now: u64,
    before: u64,
}

impl Meter {
    /// Counts records.
    pub fn count(&mut self, records: u64, now_ms: i64) {
        let second = now_ms.div_euclid(1000);
        if second != self.second {
            self.before = if second == self.second + 1 { self.now } else { 0 };
            (self.second, self.now) = (second, 0);
        }
        self.now += records;
    }

    /// Records of the last full second.
    pub fn rate(&self, now_ms: i64) -> f64 {
        match now_ms.div_euclid(1000) - self.second {
            0 => self.before as f64,
            1 => self.now as f64,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_full_second() {
        let mut meter = Meter::default();
        meter.count(5, 1_000);
        meter.count(5, 1_999);
        assert_eq!((meter.rate(1_999), meter.rate(2_000), meter.rate(3_000)), (0.0, 10.0, 0.0));
        meter.count(1, 2_000);
        assert_eq!(meter.rate(2_500), 10.0);
        meter.count(1, 9_000);
        assert_eq!(meter.rate(9_500), 0.0);
    }
}
