//! `forebay plan`: what a start would do, before it is done.

use std::path::Path;

use serde_json::Value;

use crate::first_minutes::said;
use crate::support::*;

/// The verdict of `forebay plan` on each query, and whether it says that all is safe.
fn plan(data: &Path, file: &Path) -> (Value, bool) {
    let args = ["plan", file.to_str().unwrap(), "--format", "json"];
    let output = forebay(data, &args).output().unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.success())
}

#[test]
fn a_plan_tells_what_run_would_do_before_it_is_done() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let original = std::fs::read_to_string(&file).unwrap();
    let path = file.to_str().unwrap();
    let verdict = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let (plan, is_safe) = plan(data.path(), &file);
        assert_eq!(plan["safe"], is_safe, "{plan}");
        (plan["queries"][0]["verdict"].as_str().unwrap().to_owned(), plan)
    };
    let (new, document) = verdict(&original);
    assert_eq!((new.as_str(), &document["queries"][0]["epoch"]), ("new", &Value::Null));
    assert!(!data.path().join("checkpoints").exists(), "a plan makes nothing");
    succeed(&mut forebay(data.path(), &["run", path]));

    let (unchanged, document) = verdict(&original);
    assert_eq!(unchanged, "unchanged");
    let query = &document["queries"][0];
    assert_eq!((query["epoch"].as_u64(), query["positions"][0]["offset"].as_u64()), (Some(1), Some(100)));
    // How the file is laid out is no change.
    assert_eq!(verdict(&original.replace("hash STRING NOT NULL", "hash  string not null")).0, "unchanged");

    let other_sql = original.replace("sql: SELECT * FROM events", "sql: SELECT * FROM events WHERE seq > 5");
    let (changed, document) = verdict(&other_sql);
    let change = &document["queries"][0]["changes"][0];
    assert_eq!((changed.as_str(), change["what"].as_str()), ("changed", Some("sql")));
    assert_eq!(change["was"], "SELECT * FROM events");
    let (changed, document) = verdict(&original.replace("seq BIGINT NOT NULL", "seq BIGINT"));
    assert_eq!(
        (changed.as_str(), &document["queries"][0]["changes"][0]["what"]),
        ("changed", &"schema".into())
    );
    // What was told holds: the changed query goes on, and is then what the checkpoint knows.
    std::fs::write(&file, &other_sql).unwrap();
    succeed(&mut forebay(data.path(), &["run", path]));
    assert_eq!(verdict(&other_sql).0, "unchanged");

    let (refused, document) = verdict(&original.replace("path: table", "path: another"));
    assert_eq!((refused.as_str(), &document["queries"][0]["error"]["code"]), ("refused", &"FB-6002".into()));
    let run = forebay(data.path(), &["run", path]).output().unwrap();
    assert!(said(&run).contains("FB-6002"), "run says the same: {}", said(&run));

    let renamed = original.replace("  lake:", "  ocean:");
    let (new, document) = verdict(&renamed);
    assert_eq!((new.as_str(), &document["left"][0]["name"]), ("new", &"lake".into()));
    let shown = text(&succeed(&mut forebay(data.path(), &["plan", path])).stdout);
    for part in ["+ ocean: is new", "- lake: is not in the file", "`forebay run` refuses none of these"] {
        assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
    }
    let moved = original.replace("pipeline: copy", "pipeline: other");
    assert_eq!(verdict(&moved).1["otherPipelines"][0], "copy");

    // A checkpoint of a version that kept no definition.
    std::fs::remove_file(data.path().join("checkpoints/copy/lake/definition")).unwrap();
    assert_eq!(verdict(&original).0, "unknown");
    std::fs::write(data.path().join("checkpoints/copy/lake/journal"), b"").unwrap();
    let (refused, document) = verdict(&original);
    assert_eq!((refused.as_str(), &document["queries"][0]["error"]["code"]), ("refused", &"FB-6003".into()));
}

