//! TLS over real connections, with certificates that `openssl` makes.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_core::Error;
use forebay_core::error::codes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

use super::plant::Plant;
use super::sessions::File;
use crate::tls::Tls;
use crate::{Listening, Server, Stage, TlsFiles};

/// A folder of authorities and what they signed.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn openssl(&self, line: &str) {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(self.dir()).output().unwrap();
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn key(&self, name: &str) {
        self.openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"));
        std::fs::set_permissions(
            self.dir().join(format!("{name}.key")),
            std::fs::Permissions::from_mode(0o600),
        )
        .unwrap();
    }

    fn authority(&self, name: &str) {
        self.key(name);
        self.openssl(&format!(
            "req -x509 -new -key {name}.key -out {name}.pem -days 2 -subj /CN={name} -addext basicConstraints=critical,CA:TRUE"
        ));
    }

    /// A key and a certificate for `localhost`.
    fn server(&self, name: &str, authority: &str, days: &str) -> TlsFiles {
        self.key(name);
        self.openssl(&format!("req -new -key {name}.key -out {name}.csr -subj /CN=localhost"));
        std::fs::write(self.dir().join("san"), "subjectAltName=DNS:localhost\n").unwrap();
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -out {name}.pem -extfile san -days {days}"
        ));
        self.files(&format!("{name}.pem"), &format!("{name}.key"))
    }

    fn files(&self, certificate: &str, key: &str) -> TlsFiles {
        TlsFiles { certificate: self.dir().join(certificate), key: self.dir().join(key) }
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.dir().join(format!("{name}.pem"))).unwrap()
    }

    /// A connection to a server that must be `host` by the word of this authority.
    async fn connect(
        &self,
        address: SocketAddr,
        authority: &str,
        host: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate(authority)).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(("127.0.0.1", address.port())).await?;
        let host = ServerName::try_from(host.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(host, stream).await
    }
}

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

async fn serve(listening: Listening) -> Served {
    let server = Server::bind(listening).await.unwrap();
    assert_eq!(server.scheme(), "https");
    let (address, stop) = (server.address(), CancellationToken::new());
    let running = tokio::spawn(server.run(Stage::new(Plant::new().shown(), stop.clone()), stop.clone()));
    Served { address, stop, running }
}

fn own(tls: TlsFiles) -> Listening {
    Listening { tls: Some(tls), ..Listening::from(SocketAddr::from(([127, 0, 0, 1], 0))) }
}

