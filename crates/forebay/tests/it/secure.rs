//! TLS and SASL against a real broker: who is trusted, and that everything else fails closed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::kafka::ApacheKafka;
use crate::kafka_source::{self, Place};
use crate::support::*;

/// A certificate authority and what it signed, as PEM files in a folder.
pub struct Certificates<'a>(pub &'a Path);

impl Certificates<'_> {
    fn openssl(&self, line: &str) {
        let mut command = Command::new("openssl");
        command.args(line.split(' ')).current_dir(self.0);
        succeed(&mut command);
    }

    pub fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name} -addext basicConstraints=critical,CA:TRUE"
        ));
    }

    /// A server's key and certificate for `localhost`, in the one file that the broker reads.
    pub fn server(&self, name: &str, authority: &str, days: &str) {
        self.openssl(&format!(
            "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN=localhost"
        ));
        std::fs::write(self.0.join("san"), "subjectAltName=DNS:localhost\n").unwrap();
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -out {name}.pem -extfile san {days}"
        ));
        let read = |file: String| std::fs::read_to_string(self.0.join(file)).unwrap();
        std::fs::write(
            self.0.join(format!("{name}.store")),
            read(format!("{name}.key")) + &read(format!("{name}.pem")),
        )
        .unwrap();
    }

    /// The key and certificate of a client that is called so.
    pub fn client(&self, name: &str, authority: &str, called: &str) {
        self.client_for(name, authority, called, "-days 2");
    }

    /// The same, valid for so many days.
    pub fn client_for(&self, name: &str, authority: &str, called: &str, days: &str) {
        self.openssl(&format!(
            "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={called}"
        ));
        std::fs::write(self.0.join("client"), "extendedKeyUsage=clientAuth\n").unwrap();
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -out {name}.pem -extfile client {days}"
        ));
    }

    pub fn path(&self, file: &str) -> String {
        self.0.join(file).display().to_string()
    }
}

/// The port of the secure listener beside a broker's own and its controller's.
fn secure_port(kafka: SocketAddr) -> u16 {
    kafka.port() + 2
}

fn properties(kafka: SocketAddr, store: &str) -> String {
    let (port, secure) = (kafka.port(), secure_port(kafka));
    let user = "user_alice=\"secret\"";
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{},SECURE://127.0.0.1:{secure}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},SECURE://localhost:{secure}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL\n\
         sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256\n\
         listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {user};\n\
         listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         ssl.keystore.type=PEM\nssl.keystore.location={store}\n",
        port + 1
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_certificate_and_the_right_password_are_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let files = Certificates(dir.path());
    files.authority("good");
    files.authority("other");
    files.server("server", "good", "-days 2");
    files.server("expired", "good", "-days -1");
    let jaas = |password: &str| {
        format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"{password}\";"
        )
    };
    let (right, wrong) = (jaas("secret"), jaas("guess"));
    let (ca, other) = (files.path("good.pem"), files.path("other.pem"));
    let base = ("security.protocol", "SASL_SSL");
    let trusted = ("ssl.truststore.location", ca.as_str());
    let pem = ("ssl.truststore.type", "PEM");
    let plain = ("sasl.mechanism", "PLAIN");

    let kafka = ApacheKafka::start_with(|kafka| properties(kafka, &files.path("server.store")));
    let secure = secure_port(kafka.address);
    let bootstrap = kafka.address.to_string();
    let tool = [
        "ConfigCommand",
        "--bootstrap-server",
        &bootstrap,
        "--alter",
        "--add-config",
        "SCRAM-SHA-256=[password=secret]",
        "--entity-type",
        "users",
        "--entity-name",
        "alice",
    ];
    run_script("scripts/services/kafka-tool.sh", &tool);
    let by_name = Place::at(&format!("localhost:{secure}"));
    let scram = ("sasl.mechanism", "SCRAM-SHA-256");
    let user = [("sasl.username", "alice"), ("sasl.password", "secret")];
    let good: &[&[(&str, &str)]] = &[
        &[base, trusted, pem, plain, ("sasl.jaas.config", &right)],
        &[base, trusted, pem, scram, user[0], user[1]],
    ];
    let bad: &[&[(&str, &str)]] = &[
        &[base, trusted, pem, plain, ("sasl.jaas.config", &wrong)],
        &[base, trusted, pem, scram, user[0], ("sasl.password", "guess")],
        &[base, ("ssl.truststore.location", &other), pem, plain, ("sasl.jaas.config", &right)],
        // Without an authority of its own a client trusts the system's, and none of those signed this.
        &[base, plain, ("sasl.jaas.config", &right)],
    ];
    kafka_source::trust_suite(&by_name, good, bad).await.unwrap();
    // The certificate is for `localhost`, not for its address.
    let by_address = Place::at(&format!("127.0.0.1:{secure}"));
    let trust_by_address = kafka_source::trust_suite(&by_address, good, bad).await.unwrap_err().to_string();
    assert!(trust_by_address.contains("security.protocol"), "{trust_by_address}");
    drop(kafka);

    let kafka = ApacheKafka::start_with(|kafka| properties(kafka, &files.path("expired.store")));
    let expired = Place::at(&format!("localhost:{}", secure_port(kafka.address)));
    let refused = kafka_source::trust_suite(&expired, good, bad).await.unwrap_err().to_string();
    assert!(refused.contains("security.protocol"), "{refused}");
}
