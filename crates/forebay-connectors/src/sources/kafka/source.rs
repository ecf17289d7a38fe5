//! [`KafkaSource`]: what the engine talks to.

mod look;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use forebay_core::options::Options;
use forebay_core::source::{Available, Lane, Source, Wanted};
use forebay_core::{PositionRange, Positions, Result, TopicIds};
use forebay_log::records::Scratch;
use forebay_log::storage::Log;
use tokio::time::timeout_at;

use super::balance::balance;
use super::edges::resolve;
use super::embedded::Embedded;
use super::inbox::{Bounds, Inbox};
use super::lag::Shown;
use super::lane::{Reading, lane};
use super::remote::Remote;
use super::settings::{Edge, Edges, Settings};
use super::topics::TopicList;
use super::transport::Transport;
use crate::kafka::{ClientConfig, Topics};

/// Bytes that all partitions together may have waiting, as they were fetched.
const TOTAL_BYTES: usize = 32 << 20;

/// Reads topics. See the module for how.
#[derive(Debug)]
pub struct KafkaSource {
    settings: Settings,
    reading: Reading,
    transport: Arc<dyn Transport>,
    inbox: Arc<Inbox>,
    /// Age at which topics are listed anew.
    max_age: Duration,
    topics: TopicList,
    /// A query reads: it had its beginning, if only in no topic yet. Who only asks what is there has lost nothing.
    began: bool,
    /// `wait` has just seen something in the inbox: its ends are as good as asking.
    woken: bool,
    /// The ends, where the query has one.
    end: Option<Positions>,
    shown: Option<Shown>,
    warnings: Vec<String>,
}

impl KafkaSource {
    /// A source by its options. With `log` it reads the embedded log in place and `kafka.bootstrap.servers` is not
    /// looked at; without, it reaches brokers when it is first used.
    ///
    /// # Errors
    /// `BAD_VALUE`, `MISSING_KEY`, `UNKNOWN_KEY` for options, `SECRET` for certificates that cannot be read.
    pub fn new(options: &Options, wanted: Wanted, log: Option<Log>) -> Result<Self> {
        let settings = Settings::new(options)?;
        let mut client_options = options.passed_on().clone();
        if log.is_some() {
            client_options
                .entry("kafka.bootstrap.servers".to_owned())
                .or_insert_with(|| "embedded:0".to_owned());
        }
        let config = ClientConfig::from_options(&client_options)?;
        let warnings = config.warnings.clone();
        let slot = config.partition_fetch_bytes.unsigned_abs() as usize;
        let inbox = Arc::new(Inbox::new(Bounds { slot, total: TOTAL_BYTES.max(slot) }));
        let (patience, check_crcs, max_age) =
            (config.retry_timeout, config.check_crcs, config.metadata_max_age);
        let transport: Arc<dyn Transport> = match log {
            Some(log) => Arc::new(Embedded::new(log, config.isolation, Arc::clone(&inbox))),
            None => Arc::new(Remote::new(config, Arc::clone(&inbox))?),
        };
        let reading = Reading {
            transport: Arc::clone(&transport),
            inbox: Arc::clone(&inbox),
            scratch: Scratch::new(),
            wanted: Wanted { headers: wanted.headers && options.bool("includeHeaders"), ..wanted },
            max_batch_bytes: settings.max_batch_bytes,
            check_crcs,
            fail_on_data_loss: settings.fail_on_data_loss,
            patience,
        };
        Ok(Self {
            settings,
            reading,
            transport,
            inbox,
            max_age,
            topics: TopicList::default(),
            began: false,
            woken: false,
            end: None,
            shown: None,
            warnings,
        })
    }

    /// What a person should know about options that were given and change nothing.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    async fn list(&mut self) -> Result<()> {
        let found = self.transport.topics(&self.settings.subscription.topics()).await?;
        self.topics.take(&self.settings.subscription, found);
        Ok(())
    }

    fn list_is_fresh(&self) -> bool {
        self.topics.is_fresh(self.max_age, &*self.transport)
    }

    /// Cuts ends at where the query ends, if it does.
    async fn cut(&mut self, ends: &mut Positions) -> Result<()> {
        let Some(edges) = self.settings.end.clone() else { return Ok(()) };
        if self.end.is_none() {
            let partitions = &self.topics.partitions;
            self.end = Some(resolve(&*self.transport, partitions, &edges, "endingOffsets", true).await?);
        }
        self.cut_at_known(ends);
        Ok(())
    }

    fn cut_at_known(&self, ends: &mut Positions) {
        for (partition, end) in ends {
            if let Some(last) = self.end.as_ref().and_then(|last| last.get(partition)) {
                *end = (*end).min(*last);
            }
        }
    }

    /// Keeps the inbox at work on those of these partitions that are there.
    fn follow(&self, positions: &Positions) {
        self.inbox.follow(&self.topics.without_gone(positions));
        self.transport.start();
    }
}

#[async_trait]
impl Source for KafkaSource {
    fn description(&self) -> String {
        format!("KafkaV2[{}]", self.settings.subscription.description())
    }

    fn resume(&mut self, topics: &TopicIds) {
        self.began = true;
        self.topics.resume(topics);
    }

    fn topics(&self) -> TopicIds {
        self.topics.settled()
    }

