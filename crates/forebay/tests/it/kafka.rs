//! The Kafka source's suite on everything it must work on: Apache Kafka, the embedded log over the network, and the
//! embedded log read in place.

use std::net::SocketAddr;
use std::sync::Arc;

use forebay_log::server::{Server, ServerOptions};
use forebay_log::storage::{Log, LogOptions};
use forebay_storage::Door;
use tokio_util::sync::CancellationToken;

use crate::kafka_source::{self, Place};
use crate::support::*;

/// An Apache Kafka of its own, stopped at the end.
pub struct ApacheKafka {
    pub address: SocketAddr,
    port: String,
    dir: tempfile::TempDir,
    properties: String,
}

impl ApacheKafka {
    pub fn start() -> Self {
        Self::start_with(|_| String::new())
    }

    /// With more lines for its properties, made from its address. The port after it is the controller's; the two after
    /// that are free for other listeners.
    pub fn start_with(properties: impl FnOnce(SocketAddr) -> String) -> Self {
        let address = free_addresses(4);
        // The suites write records of 1970; a broker that forgets old ones would take them away.
        let properties = format!("log.retention.ms=-1\n{}", properties(address));
        let kafka =
            Self { address, port: address.port().to_string(), dir: tempfile::tempdir().unwrap(), properties };
        kafka.run(&["start"]);
        kafka
    }

    /// Sends the broker a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = std::fs::read_to_string(self.dir.path().join("kafka.pid")).unwrap();
        let sent = std::process::Command::new("kill").args(["-s", name, id.trim()]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGKILL, then up again with what it had on disk.
    pub fn restart(&self) {
        self.run(&["stop", "--kill"]);
        self.run(&["start"]);
    }

    fn run(&self, action: &[&str]) {
        let dir = self.dir.path().to_str().unwrap();
        let place: &[&str] = if action[0] == "start" {
            &["--port", &self.port, "--dir", dir]
        } else {
            &["--port", &self.port]
        };
        let variables = [("KAFKA_EXTRA", self.properties.as_str())];
        run_script_with("scripts/services/kafka.sh", &[action, place].concat(), &variables);
    }
}

impl Drop for ApacheKafka {
    fn drop(&mut self) {
        let _ = std::process::Command::new(root().join("scripts/services/kafka.sh"))
            .args(["stop", "--port", &self.port])
            .output();
    }
}

/// An interpreter with Kafka's Python clients.
fn python() -> String {
    root().join("scripts/services/python.sh").display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_on_apache_kafka() {
    let kafka = ApacheKafka::start();
    let place = Place::at(&kafka.address.to_string());
    kafka_source::suite(&place, &python()).await.unwrap();
    let kafka = Arc::new(kafka);
    let restart = async || {
        let kafka = kafka.clone();
        let restarting = tokio::task::spawn_blocking(move || {
            kafka.restart();
        });
        Ok(restarting.await?)
    };
    kafka_source::restart_suite(&place, restart).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_on_the_embedded_log_over_the_network() {
    let log = LogServer::start();
    kafka_source::suite(&Place::at(&log.address.to_string()), &python()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_on_the_embedded_log_in_place() {
    let data = tempfile::tempdir().unwrap();
    let log = Log::open(LogOptions::new(data.path()), Door::new()).unwrap();
    let server =
        Server::bind("127.0.0.1:0".parse().unwrap(), log.clone(), ServerOptions::default()).await.unwrap();
    let bootstrap = server.local_addr().to_string();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.run(stop.clone()));
    kafka_source::suite(&Place { bootstrap, log: Some(log.clone()) }, &python()).await.unwrap();
    stop.cancel();
    serving.await.unwrap();
    log.close().await.unwrap();
}
