//! A running pipeline: the embedded log if it needs one, its queries, its followers, its HTTP server.
//!
//! [`start`] brings it up whole or not at all; [`Running::finish`] waits for its end and, until then, takes the file
//! anew when it is asked to ([`crate::reload`]). What must stay true: nothing is made before no query is refused any
//! more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_core::clock::{Clock, SystemClock};
use forebay_core::error::codes;
use forebay_core::trigger::Trigger;
use forebay_core::{Error, Result};
use forebay_engine::status::{QueryStatus, State};
use forebay_rules::AlertBook;
use forebay_server::{Listening, Server, Stage, TlsFiles};
use forebay_storage::Door;
use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::channels::Channels;
use crate::cli::{EmbeddedLog, Global, LogAccessArgs, ServerArgs};
use crate::control::{Ask, Asks};
use crate::fleet::{Ended, Fleet, Ready};
use crate::follow::Followers;
use crate::gateways::Gateways;
use crate::hosting::Hosting;
use crate::load::Loaded;
use crate::log_access::LogAccess;
use crate::made::Made;
use crate::serving::{Indices, Threads};
use crate::site::Site;
use crate::work::{Chosen, chosen};
use crate::{alerts, definition, standing, talk};

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
    /// How the HTTP server listens beside its address.
    pub server: ServerArgs,
    /// Who may use the embedded log.
    pub log: LogAccessArgs,
}

/// A started pipeline.
pub struct Running {
    pub(crate) started: Instant,
    pub(crate) site: Site,
    /// The file to read again, if it runs by one.
    pub(crate) file: Option<PathBuf>,
    /// What it runs by.
    pub(crate) loaded: Loaded,
    /// The same of each query.
    pub(crate) made: BTreeMap<String, Made>,
    pub(crate) fleet: Fleet,
    pub(crate) followers: Followers,
    pub(crate) channels: Channels,
    pub(crate) stage: Stage,
    pub(crate) asks: Asks,
    asked: mpsc::Receiver<Ask>,
    /// Where the HTTP server listens, as `ready` says it.
    listens: String,
    url: String,
    server: JoinHandle<()>,
    stop_server: CancellationToken,
}

