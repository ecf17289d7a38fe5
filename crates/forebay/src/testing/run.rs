//! One test, run: the real queries and alerts on a clock that only the test moves.
//!
//! ```text
//! step   the clock goes on ─▶ what time alone brings about ─▶ the records come ─▶ each query, until it has all ─▶ claims
//! ```
//!
//! Each query is opened for each step and ends when nothing is left to do, as a run with `availableNow` would; so between
//! any two steps lies a restart. What must stay true: all that is written lies in a folder of its own that is gone
//! afterwards, and an error that would be tried again for ever ends the test instead.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_core::clock::{Clock, ManualClock};
use forebay_core::config::SourceConfig;
use forebay_core::error::codes;
use forebay_core::limits::Limits;
use forebay_core::sink::Sink;
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Ledger, Result};
use forebay_engine::late;
use forebay_engine::quarantine::{self, Entry, Quarantine};
use forebay_engine::query::{QueryHandle, QueryInput, QueryOptions};
use forebay_engine::status::State;
use forebay_rules::{Alert, AlertBook, AlertState};
use forebay_storage::Door;
use tempfile::TempDir;

use super::cell::{self, Cell};
use super::check::{Claim, Test, What};
use super::compare::{Difference, compare};
use super::world::{Table, Topics};
use crate::load::{self, Loaded};
use crate::site;
use crate::work::{self, Chosen, Work};

/// What came of a test.
#[derive(Debug)]
pub struct Outcome {
    pub took: Duration,
    pub failures: Vec<Failure>,
    /// What else whoever reads it should know.
    pub notes: Vec<String>,
}

/// Something that is not as expected.
#[derive(Debug)]
pub struct Failure {
    /// Where it is expected.
    pub place: (usize, usize),
    /// When, by the clock of the test.
    pub at_ms: i64,
    /// The query, or the alert as `alerts/NAME`.
    pub of: String,
    pub why: Why,
}

/// In which way.
#[derive(Debug)]
pub enum Why {
    Differs(What, Difference),
    /// The query ended with an error.
    Failed(Error),
}

/// Runs a test.
///
/// # Errors
/// If the folder for it cannot be made.
pub async fn run(test: &Test, loaded: &Loaded) -> Result<Outcome> {
    let started = Instant::now();
    let mut world = World::new(test, loaded)?;
    let mut failures = Vec::new();
    'steps: for step in &test.steps {
        let has_moved = world.go_on_to(step.at_ms);
        let mut phases = vec![false];
        if has_moved {
            phases.insert(0, true);
        }
        for is_time_alone in phases {
            if !is_time_alone {
                step.records.iter().for_each(|record| world.topics.append(record.clone()));
            }
            if let Err((of, error)) = world.run_all(is_time_alone).await {
                let place =
                    step.claims.iter().find(|claim| claim.of == of).map_or((test.line, 1), |it| it.place);
                failures.push(Failure { place, at_ms: step.at_ms, of, why: Why::Failed(error) });
                break 'steps;
            }
        }
        for claim in &step.claims {
            let (of, place, at_ms) = (claim.of.clone(), claim.place, step.at_ms);
            let all = claim.what != What::Contains;
            let why = match world.found(claim) {
                Ok(found) => compare(&claim.rows, &found, all).map(|it| Why::Differs(claim.what, it)),
                Err(error) => Some(Why::Failed(error)),
            };
            failures.extend(why.map(|why| Failure { place, at_ms, of, why }));
        }
    }
    Ok(Outcome { took: started.elapsed(), failures, notes: world.notes() })
}

/// All there is in one test.
struct World<'a> {
    loaded: &'a Loaded,
    test: &'a Test,
    data: TempDir,
    door: Door,
    clock: Arc<ManualClock>,
    topics: Topics,
    alerts: AlertBook,
    running: Vec<Running<'a>>,
}

/// A query or alert that runs in it.
struct Running<'a> {
    it: Chosen<'a>,
    table: Table,
    ledger: Ledger,
}

