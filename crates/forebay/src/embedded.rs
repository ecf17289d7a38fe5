//! Hosting the embedded log inside a pipeline's process.
//!
//! A source that names one loopback address (`localhost:9092`, `127.0.0.1:19092`) needs nothing installed: if nobody
//! listens there, this process serves the embedded log at that address. If somebody does (a `forebay log serve`, an
//! Apache Kafka), that is the log, read over the network like any other. `--embedded-log` forces either, `--kafka`
//! narrows the choice to one address, which a source must name. [`serve_at`] decides from facts; [`crate::hosting`]
//! finds and tells them.
//!
//! What must stay true: an Apache Kafka that is only down is not replaced by an empty log. A query that has a
//! checkpoint in a data folder without a log has read from elsewhere, so its address is waited for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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

use crate::cli::EmbeddedLog;
use crate::log_access::LogAccess;

/// The log and its server, running.
pub struct Embedded {
    /// The log, to be read in place.
    pub log: Log,
    /// Where its server listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Keeps the guard as its files are.
    keeper: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the log under `<data>/log` and listens on `address`, for whom `access` lets in.
    pub async fn start(data: &Path, address: SocketAddr, door: Door, access: &LogAccess) -> Result<Self> {
        access.check(address)?;
        let guarded = access.open()?;
        let options = LogOptions::new(data.join("log"));
        let log = Log::open(options, door).map_err(failed)?;
        let (host, port) = access.advertised.clone().unzip();
        let options = ServerOptions {
            guard: guarded.as_ref().map(|guarded| guarded.guard.clone()),
            advertised_host: host,
            advertised_port: port.flatten(),
            ..ServerOptions::default()
        };
        let server = Server::bind(address, log.clone(), options).await;
        let server = server.map_err(|error| {
            Error::new(&codes::ADDRESS, format!("cannot listen on {address}")).caused_by(error).with_hint(
                "Another program listens there. Stop it, or choose another address with `--kafka` (`--listen` of `log serve`) and write the same into `kafka.bootstrap.servers`.",
            )
        })?;
        let address = server.local_addr();
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.run(stop.clone()));
        let keeper = guarded.map(|guarded| tokio::spawn(guarded.keep(stop.clone())));
        Ok(Self { log, address, stop, task, keeper })
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
        if let Some(keeper) = self.keeper {
            let _ = keeper.await;
        }
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

/// An address that a source names and this process could serve.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The address.
    pub address: SocketAddr,
    /// Somebody listens there already.
    pub is_taken: bool,
    /// A query that reads from it has gone on from records that the log of this data folder never had.
    pub is_foreign: bool,
}

/// The loopback address that `bootstrap` names, if it names exactly one: `localhost` or an IP address, with its port.
/// `kafka` says which of its addresses `localhost` is. Where that is an address that others reach too, it is what this machine's
/// own names for it stand for.
pub fn loopback(bootstrap: &str, kafka: Option<SocketAddr>) -> Option<SocketAddr> {
    let (host, port) = only_server(bootstrap)?.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    if let Some(kafka) = kafka.filter(|kafka| kafka.port() == port && !kafka.ip().is_loopback()) {
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let is_own = host.eq_ignore_ascii_case("localhost") || ip.is_some_and(|ip| ip.is_loopback());
        if ip == Some(kafka.ip()) || (kafka.ip().is_unspecified() && is_own) {
            return Some(kafka);
        }
    }
    let ip = if host.eq_ignore_ascii_case("localhost") {
        let chosen = kafka.filter(|kafka| kafka.port() == port && kafka.ip().is_loopback());
        chosen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |kafka| kafka.ip())
    } else {
        host.trim_start_matches('[').trim_end_matches(']').parse().ok()?
    };
    ip.is_loopback().then_some(SocketAddr::new(ip, port))
}

/// The one server of a list that names one, `host:port`.
pub fn only_server(bootstrap: &str) -> Option<&str> {
    let mut servers = bootstrap.split(',').map(str::trim).filter(|server| !server.is_empty());
    let (Some(server), None) = (servers.next(), servers.next()) else { return None };
    server.rsplit("://").next()
}

/// Where the embedded log listens; `None` if every source reads from elsewhere.
///
/// # Errors
/// `WRONG_USE` if sources name several addresses of which one process can serve only one, or none where it must, or
/// only others than `kafka`.
pub fn serve_at(
    mode: EmbeddedLog,
    kafka: Option<SocketAddr>,
    candidates: &[Candidate],
) -> Result<Option<SocketAddr>> {
    let serves = |candidate: &&Candidate| match mode {
        EmbeddedLog::Never => false,
        EmbeddedLog::Always => true,
        EmbeddedLog::Auto => !candidate.is_taken && !candidate.is_foreign,
    };
    let chosen = || candidates.iter().filter(serves).map(|candidate| candidate.address);
    let mut addresses: Vec<SocketAddr> =
        chosen().filter(|address| kafka.is_none_or(|kafka| kafka == *address)).collect();
    addresses.sort();
    addresses.dedup();
    let is_unread = candidates.iter().all(|candidate| kafka.is_some_and(|kafka| kafka != candidate.address));
    match addresses.as_slice() {
        // A source would wait for ever at an address that this process could serve, were it not for `kafka`.
        [] if mode == EmbeddedLog::Always || (is_unread && chosen().next().is_some()) => {
            Err(unread(kafka, candidates))
        }
        [] => Ok(None),
        [address] => Ok(Some(*address)),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            let message =
                format!("sources name several addresses where nobody listens: {}", names.join(", "));
            Err(Error::new(&codes::WRONG_USE, message).with_hint(
                "One process serves one log. Write the same address in each source, start the other Kafka first, or say with `--kafka ADDR` which address is the embedded log's.",
            ))
        }
    }
}

