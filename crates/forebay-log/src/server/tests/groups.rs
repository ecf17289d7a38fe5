//! Consumer groups and their offsets, as clients see them.

use super::*;

#[tokio::test]
async fn committed_offsets_survive_a_restart() {
    let served = Served::start().await;
    let mut client = served.client().await;
    client.create("plant", 1).await;
    let refused = client.ask(&join(&StrBytes::new(), b"m")).await;
    assert_eq!(refused.error_code, 79);
    let joined = client.ask(&join(&refused.member_id, b"m")).await;
    assert_eq!((joined.error_code, joined.members.len()), (0, 1));
    let given = SyncGroupRequestAssignment::default().with_member_id(joined.member_id.clone());
    let sync = SyncGroupRequest::default()
        .with_group_id(name("readers").into())
        .with_generation_id(joined.generation_id);
    let sync = sync.with_member_id(joined.member_id.clone());
    let synced =
        client.ask(&sync.with_assignments(vec![given.with_assignment(Bytes::from_static(b"p0"))])).await;
    assert_eq!(synced.assignment, "p0");

    let commit = |generation, topic: &str| {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(42);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(name(topic).into())
            .with_partitions(vec![partition]);
        let request =
            OffsetCommitRequest::default().with_group_id(name("readers").into()).with_topics(vec![topic]);
        request.with_generation_id_or_member_epoch(generation).with_member_id(joined.member_id.clone())
    };
    let code = |answer: OffsetCommitResponse| answer.topics[0].partitions[0].error_code;
    assert_eq!(code(client.ask(&commit(joined.generation_id, "plant")).await), 0);
    assert_eq!(code(client.ask(&commit(joined.generation_id + 1, "plant")).await), 22);
    assert_eq!(code(client.ask(&commit(joined.generation_id, "nowhere")).await), 3);

    let dir = served.stop().await;
    let served = Served::start_in(dir, ServerOptions::default()).await;
    let mut client = served.client().await;
    let offsets = OffsetFetchRequest::default().with_group_id(name("readers").into()).with_topics(None);
    let answer = client.ask(&offsets).await;
    assert_eq!(answer.topics[0].partitions[0].committed_offset, 42);
    assert_eq!(client.ask(&ListGroupsRequest::default()).await.groups.len(), 1);

    let gone = DeleteTopicsRequest::default().with_topic_names(vec![name("plant").into()]);
    assert_eq!(client.ask(&gone).await.responses[0].error_code, 0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(client.ask(&offsets).await.topics.is_empty());
}
