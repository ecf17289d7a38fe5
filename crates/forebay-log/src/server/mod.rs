//! The Kafka protocol before the log: any Kafka client may produce to it, read from it and manage it.
//!
//! ```text
//!   client ──▶ connection.rs: reader ── frame ── measured ── decoded ──▶ api/…: begins in the order of arrival
//!                                                                          │
//!   client ◀── connection.rs: writer ◀── answers in the order of requests ◀┘   now, later, or at the head of the line
//! ```
//!
//! Requests of one connection *begin* in the order in which they came and are *answered* in that order. Produce
//! requests are under way together, so that five in a row share one fsync; behind any other the next one is read when
//! it is answered. A Fetch runs only when all earlier answers are out. It may wait for data without holding up anybody
//! else's connection, and a connection never holds more than one large answer in memory.
//!
//! There is one node: it is broker 1, leader of every partition, the controller and the coordinator of every group and
//! every transactional producer.
//! Clients are told to dial the address they came in on, unless [`ServerOptions`] says otherwise.
//!
//! Who may ask, and for what, is in `access.rs`.
//!
//! **What must stay true:** nothing that a client sends makes the server panic, allocate by an unchecked length, or
//! wait without a limit; what cannot be served is answered with the protocol's error where there is one and with a
//! closed connection where there is none. Records are acknowledged only when the log says they are durable.
//!
//! Read on in `protocol.rs` (what is served), `connection.rs`, `api/mod.rs`, `group/mod.rs` for consumer groups, `txn/mod.rs` for
//! transactions;
//! what clients may hold, and how they cannot shut each other out, is in `memory.rs` and `crowd.rs`.

pub mod access;
mod api;
mod connection;
mod crowd;
mod frame;
mod group;
mod memory;
mod options;
mod protocol;
mod shape;
#[cfg(test)]
mod tests;
mod turn;
mod txn;

pub use options::ServerOptions;

pub use tokio_rustls::rustls::ServerConfig;

use crate::quiet::{About, Quiet};
use crate::storage::Log;
use access::Session;
use connection::Peer;
use crowd::{Crowd, Seat};
use group::{Coordinator, OffsetWriter};
use memory::{RequestMemory, ResponseMemory};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use txn::Transactions;

/// The one node of the cluster.
pub(crate) const NODE_ID: i32 = 1;

/// What the cluster calls itself to clients that ask.
pub const CLUSTER_ID: &str = "forebay";

/// The setting of a topic that holds its id, told to who asks for it by name: the Metadata that is served has no ids.
pub const TOPIC_ID: &str = "forebay.topic.id";

/// Pause after an accept that failed: without file descriptors left it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Changes of topics wait for each other's fsyncs, and a search by time decompresses batches: with a thread for each
/// that is asked for, none would be left to read for a Fetch.
const SLOW_AT_ONCE: usize = 4;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, not ours, or not an address.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Others than this machine could reach it, and it asks nobody who they are, or speaks in the clear.
    #[error("{addr} is not a loopback address, and the server has no users or no TLS")]
    Unguarded {
        /// The address asked for.
        addr: SocketAddr,
    },
}

/// A Kafka server that listens, and serves once [`Server::run`] is called.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
    offset_writer: OffsetWriter,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: Log,
    pub(crate) options: ServerOptions,
    pub(crate) coordinator: Coordinator,
    pub(crate) transactions: Transactions,
    /// Bytes of requests under way.
    pub(crate) request_memory: RequestMemory,
    /// Bytes of record batches on their way out.
    pub(crate) response_memory: ResponseMemory,
    /// Requests that may keep a thread, or much memory, for long: so many at once.
    pub(crate) slow: Arc<Semaphore>,
    /// Warnings that clients can cause: the log's own.
    pub(crate) quiet: Arc<Quiet>,
}