/// The error for an embedded log that no source would read.
fn unread(kafka: Option<SocketAddr>, candidates: &[Candidate]) -> Error {
    let wanted = kafka.map_or_else(|| "a loopback address".to_owned(), |kafka| kafka.to_string());
    let mut hint = String::from(
        "The embedded log serves sources that name it, and nothing else, in `kafka.bootstrap.servers`, such as localhost:9092; with TLS or SASL only where it has users (`--kafka-users`).",
    );
    let named: Vec<String> = candidates.iter().map(|candidate| candidate.address.to_string()).collect();
    if kafka.is_some() {
        let named = if named.is_empty() { "no loopback address".to_owned() } else { named.join(", ") };
        hint.push_str(&format!(" The file's sources name {named}: write there what `--kafka` (FOREBAY_KAFKA) says, or leave it out."));
    }
    Error::new(&codes::WRONG_USE, format!("no source reads from {wanted}")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn free(text: &str) -> Candidate {
        Candidate { address: address(text), is_taken: false, is_foreign: false }
    }

    #[test]
    fn one_loopback_address_can_be_served() {
        for own in ["localhost:9092", "127.0.0.1:9092", " localhost:9092, ", "PLAINTEXT://LocalHost:9092"] {
            assert_eq!(loopback(own, None), Some(address("127.0.0.1:9092")), "{own}");
        }
        assert_eq!(loopback("[::1]:19092", None), Some(address("[::1]:19092")));
        assert_eq!(loopback("localhost:9092", Some(address("[::1]:9092"))), Some(address("[::1]:9092")));
        let all = Some(address("0.0.0.0:9092"));
        assert_eq!(loopback("localhost:9092", all), all);
        assert_eq!(loopback("127.0.0.1:9092", all), all);
        assert_eq!(loopback("127.0.0.1:9093", all), Some(address("127.0.0.1:9093")));
        assert_eq!(loopback("10.0.0.1:9092", Some(address("10.0.0.1:9092"))), Some(address("10.0.0.1:9092")));
        for other in
            ["10.0.0.1:9092", "kafka:9092", "localhost:9092,localhost:9093", "localhost", "localhost:0", ""]
        {
            assert_eq!(loopback(other, None), None, "{other}");
        }
    }

    #[test]
    fn any_free_loopback_address_is_served_and_a_taken_one_is_read() {
        let served = |mode, candidates: &[Candidate]| serve_at(mode, None, candidates).unwrap();
        let (one, other) = (free("127.0.0.1:19092"), free("127.0.0.1:9092"));
        let taken = Candidate { is_taken: true, ..one };
        let foreign = Candidate { is_foreign: true, ..one };
        assert_eq!(served(EmbeddedLog::Auto, &[one, one]), Some(one.address));
        assert_eq!(served(EmbeddedLog::Auto, &[taken]), None);
        assert_eq!(served(EmbeddedLog::Auto, &[foreign]), None, "a Kafka that is down is waited for");
        assert_eq!(served(EmbeddedLog::Auto, &[taken, other]), Some(other.address));
        assert_eq!(served(EmbeddedLog::Always, &[taken]), Some(one.address), "and the bind will fail");
        assert_eq!(served(EmbeddedLog::Never, &[one]), None);
    }

    #[test]
    fn one_process_serves_one_address_and_the_flag_says_which() {
        let both = [free("127.0.0.1:9092"), free("127.0.0.1:9093")];
        assert_eq!(serve_at(EmbeddedLog::Auto, None, &both).unwrap_err().code(), &codes::WRONG_USE);
        let kafka = Some(both[1].address);
        assert_eq!(serve_at(EmbeddedLog::Auto, kafka, &both).unwrap(), kafka);
    }

    #[test]
    fn a_log_that_nobody_would_read_is_refused() {
        let both = [free("127.0.0.1:9092"), free("127.0.0.1:9093")];
        let other = Some(address("127.0.0.1:1"));
        for (mode, candidates) in
            [(EmbeddedLog::Auto, &both[..]), (EmbeddedLog::Always, &both), (EmbeddedLog::Always, &[])]
        {
            let refused = serve_at(mode, other, candidates).unwrap_err();
            assert!(refused.code() == &codes::WRONG_USE && refused.message().contains("127.0.0.1:1"));
            assert_eq!(refused.hint().contains("127.0.0.1:9093"), !candidates.is_empty(), "{refused:?}");
        }
        assert_eq!(serve_at(EmbeddedLog::Never, other, &both).unwrap(), None);
        let taken = Candidate { is_taken: true, ..both[0] };
        let foreign = Candidate { is_foreign: true, ..both[0] };
        for elsewhere in [&[taken][..], &[foreign], &[]] {
            assert_eq!(serve_at(EmbeddedLog::Auto, other, elsewhere).unwrap(), None, "all read from a Kafka");
        }
    }
}
