//! A pipeline file that is taken while the pipeline runs: what did not change runs on, nothing is lost and nothing
//! comes twice. What is refused changes nothing ([`refused`]); whatever ends in between ends well ([`ends`]).

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::*;

mod ends;
mod line;
mod refused;

use line::{Line, Load, PATIENCE, Running, fates, has_read, json, of_each, open_alerts, reload};

#[test]
fn under_load_what_changed_goes_on_by_the_new_file_and_the_rest_is_not_interrupted() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    let line = Line::with(log.address, 1_000);
    let mut process = Process::spawn(&mut line.command(&[]));
    let http = process.address("http");
    let load = Load::start(log.address);
    eventually("a part of the events", PATIENCE, || {
        has_read(http, "lake", 500) && has_read(http, "slow", 500)
    });
    eventually("the devices", PATIENCE, || json(&get(http, "/api/v1/devices").1)["total"] == 7);
    eventually("the alerts", PATIENCE, || open_alerts(http).len() == 7);
    let open = open_alerts(http);
    let mut live = TcpStream::connect(http).unwrap();
    live.set_read_timeout(Some(PATIENCE)).unwrap();
    live.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    while !text(&seen).contains("event: tick") {
        let mut part = [0; 4096];
        let length = live.read(&mut part).unwrap();
        assert!(length > 0, "the stream shows the old file: {}", text(&seen));
        seen.extend_from_slice(&part[..length]);
    }
    let before = of_each(http, "runId");

    line.write(&line.after());
    let (status, done) = reload(http);
    assert_eq!(status, 200, "{done}");
    let expected =
        ["lake unchanged", "slow changed trigger", "more new", "alerts/high changed for", "gone removed"];
    assert_eq!(fates(&done), expected);
    assert!(
        done["dashboard"] == true
            && done["queries"].as_array().unwrap().iter().all(|it| it["error"].is_null())
    );
    // At once, and with all that was known.
    let schema = json(&get(http, "/api/v1/schema").1);
    assert_eq!(
        (&schema["panels"][0]["title"], &schema["alerts"][0]["for"]),
        (&"Numbers".into(), &1000.into())
    );
    let names: Vec<&str> =
        schema["queries"].as_array().unwrap().iter().map(|query| query["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lake", "slow", "more"]);
    assert_eq!(json(&get(http, "/api/v1/devices").1)["total"], 7, "the follower runs on");
    assert_eq!(open_alerts(http), open, "open alerts stay");
    let after = of_each(http, "runId");
    assert_eq!(after["lake"], before["lake"], "not interrupted");
    assert!(after["slow"] != before["slow"] && after["alerts/high"] != before["alerts/high"]);
    assert_eq!(get(http, "/api/v1/queries/gone").0, 404);
    // The stream that showed the old file ends.
    live.read_to_end(&mut seen).unwrap();

    let count = load.end();
    eventually("all events", PATIENCE, || {
        ["lake", "slow", "more", "alerts/high"].iter().all(|query| has_read(http, query, count))
    });
    process.wait_for("reloaded: slow changed (trigger), more new, alerts/high changed (for), gone removed, the page changed, 1 unchanged", PATIENCE);
    assert!(process.stop().0);
    for table in ["lake", "slow", "more"] {
        assert_exactly_once(&line.rows(table), count, table);
        assert_ledger(&last_commit(&line.data(), "line", table)["ledger"], count);
    }
    assert_eq!(line.opened().len(), 7);
}

#[test]
fn a_change_of_the_file_is_taken_by_itself_and_a_run_keeps_what_it_was_told() {
    let told = ["--watch", "--query", "lake", "--query", "slow", "--trigger", "100 milliseconds"];
    let Running { line, mut process, http, .. } = Running::with(&proof_events(100), &told);
    let before = of_each(http, "runId");
    // As an editor does it: another file that gets the name. Triggers are the run's own, others do not run.
    let new = line.dir.path().join("line.yaml.new");
    let text = line.after().replace(
        "SELECT * FROM events, format: delta, options: { path: slow }",
        "SELECT * FROM events WHERE seq >= 0, format: delta, options: { path: slow }",
    );
    std::fs::write(&new, &text).unwrap();
    std::fs::rename(&new, line.file()).unwrap();
    process.wait_for("reloaded: slow changed (sql), the page changed, 1 unchanged", PATIENCE);
    let after = of_each(http, "runId");
    assert_eq!(after.keys().collect::<Vec<_>>(), ["lake", "slow"]);
    assert!(after["lake"] == before["lake"] && after["slow"] != before["slow"]);

    // Only what it is told by name runs, so that name must stay.
    line.write(&text.replace("  slow:", "  fast:"));
    process.wait_for("unknown query `slow`", PATIENCE);
    assert_eq!(of_each(http, "runId"), after);
    assert!(process.stop().0);
}

