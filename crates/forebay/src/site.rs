//! The site of a run: what lasts from its start to its end, whatever file it runs by, and what is put together there.
//!
//! The start and every reload build queries and followers in the same way, here; nothing of it touches more than the
//! checkpoint of the query that is opened. What must stay true: a query that is put together twice from the same file is
//! the same query.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_connectors::sinks::SinkContext;
use forebay_connectors::{sinks, sources};
use forebay_core::Result;
use forebay_core::clock::{Clock, millis};
use forebay_core::config::{CycleConfig, QuarantineConfig, SourceConfig};
use forebay_core::event_time::{Rule, WatermarkPolicy};
use forebay_core::limits::Limits;
use forebay_core::sink::Sink;
use forebay_core::source::Wanted;
use forebay_core::table::StaticTable;
use forebay_core::trigger::Trigger;
use forebay_engine::epoch::MemoryOptions;
use forebay_engine::late;
use forebay_engine::plan::{PlannedInput, StreamPlan};
use forebay_engine::quarantine::{self, Quarantine};
use forebay_engine::query::{OpenQuery, QueryInput, QueryOptions};
use forebay_engine::share::Share;
use forebay_engine::status::QueryStatus;
use forebay_live::Live;
use forebay_log::storage::Log;
use forebay_rules::AlertBook;
use forebay_server::Shown;
use forebay_server::shown::Channels;
use forebay_server::shown::reload::RefusedFile;
use forebay_storage::Door;
use tokio::sync::watch;

use crate::cli::Global;
use crate::control::Asks;
use crate::cycle::Collecting;
use crate::definition;
use crate::fleet::{Fleet, Open};
use crate::follow::{self, Wished};
use crate::gateways::Gateways;
use crate::hosting::Hosting;
use crate::load::{self, Loaded};
use crate::made::Made;
use crate::pipeline::Overrides;
use crate::serving::{self, Indices, Runs, Statements, Threads};
use crate::work::{Chosen, OwnWork, Work, reads};

/// See the module.
pub struct Site {
    pub global: Global,
    pub overrides: Overrides,
    pub door: Door,
    pub clock: Arc<dyn Clock>,
    pub started_ms: i64,
    pub alerts: AlertBook,
    /// How those stand that are told of them.
    pub channels: Channels,
    /// What the page read of the quarantine.
    pub quarantined: Indices,
    /// The file as it was refused last, until one is taken.
    pub refused: watch::Sender<Option<Arc<RefusedFile>>>,
    pub hosting: Hosting,
    /// The ways by which devices push.
    pub gateways: Gateways,
    /// What SQL runs on.
    pub threads: Arc<Threads>,
}

impl Site {
    /// When a query looks for new data: as this run was told, else as the file says.
    pub fn trigger(&self, work: Work<'_>) -> Trigger {
        self.overrides.trigger.unwrap_or(work.trigger())
    }