#[test]
fn a_plan_tells_what_becomes_of_alerts_of_the_page_and_of_rows_that_a_table_does_not_take() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let with = "alerts:\n  high: { on: events, key: device, when: seq > 90, for: 10 seconds }\ndashboard: { title: One }\n";
    let original = std::fs::read_to_string(&file).unwrap() + with;
    std::fs::write(&file, &original).unwrap();
    assert_eq!(plan(data.path(), &file).0["alerts"][0]["verdict"], "new");
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--trigger", "availableNow"]));
    let (same, is_safe) = plan(data.path(), &file);
    assert!(is_safe && same["same"] == true && same["dashboard"] == serde_json::json!([]), "{same}");

    let changed = |from: &str, to: &str| {
        assert!(original.contains(from), "{from}");
        std::fs::write(&file, original.replace(from, to)).unwrap();
        let (plan, _) = plan(data.path(), &file);
        assert_eq!(plan["same"], false, "{to}");
        plan
    };
    for (from, to, what) in [
        ("seq > 90", "seq > 95", "when"),
        ("10 seconds", "20 seconds", "for"),
        ("10 seconds", "10 seconds, clear: seq < 5", "clear"),
        ("10 seconds", "10 seconds, severity: critical", "severity"),
        ("10 seconds", "10 seconds, message: \"{device}\"", "message"),
        ("hash STRING NOT NULL", "hash STRING", "schema"),
    ] {
        let plan = changed(from, to);
        let alert = &plan["alerts"][0];
        assert_eq!(
            (&alert["verdict"], &alert["changes"][0]["what"]),
            (&"changed".into(), &what.into()),
            "{plan}"
        );
        assert_eq!(alert["epoch"], 1, "it goes on: {plan}");
    }
    let plan = changed("key: device", "key: hash");
    let alert = &plan["alerts"][0];
    assert_eq!(
        (&alert["verdict"], &alert["error"]["code"]),
        (&"refused".into(), &"FB-6002".into()),
        "{plan}"
    );
    let plan = changed("  high:", "  higher:");
    assert_eq!(
        (&plan["alerts"][0]["verdict"], &plan["left"][0]["name"]),
        (&"new".into(), &"alerts/high".into())
    );
    let plan = changed("title: One", "title: Two");
    assert_eq!((&plan["dashboard"][0]["what"], &plan["safe"]), (&"title".into(), &true.into()), "{plan}");
    let shown = text(&succeed(&mut forebay(data.path(), &["plan", file.to_str().unwrap()])).stdout);
    for part in ["= alerts/high: goes on with epoch 1", "~ dashboard: is not what it was: title"] {
        assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
    }
    assert!(!shown.contains("has open"), "nothing is:\n{shown}");

    let plan = changed("SELECT * FROM events", "SELECT device, CAST(seq AS STRING) AS seq FROM events");
    assert_eq!(plan["queries"][0]["error"]["code"], "FB-5002", "{plan}");
    assert!(plan["alerts"][0]["verdict"] == "unchanged" && plan["safe"] == false);
}

#[test]
fn a_plan_tells_which_changes_the_state_of_a_query_bears() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    let file = data.path().join("count.yaml");
    let original = format!(
        "pipeline: count\nsources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: {PROOF_SCHEMA}\n\
         queries:\n  counts:\n    sql: SELECT device, count(*) AS n FROM events GROUP BY device\n    format: console\n    outputMode: update\n    trigger: availableNow\n",
        log.address
    );
    let run = |text: &str| {
        std::fs::write(&file, text).unwrap();
        forebay(data.path(), &["run", file.to_str().unwrap()]).output().unwrap()
    };
    assert!(run(&original).status.success());
    let change = |from: &str, to: &str| {
        assert!(original.contains(from), "{from}");
        let text = original.replace(from, to);
        std::fs::write(&file, &text).unwrap();
        (plan(data.path(), &file).0["queries"][0].clone(), text)
    };
    assert_eq!(change("console", "console").0["verdict"], "unchanged");
    for (from, to, what) in [
        ("FROM events GROUP", "FROM events WHERE seq > 5 GROUP", "sql"),
        ("AS n", "AS many", "sql"),
        ("outputMode: update", "outputMode: complete", "outputMode"),
        ("outputMode: update", "outputMode: update\n    stateLimit: 1MiB", "stateLimit"),
        (
            "queries:",
            "    watermark: { column: timestamp_seconds(seq), delay: 1 minute }\nqueries:",
            "watermark",
        ),
    ] {
        let (query, _) = change(from, to);
        assert_eq!(
            (&query["verdict"], &query["changes"][0]["what"]),
            (&"changed".into(), &what.into()),
            "{query}"
        );
    }
    for (from, to, told) in [
        ("count(*)", "max(seq)", "`aggregate-0`: count(1) → max("),
        ("GROUP BY device", "GROUP BY device, hash", "`aggregate-0`: hash is new"),
        (", count(*) AS n FROM events GROUP BY device", " FROM events", "`aggregate-0` is gone"),
    ] {
        let (query, text) = change(from, to);
        assert_eq!(
            (&query["verdict"], &query["error"]["code"]),
            (&"refused".into(), &"FB-6008".into()),
            "{query}"
        );
        let refused = run(&text);
        let words = said(&refused);
        assert!(!refused.status.success() && words.contains("FB-6008") && words.contains(told), "{words}");
        assert!(words.contains("counts: the query would keep another state"), "{words}");
    }
    // What was told holds: each goes on with what was counted, and none begins anew.
    let counted = |text: &str, column: &str| {
        log.produce("events", &proof_events(14));
        let ran = run(text);
        assert!(ran.status.success(), "{}", said(&ran));
        let printed = crate::support::text(&ran.stdout);
        let mut cells = printed.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
        let head = cells.next().unwrap_or_default();
        assert!(head.contains(column), "{printed}");
        let counts = cells.filter_map(|row| row.split('|').nth(1)?.trim().parse::<u64>().ok());
        counts.sum::<u64>()
    };
    let (_, renamed) = change("AS n", "AS many");
    assert_eq!(counted(&renamed, "many"), 100 + 14);
    // Of fourteen events more eight have a number above five; each device has one of them at least.
    let filtered = renamed.replace("FROM events GROUP", "FROM events WHERE seq > 5 GROUP");
    assert_eq!(counted(&filtered, "many"), 100 + 14 + 8);
    let complete = filtered.replace("outputMode: update", "outputMode: complete");
    assert_eq!(counted(&complete, "many"), 100 + 14 + 2 * 8);
}

