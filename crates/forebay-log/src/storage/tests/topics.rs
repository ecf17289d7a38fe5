//! Creating, growing, altering, deleting; limits.

use super::*;

#[tokio::test]
async fn deleted_and_created_again_is_another_topic() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    let first = log.topic("t").unwrap();
    append(&log, numbered(1, 0, 0, 3)).await.unwrap();
    let mut changes = log.topic_changes();
    log.delete_topic("t").unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(log.topic("t").is_none() && log.topics().is_empty());
    assert!(!fixture.dir.path().join("topics/t").exists());
    assert!(matches!(append(&log, batch(1, &["x"])).await, Err(LogError::UnknownTopic(_))));
    let second = log.create_topic("t", 2, TopicConfig::default()).unwrap();
    assert_ne!(first.id, second.id);
    assert!(changes.has_changed().unwrap());
    assert_eq!(append(&log, numbered(1, 0, 7, 1)).await.unwrap(), 0, "its producers are forgotten");
    drop(log);
    let log = fixture.open();
    assert_eq!(log.topics(), [second]);
    assert_eq!(values(&log), ["7"]);
}

#[tokio::test]
async fn topics_come_back_as_they_were_altered() {
    let fixture = Fixture::new();
    let log = fixture.with_topic();
    append(&log, batch(1, &["a"])).await.unwrap();
    assert_eq!(log.create_partitions("t", 3).unwrap().partitions, 3);
    assert!(matches!(log.create_partitions("t", 3), Err(LogError::InvalidPartitions(_))));
    let config = TopicConfig::from_entries([("retention.ms", "5"), ("max.message.bytes", "200")]).unwrap();
    log.alter_topic_config("t", config).unwrap();
    let large = "x".repeat(300);
    assert!(matches!(
        append(&log, batch(1, &[&large])).await,
        Err(LogError::BatchTooLarge { limit: 200, .. })
    ));
    log.append("t", 2, batch(1, &["c"]), Wait::Durable).await.unwrap();
    let before = log.topic("t").unwrap();
    log.close().await.unwrap();
    drop(log);
    let log = fixture.open();
    assert_eq!(log.topic("t").unwrap(), before);
    assert_eq!(values(&log), ["a"]);
    assert_eq!(log.offsets("t", 2).unwrap().latest, 1);
}

#[tokio::test]
async fn remains_of_a_half_made_topic_go_and_foreign_folders_stay() {
    let fixture = Fixture::new();
    drop(fixture.with_topic());
    let topics = fixture.dir.path().join("topics");
    std::fs::remove_file(topics.join("t/topic.json")).unwrap();
    std::fs::create_dir_all(topics.join("not a topic")).unwrap();
    let log = fixture.open();
    assert!(log.topics().is_empty() && !topics.join("t").exists());
    assert!(topics.join("not a topic").exists());
}

#[test]
fn limits_and_names_are_refused_by_name() {
    let fixture = Fixture::new();
    let options = LogOptions { max_topics: 2, max_partitions: 5, ..fixture.options() };
    let log = Log::open(options, Door::new()).unwrap();
    let create = |name: &str, n| log.create_topic(name, n, TopicConfig::default());
    create("a", 3).unwrap();
    assert!(matches!(create("a", 1), Err(LogError::TopicExists(_))));
    assert!(matches!(create("../a", 1), Err(LogError::InvalidTopicName { .. })));
    assert!(matches!(create("b", 0), Err(LogError::InvalidPartitions(_))));
    let refused = create("b", 3).unwrap_err();
    assert!(refused.to_string().contains("max_partitions"), "{refused}");
    create("b", 2).unwrap();
    assert!(matches!(create("c", 1), Err(LogError::LimitReached { option: "max_topics", .. })));
    assert!(matches!(log.create_partitions("b", 3), Err(LogError::LimitReached { .. })));
    assert!(matches!(log.delete_topic("c"), Err(LogError::UnknownTopic(_))));
}

#[test]
fn a_folder_of_another_version_is_refused() {
    let fixture = Fixture::new();
    drop(fixture.with_topic());
    let metadata = fixture.dir.path().join("topics/t/topic.json");
    let text = std::fs::read_to_string(&metadata).unwrap();
    std::fs::write(&metadata, text.replace("\"format\":1", "\"format\":2")).unwrap();
    let refused = Log::open(fixture.options(), Door::new()).unwrap_err();
    assert!(matches!(refused, LogError::UnknownFormat { found: 2, known: 1, .. }), "{refused}");
}
