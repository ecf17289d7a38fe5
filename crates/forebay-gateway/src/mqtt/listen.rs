//! Where connections come from: TCP, TLS, or any stream of bytes that somebody else has opened (WebSocket).

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::broker::Broker;
use super::certificate;
use super::connection::Connection;
use super::counters::add;
use super::handshake::welcome;
use super::stream::Stream;

/// A pause after the operating system refused a connection, because it has no more files.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a client that was not let in may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address, for logs.
    pub name: Arc<str>,
    /// The common name of its certificate, if TLS has proved one.
    pub certificate: Option<Arc<str>>,
}

impl Broker {
    /// Serves one connection, over whatever stream of bytes it comes, until it ends.
    pub async fn serve<S>(self: &Arc<Self>, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let count = self.counters.connections_now.fetch_add(1, Ordering::SeqCst);
        let guard = Here(self.clone());
        if usize::try_from(count).unwrap_or(usize::MAX) >= self.options.max_connections || self.is_closing() {
            add(&self.counters.connections_refused, 1);
            return;
        }
        // On the heap, and apart from each other: what the handshake needs is given back before the connection is served.
        let Some(connection) = Box::pin(self.greet(stream, peer)).await else {
            add(&self.counters.connections_refused, 1);
            return;
        };
        add(&self.counters.connections, 1);
        Box::pin(connection.run()).await;
        drop(guard);
    }

    async fn greet<S>(self: &Arc<Self>, stream: S, peer: Peer) -> Option<Connection<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut stream = Stream::new(stream);
        let welcome =
            tokio::time::timeout(self.options.connect_timeout, welcome(self, &mut stream, &peer)).await;
        match welcome {
            Ok(Some(welcome)) => Some(Connection::new(self.clone(), stream, welcome)),
            _ => {
                drop(tokio::time::timeout(FAREWELL, stream.close()).await);
                None
            }
        }
    }

    /// Accepts connections until `stop` is ready; those that are open go on (see [`Broker::shutdown`]). With `tls`, nothing is
    /// spoken in plain text, and the certificate that a client shows is its credential as well.
    pub async fn listen(
        self: &Arc<Self>,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        stop: impl Future<Output = ()> + Send,
    ) {
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = stop.as_mut() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, address)) => {
                    // Small packets that somebody waits for.
                    drop(socket.set_nodelay(true));
                    let name: Arc<str> = address.to_string().into();
                    let broker = self.clone();
                    let acceptor = tls.clone().map(TlsAcceptor::from);
                    tokio::spawn(async move {
                        match acceptor {
                            // On the heap, so that a connection in plain text does not hold the room of one over TLS.
                            None => Box::pin(broker.serve(socket, Peer { name, certificate: None })).await,
                            Some(acceptor) => Box::pin(broker.serve_tls(socket, acceptor, name)).await,
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(gateway = %self.options.name, %error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn serve_tls(
        self: &Arc<Self>,
        socket: tokio::net::TcpStream,
        acceptor: TlsAcceptor,
        name: Arc<str>,
    ) {
        // TLS's own handshake counts as a connection too: it costs more than what follows.
        let count = self.counters.connections_now.fetch_add(1, Ordering::SeqCst);
        let guard = Here(self.clone());
        if usize::try_from(count).unwrap_or(usize::MAX) >= self.options.max_connections {
            add(&self.counters.connections_refused, 1);
            return;
        }
        let handshake: Result<io::Result<_>, _> =
            tokio::time::timeout(self.options.connect_timeout, Box::pin(acceptor.accept(socket))).await;
        drop(guard);
        match handshake {
            Ok(Ok(stream)) => {
                let chain = stream.get_ref().1.peer_certificates();
                let shown =
                    chain.and_then(|chain| chain.first()).and_then(|first| certificate::common_name(first));
                self.serve(stream, Peer { name, certificate: shown.map(Into::into) }).await;
            }
            Ok(Err(error)) => {
                add(&self.counters.connections_refused, 1);
                tracing::debug!(gateway = %self.options.name, peer = %name, %error, "a TLS handshake failed");
            }
            Err(_) => add(&self.counters.connections_refused, 1),
        }
    }
}

/// Counts a connection for as long as it is there.
struct Here(Arc<Broker>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.connection_left();
    }
}
