//! TLS to PostgreSQL: whoever is not who the URL names, is not vouched for, or does not speak TLS at all gets no word, least
//! of all the password, and there is no way back to plain text.

use super::*;
use crate::secure::Certificates;

/// The query by a host's name, with these parameters of the URL.
fn by_name(trial: &Trial, host: &str, table: &str, parameters: &str) -> Query {
    let query = trial.copy(table, &[]);
    let address = trial.server.address;
    let url = format!("jdbc:postgresql://{host}:{}/forebay{parameters}", address.port());
    query.change(&trial.server.url(), &url);
    query
}

/// It must try again and again, for this reason, and the server must not have seen anybody log in.
fn assert_refused(trial: &Trial, query: &Query, table: &str, words: &[&str]) {
    let running = query.process_that_waits();
    let said = running.said.join("\n");
    assert!(words.iter().any(|word| said.contains(word)), "{table}: none of {words:?} is told: {said}");
    assert_eq!(
        trial.server.one("SELECT count(*) FROM pg_stat_activity WHERE usename = 'forebay'"),
        "0",
        "{table}"
    );
    assert_eq!(trial.server.count(&format!("public.{table}")), 0);
}

impl Query {
    /// A process that has failed at least once and goes on trying.
    fn process_that_waits(&self) -> Process {
        let mut process = Process::spawn(&mut self.command(&[]));
        process.wait_for("trying again", PATIENCE);
        process
    }
}

#[test]
fn only_the_right_certificate_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let files = Certificates(dir.path());
    files.authority("good");
    files.authority("other");
    files.server("server", "good", "-days 2");
    files.server("expired", "good", "-days -1");
    let with = |name: &str| {
        let (certificate, key) = (files.path(&format!("{name}.pem")), files.path(&format!("{name}.key")));
        Trial::on(Postgres::start_with(&["--ssl", &certificate, &key]))
    };
    let verified = |ca: &str| format!("?sslmode=verify-full&sslrootcert={}", files.path(ca));
    let trial = with("server");
    let query = by_name(&trial, "localhost", "t", &verified("good.pem"));
    let running = query.running();
    eventually("the rows", PATIENCE, || trial.server.count("public.t") == EVENTS);
    let encrypted =
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'forebay'";
    assert_eq!(trial.server.one(encrypted), "t");
    assert!(running.process.stop().0);
    trial.assert_copied(&query, "t", "by TLS");
    // Another authority, no authority that knows it, and the server's address where its name is certified.
    let unknown = ["UnknownIssuer", "unknown issuer", "certificate"];
    assert_refused(&trial, &by_name(&trial, "localhost", "a", &verified("other.pem")), "a", &unknown);
    assert_refused(&trial, &by_name(&trial, "localhost", "b", "?sslmode=verify-full"), "b", &unknown);
    let require = format!("?sslmode=require&sslrootcert={}", files.path("other.pem"));
    assert_refused(&trial, &by_name(&trial, "localhost", "c", &require), "c", &unknown);
    let other_name = ["NotValidForName", "not valid for name", "certificate"];
    assert_refused(&trial, &by_name(&trial, "127.0.0.1", "d", &verified("good.pem")), "d", &other_name);
    drop(trial);

    let trial = with("expired");
    let expired = ["Expired", "expired"];
    assert_refused(&trial, &by_name(&trial, "localhost", "e", &verified("good.pem")), "e", &expired);
    drop(trial);

    let trial = Trial::new();
    let plain = ["TLS", "tls", "SSL"];
    assert_refused(&trial, &by_name(&trial, "localhost", "f", &verified("good.pem")), "f", &plain);
    assert_refused(&trial, &by_name(&trial, "localhost", "g", "?ssl=true"), "g", &plain);
}

#[test]
fn a_server_that_asks_for_a_certificate_knows_the_query_by_its_own_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let files = Certificates(dir.path());
    files.authority("good");
    files.authority("other");
    files.server("server", "good", "-days 2");
    files.client("mine", "good", "forebay");
    files.client("named", "good", "somebody");
    files.client("forged", "other", "forebay");
    let (certificate, key, ca) = (files.path("server.pem"), files.path("server.key"), files.path("good.pem"));
    let trial = Trial::on(Postgres::start_with(&["--ssl", &certificate, &key, "--client-ca", &ca]));
    let known_as = |name: &str| {
        format!(
            "?sslmode=verify-full&sslrootcert={ca}&sslcert={}&sslkey={}",
            files.path(&format!("{name}.pem")),
            files.path(&format!("{name}.key"))
        )
    };
    let query = by_name(&trial, "localhost", "t", &known_as("mine"));
    query.run();
    trial.assert_copied(&query, "t", "named in the URL");
    // The same as options, which a local server is spoken to by TLS for.
    let named = [
        format!("sslrootcert: {ca}"),
        format!("sslcert: {}", files.path("mine.pem")),
        format!("sslkey: {}", files.path("mine.key")),
    ];
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let query = trial.copy("o", &named);
    query.change(
        &trial.server.url(),
        &format!("postgresql://localhost:{}/forebay", trial.server.address.port()),
    );
    query.run();
    trial.assert_copied(&query, "o", "named as options");
    let none = format!("?sslmode=verify-full&sslrootcert={ca}");
    let unknown = ["certificate", "Certificate", "UnknownCA", "28000"];
    // PostgreSQL's word for a certificate that names somebody else than the one with this password.
    let anothers = ["28P01"];
    assert_refused(&trial, &by_name(&trial, "localhost", "a", &none), "a", &unknown);
    assert_refused(&trial, &by_name(&trial, "localhost", "b", &known_as("named")), "b", &anothers);
    assert_refused(&trial, &by_name(&trial, "localhost", "c", &known_as("forged")), "c", &unknown);
}

/// Somebody in between who says that there is no TLS hears nothing more.
#[test]
fn nobody_in_between_can_talk_it_out_of_tls() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut line, _) = listener.accept().unwrap();
        let mut heard = [0; 8];
        line.read_exact(&mut heard).unwrap();
        line.write_all(b"N").unwrap();
        let mut more = Vec::new();
        let _ = line.read_to_end(&mut more);
        (heard, more)
    });
    let log = LogServer::start();
    log.produce("events", &proof_events(1));
    let url = format!("postgresql://localhost:{port}/forebay?sslmode=verify-full");
    let query =
        Query::new(&query_text(log.address, PROOF_SCHEMA, "SELECT * FROM events", &url, &["dbtable: t"]));
    drop(query.process_that_waits());
    let (first, more) = heard.join().unwrap();
    assert_eq!(first, [0, 0, 0, 8, 4, 210, 22, 47], "the request for TLS, and nothing before it");
    assert!(more.is_empty(), "it went on in plain text: {more:?}");
}

#[test]
fn a_mode_that_would_go_on_in_plain_text_is_refused() {
    for mode in ["prefer", "allow"] {
        let url = format!("postgresql://db.example/forebay?sslmode={mode}");
        let query = Query::new(&query_text(
            free_address(),
            PROOF_SCHEMA,
            "SELECT * FROM events",
            &url,
            &["dbtable: t"],
        ));
        let said = query.refused();
        assert!(said.contains("plain text") && said.contains("verify-full"), "{mode}: {said}");
    }
}
