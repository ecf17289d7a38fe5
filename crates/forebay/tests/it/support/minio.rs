//! A MinIO of a test's own, and what commands must be told to reach it.
//!
//! It is started and stopped by `scripts/services/minio.sh`; its objects are in a folder of the test, so they outlive a crash.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{forebay, run_script_with, succeed, text};

const SCRIPT: &str = "scripts/services/minio.sh";
const USER: &str = "forebay";
/// What is in the secret key.
pub const S3_CANARY: &str = "c4n4ry3S3";
/// The bucket that is there.
pub const BUCKET: &str = "lake";

/// A server that ends with the test.
pub struct Minio {
    pub address: SocketAddr,
    dir: tempfile::TempDir,
    tls: Vec<String>,
}

impl Minio {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One that speaks TLS, by the files of a certificate and its key.
    pub fn start_with(tls: &[&str]) -> Self {
        let tls = tls.iter().map(|file| (*file).to_owned()).collect();
        let server = Self { address: super::free_address(), dir: tempfile::tempdir().unwrap(), tls };
        server.again();
        server
    }

    /// Starts it (again), with what it has.
    pub fn again(&self) {
        let folder = self.dir.path().join("server").display().to_string();
        let port = self.address.port().to_string();
        let mut args = vec!["start", "--port", &port, "--dir", &folder, "--bucket", BUCKET];
        if let [certificate, key] = &self.tls[..] {
            args.extend(["--tls", certificate, key]);
        }
        run_script_with(SCRIPT, &args, &[("MINIO_ROOT_PASSWORD", secret().as_str())]);
    }

    pub fn crash(&self) {
        run_script_with(SCRIPT, &["stop", "--kill", "--port", &self.address.port().to_string()], &[]);
    }

    /// What a command needs to reach it by the environment.
    pub fn known_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        at(self.address, command)
    }

    /// The rows of a SELECT, through `forebay query`.
    pub fn query(&self, data: &Path, sql: &str) -> Vec<Value> {
        let output = succeed(self.known_to(&mut forebay(data, &["query", "--format", "json", sql])));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The rows of a table in the bucket; none if there is no table yet.
    pub fn rows(&self, data: &Path, table: &str) -> Vec<Value> {
        self.query(data, &format!("SELECT * FROM delta.`s3://{BUCKET}/{table}`"))
    }

    /// The same by delta-rs's own reader.
    pub fn rows_by_others(&self, table: &str) -> Vec<Value> {
        let address = format!("s3://{BUCKET}/{table}");
        let mut command = Command::new(super::root().join("scripts/services/python.sh"));
        command.arg(super::root().join("tests/clients/s3_table.py")).arg(address);
        let output = succeed(self.known_to(&mut command));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Names in a folder of the bucket, by the server's own disk.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let folder = self.dir.path().join("server/data").join(BUCKET).join(folder);
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// What a command needs to reach a server at this address by the environment.
pub fn at(address: SocketAddr, command: &mut Command) -> &mut Command {
    command
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", USER)
        .env("AWS_SECRET_ACCESS_KEY", secret())
}

/// The secret key.
pub fn secret() -> String {
    format!("{S3_CANARY}/right")
}

impl Drop for Minio {
    fn drop(&mut self) {
        let port = self.address.port().to_string();
        let mut stop = Command::new(super::root().join(SCRIPT));
        let _ = stop.args(["stop", "--port", &port]).stderr(Stdio::null()).status();
    }
}
