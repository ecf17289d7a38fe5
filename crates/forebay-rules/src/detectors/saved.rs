//! Models that were trained before: which kinds there are, how one is made of rows, and one as the engine knows models.
//!
//! A saved model is the same for all keys and remembers nothing, so it has no state: another version of its file may take its place
//! at any reload. What must stay true: a model judges the columns that it was trained with, in their order.

use std::sync::Arc;

use forebay_core::Result;
use forebay_core::detect::{Judge, Model as Judged};
use forebay_core::error::codes;
use forebay_core::{Error, options::unknown_name};

use super::judge::Judging;
use super::kinds::{Knob, chosen, knob};
use super::stability::Stability;
use super::trained::{Model, Sample, Shape, Trained};
use super::verdict::Verdicts;
use super::words::Words;

/// A kind of model that is trained.
#[derive(Debug)]
pub struct TrainedKind {
    /// Its name.
    pub name: &'static str,
    /// A sentence for the reference.
    pub about: &'static str,
    /// Its settings.
    pub knobs: &'static [Knob],
}

const RANK: Knob = knob(
    "rank",
    0.995,
    (0.5, 1.0),
    "A row is an anomaly if it scores more than this share of the training rows.",
);
const SEED: Knob = knob("seed", 1.0, (0.0, 9e15), "What chance is drawn from.");

/// All of them.
pub static TRAINED: &[TrainedKind] = &[
    TrainedKind {
        name: "isolation_forest",
        about: "How few random cuts set a row apart from those of the training.",
        knobs: &[
            knob("trees", 100.0, (1.0, 1_000.0), "How many trees."),
            knob("sample", 256.0, (2.0, 65_536.0), "Training rows of each tree."),
            RANK,
            SEED,
        ],
    },
    TrainedKind {
        name: "k_means",
        about: "The distance from the nearest of a few centres.",
        knobs: &[
            knob("k", 2.0, (1.0, 1_000.0), "How many centres."),
            knob(
                "standardise",
                1.0,
                (0.0, 1.0),
                "1: every column has the same weight; 0: columns count as they are.",
            ),
            RANK,
            SEED,
        ],
    },
];

/// How a model is trained, and from which score on a row is odd.
#[derive(Debug)]
pub struct Training {
    kind: &'static TrainedKind,
    settings: Vec<(&'static str, f64)>,
}

impl Training {
    /// Of a kind and its settings. Errors: those of [`super::detector`].
    pub fn of(kind: &str, settings: &[(&str, f64)]) -> Result<Self> {
        let Some(kind) = TRAINED.iter().find(|known| known.name == kind) else {
            let unknown = unknown_name("trained detector", kind, TRAINED.iter().map(|known| known.name));
            return Err(Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint()));
        };
        let settings = chosen(kind.name, kind.knobs, settings)?;
        Ok(Self { kind, settings })
    }

    fn get(&self, name: &str) -> f64 {
        self.settings.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, value)| *value)
    }

    /// A model of these rows. Errors: `BAD_VALUE` if there are too few, or columns that do not fit.
    pub fn train(&self, sample: &Sample<'_>) -> Result<Model> {
        let seed = self.get("seed") as u64;
        match self.kind.name {
            "isolation_forest" => {
                Model::isolation_forest(sample, self.get("trees") as usize, self.get("sample") as usize, seed)
            }
            _ => Model::k_means(sample, self.get("k") as usize, self.get("standardise") >= 0.5, seed),
        }
    }
}

/// A saved model as the engine knows models.
#[derive(Clone, Debug)]
pub struct Saved {
    kind: &'static str,
    model: Arc<Model>,
    rank: f64,
    words: Words,
    version: String,
    stability: Arc<Stability>,
}

impl Saved {
    /// Of the text of its file, for the inputs that `words` names. Errors: a text that is no such model, one of another kind or
    /// trained with other columns.
    pub fn read(text: &str, training: &Training, words: Words) -> Result<Self> {
        let is_same = |(feature, (name, _)): (&String, &(String, String))| feature.eq_ignore_ascii_case(name);
        Self::checked(text, training, words, "Write these `columns` in this order", |features, words| {
            features.iter().zip(&words.inputs).all(is_same)
        })
    }

    /// The same for the arguments of a function, which are known by their places.
    pub fn of_arguments(text: &str, training: &Training, words: Words) -> Result<Self> {
        Self::checked(text, training, words, "Write these behind its path, in this order", |_, _| true)
    }

    fn checked(
        text: &str,
        training: &Training,
        words: Words,
        how: &str,
        names_fit: impl Fn(&[String], &Words) -> bool,
    ) -> Result<Self> {
        let model = Model::from_json(text)?;
        let kind = kind_of(&model);
        if kind != training.kind.name {
            let message = format!("the saved model is of the kind `{kind}`, not `{}`", training.kind.name);
            return Err(
                Error::new(&codes::BAD_VALUE, message).with_hint("Train it anew with `forebay train`.")
            );
        }
        if model.features.len() != words.inputs.len() || !names_fit(&model.features, &words) {
            let message = format!("the saved model was trained with {}", model.features.join(", "));
            return Err(Error::new(&codes::BAD_VALUE, message)
                .with_hint(format!("{how}, or train it anew with `forebay train`.")));
        }
        let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let version = format!("{}, {sum:016x}, rank {}", self::words(&model), training.get("rank"));
        let (rank, stability) = (training.get("rank"), Arc::default());
        Ok(Self { kind, model: Arc::new(model), rank, words, version, stability })
    }
}

impl Judged for Saved {
    fn meaning(&self) -> String {
        self.kind.to_owned()
    }

    fn version(&self) -> Option<String> {
        Some(self.version.clone())
    }

    fn remembers(&self) -> bool {
        false
    }

    fn drift(&self) -> Option<f64> {
        if let Some(drift) = self.stability.warning() {
            tracing::warn!(
                model = words(&self.model),
                drift = format!("{drift:.2}"),
                "the scores of a model are no longer those of its training: train it anew"
            );
        }
        self.stability.drift()
    }

    fn judge(&self) -> Result<Box<dyn Judge>> {
        Ok(Box::new(Judging {
            detector: Box::new(Trained::watched(
                Arc::clone(&self.model),
                self.rank,
                Arc::clone(&self.stability),
            )),
            words: self.words.clone(),
            verdicts: Verdicts::default(),
        }))
    }
}

fn kind_of(model: &Model) -> &'static str {
    match model.shape {
        Shape::IsolationForest(_) => "isolation_forest",
        Shape::KMeans(_) => "k_means",
    }
}

/// What a model was made of, in words.
pub fn words(model: &Model) -> String {
    let Model { features, rows, range, .. } = model;
    let time = |us: i64| {
        arrow::temporal_conversions::timestamp_us_to_datetime(us)
            .map_or_else(|| us.to_string(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string())
    };
    let when = match range {
        (0, 0) => String::new(),
        (first, last) => format!(" from {} to {}", time(*first), time(*last)),
    };
    format!("{} of {}, trained with {rows} rows{when}", kind_of(model), features.join(", "))
}
