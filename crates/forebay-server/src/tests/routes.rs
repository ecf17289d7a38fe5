//! What each route answers, and what it refuses.

use axum::body::Body;
use serde_json::{Value, json};

use std::sync::Arc;

use super::Asked;
use super::plant::HOSTILE;
use super::plant::archives::CONTENT;
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_engine::lookup::Standing;
use forebay_engine::status::State;

use crate::shown::RefusedFile;

#[tokio::test]
async fn what_has_no_parameters_answers_as_it_is_described() {
    let asked = Asked::new();
    for path in [
        "/api/v1",
        "/api/v1/",
        "/api/v1/openapi.json",
        "/api/v1/pipelines",
        "/api/v1/pipelines/plant",
        "/api/v1/schema",
        "/api/v1/queries",
        "/api/v1/queries/lake",
        "/api/v1/queries/alerts%2Fhot",
        "/api/v1/queries/lake/progress",
        "/api/v1/ledger",
        "/api/v1/alerts",
        "/api/v1/quarantine",
        "/api/v1/devices",
        "/api/v1/labels",
        "/api/v1/shares?field=on",
        "/api/v1/channels",
        "/api/v1/gateways",
        "/api/v1/cycles",
        "/api/v1/cycles?limit=1",
        "/api/v1/quality",
        "/api/v1/quality?query=lake&from=1&to=2",
        "/health",
        "/metrics",
        "/",
    ] {
        assert_eq!(asked.get(path).await.status, 200, "{path}");
    }
    let query = asked.get("/api/v1/queries/lake").await.json();
    assert_eq!(query["latency"], json!({ "p50": 12, "p99": 40 }));
    assert_eq!((&query["waitingFor"], &query["watermark"]), (&json!("its next epoch"), &Value::Null));
}

