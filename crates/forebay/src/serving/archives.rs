//! The cycles for the HTTP server: the journals of the queries that collect and archive, read beside those that write them.
//!
//! What was read of a journal holds while it is as long and as old as it was. What must stay true: a name that is asked
//! for is compared with those in the journal and never joined to a path, and a file that is not as the journal says is
//! not given out.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use forebay_connectors::sinks::files::{self, Archive, Made};
use forebay_core::clock::millis;
use forebay_core::config::Pipeline;
use forebay_core::cycle::{Cycle, Entry};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_server::shown::Cycles;
use forebay_server::shown::cycles::{self, Opened, Stage, no_cycles};

use crate::load;

/// The cycles of a pipeline's queries.
pub struct Archives {
    queries: Vec<Cycling>,
    data: PathBuf,
    /// What was read, by the query's place in `queries`.
    read: Mutex<HashMap<usize, Read>>,
}

struct Cycling {
    query: String,
    cycle: Cycle,
    checkpoint: PathBuf,
}

/// What a journal of this length and time says.
#[derive(Clone)]
struct Read {
    mark: (u64, Option<SystemTime>),
    made: Arc<Made>,
}

impl Archives {
    /// Those of a file, whose relative paths lie under `data`. Nothing is read yet.
    pub fn new(pipeline: &Pipeline, data: &Path) -> Self {
        let cycling = pipeline.queries.iter().filter_map(|query| {
            Some(Cycling {
                query: query.name.clone(),
                cycle: query.cycle.as_ref()?.cycle.clone(),
                checkpoint: load::checkpoint_folder(data, &pipeline.name, query),
            })
        });
        Self { queries: cycling.collect(), data: data.to_path_buf(), read: Mutex::default() }
    }

