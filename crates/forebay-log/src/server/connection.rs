//! One connection: a reader that begins requests, a writer that answers them in their order, a bounded line between.
//!
//! ```text
//!   reader: next length ─ body, memory ─ header ─ version ─ measure ─ begin ─▶ │ line │ ─▶ writer: await ─ send
//! ```
//!
//! The reader stops reading when the line is full or too many request bytes are under way: the client then waits in
//! its own socket. A request counts as under way from its first byte to the last of its answer; in between the
//! connection is not closed to make room for another (`crowd.rs`). Either side's end is the other's: a client that closed
//! its connection has nobody to answer, and a client that does not take its answers is not read from any longer.

use super::api::{self, Call, Outcome, Started, Work};
use super::crowd::Seat;
use super::frame::{FrameReader, ReadError};
use super::memory::Share;
use super::protocol::{self, Header};
use super::shape::{ShapeError, measure};
use super::{Shared, protocol::Api};
use crate::quiet::About;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Largest request that brings no records. A commit for every partition that there may be is smaller, and while such
/// a request waits for others nobody else can use what it holds.
const MAX_PLAIN_BYTES: usize = 4 << 20;

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
    #[error("it was idle and made room for another")]
    MadeRoom,
    #[error("the server is stopping")]
    Stopping,
    #[error("the request has no sound header")]
    BadHeader,
    #[error("request {key} is not served")]
    UnknownApi { key: i16 },
    #[error("version {version} of {key:?} is not served")]
    UnknownVersion { key: ApiKey, version: i16 },
    #[error("a {key:?} request of {len} bytes; one that brings no records has at most {MAX_PLAIN_BYTES}")]
    TooLarge { key: ApiKey, len: usize },
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
                | Self::MadeRoom
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
    _memory: Share,
}

enum Step {
    Done(Outcome),
    Running(JoinHandle<io::Result<Outcome>>),
    AtHead(Work),
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, peer: Peer, seat: &Seat) {
    let (from, to) = stream.into_split();
    let peer = Arc::new(peer);
    let (queue, line) = mpsc::channel(shared.options.max_pipelined_requests.max(1));
    let reader = async {
        let ended = read_requests(from, &shared, &peer, seat, queue).await;
        peer.closing.cancel();
        ended
    };
    let writer = async {
        let ended = write_answers(to, &shared, &peer, seat, line).await;
        peer.closing.cancel();
        ended
    };
    let (read, written) = tokio::join!(reader, writer);
    // The writer's own reason comes first: it made the reader stop.
    let ended = written.err().unwrap_or(read);
    let remote = peer.remote;
    if ended.is_ordinary() {
        tracing::debug!(%remote, reason = %ended, "connection closed");
    } else if let Some(untold) = shared.quiet.may_tell(About::BadConnections) {
        tracing::warn!(%remote, reason = %ended, untold, "closed a connection");
    }
}

async fn read_requests(
    from: impl AsyncRead + Unpin,
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    seat: &Seat,
    queue: mpsc::Sender<Waiting>,
) -> Ended {
    let options = &shared.options;
    let mut frames = FrameReader::new(from, options);
    let cx = api::Context { shared: shared.clone(), peer: peer.clone() };
    let one_by_one = async {
        loop {
            let Ok(slot) = queue.reserve().await else { return Ended::Stopping };
            let next = tokio::select! {
                next = timeout(options.idle_timeout, frames.next_len()) => next,
                () = seat.must_leave() => return Ended::MadeRoom,
            };
            let len = match next {
                Ok(Ok(len)) => len,
                Ok(Err(error)) => return error.into(),
                Err(_) if seat.is_busy() => continue,
                Err(_) => return Ended::Idle,
            };
            if !seat.begin() {
                return Ended::MadeRoom;
            }
            let (request, memory) = match frames.body(len, &shared.request_memory).await {
                Ok(body) => body,
                Err(error) => return error.into(),
            };
            let waiting = match begin(&cx, request).await {
                Ok(Started::Now(outcome)) => Waiting { work: Step::Done(outcome), _memory: memory },
                Ok(Started::Later(work)) => {
                    Waiting { work: Step::Running(tokio::spawn(work)), _memory: memory }
                }
                // It keeps nothing of its bytes, and may wait for long.
                Ok(Started::Parked(work)) => {
                    Waiting { work: Step::Running(tokio::spawn(work)), _memory: Share::default() }
                }
                Ok(Started::AtHead(work)) => Waiting { work: Step::AtHead(work), _memory: memory },
                Err(ended) => return ended,
            };
            slot.send(waiting);
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
    if api.key != ApiKey::Produce && request.len() > MAX_PLAIN_BYTES {
        return Err(Ended::TooLarge { key: api.key, len: request.len() });
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
    seat: &Seat,
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
                Outcome::Answer(frame) => {
                    frame.send(&mut to, &shared.options, &shared.response_memory).await?;
                }
                Outcome::Silence => {}
                Outcome::Close => return Err(Ended::Answered),
            }
            seat.end();
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
