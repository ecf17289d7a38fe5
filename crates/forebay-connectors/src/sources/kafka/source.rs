//! [`KafkaSource`]: what the engine talks to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::source::{Available, Lane, Source, Wanted};
use forebay_core::{Error, Partition, Position, PositionRange, Positions, Result};
use forebay_log::records::Scratch;
use forebay_log::storage::Log;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::balance::balance;
use super::embedded::Embedded;
use super::inbox::{Bounds, Inbox};
use super::lag::Shown;
use super::lane::{Reading, data_loss, lane};
use super::remote::Remote;
use super::settings::{Edge, Edges, Settings, Subscription};
use super::transport::{FoundTopic, Transport};
use crate::kafka::{At, ClientConfig};

/// Bytes that all partitions together may have waiting, as they were fetched.
const TOTAL_BYTES: usize = 32 << 20;

/// How often, and after what pause, a partition that is missing is looked for before it counts as gone.
const MISSING_LOOKS: u32 = 4;
const MISSING_PAUSE: Duration = Duration::from_millis(500);

/// Reads topics. See the module for how.
#[derive(Debug)]
pub struct KafkaSource {
    settings: Settings,
    reading: Reading,
    transport: Arc<dyn Transport>,
    inbox: Arc<Inbox>,
    /// Age at which topics are listed anew.
    max_age: Duration,
    listed: Option<Instant>,
    /// Topics as last listed: two of one name are told apart by their ids.
    ids: BTreeMap<Arc<str>, Uuid>,
    /// Partitions as last listed.
    partitions: Vec<Partition>,
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
            Some(log) => Arc::new(Embedded::new(log, Arc::clone(&inbox))),
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
            listed: None,
            ids: BTreeMap::new(),
            partitions: Vec::new(),
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

    /// Lists topics. True if one was made anew under its old name.
    async fn list(&mut self) -> Result<Vec<Arc<str>>> {
        let found = self.transport.topics(&self.settings.subscription.topics()).await?;
        let mut made_anew = Vec::new();
        for (name, topic) in &found {
            let Some(id) = topic.id else { continue };
            if self.ids.insert(Arc::clone(name), id).is_some_and(|before| before != id) {
                made_anew.push(Arc::clone(name));
            }
        }
        self.partitions = subscribed(&self.settings.subscription, &found);
        self.listed = Some(Instant::now());
        Ok(made_anew)
    }

    /// Lists topics; asks again while one of `from` is missing: a broker that has just started may not know all yet.
    async fn list_patiently(&mut self, from: &Positions) -> Result<Vec<Arc<str>>> {
        let mut made_anew = self.list().await?;
        for _ in 0..MISSING_LOOKS {
            if from.keys().all(|partition| self.partitions.contains(partition)) {
                break;
            }
            tokio::time::sleep(MISSING_PAUSE).await;
            made_anew.extend(self.list().await?);
        }
        Ok(made_anew)
    }

    fn list_is_fresh(&self) -> bool {
        self.listed.is_some_and(|listed| listed.elapsed() < self.max_age)
    }

    async fn offsets(&self, at: At) -> Result<BTreeMap<Partition, i64>> {
        let places = self.partitions.iter().map(|partition| (partition.clone(), at)).collect();
        let found = self.transport.offsets(&places).await?;
        Ok(found.into_iter().filter_map(|(partition, offset)| Some((partition, offset?))).collect())
    }