    fn read(&self, index: usize, of: &Cycling) -> Result<Read> {
        let mark = files::journal_mark(&of.checkpoint);
        if let Some(known) = self.known().get(&index).filter(|known| known.mark == mark) {
            return Ok(known.clone());
        }
        // What is written meanwhile is read at the next look: the mark is of before.
        let read = Read { mark, made: Arc::new(files::archives(&of.checkpoint)?) };
        self.known().insert(index, read.clone());
        Ok(read)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<usize, Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cycles for Archives {
    fn list(&self, archives: usize) -> Result<Vec<cycles::Cycle>> {
        let of =
            |(index, cycling): (usize, &Cycling)| Ok(shown(cycling, &self.read(index, cycling)?, archives));
        self.queries.iter().enumerate().map(of).collect()
    }

    fn open(&self, query: &str, archive: &str) -> Result<Opened> {
        let found = self.queries.iter().enumerate().find(|(_, of)| of.query == query);
        let (index, of) = found.ok_or_else(|| no_cycles(query))?;
        let read = self.read(index, of)?;
        let named = read.made.archives.iter().rev().find(|it| it.name == archive);
        let found =
            named.or_else(|| read.made.archives.iter().rev().find(|it| file_name(&it.name) == archive));
        let missing = |what: &str| {
            Error::new(&codes::NO_RESOURCE, what)
                .with_hint(format!("GET /api/v1/cycles lists the archives of `{query}`."))
        };
        let found = found.ok_or_else(|| missing("the query has no archive of this name"))?;
        let path = self.data.join(&found.name);
        let is_file = fs::symlink_metadata(&path).is_ok_and(|it| it.is_file() && it.len() == found.bytes);
        let file = if is_file { fs::File::open(&path).ok() } else { None };
        let file = file.filter(|file| file.metadata().is_ok_and(|it| it.len() == found.bytes));
        let file =
            file.ok_or_else(|| missing("the archive was moved, removed or altered since it was made"))?;
        Ok(Opened { file, name: file_name(&found.name).to_owned(), bytes: found.bytes })
    }
}

/// The last part of a path as the journal writes it.
fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn shown(of: &Cycling, read: &Read, most: usize) -> cycles::Cycle {
    let Cycling { query, cycle, .. } = of;
    let made = &read.made;
    let (stage, number, since_ms) = match &made.last {
        None | Some(Entry::Before { .. }) => (Stage::Waiting, None, None),
        Some(Entry::Begun { cycle, at_ms }) => (Stage::Collecting, Some(*cycle), Some(*at_ms)),
        Some(Entry::Cut(cut)) if cut.archive.is_none() => (Stage::Cleaning, Some(cut.cycle), None),
        Some(Entry::Cut(cut)) => (Stage::Merging, Some(cut.cycle), None),
        Some(Entry::Merged { cycle, .. }) => (Stage::Archiving, Some(*cycle), None),
        Some(Entry::Archived { cycle, .. }) => (Stage::Cleaning, Some(*cycle), None),
        Some(Entry::Cleaned { cycle: number }) => {
            let is_last = cycle.repeat.is_some_and(|repeat| number + 1 >= repeat);
            (if is_last { Stage::Done } else { Stage::Cleaning }, Some(*number), None)
        }
    };
    let (count, rows, bytes) = made.sums();
    // People count from 1.
    let archive = |it: &Archive| cycles::Archive {
        cycle: it.cycle + 1,
        name: it.name.clone(),
        rows: it.rows,
        bytes: it.bytes,
        at_ms: it.at_ms,
    };
    cycles::Cycle {
        query: query.clone(),
        every_ms: u64::try_from(millis(cycle.every)).unwrap_or_default(),
        repeat: cycle.repeat,
        template: cycle.archive.text.clone(),
        stage,
        number: number.map(|number| number + 1),
        since_ms,
        count,
        rows,
        bytes,
        archives: made.archives.iter().rev().take(most).map(archive).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test makes its files by hand")]
mod tests {
    use std::io::Read as _;

    use forebay_core::cycle::Cut;
    use forebay_storage::lines;

    use super::*;

    const FILE: &str = "pipeline: p\nsources: {s: {format: kafka, options: {subscribe: iot, kafka.bootstrap.servers: \"a:1\"}, value: json, schema: id STRING}}\n\
        queries:\n  plain: {sql: SELECT * FROM s, format: console}\n  \
        collect: {sql: SELECT * FROM s, format: csv, options: {path: out}, cycle: {every: 2 minutes, archive: \"old/{name}_{yyyyMMdd_HHmmss}.csv\", repeat: 2}}\n";

    /// A data folder with the file's cycles, whose journal says these.
    fn cycles(data: &Path, entries: &[Entry]) -> Archives {
        let loaded = load::load(FILE, "p.yaml", None).ok().unwrap();
        let archives = Archives::new(&loaded.pipeline, data);
        let mut bytes = lines::header("forebay-cycles").into_bytes();
        for entry in entries {
            lines::push_line(&mut bytes, &serde_json::to_string(entry).unwrap());
        }
        let checkpoint = &archives.queries[0].checkpoint;
        fs::create_dir_all(checkpoint).unwrap();
        fs::write(checkpoint.join("cycles"), bytes).unwrap();
        archives
    }

    fn whole(number: u64, name: &str, bytes: u64) -> [Entry; 5] {
        let cut = Cut {
            cycle: number,
            at_ms: 10,
            stamp_us: 0,
            archive: Some(name.to_owned()),
            rows: 3,
            next: Vec::new(),
        };
        [
            Entry::Begun { cycle: number, at_ms: 7 },
            Entry::Cut(cut),
            Entry::Merged { cycle: number, bytes, sha256: "x".into() },
            Entry::Archived { cycle: number, at_ms: 11 },
            Entry::Cleaned { cycle: number },
        ]
    }

    #[test]
    fn a_cycle_is_shown_as_its_journal_says_at_each_step() {
        let data = tempfile::tempdir().unwrap();
        let all = [whole(0, "old/a.csv", 4), whole(1, "old/b.csv", 4)].concat();
        let stage = |count: usize| {
            let cycle = cycles(data.path(), &all[..count]).list(1).unwrap().remove(0);
            (cycle.stage, cycle.number, cycle.since_ms, cycle.count, cycle.archives.len())
        };
        assert_eq!(stage(0), (Stage::Waiting, None, None, 0, 0));
        assert_eq!(stage(1), (Stage::Collecting, Some(1), Some(7), 0, 0));
        assert_eq!(stage(2), (Stage::Merging, Some(1), None, 0, 0));
        assert_eq!(stage(3), (Stage::Archiving, Some(1), None, 0, 0));
        assert_eq!(stage(4), (Stage::Cleaning, Some(1), None, 1, 1));
        assert_eq!(stage(5), (Stage::Cleaning, Some(1), None, 1, 1));
        assert_eq!(stage(10), (Stage::Done, Some(2), None, 2, 1));
    }

    #[test]
    fn archives_whose_lines_are_gone_still_count() {
        let data = tempfile::tempdir().unwrap();
        let before = Entry::Before { cycle: 7, archives: 6, rows: 60, bytes: 600 };
        let all = [vec![before], whole(7, "old/a.csv", 4).to_vec()].concat();
        let cycle = cycles(data.path(), &all).list(9).unwrap().remove(0);
        assert_eq!((cycle.number, cycle.count, cycle.bytes, cycle.archives.len()), (Some(8), 7, 604, 1));
        assert_eq!(cycle.archives[0].cycle, 8);
    }

    #[test]
    fn a_journal_that_has_grown_is_read_again() {
        let data = tempfile::tempdir().unwrap();
        let all = whole(0, "old/a.csv", 4);
        let archives = cycles(data.path(), &all[..2]);
        assert_eq!(archives.list(9).unwrap()[0].stage, Stage::Merging);
        cycles(data.path(), &all);
        assert_eq!(archives.list(9).unwrap()[0].count, 1);
    }

    #[test]
    fn only_an_archive_that_the_journal_names_and_that_is_as_it_says_can_be_had() {
        let data = tempfile::tempdir().unwrap();
        let named = ["old/a.csv", "old/gone.csv", "old/longer.csv", "old/link.csv", "old/folder"];
        let entries: Vec<Entry> =
            named.iter().enumerate().flat_map(|(number, name)| whole(number as u64, name, 4)).collect();
        let archives = cycles(data.path(), &entries);
        let at = |name: &str| data.path().join(name);
        fs::create_dir_all(at("old/folder")).unwrap();
        fs::write(at("old/a.csv"), "n\n1\n").unwrap();
        fs::write(at("old/longer.csv"), "n\n1\n2\n").unwrap();
        fs::write(at("secret"), "n\n1\n").unwrap();
        fs::write(at("old/other.csv"), "n\n1\n").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("old/link.csv")).unwrap();
        for name in ["old/a.csv", "a.csv"] {
            let mut opened = archives.open("collect", name).unwrap();
            let mut text = String::new();
            opened.file.read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), opened.name.as_str(), opened.bytes), ("n\n1\n", "a.csv", 4));
        }
        let secret = at("secret").display().to_string();
        let others =
            ["", "old", "secret", "../secret", "old/../secret", "./old/a.csv", "old/other.csv", "A.csv"];
        for name in named[1..].iter().copied().chain(others).chain([secret.as_str()]) {
            let refused = archives.open("collect", name).unwrap_err();
            assert_eq!(refused.code(), &codes::NO_RESOURCE, "{name}");
        }
        for query in ["plain", "no", ""] {
            assert_eq!(archives.open(query, "old/a.csv").unwrap_err().code(), &codes::NO_RESOURCE);
        }
    }
}
