//! What a report prints, and that reports of Spark read.

use super::*;
use crate::position::{Partition, Position};

fn positions(topic: &str, at: &[(i32, i64)]) -> Positions {
    at.iter().map(|&(index, offset)| (Partition::new(topic, index), Position(offset))).collect()
}

fn report(previous_ms: Option<i64>, ended_ms: i64) -> StreamingQueryProgress {
    report_of(previous_ms, ended_ms, None, &[])
}

fn report_of(
    previous_ms: Option<i64>,
    ended_ms: i64,
    event_time: Option<(Survey, Watermark)>,
    state_operators: &[StateOperatorProgress],
) -> StreamingQueryProgress {
    facts_of(&[topic(0, 10)], previous_ms, ended_ms, event_time, state_operators)
}

/// A topic of which so many records of one partition were read.
fn topic(number: u8, rows: i64) -> SourceFacts {
    let name = format!("topic-{number}");
    let at = |offset| positions(&name, &[(0, 1), (1, 1), (2, offset), (3, 1), (4, 1)]);
    SourceFacts {
        description: format!("KafkaV2[Subscribe[{name}]]"),
        starts: at(0),
        ends: at(rows),
        latest: at(15),
        rows: rows.unsigned_abs(),
    }
}

fn facts_of(
    sources: &[SourceFacts],
    previous_ms: Option<i64>,
    ended_ms: i64,
    event_time: Option<(Survey, Watermark)>,
    state_operators: &[StateOperatorProgress],
) -> StreamingQueryProgress {
    let ledger = Ledger { read: 10, emitted: 9, filtered: 1, rows_out: 9, ..Ledger::default() };
    StreamingQueryProgress::from_facts(&Facts {
        id: "ce011fdc-8762-4dcb-84eb-a77333e28109",
        run_id: "88e2ff94-ede0-45a8-b687-6316fbef529a",
        name: "MyQuery",
        timestamp_ms: 1_481_741_124_873,
        epoch: Epoch(3),
        ended_ms,
        previous_ms,
        latest_offset: Duration::from_micros(2_900),
        wal_commit: Duration::from_millis(12),
        add_batch: Duration::from_millis(31),
        commit_offsets: Duration::from_millis(4),
        sources,
        sink: "DeltaSink[/lake/iot]",
        written: Written { rows: 9, bytes: 2048, files: 1 },
        ledger: &ledger,
        total: &ledger,
        event_time,
        state_operators,
        tables: &BTreeMap::new(),
    })
}

#[test]
fn a_report_prints_the_fields_of_spark_by_its_names() {
    let expected = serde_json::json!({
        "id": "ce011fdc-8762-4dcb-84eb-a77333e28109",
        "runId": "88e2ff94-ede0-45a8-b687-6316fbef529a",
        "name": "MyQuery",
        "timestamp": "2016-12-14T18:45:24.873Z",
        "batchId": 3,
        "batchDuration": 50,
        "numInputRows": 10,
        "inputRowsPerSecond": 100.0,
        "processedRowsPerSecond": 200.0,
        "durationMs": {
            "addBatch": 31, "commitOffsets": 4, "getBatch": 0, "latestOffset": 2, "queryPlanning": 0,
            "triggerExecution": 50, "walCommit": 12
        },
        "stateOperators": [],
        "sources": [{
            "description": "KafkaV2[Subscribe[topic-0]]",
            "startOffset": {"topic-0": {"0": 1, "1": 1, "2": 0, "3": 1, "4": 1}},
            "endOffset": {"topic-0": {"0": 1, "1": 1, "2": 10, "3": 1, "4": 1}},
            "latestOffset": {"topic-0": {"0": 1, "1": 1, "2": 15, "3": 1, "4": 1}},
            "numInputRows": 10,
            "inputRowsPerSecond": 100.0,
            "processedRowsPerSecond": 200.0,
            "metrics": {
                "avgOffsetsBehindLatest": "1.0", "maxOffsetsBehindLatest": "5", "minOffsetsBehindLatest": "0"
            }
        }],
        "sink": {
            "description": "DeltaSink[/lake/iot]", "numOutputRows": 9,
            "metrics": {"numOutputBytes": "2048", "numOutputFiles": "1"}
        }
    });
    let report = report(Some(1_481_741_124_773), 1_481_741_124_923);
    let mut printed: Value = serde_json::from_str(&report.to_json()).unwrap();
    let own = printed.as_object_mut().unwrap().remove("forebay").unwrap();
    assert_eq!(printed, expected);
    assert_eq!(own["ledger"]["emitted"], 9);
    assert_eq!(serde_json::from_str::<StreamingQueryProgress>(&report.to_json()).unwrap(), report);
    assert_eq!(report.started_ms(), 1_481_741_124_873);
}

