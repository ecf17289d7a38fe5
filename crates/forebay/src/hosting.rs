//! Which log the sources of a run read from, and whether this process serves it: what [`embedded`] decides, found out,
//! told and held on to.
//!
//! What must stay true: it is decided once, at the start. A file that is taken while the pipeline runs may name other
//! sources, but none for which the decision would be another: devices write to the log that is there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay_core::config::SourceConfig;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_log::storage::Log;
use forebay_storage::Door;

use crate::cli::{EmbeddedLog, Global};
use crate::embedded::{self, Candidate, Embedded};
use crate::log_access::LogAccess;
use crate::talk;
use crate::work::Chosen;

/// How long somebody who listens on this machine may take to accept a connection.
const KNOCK: Duration = Duration::from_secs(1);

/// The log of a run.
pub struct Hosting {
    mode: EmbeddedLog,
    kafka: Option<SocketAddr>,
    data: PathBuf,
    embedded: Option<Embedded>,
    /// True if the embedded log asks who uses it.
    is_guarded: bool,
    /// Addresses that are somebody else's.
    elsewhere: BTreeSet<SocketAddr>,
}

impl Hosting {
    /// Starts the embedded log if [`embedded::serve_at`] says so, and says in any case where local sources read from.
    pub async fn start(
        global: &Global,
        pipeline: &str,
        mode: EmbeddedLog,
        chosen: &[Chosen<'_>],
        door: &Door,
        access: &LogAccess,
    ) -> Result<Self> {
        let (kafka, data) = (global.kafka, global.data.clone());
        let is_guarded = access.is_guarded();
        let mut hosting = Self { mode, kafka, data, embedded: None, is_guarded, elsewhere: BTreeSet::new() };
        let candidates = hosting.candidates(pipeline, chosen).await;
        let served = embedded::serve_at(mode, kafka, &candidates)?;
        if let Some(kafka) = kafka.filter(|kafka| candidates.iter().all(|it| it.address != *kafka)) {
            talk::say(&format!("log: nothing is served at {kafka} (--kafka), no source reads from it"));
        }
        if let Some(address) = served {
            hosting.embedded = Some(Embedded::start(&global.data, address, door.clone(), access).await?);
        }
        for Candidate { address, is_taken, is_foreign } in candidates {
            talk::say(&match served {
                Some(served) if served == address => {
                    format!(
                        "log: serving the embedded log at {address}, under {}",
                        global.data.join("log").display()
                    )
                }
                _ if is_taken => format!("log: somebody listens at {address} already, reading from there"),
                _ if is_foreign && mode == EmbeddedLog::Auto => format!(
                    "log: nobody listens at {address}; the checkpoint comes from a Kafka elsewhere, so it is waited for (--embedded-log always serves an embedded log there)"
                ),
                _ => format!("log: nobody listens at {address} yet, waiting for a Kafka there"),
            });
            if served != Some(address) {
                hosting.elsewhere.insert(address);
            }
        }
        let elsewhere = chosen
            .iter()
            .flat_map(|it| &it.sources)
            .filter_map(|source| elsewhere(source, kafka, is_guarded));
        for said in elsewhere.collect::<BTreeSet<_>>() {
            talk::say(&said);
        }
        Ok(hosting)
    }

    /// The loopback addresses that are read from.
    async fn candidates(&self, pipeline: &str, chosen: &[Chosen<'_>]) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::new();
        let each = chosen.iter().flat_map(|it| it.sources.iter().map(|source| (it.work, *source)));
        for (work, source) in each {
            let Some(address) = self.own_address(source) else { continue };
            let is_foreign = is_foreign(&self.data, &work.checkpoint(&self.data, pipeline));
            match candidates.iter_mut().find(|candidate| candidate.address == address) {
                Some(candidate) => candidate.is_foreign |= is_foreign,
                None => {
                    let is_own = self.address() == Some(address);
                    let is_taken = !is_own && (self.elsewhere.contains(&address) || is_taken(source).await);
                    candidates.push(Candidate { address, is_taken, is_foreign });
                }
            }
        }
        candidates
    }

    /// Fails if another log would have to be served for these; gives the addresses that are somebody else's, to be
    /// [kept](Self::keep) once these are what is read.
    pub async fn holds(&self, pipeline: &str, chosen: &[Chosen<'_>]) -> Result<Vec<SocketAddr>> {
        let candidates = self.candidates(pipeline, chosen).await;
        let told = |address: Option<SocketAddr>| match address {
            Some(address) => format!("at {address}"),
            None => "nowhere".to_owned(),
        };
        let wanted = match embedded::serve_at(self.mode, self.kafka, &candidates) {
            Ok(wanted) if wanted == self.address() => {
                let others = candidates.iter().map(|it| it.address).filter(|it| Some(*it) != wanted);
                return Ok(others.collect());
            }
            Ok(wanted) => format!("it would be {}", told(wanted)),
            Err(error) => error.message().to_owned(),
        };
        let message = format!("the embedded log is served {}; by the file {wanted}", told(self.address()));
        Err(Error::new(&codes::NOT_WHILE_RUNNING, message).with_hint(
            "Where the embedded log stands is decided at the start: stop the run and start it again, or leave the sources where they are.",
        ))
    }

    /// From now on these addresses are somebody else's.
    pub fn keep(&mut self, elsewhere: Vec<SocketAddr>) {
        self.elsewhere.extend(elsewhere);
    }

    /// The embedded log, where a source is to read from it.
    pub fn in_place(&self, source: &SourceConfig) -> Option<Log> {
        let is_own = |embedded: &&Embedded| self.own_address(source) == Some(embedded.address);
        self.embedded.as_ref().filter(is_own).map(|embedded| embedded.log.clone())
    }

    /// Makes the topics of the sources that read from the embedded log. Where one cannot be made, those before it stay.
    pub fn make_topics(&self, chosen: &[Chosen<'_>]) -> Result<()> {
        let Some(embedded) = &self.embedded else { return Ok(()) };
        chosen
            .iter()
            .flat_map(|it| &it.sources)
            .filter(|source| self.own_address(source) == Some(embedded.address))
            .try_for_each(|source| embedded.make_topics(&source.options))
    }

    /// [`own_address`] in this run.
    pub fn own_address(&self, source: &SourceConfig) -> Option<SocketAddr> {
        own_address(source, self.kafka, self.is_guarded)
    }

    /// Where the embedded log is served.
    pub fn address(&self) -> Option<SocketAddr> {
        self.embedded.as_ref().map(|embedded| embedded.address)
    }

    /// Ends the embedded log.
    pub async fn stop(self) -> Result<()> {
        match self.embedded {
            Some(embedded) => embedded.stop().await,
            None => Ok(()),
        }
    }
}

/// What to say of a source that reads from where this process could serve nothing. Brokers are not named: where they
/// are may be a secret.
fn elsewhere(source: &SourceConfig, kafka: Option<SocketAddr>, is_guarded: bool) -> Option<String> {
    if source.format != "kafka" || own_address(source, kafka, is_guarded).is_some() {
        return None;
    }
    let servers = source.options.passed_on().get("kafka.bootstrap.servers")?;
    let name = &source.name;
    Some(if embedded::only_server(servers).is_none() {
        format!(
            "log: source `{name}` names several servers, so it reads from a Kafka; an embedded log is served only where a source names one loopback address"
        )
    } else {
        format!("log: source `{name}` reads from a Kafka elsewhere")
    })
}

/// The address that a source reads from, if the embedded log could stand there: it speaks TLS and SASL only where it asks who
/// uses it. A source of this process needs neither in any case.
pub fn own_address(source: &SourceConfig, kafka: Option<SocketAddr>, is_guarded: bool) -> Option<SocketAddr> {
    let options = source.options.passed_on();
    let protocol = options.get("kafka.security.protocol");
    let is_plain = protocol.is_none_or(|it| it.trim().eq_ignore_ascii_case("PLAINTEXT"));
    if source.format != "kafka" || !(is_plain || is_guarded) {
        return None;
    }
    embedded::loopback(options.get("kafka.bootstrap.servers")?, kafka)
}

/// True if somebody listens where the source reads. Asked by the name in the file: `localhost` may be `[::1]`.
async fn is_taken(source: &SourceConfig) -> bool {
    let bootstrap = source.options.passed_on().get("kafka.bootstrap.servers");
    let Some(server) = bootstrap.and_then(|bootstrap| embedded::only_server(bootstrap)) else { return false };
    matches!(tokio::time::timeout(KNOCK, tokio::net::TcpStream::connect(server)).await, Ok(Ok(_)))
}

/// True if a query has a checkpoint although this data folder never had a log.
fn is_foreign(data: &Path, checkpoint: &Path) -> bool {
    checkpoint.join("journal").exists() && !data.join("log").exists()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::load;
    use crate::work::chosen;

    #[tokio::test]
    async fn whose_an_address_is_is_kept_only_when_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = somebody.local_addr().unwrap();
        let text = format!(
            "pipeline: p\n\
             sources:\n  s: {{ format: kafka, options: {{ subscribe: s, kafka.bootstrap.servers: \"{address}\" }} }}\n\
             queries:\n  q: {{ sql: SELECT * FROM s, format: console }}\n"
        );
        let loaded = load::load(&text, "p.yaml", None).unwrap_or_else(|problems| panic!("{problems:?}"));
        let chosen = chosen(&loaded, &[]).unwrap();
        let mut hosting = Hosting {
            mode: EmbeddedLog::Auto,
            kafka: None,
            data: dir.path().to_path_buf(),
            embedded: None,
            is_guarded: false,
            elsewhere: BTreeSet::new(),
        };
        let found = hosting.holds("p", &chosen).await.unwrap();
        assert_eq!(found, [address]);
        drop(somebody);
        let refused = hosting.holds("p", &chosen).await.unwrap_err();
        assert_eq!(refused.code(), &codes::NOT_WHILE_RUNNING);
        hosting.keep(found);
        assert_eq!(hosting.holds("p", &chosen).await.unwrap(), [address]);
    }
}
