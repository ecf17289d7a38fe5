//! How a query stands, in a line for people.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::Ledger;
use forebay_engine::status::{QueryStatus, State};
use forebay_rules::Alert;

use crate::fleet::Ended;
use crate::top::text::{count, counted, many};
use crate::{alerts, talk};

/// `lake: 200 read = 190 emitted + 10 quarantined (balances)`, and what is wrong with it, if anything.
pub fn now(status: &QueryStatus) -> String {
    let mut text = format!("{}: {}", status.name, balance(&status.ledger));
    if let Some(error) = status.state.error() {
        text.push_str(&format!(" {}: {error}", status.state.word()));
    }
    text
}

/// How all queries stand, in a line that a terminal holds:
/// `1,300 records read · 4 queries well · 1 alert open · 13 quarantined · 48 late · every ledger balances`.
pub fn together(statuses: &[QueryStatus], open_alerts: u64) -> String {
    let most = |of: fn(&Ledger) -> u64| statuses.iter().map(|status| of(&status.ledger)).max().unwrap_or(0);
    let is_own = |status: &&QueryStatus| alerts::rule_of(&status.name).is_none();
    let well = statuses.iter().filter(is_own).filter(|status| status.state.error().is_none()).count();
    let mut parts = vec![format!("{} read", many(most(|ledger| ledger.read), "record"))];
    if well > 0 {
        parts.push(format!("{} well", counted(well as u64, "query", "queries")));
    }
    for word in ["retrying", "failed"] {
        let is_so = |status: &&QueryStatus| status.state.error().is_some() && status.state.word() == word;
        let names: Vec<&str> = statuses.iter().filter(is_so).map(|status| &*status.name).collect();
        match names.as_slice() {
            [] => {}
            [one] => parts.push(format!("{one} {word}")),
            [first, rest @ ..] => parts.push(format!("{first} and {} more {word}", rest.len())),
        }
    }
    if open_alerts > 0 {
        parts.push(format!("{} open", many(open_alerts, "alert")));
    }
    for (number, what) in
        [(most(|ledger| ledger.quarantined), "quarantined"), (most(|ledger| ledger.late), "late")]
    {
        if number > 0 {
            parts.push(format!("{} {what}", count(number)));
        }
    }
    let unbalanced = statuses.iter().find(|status| !status.ledger.balances());
    parts.push(match unbalanced {
        None => "every ledger balances".to_owned(),
        Some(status) => format!("{} DOES NOT BALANCE", status.name),
    });
    parts.join(" · ")
}

/// What a query did in this run, however often it was stopped and started.
pub fn ended(Ended { name, epochs, ledger, .. }: &Ended, took: Duration) -> String {
    let plural = if *epochs == 1 { "" } else { "s" };
    format!(
        "{name}: {epochs} epoch{plural} in {:.1} s, {}, {} rows out{}",
        took.as_secs_f64(),
        balance(ledger),
        ledger.rows_out,
        refused(ledger)
    )
}

/// `, 3 of them refused`, if the sink refused any.
pub fn refused(ledger: &Ledger) -> String {
    if ledger.rows_refused == 0 {
        String::new()
    } else {
        format!(", {} of them refused", ledger.rows_refused)
    }
}

/// ` (1 of 2 queries failed: lake)`, if any has.
pub fn failures(statuses: &[QueryStatus]) -> String {
    let is_failed = |status: &&QueryStatus| matches!(status.state, State::Failed { .. });
    let failed: Vec<&str> = statuses.iter().filter(is_failed).map(|status| &*status.name).collect();
    match failed.len() {
        0 => String::new(),
        count => format!(" ({count} of {} queries failed: {})", statuses.len(), failed.join(", ")),
    }
}

/// Open alerts that are named at the end of a run.
const NAMED: usize = 5;

/// `open alerts: 2 (overheat: press-1, temperature 71.5; …)`, if there are any.
pub fn open_alerts(open: &[Arc<Alert>]) -> Option<String> {
    let newest = open.iter().take(NAMED).map(|alert| talk::printable(&alert.message.replace('\n', " ")));
    let newest: Vec<String> = newest.collect();
    let more = if open.len() > NAMED { "; …" } else { "" };
    (!open.is_empty()).then(|| format!("open alerts: {} ({}{more})", open.len(), newest.join("; ")))
}