impl<'a> World<'a> {
    fn new(test: &'a Test, loaded: &'a Loaded) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("forebay-test-").tempdir().map_err(|e| {
            Error::new(&codes::STORAGE, "no folder can be made for a test")
                .at(std::env::temp_dir().display())
                .caused_by(e)
        })?;
        let names: Vec<String> = test.runs.iter().cloned().collect();
        let chosen = work::chosen(loaded, &names)?;
        let running =
            chosen.into_iter().map(|it| Running { it, table: Table::default(), ledger: Ledger::default() });
        Ok(Self {
            loaded,
            test,
            data,
            door: Door::scratch(),
            clock: ManualClock::at(test.at_ms),
            topics: Topics::default(),
            alerts: AlertBook::default(),
            running: running.collect(),
        })
    }

    /// Moves the clock; false if it stands there already.
    fn go_on_to(&self, at_ms: i64) -> bool {
        let before = self.clock.now_ms();
        self.clock.advance(at_ms - before);
        at_ms > before
    }

    /// Runs each query to its end, or those that time alone can move. Fails with the name of the first that fails.
    async fn run_all(&mut self, is_time_alone: bool) -> Result<(), (String, Error)> {
        for index in 0..self.running.len() {
            let Some(running) = self.running.get(index) else { continue };
            let watermarks = || running.it.sources.iter().filter_map(|source| source.watermark.as_ref());
            let is_moved = watermarks().any(|watermark| watermark.idle_timeout.is_some());
            let goes_by_time = match running.it.work {
                Work::Query(_) => is_moved && running.it.plan.remembers(),
                Work::Alert(alert) => alert.goes_by_time(),
            };
            if is_time_alone && !goes_by_time {
                continue;
            }
            let name = running.it.work.name();
            let ended = match self.options(running).and_then(QueryOptions::open) {
                Ok(opened) => to_its_end(opened.start()).await,
                Err(error) => Err(error),
            };
            let ledger = ended.map_err(|error| (name, error))?;
            if let Some(running) = self.running.get_mut(index) {
                running.ledger = ledger;
            }
        }
        Ok(())
    }

    fn options(&self, Running { it, table, .. }: &Running<'_>) -> Result<QueryOptions> {
        let Chosen { work, plan, sources } = it;
        let work = *work;
        let (pipeline, data) = (&self.loaded.pipeline, self.data.path());
        let (folder, door) = (work.folder_name(), self.door.clone());
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        // Wherever the file has its own.
        let checkpoint = data.join("checkpoints").join(&folder);
        let sink: Box<dyn Sink> = match work {
            Work::Query(query) => Box::new(table.sink(query.output_mode, plan.group_keys())),
            Work::Alert(alert) => {
                let (count, book) = (self.loaded.alerts.len(), self.alerts.clone());
                Box::new(alert.sink(count, &checkpoint, door.clone(), Arc::clone(&clock), book))
            }
        };
        let input = |source: &&SourceConfig| {
            let topics = self.test.topics.get(&source.name).cloned().unwrap_or_default();
            Ok(QueryInput {
                source: Box::new(self.topics.source(&topics)),
                format: load::format_of(source)?,
                limits: Limits::default(),
            })
        };
        Ok(QueryOptions {
            pipeline: pipeline.name.clone(),
            name: work.name(),
            plan: Arc::clone(plan),
            inputs: sources.iter().map(input).collect::<Result<_>>()?,
            sink,
            trigger: Trigger::AvailableNow,
            lanes: 1,
            checkpoint,
            data_dir: data.to_path_buf(),
            quarantine: self.quarantine(&folder)?,
            tables: self.loaded.tables.clone(),
            share: None,
            memory: site::memory(work, plan, sources, late::folder(data, &pipeline.name, &folder)),
            door,
            clock,
        })
    }

    fn quarantine(&self, folder: &str) -> Result<Quarantine> {
        let pipeline = &self.loaded.pipeline;
        let dir = quarantine::folder(self.data.path(), &pipeline.name, folder);
        Quarantine::open(dir, self.door.clone(), pipeline.quarantine.clone())
    }

    /// The queries whose rows are expected in update mode and are all that came, not the newest of each group.
    fn notes(&self) -> Vec<String> {
        let claims = || self.test.steps.iter().flat_map(|step| &step.claims);
        let has_rows = |name: &str| {
            claims().any(|claim| claim.of == name && matches!(claim.what, What::Rows | What::Contains))
        };
        let keyless = self.running.iter().filter(|running| running.it.plan.repeats_without_keys());
        let names = keyless.map(|running| running.it.work.name()).filter(|name| has_rows(name));
        let note = |name| {
            format!(
                "`{name}` has no key in its output, so its rows are all that came, not the newest of each group: put each \
                 column of GROUP BY into the SELECT, with ROLLUP, CUBE or GROUPING SETS also `grouping_id()`"
            )
        };
        names.map(note).collect()
    }

    /// What is there of what a claim is about.
    fn found(&self, claim: &Claim) -> Result<Vec<Cell>> {
        let named = |running: &&Running<'_>| running.it.work.name() == claim.of;
        let Some(running) = self.running.iter().find(named) else {
            return Err(Error::new(&codes::INTERNAL, format!("`{}` does not run in the test", claim.of)));
        };
        let folder = running.it.work.folder_name();
        match claim.what {
            What::Rows | What::Contains => Ok(running.table.rows()),
            What::Late => {
                let dir = late::folder(self.data.path(), &self.loaded.pipeline.name, &folder);
                let Some((_, batches)) = late::rows(&dir)? else { return Ok(Vec::new()) };
                let mut rows = Vec::new();
                for batch in batches {
                    rows.extend(cell::rows(&batch?).map_err(|e| {
                        Error::new(&codes::INTERNAL, "late rows cannot be read").caused_by(e)
                    })?);
                }
                Ok(rows)
            }
            What::Quarantined => {
                let open = self.quarantine(&folder)?.open_entries()?;
                Ok(open.iter().map(set_aside).collect())
            }
            What::Ledger => {
                let counts = running.ledger.counts();
                let count = |(name, count): (&str, u64)| (name.to_owned(), Cell::Int(count.into()));
                Ok(vec![Cell::Fields(counts.map(count).into_iter().collect())])
            }
            What::Alerts => {
                let all = self.alerts.open().into_iter().chain(self.alerts.cleared());
                let own = all.filter(|alert| crate::alerts::query_name(&alert.rule) == claim.of);
                let mut own: Vec<_> = own.collect();
                own.sort_by_key(|alert| alert.opened_at);
                Ok(own.iter().map(|alert| told(alert)).collect())
            }
        }
    }
}

