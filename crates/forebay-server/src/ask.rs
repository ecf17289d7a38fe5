//! From a request to its handler and back, the same way for every route.
//!
//! ```text
//! guard (host, length) ─▶ a turn ─▶ access ─▶ parameters ─▶ body ─▶ handler ─▶ answer or problem
//!                        └──────────────── the route's patience ───────────────┘
//! ```
//!
//! What must stay true: a request holds a turn and a bounded piece of memory for a bounded time, whatever its sender
//! does; only a stream has no end of its own, and [`crate::live`] bounds that.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Query, RawPathParams, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use forebay_core::error::codes;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;

use crate::access;
use crate::params::Given;
use crate::problem::Problem;
use crate::routes::Route;
use crate::state::State;

/// Largest body: SQL texts are bounded by the same.
const MAX_BODY: usize = 1 << 20;
/// How long a request waits for its turn when all are taken.
const TURN: Duration = Duration::from_secs(2);

/// A request that was let through.
pub(crate) struct Ask {
    pub state: Arc<State>,
    pub headers: HeaderMap,
    pub given: Given,
    path: Vec<(String, String)>,
    body: Bytes,
}

/// What comes of it.
pub(crate) type Outcome = Result<Response, Problem>;

/// What answers a request of one route.
pub(crate) type Handler = fn(Ask) -> BoxFuture<'static, Outcome>;

/// How long a request may take, from its first byte to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Answered from memory or a few files.
    Short,
    /// A statement: its own limit of ten seconds, and the time it waits for its turn.
    Statement,
    /// A stream of events.
    Endless,
}

impl Patience {
    fn limit(self) -> Option<Duration> {
        match self {
            Self::Short => Some(Duration::from_secs(10)),
            Self::Statement => Some(Duration::from_secs(20)),
            Self::Endless => None,
        }
    }
}

impl Ask {
    /// A part of the path.
    pub fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body, read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Problem::bad(format!("the body is not what is expected here: {error}"))
                .hint("GET /api/v1/openapi.json describes it.")
        })
    }
}

/// Serves a request of a route.
pub(crate) async fn serve(route: &'static Route, state: Arc<State>, request: Request) -> Response {
    let outcome = match route.patience.limit() {
        None => answer(route, state, request).await,
        Some(limit) => {
            let answered = async {
                let turns = Arc::clone(&state.turns);
                let turn = tokio::time::timeout(TURN, turns.acquire_owned()).await;
                let Ok(Ok(_turn)) = turn else {
                    return Err(Problem::busy("too many requests are being served"));
                };
                answer(route, state, request).await
            };
            tokio::time::timeout(limit, answered).await.unwrap_or_else(|_| {
                let status = StatusCode::REQUEST_TIMEOUT;
                Err(Problem::new(status, &codes::HTTP, "the request took too long"))
            })
        }
    };
    outcome.unwrap_or_else(Problem::into_response)
}

async fn answer(route: &'static Route, state: Arc<State>, request: Request) -> Outcome {
    let (mut parts, body) = request.into_parts();
    access::check(route.role, &parts.headers)?;
    let path = RawPathParams::from_request_parts(&mut parts, &()).await;
    let path = path.map_err(|_| Problem::bad("the path is not UTF-8"))?;
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let Query(sent) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|_| Problem::bad("what stands behind the `?` cannot be read"))?;
    let given = Given::check(route.parameters, sent)?;
    let body = match route.body {
        Some(_) => read(&parts.headers, body).await?,
        None => Bytes::new(),
    };
    (route.handler)(Ask { state, headers: parts.headers, given, path, body }).await
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, &codes::HTTP, "the body must be application/json")
            .hint("Send the header `Content-Type: application/json`."));
    }
    let too_large = || {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Problem::new(status, &codes::HTTP, format!("the body is longer than {MAX_BODY} bytes"))
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse().ok()).is_some_and(|length: usize| length > MAX_BODY) {
        return Err(too_large());
    }
    axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| too_large())
}
