//! Anomaly detectors: streaming models of what is usual for a key, asked about each row before they learn from it.
//!
//! ```text
//!  RecordBatch ─ columns ─▶ Rows (key numbers, times, inputs)
//!                             │ one dynamic call a batch
//!                             ▼
//!                        Detector::observe ─▶ Verdicts: score, likelihood, is_anomaly, why  ─ columns ─▶ arrays
//!                             │
//!                        PerKey<M>: keys[number] ─▶ M::step, known to the compiler, no allocation a row
//! ```
//!
//! A detector watches one number of each key, or several together, beside the event time. A row's **score** says how far
//! it is from what is usual, in the detector's own measure; its **likelihood** is the share of usual rows that would score less, from 0
//! to 1; whether it **is an anomaly** follows from the detector's threshold; **why** says it in words, such as `temperature 81 °C,
//! usually 54 ± 6 at this hour`.
//!
//! # What must stay true
//!
//! * **No look-ahead, no clock, no chance.** A verdict follows from the rows of the same key before it and nothing else. How rows are
//!   cut into batches, and how keys are mixed, changes nothing, to the last bit. What is random is drawn from a seed that is
//!   a setting.
//! * **A missing value is no value.** NULL, NaN and the infinities (in any of several inputs) give no verdict, are not learned and
//!   do not move the key's time. The verdict of such a row, and of one that comes while a detector warms up, is NULL in
//!   all its columns: a condition on it neither holds nor fails.
//! * **Rows behind the key's time are judged and not learned.** Detectors of a single value (z-score, robust, EWMA, seasonal,
//!   half-space trees, trained models) score a late row against what they know; those of a sequence (control chart, CUSUM,
//!   Page-Hinkley, Holt-Winters, stuck, gap, auto) say nothing of it. After [`per_key::LATE_ROWS`] late rows in a row the key's clock
//!   is taken to have been set back, and they count again. Equal times are in order; a row without a time has the key's newest.
//! * **A gap in time is no row.** Nothing is filled in. Seasonal models look the row's hour up, whatever was missed; the others
//!   count rows. The detector `gap` is there for the gap itself.
//! * **Memory of a key is bounded** ([`Detector::bytes_per_key`]), and so is the number of keys. State has a version; bytes that are not
//!   exactly what was saved are refused, never guessed at.
//!
//! # The seam
//!
//! The engine's operators look at keyed tables and answer changes, and hold nothing themselves. So a key's state is a value that
//! can be taken out and put back ([`Detector::save`], [`Detector::load`]): a binary column beside the key. An operator
//! numbers the keys of an epoch, loads those that it does not hold, observes, and answers one upsert for each key. Whoever keeps a
//! detector across epochs numbers keys once and saves those that changed; after a kill both give the same verdicts.
//! [`Detector::forget`] frees a number for another key.
//!
//! [`judge`] is where both meet: [`forebay_core::detect`] as the engine knows it.
//!
//! Where to read next: [`kinds`] for what there is, [`per_key`] for the loop over rows, [`auto`] for the one that needs no
//! tuning, [`trial`] for how detectors are judged.

use std::fmt;

use forebay_core::Result;

pub mod auto;
mod baseline;
mod bytes;
mod chart;
pub mod columns;
mod drift;
mod ewma;
mod gap;
mod half_space;
mod holt_winters;
pub mod isolation;
mod judge;
pub mod k_means;
pub mod kinds;
mod matrix;
mod normal;
pub mod per_key;
mod random;
mod robust;
mod rows;
pub mod saved;
mod seasonal;
mod stability;
mod stuck;
mod tail;
#[cfg(test)]
mod tests;
pub mod trained;
pub mod trial;
mod verdict;
mod words;
mod z_score;

pub use self::judge::Kinded;
pub use self::kinds::{KINDS, Kind, Knob, detector};
pub use self::rows::{MAX_INPUTS, NO_TIME, Rows};
pub use self::verdict::{Verdict, Verdicts, When, Why};
pub use self::words::Words;

/// A model of what is usual, for many keys at once.
pub trait Detector: Send + Sync + fmt::Debug {
    /// The name of its kind: `z_score`.
    fn name(&self) -> &'static str;

    /// How many numbers a row of it has.
    fn inputs(&self) -> usize;

    /// Judges rows in their order and learns from them; `out` then holds one verdict for each. An error (inputs of another number,
    /// more keys than allowed) comes before anything has changed.
    fn observe(&mut self, rows: &Rows<'_>, out: &mut Verdicts) -> Result<()>;

    /// Appends the state of a key, which stays as it is; one that was never seen is as good as any.
    fn save(&mut self, key: u32, out: &mut Vec<u8>);

    /// Puts back what [`Detector::save`] gave. After an error the key is as it was.
    fn load(&mut self, key: u32, bytes: &[u8]) -> Result<()>;

    /// Forgets a key: its number is that of a key never seen.
    fn forget(&mut self, key: u32);

    /// One more than the highest number of a key that was seen.
    fn keys(&self) -> u32;

    /// The most memory that a key takes.
    fn bytes_per_key(&self) -> usize;

    /// The state of all keys: version, kind, number of keys, each with its length.
    fn snapshot(&mut self) -> Vec<u8> {
        bytes::snapshot(self)
    }

    /// Puts back what [`Detector::snapshot`] gave. After an error the detector is of no more use.
    fn restore(&mut self, snapshot: &[u8]) -> Result<()> {
        let (keys, rest) = bytes::opened(snapshot, self.name())?;
        (0..self.keys()).for_each(|key| self.forget(key));
        bytes::each_key(keys, rest, |key, bytes| self.load(key, bytes))
    }
}
