//! Frames: a 32-bit length, then a message. In: as much room as arrives. Out: pieces that are written together.
//!
//! A produce request is read into one buffer and handed on as slices of it; record batches in an answer are the
//! pieces that the log returned. Neither is copied here.
//!
//! What must stay true: the length that a client announces sizes nothing. Room grows with what has arrived, and what
//! has arrived counts against the server's memory (`memory.rs`) but for the first [`SMALL_BYTES`] of a frame.

use super::ServerOptions;
use super::memory::{MIN_RATE, Pace, RequestMemory, ResponseMemory, SMALL_BYTES, Share};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

/// The most by which a frame's buffer grows at once; up to it the buffer doubles. 1 MiB is what producers send by
/// default at most.
const STEP_BYTES: usize = 1 << 20;

/// Room that is made for small requests: dozens of heartbeats or fetches.
const READ_CHUNK: usize = 16 << 10;

/// How many stretches of [`Pace`] a frame may have the turn while others wait. With two of five seconds the next one
/// gets it long before its client gives up, and an ordinary request arrives in that time at 100 KiB/s.
const TURN_STRETCHES: u32 = 2;

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
    crowded_timeout: Duration,
    slow: Arc<AtomicBool>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(from: R, options: &ServerOptions) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
            max_bytes: options.max_request_bytes,
            receive_timeout: options.receive_timeout,
            crowded_timeout: options.crowded_timeout,
            slow: Arc::default(),
        }
    }

    /// Tells there whether a frame that is being read was slow of late.
    pub(super) fn telling(self, slow: Arc<AtomicBool>) -> Self {
        Self { slow, ..self }
    }

    /// From the next frame on none is larger.
    pub(super) fn limit(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
    }

    /// Waits, without limit, for the length of the next frame. May be dropped and called again.
    pub(super) async fn next_len(&mut self) -> Result<usize, ReadError> {
        while self.buffer.len() < 4 {
            if self.read(READ_CHUNK).await? == 0 {
                return Err(ReadError::Closed);
            }
        }
        let len = (&self.buffer[..4]).get_i32();
        match usize::try_from(len) {
            Ok(len) if len <= self.max_bytes => Ok(len),
            _ => Err(ReadError::BadLength(len, self.max_bytes)),
        }
    }

    /// Reads the frame whose length [`Self::next_len`] told, and takes the memory that it holds. Time in which it
    /// waits for memory is not the client's; time in which others wait for what it holds is.
    pub(super) async fn body(
        &mut self,
        len: usize,
        memory: &RequestMemory,
    ) -> Result<(Bytes, Share), ReadError> {
        let mut share = Share::default();
        let mut end = Instant::now() + self.receive_timeout;
        let mut pace = Pace::new(self.crowded_timeout);
        self.slow.store(false, Ordering::Relaxed);
        let whole = 4 + len;
        while self.buffer.len() < whole {
            let arrived = self.buffer.len();
            if arrived > SMALL_BYTES {
                // In steps, so that a frame asks for memory a few times and not at every packet.
                let began = Instant::now();
                memory.cover(&mut share, arrived.next_multiple_of(STEP_BYTES / 4).min(len), len).await;
                if began.elapsed() > Duration::from_millis(1) {
                    end += began.elapsed();
                    pace.restart();
                }
            }
            let room = arrived.clamp(READ_CHUNK, STEP_BYTES).min(whole - arrived);
            match timeout_at(end.min(pace.due()), self.read(room)).await {
                Ok(Ok(0)) => return Err(ReadError::Closed),
                Ok(Ok(count)) => pace.moved(count),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) if Instant::now() >= end => return Err(ReadError::Slow),
                Err(_) => {}
            }
            let is_in_the_way = share.is_taken() && memory.is_short();
            let is_long = share.turn_for() > self.crowded_timeout * TURN_STRETCHES;
            if pace.is_too_slow(is_in_the_way) || (is_long && is_in_the_way) {
                return Err(ReadError::Slow);
            }
            self.slow.store(pace.was_slow(), Ordering::Relaxed);
        }
        memory.cover(&mut share, len, len).await;
        self.buffer.advance(4);
        Ok((self.buffer.split_to(len).freeze(), share))
    }

    /// Reads some bytes, `most` at most. May be dropped.
    async fn read(&mut self, most: usize) -> io::Result<usize> {
        self.buffer.reserve(most);
        self.from.read_buf(&mut (&mut self.buffer).limit(most)).await
    }
}

