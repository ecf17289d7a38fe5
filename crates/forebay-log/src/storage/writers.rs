//! The threads that write, and the queue of partitions that wait for them.
//!
//! A partition stands in the queue at most once, and while a writer has it, not at all: so one writer at a time
//! serves it, and what comes meanwhile gathers in its inbox for the next round.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::commit::serve;
use super::core::Core;
use super::partition::{Partition, Request};
use crate::LogError;

/// Partitions with appends, each with the time at which it is due. All wait equally long, so the first is due first.
#[derive(Default)]
pub(super) struct Writers {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    due: VecDeque<(Instant, Arc<Partition>)>,
    closing: bool,
}

impl Writers {
    /// Starts the threads; they end after [`Writers::close`], when the queue is empty.
    pub fn start(self: &Arc<Self>, core: &Arc<Core>) -> io::Result<Vec<JoinHandle<()>>> {
        let mut threads = Vec::new();
        for number in 0..core.options.writers {
            let (writers, core) = (Arc::clone(self), Arc::clone(core));
            let name = format!("forebay-log-{number}");
            threads.push(thread::Builder::new().name(name).spawn(move || writers.run(&core))?);
        }
        Ok(threads)
    }

    /// Puts an append into the partition's inbox; its place there is its place in the log.
    pub fn enqueue(
        &self,
        partition: &Arc<Partition>,
        request: Request,
        wait: Duration,
    ) -> Result<(), LogError> {
        let mut inbox = partition.inbox.lock();
        if !inbox.scheduled {
            let mut queue = self.queue.lock();
            if queue.closing {
                return Err(LogError::Closed);
            }
            queue.due.push_back((Instant::now() + wait, Arc::clone(partition)));
            inbox.scheduled = true;
            self.changed.notify_one();
        }
        // Where a writer has the partition, it looks into the inbox again before it lets go, closing or not.
        inbox.requests.push(request);
        Ok(())
    }

    /// Takes no new partitions; the threads finish what is queued.
    pub fn close(&self) {
        self.queue.lock().closing = true;
        self.changed.notify_all();
    }

    fn run(&self, core: &Core) {
        while let Some(partition) = self.next_due() {
            serve(core, &partition);
            let mut inbox = partition.inbox.lock();
            if inbox.requests.is_empty() {
                inbox.scheduled = false;
            } else {
                let due = Instant::now() + core.options.flush_interval;
                self.queue.lock().due.push_back((due, Arc::clone(&partition)));
            }
        }
    }

    fn next_due(&self) -> Option<Arc<Partition>> {
        let mut queue = self.queue.lock();
        loop {
            let now = Instant::now();
            match queue.due.front() {
                None if queue.closing => return None,
                None => self.changed.wait(&mut queue),
                Some((due, _)) if *due <= now || queue.closing => {
                    return queue.due.pop_front().map(|(_, partition)| partition);
                }
                Some((due, _)) => {
                    let wait = due.saturating_duration_since(now);
                    self.changed.wait_for(&mut queue, wait);
                }
            }
        }
    }
}
