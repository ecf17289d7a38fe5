//! A question's answer while it is put together: one row of buckets for each series, of the width that was asked for.
//!
//! Pure. What must stay true: a bucket holds what happened in it, from wherever it came; adding parts in any order gives
//! the same.

use super::stat::Stat;

/// How far back a question looks, and how finely that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Seconds of the last 15 minutes.
    Minutes15,
    /// Steps of ten seconds over the last 6 hours.
    Hours6,
    /// Minutes of the last 24 hours.
    Hours24,
}

impl Range {
    /// How ranges are written.
    pub const WORDS: [&str; 3] = ["15m", "6h", "24h"];

    /// Reads one of [`WORDS`](Self::WORDS).
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "15m" => Some(Self::Minutes15),
            "6h" => Some(Self::Hours6),
            "24h" => Some(Self::Hours24),
            _ => None,
        }
    }

    /// Its length, ms.
    pub fn length(self) -> i64 {
        match self {
            Self::Minutes15 => super::WINDOW_MS,
            Self::Hours6 => super::TENS_KEPT_MS,
            Self::Hours24 => super::MINUTES_KEPT_MS,
        }
    }

    /// Its own step, ms.
    pub fn step(self) -> i64 {
        match self {
            Self::Minutes15 => 1_000,
            Self::Hours6 => 10_000,
            Self::Hours24 => 60_000,
        }
    }
}

/// Rows of buckets.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// Begin of the first bucket, ms.
    pub start: i64,
    /// Width of a bucket, ms.
    pub step: i64,
    /// One for each series.
    pub series: Vec<Vec<Stat>>,
}

impl Buckets {
    /// Empty ones that cover the whole range, to the end of its own step that `now` is in. The step is the smallest
    /// multiple of the range's own with which no more than `points` buckets are needed.
    pub fn new(range: Range, now_ms: i64, points: usize, series: usize) -> Self {
        let finest = range.length() / range.step();
        let points = i64::try_from(points.max(1)).unwrap_or(i64::MAX).min(finest);
        let step = range.step() * ((finest + points - 1) / points);
        let count = (range.length() + step - 1) / step;
        // At the range's own steps and not at multiples of `step`: few wide buckets would leave out much of the range.
        let end = (now_ms.div_euclid(range.step()) + 1) * range.step();
        let start = end - count * step;
        Self { start, step, series: vec![vec![Stat::default(); count as usize]; series] }
    }

    /// True if something that begins then belongs to a bucket.
    pub fn covers(&self, at: i64) -> bool {
        self.index(at).is_some()
    }

    /// Adds to a series what is known of the time from `at` on.
    pub fn add(&mut self, series: usize, at: i64, stat: &Stat) {
        if let Some(index) = self.index(at)
            && let Some(bucket) = self.series.get_mut(series).and_then(|buckets| buckets.get_mut(index))
        {
            bucket.merge(stat);
        }
    }

    fn index(&self, at: i64) -> Option<usize> {
        let index = usize::try_from(at.checked_sub(self.start)?.div_euclid(self.step)).ok()?;
        (index < self.series.first().map_or(0, Vec::len)).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_points_as_asked_for_and_the_last_holds_now() {
        for (range, points, expected) in [
            (Range::Minutes15, 2000, (900, 1_000)),
            (Range::Minutes15, 300, (300, 3_000)),
            (Range::Hours6, 500, (432, 50_000)),
            (Range::Hours24, 1440, (1440, 60_000)),
            (Range::Hours24, 1, (1, 86_400_000)),
            (Range::Hours24, 0, (1, 86_400_000)),
        ] {
            let now = 1_700_000_123_456;
            let buckets = Buckets::new(range, now, points, 1);
            let count = buckets.series[0].len() as i64;
            assert_eq!((count, buckets.step), expected, "{range:?} {points}");
            let last = buckets.start + (count - 1) * buckets.step;
            assert!(last <= now && now < last + buckets.step);
            assert_eq!(buckets.start % range.step(), 0, "frames lie in one bucket");
            assert!(buckets.start <= now - range.length() + range.step(), "the oldest part is there");
        }
    }

    #[test]
    fn what_lies_outside_belongs_to_no_bucket() {
        let mut buckets = Buckets::new(Range::Minutes15, 1_000_000_000, 900, 1);
        for at in [i64::MIN, 0, buckets.start - 1, buckets.start + 900_000, i64::MAX] {
            assert!(!buckets.covers(at));
            buckets.add(0, at, &Stat::of(1.0));
        }
        assert!(buckets.series[0].iter().all(|stat| stat.n == 0));
        buckets.add(0, buckets.start, &Stat::of(1.0));
        buckets.add(7, buckets.start, &Stat::of(1.0));
        assert_eq!(buckets.series[0][0].n, 1);
    }
}
