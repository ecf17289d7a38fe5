//! The sink itself, as the engine drives it, on whatever speaks Kafka's protocol. Each function is one promise, with
//! topics of its own; what is there is read by librdkafka.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use forebay_connectors::kafka::{Client, ClientConfig, NewTopic};
use forebay_connectors::sinks::kafka::{KafkaSink, SPEC};
use forebay_core::clock::SystemClock;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::sink::{Begun, EpochId, Guarantee, LaneWriter, Part, Sink, Written};
use forebay_core::{Epoch, Result};
use futures::future::BoxFuture;
use serde_json::Value;

use super::conformance::{self, Subject};

mod records;
pub mod refused;

/// Where the suite runs.
#[derive(Clone, Debug)]
pub struct Place {
    pub bootstrap: String,
    /// The checkout, for its programs.
    pub root: PathBuf,
}

impl Place {
    fn program(&self, topic: &str, more: &[&str]) -> String {
        let output = Command::new(self.root.join("scripts/services/python.sh"))
            .arg(self.root.join("tests/clients/read_committed.py"))
            .args(["--bootstrap", &self.bootstrap, "--topic", topic])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The records that a reader of committed ones sees.
    pub fn committed(&self, topic: &str) -> Vec<Value> {
        self.program(topic, &[]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn values(&self, topic: &str) -> Vec<String> {
        let value = |record: &Value| record["value"].as_str().unwrap_or("NULL").to_owned();
        let mut values: Vec<_> = self.committed(topic).iter().map(value).collect();
        values.sort();
        values
    }

    async fn topic(&self, name: &str, partitions: i32) -> String {
        let name = format!("{name}-{}", fastrand::u32(..));
        let client = Client::connect(ClientConfig::plain(&self.bootstrap).unwrap()).await.unwrap();
        client.create_topics(&[NewTopic::new(&name, partitions)]).await.unwrap();
        name
    }

    fn sink(&self, more: &[(&str, &str)]) -> KafkaSink {
        let mut raw = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), self.bootstrap.clone())]);
        raw.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        KafkaSink::new(&Options::parse(&SPEC, &raw).unwrap(), Arc::new(SystemClock)).unwrap()
    }

    /// A sink of the column `value`, open.
    async fn opened(&self, topic: &str, more: &[(&str, &str)]) -> KafkaSink {
        let mut sink = self.sink(&[&[("topic", topic)], more].concat());
        sink.open(texts(&[]).schema()).await.unwrap();
        sink
    }
}

/// Every promise.
pub async fn suite(place: &Place) {
    the_contract_holds(place).await;
    a_newer_writer_fences_the_older_for_good(place).await;
    a_transaction_that_took_too_long_is_written_again(place).await;
    a_group_that_was_deleted_is_told_and_not_guessed(place).await;
    records::every_part_of_a_record_arrives(place).await;
    topics_of_rows_share_one_transaction(place).await;
    new_partitions_are_used(place).await;
    refused::rows_that_a_topic_refuses_leave_their_neighbours(place).await;
    refused::a_row_for_a_partition_that_is_not_there_leaves_nothing(place).await;
    without_transactions_every_row_is_there(place).await;
}

fn texts(values: &[&str]) -> RecordBatch {
    let values: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("value", values, true)]).unwrap()
}

fn id(query: &str, epoch: u64) -> EpochId {
    EpochId {
        query_id: query.to_owned(),
        query_name: "lake".to_owned(),
        epoch: Epoch(epoch),
        planned_at_ms: 1_700_000_000_000,
    }
}

/// Begins an epoch and writes a batch in one lane.
async fn write(sink: &mut KafkaSink, id: &EpochId, batch: RecordBatch) -> Result<Vec<Part>> {
    let Begun::Writers(mut writers) = sink.begin(id, 1).await? else { panic!("{id:?} is new") };
    let mut writer = writers.pop().unwrap();
    writer.write(batch).await?;
    Ok(vec![writer.finish().await?])
}

async fn epoch(sink: &mut KafkaSink, id: &EpochId, batch: RecordBatch) -> Result<Written> {
    let parts = write(sink, id, batch).await?;
    sink.commit(id, parts).await
}

/// Gives a sink that wants words the conformance suite's numbers.
struct Worded(KafkaSink);

struct WordedLane(Box<dyn LaneWriter>);

fn worded(batch: &RecordBatch) -> RecordBatch {
    let (lanes, numbers) =
        (batch.column(0).as_primitive::<Int32Type>(), batch.column(1).as_primitive::<Int64Type>());
    let rows: Vec<String> = lanes
        .iter()
        .zip(numbers)
        .map(|(lane, number)| format!("{},{}", lane.unwrap(), number.unwrap()))
        .collect();
    texts(&rows.iter().map(String::as_str).collect::<Vec<_>>())
}

