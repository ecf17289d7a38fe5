//! Which version of its tables a query is joined with, and how it comes to another.
//!
//! ```text
//! start ─ read all ─▶ held ◀─────────────────── taken before the next epoch is planned
//!                                                      ▲
//! before each plan: which version is there? ─ another ─▶ read it beside the epochs ─ good ─┘
//!                                                                                  └ broken: told, and what is held stays
//! ```
//!
//! What must stay true: an epoch is joined with whole versions, which its plan names; what cannot be read never takes the
//! place of what could.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_core::error::codes;
use forebay_core::table::{StaticTable, TableVersion, Wanted};
use forebay_core::{Error, Result};
use futures::FutureExt;
use tokio_util::task::AbortOnDropHandle;

use super::{Built, Held, LookupSpec};
use crate::plan::StreamPlan;

/// How long a version of files must stand before it is read: who writes a file in its place writes it in pieces.
const SETTLED: Duration = Duration::from_millis(500);

/// After how long a version that could not be read is tried again, if it is still the newest.
const AGAIN: Duration = Duration::from_secs(5);

/// How a table of a query stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The table.
    pub name: String,
    /// Which version the query's rows are joined with; `None` before the first was read.
    pub version: Option<TableVersion>,
    /// Rows of it that the query holds.
    pub rows: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// Why a newer version cannot be read, if there is one.
    pub error: Option<Error>,
    /// Since when none can be read, milliseconds since 1970; `None` while one can.
    pub broken_since_ms: Option<i64>,
}

/// The tables at rest of one query.
pub(crate) struct Tables {
    /// The query, for people; empty for those who only ask once.
    query: String,
    specs: Vec<Arc<LookupSpec>>,
    tables: Vec<OfQuery>,
    built: Vec<Option<Arc<Built>>>,
    held: Arc<Held>,
    reading: Option<Reading>,
    /// True if [`Self::standings`] is not what was last told.
    news: bool,
}

struct OfQuery {
    table: Arc<dyn StaticTable>,
    version: Option<TableVersion>,
    /// Another version, and since when it is seen.
    other: Option<(TableVersion, Instant)>,
    failed: Option<Failed>,
}

/// A version that could not be read; `None` if even which it is could not be told.
struct Failed {
    version: Option<TableVersion>,
    error: Error,
    at: Instant,
    /// Since when none could be read, milliseconds since 1970.
    since_ms: i64,
}

/// A version that is being read.
struct Reading {
    table: usize,
    version: TableVersion,
    task: AbortOnDropHandle<Result<Fresh>>,
}

/// What was read.
struct Fresh {
    /// The version of each table that was.
    versions: Vec<(usize, TableVersion)>,
    /// The joins that read them.
    built: Vec<(usize, Arc<Built>)>,
}

impl Tables {
    /// The tables that a plan reads, of those that there are.
    pub fn new(plan: &StreamPlan, all: &[Arc<dyn StaticTable>]) -> Result<Self> {
        let specs = plan.lookups();
        let names: BTreeSet<&String> = specs.iter().flat_map(|spec| &spec.tables).collect();
        let tables = names.into_iter().map(|name| {
            let found = all.iter().find(|table| table.name().eq_ignore_ascii_case(name));
            let missing = || Error::new(&codes::INTERNAL, format!("the table `{name}` is not there"));
            let table = Arc::clone(found.ok_or_else(missing)?);
            Ok(OfQuery { table, version: None, other: None, failed: None })
        });
        let tables = tables.collect::<Result<_>>()?;
        let built = vec![None; specs.len()];
        let query = String::new();
        Ok(Self { query, specs, tables, built, held: Arc::default(), reading: None, news: true })
    }