/// Waits until a query has done all there is to do, and gives its ledger. An error that it would try again is its end.
async fn to_its_end(handle: QueryHandle) -> Result<Ledger> {
    let (mut status, stop) = (handle.status(), handle.stopper());
    let ledger = status.clone();
    let mut ended = pin!(handle.join());
    let trouble = async {
        let found = status.wait_for(|status| matches!(status.state, State::Retrying { .. })).await;
        match found.ok().and_then(|status| status.state.error().cloned()) {
            Some(error) => error,
            // It has ended, which the other one tells.
            None => std::future::pending().await,
        }
    };
    let error = tokio::select! {
        ended = &mut ended => {
            ended?;
            return Ok(ledger.borrow().ledger);
        }
        error = trouble => error,
    };
    stop.cancel();
    let _ = ended.await;
    Err(error)
}

/// A record of the quarantine as a row.
fn set_aside(entry: &Entry) -> Cell {
    let text = |text: &str| Cell::Text(text.to_owned());
    let bytes = |bytes: Option<Vec<u8>>| {
        bytes.map_or(Cell::Null, |bytes| Cell::Text(String::from_utf8_lossy(&bytes).into_owned()))
    };
    let key = entry.key.as_deref().and_then(quarantine::decode);
    row([
        ("code", text(&entry.code)),
        ("path", text(&entry.path)),
        ("why", text(&entry.why)),
        ("topic", text(&entry.id.topic)),
        ("partition", Cell::Int(entry.id.partition.into())),
        ("offset", Cell::Int(entry.id.offset.into())),
        ("timestamp", Cell::Time(entry.timestamp.saturating_mul(1_000))),
        ("key", bytes(key)),
        ("value", bytes(entry.raw_bytes())),
    ])
}

/// An alert as a row.
fn told(alert: &Alert) -> Cell {
    let text = |text: &str| Cell::Text(text.to_owned());
    let time = |ms: Option<i64>| ms.map_or(Cell::Null, |ms| Cell::Time(ms.saturating_mul(1_000)));
    let values = |values: &serde_json::Map<String, serde_json::Value>| {
        Cell::of_json(&serde_json::Value::Object(values.clone()))
    };
    let state = match alert.state {
        AlertState::Open => "open",
        AlertState::Cleared => "cleared",
    };
    row([
        ("rule", text(&alert.rule)),
        ("source", text(&alert.source)),
        ("key", alert.key.as_deref().map_or(Cell::Null, text)),
        ("severity", text(alert.severity.word())),
        ("state", text(state)),
        ("openedAt", time(Some(alert.opened_at))),
        ("clearedAt", time(alert.cleared_at)),
        ("message", text(&alert.message)),
        ("value", values(&alert.value)),
        ("clearedValue", alert.cleared_value.as_ref().map_or(Cell::Null, values)),
        ("worst", text(alert.worst().word())),
        ("noData", Cell::Bool(alert.life.no_data.is_some())),
        ("field", alert.life.no_data.as_ref().and_then(|of| of.field.as_deref()).map_or(Cell::Null, text)),
        ("muted", alert.life.muted.as_deref().map_or(Cell::Null, text)),
    ])
}

fn row<const N: usize>(fields: [(&str, Cell); N]) -> Cell {
    Cell::Fields(fields.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect())
}
