//! What Forebay shows of itself over HTTP: the live page, its REST and event streams, health and metrics.
//!
//! ```text
//! connection ─▶ guard ─▶ router ─▶ admit (access) ─▶ ask (parameters, body) ─▶ api │ live │ page │ health │ metrics
//!                          ▲                                            │
//!                   routes (the one table) ─▶ openapi                   ▼
//!                                                       shown: handles and traits that the binary fills in
//! ```
//!
//! Beside it listens the Postgres wire ([`postgres`]): SQL over the same tables for whoever speaks that protocol.
//!
//! It watches values that the queries publish and never waits for them, so a slow or hostile client cannot touch the
//! stream. What must stay true: it listens on loopback only, unless it asks for a token *and* speaks TLS ([`listen`]);
//! every request passes [`access`], which refuses what no rule allows; every answer carries the headers of [`guard`];
//! every route stands in [`routes`] with the role that it needs, from which the document is made; no token, session or
//! key is ever logged or answered ([`auth`], [`tls`]). Read [`shown`] for what comes in, [`live`] for the events.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

mod access;
mod admit;
mod answer;
mod api;
mod ask;
mod auth;
mod body;
mod connections;
pub mod grafana;
mod guard;
mod health;
mod listen;
mod live;
mod metrics;
mod openapi;
mod page;
mod paging;
mod params;
mod permissions;
mod places;
mod postgres;
mod problem;
mod routes;
pub mod shown;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod web_socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::Result;
use forebay_core::clock::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use auth::{NewToken, read_tokens, read_users_file};
pub use listen::{Listening, Postgres, USUAL_POSTGRES};
pub use shown::Shown;
pub use state::Stage;
pub use tls::TlsFiles;

use access::Terms;
use auth::Auth;
use postgres::Doors;
use routes::Part;
use tls::Tls;

/// How often files of tokens and certificates are looked at, and sessions that are over are ended.
const REFRESH: Duration = Duration::from_secs(1);

/// The bound server.
pub struct Server {
    page: Entrance,
    monitor: Option<Entrance>,
    postgres: Option<(TcpListener, SocketAddr, Doors)>,
    auth: Option<Arc<Auth>>,
    tls: Vec<Arc<Tls>>,
    clock: Arc<dyn Clock>,
}

/// A listener and what holds there.
struct Entrance {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    terms: Arc<Terms>,
}

impl Server {
    /// Reads the files that are named and listens. Port 0 takes any free port.
    ///
    /// # Errors
    /// `ADDRESS` for an address that others can reach without authentication and TLS, or that cannot be had; `TOKENS`
    /// and `TLS` for files that cannot be used.
    pub async fn bind(listening: impl Into<Listening>) -> Result<Self> {
        let listening: Listening = listening.into();
        listening.check()?;
        let Listening { http, monitor, postgres, auth, tls: files, clock } = listening;
        let now_ms = clock.now_ms();
        let auth = auth.map(|file| Auth::open(file, now_ms)).transpose()?.map(Arc::new);
        let speaking = |protocol| {
            let opened = files.clone().map(|files| Tls::open(files, protocol, now_ms)).transpose();
            opened.map(|tls| tls.map(Arc::new))
        };
        let (tls, tls_of_postgres) = (speaking(tls::HTTP)?, speaking(tls::POSTGRES)?);
        let page = Entrance::bind(http, "--http", auth.clone(), tls.clone())?;
        let monitor = match monitor {
            None => None,
            // What looks at this machine from this machine has no certificates and no token; the page is not here.
            Some(address) if listen::is_own(address) => {
                Some(Entrance::bind(address, "--monitor", None, None)?)
            }
            Some(address) => Some(Entrance::bind(address, "--monitor", auth.clone(), tls.clone())?),
        };
        let doors = Doors { tls: tls_of_postgres.clone(), auth: auth.clone() };
        let postgres = match postgres {
            Postgres::Off => None,
            Postgres::At(address) => Some(listen::bind(address, "--postgres")?),
            // Nobody asked for this address, so nothing fails for want of it.
            Postgres::Usual => listen::bind(USUAL_POSTGRES, "--postgres").inspect_err(|_| {
                tracing::warn!(address = %USUAL_POSTGRES, "another program listens where the Postgres wire usually is, so it is off; `--postgres ADDR` gives it another address");
            }).ok(),
        };
        let postgres = postgres.map(|(listener, address)| (listener, address, doors));
        let tls = tls.into_iter().chain(tls_of_postgres).collect();
        Ok(Self { page, monitor, postgres, auth, tls, clock })
    }

    /// Where the Postgres wire is, if it is on.
    pub fn postgres(&self) -> Option<SocketAddr> {
        self.postgres.as_ref().map(|(_, address, _)| *address)
    }

    /// Where the page is.
    pub fn address(&self) -> SocketAddr {
        self.page.address
    }

    /// Where health and metrics are, if they are by themselves.
    pub fn monitor(&self) -> Option<SocketAddr> {
        self.monitor.as_ref().map(|monitor| monitor.address)
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        self.page.terms.scheme()
    }

    /// Serves what the stage shows until `stop`, and a few seconds longer for answers that are under way.
    pub async fn run(self, stage: Stage, stop: CancellationToken) {
        let Self { page, monitor, postgres, auth, tls, clock } = self;
        let refreshing = tokio::spawn(refresh(auth, tls, clock, stop.clone()));
        let part = if monitor.is_some() { Part::WithoutMonitor } else { Part::All };
        let beside = async {
            if let Some(monitor) = monitor {
                monitor.serve(&stage, Part::Monitor, stop.clone()).await;
            }
        };
        let wire = async {
            if let Some((listener, _, doors)) = postgres {
                postgres::serve(listener, doors, stage.clone(), stop.clone()).await;
            }
        };
        tokio::join!(page.serve(&stage, part, stop.clone()), beside, wire);
        let _ = refreshing.await;
    }
}

impl Entrance {
    fn bind(
        address: SocketAddr,
        option: &str,
        auth: Option<Arc<Auth>>,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self> {
        let (listener, address) = listen::bind(address, option)?;
        let terms = Arc::new(Terms { auth, tls: tls.is_some(), loopback: listen::is_own(address) });
        Ok(Self { listener, address, tls, terms })
    }

    async fn serve(self, stage: &Stage, part: Part, stop: CancellationToken) {
        let router = guard::router(stage, &self.terms, part);
        connections::serve(self.listener, self.tls, router, stop).await;
    }
}

/// Looks at what may change on disk while the server runs.
async fn refresh(
    auth: Option<Arc<Auth>>,
    tls: Vec<Arc<Tls>>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    if auth.is_none() && tls.is_empty() {
        return;
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REFRESH) => {}
        }
        let (auth, tls, now_ms) = (auth.clone(), tls.clone(), clock.now_ms());
        let looked = tokio::task::spawn_blocking(move || {
            if let Some(auth) = auth {
                auth.refresh(now_ms);
            }
            tls.iter().for_each(|tls| tls.refresh(now_ms));
        });
        if looked.await.is_err() {
            tracing::error!("the files of tokens and certificates could not be looked at");
        }
    }
}
