//! The decisions of a cycle: when it ends, what its archive is called, which step is next.
//!
//! A query with `cycle:` collects files for a time; then they become one archive, and it goes on. Its epochs and its
//! checkpoint are those of any query and never begin anew: a cycle is a cut between two epochs. So what makes each record
//! come once makes it come in one archive, and there is no second account of positions that could differ from the first.
//!
//! ```text
//!  Begun ──(time is over, last epoch committed)──▶ Cut ─▶ Merged ─▶ Archived ─▶ Cleaned ─▶ Begun …
//!                                                  name    length    durable     files
//!                                                  chosen  and hash  under its   of the
//!                                                                    name        cycle gone
//! ```
//!
//! Each word is a line of the cycle's journal, durable before the next step begins, and each step can be done again. What
//! must stay true: no file is removed before `Archived`; names only grow, whatever clocks do. A journal that grew long is
//! [shortened] between two cycles.

use std::time::Duration;

use chrono::{DateTime, Datelike, Timelike};
use serde::{Deserialize, Serialize};

mod journal;

pub use journal::{Archived, archived, shortened};

use crate::Zone;
use crate::clock::millis;

/// One line of a cycle's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// A cycle runs.
    Begun {
        /// Its number, from 0.
        cycle: u64,
        /// When it began, milliseconds since 1970.
        at_ms: i64,
    },
    /// Its time is over: what it wrote is what the folder's manifest says now.
    Cut(Cut),
    /// The staged archive is whole and durable.
    Merged {
        /// The cycle.
        cycle: u64,
        /// Its length in bytes.
        bytes: u64,
        /// Its SHA-256, in hexadecimal: by this it is known again under its final name.
        sha256: String,
    },
    /// The archive is durable under its name.
    Archived {
        /// The cycle.
        cycle: u64,
        /// When, milliseconds since 1970.
        at_ms: i64,
    },
    /// What it wrote is no longer in the folder, or no longer counts.
    Cleaned {
        /// The cycle.
        cycle: u64,
    },
    /// The first line of a journal whose older lines were taken out.
    Before {
        /// The first cycle that is not among them.
        cycle: u64,
        /// Their archives.
        archives: u64,
        /// The rows in these.
        rows: u64,
        /// Their bytes.
        bytes: u64,
    },
}

impl Entry {
    /// The number of its cycle.
    fn cycle(&self) -> u64 {
        match self {
            Self::Cut(cut) => cut.cycle,
            Self::Begun { cycle, .. }
            | Self::Merged { cycle, .. }
            | Self::Archived { cycle, .. }
            | Self::Cleaned { cycle }
            | Self::Before { cycle, .. } => *cycle,
        }
    }
}

/// The end of a cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cut {
    /// The cycle.
    pub cycle: u64,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// The time in the archive's name, microseconds as a clock shows them: later than that of every cut before.
    pub stamp_us: i64,
    /// Where the archive goes; `None` if the cycle wrote nothing.
    pub archive: Option<String>,
    /// Rows that it holds.
    pub rows: u64,
    /// Where the next cycle begins: topic, partition, offset.
    pub next: Vec<(String, i32, i64)>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The query runs, for so long at most.
    Run(Duration),
    /// A cycle begins.
    Begin(u64),
    /// The cycle of this number ends.
    Cut(u64),
    /// What it wrote becomes one staged file.
    Merge(Cut),
    /// The staged file of this length and hash gets its name.
    Archive(Cut, u64, String),
    /// What the cycle wrote goes.
    Clean(Cut),
    /// All cycles that were asked for are over.
    Done,
}

/// How a query cycles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// How long a cycle collects.
    pub every: Duration,
    /// Whether a CSV archive begins with the names of the columns.
    pub header: bool,
    /// What archives are called.
    pub archive: Template,
    /// Whether the files that were merged are removed.
    pub clean: bool,
    /// How many cycles; `None` for ever.
    pub repeat: Option<u64>,
    /// Whose clocks show the time in a name.
    pub zone: Zone,
}

/// How long an epoch that was planned before its cycle ended may take before the query is looked at again.
const GRACE: Duration = Duration::from_secs(5);