#[test]
fn a_query_that_a_person_stopped_stays_so_and_two_reloads_come_one_after_the_other() {
    let events = proof_events(200);
    let Running { log, line, process, http } = Running::with(&events[..100], &[]);
    assert_eq!(post(http, "/api/v1/queries/slow/stop", "").0, 202);
    eventually("its end", PATIENCE, || of_each(http, "state")["slow"] == "stopped");
    line.write_with(
        "SELECT * FROM events, format: delta, options: { path: slow }",
        "SELECT * FROM events WHERE seq >= 0, format: delta, options: { path: slow }",
    );
    let two: Vec<_> = (0..2).map(|_| std::thread::spawn(move || reload(http))).collect();
    let mut both: Vec<String> = two
        .into_iter()
        .map(|one| {
            let (status, done) = one.join().unwrap();
            assert_eq!(status, 200, "{done}");
            fates(&done)[1].clone()
        })
        .collect();
    both.sort();
    assert_eq!(both, ["slow changed sql", "slow unchanged"]);
    assert_eq!(of_each(http, "state")["slow"], "stopped");
    assert_eq!(
        json(&get(http, "/api/v1/schema").1)["queries"][1]["sql"],
        "SELECT * FROM events WHERE seq >= 0"
    );
    log.produce("events", &events[100..]);
    eventually("the others", PATIENCE, || has_read(http, "lake", 200));
    assert!(!has_read(http, "slow", 200));
    assert_eq!(post(http, "/api/v1/queries/slow/start", "").0, 202);
    eventually("the rest", PATIENCE, || has_read(http, "slow", 200));

    // One that is taken out while it is stopped keeps nothing waiting.
    assert_eq!(post(http, "/api/v1/queries/gone/stop", "").0, 202);
    line.write(&line.after());
    assert_eq!(reload(http).0, 200);
    assert!(process.stop().0);
    assert_exactly_once(&line.rows("slow"), 200, "slow");
}

#[test]
fn what_a_rule_has_open_ends_when_it_is_taken_out() {
    let Running { line, mut process, http, .. } = Running::with(&proof_events(100), &[]);
    eventually("the alerts", PATIENCE, || open_alerts(http).len() == 7);
    // A rule is looked after once it has committed.
    let planned = || {
        let plan = forebay(&line.data(), &["plan", line.file().to_str().unwrap()]).output().unwrap();
        text(&plan.stdout)
    };
    eventually("the plan", PATIENCE, || planned().contains("; the 7 alerts that it has open stay\n"));
    let before = line.before();
    let (start, rest) = before.split_once("alerts:\n").unwrap();
    let (_, page) = rest.split_once("dashboard:\n").unwrap();
    line.write(&format!("{start}dashboard:\n{page}"));
    assert!(planned().contains("which stays; the 7 alerts that it has open end\n"), "{}", planned());
    let (status, done) = reload(http);
    assert_eq!((status, fates(&done)[3].as_str()), (200, "alerts/high removed"), "{done}");
    process.wait_for("alert `high` is not in the file any more: 7 open ended", PATIENCE);
    assert_eq!(open_alerts(http), Vec::<Value>::new());

    // Put back, it is not new, whoever says so; and what it opened it does not open again.
    line.write(&before);
    let plan = planned();
    let told = plan.lines().find(|line| line.contains("alerts/high: ")).unwrap();
    assert!(told.contains("goes on with epoch") && !told.contains("open"), "{plan}");
    let (status, done) = reload(http);
    assert_eq!((status, fates(&done)[3].as_str()), (200, "alerts/high returned"), "{done}");
    process.wait_for("reloaded: alerts/high returned, 3 unchanged", PATIENCE);
    eventually("it looks on", PATIENCE, || has_read(http, "alerts/high", 100));
    assert_eq!(open_alerts(http), Vec::<Value>::new());
    assert!(process.stop().0);
}

#[test]
fn a_new_source_of_the_embedded_log_is_there_at_once_and_the_log_stays_where_it_is() {
    let line = Line::new(free_address());
    let mut process = Process::spawn(&mut line.command(&[]));
    let (http, kafka) = (process.address("http"), process.address("kafka"));
    let source = format!(
        "  others: {{ format: kafka, options: {{ kafka.bootstrap.servers: \"{kafka}\", subscribe: others, startingOffsets: earliest }}, value: json, schema: \"{PROOF_SCHEMA}\" }}\nqueries:\n  fresh: {{ sql: SELECT * FROM others, format: delta, options: {{ path: fresh }} }}\n"
    );
    let with_source = line.before().replace("queries:\n", &source);
    line.write(&with_source);
    let (status, done) = reload(http);
    assert_eq!((status, fates(&done)[0].as_str()), (200, "fresh new"), "{done}");
    let topics = succeed(forebay(&line.data(), &["log", "topics"]).args(["--bootstrap", &kafka.to_string()]));
    assert!(text(&topics.stdout).contains("others"), "it was made: {}", text(&topics.stdout));
    produce(kafka, "others", &proof_events(50));
    eventually("its events", PATIENCE, || has_read(http, "fresh", 50));
    eventually("its devices", PATIENCE, || json(&get(http, "/api/v1/devices?source=others").1)["total"] == 7);

    let moved = free_address().to_string();
    line.write(&with_source.replace(&kafka.to_string(), &moved));
    let (status, problem) = reload(http);
    assert_eq!((status, &problem["problems"][0]["code"]), (409, &"FB-1011".into()), "{problem}");
    assert!(problem["problems"][0]["message"].as_str().unwrap().contains(&moved), "{problem}");
    line.write(&line.before());
    assert_eq!(fates(&reload(http).1).last().unwrap(), "fresh removed");
    assert_eq!(get(http, "/api/v1/devices?source=others").0, 404);
    assert!(process.stop().0);
    assert_exactly_once(&line.rows("fresh"), 50, "fresh");
}
