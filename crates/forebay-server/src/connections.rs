//! Connections: how many there may be, and how long each may keep us waiting.
//!
//! What must stay true: whoever sends slowly, or does not take what is sent, is cut off, and keeps no other out meanwhile
//! ([`crate::places`]); what is sent waits where we see it and not in the kernel; the server ends within a few seconds
//! of being told to, whoever is connected.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::http::{Method, Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::places::{Holder, Places};
use crate::tls::Tls;

/// Most connections: readers of events, and a few for each page beside.
const MOST: usize = 512;
/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 1024;
/// What the kernel may hold of what is sent on a connection, of which it makes twice as much. Left to itself it holds
/// megabytes, and a reader of events that has stopped reading would be minutes behind before anybody sees it.
const SEND_BUFFER: u32 = 64 << 10;
/// How long the head of a request may take, from when the connection is free for it.
const HEAD: Duration = Duration::from_secs(15);
/// Most bytes of the head of a request: its path has its own bound.
const HEAD_BYTES: usize = 48 << 10;
/// Most bytes that are read ahead, and that wait to be sent.
const BUFFER: usize = 64 << 10;
/// Most headers of a request.
const HEADERS: usize = 64;
/// How long a connection may take nothing of what is sent.
const STALL: Duration = Duration::from_secs(5);
/// How long connections have to end, once the server stops.
const END: Duration = Duration::from_secs(3);
/// After an accept that failed, as for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub IpAddr);

/// Listens on an address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A port whose last connections have just ended can be had again, as everywhere but on Windows, where the option
    // means another thing.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    // The connections that are accepted have it from here.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves every connection until `stop`, with TLS if there is any.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: CancellationToken,
) {
    serve_most(MOST, listener, tls, router, stop).await;
}

/// The same with so many places.
pub(crate) async fn serve_most(
    most: usize,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: CancellationToken,
) {
    let (places, tasks) = (Places::new(most), TaskTracker::new());
    loop {
        let next = async {
            let (stream, address) = listener.accept().await?;
            io::Result::Ok((stream, Peer(address.ip()), places.place().await))
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let (router, stop, tls) = (router.clone(), stop.clone(), tls.clone());
                tasks.spawn(async move {
                    // Events are small, and each is wanted now.
                    let _ = stream.set_nodelay(true);
                    let holder = place.holder();
                    tokio::select! {
                        () = holder.must_go() => {}
                        () = shaken(stream, tls, peer, holder.clone(), router, stop) => {}
                    }
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    let _ = tokio::time::timeout(END, tasks.wait()).await;
}

/// A connection, once it has shaken hands if there is TLS.
async fn shaken(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    peer: Peer,
    holder: Holder,
    router: Router,
    stop: CancellationToken,
) {
    let Some(tls) = tls else { return connection(stream, peer, holder, router, stop).await };
    let shaken = tokio::select! {
        shaken = tls.accept(stream) => shaken,
        () = stop.cancelled() => return,
    };
    match shaken {
        Ok(stream) => connection(stream, peer, holder, router, stop).await,
        Err(error) => tracing::debug!(%error, "a handshake failed"),
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Peer,
    holder: Holder,
    router: Router,
    stop: CancellationToken,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.max_headers(HEADERS).max_header_size(HEAD_BYTES).max_buf_size(BUFFER);
    let io = TokioIo::new(Impatient { stream, stalled: None, holder: holder.clone() });
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let holder = holder.clone();
        holder.is_served();
        let has_body = request.method() != Method::HEAD;
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(holder.clone());
        let answered = router.call(request);
        async move {
            let response = answered.await?;
            let kind = response.headers().get(header::CONTENT_TYPE);
            // A stream goes on; where only its head was asked for there is none.
            if !has_body || kind.is_none_or(|kind| kind != "text/event-stream") {
                holder.waits();
            }
            Ok::<Response, Infallible>(response)
        }
    });
    let connection = builder.serve_connection(io, service).with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection was cut");
    }
}

/// A stream that fails when the other side takes nothing for a while.
struct Impatient<S> {
    stream: S,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    holder: Holder,
}

impl<S> Impatient<S> {
    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        ready!(stalled.as_mut().poll(context));
        self.holder.stall();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, polled)
    }
}
