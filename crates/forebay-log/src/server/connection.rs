//! One connection: a reader that begins requests, a writer that answers them in their order, a bounded line between.
//!
//! ```text
//!   reader: next length ─ body, memory ─ header ─ version ─ measure ─ begin ─▶ │ line │ ─▶ writer: await ─ send
//! ```
//!
//! Only behind a Produce, whose answer is small, is the next request read at once: so several share one fsync. Behind
//! any other it is read once all answers before it are sent, as Apache Kafka does with every request: what a client
//! does not take is one answer, however much it asks for. The reader also stops when the line is full or too many
//! request bytes are under way: the client then waits in its own socket.
//!
//! A request counts as under way from its length to the last byte of its answer; in between the connection is not
//! closed to make room for another (`crowd.rs`), unless it arrives slowly. Either side's end is the other's: a client
//! that closed its connection has nobody to answer, and a client that does not take its answers is not read from any
//! longer.

use super::access::Session;
use super::api::{self, Call, Outcome, Started, Work};
use super::crowd::Seat;
use super::frame::{FrameReader, ReadError};
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
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Largest request that brings no records. A commit for every partition that there may be is smaller, and while such
/// a request waits for others nobody else can use what it holds.
const MAX_PLAIN_BYTES: usize = 4 << 20;

/// Largest request of somebody who is not known yet: versions and SASL are much smaller.
const MAX_STRANGER_BYTES: usize = 16 << 10;

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The address it dialled.
    pub(crate) local: SocketAddr,
    /// Where it came from.
    pub(crate) remote: SocketAddr,
    /// Set when no more answers are wanted: waiting requests end.
    pub(crate) closing: CancellationToken,
    /// Who it is, where that is asked for.
    pub(super) session: Session,
    /// The name by which it called us in TLS.
    pub(super) called: Option<String>,
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
    #[error("not let in: {0}")]
    NotIn(&'static str),
    #[error("a {key:?} request of somebody who has not logged in")]
    Stranger { key: ApiKey },
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
struct Step {
    way: Way,
    /// Dropped once it is answered, for a reader that waits for that.
    _answered: Option<oneshot::Sender<()>>,
}

/// How a request in the line comes to its answer. Its bytes count as long as somebody works on them, and not while a
/// finished one waits for those before it: nobody else could use what it holds.
enum Way {
    Done(Outcome),
    Running(JoinHandle<io::Result<Outcome>>),
    AtHead(Work),
}

/// Serves one connection to its end.
pub(super) async fn serve(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    shared: Arc<Shared>,
    peer: Peer,
    seat: &Seat,
) {
    let peer = Arc::new(peer);
    let (queue, line) = mpsc::channel(shared.options.max_pipelined_requests.max(1));
    let cut = CancellationToken::new();
    let reader = async {
        let ended = read_requests(from, &shared, &peer, seat, queue).await;
        if matches!(ended, Ended::NotIn(_)) {
            // Who may no longer gets no last answers either.
            cut.cancel();
        }
        peer.closing.cancel();
        ended
    };
    let writer = async {
        let ended = tokio::select! {
            // First, so that a Fetch that waits does not take the end for its last chance to answer.
            biased;
            () = cut.cancelled() => Ok(()),
            ended = write_answers(to, &shared, &peer, seat, line) => ended,
        };
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
    queue: mpsc::Sender<Step>,
) -> Ended {
    let options = &shared.options;
    let mut frames = FrameReader::new(from, options).telling(seat.slow());
    let cx = api::Context { shared: shared.clone(), peer: peer.clone() };
    let one_by_one = async {
        let mut answered: Option<oneshot::Receiver<()>> = None;
        let mut is_known = false;
        loop {
            if !peer.session.is_known() {
                frames.limit(MAX_STRANGER_BYTES.min(options.max_request_bytes));
            } else if !is_known {
                is_known = true;
                seat.is_somebodys();
                frames.limit(options.max_request_bytes);
            }
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
            if let Some(answered) = answered.take() {
                // Nothing is ever sent: it ends when the other side is dropped.
                let _ = answered.await;
            }
            let body = tokio::select! {
                body = frames.body(len, &shared.request_memory) => body,
                () = seat.must_leave() => return Ended::MadeRoom,
            };
            let (request, memory) = match body {
                Ok(body) => body,
                Err(error) => return error.into(),
            };
            if !seat.has_read() {
                return Ended::MadeRoom;
            }
            let started = match begin(&cx, request).await {
                Ok(started) => started,
                Err(ended) => return ended,
            };
            let reads_on = matches!(started, Started::Queued(_) | Started::Now(Outcome::Silence));
            let way = match started {
                Started::Now(outcome) => Way::Done(outcome),
                Started::Later(work) | Started::Queued(work) => Way::Running(tokio::spawn(async move {
                    let outcome = work.await;
                    drop(memory);
                    outcome
                })),
                // These keep nothing of their bytes, and may wait for long.
                Started::Parked(work) => Way::Running(tokio::spawn(work)),
                Started::AtHead(work) => Way::AtHead(work),
            };
            let waits = (!reads_on).then(oneshot::channel).unzip();
            answered = waits.1;
            slot.send(Step { way, _answered: waits.0 });
        }
    };
    tokio::select! {
        ended = one_by_one => ended,
        () = peer.closing.cancelled() => Ended::Stopping,
        why = peer.session.ends(options.login_timeout) => Ended::NotIn(why),
    }
}

/// From bytes to a request under way; every way out but the last is a closed connection.
async fn begin(cx: &api::Context, mut request: Bytes) -> Result<Started, Ended> {
    let header = Header::take(&mut request).ok_or(Ended::BadHeader)?;
    let mut served = protocol::served(header.key);
    let oldest = served.next().ok_or(Ended::UnknownApi { key: header.key })?;
    let found = std::iter::once(oldest).chain(served).find(|api| api.version == header.version);
    let api = found.unwrap_or(oldest);
    let call = Call {
        correlation_id: header.correlation_id,
        version: api.version,
        is_flexible: api.is_flexible,
        client_id: header.client_id,
    };
    if !cx.peer.session.admits(api.key) {
        return Err(Ended::Stranger { key: api.key });
    }
    if found.is_none() {
        return match api.key {
            // The one request whose unknown versions have an answer: see `protocol.rs`.
            ApiKey::ApiVersions => api::versions::unsupported(&call).map_err(Ended::from),
            key => Err(Ended::UnknownVersion { key, version: header.version }),
        };
    }
    let max_items = cx.shared.options.max_request_items;
    let malformed = |error: ShapeError| Ended::Malformed { key: api.key, why: error.to_string() };
    if api.is_flexible {
        protocol::skip_tags(&mut request, max_items).map_err(malformed)?;
    }
    if api.key != ApiKey::Produce && request.len() > MAX_PLAIN_BYTES {
        return Err(Ended::TooLarge { key: api.key, len: request.len() });
    }
    check(api, &request, max_items).map_err(malformed)?;
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
    mut line: mpsc::Receiver<Step>,
) -> Result<(), Ended> {
    let in_order = async {
        while let Some(step) = line.recv().await {
            let outcome = match step.way {
                Way::Done(outcome) => outcome,
                Way::Running(work) => work.await.map_err(io::Error::other)??,
                Way::AtHead(work) => work.await?,
            };
            match outcome {
                Outcome::Answer(frame) => {
                    frame.send(&mut to, &shared.options, &shared.response_memory).await?;
                }
                Outcome::Last(frame, why) => {
                    frame.send(&mut to, &shared.options, &shared.response_memory).await?;
                    to.shutdown().await?;
                    return Err(Ended::NotIn(why));
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
