//! From a request to its handler and back, the same way for every route.
//!
//! ```text
//! guard (host, length) ─▶ admit ─▶ parameters ─▶ body ─▶ a turn ─▶ handler ─▶ answer or problem
//!                                                10 s   └─ the route's patience ─┘
//! ```
//!
//! What must stay true: a request holds a turn and a bounded piece of memory for a bounded time, whatever its sender
//! does, and a turn only once all of it has arrived; what watches the server itself has turns of its own, so it is answered
//! also when all others are taken. A stream of events gives its turn back once it is open; [`crate::live`] bounds the rest.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Query, RawPathParams, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use forebay_core::error::codes;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;

use crate::admit::Admitted;
use crate::api::ingest;
use crate::body::{self, Read};
use crate::params::Given;
use crate::places::Holder;
use crate::problem::Problem;
use crate::routes::Route;
use crate::state::State;

/// How long a request waits for its turn when all are taken.
const TURN: Duration = Duration::from_secs(2);

/// A request that was let through.
pub(crate) struct Ask {
    pub state: Arc<State>,
    pub admitted: Admitted,
    pub headers: HeaderMap,
    pub given: Given,
    /// The connection that it came over, if it did.
    pub holder: Option<Holder>,
    path: Vec<(String, String)>,
    body: Read,
}

/// What comes of it.
pub(crate) type Outcome = Result<Response, Problem>;

/// What answers a request of one route.
pub(crate) type Handler = fn(Ask) -> BoxFuture<'static, Outcome>;

/// How long a request may take once it has arrived, and whose turns it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Answered from memory or a few files.
    Short,
    /// A statement: its own limit of ten seconds, and the time it waits for its turn.
    Statement,
    /// As short, with turns aside: it watches the server itself.
    Aside,
    /// The file is read again: each query that changed ends its epoch before it is answered. What was begun is done
    /// also if it takes longer.
    Reload,
    /// A stream of events: so long until it is open.
    Endless,
    /// What devices post: until the log has told. Its turns are those of its gateway, so a slow log keeps no page waiting.
    Ingest,
}

impl Patience {
    fn limit(self) -> Duration {
        match self {
            Self::Short | Self::Aside | Self::Endless => Duration::from_secs(10),
            Self::Statement => Duration::from_secs(20),
            Self::Reload | Self::Ingest => Duration::from_secs(60),
        }
    }
}

impl Ask {
    /// A part of the path.
    pub fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as it came.
    pub fn take_body(&mut self) -> Read {
        std::mem::take(&mut self.body)
    }

    /// The body, read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body.bytes).map_err(|error| {
            Problem::bad(format!("the body is not what is expected here: {error}"))
                .hint("GET /api/v1/openapi.json describes it.")
        })
    }
}

/// Serves a request of a route that was [admitted](crate::admit).
pub(crate) async fn serve(route: &'static Route, state: Arc<State>, request: Request) -> Response {
    answer(route, state, request).await.unwrap_or_else(Problem::into_response)
}

async fn answer(route: &'static Route, state: Arc<State>, request: Request) -> Outcome {
    let (mut parts, body) = request.into_parts();
    let admitted = parts.extensions.remove().ok_or_else(|| Problem::sign_in("nobody was let in"))?;
    let path = RawPathParams::from_request_parts(&mut parts, &()).await;
    let path = path.map_err(|_| Problem::bad("the path is not UTF-8"))?;
    let path: Vec<(String, String)> =
        path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let Query(sent) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|_| Problem::bad("what stands behind the `?` cannot be read"))?;
    let given = Given::check(route.parameters, sent)?;
    let holder = parts.extensions.remove::<Holder>();
    let mut whole = Read::default();
    if route.patience == Patience::Ingest {
        let name = path.iter().find(|(known, _)| known == "gateway").map_or("", |(_, value)| value);
        let most = ingest::gateway(&state.shown.gateways, name)?.limits().body;
        holder.iter().for_each(Holder::waits);
        whole = body::read_any(&parts.headers, body, most, &state.common.bodies, body::TIME).await?;
        holder.iter().for_each(Holder::is_served);
    } else if route.body.is_some() {
        holder.iter().for_each(Holder::waits);
        whole = body::read(&parts.headers, body, body::most(route.role), &state.common.bodies, body::TIME)
            .await?;
        holder.iter().for_each(Holder::is_served);
    }
    if route.patience == Patience::Ingest {
        let ask = Ask { state, admitted, headers: parts.headers, given, holder, path, body: whole };
        let answered = tokio::time::timeout(route.patience.limit(), (route.handler)(ask)).await;
        return answered.unwrap_or_else(|_| Err(too_long()));
    }
    let turns = if route.patience == Patience::Aside { &state.common.aside } else { &state.turns };
    let turns = Arc::clone(turns);
    let ask = Ask { state, admitted, headers: parts.headers, given, holder, path, body: whole };
    let answered = async {
        let turn = tokio::time::timeout(TURN, turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Problem::busy("too many requests are being served"));
        };
        (route.handler)(ask).await
    };
    tokio::time::timeout(route.patience.limit(), answered).await.unwrap_or_else(|_| Err(too_long()))
}

fn too_long() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, &codes::TOO_SLOW, "the request took too long")
}
