//! The way to the broker: TCP, and TLS on it. The certificate is always checked, against the name that the file says.

use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::settings::Server;
use crate::ByteStream;

impl Server {
    /// Opens a connection; the caller limits its time.
    pub(super) async fn dial(&self) -> Result<Box<dyn ByteStream>> {
        let away = |what: &str, error: std::io::Error| {
            Error::new(&codes::GATEWAY_AWAY, format!("broker {self}: {what}")).with_detail(error)
        };
        let socket = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| away("no connection", error))?;
        // Acknowledgements are small, and somebody waits for them.
        drop(socket.set_nodelay(true));
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| {
            Error::new(&codes::TLS, format!("broker {self}: its name can be in no certificate"))
                .with_detail(error)
        })?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, socket).await.map_err(|error| {
            Error::new(&codes::TLS, format!("broker {self}: TLS failed")).with_detail(error).with_hint(
                "Is `tlsCa` the authority of the broker's certificate, is the certificate for this host, and does the broker want one of ours?",
            )
        })?;
        Ok(Box::new(stream))
    }
}
