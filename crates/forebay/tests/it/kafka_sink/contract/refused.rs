//! Rows that a topic refuses for good: they alone come back, as the records that they were to become, and the others are written in
//! order.

use super::*;

/// Too large alone, at the front, at the end, and among others: they alone are set aside.
pub async fn rows_that_a_topic_refuses_leave_their_neighbours(place: &Place) {
    let large = "x".repeat(2 << 20);
    for exactly_once in ["true", "false"] {
        let (topic, query) = (place.topic("large", 1).await, uuid());
        let more = [("kafka.compression.type", "none"), ("exactlyOnce", exactly_once)];
        let mut sink = place.opened(&topic, &more).await;
        assert_eq!(sink.last_epoch(&query).await.unwrap(), None);
        for (number, rows) in
            [&[&*large, "0", "1", &large, "2", &large][..], &[&large], &["3"]].into_iter().enumerate()
        {
            let id = id(&query, number as u64);
            let parts = write(&mut sink, &id, texts(rows)).await.unwrap();
            let refused = sink.prepare(&id).await.unwrap();
            let expected = rows.iter().filter(|row| row.len() > 100).count();
            assert_eq!(refused.len(), expected, "epoch {number}");
            for row in &refused {
                assert_eq!((&*row.code, &*row.path), ("kafka.MESSAGE_TOO_LARGE", "$.value"), "{}", row.why);
                let record: Value = serde_json::from_slice(&row.row).unwrap();
                assert_eq!(
                    (record["topic"].as_str(), record["value"].as_str()),
                    (Some(&*topic), Some(&*large))
                );
            }
            let written = sink.commit(&id, parts).await.unwrap();
            assert_eq!(written.rows as usize, rows.len() - expected, "epoch {number}");
            if exactly_once == "true" {
                assert_eq!(sink.last_epoch(&query).await.unwrap(), Some(id.epoch), "epoch {number} is there");
            }
        }
        let mut values: Vec<Value> = place.committed(&topic);
        let values: Vec<String> =
            values.drain(..).map(|it| it["value"].as_str().unwrap().to_owned()).collect();
        assert_eq!(values, ["0", "1", "2", "3"], "in order");
        sink.close().await;
    }
}

/// Brokers that compact refuse records without a key, and name them.
pub async fn rows_without_the_key_of_a_compacted_topic_leave_their_neighbours(place: &Place) {
    let topic = format!("compacted-{}", fastrand::u32(..));
    let client = Client::connect(ClientConfig::plain(&place.bootstrap).unwrap()).await.unwrap();
    let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    client.create_topics(&[NewTopic { configs, ..NewTopic::new(&topic, 1) }]).await.unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("key", Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), None])) as ArrayRef, true),
        ("value", Arc::new(StringArray::from(vec!["1", "2", "3", "4"])), true),
    ]);
    let (batch, query) = (batch.unwrap(), uuid());
    let mut sink = place.sink(&[("topic", &topic)]);
    sink.open(batch.schema()).await.unwrap();
    assert_eq!(sink.last_epoch(&query).await.unwrap(), None);
    let parts = write(&mut sink, &id(&query, 0), batch).await.unwrap();
    let refused = sink.prepare(&id(&query, 0)).await.unwrap();
    assert_eq!(sink.commit(&id(&query, 0), parts).await.unwrap().rows, 2);
    let found: Vec<(&str, Value)> = refused
        .iter()
        .map(|row| (row.code.as_str(), serde_json::from_slice::<Value>(&row.row).unwrap()["value"].clone()))
        .collect();
    let code = "kafka.INVALID_RECORD";
    assert_eq!(found, [(code, "2".into()), (code, "4".into())], "{refused:?}");
    assert!(refused.iter().all(|row| row.why.contains("key")), "{refused:?}");
    assert_eq!(place.values(&topic), ["1", "3"]);
}

pub async fn a_row_for_a_partition_that_is_not_there_leaves_nothing(place: &Place) {
    let (topic, query) = (place.topic("partitions", 1).await, uuid());
    let rows = |partition: i32| {
        let partitions: ArrayRef = Arc::new(Int32Array::from(vec![0, partition]));
        let values: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        RecordBatch::try_from_iter_with_nullable([("value", values, true), ("partition", partitions, true)])
            .unwrap()
    };
    let mut sink = place.sink(&[("topic", &topic)]);
    sink.open(rows(0).schema()).await.unwrap();
    let refused = epoch(&mut sink, &id(&query, 0), rows(7)).await.unwrap_err();
    assert_eq!((refused.code(), refused.is_retryable()), (&codes::SINK_REFUSED, false), "{refused:?}");
    assert!(refused.message().contains(&topic) && refused.message().contains("partition 7"), "{refused}");
    sink.abort(&id(&query, 0)).await.unwrap();
    epoch(&mut sink, &id(&query, 0), rows(0)).await.unwrap();
    assert_eq!(place.values(&topic), ["a", "b"]);
}
