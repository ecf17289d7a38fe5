//! Gateways of a run: what devices push is in the table, once for each time that it was acknowledged.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

/// A token and its hash.
const TOKEN: &str = "fb_Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Z";

/// A pipeline whose gateway `web` fills the table `<data>/dht`.
pub fn pipeline(data: &Path, log: SocketAddr, users: &str) -> PathBuf {
    let file = data.join("web.yaml");
    let text = format!(
        "pipeline: web
gateways:
  web:
    format: http
    routes:
      \"plant/{{station}}/dht11\": {{ topic: dht, key: \"{{station}}\", fields: {{ station: \"{{1}}\" }} }}
      \"debug/#\": {{ drop: true }}
{users}sources:
  dht:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{log}\", subscribe: dht, startingOffsets: earliest }}
    value: json
    schema: station STRING, n BIGINT
queries:
  lake: {{ sql: \"SELECT station, n FROM dht\", format: delta, options: {{ path: dht }} }}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// Sends a request and reads its answer: status, head, body.
fn ask(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!("{head}Host: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (status, head.to_owned(), body.to_owned())
}

pub fn send(address: SocketAddr, topic: &str, headers: &[&str], body: &str) -> (u16, Value) {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let kind = if headers.contains("Content-Type") { "" } else { "Content-Type: application/json\r\n" };
    let head = format!("POST /api/v1/ingest/web/{topic} HTTP/1.1\r\n{kind}{headers}");
    let (status, _, body) = ask(address, &head, body.as_bytes());
    (status, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{status}: {e}: {body}")))
}

/// How often each number is in the table.
pub fn counted(data: &Path) -> BTreeMap<i64, u64> {
    let mut counted = BTreeMap::new();
    for row in table_rows(data, &data.join("dht")) {
        *counted.entry(row["n"].as_i64().unwrap()).or_default() += 1;
    }
    counted
}

#[test]
fn what_is_posted_is_in_the_table_once_and_what_is_broken_in_the_quarantine() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), free_address(), "");
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let http = process.address("http");
    let (status, answer) = send(http, "plant/s1/dht11", &[], "{\"n\": 1}");
    assert_eq!((status, &answer["messages"][0]["topic"]), (202, &"dht".into()), "{answer}");
    assert!(answer["messages"][0].get("repeated").is_none(), "{answer}");
    let lines = "{\"n\": 2}\n{\"n\": \n{\"n\": 3}\n";
    let (status, answer) =
        send(http, "plant/s1/dht11", &["Content-Type: application/x-ndjson", "Idempotency-Key: k1"], lines);
    assert_eq!((status, answer["messages"].as_array().unwrap().len()), (202, 3), "{answer}");
    let mut same = answer;
    same["messages"].as_array_mut().unwrap().iter_mut().for_each(|place| place["repeated"] = true.into());
    let again =
        send(http, "plant/s1/dht11", &["Content-Type: application/x-ndjson", "Idempotency-Key: k1"], lines);
    assert_eq!(again, (202, same), "a repeat is answered with the same places, and told");
    let (status, answer) =
        send(http, "plant/s2/dht11", &[], "[{\"n\": 4}, {\"station\": \"x\", \"n\": 5}, {\"n\": 6}]");
    assert_eq!((status, &answer["code"]), (422, &"FB-2010".into()), "{answer}");
    let [taken, refused, last] = &answer["messages"].as_array().unwrap()[..] else { panic!("{answer}") };
    for (number, taken) in [(0, taken), (2, last)] {
        assert!(
            taken["message"] == number && taken["offset"].is_u64() && taken["topic"] == "dht",
            "{answer}"
        );
    }
    assert_eq!(
        (&refused["message"], &refused["code"], &refused["again"]),
        (&1.into(), &"FB-2010".into(), &false.into())
    );
    assert!(["error", "hint"].iter().all(|name| refused[name].as_str().is_some_and(|text| text.len() > 10)));
    let two = "[{\"n\": 9}, {\"n\": 10}]";
    let long = "1\n".repeat(10_001);
    for (topic, headers, body, expected, code) in [
        ("plant/s1/dht11", &["Content-Type: text/html"][..], "x", 415, "FB-8007"),
        ("plant/s1/dht11", &["Content-Encoding: br"], "x", 415, "FB-8007"),
        ("plant/s1/dht11", &["Content-Encoding: gzip"], "x", 400, "FB-8001"),
        ("plant/s1/dht11", &["Content-Type: application/x-ndjson"], &long, 413, "FB-8006"),
        ("plant/s1/dht11", &["Content-Type: text/plain", "Idempotency-Key: k1"], lines, 422, "FB-8014"),
        ("plant/s1/dht11", &["Idempotency-Key: k1", "Idempotency-Key: k2"], "1", 400, "FB-8001"),
        ("plant/s1/dht11", &[], "[{\"n\": 6}", 400, "FB-8001"),
        ("plant/s1/dht11", &["Origin: https://evil.example"], "{\"n\": 7}", 403, "FB-8003"),
        ("plant/s1/dht11", &["Authorization: Bearer fb_x"], "[", 400, "FB-8001"),
        ("plant/+/dht11", &[], "{\"n\": 8}", 400, "FB-8001"),
        ("nowhere", &[], two, 404, "FB-2009"),
    ] {
        let (status, answer) = send(http, topic, headers, body);
        assert_eq!((status, &answer["code"]), (expected, &code.into()), "{topic} {headers:?}: {answer}");
        assert!(answer["hint"].as_str().is_some_and(|hint| hint != "See the detail."), "{answer}");
    }
    // Refused by what it announces, before it is sent.
    let announced = "POST /api/v1/ingest/web/plant/s1/dht11 HTTP/1.1\r\nContent-Type: application/json\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n";
    let mut stream = TcpStream::connect(http).unwrap();
    stream.write_all(announced.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(send(http, "debug/x", &[], "1").0, 202);
    eventually("all are in the table", Duration::from_secs(30), || counted(data.path()).len() == 5);
    assert!(counted(data.path()).into_iter().eq([1, 2, 3, 4, 6].map(|n| (n, 1))));
    eventually("the broken one is set aside", Duration::from_secs(10), || {
        get(http, "/api/v1/quarantine").1.contains("{\\\"n\\\": ")
    });
    let gateways: Value = serde_json::from_str(&get(http, "/api/v1/gateways").1).unwrap();
    let counts = &gateways[0]["counts"];
    // Refused: one of its route, four bodies that no messages could be cut from, two without a route.
    for (what, count) in [("taken", 6), ("repeated", 3), ("dropped", 1), ("refused", 6), ("unknown", 0)] {
        assert_eq!(counts[what], count, "{what}: {gateways}");
    }
    assert!(get(http, "/metrics").1.contains("forebay_gateway_events_total"));
    assert!(process.stop().0);
}

/// Clients that close before they are answered, and come again with the same key: the case for which there are keys.
#[test]
fn a_client_that_gives_up_and_repeats_its_key_is_in_the_table_once() {
    const POSTS: i64 = 150;
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), free_address(), "");
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let http = process.address("http");
    let mut given_up = 0;
    for n in 0..POSTS {
        let body = format!("{{\"n\": {n}}}");
        let head = format!(
            "POST /api/v1/ingest/web/plant/s1/dht11 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIdempotency-Key: k{n}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(http).unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_micros(u64::try_from(n % 50 * 100).unwrap()));
        stream.set_nonblocking(true).unwrap();
        given_up += u64::from(stream.read(&mut [0; 16]).is_err());
        drop(stream);
        let key = format!("Idempotency-Key: k{n}");
        eventually("the repeat is answered", Duration::from_secs(20), || {
            let (status, answer) = send(http, "plant/s1/dht11", &[&key], &body);
            assert!([202, 409].contains(&status), "{answer}");
            status == 202
        });
    }
    assert!(given_up > 10, "all were answered before they gave up");
    eventually("all are in the table", Duration::from_secs(30), || {
        counted(data.path()).len() == usize::try_from(POSTS).unwrap()
    });
    assert!(process.stop().0);
    assert!(counted(data.path()).into_iter().eq((0..POSTS).map(|n| (n, 1))));
}

#[test]
fn a_gateway_with_users_takes_their_tokens_and_nobody_elses() {
    let data = tempfile::tempdir().unwrap();
    let hash = sha256(TOKEN);
    let users = format!("    users:\n      uno: {{ sha256: {hash}, publish: [\"plant/%u/#\"] }}\n");
    let file = pipeline(data.path(), free_address(), &users);
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let http = process.address("http");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(send(http, "plant/uno/dht11", &[&bearer], "{\"n\": 1}").0, 202);
    assert_eq!(send(http, "plant/due/dht11", &[&bearer], "{\"n\": 2}").0, 403);
    assert_eq!(send(http, "plant/uno/dht11", &[], "{\"n\": 3}").0, 401);
    assert_eq!(send(http, "plant/uno/dht11", &[&bearer.replace('7', "8")], "{\"n\": 4}").0, 401);
    // The name of the gateway written in another way opens nothing.
    let head = "POST /api/v1/ingest/we%62/plant/uno/dht11 HTTP/1.1\r\nContent-Type: application/json\r\n";
    assert_eq!(ask(http, head, b"{\"n\": 5}").0, 401);
    eventually("it is in the table", Duration::from_secs(30), || !counted(data.path()).is_empty());
    assert!(counted(data.path()).into_iter().eq([(1, 1)]));
    assert!(process.stop().0);
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_a_stop() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), free_address(), "");
    let (mut acknowledged, mut sent) = (Vec::new(), 0i64);
    for round in 0..4 {
        let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        let http = process.address("http");
        for _ in 0..20 {
            let body: Vec<String> = (sent..sent + 10).map(|n| format!("{{\"n\": {n}}}")).collect();
            let headers = ["Content-Type: application/x-ndjson"];
            let (status, answer) = send(http, "plant/s1/dht11", &headers, &body.join("\n"));
            assert_eq!(status, 202, "{answer}");
            acknowledged.extend(sent..sent + 10);
            sent += 10;
        }
        if round % 2 == 0 {
            drop(process);
        } else {
            assert!(process.stop().0);
        }
    }
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    process.address("http");
    eventually("all are there", Duration::from_secs(30), || counted(data.path()).len() == acknowledged.len());
    assert!(counted(data.path()).into_iter().eq(acknowledged.into_iter().map(|n| (n, 1))));
    assert!(process.stop().0);
}

#[test]
fn a_serial_port_fills_the_table_and_a_file_with_other_gateways_is_not_taken() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), free_address(), "");
    let line = data.path().join("ttyACM0");
    let text = std::fs::read_to_string(&file).unwrap();
    let serial = format!(
        "gateways:\n  bench:\n    format: serial\n    options: {{ port: {}, lines: keyValue }}\n    routes:\n      \"bench/dht11\": {{ topic: dht, fields: {{ station: bench }} }}\n",
        line.display()
    );
    std::fs::write(&file, text.replacen("gateways:\n", &serial, 1)).unwrap();
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let http = process.address("http");
    let mut device = serial_line(&line);
    let opened = || {
        let gateways: Value = serde_json::from_str(&get(http, "/api/v1/gateways").1).unwrap();
        gateways[0]["counts"]["opened"] == 1
    };
    eventually("the port is open", Duration::from_secs(20), opened);
    // The first line may have begun before the port was opened: this one reads well, and might be the end of `n=17`.
    device.write_all(b"dht11 n=7\ndht11 n=1\r\ndht11 n=2\n").unwrap();
    eventually("lines are in the table", Duration::from_secs(30), || counted(data.path()).len() >= 2);
    assert!(counted(data.path()).into_iter().eq([(1, 1), (2, 1)]));
    let gateways: Value = serde_json::from_str(&get(http, "/api/v1/gateways").1).unwrap();
    assert_eq!((&gateways[0]["counts"]["torn"], &gateways[0]["counts"]["taken"]), (&1.into(), &2.into()));
    std::fs::write(&file, text).unwrap();
    let (status, answer) = post(http, "/api/v1/reload", "");
    assert!(status == 409 && answer.contains("gateways"), "{status} {answer}");
    assert!(process.stop().0);
}

