//! The quarantine for the HTTP server: the files of all queries of a pipeline as one list.
//!
//! What is open is held in memory without its bytes ([`Index`]); the bytes of a page of records are read when it is
//! asked for. A record that several queries could not decode is one record here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use forebay_core::Result;
use forebay_core::checkpoint::{QuarantinedId, RecordId};
use forebay_core::config::QuarantineConfig;
use forebay_engine::quarantine::{self, Brief, Entry, Index, Resolved, decode, not_replayed, not_there};
use forebay_server::shown::Quarantine;
use forebay_server::shown::quarantine::{Change, Chosen, Counted, Filter, Place, Record, RefusedRows};
use forebay_storage::Door;

/// What was read of the quarantines of a run, by query: it lasts from one pipeline file to the next. Clones are the same.
#[derive(Clone, Default)]
pub struct Indices(Arc<Mutex<BTreeMap<String, Index>>>);

/// The quarantines of a pipeline's queries.
pub struct Files {
    folders: Vec<(String, PathBuf)>,
    open: Indices,
}

impl Files {
    /// Those of these queries, each with its folder, and what was read of them. Nothing is read yet.
    pub fn new(folders: Vec<(String, PathBuf)>, open: Indices) -> Self {
        Self { folders, open }
    }

    /// Does `work` on what the files hold now, by query.
    fn with<T>(&self, work: impl FnOnce(&BTreeMap<String, Index>) -> Result<T>) -> Result<T> {
        // What an earlier look left half done is read anew.
        let mut open = self.open.0.lock().unwrap_or_else(|poisoned| {
            self.open.0.clear_poison();
            let mut open = PoisonError::into_inner(poisoned);
            open.clear();
            open
        });
        open.retain(|name, _| self.folders.iter().any(|(own, _)| own == name));
        for (name, folder) in &self.folders {
            if !open.contains_key(name) && folder.is_dir() {
                let quarantine =
                    quarantine::Quarantine::open(folder.clone(), Door::new(), QuarantineConfig::default())?;
                open.insert(name.clone(), Index::new(quarantine));
            }
        }
        for index in open.values_mut() {
            // A file may go between being seen and being read, as when its epoch begins anew.
            index.refresh().or_else(|_| index.refresh())?;
        }
        work(&open)
    }
}

/// One record as the indices know it.
struct Known<'a> {
    place: Place,
    /// It is a row that the sink refused.
    is_row: bool,
    code: &'a str,
    /// The sources by which it was read.
    sources: BTreeSet<&'a str>,
    /// Each query that set it aside, with its entry.
    entries: Vec<(&'a str, &'a QuarantinedId)>,
}

/// The open entries that the filter lets through, each with its query.
fn entries<'a>(
    open: &'a BTreeMap<String, Index>,
    which: &'a Filter,
) -> impl Iterator<Item = (&'a str, &'a Brief)> {
    let lets = |filter: &Option<String>, name: &str| filter.as_deref().is_none_or(|filter| filter == name);
    let of_query =
        |(query, index): (&'a String, &'a Index)| index.open().map(move |brief| (query.as_str(), brief));
    let chosen = open.iter().filter(move |(query, _)| lets(&which.query, query)).flat_map(of_query);
    chosen.filter(move |(_, brief)| lets(&which.code, &brief.code))
}

/// The open records that the filter lets through, in no order.
fn merged<'a>(open: &'a BTreeMap<String, Index>, which: &'a Filter) -> Vec<Known<'a>> {
    let mut records: HashMap<(&RecordId, u64), Known<'a>> = HashMap::new();
    for (query, brief) in entries(open, which) {
        let Brief { id, code, source, at, is_row, mark } = brief;
        let known = records.entry((&id.record, *mark)).or_insert_with(|| Known {
            place: Place { at: *at, id: id.record.clone(), mark: *mark },
            is_row: *is_row,
            code,
            sources: BTreeSet::new(),
            entries: Vec::new(),
        });
        known.sources.extend(source.as_deref());
        known.place.at = known.place.at.max(*at);
        known.entries.push((query, id));
    }
    records.into_values().collect()
}

