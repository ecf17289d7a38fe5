//! The Postgres wire end point: read-only SQL over the pipeline's tables for psql, JDBC, ODBC, Power BI, Grafana and
//! whatever else speaks PostgreSQL's protocol (3.0).
//!
//! ```text
//! socket ─▶ start (TLS, who asks) ─▶ connection: frames ─▶ session commands │ statements ─▶ threads of ad-hoc SQL
//!                                       ▲                                        │ system: pg_catalog, information_schema,
//!                                       └───────── replies ◀── encode ◀── rows ◀──┘ forebay
//! ```
//!
//! What must stay true: an address that others reach has TLS and asks who asks, as every listener; no byte from the net
//! panics or allocates unbounded ([`frame`]), and what all clients have sent shares one [`room`]; a statement takes its turn and runs within limits away from the stream
//! ([`statement`]), and ends when it is cancelled, when its client is gone or when the server stops; what a slow reader
//! leaves waiting is bounded. The protocol's messages are read and written here: the few that there are fit into two
//! small files, and each is bounded by its own kind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::places::{Holder, Places};
use crate::state::Stage;

mod connection;
mod cursor;
mod encode;
mod extended;
mod forms;
mod frame;
mod keys;
mod login;
mod options;
mod order;
mod portal;
mod reply;
mod room;
mod scram;
mod session;
mod settings;
mod simple;
mod sqlstate;
mod start;
mod statement;
mod system;
#[cfg(test)]
mod tests;
mod types;
mod values;

use connection::Connection;
use keys::Keys;
use room::{ROOM, Room};
pub(crate) use start::Doors;
use start::{Outcome, START};

/// Most connections; one that waits for its client makes room for a new one.
const MOST: usize = 100;
/// How long connections have to end, once the server stops.
const END: Duration = Duration::from_secs(3);
/// After an accept that failed, as for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// What all connections share.
#[derive(Clone)]
struct Shared {
    doors: Doors,
    stage: Stage,
    keys: Arc<Keys>,
    room: Arc<Room>,
    stop: CancellationToken,
}

/// Serves every connection until `stop`.
pub(crate) async fn serve(listener: TcpListener, doors: Doors, stage: Stage, stop: CancellationToken) {
    serve_in(listener, doors, stage, Room::new(ROOM), stop).await;
}

/// The same, whose clients share this room.
async fn serve_in(
    listener: TcpListener,
    doors: Doors,
    stage: Stage,
    room: Arc<Room>,
    stop: CancellationToken,
) {
    let (places, tasks) = (Places::new(MOST), TaskTracker::new());
    let shared = Shared { doors, stage, keys: Arc::default(), room, stop: stop.clone() };
    loop {
        let next = async {
            let (stream, address) = listener.accept().await?;
            std::io::Result::Ok((stream, address, places.place().await))
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let shared = shared.clone();
                tasks.spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let holder = place.holder().clone();
                    tokio::select! {
                        () = holder.must_go() => {}
                        () = connected(stream, peer, holder.clone(), shared) => {}
                    }
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    let _ = tokio::time::timeout(END, tasks.wait()).await;
}

async fn connected(stream: TcpStream, peer: SocketAddr, holder: Holder, shared: Shared) {
    let now_ms = shared.stage.now().shown.clock.now_ms();
    let started = tokio::select! {
        started = tokio::time::timeout(START, start::start(stream, peer.ip(), &shared.doors, now_ms)) => started,
        () = shared.stop.cancelled() => return,
    };
    match started {
        Ok(Outcome::Started(started)) => {
            let key = shared.keys.make();
            let all = (shared.room, shared.stop);
            Connection::new(*started, shared.stage, key, holder, all).run().await;
        }
        Ok(Outcome::Cancel { pid, secret }) => shared.keys.cancel(pid, secret),
        Ok(Outcome::Over) => {}
        Err(_) => tracing::debug!(%peer, "a client took too long to start"),
    }
}
