//! What is not sound or not safe changes nothing, and is told.

use std::process::Command;

use serde_json::Value;

use super::line::{PATIENCE, Running, fates, has_read, json, of_each, reload};
use crate::support::*;

#[test]
fn a_file_that_is_not_sound_or_not_safe_is_refused_whole_and_nothing_is_touched() {
    let events = proof_events(200);
    let Running { log, line, mut process, http } = Running::with(&events[..100], &[]);
    let before = of_each(http, "runId");

    let (text, nobody) = (line.before(), free_address());
    let source = format!(
        "  others: {{ format: kafka, options: {{ kafka.bootstrap.servers: \"{nobody}\", subscribe: others }} }}\nqueries:\n  fresh: {{ sql: SELECT * FROM others, format: console }}\n"
    );
    let other_log = text.replace("queries:\n", &source);
    for (what, file, status, code, problems) in [
        (
            "a typing error",
            text.replace("  gone:", "  fresh: { sqll: x, format: console }\n  gone:"),
            400,
            "FB-1004",
            &["FB-1004", "FB-1003"][..],
        ),
        (
            "SQL over nothing",
            text.replace("FROM events WHERE", "FROM evens WHERE"),
            400,
            "FB-4002",
            &["FB-4002"],
        ),
        ("another table", text.replace("path: slow", "path: other"), 409, "FB-1011", &["FB-6002"]),
        (
            "columns that the table does not take",
            text.replacen("SELECT * FROM events,", "\"SELECT CAST(seq AS STRING) AS seq FROM events\",", 1),
            409,
            "FB-1011",
            &["FB-5002"],
        ),
        ("another key of an alert", text.replace("key: device", "key: hash"), 409, "FB-1011", &["FB-6002"]),
        ("another name", text.replace("pipeline: line", "pipeline: circle"), 409, "FB-1011", &["FB-1011"]),
        ("another log, which this process would serve", other_log, 409, "FB-1011", &["FB-1011"]),
        (
            "several at once",
            text.replace("path: slow", "path: other").replace("key: device", "key: hash"),
            409,
            "FB-1011",
            &["FB-6002", "FB-6002"],
        ),
    ] {
        assert_ne!(file, text, "{what}");
        line.write(&file);
        let (refused, problem) = reload(http);
        assert_eq!((refused, problem["code"].as_str()), (status, Some(code)), "{what}: {problem}");
        let told: Vec<&str> =
            problem["problems"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!(told, problems, "{what}: {problem}");
        let shown = json(&get(http, "/health").1)["refusedReload"].clone();
        assert_eq!(
            (&shown["by"], shown["code"].as_str()),
            (&"POST /api/v1/reload".into(), Some(problems[0])),
            "{what}: {shown}"
        );
    }
    std::fs::remove_file(line.file()).unwrap();
    let (status, problem) = reload(http);
    assert_eq!((status, &problem["code"]), (400, &"FB-1001".into()), "{problem}");
    process.wait_for("Did you mean `sql`?", PATIENCE);
    process.wait_for("slow: the checkpoint belongs to another query", PATIENCE);
    // What helps with an alert is another thing than with a query.
    process.wait_for("Undo the change and the alert goes on.", PATIENCE);
    process.signal("HUP");
    eventually("who asked last", PATIENCE, || {
        json(&get(http, "/health").1)["refusedReload"]["by"] == "SIGHUP"
    });
    assert!(get(http, "/metrics").1.contains("forebay_reload_refused{pipeline=\"line\"} 1"));

    assert_eq!(of_each(http, "runId"), before, "nothing was interrupted");
    assert_eq!(get(http, "/health").0, 200);
    log.produce("events", &events[100..]);
    eventually("the other events", PATIENCE, || has_read(http, "lake", 200) && has_read(http, "slow", 200));
    line.write(&text);
    let (status, done) = reload(http);
    assert_eq!(status, 200, "{done}");
    assert!(
        fates(&done).iter().all(|fate| fate.ends_with(" unchanged")) && done["dashboard"] == false,
        "{done}"
    );
    assert_eq!(of_each(http, "runId"), before);
    assert_eq!(json(&get(http, "/health").1)["refusedReload"], Value::Null, "one was taken");
    assert!(process.stop().0);
    for table in ["lake", "slow"] {
        assert_exactly_once(&line.rows(table), 200, table);
    }
    assert!(!line.data().join("checkpoints/line/fresh").exists());
}

#[test]
fn what_a_changed_query_fails_with_is_its_status() {
    let Running { log, line, process, http } = Running::with(&proof_events(100), &[]);
    // Somebody else holds the checkpoint of a query that is new: then nothing is touched.
    let holder = line.data().join("checkpoints/line/more");
    std::fs::create_dir_all(&holder).unwrap();
    let lock = std::fs::File::create(holder.join("LOCK")).unwrap();
    lock.lock().unwrap();
    let before = of_each(http, "runId");
    line.write(&line.after());
    let (status, problem) = reload(http);
    assert_eq!((status, &problem["code"]), (409, &"FB-6001".into()), "{problem}");
    assert_eq!(of_each(http, "runId"), before);
    drop(lock);
    // A row that no cast takes ends the query that has begun with it.
    line.write(&line.before().replace(
        "SELECT * FROM events WHERE seq < 0",
        "SELECT CAST(hash AS INT) AS n FROM events WHERE seq >= 0",
    ));
    let (status, done) = reload(http);
    assert_eq!((status, fates(&done)[2].as_str()), (200, "gone changed sql"), "{done}");
    log.produce("events", &proof_events(1));
    eventually("its failure", PATIENCE, || of_each(http, "state")["gone"] == "failed");
    // Mended in the file, it goes on.
    line.write(&line.before());
    let (_, done) = reload(http);
    assert_eq!(fates(&done)[2], "gone changed sql");
    eventually("its next run", PATIENCE, || has_read(http, "gone", 101));
    assert!(process.stop().0);
}

#[test]
fn a_pipe_in_the_place_of_the_file_is_refused_and_the_run_goes_on_and_ends() {
    let Running { line, mut process, .. } = Running::with(&proof_events(100), &[]);
    // Who reads a pipe waits until somebody writes into it.
    std::fs::remove_file(line.file()).unwrap();
    assert!(Command::new("mkfifo").arg(line.file()).status().unwrap().success());
    process.signal("HUP");
    process.wait_for("it is not a regular file", PATIENCE);
    assert!(process.stop().0);
    assert_exactly_once(&line.rows("lake"), 100, "lake");
}
