//! What all requests share.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::live::Hub;
use crate::openapi;
use crate::shown::Shown;

/// Requests that are served at once; streams of events have a bound of their own.
const TURNS: usize = 64;

/// What all requests share.
pub(crate) struct State {
    pub shown: Shown,
    pub hub: Arc<Hub>,
    pub turns: Arc<Semaphore>,
    document: OnceLock<Value>,
}

impl State {
    /// For a server that ends at `stop`.
    pub fn new(shown: Shown, stop: CancellationToken) -> Arc<Self> {
        let hub = Hub::new(shown.clone(), stop);
        Arc::new(Self { shown, hub, turns: Arc::new(Semaphore::new(TURNS)), document: OnceLock::new() })
    }

    /// The OpenAPI document.
    pub fn document(&self) -> &Value {
        self.document.get_or_init(|| openapi::document(self.shown.version))
    }
}
