//! One connection: a reader that begins requests, a writer that answers them in their order, a bounded line between.
//!
//! ```text
//!   reader: next length ─ memory ─ body ─ header ─ version ─ measure ─ begin ─▶ │ line │ ─▶ writer: await ─ send
//! ```
//!
//! The reader stops reading when the line is full or too many request bytes are under way: the client then waits in
//! its own socket. Either side's end is the other's: a client that closed its connection has nobody to answer, and a
//! client that does not take its answers is not read from any longer.

use super::api::{self, Call, Outcome, Started, Work};
use super::frame::{FrameReader, ReadError};
use super::protocol::{self, Header};
use super::shape::{ShapeError, measure};
use super::{Shared, protocol::Api};
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The address it dialled.
    pub(crate) local: SocketAddr,
    /// Where it came from.
    pub(crate) remote: SocketAddr,
    /// Set when no more answers are wanted: waiting requests end.
    pub(crate) closing: CancellationToken,
}

/// Why a connection is closed by us, or was by the client.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("no request for too long")]
    Idle,
    #[error("the server is stopping")]
    Stopping,
    #[error("the request has no sound header")]
    BadHeader,
    #[error("request {key} is not served")]
    UnknownApi { key: i16 },
    #[error("version {version} of {key:?} is not served")]
    UnknownVersion { key: ApiKey, version: i16 },
    #[error("malformed {key:?} request: {why}")]
    Malformed { key: ApiKey, why: String },
    #[error("writing an answer failed: {0}")]
    Write(#[from] io::Error),
    #[error("the answer is to close the connection")]
    Answered,
}

impl Ended {
    /// True for what happens every day, or was logged where it was decided.
    fn is_ordinary(&self) -> bool {
        matches!(
            self,
            Self::Read(ReadError::Closed | ReadError::Io(_))
                | Self::Idle
                | Self::Stopping
                | Self::Write(_)
                | Self::Answered
        )
    }
}

/// A request in the line.
struct Waiting {
    work: Step,
    /// The request's bytes count as under way until it is answered.
    _memory: OwnedSemaphorePermit,
}

enum Step {
    Done(Outcome),
    Running(JoinHandle<io::Result<Outcome>>),
    AtHead(Work),
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, peer: Peer) {
    let (from, to) = stream.into_split();
    let peer = Arc::new(peer);
    let in_flight = AtomicUsize::new(0);
    let (queue, line) = mpsc::channel(shared.options.max_pipelined_requests.max(1));
    let reader = async {
        let ended = read_requests(from, &shared, &peer, &in_flight, queue).await;
        peer.closing.cancel();
        ended
    };
    let writer = async {
        let ended = write_answers(to, &shared, &peer, &in_flight, line).await;
        peer.closing.cancel();
        ended
    };
    let (read, written) = tokio::join!(reader, writer);
    // The writer's own reason comes first: it made the reader stop.
    let ended = written.err().unwrap_or(read);
    let remote = peer.remote;
    if ended.is_ordinary() {
        tracing::debug!(%remote, reason = %ended, "connection closed");
    } else {
        tracing::warn!(%remote, reason = %ended, "closed a connection");
    }
}

async fn read_requests(
    from: impl AsyncRead + Unpin,
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    in_flight: &AtomicUsize,
    queue: mpsc::Sender<Waiting>,
) -> Ended {
    let options = &shared.options;
    let mut frames = FrameReader::new(from, options.max_request_bytes, options.receive_timeout);
    let cx = api::Context { shared: shared.clone(), peer: peer.clone() };
    let one_by_one = async {
        loop {
            let Ok(slot) = queue.reserve().await else { return Ended::Stopping };
            let len = match timeout(options.idle_timeout, frames.next_len()).await {
                Ok(Ok(len)) => len,
                Ok(Err(error)) => return error.into(),
                Err(_) if in_flight.load(Ordering::Relaxed) > 0 => continue,
                Err(_) => return Ended::Idle,
            };
            let Some(memory) = take(&shared.request_memory, len, options.max_request_memory).await else {
                return Ended::Stopping;
            };
            let started = match frames.body(len).await {
                Ok(request) => begin(&cx, request).await,
                Err(error) => return error.into(),
            };
            let work = match started {
                Ok(Started::Now(outcome)) => Step::Done(outcome),
                Ok(Started::Later(work)) => Step::Running(tokio::spawn(work)),
                Ok(Started::AtHead(work)) => Step::AtHead(work),
                Err(ended) => return ended,
            };
            in_flight.fetch_add(1, Ordering::Relaxed);
            slot.send(Waiting { work, _memory: memory });
        }
    };
    tokio::select! {
        ended = one_by_one => ended,
        () = peer.closing.cancelled() => Ended::Stopping,
    }
}

/// From bytes to a request under way; every way out but the last is a closed connection.
async fn begin(cx: &api::Context, mut request: Bytes) -> Result<Started, Ended> {
    let header = Header::take(&mut request).ok_or(Ended::BadHeader)?;
    let api = protocol::find(header.key).ok_or(Ended::UnknownApi { key: header.key })?;
    let call =
        Call { correlation_id: header.correlation_id, version: api.version, client_id: header.client_id };
    if header.version != api.version {
        return match api.key {
            // The one request whose unknown versions have an answer: see `protocol.rs`.
            ApiKey::ApiVersions => api::versions::unsupported(&call).map_err(Ended::from),
            key => Err(Ended::UnknownVersion { key, version: header.version }),
        };
    }
    check(api, &request, cx.shared.options.max_request_items)
        .map_err(|error| Ended::Malformed { key: api.key, why: error.to_string() })?;
    api::begin(cx, api.key, call, request).await
}

/// What passes is decoded with every array no longer than allowed. Bytes behind the known fields are let be: some
/// clients leave a few.
fn check(api: &Api, request: &[u8], max_items: usize) -> Result<usize, ShapeError> {
    measure(api.shape, request, max_items)
}

async fn write_answers(
    mut to: impl AsyncWrite + Unpin,
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    in_flight: &AtomicUsize,
    mut line: mpsc::Receiver<Waiting>,
) -> Result<(), Ended> {
    let in_order = async {
        while let Some(waiting) = line.recv().await {
            let outcome = match waiting.work {
                Step::Done(outcome) => outcome,
                Step::Running(work) => work.await.map_err(io::Error::other)??,
                Step::AtHead(work) => work.await?,
            };
            match outcome {
                Outcome::Answer(frame) => frame.send(&mut to, shared.options.send_timeout).await?,
                Outcome::Silence => {}
                Outcome::Close => return Err(Ended::Answered),
            }
            in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(to.shutdown().await?)
    };
    let drained = async {
        peer.closing.cancelled().await;
        sleep(shared.options.drain_timeout).await;
    };
    tokio::select! {
        ended = in_order => ended,
        () = drained => Err(Ended::Stopping),
    }
}

/// Waits for so many bytes of a memory budget; for all of it where the budget is smaller than the request.
pub(super) async fn take(
    budget: &Arc<Semaphore>,
    bytes: usize,
    total: usize,
) -> Option<OwnedSemaphorePermit> {
    let permits = u32::try_from(bytes.clamp(1, total.max(1))).unwrap_or(u32::MAX);
    budget.clone().acquire_many_owned(permits).await.ok()
}