    /// What is told of them names this query.
    pub fn of(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    /// Reads all tables: these versions of those that still have them, of others the newest.
    pub async fn read(&mut self, exact: &BTreeMap<String, TableVersion>) -> Result<()> {
        let wanted = |table: &OfQuery| match exact.get(table.table.name()) {
            Some(version) => Wanted::Exact(version.clone()),
            None => Wanted::Newest,
        };
        let tables: Vec<_> =
            self.tables.iter().enumerate().map(|(at, it)| (at, Arc::clone(&it.table), wanted(it))).collect();
        let specs = self.specs.iter().cloned().enumerate().collect();
        let fresh = fresh(tables, specs).await?;
        self.take(fresh)?;
        for table in &self.tables {
            let (name, was) = (table.table.name(), exact.get(table.table.name()));
            if let (Some(was), Some(is)) = (was, table.version.as_ref())
                && was != is
            {
                tracing::warn!(table = name, %was, %is, "the epoch is repeated with another version of the table");
            }
        }
        Ok(())
    }

    /// Before an epoch is planned: takes what has been read, and begins to read what is new.
    pub async fn look(&mut self, now_ms: i64) -> Result<()> {
        if let Some(reading) = &mut self.reading {
            let Some(ended) = (&mut reading.task).now_or_never() else { return Ok(()) };
            let (table, version) = (reading.table, reading.version.clone());
            self.reading = None;
            let ended = ended.unwrap_or_else(|e| {
                Err(Error::new(&codes::INTERNAL, "the reading of a table ended unexpectedly").caused_by(e))
            });
            match ended {
                Ok(fresh) => self.take(fresh)?,
                Err(error) => self.fail(table, Some(version), error, now_ms),
            }
        }
        for at in 0..self.tables.len() {
            if self.reading.is_none() {
                self.look_at(at, now_ms).await;
            }
        }
        Ok(())
    }

    async fn look_at(&mut self, at: usize, now_ms: i64) {
        let table = Arc::clone(&self.tables[at].table);
        let is_there = match table.version().await {
            Ok(version) => version,
            Err(error) => return self.fail(at, None, error, now_ms),
        };
        let it = &mut self.tables[at];
        if it.version.as_ref() == Some(&is_there) {
            it.other = None;
            if it.failed.take().is_some() {
                self.news = true;
                tracing::info!(query = %self.query, table = table.name(), version = %is_there, "the table can be read again");
            }
            return;
        }
        let since = match &it.other {
            Some((version, since)) if *version == is_there => *since,
            _ => {
                let now = Instant::now();
                it.other = Some((is_there.clone(), now));
                now
            }
        };
        let is_settled = table.is_atomic() || since.elapsed() >= SETTLED;
        let waits = it
            .failed
            .as_ref()
            .is_some_and(|failed| failed.version.as_ref() == Some(&is_there) && failed.at.elapsed() < AGAIN);
        if !is_settled || waits {
            return;
        }
        let (specs, needed) = self.reading(table.name());
        let tables = self.tables.iter().enumerate().filter(|(_, it)| needed.contains(it.table.name()));
        let wanted = |index: usize, it: &OfQuery| match &it.version {
            Some(version) if index != at => Wanted::Exact(version.clone()),
            _ => Wanted::Exact(is_there.clone()),
        };
        let tables = tables.map(|(index, it)| (index, Arc::clone(&it.table), wanted(index, it))).collect();
        let task = AbortOnDropHandle::new(tokio::spawn(fresh(tables, specs)));
        self.reading = Some(Reading { table: at, version: is_there, task });
    }

    /// The joins that are made anew with a table, and the tables that are read for that. Of files only what is there now can
    /// be read, so whoever reads a table that another needs is made anew too: a table has one version for all.
    fn reading(&self, table: &str) -> (Vec<(usize, Arc<LookupSpec>)>, BTreeSet<String>) {
        let mut needed = BTreeSet::from([table.to_owned()]);
        loop {
            let specs = self.specs.iter().cloned().enumerate();
            let specs: Vec<_> = specs.filter(|(_, spec)| !spec.tables.is_disjoint(&needed)).collect();
            let before = needed.len();
            needed.extend(specs.iter().flat_map(|(_, spec)| spec.tables.iter().cloned()));
            if needed.len() == before {
                return (specs, needed);
            }
        }
    }

    fn take(&mut self, fresh: Fresh) -> Result<()> {
        for (at, version) in fresh.versions {
            let it = &mut self.tables[at];
            if it.version.as_ref() != Some(&version) {
                tracing::info!(table = it.table.name(), %version, "the table is read");
            }
            (it.version, it.other, it.failed) = (Some(version), None, None);
        }
        for (at, built) in fresh.built {
            self.built[at] = Some(built);
        }
        let pairs = self.specs.iter().zip(&self.built).map(|(spec, built)| {
            let missing = || Error::new(&codes::INTERNAL, "a table was not read");
            Ok((Arc::clone(spec), Arc::clone(built.as_ref().ok_or_else(missing)?)))
        });
        self.held = Arc::new(Held::new(pairs.collect::<Result<_>>()?));
        self.news = true;
        Ok(())
    }

    fn fail(&mut self, at: usize, version: Option<TableVersion>, error: Error, now_ms: i64) {
        let it = &mut self.tables[at];
        let is_known = it
            .failed
            .as_ref()
            .is_some_and(|failed| failed.version == version && failed.error.message() == error.message());
        if !is_known {
            self.news = true;
            let kept = it.version.as_ref().map(TableVersion::to_string).unwrap_or_default();
            tracing::warn!(query = %self.query, table = it.table.name(), %kept, %error, hint = error.hint(), "the table cannot be read; the last good version stays");
        }
        let since_ms = it.failed.as_ref().map_or(now_ms, |failed| failed.since_ms);
        it.failed = Some(Failed { version, error, at: Instant::now(), since_ms });
    }

    /// Waits until nothing is being read.
    #[cfg(test)]
    pub async fn settle(&mut self) {
        while self.reading.as_ref().is_some_and(|reading| !reading.task.is_finished()) {
            tokio::task::yield_now().await;
        }
    }

    /// What epochs are joined with now.
    pub fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    /// Which versions that is, by the tables' names.
    pub fn versions(&self) -> BTreeMap<String, TableVersion> {
        let versions =
            self.tables.iter().filter_map(|it| Some((it.table.name().to_owned(), it.version.clone()?)));
        versions.collect()
    }

    /// How the tables stand, if that has changed since it was last asked.
    pub fn news(&mut self) -> Option<Vec<Standing>> {
        if !std::mem::take(&mut self.news) {
            return None;
        }
        let standing = |it: &OfQuery| {
            let name = it.table.name();
            let joins = self.specs.iter().zip(&self.built).filter(|(spec, _)| spec.tables.contains(name));
            let built: Vec<&Arc<Built>> = joins.filter_map(|(_, built)| built.as_ref()).collect();
            Standing {
                name: name.to_owned(),
                version: it.version.clone(),
                rows: built.iter().map(|built| built.rows.num_rows() as u64).max().unwrap_or_default(),
                bytes: built.iter().map(|built| built.bytes()).sum(),
                error: it.failed.as_ref().map(|failed| failed.error.clone()),
                broken_since_ms: it.failed.as_ref().map(|failed| failed.since_ms),
            }
        };
        Some(self.tables.iter().map(standing).collect())
    }
}

/// Reads tables, and what joins read of them.
async fn fresh(
    tables: Vec<(usize, Arc<dyn StaticTable>, Wanted)>,
    specs: Vec<(usize, Arc<LookupSpec>)>,
) -> Result<Fresh> {
    let (mut raw, mut versions, mut limits) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    for (at, table, wanted) in tables {
        let rows = table.load(&wanted).await?;
        limits.insert(table.name().to_owned(), table.max_memory());
        raw.insert(table.name().to_owned(), (table.schema(), rows.batches));
        versions.push((at, rows.version));
    }
    let mut built = Vec::new();
    for (at, spec) in specs {
        let limits = spec.tables.iter().filter_map(|name| limits.get(name));
        let limit = limits.fold(0_u64, |sum, limit| sum.saturating_add(*limit));
        built.push((at, Arc::new(Built::read(&spec, &raw, limit).await?)));
    }
    Ok(Fresh { versions, built })
}

/// The newest versions of the tables that a plan reads: for those who ask beside the stream.
pub async fn newest(plan: &StreamPlan, all: &[Arc<dyn StaticTable>]) -> Result<Arc<Held>> {
    as_of(plan, all, &BTreeMap::new()).await
}

/// The same; of tables that still have these versions, these.
pub async fn as_of(
    plan: &StreamPlan,
    all: &[Arc<dyn StaticTable>],
    versions: &BTreeMap<String, TableVersion>,
) -> Result<Arc<Held>> {
    let mut tables = Tables::new(plan, all)?;
    tables.read(versions).await?;
    Ok(tables.held())
}