    /// Finds the offset of an edge in each listed partition.
    async fn resolve(&self, edges: &Edges, option: &str, late_is_latest: bool) -> Result<Positions> {
        let edge_of = |partition: &Partition| match edges {
            Edges::All(edge) => Some(*edge),
            Edges::Each(each) => each.get(partition).copied(),
        };
        if let Edges::Each(each) = edges {
            let missing = self.partitions.iter().find(|partition| !each.contains_key(partition));
            let unknown = each.keys().find(|partition| !self.partitions.contains(partition));
            if let Some(partition) = missing.or(unknown) {
                let what = if missing.is_some() { "does not name" } else { "names the unknown" };
                let message = format!("option `{option}` {what} partition {partition}");
                return Err(Error::new(&codes::BAD_VALUE, message).with_hint(
                    "Name exactly the partitions that are read. -2 stands for the earliest, -1 for the latest.",
                ));
            }
        }
        let mut positions = Positions::new();
        let mut ask = BTreeMap::new();
        for partition in &self.partitions {
            let at = match edge_of(partition) {
                Some(Edge::Offset(offset)) => {
                    positions.insert(partition.clone(), Position(offset));
                    continue;
                }
                Some(Edge::Earliest) => At::Earliest,
                Some(Edge::Timestamp(ms)) => At::Timestamp(ms),
                Some(Edge::Latest) | None => At::Latest,
            };
            ask.insert(partition.clone(), at);
        }
        let mut late = BTreeMap::new();
        for (partition, offset) in self.transport.offsets(&ask).await? {
            match offset {
                Some(offset) => drop(positions.insert(partition, Position(offset))),
                None if late_is_latest => drop(late.insert(partition, At::Latest)),
                None => {
                    let message = format!("option `{option}`: {partition} has no record as late as that");
                    return Err(Error::new(&codes::BAD_VALUE, message).with_hint(
                        "Choose an earlier time, or set `startingOffsetsByTimestampStrategy: latest`.",
                    ));
                }
            }
        }
        if !late.is_empty() {
            let found = self.transport.offsets(&late).await?;
            positions.extend(found.into_iter().filter_map(|(p, offset)| Some((p, Position(offset?)))));
        }
        Ok(positions)
    }

    /// Cuts ends at where the query ends, if it does.
    async fn cut(&mut self, ends: &mut Positions) -> Result<()> {
        let Some(edges) = self.settings.end.clone() else { return Ok(()) };
        if self.end.is_none() {
            self.end = Some(self.resolve(&edges, "endingOffsets", true).await?);
        }
        for (partition, end) in ends {
            if let Some(last) = self.end.as_ref().and_then(|last| last.get(partition)) {
                *end = (*end).min(*last);
            }
        }
        Ok(())
    }

    /// What to make of a position that is outside of what is there: an error, or where to go on.
    fn judge(&self, partition: &Partition, from: Position, to: i64, why: &str) -> Result<Position> {
        if self.settings.fail_on_data_loss {
            return Err(data_loss(partition, from.0, to).with_detail(why));
        }
        tracing::warn!(%partition, from = from.0, to, why, "records are gone; going on after them");
        Ok(Position(to))
    }

    /// The same as [`Source::available`], by asking.
    async fn ask_available(&mut self, from: &Positions) -> Result<Available> {
        let made_anew = self.list_patiently(from).await?;
        let earliest = self.offsets(At::Earliest).await?;
        let latest = self.offsets(At::Latest).await?;
        let mut found = Available::default();
        for partition in &self.partitions {
            let (Some(first), Some(last)) = (earliest.get(partition), latest.get(partition)) else {
                continue;
            };
            let mut end = Position(*last);
            match from.get(partition) {
                None => {
                    if *first > 0 {
                        let why = "the partition is new to the query, and its first records are gone already";
                        self.judge(partition, Position(0), *first, why)?;
                    }
                    found.new.insert(partition.clone(), Position(*first));
                }
                Some(at) if made_anew.contains(&partition.topic) && at.0 > 0 => {
                    let at = self.judge(partition, *at, *first, "the topic was deleted and made anew")?;
                    found.moved.insert(partition.clone(), at);
                }
                Some(at) if at.0 < *first => {
                    let at = self.judge(partition, *at, *first, "retention removed them")?;
                    found.moved.insert(partition.clone(), at);
                }
                Some(at) if at.0 > *last => {
                    let why = format!("the partition ends at offset {last}: the topic was made anew, or cut");
                    let at = self.judge(partition, *at, *first, &why)?;
                    found.moved.insert(partition.clone(), at);
                }
                Some(at) => end = end.max(*at),
            }
            found.ends.insert(partition.clone(), end);
        }
        for (partition, at) in from {
            if found.ends.contains_key(partition) {
                continue;
            }
            self.judge(partition, *at, at.0, "the partition is not there any more")?;
            found.ends.insert(partition.clone(), *at);
        }
        Ok(found)
    }

