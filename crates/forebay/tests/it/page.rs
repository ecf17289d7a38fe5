//! The live page in a real browser: on a living plant, and on a server that plays what a plant seldom does.

use std::io::Write;
use std::time::Duration;

use crate::support::*;

/// Checks that any server must pass, and those that the mock does: all but those that need tokens or a restart. A new check
/// counts here; one that is skipped without a word is missed.
const LIVING: usize = 16;
const MOCKED: usize = 68;

/// Runs the page's checks (web/e2e) against a base; gives how many passed.
fn checks(base: &str, tokens: &str) -> usize {
    checks_with(base, &[("FOREBAY_TOKENS", tokens)])
}

fn checks_with(base: &str, variables: &[(&str, &str)]) -> usize {
    let said = run_script_with("scripts/web.sh", &["e2e", base], variables);
    // What passed only at the second time is told although the test passes: past the harness, which keeps what it prints.
    for line in said.lines().filter(|line| line.starts_with("again ")) {
        let _ = writeln!(std::io::stderr(), "e2e {base}: {line}");
    }
    said.lines().filter(|line| line.starts_with("pass  ")).count()
}

/// Messages of the past that `plant_history.py` sends first.
const PAST: u64 = 880 * 3;

/// The pictures of the README are of a real plant with a past. `FOREBAY_PICTURES=docs/pictures` renews them.
#[test]
fn the_pictures_of_the_readme_can_be_taken() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    make_topic(log.address, "iot_topic", 1);
    let file = plant(data.path(), log.address, "earliest");
    let mut run = Process::spawn(&mut forebay(data.path(), &["run", &file]));
    let run_address = run.address("http");
    let base = format!("http://{run_address}");
    let folder = std::env::var("FOREBAY_PICTURES").unwrap_or_else(|_| data.path().display().to_string());
    let folder = root().join(folder);
    let address = log.address.to_string();
    // It goes on while the pictures are taken: they show a plant that lives.
    let mut history = std::process::Command::new(root().join("scripts/services/python.sh"));
    history.args(["tests/clients/plant_history.py", &address, "iot_topic", "90"]).current_dir(root());
    let _devices = Process::spawn(&mut history);
    eventually("a quarter of an hour and some seconds from now on are read", Duration::from_secs(60), || {
        let (status, query) = get(run_address, "/api/v1/queries/lake");
        let query: serde_json::Value = serde_json::from_str(&query).unwrap_or_default();
        status == 200 && query["ledger"]["read"].as_u64() >= Some(PAST + 100)
    });
    let names = ["plant-light", "plant-dark"];
    run_script("scripts/web.sh", &[&["shots", &base, folder.to_str().unwrap()], &names[..]].concat());
    for name in names {
        let picture = std::fs::read(folder.join(format!("{name}.png"))).unwrap();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 50_000, "{name}: {} bytes", picture.len());
    }
}

#[test]
fn the_page_keeps_its_promises_on_a_living_plant() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let file = plant(data.path(), log.address, "latest");
    let address = log.address.to_string();
    make_topic(log.address, "iot_topic", 1);
    let mut run = Process::spawn(&mut forebay(data.path(), &["run", &file]));
    let base = format!("http://{}", run.address("http"));
    let simulate = ["simulate", "--bootstrap", &address, "--rate", "20", "--corrupt", "0.02", "--seed", "1"];
    let _devices = Process::spawn(&mut forebay(data.path(), &simulate));
    assert_eq!(checks(&base, ""), LIVING);
}

#[test]
fn the_page_keeps_its_promises_in_every_state() {
    assert_eq!(checks("mock", ""), MOCKED);
}

/// The page stays open while its Forebay is killed and started again, and devices go on sending to their log.
#[test]
fn the_page_is_back_after_a_kill_and_its_history_has_no_gap() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let file = plant(data.path(), log.address, "latest");
    let address = log.address.to_string();
    make_topic(log.address, "iot_topic", 1);
    let http = free_address().to_string();
    let run = || {
        let mut command = std::process::Command::new(FOREBAY);
        command.arg("--data").arg(data.path()).args(["--http", &http, "run", &file]);
        let mut run = Process::spawn(&mut command);
        assert_eq!(run.address("http").to_string(), http);
        run
    };
    let mut first = run();
    let simulate = ["simulate", "--bootstrap", &address, "--rate", "20", "--seed", "1"];
    let _devices = Process::spawn(&mut forebay(data.path(), &simulate));
    let wishes = tempfile::tempdir().unwrap();
    let wish = |word: &str| wishes.path().join(word).exists();
    let base = format!("http://{http}");
    let variables = [("FOREBAY_RESTART", wishes.path().to_str().unwrap())];
    std::thread::scope(|scope| {
        let passed = scope.spawn(|| checks_with(&base, &variables));
        let patience = Duration::from_secs(120);
        eventually("the page is open", patience, || wish("kill") || passed.is_finished());
        first.child.kill().unwrap();
        first.child.wait().unwrap();
        eventually("the page has told it", patience, || wish("start") || passed.is_finished());
        let _second = run();
        assert_eq!(passed.join().unwrap(), 1);
    });
}

