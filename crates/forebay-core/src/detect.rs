//! What judges rows inside of a query: the engine's operator on the one side, the models of anomaly detection on the other.
//!
//! ```text
//!  rows of an epoch, their keys numbered ─▶ Judge::judge ─▶ the columns of [`verdict_fields`], a row each
//!  state of a key, as bytes ◀─ save, load ─▶
//! ```
//!
//! The engine knows no model and the models know neither tables nor checkpoints; both meet in these traits. What must stay true: a
//! verdict follows from the rows of the same key before it and from nothing else, so that however rows are cut into epochs, and
//! whatever dies in between, the same rows get the same verdicts.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};

use crate::Result;

/// How far a row is from what is usual, in the model's own measure: DOUBLE.
pub const SCORE: &str = "score";
/// The share of usual rows that would score less, from 0 to 1: DOUBLE.
pub const LIKELIHOOD: &str = "likelihood";
/// Whether it is an anomaly: BOOLEAN.
pub const IS_ANOMALY: &str = "is_anomaly";
/// Why it is one, in words: STRING, NULL where it is none.
pub const REASON: &str = "reason";

/// The columns that a judge gives, in their order. All are NULL for a row that was not judged.
pub fn verdict_fields() -> [FieldRef; 4] {
    [
        (SCORE, DataType::Float64),
        (LIKELIHOOD, DataType::Float64),
        (IS_ANOMALY, DataType::Boolean),
        (REASON, DataType::Utf8),
    ]
    .map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)))
}

/// A model, of which judges are made. It is the same for every query that reads it.
pub trait Model: Send + Sync + fmt::Debug {
    /// What its state means, with everything that another state would follow from: `z_score`. State under another meaning is refused.
    fn meaning(&self) -> String;

    /// Which of several with the same meaning it is, if there are some: what tells a saved model from the one before it.
    fn version(&self) -> Option<String> {
        None
    }

    /// How far the scores that it gave of late are from those of its training, where it was trained: the population stability index.
    /// Asked after each epoch; whoever is to be warned is.
    fn drift(&self) -> Option<f64> {
        None
    }

    /// False if nothing is remembered of a key.
    fn remembers(&self) -> bool;

    /// A judge that knows nothing yet.
    fn judge(&self) -> Result<Box<dyn Judge>>;
}

/// Makes the models behind SQL functions, `z_score(heat) OVER (PARTITION BY device)` and `k_means('models/far.json', heat)`; the engine
/// knows none itself. A setting is a number under its name; `inputs` are what the judged columns are called.
pub trait Functions: Send + Sync + fmt::Debug {
    /// The kinds that learn as they go: names of functions with OVER.
    fn learning(&self) -> Vec<&'static str>;

    /// The kinds that are trained before: names of functions whose first argument is the path of a saved model.
    fn trained(&self) -> Vec<&'static str>;

    /// A model that learns. Errors: settings that it does not have, inputs that it cannot judge together.
    fn learner(&self, kind: &str, settings: &[(String, f64)], inputs: &[String]) -> Result<Arc<dyn Model>>;

    /// A saved model. Errors: a path under which there is none of this kind, for so many inputs.
    fn saved(
        &self,
        kind: &str,
        path: &str,
        settings: &[(String, f64)],
        inputs: &[String],
    ) -> Result<Arc<dyn Model>>;
}

/// Judges rows of many keys, which are known by numbers from 0 on.
pub trait Judge: Send {
    /// The columns of [`verdict_fields`] for rows of these keys; it learns from each row after it has judged it. `times` are
    /// timestamps, `inputs` numbers; all are as long as `keys`.
    fn judge(&mut self, keys: &[u32], times: Option<&ArrayRef>, inputs: &[ArrayRef])
    -> Result<[ArrayRef; 4]>;

    /// Appends what it knows of a key. What it knows stays as it is.
    fn save(&mut self, key: u32, out: &mut Vec<u8>);

    /// Takes what [`Judge::save`] gave. Errors: bytes that nobody saved so, or of another version.
    fn load(&mut self, key: u32, bytes: &[u8]) -> Result<()>;
}
