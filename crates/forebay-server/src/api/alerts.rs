//! `/alerts`: what opened and cleared, newest first.

use serde_json::json;

use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::paging;
use crate::shown::alerts::{Place, Wanted, Which};

pub(crate) async fn list(ask: Ask) -> Outcome {
    let (alerts, given) = (&ask.state.shown.alerts, &ask.given);
    let words = [given.word("state"), given.text("source"), given.text("key"), given.text("rule")];
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let wanted = Wanted {
        state: match words[0] {
            "open" => Which::Open,
            "cleared" => Which::Cleared,
            _ => Which::All,
        },
        source: some(words[1]),
        key: some(words[2]),
        rule: some(words[3]),
    };
    let list = paging::List::of(&[&["alerts"], &words[..]].concat());
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
    let open = if words[1..].iter().all(|word| word.is_empty()) {
        alerts.open().total()
    } else {
        alerts.list(&Wanted { state: Which::Open, ..wanted }, None, usize::MAX).len() as u64
    };
    Ok(answer(&json!({ "open": open, "alerts": found, "next": next })))
}