/// What is answered, its head included.
async fn ask(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, head: &str) -> String {
    let _ = stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn only_who_trusts_the_right_authority_gets_an_answer_and_nobody_gets_plain_text() {
    let files = Certificates::new();
    files.authority("good");
    files.authority("other");
    let served = serve(own(files.server("server", "good", "2"))).await;
    let health = "GET /health HTTP/1.1\r\nHost: localhost";
    let trusting = files.connect(served.address, "good", "localhost").await.unwrap();
    assert!(ask(trusting, health).await.starts_with("HTTP/1.1 200"));
    for (authority, host) in [("other", "localhost"), ("good", "plant.example"), ("good", "127.0.0.1")] {
        let refused = files.connect(served.address, authority, host).await;
        assert!(refused.is_err(), "{authority} {host}");
    }
    let plain = ask(TcpStream::connect(served.address).await.unwrap(), health).await;
    assert!(!plain.contains("HTTP/") && !plain.contains("status"), "{plain:?}");
    // Somebody who begins no handshake holds nobody up, and not the end either.
    let _silent = TcpStream::connect(served.address).await.unwrap();
    let trusting = files.connect(served.address, "good", "localhost").await.unwrap();
    assert!(ask(trusting, health).await.starts_with("HTTP/1.1 200"));
    served.stop.cancel();
    tokio::time::timeout(Duration::from_secs(2), served.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_open_address_with_tls_and_tokens_takes_any_host_and_asks_who_it_is() {
    let (files, tokens) = (Certificates::new(), File::new());
    files.authority("good");
    let tls = Some(files.server("server", "good", "2"));
    let open = SocketAddr::from(([0, 0, 0, 0], 0));
    let auth = Some(tokens.path());
    let monitor = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    let listening = Listening { auth: auth.clone(), tls: tls.clone(), monitor, ..Listening::from(open) };
    let server = Server::bind(listening).await.unwrap();
    let monitor = server.monitor().unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let running = tokio::spawn(server.run(Stage::new(Plant::new().shown(), stop.clone()), stop.clone()));
    let bearer = format!("\r\nAuthorization: Bearer {}", tokens.token("viewer"));
    for (address, path, more, status) in [
        (address, "/api/v1/ledger", "", 401),
        (address, "/api/v1/ledger", bearer.as_str(), 200),
        (address, "/metrics", bearer.as_str(), 404),
        (monitor, "/metrics", "", 401),
        (monitor, "/metrics", bearer.as_str(), 200),
        (monitor, "/health", "", 200),
    ] {
        let stream = files.connect(address, "good", "localhost").await.unwrap();
        let answer = ask(stream, &format!("GET {path} HTTP/1.1\r\nHost: plant.example:8443{more}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {status}: {answer}");
        assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_shown_without_a_restart() {
    let files = Certificates::new();
    files.authority("old");
    files.authority("new");
    let shown = files.server("server", "old", "2");
    let next = files.server("next", "new", "2");
    let served = serve(own(shown.clone())).await;
    files.connect(served.address, "old", "localhost").await.unwrap();
    // One file after the other: in between the two do not belong together.
    std::fs::copy(&next.certificate, &shown.certificate).unwrap();
    std::fs::copy(&next.key, &shown.key).unwrap();
    let started = Instant::now();
    while files.connect(served.address, "new", "localhost").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "the new certificate is not shown");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    served.stop.cancel();
    served.running.await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_that_cannot_be_used_leaves_the_one_from_before() {
    let files = Certificates::new();
    files.authority("old");
    let shown = files.server("server", "old", "2");
    let sound = std::fs::read(&shown.certificate).unwrap();
    let tls = Arc::new(Tls::open(shown.clone(), crate::tls::HTTP, 0).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = Arc::clone(&tls);
    let running = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = accepting.accept(stream).await;
        }
    });
    std::fs::write(&shown.certificate, "no certificate").unwrap();
    for _ in 0..2 {
        tls.refresh(0);
        files.connect(address, "old", "localhost").await.expect("the one from before stays");
    }
    std::fs::remove_file(&shown.certificate).unwrap();
    tls.refresh(0);
    files.connect(address, "old", "localhost").await.expect("the one from before stays");
    std::fs::write(&shown.certificate, sound).unwrap();
    tls.refresh(0);
    files.connect(address, "old", "localhost").await.unwrap();
    running.abort();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start_and_nothing_of_them_is_told() {
    let files = Certificates::new();
    files.authority("good");
    let good = files.server("server", "good", "2");
    files.key("another");
    let refused = async |tls: TlsFiles| -> Error {
        let error = Server::bind(own(tls)).await.err().unwrap();
        assert_eq!(error.code(), &codes::TLS, "{error:?}");
        error
    };
    let secret = std::fs::read_to_string(&good.key).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    std::fs::write(files.dir().join("broken.key"), format!("-----BEGIN PRIVATE KEY-----\n{secret}\n"))
        .unwrap();
    std::fs::write(files.dir().join("odd.key"), format!("-----BEGIN {secret}\n{secret}\n")).unwrap();
    for key in ["broken.key", "odd.key"] {
        std::fs::set_permissions(files.dir().join(key), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::copy(files.dir().join("server.pem"), files.dir().join("lone.key")).unwrap();
    std::fs::set_permissions(files.dir().join("lone.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    for (certificate, key, part) in [
        ("nothing.pem", "server.key", "cannot be read"),
        ("server.pem", "nothing.key", "cannot be read"),
        ("server.key", "server.key", "no certificate"),
        ("server.pem", "lone.key", "no private key"),
        ("server.pem", "broken.key", "not PEM"),
        ("server.pem", "odd.key", "private key"),
        ("server.pem", "another.key", "does not belong"),
    ] {
        let error = refused(files.files(certificate, key)).await;
        let told = format!("{error:?} {}", error.hint());
        assert!(error.message().contains(part), "{certificate} {key}: {told}");
        assert!(!told.contains(secret), "{told}");
    }
    std::fs::set_permissions(&good.key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(good.clone()).await.hint().contains("chmod 600"));
    std::fs::set_permissions(&good.key, std::fs::Permissions::from_mode(0o640)).unwrap();
    Server::bind(own(good)).await.expect("a group is somebody's choice");
}

/// The server shows it all the same, and says so: who decides is the client, and it refuses.
#[tokio::test]
async fn who_asks_refuses_a_certificate_that_has_expired() {
    let files = Certificates::new();
    files.authority("good");
    let served = serve(own(files.server("server", "good", "-1"))).await;
    let refused = files.connect(served.address, "good", "localhost").await.unwrap_err();
    assert!(refused.to_string().contains("xpired"), "{refused}");
    served.stop.cancel();
    served.running.await.unwrap();
}
