//! What Forebay shows of itself over HTTP: the live page, its REST and event streams, health and metrics.
//!
//! ```text
//! connection ─▶ guard ─▶ router ─▶ ask (access, parameters, body) ─▶ api │ live │ page │ health │ metrics
//!                          ▲                                            │
//!                   routes (the one table) ─▶ openapi                   ▼
//!                                                       shown: handles and traits that the binary fills in
//! ```
//!
//! It watches values that the queries publish and never waits for them, so a slow or hostile client cannot touch the
//! stream. What must stay true: it listens on loopback only, because it has neither authentication nor TLS yet; every
//! request passes [`access`]; every answer carries the headers of [`guard`]; every route stands in [`routes`], from
//! which the document is made. Read [`shown`] for what comes in, [`live`] for the events.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

mod access;
mod answer;
mod api;
mod ask;
mod connections;
pub mod grafana;
mod guard;
mod health;
mod live;
mod metrics;
mod openapi;
mod page;
mod paging;
mod params;
mod problem;
mod routes;
pub mod shown;
mod state;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use shown::Shown;
use state::State;

/// The bound server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens on `address`, which must be a loopback address. Port 0 takes any free port.
    pub async fn bind(address: SocketAddr) -> Result<Self> {
        if !address.ip().is_loopback() {
            let message = format!("{address} is not a loopback address");
            return Err(Error::new(&codes::ADDRESS, message).with_hint(
                "The HTTP server has no authentication and no TLS yet, so it listens on 127.0.0.1 or [::1] only; put a proxy that has both in front of it.",
            ));
        }
        let failed = |e| {
            Error::new(&codes::ADDRESS, format!("cannot listen on {address}")).caused_by(e).with_hint(
                "Another program listens there. Stop it, or choose another address with `--http`, for example `--http 127.0.0.1:8081`.",
            )
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, and a few seconds longer for answers that are under way.
    pub async fn run(self, shown: Shown, stop: CancellationToken) {
        let state = State::new(shown, stop.clone());
        connections::serve(self.listener, guard::router(&state), stop).await;
    }
}
