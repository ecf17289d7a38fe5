//! Who may ask a running Forebay: the commands of docs/security.md, what is refused at the start, and that no secret
//! comes to light.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::*;

/// A shell in `dir` that knows the binary.
fn shell(dir: &Path, line: &str) -> Command {
    let bin = Path::new(FOREBAY).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", line]).current_dir(dir).env("PATH", path).stdin(Stdio::null());
    command
}

/// The token that a command printed into a file.
fn token(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap().trim().to_owned()
}

#[test]
fn the_commands_of_the_page_on_security_do_what_they_say() {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let blocks: Vec<(bool, &str)> = page
        .split("<!-- run")
        .skip(1)
        .map(|rest| {
            let code = rest.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
            (rest.starts_with(": background"), code)
        })
        .collect();
    assert_eq!(blocks.len(), page.matches("```sh").count(), "a block of commands is not run by this test");
    let lines: Vec<(bool, &str)> = blocks
        .iter()
        .flat_map(|(is_background, code)| code.lines().map(|line| (*is_background, line)))
        .collect();
    assert_eq!(lines.len(), 5, "five commands");
    let dir = tempfile::tempdir().unwrap();
    let (kafka, http) = (free_address(), free_address());
    let plant = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
    std::fs::create_dir(dir.path().join("examples")).unwrap();
    let plant = plant.replace("localhost:9092", &kafka.to_string());
    std::fs::write(dir.path().join("examples/plant.yaml"), plant).unwrap();
    let port = |line: &str| line.replace("8443", &http.port().to_string());
    let mut server = None;
    for (is_background, line) in lines {
        if is_background {
            let mut process = Process::spawn(&mut shell(dir.path(), &format!("exec {}", port(line))));
            let ready = process.wait_for("ready ", Duration::from_secs(30));
            assert!(ready.contains(&format!("https=0.0.0.0:{}", http.port())), "{ready}");
            server = Some(process);
        } else {
            let printed = text(&succeed(&mut shell(dir.path(), &port(line))).stdout);
            assert!(!line.contains("curl") || printed.contains("\"balances\":true"), "{printed}");
        }
    }
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("auth.yaml"), mode("ana.token")), (0o600, 0o600));
    // Without a token, with a wrong one, without trust, in plain text.
    let curl = |line: &str| {
        let line = format!("curl -sS -o answer -w '%{{http_code}}' {}", port(line));
        let output = shell(dir.path(), &line).output().unwrap();
        (output.status.success(), text(&output.stdout))
    };
    let ledger = "https://localhost:8443/api/v1/ledger";
    assert_eq!(curl(&format!("--cacert server.pem {ledger}")), (true, "401".to_owned()));
    assert_eq!(curl(&format!("--cacert server.pem -H 'Authorization: Bearer fb_x' {ledger}")).1, "401");
    assert_eq!(curl(ledger), (false, "000".to_owned()), "nobody vouches for the certificate");
    let (_, plain) = curl("http://localhost:8443/api/v1/ledger");
    assert_eq!(plain, "000", "there is no plain text on this port");
    // Prometheus, and what it may not do.
    let bearer = format!("header = \"Authorization: Bearer {}\"\n", token(dir.path(), "prometheus.token"));
    std::fs::write(dir.path().join("prometheus.curl"), bearer).unwrap();
    let asked =
        |path: &str| curl(&format!("--cacert server.pem -K prometheus.curl https://localhost:8443{path}")).1;
    assert_eq!((asked("/metrics"), asked("/api/v1/schema")), ("200".to_owned(), "200".to_owned()));
    let stop =
        "--cacert server.pem -K prometheus.curl -X POST https://localhost:8443/api/v1/queries/lake/stop";
    assert_eq!(curl(stop).1, "403");
    // Who is taken out of the file is out, without a restart.
    let file = dir.path().join("auth.yaml");
    let kept: String = std::fs::read_to_string(&file)
        .unwrap()
        .lines()
        .filter(|line| !line.contains("prometheus"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&file, kept).unwrap();
    eventually("the token is revoked", Duration::from_secs(10), || asked("/metrics") == "401");
    let listed = succeed(&mut shell(dir.path(), "forebay token ls --auth auth.yaml"));
    let listed = text(&listed.stdout);
    assert!(listed.starts_with("ana ") && listed.lines().count() == 1, "{listed}");
    assert!(server.unwrap().stop().0);
}

