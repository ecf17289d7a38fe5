//! What Forebay shows of itself over HTTP: health, metrics, and the state of every query.
//!
//! Read-only. It watches [`forebay_engine::status::QueryStatus`] values that the queries publish and never asks them
//! anything, so a slow or hostile client cannot touch the stream. What must stay true: it listens on loopback only,
//! because it has neither authentication nor TLS yet, and it answers only requests whose `Host` is a loopback name
//! (a page in a browser cannot reach it by rebinding a name).
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

mod api;
pub mod grafana;
mod health;
mod metrics;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_engine::status::QueryStatus;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Largest time that a request may take, from its first byte to its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What the server shows.
#[derive(Clone)]
pub struct Shown {
    /// The pipeline's name.
    pub pipeline: Arc<str>,
    /// The version of Forebay.
    pub version: &'static str,
    /// The status of each query, in the order of the file.
    pub queries: Arc<[watch::Receiver<QueryStatus>]>,
}

impl Shown {
    /// The queries as of now.
    fn statuses(&self) -> Vec<QueryStatus> {
        self.queries.iter().map(|query| query.borrow().clone()).collect()
    }
}

/// The bound server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens on `address`, which must be a loopback address. Port 0 takes any free port.
    pub async fn bind(address: SocketAddr) -> Result<Self> {
        if !address.ip().is_loopback() {
            let message = format!("{address} is not a loopback address");
            return Err(Error::new(&codes::ADDRESS, message).with_hint(
                "The HTTP server has no authentication and no TLS yet, so it listens on 127.0.0.1 or [::1] only; put a proxy that has both in front of it.",
            ));
        }
        let failed = |e| {
            Error::new(&codes::ADDRESS, format!("cannot listen on {address}")).caused_by(e).with_hint(
                "Another program listens there. Stop it, or choose another address with `--http`, for example `--http 127.0.0.1:8081`.",
            )
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`.
    pub async fn run(self, shown: Shown, stop: CancellationToken) -> std::io::Result<()> {
        axum::serve(self.listener, router(shown))
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await
    }
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/", get(api::end_points))
        .route("/api/v1", get(api::end_points))
        .route("/api/v1/", get(api::end_points))
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/pipeline", get(api::pipeline))
        .route("/api/v1/queries", get(api::queries))
        .route("/api/v1/queries/{name}", get(api::query))
        .route("/api/v1/queries/{name}/progress", get(api::progress))
        .route("/api/v1/ledger", get(api::ledger))
        .fallback(async || problem(StatusCode::NOT_FOUND, "no such resource; /api/v1 lists what there is"))
        .method_not_allowed_fallback(async || {
            problem(StatusCode::METHOD_NOT_ALLOWED, "this resource is read-only")
        })
        .layer(middleware::from_fn(guard))
        .with_state(shown)
}

/// Checks the `Host` header, bounds the time, and sets the headers that every answer carries.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut response = if host.is_some_and(is_loopback_host) {
        match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
            Ok(response) => response,
            Err(_) => problem(StatusCode::GATEWAY_TIMEOUT, "the request took too long"),
        }
    } else {
        problem(StatusCode::FORBIDDEN, "the Host header does not name this machine's loopback address")
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An error as `application/problem+json` (RFC 9457).
fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
        "code": codes::HTTP.id,
    });
    json_answer(status, "application/problem+json", &body)
}

/// An answer that is all well.
fn answer(body: &Value) -> Response {
    json_answer(StatusCode::OK, "application/json", body)
}

/// JSON, with a line break at its end: what `curl` shows ends where the next prompt begins.
fn json_answer(status: StatusCode, kind: &'static str, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_pass() {
        for good in ["localhost", "localhost:8080", "127.0.0.1:1", "127.8.8.8", "[::1]:8080"] {
            assert!(is_loopback_host(good), "{good}");
        }
        for bad in
            ["", "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "[fe80::1]"]
        {
            assert!(!is_loopback_host(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_open_address_is_refused() {
        let refused = Server::bind("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
        assert_eq!(refused.code(), &codes::ADDRESS);
    }
}
