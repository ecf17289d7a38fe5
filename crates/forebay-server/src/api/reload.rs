//! `/reload`: the pipeline's file, read again.

use serde_json::{Value, json};

use super::queries::error_value;
use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::shown::reload::Turned;

pub(crate) async fn reload(ask: Ask) -> Outcome {
    let done = ask.state.shown.control.reload().await?;
    let queries: Vec<Value> = done.queries.iter().map(turned).collect();
    Ok(answer(&json!({ "queries": queries, "dashboard": done.dashboard })))
}

fn turned(query: &Turned) -> Value {
    json!({
        "name": query.name,
        "fate": query.fate.word(),
        "changes": query.changes,
        "error": query.error.as_ref().map_or(Value::Null, error_value),
    })
}
