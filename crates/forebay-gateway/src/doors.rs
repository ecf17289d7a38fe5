//! What the wiring needs of a gateway, whatever it speaks: that it serves a connection, and what it counted.

use std::net::IpAddr;

use forebay_core::Error;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// The bytes of a connection, behind TLS or WebSocket if there is any.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for S {}

/// The other side of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The common name of its certificate, which TLS has proved.
    pub certificate: Option<String>,
}

/// Serves a protocol over whatever carries bytes.
pub trait StreamDoor: Send + Sync {
    /// Serves one connection to its end; after `stop` what was taken is still acknowledged.
    fn serve(
        &self,
        stream: Box<dyn ByteStream>,
        peer: Peer,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()>;
}

/// What a gateway counts.
pub trait Counts: Send + Sync {
    /// Each count by its name, which never changes.
    fn counts(&self) -> Vec<(&'static str, u64)>;

    /// How it stands with the other side, where the gateway goes to it by itself; `None` for one to which devices come.
    fn state(&self) -> Option<State> {
        None
    }
}

/// How it stands with a broker or a port.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Whether there is a connection.
    pub is_up: bool,
    /// Since when, in milliseconds since 1970; 0 before the first attempt.
    pub since: i64,
    /// What is wrong; there may be something although there is a connection.
    pub problem: Option<Error>,
}

/// Keeps a [`State`].
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<State>);

impl Standing {
    /// There is a connection; true if there was none.
    pub(crate) fn up(&self, now: i64, problem: Option<Error>) -> bool {
        self.turn(true, now, problem).0
    }

    /// There is none, and why; true if there was one, or the reason was another.
    pub(crate) fn down(&self, now: i64, problem: Option<Error>) -> bool {
        let (turned, other) = self.turn(false, now, problem);
        turned || other
    }

    pub(crate) fn state(&self) -> State {
        self.0.lock().clone()
    }

    fn turn(&self, is_up: bool, now: i64, problem: Option<Error>) -> (bool, bool) {
        let mut state = self.0.lock();
        let words = |error: &Option<Error>| error.as_ref().map(ToString::to_string);
        let (turned, other) = (state.is_up != is_up, words(&state.problem) != words(&problem));
        if turned || state.since == 0 {
            state.since = now;
        }
        state.is_up = is_up;
        state.problem = problem;
        (turned, other)
    }
}