/// One answer, in the pieces it was made of.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pieces: VecDeque<Bytes>,
    /// Memory that counts as taken until the frame is sent or dropped.
    memory: Option<OwnedSemaphorePermit>,
}

impl Frame {
    /// An answer in one piece: length, correlation id, no tagged fields where it is flexible, body. Fails only where a
    /// value does not fit its field.
    pub(super) fn encode<T: Encodable>(
        correlation_id: i32,
        is_flexible: bool,
        body: &T,
        version: i16,
    ) -> io::Result<Self> {
        let size = body.compute_size(version).map_err(io::Error::other)?;
        let head = 4 + usize::from(is_flexible);
        let mut out = BytesMut::with_capacity(4 + head + size);
        let len = i32::try_from(head + size).map_err(io::Error::other)?;
        out.put_i32(len);
        out.put_i32(correlation_id);
        if is_flexible {
            out.put_u8(0);
        }
        body.encode(&mut out, version).map_err(io::Error::other)?;
        Ok(Self { pieces: VecDeque::from([out.freeze()]), memory: None })
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
        Ok(Self { pieces, memory: None })
    }

    /// Keeps a share of a memory budget until the frame is sent.
    pub(super) fn holding(mut self, memory: Option<OwnedSemaphorePermit>) -> Self {
        self.memory = memory;
        self
    }

