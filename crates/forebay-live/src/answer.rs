//! Questions about the history, and their answers.

use serde::Serialize;

use crate::history::buckets::Buckets;
use crate::history::{Range, Stat};

/// A question about the history.
#[derive(Clone, Debug)]
pub struct HistoryAsk {
    /// Index of a number field.
    pub field: usize,
    /// How far back.
    pub range: Range,
    /// Whose; empty: all devices merged, as one series without a key.
    pub keys: Vec<String>,
    /// No more points than these: the step is the smallest multiple of the range's own step with which that holds.
    pub points: usize,
}

/// The answer: `start + i * step` (ms) begins bucket `i`.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Begin of the first bucket, ms.
    pub start: i64,
    /// Width of a bucket, ms.
    pub step: i64,
    /// In the order of the keys that were asked for.
    pub series: Vec<Series>,
}

/// One line of an answer; `None` where there was no value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Whose; `None`: all devices merged.
    pub key: Option<String>,
    /// The least value of each bucket.
    pub min: Vec<Option<f64>>,
    /// The mean of each bucket.
    pub mean: Vec<Option<f64>>,
    /// The greatest value of each bucket.
    pub max: Vec<Option<f64>>,
    /// How many values each bucket has.
    pub count: Vec<u64>,
}

/// The newest second that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct LastSecond {
    /// Its begin, ms.
    pub t: i64,
    /// In the order of the fields that were asked for; in each first all devices, then the keys.
    pub charts: Vec<Vec<Point>>,
}

/// A second of one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Whose; `None`: all devices merged.
    pub key: Option<String>,
    /// The least value.
    pub min: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The greatest value.
    pub max: Option<f64>,
}

/// How often each value of a label came: `start + i * step` (ms) begins bucket `i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Begin of the first bucket, ms.
    pub start: i64,
    /// Width of a bucket, ms.
    pub step: i64,
    /// One for each value that came, by name; the twelve commonest.
    pub shares: Vec<Share>,
    /// Rows with any other value.
    pub others: Vec<u64>,
}

/// A value of a label over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The value as a text; `None`: rows without one.
    pub value: Option<String>,
    /// Rows in each bucket.
    pub count: Vec<u64>,
}

impl History {
    /// The answer that buckets hold, for these keys in their order; without keys it is one series of all devices.
    pub(crate) fn of(buckets: &Buckets, keys: Vec<String>) -> Self {
        let mut keys = keys.into_iter();
        let series = buckets.series.iter().map(|stats| {
            let each = |value: fn(&Stat) -> f64| {
                stats.iter().map(|stat| (stat.n > 0).then(|| value(stat))).collect()
            };
            Series {
                key: keys.next(),
                min: each(|stat| stat.min),
                mean: each(|stat| stat.mean),
                max: each(|stat| stat.max),
                count: stats.iter().map(|stat| u64::from(stat.n)).collect(),
            }
        });
        Self { start: buckets.start, step: buckets.step, series: series.collect() }
    }
}

impl Point {
    pub(crate) fn of(key: Option<String>, stat: Option<Stat>) -> Self {
        Self {
            key,
            min: stat.map(|stat| stat.min),
            mean: stat.map(|stat| stat.mean),
            max: stat.map(|stat| stat.max),
        }
    }
}
