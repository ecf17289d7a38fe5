//! Writing one batch: the bare call under the [`Producer`](super::Producer).

use bytes::Bytes;
use forebay_core::{Partition, Result};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProducerId, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use super::client::Client;
use super::error::{check, unavailable};
use super::metadata::topic_name;

/// What the broker says of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// 0, or one of Kafka's error codes.
    pub(super) code: i16,
    /// The offset of the batch's first record.
    pub(super) base_offset: i64,
    /// Why it was refused, in the broker's words.
    pub(super) why: Option<String>,
    /// The records that are to blame, by their numbers in the batch, with the broker's words of each.
    pub(super) named: Vec<(usize, Option<String>)>,
}

impl Client {
    /// An identity under which batches carry sequence numbers: (id, epoch).
    pub(super) async fn producer_id(&self) -> Result<(i64, i16)> {
        let ask = || async {
            let request = InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(60_000)
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1);
            let answer = self.any().await?.call(&request).await?;
            check(answer.error_code, &"to give out a producer id")?;
            Ok((answer.producer_id.0, answer.producer_epoch))
        };
        self.retrying(ask).await
    }

    /// Sends one batch to the partition's leader and waits until all in-sync replicas have it, once. `transaction` is the
    /// transactional id of a batch that is part of a transaction.
    pub(super) async fn produce(
        &self,
        partition: &Partition,
        batch: Bytes,
        transaction: Option<&str>,
    ) -> Result<Answer> {
        let Some(leader) = self.leader(partition) else {
            return Err(unavailable("the cluster", format!("partition {partition} has no leader")));
        };
        let connection = self.broker(leader).await?;
        let data = PartitionProduceData::default().with_index(partition.index).with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(topic_name(&partition.topic))
            .with_partition_data(vec![data]);
        let id = transaction.map(|id| TransactionalId(StrBytes::from_string(id.to_owned())));
        let request = ProduceRequest::default()
            .with_transactional_id(id)
            .with_acks(-1)
            .with_timeout_ms(i32::try_from(self.config().request_timeout.as_millis()).unwrap_or(i32::MAX))
            .with_topic_data(vec![topic]);
        let answer = connection.call(&request).await?;
        let written = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let written = written.ok_or_else(|| {
            unavailable(connection.address(), "its answer names no partition that was written")
        })?;
        let text = |words: &Option<StrBytes>| words.as_ref().map(ToString::to_string);
        let named = written.record_errors.iter().filter_map(|record| {
            let number = usize::try_from(record.batch_index).ok()?;
            Some((number, text(&record.batch_index_error_message)))
        });
        Ok(Answer {
            code: written.error_code,
            base_offset: written.base_offset,
            why: text(&written.error_message),
            named: named.collect(),
        })
    }
}
