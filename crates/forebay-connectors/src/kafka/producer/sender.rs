//! Sends one partition's batches, one at a time, until each is written once or has failed for good.
//!
//! One batch in flight per partition keeps the order under every failure; while it is away the next one fills, so
//! throughput adapts to the broker by itself. Each partition has a producer id of its own: a batch carries the
//! sequence number of its first record, and a broker that has seen it answers without writing it again. So a batch
//! whose answer was lost may be sent again, and **nothing else may**: once a batch has failed for good its fate is
//! unknown, and the batches behind it go on under a new id. In a transaction there is one author for all partitions, and
//! no other comes in its place: there a failure is that of the whole transaction. A batch that is refused for the sake of some
//! of its records has used no sequence numbers, so what is left of it goes on with them (`aside.rs`).

use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Partition, Result};
use forebay_log::records::BatchBuilder;
use forebay_storage::kill_point;
use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};
use tokio::time::{Instant, sleep};

use super::super::client::Client;
use super::super::error::{is_stale_leader, refused};
use super::super::retry::Backoff;
use super::super::transactions::Author;
use super::aside::{Aside, Refusal};
use super::queue::{Queue, Waiting};
use super::transaction::Transaction;
use super::{Budget, ProducerConfig};

/// Who a partition's batches come from, and the sequence number of the next one.
#[derive(Clone, Copy, Debug)]
struct Identity {
    id: i64,
    epoch: i16,
    sequence: i32,
}

/// Runs until the producer is dropped.
pub(super) async fn run(
    client: Client,
    queue: Arc<Queue>,
    config: ProducerConfig,
    (budget, aside): (Arc<Budget>, Arc<Aside>),
    transaction: Option<Arc<Transaction>>,
) {
    let transaction = transaction.as_deref();
    let identity = transaction.map(|transaction| Identity::of(transaction.author()));
    let partition = &queue.partition;
    let mut sender = Sender { client: &client, partition, config: &config, transaction, identity };
    loop {
        let Waiting { builder, outcome: told, since, sifted } = queue.next(config.linger).await;
        let (size, records) = (builder.size(), builder.len());
        let mut outcome = match sifted {
            true => sender.sift(builder, &aside).await,
            false => sender.whole(&builder, since).await,
        };
        if outcome.is_err() && transaction.is_none() {
            sender.identity = None;
        }
        if let (Err(error), Some(transaction)) = (&outcome, transaction) {
            // Told once, by whoever ends the transaction.
            outcome = Err(transaction.fail(error));
        } else if let Err(error) = &outcome {
            tracing::error!(%error, %partition, records, "records not written");
        }
        if let Err(error) = &outcome {
            budget.remember(error);
        }
        budget.give_back(size);
        told.send_replace(Some(outcome));
    }
}

/// Sends to one partition.
struct Sender<'a> {
    client: &'a Client,
    partition: &'a Partition,
    config: &'a ProducerConfig,
    transaction: Option<&'a Transaction>,
    /// Who the next batch comes from.
    identity: Option<Identity>,
}

/// What a leader did with a batch.
enum Delivered {
    /// It is there; the offset of its first record.
    Written(i64),
    /// Nothing of it is, for the sake of some of its records. Its sequence numbers are free.
    Refused(Refusal),
}