/// What to do, by the journal's entries, the time, and whether the query's last planned epoch is committed.
pub fn next(cycle: &Cycle, entries: &[Entry], now_ms: i64, is_committed: bool) -> Step {
    let cut_of = |wanted: u64| {
        entries.iter().rev().find_map(|entry| match entry {
            Entry::Cut(cut) if cut.cycle == wanted => Some(cut.clone()),
            _ => None,
        })
    };
    match entries.last() {
        None => Step::Begin(0),
        Some(Entry::Before { cycle, .. }) => Step::Begin(*cycle),
        Some(Entry::Begun { cycle: number, at_ms }) => {
            // The clock was set back: the cycle's time begins anew, once, and is not waited for until the clock is there again.
            if now_ms < *at_ms {
                return Step::Begin(*number);
            }
            let left = at_ms.saturating_add(millis(cycle.every)).saturating_sub(now_ms);
            match u64::try_from(left) {
                Ok(left) if left > 0 => Step::Run(Duration::from_millis(left)),
                _ if is_committed => Step::Cut(*number),
                _ => Step::Run(GRACE),
            }
        }
        Some(Entry::Cut(cut)) if cut.archive.is_none() => Step::Clean(cut.clone()),
        Some(Entry::Cut(cut)) => Step::Merge(cut.clone()),
        Some(Entry::Merged { cycle, bytes, sha256 }) => match cut_of(*cycle) {
            Some(cut) => Step::Archive(cut, *bytes, sha256.clone()),
            None => Step::Begin(cycle + 1),
        },
        Some(Entry::Archived { cycle, .. }) => match cut_of(*cycle) {
            Some(cut) => Step::Clean(cut),
            None => Step::Begin(cycle + 1),
        },
        Some(Entry::Cleaned { cycle: number }) => match cycle.repeat {
            Some(repeat) if number + 1 >= repeat => Step::Done,
            _ => Step::Begin(number + 1),
        },
    }
}

/// The time in the name of an archive that is cut now: what clocks show in the zone, or a second after the last one, where
/// clocks were set back.
pub fn stamp(zone: Zone, entries: &[Entry], now_ms: i64) -> i64 {
    const SECOND: i64 = 1_000_000;
    let shown = zone.local(now_ms.saturating_mul(1_000)).div_euclid(SECOND) * SECOND;
    let last = entries.iter().rev().find_map(|entry| match entry {
        Entry::Cut(cut) => Some(cut.stamp_us),
        _ => None,
    });
    last.map_or(shown, |last| shown.max(last.saturating_add(SECOND)))
}

/// What archives are called: `backup/{name}_{yyyyMMdd_HHmmss}.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// As it was written.
    pub text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Name,
    Time(String),
}

impl Template {
    /// Reads a template; else says what is wrong with it.
    ///
    /// # Errors
    /// A text: braces that do not close, letters of time that are not known, a name that no second makes another.
    pub fn read(text: &str) -> Result<Self, String> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, behind) = after.split_once('}').ok_or("a `{` is not closed")?;
            pieces.push(Piece::Literal(before.to_owned()));
            pieces.push(match inside {
                "name" => Piece::Name,
                time => {
                    check_time(time)?;
                    Piece::Time(time.to_owned())
                }
            });
            rest = behind;
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        if pieces.iter().any(|piece| matches!(piece, Piece::Literal(text) if text.contains(['}', '\0']))) {
            return Err("a `}` has no `{`".to_owned());
        }
        let times = || {
            pieces.iter().filter_map(|piece| if let Piece::Time(time) = piece { Some(time) } else { None })
        };
        if let Some(letters) =
            ["yy", "MM", "dd", "HH", "mm", "ss"].iter().find(|it| !times().any(|time| time.contains(**it)))
        {
            return Err(format!("it names no `{letters}`, so that two archives could have one name"));
        }
        if text.ends_with('/') || text.trim().is_empty() {
            return Err("it names no file".to_owned());
        }
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// The name of an archive: `number` tells it from others with the same name, if it is not 0.
    pub fn name(&self, query: &str, stamp_us: i64, number: u32) -> String {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => name.push_str(text),
                Piece::Name => name.push_str(query),
                Piece::Time(pattern) => push_time(&mut name, pattern, stamp_us),
            }
        }
        if number == 0 {
            return name;
        }
        // Before the ending of the file's own name: `a_1.csv`.
        let folder = name.rfind('/').map_or(0, |slash| slash + 1);
        let point = name[folder..].find('.').map_or(name.len(), |point| folder + point);
        name.insert_str(point, &format!("_{number}"));
        name
    }
}

const LETTERS: [&str; 8] = ["yyyy", "yy", "MM", "dd", "HH", "mm", "ss", "SSS"];

fn check_time(pattern: &str) -> Result<(), String> {
    for run in runs(pattern) {
        let is_letters = run.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_letters && !LETTERS.contains(&run) {
            return Err(format!(
                "`{{{pattern}}}`: `{run}` is not known; known are `name` and {}",
                LETTERS.join(" ")
            ));
        }
        if run.contains(['/', '\\']) {
            return Err(format!("`{{{pattern}}}` holds a separator of folders"));
        }
    }
    Ok(())
}

/// Pieces of one letter, and of what is none.
fn runs(pattern: &str) -> impl Iterator<Item = &str> {
    let mut rest = pattern;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|c| c != first).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        Some(run)
    })
}