#[async_trait]
impl Sink for Worded {
    fn description(&self) -> String {
        self.0.description()
    }
    fn guarantee(&self) -> Guarantee {
        self.0.guarantee()
    }
    async fn open(&mut self, _: SchemaRef) -> Result<()> {
        self.0.open(texts(&[]).schema()).await
    }
    async fn last_epoch(&mut self, query_id: &str) -> Result<Option<Epoch>> {
        self.0.last_epoch(query_id).await
    }
    async fn begin(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        let lane = |writer| Box::new(WordedLane(writer)) as Box<dyn LaneWriter>;
        Ok(match self.0.begin(id, lanes).await? {
            Begun::Writers(writers) => Begun::Writers(writers.into_iter().map(lane).collect()),
            Begun::AlreadyWritten => Begun::AlreadyWritten,
        })
    }
    async fn commit(&mut self, id: &EpochId, parts: Vec<Part>) -> Result<Written> {
        self.0.commit(id, parts).await
    }
    async fn abort(&mut self, id: &EpochId) -> Result<()> {
        self.0.abort(id).await
    }
}

#[async_trait]
impl LaneWriter for WordedLane {
    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.0.write(worded(&batch)).await
    }
    async fn finish(self: Box<Self>) -> Result<Part> {
        self.0.finish().await
    }
}

struct Topic<'p> {
    place: &'p Place,
    topic: String,
    prefix: String,
}

impl Subject for Topic<'_> {
    fn sink(&self) -> Box<dyn Sink> {
        let options = [("topic", self.topic.as_str()), ("transactionalIdPrefix", &self.prefix)];
        Box::new(Worded(self.place.sink(&options)))
    }

    fn rows(&self) -> BoxFuture<'_, Vec<(i32, i64)>> {
        let row = |value: &String| {
            let (lane, number) = value.split_once(',').unwrap();
            (lane.parse().unwrap(), number.parse().unwrap())
        };
        let rows = self.place.values(&self.topic).iter().map(row).collect();
        Box::pin(async move { rows })
    }
}

async fn the_contract_holds(place: &Place) {
    let topic = place.topic("contract", 3).await;
    // The suite has one query id; what another run on this broker left is not ours.
    let prefix = format!("p{}", fastrand::u32(..));
    conformance::contract(&Topic { place, topic, prefix }).await;
}

async fn a_newer_writer_fences_the_older_for_good(place: &Place) {
    let (topic, query) = (place.topic("fence", 1).await, uuid());
    let mut older = place.opened(&topic, &[]).await;
    assert_eq!(older.last_epoch(&query).await.unwrap(), None);
    epoch(&mut older, &id(&query, 0), texts(&["a"])).await.unwrap();
    let parts = write(&mut older, &id(&query, 1), texts(&["of the older"])).await.unwrap();

    let mut newer = place.opened(&topic, &[]).await;
    assert_eq!(newer.last_epoch(&query).await.unwrap(), Some(Epoch(0)));
    epoch(&mut newer, &id(&query, 1), texts(&["b"])).await.unwrap();

    let lost = older.commit(&id(&query, 1), parts).await.unwrap_err();
    assert_eq!((lost.code(), lost.is_retryable()), (&codes::TRANSACTION_LOST, true), "{lost:?}");
    drop(older.abort(&id(&query, 1)).await);
    for _ in 0..2 {
        let fenced = older.begin(&id(&query, 1), 1).await.err().unwrap();
        assert_eq!((fenced.code(), fenced.is_retryable()), (&codes::SINK_FENCED, false), "{fenced:?}");
    }
    epoch(&mut newer, &id(&query, 2), texts(&["c"])).await.unwrap();
    assert_eq!(place.values(&topic), ["a", "b", "c"]);
}

/// The broker must look for such transactions often (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
async fn a_transaction_that_took_too_long_is_written_again(place: &Place) {
    let (topic, query) = (place.topic("slow", 1).await, uuid());
    let mut sink = place.opened(&topic, &[("kafka.transaction.timeout.ms", "1000")]).await;
    let parts = write(&mut sink, &id(&query, 0), texts(&["a"])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lost = sink.commit(&id(&query, 0), parts).await.unwrap_err();
    assert_eq!((lost.code(), lost.is_retryable()), (&codes::TRANSACTION_LOST, true), "{lost:?}");
    assert!(lost.to_string().contains("kafka.transaction.timeout.ms"), "{lost}");
    sink.abort(&id(&query, 0)).await.unwrap();
    epoch(&mut sink, &id(&query, 0), texts(&["a"])).await.unwrap();
    assert_eq!(place.values(&topic), ["a"]);
}

async fn a_group_that_was_deleted_is_told_and_not_guessed(place: &Place) {
    let (topic, query) = (place.topic("group", 1).await, uuid());
    let mut sink = place.opened(&topic, &[]).await;
    epoch(&mut sink, &id(&query, 0), texts(&["a"])).await.unwrap();
    sink.close().await;
    place.program(&topic, &["--delete-group", &format!("forebay-{query}")]);
    let mut sink = place.sink(&[("topic", &topic)]);
    sink.resumes(Some(Epoch(0)), Some(Epoch(0)));
    sink.open(texts(&[]).schema()).await.unwrap();
    let unknown = sink.last_epoch(&query).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.is_retryable()), (&codes::SINK_BEHIND, false), "{unknown:?}");
    let mut sink = place.sink(&[("topic", &topic), ("failOnUnknownEpoch", "false")]);
    sink.resumes(Some(Epoch(0)), Some(Epoch(0)));
    sink.open(texts(&[]).schema()).await.unwrap();
    assert_eq!(sink.last_epoch(&query).await.unwrap(), Some(Epoch(0)));
    epoch(&mut sink, &id(&query, 1), texts(&["b"])).await.unwrap();
    assert_eq!(place.values(&topic), ["a", "b"]);
}

