//! Who writes for a query: how a process becomes its writer, stays it, and learns that it is not any more.
//!
//! ```text
//!  nobody ──newest()──▶ writer ──a failure, or abort──▶ nobody ──newest()──▶ writer, if the mark still names us
//!                                                                       └──▶ SINK_FENCED, for good, if it names another
//! ```
//!
//! To become the writer: the broker gives out a new author (which ends the transaction of the one before and fences it),
//! the group's offset is read, and the mark beside it is set to us, in a first transaction without rows. The first time
//! a process comes it takes over from whoever was there; later it looks first whether somebody took over from it.
//! Between the look and the new author another may come; it then finds the mark still its own, and comes again.
//!
//! What must stay true: rows go out only under an author that was given out before the newest epoch was read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use forebay_core::error::codes;
use forebay_core::sink::EpochId;
use forebay_core::{Epoch, Error, Partition, Result};
use forebay_storage::kill_point;
use tokio_util::task::AbortOnDropHandle;

use super::config::Config;
use super::mark::{self, Resumed};
use super::outlet::Outlet;
use crate::kafka::{Client, Producer, Transaction, Transactions};

/// The topic under which the group's offset stands where the topics of the rows are only known from the rows. It stays empty.
const EPOCHS_TOPIC: &str = "forebay-epochs";

/// How often the group's offset is committed again while nothing is written. Brokers forget an offset that nobody commits
/// for `offsets.retention.minutes` (a week, a day in old ones), and a transactional id after a week.
const KEEP_EVERY: Duration = Duration::from_secs(6 * 3600);

/// The writer of one query, or on the way to it.
pub(super) struct Writer {
    config: Config,
    client: Client,
    /// What the mark calls us.
    me: String,
    resumed: Resumed,
    /// The mark named us once.
    was_writer: bool,
    session: Option<Session>,
    /// The query of the session that was left, while its transaction may be open.
    left: Option<Arc<str>>,
}

/// While we are the writer.
struct Session {
    query_id: Arc<str>,
    outlet: Arc<Outlet>,
    /// As the group has it.
    offset: Arc<AtomicI64>,
    looked: Instant,
    _keeper: Option<AbortOnDropHandle<()>>,
}

impl Writer {
    /// Reads certificates, and touches nothing else.
    pub fn new(config: &Config) -> Result<Self> {
        Ok(Self {
            config: config.clone(),
            client: Client::new(config.client.clone())?,
            me: uuid::Uuid::new_v4().to_string(),
            resumed: Resumed::default(),
            was_writer: false,
            session: None,
            left: None,
        })
    }

    pub fn resumes(&mut self, resumed: Resumed) {
        self.resumed = resumed;
    }

    /// Looks for the topic where nothing else will before the first row.
    pub async fn reach(&mut self) -> Result<()> {
        match self.config.topic.clone().filter(|_| !self.config.exactly_once) {
            Some(topic) => self.client.usable_or_created(&topic).await.map(drop),
            None => Ok(()),
        }
    }

    /// The newest epoch that is there; becomes the writer for that, if it is not. `None` without transactions.
    pub async fn newest(&mut self, query_id: &str) -> Result<Option<Epoch>> {
        let stands = |session: &Session| &*session.query_id == query_id && session.outlet.stands().is_ok();
        if !self.session.as_ref().is_some_and(stands) {
            self.leave();
            let session = if self.config.exactly_once {
                self.take_over(query_id).await?
            } else {
                let producer = Producer::new(self.client.clone(), self.config.producer.clone());
                self.session(query_id, Outlet::new(producer, None), 0, None)
            };
            self.left = None;
            self.session = Some(session);
        }
        Ok(self.session.as_ref().and_then(|session| mark::epoch(session.offset.load(Ordering::Acquire))))
    }

    /// Where rows go, with the partitions that there are now.
    pub async fn outlet(&mut self) -> Result<Arc<Outlet>> {
        let session =
            self.session.as_mut().ok_or_else(|| Error::new(&codes::INTERNAL, "nobody is the writer"))?;
        if session.looked.elapsed() >= self.client.config().metadata_max_age {
            session.outlet.refresh().await?;
            session.looked = Instant::now();
        }
        Ok(Arc::clone(&session.outlet))
    }

