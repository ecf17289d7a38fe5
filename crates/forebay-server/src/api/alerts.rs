//! `/alerts`: what opened and cleared, newest first.

use serde_json::json;

use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::paging;
use crate::shown::alerts::Which;

pub(crate) async fn list(ask: Ask) -> Outcome {
    let (alerts, given) = (&ask.state.shown.alerts, &ask.given);
    let state = given.word("state");
    let which = match state {
        "open" => Which::Open,
        "cleared" => Which::Cleared,
        _ => Which::All,
    };
    let list = format!("alerts {state}");
    let after = paging::parts::<1>(&list, given.text("cursor"))?.map(|[id]| id);
    let limit = given.integer("limit");
    let mut found = alerts.list(which, after.as_deref(), limit + 1);
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more);
    Ok(answer(&json!({
        "open": alerts.open().total(),
        "alerts": found,
        "next": last.map(|alert| paging::cursor(&list, &[&alert.id])),
    })))
}
