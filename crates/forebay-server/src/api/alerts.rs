//! `/alerts`: what opened and cleared, newest first; and what people do with what is open.
//!
//! What a person does is durable before it is answered, so it is done on a thread that may wait. Who it was is whom the token or
//! the session names.

use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde::Deserialize;
use serde_json::json;

use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::paging;
use crate::problem::Problem;
use crate::shown::alerts::{Alert, Alerts, Place, Remark, Wanted, Which};

pub(crate) async fn list(ask: Ask) -> Outcome {
    let (alerts, given) = (&ask.state.shown.alerts, &ask.given);
    let words = [given.word("state"), given.text("source"), given.text("key"), given.text("rule")];
    let key_is = given.word("keyIs");
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let key = match (some(words[2]), key_is) {
        (Some(key), "any") => Some(Some(key)),
        (Some(_), _) => return Err(Problem::bad("`key` and `keyIs` are both given")),
        (None, "null") => Some(None),
        (None, "empty") => Some(Some(String::new())),
        (None, _) => None,
    };
    let is_narrow = key.is_some() || !words[1].is_empty() || !words[3].is_empty();
    let wanted = Wanted {
        state: match words[0] {
            "open" => Which::Open,
            "cleared" => Which::Cleared,
            _ => Which::All,
        },
        source: some(words[1]),
        key,
        rule: some(words[3]),
    };
    let list = paging::List::of(&[&["alerts", key_is], &words[..]].concat());
    let after = match list.parts::<2>(given.text("cursor"))? {
        None => None,
        Some([at, mark]) => {
            let read = || Some(Place { at: at.parse().ok()?, mark: mark.parse().ok()? });
            Some(read().ok_or_else(paging::unknown)?)
        }
    };
    let limit = given.integer("limit");
    let mut found = alerts.list(&wanted, after, limit + 1);
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|alert| {
        let Place { at, mark } = Place::of(alert);
        list.cursor(&[&at.to_string(), &mark.to_string()])
    });
    let open = if is_narrow {
        alerts.list(&Wanted { state: Which::Open, ..wanted }, None, usize::MAX).len() as u64
    } else {
        alerts.open().total()
    };
    Ok(answer(&json!({ "open": open, "alerts": found, "next": next })))
}

/// Who has no name: nobody is asked for one without `--auth`.
const AT_THE_MACHINE: &str = "at the machine";

/// What is said of which alert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    id: String,
    comment: Option<String>,
}

pub(crate) async fn acknowledge(ask: Ask) -> Outcome {
    let said: Said = ask.json()?;
    change(&ask, said, |alerts, id, remark| alerts.acknowledge(id, remark)).await
}

pub(crate) async fn comment(ask: Ask) -> Outcome {
    let said: Said = ask.json()?;
    if said.comment.as_ref().is_none_or(|comment| comment.trim().is_empty()) {
        return Err(Problem::bad("the comment is empty").hint("Send {\"id\": \"…\", \"comment\": \"…\"}."));
    }
    change(&ask, said, |alerts, id, remark| alerts.comment(id, remark)).await
}

async fn change(
    ask: &Ask,
    said: Said,
    act: impl FnOnce(&dyn Alerts, &str, Remark) -> Result<Arc<Alert>> + Send + 'static,
) -> Outcome {
    let shown = &ask.state.shown;
    let Said { id, comment } = said;
    let (alerts, remark) = (Arc::clone(&shown.alerts), remark(ask, comment));
    let done = kept(move || act(&*alerts, &id, remark)).await?;
    Ok(answer(&json!(*done)))
}

/// What who asks says now.
pub(super) fn remark(ask: &Ask, comment: Option<String>) -> Remark {
    let by = ask.admitted.asker.person().map_or_else(|| AT_THE_MACHINE.to_owned(), |it| it.name.to_string());
    let comment = comment.filter(|comment| !comment.trim().is_empty());
    Remark { at: ask.state.shown.clock.now_ms(), by, comment }
}

/// Does what is durable when it returns, where that may wait.
pub(super) async fn kept<T: Send + 'static>(act: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let lost = |_| Error::new(&codes::INTERNAL, "what was to be kept of alerts ended unexpectedly");
    tokio::task::spawn_blocking(act).await.map_err(lost)?
}
