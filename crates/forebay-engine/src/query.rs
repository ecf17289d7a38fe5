//! A query as a component: options in, a service that runs, a handle to watch and stop it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::event_time::Survey;
use forebay_core::format::Format;
use forebay_core::latency::{Ages, Sliding};
use forebay_core::limits::Limits;
use forebay_core::sink::{Sink, place, with_remedy};
use forebay_core::source::Source;
use forebay_core::table::StaticTable;
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Result};
use forebay_storage::Door;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{self, Checkpoint, Ends, Identity};
use crate::epoch::{Effort, Inputs, Lag, Memory, MemoryOptions, Place, Runner};
use crate::expect::Last;
use crate::lookup::versions::Tables;
use crate::plan::StreamPlan;
use crate::quality::Quality;
use crate::quarantine::Quarantine;
use crate::share::Share;
use crate::status::{QueryStatus, State};

mod rounds;

pub use rounds::Rounds;

/// Everything a query is made of. The parts were built and checked before; starting does I/O for the first time.
pub struct QueryOptions {
    /// The pipeline's name.
    pub pipeline: String,
    /// The query's name.
    pub name: String,
    /// The planned SELECT.
    pub plan: Arc<StreamPlan>,
    /// Where it reads, in the order of the plan's inputs.
    pub inputs: Vec<QueryInput>,
    /// Where it writes.
    pub sink: Box<dyn Sink>,
    /// When epochs start.
    pub trigger: Trigger,
    /// Parallel lanes of an epoch.
    pub lanes: usize,
    /// The folder of its checkpoint.
    pub checkpoint: PathBuf,
    /// The data folder, with which everything in it may move.
    pub data_dir: PathBuf,
    /// Its quarantine.
    pub quarantine: Quarantine,
    /// Tables at rest, those that it reads among them.
    pub tables: Vec<Arc<dyn StaticTable>>,
    /// What it computes together with other queries, if it does.
    pub share: Option<Share>,
    /// How it remembers, if it has to.
    pub memory: MemoryOptions,
    /// The way to durable storage.
    pub door: Door,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// One of the inputs of a query.
pub struct QueryInput {
    /// Where it reads.
    pub source: Box<dyn Source>,
    /// How values are decoded; `None` if the source's own columns are read.
    pub format: Option<Arc<dyn Format>>,
    /// How much of it an epoch reads.
    pub limits: Limits,
}

/// A query whose checkpoint is open and its own: ready to run. Nothing of it is read or written yet.
pub struct OpenQuery {
    runner: Runner,
    ends: Ends,
    status: watch::Receiver<QueryStatus>,
    rounds: Option<Box<dyn Rounds>>,
}

/// A running query.
pub struct QueryHandle {
    status: watch::Receiver<QueryStatus>,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl QueryOptions {
    /// Opens the checkpoint, refusing one that is held, foreign or damaged.
    pub fn open(self) -> Result<OpenQuery> {
        let status = watch::Sender::new(QueryStatus::new(&self.name));
        self.open_again(status)
    }

    /// As [`open`](Self::open), for a query that has ended: who watches its status goes on watching.
    pub fn open_again(self, sender: watch::Sender<QueryStatus>) -> Result<OpenQuery> {
        let places = (self.data_dir.as_path(), self.checkpoint.as_path());
        let planned = self.plan.inputs();
        if planned.len() != self.inputs.len() {
            let message = format!("the plan reads {} inputs, {} are given", planned.len(), self.inputs.len());
            return Err(Error::new(&codes::INTERNAL, message).at(&self.name));
        }
        let names: Vec<String> = planned.iter().map(|name| (*name).to_owned()).collect();
        let sources = planned.into_iter().zip(self.inputs.iter().map(|input| &*input.source));
        let identity = identity(&self.pipeline, &self.name, sources, &*self.sink, places);
        let door = self.door.clone();
        let (checkpoint, ends) = Checkpoint::open(&self.checkpoint, self.door, &identity)
            .map_err(|error| with_remedy(error, &*self.sink))?;
        let quarantine = self.quarantine.of(checkpoint.query_id());
        let query_id = checkpoint.query_id();
        let committed = ends.commit.as_ref().map(|commit| commit.epoch);
        checkpoint::bears(&self.checkpoint, committed, &self.plan)?;
        let tables = Tables::new(&self.plan, &self.tables)?.of(&self.name);
        let remembers = self.inputs.iter().filter_map(|input| input.format.as_ref()).any(|it| it.remembers());
        let last = remembers.then(|| Last::new(&self.checkpoint, &door, self.memory.state_limit));
        let mut formats = self.inputs.iter().filter_map(|input| input.format.as_ref());
        let quality =
            formats.any(|it| !it.expectations().is_empty()).then(|| Quality::new(&self.checkpoint, &door));
        let memory = Memory::new(&self.plan, self.memory, &self.checkpoint, &door, query_id)?;
        let is_plain = memory.is_none() && last.is_none();
        let seat = self.share.filter(|_| is_plain).map(Share::seat);
        let status = sender.subscribe();
        sender.send_replace(QueryStatus::new(&self.name));
        let runner = Runner {
            name: self.name,
            plan: self.plan,
            formats: self.inputs.iter().map(|input| input.format.clone()).collect(),
            inputs: Inputs::new(
                names.into_iter().zip(self.inputs).map(|(name, it)| (name, it.source, it.limits)),
            ),
            sink: self.sink,
            trigger: self.trigger,
            lanes: self.lanes.max(1),
            checkpoint,
            quarantine,
            tables,
            memory,
            last,
            quality,
            seat,
            clock: self.clock,
            status: sender,
            lag: Lag::default(),
            ages: Ages::default(),
            seen: Survey::default(),
            latency: Sliding::default(),
            effort: Effort::default(),
            place: Place::new(),
            stop: CancellationToken::new(),
        };
        runner.publish_expectations();
        Ok(OpenQuery { runner, ends, status, rounds: None })
    }
}

impl OpenQuery {
    /// The same query, which runs in rounds.
    pub fn in_rounds(self, rounds: Box<dyn Rounds>) -> Self {
        Self { rounds: Some(rounds), ..self }
    }

