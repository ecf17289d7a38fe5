//! SQL over a pipeline's tables.

use async_trait::async_trait;
use forebay_core::Error;

pub use forebay_engine::adhoc::rows::Rows;

/// Answers statements. Whoever implements it bounds their time, memory and number; dropping the future ends the work.
#[async_trait]
pub trait Sql: Send + Sync {
    /// The answer to one SELECT, at most `rows` rows of it. `BUSY` if too many are being answered.
    async fn ask(&self, sql: &str, rows: usize) -> Result<Rows, Refused>;
}

/// Why a statement has no answer.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What is wrong.
    pub error: Error,
    /// Line and column in the statement, both from 1, if known.
    pub place: Option<(usize, usize)>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, place: None }
    }
}
