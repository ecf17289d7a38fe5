//! What lag monitors see: the group's offsets, written behind the epochs.
//!
//! An epoch never waits for this and nothing is read back from it. What must stay true: the last position told is
//! written in the end, also if the one before it is still on its way or the coordinator is not there yet.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::Positions;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::transport::Transport;

/// How long [`Shown::close`] waits for the last position.
const LAST: Duration = Duration::from_secs(5);

/// The way to the group's offsets. Dropped, it gives up what is not written yet.
#[derive(Debug)]
pub(super) struct Shown {
    latest: watch::Sender<Positions>,
    writing: JoinHandle<()>,
}

impl Shown {
    /// Starts the task that writes `group`'s offsets, always the latest that [`tell`](Self::tell) got.
    pub(super) fn start(transport: Arc<dyn Transport>, group: String) -> Self {
        let (latest, told) = watch::channel(Positions::new());
        Self { latest, writing: tokio::spawn(write(transport, group, told)) }
    }

    /// The positions to show from now on.
    pub(super) fn tell(&self, through: Positions) {
        self.latest.send_replace(through);
    }

    /// Waits until the last position is written, or could not be for five seconds.
    pub(super) async fn close(self) {
        drop(self.latest);
        let mut writing = self.writing;
        if tokio::time::timeout(LAST, &mut writing).await.is_err() {
            writing.abort();
        }
    }
}

async fn write(transport: Arc<dyn Transport>, group: String, mut told: watch::Receiver<Positions>) {
    let mut failing = false;
    while told.changed().await.is_ok() {
        let positions = told.borrow_and_update().clone();
        match transport.show(&group, &positions).await {
            Ok(()) => failing = false,
            // Said once, until it works again.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, %group, "positions are not visible to lag monitors");
            }
            Err(_) => {}
        }
    }
}
