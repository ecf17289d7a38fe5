//! Refusals as `application/problem+json` (RFC 9457), with Forebay's code and hint.
//!
//! Which status a failure has follows from its code, here and nowhere else.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use forebay_core::error::{Fault, codes};
use forebay_core::{Error, error::Code};
use serde_json::{Value, json};

use crate::answer::json_answer;
use crate::api::queries::error_value;
use crate::shown::{NotReloaded, sql};

/// A request that is not served.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: Error,
    /// Line and column in the SQL that was sent.
    place: Option<(usize, usize)>,
    /// In how many seconds another attempt may be worth it, where there are too many.
    wait_seconds: u64,
    /// Each thing that is wrong, where one request has several.
    problems: Vec<Error>,
    /// What became of each message of a post, where not all of them were taken.
    messages: Vec<Value>,
}

impl Problem {
    /// A refusal with a status of its own.
    pub fn new(status: StatusCode, code: &'static Code, message: impl Into<String>) -> Self {
        Self::of(status, Error::new(code, message))
    }

    fn of(status: StatusCode, error: Error) -> Self {
        Self { status, error, place: None, wait_seconds: 1, problems: Vec::new(), messages: Vec::new() }
    }

    /// A request that is not as the document says.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, &codes::HTTP, message)
    }

    /// Something that is not there.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, &codes::NO_RESOURCE, message)
    }

    /// A request from where nobody may ask.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, &codes::DENIED, message)
    }

    /// A request of somebody who must say who they are.
    pub fn sign_in(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, &codes::SIGN_IN, message)
    }

    /// Too many from one place.
    pub fn too_many(message: impl Into<String>, wait_seconds: u64) -> Self {
        let refused = Self::new(StatusCode::TOO_MANY_REQUESTS, &codes::BUSY, message);
        Self { wait_seconds, ..refused }.hint(format!("Try again in {wait_seconds} seconds."))
    }

    /// One too many.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, &codes::BUSY, message)
    }

    /// Adds how to mend it, in whole sentences.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.with_hint(hint);
        self
    }

    /// What became of each message of a post.
    pub fn with_messages(mut self, messages: Vec<Value>) -> Self {
        self.messages = messages;
        self
    }

    /// The answer.
    pub fn into_response(self) -> Response {
        let Self { status, error, place, wait_seconds, problems, messages } = self;
        let message = match (error.place(), error.detail()) {
            (None, None) => error.message().to_owned(),
            (Some(place), None) => format!("{} ({place})", error.message()),
            (None, Some(detail)) => format!("{}: {detail}", error.message()),
            (Some(place), Some(detail)) => format!("{} ({place}): {detail}", error.message()),
        };
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("refused"),
            "status": status.as_u16(),
            "detail": message,
            "code": error.code().id,
            "hint": error.hint(),
        });
        if let Some((line, column)) = place {
            body["place"] = json!({ "line": line, "column": column });
        }
        if !problems.is_empty() {
            body["problems"] = problems.iter().map(error_value).collect();
        }
        if !messages.is_empty() {
            body["messages"] = messages.into();
        }
        let mut response = json_answer(status, "application/problem+json", &body);
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, wait_seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer realm=\"forebay\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            let headers = response.headers_mut();
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = error.code();
        let status = if code == &codes::NO_RESOURCE || code == &codes::QUARANTINE_NOT_FOUND {
            StatusCode::NOT_FOUND
        } else if code == &codes::CONFLICT
            || code == &codes::CHECKPOINT_LOCKED
            || code == &codes::NOT_WHILE_RUNNING
        {
            StatusCode::CONFLICT
        } else if code == &codes::DENIED {
            StatusCode::FORBIDDEN
        } else if code == &codes::BUSY {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            match code.fault {
                Fault::User => StatusCode::BAD_REQUEST,
                Fault::External => StatusCode::SERVICE_UNAVAILABLE,
                Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            }
        };
        Self::of(status, error)
    }
}

impl From<NotReloaded> for Problem {
    fn from(refused: NotReloaded) -> Self {
        Self { problems: refused.problems, ..Self::from(refused.error) }
    }
}

impl From<sql::Refused> for Problem {
    fn from(refused: sql::Refused) -> Self {
        Self { place: refused.place, ..Self::from(refused.error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_fault_it_is_decides_the_status() {
        for (code, status) in [
            (&codes::SQL_SYNTAX, 400),
            (&codes::QUERY_LIMIT, 400),
            (&codes::NO_RESOURCE, 404),
            (&codes::QUARANTINE_NOT_FOUND, 404),
            (&codes::CONFLICT, 409),
            (&codes::BUSY, 429),
            (&codes::INTERNAL, 500),
            (&codes::SOURCE_UNAVAILABLE, 503),
        ] {
            assert_eq!(Problem::from(Error::new(code, "so")).status.as_u16(), status, "{}", code.id);
        }
    }
}
