//! Promises of the source, on a log whose topics come and go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use forebay_core::error::codes;
use forebay_core::{Error, Partition, Position};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::super::inbox::{Failure, Fetched};
use super::super::spec::SPEC;
use super::super::transport::FoundTopic;
use super::look::{MISSING_LOOKS, MISSING_PAUSE};
use super::*;
use crate::kafka::{At, Topics};

/// Each partition holds the offsets 0 to 9.
const END: i64 = 10;
/// After this a list of topics is old.
const SHORT: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct Log {
    there: Mutex<BTreeMap<Arc<str>, FoundTopic>>,
    /// What the transport has heard of `t`.
    heard: Mutex<Option<Uuid>>,
    is_away: Mutex<bool>,
    lists: AtomicUsize,
}

#[async_trait]
impl Transport for Log {
    async fn topics(&self, _: &Topics) -> Result<BTreeMap<Arc<str>, FoundTopic>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        if *self.is_away.lock() {
            return Err(Error::new(&codes::SOURCE_UNAVAILABLE, "no broker answers"));
        }
        Ok(self.there.lock().clone())
    }
    fn id_of(&self, _: &str) -> Option<Uuid> {
        *self.heard.lock()
    }
    async fn hear(&self, _: &Topics) -> Result<()> {
        Ok(())
    }
    async fn offsets(&self, places: &BTreeMap<Partition, At>) -> Result<BTreeMap<Partition, Option<i64>>> {
        let offset = |at: &At| if matches!(at, At::Earliest) { 0 } else { END };
        Ok(places.iter().map(|(partition, at)| (partition.clone(), Some(offset(at)))).collect())
    }
    fn start(&self) {}
    async fn show(&self, _: &str, _: &Positions) -> Result<()> {
        Ok(())
    }
}

impl Log {
    fn has(&self, topics: &[&str]) {
        let id = Some(Uuid::from_u128(1));
        let topic = |name: &&str| ((*name).into(), FoundTopic { id, partitions: vec![0] });
        *self.there.lock() = topics.iter().map(topic).collect();
    }
}

/// A source on both topics of a log, and that log.
fn source(fail_on_data_loss: bool) -> (KafkaSource, Arc<Log>) {
    let log = Arc::new(Log::default());
    log.has(&["t", "u"]);
    let raw = [
        ("kafka.bootstrap.servers", "localhost:1"),
        ("subscribePattern", ".*"),
        ("startingOffsets", "earliest"),
        ("failOnDataLoss", if fail_on_data_loss { "true" } else { "false" }),
    ];
    let raw = raw.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let options = Options::parse(&SPEC, &raw).unwrap();
    let mut source = KafkaSource::new(&options, Wanted::default(), None).unwrap();
    source.transport = log.clone();
    (source, log)
}

fn at(offset: i64) -> Positions {
    ["t", "u"].map(|topic| (Partition::new(topic, 0), Position(offset))).into()
}

#[tokio::test]
async fn a_partition_that_is_gone_is_waited_for_once() {
    let (mut source, log) = source(false);
    source.start(false).await.unwrap();
    log.has(&["t"]);
    let begun = Instant::now();
    assert_eq!(source.available(&at(5)).await.unwrap().ends[&Partition::new("u", 0)], Position(5));
    let patience = MISSING_PAUSE * MISSING_LOOKS;
    assert!(begun.elapsed() >= patience, "a broker that has just started has time");
    for _ in 0..3 {
        let found = source.available(&at(5)).await.unwrap();
        assert_eq!(found.ends.values().copied().collect::<Vec<_>>(), [Position(END), Position(5)]);
    }
    assert!(begun.elapsed() < patience + MISSING_PAUSE, "{:?}", begun.elapsed());

    // Nobody fetches from it, so it neither fails nor keeps the ends of others from being known.
    assert_eq!(source.inbox.without_leader(), [Partition::new("t", 0)]);
    deliver(&source, "t", 12);
    source.wait(&at(END)).await.unwrap();
    let lists = log.lists.load(Ordering::Relaxed);
    let found = source.available(&at(END)).await.unwrap();
    assert_eq!(found.ends.values().copied().collect::<Vec<_>>(), [Position(12), Position(END)]);
    assert_eq!(log.lists.load(Ordering::Relaxed), lists, "known without asking");

    // It comes back where the query stands in it.
    log.has(&["t", "u"]);
    source.max_age = SHORT;
    timeout(Duration::from_secs(20), source.wait(&at(12))).await.expect("nobody woke us").unwrap();
    let found = source.available(&at(5)).await.unwrap();
    assert_eq!(found, Available { ends: at(END), ..Available::default() });
    assert_eq!(source.inbox.without_leader().len(), 1, "and is fetched from");
}

/// The broker's answer to a first question about a partition: nothing yet before `end`.
fn deliver(source: &KafkaSource, topic: &str, end: i64) {
    source.inbox.lead(&[(Partition::new(topic, 0), Some(1))], None);
    let (questions, _) = source.inbox.to_fetch(1);
    let answer: Result<Fetched, Failure> = Ok(Fetched { chunk: None, end });
    source.inbox.deliver(&questions[0], answer);
    source.inbox.announce();
}

#[tokio::test]
async fn a_partition_that_is_gone_stays_an_error_where_nothing_may_be_lost() {
    let (mut source, log) = source(true);
    source.start(false).await.unwrap();
    log.has(&["t"]);
    for _ in 0..2 {
        let error = source.available(&at(5)).await.unwrap_err();
        assert_eq!(error.code(), &codes::DATA_LOSS);
    }
}

#[tokio::test]
async fn reading_goes_on_with_an_old_list_while_no_broker_answers() {
    let (mut source, log) = source(true);
    let range = PositionRange { partition: Partition::new("t", 0), from: Position(0), to: Position(5) };
    *log.is_away.lock() = true;
    assert!(source.read(std::slice::from_ref(&range), 1).await.is_err(), "there is no list yet");
    *log.is_away.lock() = false;
    source.start(false).await.unwrap();
    source.max_age = SHORT;
    *log.is_away.lock() = true;
    sleep(SHORT).await;
    assert_eq!(source.read(std::slice::from_ref(&range), 1).await.unwrap().len(), 1);
    // What was heard of another topic of the name is not forgotten for that.
    sleep(SHORT).await;
    *log.heard.lock() = Some(Uuid::from_u128(2));
    assert!(source.read(&[range], 1).await.is_err(), "records of another topic");
}