/// How much there is, of which so many records are held.
fn counted(open: &BTreeMap<String, Index>, which: &Filter, held: usize) -> Counted {
    let beyond: u64 = match which {
        Filter { query: None, code: None } => open.values().map(Index::beyond).sum(),
        _ => 0,
    };
    let mut refused: BTreeMap<&str, RefusedRows> = BTreeMap::new();
    for (query, brief) in entries(open, which).filter(|(_, brief)| brief.is_row) {
        let none = || RefusedRows { query: query.to_owned(), rows: 0, newest_ms: brief.at };
        let of = refused.entry(query).or_insert_with(none);
        of.rows += 1;
        of.newest_ms = of.newest_ms.max(brief.at);
    }
    let (refused, bytes) = (refused.into_values().collect(), open.values().map(Index::bytes).sum());
    Counted { open: held as u64 + beyond, bytes, refused }
}

impl Quarantine for Files {
    fn list(&self, which: &Filter, after: Option<&Place>, limit: usize) -> Result<(Counted, Vec<Record>)> {
        self.with(|open| {
            let mut records = merged(open, which);
            let counted = counted(open, which, records.len());
            records.retain(|known| after.is_none_or(|after| known.place < *after));
            records.sort_unstable_by(|a, b| b.place.cmp(&a.place));
            records.truncate(limit);
            let mut whole: BTreeMap<QuarantinedId, Entry> = BTreeMap::new();
            for (query, index) in open {
                let firsts = records.iter().filter_map(|known| known.entries.first());
                let firsts = firsts.filter(|(of, _)| of == query);
                let ids: Vec<QuarantinedId> = firsts.map(|(_, id)| (*id).clone()).collect();
                if !ids.is_empty() {
                    let entries = index.quarantine().entries_of(&ids)?;
                    whole.extend(entries.into_iter().map(|entry| (entry.quarantined_id(), entry)));
                }
            }
            Ok((counted, records.into_iter().filter_map(|known| record(known, &mut whole)).collect()))
        })
    }

    fn count(&self, which: &Filter) -> Result<Counted> {
        self.with(|open| {
            let records: HashSet<_> =
                entries(open, which).map(|(_, brief)| (&brief.id.record, brief.mark)).collect();
            Ok(counted(open, which, records.len()))
        })
    }

    fn change(&self, which: &Chosen, change: Change) -> Result<u64> {
        let everything = Filter::default();
        self.with(|open| {
            let mut chosen = match which {
                Chosen::All(filter) => merged(open, filter),
                Chosen::Named(names) => {
                    let mut records = merged(open, &everything);
                    let names: BTreeSet<&RecordId> = names.iter().collect();
                    records.retain(|known| names.contains(&known.place.id));
                    let found: BTreeSet<&RecordId> = records.iter().map(|known| &known.place.id).collect();
                    if let Some(missing) = names.difference(&found).next() {
                        return Err(not_there(missing));
                    }
                    records
                }
            };
            if change == Change::Replay
                && let Some(row) = chosen.iter().find(|known| known.is_row)
            {
                let row = row.place.id.clone();
                chosen.retain(|known| !known.is_row);
                if chosen.is_empty() || matches!(which, Chosen::Named(_)) {
                    return Err(not_replayed(&row));
                }
            }
            let mut by_query: BTreeMap<&str, Vec<QuarantinedId>> = BTreeMap::new();
            for (query, id) in chosen.iter().flat_map(|known| &known.entries) {
                by_query.entry(query).or_default().push((*id).clone());
            }
            for (query, ids) in by_query {
                let Some(index) = open.get(query) else { continue };
                match change {
                    Change::Replay => index.quarantine().request(&ids)?,
                    Change::Drop => index.quarantine().resolve(&ids, Resolved::Dropped)?,
                }
            }
            Ok(chosen.len() as u64)
        })
    }
}

