//! SQL over a pipeline's tables: whole answers for REST, and what the Postgres wire end point runs statements with.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use forebay_core::{Error, Result as Answered};
use forebay_engine::adhoc::{Limits, TableResolver};
use forebay_engine::plan::JsonDecoderFactory;
use tokio::runtime::Handle;

pub use forebay_engine::adhoc::rows::Rows;

/// Answers statements. Whoever implements it bounds their time, memory and number; dropping the future ends the work.
#[async_trait]
pub trait Sql: Send + Sync {
    /// The answer to one SELECT, at most `rows` rows of it. `BUSY` if too many are being answered.
    async fn ask(&self, sql: &str, rows: usize) -> Result<Rows, Refused>;

    /// The same tables for the Postgres wire end point; `None` where there is none.
    fn statements(&self) -> Option<Arc<dyn Statements>> {
        None
    }
}

/// What statements of the Postgres wire are run with.
#[async_trait]
pub trait Statements: Send + Sync {
    /// Finds the tables that may be read.
    fn tables(&self) -> Arc<dyn TableResolver>;

    /// Makes the decoders of `from_json` in views.
    fn json(&self) -> Arc<dyn JsonDecoderFactory>;

    /// The tables and views, as the catalogue lists them. May read files.
    async fn relations(&self) -> Arc<Vec<Relation>>;

    /// A turn to plan or to run a statement; waited for. `BUSY` if too many wait.
    async fn turn(&self) -> Answered<Turn>;
}

/// A table or view with its columns.
#[derive(Clone, Debug)]
pub struct Relation {
    /// `public`, `late` or `forebay`.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: SchemaRef,
    /// True for a SELECT of the pipeline's file.
    pub is_view: bool,
}

/// The right to work on a statement, until it is dropped.
pub struct Turn {
    /// What it runs on: threads beside those of the stream.
    pub runtime: Handle,
    /// What it may take.
    pub limits: Limits,
    /// What is given back.
    pub held: Box<dyn Any + Send>,
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
