//! Records that a topic refuses for good, found among the others of their batch.
//!
//! A broker takes a batch as a whole or not at all, and says of some refusals which records are to blame. Of a batch that is
//! larger than the topic takes nobody is, until it stands alone: so it is halved. What is left goes on in its order; the
//! refused records wait for whoever asked for it. What must stay true: only records are set aside that the broker has
//! said it will not take, and of which nothing was written.

use std::collections::BTreeMap;

use forebay_core::error::codes;
use forebay_core::{Error, Partition, Result};
use forebay_log::records::{BatchBuilder, RecordsError, headers};
use kafka_protocol::error::ResponseError;
use parking_lot::Mutex;

use super::super::write::Answer;

/// Most bytes of refused records that wait to be taken: so many are not the fault of records.
const MOST_BYTES: usize = 64 << 20;

/// A record that its topic does not take, now and whenever it came again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Where it was to go.
    pub partition: Partition,
    /// Kafka's name of the reason, such as `MESSAGE_TOO_LARGE`.
    pub code: &'static str,
    /// The broker's words.
    pub why: String,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Those of a producer that nobody has taken yet.
#[derive(Debug, Default)]
pub(super) struct Aside {
    held: Mutex<(Vec<RefusedRecord>, usize)>,
}

impl Aside {
    pub fn take(&self) -> Vec<RefusedRecord> {
        std::mem::take(&mut *self.held.lock()).0
    }

    fn put(&self, record: RefusedRecord) -> Result<()> {
        let mut held = self.held.lock();
        held.1 += record.key.as_ref().map_or(0, Vec::len) + record.value.as_ref().map_or(0, Vec::len);
        if held.1 > MOST_BYTES {
            let (topic, code) = (&record.partition.topic, record.code);
            let message =
                format!("topic `{topic}` refuses more than {} MiB of records ({code})", MOST_BYTES >> 20);
            return Err(Error::new(&codes::SOURCE_REFUSED, message).with_detail(record.why).with_hint(
                "So many records are not to blame themselves: look at the topic's `max.message.bytes` and `cleanup.policy`, \
                 and at the query's columns `key` and `value`.",
            ));
        }
        held.0.push(record);
        Ok(())
    }
}

/// A batch that was refused for the sake of its records.
#[derive(Debug)]
pub(super) struct Refusal {
    pub error: ResponseError,
    why: Option<String>,
    /// The records that the broker names, by their numbers, with its words of each.
    named: BTreeMap<usize, Option<String>>,
}

impl Refusal {
    /// `None` if it is not for the sake of its records. A record that is no record (`INVALID_RECORD`) is told from a
    /// transaction that is not known, which some brokers refuse by the same code, by being named.
    pub fn of(error: ResponseError, answer: &Answer) -> Option<Self> {
        let is_size = matches!(error, ResponseError::MessageTooLarge | ResponseError::RecordListTooLarge);
        let is_named = error == ResponseError::InvalidRecord && !answer.named.is_empty();
        let named = if is_named { answer.named.iter().cloned().collect() } else { BTreeMap::new() };
        (is_size || is_named).then(|| Self { error, why: answer.why.clone(), named })
    }

    /// What is left to send of the batch, the last first; what is refused for good comes to `aside`.
    ///
    /// # Errors
    /// `SOURCE_REFUSED` if too much is refused.
    pub fn apart(
        &self,
        batch: &BatchBuilder,
        partition: &Partition,
        aside: &Aside,
    ) -> Result<Vec<BatchBuilder>> {
        let count = batch.len();
        let is_refused = |number: usize| count == 1 || self.named.contains_key(&number);
        if !(0..count).any(is_refused) {
            let (first, last) =
                (part(batch, |number| number < count / 2)?, part(batch, |number| number >= count / 2)?);
            return Ok(vec![last, first]);
        }
        let records = batch.records().map_err(unreadable)?;
        for (number, record) in records.iter().enumerate().filter(|(number, _)| is_refused(*number)) {
            let record = record.map_err(unreadable)?;
            let bytes = |range: &std::ops::Range<u32>| {
                records.data.get(range.start as usize..range.end as usize).unwrap_or_default().to_vec()
            };
            let of_record = headers(&records.data, record.headers, record.header_count);
            aside.put(RefusedRecord {
                partition: partition.clone(),
                code: self.code(),
                why: self.words(number, batch, partition),
                key: record.key.as_ref().map(bytes),
                value: record.value.as_ref().map(bytes),
                headers: of_record
                    .map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)))
                    .collect(),
            })?;
        }
        let rest = part(batch, |number| !is_refused(number))?;
        Ok(if rest.is_empty() { Vec::new() } else { vec![rest] })
    }

    fn code(&self) -> &'static str {
        match self.error {
            ResponseError::MessageTooLarge => "MESSAGE_TOO_LARGE",
            ResponseError::RecordListTooLarge => "RECORD_LIST_TOO_LARGE",
            _ => "INVALID_RECORD",
        }
    }

    fn words(&self, number: usize, batch: &BatchBuilder, partition: &Partition) -> String {
        let of_record = self.named.get(&number).cloned().flatten();
        of_record.or_else(|| self.why.clone()).unwrap_or_else(|| {
            format!(
                "a record of {} bytes is larger than what topic `{}` takes",
                batch.size(),
                partition.topic
            )
        })
    }
}

