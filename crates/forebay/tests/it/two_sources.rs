//! Queries that read two sources, or one twice: what each of them is told for.

use std::path::Path;

use crate::first_minutes::said;
use crate::support::*;

/// `both` joins two topics, `twin` one with itself.
fn pipeline(data: &Path, log: &LogServer) -> std::path::PathBuf {
    let source = |name: &str, column: &str| {
        format!(
            "  {name}:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: {name}_topic, startingOffsets: earliest }}\n\
             \x20   value: json\n    schema: id STRING, {column} BIGINT\n",
            log.address
        )
    };
    let query = |name: &str, sql: &str| {
        format!(
            "  {name}:\n    sql: {sql}\n    format: delta\n    options: {{ path: {name} }}\n    trigger: availableNow\n"
        )
    };
    let text = format!(
        "pipeline: p\nsources:\n{}{}queries:\n{}{}",
        source("l", "a"),
        source("r", "b"),
        query("both", "SELECT l.id, l.a, r.b FROM l JOIN r ON l.id = r.id"),
        query("twin", "SELECT x.id, x.a, y.a AS other FROM l AS x JOIN l AS y ON x.id = y.id"),
    );
    let file = data.join("p.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_query_over_two_sources_is_told_for_each_of_them() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let (data, file) = (data.path(), pipeline(data.path(), &log));
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    log.produce(
        "l_topic",
        &lines(&[r#"{"id":"k1","a":1}"#, r#"{"id":"k2","a":2}"#, r#"{"id":"k1","a":"x"}"#]),
    );
    log.produce("r_topic", &lines(&[r#"{"id":"k1","b":10}"#, r#"{"id":"k3","b":30}"#]));
    let path = file.to_str().unwrap();
    let shown = |args: &[&str]| text(&succeed(&mut forebay(data, args)).stdout);
    succeed(&mut forebay(data, &["run", path]));

    let rows = |query: &str| {
        let mut rows: Vec<String> =
            table_rows(data, &data.join(query)).iter().map(ToString::to_string).collect();
        rows.sort();
        rows
    };
    assert_eq!(rows("both"), [r#"{"a":1,"b":10,"id":"k1"}"#]);
    assert_eq!(rows("twin"), [r#"{"a":1,"id":"k1","other":1}"#, r#"{"a":2,"id":"k2","other":2}"#]);
    for (query, read, quarantined) in [("both", 5, 1), ("twin", 6, 2)] {
        let ledger = &last_commit(data, "p", query)["ledger"];
        assert_eq!(
            (&ledger["read"], &ledger["quarantined"]),
            (&read.into(), &quarantined.into()),
            "{ledger}"
        );
    }

    let checkpoint = shown(&["checkpoint", "show", path, "both"]);
    for part in [
        "source   l = KafkaV2[Subscribe[l_topic]], r = KafkaV2[Subscribe[r_topic]]\n",
        "l_topic-0 [0, 3)  r_topic-0 (input 1) [0, 2)",
    ] {
        assert!(checkpoint.contains(part), "`{part}` is missing in\n{checkpoint}");
    }

    // The record that two queries, one of them twice, could not read is one record.
    let listed = shown(&["quarantine", "ls", "--format", "csv"]);
    let records: Vec<&str> = listed.lines().skip(1).collect();
    assert_eq!(records.len(), 1, "{listed}");
    assert!(records[0].starts_with(r#""l_topic/0/2","#), "{listed}");
    assert!(records[0].contains(r#","both twin","l","#), "{listed}");

    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis().to_string();
    let why = |source| {
        let args = ["why", "row", "--pipeline", path, "--source", source, "--key", "k1", "--at", &now];
        shown(&[&args[..], &["--within", "1 hour"]].concat())
    };
    let passes = "read by epoch 0 (committed); passes on to what the query remembers\n";
    let told = why("l");
    for part in [
        &format!("both: {passes}"),
        &format!("twin (input 0): {passes}"),
        &format!("twin (input 1): {passes}"),
        "in the quarantine: `forebay quarantine show l_topic/0/2`",
    ] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    let told = why("r");
    assert!(told.contains(&format!("both: {passes}")) && !told.contains("twin"), "{told}");

    // What was said to be refused is refused.
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(shown(&["plan", path]).contains("goes on with epoch 1 at l_topic-0 3, r_topic-0 (input 1) 2"));
    std::fs::write(&file, written.replace("FROM l JOIN r", "FROM r JOIN l")).unwrap();
    for command in ["plan", "run"] {
        let refused = forebay(data, &[command, path]).output().unwrap();
        assert!(!refused.status.success());
        let told = said(&refused) + &text(&refused.stdout);
        let differs = "source was `l = KafkaV2[Subscribe[l_topic]], r = KafkaV2[Subscribe[r_topic]]`, is \
                       `r = KafkaV2[Subscribe[r_topic]], l = KafkaV2[Subscribe[l_topic]]`";
        assert!(told.contains("FB-6002") && told.contains(differs), "{command}: {told}");
    }
}
