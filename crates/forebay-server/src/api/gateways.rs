//! `GET /api/v1/gateways`: the gateways, what they counted, and how those stand that go to somebody by themselves.

use forebay_core::progress::iso_millis;
use forebay_gateway::State;
use serde_json::{Map, Value, json};

use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::shown::gateways::Gateway;

pub(crate) async fn list(ask: Ask) -> Outcome {
    let all: Vec<Value> = ask.state.shown.gateways.all.iter().map(one).collect();
    Ok(answer(&Value::Array(all)))
}

fn one(gateway: &Gateway) -> Value {
    let counts: Map<String, Value> =
        gateway.counts.counts().into_iter().map(|(what, count)| (what.to_owned(), count.into())).collect();
    json!({
        "name": gateway.name,
        "format": gateway.format,
        "address": gateway.address.map(|address| address.to_string()),
        "counts": counts,
        "state": gateway.counts.state().map(|state| of(&state)),
    })
}

fn of(state: &State) -> Value {
    json!({
        "up": state.is_up,
        "since": (state.since > 0).then(|| iso_millis(state.since)),
        "problem": state.problem.as_ref().map(|error| json!({
            "code": error.code().id,
            "message": error.message(),
            "detail": error.detail(),
            "hint": error.hint(),
        })),
    })
}