/// Gateways keep nothing and cycles stand in a journal: both are told, from one start to the next.
#[test]
fn a_plan_tells_of_gateways_and_of_where_cycles_stand() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    let file = data.path().join("p.yaml");
    let text = |topic: &str, gateway: &str, every: &str| {
        format!(
            "pipeline: p\ngateways:\n  {gateway}:\n    format: http\n    routes: {{ \"a/{{d}}\": {{ topic: {topic} }} }}\n\
             sources:\n  events:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: events, startingOffsets: earliest }}\n\
             \x20   value: json\n    schema: {PROOF_SCHEMA}\n\
             queries:\n  collect:\n    sql: SELECT * FROM events\n    format: csv\n    options: {{ path: output }}\n\
             \x20   cycle: {{ every: {every}, archive: \"backup/{{name}}_{{yyyyMMdd_HHmmss}}.csv\", repeat: 1 }}\n",
            log.address
        )
    };
    let told = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let (document, _) = plan(data.path(), &file);
        let output = forebay(data.path(), &["plan", file.to_str().unwrap()]).output().unwrap();
        (document, String::from_utf8(output.stdout).unwrap())
    };
    let first = text("events", "web", "1 second");
    let (document, words) = told(&first);
    assert_eq!(document["gateways"][0]["verdict"], "new", "{document}");
    assert_eq!(document["gateways"][0]["topics"][0], "events");
    assert!(
        words.contains("+ gateway web: begins with the start: http at /api/v1/ingest/web, 1 route to events"),
        "{words}"
    );
    assert!(words.contains("cycle 1 of 1 begins; no archive yet"), "{words}");
    succeed(&mut forebay(data.path(), &["run", file.to_str().unwrap(), "--embedded-log", "never"]));
    let (document, words) = told(&first);
    assert_eq!(
        (&document["gateways"][0]["verdict"], &document["same"]),
        (&"unchanged".into(), &true.into()),
        "{document}"
    );
    assert!(words.contains("its one cycle is over") && words.contains("; 1 archive"), "{words}");
    let (document, words) = told(&text("events2", "web", "2 seconds"));
    assert_eq!(document["gateways"][0]["verdict"], "changed", "{document}");
    assert_eq!((&document["same"], &document["safe"]), (&false.into(), &true.into()), "{document}");
    assert!(words.contains("takes no other gateways"), "{words}");
    let changes = document["queries"][0]["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| change["what"] == "cycle"), "{document}");
    let (document, words) = told(&text("events", "other", "1 second"));
    assert_eq!(document["gateways"][1]["verdict"], "gone", "{document}");
    assert!(words.contains("- gateway web: is not in the file"), "{words}");
}