/// Starts everything and returns when all of it listens and runs. `file` is where `loaded` can be read again.
pub async fn start(
    global: &Global,
    loaded: Loaded,
    overrides: &Overrides,
    file: Option<&Path>,
) -> Result<Running> {
    let started = Instant::now();
    let chosen: Vec<Chosen<'_>> = chosen(&loaded, &overrides.queries)?;
    let door = Door::new();
    door.create_dir_all(&global.data).map_err(|e| {
        Error::new(&codes::STORAGE, "the data folder cannot be made").at(global.data.display()).caused_by(e)
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let server = Server::bind(listening(global, &overrides.server, &clock)).await?;
    let mode = overrides.embedded_log;
    let access = LogAccess::of_run(&overrides.log, &overrides.server)?;
    let hosting = Hosting::start(global, &loaded.pipeline.name, mode, &chosen, &door, &access).await?;
    let gateways = Gateways::new(&loaded.pipeline, &overrides.queries, &clock)?;
    let site = Site {
        global: global.clone(),
        overrides: overrides.clone(),
        door,
        started_ms: clock.now_ms(),
        channels: forebay_server::shown::Channels::new(Arc::clone(&clock)),
        clock,
        alerts: AlertBook::default(),
        quarantined: Indices::default(),
        refused: watch::Sender::new(None),
        hosting,
        gateways,
        threads: Threads::new()?,
    };
    let silences = definition::silences_folder(&global.data, &loaded.pipeline.name);
    site.alerts.silences().open(&silences, site.door.clone())?;
    let ready = chosen.iter().map(|it| Ready::new(&it.work.name(), site.open(&loaded, it)?));
    let ready = ready.collect::<Result<Vec<_>>>()?;
    let follows = site.follows(&loaded, &chosen)?;
    let statements = site.statements(&loaded);
    // Only now, when no query is refused any more, anything is made.
    site.hosting.make_topics(&chosen)?;
    site.gateways.begin()?;
    site.remember(&loaded, &chosen);
    alerts::end_removed(&site, &loaded, None).await;
    let made = site.made(&loaded, &chosen).into_iter().collect();
    let channels = Channels::start(&loaded.pipeline, &site.alerts, &site.clock, &site.channels);
    let mut fleet = Fleet::new(Arc::clone(&site.clock));
    fleet.add(ready);
    let mut followers = Followers::default();
    followers.turn(follows).await;
    let (scheme, address) = (server.scheme(), server.address());
    let monitor = server.monitor().map(|address| format!(" monitor={address}")).unwrap_or_default();
    let postgres = server.postgres().map(|address| format!(" postgres={address}")).unwrap_or_default();
    let (listens, url) = (format!("{scheme}={address}{monitor}{postgres}"), format!("{scheme}://{address}"));
    let (stop_server, (asks, asked)) = (CancellationToken::new(), Asks::new());
    let shown = site.shown(&loaded, statements, &fleet, followers.live(), &asks);
    let stage = Stage::new(shown, stop_server.clone());
    let server = tokio::spawn(server.run(stage.clone(), stop_server.clone()));
    let running = Running {
        started,
        site,
        file: file.map(Path::to_path_buf),
        loaded,
        made,
        fleet,
        followers,
        channels,
        stage,
        asks,
        asked,
        listens,
        url,
        server,
        stop_server,
    };
    let failures = standing::failures(&begun(running.statuses()).await);
    talk::say(&format!("ready {}{failures}", running.addresses()));
    Ok(running)
}

impl Running {
    /// `http=127.0.0.1:8080 kafka=127.0.0.1:9092`; with TLS `https=…`, and where the monitor and the
    /// Postgres wire are.
    pub fn addresses(&self) -> String {
        let kafka =
            self.site.hosting.address().map(|address| format!(" kafka={address}")).unwrap_or_default();
        format!("{}{kafka}{}", self.listens, self.site.gateways.addresses())
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The status of each query.
    pub fn statuses(&self) -> Vec<watch::Receiver<QueryStatus>> {
        self.fleet.statuses()
    }

    /// What alerts are open.
    pub fn alerts(&self) -> AlertBook {
        self.site.alerts.clone()
    }

    /// To order that the file is read again.
    pub fn asks(&self) -> Asks {
        self.asks.clone()
    }

    /// Waits until all queries have ended, or until `stop`: then each ends after the epoch it is in. Says what each
    /// has done. Until then the file is read again whenever that is ordered; a reload that has begun to change something
    /// is brought to its end first.
    pub async fn finish(mut self, stop: impl Future<Output = ()>) -> Result<ExitCode> {
        let mut awake = self.fleet.awake();
        tokio::pin!(stop);
        loop {
            let is_stopped = tokio::select! {
                _ = awake.wait_for(|awake| *awake == 0) => break,
                () = &mut stop => true,
                Some(ask) = self.asked.recv() => !self.take_again(ask, stop.as_mut()).await,
            };
            if is_stopped {
                talk::say("stopping: each query ends after the epoch it is in");
                break;
            }
        }
        // Whoever orders something now is told that the run ends.
        drop(self.asked);
        // Nothing more is taken from devices; what was is in the log before it ends.
        self.site.gateways.stop().await;
        let ended = self.fleet.finish().await;
        self.channels.stop().await;
        self.followers.stop().await;
        self.stop_server.cancel();
        let _ = self.server.await;
        let closed = self.site.hosting.stop().await;
        for ended in &ended {
            talk::say(&standing::ended(ended, self.started.elapsed()));
        }
        if let Some(open) = standing::open_alerts(&self.site.alerts.open()) {
            talk::say(&open);
        }
        let mut code = ExitCode::SUCCESS;
        for Ended { name, outcome, .. } in ended {
            if let Err(error) = outcome {
                talk::say(&format!("query `{name}` failed:"));
                talk::error(&error);
                code = ExitCode::FAILURE;
            }
        }
        closed.map(|()| code)
    }
}

/// How the HTTP server listens.
fn listening(global: &Global, args: &ServerArgs, clock: &Arc<dyn Clock>) -> Listening {
    let ServerArgs { auth, tls_cert, tls_key, monitor, postgres } = args.clone();
    let tls = tls_cert.zip(tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
    let postgres = postgres.unwrap_or_default();
    Listening { http: global.http, monitor, postgres, auth, tls, clock: Arc::clone(clock) }
}

/// How the queries stand once each has begun, failed or begun to wait for something.
pub(crate) async fn begun(mut statuses: Vec<watch::Receiver<QueryStatus>>) -> Vec<QueryStatus> {
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