    /// What the file says of each of these.
    pub fn made(&self, loaded: &Loaded, chosen: &[Chosen<'_>]) -> Vec<(String, Made)> {
        let made = |it: &Chosen<'_>| Made::of(&loaded.pipeline, it, self.trigger(it.work));
        chosen.iter().map(|it| (it.work.name(), made(it))).collect()
    }

    /// What puts a query together and opens it.
    pub fn open(&self, loaded: &Loaded, it: &Chosen<'_>) -> Result<Open> {
        let Chosen { work, plan, sources } = it;
        let trigger = self.trigger(*work);
        sources.iter().try_for_each(|source| sources::check_trigger(&source.options, trigger))?;
        let read = |source: &&SourceConfig| ((*source).clone(), self.hosting.in_place(source));
        let parts = Parts {
            pipeline: loaded.pipeline.name.clone(),
            work: work.own(),
            alerts: (self.alerts.clone(), loaded.alerts.len()),
            sources: sources.iter().map(read).collect(),
            plan: Arc::clone(plan),
            trigger,
            tables: loaded.tables.clone(),
            quarantine: loaded.pipeline.quarantine.clone(),
            data: self.global.data.clone(),
            door: self.door.clone(),
            clock: Arc::clone(&self.clock),
        };
        let parts = Arc::new(parts);
        Ok(Arc::new(move |status| parts.open(status)))
    }

    /// What is to follow the sources that are read; nothing where all queries end by themselves, or by `--no-live`.
    pub fn follows(&self, loaded: &Loaded, chosen: &[Chosen<'_>]) -> Result<Vec<Wished>> {
        if self.overrides.no_live || chosen.iter().all(|it| self.trigger(it.work).is_bounded()) {
            return Ok(Vec::new());
        }
        let data = &self.global.data;
        let shared = follow::Shared { loaded, data, door: &self.door, clock: &self.clock };
        let is_read = |source: &&SourceConfig| chosen.iter().any(|it| reads(it.plan, source));
        follow::prepare(&shared, loaded.pipeline.sources.iter().filter(is_read), |it| {
            self.hosting.in_place(it)
        })
    }

    /// Keeps what these queries and alerts are, the page, and the gateways.
    pub fn remember<'a>(&self, loaded: &Loaded, chosen: impl IntoIterator<Item = &'a Chosen<'a>>) {
        let (pipeline, data) = (&loaded.pipeline, &self.global.data);
        for Chosen { work, sources, plan } in chosen {
            let folder = work.checkpoint(data, &pipeline.name);
            let is = definition::of(pipeline, *work, sources, plan);
            definition::remember(&folder, &self.door, &work.name(), &is);
        }
        let folder = definition::page_folder(data, &pipeline.name);
        definition::remember(&folder, &self.door, "dashboard", &definition::of_page(&pipeline.dashboard));
        let gateways = definition::of_gateways(pipeline);
        let folder = definition::gateways_folder(data, &pipeline.name);
        if !gateways.parts.is_empty() || folder.exists() {
            definition::remember(&folder, &self.door, "gateways", &gateways);
        }
    }

    /// The statements that can be asked over the names of the file.
    pub fn statements(&self, loaded: &Loaded) -> Statements {
        let (threads, clock) = (Arc::clone(&self.threads), Arc::clone(&self.clock));
        Statements::new(&self.global, loaded, threads, clock)
    }

    /// What is shown.
    pub fn shown(
        &self,
        loaded: &Loaded,
        statements: Statements,
        fleet: &Fleet,
        live: Live,
        asks: &Asks,
    ) -> Shown {
        let runs = Runs {
            statements,
            queries: fleet.statuses(),
            control: fleet.control(asks),
            alerts: &self.alerts,
            channels: &self.channels,
            quarantined: &self.quarantined,
            refused: self.refused.subscribe(),
            live,
            gateways: self.gateways.shown(),
            hosting: &self.hosting,
            started_ms: self.started_ms,
            clock: Arc::clone(&self.clock),
        };
        serving::shown(&self.global, loaded, runs)
    }
}

/// What a query is made of, to be put together at every start.
struct Parts {
    pipeline: String,
    work: OwnWork,
    /// Where alerts are shown, and how many rules there are.
    alerts: (AlertBook, usize),
    /// Of each input, with the embedded log where it reads that.
    sources: Vec<(SourceConfig, Option<Log>)>,
    plan: Arc<StreamPlan>,
    trigger: Trigger,
    /// The tables at rest of the file.
    tables: Vec<Arc<dyn StaticTable>>,
    quarantine: QuarantineConfig,
    data: PathBuf,
    door: Door,
    clock: Arc<dyn Clock>,
}

impl Parts {
    fn open(self: &Arc<Self>, status: watch::Sender<QueryStatus>) -> Result<OpenQuery> {
        let opened = self.options()?.open_again(status)?;
        let Work::Query(query) = self.work.as_work() else { return Ok(opened) };
        let Some(CycleConfig { cycle, .. }) = &query.cycle else { return Ok(opened) };
        let parts = Arc::clone(self);
        let again: Open = Arc::new(move |status| parts.options()?.open_again(status));
        let checkpoint = load::checkpoint_folder(&self.data, &self.pipeline, query);
        let places = (checkpoint.as_path(), self.data.as_path());
        let collecting =
            Collecting::new((query, cycle), &self.plan, places, (&self.door, &self.clock), again)?;
        Ok(opened.in_rounds(Box::new(collecting)))
    }