/// The ledger as the sum it is, and whether it adds up.
fn balance(ledger: &Ledger) -> String {
    format!("{} ({})", sum(ledger), if ledger.balances() { "balances" } else { "DOES NOT BALANCE" })
}

/// `200 read = 190 emitted + 10 quarantined`; fates that no record met are left out.
pub fn sum(ledger: &Ledger) -> String {
    let fates = [
        (ledger.aggregated, "aggregated"),
        (ledger.unmatched, "unmatched"),
        (ledger.filtered, "filtered"),
        (ledger.deduplicated, "deduplicated"),
        (ledger.dropped, "dropped"),
        (ledger.quarantined, "quarantined"),
        (ledger.late, "late"),
        (ledger.in_flight, "in flight"),
    ];
    let replayed = match ledger.replayed {
        0 => String::new(),
        count => format!(" ({count} of them replayed)"),
    };
    let mut text = format!("{} read{replayed} = {} emitted", ledger.read, ledger.emitted);
    for (count, fate) in fates.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(" + {count} {fate}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::Error;
    use forebay_core::error::codes;

    #[test]
    fn the_end_of_a_run_is_a_sum_that_anyone_can_check() {
        let ledger = Ledger { read: 200, emitted: 190, quarantined: 10, rows_out: 190, ..Ledger::default() };
        let mut lake = Ended { name: "lake".to_owned(), outcome: Ok(()), epochs: 3, ledger };
        let said = ended(&lake, Duration::from_millis(2_340));
        assert_eq!(
            said,
            "lake: 3 epochs in 2.3 s, 200 read = 190 emitted + 10 quarantined (balances), 190 rows out"
        );
        lake.ledger.rows_refused = 3;
        assert!(ended(&lake, Duration::ZERO).ends_with(" 190 rows out, 3 of them refused"));
        lake.ledger.replayed = 7;
        assert!(ended(&lake, Duration::ZERO).contains(" 200 read (7 of them replayed) = 190 emitted"));
        lake.ledger.read += 1;
        assert!(ended(&lake, Duration::ZERO).contains("DOES NOT BALANCE"));
    }

    #[test]
    fn a_line_of_all_queries_fits_a_terminal_and_hides_nothing() {
        let mut statuses = ["lake", "minutes", "alerts/overheat"].map(QueryStatus::new);
        for status in &mut statuses {
            status.ledger = Ledger { read: 1_300, emitted: 1_287, quarantined: 13, ..Ledger::default() };
        }
        assert_eq!(
            together(&statuses, 0),
            "1,300 records read · 2 queries well · 13 quarantined · every ledger balances"
        );
        let error = || Error::new(&codes::SINK_SCHEMA, "x".repeat(1_000));
        statuses[0].state = State::Retrying { error: error(), since_ms: 0, attempts: 3 };
        statuses[2].state = State::Failed { error: error(), since_ms: 0 };
        statuses[1].ledger.late = 48;
        let said = together(&statuses, 1);
        assert_eq!(
            said,
            "1,300 records read · 1 query well · lake retrying · alerts/overheat failed · 1 alert open · 13 quarantined · 48 late · minutes DOES NOT BALANCE"
        );
        statuses[1].state = State::Retrying { error: error(), since_ms: 0, attempts: 3 };
        assert!(together(&statuses, 0).contains(" · lake and 1 more retrying · "));
    }

    #[test]
    fn queries_that_failed_are_counted_and_named() {
        let mut statuses = [QueryStatus::new("hot"), QueryStatus::new("lake")];
        assert_eq!(failures(&statuses), "");
        statuses[1].state =
            State::Failed { error: Error::new(&codes::SINK_SCHEMA, "it does not fit"), since_ms: 0 };
        assert_eq!(failures(&statuses), " (1 of 2 queries failed: lake)");
    }
}
