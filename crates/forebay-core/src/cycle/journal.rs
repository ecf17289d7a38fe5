//! What a cycle's journal tells of its archives, and how it is kept short.
//!
//! A cycle writes five lines, and a query may cycle every few seconds for years. So between two cycles, once there are
//! [`MOST`] lines, all but the newest [`KEPT`] cycles become one line, with what was in their archives. What must stay true: the
//! shorter journal means the same step next, and the same sums.

use super::{Cut, Entry};

/// Lines from which on a journal is made shorter: some megabytes.
const MOST: usize = 10_000;
/// Cycles whose lines stay: so many archives can be listed.
const KEPT: u64 = 1_000;

/// An archive that is durable under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived<'e> {
    /// The cut that says its name and rows.
    pub cut: &'e Cut,
    /// Its name.
    pub name: &'e str,
    /// Its length.
    pub bytes: u64,
}

/// The archives that these entries tell of, oldest first.
pub fn archived(entries: &[Entry]) -> Vec<Archived<'_>> {
    let (mut found, mut last, mut bytes) = (Vec::new(), None, 0);
    for entry in entries {
        match entry {
            Entry::Cut(cut) => last = Some(cut),
            Entry::Merged { bytes: length, .. } => bytes = *length,
            Entry::Archived { .. } => {
                if let Some(cut) = last.take()
                    && let Some(name) = &cut.archive
                {
                    found.push(Archived { cut, name, bytes });
                }
            }
            Entry::Before { .. } | Entry::Begun { .. } | Entry::Cleaned { .. } => {}
        }
    }
    found
}

/// The same journal with fewer entries; `None` where it is short enough, or a cycle is under way.
pub fn shortened(entries: &[Entry]) -> Option<Vec<Entry>> {
    let Some(Entry::Cleaned { cycle: last }) = entries.last() else { return None };
    if entries.len() < MOST {
        return None;
    }
    let first = (last + 1).saturating_sub(KEPT);
    let (mut archives, mut rows, mut bytes) = match entries.first() {
        Some(Entry::Before { archives, rows, bytes, .. }) => (*archives, *rows, *bytes),
        _ => (0, 0, 0),
    };
    for gone in archived(entries).into_iter().filter(|archive| archive.cut.cycle < first) {
        archives += 1;
        rows += gone.cut.rows;
        bytes += gone.bytes;
    }
    let is_kept = |entry: &&Entry| !matches!(entry, Entry::Before { .. }) && entry.cycle() >= first;
    let before = Entry::Before { cycle: first, archives, rows, bytes };
    Some(std::iter::once(before).chain(entries.iter().filter(is_kept).cloned()).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Cycle, Template, next, stamp};
    use super::*;
    use crate::Zone;

    fn whole(cycle: u64) -> [Entry; 5] {
        let archive = (!cycle.is_multiple_of(10)).then(|| format!("a{cycle}"));
        let cut =
            Cut { cycle, at_ms: 0, stamp_us: cycle as i64 * 1_000_000, archive, rows: 2, next: Vec::new() };
        [
            Entry::Begun { cycle, at_ms: 0 },
            Entry::Cut(cut),
            Entry::Merged { cycle, bytes: 3, sha256: "x".into() },
            Entry::Archived { cycle, at_ms: 0 },
            Entry::Cleaned { cycle },
        ]
    }

    /// Archives, rows and bytes, those of before counted.
    fn sums(entries: &[Entry]) -> (u64, u64, u64) {
        let before = match entries.first() {
            Some(Entry::Before { archives, rows, bytes, .. }) => (*archives, *rows, *bytes),
            _ => (0, 0, 0),
        };
        archived(entries)
            .iter()
            .fold(before, |sum, archive| (sum.0 + 1, sum.1 + archive.cut.rows, sum.2 + archive.bytes))
    }

    #[test]
    fn a_shorter_journal_means_the_same() {
        let cycle = Cycle {
            every: Duration::from_secs(1),
            header: true,
            archive: Template::read("{yyyyMMddHHmmss}.csv").unwrap(),
            clean: true,
            repeat: None,
            zone: Zone::UTC,
        };
        let mut journal: Vec<Entry> = Vec::new();
        let mut whole_journal: Vec<Entry> = Vec::new();
        for number in 0..5_000 {
            for entry in whole(number) {
                journal.push(entry.clone());
                whole_journal.push(entry);
                if journal.len() < MOST {
                    continue;
                }
                assert_eq!(
                    shortened(&journal).is_some(),
                    matches!(journal.last(), Some(Entry::Cleaned { .. }))
                );
                if let Some(short) = shortened(&journal) {
                    assert!(short.len() < journal.len() && short.len() < 6_000, "{}", short.len());
                    assert_eq!(next(&cycle, &short, 0, true), next(&cycle, &journal, 0, true));
                    assert_eq!(stamp(Zone::UTC, &short, 0), stamp(Zone::UTC, &journal, 0));
                    journal = short;
                }
            }
        }
        assert!(journal.len() < MOST);
        assert_eq!(sums(&journal), sums(&whole_journal));
        assert_eq!(sums(&journal).0, 4_500, "a cycle in ten was empty");
    }
}
