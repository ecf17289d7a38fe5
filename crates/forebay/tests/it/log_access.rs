//! The embedded log where others than this machine reach it: Kafka's own clients log in by SASL and by certificate, get what is
//! theirs, and everything else fails closed.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::secure::Certificates;
use crate::support::*;

/// A user of the log, and its token.
fn user(dir: &Path, name: &str, rights: &[&str]) -> Value {
    let mut command = Command::new(FOREBAY);
    command.args(["token", "kafka", "--name", name, "--users"]).arg(dir.join("users.yaml")).args(rights);
    let token = text(&succeed(&mut command).stdout).trim().to_owned();
    std::fs::write(dir.join(name), format!("{token}\n")).unwrap();
    json!({ "user": name, "token": token })
}

/// Authorities, a server's certificate, and users who write, read and may all.
fn world(dir: &Path) -> Value {
    let files = Certificates(dir);
    files.authority("good");
    files.authority("other");
    files.server("server", "good", "-days 2");
    std::fs::set_permissions(dir.join("server.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let writes = ["--write", "plant.*", "--create", "plant.*", "--transactional-id", "press-*"];
    json!({
        "ca": files.path("good.pem"),
        "other_ca": files.path("other.pem"),
        "writer": user(dir, "writer", &writes),
        "reader": user(dir, "reader", &["--read", "plant.*", "--group", "board-*"]),
        "root": user(dir, "root", &["--admin"]),
    })
}

/// A log for others, and the name by which clients of this machine reach it.
fn serve(dir: &Path, more: &[&str]) -> (Process, String) {
    let mut command = forebay(&dir.join("data"), &["log", "serve", "--listen", "0.0.0.0:0"]);
    for (option, file) in
        [("--kafka-users", "users.yaml"), ("--tls-cert", "server.pem"), ("--tls-key", "server.key")]
    {
        command.arg(option).arg(dir.join(file));
    }
    let mut process = Process::spawn(command.args(more));
    let address: SocketAddr = process.address("kafka");
    assert!(address.ip().is_unspecified());
    (process, format!("localhost:{}", address.port()))
}

/// The options by which our own commands log in.
fn login(world: &Value, name: &str, mechanism: &str) -> Vec<String> {
    let options = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", mechanism),
        ("sasl.username", world[name]["user"].as_str().unwrap()),
        ("sasl.password", world[name]["token"].as_str().unwrap()),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", world["ca"].as_str().unwrap()),
    ];
    options.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// One of our commands as this user, by a file of client options; whether it went well and all it said.
fn ours(dir: &Path, bootstrap: &str, options: &[String], args: &[&str], input: &str) -> (bool, String) {
    std::fs::write(dir.join("client.properties"), options.concat()).unwrap();
    let mut command = Command::new(FOREBAY);
    command
        .args(args)
        .args(["--bootstrap", bootstrap, "--client-properties"])
        .arg(dir.join("client.properties"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// How many scenarios a program says went well.
fn scenarios(runner: &str, args: &[&str]) -> usize {
    run_script(runner, args).lines().filter(|line| line.starts_with("OK")).count()
}

fn world_file(dir: &Path, world: &Value) -> String {
    std::fs::write(dir.join("world.json"), world.to_string()).unwrap();
    dir.join("world.json").display().to_string()
}

#[test]
fn python_and_librdkafka_log_in_to_the_log_and_get_what_is_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = world(dir.path());
    let (log, bootstrap) = serve(dir.path(), &[]);
    world["bootstrap"] = json!(bootstrap);
    let (made, said) = ours(
        dir.path(),
        &bootstrap,
        &login(&world, "root", "PLAIN"),
        &["produce", "--topic", "secret"],
        "one\n",
    );
    assert!(made, "{said}");
    let file = world_file(dir.path(), &world);
    assert_eq!(scenarios("scripts/services/python.sh", &["tests/clients/log_access.py", &file]), 16);
    assert!(log.stop().0);
}

#[test]
fn kcat_and_java_log_in_to_the_log_and_get_what_is_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path());
    // Java does not say in TLS that it asked for `localhost`, so clients are told.
    let (log, bootstrap) = serve(dir.path(), &["--kafka-advertised", "localhost"]);
    let root = login(&world, "root", "SCRAM-SHA-512");
    let (made, said) = ours(dir.path(), &bootstrap, &root, &["produce", "--topic", "secret"], "one\n");
    assert!(made, "{said}");
    let folder = dir.path().display().to_string();
    assert_eq!(scenarios("tests/clients/log_access.sh", &[&bootstrap, &folder]), 8);
    assert!(log.stop().0);
}

#[test]
fn a_certificate_stands_for_a_user_of_the_log_and_without_one_nobody_is_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = world(dir.path());
    let files = Certificates(dir.path());
    for (name, authority, called) in [
        ("press", "good", "press.plant"),
        ("stranger", "good", "nobody.plant"),
        ("foreign", "other", "press.plant"),
    ] {
        files.client(name, authority, called);
    }
    files.client_for("expired", "good", "press.plant", "-days -1");
    let mut users = std::fs::read_to_string(dir.path().join("users.yaml")).unwrap();
    users.push_str("  press: { certificate: press.plant, write: [\"plant.*\"], create: [\"plant.*\"] }\n");
    std::fs::write(dir.path().join("users.yaml"), users).unwrap();
    for (key, name) in
        [("certificate", "press"), ("stranger", "stranger"), ("expired", "expired"), ("foreign", "foreign")]
    {
        let path = |end: &str| files.path(&format!("{name}.{end}"));
        world[key] = json!({ "cert": path("pem"), "key": path("key") });
    }
    let authority = files.path("good.pem");
    let (log, bootstrap) = serve(dir.path(), &["--kafka-client-ca", &authority]);
    world["bootstrap"] = json!(bootstrap);
    let file = world_file(dir.path(), &world);
    assert_eq!(scenarios("scripts/services/python.sh", &["tests/clients/log_access.py", &file]), 6);
    assert!(log.stop().0);
}

#[test]
fn a_certificate_that_has_expired_is_refused_and_the_logs_own_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path());
    let files = Certificates(dir.path());
    files.client("press", "good", "press.plant");
    files.client_for("expired", "good", "press.plant", "-days -1");
    let mut users = std::fs::read_to_string(dir.path().join("users.yaml")).unwrap();
    users.push_str("  press: { certificate: press.plant, write: [\"plant.*\"], create: [\"plant.*\"] }\n");
    std::fs::write(dir.path().join("users.yaml"), users).unwrap();
    let (mut log, bootstrap) = serve(dir.path(), &["--kafka-client-ca", &files.path("good.pem")]);
    let produce = |name: &str| {
        let options = [
            ("security.protocol", "SSL".to_owned()),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.location", world["ca"].as_str().unwrap().to_owned()),
            ("ssl.certificate.location", files.path(&format!("{name}.pem"))),
            ("ssl.key.location", files.path(&format!("{name}.key"))),
            ("delivery.timeout.ms", "8000".to_owned()),
            ("request.timeout.ms", "5000".to_owned()),
        ];
        let options: Vec<String> = options.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        ours(dir.path(), &bootstrap, &options, &["produce", "--topic", "plant.a"], "one\n")
    };
    let (made, said) = produce("expired");
    assert!(!made && said.to_lowercase().contains("certificate"), "{said}");
    let line = log.wait_for("a TLS handshake failed", Duration::from_secs(10));
    assert!(
        line.contains("WARN") && line.contains("certificate: Expired") && line.contains("127.0.0.1"),
        "{line}"
    );
    let (made, said) = produce("press");
    assert!(made, "{said}");
    assert!(log.stop().0);
}