#[test]
fn an_address_that_others_can_reach_is_refused_without_tokens_and_tls() {
    let dir = tempfile::tempdir().unwrap();
    let file = copy_pipeline(dir.path(), free_address(), "events", 700);
    let run = |more: &[&str]| {
        let mut command = Command::new(FOREBAY);
        command.arg("--data").arg(dir.path()).args(["run", file.to_str().unwrap()]).args(more);
        let output = end_within(Duration::from_secs(30), command.stdin(Stdio::null()));
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let said = run(&["--http", "0.0.0.0:0"]);
    assert!(said.contains("FB-7003") && said.contains("--auth") && said.contains("--tls-cert"), "{said}");
    succeed(&mut shell(dir.path(), "forebay token new --name ana --role admin --auth auth.yaml"));
    let auth = dir.path().join("auth.yaml").display().to_string();
    let said = run(&["--http", "[::]:0", "--auth", &auth]);
    assert!(said.contains("FB-7003") && said.contains("TLS is missing"), "{said}");
    let said = run(&["--http", "127.0.0.1:0", "--monitor", "0.0.0.0:0", "--auth", &auth]);
    assert!(said.contains("FB-7003") && said.contains("--monitor"), "{said}");
    let said = run(&["--http", "127.0.0.1:0", "--auth", "nothing.yaml"]);
    assert!(said.contains("FB-8011") && said.contains("forebay token new"), "{said}");
    let said = run(&["--http", "127.0.0.1:0", "--tls-cert", &auth, "--tls-key", &auth]);
    assert!(said.contains("FB-8012") && said.contains("no certificate"), "{said}");
}

#[test]
fn a_token_in_a_wrong_place_of_the_file_is_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.yaml");
    let (token, hash) = (format!("fb_{}", "Zq7".repeat(14) + "Z"), "a".repeat(64));
    for entry in [
        format!("name: {token}, role: viewer, sha256: {hash}"),
        format!("name: ana, role: {token}, sha256: {hash}"),
        format!("name: ana, role: viewer, sha256: {token}"),
        format!("name: ana, role: viewer, sha256: {hash}, expires: {token}"),
        format!("name: ana, role: viewer, sha256: {hash}, {token}: x"),
    ] {
        // Under a key that is no secret's by its name, too.
        for list in ["tokens", "users"] {
            std::fs::write(&file, format!("{list}:\n  - {{ {entry} }}\n")).unwrap();
            let output = shell(dir.path(), "forebay token ls --auth auth.yaml").output().unwrap();
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(!output.status.success() && said.contains("auth.yaml:"), "{entry}: {said}");
            assert!(!said.contains(&token[3..]), "{entry}: {said}");
        }
    }
}

