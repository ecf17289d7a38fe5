//! `forebay top` against a living run: printed once, and in a terminal.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::secure::Certificates;
use crate::support::*;

fn once(args: &[&str]) -> Output {
    let mut command = std::process::Command::new(FOREBAY);
    end_within(Duration::from_secs(30), command.args(["top", "--once"]).args(args))
}

#[test]
fn what_top_prints_once_is_how_the_run_stands() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    make_topic(log.address, "iot_topic", 1);
    let event = |device: &str, heat: f64| {
        format!(
            "{{\"device_id\": \"{device}\", \"temperature\": {heat}, \"humidity\": 50, \"timestamp\": 1}}"
        )
    };
    let hostile = "\\u001b[2J\\u001b]0;x\\u0007\\u009b31m\\u202eevil";
    log.produce("iot_topic", &[event("device_1", 41.0), event(hostile, 42.0), "no json".to_owned()]);
    let mut process =
        Process::spawn(&mut forebay(data.path(), &["run", &plant(data.path(), log.address, "earliest")]));
    let http = process.address("http").to_string();
    eventually("all is read", Duration::from_secs(20), || {
        let ledger = get(http.parse().unwrap(), "/api/v1/ledger").1;
        ledger.contains("\"read\":12,")
            && get(http.parse().unwrap(), "/api/v1/devices").1.contains("\"total\":2")
    });
    // A pipe, as here, is no terminal: `--once` goes without saying.
    let mut piped = forebay(data.path(), &["top", &http]);
    let printed = text(&succeed(&mut piped).stdout);
    for part in [
        "Forebay  plant",
        "✓ All well since",
        "2 devices",
        "4 ledgers balance   12 read = ",
        "4 quarantined",
        "quarantine 1 (",
        "Queries  3 · 1 alert rule ",
        "lake ",
        "alerts/overheat ",
        "new records",
        "none open",
        "device_1 ",
        "[2J",
        "evil",
    ] {
        assert!(printed.contains(part), "`{part}` is missing in\n{printed}");
    }
    assert!(!printed.contains("quit"), "{printed}");
    assert!(!printed.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{printed:?}");
    log.produce("iot_topic", &[event("device_1", 79.5)]);
    eventually("the alert", Duration::from_secs(20), || {
        get(http.parse().unwrap(), "/api/v1/alerts").1.contains("\"open\":1")
    });
    let alerting = once(&["--http", &http]);
    assert!(
        text(&alerting.stdout).contains("▲ 1 critical alert: device_1 has 79.5 °C since"),
        "{alerting:?}"
    );
    assert!(alerting.status.success(), "an alert is no failure of Forebay's");
    assert!(process.stop().0);
    let gone = once(&["--http", &http]);
    let said = text(&gone.stderr);
    assert_eq!((gone.status.code(), gone.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("error[FB-8008]") && said.contains(&http) && said.contains("refused"), "{said}");
}

#[test]
fn a_failing_query_is_told_since_when_and_ends_with_1() {
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), free_address(), "events", 700);
    let args = ["run", file.to_str().unwrap(), "--trigger", "default", "--embedded-log", "never"];
    let mut process = Process::spawn(&mut forebay(data.path(), &args));
    let http = process.address("http");
    eventually("health says so", Duration::from_secs(40), || get(http, "/health").0 == 503);
    let printed = once(&[&format!("http://{http}")]);
    let shown = text(&printed.stdout);
    assert_eq!(printed.status.code(), Some(1), "{shown}");
    assert!(shown.contains("▲ Query lake is failing since ") && shown.contains("FB-2001"), "{shown}");
}

#[test]
fn who_is_asked_must_be_a_forebay_and_gets_no_token_in_the_open() {
    let log = LogServer::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let another = listener.local_addr().unwrap();
    let greeter = std::thread::spawn(move || {
        let (mut asking, _) = listener.accept().unwrap();
        assert!(asking.read(&mut [0; 4096]).unwrap() > 0);
        asking.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello").unwrap();
    });
    for (address, code, why) in [
        (log.address, "FB-8008", "no server answers"),
        (another, "FB-8001", "what answers there is no Forebay"),
    ] {
        let address = address.to_string();
        let strange = once(&[&address]);
        let said = text(&strange.stderr);
        assert_eq!((strange.status.code(), strange.stdout.len()), (Some(1), 0), "{said}");
        for part in [&format!("error[{code}]: {why}"), &address] {
            assert!(said.contains(part), "`{part}` is missing in\n{said}");
        }
    }
    greeter.join().unwrap();
    let refused = once(&["ftp://plant.example"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let mut command = forebay(Path::new("."), &["top", "--once", "http://plant.example"]);
    let refused = command.env("FOREBAY_TOKEN", "s3cret").output().unwrap();
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("FOREBAY_TOKEN would be sent where others can read it") && !said.contains("s3cret"),
        "{said}"
    );
}

#[test]
fn a_token_goes_to_the_server_that_proves_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates(dir.path());
    certificates.authority("ca");
    certificates.authority("another");
    certificates.server("server", "ca", "-days 1");
    let mut python = std::process::Command::new("python3");
    python.arg(root().join("tests/clients/https_refuses.py"));
    let mut server =
        Process::spawn(python.args([certificates.path("server.pem"), certificates.path("server.key")]));
    let url = format!("https://localhost:{}", server.address("https").port());
    let ask = |trusted: &str| {
        let mut command = forebay(Path::new("."), &["top", "--once", &url]);
        command.env("FOREBAY_TOKEN", "s3cret").env("SSL_CERT_FILE", certificates.path(trusted));
        let refused = end_within(Duration::from_secs(30), &mut command);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
        said
    };
    let stranger = ask("another.pem");
    assert!(stranger.contains("error[FB-8008]") && stranger.contains("certificate"), "{stranger}");
    let refused = ask("ca.pem");
    for part in ["error[FB-8003]: nobody of this name", "Ask an admin. The variable FOREBAY_TOKEN"] {
        assert!(refused.contains(part), "`{part}` is missing in\n{refused}");
    }
    server.wait_for("asked with Bearer s3cret", Duration::from_secs(5));
    let asked = server.said.iter().filter(|line| line.starts_with("asked")).count();
    assert_eq!(asked, 1, "a stranger is told nothing: {:?}", server.said);
}

#[test]
fn a_person_at_a_terminal_sees_the_run_and_has_the_terminal_back() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    make_topic(log.address, "iot_topic", 1);
    let file = plant(data.path(), log.address, "earliest");
    let (http, kafka) = (free_address().to_string(), log.address.to_string());
    let mut python = std::process::Command::new("python3");
    python.arg(root().join("tests/clients/terminal.py"));
    python.args([FOREBAY, &http, data.path().join("data").to_str().unwrap(), &file, &kafka]);
    let said = text(&succeed(&mut python).stdout);
    assert_eq!(said.lines().filter(|line| line.starts_with("pass  ")).count(), 18, "{said}");
}
