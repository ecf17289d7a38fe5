//! `/health`: 200 while all is well, 503 otherwise, and to whom may look in both cases what is wrong, and whether the file
//! that is there was refused.

use axum::http::StatusCode;
use forebay_core::progress::iso_millis;
use forebay_engine::status::{QueryStatus, State as QueryState};
use forebay_gateway::State;
use serde_json::{Value, json};

use crate::access::Role;
use crate::answer::json_answer;
use crate::api::{channels, queries, reload};
use crate::ask::{Ask, Outcome};
use crate::shown::Shown;
use crate::shown::devices::FollowerStatus;

pub(crate) async fn health(ask: Ask) -> Outcome {
    let shown = &ask.state.shown;
    let problems = problems(shown, &shown.statuses());
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut health = json!({ "status": word(&problems) });
    // Errors name topics, columns and addresses.
    if ask.admitted.asker.role() >= Role::Viewer {
        health["pipeline"] = json!(&*shown.pipeline);
        health["problems"] = json!(problems);
        // No problem of what runs: whoever restarts what is not well would end a pipeline that nothing is wrong with.
        health["refusedReload"] = reload::refused(shown);
        health["brokenTables"] = json!(broken_tables(&shown.statuses()));
        // Nor is a receiver that is away: what it is to be told waits for it.
        health["failingChannels"] = json!(channels::down(shown));
    }
    Ok(json_answer(status, "application/json", &health))
}

/// What is wrong: query by query, then gateways, then source by source.
pub(crate) fn problems(shown: &Shown, statuses: &[QueryStatus]) -> Vec<Value> {
    let sources = shown.devices.sources();
    let histories = sources.iter().filter_map(|source| unsaved(source.name(), &source.follower()));
    let gateways =
        shown.gateways.all.iter().filter_map(|gateway| cut_off(&gateway.name, &gateway.counts.state()?));
    statuses.iter().filter_map(problem_of).chain(gateways).chain(histories).collect()
}

/// A gateway that goes to a broker or a port and does not reach it: nothing comes in by it.
fn cut_off(gateway: &str, state: &State) -> Option<Value> {
    if state.is_up || state.since == 0 {
        return None;
    }
    let error = state.problem.as_ref();
    Some(json!({
        "query": null,
        "source": null,
        "gateway": gateway,
        "what": "the gateway has no connection; it is tried again",
        "since": iso_millis(state.since),
        "code": error.map(|error| error.code().id),
        "error": error.map(ToString::to_string),
        "hint": error.map(|error| error.hint()),
    }))
}

/// Tables at rest of which a newer version cannot be read, by query. No problem of what runs either: it goes on with the last
/// good version, and a start would be refused.
pub(crate) fn broken_tables(statuses: &[QueryStatus]) -> Vec<Value> {
    let broken = statuses.iter().flat_map(|status| {
        let tables = status.tables.iter().filter(|table| table.error.is_some());
        tables.map(|table| {
            let mut told = queries::table(table);
            told["query"] = json!(&*status.name);
            told
        })
    });
    broken.collect()
}

/// The history of a source that is not saved.
fn unsaved(source: &str, status: &FollowerStatus) -> Option<Value> {
    let (error, since) = status.unsaved.as_ref()?;
    Some(json!({
        "query": null,
        "source": source,
        "gateway": null,
        "what": "the history of the live page is not saved",
        "since": iso_millis(*since),
        "code": error.code().id,
        "error": error.to_string(),
        "hint": error.hint(),
    }))
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
        "source": null,
        "gateway": null,
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
        let error = Error::new(&codes::STORAGE, "the disk is full");
        let status = FollowerStatus { unsaved: Some((error, since_ms)), ..FollowerStatus::default() };
        let problem = unsaved("iot", &status).unwrap();
        assert_eq!((&problem["source"], &problem["code"]), (&"iot".into(), &"FB-5005".into()));
        assert_eq!(problem["since"], "2016-12-14T18:45:24.873Z", "{problem}");
        assert_eq!(unsaved("iot", &FollowerStatus::default()), None);
        let error = Error::new(&codes::SOURCE_UNAVAILABLE, "nobody is there");
        let mut state = State { is_up: false, since: since_ms, problem: Some(error) };
        let problem = cut_off("hall", &state).unwrap();
        assert_eq!((&problem["gateway"], &problem["code"]), (&"hall".into(), &"FB-2001".into()));
        assert_eq!(problem["since"], "2016-12-14T18:45:24.873Z", "{problem}");
        state.is_up = true;
        assert_eq!(cut_off("hall", &state), None);
        assert_eq!(cut_off("hall", &State::default()), None, "it was not tried yet");
    }
}
