//! The gateways of the pipeline, as they come in: those that take posts here, and what all of them counted.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use forebay_gateway::http::Ingest;
use forebay_gateway::{Counts, StreamDoor};
use tokio_util::sync::CancellationToken;

/// The gateways of a run; they last from its start to its end.
#[derive(Default)]
pub struct Gateways {
    /// Those that take posts, by name.
    pub http: BTreeMap<String, Arc<Ingest>>,
    /// The MQTT end point that is also at `/mqtt`.
    pub mqtt: Option<MqttOverWebSocket>,
    /// All of them, in the order of the file.
    pub all: Vec<Gateway>,
    /// Cancelled when the run ends: nothing more is taken.
    pub ending: CancellationToken,
}

/// What serves MQTT over WebSocket.
#[derive(Clone)]
pub struct MqttOverWebSocket {
    /// The end point.
    pub door: Arc<dyn StreamDoor>,
    /// Whether its clients must say who they are.
    pub has_users: bool,
}

/// One gateway.
#[derive(Clone)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// What devices speak.
    pub format: String,
    /// Where it listens, if by itself.
    pub address: Option<SocketAddr>,
    /// What it counted.
    pub counts: Arc<dyn Counts>,
}

impl fmt::Debug for Gateways {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.all.iter().map(|gateway| &gateway.name)).finish()
    }
}
