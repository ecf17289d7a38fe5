//! The MQTT end point, as the file tells it: its listener, its TLS, and the way to it over WebSocket.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::clock::Clock;
use forebay_core::config::GatewayConfig;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_gateway::mqtt::{self, Broker, Options, Retained, Snapshot};
use forebay_gateway::tls::{self, ServerConfig};
use forebay_gateway::{Access, ByteStream, Counts, Log, Peer, Routes, StreamDoor};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

/// How long clients have to take their last acknowledgements at the end.
const LAST: Duration = Duration::from_secs(5);

/// An end point that listens, and accepts once it is told to.
pub struct Mqtt {
    broker: Arc<Broker>,
    listener: TcpListener,
    pub address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
}

/// The same for WebSocket and for counts.
pub struct Door(Arc<Broker>);

impl Mqtt {
    /// Listens. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `ADDRESS` where the address cannot be had, `TLS` for files that cannot be used.
    pub fn bind(
        config: &GatewayConfig,
        routes: Arc<dyn Routes>,
        access: Arc<dyn Access>,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let text = |name: &str| config.options.text(name);
        let tls = match (text("tlsCert"), text("tlsKey")) {
            (Some(certificate), Some(key)) => Some(tls::server_config(
                Path::new(certificate),
                Path::new(key),
                text("clientCa").map(Path::new),
            )?),
            _ => None,
        };
        let wanted = text("listen").unwrap_or_default();
        let failed = |error: std::io::Error| {
            Error::new(&codes::ADDRESS, format!("cannot listen on {wanted}")).caused_by(error).with_hint(format!(
                "Another program listens there: stop it, or choose another address with the option `listen` of the gateway `{}`.",
                config.name
            ))
        };
        let listener = TcpListener::bind(wanted).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let broker = Broker::start(options(config), log, routes, access, clock);
        Ok(Self { broker, listener, address, tls })
    }

    /// What serves WebSockets, and counts.
    pub fn door(&self) -> Arc<Door> {
        Arc::new(Door(Arc::clone(&self.broker)))
    }

    /// Accepts until `stop`; then what was taken is acknowledged and connections end.
    ///
    /// # Errors
    /// `ADDRESS` where the runtime cannot have the listener.
    pub fn run(&self, stop: CancellationToken) -> Result<impl Future<Output = ()> + Send + use<>> {
        let failed = |error| {
            Error::new(&codes::ADDRESS, format!("cannot listen on {}", self.address)).caused_by(error)
        };
        let listener =
            self.listener.try_clone().and_then(tokio::net::TcpListener::from_std).map_err(failed)?;
        let (broker, tls) = (Arc::clone(&self.broker), self.tls.clone());
        Ok(async move {
            broker.listen(listener, tls, stop.cancelled()).await;
            broker.shutdown(LAST).await;
        })
    }
}

impl StreamDoor for Door {
    fn serve(&self, stream: Box<dyn ByteStream>, peer: Peer, _: CancellationToken) -> BoxFuture<'static, ()> {
        let broker = Arc::clone(&self.0);
        let name = format!("{} (WebSocket)", peer.address).into();
        let peer = mqtt::Peer { name, certificate: peer.certificate.map(Into::into) };
        Box::pin(async move { broker.serve(stream, peer).await })
    }
}

impl Counts for Door {
    fn counts(&self) -> Vec<(&'static str, u64)> {
        let it: Snapshot = self.0.snapshot();
        vec![
            ("connections", it.connections),
            ("connections_refused", it.connections_refused),
            ("connections_broken", it.connections_broken),
            ("publishes_qos0", it.publishes_qos0),
            ("publishes_qos1", it.publishes_qos1),
            ("publishes_qos2", it.publishes_qos2),
            ("repeated", it.publishes_repeated),
            ("taken", it.publishes_taken),
            ("refused", it.publishes_refused),
            ("unknown", it.publishes_unknown),
            ("dropped", it.publishes_dropped),
            ("retained_dropped", it.retained_dropped),
            ("bytes_in", it.bytes_in),
            ("bytes_out", it.bytes_out),
            ("deliveries", it.deliveries),
            ("deliveries_dropped", it.deliveries_dropped),
            ("wills", it.wills),
        ]
    }
}

/// The limits of the file; where it says nothing the end point's own.
fn options(config: &GatewayConfig) -> Options {
    let (options, usual) = (&config.options, Options::default());
    let count =
        |name: &str, usual: usize| options.integer(name).and_then(|it| it.try_into().ok()).unwrap_or(usual);
    let retained = match options.text("retained") {
        Some("drop") => Retained::Drop,
        Some("state") => Retained::State,
        _ => Retained::Process,
    };
    Options {
        name: config.name.as_str().into(),
        retained,
        max_packet: options
            .size("maxPacketSize")
            .and_then(|it| it.try_into().ok())
            .unwrap_or(usual.max_packet),
        receive_maximum: options
            .integer("receiveMaximum")
            .and_then(|it| it.try_into().ok())
            .unwrap_or(usual.receive_maximum),
        max_connections: count("maxConnections", usual.max_connections),
        max_sessions: count("maxSessions", usual.max_sessions),
        max_session_expiry: options
            .duration("maxSessionExpiry")
            .map_or(usual.max_session_expiry, |it| it.as_secs().try_into().unwrap_or(u32::MAX)),
        publish_rate: options.integer("publishRate").and_then(|it| it.try_into().ok()),
        ..usual
    }
}
