//! What stands around every route: who may address the server at all, and the headers that every answer carries.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Held};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use forebay_core::error::codes;

use crate::access::Terms;
use crate::problem::Problem;
use crate::routes::{self, Part};
use crate::state::Stage;

/// Longest path with its parameters: an SQL text of 12,000 letters, escaped in part.
const MOST_URI: usize = 32 << 10;

/// The routes of a listener behind the guard.
pub(crate) fn router(stage: &Stage, terms: &Arc<Terms>, part: Part) -> Router {
    routes::router(stage, terms, part)
        .fallback(move || async move {
            let missing = Problem::missing("there is nothing at this path");
            missing.hint(part.hint()).into_response()
        })
        .method_not_allowed_fallback(async || {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Problem::new(status, &codes::HTTP, "this path does not take this method").into_response()
        })
        .layer(middleware::from_fn_with_state(Arc::clone(terms), guard))
        .layer(middleware::map_response_with_state(stage.clone(), count))
}

async fn count(Held(stage): Held<Stage>, response: Response) -> Response {
    stage.now().common.answers.count(response.status());
    response
}

async fn guard(Held(terms): Held<Arc<Terms>>, request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let mut response = match terms.host(request.headers()) {
        Err(problem) => problem.into_response(),
        Ok(()) if length > MOST_URI => {
            let status = StatusCode::URI_TOO_LONG;
            let problem =
                Problem::new(status, &codes::TOO_LARGE, format!("the path is longer than {MOST_URI} bytes"));
            problem.hint("Send long SQL as the body of POST /api/v1/sql.").into_response()
        }
        Ok(()) => next.run(request).await,
    };
    close(response.headers_mut());
    if terms.tls && !terms.loopback {
        // Not for `localhost`: the word would hold for every other server of this machine.
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, A_YEAR);
    }
    response
}

/// For how long browsers come back with TLS alone.
const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Sets what no route has set otherwise: nothing is kept, guessed, framed or loaded.
fn close(headers: &mut HeaderMap) {
    const STRICT: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in STRICT {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