#[tokio::test]
async fn an_archive_comes_as_a_file_to_keep() {
    let asked = Asked::new();
    for name in ["old%2Fa.csv", "a.csv"] {
        let got = asked.get(&format!("/api/v1/cycles/lake/archives/{name}")).await;
        assert_eq!((got.status.as_u16(), got.text.as_str()), (200, CONTENT));
        let header = |name: &str| got.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/octet-stream");
        assert_eq!(header("content-length"), CONTENT.len().to_string());
        assert_eq!(header("content-disposition"), "attachment; filename=\"a.csv\"; filename*=UTF-8''a.csv");
        assert_eq!(header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn an_order_that_is_none_is_a_bad_request() {
    let got = Asked::new().get("/api/v1/devices?sort=-temprature").await;
    assert_eq!(got.status, 400, "{}", got.text);
    assert!(got.json()["hint"].as_str().unwrap().contains("Did you mean `temperature`?"), "{}", got.text);
}

#[tokio::test]
async fn what_is_not_there_says_what_is() {
    let asked = Asked::new();
    for (path, hint) in [
        ("/api/v1/queries/lak", "There are: lake, alerts/hot."),
        ("/api/v1/pipelines/x", "This process runs `plant`."),
        ("/api/v1/devices?source=x", "There are: iot."),
        ("/api/v1/device?key=d9", "/schema"),
        ("/api/v1/cycles/lak/archives/a.csv", "/api/v1/cycles"),
        ("/api/v1/cycles/lake/archives/b.csv", "/cycles"),
        ("/api/v1/cycles/lake/archives/..%2F..%2Fetc%2Fpasswd", "/cycles"),
        ("/api/v1/history?field=temprature", "temperature"),
        ("/api/v1/shares?field=onn", "on"),
        ("/api/v1/live?fields=temprature", "temperature"),
        ("/assets/x.js", "/api/v1"),
        ("/assets/index.html", "/api/v1"),
        ("/assets/%2e%2e%2fetc", "/api/v1"),
        ("/nothing", "/api/v1"),
    ] {
        let got = asked.get(path).await;
        assert_eq!(got.status, 404, "{path}: {}", got.text);
        let problem = got.json();
        assert_eq!(problem["code"], "FB-8002");
        assert!(problem["hint"].as_str().unwrap().contains(hint), "{path}: {}", got.text);
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_nothing_is_ignored() {
    let asked = Asked::new();
    for path in [
        "/api/v1/queries?x=1",
        "/api/v1/devices?limit=0",
        "/api/v1/devices?limit=1001",
        "/api/v1/devices?state=sad",
        "/api/v1/devices?cursor=x",
        "/api/v1/history",
        "/api/v1/history?field=device_id",
        "/api/v1/shares",
        "/api/v1/shares?field=temperature",
        "/api/v1/shares?field=on&points=301",
        "/api/v1/labels?where=on",
        "/api/v1/devices?where=onn:true",
        "/api/v1/history?field=temperature&range=1y",
        "/api/v1/sql",
        "/api/v1/sql?q=wrong",
        "/api/v1/live?limit=9999",
    ] {
        let got = asked.get(path).await;
        assert_eq!(got.status, 400, "{path}: {}", got.text);
    }
    for (path, body) in [
        ("/api/v1/sql", "{"),
        ("/api/v1/sql", "{\"sql\": 1}"),
        ("/api/v1/sql", "{\"sql\": \"SELECT 1\", \"x\": 1}"),
        ("/api/v1/sql", "{\"sql\": \"SELECT 1\", \"limit\": 10001}"),
        ("/api/v1/quarantine/drop", "{}"),
        ("/api/v1/quarantine/drop", "{\"records\": []}"),
        ("/api/v1/quarantine/drop", "{\"records\": [\"nonsense\"]}"),
        ("/api/v1/quarantine/drop", "{\"records\": [\"t/0/1\"], \"all\": true}"),
    ] {
        assert_eq!(asked.post(path, body).await.status, 400, "{path} {body}");
    }
    let headers = [("host", "localhost"), ("x-forebay", "1"), ("content-type", "text/plain")];
    assert_eq!(asked.ask("POST", "/api/v1/sql", &headers, "{}").await.status, 415);
    assert_eq!(asked.post("/api/v1/sql", &" ".repeat((1 << 20) + 1)).await.status, 413);
    assert_eq!(asked.get(&format!("/api/v1?{}", "x".repeat(40_000))).await.status, 414);
    assert_eq!(asked.ask("DELETE", "/api/v1/queries", &[("host", "localhost")], "").await.status, 405);
}

#[tokio::test]
async fn the_quarantine_is_listed_replayed_and_dropped() {
    let asked = Asked::new();
    let first = asked.get("/api/v1/quarantine?limit=3").await.json();
    assert_eq!((&first["open"], &first["records"][0]["id"]), (&json!(5), &json!("iot/a/0/4")));
    assert_eq!(first["records"][0]["rawBase64"], "e/8=");
    let next = format!("/api/v1/quarantine?limit=3&cursor={}", first["next"].as_str().unwrap());
    assert_eq!(asked.get(&next).await.json()["records"][0]["offset"], 1);
    let drop = "/api/v1/quarantine/drop";
    assert_eq!(asked.post(drop, "{\"records\": [\"iot/a/0/4\"]}").await.json()["requested"], 1);
    assert_eq!(asked.get("/api/v1/quarantine").await.json()["open"], 4);
    let replay = asked.post("/api/v1/quarantine/replay", "{\"all\": true, \"code\": \"json.syntax\"}").await;
    assert_eq!((replay.status.as_u16(), &replay.json()["requested"]), (202, &json!(4)));
    let missing = asked.post(drop, "{\"records\": [\"iot/a/0/9\"]}").await;
    assert_eq!((missing.status.as_u16(), &missing.json()["code"]), (404, &json!("FB-3003")));
}

#[tokio::test]
async fn queries_are_stopped_and_started_by_name() {
    let asked = Asked::new();
    assert_eq!(asked.post("/api/v1/queries/lake/stop", "").await.json()["name"], "lake");
    assert_eq!(asked.post("/api/v1/queries/lake/start", "").await.status, 409);
    assert_eq!(asked.post("/api/v1/queries/nobody/stop", "").await.status, 404);
    assert_eq!(*asked.plant.orders.lock(), ["stop lake", "start lake"]);
}

#[tokio::test]
async fn a_statement_gives_rows_or_says_where_it_is_wrong() {
    let asked = Asked::new();
    for rows in [
        asked.get("/api/v1/sql?q=SELECT+1&limit=2").await,
        asked.post("/api/v1/sql", "{\"sql\":\"x\",\"limit\":2}").await,
    ] {
        let rows = rows.json();
        assert_eq!((&rows["rows"], &rows["truncated"]), (&json!([[1], [null]]), &json!(true)));
        assert_eq!(rows["columns"], json!([{ "name": "n <b>", "type": "INT" }]));
    }
    let wrong = asked.post("/api/v1/sql", "{\"sql\": \"wrong\"}").await.json();
    assert_eq!((&wrong["place"], &wrong["code"]), (&json!({ "line": 1, "column": 7 }), &json!("FB-4001")));
    let busy = asked.get("/api/v1/sql?q=busy").await;
    assert_eq!((busy.status.as_u16(), busy.headers["retry-after"].to_str().unwrap()), (429, "1"));
}

#[tokio::test]
async fn what_seldom_changes_is_not_sent_twice() {
    let asked = Asked::new();
    for path in ["/api/v1/schema", "/api/v1/openapi.json"] {
        let first = asked.get(path).await;
        assert_eq!(first.headers["cache-control"], "no-cache");
        let tag = first.headers["etag"].to_str().unwrap();
        let again = asked.ask("GET", path, &[("host", "localhost"), ("if-none-match", tag)], "").await;
        assert_eq!(again.status, 304, "{path}");
    }
    assert_eq!(asked.get("/api/v1/queries").await.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn a_failing_query_makes_the_pipeline_fail_and_says_what_to_do() {
    let asked = Asked::new();
    let error = Error::new(&codes::SINK_SCHEMA, format!("no column {HOSTILE}"));
    asked.plant.queries[0].send_modify(|status| status.state = State::Failed { error, since_ms: 5 });
    let health = asked.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (503, &json!("failing")));
    let pipeline = asked.get("/api/v1/pipelines").await.json();
    assert_eq!(
        (&pipeline[0]["status"], &pipeline[0]["problems"][0]["code"]),
        (&json!("failing"), &json!("FB-5002"))
    );
    assert!(asked.get("/api/v1/queries").await.text.contains("FB-5002"));
}

#[tokio::test]
async fn a_file_that_is_read_again_is_taken_or_refused_with_everything_that_is_wrong() {
    let asked = Asked::new();
    let refused = asked.post("/api/v1/reload", "").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (400, &json!("FB-1003")));
    let problem = &refused.json()["problems"][0];
    assert_eq!((&problem["code"], &problem["place"]), (&json!("FB-1003"), &json!("plant.yaml:4:5")));
    let taken = asked.post("/api/v1/reload", "").await;
    assert_eq!(taken.status.as_u16(), 200, "{}", taken.text);
    let query = &taken.json()["queries"][0];
    assert_eq!((&query["fate"], &query["error"]["code"]), (&json!("changed"), &json!("FB-5002")));
    assert_eq!(*asked.plant.orders.lock(), ["reload by POST /api/v1/reload"; 2]);
}

#[tokio::test]
async fn a_file_that_was_refused_is_shown_until_one_is_taken_and_makes_nothing_fail() {
    let asked = Asked::new();
    let metric = "forebay_reload_refused{pipeline=\"plant\"}";
    assert_eq!(asked.get("/health").await.json()["refusedReload"], json!(null));
    assert!(asked.get("/metrics").await.text.contains(&format!("{metric} 0")));
    let first = Error::new(&codes::UNKNOWN_KEY, "unknown key `formt`").at("plant.yaml:4:5");
    let why = "plant.yaml has 2 problems, so it is not taken".to_owned();
    let refused = RefusedFile { by: "SIGHUP".to_owned(), at_ms: 1_481_741_124_873, why, first };
    asked.plant.refused.send_replace(Some(Arc::new(refused)));
    let health = asked.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (200, &json!("ok")), "what runs is well");
    let told = &health.json()["refusedReload"];
    assert_eq!(
        (&told["by"], &told["since"], &told["code"]),
        (&json!("SIGHUP"), &json!("2016-12-14T18:45:24.873Z"), &json!("FB-1003")),
    );
    assert!(told["error"].as_str().unwrap().contains("unknown key `formt`"), "{told}");
    assert_eq!(&asked.get("/api/v1/pipelines/plant").await.json()["refusedReload"], told);
    assert!(asked.get("/metrics").await.text.contains(&format!("{metric} 1")));
    asked.plant.refused.send_replace(None);
    assert!(asked.get("/metrics").await.text.contains(&format!("{metric} 0")));
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_shown_with_its_query_and_makes_nothing_fail() {
    let asked = Asked::new();
    assert_eq!(asked.get("/health").await.json()["brokenTables"], json!([]));
    let standing = |error: Option<Error>| Standing {
        name: "devices".to_owned(),
        version: None,
        rows: 2,
        bytes: 64,
        broken_since_ms: error.as_ref().map(|_| 1_481_741_124_873),
        error,
    };
    let error = Error::new(&codes::TABLE_UNREADABLE, "record 2 of a file does not fit").at("devices.csv:3");
    let tell = |error| {
        asked.plant.queries[0].send_modify(|status| status.tables = vec![standing(error)].into());
    };
    tell(Some(error));
    let health = asked.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (200, &json!("ok")), "what runs is well");
    let told = &health.json()["brokenTables"][0];
    assert_eq!(
        (&told["name"], &told["query"], &told["since"], &told["error"]["place"]),
        (&json!("devices"), &json!("lake"), &json!("2016-12-14T18:45:24.873Z"), &json!("devices.csv:3")),
    );
    assert!(told["error"]["hint"].as_str().unwrap().contains("the version read before is used"), "{told}");
    let of_query = &asked.get("/api/v1/queries/lake").await.json()["tables"][0];
    assert_eq!((&of_query["since"], &of_query["error"]), (&told["since"], &told["error"]));
    let metric = "forebay_table_unreadable_seconds{pipeline=\"plant\",query=\"lake\",table=\"devices\"}";
    let metrics = asked.get("/metrics").await.text;
    assert!(metrics.contains(metric) && !metrics.contains(&format!("{metric} 0.0")), "{metrics}");
    tell(None);
    assert_eq!(asked.get("/health").await.json()["brokenTables"], json!([]));
    assert!(asked.get("/metrics").await.text.contains(&format!("{metric} 0.0")));
}

#[tokio::test]
async fn a_channel_that_fails_is_shown_and_makes_nothing_fail() {
    let asked = Asked::new();
    assert_eq!(asked.get("/health").await.json()["failingChannels"], json!([]));
    let channels = &asked.plant.channels;
    channels.begin([("ops".to_owned(), "webhook".to_owned())].into_iter());
    channels.refused("ops", "it answers 400");
    channels.failed("ops", "it does not answer in time");
    let health = asked.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (200, &json!("ok")), "what runs is well");
    let told = &health.json()["failingChannels"][0];
    assert_eq!(
        (&told["name"], &told["format"], &told["up"], &told["why"], &told["failures"], &told["refused"]),
        (
            &json!("ops"),
            &json!("webhook"),
            &json!(false),
            &json!("it does not answer in time"),
            &json!(1),
            &json!(1)
        ),
    );
    assert!(told["since"].is_string() && told["newestRefusal"]["why"] == "it answers 400", "{told}");
    assert_eq!(&asked.get("/api/v1/channels").await.json()[0], told);
    let of = |metric: &str| format!("{metric}{{pipeline=\"plant\",channel=\"ops\"}}");
    let metrics = asked.get("/metrics").await.text;
    assert!(metrics.contains(&format!("{} 0", of("forebay_channel_up"))), "{metrics}");
    assert!(metrics.contains(&format!("{} 1", of("forebay_notices_refused_total"))), "{metrics}");
    channels.works("ops");
    assert_eq!(asked.get("/health").await.json()["failingChannels"], json!([]));
    assert!(asked.get("/metrics").await.text.contains(&format!("{} 1", of("forebay_channel_up"))));
}

#[tokio::test]
async fn no_more_than_so_many_requests_are_served_at_once() {
    let asked = Asked::new();
    let turns = asked.state.turns.clone().acquire_many_owned(64).await.unwrap();
    let busy = asked.get("/api/v1/queries").await;
    assert_eq!((busy.status.as_u16(), &busy.json()["code"]), (503, &json!("FB-8004")));
    for path in ["/health", "/metrics"] {
        assert_eq!(asked.get(path).await.status, 200, "{path} has turns of its own");
    }
    drop(turns);
    assert_eq!(asked.get("/api/v1/queries").await.status, 200);
}

#[tokio::test]
async fn who_sends_a_body_slowly_takes_no_turn() {
    let asked = Asked::new();
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let body = Body::from_stream(futures::stream::pending::<std::io::Result<axum::body::Bytes>>());
            tokio::spawn(asked.send_body("POST", "/api/v1/sql", &headers, body))
        })
        .collect();
    // Each of them has come as far as it comes.
    tokio::task::yield_now().await;
    assert!(slow.iter().all(|slow| !slow.is_finished()));
    assert_eq!(asked.state.turns.available_permits(), 64);
    assert_eq!(asked.post("/api/v1/sql", "{\"sql\": \"SELECT 1\"}").await.status, 200);
    slow.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn an_alert_is_acknowledged_by_the_first_and_commented_by_all() {
    let asked = Asked::new();
    asked.plant.opens("a/1", "d1");
    let said = |comment: &str| format!("{{\"id\":\"a/1\",\"comment\":\"{comment}\"}}");
    for comment in ["mine", "no, mine"] {
        let alert = asked.post("/api/v1/alerts/acknowledge", &said(comment)).await.json();
        let by = &alert["acknowledged"];
        assert_eq!((&by["by"], &by["comment"]), (&json!("at the machine"), &json!("mine")));
    }
    for (count, comment) in ["<b>on it</b>", "done"].into_iter().enumerate() {
        let alert = asked.post("/api/v1/alerts/comment", &said(comment)).await.json();
        assert_eq!(alert["comments"][count]["comment"], comment);
    }
    for (path, body, status) in [
        ("acknowledge", "{\"id\":\"a/2\"}", 404),
        ("acknowledge", "{}", 400),
        ("acknowledge", "{\"id\":\"a/1\",\"by\":\"ana\"}", 400),
        ("comment", "{\"id\":\"a/1\"}", 400),
        ("comment", "{\"id\":\"a/1\",\"comment\":\" \"}", 400),
    ] {
        let got = asked.post(&format!("/api/v1/alerts/{path}"), body).await;
        assert_eq!(got.status, status, "{path} {body}: {}", got.text);
    }
}

#[tokio::test]
async fn metrics_tell_of_alerts_readers_and_answers() {
    let asked = Asked::new();
    asked.plant.opens("a1", "d1");
    asked.post("/api/v1/silences", "{\"all\":true,\"for\":\"1 hour\"}").await;
    asked.get("/api/v1/nothing").await;
    let reader = asked.send("GET", "/api/v1/live", &[("host", "localhost")], "").await;
    let metrics = asked.get("/metrics").await.text;
    for line in [
        "forebay_alerts_open{pipeline=\"plant\",rule=\"hot\",severity=\"critical\"} 1",
        "forebay_silences{pipeline=\"plant\",state=\"active\"} 1",
        "forebay_silences{pipeline=\"plant\",state=\"pending\"} 0",
        "forebay_notices_due{pipeline=\"plant\",channel=\"ops\"} 2",
        "forebay_http_requests_total{pipeline=\"plant\",status=\"2xx\"} 2",
        "forebay_http_requests_total{pipeline=\"plant\",status=\"4xx\"} 1",
        "forebay_http_readers{pipeline=\"plant\"} 1",
        "forebay_http_views{pipeline=\"plant\"} 1",
        "forebay_http_readers_dropped_total{pipeline=\"plant\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    drop(reader);
}

#[tokio::test]
async fn no_value_however_odd_makes_the_server_fail() {
    let asked = Asked::new();
    let odd = [
        "",
        "%00",
        "%FF",
        "%0A%0Aevent:%20x",
        "-1",
        "1e9",
        "99999999999999999999",
        "..%2F..%2Fetc",
        "%3Cscript%3E",
        "%F0%9F%98%80",
        "'%3B%20DROP",
        "%7B%7D",
        "null",
        "Lg",
        ".",
        "..",
        "Lg.Lg.Lg",
        "%25",
        "+",
    ];
    for route in crate::routes::ROUTES {
        for value in odd {
            let path =
                route.path.replace("{name}", value).replace("{gateway}", value).replace("{*topic}", value);
            let needed: Vec<String> = route
                .parameters
                .iter()
                .filter(|it| it.required)
                .map(|it| format!("{}=temperature", it.name))
                .collect();
            let mut queries = vec![format!("{value}={value}"), value.to_owned()];
            queries.extend(route.parameters.iter().map(|it| format!("{}={value}", it.name)));
            for query in queries {
                let path = format!("{path}?{query}&{}", needed.join("&"));
                let status = match route.verb.word() {
                    // It does not end, and has begun when its head is there.
                    _ if route.path == "/api/v1/live" => {
                        while asked.state.hub.views() > 32 {
                            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                        }
                        asked.send("GET", &path, &[("host", "localhost")], "").await.status()
                    }
                    "GET" => asked.get(&path).await.status,
                    "POST" => asked.post(&path, value).await.status,
                    verb => {
                        let headers = [("host", "localhost"), ("x-forebay", "1")];
                        asked.ask(verb, &path, &headers, "").await.status
                    }
                };
                assert!(status.as_u16() < 500, "{path}: {status}");
            }
        }
    }
}