#[test]
fn a_file_whose_gateways_cannot_run_is_refused_by_validate() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), free_address(), "");
    let good = std::fs::read_to_string(&file).unwrap();
    for (from, to, part) in [
        ("format: http", "format: htpp", "`htpp`"),
        ("\"debug/#\": { drop: true }", "\"plant/s1/dht11\": { topic: x }", "never used"),
        ("    routes:\n", "    options: { maxBody: 1GiB }\n    routes:\n", "maxBody"),
        ("format: http", "format: mqtt\n    options: { listen: \"0.0.0.0:1883\" }", "not a loopback address"),
        ("format: http", "format: mqtt\n    options: { tlsCert: nope.pem, tlsKey: nope.key }", "nope.pem"),
        (
            "gateways:\n",
            "gateways:\n  one: { format: serial, options: { port: /dev/x }, routes: { \"#\": { topic: x } } }\n  two: { format: serial, options: { port: /dev/x }, routes: { \"#\": { topic: x } } }\n",
            "`port` is that of the gateway `one`",
        ),
        (
            "gateways:\n",
            "gateways:\n  one: { format: mqtt, options: { listen: \"127.0.0.1:18830\" }, routes: { \"#\": { topic: x } } }\n  two: { format: mqtt, options: { listen: \"0.0.0.0:18830\", webSocket: false }, routes: { \"#\": { topic: x } } }\n",
            "`listen` is that of the gateway `one`",
        ),
        (
            "gateways:\n",
            "gateways:\n  one: { format: mqtt, options: { listen: \"127.0.0.1:18830\" }, routes: { \"#\": { topic: x } } }\n  two: { format: mqtt, options: { listen: \"127.0.0.1:18831\" }, routes: { \"#\": { topic: x } } }\n",
            "`webSocket` is that of the gateway `one`",
        ),
    ] {
        std::fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let output = forebay(data.path(), &["validate", file.to_str().unwrap()]).output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(part), "{to}: {said}");
    }
}

