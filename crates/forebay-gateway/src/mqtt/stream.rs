//! Reading and writing one connection's bytes, both at once.
//!
//! What was read goes through a buffer on the stack, so a connection that is idle holds none: ten thousand of them cost what their
//! sessions cost. What is written waits in one buffer that does not grow while the client does not read.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read at a time.
const READ: usize = 16 << 10;

/// What happened on a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// So many bytes came; none: the client closed.
    Read(usize),
    /// So many bytes went.
    Wrote(usize),
}

/// A connection with its buffers.
pub(super) struct Stream<S> {
    inner: S,
    pub(super) input: BytesMut,
    /// What is to be written; the first `written` bytes of it are gone.
    pub(super) output: Vec<u8>,
    written: usize,
    /// TLS and WebSocket keep what was written until it is flushed.
    flush: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, input: BytesMut::new(), output: Vec::new(), written: 0, flush: false }
    }

    /// Bytes that the client has not taken yet.
    pub(super) fn backlog(&self) -> usize {
        self.output.len() - self.written
    }

    /// Waits until bytes came (if they may) or went (if there are any). Loses nothing when dropped.
    pub(super) async fn event(&mut self, may_read: bool) -> io::Result<Event> {
        std::future::poll_fn(|context| self.poll(context, may_read)).await
    }

    fn poll(&mut self, context: &mut Context<'_>, may_read: bool) -> Poll<io::Result<Event>> {
        if let Poll::Ready(wrote) = self.poll_write(context)? {
            return Poll::Ready(Ok(Event::Wrote(wrote)));
        }
        if self.flush && Pin::new(&mut self.inner).poll_flush(context)?.is_ready() {
            self.flush = false;
        }
        if !may_read {
            return Poll::Pending;
        }
        let mut bytes = [const { MaybeUninit::<u8>::uninit() }; READ];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        match Pin::new(&mut self.inner).poll_read(context, &mut buffer)? {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.input.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(Event::Read(buffer.filled().len())))
            }
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let waiting = self.output.get(self.written..).unwrap_or_default();
        if waiting.is_empty() {
            return Poll::Pending;
        }
        let Poll::Ready(wrote) = Pin::new(&mut self.inner).poll_write(context, waiting)? else {
            return Poll::Pending;
        };
        if wrote == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.written += wrote;
        if self.written == self.output.len() {
            self.output = Vec::new();
            self.written = 0;
            self.flush = true;
        } else if self.written > READ {
            self.output.drain(..self.written);
            self.written = 0;
        }
        Poll::Ready(Ok(wrote))
    }

    /// Forgets the first bytes of the input, and the buffer with the last of them.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.input.advance(bytes.min(self.input.len()));
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }

    /// Writes what waits and closes, as far as the client lets it.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        use tokio::io::AsyncWriteExt;
        let waiting = std::mem::take(&mut self.output);
        self.inner.write_all(waiting.get(self.written..).unwrap_or_default()).await?;
        self.inner.flush().await?;
        self.inner.shutdown().await
    }
}
