//! The first words on a new connection, one at a time: which versions are served, and who we are.

use forebay_core::Result;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};
use kafka_protocol::protocol::Request;
use tokio::io::AsyncWriteExt;

use super::super::error::{check, garbled, not_trusted, unavailable};
use super::super::options::ClientConfig;
use super::frame;
use super::sasl;
use super::stream::Stream;
use super::versions::Versions;

/// Answers before authentication are small.
const LIMIT: usize = 1 << 20;

/// A connection on which requests and answers still take turns.
pub(super) struct Handshake<'a> {
    pub(super) address: &'a str,
    pub(super) stream: &'a mut Stream,
    client_id: &'a str,
    versions: Versions,
}

/// Asks for versions, then authenticates if the configuration says so.
pub(super) async fn shake_hands(
    address: &str,
    stream: &mut Stream,
    config: &ClientConfig,
) -> Result<Versions> {
    let mut broker =
        Handshake { address, stream, client_id: &config.client_id, versions: Versions::default() };
    // Version 0 is understood by every broker, so there is no second attempt to make.
    let answer = broker.ask_as(&ApiVersionsRequest::default(), 0).await?;
    check(answer.error_code, &"to say which versions it serves")?;
    broker.versions = Versions::choose(&answer);
    if let Some(credentials) = &config.sasl {
        sasl::authenticate(&mut broker, credentials).await?;
    }
    for needed in [ApiKey::Metadata, ApiKey::Fetch, ApiKey::ListOffsets] {
        if broker.versions.of(needed as i16).is_none() {
            let words = format!("it serves no version of {needed:?} that this client knows");
            return Err(garbled(address, words).with_retry(false));
        }
    }
    Ok(broker.versions)
}

impl Handshake<'_> {
    /// One request and its answer, in the version that both sides know.
    pub(super) async fn ask<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        let Some(version) = self.versions.of(R::KEY) else {
            return Err(not_trusted(self.address, "the listener does not offer SASL").with_retry(false));
        };
        self.ask_as(request, version).await
    }

    async fn ask_as<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        let address = self.address;
        let bytes =
            frame::encode(request, version, 0, self.client_id).map_err(|words| garbled(address, words))?;
        self.stream.write.write_all(&bytes).await.map_err(|error| unavailable(address, error))?;
        self.stream.write.flush().await.map_err(|error| unavailable(address, error))?;
        let answer = match frame::read(&mut *self.stream.read, LIMIT).await {
            Ok(answer) => answer,
            Err(frame::ReadError::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(garbled(address, "it closed the connection at our first words"));
            }
            // Since TLS 1.3 a broker refuses our certificate only here.
            Err(frame::ReadError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(not_trusted(address, error));
            }
            Err(frame::ReadError::Io(error)) => return Err(unavailable(address, error)),
            Err(error) => return Err(garbled(address, error)),
        };
        if frame::correlation(&answer) != Some(0) {
            return Err(garbled(address, "its answer belongs to no request"));
        }
        frame::decode::<R>(answer, version).map_err(|words| garbled(address, words))
    }
}
