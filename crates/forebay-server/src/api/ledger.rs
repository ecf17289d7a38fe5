//! `/ledger`: where every record went.

use forebay_core::Ledger;
use forebay_engine::status::QueryStatus;
use serde_json::{Value, json};

use crate::answer::answer;
use crate::ask::{Ask, Outcome};

/// What a ledger's reader may take for something else.
const NOTE: &str = "All counts are since the query's first epoch. `total` adds the queries together: a record that two of \
     them read counts twice. `quarantined` counts records as they are set aside, also those that were replayed or dropped \
     since; `forebay quarantine ls` lists those that are open. `rowsOut` counts rows that the sink was handed, `rowsRefused` \
     those of them that it refused for good and that are in the quarantine.";

/// The ledger of each query and of all together.
pub(crate) async fn ledger(ask: Ask) -> Outcome {
    let statuses = ask.state.shown.statuses();
    let each = statuses.iter().map(|status| (status.name.to_string(), with_balance(&status.ledger)));
    let queries: serde_json::Map<_, _> = each.collect();
    Ok(answer(&json!({ "total": total(&statuses), "queries": queries, "note": NOTE })))
}

/// All queries together. It balances if each of them does: what one has too few another may have too many.
pub(crate) fn total(statuses: &[QueryStatus]) -> Value {
    let mut total = Ledger::default();
    statuses.iter().for_each(|status| total.add(&status.ledger));
    let mut value = with_balance(&total);
    value["balances"] = statuses.iter().all(|status| status.ledger.balances()).into();
    value
}

/// The counts, and whether they add up.
pub(crate) fn with_balance(ledger: &Ledger) -> Value {
    let mut value = json!(ledger);
    value["balances"] = ledger.balances().into();
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_query_has_too_few_is_not_made_up_for_by_what_another_has_too_many() {
        let of = |read, emitted| {
            let mut status = QueryStatus::new("q");
            status.ledger = Ledger { read, emitted, ..Ledger::default() };
            status
        };
        let whole = total(&[of(3, 3), of(2, 2)]);
        assert_eq!((&whole["read"], &whole["balances"]), (&5.into(), &true.into()));
        assert_eq!(total(&[of(3, 2), of(2, 3)])["balances"], false);
    }
}
