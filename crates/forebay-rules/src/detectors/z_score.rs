//! The z-score: how many standard deviations a value is from the mean of those before it.
//!
//! After Shewhart (Economic Control of Quality of Manufactured Product, 1931): beyond three is odd. Mean and spread as in
//! [`super::baseline`]. The likelihood is that of a normal distribution. Cost: a division, two roots and an exponential, some 25 ns a row.

use forebay_core::Result;

use super::baseline::{Baseline, Learning};
use super::bytes::Tape;
use super::per_key::{Model, Row};
use super::verdict::{Verdict, When};

#[derive(Debug)]
pub(crate) struct ZScore(pub Learning);

impl Model for ZScore {
    const NAME: &'static str = "z_score";
    const VERSION: u32 = 1;
    type Key = Baseline;

    fn fresh(&self) -> Baseline {
        Baseline::default()
    }

    fn step(&self, key: &mut Baseline, row: Row<'_>) -> Verdict {
        key.judge(&self.0, row, When::Ever)
    }

    fn tape(&self, key: &mut Baseline, tape: &mut Tape<'_>) -> Result<()> {
        key.tape(tape)
    }
}