    /// Starts the loop on the current runtime.
    pub fn start(self) -> QueryHandle {
        let Self { runner, ends, status, rounds } = self;
        let (stop, sender) = (CancellationToken::new(), runner.status.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let (name, clock) = (runner.name.clone(), runner.clock.clone());
            let outcome = match rounds {
                None => Runner { stop: stopped, ..runner }.run(ends).await,
                Some(rounds) => rounds::run(runner, ends, rounds, &stopped).await,
            };
            if let Err(error) = &outcome {
                tracing::error!(query = %name, "the query has ended: {error}");
            }
            let state = match &outcome {
                Ok(()) => State::Stopped { since_ms: clock.now_ms() },
                Err(error) => State::Failed { error: error.clone(), since_ms: clock.now_ms() },
            };
            sender.send_modify(|status| status.state = state);
            outcome
        });
        QueryHandle { status, stop, task }
    }
}

/// Who a query is to its checkpoint: what it reads, its inputs in their order, each with its name. `places` are the data
/// folder and the checkpoint's.
pub fn identity<'a>(
    pipeline: &str,
    query: &str,
    inputs: impl IntoIterator<Item = (&'a str, &'a dyn Source)>,
    sink: &dyn Sink,
    (data_dir, checkpoint): (&Path, &Path),
) -> Identity {
    Identity {
        pipeline: pipeline.to_owned(),
        query: query.to_owned(),
        source: reads(inputs),
        sink: sink.identity(home(data_dir, checkpoint).as_deref()),
    }
}

/// What a query reads. Several inputs are told by their names too: two of them may read the same topic, and where each
/// stands is known by its place among them.
fn reads<'a>(inputs: impl IntoIterator<Item = (&'a str, &'a dyn Source)>) -> String {
    let all: Vec<_> = inputs.into_iter().collect();
    match &all[..] {
        [(_, only)] => only.description(),
        several => {
            let named = several.iter().map(|(name, source)| format!("{name} = {}", source.description()));
            named.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The folder that moves together with the checkpoint: the data folder, unless the checkpoint lies elsewhere. Then the
/// same table in another data folder is another table.
fn home(data_dir: &Path, checkpoint: &Path) -> Option<PathBuf> {
    let home = std::path::absolute(data_dir).ok()?;
    let checkpoint = std::path::absolute(checkpoint).ok()?;
    place(&checkpoint, Some(&home)).is_relative().then_some(home)
}

impl QueryHandle {
    /// The query's status, now and later.
    pub fn status(&self) -> watch::Receiver<QueryStatus> {
        self.status.clone()
    }

    /// Cancelling it asks the query to end after the epoch it is in.
    pub fn stopper(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits for the end.
    pub async fn join(self) -> Result<()> {
        match self.task.await {
            Ok(outcome) => outcome,
            Err(e) => Err(Error::new(&codes::INTERNAL, "the query ended unexpectedly").caused_by(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_checkpoint_in_the_data_folder_moves_with_it() {
        let home = |data: &str, checkpoint: &str| home(Path::new(data), Path::new(checkpoint));
        let data = std::path::absolute("d").ok();
        assert!(data.is_some());
        assert_eq!(home("d", "d/checkpoints/x"), data);
        assert_eq!(home("./d/", "d/../d/x"), data);
        assert_eq!(home("d", "/elsewhere/x"), None);
        assert_eq!(home("d", "d/../e/x"), None);
    }
}
