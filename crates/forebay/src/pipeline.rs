//! A running pipeline: the embedded log if it needs one, its queries, its HTTP server.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_connectors::sinks::SinkContext;
use forebay_connectors::{sinks, sources};
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::config::{QuarantineConfig, SourceConfig};
use forebay_core::error::codes;
use forebay_core::format::BadRecordMode;
use forebay_core::limits::Limits;
use forebay_core::sink::Sink;
use forebay_core::source::Wanted;
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Result};
use forebay_engine::plan::StreamPlan;
use forebay_engine::quarantine::{self, Quarantine};
use forebay_engine::query::QueryOptions;
use forebay_engine::status::{QueryStatus, State};
use forebay_log::storage::Log;
use forebay_rules::AlertBook;
use forebay_server::Server;
use forebay_storage::Door;
use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::{EmbeddedLog, Global};
use crate::embedded::{self, Candidate, Embedded};
use crate::fleet::{Fleet, Ready};
use crate::follow::{self, Followers};
use crate::load::{self, Loaded};
use crate::work::{Chosen, OwnWork, Work, chosen};
use crate::{definition, serving, standing, talk};

/// How long somebody who listens on this machine may take to accept a connection.
const KNOCK: Duration = Duration::from_secs(1);

/// How long `ready` waits for queries to begin, so that it can name those that fail in doing so.
const BEGIN: Duration = Duration::from_secs(1);

/// How a run differs from what the file says.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Only these queries and alerts (`alerts/NAME`); all if empty.
    pub queries: Vec<String>,
    /// This trigger for every query.
    pub trigger: Option<Trigger>,
    /// Whether this process serves the log.
    pub embedded_log: EmbeddedLog,
    /// Nothing is followed for the page.
    pub no_live: bool,
}

/// A started pipeline.
pub struct Running {
    started: Instant,
    embedded: Option<Embedded>,
    queries: Fleet,
    alerts: AlertBook,
    followers: Followers,
    http: SocketAddr,
    server: JoinHandle<()>,
    stop_server: CancellationToken,
}

/// Starts everything and returns when all of it listens and runs.
pub async fn start(global: &Global, loaded: &Loaded, overrides: &Overrides) -> Result<Running> {
    let started = Instant::now();
    let pipeline = &loaded.pipeline;
    let chosen: Vec<Chosen<'_>> = chosen(loaded, &overrides.queries)?;
    let door = Door::new();
    door.create_dir_all(&global.data).map_err(|e| {
        Error::new(&codes::STORAGE, "the data folder cannot be made").at(global.data.display()).caused_by(e)
    })?;
    let server = Server::bind(global.http).await?;
    let embedded = host_log(global, &pipeline.name, overrides.embedded_log, &chosen, &door).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let alerts = AlertBook::default();
    let in_place = |source: &SourceConfig| {
        let is_own = |embedded: &&Embedded| own_address(source, global.kafka) == Some(embedded.address);
        embedded.as_ref().filter(is_own).map(|embedded| embedded.log.clone())
    };
    let trigger_of = |work: Work<'_>| overrides.trigger.unwrap_or(work.trigger());
    let mut open = Vec::new();
    for Chosen { work, plan, source } in &chosen {
        let trigger = trigger_of(*work);
        sources::check_trigger(&source.options, trigger)?;
        let parts = Parts {
            pipeline: pipeline.name.clone(),
            work: work.own(),
            alerts: (alerts.clone(), loaded.alerts.len()),
            source: (*source).clone(),
            plan: Arc::clone(plan),
            trigger,
            in_place: in_place(source),
            quarantine: pipeline.quarantine.clone(),
            data: global.data.clone(),
            door: door.clone(),
            clock: clock.clone(),
        };
        open.push(Ready::new(&work.name(), Box::new(move |status| parts.options()?.open_again(status)))?);
    }
    let follows = match overrides.no_live || chosen.iter().all(|it| trigger_of(it.work).is_bounded()) {
        true => Vec::new(),
        false => {
            let shared = follow::Shared { pipeline, data: &global.data, door: &door, clock: &clock };
            let is_read = |source: &&SourceConfig| chosen.iter().any(|it| it.source.name == source.name);
            follow::prepare(&shared, pipeline.sources.iter().filter(is_read), in_place)?
        }
    };
    // Only now, when no query is refused any more, anything is made.
    if let Some(embedded) = &embedded {
        make_topics(embedded, global.kafka, &chosen)?;
    }
    for Chosen { work, source, .. } in &chosen {
        if let Work::Query(query) = work {
            definition::remember(&global.data, &door, pipeline, query, source);
        }
    }
    let queries = Fleet::start(open);
    let followers = Followers::start(follows);
    let http = server.address();
    let stop_server = CancellationToken::new();
    let shown = serving::shown(global, loaded, &queries, &alerts, followers.live())?;
    let server = tokio::spawn(server.run(shown, stop_server.clone()));
    let running = Running { started, embedded, queries, alerts, followers, http, server, stop_server };
    let failures = standing::failures(&begun(running.statuses()).await);
    talk::say(&format!("ready {}{failures}", running.addresses()));
    Ok(running)
}

