//! Models that are trained once, from rows given, and then judge without learning.
//!
//! ```text
//!  rows ─ train ─▶ Model ─ to_json ─▶ file ─ from_json ─▶ Model ─ Trained ─▶ Detector
//! ```
//!
//! A saved model says what it was made of: its features in their order, the range of event times, how many rows, the version. It also has the
//! distribution of the scores of its own rows; a likelihood is the rank in it, and the threshold is one of its quantiles. Whether
//! scores still are as they were in training is watched ([`Trained::drift`]). What must stay true: a file that was damaged or made by
//! hand is refused before it judges; no number in it can lead out of an array or around in a circle.

use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::isolation::Forest;
use super::k_means::Centres;
use super::matrix::{Matrix, numbers};
use super::rows::{MAX_INPUTS, Rows};
use super::stability::{Stability, TENTHS};
use super::verdict::{Verdict, Verdicts, When, Why};
use super::{Detector, bytes};

/// The version of the saved form.
const VERSION: u32 = 1;
/// The ranks whose scores are kept.
const RANKS: [f64; 16] =
    [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0];
/// Rows that are judged together.
const CHUNK: usize = 64;

/// Rows to train with.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// What the inputs are called, in their order.
    pub features: &'a [&'a str],
    /// One column for each of them. Rows with a missing value are left out.
    pub columns: &'a [&'a [f64]],
    /// First and last event time, microseconds since 1970.
    pub range: (i64, i64),
}

/// What a model computes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// An isolation forest.
    IsolationForest(Forest),
    /// Distance from the nearest of the centres.
    KMeans(Centres),
}

/// A trained model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    version: u32,
    /// What the inputs are called, in their order.
    pub features: Vec<String>,
    /// First and last event time of the training rows, microseconds since 1970.
    pub range: (i64, i64),
    /// How many rows it was trained with.
    pub rows: u64,
    /// What it computes.
    pub shape: Shape,
    /// Mean and spread of each input in training: what a reason says is usual.
    #[serde(with = "numbers")]
    means: Vec<f64>,
    #[serde(with = "numbers")]
    spreads: Vec<f64>,
    /// The scores of the training rows at [`RANKS`].
    #[serde(with = "numbers")]
    scores: Vec<f64>,
}

impl Model {
    /// Trains an isolation forest of `trees` trees, each of `sample` rows drawn by chance from the seed.
    pub fn isolation_forest(sample: &Sample<'_>, trees: usize, rows: usize, seed: u64) -> Result<Self> {
        let matrix = Matrix::of(sample)?;
        let forest = Forest::train(&matrix, trees.clamp(1, 1_000), rows.clamp(2, 65_536), seed);
        Self::of(sample, &matrix, Shape::IsolationForest(forest))
    }

    /// Trains `k` centres; `standardise` gives every input the same weight.
    pub fn k_means(sample: &Sample<'_>, k: usize, standardise: bool, seed: u64) -> Result<Self> {
        let matrix = Matrix::of(sample)?;
        let centres = Centres::train(&matrix, k.clamp(1, 1_000).min(matrix.rows()), standardise, seed);
        Self::of(sample, &matrix, Shape::KMeans(centres))
    }

    fn of(sample: &Sample<'_>, matrix: &Matrix, shape: Shape) -> Result<Self> {
        let mut scores = vec![0.0; matrix.rows()];
        shape.judge(&matrix.values, matrix.width, &mut scores);
        scores.sort_by(f64::total_cmp);
        let last = scores.len().saturating_sub(1) as f64;
        let at = |rank: &f64| scores.get((rank * last).round() as usize).copied().unwrap_or(0.0);
        let scores = RANKS.iter().map(at).collect();
        let (means, spreads) = matrix.moments();
        let features = sample.features.iter().map(|name| (*name).to_owned()).collect();
        let rows = matrix.rows() as u64;
        let model =
            Self { version: VERSION, features, range: sample.range, rows, shape, means, spreads, scores };
        model.check()?;
        Ok(model)
    }

