//! What became of each record: where it is, or that nobody knows.
//!
//! What must stay true: a record counts as written once all in-sync replicas have said so, and not before; each one
//! that was sent is either written or told as not known.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use forebay_connectors::kafka::{Delivery, Written};
use forebay_core::{Error, Result};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::talk;

/// Most partitions, and most runs of lines, that are told one by one.
const MOST_TOLD: usize = 16;

/// Counts and places.
#[derive(Debug, Default)]
pub struct Tally {
    partitions: BTreeMap<i32, There>,
    written: u64,
    /// First and last of lines one after another that are not known to be written.
    unknown: Vec<(u64, u64)>,
    unknown_count: u64,
    failure: Option<Error>,
}

/// Records in one partition: how many, and the first and last offset that was told.
#[derive(Debug, Default)]
struct There {
    count: u64,
    offsets: Option<(i64, i64)>,
}

impl Tally {
    /// Takes the outcome of the record of a line; lines come in their order. `None` is one that nobody waited for.
    pub fn add(&mut self, line: u64, outcome: Option<Result<Written>>) {
        match outcome {
            Some(Ok(Written { partition, offset })) => {
                self.written += 1;
                let there = self.partitions.entry(partition.index).or_default();
                there.count += 1;
                if offset >= 0 {
                    let (first, last) = there.offsets.get_or_insert((offset, offset));
                    *first = offset.min(*first);
                    *last = offset.max(*last);
                }
            }
            not => {
                if let Some(Err(error)) = not {
                    self.failure.get_or_insert(error);
                }
                self.unknown_count += 1;
                match self.unknown.last_mut() {
                    Some((_, last)) if *last + 1 == line => *last = line,
                    _ => self.unknown.push((line, line)),
                }
            }
        }
    }

    /// True if every record that was sent is written.
    pub fn is_whole(&self) -> bool {
        self.unknown_count == 0
    }

    /// Why the first of those that are not known to be written failed, if that is known.
    pub fn failure(self) -> Option<Error> {
        self.failure
    }

    /// How many records are where, and which are not known to be there, a line each.
    pub fn told(&self, topic: &str, input: &str) -> String {
        let mut text = format!("{} record(s) written to {topic}", self.written);
        for (told, (number, there)) in self.partitions.iter().take(MOST_TOLD).enumerate() {
            let before = if told == 0 { ": " } else { ", " };
            let places = match there.offsets {
                None => "offset not told".to_owned(),
                Some((first, last)) if first == last => format!("offset {first}"),
                Some((first, last)) => format!("offsets {first} to {last}"),
            };
            let _ = write!(text, "{before}{} in partition {number} ({places})", there.count);
        }
        if self.partitions.len() > MOST_TOLD {
            let _ = write!(text, " and others in {} more partitions", self.partitions.len() - MOST_TOLD);
        }
        if self.unknown_count > 0 {
            let lines = self.unknown.iter().take(MOST_TOLD).map(|(first, last)| {
                if first == last { first.to_string() } else { format!("{first} to {last}") }
            });
            let (count, lines) = (self.unknown_count, lines.collect::<Vec<_>>().join(", "));
            let more = if self.unknown.len() > MOST_TOLD { " and others" } else { "" };
            let _ =
                write!(text, "\n{count} record(s) not known to be written: line(s) {lines}{more} of {input}");
        }
        text
    }
}

/// Waits for each record's outcome until there are no more of them; says once if that takes long, and once that it
/// goes on. The first failure cancels `failed`; once `given_up` is cancelled nothing is waited for any more.
pub async fn gather(
    mut sent: mpsc::Receiver<(u64, Delivery)>,
    log: String,
    failed: CancellationToken,
    given_up: CancellationToken,
) -> Tally {
    let mut tally = Tally::default();
    while let Some((line, delivery)) = sent.recv().await {
        let outcome = tokio::select! {
            biased;
            outcome = in_the_open(&log, delivery.wait()) => Some(outcome),
            () = given_up.cancelled() => None,
        };
        if matches!(outcome, Some(Err(_))) {
            failed.cancel();
        }
        tally.add(line, outcome);
    }
    tally
}

/// Waits, and says so if it takes long.
async fn in_the_open<T>(log: &str, written: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::pin!(written);
    if let Ok(outcome) = tokio::time::timeout(talk::PATIENCE, &mut written).await {
        return outcome;
    }
    talk::say(&format!("waiting for {log} …"));
    let outcome = written.await;
    if outcome.is_ok() {
        talk::say(&format!("{log} answers again"));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use forebay_core::Partition;
    use forebay_core::error::codes;

    use super::*;

    fn at(partition: i32, offset: i64) -> Option<Result<Written>> {
        Some(Ok(Written { partition: Partition::new("t", partition), offset }))
    }

    #[test]
    fn it_is_told_what_is_where() {
        let mut tally = Tally::default();
        assert_eq!(tally.told("t", "stdin"), "0 record(s) written to t");
        tally.add(1, at(2, 7));
        assert_eq!(tally.told("t", "stdin"), "1 record(s) written to t: 1 in partition 2 (offset 7)");
        for (line, partition, offset) in [(2, 0, 9), (3, 0, 5), (4, 2, -1), (5, 1, -1)] {
            tally.add(line, at(partition, offset));
        }
        let told = "5 record(s) written to t: 2 in partition 0 (offsets 5 to 9), 1 in partition 1 (offset not told), \
                    2 in partition 2 (offset 7)";
        assert_eq!(tally.told("t", "stdin"), told);
        assert!(tally.is_whole() && tally.failure().is_none());
    }

    #[test]
    fn what_is_not_known_to_be_written_is_told_by_its_lines() {
        let mut tally = Tally::default();
        let failed = || Some(Err(Error::new(&codes::SOURCE_UNAVAILABLE, "away")));
        for (line, outcome) in
            [(1, at(0, 0)), (2, failed()), (3, None), (4, at(0, 1)), (9, failed()), (10, failed())]
        {
            tally.add(line, outcome);
        }
        let told = tally.told("t", "events.txt");
        assert!(
            told.ends_with("\n4 record(s) not known to be written: line(s) 2 to 3, 9 to 10 of events.txt"),
            "{told}"
        );
        assert!(!tally.is_whole());
        assert_eq!(tally.failure().unwrap().message(), "away");
    }

    #[test]
    fn much_is_not_told_one_by_one() {
        let mut tally = Tally::default();
        for number in 0..40 {
            tally.add(number * 2, at(i32::try_from(number).unwrap(), 0));
            tally.add(number * 2 + 100, None);
        }
        let told = tally.told("t", "stdin");
        assert!(told.contains("partition 15 (offset 0) and others in 24 more partitions"), "{told}");
        assert!(told.ends_with(" 130 and others of stdin"), "{told}");
    }
}