impl Server {
    /// Listens on `addr` (port 0 picks a free one). Connections are accepted once [`Server::run`] runs.
    pub async fn bind(addr: SocketAddr, log: Log, options: ServerOptions) -> Result<Self, ServerError> {
        let is_guarded = options.guard.as_ref().is_some_and(|guard| guard.tls.is_some());
        if !is_guarded && !addr.ip().to_canonical().is_loopback() {
            return Err(ServerError::Unguarded { addr });
        }
        let listen = |source| ServerError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let local_addr = listener.local_addr().map_err(listen)?;
        let (coordinator, offset_writer) = Coordinator::open(log.group_store(), &options);
        let transactions = Transactions::open(&log.group_store());
        let request_memory = RequestMemory::new(options.max_request_memory, options.max_request_bytes);
        let response_memory = ResponseMemory::new(options.max_response_memory);
        let quiet = log.quiet();
        let slow = Arc::new(Semaphore::new(SLOW_AT_ONCE));
        let shared =
            Shared { log, options, coordinator, transactions, request_memory, response_memory, slow, quiet };
        let shared = Arc::new(shared);
        Ok(Self { listener, local_addr, shared, offset_writer })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown`. Then nothing more is accepted or read; what is under way gets
    /// [`ServerOptions::drain_timeout`] to be answered, and committed offsets are written. The log stays open: it is
    /// the caller's.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { listener, local_addr, shared, offset_writer } = self;
        let coordinator_stop = CancellationToken::new();
        let coordinator = tokio::spawn({
            let (shared, stop) = (shared.clone(), coordinator_stop.clone());
            async move { shared.coordinator.run(offset_writer, &shared.quiet, stop).await }
        });
        shared.transactions.resume(&shared).await;
        let transactions = tokio::spawn({
            let (shared, stop) = (shared.clone(), coordinator_stop.child_token());
            async move { shared.transactions.run(&shared, stop).await }
        });
        tracing::info!(%local_addr, "kafka server is listening");

        let connections = TaskTracker::new();
        let crowd = Crowd::new(shared.options.max_connections);
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if let Some(untold) = shared.quiet.may_tell(About::Accepting) {
                        tracing::warn!(%error, untold, "could not accept a connection");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            shared.quiet.sums(false);
            if let Some(seat) = shared.seat(&crowd, remote) {
                connections.spawn(greet(stream, remote, shared.clone(), shutdown.child_token(), seat));
            }
        }

        drop(listener);
        connections.close();
        connections.wait().await;
        transactions.abort();
        let _ = transactions.await;
        coordinator_stop.cancel();
        if let Err(error) = coordinator.await {
            tracing::error!(%error, "the group coordinator ended early");
        }
        shared.quiet.sums(true);
        tracing::info!(%local_addr, "kafka server has stopped");
    }
}

impl Shared {
    /// A new connection's place, for which the longest idle one may have to go.
    fn seat(&self, crowd: &Arc<Crowd>, remote: SocketAddr) -> Option<Seat> {
        let entered = crowd.enter();
        let what = match &entered {
            Some((_, false)) => None,
            Some((_, true)) => Some("closed the connection that was idle longest: too many are open"),
            None => Some("refused a connection: too many are open, and none is idle"),
        };
        if let Some(what) = what
            && let Some(untold) = self.quiet.may_tell(About::Crowd)
        {
            tracing::warn!(%remote, limit = self.options.max_connections, untold, "{what}");
        }
        entered.map(|(seat, _)| seat)
    }
}

async fn greet(
    stream: TcpStream,
    remote: SocketAddr,
    shared: Arc<Shared>,
    closing: CancellationToken,
    seat: Seat,
) {
    let prepared = stream.set_nodelay(true).and_then(|()| stream.local_addr());
    let local = match prepared {
        Ok(local) => local,
        Err(error) => return tracing::debug!(%remote, %error, "connection ended before it began"),
    };
    let guard = shared.options.guard.clone();
    if guard.is_none() {
        seat.is_somebodys();
    }
    let Some(tls) = guard.as_ref().and_then(|guard| guard.tls.as_ref()) else {
        let session = Session::new(guard, None);
        let peer = Peer { local, remote, closing, session, called: None };
        let (from, to) = stream.into_split();
        return connection::serve(from, to, shared, peer, &seat).await;
    };
    let config = Arc::clone(&tls.borrow());
    let shakes_hands = tokio::time::timeout(
        shared.options.login_timeout,
        // On the heap: what the handshake needs is given back before the connection is served.
        Box::pin(TlsAcceptor::from(config).accept(stream)),
    );
    let shaken = tokio::select! {
        shaken = shakes_hands => shaken,
        () = seat.must_leave() => return,
        () = closing.cancelled() => return,
    };
    let stream = match shaken.map_err(io::Error::from).flatten() {
        Ok(stream) => stream,
        Err(error) => {
            if let Some(untold) = shared.quiet.may_tell(About::BadConnections) {
                tracing::warn!(%remote, %error, untold, "a TLS handshake failed");
            }
            return;
        }
    };
    let (_, tls) = stream.get_ref();
    let certificate = tls.peer_certificates().and_then(|chain| chain.first());
    let session = Session::new(guard, certificate.map(|first| first.as_ref()));
    let peer = Peer { local, remote, closing, session, called: tls.server_name().map(str::to_owned) };
    let (from, to) = tokio::io::split(stream);
    connection::serve(from, to, shared, peer, &seat).await;
}