/// Only root can be somebody else; of everybody else's files the owner is the same in any case.
#[test]
fn a_file_of_tokens_is_not_taken_over_by_who_adds_to_it() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.yaml");
    let add = "forebay token new --role viewer --auth auth.yaml --name";
    succeed(&mut shell(dir.path(), &format!("{add} ana")));
    let about = || std::fs::metadata(&file).unwrap();
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(&file, 0o644);
    succeed(&mut shell(dir.path(), &format!("{add} bob")));
    assert_eq!(about().mode() & 0o777, 0o644, "who may read it still may");
    if about().uid() != 0 {
        return;
    }
    // The build folder may be closed to others.
    let binary = dir.path().join("forebay");
    std::fs::hard_link(FOREBAY, &binary).or_else(|_| std::fs::copy(FOREBAY, &binary).map(drop)).unwrap();
    open(dir.path(), 0o777);
    let before = std::fs::read(&file).unwrap();
    let mut command = Command::new(&binary);
    command.args(["token", "new", "--role", "admin", "--name", "eve", "--auth"]).arg(&file);
    let output = command.current_dir(dir.path()).uid(65_534).gid(65_534).output().unwrap();
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("as its owner"), "{said}");
    assert!(output.stdout.is_empty(), "there is no token");
    assert_eq!((std::fs::read(&file).unwrap(), about().uid()), (before, 0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left behind");
}

/// Canaries: a good token, a wrong one and a session, sent every way there is while everything is logged.
#[test]
fn no_secret_comes_to_light() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let file = copy_pipeline(dir.path(), address, "events", 700);
    succeed(&mut shell(dir.path(), "forebay token new --name ana --role admin --auth auth.yaml > good"));
    succeed(&mut shell(dir.path(), "forebay token new --name bob --role admin > wrong 2> said"));
    let (good, wrong) = (token(dir.path(), "good"), token(dir.path(), "wrong"));
    assert!(good.starts_with("fb_") && good.len() == 46 && good != wrong);
    assert!(!token(dir.path(), "said").contains(&wrong), "the token is on stdout alone");
    let log = dir.path().join("stderr");
    let mut command = forebay(dir.path(), &["run", file.to_str().unwrap(), "--trigger", "default"]);
    command.args(["--log-level", "trace", "--monitor", "127.0.0.1:0"]);
    command.arg("--auth").arg(dir.path().join("auth.yaml"));
    let child = command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
    let child = Leashed(child);
    let said = || text(&std::fs::read(&log).unwrap());
    eventually("ready", Duration::from_secs(30), || said().contains("ready http="));
    let said_then = said();
    let ready = said_then.lines().find(|line| line.starts_with("ready ")).unwrap().to_owned();
    let of = |name: &str| -> std::net::SocketAddr {
        let word = ready.split_whitespace().find_map(|word| word.strip_prefix(&format!("{name}=")));
        word.unwrap().parse().unwrap()
    };
    let (http, monitor) = (of("http"), of("monitor"));
    let origin =
        format!("Origin: http://localhost:{}\r\nX-Forebay: 1\r\nContent-Type: application/json", http.port());
    let host = format!("localhost:{}", http.port());
    let ask = |head: &str, body: &str| exchange(http, &host, head, body);
    let signed =
        ask(&format!("POST /api/v1/session HTTP/1.1\r\n{origin}"), &format!("{{\"token\":\"{good}\"}}"));
    assert!(signed.starts_with("HTTP/1.1 200"), "{signed}");
    let session = signed.split("forebay=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(session.len(), 43, "{signed}");
    let body = signed.split("\r\n\r\n").nth(1).unwrap();
    let mut answers = vec![body.to_owned()];
    answers.push(ask(
        &format!("POST /api/v1/session HTTP/1.1\r\n{origin}"),
        &format!("{{\"token\":\"{wrong}\"}}"),
    ));
    answers.push(ask(&format!("POST /api/v1/session HTTP/1.1\r\n{origin}"), &format!("{{\"{wrong}\": 1}}")));
    for credential in [
        format!("Authorization: Bearer {good}"),
        format!("Authorization: Bearer {wrong}"),
        format!("Authorization: Basic {wrong}"),
        format!("Cookie: forebay={session}"),
        format!("Cookie: forebay={wrong}"),
    ] {
        for path in [
            "/",
            "/health",
            "/metrics",
            "/api/v1",
            "/api/v1/schema",
            "/api/v1/sql?q=SELECT+1+AS+n+WHERE+1+%3D+1",
            "/config",
            "/x",
        ] {
            answers.push(ask(&format!("GET {path} HTTP/1.1\r\n{credential}"), ""));
        }
        answers
            .push(ask(&format!("POST /api/v1/queries/lake/stop HTTP/1.1\r\n{credential}\r\n{origin}"), ""));
    }
    let good_ones = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 200")).count();
    assert!(
        good_ones >= 6,
        "only {good_ones} answers: the page, the list and the schema for token and session"
    );
    answers.push(get(monitor, "/metrics").1);
    answers.push(get(monitor, "/health").1);
    assert!(answers.last().unwrap().contains("\"problems\""), "on loopback the monitor asks nobody");
    let arguments = std::fs::read(format!("/proc/{}/cmdline", child.0.id())).unwrap();
    answers.push(text(&arguments));
    answers.push(token(dir.path(), "auth.yaml"));
    let logged = said();
    assert!(logged.contains("somebody signed in") && logged.contains("this token is not known"), "{logged}");
    assert!(logged.contains(" DEBUG "), "everything is logged");
    answers.push(logged);
    for secret in [&good, &wrong, &session] {
        for answer in &answers {
            let line = answer.lines().find(|line| line.contains(&secret[3..]));
            assert_eq!(line, None, "a secret comes to light");
        }
    }
}

/// One request over a plain connection; the whole answer.
fn exchange(address: std::net::SocketAddr, host: &str, head: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(stream, "{head}\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    text(&answer)
}
