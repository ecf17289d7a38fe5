//! `kafka.*` options, named as Java clients name them, become a [`ClientConfig`].
//!
//! Every property a Java client has is known here: it is used, or it has no meaning in this client and is reported
//! as a warning, or it would contradict what Forebay promises and is refused in plain words. Anything else is a
//! typing error and says what was meant. Secrets live in [`Secret`](crate::tls::Secret), which never prints.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;

use super::connection::sasl::Credentials;
use super::properties::{PRODUCER, REFUSED, USED, WITHOUT_MEANING};
use super::security::security;
use crate::tls::TlsFiles;

/// Which records of transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Those of committed ones only; reading stops before the first open one.
    #[default]
    ReadCommitted,
    /// All.
    ReadUncommitted,
}

impl Isolation {
    /// The number on the wire.
    pub fn id(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// How to reach a cluster, and how patiently.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `host:port` of the brokers to begin with.
    pub bootstrap: Vec<String>,
    /// The name under which the brokers' logs know us.
    pub client_id: String,
    /// Certificates; `None` talks plain text.
    pub(super) tls: Option<TlsFiles>,
    /// Who we are; `None` is nobody.
    pub(super) sasl: Option<Credentials>,
    /// Time in which a socket must be open, encrypted and authenticated.
    pub connect_timeout: Duration,
    /// Time in which a request must be answered.
    pub request_timeout: Duration,
    /// Time for which transient failures are tried again before they are reported. 15 seconds: a broker restarts in
    /// less, and a person should learn of a longer outage while the engine goes on trying.
    pub retry_timeout: Duration,
    /// First and longest pause between two attempts.
    pub backoff: (Duration, Duration),
    /// Age at which the list of topics and partitions is asked for anew. 5 seconds: a new partition is found about
    /// as soon as Spark would, which lists them at each trigger.
    pub metadata_max_age: Duration,
    /// Most bytes of one answer to a Fetch, a single larger batch aside. 16 MiB: the share of sixteen partitions.
    pub fetch_max_bytes: i32,
    /// Most bytes of one partition in an answer, and about what is read ahead of it. 1 MiB, as in Kafka: more costs
    /// CPU again, because allocators give larger buffers back to the system each time (measured: 4 MiB, +20 %).
    pub partition_fetch_bytes: i32,
    /// How long a broker holds a Fetch for which it has nothing yet.
    pub fetch_max_wait: Duration,
    /// Bytes for which a broker waits before it answers a Fetch.
    pub fetch_min_bytes: i32,
    /// Which records of transactions are read.
    pub isolation: Isolation,
    /// Compare each batch with its checksum.
    pub check_crcs: bool,
    /// `group.id`, if given: offsets are committed there for lag monitors.
    pub group_id: Option<String>,
    /// The properties of a producer, as they were given.
    pub(super) producer: BTreeMap<String, String>,
    /// What a person should know about properties that were given and have no meaning here.
    pub warnings: Vec<String>,
}

impl ClientConfig {
    /// A client of these brokers with every default: plain text, nobody.
    pub fn plain(bootstrap: &str) -> Result<Self, Error> {
        let options = BTreeMap::from([("kafka.bootstrap.servers".to_owned(), bootstrap.to_owned())]);
        Self::from_options(&options)
    }

    /// Reads `kafka.*` options (with the prefix).
    ///
    /// # Errors
    /// `UNKNOWN_KEY` for a property nobody knows, `BAD_VALUE` and `MISSING_KEY` as they say.
    pub fn from_options(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let given = Given::new(options)?;
        let bootstrap = bootstrap(given.text("bootstrap.servers"))?;
        let backoff = given.millis(&["reconnect.backoff.ms", "retry.backoff.ms"], 50)?;
        let longest = given.millis(&["reconnect.backoff.max.ms", "retry.backoff.max.ms"], 1_000)?;
        let isolation = match given.text("isolation.level").unwrap_or("read_committed") {
            "read_committed" => Isolation::ReadCommitted,
            "read_uncommitted" => Isolation::ReadUncommitted,
            other => return Err(bad("isolation.level", other, "read_committed or read_uncommitted")),
        };
        let (tls, sasl) = security(&given)?;
        Ok(Self {
            bootstrap,
            client_id: given.text("client.id").unwrap_or("forebay").to_owned(),
            tls,
            sasl,
            connect_timeout: given.millis(&["socket.connection.setup.timeout.ms"], 10_000)?,
            request_timeout: given.millis(&["request.timeout.ms"], 30_000)?,
            retry_timeout: given.millis(&["default.api.timeout.ms"], 15_000)?,
            backoff: (backoff, longest.max(backoff)),
            metadata_max_age: given.millis(&["metadata.max.age.ms"], 5_000)?,
            fetch_max_bytes: given.bytes("fetch.max.bytes", 16 << 20)?,
            partition_fetch_bytes: given.bytes("max.partition.fetch.bytes", 1 << 20)?,
            fetch_max_wait: given.millis(&["fetch.max.wait.ms"], 500)?,
            fetch_min_bytes: given.bytes("fetch.min.bytes", 1)?,
            isolation,
            check_crcs: given.flag("check.crcs", true)?,
            group_id: given.text("group.id").map(str::to_owned),
            producer: given.producer(),
            warnings: given.warnings,
        })
    }
}

/// The properties without their prefix, sorted by what becomes of them.
pub(super) struct Given<'a> {
    pub(super) values: BTreeMap<&'a str, &'a str>,
    warnings: Vec<String>,
}

