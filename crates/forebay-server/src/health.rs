//! `/health`: 200 while all is well, 503 otherwise, and in both cases what is wrong.

use axum::http::StatusCode;
use forebay_core::progress::iso_millis;
use forebay_engine::status::{QueryStatus, State as QueryState};
use serde_json::{Value, json};

use crate::answer::json_answer;
use crate::ask::{Ask, Outcome};

pub(crate) async fn health(ask: Ask) -> Outcome {
    let shown = &ask.state.shown;
    let problems = problems(&shown.statuses());
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let health = json!({ "status": word(&problems), "pipeline": &*shown.pipeline, "problems": problems });
    Ok(json_answer(status, "application/json", &health))
}

/// What is wrong, query by query.
pub(crate) fn problems(statuses: &[QueryStatus]) -> Vec<Value> {
    statuses.iter().filter_map(problem_of).collect()
}

/// `ok` or `failing`.
pub(crate) fn word(problems: &[Value]) -> &'static str {
    if problems.is_empty() { "ok" } else { "failing" }
}

fn problem_of(status: &QueryStatus) -> Option<Value> {
    let evicted = status.quarantine_evicted;
    let (what, since, error) = match &status.state {
        QueryState::Retrying { error, since_ms, attempts } => {
            (format!("trying again, {attempts} attempts failed"), Some(*since_ms), Some(error))
        }
        QueryState::Failed { error, since_ms } => ("failed".to_owned(), Some(*since_ms), Some(error)),
        _ if evicted > 0 => {
            (format!("the quarantine is full: {evicted} of its records were dropped"), None, None)
        }
        _ => return None,
    };
    Some(json!({
        "query": &*status.name,
        "what": what,
        "since": since.map(iso_millis),
        "code": error.map(|error| error.code().id),
        "error": error.map(ToString::to_string),
        "hint": error.map(|error| error.hint()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::Error;
    use forebay_core::error::codes;

    #[test]
    fn whatever_fails_says_since_when() {
        let since_ms = 1_481_741_124_873;
        let error = Error::new(&codes::SINK_SCHEMA, "it does not fit");
        let mut status = QueryStatus::new("lake");
        assert_eq!(problem_of(&status), None);
        for state in [
            QueryState::Failed { error: error.clone(), since_ms },
            QueryState::Retrying { error, since_ms, attempts: 3 },
        ] {
            status.state = state;
            let problem = problem_of(&status).unwrap();
            assert_eq!(problem["since"], "2016-12-14T18:45:24.873Z", "{problem}");
        }
    }
}