impl Sender<'_> {
    /// Writes a batch as it is.
    async fn whole(&mut self, batch: &BatchBuilder, since: Instant) -> Result<i64> {
        match self.deliver(batch, since).await? {
            Delivered::Written(offset) => Ok(offset),
            Delivered::Refused(refusal) => Err(told(refusal.error, self.partition, batch, self.transaction)),
        }
    }

    /// Writes those records of a batch that the topic takes; the others come to `aside`. Gives no offset: there may be several.
    async fn sift(&mut self, batch: BatchBuilder, aside: &Aside) -> Result<i64> {
        let mut pieces = vec![batch];
        while let Some(piece) = pieces.pop() {
            if let Delivered::Refused(refusal) = self.deliver(&piece, Instant::now()).await? {
                pieces.extend(refusal.apart(&piece, self.partition, aside)?);
            }
        }
        Ok(-1)
    }

    async fn deliver(&mut self, batch: &BatchBuilder, since: Instant) -> Result<Delivered> {
        let Self { client, partition, config, transaction, identity } = self;
        if let Some(transaction) = transaction {
            transaction.join(partition).await?;
        }
        let deadline = since + config.delivery_timeout;
        let mut backoff = Backoff::new(client.config().backoff);
        // True once an attempt may have reached the log without our knowing.
        let mut in_doubt = false;
        let mut bytes = None;
        loop {
            if identity.is_none() {
                bytes = None;
            }
            let failure = match sign_in(client, identity).await {
                // Nothing was sent yet, so this is no doubt.
                Err(error) if error.is_retryable() && error.code() != &codes::SOURCE_AUTH => error,
                Err(error) => return Err(error),
                Ok(who) => {
                    let encoded = match &bytes {
                        Some(encoded) => encoded,
                        None => bytes.insert(who.sign(batch, transaction.is_some())?),
                    };
                    match client.produce(partition, encoded.clone(), transaction.map(Transaction::name)).await
                    {
                        Ok(answer) => match answer.code.err() {
                            None | Some(ResponseError::DuplicateSequenceNumber) => {
                                if transaction.is_some() {
                                    kill_point("sink.kafka.batch.after");
                                }
                                if let Some(identity) = identity {
                                    identity.advance(batch.len());
                                }
                                return Ok(Delivered::Written(answer.base_offset));
                            }
                            Some(refusal) => {
                                let error = told(refusal, partition, batch, *transaction);
                                match Refusal::of(refusal, &answer) {
                                    Some(refusal) if !in_doubt => return Ok(Delivered::Refused(refusal)),
                                    // An earlier answer was lost: whether the topic took it then, nobody knows.
                                    Some(_) => return Err(error.with_retry(true)),
                                    None => {}
                                }
                                if transaction.is_none() && forgot_us(refusal) && !in_doubt {
                                    // It wrote nothing of this batch, so a new identity cannot double it.
                                    *identity = None;
                                } else if !(refusal.is_retriable() || is_stale_leader(refusal)) {
                                    return Err(error);
                                }
                                error
                            }
                        },
                        Err(error) if error.is_retryable() => {
                            in_doubt = true;
                            error
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            let pause = backoff.pause();
            if Instant::now() + pause >= deadline {
                let message =
                    format!("records for {partition} were not written in {:?}", config.delivery_timeout);
                return Err(Error::new(&codes::SOURCE_UNAVAILABLE, message).caused_by(failure));
            }
            tracing::debug!(%failure, %partition, "sending again");
            sleep(pause).await;
            if let Err(error) = client.learn_leaders(std::iter::once(*partition)).await {
                tracing::debug!(%error, "no news about leaders");
            }
        }
    }
}

/// Who the batches come from: as before, or under an id that the cluster gives out now.
async fn sign_in(client: &Client, identity: &mut Option<Identity>) -> Result<Identity> {
    if let Some(who) = *identity {
        return Ok(who);
    }
    Ok(*identity.insert(Identity::new(client).await?))
}

/// The broker does not know our sequence: its memory of us expired, or was lost.
fn forgot_us(refusal: ResponseError) -> bool {
    use ResponseError as E;
    matches!(refusal, E::UnknownProducerId | E::OutOfOrderSequenceNumber | E::InvalidProducerEpoch)
}

/// The error for a batch that the leader refused.
fn told(
    refusal: ResponseError,
    partition: &Partition,
    batch: &BatchBuilder,
    transaction: Option<&Transaction>,
) -> Error {
    if !matches!(refusal, ResponseError::MessageTooLarge | ResponseError::RecordListTooLarge) {
        let what = format!("records for {partition}");
        return match transaction {
            Some(transaction) => transaction.calls().refusal(refusal, &what),
            None => refused(refusal, &what),
        };
    }
    let (records, bytes) = (batch.len(), batch.size());
    let message = match records {
        1 => format!("a record of {bytes} bytes is larger than what topic `{}` takes", partition.topic),
        _ => format!(
            "{records} records of {bytes} bytes are more than topic `{}` takes at once",
            partition.topic
        ),
    };
    Error::new(&codes::SOURCE_REFUSED, message)
        .with_detail(format!("{refusal} (code {})", refusal.code()))
        .at(partition)
        .with_hint(
            "Raise the topic's `max.message.bytes`, or lower `kafka.batch.size` if single records are small.",
        )
}

impl Identity {
    async fn new(client: &Client) -> Result<Self> {
        let (id, epoch) = client.producer_id().await?;
        Ok(Self { id, epoch, sequence: 0 })
    }

    /// That of a transaction's author, before its first batch for a partition.
    fn of(author: Author) -> Self {
        Self { id: author.id, epoch: author.epoch, sequence: 0 }
    }

    /// The batch as this identity's next.
    fn sign(self, batch: &BatchBuilder, transactional: bool) -> Result<bytes::Bytes> {
        let builder = batch.clone().producer(self.id, self.epoch, self.sequence);
        let builder = if transactional { builder.transactional() } else { builder };
        builder
            .build()
            .map_err(|error| Error::new(&codes::BAD_VALUE, "records do not make a batch").caused_by(error))
    }

    /// Sequence numbers go from the greatest back to 0.
    fn advance(&mut self, records: usize) {
        let next = (i64::from(self.sequence) + records as i64) % (i64::from(i32::MAX) + 1);
        self.sequence = next as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        let mut identity = Identity { id: 1, epoch: 0, sequence: i32::MAX - 1 };
        identity.advance(1);
        assert_eq!(identity.sequence, i32::MAX);
        identity.advance(3);
        assert_eq!(identity.sequence, 2);
    }
}
