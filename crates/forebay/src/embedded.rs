//! Hosting the embedded log inside a pipeline's process.
//!
//! A source uses the embedded log if its `kafka.bootstrap.servers` is the address at which this process would listen
//! (`--kafka`). If somebody listens there already, that is the log (a `forebay log serve`, or an Apache Kafka), and
//! the source reads from it over the network like from any other.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use forebay_log::LogError;
use forebay_log::server::{Server, ServerOptions};
use forebay_log::storage::{Log, LogOptions, TopicConfig};
use forebay_storage::Door;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The log and its server, running.
pub struct Embedded {
    /// The log, to be read in place.
    pub log: Log,
    /// Where its server listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Embedded {
    /// Opens the log under `<data>/log` and listens on `address`.
    pub async fn start(data: &Path, address: SocketAddr, door: Door) -> Result<Self> {
        if !address.ip().is_loopback() {
            return Err(Error::new(&codes::ADDRESS, format!("{address} is not a loopback address"))
                .with_hint(
                    "The embedded log has no authentication yet, so it listens on 127.0.0.1 or [::1] only.",
                ));
        }
        let options = LogOptions::new(data.join("log"));
        let log = Log::open(options, door).map_err(failed)?;
        let server = Server::bind(address, log.clone(), ServerOptions::default())
            .await
            .map_err(|e| Error::new(&codes::ADDRESS, format!("cannot listen on {address}")).caused_by(e))?;
        let address = server.local_addr();
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.run(stop.clone()));
        Ok(Self { log, address, stop, task })
    }

    /// Makes the topics that a source subscribes to by name, so that a pipeline can be started before its devices.
    pub fn make_topics(&self, options: &Options) -> Result<()> {
        let names = options.text("subscribe").unwrap_or_default().split(',').map(str::trim);
        for name in names.filter(|name| !name.is_empty()) {
            if self.log.topic(name).is_none() {
                let partitions = self.log.options().default_partitions;
                self.log.create_topic(name, partitions, TopicConfig::default()).map_err(failed)?;
                tracing::info!(topic = name, partitions, "made a topic");
            }
        }
        Ok(())
    }

    /// Stops listening, then closes the log.
    pub async fn stop(self) -> Result<()> {
        self.stop.cancel();
        let _ = self.task.await;
        self.log.close().await.map_err(failed)
    }
}

fn failed(error: LogError) -> Error {
    let code = match error {
        LogError::Locked(_) => &codes::LOG_LOCKED,
        _ => &codes::LOG_FAILED,
    };
    Error::new(code, "the embedded log cannot be opened").caused_by(error)
}

/// True if `bootstrap` names exactly the address `listen`.
pub fn is_this_process(bootstrap: &str, listen: SocketAddr) -> bool {
    let mut servers = bootstrap.split(',').map(str::trim).filter(|server| !server.is_empty());
    let (Some(server), None) = (servers.next(), servers.next()) else { return false };
    let Some((host, port)) = server.rsplit_once(':') else { return false };
    if port.parse() != Ok(listen.port()) {
        return false;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || (host, listen.port())
            .to_socket_addrs()
            .is_ok_and(|mut addresses| addresses.any(|address| address.ip() == listen.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_address_is_embedded() {
        let listen: SocketAddr = "127.0.0.1:9092".parse().unwrap();
        for own in ["localhost:9092", "127.0.0.1:9092", " localhost:9092 "] {
            assert!(is_this_process(own, listen), "{own}");
        }
        for other in ["localhost:9093", "10.0.0.1:9092", "localhost:9092,other:9092", "localhost", ""] {
            assert!(!is_this_process(other, listen), "{other}");
        }
    }
}
