//! What the file says of a broker, and its address.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use mqtt_proto::TopicFilter;
use tokio_rustls::rustls::ClientConfig;

/// The MQTT that is spoken to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// 3.1.1
    V311,
    /// 5.0
    V5,
}

/// Where a broker is.
#[derive(Clone)]
pub struct Server {
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it wants TLS.
    pub is_encrypted: bool,
    /// TLS; `None`: plain text.
    pub tls: Option<Arc<ClientConfig>>,
}

/// A broker, and what we want of it.
#[derive(Clone)]
pub struct Settings {
    /// The gateway's name.
    pub name: String,
    /// Where the broker is.
    pub server: Server,
    /// The MQTT that is spoken.
    pub protocol: Protocol,
    /// Whose session it is.
    pub client: String,
    /// The user, if the broker wants one.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Topic filters; `$share/GROUP/FILTER` shares one with others.
    pub filters: Vec<String>,
    /// The highest quality of service: 0, 1 or 2.
    pub qos: u8,
    /// How long the broker keeps the session while nobody is there.
    pub expiry: Duration,
    /// How often the connection is looked at, at most.
    pub keep_alive: Duration,
    /// Most messages that are on their way to the log.
    pub receive_maximum: u16,
    /// Most bytes of messages that are on their way to the log; of a message that is larger, one.
    pub under_way_bytes: usize,
    /// Largest packet; a larger one is refused.
    pub max_packet: u32,
    /// Whether what the broker had retained is dropped.
    pub drops_retained: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("name", &self.name)
            .field("server", &self.server.to_string())
            .field("client", &self.client)
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(out, "{open}{}{close}:{}", self.host, self.port)
    }
}

impl Server {
    /// Whether nobody on the way can read along: TLS, or this machine.
    pub(super) fn is_private(&self) -> bool {
        let is_here = self.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        self.is_encrypted || is_here || self.host == "localhost"
    }

    /// Reads `mqtt://host:1883`, `mqtts://host:8883`, or `host:port`; what TLS is made of comes later.
    ///
    /// # Errors
    /// `BAD_VALUE` for everything else.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(
                &codes::BAD_VALUE,
                format!("option `server` is `{}`: {why}", text.chars().take(80).collect::<String>()),
            )
            .with_hint("Write `mqtt://HOST:1883`, or `mqtts://HOST:8883` for TLS.")
        };
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None if !text.is_empty() && !text.contains(':') => {
                return Err(bad("it says neither how the broker is reached nor at which port"));
            }
            None => ("mqtt", text),
        };
        let is_encrypted = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" | "tls" => true,
            "ws" | "wss" => return Err(bad("brokers are spoken to over TCP and TLS, not over WebSocket")),
            _ => return Err(bad("this way to a broker is not known")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(bad("user and password do not stand here, but in the options `user` and `password`"));
        }
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))),
            None => rest.rsplit_once(':').map_or((rest, Some("")), |(host, port)| (host, Some(port))),
        };
        let usual = if is_encrypted { 8883 } else { 1883 };
        let port = match port {
            Some("") if !rest.ends_with(':') => Some(usual),
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None => None,
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        let is_bare = rest.starts_with('[') || !host.contains(':');
        match port {
            Some(port) if !host.is_empty() && host.chars().all(is_name) && is_bare => {
                Ok(Self { host: host.to_owned(), port, is_encrypted, tls: None })
            }
            Some(_) => Err(bad("there is no host in it")),
            None => Err(bad("the port is none")),
        }
    }
}

/// The filters of `subscribe`, which are separated by commas.
///
/// # Errors
/// `BAD_VALUE` for one that is none, and where there is none.
pub fn filters(text: &str) -> Result<Vec<String>> {
    let all: Vec<String> = text.split(',').map(|filter| filter.trim().to_owned()).collect();
    let wrong = all.iter().find(|filter| TopicFilter::try_from(filter.as_str()).is_err());
    match wrong {
        None => Ok(all),
        Some(wrong) => Err(Error::new(
            &codes::BAD_VALUE,
            format!("option `subscribe` has `{wrong}`, which is no topic filter"),
        )
        .with_hint(
            "Write `plant/#`, `plant/+/dht11`, or `$share/GROUP/plant/#`; with commas between several.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_named_by_host_and_port_and_nothing_else() {
        for (text, host, port, is_encrypted) in [
            ("mqtt://broker.example", "broker.example", 1883, false),
            ("mqtts://broker.example", "broker.example", 8883, true),
            ("mqtts://broker.example:443/", "broker.example", 443, true),
            ("127.0.0.1:1884", "127.0.0.1", 1884, false),
            ("TCP://[::1]:1884", "::1", 1884, false),
            ("ssl://[::1]", "::1", 8883, true),
        ] {
            let server = Server::parse(text).unwrap();
            assert_eq!(
                (server.host.as_str(), server.port, server.is_encrypted),
                (host, port, is_encrypted),
                "{text}"
            );
        }
        for text in [
            "",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://a:b",
            "mqtt://a:0",
            "mqtt://a:70000",
            "mqtt://a:",
            "mqtt://u:p@a:1883",
            "ws://a:80",
            "http://a",
            "mqtt://a/b",
            "mqtt://::1",
            "mqtt://[::1",
            "mqtt://a b:1",
            "broker",
            "broker.example",
        ] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn filters_are_read_one_by_one() {
        assert_eq!(filters("plant/#, $share/g/press/+/t").unwrap(), ["plant/#", "$share/g/press/+/t"]);
        for text in ["", "a,,b", "a/#/b", "a/b+", "$share/g"] {
            assert!(filters(text).is_err(), "{text}");
        }
    }
}
