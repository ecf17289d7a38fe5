//! The queries of a run: each kept by a task of its own, which can stop it, start it again, and make it another.
//!
//! ```text
//!            stop                          start
//!  running ────────▶ stopped by a person ────────▶ running
//!     │                                    start
//!     ├─ by itself ─▶ ended, or failed ─────────▶ running
//!     └─ change ───▶ the epoch ends ─── open ───▶ running, as the file says now
//! ```
//!
//! What must stay true: a run ends when every query has ended by itself, or when it is told to; a query that a person
//! stopped keeps the run alive, since the person may start it again, and a change leaves it stopped. Starting again is
//! opening the checkpoint anew, as another run would: nothing of the ended query is used. Whatever is added, changed or
//! taken out, the others are not touched, nor do they wait while one opens.

use std::sync::Arc;

use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::{Error, Ledger, Result};
use forebay_engine::query::{OpenQuery, QueryHandle};
use forebay_engine::status::{QueryStatus, State};
use forebay_server::shown::Control;
use futures::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::control::{Asks, Orders, conflict};
use crate::work::named;

/// Puts a query together and opens it, which blocks; called again for every start.
pub type Open = Arc<dyn Fn(watch::Sender<QueryStatus>) -> Result<OpenQuery> + Send + Sync>;

/// A query that is open and was not started yet.
pub struct Ready {
    name: String,
    open: Open,
    first: OpenQuery,
    status: watch::Sender<QueryStatus>,
}

impl Ready {
    /// Opens a query; nothing of it runs yet. Blocks.
    pub fn new(name: &str, open: Open) -> Result<Self> {
        let status = watch::Sender::new(QueryStatus::new(name));
        let first = open(status.clone()).map_err(|error| named(name, &error))?;
        Ok(Self { name: name.to_owned(), open, first, status })
    }
}

/// The queries of a run.
pub struct Fleet {
    kept: Vec<Kept>,
    /// Queries that run, or that a person stopped.
    awake: watch::Sender<usize>,
    clock: Arc<dyn Clock>,
}

struct Kept {
    name: String,
    status: watch::Receiver<QueryStatus>,
    orders: mpsc::Sender<Given>,
    /// Ends it for good.
    closing: CancellationToken,
    task: JoinHandle<Ended>,
}

/// What a query may be told.
pub enum Order {
    Stop,
    Start,
    /// To end after the epoch it is in and to go on so.
    Change(Open),
}

/// An order, and where its outcome goes.
pub type Given = (Order, oneshot::Sender<Result<()>>);

/// What a query did in a run, all its starts together.
#[derive(Debug)]
pub struct Ended {
    /// Its name.
    pub name: String,
    /// How it ended last.
    pub outcome: Result<()>,
    /// Epochs that it committed.
    pub epochs: u64,
    /// What became of their records.
    pub ledger: Ledger,
}