    /// Writes the frame. A client may be slow, but not stuck for the send timeout, nor slower over all than
    /// [`MIN_RATE`]; and while others wait for the memory that its answer holds, not slower at any time.
    pub(super) async fn send<W: AsyncWrite + Unpin>(
        mut self,
        to: &mut W,
        options: &ServerOptions,
        memory: &ResponseMemory,
    ) -> io::Result<()> {
        let limit = options.send_timeout;
        let at_least = Duration::from_secs(self.remaining() as u64 / MIN_RATE);
        let end = Instant::now() + limit + at_least;
        let mut stuck = Instant::now() + limit;
        let mut pace = Pace::new(options.crowded_timeout);
        let is_counted = self.memory.is_some();
        while self.has_remaining() {
            match timeout_at(stuck.min(end).min(pace.due()), to.write_buf(&mut self)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(count)) => {
                    pace.moved(count);
                    stuck = Instant::now() + limit;
                }
                Ok(Err(error)) => return Err(error),
                Err(_) if Instant::now() >= stuck.min(end) => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => {}
            }
            if pace.is_too_slow(is_counted && memory.is_short()) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        // TLS may hold the last of it; a plain socket has nothing to do here.
        timeout_at(stuck.min(end), to.flush()).await?
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

    fn options(max_request_bytes: usize) -> ServerOptions {
        let crowded_timeout = Duration::from_millis(100);
        ServerOptions { max_request_bytes, crowded_timeout, ..ServerOptions::default() }
    }

    fn plenty() -> RequestMemory {
        RequestMemory::new(1 << 30, 1 << 20)
    }

    #[tokio::test]
    async fn frames_survive_any_cut() {
        let (mut client, server) = tokio::io::duplex(3);
        let writer = tokio::spawn(async move {
            for body in [&b"first"[..], b"", b"third one"] {
                client.write_i32(body.len() as i32).await.unwrap();
                client.write_all(body).await.unwrap();
            }
        });
        let mut reader = FrameReader::new(server, &options(100));
        for expected in [&b"first"[..], b"", b"third one"] {
            let len = reader.next_len().await.unwrap();
            assert_eq!(reader.body(len, &plenty()).await.unwrap().0, expected);
        }
        assert!(matches!(reader.next_len().await, Err(ReadError::Closed)));
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_large_frame_arrives_whole_and_what_follows_stays_outside() {
        let (mut client, server) = tokio::io::duplex(100_000);
        let sent: Vec<u8> = (0..5_000_000u32).map(|i| (i % 251) as u8).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move {
            client.write_i32(sent.len() as i32).await.unwrap();
            client.write_all(&sent).await.unwrap();
            client.write_all(b"\0\0\0\x01x").await.unwrap();
        });
        let mut reader = FrameReader::new(server, &options(10 << 20));
        let len = reader.next_len().await.unwrap();
        let (body, _share) = reader.body(len, &plenty()).await.unwrap();
        assert!(body == expected);
        let len = reader.next_len().await.unwrap();
        let (body, share) = reader.body(len, &plenty()).await.unwrap();
        assert!(body == "x" && share.is_taken(), "a small one counts once it is whole");
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_length_over_the_limit_allocates_nothing() {
        for len in [101, i32::MAX, -1, i32::MIN] {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_i32(len).await.unwrap();
            let mut reader = FrameReader::new(server, &options(100));
            assert!(matches!(reader.next_len().await, Err(ReadError::BadLength(..))));
            assert!(reader.buffer.capacity() <= READ_CHUNK);
        }
    }

    #[tokio::test]
    async fn a_promised_frame_costs_what_arrived() {
        let (mut client, server) = tokio::io::duplex(300_000);
        client.write_i32(500 << 20).await.unwrap();
        client.write_all(&[0; 200_000]).await.unwrap();
        let options = ServerOptions { receive_timeout: Duration::from_millis(50), ..options(1 << 30) };
        let mut reader = FrameReader::new(server, &options);
        let len = reader.next_len().await.unwrap();
        assert!(matches!(reader.body(len, &plenty()).await, Err(ReadError::Slow)));
        assert!(reader.buffer.capacity() <= 4 * 200_000, "{}", reader.buffer.capacity());
    }

    #[tokio::test]
    async fn a_half_read_frame_goes_when_others_wait_for_what_it_holds() {
        let memory = Arc::new(RequestMemory::new(0, 1 << 20));
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_i32(1 << 20).await.unwrap();
        client.write_all(&[0; 200_000]).await.unwrap();
        let mut reader = FrameReader::new(server, &options(1 << 20));
        let len = reader.next_len().await.unwrap();
        let alone = tokio::time::timeout(Duration::from_millis(350), reader.body(len, &memory)).await;
        assert!(alone.is_err(), "nobody waits, so it may take its time");
        let waits = tokio::spawn({
            let memory = memory.clone();
            async move {
                // The one that has the turn was given up above; the next holds it and waits for the client.
                tokio::time::sleep(Duration::from_millis(50)).await;
                memory.cover(&mut Share::default(), 100_000, 100_000).await;
            }
        });
        let crowded = tokio::time::timeout(Duration::from_secs(10), reader.body(len, &memory)).await;
        assert!(matches!(crowded, Ok(Err(ReadError::Slow))));
        waits.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_goes_when_others_wait_for_its_memory() {
        let memory = Arc::new(ResponseMemory::new(1000));
        let (mut to, _nobody_reads) = tokio::io::duplex(10);
        let held = memory.take(1000).await;
        let _rest = memory.take(1000).await;
        let frame = Frame::from_pieces(7, [Bytes::from(vec![0; 1000])]).unwrap().holding(held);
        let waits = tokio::spawn({
            let memory = memory.clone();
            async move { memory.take(1).await.is_some() }
        });
        let options = options(100);
        let sent = frame.send(&mut to, &options, &memory);
        let sent = tokio::time::timeout(Duration::from_secs(10), sent).await.expect("it still waits");
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(waits.await.unwrap());
    }

    #[tokio::test]
    async fn pieces_are_written_in_order() {
        let pieces = [Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cde")];
        let frame = Frame::from_pieces(7, pieces).unwrap();
        let mut out = Vec::new();
        frame.send(&mut out, &options(1), &ResponseMemory::new(1)).await.unwrap();
        assert_eq!(out, [0, 0, 0, 9, 0, 0, 0, 7, b'a', b'b', b'c', b'd', b'e']);
    }
}
