//! `/reload`: the pipeline's file, read again; and what is said as long as the file that is there is refused.

use forebay_core::progress::iso_millis;
use serde_json::{Value, json};

use super::queries::error_value;
use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::shown::Shown;
use crate::shown::reload::{RefusedFile, Turned};

pub(crate) async fn reload(ask: Ask) -> Outcome {
    let by = match ask.admitted.asker.person() {
        Some(person) => format!("POST /api/v1/reload of {}", person.name),
        None => "POST /api/v1/reload".to_owned(),
    };
    let done = ask.state.shown.control.reload(&by).await?;
    let queries: Vec<Value> = done.queries.iter().map(turned).collect();
    Ok(answer(&json!({ "queries": queries, "dashboard": done.dashboard })))
}

/// The file that was refused last, or null.
pub(crate) fn refused(shown: &Shown) -> Value {
    let refused = shown.refused.borrow().clone();
    refused.map_or(Value::Null, |refused| {
        let RefusedFile { by, at_ms, why, first } = &*refused;
        json!({
            "by": by,
            "since": iso_millis(*at_ms),
            "what": why,
            "code": first.code().id,
            "error": first.to_string(),
            "hint": first.hint(),
        })
    })
}

fn turned(query: &Turned) -> Value {
    json!({
        "name": query.name,
        "fate": query.fate.word(),
        "changes": query.changes,
        "error": query.error.as_ref().map_or(Value::Null, error_value),
    })
}
