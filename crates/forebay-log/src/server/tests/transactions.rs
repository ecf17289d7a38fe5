//! Transactions as producers and readers see them.

use super::*;
use crate::records::{Batches, Scratch};
use add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use offset_fetch_request::OffsetFetchRequestTopic;
use std::collections::HashSet;
use txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};

mod lasting;

/// A transactional producer with its own connection.
pub(super) struct Producer {
    client: Client,
    id: StrBytes,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    sequences: std::collections::HashMap<(String, i32), i32>,
}

impl Producer {
    pub(super) async fn start(served: &Served, id: &str) -> Self {
        let client = served.client().await;
        let mut new =
            Self { client, id: name(id), producer_id: -1, epoch: -1, sequences: Default::default() };
        assert_eq!(new.init(60_000).await, 0);
        new
    }

    pub(super) async fn init(&mut self, timeout_ms: i32) -> i16 {
        let request = InitProducerIdRequest::default().with_transactional_id(Some(self.id.clone().into()));
        let answer = self.client.ask(&request.with_transaction_timeout_ms(timeout_ms)).await;
        if answer.error_code == 0 {
            (self.producer_id, self.epoch) = (answer.producer_id.0, answer.producer_epoch);
            self.sequences.clear();
        }
        answer.error_code
    }

    pub(super) async fn add(&mut self, topic: &str, partitions: &[i32]) -> Vec<i16> {
        let added = AddPartitionsToTxnTopic::default().with_name(name(topic).into());
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id.clone().into())
            .with_v3_and_below_producer_id(self.producer_id.into())
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![added.with_partitions(partitions.to_vec())]);
        let answer = self.client.ask(&request).await;
        let results = &answer.results_by_topic_v3_and_below[0].results_by_partition;
        results.iter().map(|result| result.partition_error_code).collect()
    }

    pub(super) async fn write(&mut self, topic: &str, partition: i32, values: &[&str]) -> i16 {
        let sequence = self.sequences.entry((topic.to_owned(), partition)).or_default();
        let batch = BatchBuilder::new(Compression::None).producer(self.producer_id, self.epoch, *sequence);
        let mut batch = batch.transactional();
        for value in values {
            batch.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
        }
        let request = produce(topic, -1, vec![(partition, batch.build().unwrap())]);
        let request = request.with_transactional_id(Some(self.id.clone().into()));
        let code = self.client.ask(&request).await.responses[0].partition_responses[0].error_code;
        if code == 0 {
            *sequence += i32::try_from(values.len()).unwrap();
        }
        code
    }

    pub(super) async fn end(&mut self, commit: bool) -> i16 {
        let request = EndTxnRequest::default().with_transactional_id(self.id.clone().into());
        let request = request.with_producer_id(self.producer_id.into()).with_producer_epoch(self.epoch);
        self.client.ask(&request.with_committed(commit)).await.error_code
    }

    pub(super) async fn add_group(&mut self, group: &str) -> i16 {
        let request = AddOffsetsToTxnRequest::default().with_transactional_id(self.id.clone().into());
        let request = request.with_producer_id(self.producer_id.into()).with_producer_epoch(self.epoch);
        self.client.ask(&request.with_group_id(name(group).into())).await.error_code
    }

    fn offsets(&self, group: &str, offset: i64) -> TxnOffsetCommitRequest {
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default().with_name(name("plant").into());
        TxnOffsetCommitRequest::default()
            .with_transactional_id(self.id.clone().into())
            .with_group_id(name(group).into())
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.epoch)
            .with_topics(vec![topic.with_partitions(vec![partition])])
    }

    pub(super) async fn commit_offset(&mut self, group: &str, offset: i64) -> i16 {
        let request = self.offsets(group, offset);
        self.client.ask(&request).await.topics[0].partitions[0].error_code
    }
}

