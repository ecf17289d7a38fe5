//! What a batch must be before it is queued. Where it runs, so that it keeps nobody waiting, is said in `checks.rs`.
//!
//! The records are walked once, in a buffer that is used again; the batch itself is not copied. What the log stores
//! is what came, but for the header: the base offset follows when the batch has its place, and here, where it must
//! change, the greatest timestamp (and then the crc): the time index relies on it being true.

use bytes::Bytes;

use super::config::TimestampType;
use super::options::MAX_APPEND_BYTES;
use crate::LogError;
use crate::records::{
    Batch, BatchHeader, Batches, CRC_COVERS_FROM, HEADER_BYTES, LOG_APPEND_TIME, RecordsError, Scratch,
};

/// What holds for the batches of one topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub max_message_bytes: usize,
    pub max_expanded_bytes: usize,
    pub timestamp_type: TimestampType,
    /// Milliseconds by which a timestamp may be ahead of the clock.
    pub max_ahead: i64,
}

/// A batch that may be stored.
#[derive(Debug)]
pub(super) struct Sound {
    /// As it will be stored, but for the base offset.
    pub header: BatchHeader,
    /// What follows the header: a slice of what came.
    pub body: Bytes,
}

/// Checks all batches of one append, which came at `now`; they are accepted or refused together.
pub(super) fn validate(
    batches: &Bytes,
    rules: &Rules,
    now: i64,
    scratch: &Scratch,
) -> Result<Vec<Sound>, LogError> {
    if batches.len() > MAX_APPEND_BYTES {
        return Err(LogError::BatchTooLarge { size: batches.len(), limit: MAX_APPEND_BYTES });
    }
    let mut sound = Vec::new();
    let mut walk = Batches::new(batches);
    for batch in &mut walk {
        sound.push(check(batch.map_err(damage)?, rules, now, scratch)?);
    }
    if walk.rest() > 0 || sound.is_empty() {
        return Err(LogError::InvalidBatch(RecordsError::BadHeader(
            "the batch is cut off, or there is none",
        )));
    }
    Ok(sound)
}

fn damage(error: RecordsError) -> LogError {
    match error {
        RecordsError::BadCrc { .. } | RecordsError::BadLength(_) => LogError::CorruptBatch(error),
        other => LogError::InvalidBatch(other),
    }
}

fn check(batch: Batch, rules: &Rules, now: i64, scratch: &Scratch) -> Result<Sound, LogError> {
    let mut header = batch.header;
    if header.length > rules.max_message_bytes {
        return Err(LogError::BatchTooLarge { size: header.length, limit: rules.max_message_bytes });
    }
    batch.verify_crc().map_err(damage)?;
    check_header(&header)?;
    let max_timestamp = walk_records(&batch, rules, scratch)?;
    let changed = match rules.timestamp_type {
        TimestampType::CreateTime if max_timestamp > now.saturating_add(rules.max_ahead) => {
            return Err(LogError::InvalidTimestamp { timestamp: max_timestamp, now });
        }
        TimestampType::CreateTime => {
            let changed = header.max_timestamp != max_timestamp;
            header.max_timestamp = max_timestamp;
            changed
        }
        TimestampType::LogAppendTime => {
            header.attributes |= LOG_APPEND_TIME;
            header.max_timestamp = now;
            true
        }
    };
    header.leader_epoch = 0;
    let body = batch.bytes.slice(HEADER_BYTES..);
    if changed {
        let covered = crc32c::crc32c(&header.to_bytes()[CRC_COVERS_FROM..]);
        header.crc = crc32c::crc32c_append(covered, &body);
    }
    Ok(Sound { header, body })
}

fn check_header(header: &BatchHeader) -> Result<(), LogError> {
    let refuse = |why| Err(LogError::InvalidBatch(RecordsError::BadHeader(why)));
    if header.is_control() {
        return refuse("control batches are the log's own");
    }
    if header.is_transactional() && header.producer_id < 0 {
        return refuse("a transaction needs a producer id");
    }
    if header.is_log_append_time() {
        return refuse("a producer cannot send log-append time");
    }
    if header.record_count < 1 {
        return refuse("a batch needs at least one record");
    }
    if header.last_offset_delta != header.record_count - 1 {
        return refuse("the record count and the last offset differ");
    }
    if header.producer_id >= 0 && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return refuse("a producer id needs an epoch and a sequence number");
    }
    Ok(())
}

