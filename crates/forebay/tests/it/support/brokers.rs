//! Brokers of a test's own: Mosquitto and HiveMQ CE.
//!
//! They are started and stopped by `scripts/services/mosquitto.sh` and `hivemq.sh`; their sessions and messages are in a folder of the
//! test, so they outlive an orderly end.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::run_script;

/// A broker that ends with the test.
pub struct Broker {
    pub address: SocketAddr,
    script: &'static str,
    dir: tempfile::TempDir,
}

impl Broker {
    pub fn mosquitto() -> Self {
        Self::start("scripts/services/mosquitto.sh")
    }

    pub fn hivemq() -> Self {
        Self::start("scripts/services/hivemq.sh")
    }

    fn start(script: &'static str) -> Self {
        let broker = Self { address: super::free_address(), script, dir: tempfile::tempdir().unwrap() };
        broker.again();
        broker
    }

    /// Starts it (again), with the sessions that are there.
    pub fn again(&self) {
        let folder = self.dir.path().join("broker").display().to_string();
        run_script(self.script, &["start", "--port", &self.address.port().to_string(), "--dir", &folder]);
    }

    /// An orderly end: it saves what it has.
    pub fn stop(&self) {
        run_script(self.script, &["stop", "--port", &self.address.port().to_string()]);
    }

    /// Begins to publish a message a line; it ends when the broker has acknowledged all.
    pub fn publish(&self, topic: &str, qos: u8, lines: &[String]) -> Publisher {
        let (port, qos) = (self.address.port().to_string(), qos.to_string());
        let arguments = ["-h", "127.0.0.1", "-p", &port, "-q", &qos, "-t", topic, "-l"];
        let mut command = Command::new("mosquitto_pub");
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("mosquitto_pub: scripts/services/install.sh mosquitto installs it");
        let mut input = child.stdin.take().unwrap();
        input.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
        Publisher(child)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let port = self.address.port().to_string();
        let mut stop = Command::new(super::root().join(self.script));
        let _ = stop.args(["stop", "--port", &port]).stderr(Stdio::null()).status();
    }
}

/// Messages on their way to the broker.
pub struct Publisher(Child);

impl Publisher {
    /// Waits until the broker has acknowledged them.
    pub fn done(mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