/// The values that a reader of committed data finds in a partition, by way of a Fetch.
pub(super) async fn committed(client: &mut Client, topic: &str, partition: i32) -> Vec<String> {
    let (mut offset, mut found) = (0, Vec::new());
    loop {
        let mut request = fetch(topic, offset, 0).with_isolation_level(1);
        request.topics[0].partitions[0].partition = partition;
        let answer = client.ask(&request).await;
        let data = &answer.responses[0].partitions[0];
        assert_eq!(data.error_code, 0);
        let records = data.records.clone().unwrap_or_default();
        if records.is_empty() {
            assert_eq!(offset, data.last_stable_offset);
            return found;
        }
        let aborted = data.aborted_transactions.clone().unwrap_or_default();
        let mut aborted: Vec<_> = aborted.iter().map(|it| (it.first_offset, it.producer_id.0)).collect();
        aborted.sort_unstable_by(|a, b| b.cmp(a));
        let mut within = HashSet::new();
        for batch in Batches::new(&records) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            assert!(batch.header.last_offset() < data.last_stable_offset);
            while let Some((_, producer)) = aborted.pop_if(|(first, _)| *first <= batch.header.last_offset())
            {
                within.insert(producer);
            }
            offset = batch.header.next_offset();
            if batch.header.is_control() {
                if batch.marker(&Scratch::new()).unwrap() == Some(crate::records::Marker::Abort) {
                    within.remove(&batch.header.producer_id);
                }
                continue;
            }
            if batch.header.is_transactional() && within.contains(&batch.header.producer_id) {
                continue;
            }
            let read = batch.records(1 << 20, &Scratch::new()).unwrap();
            for record in &read {
                let value = record.unwrap().value.unwrap();
                let value = &read.data[value.start as usize..value.end as usize];
                found.push(String::from_utf8(value.to_vec()).unwrap());
            }
        }
    }
}

pub(super) async fn group_offset(client: &mut Client, group: &str, stable: bool) -> (i64, i16) {
    let topic = OffsetFetchRequestTopic::default().with_name(name("plant").into());
    let topics = Some(vec![topic.with_partition_indexes(vec![0])]);
    let request = OffsetFetchRequest::default().with_group_id(name(group).into()).with_topics(topics);
    let answer = match stable {
        true => client.ask_newest(&request.with_require_stable(true)).await,
        false => client.ask(&request).await,
    };
    let partition = &answer.topics[0].partitions[0];
    (partition.committed_offset, partition.error_code)
}

async fn ends(client: &mut Client, isolation: i8) -> i64 {
    let request = latest("plant").with_isolation_level(isolation);
    client.ask(&request).await.topics[0].partitions[0].offset
}

#[tokio::test]
async fn a_reader_of_committed_data_sees_whole_transactions_and_no_aborted_ones() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 2).await;
    let found = client.ask(&FindCoordinatorRequest::default().with_key(name("a")).with_key_type(1)).await;
    assert_eq!((found.error_code, found.port), (0, i32::from(served.addr.port())));
    let (mut a, mut b) = (Producer::start(&served, "a").await, Producer::start(&served, "b").await);
    assert_ne!(a.producer_id, b.producer_id);
    let mut expected = Vec::new();
    for round in 0..3 {
        assert_eq!(a.add("plant", &[0, 1]).await, [0, 0]);
        assert_eq!(b.add("plant", &[0]).await, [0]);
        let values = ["a0", "b0", "a1", "b1"].map(|value| format!("{value}-{round}"));
        assert_eq!(a.write("plant", 0, &[&values[0]]).await, 0);
        assert_eq!(b.write("plant", 0, &[&values[1]]).await, 0);
        assert_eq!(a.write("plant", 0, &[&values[2]]).await, 0);
        assert_eq!(b.write("plant", 0, &[&values[3]]).await, 0);
        assert_eq!(committed(&mut client, "plant", 0).await, expected, "both are open");
        assert_eq!(a.end(false).await, 0);
        assert_eq!(committed(&mut client, "plant", 0).await, expected, "b is open");
        let stable = ends(&mut client, 1).await;
        assert!(stable < ends(&mut client, 0).await);
        assert_eq!(b.end(true).await, 0);
        expected.extend([values[1].clone(), values[3].clone()]);
        assert_eq!(committed(&mut client, "plant", 0).await, expected);
        assert_eq!(ends(&mut client, 1).await, ends(&mut client, 0).await);
        // The same producer, once more.
        assert_eq!(a.add("plant", &[0]).await, [0]);
        assert_eq!(a.write("plant", 0, &["again"]).await, 0);
        assert_eq!((a.end(true).await, a.end(true).await), (0, 0), "a repeated end");
        expected.push("again".to_owned());
        assert_eq!(committed(&mut client, "plant", 0).await, expected);
    }
    assert_eq!(ends(&mut client, 0).await, 3 * (4 + 2 + 2));
    assert!(committed(&mut client, "plant", 1).await.is_empty());
    let other = latest("plant").with_isolation_level(0);
    let mut other = other;
    other.topics[0].partitions[0].partition_index = 1;
    let end = client.ask(&other).await.topics[0].partitions[0].offset;
    assert_eq!(end, 0, "where nothing was written there is no marker");
    served.stop().await;
}

