//! `/pipelines`: the one that runs in this process, and whether all is well with it.

use axum::response::Response;
use serde_json::{Value, json};

use super::reload;
use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::health;
use crate::problem::Problem;
use crate::shown::Shown;

pub(crate) async fn list(ask: Ask) -> Outcome {
    Ok(answer(&json!([pipeline(&ask.state.shown)])))
}

pub(crate) async fn one(ask: Ask) -> Result<Response, Problem> {
    let (shown, name) = (&ask.state.shown, ask.path("name"));
    if name != &*shown.pipeline {
        let hint = format!("This process runs `{}`.", shown.pipeline);
        return Err(Problem::missing(format!("no pipeline is named `{name}`")).hint(hint));
    }
    Ok(answer(&pipeline(shown)))
}

fn pipeline(shown: &Shown) -> Value {
    let problems = health::problems(shown, &shown.statuses());
    json!({
        "name": &*shown.pipeline,
        "version": shown.version,
        "startedAt": shown.started_ms,
        "status": health::word(&problems),
        "problems": problems,
        "refusedReload": reload::refused(shown),
    })
}