    fn options(&self) -> Result<QueryOptions> {
        let work = self.work.as_work();
        let quarantine = Quarantine::open(
            quarantine::folder(&self.data, &self.pipeline, &work.folder_name()),
            self.door.clone(),
            self.quarantine.clone(),
        )?;
        let share = match work {
            Work::Alert(alert) => alert.share.clone(),
            Work::Query(_) => None,
        };
        let inputs = self.plan.each_input().zip(&self.sources).map(|(input, (source, in_place))| {
            let wanted = wanted(input, source, share.as_ref());
            Ok(QueryInput {
                source: sources::build(&source.format, &source.options, wanted, in_place.clone())?,
                format: load::format_of(source)?,
                limits: Limits::from_options(&source.options),
            })
        });
        let sources: Vec<&SourceConfig> = self.sources.iter().map(|(source, _)| source).collect();
        let checkpoint = work.checkpoint(&self.data, &self.pipeline);
        Ok(QueryOptions {
            pipeline: self.pipeline.clone(),
            name: work.name(),
            plan: Arc::clone(&self.plan),
            inputs: inputs.collect::<Result<_>>()?,
            sink: sink(
                work,
                &self.plan.row_keys(),
                &self.alerts,
                &checkpoint,
                &self.data,
                &self.door,
                &self.clock,
            )?,
            trigger: self.trigger,
            lanes: std::thread::available_parallelism().map_or(2, usize::from),
            checkpoint,
            data_dir: self.data.clone(),
            quarantine,
            tables: self.tables.clone(),
            share: share.clone(),
            memory: memory(
                work,
                &self.plan,
                &sources,
                late::folder(&self.data, &self.pipeline, &work.folder_name()),
            ),
            door: self.door.clone(),
            clock: self.clock.clone(),
        })
    }
}

/// The sink of a query whose rows are known by `keys`, or of an alert among so many, which shows its alerts in the
/// book. Touches nothing yet.
pub fn sink(
    work: Work<'_>,
    keys: &[String],
    (book, count): &(AlertBook, usize),
    checkpoint: &Path,
    data: &Path,
    door: &Door,
    clock: &Arc<dyn Clock>,
) -> Result<Box<dyn Sink>> {
    let (door, clock) = (door.clone(), Arc::clone(clock));
    match work {
        Work::Query(query) => {
            let context = SinkContext { data_dir: data, door, clock, time_zone: query.time_zone };
            let mut sink = sinks::build(&query.format, &query.options, &context)?;
            sink.output(query.output_mode, keys)?;
            Ok(sink)
        }
        Work::Alert(alert) => Ok(Box::new(alert.sink(*count, checkpoint, door, clock, book.clone()))),
    }
}

/// Most bytes that the detectors below an alert may remember: what a query has that says nothing of it.
const STATE_OF_ALERTS: u64 = 1 << 30;

/// How a query remembers: by what the file says of it and of the sources of its inputs.
pub fn memory(work: Work<'_>, plan: &StreamPlan, sources: &[&SourceConfig], late: PathBuf) -> MemoryOptions {
    let idle_ms = |source: &SourceConfig| {
        source.watermark.as_ref().and_then(|watermark| watermark.idle_timeout).map(millis)
    };
    let rule = |(delay, source): (Option<i64>, &&SourceConfig)| {
        delay.map(|delay_ms| Rule { delay_ms, idle_ms: idle_ms(source) })
    };
    let skew = |source: &&SourceConfig| source.watermark.as_ref().and_then(|it| it.max_future_skew);
    let (policy, state_limit) = match work {
        Work::Query(query) => (query.watermark_policy, query.state_limit),
        Work::Alert(_) => (WatermarkPolicy::default(), STATE_OF_ALERTS),
    };
    MemoryOptions {
        rules: plan.delays_ms().into_iter().zip(sources).map(rule).collect(),
        policy,
        future_skew: sources.iter().map(skew).collect(),
        state_limit,
        late,
    }
}

/// What an input reads of an envelope, and what the quarantine keeps of a bad record so that a replay has it.
fn wanted(input: PlannedInput<'_>, source: &SourceConfig, share: Option<&Share>) -> Wanted {
    match &source.value {
        Some(value) if value.sets_aside() => Wanted { keys: true, headers: true },
        _ => share.map_or_else(|| input.wanted(), Share::wanted),
    }
}
