//! The sink of an alert's query: rows in, transitions out, each once.
//!
//! ```text
//!  begin(N)   is N in the journal? ── yes ──▶ AlreadyWritten
//!     │ no
//!  lanes      the rows at which something changes, in memory only
//!     │
//!  commit(N)  order, decide ──▶ one entry { query id, N, transitions } ──fsync──▶ the state and the book take it
//!  tidy       the journal becomes a snapshot when it has grown enough
//! ```
//!
//! | dies | the journal | the epoch on restart |
//! |---|---|---|
//! | before the entry is whole | as it was, perhaps with a torn tail, which is cut | is decided again from the same rows |
//! | after the entry, before its fsync returns | has the epoch, if the disk kept it | is recognised, made durable and not decided again; or the line above |
//! | after that | has the epoch | is recognised |
//! | while it is rewritten | the old file or the new one | both say the same |
//!
//! What must stay true: memory changes only after the entry is durable, so an attempt that fails leaves nothing
//! behind; and every epoch with rows leaves an entry, also one that changes nothing, so that a journal which is older
//! than its checkpoint is noticed. One without rows leaves an entry only if its time tells of something: a silence, or a notice that
//! waited. [`AlertSink::next_due`] says when an epoch would be worth its while though there are no rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Sink, Stopping, Written};
use forebay_core::{Code, Epoch, Error, Result};
use forebay_storage::{Door, kill_point};

use crate::alert::Alert;
use crate::book::AlertBook;
use crate::columns::Columns;
use crate::desk::Desk;
use crate::entry::{Changes, Entry, EpochEntry, Last};
use crate::epoch::{Facts, decide};
use crate::journal::Journal;
use crate::key;
use crate::lane::{AlertLane, LanePart, settle};
use crate::logic::Watched;
use crate::notices::Around;
use crate::readings::Readings;
use crate::rule::Bounds;
use crate::tell::Teller;

/// How long a query that ends by itself waits for its notices to be told, and one that was asked to end. What is left is told by the
/// next run.
const LAST_WORDS: Duration = Duration::from_secs(10);
const ASKED_TO_END: Duration = Duration::from_secs(1);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

/// Watches one rule. See the module.
pub struct AlertSink {
    watched: Arc<Watched>,
    bounds: Bounds,
    /// The folder of the query's checkpoint.
    dir: PathBuf,
    door: Door,
    clock: Arc<dyn Clock>,
    book: AlertBook,
    readings: Readings,
    opened: Option<Opened>,
    teller: Teller,
    stopping: Option<Stopping>,
}

struct Opened {
    desk: Desk,
    columns: Arc<Columns>,
}

impl AlertSink {
    /// A sink whose journal lies in `dir`, the folder of the query's checkpoint, and that shows its alerts in `book`.
    /// Touches nothing yet.
    pub fn new(
        rule: impl Into<Watched>,
        bounds: Bounds,
        dir: PathBuf,
        door: Door,
        clock: Arc<dyn Clock>,
        book: AlertBook,
    ) -> Self {
        let watched: Arc<Watched> = Arc::new(rule.into());
        let said = Arc::clone(&watched);
        let teller = Teller::new(Arc::clone(&clock), move |sum| sum.say(&said.rule.name, &bounds));
        let (readings, opened, stopping) = (Readings::default(), None, None);
        Self { watched, bounds, dir, door, clock, book, readings, opened, teller, stopping }
    }

    /// The same, which finds out whose rows it gets together with others that get the same columns.
    pub fn reading_with(self, readings: Readings) -> Self {
        Self { readings, ..self }
    }

