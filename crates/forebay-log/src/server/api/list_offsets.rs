//! ListOffsets: where a partition begins, where it ends, and where a point in time is.
//!
//! A reader of committed data is told the last stable offset for the end, and of no record behind it. The two ends are known without I/O and answered at once: Spark asks for them on every poll. A timestamp may have
//! to be looked for on disk: for each partition a turn of its own, so that a search over thousands of them keeps
//! nobody from creating a topic meanwhile.

use super::errors::response_error;
use super::fetch::isolation;
use super::{Call, Context, Started};
use crate::server::access::Need;
use crate::server::connection::Ended;
use crate::storage::Isolation;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ApiKey, ListOffsetsRequest, ListOffsetsResponse, TopicName};
use std::collections::HashSet;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Answers one ListOffsets; off the connection's thread if files may be read.
pub(super) async fn begin(cx: &Context, call: Call, request: ListOffsetsRequest) -> Result<Started, Ended> {
    let mut wanted = request.topics.iter().flat_map(|topic| &topic.partitions);
    let needs_files = wanted.any(|partition| partition.timestamp >= 0);
    let answer = look_up(cx.clone(), request);
    if needs_files { call.later(answer) } else { call.now(&answer.await) }
}

/// A partition that is asked for twice is refused the second time, as Apache Kafka does: each may cost a look at files.
async fn look_up(cx: Context, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let isolation = isolation(request.isolation_level);
    let mut seen = HashSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        let may = cx.may(ApiKey::ListOffsets, Need::Describe, &topic.name);
        for wanted in &topic.partitions {
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
            let found = match seen.insert((topic.name.clone(), wanted.partition_index)) {
                true if !may => Err(ResponseError::TopicAuthorizationFailed),
                true => find(&cx, &topic.name, wanted, isolation).await,
                false => Err(ResponseError::InvalidRequest),
            };
            partitions.push(match found {
                Ok((offset, timestamp)) => answer.with_offset(offset).with_timestamp(timestamp),
                Err(error) => answer.with_error_code(error.code()).with_offset(-1).with_timestamp(-1),
            });
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    ListOffsetsResponse::default().with_topics(topics)
}

/// Offset and timestamp; (-1, -1) if every record is older than the time asked for.
async fn find(
    cx: &Context,
    topic: &TopicName,
    wanted: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<(i64, i64), ResponseError> {
    let (log, index) = (cx.shared.log.clone(), wanted.partition_index);
    let found = match wanted.timestamp {
        LATEST => log.offsets(topic, index).map(|ends| (ends.end(isolation), -1)),
        EARLIEST => log.offsets(topic, index).map(|ends| (ends.earliest, -1)),
        timestamp if timestamp >= 0 => {
            let topic = topic.clone();
            let search = move || {
                let end = log.offsets(&topic, index)?.end(isolation);
                let found = log.offset_for_timestamp(&topic, index, timestamp)?;
                Ok(found.filter(|(offset, _)| *offset < end))
            };
            let found = cx.off_thread(search).await.map_err(|_| ResponseError::UnknownServerError)?;
            found.map(|found: Option<(i64, i64)>| found.unwrap_or((-1, -1)))
        }
        // -3 and below came with later versions.
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    found.map_err(|error| response_error(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::connection::Peer;
    use crate::server::{SLOW_AT_ONCE, Server, ServerOptions};
    use crate::storage::{Log, LogOptions, TopicConfig};
    use forebay_storage::Door;
    use kafka_protocol::messages::list_offsets_request::ListOffsetsTopic;
    use kafka_protocol::protocol::StrBytes;
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn a_search_over_many_partitions_lets_others_in_between() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(LogOptions::new(dir.path()), Door::new()).unwrap();
        log.create_topic("plant", 3, TopicConfig::default()).unwrap();
        let addr = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(addr, log, ServerOptions::default()).await.unwrap();
        let session = crate::server::access::Session::new(None, None);
        let closing = CancellationToken::new();
        let peer = Peer { local: addr, remote: addr, closing, session, called: None };
        let cx = Context { shared: server.shared.clone(), peer: Arc::new(peer) };
        let partitions = (0..3).map(|index| ListOffsetsPartition::default().with_partition_index(index));
        let topic = ListOffsetsTopic::default().with_name(StrBytes::from_static_str("plant").into());
        let topic = topic.with_partitions(partitions.map(|one| one.with_timestamp(0)).collect());
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);

        let mut others = cx.shared.slow.acquire_many(SLOW_AT_ONCE as u32).await.unwrap();
        let (begins, has_begun) = tokio::sync::oneshot::channel();
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let change = cx.off_thread(move || {
            let _ = begins.send(());
            let _ = held.recv();
        });
        let search = look_up(cx.clone(), request);
        tokio::pin!(search, change);
        // Both stand in the line, in this order, before there is a turn for one of them.
        tokio::select! {
            biased;
            _ = &mut search => panic!("there was no turn"),
            _ = &mut change => panic!("there was no turn"),
            () = std::future::ready(()) => {}
        }
        drop(others.split(1));
        tokio::select! {
            biased;
            _ = &mut search => panic!("it kept its turn to the end"),
            _ = &mut change => panic!("nobody let it go"),
            begun = has_begun => begun.unwrap(),
        }
        let_go.send(()).unwrap();
        let (answer, change) = tokio::join!(search, change);
        change.unwrap();
        assert_eq!(answer.topics[0].partitions.len(), 3);
        assert!(answer.topics[0].partitions.iter().all(|one| (one.error_code, one.offset) == (0, -1)));
    }
}