#[tokio::test]
async fn a_waiting_reader_of_committed_data_wakes_with_the_commit() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let mut a = Producer::start(&served, "a").await;
    a.add("plant", &[0]).await;
    let waiting = client.send(11, &fetch("plant", 0, 20_000).with_isolation_level(1)).await;
    assert_eq!(a.write("plant", 0, &["x"]).await, 0);
    let mut byte = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(200), client.stream.peek(&mut byte)).await;
    assert!(early.is_err(), "it was answered early");
    assert_eq!(a.end(true).await, 0);
    let answer = client.receive::<FetchRequest>(11, waiting).await;
    assert!(!answer.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
    served.stop().await;
}

#[tokio::test]
async fn a_newer_producer_shuts_the_older_out_and_aborts_its_transaction() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 2).await;
    let mut old = Producer::start(&served, "a").await;
    old.add("plant", &[0]).await;
    assert_eq!(old.write("plant", 0, &["void"]).await, 0);
    let mut new = Producer::start(&served, "a").await;
    assert_eq!((new.producer_id, new.epoch > old.epoch), (old.producer_id, true));
    assert_eq!(ends(&mut client, 1).await, 2, "the record and its marker");
    assert_eq!(old.write("plant", 0, &["zombie"]).await, 47);
    assert_eq!(old.add("plant", &[1]).await, [47]);
    assert_eq!(old.end(true).await, 47);
    assert_eq!(old.add_group("g").await, 47);
    assert_eq!(old.commit_offset("g", 1).await, 47);
    assert_eq!(new.add("plant", &[0]).await, [0]);
    assert_eq!(old.write("plant", 0, &["zombie"]).await, 47, "also while the newer one writes there");
    assert_eq!(new.write("plant", 0, &["kept"]).await, 0);
    assert_eq!(new.end(true).await, 0);
    assert_eq!(committed(&mut client, "plant", 0).await, ["kept"]);
    served.stop().await;
}