    /// The form in which it is saved.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::new(&codes::INTERNAL, "a model cannot be written").caused_by(e))
    }

    /// A saved model.
    pub fn from_json(text: &str) -> Result<Self> {
        let model: Self = serde_json::from_str(text)
            .map_err(|e| Error::new(&codes::BAD_VALUE, "a file is not a saved model").caused_by(e))?;
        if model.version != VERSION {
            let message = format!("a saved model is of version {}, not {VERSION}", model.version);
            return Err(Error::new(&codes::CHECKPOINT_VERSION, message));
        }
        model.check()?;
        Ok(model)
    }

    fn check(&self) -> Result<()> {
        let width = self.features.len();
        let listed = [&self.means, &self.spreads].iter().all(|list| list.len() == width);
        let finite = |list: &[f64]| list.iter().all(|value| value.is_finite());
        let sane = (1..=MAX_INPUTS).contains(&width)
            && listed
            && self.scores.len() == RANKS.len()
            && finite(&self.means)
            && finite(&self.spreads)
            && self.spreads.iter().all(|spread| *spread >= 0.0)
            && finite(&self.scores)
            && self.scores.is_sorted()
            && match &self.shape {
                Shape::IsolationForest(forest) => forest.sane(width),
                Shape::KMeans(centres) => centres.sane(width),
            };
        let message = "a saved model does not fit together";
        if sane { Ok(()) } else { Err(Error::new(&codes::BAD_VALUE, message)) }
    }

    /// The share of training rows that score less.
    fn rank(&self, score: f64) -> f64 {
        let above = self.scores.partition_point(|known| *known < score);
        let (Some(low), Some(high)) = (self.scores.get(above.wrapping_sub(1)), self.scores.get(above)) else {
            return if above == 0 { 0.0 } else { 1.0 };
        };
        let (from, to) =
            (RANKS.get(above - 1).copied().unwrap_or(0.0), RANKS.get(above).copied().unwrap_or(1.0));
        from + (to - from) * (score - low) / (high - low).max(1e-300)
    }

    /// The score at this rank.
    fn score_at(&self, rank: f64) -> f64 {
        let above = RANKS.partition_point(|known| *known < rank);
        self.scores.get(above).or(self.scores.last()).copied().unwrap_or(f64::INFINITY)
    }

    /// The input that is farthest from what it was in training.
    fn why(&self, row: &[f64]) -> Why {
        let mut worst = (-1.0, Why::Nothing);
        for (index, ((value, usual), spread)) in row.iter().zip(&self.means).zip(&self.spreads).enumerate() {
            let off = (value - usual).abs() / spread.max(1e-300);
            if off > worst.0 {
                let input = u8::try_from(index).unwrap_or(u8::MAX);
                let (value, usual, spread) = (*value, *usual, *spread);
                worst = (off, Why::Value { input, value, usual, spread, when: When::Training });
            }
        }
        worst.1
    }
}

impl Shape {
    /// The scores of rows that lie one after the other, each `width` numbers long.
    pub fn judge(&self, rows: &[f64], width: usize, scores: &mut [f64]) {
        match self {
            Self::IsolationForest(forest) => forest.judge(rows, width, scores),
            Self::KMeans(centres) => centres.judge(rows, width, scores),
        }
    }
}

/// A trained model as a detector. It is the same for all keys and remembers nothing of them.
#[derive(Debug)]
pub struct Trained {
    model: Arc<Model>,
    /// The score from which a row is an anomaly.
    threshold: f64,
    /// Recent scores, of all that judge by this model.
    stability: Arc<Stability>,
    rows: Vec<f64>,
}

impl Trained {
    /// A row is an anomaly if it scores more than this share of the training rows: 0.995 is a good beginning.
    pub fn new(model: impl Into<Arc<Model>>, rank: f64) -> Self {
        Self::watched(model.into(), rank, Arc::default())
    }

    /// The same; its scores count among others.
    pub(super) fn watched(model: Arc<Model>, rank: f64, stability: Arc<Stability>) -> Self {
        let threshold = model.score_at(rank);
        Self { model, threshold, stability, rows: Vec::new() }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How far the recent scores are from those of the training ([`super::stability`]). `None` before a hundred rows.
    pub fn drift(&self) -> Option<f64> {
        self.stability.drift()
    }
}

impl Detector for Trained {
    fn name(&self) -> &'static str {
        match self.model.shape {
            Shape::IsolationForest(_) => "isolation_forest",
            Shape::KMeans(_) => "k_means",
        }
    }

    fn inputs(&self) -> usize {
        self.model.features.len()
    }

    fn observe(&mut self, rows: &Rows<'_>, out: &mut Verdicts) -> Result<()> {
        rows.check(self.inputs())?;
        out.begin(rows.len());
        let (width, mut scores) = (self.inputs(), [0.0; CHUNK]);
        let mut buffer = std::mem::take(&mut self.rows);
        let mut tenths = [0; TENTHS];
        for first in (0..rows.len()).step_by(CHUNK) {
            let count = CHUNK.min(rows.len() - first);
            buffer.clear();
            for row in first..first + count {
                buffer.extend(rows.inputs.iter().map(|column| column.get(row).copied().unwrap_or(f64::NAN)));
            }
            let scores = scores.get_mut(..count).unwrap_or(&mut []);
            self.model.shape.judge(&buffer, width, scores);
            for (row, score) in buffer.chunks_exact(width).zip(scores) {
                if !row.iter().all(|value| value.is_finite()) {
                    out.push(Verdict::SILENT);
                    continue;
                }
                let rank = self.model.rank(*score);
                if let Some(tenth) = tenths.get_mut(((rank * 10.0) as usize).min(TENTHS - 1)) {
                    *tenth += 1;
                }
                let anomalous = *score > self.threshold;
                let why = if anomalous { self.model.why(row) } else { Why::Nothing };
                out.push(Verdict { score: *score, likelihood: rank, anomalous, why });
            }
        }
        self.rows = buffer;
        self.stability.add(&tenths);
        Ok(())
    }

    fn save(&mut self, _key: u32, _out: &mut Vec<u8>) {}

    fn load(&mut self, _key: u32, state: &[u8]) -> Result<()> {
        if state.is_empty() { Ok(()) } else { Err(bytes::damaged()) }
    }

    fn forget(&mut self, _key: u32) {}

    fn keys(&self) -> u32 {
        0
    }

    fn bytes_per_key(&self) -> usize {
        0
    }
}
