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
//! than its checkpoint is noticed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Sink, Written};
use forebay_core::{Code, Epoch, Error, Result};
use forebay_storage::{Door, kill_point};

use crate::book::AlertBook;
use crate::columns::Columns;
use crate::epoch::decide;
use crate::journal::Journal;
use crate::lane::{AlertLane, LanePart};
use crate::rule::{Bounds, Rule};
use crate::state::{Entry, EpochEntry, Last, RuleState};
use crate::tell::Teller;

/// Watches one rule. See the module.
pub struct AlertSink {
    rule: Arc<Rule>,
    bounds: Bounds,
    /// The folder of the query's checkpoint.
    dir: PathBuf,
    door: Door,
    clock: Arc<dyn Clock>,
    book: AlertBook,
    opened: Option<Opened>,
    teller: Teller,
}

struct Opened {
    journal: Journal,
    state: Arc<RuleState>,
    columns: Arc<Columns>,
}

impl AlertSink {
    /// A sink whose journal lies in `dir`, the folder of the query's checkpoint, and that shows its alerts in `book`.
    /// Touches nothing yet.
    pub fn new(
        rule: Rule,
        bounds: Bounds,
        dir: PathBuf,
        door: Door,
        clock: Arc<dyn Clock>,
        book: AlertBook,
    ) -> Self {
        let rule = Arc::new(rule);
        let said = Arc::clone(&rule);
        let teller = Teller::new(Arc::clone(&clock), move |sum| sum.say(&said.name, &bounds));
        Self { rule, bounds, dir, door, clock, book, opened: None, teller }
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
        format!("AlertSink[{}]", self.rule.name)
    }

    /// Conditions, times and words may change from run to run; whose alerts they are may not.
    fn identity(&self, _: Option<&Path>) -> String {
        format!("AlertSink[key={}]", self.rule.key_column)
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

    async fn open(&mut self, schema: SchemaRef) -> Result<()> {
        let names = self.rule.values.iter().map(|column| column.name.as_str());
        let columns = Arc::new(Columns::find(&schema, names)?);
        let Bounds { journal, cleared, .. } = self.bounds;
        let (journal, state) = Journal::open(&self.dir, self.door.clone(), journal, cleared)?;
        self.book.load(&self.rule.name, &self.rule.key_fields, state.all_open(), state.cleared());
        self.opened = Some(Opened { journal, state: Arc::new(state), columns });
        Ok(())
    }

    async fn last_epoch(&mut self, query_id: &str) -> Result<Option<Epoch>> {
        Ok(self.opened()?.state.last_epoch(query_id))
    }

    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        let (rule, bounds) = (Arc::clone(&self.rule), self.bounds);
        let opened = self.opened()?;
        if opened.state.last_epoch(&id.query_id) >= Some(id.epoch) {
            return Ok(Begun::AlreadyWritten);
        }
        let lane = |_| {
            Box::new(AlertLane {
                rule: Arc::clone(&rule),
                columns: Arc::clone(&opened.columns),
                state: Arc::clone(&opened.state),
                bounds,
                latest: id.planned_at_ms,
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
        if lanes.iter().all(|lane| lane.rows == 0) {
            return Ok(Written::default());
        }
        let left_out = lanes.iter().map(|lane| lane.left_out).sum();
        let (rule, bounds, seen_at) = (Arc::clone(&self.rule), self.bounds, self.clock.now_ms());
        let opened = self.opened()?;
        let (changes, refused) = decide(&rule, &bounds, &opened.state, lanes, seen_at);
        let last = Last { query_id: id.query_id.clone(), epoch: id.epoch };
        let entry = Entry::Epoch(EpochEntry { last, changes: changes.clone() });
        kill_point("sink.alert.commit.before");
        let bytes = opened.journal.append(&entry)?;
        kill_point("sink.alert.commit.after");
        let transitions = Arc::make_mut(&mut opened.state).apply(entry, bounds.cleared);
        let rows = transitions.len() as u64;
        self.book.publish(transitions);
        self.teller.add(&changes, refused, left_out);
        Ok(Written { rows, bytes, files: 0 })
    }

    async fn abort(&mut self, _id: &EpochId) -> Result<()> {
        Ok(())
    }

    async fn tidy(&mut self) -> Result<()> {
        let Opened { journal, state, .. } = self.opened()?;
        journal.tidy(state)
    }

    async fn close(&mut self) {
        self.teller.end();
    }
}
