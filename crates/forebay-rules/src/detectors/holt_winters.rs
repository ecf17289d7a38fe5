//! Holt-Winters: level, trend and a season of a fixed number of rows.
//!
//! Additive triple exponential smoothing in error-correction form (Winters 1960; Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential
//! Smoothing, 2008, model AAdA), the trend damped as in Gardner and McKenzie (Forecasting Trends in Time Series, Management Science 1985).
//! Of a value and its forecast for one row ahead, with error e:
//! `level ← level + φ trend + α e`, `trend ← φ trend + α β e`, `season ← season + γ (1 - α) e`.
//! The first season is learned without a word, the second warms the error's spread up. Rows are taken to be equally spaced; where they are
//! not, the detector `seasonal` asks the calendar instead. Cost: some 30 ns a row.

use forebay_core::Result;

use super::baseline::{Baseline, Learning};
use super::bytes::Tape;
use super::normal;
use super::per_key::{Model, Row};
use super::verdict::{Verdict, When, Why};

/// How fast the trend fades.
const DAMPING: f64 = 0.98;

#[derive(Debug)]
pub(crate) struct HoltWinters {
    /// Rows of a season.
    pub period: usize,
    pub alpha: f64,
    pub beta: f64,
    pub gamma: f64,
    pub threshold: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Smoothed {
    seasons: Vec<f64>,
    next: usize,
    rows: f64,
    level: f64,
    trend: f64,
    errors: Baseline,
}

impl Model for HoltWinters {
    const NAME: &'static str = "holt_winters";
    const VERSION: u32 = 1;
    type Key = Smoothed;

    fn fresh(&self) -> Smoothed {
        let seasons = vec![0.0; self.period];
        Smoothed { seasons, next: 0, rows: 0.0, level: 0.0, trend: 0.0, errors: Baseline::default() }
    }

    fn step(&self, key: &mut Smoothed, row: Row<'_>) -> Verdict {
        if row.late {
            return Verdict::SILENT;
        }
        let (index, period) = (key.next, self.period as f64);
        key.next = (index + 1) % self.period;
        key.rows += 1.0;
        let Some(season) = key.seasons.get_mut(index) else { return Verdict::SILENT };
        if key.rows <= period {
            // The first season: the level is its mean, each season what its row was.
            *season = row.x;
            key.level += (row.x - key.level) / key.rows;
            if key.next == 0 {
                let level = key.level;
                key.seasons.iter_mut().for_each(|season| *season -= level);
            }
            return Verdict::SILENT;
        }
        let usual = key.level + DAMPING * key.trend + *season;
        let error = row.x - usual;
        let learning = Learning {
            warm_up: period.clamp(10.0, 1_000.0),
            memory: (4.0 * period).max(200.0),
            threshold: self.threshold,
        };
        let (ready, z, spread) = (key.errors.ready(&learning), key.errors.z(error), key.errors.spread());
        key.errors.learn(&learning, error, z);
        let kept = if ready { error.clamp(-self.threshold * spread, self.threshold * spread) } else { error };
        key.level += DAMPING * key.trend + self.alpha * kept;
        key.trend = DAMPING * key.trend + self.alpha * self.beta * kept;
        *season += self.gamma * (1.0 - self.alpha) * kept;
        if !(key.level.is_finite() && key.trend.is_finite() && season.is_finite()) {
            *key = self.fresh();
            return Verdict::SILENT;
        }
        if !ready {
            return Verdict::SILENT;
        }
        let why = Why::Value { input: 0, value: row.x, usual, spread, when: When::Hour };
        Verdict { score: z.abs(), likelihood: normal::within(z), anomalous: z.abs() > self.threshold, why }
    }

    fn tape(&self, key: &mut Smoothed, tape: &mut Tape<'_>) -> Result<()> {
        tape.f64s(&mut key.seasons)?;
        tape.below(&mut key.next, self.period)?;
        tape.f64(&mut key.rows)?;
        tape.f64(&mut key.level)?;
        tape.f64(&mut key.trend)?;
        key.errors.tape(tape)
    }

    fn heap_per_key(&self) -> usize {
        self.period * size_of::<f64>()
    }
}