/// Records that a real fleet's source does not expect.
const UNEXPECTED: u64 = 12;

/// Vehicles whose faults are over in a moment: what is open stays open.
#[test]
fn alerts_of_a_real_fleet_are_found_on_the_map_and_acknowledged_on_the_page() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let address = log.address.to_string();
    make_topic(log.address, "raw_telemetry", 1);
    // No PostgreSQL is there: its queries try on, and the others go on.
    let file = std::fs::read_to_string(root().join("examples/fleet.yaml"))
        .unwrap()
        .replace("localhost:9092", &address)
        .replace("localhost:5432", &free_address().to_string())
        .replace("startingOffsets: latest", "startingOffsets: earliest");
    let path = data.path().join("fleet.yaml");
    std::fs::write(&path, file).unwrap();
    let mut command = forebay(data.path(), &["run", path.to_str().unwrap()]);
    let mut run = Process::spawn(command.env("PGPASSWORD", "none"));
    let http = run.address("http");
    let vehicles =
        "simulate --shape fleet --devices 12 --faults all --rate 0 --count 3000 --seed 1 --bootstrap";
    let mut simulate: Vec<&str> = vehicles.split(' ').collect();
    simulate.push(&address);
    succeed(&mut forebay(data.path(), &simulate));
    // Some reports that are not as expected, and some that are none.
    let fast = r#"{"car_id": "CAR-103", "event_timestamp": "2026-01-01 00:00:00", "speed_kmph": 4000}"#;
    let odd: Vec<String> =
        (0..UNEXPECTED).map(|at| if at % 3 == 0 { "{" } else { fast }.to_owned()).collect();
    log.produce("raw_telemetry", &odd);
    eventually("every rule has looked at every report", Duration::from_secs(60), || {
        ["overspeed", "engine_overheat", "low_fuel", "invalid_gps"].iter().all(|rule| {
            let (_, query) = get(http, &format!("/api/v1/queries/alerts%2F{rule}"));
            let query: serde_json::Value = serde_json::from_str(&query).unwrap_or_default();
            query["ledger"]["read"].as_u64() == Some(3000 + UNEXPECTED)
                && query["ledger"]["inFlight"].as_u64() == Some(0)
        })
    });
    assert_eq!(checks_with(&format!("http://{http}"), &[("FOREBAY_VEHICLES", "1")]), 2);
}

/// With TLS and tokens: the form, the cookie, what each role may do, a change from the page, the way out.
#[test]
fn people_sign_in_on_the_page_and_do_what_their_role_allows() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let file = plant(data.path(), log.address, "latest");
    let address = log.address.to_string();
    make_topic(log.address, "iot_topic", 1);
    let auth = data.path().join("auth.yaml").display().to_string();
    let token = |role: &str| {
        let args = ["token", "new", "--name", role, "--role", role, "--auth", &auth];
        text(&succeed(std::process::Command::new(FOREBAY).args(args)).stdout).trim().to_owned()
    };
    let tokens = format!("{},{}", token("viewer"), token("operator"));
    let mut openssl = std::process::Command::new("openssl");
    openssl.current_dir(data.path()).args(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
            .split(' '),
    );
    succeed(&mut openssl);
    let (certificate, key) = (data.path().join("cert.pem"), data.path().join("key.pem"));
    let mut command = forebay(data.path(), &["run", &file, "--auth", &auth]);
    command.arg("--tls-cert").arg(certificate).arg("--tls-key").arg(key);
    let mut run = Process::spawn(&mut command);
    let base = format!("https://localhost:{}", run.address("https").port());
    let simulate = ["simulate", "--bootstrap", &address, "--rate", "20", "--seed", "1"];
    let _devices = Process::spawn(&mut forebay(data.path(), &simulate));
    assert_eq!(checks(&base, &tokens), 1);
}
