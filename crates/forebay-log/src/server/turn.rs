//! The turn: one at a time has it, and the next is the one that asks for least.
//!
//! Who has least to send is done first. So many that announce much and send it slowly do not stand before one that
//! sends an ordinary request.

use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Gives out the turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    is_taken: bool,
    /// How much each asks for, and how it learns that it is next.
    waiting: Vec<(usize, oneshot::Sender<Turn>)>,
}

/// The turn; passed on when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    /// Since when.
    pub(super) since: Instant,
}

impl Turns {
    /// Waits for the turn; `wants` says how much for. May be dropped.
    pub(super) async fn take(self: &Arc<Self>, wants: usize) -> Turn {
        loop {
            let next = {
                let mut line = self.line.lock();
                if !line.is_taken {
                    line.is_taken = true;
                    return Turn::new(self);
                }
                let (sender, next) = oneshot::channel();
                line.waiting.push((wants, sender));
                next
            };
            if let Ok(turn) = next.await {
                return turn;
            }
        }
    }

    fn pass(self: &Arc<Self>) {
        loop {
            let mut line = self.line.lock();
            let least = line.waiting.iter().enumerate().min_by_key(|(_, (wants, _))| *wants);
            let Some((at, _)) = least else {
                line.is_taken = false;
                return;
            };
            let (_, next) = line.waiting.swap_remove(at);
            drop(line);
            if !next.is_closed() {
                // One that is given up at this moment drops it, and so passes it on.
                drop(next.send(Turn::new(self)));
                return;
            }
        }
    }
}

impl Turn {
    fn new(turns: &Arc<Turns>) -> Self {
        Self { turns: turns.clone(), since: Instant::now() }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.pass();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_least_is_next_and_who_gave_up_is_passed_over() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(100).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let wait = |wants| {
            let (turns, order) = (turns.clone(), order.clone());
            tokio::spawn(async move {
                let _turn = turns.take(wants).await;
                order.lock().push(wants);
            })
        };
        let tasks = [wait(50), wait(7), wait(60)];
        assert!(tokio::time::timeout(Duration::from_millis(50), turns.take(1)).await.is_err());
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), [7, 50, 60]);
        assert!(!turns.line.lock().is_taken);
    }
}
