//! What all requests share, and the one place where it is replaced.
//!
//! ```text
//!  binary ── show ──▶ Stage ── now ──▶ State (one for each file that was taken) ──▶ a request, a view of events
//! ```
//!
//! What must stay true: a request sees one [`State`] from its beginning to its end, also while a pipeline's file is
//! taken anew; who asks after [`Stage::show`] has returned sees the new one. Streams of the old one end, and their
//! readers come again by themselves: what a view shows is made of sources and rules that may be gone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::http::StatusCode;
use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::body;
use crate::live::Hub;
use crate::openapi;
use crate::shown::Shown;
use crate::web_socket;

/// Requests that are served at once; streams of events have a bound of their own.
const TURNS: usize = 64;
/// The same for those that watch the server itself.
const ASIDE: usize = 8;

/// What the server shows, to be replaced while it runs. Clones are the same.
#[derive(Clone)]
pub struct Stage(Arc<RwLock<Arc<State>>>);

/// What all requests share, as of one moment.
pub(crate) struct State {
    pub shown: Shown,
    pub hub: Arc<Hub>,
    pub turns: Arc<Semaphore>,
    pub common: Arc<Common>,
    document: OnceLock<Value>,
    /// Ends the views of this state.
    ends: CancellationToken,
    /// The end of the server.
    stop: CancellationToken,
}

impl Stage {
    /// For a server that ends at `stop`.
    pub fn new(shown: Shown, stop: CancellationToken) -> Self {
        let ends = stop.child_token();
        let hub = Hub::new(shown.clone(), ends.clone());
        let turns = Arc::new(Semaphore::new(TURNS));
        let common = Arc::default();
        let state = State { shown, hub, turns, common, document: OnceLock::new(), ends, stop };
        Self(Arc::new(RwLock::new(Arc::new(state))))
    }

    /// Shows something else from now on.
    pub fn show(&self, shown: Shown) {
        let mut now = self.0.write();
        let next = now.next(shown);
        let before = std::mem::replace(&mut *now, next);
        drop(now);
        before.ends.cancel();
    }

    /// What is shown now.
    pub(crate) fn now(&self) -> Arc<State> {
        Arc::clone(&self.0.read())
    }
}

/// What belongs to the server, whatever it shows.
#[derive(Debug)]
pub(crate) struct Common {
    /// Turns of those that watch the server itself.
    pub aside: Arc<Semaphore>,
    /// Bytes that bodies may still take.
    pub bodies: Arc<Semaphore>,
    /// Places of WebSockets.
    pub sockets: Arc<Semaphore>,
    pub answers: Answers,
}

impl State {
    /// The same server with something else to show.
    fn next(&self, shown: Shown) -> Arc<Self> {
        let ends = self.stop.child_token();
        Arc::new(Self {
            hub: self.hub.next(shown.clone(), ends.clone()),
            shown,
            turns: Arc::clone(&self.turns),
            common: Arc::clone(&self.common),
            document: OnceLock::new(),
            ends,
            stop: self.stop.clone(),
        })
    }

    /// The OpenAPI document.
    pub fn document(&self) -> &Value {
        self.document.get_or_init(|| openapi::document(self.shown.version))
    }
}

impl Default for Common {
    fn default() -> Self {
        Self {
            aside: Arc::new(Semaphore::new(ASIDE)),
            bodies: Arc::new(Semaphore::new(body::ROOM)),
            sockets: Arc::new(Semaphore::new(web_socket::MOST)),
            answers: Answers::default(),
        }
    }
}

/// Answers by the class of their status.
#[derive(Debug, Default)]
pub(crate) struct Answers([AtomicU64; 4]);

impl Answers {
    const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

    /// Counts one.
    pub fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).checked_sub(2);
        if let Some(count) = class.and_then(|class| self.0.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were.
    pub fn by_class(&self) -> [(&'static str, u64); 4] {
        std::array::from_fn(|class| (Self::CLASSES[class], self.0[class].load(Ordering::Relaxed)))
    }
}
