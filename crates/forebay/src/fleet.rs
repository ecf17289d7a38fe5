//! The queries of a run: each kept by a task of its own, which can stop it and start it again.
//!
//! ```text
//!            stop                          start
//!  running ────────▶ stopped by a person ────────▶ running
//!     │                                    start
//!     └─ by itself ─▶ ended, or failed ─────────▶ running
//! ```
//!
//! What must stay true: a run ends when every query has ended by itself, or when it is told to; a query that a person
//! stopped keeps the run alive, since the person may start it again. Starting again is opening the checkpoint anew, as
//! another run would: nothing of the ended query is used.

use std::sync::Arc;

use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};
use forebay_engine::query::{OpenQuery, QueryHandle};
use forebay_engine::status::QueryStatus;
use forebay_server::shown::Control;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::talk;

/// Puts a query together and opens it; called again for every start.
pub type Open = Box<dyn Fn(watch::Sender<QueryStatus>) -> Result<OpenQuery> + Send + Sync>;

/// A query that is open and was not started yet.
pub struct Ready {
    name: String,
    open: Open,
    first: OpenQuery,
    status: watch::Sender<QueryStatus>,
}

impl Ready {
    /// Opens a query; nothing of it runs yet.
    pub fn new(name: &str, open: Open) -> Result<Self> {
        let status = watch::Sender::new(QueryStatus::new(name));
        let first = open(status.clone())?;
        Ok(Self { name: name.to_owned(), open, first, status })
    }
}

/// The queries of a run.
pub struct Fleet {
    kept: Vec<Kept>,
    /// Queries that run, or that a person stopped.
    awake: watch::Sender<usize>,
    closing: CancellationToken,
}

struct Kept {
    name: String,
    status: watch::Receiver<QueryStatus>,
    orders: mpsc::Sender<Given>,
    task: JoinHandle<Result<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Stop,
    Start,
}

/// An order, and where its outcome goes.
type Given = (Order, oneshot::Sender<Result<()>>);

impl Fleet {
    /// Starts all of them.
    pub fn start(queries: Vec<Ready>) -> Self {
        let (awake, closing) = (watch::Sender::new(queries.len()), CancellationToken::new());
        let kept = queries.into_iter().map(|query| {
            let (orders, taken) = mpsc::channel(1);
            let (name, status) = (query.name.clone(), query.status.subscribe());
            let keeper = Keeper {
                query: query.open,
                status: query.status,
                awake: awake.clone(),
                closing: closing.clone(),
            };
            let task = tokio::spawn(keeper.keep(query.first.start(), taken));
            Kept { name, status, orders, task }
        });
        Self { kept: kept.collect(), awake, closing }
    }

    /// The status of each query, whichever of its runs it is in.
    pub fn statuses(&self) -> Vec<watch::Receiver<QueryStatus>> {
        self.kept.iter().map(|kept| kept.status.clone()).collect()
    }

    /// To stop queries and start them again.
    pub fn control(&self) -> Arc<dyn Control> {
        let orders = self.kept.iter().map(|kept| (kept.name.clone(), kept.orders.clone()));
        Arc::new(Orders(orders.collect()))
    }

    /// Waits until all queries have ended by themselves, or until `stop`: then each ends after the epoch it is in.
    /// Gives how each ended.
    pub async fn finish(self, stop: impl Future<Output = ()>) -> Vec<(String, Result<()>)> {
        let mut awake = self.awake.subscribe();
        tokio::select! {
            _ = awake.wait_for(|awake| *awake == 0) => {}
            () = stop => talk::say("stopping: each query ends after the epoch it is in"),
        }
        self.closing.cancel();
        let mut outcomes = Vec::with_capacity(self.kept.len());
        for kept in self.kept {
            let lost = |e| Error::new(&codes::INTERNAL, "the query ended unexpectedly").caused_by(e);
            outcomes.push((kept.name, kept.task.await.map_err(lost).and_then(|outcome| outcome)));
        }
        outcomes
    }
}

/// Keeps one query.
struct Keeper {
    query: Open,
    status: watch::Sender<QueryStatus>,
    awake: watch::Sender<usize>,
    closing: CancellationToken,
}

impl Keeper {
    /// Runs the query as often as it is started; gives how it ended last.
    async fn keep(self, mut running: QueryHandle, mut orders: mpsc::Receiver<Given>) -> Result<()> {
        loop {
            let (outcome, is_held) = self.run(running, &mut orders).await;
            if !is_held {
                self.awake.send_modify(|awake| *awake -= 1);
            }
            running = match self.rest(&mut orders).await {
                None => return outcome,
                Some(opened) => opened.start(),
            };
            if !is_held {
                self.awake.send_modify(|awake| *awake += 1);
            }
        }
    }

    /// Until the query ends; true if a person stopped it.
    async fn run(&self, running: QueryHandle, orders: &mut mpsc::Receiver<Given>) -> (Result<()>, bool) {
        let stopper = running.stopper();
        let end = running.join();
        tokio::pin!(end);
        let mut is_held = false;
        let outcome = loop {
            tokio::select! {
                outcome = &mut end => break outcome,
                () = self.closing.cancelled(), if !stopper.is_cancelled() => stopper.cancel(),
                Some((order, reply)) = orders.recv() => {
                    let done = match order {
                        Order::Stop => {
                            is_held = true;
                            stopper.cancel();
                            Ok(())
                        }
                        Order::Start => Err(conflict("the query runs already")),
                    };
                    // Who gave the order may have gone.
                    let _ = reply.send(done);
                }
            }
        };
        let is_held = is_held && outcome.is_ok();
        (outcome, is_held)
    }

    /// Until the query is started again, which opens it; `None` when the run ends.
    async fn rest(&self, orders: &mut mpsc::Receiver<Given>) -> Option<OpenQuery> {
        loop {
            let order = tokio::select! {
                () = self.closing.cancelled() => return None,
                order = orders.recv() => order,
            };
            let (order, reply) = order?;
            let opened = match order {
                Order::Stop => Err(conflict("the query has ended already")),
                Order::Start => (self.query)(self.status.clone()),
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
}

fn conflict(message: &str) -> Error {
    Error::new(&codes::CONFLICT, message)
}

/// Hands orders to the queries' keepers, by the queries' names.
struct Orders(Vec<(String, mpsc::Sender<Given>)>);

impl Orders {
    async fn give(&self, query: &str, order: Order) -> Result<()> {
        let Some((_, orders)) = self.0.iter().find(|(name, _)| name == query) else {
            let unknown = unknown_name("query", query, self.0.iter().map(|(name, _)| name.as_str()));
            return Err(Error::new(&codes::NO_RESOURCE, unknown.message()).with_hint(unknown.hint()));
        };
        let ends = || conflict("the run is ending");
        let (reply, done) = oneshot::channel();
        orders.send((order, reply)).await.map_err(|_| ends())?;
        done.await.map_err(|_| ends())?
    }
}

#[async_trait]
impl Control for Orders {
    async fn stop(&self, query: &str) -> Result<()> {
        self.give(query, Order::Stop).await
    }

    async fn start(&self, query: &str) -> Result<()> {
        self.give(query, Order::Start).await
    }
}