    async fn start(&mut self, ends: bool) -> Result<Positions> {
        self.began = true;
        self.list().await?;
        let subscription = &self.settings.subscription;
        let missing = self.topics.missing(subscription, &*self.transport, ends).await;
        if let Some(error) = missing {
            if ends || self.topics.partitions.is_empty() {
                return Err(error);
            }
            tracing::warn!(%error, hint = error.hint(), "starting with what is there");
        }
        let start = self.topics.start(&self.settings.start);
        let option = match &start {
            Edges::All(Edge::Timestamp(_)) => "startingTimestamp",
            _ => "startingOffsets",
        };
        let late_is_latest = self.settings.late_start_is_latest;
        let partitions = &self.topics.partitions;
        let positions = resolve(&*self.transport, partitions, &start, option, late_is_latest).await?;
        self.topics.settle();
        self.follow(&positions);
        Ok(positions)
    }

    async fn available(&mut self, from: &Positions) -> Result<Available> {
        let woken = std::mem::take(&mut self.woken);
        let is_known = woken && self.list_is_fresh();
        let known = if is_known { self.inbox.ends(&self.topics.without_gone(from)) } else { None };
        let asked = known.is_none();
        let mut found = match known {
            Some(mut ends) => {
                self.transport.refresh(&mut ends);
                Available { ends: from.clone().into_iter().chain(ends).collect(), ..Available::default() }
            }
            None => self.ask_available(from).await?,
        };
        self.cut(&mut found.ends).await?;
        let mut positions = from.clone();
        positions.extend(found.new.clone());
        positions.extend(found.moved.clone());
        self.follow(&positions);
        let anew = positions.iter().filter(|(partition, _)| self.topics.is_anew(&partition.topic));
        self.inbox.forget(anew.map(|(partition, at)| (partition, at.0)));
        self.topics.settle();
        if asked {
            self.inbox.mend(positions.iter().map(|(partition, at)| (partition, at.0)));
        }
        Ok(found)
    }

    fn heard(&self, of: &Positions) -> Option<Positions> {
        let mut ends = self.inbox.ends(&self.topics.without_gone(of))?;
        self.transport.refresh(&mut ends);
        self.cut_at_known(&mut ends);
        Some(ends)
    }

    async fn wait(&mut self, from: &Positions) -> Result<()> {
        self.follow(from);
        let from = &self.topics.without_gone(from);
        let inbox = Arc::clone(&self.inbox);
        loop {
            let arrival = inbox.arrival();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            // What another query has read of them may have come after it was passed over.
            inbox.pass(from.iter().map(|(partition, at)| (partition, at.0)));
            if inbox.is_beyond(from) {
                self.woken = true;
                return Ok(());
            }
            if let Some(error) = inbox.lost(from.keys(), self.reading.patience) {
                inbox.forgive();
                return Err(error);
            }
            if !self.list_is_fresh() {
                // A list that fails is the fetchers' trouble as well, and is reported with patience there.
                match self.list().await {
                    Ok(()) => {
                        let mut known = self.topics.partitions.iter();
                        if self.topics.any_anew() || !known.all(|partition| from.contains_key(partition)) {
                            return Ok(());
                        }
                    }
                    Err(error) if error.is_retryable() => {
                        tracing::debug!(%error, "topics cannot be listed");
                        self.topics.keep();
                    }
                    Err(error) => return Err(error),
                }
            }
            let next_list = self.topics.expires(self.max_age);
            drop(timeout_at(next_list, arrival).await);
        }
    }

    async fn read(&mut self, ranges: &[PositionRange], lanes: usize) -> Result<Vec<Lane>> {
        self.transport.start();
        if !self.list_is_fresh()
            && let Err(error) = self.list().await
        {
            // Only a list that may be of the wrong topics cannot be used for longer: lanes have patience with brokers.
            if !error.is_retryable() || !self.topics.stands(&*self.transport) {
                return Err(error);
            }
            tracing::debug!(%error, "topics cannot be listed");
            self.topics.keep();
        }
        let (ranges, gone) = self.topics.part(ranges);
        if let Some(what) = gone {
            if self.settings.fail_on_data_loss {
                return Err(what);
            }
            tracing::warn!(why = %what, "what was planned is gone; going on without it");
        }
        // A lane that failed is read again from the start of its range.
        self.inbox.mend(ranges.iter().map(|range| (&range.partition, range.from.0)));
        Ok(balance(&ranges, lanes).into_iter().map(|ranges| lane(self.reading.clone(), ranges)).collect())
    }

    fn passed(&mut self, ranges: &[PositionRange]) {
        self.inbox.pass(ranges.iter().map(|range| (&range.partition, range.to.0)));
    }

    async fn confirm(&mut self, ranges: &[PositionRange]) -> Result<()> {
        let topics = self.topics.to_confirm(ranges);
        if topics.is_empty() {
            return Ok(());
        }
        self.transport.hear(&Topics::Named(topics)).await?;
        if self.topics.stands(&*self.transport) {
            return Ok(());
        }
        self.list().await?;
        let (_, gone) = self.topics.part(ranges);
        gone.map_or(Ok(()), |what| Err(what.with_retry(!self.settings.fail_on_data_loss)))
    }

    async fn committed(&mut self, through: &Positions) -> Result<()> {
        let Some(group) = &self.settings.group else { return Ok(()) };
        let transport = &self.transport;
        self.shown
            .get_or_insert_with(|| Shown::start(Arc::clone(transport), group.clone()))
            .tell(through.clone());
        Ok(())
    }

    async fn close(&mut self) {
        if let Some(shown) = self.shown.take() {
            shown.close().await;
        }
    }
}

#[cfg(test)]
mod tests;