    /// Waits until what is due was told, if somebody tells it; not for long, and shortly if the query was asked to end.
    async fn last_words(&self, desk: &Desk) {
        let is_asked = match self.stopping.clone() {
            Some(stopping) => tokio::time::timeout(Duration::ZERO, stopping).await.is_ok(),
            None => false,
        };
        let end = Instant::now() + if is_asked { ASKED_TO_END } else { LAST_WORDS };
        while self.book.is_attended() && !desk.state().outbox().due().is_empty() && Instant::now() < end {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn opened(&mut self) -> Result<&mut Opened> {
        self.opened
            .as_mut()
            .ok_or_else(|| Error::new(&codes::INTERNAL, "the sink of an alert was not opened"))
    }
}

#[async_trait]
impl Sink for AlertSink {
    fn description(&self) -> String {
        format!("AlertSink[{}]", self.watched.rule.name)
    }

    /// Conditions, times and words may change from run to run; whose alerts they are may not.
    fn identity(&self, _: Option<&Path>) -> String {
        format!("AlertSink[key={}]", self.watched.rule.key_column)
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    /// An alert has no `checkpointLocation` that could be changed, and its sink lies in its checkpoint's folder.
    fn remedy(&self, code: &Code) -> Option<String> {
        let dir = self.dir.display();
        if *code == codes::CHECKPOINT_OTHER_QUERY {
            return Some(format!(
                "Undo the change and the alert goes on. Under a new name, or once the folder {dir} is removed, it is a new alert: it begins where the source's starting options say, and what was open is forgotten."
            ));
        }
        (*code == codes::SINK_BEHIND).then(|| {
            format!(
                "Its alerts and its checkpoint lie in one folder, {dir}: bring back both from one copy. Or remove the folder: then the alert begins anew where the source's starting options say, and what was open is forgotten."
            )
        })
    }

    fn stopping(&mut self, stop: Stopping) {
        self.stopping = Some(stop);
    }

    async fn open(&mut self, schema: SchemaRef) -> Result<()> {
        let mut watched = Watched::clone(&self.watched);
        let columns = Arc::new(Columns::of(&schema, &mut watched)?);
        self.watched = Arc::new(watched);
        let Bounds { journal, cleared, .. } = self.bounds;
        let (journal, state) = Journal::open(&self.dir, self.door.clone(), journal, cleared)?;
        let Watched { rule, .. } = &*self.watched;
        self.book.load(&rule.name, &rule.key_fields, state.all_open(), state.cleared());
        let desk = Desk::new(journal, state, Arc::clone(&self.watched), cleared);
        self.book.attend(&rule.name, &desk);
        self.opened = Some(Opened { desk, columns });
        Ok(())
    }

    async fn last_epoch(&mut self, query_id: &str) -> Result<Option<Epoch>> {
        Ok(self.opened()?.desk.state().last_epoch(query_id))
    }

    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        let (watched, bounds, readings) = (Arc::clone(&self.watched), self.bounds, self.readings.clone());
        let opened = self.opened()?;
        let state = opened.desk.state();
        if state.last_epoch(&id.query_id) >= Some(id.epoch) {
            return Ok(Begun::AlreadyWritten);
        }
        let lane = |_| {
            Box::new(AlertLane {
                watched: Arc::clone(&watched),
                columns: Arc::clone(&opened.columns),
                state: Arc::clone(&state),
                bounds,
                latest: id.planned_at_ms,
                readings: readings.clone(),
                is_lent: false,
                part: LanePart::default(),
            }) as Box<dyn LaneWriter>
        };
        Ok(Begun::Writers((0..lanes).map(lane).collect()))
    }

    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written> {
        let mut lanes = Vec::with_capacity(parts.len());
        for part in parts {
            let lane = part
                .downcast::<LanePart>()
                .map_err(|_| Error::new(&codes::INTERNAL, "a part of another sink came to an alert"))?;
            lanes.push(*lane);
        }
        let has_rows = lanes.iter().any(|lane| lane.rows > 0);
        let (watched, bounds, seen_at) = (Arc::clone(&self.watched), self.bounds, self.clock.now_ms());
        let book = self.book.clone();
        let is_open = |rule: &str, held: &str| book.is_open(rule, key::shown(held).as_deref());
        let desk = &self.opened()?.desk;
        let written = desk.with(|papers| -> Result<_> {
            let state = Arc::clone(&papers.state);
            settle(&watched, &state, &bounds, &mut lanes)?;
            let left_out: u64 = lanes.iter().map(|lane| lane.kept.left_out).sum();
            let facts = Facts {
                watched: &watched,
                bounds: &bounds,
                state: &state,
                now: id.planned_at_ms,
                seen_at,
                silences: book.silences(),
                is_open: &is_open,
            };
            let (changes, refused) = decide(&facts, lanes);
            if !has_rows && changes == Changes::default() {
                return Ok(None);
            }
            let last = Last { query_id: id.query_id.clone(), epoch: id.epoch };
            let entry = Entry::Epoch(EpochEntry { last, changes: changes.clone() });
            kill_point("sink.alert.commit.before");
            // Let go of it, so that the state is changed in place.
            drop(state);
            let (changed, bytes) = papers.write(entry)?;
            book.publish(changed);
            Ok(Some((changes, (refused, left_out), bytes)))
        })?;
        let Some((changes, (refused, left_out), bytes)) = written else { return Ok(Written::default()) };
        self.teller.add(&changes, refused, left_out);
        Ok(Written { rows: changes.transitions.len() as u64, bytes, files: 0 })
    }

    /// A silence, something that waits for others, a key that is watched from the first epoch on, or an alert whose opening was muted and is
    /// not any more. `None` before it is open.
    fn next_due(&self, now_ms: i64) -> Option<i64> {
        let state = self.opened.as_ref()?.desk.state();
        let Watched { logic, notices, .. } = &*self.watched;
        let silence = logic.no_data.as_ref().and_then(|no_data| {
            let is_new = |name: &String| state.watch(&key::silence(&key::held(Some(name)), None)).is_none();
            if no_data.of_key && no_data.keys.iter().any(is_new) {
                return Some(now_ms);
            }
            let told = |name: &String| state.open(name).is_some();
            let seen = state.watches().filter(|(name, _)| !told(name)).filter_map(|(_, watch)| watch.seen);
            seen.min().map(|seen| seen.saturating_add(no_data.after_ms).saturating_add(1))
        });
        let is_free = |alert: &Arc<Alert>| {
            let is_open = |rule: &str| self.book.is_open(rule, alert.key.as_deref());
            let around = Around { silences: self.book.silences(), now: now_ms, is_open: &is_open };
            notices.release(alert, &around).is_some()
        };
        let freed = state.all_open().any(is_free).then_some(now_ms);
        notices.next_due(state.outbox()).into_iter().chain(silence).chain(freed).min()
    }

    async fn abort(&mut self, _id: &EpochId) -> Result<()> {
        Ok(())
    }

    async fn tidy(&mut self) -> Result<()> {
        self.readings.tidy();
        self.opened()?.desk.with(|papers| papers.journal.tidy(&papers.state))
    }

    async fn close(&mut self) {
        if let Some(opened) = self.opened.take() {
            self.last_words(&opened.desk).await;
            self.book.leave(&self.watched.rule.name, &opened.desk);
        }
        self.teller.end();
    }
}
