//! The rows that a detector is asked about: columns of plain numbers.

use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// The most inputs of a detector: a row of them is gathered on the stack.
pub const MAX_INPUTS: usize = 32;

/// The time of a row that has none.
pub const NO_TIME: i64 = i64::MIN;

/// Rows in their order, borrowed column by column.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The number of each row's key, counted densely from 0.
    pub keys: &'a [u32],
    /// Event times, microseconds since 1970; [`NO_TIME`] where there is none.
    pub at: &'a [i64],
    /// One for each input; a missing value is NaN.
    pub inputs: &'a [&'a [f64]],
}

impl Rows<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The columns are of one length and as many as the detector has inputs.
    pub(crate) fn check(&self, inputs: usize) -> Result<()> {
        let same = self.at.len() == self.len() && self.inputs.iter().all(|column| column.len() == self.len());
        if same && self.inputs.len() == inputs {
            return Ok(());
        }
        let message = format!("a detector of {inputs} inputs was given {}", self.inputs.len());
        Err(Error::new(&codes::INTERNAL, message))
    }
}
