//! `/sql`: one SELECT, and its rows.

use std::time::Instant;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ask::{Ask, Outcome};
use crate::problem::Problem;
use crate::routes::MOST_ROWS;
use crate::shown::sql::Rows;

/// The body of a POST.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    sql: String,
    limit: Option<u64>,
}

/// Rows when nobody says how many.
const DEFAULT_ROWS: u64 = 1_000;

pub(crate) async fn get(ask: Ask) -> Outcome {
    run(&ask, ask.given.text("q"), ask.given.integer("limit")).await
}

pub(crate) async fn post(ask: Ask) -> Outcome {
    let Statement { sql, limit } = ask.json()?;
    let limit = limit.unwrap_or(DEFAULT_ROWS);
    if !(1..=MOST_ROWS).contains(&limit) {
        return Err(Problem::bad(format!("`limit` takes a whole number from 1 to {MOST_ROWS}")));
    }
    run(&ask, &sql, usize::try_from(limit).unwrap_or(usize::MAX)).await
}

async fn run(ask: &Ask, sql: &str, rows: usize) -> Outcome {
    let started = Instant::now();
    let rows = ask.state.shown.sql.ask(sql, rows).await?;
    Ok(written(&rows, started.elapsed().as_millis()))
}

/// Names and types.
pub(super) fn columns(columns: &[(String, String)]) -> Value {
    columns.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect()
}

/// The answer around the rows, which are JSON already.
fn written(rows: &Rows, millis: u128) -> Response {
    let columns = columns(&rows.columns);
    let (json, count, truncated) = (&rows.json, rows.count, rows.truncated);
    let body = format!(
        "{{\"columns\":{columns},\"rows\":{json},\"rowCount\":{count},\"truncated\":{truncated},\"millis\":{millis}}}\n"
    );
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
