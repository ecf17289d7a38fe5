//! A running pipeline: the embedded log if it needs one, its queries, its HTTP server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use forebay_connectors::sinks::SinkContext;
use forebay_connectors::{sinks, sources};
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::config::{QueryConfig, SourceConfig};
use forebay_core::error::codes;
use forebay_core::limits::Limits;
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Result};
use forebay_engine::quarantine::{self, Quarantine};
use forebay_engine::query::{QueryHandle, QueryOptions};
use forebay_engine::status::QueryStatus;
use forebay_server::{Server, Shown};
use forebay_storage::Door;
use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::Global;
use crate::embedded::{self, Embedded};
use crate::load::{self, Loaded};
use crate::talk;

/// How a run differs from what the file says.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Only these queries; all if empty.
    pub queries: Vec<String>,
    /// This trigger for every query.
    pub trigger: Option<Trigger>,
}

/// A started pipeline.
pub struct Running {
    embedded: Option<Embedded>,
    queries: Vec<(String, QueryHandle)>,
    http: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
    stop_server: CancellationToken,
}

/// Starts everything and returns when all of it listens and runs.
pub async fn start(global: &Global, loaded: &Loaded, overrides: &Overrides) -> Result<Running> {
    let pipeline = &loaded.pipeline;
    refuse_unknown(&overrides.queries, &pipeline.queries)?;
    let door = Door::new();
    door.create_dir_all(&global.data).map_err(|e| {
        Error::new(&codes::STORAGE, "the data folder cannot be made").at(global.data.display()).caused_by(e)
    })?;
    let server = Server::bind(global.http).await?;
    let embedded = host_log(global, &pipeline.sources, &door).await?;
    let log = embedded.as_ref().map(|embedded| &embedded.log);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let context = SinkContext { data_dir: &global.data, door: door.clone(), clock: clock.clone() };
    let mut queries = Vec::new();
    for (query, plan) in pipeline.queries.iter().zip(&loaded.plans) {
        if !overrides.queries.is_empty() && !overrides.queries.contains(&query.name) {
            continue;
        }
        let source = source_of(&pipeline.sources, plan.source())?;
        let trigger = overrides.trigger.unwrap_or(query.trigger);
        sources::check_trigger(&source.options, trigger)?;
        let in_place = log.filter(|_| reads_embedded(source, global.kafka)).cloned();
        let quarantine = Quarantine::open(
            quarantine::folder(&global.data, &pipeline.name, &query.name),
            door.clone(),
            pipeline.quarantine.clone(),
        )?;
        let options = QueryOptions {
            pipeline: pipeline.name.clone(),
            name: query.name.clone(),
            plan: plan.clone(),
            source: sources::build(&source.format, &source.options, plan.wanted(), in_place)?,
            format: load::format_of(source)?,
            sink: sinks::build(&query.format, &query.options, &context)?,
            trigger,
            limits: Limits::from_options(&source.options),
            lanes: std::thread::available_parallelism().map_or(2, usize::from),
            checkpoint: load::checkpoint_folder(&global.data, &pipeline.name, query),
            quarantine,
            door: door.clone(),
            clock: clock.clone(),
        };
        queries.push((query.name.clone(), options.start()?));
    }
    let statuses: Vec<watch::Receiver<QueryStatus>> =
        queries.iter().map(|(_, query)| query.status()).collect();
    let http = server.address();
    let stop_server = CancellationToken::new();
    let shown = Shown {
        pipeline: pipeline.name.as_str().into(),
        version: env!("CARGO_PKG_VERSION"),
        queries: statuses.into(),
    };
    let server = tokio::spawn(server.run(shown, stop_server.clone()));
    let running = Running { embedded, queries, http, server, stop_server };
    talk::say(&format!("ready {}", running.addresses()));
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
        self.queries.iter().map(|(_, query)| query.status()).collect()
    }

    /// Waits until all queries have ended, or until `stop`: then each ends after the epoch it is in.
    pub async fn finish(self, stop: impl Future<Output = ()>) -> Result<ExitCode> {
        let stops: Vec<_> = self.queries.iter().map(|(_, query)| query.stopper()).collect();
        let ends =
            join_all(self.queries.into_iter().map(|(name, query)| async move { (name, query.join().await) }));
        tokio::pin!(ends);
        let outcomes = tokio::select! {
            outcomes = &mut ends => outcomes,
            () = stop => {
                talk::say("stopping: each query ends after the epoch it is in");
                stops.iter().for_each(CancellationToken::cancel);
                ends.await
            }
        };
        self.stop_server.cancel();
        let _ = self.server.await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await?;
        }
        let mut code = ExitCode::SUCCESS;
        for (name, outcome) in outcomes {
            if let Err(error) = outcome {
                talk::say(&format!("error: query `{name}`: {error}"));
                talk::say(&format!("hint: {}", error.hint()));
                code = ExitCode::FAILURE;
            }
        }
        Ok(code)
    }
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

/// Starts the embedded log if a source reads from this process's own address and nobody else serves it.
async fn host_log(global: &Global, sources: &[SourceConfig], door: &Door) -> Result<Option<Embedded>> {
    let own: Vec<&SourceConfig> =
        sources.iter().filter(|source| reads_embedded(source, global.kafka)).collect();
    if own.is_empty() {
        return Ok(None);
    }
    if tokio::net::TcpStream::connect(global.kafka).await.is_ok() {
        tracing::info!(address = %global.kafka, "a log is served there already: reading from it");
        return Ok(None);
    }
    let embedded = Embedded::start(&global.data, global.kafka, door.clone()).await?;
    for source in own {
        embedded.make_topics(&source.options)?;
    }
    Ok(Some(embedded))
}

fn reads_embedded(source: &SourceConfig, listen: SocketAddr) -> bool {
    let bootstrap = source.options.passed_on().get("kafka.bootstrap.servers");
    source.format == "kafka"
        && bootstrap.is_some_and(|bootstrap| embedded::is_this_process(bootstrap, listen))
}

fn source_of<'a>(sources: &'a [SourceConfig], name: &str) -> Result<&'a SourceConfig> {
    sources.iter().find(|source| source.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        Error::new(&codes::INTERNAL, format!("the plan reads `{name}`, which is not a source"))
    })
}

fn refuse_unknown(wanted: &[String], queries: &[QueryConfig]) -> Result<()> {
    let known: BTreeMap<&str, ()> = queries.iter().map(|query| (query.name.as_str(), ())).collect();
    match wanted.iter().find(|name| !known.contains_key(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(forebay_core::options::unknown_name("query", name, known.into_keys())),
    }
}
