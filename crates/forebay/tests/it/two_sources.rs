//! Queries that read two sources, or one twice: what each of them is told for, and that a restart goes on with each.

use std::path::Path;

use crate::first_minutes::said;
use crate::support::*;

/// A pipeline over two topics with queries of these names and texts.
fn pipeline(data: &Path, log: &LogServer, queries: &[(&str, &str)]) -> std::path::PathBuf {
    let source = |name: &str, column: &str| {
        format!(
            "  {name}:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: {name}_topic, startingOffsets: earliest }}\n\
             \x20   value: json\n    schema: id STRING, {column} BIGINT\n",
            log.address
        )
    };
    let query = |(name, sql): &(&str, &str)| {
        format!(
            "  {name}:\n    sql: {sql}\n    format: delta\n    options: {{ path: {name} }}\n    trigger: availableNow\n"
        )
    };
    let text = format!(
        "pipeline: p\nsources:\n{}{}queries:\n{}",
        source("l", "a"),
        source("r", "b"),
        queries.iter().map(query).collect::<String>(),
    );
    let file = data.join("p.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// The rows of a query's table.
fn sorted(data: &Path, query: &str) -> Vec<String> {
    let mut rows: Vec<String> = table_rows(data, &data.join(query)).iter().map(ToString::to_string).collect();
    rows.sort();
    rows
}

#[test]
fn a_query_over_two_sources_is_told_for_each_of_them() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let queries = [
        ("both", "SELECT l.id, l.a, r.b FROM l JOIN r ON l.id = r.id"),
        ("twin", "SELECT x.id, x.a, y.a AS other FROM l AS x JOIN l AS y ON x.id = y.id"),
    ];
    let (data, file) = (data.path(), pipeline(data.path(), &log, &queries));
    log.produce(
        "l_topic",
        &lines(&[r#"{"id":"k1","a":1}"#, r#"{"id":"k2","a":2}"#, r#"{"id":"k1","a":"x"}"#]),
    );
    log.produce("r_topic", &lines(&[r#"{"id":"k1","b":10}"#, r#"{"id":"k3","b":30}"#]));
    let path = file.to_str().unwrap();
    let shown = |args: &[&str]| text(&succeed(&mut forebay(data, args)).stdout);
    succeed(&mut forebay(data, &["run", path]));

    assert_eq!(sorted(data, "both"), [r#"{"a":1,"b":10,"id":"k1"}"#]);
    assert_eq!(sorted(data, "twin"), [r#"{"a":1,"id":"k1","other":1}"#, r#"{"a":2,"id":"k2","other":2}"#]);
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
    let goes = |side| {
        format!("read by epoch 0 (committed); passes the filters; goes to the {side} side of the join\n")
    };
    let told = why("l");
    for part in [
        &format!("both: {}", goes("left")),
        &format!("twin (input 0): {}", goes("left")),
        &format!("twin (input 1): {}", goes("right")),
        "in the quarantine: `forebay quarantine show l_topic/0/2`",
    ] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    let told = why("r");
    assert!(told.contains(&format!("both: {}", goes("right"))) && !told.contains("twin"), "{told}");

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

#[test]
fn a_union_reads_each_of_its_parts_and_counts_every_record() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let queries = [
        (
            "all",
            "SELECT id, a FROM l WHERE a < 9 UNION ALL SELECT id, b FROM r UNION ALL SELECT upper(id), -a FROM l",
        ),
        (
            "counts",
            "SELECT id, count(*) AS n FROM (SELECT id FROM l UNION ALL SELECT id FROM r) GROUP BY id\n    outputMode: update",
        ),
    ];
    let (data, file) = (data.path(), pipeline(data.path(), &log, &queries));
    let path = file.to_str().unwrap();
    let shown = |args: &[&str]| text(&succeed(&mut forebay(data, args)).stdout);
    log.produce(
        "l_topic",
        &lines(&[r#"{"id":"k1","a":1}"#, r#"{"id":"k2","a":9}"#, r#"{"id":"k1","a":"x"}"#]),
    );
    log.produce("r_topic", &lines(&[r#"{"id":"k1","b":10}"#]));
    succeed(&mut forebay(data, &["run", path]));
    let first =
        [r#"{"a":-1,"id":"K1"}"#, r#"{"a":-9,"id":"K2"}"#, r#"{"a":1,"id":"k1"}"#, r#"{"a":10,"id":"k1"}"#];
    assert_eq!(sorted(data, "all"), first);
    assert_eq!(sorted(data, "counts"), [r#"{"id":"k1","n":2}"#, r#"{"id":"k2","n":1}"#]);
    let ledger = &last_commit(data, "p", "all")["ledger"];
    let fates = ["read", "emitted", "filtered", "quarantined"].map(|fate| ledger[fate].as_u64().unwrap());
    assert_eq!(fates, [7, 4, 1, 2], "what two parts read counts for each: {ledger}");
    let ledger = &last_commit(data, "p", "counts")["ledger"];
    let fates = ["read", "aggregated", "quarantined"].map(|fate| ledger[fate].as_u64().unwrap());
    assert_eq!(fates, [4, 3, 1], "{ledger}");

    // It goes on with each part where that was.
    log.produce("r_topic", &lines(&[r#"{"id":"k3","b":30}"#]));
    succeed(&mut forebay(data, &["run", path]));
    let second = [&first[..3], &[r#"{"a":30,"id":"k3"}"#], &first[3..]].concat();
    assert_eq!(sorted(data, "all").len(), 5);
    assert!(second.iter().all(|row| sorted(data, "all").iter().any(|found| found == row)));
    assert!(sorted(data, "counts").contains(&r#"{"id":"k3","n":1}"#.to_owned()));

    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis().to_string();
    let args = ["why", "row", "--pipeline", path, "--source", "l", "--key", "k2", "--at", &now];
    let told = shown(&[&args[..], &["--within", "1 hour"]].concat());
    for part in [
        "all (input 0): read by epoch 0 (committed); filtered: `a < 9` does not hold\n",
        "all (input 2): read by epoch 0 (committed); comes out as a row\n",
        "counts: read by epoch 0 (committed); passes the filters; counts in its group\n",
    ] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    let plan = shown(&["plan", path]);
    assert!(plan.contains("at l_topic-0 3, r_topic-0 (input 1) 2, l_topic-0 (input 2) 3"), "{plan}");

    // One part more is another query.
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, written.replace(" UNION ALL SELECT upper(id), -a FROM l", "")).unwrap();
    let refused = forebay(data, &["run", path]).output().unwrap();
    assert!(!refused.status.success() && said(&refused).contains("FB-6002"), "{}", said(&refused));
}