fn push_time(name: &mut String, pattern: &str, stamp_us: i64) {
    let time = DateTime::from_timestamp_micros(stamp_us).unwrap_or_default().naive_utc();
    for run in runs(pattern) {
        let text = match run {
            "yyyy" => format!("{:04}", time.year()),
            "yy" => format!("{:02}", time.year().rem_euclid(100)),
            "MM" => format!("{:02}", time.month()),
            "dd" => format!("{:02}", time.day()),
            "HH" => format!("{:02}", time.hour()),
            "mm" => format!("{:02}", time.minute()),
            "ss" => format!("{:02}", time.second()),
            "SSS" => format!("{:03}", time.nanosecond() / 1_000_000 % 1_000),
            other => other.to_owned(),
        };
        name.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(repeat: Option<u64>) -> Cycle {
        let archive = Template::read("backup/{name}_{yyyyMMdd_HHmmss}.csv").unwrap();
        Cycle { every: Duration::from_secs(120), header: true, archive, clean: true, repeat, zone: Zone::UTC }
    }

    fn cut(cycle: u64, stamp_us: i64) -> Cut {
        Cut { cycle, at_ms: 0, stamp_us, archive: Some("a".into()), rows: 1, next: Vec::new() }
    }

    #[test]
    fn each_step_follows_the_one_that_is_durable() {
        let of = |entries: &[Entry], now| next(&cycle(Some(2)), entries, now, true);
        let mut entries = Vec::new();
        assert_eq!(of(&entries, 0), Step::Begin(0));
        entries.push(Entry::Begun { cycle: 0, at_ms: 1_000 });
        assert_eq!(of(&entries, 1_000), Step::Run(Duration::from_secs(120)));
        assert_eq!(of(&entries, 0), Step::Begin(0), "a clock that was set back");
        assert_eq!(of(&entries, 120_999), Step::Run(Duration::from_millis(1)));
        assert_eq!(of(&entries, 121_000), Step::Cut(0));
        assert_eq!(
            next(&cycle(None), &entries, 121_000, false),
            Step::Run(GRACE),
            "an epoch is not committed"
        );
        let set_back = [Entry::Begun { cycle: 0, at_ms: 3_600_000 }, Entry::Begun { cycle: 0, at_ms: 5 }];
        assert_eq!(of(&set_back, 60_005), Step::Run(Duration::from_secs(60)), "it is no longer than it is");
        assert_eq!(of(&set_back, 120_005), Step::Cut(0));
        entries.push(Entry::Cut(cut(0, 5)));
        assert_eq!(of(&entries, 0), Step::Merge(cut(0, 5)));
        entries.push(Entry::Merged { cycle: 0, bytes: 3, sha256: "x".into() });
        assert_eq!(of(&entries, 0), Step::Archive(cut(0, 5), 3, "x".into()));
        entries.push(Entry::Archived { cycle: 0, at_ms: 2 });
        assert_eq!(of(&entries, 0), Step::Clean(cut(0, 5)));
        entries.push(Entry::Cleaned { cycle: 0 });
        assert_eq!(of(&entries, 0), Step::Begin(1));
        entries.push(Entry::Cleaned { cycle: 1 });
        assert_eq!(of(&entries, 0), Step::Done);
        assert_eq!(next(&cycle(None), &entries, 0, true), Step::Begin(2));
        let empty = Cut { archive: None, ..cut(2, 6) };
        assert_eq!(of(&[Entry::Cut(empty.clone())], 0), Step::Clean(empty));
    }

    #[test]
    fn names_grow_when_clocks_go_back() {
        let berlin = Zone::read("Europe/Berlin").unwrap();
        let template = Template::read("{name}_{yyyyMMdd_HHmmss}.csv").unwrap();
        // The night in which an hour comes twice, every twenty minutes.
        let (mut entries, mut names) = (Vec::new(), Vec::new());
        for step in 0..13_i64 {
            let stamp_us = stamp(berlin, &entries, 1_729_980_000_000 + step * 1_200_000);
            names.push(template.name("q", stamp_us, 0));
            entries.push(Entry::Cut(cut(0, stamp_us)));
        }
        assert_eq!(names[0], "q_20241027_000000.csv");
        assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        assert_eq!(names[12], "q_20241027_030000.csv", "and they are the clocks' again");
    }

    #[test]
    fn a_template_that_could_give_one_name_twice_is_refused() {
        for (text, why) in [
            ("backup/{name}.csv", "names no `yy`"),
            ("{yyyyMMdd}.csv", "names no `HH`"),
            ("{yyyyMMdd_HHmmss", "not closed"),
            ("{yyyyMMdd_HHmmss}}.csv", "has no `{`"),
            ("{nam}_{yyyyMMdd_HHmmss}.csv", "not known"),
            ("{yyyy/MMdd_HHmmss}.csv", "separator"),
            ("{yyyyMMdd_HHmmss}/", "no file"),
        ] {
            let error = Template::read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let template = Template::read("b.d/{name}_{yyyy-MM-ddTHHmmss.SSS}.csv.gz");
        assert!(template.is_err(), "T is a letter");
        let template = Template::read("b.d/{name}_{yyyy-MM-dd}T{HHmmss_SSS}.csv.gz").unwrap();
        assert_eq!(template.name("q", 1_500_000, 0), "b.d/q_1970-01-01T000001_500.csv.gz");
        assert_eq!(template.name("q", 1_500_000, 2), "b.d/q_1970-01-01T000001_500_2.csv.gz");
    }
}
