//! An error in SQL text together with its place in that text.
//!
//! The planner knows lines and columns of the text it was given; only the caller knows where that text stands (in a
//! pipeline file, on the command line). So the place travels beside the error until somebody can say more.

use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::tokenizer::Span;
use forebay_core::Error;
use forebay_core::error::{Code, codes};

use super::words::{hint_of, place_of, words};

/// What is wrong with a SQL text, and where.
#[derive(Clone, Debug)]
pub struct SqlError {
    /// The error, without a place.
    pub error: Error,
    /// Line and column in the SQL text, both from 1, if known.
    pub place: Option<(usize, usize)>,
}

impl SqlError {
    /// An error at a place.
    pub fn new(error: Error, place: Option<(usize, usize)>) -> Self {
        Self { error, place }
    }

    /// An error at the start of a span; an empty span is no place.
    pub(crate) fn spanned(error: Error, span: Span) -> Self {
        let start = span.start;
        let place = (start.line > 0).then_some((start.line as usize, start.column as usize));
        Self { error, place }
    }

    /// DataFusion's refusal while it plans, in its own words without its prefixes.
    pub(crate) fn planning(error: DataFusionError) -> Self {
        if let DataFusionError::External(inner) = error.find_root()
            && let Some(ours) = inner.downcast_ref::<Error>()
        {
            return ours.clone().into();
        }
        let code = match error.find_root() {
            DataFusionError::NotImplemented(_) => &codes::NOT_YET,
            DataFusionError::SQL(..) => &codes::SQL_SYNTAX,
            _ => &codes::SQL_PLAN,
        };
        Self::from_datafusion(code, error)
    }

    pub(crate) fn from_datafusion(code: &'static Code, error: DataFusionError) -> Self {
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let place = span.map(|span| (span.start.line as usize, span.start.column as usize));
        let error = Error::new(code, words(&error));
        let hint = hint_of(error.message());
        Self::new(hint.into_iter().fold(error, Error::with_hint), place)
    }

    /// With the place of what the message names in its SQL text, if the planner did not know it.
    pub(crate) fn located(mut self, sql: &str) -> Self {
        let is_placed = self.place.is_some() || self.error.place().is_some();
        if !is_placed && self.error.code() != &codes::INTERNAL {
            self.place = place_of(sql, self.error.message());
        }
        self
    }
}

impl From<Error> for SqlError {
    fn from(error: Error) -> Self {
        Self { error, place: None }
    }
}

impl From<SqlError> for Error {
    /// The error with its place in the SQL text.
    fn from(sql: SqlError) -> Self {
        match sql.place {
            Some((line, column)) if sql.error.place().is_none() => {
                sql.error.at(format_args!("SQL line {line}, column {column}"))
            }
            _ => sql.error,
        }
    }
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Error::from(self.clone()).fmt(f)
    }
}
