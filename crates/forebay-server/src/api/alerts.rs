//! `/alerts`: what opened and cleared, newest first.

use serde_json::json;

use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::paging;
use crate::problem::Problem;
use crate::shown::alerts::{Place, Wanted, Which};

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