async fn topics_of_rows_share_one_transaction(place: &Place) {
    let (one, two, query) = (place.topic("one", 1).await, place.topic("two", 2).await, uuid());
    let rows = |topics: &[Option<&str>], values: &[&str]| {
        RecordBatch::try_from_iter_with_nullable([
            ("value", Arc::new(StringArray::from(values.to_vec())) as ArrayRef, true),
            ("topic", Arc::new(StringArray::from(topics.to_vec())), true),
        ])
        .unwrap()
    };
    let mut sink = place.sink(&[]);
    sink.open(rows(&[], &[]).schema()).await.unwrap();
    assert_eq!(sink.last_epoch(&query).await.unwrap(), None);
    epoch(&mut sink, &id(&query, 0), rows(&[Some(&one), Some(&two)], &["a", "b"])).await.unwrap();
    let parts = write(&mut sink, &id(&query, 1), rows(&[Some(&one), Some(&two)], &["c", "d"])).await.unwrap();
    assert_eq!((place.values(&one), place.values(&two)), (vec!["a".to_owned()], vec!["b".to_owned()]));
    sink.commit(&id(&query, 1), parts).await.unwrap();
    assert_eq!((place.values(&one).len(), place.values(&two).len()), (2, 2));
    for (topics, words) in
        [(None, "null topic present in the data"), (Some("../../etc"), "no name of a topic")]
    {
        let refused = write(&mut sink, &id(&query, 2), rows(&[topics], &["e"])).await.err().unwrap();
        assert_eq!((refused.code(), refused.is_retryable()), (&codes::SINK_REFUSED, false), "{refused:?}");
        assert!(refused.message().contains(words), "{refused}");
        sink.abort(&id(&query, 2)).await.unwrap();
    }
    let mut again = place.sink(&[]);
    again.open(rows(&[], &[]).schema()).await.unwrap();
    assert_eq!(again.last_epoch(&query).await.unwrap(), Some(Epoch(1)));
}

async fn new_partitions_are_used(place: &Place) {
    let (topic, query) = (place.topic("grows", 1).await, uuid());
    let schema = Arc::new(Schema::new(vec![
        Field::new("value", DataType::Utf8, true),
        Field::new("partition", DataType::Int32, true),
    ]));
    let row = |number| {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec!["v"])), Arc::new(Int32Array::from(vec![number]))];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    let mut sink = place.sink(&[("topic", &topic), ("kafka.metadata.max.age.ms", "0")]);
    sink.open(Arc::clone(&schema)).await.unwrap();
    epoch(&mut sink, &id(&query, 0), row(0)).await.unwrap();
    let refused = epoch(&mut sink, &id(&query, 1), row(2)).await.unwrap_err();
    assert!(refused.message().contains("has no partition 2"), "{refused}");
    sink.abort(&id(&query, 1)).await.unwrap();
    place.program(&topic, &["--add-partitions", "3"]);
    // Not all brokers know at once.
    for _ in 0..50 {
        match epoch(&mut sink, &id(&query, 1), row(2)).await {
            Ok(_) => break,
            Err(_) => sink.abort(&id(&query, 1)).await.unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let partitions: Vec<_> =
        place.committed(&topic).iter().map(|it| it["partition"].as_i64().unwrap()).collect();
    assert_eq!(partitions.len(), 2, "{partitions:?}");
    assert!(partitions.contains(&2), "{partitions:?}");
}

async fn without_transactions_every_row_is_there(place: &Place) {
    let (topic, query) = (place.topic("plain", 2).await, uuid());
    let mut sink = place.opened(&topic, &[("exactlyOnce", "false")]).await;
    assert_eq!(sink.guarantee(), Guarantee::AtLeastOnce);
    assert_eq!(sink.last_epoch(&query).await.unwrap(), None);
    epoch(&mut sink, &id(&query, 0), texts(&["a", "b"])).await.unwrap();
    drop(write(&mut sink, &id(&query, 1), texts(&["c"])).await.unwrap());
    sink.abort(&id(&query, 1)).await.unwrap();
    epoch(&mut sink, &id(&query, 1), texts(&["c"])).await.unwrap();
    let mut values = place.values(&topic);
    values.dedup();
    assert_eq!(values, ["a", "b", "c"]);
}

fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// For a test that starts a broker: the checkout and the address.
pub fn place(bootstrap: &str, root: &Path) -> Place {
    Place { bootstrap: bootstrap.to_owned(), root: root.to_path_buf() }
}
