//! The thread that looks after an open log: retention, now and then.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::admin::Topics;
use super::core::Core;
use super::retention::retain;
use crate::LogError;

/// Tells the keeper to stop.
#[derive(Default)]
pub(super) struct Keeper {
    stopping: Mutex<bool>,
    changed: Condvar,
}

impl Keeper {
    pub fn start(self: &Arc<Self>, core: &Arc<Core>, topics: &Arc<Topics>) -> io::Result<JoinHandle<()>> {
        let (keeper, core, topics) = (Arc::clone(self), Arc::clone(core), Arc::clone(topics));
        thread::Builder::new().name("forebay-log-keeper".to_owned()).spawn(move || keeper.run(&core, &topics))
    }

    pub fn stop(&self) {
        *self.stopping.lock() = true;
        self.changed.notify_all();
    }

    fn run(&self, core: &Core, topics: &Topics) {
        loop {
            {
                let mut stopping = self.stopping.lock();
                if !*stopping {
                    self.changed.wait_for(&mut stopping, core.options.retention_check_interval);
                }
                if *stopping {
                    return;
                }
            }
            retain_all(core, topics);
        }
    }
}

/// Removes what may go from every partition. One that cannot is told of and does not hinder the others.
pub(super) fn retain_all(core: &Core, topics: &Topics) {
    for partition in topics.partitions() {
        match retain(core, &partition) {
            Ok(()) | Err(LogError::UnknownTopic(_) | LogError::Failed(_)) => {}
            Err(error) => {
                let (topic, partition) = (&partition.topic, partition.number);
                tracing::warn!(topic, partition, %error, "retention failed; it tries again");
            }
        }
    }
}