/// Devices whose messages go into a log that asks the gateway who it is, as it asks everybody.
#[test]
fn a_gateway_logs_in_to_the_log_and_writes_what_it_may_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path());
    let port = free_address().port();
    let options: String = login(&world, "writer", "SCRAM-SHA-256")
        .iter()
        .map(|line| line.trim_end().split_once('=').unwrap())
        .map(|(name, value)| format!("      kafka.{name}: \"{value}\"\n"))
        .collect();
    let file = dir.path().join("web.yaml");
    let pipeline = format!(
        "pipeline: web\ngateways:\n  web:\n    format: http\n    options:\n      patience: 5 seconds\n      kafka.bootstrap.servers: \"localhost:{port}\"\n{options}\
         \x20   routes:\n      \"hall/#\": {{ topic: plant.hall }}\n      \"secret/#\": {{ topic: secret }}\n\
         sources:\n  hall:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: \"localhost:{port}\", subscribe: plant.hall, startingOffsets: earliest }}\n\
         \x20   value: json\n    schema: n BIGINT\n\
         queries:\n  lake: {{ sql: \"SELECT n FROM hall\", format: delta, options: {{ path: table }} }}\n"
    );
    std::fs::write(&file, pipeline).unwrap();
    let data = dir.path().join("data");
    let listen = format!("0.0.0.0:{port}");
    let mut command = forebay(&data, &["--kafka", &listen, "run", file.to_str().unwrap()]);
    for (option, name) in
        [("--kafka-users", "users.yaml"), ("--tls-cert", "server.pem"), ("--tls-key", "server.key")]
    {
        command.arg(option).arg(dir.path().join(name));
    }
    let mut run = Process::spawn(&mut command);
    let http = run.address("https");
    let post = |topic: &str, body: &str| {
        let url = format!("https://localhost:{}/api/v1/ingest/web/{topic}", http.port());
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-w", " %{http_code}", "-H", "Content-Type: application/json", "--cacert"]);
        text(&succeed(curl.arg(world["ca"].as_str().unwrap()).args(["-d", body, &url])).stdout)
    };
    for n in 1..=3 {
        let said = post("hall/a", &format!("{{\"n\": {n}}}"));
        assert!(said.ends_with(" 202"), "{said}");
    }
    let said = post("secret/a", "{\"n\": 4}");
    assert!(said.ends_with(" 503") && said.contains("\"again\":true"), "it may be let in later: {said}");
    assert!(said.contains("TopicAuthorizationFailed"), "{said}");
    let line = run.wait_for("a topic of a gateway is not there yet", Duration::from_secs(20));
    assert!(line.contains("secret") && line.contains("gateway=web"), "{line}");
    let table = data.join("table");
    eventually("all is in the table", Duration::from_secs(30), || table_rows(&data, &table).len() == 3);
    assert!(run.stop().0);
}