/// A record with its bytes; `None` if they have gone meanwhile.
fn record(known: Known<'_>, whole: &mut BTreeMap<QuarantinedId, Entry>) -> Option<Record> {
    let (_, id) = known.entries.first()?;
    let entry = whole.remove(id)?;
    let queries: BTreeSet<&str> = known.entries.iter().map(|(query, _)| *query).collect();
    Some(Record {
        place: known.place,
        queries: queries.into_iter().map(str::to_owned).collect(),
        sources: known.sources.into_iter().map(str::to_owned).collect(),
        code: known.code.to_owned(),
        key: entry.key.as_deref().and_then(decode),
        raw: entry.raw_bytes(),
        refused_by: entry.refused_by,
        path: entry.path,
        why: entry.why,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use forebay_core::Epoch;
    use forebay_engine::quarantine::encode;

    use forebay_core::error::codes;

    use super::*;

    fn put(data: &Path, query: &str, epoch: u64, at: i64, offsets: &[i64]) {
        put_of(data, query, epoch, at, offsets, None);
    }

    /// The same, of rows that this sink refused.
    fn put_of(data: &Path, query: &str, epoch: u64, at: i64, offsets: &[i64], sink: Option<&str>) {
        let topic = if sink.is_some() { format!("{query}@{epoch}") } else { "t".into() };
        let folder = quarantine::folder(data, "p", query);
        let table =
            quarantine::Quarantine::open(folder, Door::new(), QuarantineConfig::default()).unwrap().of("id");
        let mut lane = table.writer(Epoch(epoch), 0);
        for offset in offsets {
            let entry = Entry {
                id: RecordId { topic: topic.clone(), partition: 0, offset: *offset },
                input: 0,
                refused_by: sink.map(str::to_owned),
                source: Some("iot".into()),
                timestamp: 1,
                timestamp_type: 0,
                code: if *offset < 5 { "json.syntax".into() } else { "json.type".into() },
                path: "$".into(),
                why: "so".into(),
                at,
                epoch: Epoch(epoch),
                query_id: String::new(),
                key: Some(encode(b"k")),
                headers: Vec::new(),
                raw: Some(encode(format!("raw {offset}").as_bytes())),
            };
            lane.push(&entry).unwrap();
        }
        lane.finish().unwrap();
    }

    fn files(data: &Path) -> Files {
        let folder = |query: &str| (query.to_owned(), quarantine::folder(data, "p", query));
        Files::new(["a", "b", "never ran"].map(folder).into(), Indices::default())
    }

    #[test]
    fn what_was_read_is_not_read_again_for_another_file_that_has_the_query_too() {
        let data = tempfile::tempdir().unwrap();
        put(data.path(), "a", 0, 100, &[1, 2]);
        let before = files(data.path());
        let open = |files: &Files| files.count(&Filter::default()).unwrap().open;
        assert_eq!(open(&before), 2);
        let folder = quarantine::folder(data.path(), "p", "a");
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let length = std::fs::metadata(&path).unwrap().len();
            let blank = vec![b' '; usize::try_from(length).unwrap()];
            Door::new().write_atomic(&path, &blank).unwrap();
        }
        let of = |name: &str| (name.to_owned(), quarantine::folder(data.path(), "p", name));
        let next = Files::new(vec![of("a"), of("new")], before.open.clone());
        assert_eq!(open(&next), 2, "as it was read");
        assert_eq!(
            open(&Files::new(vec![of("new")], before.open.clone())),
            0,
            "those of a query that is gone"
        );
    }

    fn offsets(records: &[Record]) -> Vec<i64> {
        records.iter().map(|record| record.place.id.offset).collect()
    }

    #[test]
    fn records_of_several_queries_are_one_list_newest_first_page_by_page() {
        let data = tempfile::tempdir().unwrap();
        let files = files(data.path());
        let all = Filter::default();
        assert_eq!(files.count(&all).unwrap(), Counted::default());
        put(data.path(), "a", 0, 100, &[1, 2]);
        put(data.path(), "a", 1, 200, &[7]);
        put(data.path(), "b", 0, 150, &[2, 8]);
        let (counted, first) = files.list(&all, None, 2).unwrap();
        assert!(counted.bytes > 0);
        assert_eq!(offsets(&first), [7, 8]);
        let (_, second) = files.list(&all, Some(&first[1].place), 2).unwrap();
        assert_eq!(offsets(&second), [2, 1]);
        assert_eq!(
            (second[0].queries.clone(), second[0].raw.as_deref()),
            (vec!["a".into(), "b".into()], Some(&b"raw 2"[..]))
        );
        assert_eq!((counted.open, files.count(&all).unwrap()), (4, counted));
        let of_b = Filter { query: Some("b".into()), code: Some("json.type".into()) };
        let (counted, found) = files.list(&of_b, None, 9).unwrap();
        assert_eq!((counted.open, files.count(&of_b).unwrap(), offsets(&found)), (1, counted, vec![8]));
    }

    #[test]
    fn what_is_dropped_is_gone_and_what_is_not_there_changes_nothing() {
        let data = tempfile::tempdir().unwrap();
        let files = files(data.path());
        put(data.path(), "a", 0, 100, &[1, 2, 7]);
        let named = |offsets: &[i64]| {
            let id = |offset: &i64| RecordId { topic: "t".into(), partition: 0, offset: *offset };
            Chosen::Named(offsets.iter().map(id).collect())
        };
        let missing = files.change(&named(&[1, 9]), Change::Drop).unwrap_err();
        assert_eq!(missing.code(), &codes::QUARANTINE_NOT_FOUND);
        assert_eq!(files.change(&named(&[1]), Change::Drop).unwrap(), 1);
        assert_eq!(files.count(&Filter::default()).unwrap().open, 2);
        let syntax = Filter { code: Some("json.syntax".into()), ..Filter::default() };
        assert_eq!(files.change(&Chosen::All(syntax), Change::Replay).unwrap(), 1);
        assert_eq!(files.count(&Filter::default()).unwrap().open, 2, "a replay is asked for, not done");
    }

    #[test]
    fn rows_that_a_sink_refused_are_told_apart_and_never_replayed() {
        let data = tempfile::tempdir().unwrap();
        let files = files(data.path());
        put_of(data.path(), "a", 3, 200, &[0, 1], Some("PostgresSink[h/d t]"));
        let all = |filter: Filter| Chosen::All(filter);
        let alone = files.change(&all(Filter::default()), Change::Replay).unwrap_err();
        assert_eq!(alone.code(), &codes::WRONG_USE, "there is nothing else");
        put(data.path(), "a", 1, 100, &[1, 2]);
        put(data.path(), "b", 1, 100, &[2]);
        let (counted, listed) = files.list(&Filter::default(), None, 9).unwrap();
        let refused = RefusedRows { query: "a".into(), rows: 2, newest_ms: 200 };
        assert_eq!((counted.open, counted.refused), (4, vec![refused]));
        assert_eq!(listed[0].refused_by.as_deref(), Some("PostgresSink[h/d t]"));
        assert_eq!(listed[2].refused_by, None);
        assert_eq!(files.change(&all(Filter::default()), Change::Replay).unwrap(), 2, "the records alone");
        let id = |topic: &str| RecordId { topic: topic.into(), partition: 0, offset: 1 };
        let named = Chosen::Named(vec![id("t"), id("a@3")]);
        let error = files.change(&named, Change::Replay).unwrap_err();
        assert!(error.message().contains("a@3/0/1"), "{error}");
        assert_eq!(files.change(&named, Change::Drop).unwrap(), 2);
    }
}
