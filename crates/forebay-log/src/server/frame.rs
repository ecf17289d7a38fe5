//! Frames: a 32-bit length, then a message. In: measured before allocated. Out: pieces that are written together.
//!
//! A produce request is read into one buffer and handed on as slices of it; record batches in an answer are the
//! pieces that the log returned. Neither is copied here.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

/// Up to this size a frame's buffer is made at once; a larger one grows as its bytes arrive, so that a client that
/// only claims to send much costs no more than this. 1 MiB is what producers send by default at most.
const EAGER_BYTES: usize = 1 << 20;

/// Bytes per second that a client must take of an answer: a tenth of a slow mobile line.
const MIN_RATE: u64 = 64 << 10;

/// Room that is made for small requests: dozens of heartbeats or fetches.
const READ_CHUNK: usize = 16 << 10;

/// How reading a frame can end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The client closed the connection between two frames.
    #[error("the client closed the connection")]
    Closed,
    /// The length prefix is negative or over the limit: garbage, or another protocol.
    #[error("length prefix {0} is outside the limit of {1} bytes")]
    BadLength(i32, usize),
    /// The frame began and did not arrive in time.
    #[error("the request did not arrive in time")]
    Slow,
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Takes frames off a connection.
pub(super) struct FrameReader<R> {
    from: R,
    buffer: BytesMut,
    max_bytes: usize,
    receive_timeout: Duration,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(from: R, max_bytes: usize, receive_timeout: Duration) -> Self {
        Self { from, buffer: BytesMut::new(), max_bytes, receive_timeout }
    }

    /// Waits, without limit, for the length of the next frame. May be dropped and called again.
    pub(super) async fn next_len(&mut self) -> Result<usize, ReadError> {
        while self.buffer.len() < 4 {
            self.buffer.reserve(READ_CHUNK);
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Err(ReadError::Closed);
            }
        }
        let len = (&self.buffer[..4]).get_i32();
        match usize::try_from(len) {
            Ok(len) if len <= self.max_bytes => Ok(len),
            _ => Err(ReadError::BadLength(len, self.max_bytes)),
        }
    }

    /// Reads the frame whose length [`Self::next_len`] told.
    pub(super) async fn body(&mut self, len: usize) -> Result<Bytes, ReadError> {
        let receive_timeout = self.receive_timeout;
        timeout(receive_timeout, self.fill(4 + len)).await.map_err(|_| ReadError::Slow)??;
        self.buffer.advance(4);
        Ok(self.buffer.split_to(len).freeze())
    }

    async fn fill(&mut self, wanted: usize) -> Result<(), ReadError> {
        while self.buffer.len() < wanted {
            let missing = wanted - self.buffer.len();
            self.buffer.reserve(missing.min(self.buffer.len().max(EAGER_BYTES)));
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Err(ReadError::Closed);
            }
        }
        Ok(())
    }
}

/// One answer, in the pieces it was made of.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pieces: VecDeque<Bytes>,
    /// Memory that counts as taken until the frame is sent or dropped.
    _memory: Option<OwnedSemaphorePermit>,
}

impl Frame {
    /// An answer in one piece: length, correlation id, body. Fails only where a value does not fit its field.
    pub(super) fn encode<T: Encodable>(correlation_id: i32, body: &T, version: i16) -> io::Result<Self> {
        let size = body.compute_size(version).map_err(io::Error::other)?;
        let mut out = BytesMut::with_capacity(8 + size);
        let len = i32::try_from(4 + size).map_err(io::Error::other)?;
        out.put_i32(len);
        out.put_i32(correlation_id);
        body.encode(&mut out, version).map_err(io::Error::other)?;
        Ok(Self { pieces: VecDeque::from([out.freeze()]), _memory: None })
    }

    /// An answer whose body is already written, in several pieces.
    pub(super) fn from_pieces(
        correlation_id: i32,
        body: impl IntoIterator<Item = Bytes>,
    ) -> io::Result<Self> {
        let mut pieces: VecDeque<Bytes> = body.into_iter().filter(|piece| !piece.is_empty()).collect();
        let size: usize = pieces.iter().map(Bytes::len).sum();
        let mut head = BytesMut::with_capacity(8);
        head.put_i32(i32::try_from(4 + size).map_err(io::Error::other)?);
        head.put_i32(correlation_id);
        pieces.push_front(head.freeze());
        Ok(Self { pieces, _memory: None })
    }

    /// Keeps a share of a memory budget until the frame is sent.
    pub(super) fn holding(mut self, memory: Option<OwnedSemaphorePermit>) -> Self {
        self._memory = memory;
        self
    }

    /// Writes the frame. A client may be slow, but not stuck for `limit`, nor slower over all than [`MIN_RATE`]:
    /// what it does not take is memory that others wait for.
    pub(super) async fn send<W: AsyncWrite + Unpin>(mut self, to: &mut W, limit: Duration) -> io::Result<()> {
        let at_least = Duration::from_secs(self.remaining() as u64 / MIN_RATE);
        let end = Instant::now() + limit + at_least;
        while self.has_remaining() {
            let stuck = (Instant::now() + limit).min(end);
            let written = timeout_at(stuck, to.write_buf(&mut self)).await;
            match written {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        Ok(())
    }
}

impl Buf for Frame {
    fn remaining(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    fn has_remaining(&self) -> bool {
        !self.pieces.is_empty()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slots: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slot, piece) in slots.iter_mut().zip(&self.pieces) {
            *slot = IoSlice::new(piece);
            used += 1;
        }
        used
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.pieces.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_survive_any_cut() {
        let (mut client, server) = tokio::io::duplex(3);
        let writer = tokio::spawn(async move {
            for body in [&b"first"[..], b"", b"third one"] {
                client.write_i32(body.len() as i32).await.unwrap();
                client.write_all(body).await.unwrap();
            }
        });
        let mut reader = FrameReader::new(server, 100, Duration::from_secs(5));
        for expected in [&b"first"[..], b"", b"third one"] {
            let len = reader.next_len().await.unwrap();
            assert_eq!(reader.body(len).await.unwrap(), expected);
        }
        assert!(matches!(reader.next_len().await, Err(ReadError::Closed)));
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_length_over_the_limit_allocates_nothing() {
        for len in [101, i32::MAX, -1, i32::MIN] {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_i32(len).await.unwrap();
            let mut reader = FrameReader::new(server, 100, Duration::from_secs(5));
            assert!(matches!(reader.next_len().await, Err(ReadError::BadLength(..))));
            assert!(reader.buffer.capacity() <= READ_CHUNK);
        }
    }

    #[tokio::test]
    async fn a_promised_frame_costs_what_arrived() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_i32(500 << 20).await.unwrap();
        let mut reader = FrameReader::new(server, 1 << 30, Duration::from_millis(20));
        let len = reader.next_len().await.unwrap();
        assert!(matches!(reader.body(len).await, Err(ReadError::Slow)));
        assert!(reader.buffer.capacity() <= 2 * EAGER_BYTES);
    }

    #[tokio::test]
    async fn pieces_are_written_in_order() {
        let pieces = [Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cde")];
        let frame = Frame::from_pieces(7, pieces).unwrap();
        let mut out = Vec::new();
        frame.send(&mut out, Duration::from_secs(1)).await.unwrap();
        assert_eq!(out, [0, 0, 0, 9, 0, 0, 0, 7, b'a', b'b', b'c', b'd', b'e']);
    }
}
