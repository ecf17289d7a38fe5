//! How failures speak: a stable code, whose fault it is, whether trying again can help, and what to do.
//!
//! A message has three parts: *primary* (lower case, no period, says what is wrong), *detail* (the words of the
//! system that refused) and *hint* (whole sentences, how to mend it). Codes live in [`codes`], one page each in
//! `docs/error-codes.md`, which is generated from that table.

use std::fmt;
use std::sync::Arc;

pub mod codes;

/// The result of everything in Forebay that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who has to act when an error appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file, the command or the query of the person at the keyboard.
    User,
    /// A system outside of this process: a broker, a disk, a database.
    External,
    /// Forebay itself: please report it.
    Internal,
}

/// A kind of failure: the stable name that users search for.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable identifier, `FB-` and four digits; the first digit names the room.
    pub id: &'static str,
    /// Short name in lower case.
    pub title: &'static str,
    /// Who has to act.
    pub fault: Fault,
    /// True if the same attempt may succeed later.
    pub retry: bool,
    /// What happened, in one or two sentences.
    pub meaning: &'static str,
    /// What to try.
    pub remedy: &'static str,
}

/// A failure with its code, place and hint. Cheap to pass around (one pointer).
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: &'static Code,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    place: Option<String>,
    retry: Option<bool>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind; `message` is the primary line: lower case, no period.
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            place: None,
            retry: None,
            source: None,
        }))
    }

    /// Adds the words of the system that refused.
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.0.detail = Some(detail.to_string());
        self
    }

    /// Adds how to mend it, in whole sentences.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds where it is: a file and line, a topic partition and offset, a query.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.place = Some(place.to_string());
        self
    }

    /// Overrides what the code says about trying again.
    pub fn with_retry(mut self, retry: bool) -> Self {
        self.0.retry = Some(retry);
        self
    }

    /// Keeps the error that caused this one, and shows its words as the detail if there is none yet.
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        if self.0.detail.is_none() {
            self.0.detail = Some(source.to_string());
        }
        self.0.source = Some(Arc::new(source));
        self
    }

    /// The kind of failure.
    pub fn code(&self) -> &'static Code {
        self.0.code
    }

    /// The primary line.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The words of the system that refused, if any.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// How to mend it: the error's own hint, else the remedy of its code.
    pub fn hint(&self) -> &str {
        self.0.hint.as_deref().unwrap_or(self.0.code.remedy)
    }

    /// Where it is, if known.
    pub fn place(&self) -> Option<&str> {
        self.0.place.as_deref()
    }

    /// True if the same attempt may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.0.retry.unwrap_or(self.0.code.retry)
    }
}

impl fmt::Display for Error {
    /// One line: `FB-1001 message (place): detail`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.code.id, self.0.message)?;
        if let Some(place) = &self.0.place {
            write!(f, " ({place})")?;
        }
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}; hint: {}", self.hint())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
