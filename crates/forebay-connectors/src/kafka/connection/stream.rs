//! A socket, encrypted if the configuration says so.

use std::io::ErrorKind;

use forebay_core::Result;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::super::error::{not_trusted, unavailable};

/// Both directions of a connection.
pub(super) struct Stream {
    pub(super) read: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) write: Box<dyn AsyncWrite + Send + Unpin>,
}

/// Opens a connection to `address` (`host:port`).
///
/// # Errors
/// `SOURCE_UNAVAILABLE` if nobody listens; `SOURCE_AUTH` if the certificate is not to be trusted.
pub(super) async fn open(address: &str, tls: Option<&TlsConnector>) -> Result<Stream> {
    let socket = TcpStream::connect(address).await.map_err(|error| unavailable(address, error))?;
    // Requests are written whole; waiting for more would only delay them.
    socket.set_nodelay(true).map_err(|error| unavailable(address, error))?;
    let Some(tls) = tls else {
        let (read, write) = socket.into_split();
        return Ok(Stream { read: Box::new(read), write: Box::new(write) });
    };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|error| not_trusted(address, error))?;
    let stream = tls.connect(name, socket).await.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => not_trusted(address, error),
        ErrorKind::UnexpectedEof => not_trusted(address, "it closed the connection instead of speaking TLS"),
        _ => unavailable(address, error),
    })?;
    let (read, write) = tokio::io::split(stream);
    Ok(Stream { read: Box::new(read), write: Box::new(write) })
}
