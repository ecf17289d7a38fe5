//! The password comes to light nowhere: not in what is logged, answered, refused, written to disk or seen in the list of
//! processes; a wrong one neither.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use super::*;

/// What is in every form of the password, however it is escaped.
const CANARY: &str = "7Qx";

fn assert_absent(text: &str, place: &str) {
    let line = text.lines().find(|line| line.contains(CANARY));
    assert_eq!(line, None, "the password comes to light in {place}");
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn the_password_comes_to_light_nowhere() {
    assert!(POSTGRES_PASSWORD.contains(CANARY));
    let trial = Trial::new();
    for wrong in [false, true] {
        let table = format!("t_{wrong}");
        let query = trial.copy(&table, &[]);
        let said = query.data().join("said");
        let mut command = query.command(&["--trigger", "default", "--log-level", "trace"]);
        if wrong {
            command.env(PASSWORD_VARIABLE, format!("wrong {POSTGRES_PASSWORD}"));
        }
        let child = command.stdout(Stdio::null()).stderr(File::create(&said).unwrap()).spawn().unwrap();
        let child = Leashed(child);
        let logged = || text(&std::fs::read(&said).unwrap());
        eventually("it is ready", PATIENCE, || logged().contains("ready http="));
        let ready = logged();
        let http = ready.split("ready http=").nth(1).unwrap().split_whitespace().next().unwrap();
        let http: SocketAddr = http.parse().unwrap();
        if wrong {
            eventually("it is refused", PATIENCE, || get(http, "/health").1.contains("28P01"));
        } else {
            eventually("the rows", PATIENCE, || trial.server.count(&table) == EVENTS);
        }
        // And an error of a server that is away.
        trial.server.crash();
        trial.log.produce("events", &proof_events(1));
        eventually("it fails", PATIENCE, || get(http, "/health").1.contains("FB-5001"));
        for path in [
            "/",
            "/health",
            "/metrics",
            "/config",
            "/api/v1",
            "/api/v1/status",
            "/api/v1/queries",
            "/api/v1/queries/lake",
            "/api/v1/pipeline",
            "/api/v1/ledger",
            "/api/v1/schema",
            "/api/v1/config",
        ] {
            assert_absent(&get(http, path).1, path);
        }
        assert_absent(
            &text(&std::fs::read(format!("/proc/{}/cmdline", child.0.id())).unwrap()),
            "the command line",
        );
        trial.server.again();
        drop(child);
        let all = logged();
        assert!(wrong || all.contains(" DEBUG "), "everything is logged: {}", &all[..all.len().min(2_000)]);
        let mut found = Vec::new();
        files(query.data(), &mut found);
        assert!(found.len() > 3, "{found:?}");
        for file in found {
            assert_absent(&text(&std::fs::read(&file).unwrap()), &file.display().to_string());
        }
        for args in [&["validate"][..], &["plan"], &["checkpoint", "show"]] {
            let output =
                with_password(forebay(query.data(), &[args, &[query.file.to_str().unwrap()]].concat()))
                    .output()
                    .unwrap();
            assert_absent(&(text(&output.stdout) + &text(&output.stderr)), &args.join(" "));
        }
    }
    assert_absent(&trial.server.logged(), "the server's log");
}

/// A password in the URL would be shown with it, so it is refused, and not shown in the refusal.
#[test]
fn a_password_in_the_url_is_refused_and_not_shown() {
    for url in [
        "postgresql://forebay:c4n4ry7Qx@localhost/d",
        "jdbc:postgresql://localhost/d?user=forebay&password=c4n4ry7Qx",
        "postgresql://localhost/d?sslmode=verify-full&sslpassword=c4n4ry7Qx",
        "postgresql://localhost:c4n4ry7Qx/d",
    ] {
        let query = Query::new(&query_text(
            free_address(),
            PROOF_SCHEMA,
            "SELECT * FROM events",
            url,
            &["dbtable: t"],
        ));
        assert_absent(
            &query.refused(),
            url.split('?').next().unwrap_or_default().split("c4n").next().unwrap_or_default(),
        );
    }
}