#[test]
fn what_mqtt_acknowledges_is_in_the_table_after_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let file = pipeline(data.path(), free_address(), "");
    let text = std::fs::read_to_string(&file).unwrap();
    let mqtt = "gateways:\n  plant:\n    format: mqtt\n    options: { listen: \"127.0.0.1:0\" }\n    routes:\n      \"plant/{station}/dht11\": { topic: dht, key: \"{station}\" }\n";
    std::fs::write(&file, text.replacen("gateways:\n", mqtt, 1)).unwrap();
    for round in 0..2i64 {
        let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
        let mut device = TcpStream::connect(process.address("mqtt")).unwrap();
        device.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        device.write_all(&mqtt::connect("uno-1")).unwrap();
        let mut answer = [0; 4];
        device.read_exact(&mut answer).unwrap();
        assert!(mqtt::is_welcome(answer));
        for n in 1..=20u8 {
            let payload = format!("{{\"n\": {}}}", round * 100 + i64::from(n));
            device.write_all(&mqtt::publish("plant/s1/dht11", 1, false, n.into(), &payload)).unwrap();
        }
        for n in 1..=20u8 {
            device.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [0x40, 2, 0, n], "acknowledged in the order of publishing");
        }
        // Killed as soon as the last one is acknowledged.
        drop(process);
    }
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    process.address("mqtt");
    eventually("all are there", Duration::from_secs(30), || counted(data.path()).len() == 40);
    assert!(counted(data.path()).into_values().all(|count| count == 1));
    assert!(process.stop().0);
}
