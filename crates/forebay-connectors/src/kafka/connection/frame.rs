//! Requests and answers as bytes: a length of four bytes, a header, a body.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes that are reserved at once for an answer, more only as they come. Reserved is not used: memory that no byte
/// arrives for is never touched.
const STEP: usize = 32 << 20;

/// A request, ready for the wire.
pub(super) fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation: i32,
    client_id: &str,
) -> Result<Bytes, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let header_version = R::header_version(version);
    let words = |error: &dyn std::fmt::Display| format!("cannot encode the request: {error}");
    let header_size = header.compute_size(header_version).map_err(|error| words(&error))?;
    let size = header_size + request.compute_size(version).map_err(|error| words(&error))?;
    let mut frame = BytesMut::with_capacity(4 + size);
    frame.put_u32(u32::try_from(size).map_err(|error| words(&error))?);
    header.encode(&mut frame, header_version).map_err(|error| words(&error))?;
    request.encode(&mut frame, version).map_err(|error| words(&error))?;
    Ok(frame.freeze())
}

/// The correlation id at the head of an answer.
pub(super) fn correlation(answer: &Bytes) -> Option<i32> {
    answer.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes))
}

/// The body of an answer. Its byte fields are slices of `answer`, not copies.
pub(super) fn decode<R: Request>(mut answer: Bytes, version: i16) -> Result<R::Response, String> {
    let header_version = <R::Response as HeaderVersion>::header_version(version);
    ResponseHeader::decode(&mut answer, header_version).map_err(|error| error.to_string())?;
    R::Response::decode(&mut answer, version).map_err(|error| error.to_string())
}

/// Reads one answer without its length; at most `limit` bytes.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
    limit: usize,
) -> Result<Bytes, ReadError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = usize::try_from(i32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if !(4..=limit).contains(&length) {
        return Err(if looks_like_tls(&head) { ReadError::Tls } else { ReadError::NotKafka(head) });
    }
    let mut body = BytesMut::with_capacity(length.min(STEP));
    while body.len() < length {
        if body.len() == body.capacity() {
            // Twice what has come so far, so that bytes are moved once on average.
            body.reserve((length - body.len()).min(body.len().max(STEP)));
        }
        let room = (length - body.len()).min(body.capacity() - body.len());
        if stream.read_buf(&mut (&mut body).limit(room)).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(body.freeze())
}

/// Why no answer could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("an answer began with the bytes {0:02x?}, which are no length")]
    NotKafka([u8; 4]),
    #[error("an answer began with a TLS record: the listener expects TLS")]
    Tls,
}

/// A TLS alert or handshake record, of any version.
fn looks_like_tls(head: &[u8; 4]) -> bool {
    matches!(head, [0x15 | 0x16, 0x03, ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};

    #[tokio::test]
    async fn frames_round_trip_and_bounds_hold() {
        let frame = encode(&MetadataRequest::default(), 9, 7, "me").unwrap();
        let read_back = read(&mut &frame[..], 1000).await.unwrap();
        assert_eq!(read_back.len(), frame.len() - 4);
        assert!(matches!(read(&mut &frame[..], 8).await, Err(ReadError::NotKafka(_))));
        assert!(matches!(read(&mut &b"HTTP/1.1 400"[..], 1 << 20).await, Err(ReadError::NotKafka(_))));
        assert!(matches!(read(&mut &frame[..10], 1000).await, Err(ReadError::Io(_))));
        let alert = read(&mut &[0x15, 3, 3, 0, 2][..], 1 << 20).await.unwrap_err();
        assert!(alert.to_string().contains("TLS"));
    }

    #[test]
    fn a_damaged_answer_is_an_error() {
        for bytes in [&b""[..], b"\0\0\0\x01", b"\0\0\0\x01\0\0\0\0\0\x01"] {
            assert!(decode::<ApiVersionsRequest>(Bytes::copy_from_slice(bytes), 0).is_err());
        }
    }
}