impl<'a> Given<'a> {
    fn new(options: &'a BTreeMap<String, String>) -> Result<Self, Error> {
        let mut given = Self { values: BTreeMap::new(), warnings: Vec::new() };
        for (full, value) in options {
            let name = full.strip_prefix("kafka.").unwrap_or(full);
            if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
                return Err(Error::new(&codes::BAD_VALUE, format!("option `kafka.{name}` is not possible"))
                    .with_hint(*why));
            }
            if WITHOUT_MEANING.contains(&name) {
                given.warnings.push(format!("option `kafka.{name}` has no meaning here and changes nothing"));
            } else if USED.contains(&name) || PRODUCER.contains(&name) {
                given.values.insert(name, value.trim());
            } else {
                // Suggested as it was typed: in a file with the prefix, on the command line also without.
                let prefix = full.strip_suffix(name).unwrap_or_default();
                let known: Vec<String> =
                    USED.iter().chain(PRODUCER).map(|known| format!("{prefix}{known}")).collect();
                return Err(unknown_name("Kafka client option", full, known.iter().map(String::as_str)));
            }
        }
        Ok(given)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).copied().filter(|value| !value.is_empty())
    }

    pub(super) fn first(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.text(name))
    }

    /// Milliseconds, as Kafka writes durations, under the first of these names.
    fn millis(&self, names: &[&str], default: u64) -> Result<Duration, Error> {
        let Some(name) = names.iter().find(|name| self.text(name).is_some()) else {
            return Ok(Duration::from_millis(default));
        };
        let text = self.text(name).unwrap_or_default();
        let millis = text.parse::<u32>().map_err(|_| bad(name, text, "a whole number of milliseconds"))?;
        Ok(Duration::from_millis(millis.into()))
    }

    fn bytes(&self, name: &str, default: i32) -> Result<i32, Error> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match text.parse::<i32>() {
            Ok(bytes) if (1..=1 << 30).contains(&bytes) => Ok(bytes),
            _ => Err(bad(name, text, "a whole number of bytes from 1 to 1073741824")),
        }
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        match self.text(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(bad(name, other, "true or false")),
        }
    }

    fn producer(&self) -> BTreeMap<String, String> {
        let ours = PRODUCER.iter().filter_map(|name| Some(((*name).to_owned(), self.text(name)?.to_owned())));
        ours.collect()
    }
}

pub(super) fn bad(name: &str, text: &str, expected: &str) -> Error {
    Error::new(&codes::BAD_VALUE, format!("option `kafka.{name}` is `{text}`, expected {expected}"))
}

fn bootstrap(text: Option<&str>) -> Result<Vec<String>, Error> {
    let Some(text) = text else {
        return Err(Error::new(&codes::MISSING_KEY, "option `kafka.bootstrap.servers` is missing")
            .with_hint("Name at least one broker, for example `localhost:9092`."));
    };
    let mut servers = Vec::new();
    for server in text.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        let server = server.split_once("://").map_or(server, |(_, rest)| rest);
        let port =
            server.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>()));
        match port {
            Some(Ok(_)) => servers.push(server.to_owned()),
            _ => return Err(bad("bootstrap.servers", text, "host:port, host:port, …")),
        }
    }
    if servers.is_empty() {
        return Err(bad("bootstrap.servers", text, "host:port, host:port, …"));
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<ClientConfig, Error> {
        let mut options: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| (format!("kafka.{name}"), (*value).to_owned())).collect();
        options.entry("kafka.bootstrap.servers".into()).or_insert_with(|| "a:1, b:2".into());
        ClientConfig::from_options(&options)
    }

    #[test]
    fn defaults_talk_plain_text_and_read_committed() {
        let config = read(&[]).unwrap();
        assert_eq!(config.bootstrap, ["a:1", "b:2"]);
        assert!(config.tls.is_none() && config.sasl.is_none());
        assert_eq!(config.isolation, Isolation::ReadCommitted);
    }

    #[test]
    fn unknown_properties_are_refused_and_meaningless_ones_reported() {
        let error = read(&[("isolation.levle", "read_committed")]).unwrap_err();
        assert!(error.hint().contains("Did you mean `kafka.isolation.level`?"), "{error:?}");
        assert_eq!(read(&[("max.poll.records", "500")]).unwrap().warnings.len(), 1);
        assert!(read(&[("auto.offset.reset", "earliest")]).unwrap_err().hint().contains("startingOffsets"));
    }

    #[test]
    fn half_a_security_configuration_never_talks_in_the_open() {
        for pairs in [
            &[("ssl.ca.location", "/ca.pem")][..],
            &[("sasl.username", "u"), ("sasl.password", "p")],
            &[("security.protocol", "SSL"), ("sasl.username", "u")],
            &[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN")],
            &[("security.protocol", "SSL"), ("ssl.endpoint.identification.algorithm", "")],
            &[("security.protocol", "SSL"), ("ssl.truststore.type", "JKS")],
            &[("security.protocol", "TLS")],
        ] {
            assert!(read(pairs).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn secrets_never_print() {
        let config = read(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.jaas.config", "x.ScramLoginModule required username=\"u\" password=\"canary\";"),
            ("ssl.keystore.key", "canary"),
        ])
        .unwrap();
        assert!(!format!("{config:?}").contains("canary"));
        let error = read(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", "canary"),
        ]);
        assert!(!format!("{:?}", error.unwrap_err()).contains("canary"));
    }

    #[test]
    fn addresses_need_host_and_port() {
        for bad in ["", "localhost", ":9092", "localhost:port", ","] {
            assert!(read(&[("bootstrap.servers", bad)]).is_err(), "{bad}");
        }
        assert_eq!(read(&[("bootstrap.servers", "PLAINTEXT://h:9")]).unwrap().bootstrap, ["h:9"]);
    }
}