fn part(batch: &BatchBuilder, keep: impl Fn(usize) -> bool) -> Result<BatchBuilder> {
    batch.only(keep).map_err(unreadable)
}

fn unreadable(error: RecordsError) -> Error {
    Error::new(&codes::INTERNAL, "a batch that was refused cannot be taken apart").caused_by(error)
}

#[cfg(test)]
mod tests {
    use forebay_log::records::Compression;

    use super::*;

    fn batch(values: &[&str]) -> BatchBuilder {
        let mut batch = BatchBuilder::new(Compression::Lz4);
        for (number, value) in values.iter().enumerate() {
            batch.append(1_000 + number as i64, None, Some(value.as_bytes()), &[("h", Some(b"1"))]);
        }
        batch
    }

    fn values(batch: &BatchBuilder) -> Vec<String> {
        let records = batch.records().unwrap();
        let value = |record: Result<forebay_log::records::RecordRef, _>| {
            let range = record.unwrap().value.unwrap();
            String::from_utf8(records.data[range.start as usize..range.end as usize].to_vec()).unwrap()
        };
        records.iter().map(value).collect()
    }

    fn answer(named: &[(usize, &str)]) -> Answer {
        let named = named.iter().map(|(number, why)| (*number, Some((*why).to_owned()))).collect();
        Answer { code: 0, base_offset: -1, why: None, named }
    }

    /// Sends to a topic that takes no batch in which `is_bad` finds a value; what it has, in order.
    fn sent(
        whole: BatchBuilder,
        refusal: &Refusal,
        aside: &Aside,
        is_bad: fn(&[String]) -> bool,
    ) -> Vec<String> {
        let (mut topic, mut pieces) = (Vec::new(), vec![whole]);
        while let Some(piece) = pieces.pop() {
            if is_bad(&values(&piece)) {
                pieces.extend(refusal.apart(&piece, &Partition::new("t", 0), aside).unwrap());
            } else {
                topic.extend(values(&piece));
            }
        }
        topic
    }

    #[test]
    fn a_record_that_is_too_large_is_found_among_its_neighbours_which_keep_their_order() {
        let refusal = Refusal::of(ResponseError::MessageTooLarge, &answer(&[])).unwrap();
        let too_large = |values: &[String]| values.iter().map(String::len).sum::<usize>() > 8;
        for (given, left, refused) in [
            (&["a", "much-too-large", "b", "c"][..], &["a", "b", "c"][..], &["much-too-large"][..]),
            (&["much-too-large"], &[], &["much-too-large"]),
            (&["much-too-large", "x", "also-too-large"], &["x"], &["much-too-large", "also-too-large"]),
            (&["1234", "5678", "9012", "3456"], &["1234", "5678", "9012", "3456"], &[]),
        ] {
            let aside = Aside::default();
            assert_eq!(sent(batch(given), &refusal, &aside, too_large), left, "{given:?}");
            let found: Vec<RefusedRecord> = aside.take();
            let text = |it: &RefusedRecord| String::from_utf8(it.value.clone().unwrap()).unwrap();
            assert_eq!(found.iter().map(text).collect::<Vec<_>>(), refused, "{given:?}");
            assert!(found.iter().all(|it| it.code == "MESSAGE_TOO_LARGE" && it.why.contains("`t`")));
            assert!(found.iter().all(|it| it.headers == [("h".to_owned(), Some(b"1".to_vec()))]));
            assert!(aside.take().is_empty(), "they are taken once");
        }
    }

    #[test]
    fn records_that_the_broker_names_are_set_aside_at_once_with_its_words() {
        let named = answer(&[(0, "no key"), (2, "no key either"), (9, "there is none")]);
        let refusal = Refusal::of(ResponseError::InvalidRecord, &named).unwrap();
        let aside = Aside::default();
        let left = refusal.apart(&batch(&["a", "b", "c"]), &Partition::new("t", 0), &aside).unwrap();
        assert_eq!(left.iter().map(values).collect::<Vec<_>>(), [["b"]]);
        let why: Vec<String> = aside.take().into_iter().map(|it| it.why).collect();
        assert_eq!(why, ["no key", "no key either"]);
    }

    #[test]
    fn what_is_not_the_fault_of_records_sets_none_aside() {
        for error in [
            ResponseError::InvalidRecord,
            ResponseError::InvalidTxnState,
            ResponseError::OutOfOrderSequenceNumber,
            ResponseError::TopicAuthorizationFailed,
        ] {
            assert!(Refusal::of(error, &answer(&[])).is_none(), "{error:?}");
        }
    }

    #[test]
    fn a_topic_that_refuses_everything_is_an_error() {
        let aside = Aside::default();
        let refusal = Refusal::of(ResponseError::MessageTooLarge, &answer(&[])).unwrap();
        let large = batch(&[&"x".repeat(40 << 20)]);
        refusal.apart(&large, &Partition::new("t", 0), &aside).unwrap();
        let error = refusal.apart(&large, &Partition::new("t", 0), &aside).unwrap_err();
        assert_eq!(error.code(), &codes::SOURCE_REFUSED);
        assert!(error.message().contains("`t`") && error.hint().contains("max.message.bytes"), "{error}");
    }
}