impl Fleet {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { kept: Vec::new(), awake: watch::Sender::new(0), clock }
    }

    /// Starts queries beside those that run.
    pub fn add(&mut self, queries: Vec<Ready>) {
        for query in queries {
            let (orders, taken) = mpsc::channel(1);
            let (name, status, closing) =
                (query.name.clone(), query.status.subscribe(), CancellationToken::new());
            let keeper = Keeper {
                query: query.open,
                status: query.status,
                awake: self.awake.clone(),
                closing: closing.clone(),
                clock: Arc::clone(&self.clock),
                done: Ended { name: query.name, outcome: Ok(()), epochs: 0, ledger: Ledger::default() },
            };
            let task = tokio::spawn(keeper.keep(query.first.start(), taken, Awake::hold(&self.awake)));
            self.kept.push(Kept { name, status, orders, closing, task });
        }
    }

    /// Takes queries out and changes others, all at the same time: each ends after the epoch it is in, and those that
    /// change are open again on return, or say in their status what they failed with. Gives how those ended that are
    /// out.
    pub async fn turn(&mut self, out: &[&str], changed: Vec<(&str, Open)>) -> Vec<Ended> {
        let (gone, kept): (Vec<_>, Vec<_>) =
            self.kept.drain(..).partition(|kept| out.contains(&kept.name.as_str()));
        self.kept = kept;
        let changed = changed.into_iter().filter_map(|(name, open)| {
            let orders = &self.kept.iter().find(|kept| kept.name == name)?.orders;
            Some(async move {
                let (reply, done) = oneshot::channel();
                // What came of it is in the status.
                if orders.send((Order::Change(open), reply)).await.is_ok() {
                    let _ = done.await;
                }
            })
        });
        let (ended, _) = futures::join!(ended(gone), join_all(changed));
        ended
    }

    /// Puts the queries into this order.
    pub fn arrange(&mut self, names: &[String]) {
        self.kept.sort_by_key(|kept| names.iter().position(|name| *name == kept.name));
    }

    /// The status of each query, whichever of its runs it is in.
    pub fn statuses(&self) -> Vec<watch::Receiver<QueryStatus>> {
        self.kept.iter().map(|kept| kept.status.clone()).collect()
    }

    /// To stop queries and start them again, and to ask for the file to be read again.
    pub fn control(&self, asks: &Asks) -> Arc<dyn Control> {
        let orders = self.kept.iter().map(|kept| (kept.name.clone(), kept.orders.clone()));
        Arc::new(Orders { queries: orders.collect(), asks: asks.clone() })
    }

    /// Keeps the run from ending while queries change places.
    pub fn hold(&self) -> Awake {
        Awake::hold(&self.awake)
    }

    /// How many queries run, or were stopped by a person: once there are none, the run is done.
    pub fn awake(&self) -> watch::Receiver<usize> {
        self.awake.subscribe()
    }

    /// Ends each query after the epoch it is in; gives how each ended.
    pub async fn finish(self) -> Vec<Ended> {
        ended(self.kept).await
    }
}

/// Ends these queries and waits for all of them.
async fn ended(kept: Vec<Kept>) -> Vec<Ended> {
    kept.iter().for_each(|kept| kept.closing.cancel());
    let each = kept.into_iter().map(|kept| async move {
        let Kept { name, task, .. } = kept;
        task.await.unwrap_or_else(|lost| {
            let lost = Error::new(&codes::INTERNAL, "the query ended unexpectedly").caused_by(lost);
            Ended { name, outcome: Err(lost), epochs: 0, ledger: Ledger::default() }
        })
    });
    join_all(each).await
}

/// Counts as one query that is awake while it lives.
pub struct Awake(watch::Sender<usize>);

impl Awake {
    fn hold(awake: &watch::Sender<usize>) -> Self {
        awake.send_modify(|awake| *awake += 1);
        Self(awake.clone())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.send_modify(|awake| *awake -= 1);
    }
}

/// Keeps one query.
struct Keeper {
    query: Open,
    status: watch::Sender<QueryStatus>,
    awake: watch::Sender<usize>,
    closing: CancellationToken,
    clock: Arc<dyn Clock>,
    /// What it did so far.
    done: Ended,
}

/// Why a query does not run.
struct Rests {
    /// A person stopped it.
    is_held: bool,
    /// What it is to be from now on.
    change: Option<(Open, oneshot::Sender<Result<()>>)>,
}

impl Keeper {
    /// Runs the query as often as it is started; gives what it did.
    async fn keep(
        mut self,
        mut running: QueryHandle,
        mut orders: mpsc::Receiver<Given>,
        awake: Awake,
    ) -> Ended {
        let mut awake = Some(awake);
        loop {
            let Rests { is_held, change } = self.run(running, &mut orders).await;
            {
                // Every start counts anew.
                let status = self.status.borrow();
                self.done.epochs += status.run_epochs;
                self.done.ledger.add(&status.run_ledger);
            }
            let mut opened = None;
            if let Some((query, reply)) = change {
                opened = self.change(query, reply, is_held).await;
            }
            if opened.is_none() && !is_held {
                awake = None;
            }
            let opened = match opened {
                Some(opened) => opened,
                None => match self.rest(&mut orders, is_held).await {
                    Some(opened) => opened,
                    None => return self.done,
                },
            };
            awake.get_or_insert_with(|| Awake::hold(&self.awake));
            running = opened.start();
        }
    }

