//! What a detector says of a row, as numbers; [`super::Words`] makes the sentence, for the few rows that need one.

/// To which time of the calendar what is usual belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// To any.
    Ever,
    /// The rows just before.
    Now,
    /// The same hour of other days.
    Hour,
    /// The same hour of the same day in other weeks.
    HourOfWeek,
    /// The rows that a model was trained with.
    Training,
}

/// Why a row has its score. Lengths of time are in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the words of each sentence")]
pub enum Why {
    /// Nothing to say.
    #[default]
    Nothing,
    /// A value and what it usually is.
    Value { input: u8, value: f64, usual: f64, spread: f64, when: When },
    /// The mean of the last rows and what it usually is.
    Level { value: f64, usual: f64, spread: f64, when: When },
    /// A value that moves away from what is usual, little by little.
    Drift { value: f64, usual: f64, up: bool },
    /// How much the values of the last rows vary, and how much they usually do.
    Noise { spread: f64, usual: f64 },
    /// A value that no longer changes.
    Stuck { value: f64, rows: u32, lasted: i64 },
    /// Rows that did not come.
    Gap { lasted: i64, usual: i64 },
    /// A row far from all that was seen: this many times as far as is usual.
    Far { times: f64 },
}

/// What a detector says of a row. While it says nothing, score and likelihood are NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// How far from usual, in the detector's own measure; more is odder.
    pub score: f64,
    /// The share of usual rows that would score less, 0 to 1.
    pub likelihood: f64,
    /// Past the detector's threshold.
    pub anomalous: bool,
    /// What made the score.
    pub why: Why,
}

impl Verdict {
    /// Nothing is said: a missing value, or too little is known yet.
    pub const SILENT: Self =
        Self { score: f64::NAN, likelihood: f64::NAN, anomalous: false, why: Why::Nothing };
}

/// The verdicts of a batch, in the order of its rows. Kept from batch to batch, it allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// NaN where nothing is said.
    pub scores: Vec<f64>,
    /// NaN where nothing is said.
    pub likelihoods: Vec<f64>,
    /// Whether each row is an anomaly.
    pub anomalous: Vec<bool>,
    /// Of the anomalous rows alone: the row's number and why.
    pub whys: Vec<(usize, Why)>,
}

impl Verdicts {
    pub(crate) fn begin(&mut self, rows: usize) {
        self.scores.clear();
        self.likelihoods.clear();
        self.anomalous.clear();
        self.whys.clear();
        self.scores.reserve(rows);
        self.likelihoods.reserve(rows);
        self.anomalous.reserve(rows);
    }

    #[inline]
    pub(crate) fn push(&mut self, verdict: Verdict) {
        if verdict.anomalous {
            self.whys.push((self.scores.len(), verdict.why));
        }
        self.scores.push(verdict.score);
        self.likelihoods.push(verdict.likelihood);
        self.anomalous.push(verdict.anomalous);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }
}
