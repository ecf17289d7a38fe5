//! What a person may order while a pipeline runs: over HTTP, by a signal, by changing the file.
//!
//! Orders go through channels to who does them: those for a query to its keeper, those for the whole pipeline to the
//! run itself, one after the other. What must stay true: whoever gives an order may go away without hurting what was
//! begun.

use std::path::Path;

use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};
use forebay_server::shown::{Control, NotReloaded, Reloaded};
use tokio::sync::{mpsc, oneshot};

use crate::fleet::{Given, Order};
use crate::occasions::Stamp;

/// Reloads that wait; one that is under way reads the file only for itself.
const WAITING: usize = 8;

/// What came of reading the file again.
pub type Outcome = Result<Reloaded, NotReloaded>;

/// An order to read the file again.
pub struct Ask {
    /// Who gave it, as people say it.
    pub by: String,
    /// Only as the file was then: who watches it asks again when it has changed since.
    pub only: Option<Stamp>,
    /// Where its outcome goes, if somebody waits for it.
    pub reply: Option<oneshot::Sender<Outcome>>,
}

/// Orders to read the file again. Clones are the same.
#[derive(Clone)]
pub struct Asks(mpsc::Sender<Ask>);

impl Ask {
    /// False once the file is another than the one that it is about.
    pub fn is_about(&self, file: &Path) -> bool {
        self.only.is_none() || self.only == Stamp::of(file)
    }
}

impl Asks {
    /// With what takes them.
    pub fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, taken) = mpsc::channel(WAITING);
        (Self(asks), taken)
    }

    /// Orders it and waits for nothing. Where so many wait already, the file is read after this moment in any case.
    pub fn ask(&self, by: &str, only: Option<Stamp>) {
        let _ = self.0.try_send(Ask { by: by.to_owned(), only, reply: None });
    }

    async fn ask_and_wait(&self, by: &str) -> Outcome {
        let ends = || NotReloaded::from(conflict("the run is ending"));
        let (reply, outcome) = oneshot::channel();
        let ask = Ask { by: by.to_owned(), only: None, reply: Some(reply) };
        self.0.send(ask).await.map_err(|_| ends())?;
        outcome.await.map_err(|_| ends())?
    }
}

/// Hands orders on, those for queries by the queries' names.
pub struct Orders {
    pub queries: Vec<(String, mpsc::Sender<Given>)>,
    pub asks: Asks,
}

impl Orders {
    async fn give(&self, query: &str, order: Order) -> Result<()> {
        let Some((_, orders)) = self.queries.iter().find(|(name, _)| name == query) else {
            let unknown = unknown_name("query", query, self.queries.iter().map(|(name, _)| name.as_str()));
            return Err(Error::new(&codes::NO_RESOURCE, unknown.message()).with_hint(unknown.hint()));
        };
        let gone = || conflict("the run is ending, or the query is in the file no more");
        let (reply, done) = oneshot::channel();
        orders.send((order, reply)).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
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

    async fn reload(&self, by: &str) -> Outcome {
        self.asks.ask_and_wait(by).await
    }
}

/// The error of an order that does not fit.
pub fn conflict(message: &str) -> Error {
    Error::new(&codes::CONFLICT, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "tests change files by hand, as editors do")]
    fn who_watches_asks_about_the_file_as_it_was_seen_and_others_about_any() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.yaml");
        std::fs::write(&file, "pipeline: p").unwrap();
        let ask = |only| Ask { by: "a test".to_owned(), only, reply: None };
        let (watched, signal) = (ask(Stamp::of(&file)), ask(None));
        assert!(watched.is_about(&file) && signal.is_about(&file));
        std::fs::write(&file, "pipeline: pl").unwrap();
        assert!(!watched.is_about(&file) && signal.is_about(&file));
    }

    #[tokio::test]
    async fn while_the_run_ends_no_order_is_taken() {
        let (asks, mut taken) = Asks::new();
        let asking = tokio::spawn({
            let asks = asks.clone();
            async move { asks.ask_and_wait("a test").await }
        });
        let under_way = taken.recv().await.unwrap();
        drop((under_way, taken));
        let left_alone = asking.await.unwrap().unwrap_err();
        let too_late = asks.ask_and_wait("a test").await.unwrap_err();
        for refused in [left_alone, too_late] {
            assert_eq!(refused.error.code(), &codes::CONFLICT);
            assert!(refused.error.message().contains("the run is ending"));
        }
    }
}
