//! Who may ask over the Postgres wire: SCRAM with tokens of the file, TLS with psql and tokio-postgres, and that everything else
//! fails closed.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::secure::Certificates;
use crate::support::*;

/// A running pipeline that lets in ana by her token.
struct Guarded {
    process: Process,
    data: tempfile::TempDir,
    token: String,
    port: u16,
}

impl Guarded {
    fn start(more: impl Fn(&Path) -> Vec<String>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let auth = data.path().join("auth.yaml").display().to_string();
        let token = new_token(&auth, "ana");
        let file = copy_pipeline(data.path(), free_address(), "events", 700);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("    trigger: { availableNow: true }\n", "")).unwrap();
        let more = more(data.path());
        let mut args = vec!["run", file.to_str().unwrap(), "--postgres", "127.0.0.1:0", "--auth", &auth];
        args.extend(more.iter().map(String::as_str));
        let mut process = Process::spawn(&mut forebay(data.path(), &args));
        let port = process.address("postgres").port();
        Self { process, data, token, port }
    }

    fn config(&self, user: &str, token: &str) -> Config {
        let mut config = Config::new();
        config.host("localhost").port(self.port).user(user).dbname("plant").password(token);
        config
    }

    fn psql(&self, user: &str, token: &str, more: &[(&str, &str)]) -> Output {
        let mut command = Command::new("psql");
        command.args(["-X", "-At", "-c", "SELECT 40 + 2"]);
        let port = self.port.to_string();
        let own = [("PGHOST", "localhost"), ("PGPORT", &port), ("PGUSER", user), ("PGPASSWORD", token)];
        command.env("PGDATABASE", "plant").envs(own).envs(more.iter().copied());
        end_within(Duration::from_secs(30), &mut command)
    }
}

fn new_token(auth: &str, name: &str) -> String {
    let args = ["token", "new", "--name", name, "--role", "viewer", "--auth", auth];
    text(&succeed(Command::new(FOREBAY).args(args)).stdout).trim().to_owned()
}

#[test]
fn a_token_is_proved_without_being_sent_and_nobody_else_is_let_in() {
    let guarded = Guarded::start(|_| Vec::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut config = guarded.config("ana", &guarded.token);
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let row = client.query_one("SELECT current_user", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "ana");
        let other = "fb_Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Z";
        for (user, token) in [("ana", other), ("bob", &guarded.token), ("bob", other), ("ana", "guess")] {
            let refused = guarded.config(user, token).connect(NoTls).await.err().unwrap();
            assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD), "{user}: {refused:?}");
        }
        // Without TLS there is nothing to be bound to.
        config.channel_binding(ChannelBinding::Require);
        assert!(config.connect(NoTls).await.is_err());

        // An entry of an older Forebay: its token opens the page, and here it is told to be made anew.
        let auth = guarded.data.path().join("auth.yaml");
        let written = std::fs::read_to_string(&auth).unwrap();
        let (before, rest) = written.split_once(", scram: \"").unwrap();
        std::fs::write(&auth, format!("{before}{}", rest.split_once('"').unwrap().1)).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(15);
        let refused = loop {
            match guarded.config("ana", &guarded.token).connect(NoTls).await {
                Ok(_) if std::time::Instant::now() > deadline => {
                    panic!("an entry that cannot be proved is let in")
                }
                Ok(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                Err(refused) => break refused,
            }
        };
        let told = refused.as_db_error().unwrap();
        assert!(told.hint().unwrap().contains("make the token anew"), "{told:?}");
        // Who was let in before stays so; who is taken out of the file is out.
        client.simple_query("SELECT 1").await.unwrap();
        std::fs::write(&auth, "tokens: []\n").unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(15);
        while client.simple_query("SELECT 1").await.is_ok() {
            assert!(std::time::Instant::now() < deadline, "a revoked token still asks");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    assert!(!guarded.process.said.join("\n").contains(&guarded.token));
}

fn rustls(authority: &Path) -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

#[test]
fn over_tls_the_token_is_bound_to_the_certificate_and_plain_text_is_refused() {
    let certificates = tempfile::tempdir().unwrap();
    let files = Certificates(certificates.path());
    files.authority("good");
    files.authority("other");
    files.server("server", "good", "-days 2");
    let guarded = Guarded::start(|_| {
        ["--tls-cert", &files.path("server.pem"), "--tls-key", &files.path("server.key")]
            .map(str::to_owned)
            .into()
    });
    let (ana, token) = ("ana", guarded.token.as_str());
    let (good, other) = (files.path("good.pem"), files.path("other.pem"));
    let full = [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", good.as_str())];
    let bound = [full[0], full[1], ("PGCHANNELBINDING", "require")];
    let answer = |output: Output| match output.status.success() {
        true => Ok(text(&output.stdout).trim().to_owned()),
        false => Err(text(&output.stderr)),
    };
    for settings in [&full[..], &bound, &[full[0], full[1], ("PGCHANNELBINDING", "disable")]] {
        assert_eq!(answer(guarded.psql(ana, token, settings)), Ok("42".to_owned()), "{settings:?}");
    }
    for (token, settings, part) in [
        ("guess", &bound[..], "password authentication failed"),
        (token, &[("PGSSLMODE", "disable")], "TLS only"),
        (token, &[full[0], ("PGSSLROOTCERT", &other)], "certificate verify failed"),
        (token, &[("PGHOST", "127.0.0.1"), full[0], full[1]], "does not match host name"),
    ] {
        let said = answer(guarded.psql(ana, token, settings)).unwrap_err();
        assert!(said.contains(part), "{settings:?}: {said}");
        assert!(!said.contains(&guarded.token));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut config = guarded.config(ana, token);
        config.ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require);
        let (client, connection) = config.connect(rustls(Path::new(&good))).await.unwrap();
        tokio::spawn(connection);
        assert_eq!(client.query_one("SELECT 1::int4", &[]).await.unwrap().get::<_, i32>(0), 1);
        assert!(config.connect(rustls(Path::new(&other))).await.is_err());
        assert!(config.clone().password("guess").connect(rustls(Path::new(&good))).await.is_err());
    });
}

#[test]
fn an_address_that_others_reach_needs_tokens_and_tls() {
    let data = tempfile::tempdir().unwrap();
    let file = copy_pipeline(data.path(), free_address(), "events", 700);
    let args = ["run", file.to_str().unwrap(), "--postgres", "0.0.0.0:0"];
    let output = end_within(Duration::from_secs(30), &mut forebay(data.path(), &args));
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("FB-7003") && said.contains("--postgres"), "{said}");
    assert!(said.contains("--auth") && said.contains("--tls-cert"), "{said}");
}
