//! Detectors as the engine knows them: [`forebay_core::detect`]'s model and judge, made of a kind with its settings.
//!
//! A judge numbers nothing and keeps no table: the engine's operator gives it the numbers of an epoch's keys, and what each of them
//! has learned as bytes. What must stay true: what a state follows from is in the model's meaning, so that state is never taken for
//! that of another model; a threshold is no part of it and may change while state lives.

use arrow::array::ArrayRef;
use forebay_core::Result;
use forebay_core::detect::{Judge, Model};

use super::rows::{NO_TIME, Rows};
use super::verdict::Verdicts;
use super::words::Words;
use super::{Detector, columns, detector};

/// Settings by which state has another shape, or is of other rows.
const SHAPES: [&str; 8] = ["window", "period", "days", "offset_hours", "trees", "depth", "seed", "lambda"];

/// A kind of detector with its settings.
#[derive(Clone, Debug)]
pub struct Kinded {
    kind: String,
    settings: Vec<(String, f64)>,
    words: Words,
}

impl Kinded {
    /// A model of this kind for the inputs that `words` names. Errors: those of [`detector`].
    pub fn new(kind: &str, settings: &[(&str, f64)], words: Words) -> Result<Self> {
        detector(kind, words.inputs.len(), settings, u32::MAX)?;
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Ok(Self { kind: kind.to_owned(), settings, words })
    }

    fn detector(&self) -> Result<Box<dyn Detector>> {
        let settings: Vec<(&str, f64)> =
            self.settings.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        detector(&self.kind, self.words.inputs.len(), &settings, u32::MAX)
    }
}

impl Model for Kinded {
    fn meaning(&self) -> String {
        let mut shape: Vec<String> = Vec::new();
        for name in SHAPES {
            let given = self.settings.iter().rev().find(|(given, _)| given == name);
            shape.extend(given.map(|(name, value)| format!("{name}={value}")));
        }
        if shape.is_empty() { self.kind.clone() } else { format!("{}({})", self.kind, shape.join(", ")) }
    }

    fn remembers(&self) -> bool {
        true
    }

    fn judge(&self) -> Result<Box<dyn Judge>> {
        Ok(Box::new(Judging {
            detector: self.detector()?,
            words: self.words.clone(),
            verdicts: Verdicts::default(),
        }))
    }
}

/// A detector and the words for what it says.
pub(super) struct Judging {
    pub detector: Box<dyn Detector>,
    pub words: Words,
    pub verdicts: Verdicts,
}

impl Judge for Judging {
    fn judge(
        &mut self,
        keys: &[u32],
        times: Option<&ArrayRef>,
        inputs: &[ArrayRef],
    ) -> Result<[ArrayRef; 4]> {
        let at = match times {
            Some(times) => columns::times(times)?,
            None => vec![NO_TIME; keys.len()],
        };
        let inputs = inputs.iter().map(columns::numbers).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        self.detector.observe(&Rows { keys, at: &at, inputs: &inputs }, &mut self.verdicts)?;
        Ok(columns::verdicts(&self.verdicts, &self.words))
    }

    fn save(&mut self, key: u32, out: &mut Vec<u8>) {
        self.detector.save(key, out);
    }

    fn load(&mut self, key: u32, bytes: &[u8]) -> Result<()> {
        self.detector.load(key, bytes)
    }
}
