//! `/api/v1`: queries, their progress in Spark's format, the ledger.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use forebay_core::Ledger;
use forebay_engine::status::QueryStatus;
use serde_json::{Value, json};

use crate::{Shown, answer, problem};

/// Every end point and what it answers, for whoever tries the root.
const END_POINTS: [(&str, &str); 7] = [
    ("/health", "200 while all is well, else 503 and what is wrong"),
    ("/metrics", "counts and gauges for Prometheus"),
    ("/api/v1/pipeline", "the pipeline's name, version and queries"),
    ("/api/v1/queries", "each query: state, error, lag, ledger, last progress"),
    ("/api/v1/queries/{name}", "one of them"),
    ("/api/v1/queries/{name}/progress", "its newest progress reports, in Spark's format"),
    ("/api/v1/ledger", "where every record went, by query, and their sum"),
];

pub(crate) async fn end_points(State(shown): State<Shown>) -> Response {
    let list: serde_json::Map<String, Value> =
        END_POINTS.iter().map(|(path, what)| ((*path).to_owned(), (*what).into())).collect();
    answer(&json!({ "pipeline": &*shown.pipeline, "endPoints": list }))
}

pub(crate) async fn pipeline(State(shown): State<Shown>) -> Response {
    let queries: Vec<_> = shown.statuses().iter().map(|status| status.name.to_string()).collect();
    answer(&json!({ "name": &*shown.pipeline, "version": shown.version, "queries": queries }))
}

pub(crate) async fn queries(State(shown): State<Shown>) -> Response {
    answer(&shown.statuses().iter().map(summary).collect())
}

pub(crate) async fn query(State(shown): State<Shown>, Path(name): Path<String>) -> Response {
    match find(&shown, &name) {
        Some(status) => answer(&summary(&status)),
        None => not_found(&name),
    }
}

/// The newest progress reports, oldest first.
pub(crate) async fn progress(State(shown): State<Shown>, Path(name): Path<String>) -> Response {
    match find(&shown, &name) {
        Some(status) => answer(&status.recent.iter().map(|report| json!(**report)).collect()),
        None => not_found(&name),
    }
}

/// What a ledger's reader may take for something else.
const LEDGER_NOTE: &str = "All counts are since the query's first epoch. `total` adds the queries together: a record that two of \
     them read counts twice. `quarantined` counts records as they are set aside, also those that were replayed or dropped \
     since; `forebay quarantine ls` lists those that are open.";

/// The ledger of each query and of all together.
pub(crate) async fn ledger(State(shown): State<Shown>) -> Response {
    let mut total = Ledger::default();
    let mut queries = serde_json::Map::new();
    for status in shown.statuses() {
        total.add(&status.ledger);
        queries.insert(status.name.to_string(), with_balance(&status.ledger));
    }
    answer(&json!({ "total": with_balance(&total), "queries": queries, "note": LEDGER_NOTE }))
}

fn find(shown: &Shown, name: &str) -> Option<QueryStatus> {
    shown.statuses().into_iter().find(|status| &*status.name == name)
}

fn not_found(name: &str) -> Response {
    problem(StatusCode::NOT_FOUND, &format!("no query is named `{name}`"))
}

fn with_balance(ledger: &Ledger) -> Value {
    let mut value = json!(ledger);
    value["balances"] = ledger.balances().into();
    value
}

fn summary(status: &QueryStatus) -> Value {
    let error = status.state.error().map(|error| {
        json!({ "code": error.code().id, "message": error.message(), "detail": error.detail(), "hint": error.hint(), "place": error.place() })
    });
    json!({
        "name": &*status.name,
        "id": status.id.as_deref(),
        "runId": &*status.run_id,
        "state": status.state.word(),
        "error": error,
        "committedEpoch": status.committed.map(|epoch| epoch.0),
        "lag": status.lag,
        "ledger": with_balance(&status.ledger),
        "quarantineBytes": status.quarantine_bytes,
        "lastProgress": status.last_progress().map(|report| json!(**report)),
    })
}
