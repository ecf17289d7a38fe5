//! How a query stands, in a line for people.

use std::time::Duration;

use forebay_core::Ledger;
use forebay_engine::status::QueryStatus;

/// `lake: 200 read = 190 emitted + 10 quarantined (balances)`, and what is wrong with it, if anything.
pub fn now(status: &QueryStatus) -> String {
    let mut text = format!("{}: {}", status.name, balance(&status.ledger));
    if let Some(error) = status.state.error() {
        text.push_str(&format!(" {}: {error}", status.state.word()));
    }
    text
}

/// What this run of a query did.
pub fn ended(status: &QueryStatus, took: Duration) -> String {
    let (epochs, ledger) = (status.run_epochs, &status.run_ledger);
    let plural = if epochs == 1 { "" } else { "s" };
    format!(
        "{}: {epochs} epoch{plural} in {:.1} s, {}, {} rows out",
        status.name,
        took.as_secs_f64(),
        balance(ledger),
        ledger.rows_out
    )
}

/// The ledger as the sum it is; fates that no record met are left out.
fn balance(ledger: &Ledger) -> String {
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
    let mut text = format!("{} read = {} emitted", ledger.read, ledger.emitted);
    for (count, fate) in fates.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(" + {count} {fate}"));
    }
    text.push_str(if ledger.balances() { " (balances)" } else { " (DOES NOT BALANCE)" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_is_a_sum_that_anyone_can_check() {
        let mut status = QueryStatus::new("lake");
        status.run_epochs = 3;
        status.run_ledger =
            Ledger { read: 200, emitted: 190, quarantined: 10, rows_out: 190, ..Ledger::default() };
        let said = ended(&status, Duration::from_millis(2_340));
        assert_eq!(
            said,
            "lake: 3 epochs in 2.3 s, 200 read = 190 emitted + 10 quarantined (balances), 190 rows out"
        );
        status.run_ledger.read += 1;
        assert!(ended(&status, Duration::ZERO).contains("DOES NOT BALANCE"));
    }
}