    /// Until the query ends.
    async fn run(&mut self, running: QueryHandle, orders: &mut mpsc::Receiver<Given>) -> Rests {
        let stopper = running.stopper();
        let end = running.join();
        tokio::pin!(end);
        let mut rests = Rests { is_held: false, change: None };
        self.done.outcome = loop {
            tokio::select! {
                outcome = &mut end => break outcome,
                () = self.closing.cancelled(), if !stopper.is_cancelled() => stopper.cancel(),
                Some((order, reply)) = orders.recv() => {
                    let done = match order {
                        Order::Stop => {
                            rests.is_held = true;
                            stopper.cancel();
                            Ok(())
                        }
                        Order::Start => Err(conflict("the query runs already")),
                        Order::Change(query) => {
                            stopper.cancel();
                            rests.change = Some((query, reply));
                            continue;
                        }
                    };
                    // Who gave the order may have gone.
                    let _ = reply.send(done);
                }
            }
        };
        rests.is_held &= self.done.outcome.is_ok();
        rests
    }

    /// Until the query is started again, which opens it; `None` when it is closed.
    async fn rest(&mut self, orders: &mut mpsc::Receiver<Given>, is_held: bool) -> Option<OpenQuery> {
        loop {
            let order = tokio::select! {
                () = self.closing.cancelled() => return None,
                order = orders.recv() => order,
            };
            let (order, reply) = order?;
            let opened = match order {
                Order::Stop => Err(conflict("the query has ended already")),
                Order::Start => open(Arc::clone(&self.query), self.status.clone()).await,
                Order::Change(query) => match self.change(query, reply, is_held).await {
                    Some(opened) => return Some(opened),
                    None => continue,
                },
            };
            match opened {
                Ok(opened) => {
                    let _ = reply.send(Ok(()));
                    return Some(opened);
                }
                Err(error) => drop(reply.send(Err(error))),
            }
        }
    }

    /// Makes it another query and opens that, unless a person stopped it. What that fails with is its status.
    async fn change(
        &mut self,
        query: Open,
        reply: oneshot::Sender<Result<()>>,
        is_held: bool,
    ) -> Option<OpenQuery> {
        self.query = query;
        if is_held {
            let _ = reply.send(Ok(()));
            return None;
        }
        let (opened, done) = match open(Arc::clone(&self.query), self.status.clone()).await {
            Ok(opened) => (Some(opened), Ok(())),
            Err(error) => {
                let state = State::Failed { error: error.clone(), since_ms: self.clock.now_ms() };
                self.status.send_modify(|status| status.state = state);
                self.done.outcome = Err(error.clone());
                (None, Err(error))
            }
        };
        let _ = reply.send(done);
        opened
    }
}

/// Opens a query where it keeps no other from running.
async fn open(query: Open, status: watch::Sender<QueryStatus>) -> Result<OpenQuery> {
    let opened = tokio::task::spawn_blocking(move || query(status)).await;
    opened.unwrap_or_else(|lost| {
        Err(Error::new(&codes::INTERNAL, "opening the query ended unexpectedly").caused_by(lost))
    })
}

#[cfg(test)]
mod tests {
    use forebay_core::clock::ManualClock;

    use super::*;

    fn keeper(query: Open) -> Keeper {
        Keeper {
            query,
            status: watch::Sender::new(QueryStatus::new("lake")),
            awake: watch::Sender::new(0),
            closing: CancellationToken::new(),
            clock: ManualClock::at(5),
            done: Ended { name: "lake".to_owned(), outcome: Ok(()), epochs: 0, ledger: Ledger::default() },
        }
    }

    #[tokio::test]
    async fn what_a_changed_query_fails_with_is_its_status_and_the_reply() {
        let full: Open = Arc::new(|_| Err(Error::new(&codes::STORAGE, "full")));
        let lost: Open = Arc::new(|_| panic!("a test of what happens then"));
        for (query, code) in [(full, &codes::STORAGE), (lost, &codes::INTERNAL)] {
            let mut keeper = keeper(Arc::clone(&query));
            // One that a person stopped is not opened.
            let (reply, done) = oneshot::channel();
            assert!(keeper.change(Arc::clone(&query), reply, true).await.is_none());
            assert!(done.await.unwrap().is_ok() && keeper.status.borrow().state.error().is_none());
            let (reply, done) = oneshot::channel();
            assert!(keeper.change(query, reply, false).await.is_none());
            assert_eq!(done.await.unwrap().unwrap_err().code(), code);
            let state = keeper.status.borrow().state.clone();
            assert!(
                matches!(&state, State::Failed { error, since_ms: 5 } if error.code() == code),
                "{state:?}"
            );
            assert_eq!(keeper.done.outcome.unwrap_err().code(), code);
        }
    }
}
