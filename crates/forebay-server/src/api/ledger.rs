//! `/ledger`: where every record went.

use forebay_core::Ledger;
use serde_json::{Value, json};

use crate::answer::answer;
use crate::ask::{Ask, Outcome};

/// What a ledger's reader may take for something else.
const NOTE: &str = "All counts are since the query's first epoch. `total` adds the queries together: a record that two of \
     them read counts twice. `quarantined` counts records as they are set aside, also those that were replayed or dropped \
     since; `forebay quarantine ls` lists those that are open.";

/// The ledger of each query and of all together.
pub(crate) async fn ledger(ask: Ask) -> Outcome {
    let mut total = Ledger::default();
    let mut queries = serde_json::Map::new();
    for status in ask.state.shown.statuses() {
        total.add(&status.ledger);
        queries.insert(status.name.to_string(), with_balance(&status.ledger));
    }
    Ok(answer(&json!({ "total": with_balance(&total), "queries": queries, "note": NOTE })))
}

/// The counts, and whether they add up.
pub(crate) fn with_balance(ledger: &Ledger) -> Value {
    let mut value = json!(ledger);
    value["balances"] = ledger.balances().into();
    value
}