impl Running {
    /// `http=127.0.0.1:8080 kafka=127.0.0.1:9092`
    pub fn addresses(&self) -> String {
        match &self.embedded {
            Some(embedded) => format!("http={} kafka={}", self.http, embedded.address),
            None => format!("http={}", self.http),
        }
    }

    /// The status of each query.
    pub fn statuses(&self) -> Vec<watch::Receiver<QueryStatus>> {
        self.queries.statuses()
    }

    /// Waits until all queries have ended, or until `stop`: then each ends after the epoch it is in. Says what each
    /// has done.
    pub async fn finish(self, stop: impl Future<Output = ()>) -> Result<ExitCode> {
        let statuses = self.statuses();
        let outcomes = self.queries.finish(stop).await;
        self.followers.stop().await;
        self.stop_server.cancel();
        let _ = self.server.await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await?;
        }
        for status in statuses {
            talk::say(&standing::ended(&status.borrow(), self.started.elapsed()));
        }
        if let Some(open) = standing::open_alerts(&self.alerts.open()) {
            talk::say(&open);
        }
        let mut code = ExitCode::SUCCESS;
        for (name, outcome) in outcomes {
            if let Err(error) = outcome {
                talk::say(&format!("query `{name}` failed:"));
                talk::error(&error);
                code = ExitCode::FAILURE;
            }
        }
        Ok(code)
    }
}

/// How the queries stand once each has begun, failed or begun to wait for something.
async fn begun(mut statuses: Vec<watch::Receiver<QueryStatus>>) -> Vec<QueryStatus> {
    let has_begun = |status: &QueryStatus| !matches!(status.state, State::Starting);
    let begin = statuses.iter_mut().map(async |status| drop(status.wait_for(has_begun).await));
    let _ = tokio::time::timeout(BEGIN, join_all(begin)).await;
    statuses.iter().map(|status| status.borrow().clone()).collect()
}

/// Completes at SIGTERM or Ctrl-C.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    #[cfg(not(unix))]
    drop(tokio::signal::ctrl_c().await);
}

/// What a query is made of, to be put together at every start.
struct Parts {
    pipeline: String,
    work: OwnWork,
    /// Where alerts are shown, and how many rules there are.
    alerts: (AlertBook, usize),
    source: SourceConfig,
    plan: Arc<StreamPlan>,
    trigger: Trigger,
    in_place: Option<Log>,
    quarantine: QuarantineConfig,
    data: PathBuf,
    door: Door,
    clock: Arc<dyn Clock>,
}

impl Parts {
    fn options(&self) -> Result<QueryOptions> {
        let (work, source) = (self.work.as_work(), &self.source);
        let quarantine = Quarantine::open(
            quarantine::folder(&self.data, &self.pipeline, &work.folder_name()),
            self.door.clone(),
            self.quarantine.clone(),
        )?;
        let wanted = wanted(&self.plan, source);
        let checkpoint = work.checkpoint(&self.data, &self.pipeline);
        Ok(QueryOptions {
            pipeline: self.pipeline.clone(),
            name: work.name(),
            plan: Arc::clone(&self.plan),
            source: sources::build(&source.format, &source.options, wanted, self.in_place.clone())?,
            format: load::format_of(source)?,
            sink: self.sink(work, &checkpoint)?,
            trigger: self.trigger,
            limits: Limits::from_options(&source.options),
            lanes: std::thread::available_parallelism().map_or(2, usize::from),
            checkpoint,
            data_dir: self.data.clone(),
            quarantine,
            door: self.door.clone(),
            clock: self.clock.clone(),
        })
    }

    fn sink(&self, work: Work<'_>, checkpoint: &Path) -> Result<Box<dyn Sink>> {
        let (door, clock) = (self.door.clone(), self.clock.clone());
        match work {
            Work::Query(query) => {
                let context = SinkContext { data_dir: &self.data, door, clock };
                sinks::build(&query.format, &query.options, &context)
            }
            Work::Alert(alert) => {
                let (book, count) = &self.alerts;
                Ok(Box::new(alert.sink(*count, checkpoint, door, clock, book.clone())))
            }
        }
    }
}

