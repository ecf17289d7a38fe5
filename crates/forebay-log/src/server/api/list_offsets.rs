//! ListOffsets: where a partition begins, where it ends, and where a point in time is.
//!
//! The two ends are known without I/O and answered at once: Spark asks for them on every poll. A timestamp may have
//! to be looked for on disk.

use super::errors::response_error;
use super::{Call, Context, Started};
use crate::server::connection::Ended;
use crate::storage::Log;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use std::collections::HashSet;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Answers one ListOffsets; off the connection's thread if files may be read.
pub(super) fn begin(cx: &Context, call: Call, request: ListOffsetsRequest) -> Result<Started, Ended> {
    let mut wanted = request.topics.iter().flat_map(|topic| &topic.partitions);
    let needs_files = wanted.any(|partition| partition.timestamp >= 0);
    let log = cx.shared.log.clone();
    if !needs_files {
        return call.now(&look_up(&log, request));
    }
    let cx = cx.clone();
    call.later(async move { cx.off_thread(move || look_up(&log, request)).await.unwrap_or_default() })
}

/// A partition that is asked for twice is refused the second time, as Apache Kafka does: each may cost a look at files.
fn look_up(log: &Log, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let mut seen = HashSet::new();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
            let found = match seen.insert((topic.name.clone(), wanted.partition_index)) {
                true => find(log, &topic.name, wanted),
                false => Err(ResponseError::InvalidRequest),
            };
            match found {
                Ok((offset, timestamp)) => answer.with_offset(offset).with_timestamp(timestamp),
                Err(error) => answer.with_error_code(error.code()).with_offset(-1).with_timestamp(-1),
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// Offset and timestamp; (-1, -1) if every record is older than the time asked for.
fn find(log: &Log, topic: &str, wanted: &ListOffsetsPartition) -> Result<(i64, i64), ResponseError> {
    let found = match wanted.timestamp {
        LATEST => log.offsets(topic, wanted.partition_index).map(|ends| (ends.latest, -1)),
        EARLIEST => log.offsets(topic, wanted.partition_index).map(|ends| (ends.earliest, -1)),
        timestamp if timestamp >= 0 => log
            .offset_for_timestamp(topic, wanted.partition_index, timestamp)
            .map(|found| found.unwrap_or((-1, -1))),
        // -3 and below came with later versions.
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    found.map_err(|error| response_error(&error))
}
