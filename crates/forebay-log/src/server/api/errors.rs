//! From the log's errors to the protocol's.

use crate::LogError;
use crate::records::RecordsError;
use kafka_protocol::ResponseError;

/// The error that a client acts rightly upon.
pub(super) fn response_error(error: &LogError) -> ResponseError {
    match error {
        LogError::UnknownTopic(_) | LogError::UnknownPartition { .. } => {
            ResponseError::UnknownTopicOrPartition
        }
        LogError::TopicExists(_) => ResponseError::TopicAlreadyExists,
        LogError::InvalidTopicName { .. } => ResponseError::InvalidTopicException,
        LogError::InvalidPartitions(_) => ResponseError::InvalidPartitions,
        LogError::InvalidConfig(_) | LogError::InvalidOption(_) => ResponseError::InvalidConfig,
        LogError::LimitReached { .. } => ResponseError::PolicyViolation,
        LogError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        LogError::CorruptBatch(_) => ResponseError::CorruptMessage,
        LogError::InvalidBatch(RecordsError::UnknownCompression(_)) => {
            ResponseError::UnsupportedCompressionType
        }
        LogError::InvalidBatch(_) => ResponseError::InvalidRecord,
        LogError::BatchTooLarge { .. } => ResponseError::MessageTooLarge,
        LogError::InvalidTimestamp { .. } => ResponseError::InvalidTimestamp,
        LogError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        LogError::InvalidProducerEpoch { .. } => ResponseError::InvalidProducerEpoch,
        LogError::InvalidTransaction { .. } => ResponseError::InvalidTxnState,
        // Clients try again: with room on the disk, or at the log's next start, it works.
        LogError::OutOfSpace(_) | LogError::Storage { .. } | LogError::Failed(_) => {
            ResponseError::KafkaStorageError
        }
        LogError::Damaged { .. } | LogError::UnknownFormat { .. } | LogError::Locked(_) => {
            ResponseError::KafkaStorageError
        }
        LogError::Closed => ResponseError::NotLeaderOrFollower,
    }
}

/// The number on the wire, 0 for success.
pub(super) fn code<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, ResponseError::code)
}