/// Starts the embedded log if [`embedded::serve_at`] says so, and says in any case where local sources read from.
async fn host_log(
    global: &Global,
    pipeline: &str,
    mode: EmbeddedLog,
    chosen: &[Chosen<'_>],
    door: &Door,
) -> Result<Option<Embedded>> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for Chosen { work, source, .. } in chosen {
        let Some(address) = own_address(source, global.kafka) else { continue };
        let is_foreign = is_foreign(&global.data, &work.checkpoint(&global.data, pipeline));
        match candidates.iter_mut().find(|candidate| candidate.address == address) {
            Some(candidate) => candidate.is_foreign |= is_foreign,
            None => candidates.push(Candidate { address, is_taken: is_taken(source).await, is_foreign }),
        }
    }
    let served = embedded::serve_at(mode, global.kafka, &candidates)?;
    if let Some(kafka) = global.kafka.filter(|kafka| candidates.iter().all(|it| it.address != *kafka)) {
        talk::say(&format!("log: nothing is served at {kafka} (--kafka), no source reads from it"));
    }
    let embedded = match served {
        Some(address) => Some(Embedded::start(&global.data, address, door.clone()).await?),
        None => None,
    };
    for Candidate { address, is_taken, is_foreign } in candidates {
        talk::say(&match served {
            Some(served) if served == address => {
                format!(
                    "log: serving the embedded log at {address}, under {}",
                    global.data.join("log").display()
                )
            }
            _ if is_taken => format!("log: somebody listens at {address} already, reading from there"),
            _ if is_foreign && mode == EmbeddedLog::Auto => format!(
                "log: nobody listens at {address}; the checkpoint comes from a Kafka elsewhere, so it is waited for (--embedded-log always serves an embedded log there)"
            ),
            _ => format!("log: nobody listens at {address} yet, waiting for a Kafka there"),
        });
    }
    for elsewhere in
        chosen.iter().filter_map(|it| elsewhere(it.source, global.kafka)).collect::<BTreeSet<_>>()
    {
        talk::say(&elsewhere);
    }
    Ok(embedded)
}

/// The topics of the sources that read from the embedded log.
fn make_topics(embedded: &Embedded, kafka: Option<SocketAddr>, chosen: &[Chosen<'_>]) -> Result<()> {
    chosen
        .iter()
        .filter(|it| own_address(it.source, kafka) == Some(embedded.address))
        .try_for_each(|it| embedded.make_topics(&it.source.options))
}

/// What to say of a source that reads from where this process could serve nothing. Brokers are not named: where they
/// are may be a secret.
fn elsewhere(source: &SourceConfig, kafka: Option<SocketAddr>) -> Option<String> {
    if source.format != "kafka" || own_address(source, kafka).is_some() {
        return None;
    }
    let servers = source.options.passed_on().get("kafka.bootstrap.servers")?;
    let name = &source.name;
    Some(if embedded::only_server(servers).is_none() {
        format!(
            "log: source `{name}` names several servers, so it reads from a Kafka; an embedded log is served only where a source names one loopback address"
        )
    } else {
        format!("log: source `{name}` reads from a Kafka elsewhere")
    })
}

/// The loopback address that a source reads from, if the embedded log could stand there: it speaks neither TLS nor
/// SASL.
pub fn own_address(source: &SourceConfig, kafka: Option<SocketAddr>) -> Option<SocketAddr> {
    let options = source.options.passed_on();
    let protocol = options.get("kafka.security.protocol");
    if source.format != "kafka" || protocol.is_some_and(|it| !it.trim().eq_ignore_ascii_case("PLAINTEXT")) {
        return None;
    }
    embedded::loopback(options.get("kafka.bootstrap.servers")?, kafka)
}

/// True if somebody listens where the source reads. Asked by the name in the file: `localhost` may be `[::1]`.
async fn is_taken(source: &SourceConfig) -> bool {
    let bootstrap = source.options.passed_on().get("kafka.bootstrap.servers");
    let Some(server) = bootstrap.and_then(|bootstrap| embedded::only_server(bootstrap)) else { return false };
    matches!(tokio::time::timeout(KNOCK, tokio::net::TcpStream::connect(server)).await, Ok(Ok(_)))
}

/// True if a query has a checkpoint although this data folder never had a log.
fn is_foreign(data: &Path, checkpoint: &Path) -> bool {
    checkpoint.join("journal").exists() && !data.join("log").exists()
}

/// What the query reads of an envelope, and what the quarantine keeps of a bad record so that a replay has it.
fn wanted(plan: &StreamPlan, source: &SourceConfig) -> Wanted {
    match &source.value {
        Some(value) if value.mode == BadRecordMode::Quarantine => Wanted { keys: true, headers: true },
        _ => plan.wanted(),
    }
}
