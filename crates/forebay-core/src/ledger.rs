//! The ledger: every source record is counted once, where its fate is decided, and the numbers add up.
//!
//! `read = emitted + aggregated + unmatched + filtered + deduplicated + dropped + quarantined + late + in flight`.
//! No fate is ever computed by subtraction: each is counted by the piece of code that decides it, so a sum that
//! does not balance means a lost or doubled record. Output rows are counted beside it, because one record may give
//! several rows, and of them those that the sink refused. A quarantined record that is replayed with success is counted in `replayed` and in its new fate.

use serde::{Deserialize, Serialize};

/// Counts of source records by fate, and of what was written. Adds up over epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Ledger {
    /// Records that the source handed over.
    pub read: u64,
    /// Records whose row (or rows) went to the sink.
    pub emitted: u64,
    /// Records that became part of an aggregate.
    pub aggregated: u64,
    /// Records that found no partner, or no element to explode.
    pub unmatched: u64,
    /// Records that the query's conditions refused.
    pub filtered: u64,
    /// Records that were recognised as repeats.
    pub deduplicated: u64,
    /// Records that were dropped because the user asked for it (`DROPMALFORMED`, an expectation with `onFail: drop`).
    pub dropped: u64,
    /// Records that are in the quarantine.
    pub quarantined: u64,
    /// Records behind the watermark.
    pub late: u64,
    /// Records whose fate is not decided yet.
    pub in_flight: u64,
    /// Quarantined records that were read again; each counts in `read` and in its new fate once more.
    pub replayed: u64,
    /// Rows that the sink was handed, also those that it then refused.
    pub rows_out: u64,
    /// Rows of `rows_out` that the sink refused for good; they are in the quarantine.
    pub rows_refused: u64,
    /// Bytes of record values that were read.
    pub bytes_read: u64,
}

impl Ledger {
    /// All fates together.
    pub fn accounted(&self) -> u64 {
        self.emitted
            + self.aggregated
            + self.unmatched
            + self.filtered
            + self.deduplicated
            + self.dropped
            + self.quarantined
            + self.late
            + self.in_flight
    }

    /// The counts by the names that JSON has for them.
    pub fn counts(&self) -> [(&'static str, u64); 14] {
        [
            ("read", self.read),
            ("emitted", self.emitted),
            ("aggregated", self.aggregated),
            ("unmatched", self.unmatched),
            ("filtered", self.filtered),
            ("deduplicated", self.deduplicated),
            ("dropped", self.dropped),
            ("quarantined", self.quarantined),
            ("late", self.late),
            ("inFlight", self.in_flight),
            ("replayed", self.replayed),
            ("rowsOut", self.rows_out),
            ("rowsRefused", self.rows_refused),
            ("bytesRead", self.bytes_read),
        ]
    }

    /// True if every record that was read has exactly one fate.
    pub fn balances(&self) -> bool {
        self.read == self.accounted()
    }

    /// Adds the counts of another part of the stream.
    pub fn add(&mut self, other: &Ledger) {
        self.read += other.read;
        self.emitted += other.emitted;
        self.aggregated += other.aggregated;
        self.unmatched += other.unmatched;
        self.filtered += other.filtered;
        self.deduplicated += other.deduplicated;
        self.dropped += other.dropped;
        self.quarantined += other.quarantined;
        self.late += other.late;
        self.in_flight += other.in_flight;
        self.replayed += other.replayed;
        self.rows_out += other.rows_out;
        self.rows_refused += other.rows_refused;
        self.bytes_read += other.bytes_read;
    }
}
