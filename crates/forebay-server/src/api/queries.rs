//! `/queries`: how each stands, its progress in Spark's format, and to stop it and start it again.

use axum::http::StatusCode;
use forebay_core::Error;
use forebay_core::progress::iso_millis;
use forebay_engine::lookup::Standing;
use forebay_engine::status::{Drift, Failures, QueryStatus, State};
use serde_json::{Value, json};

use super::ledger::with_balance;
use crate::answer::{answer, json_answer};
use crate::ask::{Ask, Outcome};
use crate::problem::Problem;

/// What stands before the names of alerts' queries.
const ALERTS: &str = "alerts/";

pub(crate) async fn list(ask: Ask) -> Outcome {
    let now = ask.state.shown.clock.now_ms();
    Ok(answer(&ask.state.shown.statuses().iter().map(|status| summary(status, now)).collect()))
}

pub(crate) async fn one(ask: Ask) -> Outcome {
    let status = find(&ask)?;
    Ok(answer(&summary(&status, ask.state.shown.clock.now_ms())))
}

/// The newest progress reports, oldest first.
pub(crate) async fn progress(ask: Ask) -> Outcome {
    Ok(answer(&find(&ask)?.recent.iter().map(|report| json!(**report)).collect()))
}

pub(crate) async fn stop(ask: Ask) -> Outcome {
    ask.state.shown.control.stop(&find(&ask)?.name).await?;
    accepted(&ask)
}

pub(crate) async fn start(ask: Ask) -> Outcome {
    ask.state.shown.control.start(&find(&ask)?.name).await?;
    accepted(&ask)
}

fn accepted(ask: &Ask) -> Outcome {
    let now = ask.state.shown.clock.now_ms();
    Ok(json_answer(StatusCode::ACCEPTED, "application/json", &summary(&find(ask)?, now)))
}

fn find(ask: &Ask) -> Result<QueryStatus, Problem> {
    let name = ask.path("name");
    let shown = &ask.state.shown;
    shown.status(name).ok_or_else(|| {
        let known: Vec<String> = shown.statuses().iter().map(|status| status.name.to_string()).collect();
        Problem::missing(format!("no query is named `{name}`"))
            .hint(format!("There are: {}.", known.join(", ")))
    })
}

/// `query` or `alert`.
pub(crate) fn kind(status: &QueryStatus) -> &'static str {
    if status.name.starts_with(ALERTS) { "alert" } else { "query" }
}

/// What keeps a query from its next epoch, in words; null while it computes one.
pub(crate) fn waiting_for(status: &QueryStatus, now_ms: i64) -> Option<String> {
    Some(match &status.state {
        State::Starting => "its source and its sink".to_owned(),
        State::Waiting => match status.next_epoch_ms.map(|next| next - now_ms).filter(|left| *left > 0) {
            Some(left) => format!("its trigger, in {:.1} s", left as f64 / 1000.0),
            None if status.lag.is_some_and(|lag| lag > 0) => "its next epoch".to_owned(),
            None => "new records".to_owned(),
        },
        State::Running => return None,
        State::Retrying { error, .. } => format!("another attempt, since {}", error.message()),
        State::Stopped { .. } => "somebody to start it".to_owned(),
        State::Failed { .. } => "somebody to mend what it failed with, and to start it".to_owned(),
    })
}

/// Records that wait for a query; null where nobody looks for them: before its first look, and once it has ended.
pub(crate) fn lag(status: &QueryStatus) -> Option<u64> {
    match status.state {
        State::Stopped { .. } | State::Failed { .. } => None,
        _ => status.lag,
    }
}

/// Since when it does not run as it should, milliseconds since 1970; null while it does.
pub(crate) fn since(status: &QueryStatus) -> Option<i64> {
    match status.state {
        State::Stopped { since_ms } | State::Failed { since_ms, .. } | State::Retrying { since_ms, .. } => {
            Some(since_ms)
        }
        State::Starting | State::Waiting | State::Running => None,
    }
}

/// The latency as milliseconds, or null.
pub(crate) fn latency(status: &QueryStatus) -> Value {
    status.latency.map_or(Value::Null, |it| json!({ "p50": it.p50_ms, "p99": it.p99_ms }))
}