/// Walks every record and returns the greatest timestamp. The walk itself checks that the offsets rise from 0 and
/// stay within the last; as many as there are, they are exactly 0, 1, 2, …
fn walk_records(batch: &Batch, rules: &Rules, scratch: &Scratch) -> Result<i64, LogError> {
    let records = batch.records(rules.max_expanded_bytes, scratch).map_err(LogError::InvalidBatch)?;
    let mut max_timestamp = i64::MIN;
    for record in &records {
        let record = record.map_err(LogError::InvalidBatch)?;
        max_timestamp = max_timestamp.max(record.timestamp);
    }
    Ok(max_timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{BatchBuilder, Compression};

    const NOW: i64 = 1_000;

    fn rules() -> Rules {
        Rules {
            max_message_bytes: 1 << 20,
            max_expanded_bytes: 1 << 20,
            timestamp_type: TimestampType::CreateTime,
            max_ahead: 4_000,
        }
    }

    fn batch(timestamps: &[i64]) -> Vec<u8> {
        let mut batch = BatchBuilder::new(Compression::Lz4);
        for timestamp in timestamps {
            batch.append(*timestamp, Some(b"k"), Some(b"v"), &[]);
        }
        batch.build().unwrap().to_vec()
    }

    /// Changes header bytes and makes the crc right again.
    fn forged(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Bytes {
        bytes[at..at + with.len()].copy_from_slice(with);
        let crc = crc32c::crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes.into()
    }

    fn refusal(bytes: Bytes) -> LogError {
        validate(&bytes, &rules(), NOW, &Scratch::new()).unwrap_err()
    }

    #[test]
    fn a_lying_greatest_timestamp_is_put_right() {
        let lying = forged(batch(&[10, 30, 20]), 35, &7i64.to_be_bytes());
        let sound = validate(&lying, &rules(), NOW, &Scratch::new()).unwrap();
        assert_eq!(sound[0].header.max_timestamp, 30);
        let mut stored = sound[0].header.to_bytes().to_vec();
        stored.extend_from_slice(&sound[0].body);
        Batch::parse(&stored.into()).unwrap().verify_crc().unwrap();
    }

    #[test]
    fn the_log_stamps_where_the_topic_says_so() {
        let rules = Rules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
        let scratch = Scratch::new();
        let sound = validate(&batch(&[10, 99_999]).into(), &rules, NOW, &scratch).unwrap();
        let mut stored = sound[0].header.to_bytes().to_vec();
        stored.extend_from_slice(&sound[0].body);
        let stored = Batch::parse(&stored.into()).unwrap();
        stored.verify_crc().unwrap();
        let records = stored.records(1 << 20, &scratch).unwrap();
        let timestamps: Vec<_> = records.iter().map(|r| r.unwrap().timestamp).collect();
        assert_eq!(timestamps, [1_000, 1_000]);
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let sound = batch(&[1, 2]);
        let mut flipped = sound.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(matches!(refusal(flipped.into()), LogError::CorruptBatch(RecordsError::BadCrc { .. })));
        let attributes = |bits: i16| forged(sound.clone(), 21, &(3 | bits).to_be_bytes());
        assert!(matches!(refusal(attributes(1 << 4)), LogError::InvalidBatch(_)), "without a producer");
        assert!(matches!(refusal(attributes(1 << 5)), LogError::InvalidBatch(_)));
        assert!(matches!(refusal(attributes(1 << 3)), LogError::InvalidBatch(_)));
        for count in [-1i32, 0, 1, 3, i32::MAX] {
            let mut both = ((count - 1).to_be_bytes()).to_vec();
            both.extend_from_slice(&sound[27..57]);
            both.extend_from_slice(&count.to_be_bytes());
            assert!(
                matches!(refusal(forged(sound.clone(), 23, &both)), LogError::InvalidBatch(_)),
                "{count}"
            );
        }
        assert!(matches!(refusal(forged(sound.clone(), 16, &[1])), LogError::InvalidBatch(_)));
        assert!(matches!(refusal(batch(&[5_001]).into()), LogError::InvalidTimestamp { .. }));
        assert!(matches!(refusal(Bytes::new()), LogError::InvalidBatch(_)));
        assert!(matches!(refusal(Bytes::from(sound[..sound.len() - 1].to_vec())), LogError::InvalidBatch(_)));
    }
}
