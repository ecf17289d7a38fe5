//! Whatever dies in the middle of a reload, and whoever closes the terminal, the next start is exact.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::line::{Line, PATIENCE, has_read};
use crate::support::*;

#[test]
fn whatever_dies_in_the_middle_of_a_reload_the_next_start_is_exact() {
    let log = LogServer::start();
    make_topic(log.address, "events", 2);
    let events = proof_events(600);
    log.produce("events", &events[..400]);
    for point in ["reload.before", "reload.between", "reload.after"] {
        for mode in ["kill", "lose"] {
            let context = format!("{point} {mode}");
            let line = Line::new(log.address);
            let mut command = line.command(&[]);
            let mut process = Process::spawn(armed(&mut command, &format!("{point}:1"), mode));
            let http = process.address("http");
            eventually("a part of the events", PATIENCE, || {
                has_read(http, "lake", 200) && has_read(http, "alerts/high", 100)
            });
            line.write(&line.after());
            process.signal("HUP");
            eventually("its death", PATIENCE, || process.child.try_wait().unwrap().is_some());
            assert!(died_there(process.child.wait().unwrap()), "{context}");
            succeed(&mut line.command(&["--trigger", "availableNow"]));
            for table in ["lake", "slow", "more"] {
                assert_exactly_once(&line.rows(table), 400, &format!("{context}: {table}"));
                assert_ledger(&last_commit(&line.data(), "line", table)["ledger"], 400);
            }
            assert_eq!(line.opened().len(), 7, "{context}");
        }
    }
}

#[test]
fn a_terminal_that_is_closed_ends_the_run_after_its_epoch() {
    let log = LogServer::start();
    log.produce("events", &proof_events(100));
    for to_file in [false, true] {
        let line = Line::new(log.address);
        let (http, said) = (free_address(), line.dir.path().join("said"));
        let redirected = if to_file { format!("2>{}", said.display()) } else { String::new() };
        let run = format!(
            "exec {FOREBAY} --data {} --http {http} run {} {redirected}",
            line.data().display(),
            line.file().display()
        );
        // `script` gives it a terminal, which is gone when `script` is.
        let mut command = Command::new("script");
        command.args(["-qc", &run, "/dev/null"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut terminal = Leashed(command.spawn().unwrap());
        let listens = || TcpStream::connect(http).is_ok();
        eventually("it serves", PATIENCE, || listens() && has_read(http, "lake", 100));
        let snapshot = line.data().join("live/line/events/snapshot");
        assert!(!snapshot.exists());
        terminal.0.kill().unwrap();
        terminal.0.wait().unwrap();
        eventually("its end", PATIENCE, || !listens());
        eventually("what only a clean end leaves", PATIENCE, || snapshot.exists());
        if to_file {
            let said = std::fs::read_to_string(&said).unwrap();
            assert!(said.contains("stopping: each query ends") && !said.contains("SIGHUP"), "{said}");
        }
    }
}
