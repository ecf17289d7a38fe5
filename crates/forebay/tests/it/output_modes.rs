//! Update and complete mode into Delta tables: what runs leave one after another, one of them killed, and that a real Spark
//! reads the same.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::*;

const PER_RUN: u64 = 300;

fn device(seq: u64) -> Option<String> {
    // Another run brings other devices, and some that were there.
    let number = seq * 7 % 40 + seq / PER_RUN * 5;
    (number != 11).then(|| format!("d{number}"))
}

fn pipeline(bootstrap: &str) -> String {
    let query = |mode: &str, having: &str| {
        format!(
            "  {mode}:
    sql: SELECT device, count(*) AS n, max(seq) AS newest FROM events GROUP BY device{having}
    outputMode: {mode}
    format: delta
    options: {{ path: {mode} }}
    trigger: availableNow
"
        )
    };
    format!(
        "pipeline: modes
sources:
  events:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{bootstrap}\", subscribe: events, startingOffsets: earliest, maxOffsetsPerTrigger: 30 }}
    value: json
    schema: device STRING, seq BIGINT
queries:
{}{}",
        query("update", ""),
        query("complete", " HAVING count(*) > 8")
    )
}

fn sorted(rows: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut rows: Vec<String> = rows.into_iter().map(|row| row.to_string()).collect();
    rows.sort();
    rows
}

#[test]
fn updated_and_completed_tables_hold_the_result_whatever_died_and_spark_reads_it() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("modes.yaml");
    std::fs::write(&file, pipeline(&log.address.to_string())).unwrap();
    let run = || forebay(data.path(), &["run", file.to_str().unwrap()]);
    let mut groups: BTreeMap<Option<String>, (u64, u64)> = BTreeMap::new();
    let mut expected = Vec::new();
    for number in 0..3 {
        let seqs = number * PER_RUN..(number + 1) * PER_RUN;
        let line = |seq| serde_json::json!({"device": device(seq), "seq": seq}).to_string();
        log.produce("events", &seqs.clone().map(line).collect::<Vec<_>>());
        for seq in seqs {
            let group = groups.entry(device(seq)).or_default();
            *group = (group.0 + 1, seq);
        }
        if number == 1 {
            for at in ["sink.delta.rewrite.after:2", "sink.delta.commit.after:2"] {
                let died = armed(&mut run(), at, "lose").output().unwrap();
                assert!(died_there(died.status), "{at}: {}", text(&died.stderr));
            }
        }
        succeed(&mut run());
        expected = [0, 8]
            .map(|above| {
                let rows = groups.iter().filter(|(_, (n, _))| *n > above);
                sorted(rows.map(
                    |(device, (n, newest))| serde_json::json!({"device": device, "n": n, "newest": newest}),
                ))
            })
            .to_vec();
        for (mode, expected) in ["update", "complete"].iter().zip(&expected) {
            assert_eq!(
                &sorted(table_rows(data.path(), &data.path().join(mode))),
                expected,
                "{mode} {number}"
            );
        }
    }
    assert!(expected[0].len() > expected[1].len() && !expected[1].is_empty(), "{expected:?}");
    assert!(expected[0].iter().any(|row| row.contains("null")), "NULL is a key: {expected:?}");
    let path = |mode: &str| Path::join(data.path(), mode).display().to_string();
    let (update, complete) = (path("update"), path("complete"));
    let args = ["tests/oracle/read_delta.py", "--with", "spark", &update, &complete];
    let said = run_script("scripts/services/spark-python.sh", &args);
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let tables: Vec<_> =
        lines.split(|line| line["table"].is_string()).filter(|lines| !lines.is_empty()).collect();
    assert_eq!(tables.len(), 2, "{said}");
    for (spark, expected) in tables.into_iter().zip(&expected) {
        let rows = spark.iter().filter(|line| line["count"].is_null()).cloned();
        assert_eq!(&sorted(rows), expected);
    }
}