/// The watermark, or null where there is none.
pub(crate) fn watermark(status: &QueryStatus) -> Option<i64> {
    status.remembered.as_ref().map(|it| it.watermark.0).filter(|ms| *ms > 0)
}

/// Bytes of memory that its state takes.
pub(crate) fn state_bytes(status: &QueryStatus) -> u64 {
    status.remembered.as_ref().map_or(0, |it| it.bytes)
}

/// What it remembers, or null.
pub(crate) fn remembers(status: &QueryStatus) -> Value {
    status.remembered.as_ref().map_or(Value::Null, |it| {
        json!({
            "keys": it.keys,
            "limit": it.limit,
            "oldest": it.oldest_us.map(|us| us.div_euclid(1_000)),
            "newest": it.newest_us.map(|us| us.div_euclid(1_000)),
            "late": status.ledger.late,
            "lateBytes": it.late_bytes,
            "ahead": it.ahead,
        })
    })
}

/// What the rows of its sources are held to, and how many failed it.
pub(crate) fn expectations(status: &QueryStatus) -> Vec<Value> {
    let told = |it: &Failures| {
        json!({
            "source": &*it.source,
            "name": &*it.expected.name,
            "onFail": it.expected.on_fail.word(),
            "failedRows": it.rows,
        })
    };
    status.expectations.iter().map(told).collect()
}

/// A saved model that it judges by, and how far its scores have moved.
fn model(model: &Drift) -> Value {
    json!({ "model": &*model.model, "drift": model.index })
}

/// A table at rest that it is joined with; its error is of a newer version, which is not taken, `since` then.
pub(crate) fn table(table: &Standing) -> Value {
    json!({
        "name": table.name,
        "version": table.version.as_ref().map(|version| &version.0),
        "rows": table.rows,
        "bytes": table.bytes,
        "error": table.error.as_ref().map_or(Value::Null, error_value),
        "since": table.broken_since_ms.map(iso_millis),
    })
}

/// The error that a person should know of, or null.
pub(crate) fn error(status: &QueryStatus) -> Value {
    status.state.error().map_or(Value::Null, error_value)
}

/// An error as an object.
pub(crate) fn error_value(error: &Error) -> Value {
    json!({
        "code": error.code().id,
        "message": error.message(),
        "detail": error.detail(),
        "hint": error.hint(),
        "place": error.place(),
    })
}

/// A query as it stands.
fn summary(status: &QueryStatus, now_ms: i64) -> Value {
    json!({
        "name": &*status.name,
        "kind": kind(status),
        "id": status.id.as_deref(),
        "runId": &*status.run_id,
        "state": status.state.word(),
        "since": since(status),
        "error": error(status),
        "waitingFor": waiting_for(status, now_ms),
        "committedEpoch": status.committed.map(|epoch| epoch.0),
        "lag": lag(status),
        "latency": latency(status),
        "watermark": watermark(status),
        "stateBytes": state_bytes(status),
        "remembers": remembers(status),
        "expectations": expectations(status),
        "models": status.models.iter().map(model).collect::<Vec<_>>(),
        "tables": status.tables.iter().map(table).collect::<Vec<_>>(),
        "ledger": with_balance(&status.ledger),
        "quarantineBytes": status.quarantine_bytes,
        "lastProgress": status.last_progress().map(|report| json!(**report)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_it_waits_for() {
        let mut status = QueryStatus::new("lake");
        status.state = State::Waiting;
        status.next_epoch_ms = Some(10_400);
        assert_eq!(waiting_for(&status, 10_000).as_deref(), Some("its trigger, in 0.4 s"));
        assert_eq!(waiting_for(&status, 10_400).as_deref(), Some("new records"));
        status.lag = Some(20);
        assert_eq!(
            waiting_for(&status, 10_400).as_deref(),
            Some("its next epoch"),
            "what waits is there already"
        );
        status.state = State::Running;
        assert_eq!((waiting_for(&status, 10_000), since(&status)), (None, None));
        status.state = State::Stopped { since_ms: 9_000 };
        assert_eq!(summary(&status, 10_000)["since"], 9_000);
    }
}
