//! What a gateway needs of the log: records in, in order, and for each its place once it is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_core::Error;
use tokio::sync::oneshot;

/// A record for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic of the log.
    pub topic: Arc<str>,
    /// The key, which chooses the partition.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// Headers, in order.
    pub headers: Vec<(Arc<str>, Bytes)>,
    /// When the gateway took it, in milliseconds since 1970.
    pub timestamp: i64,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset; -1 if the log recognised a repeat and did not say.
    pub offset: i64,
}

/// Why a record is not in the log.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It never will be: too large for the log, a topic that is not there and must not be made. Sending it again is of no use.
    Never(Error),
    /// Whether it was written is not known, or it was not and the log cannot say when. The device may send it again.
    Unknown(Error),
}

/// The outcome of one record, when it is known.
#[derive(Debug)]
pub struct Delivery(oneshot::Receiver<Result<Place, Refusal>>);

/// Who settles a [`Delivery`]. Dropped unsettled, the outcome is [`Refusal::Unknown`].
#[derive(Debug)]
pub struct Settle(oneshot::Sender<Result<Place, Refusal>>);

/// An outcome to come, and who settles it.
pub fn delivery() -> (Settle, Delivery) {
    let (sender, receiver) = oneshot::channel();
    (Settle(sender), Delivery(receiver))
}

impl Settle {
    /// Tells the outcome; nobody may be waiting any more.
    pub fn settle(self, outcome: Result<Place, Refusal>) {
        drop(self.0.send(outcome));
    }
}

impl Delivery {
    /// Waits until the record is durable, or is known not to be.
    pub async fn wait(self) -> Result<Place, Refusal> {
        self.await
    }
}

/// The outcome; a delivery that is polled and not yet there may be polled again, so many can be watched at once.
impl Future for Delivery {
    type Output = Result<Place, Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|outcome| {
            outcome.unwrap_or_else(|_| {
                let error =
                    Error::new(&forebay_core::error::codes::INTERNAL, "the log ended before it answered");
                Err(Refusal::Unknown(error))
            })
        })
    }
}

/// The log, as a gateway sees it. One for a process, shared.
#[async_trait]
pub trait Log: Send + Sync {
    /// Takes records in this order and answers one delivery for each, in the same order. Waits while too much is under way: that is
    /// how a slow log slows devices. Records of two calls that follow each other keep their order within a partition.
    async fn submit(&self, records: Vec<Record>) -> Vec<Delivery>;
}