    /// Commits the rows that were written to `outlet`, and the epoch with them.
    pub async fn commit(&mut self, outlet: &Outlet, id: &EpochId) -> Result<()> {
        let Some(transaction) = &outlet.transaction else { return Ok(()) };
        kill_point("sink.kafka.rows.after");
        // From here on the group may have it, and must not be believed if it knows of nothing.
        self.resumed.tried = Some(id.epoch);
        let offset = mark::offset(Some(id.epoch));
        transaction.mark(&self.mark_at(), offset, &mark::text(&id.query_name, &self.me)).await?;
        kill_point("sink.kafka.epoch.after");
        transaction.commit().await?;
        kill_point("sink.kafka.commit.after");
        self.resumed.written = Some(id.epoch);
        if let Some(session) = &self.session {
            session.offset.store(offset, Ordering::Release);
        }
        Ok(())
    }

    /// Sends nothing more. What is under way may still arrive, until another author is given out.
    pub fn leave(&mut self) {
        if let Some(session) = self.session.take() {
            session.outlet.producer.close();
            self.left = session.outlet.transaction.is_some().then_some(session.query_id);
        }
    }

    /// Ends the transaction of a session that was left, by becoming the writer anew.
    pub async fn end_what_was_left(&mut self) -> Result<()> {
        match self.left.clone() {
            Some(query_id) => self.newest(&query_id).await.map(drop),
            None => Ok(()),
        }
    }

    async fn take_over(&mut self, query_id: &str) -> Result<Session> {
        let timeout = self.config.producer.transaction_timeout;
        let calls = Transactions::new(self.client.clone(), self.config.transactional_id(query_id), timeout);
        let at = self.mark_at();
        self.client.usable_or_created(&at.topic).await?;
        if self.was_writer {
            self.still_we(&calls).await?;
        }
        let author = calls.initialize().await?;
        kill_point("sink.kafka.fence.after");
        let held = calls.marked().await?;
        let (named, text) = match &held {
            Some(held) => (mark::writer(&held.text), held.text.clone()),
            None => (None, String::new()),
        };
        let is_ours = named.as_deref() == Some(self.me.as_str());
        if self.was_writer && held.is_some() && !is_ours {
            return Err(fenced(calls.name(), &text));
        }
        let newest = mark::newest(held.map(|held| held.offset), self.resumed, calls.name())?;
        let (name, offset) = (calls.name().to_owned(), mark::offset(newest));
        let transaction = Arc::new(Transaction::new(calls, author));
        if !is_ours {
            transaction.mark(&at, offset, &mark::text(&name, &self.me)).await?;
            transaction.commit().await?;
            self.was_writer = true;
        }
        kill_point("sink.kafka.claim.after");
        let (client, config) = (self.client.clone(), self.config.producer.clone());
        let producer = Producer::in_transaction(client, config, Arc::clone(&transaction));
        let outlet = Outlet::new(producer, Some(transaction));
        Ok(self.session(query_id, outlet, offset, Some(name)))
    }

    fn session(&self, query_id: &str, outlet: Outlet, offset: i64, kept: Option<String>) -> Session {
        let (outlet, offset) = (Arc::new(outlet), Arc::new(AtomicI64::new(offset)));
        let keeper = kept.map(|name| {
            let keeping =
                keep(Arc::clone(&outlet), self.mark_at(), Arc::clone(&offset), mark::text(&name, &self.me));
            AbortOnDropHandle::new(tokio::spawn(keeping))
        });
        Session { query_id: query_id.into(), outlet, offset, looked: Instant::now(), _keeper: keeper }
    }

    /// Fails if the mark names another.
    async fn still_we(&self, calls: &Transactions) -> Result<()> {
        match calls.marked().await? {
            Some(held) if mark::writer(&held.text).as_deref() != Some(self.me.as_str()) => {
                Err(fenced(calls.name(), &held.text))
            }
            _ => Ok(()),
        }
    }

    /// The partition of the group's offset.
    fn mark_at(&self) -> Partition {
        Partition::new(self.config.topic.as_deref().unwrap_or(EPOCHS_TOPIC), 0)
    }
}

/// Commits the offset again from time to time, so that it does not expire while a query waits for its first rows in days.
async fn keep(outlet: Arc<Outlet>, at: Partition, offset: Arc<AtomicI64>, text: String) {
    let Some(transaction) = outlet.transaction.clone() else { return };
    loop {
        tokio::time::sleep(KEEP_EVERY).await;
        // An epoch that is being written commits it by itself.
        let Some(_turn) = outlet.free_turn() else { continue };
        let kept = async {
            transaction.mark(&at, offset.load(Ordering::Acquire), &text).await?;
            transaction.commit().await
        };
        if let Err(error) = kept.await {
            tracing::debug!(%error, "the group's offset was not committed again; the next epoch begins as a new author");
            return;
        }
    }
}

fn fenced(name: &str, text: &str) -> Error {
    Error::new(&codes::SINK_FENCED, format!("another process writes as `{name}` now"))
        .with_detail(if text.is_empty() { "the group's offset was set by hand" } else { text })
}