#[tokio::test]
async fn what_is_out_of_order_is_refused_with_kafkas_errors() {
    let options = ServerOptions { max_transactional_ids: 2, ..Default::default() };
    let served = Served::start_with(options).await;
    let mut client = served.client().await;
    client.create("plant", 2).await;
    let mut a = Producer::start(&served, "a").await;
    for timeout in [0, -1, 900_001] {
        assert_eq!(a.init(timeout).await, 50, "{timeout}");
    }
    assert_eq!(a.end(true).await, 48, "nothing was begun");
    assert_eq!(a.write("plant", 0, &["x"]).await, 48, "the partition was not added");
    assert_eq!(a.add("plant", &[0, 7]).await, [55, 3]);
    assert_eq!(a.add("plant", &[0]).await, [0]);
    assert_eq!(a.write("plant", 1, &["x"]).await, 48, "another partition");
    assert_eq!(a.write("plant", 0, &["x"]).await, 0);
    assert_eq!(a.commit_offset("g", 1).await, 48, "the group was not added");
    let plain = BatchBuilder::new(Compression::None).producer(a.producer_id, a.epoch, 1);
    let mut plain = plain;
    plain.append(1, None, None, &[]);
    let plain = client.ask(&produce("plant", -1, vec![(0, plain.build().unwrap())])).await;
    assert_eq!(plain.responses[0].partition_responses[0].error_code, 48, "outside of its transaction");
    let id = a.producer_id;
    a.producer_id += 1;
    assert_eq!((a.end(true).await, a.add("plant", &[0]).await), (49, vec![49]));
    a.producer_id = id;
    assert_eq!((a.end(true).await, a.end(false).await), (0, 48));
    let _b = Producer::start(&served, "b").await;
    let mut c = Producer { client: served.client().await, id: name("c"), ..a };
    assert_eq!(c.init(1000).await, 44, "too many ids");
    c.id = name("");
    assert_eq!(c.init(1000).await, 42);
    assert_eq!(committed(&mut client, "plant", 0).await, ["x"]);
    served.stop().await;
}

#[tokio::test]
async fn offsets_come_with_the_commit_and_only_with_it() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let mut a = Producer::start(&served, "a").await;
    for (commit, offset, before) in [(false, 5, -1), (true, 7, -1), (false, 9, 7), (true, 11, 7)] {
        assert_eq!(a.add_group("g").await, 0);
        if offset == 11 {
            let newest = a.offsets("g", offset).with_generation_id(-1);
            assert_eq!(a.client.ask_newest(&newest).await.topics[0].partitions[0].error_code, 0);
        } else {
            assert_eq!(a.commit_offset("g", offset).await, 0);
        }
        assert_eq!(group_offset(&mut client, "g", false).await, (before, 0));
        assert_eq!(group_offset(&mut client, "g", true).await, (-1, 88), "it is about to change");
        assert_eq!(group_offset(&mut client, "other", true).await, (-1, 0));
        assert_eq!(a.end(commit).await, 0);
        let after = if commit { offset } else { before };
        assert_eq!(group_offset(&mut client, "g", true).await, (after, 0));
    }
    assert_eq!(a.add_group("g").await, 0);
    let stranger = a.offsets("g", 1).with_generation_id(3).with_member_id(name("nobody"));
    assert_eq!(a.client.ask_newest(&stranger).await.topics[0].partitions[0].error_code, 22);
    let dir = served.stop().await;
    let served = Served::start_in(dir, ServerOptions::default()).await;
    let mut client = served.client().await;
    assert_eq!(group_offset(&mut client, "g", true).await, (11, 0), "also after a restart");
    served.stop().await;
}

#[tokio::test]
async fn a_topic_that_goes_takes_its_part_of_a_transaction_along() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    client.create("other", 1).await;
    let mut a = Producer::start(&served, "a").await;
    a.add("plant", &[0]).await;
    a.add("other", &[0]).await;
    a.add_group("g").await;
    assert_eq!(a.commit_offset("g", 5).await, 0);
    assert_eq!((a.write("plant", 0, &["x"]).await, a.write("other", 0, &["y"]).await), (0, 0));
    let gone = DeleteTopicsRequest::default().with_topic_names(vec![name("plant").into()]);
    assert_eq!(client.ask(&gone).await.responses[0].error_code, 0);
    client.create("plant", 1).await;
    assert_eq!(a.end(true).await, 0);
    assert_eq!(committed(&mut client, "other", 0).await, ["y"]);
    assert_eq!(group_offset(&mut client, "g", true).await, (-1, 0), "the new topic begins at 0");
    assert_eq!(ends(&mut client, 0).await, 0);
    served.stop().await;
}
