//! Exponential smoothing: a value against the weighted mean of those just before it.
//!
//! Mean and variance with weight λ for the newest row: Hunter, The Exponentially Weighted Moving Average, J. Quality Technology 1986; the
//! variance as in West 1979. A value is compared before it is learned, and learned as if it stood at the threshold if it
//! is beyond it; what stays there is taken in over some 1/λ rows. Cost: some 25 ns a row.

use forebay_core::Result;

use super::baseline::{Baseline, Learning};
use super::bytes::Tape;
use super::per_key::{Model, Row};
use super::verdict::{Verdict, When};

/// A baseline whose memory is as long as λ says: a weight of λ is that of a mean over 1/λ rows.
#[derive(Debug)]
pub(crate) struct Ewma(pub Learning);

impl Ewma {
    pub fn new(lambda: f64, threshold: f64, warm_up: f64) -> Self {
        let memory = lambda.recip();
        Self(Learning { warm_up: warm_up.min(memory), memory, threshold })
    }
}

impl Model for Ewma {
    const NAME: &'static str = "ewma";
    const VERSION: u32 = 1;
    type Key = Baseline;

    fn fresh(&self) -> Baseline {
        Baseline::default()
    }

    fn step(&self, key: &mut Baseline, row: Row<'_>) -> Verdict {
        key.judge(&self.0, row, When::Now)
    }

    fn tape(&self, key: &mut Baseline, tape: &mut Tape<'_>) -> Result<()> {
        key.tape(tape)
    }
}
