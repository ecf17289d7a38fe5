//! One connection to one broker: any number of calls under way, answered in the order in which they were asked.
//!
//! ```text
//!  call() ─encode─▶ outbox ─▶ writer ─▶ socket ─▶ reader ─▶ the caller who waits first
//!                                └── who waits, in order ──▶┘
//! ```
//!
//! What must stay true: an answer reaches exactly the caller whose request it answers. Brokers answer in order, and
//! the correlation id proves it each time; anything else closes the connection. So does a call that is not answered
//! in time: what comes later could not be told apart. A caller may stop waiting at any moment; its answer is dropped.

mod frame;
mod handshake;
pub(super) mod sasl;
mod scram;
mod stream;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Request;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::error::unavailable;
use super::options::ClientConfig;
use stream::Stream;
use versions::Versions;

/// Beyond the bytes that a Fetch asked for: headers, and a first batch that is larger than what was asked for.
const ANSWER_SLACK: usize = 128 << 20;

/// A connection that is open, authenticated and has agreed on versions. Dropped, it closes.
#[derive(Debug)]
pub struct Connection {
    address: String,
    client_id: String,
    request_timeout: Duration,
    versions: Versions,
    correlation: AtomicI32,
    outbox: mpsc::UnboundedSender<Outgoing>,
    end: Arc<End>,
}

/// How a connection ends, and why.
#[derive(Debug, Default)]
struct End {
    closed: CancellationToken,
    why: Mutex<Option<String>>,
}

impl End {
    fn close(&self, why: impl std::fmt::Display) {
        self.why.lock().get_or_insert_with(|| why.to_string());
        self.closed.cancel();
    }
}

struct Outgoing {
    frame: Bytes,
    waiting: Waiting,
}

struct Waiting {
    correlation: i32,
    reply: oneshot::Sender<Bytes>,
}

impl Connection {
    /// Opens a connection to `address` within the configured time.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` if nobody answers, `SOURCE_AUTH` if there is no trust, in either direction.
    pub(super) async fn open(
        address: &str,
        config: &ClientConfig,
        tls: Option<&TlsConnector>,
    ) -> Result<Self> {
        let opening = async {
            let mut stream = stream::open(address, tls).await?;
            let versions = handshake::shake_hands(address, &mut stream, config).await?;
            Ok((stream, versions))
        };
        let (stream, versions) = match timeout(config.connect_timeout, opening).await {
            Ok(opened) => opened?,
            Err(_) => {
                return Err(unavailable(
                    address,
                    format!("no connection within {:?}", config.connect_timeout),
                ));
            }
        };
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let end = Arc::new(End::default());
        let limit = ANSWER_SLACK + config.fetch_max_bytes.unsigned_abs() as usize;
        run(stream, outgoing, Arc::clone(&end), limit);
        Ok(Self {
            address: address.to_owned(),
            client_id: config.client_id.clone(),
            request_timeout: config.request_timeout,
            versions,
            correlation: AtomicI32::new(1),
            outbox,
            end,
        })
    }

    /// `host:port` of the broker.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The version in which an API is asked here; `None` if the broker serves none that we speak.
    pub(super) fn version(&self, api: ApiKey) -> Option<i16> {
        self.versions.of(api as i16)
    }

    /// False once it is closed; it never opens again.
    pub fn is_open(&self) -> bool {
        !self.end.closed.is_cancelled()
    }

    /// Sends a request and waits for its answer. Safe to cancel.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` when the connection is lost or the answer does not come in time.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response> {
        self.call_within(request, self.request_timeout).await
    }

    /// [`Connection::call`] with a time of its own, for calls that a broker holds.
    pub(crate) async fn call_within<R: Request>(
        &self,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response> {
        let Some(version) = self.versions.of(R::KEY) else {
            let api = ApiKey::try_from(R::KEY).map_or_else(|()| R::KEY.to_string(), |key| format!("{key:?}"));
            return Err(Error::new(
                &codes::SOURCE_REFUSED,
                format!("kafka at {} does not serve {api}", self.address),
            ));
        };
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let frame = frame::encode(request, version, correlation, &self.client_id)
            .map_err(|words| Error::new(&codes::INTERNAL, "request cannot be encoded").with_detail(words))?;
        let (reply, answer) = oneshot::channel();
        let outgoing = Outgoing { frame, waiting: Waiting { correlation, reply } };
        if self.outbox.send(outgoing).is_err() {
            return Err(self.lost());
        }
        match timeout(patience, answer).await {
            Ok(Ok(answer)) => frame::decode::<R>(answer, version).map_err(|words| {
                self.end.close(format!("an answer cannot be decoded: {words}"));
                self.lost()
            }),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => {
                self.end.close(format!("a request was not answered within {patience:?}"));
                Err(self.lost())
            }
        }
    }

    fn lost(&self) -> Error {
        let why = self.end.why.lock().clone();
        unavailable(&self.address, why.as_deref().unwrap_or("the connection was closed"))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end.close("the connection is no longer used");
    }
}

/// Starts the two tasks that move bytes until either side ends.
fn run(stream: Stream, mut outgoing: mpsc::UnboundedReceiver<Outgoing>, end: Arc<End>, limit: usize) {
    let Stream { mut read, mut write } = stream;
    let (line_up, mut line) = mpsc::unbounded_channel::<Waiting>();
    let writer_end = Arc::clone(&end);
    let writing = async move {
        while let Some(Outgoing { frame, waiting }) = outgoing.recv().await {
            // In line before the first byte leaves: no answer can come for which nobody waits.
            if line_up.send(waiting).is_err() {
                return;
            }
            let mut written = write.write_all(&frame).await;
            if written.is_ok() && outgoing.is_empty() {
                written = write.flush().await;
            }
            if let Err(error) = written {
                return writer_end.close(error);
            }
        }
    };
    let reader_end = Arc::clone(&end);
    let reading = async move {
        loop {
            let answer = match frame::read(&mut *read, limit).await {
                Ok(answer) => answer,
                Err(error) => return reader_end.close(error),
            };
            match line.try_recv() {
                Ok(waiting) if frame::correlation(&answer) == Some(waiting.correlation) => {
                    // Who no longer waits does not want the answer.
                    drop(waiting.reply.send(answer));
                }
                _ => return reader_end.close("an answer came that belongs to no request"),
            }
        }
    };
    let writer_closed = end.closed.clone();
    tokio::spawn(async move { writer_closed.run_until_cancelled(writing).await });
    tokio::spawn(async move { end.closed.run_until_cancelled(reading).await });
}