#[test]
fn our_own_commands_log_in_and_who_is_taken_out_of_the_file_is_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = world(dir.path());
    let (log, bootstrap) = serve(dir.path(), &[]);
    let ask =
        |options: &[String], args: &[&str], input: &str| ours(dir.path(), &bootstrap, options, args, input);
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let (writer, reader) = (login(&world, "writer", mechanism), login(&world, "reader", mechanism));
        let topic = format!("plant.{mechanism}");
        let produce = ["produce", "--topic", &topic];
        let (made, said) = ask(&writer, &produce, "one\ntwo\n");
        assert!(made, "{said}");
        let tail = ["log", "tail", &topic, "--from-beginning", "-n", "2"];
        let (read, said) = ask(&reader, &tail, "");
        assert!(read && said.contains("one\ntwo\n"), "{said}");
        let (listed, said) = ask(&reader, &["log", "topics"], "");
        assert!(listed && said.contains(&topic), "{said}");
        let (made, said) = ask(&reader, &produce, "three\n");
        assert!(!made && said.contains("ClusterAuthorizationFailed"), "it may write nowhere: {said}");
        let (made, said) = ask(&writer, &["produce", "--topic", "secret"], "three\n");
        assert!(!made && said.contains("TopicAuthorizationFailed"), "{said}");
        world["wrong"] = json!({ "user": "writer", "token": "guess" });
        let (made, said) = ask(&login(&world, "wrong", mechanism), &produce, "three\n");
        assert!(!made && said.contains("authentication failed"), "{said}");
        assert!(!said.contains("guess"), "{said}");
    }
    let (made, said) = ask(&[], &["produce", "--topic", "plant.a"], "three\n");
    assert!(!made, "in plain text: {said}");
    // Without a restart.
    let file = dir.path().join("users.yaml");
    let users = std::fs::read_to_string(&file).unwrap();
    let kept: String =
        users.lines().filter(|line| !line.contains("writer")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, kept).unwrap();
    let writer = login(&world, "writer", "SCRAM-SHA-512");
    eventually("the user is revoked", Duration::from_secs(10), || {
        !ask(&writer, &["produce", "--topic", "plant.a"], "four\n").0
    });
    assert!(ask(&login(&world, "reader", "SCRAM-SHA-512"), &["log", "topics"], "").0);
    assert!(log.stop().0);
}