#[test]
fn event_time_and_state_are_told_as_spark_tells_them() {
    let seen = crate::event_time::survey(&[1_000_999, -1, 5_000_000, 99_000_000], None, 6_000_000);
    let operator = StateOperatorProgress {
        operator_name: "stateStoreSave".to_owned(),
        num_rows_total: 4,
        num_rows_updated: 3,
        num_rows_removed: 2,
        num_rows_dropped_by_watermark: 1,
        ..StateOperatorProgress::default()
    };
    let with = |seen| {
        report_of(None, 1_481_741_124_973, Some((seen, Watermark(1_500))), std::slice::from_ref(&operator))
    };
    let printed: Value = serde_json::from_str(&with(seen).to_json()).unwrap();
    let expected = serde_json::json!({
        "avg": "1970-01-01T00:00:02.000Z",
        "max": "1970-01-01T00:00:05.000Z",
        "min": "1969-12-31T23:59:59.999Z",
        "watermark": "1970-01-01T00:00:01.500Z"
    });
    assert_eq!(printed["eventTime"], expected);
    let expected = serde_json::json!([{
        "operatorName": "stateStoreSave", "numRowsTotal": 4, "numRowsUpdated": 3, "allUpdatesTimeMs": 0,
        "numRowsRemoved": 2, "allRemovalsTimeMs": 0, "commitTimeMs": 0, "memoryUsedBytes": 0,
        "numRowsDroppedByWatermark": 1, "numShufflePartitions": 0, "numStateStoreInstances": 0
    }]);
    assert_eq!(printed["stateOperators"], expected);
    let idle = with(Survey::default());
    assert_eq!(idle.event_time.len(), 1, "an epoch without event times has its watermark alone");
    assert_eq!(serde_json::from_str::<StreamingQueryProgress>(&idle.to_json()).unwrap(), idle);
}

#[test]
fn a_rate_that_is_not_finite_is_left_out_and_the_first_input_rate_is_zero() {
    let same_instant = report(Some(1_481_741_124_873), 1_481_741_124_873);
    assert_eq!(same_instant.input_rows_per_second, None);
    assert!(!same_instant.to_json().contains("inputRowsPerSecond"));
    assert_eq!(same_instant.processed_rows_per_second, Some(10_000.0));
    assert_eq!(report(None, 1_481_741_124_973).input_rows_per_second, Some(0.0));
}

#[test]
fn the_report_in_sparks_guide_reads() {
    let guide = r#"{
      "id" : "ce011fdc-8762-4dcb-84eb-a77333e28109",
      "runId" : "88e2ff94-ede0-45a8-b687-6316fbef529a",
      "name" : "MyQuery",
      "timestamp" : "2016-12-14T18:45:24.873Z",
      "batchId" : 0, "batchDuration" : 3,
      "numInputRows" : 10,
      "inputRowsPerSecond" : 120.0,
      "processedRowsPerSecond" : 200.0,
      "durationMs" : { "triggerExecution" : 3, "getOffset" : 2 },
      "eventTime" : { "watermark" : "2016-12-14T18:45:24.873Z" },
      "stateOperators" : [ ],
      "sources" : [ {
        "description" : "KafkaSource[Subscribe[topic-0]]",
        "startOffset" : { "topic-0" : { "2" : 0, "4" : 1, "1" : 1, "3" : 1, "0" : 1 } },
        "endOffset" : { "topic-0" : { "2" : 0, "4" : 115, "1" : 134, "3" : 21, "0" : 534 } },
        "numInputRows" : 10,
        "inputRowsPerSecond" : 120.0,
        "processedRowsPerSecond" : 200.0
      } ],
      "sink" : { "description" : "MemorySink" }
    }"#;
    let report: StreamingQueryProgress = serde_json::from_str(guide).unwrap();
    assert_eq!(report.event_time["watermark"], "2016-12-14T18:45:24.873Z");
    assert_eq!(report.sources[0].end_offset["topic-0"]["0"], 534);
}

#[test]
fn each_input_has_an_entry_and_the_report_their_sum() {
    let report = facts_of(&[topic(0, 7), topic(1, 3)], Some(1_481_741_124_773), 1_481_741_124_923, None, &[]);
    assert_eq!((report.num_input_rows, report.input_rows_per_second), (10, Some(100.0)));
    let [first, second] = &report.sources[..] else { panic!("two sources: {:?}", report.sources) };
    assert_eq!((first.num_input_rows, first.input_rows_per_second), (7, Some(70.0)));
    assert_eq!((second.num_input_rows, second.processed_rows_per_second), (3, Some(60.0)));
    assert_eq!(
        (&first.end_offset["topic-0"]["2"], &second.end_offset["topic-1"]["2"]),
        (&7.into(), &3.into())
    );
    assert_eq!(second.metrics["maxOffsetsBehindLatest"], "12");
}