    /// Keeps the inbox at work on these partitions.
    fn follow(&self, positions: &Positions) {
        self.inbox.follow(positions);
        self.transport.start();
    }
}

#[async_trait]
impl Source for KafkaSource {
    fn description(&self) -> String {
        format!("KafkaV2[{}]", self.settings.subscription.description())
    }

    async fn start(&mut self) -> Result<Positions> {
        self.list().await?;
        if self.partitions.is_empty() {
            return Err(nothing_to_read(&self.settings.subscription));
        }
        let start = self.settings.start.clone();
        let option = match &start {
            Edges::All(Edge::Timestamp(_)) => "startingTimestamp",
            _ => "startingOffsets",
        };
        let positions = self.resolve(&start, option, self.settings.late_start_is_latest).await?;
        self.follow(&positions);
        Ok(positions)
    }

    async fn available(&mut self, from: &Positions) -> Result<Available> {
        let woken = std::mem::take(&mut self.woken);
        let known = if woken && self.list_is_fresh() { self.inbox.ends(from) } else { None };
        let asked = known.is_none();
        let mut found = match known {
            Some(ends) => Available { ends, ..Available::default() },
            None => self.ask_available(from).await?,
        };
        self.cut(&mut found.ends).await?;
        let mut positions = from.clone();
        positions.extend(found.new.clone());
        positions.extend(found.moved.clone());
        self.follow(&positions);
        if asked {
            self.inbox.mend(positions.iter().map(|(partition, at)| (partition, at.0)));
        }
        Ok(found)
    }

    async fn wait(&mut self, from: &Positions) -> Result<()> {
        self.follow(from);
        let inbox = Arc::clone(&self.inbox);
        loop {
            let arrival = inbox.arrival();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
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
                    Ok(made_anew) => {
                        let unknown = self.partitions.iter().any(|partition| !from.contains_key(partition));
                        if unknown || !made_anew.is_empty() {
                            // Forgotten, so that `available` finds it again.
                            self.ids.extend(made_anew.into_iter().map(|topic| (topic, Uuid::nil())));
                            return Ok(());
                        }
                    }
                    Err(error) if error.is_retryable() => {
                        tracing::debug!(%error, "topics cannot be listed");
                        self.listed = Some(Instant::now());
                    }
                    Err(error) => return Err(error),
                }
            }
            let next_list = self.listed.unwrap_or_else(Instant::now) + self.max_age;
            drop(timeout_at(next_list, arrival).await);
        }
    }

    async fn read(&mut self, ranges: &[PositionRange], lanes: usize) -> Result<Vec<Lane>> {
        self.transport.start();
        // A lane that failed is read again from the start of its range.
        self.inbox.mend(ranges.iter().map(|range| (&range.partition, range.from.0)));
        Ok(balance(ranges, lanes).into_iter().map(|ranges| lane(self.reading.clone(), ranges)).collect())
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

fn subscribed(subscription: &Subscription, found: &BTreeMap<Arc<str>, FoundTopic>) -> Vec<Partition> {
    let all = found.iter().flat_map(|(name, topic)| {
        topic.partitions.iter().map(|index| Partition::new(Arc::clone(name), *index))
    });
    match subscription {
        Subscription::Assigned(wanted) => all.filter(|partition| wanted.contains(partition)).collect(),
        Subscription::Named(_) | Subscription::Pattern(_) => all.collect(),
    }
}

fn nothing_to_read(subscription: &Subscription) -> Error {
    let message = format!("there is nothing to read: {} finds no topic", subscription.description());
    Error::new(&codes::SOURCE_UNAVAILABLE, message)
        .with_hint("Create the topic, or correct its name. Forebay keeps looking.")
}
