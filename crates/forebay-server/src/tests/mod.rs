//! Every route, asked over a router with a plant in memory behind it; every answer is held against the document.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::access::Terms;
use crate::openapi::{self, validate};
use crate::routes::{Answer, Part, ROUTES, Route};
use crate::state::{Stage, State};

mod access;
mod devices;
mod encrypted;
pub(crate) mod plant;
mod routes;
mod serving;
pub(crate) mod sessions;
mod silences;

use plant::Plant;

/// A server over a plant.
pub(crate) struct Asked {
    pub plant: Arc<Plant>,
    pub state: Arc<State>,
    pub stage: Stage,
    pub stop: CancellationToken,
    router: Router,
}

/// An answer.
pub(crate) struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

impl Asked {
    /// As without `--auth`: for this machine alone.
    pub fn new() -> Self {
        Self::on(Terms { auth: None, tls: false, loopback: true }, Part::All)
    }

    pub fn on(terms: Terms, part: Part) -> Self {
        let plant = Plant::new();
        let stop = CancellationToken::new();
        let stage = Stage::new(plant.shown(), stop.clone());
        let router = crate::guard::router(&stage, &Arc::new(terms), part);
        Self { plant, router, state: stage.now(), stage, stop }
    }

    /// Sends a request with these headers and no others.
    pub async fn send(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> axum::response::Response {
        self.send_body(verb, path, headers, Body::from(body.to_owned())).await
    }

    /// The same with any body.
    pub fn send_body(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> impl Future<Output = axum::response::Response> + Send + use<> {
        let mut request = Request::builder().method(verb).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answered = self.router.clone().oneshot(request.body(body).unwrap());
        async { answered.await.unwrap() }
    }

    /// The whole answer.
    pub async fn ask(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let (parts, body) = self.send(verb, path, headers, body).await.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let got = Got { status: parts.status, headers: parts.headers, text };
        held_against_document(verb, path, &got);
        got
    }

    pub async fn get(&self, path: &str) -> Got {
        self.ask("GET", path, &[("host", "localhost")], "").await
    }

    /// A request that may change something.
    pub async fn post(&self, path: &str, body: &str) -> Got {
        let headers =
            [("host", "localhost"), ("x-forebay", "1"), ("content-type", "application/json; charset=utf-8")];
        self.ask("POST", path, &headers, body).await
    }
}

/// Panics unless the answer is one that the document describes.
fn held_against_document(verb: &str, path: &str, got: &Got) {
    let document = openapi::document("test");
    let check = |schema: &str| {
        let schema = serde_json::json!({ "$ref": format!("#/components/schemas/{schema}") });
        let wrong = validate::wrong(&document, &schema, &got.json(), "$");
        assert_eq!(wrong, None, "{verb} {path}: {}", got.text);
        assert!(got.text.ends_with('\n'), "{verb} {path}");
    };
    let route = ROUTES.iter().find(|route| is_of(route, verb, path));
    let answers = match route.map(|route| route.answer) {
        Some(Answer::Json(schema) | Answer::Tagged(schema)) => (StatusCode::OK, Some(schema)),
        Some(Answer::Accepted(schema)) => (StatusCode::ACCEPTED, Some(schema)),
        Some(Answer::Health(schema)) if got.status == StatusCode::SERVICE_UNAVAILABLE => {
            (got.status, Some(schema))
        }
        Some(Answer::Health(schema)) => (StatusCode::OK, Some(schema)),
        Some(Answer::Other(_)) => (StatusCode::OK, None),
        Some(Answer::Nothing) => (StatusCode::NO_CONTENT, None),
        None => (StatusCode::NOT_IMPLEMENTED, None),
    };
    match answers {
        (status, Some(schema)) if status == got.status => check(schema),
        (status, None) if status == got.status => {}
        _ if got.status == StatusCode::NOT_MODIFIED => assert!(got.text.is_empty()),
        _ => {
            assert_eq!(
                got.headers["content-type"], "application/problem+json",
                "{verb} {path}: {}",
                got.text
            );
            check("Problem");
        }
    }
}

fn is_of(route: &Route, verb: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let (asked, known): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), route.path.split('/').collect());
    let fits = |(asked, known): (&&str, &&str)| asked == known || known.starts_with('{');
    route.verb.word() == verb && asked.len() == known.len() && asked.iter().zip(&known).all(fits)
}
