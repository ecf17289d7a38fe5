//! What waits for one reader, bounded in bytes and age.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::seats::Owner;

/// Bytes that may wait for a reader.
const MOST_BYTES: usize = 4 << 20;
/// How long the oldest of them may wait.
const MOST_AGE: Duration = Duration::from_secs(5);

/// What waits for one reader.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    owner: Owner,
    inner: Mutex<Inner>,
    told: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    end: Option<End>,
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server stops, or the reader has gone: what waits is still sent.
    Done,
    /// The reader did not read.
    Behind,
}

impl Mailbox {
    /// An empty one for somebody's reader.
    pub fn of(owner: Owner) -> Self {
        Self { owner, ..Self::default() }
    }

    /// Whose reader it is for.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Leaves an event for the reader; false if the reader gets no more.
    pub fn push(&self, now: Instant, event: &Bytes) -> bool {
        let mut inner = self.inner.lock();
        if inner.end.is_some() {
            return false;
        }
        let is_old = inner.queue.front().is_some_and(|(since, _)| now.duration_since(*since) > MOST_AGE);
        if is_old || inner.bytes + event.len() > MOST_BYTES {
            *inner = Inner { end: Some(End::Behind), ..Inner::default() };
        } else {
            inner.bytes += event.len();
            inner.queue.push_back((now, event.clone()));
        }
        let goes_on = inner.end.is_none();
        drop(inner);
        self.told.notify_one();
        goes_on
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.inner.lock().end.get_or_insert(End::Done);
        self.told.notify_one();
    }

    /// True while the reader gets more.
    pub fn is_open(&self) -> bool {
        self.inner.lock().end.is_none()
    }

    /// True if the reader did not read and gets no more for that.
    pub fn is_behind(&self) -> bool {
        self.inner.lock().end == Some(End::Behind)
    }

    /// The next event, once there is one; `None` at the end. A reader that fell behind gets an error, which cuts its
    /// connection.
    pub async fn next(&self) -> Option<io::Result<Bytes>> {
        loop {
            {
                let mut inner = self.inner.lock();
                if let Some((_, event)) = inner.queue.pop_front() {
                    inner.bytes -= event.len();
                    return Some(Ok(event));
                }
                match inner.end {
                    None => {}
                    Some(End::Done) => return None,
                    Some(End::Behind) => return Some(Err(io::ErrorKind::TimedOut.into())),
                }
            }
            self.told.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_left_is_read_in_order_to_the_end() {
        let (mailbox, now) = (Mailbox::default(), Instant::now());
        assert!(mailbox.push(now, &Bytes::from_static(b"1")) && mailbox.push(now, &Bytes::from_static(b"2")));
        mailbox.end();
        assert!(!mailbox.push(now, &Bytes::from_static(b"3")));
        assert_eq!(mailbox.next().await.unwrap().unwrap(), "1");
        assert_eq!(mailbox.next().await.unwrap().unwrap(), "2");
        assert!(mailbox.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_dropped_with_all_that_waits() {
        let (mailbox, now) = (Mailbox::default(), Instant::now());
        let event = Bytes::from(vec![0; 1 << 20]);
        assert!((0..4).all(|_| mailbox.push(now, &event)));
        assert!(!mailbox.push(now, &event), "more than four megabytes");
        assert!(mailbox.is_behind() && !mailbox.is_open() && mailbox.inner.lock().queue.is_empty());
        mailbox.next().await.unwrap().unwrap_err();

        let old = Mailbox::default();
        assert!(old.push(now, &Bytes::from_static(b"1")));
        assert!(old.push(now + MOST_AGE, &Bytes::from_static(b"2")));
        assert!(!old.push(now + MOST_AGE + Duration::from_millis(1), &Bytes::from_static(b"3")));
    }
}