#[test]
fn a_log_that_others_can_reach_is_refused_without_users_and_tls() {
    let dir = tempfile::tempdir().unwrap();
    world(dir.path());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let pipeline = path("copy.yaml");
    copy_pipeline(dir.path(), "127.0.0.1:19092".parse().unwrap(), "events", 700);
    let serve = |more: &[&str]| {
        let mut said = Vec::new();
        let data = path("data");
        for args in [
            vec!["--data", &data, "--kafka", "0.0.0.0:19092", "log", "serve"],
            vec!["--data", &data, "--http", "127.0.0.1:0", "--kafka", "0.0.0.0:19092", "run", &pipeline],
        ] {
            let mut command = Command::new(FOREBAY);
            command.env("FOREBAY_POSTGRES", "off").args(args).args(more).stdin(Stdio::null());
            let output = end_within(Duration::from_secs(30), &mut command);
            assert!(!output.status.success());
            said.push(text(&output.stderr));
        }
        said
    };
    let (users, certificate, key) = (path("users.yaml"), path("server.pem"), path("server.key"));
    let tls = ["--tls-cert", certificate.as_str(), "--tls-key", &key];
    for said in serve(&[]).into_iter().chain(serve(&tls)) {
        assert!(said.contains("FB-7003") && said.contains("users are missing"), "{said}");
    }
    for said in serve(&["--kafka-users", &users]) {
        assert!(said.contains("FB-7003") && said.contains("TLS is missing"), "{said}");
    }
    for said in serve(&[&["--kafka-users", "nothing.yaml"], &tls[..]].concat()) {
        assert!(said.contains("FB-8011") && said.contains("cannot be read"), "{said}");
    }
    std::fs::set_permissions(path("server.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for said in serve(&[&["--kafka-users", &users], &tls[..]].concat()) {
        assert!(said.contains("FB-8012") && said.contains("open to others"), "{said}");
    }
}

#[test]
fn a_pipeline_reads_its_own_log_in_place_while_others_log_in() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path());
    let address = free_address();
    let file = copy_pipeline(dir.path(), address, "plant.events", 700);
    let text_of_file = std::fs::read_to_string(&file).unwrap();
    let text_of_file = text_of_file.replace(&address.to_string(), &format!("localhost:{}", address.port()));
    std::fs::write(&file, text_of_file.replace("availableNow: true", "processingTime: 200 milliseconds"))
        .unwrap();
    let data = dir.path().join("data");
    let listen = format!("0.0.0.0:{}", address.port());
    let mut command = forebay(&data, &["--kafka", &listen, "run", file.to_str().unwrap()]);
    for (option, name) in
        [("--kafka-users", "users.yaml"), ("--tls-cert", "server.pem"), ("--tls-key", "server.key")]
    {
        command.arg(option).arg(dir.path().join(name));
    }
    let mut run = Process::spawn(&mut command);
    run.wait_for("ready ", Duration::from_secs(30));
    assert!(run.said.iter().any(|line| line.contains(&format!("serving the embedded log at {listen}"))));
    let events = proof_events(500);
    let bootstrap = format!("localhost:{}", address.port());
    let writer = login(&world, "writer", "SCRAM-SHA-256");
    let produce = ["produce", "--topic", "plant.events"];
    let (made, said) = ours(dir.path(), &bootstrap, &writer, &produce, &(events.join("\n") + "\n"));
    assert!(made, "{said}");
    let table = data.join("table");
    eventually("all is in the table", Duration::from_secs(30), || table_rows(&data, &table).len() == 500);
    assert!(run.stop().0);
}
