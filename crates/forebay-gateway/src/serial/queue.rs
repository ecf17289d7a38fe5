//! Records that wait for the log, in order and to a bound in bytes.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::size_of;
use crate::Record;

/// Most records that are sent together.
const MOST: usize = 256;

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    more: Notify,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Record>,
    /// Bytes of those that wait and of those that are being sent.
    bytes: usize,
    /// Of those that are being sent.
    sending: usize,
    is_closed: bool,
}

impl Queue {
    pub fn new(most_bytes: usize) -> Self {
        Self { state: Mutex::default(), more: Notify::new(), most_bytes }
    }

    /// Takes a record; false if there is no room for it.
    pub fn push(&self, record: Record) -> bool {
        let size = size_of(&record);
        let mut state = self.state.lock();
        if state.bytes + size > self.most_bytes {
            return false;
        }
        state.bytes += size;
        state.waiting.push_back(record);
        drop(state);
        self.more.notify_one();
        true
    }

    /// No more will come.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.more.notify_one();
    }

    /// The next ones, which hold their room until [`Queue::done`]; `None` once it is closed and empty.
    pub async fn next(&self) -> Option<Vec<Record>> {
        loop {
            {
                let mut state = self.state.lock();
                let count = state.waiting.len().min(MOST);
                if count > 0 {
                    let next: Vec<Record> = state.waiting.drain(..count).collect();
                    state.sending = next.iter().map(size_of).sum();
                    return Some(next);
                }
                if state.is_closed {
                    return None;
                }
            }
            self.more.notified().await;
        }
    }

    /// Those of [`Queue::next`] are where they belong.
    pub fn done(&self) {
        let mut state = self.state.lock();
        state.bytes -= std::mem::take(&mut state.sending);
    }
}
