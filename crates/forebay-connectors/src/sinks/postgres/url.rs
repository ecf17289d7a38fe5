//! Where the database is: JDBC's and libpq's URLs, and what their parameters mean here.
//!
//! What must stay true: a password is never part of a URL, so that a URL may be shown; and nothing in it is silently
//! ignored, so that a setting which somebody relies on (above all TLS) cannot be lost.

use std::path::PathBuf;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain text.
    Off,
    /// Chain, validity and host name are checked.
    VerifyFull,
}

/// A URL, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host names (or folders of Unix sockets) and ports, in the order in which they are tried.
    pub hosts: Vec<(String, u16)>,
    pub database: String,
    pub user: Option<String>,
    /// `None` if the URL does not say.
    pub tls: Option<Tls>,
    pub root_certificate: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub connect_timeout: Option<Duration>,
    /// `search_path` (JDBC's `currentSchema`).
    pub schema: Option<String>,
    /// Command-line options for the server's process (libpq's `options`).
    pub options: Option<String>,
}

/// Parameters that change how JDBC's driver works and nothing of what is written.
const WITHOUT_MEANING: &[&str] = &[
    "rewritebatchedinserts",
    "preparethreshold",
    "preparedstatementcachequeries",
    "preparedstatementcachesizemib",
    "defaultrowfetchsize",
    "binarytransfer",
    "tcpkeepalive",
    "logintimeout",
    "sockettimeout",
    "applicationname",
    "application_name",
    "gssencmode",
    "loglevel",
    "targetservertype",
    "target_session_attrs",
];

const HINT: &str = "Write jdbc:postgresql://HOST:PORT/DATABASE or postgresql://HOST:PORT/DATABASE, if need be with \
                    ?sslmode=verify-full&sslrootcert=FILE; user and password are options of their own.";

fn bad(why: impl Into<String>) -> Error {
    Error::new(&codes::BAD_VALUE, why.into()).with_hint(HINT)
}

impl Address {
    /// Reads a URL. Its text is in no error, since it may hold what should not be there.
    pub fn read(text: &str) -> Result<Self> {
        let text = text.trim();
        let text = text.strip_prefix("jdbc:").unwrap_or(text);
        let rest = text
            .strip_prefix("postgresql:")
            .or_else(|| text.strip_prefix("postgres:"))
            .ok_or_else(|| bad("option `url` is no URL of PostgreSQL"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // JDBC lets the host be left out: `jdbc:postgresql:database`.
        let (authority, database) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", rest),
        };
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(password());
        }
        let mut address = Self {
            hosts: hosts_of(hosts)?,
            database: decoded(database)?,
            user: user.map(decoded).transpose()?.filter(|user| !user.is_empty()),
            tls: None,
            root_certificate: None,
            certificate: None,
            key: None,
            connect_timeout: None,
            schema: None,
            options: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            address.set(name, decoded(value)?)?;
        }
        Ok(address)
    }

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        let seconds = |value: &str| value.parse().ok().map(Duration::from_secs);
        match name.to_ascii_lowercase().as_str() {
            "user" => self.user = Some(value),
            "password" | "sslpassword" | "passfile" => return Err(password()),
            "ssl" if value.is_empty() || value == "true" => self.tls = self.tls.or(Some(Tls::VerifyFull)),
            "ssl" if value == "false" => self.tls = self.tls.or(Some(Tls::Off)),
            "sslmode" => self.tls = Some(tls(&value)?),
            "sslrootcert" if value == "system" => {}
            "sslrootcert" => self.root_certificate = Some(value.into()),
            "sslcert" => self.certificate = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            "connecttimeout" | "connect_timeout" => {
                let wait = seconds(&value).filter(|wait| !wait.is_zero());
                self.connect_timeout = Some(
                    wait.ok_or_else(|| bad(format!("`{name}` of option `url` is no number of seconds")))?,
                );
            }
            "currentschema" => self.schema = Some(value),
            "options" => self.options = Some(value),
            other if WITHOUT_MEANING.contains(&other) => {}
            _ => return Err(bad(format!("option `url` has a parameter `{name}` that is not known"))),
        }
        Ok(())
    }

    /// True if all of it stays on this machine.
    pub fn is_local(&self) -> bool {
        let local = |host: &str| {
            host.starts_with('/')
                || host.eq_ignore_ascii_case("localhost")
                || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        };
        self.hosts.iter().all(|(host, _)| local(host))
    }

    /// What holds if the URL says nothing: plain text on this machine unless certificates are given, else verified TLS.
    pub fn tls(&self) -> Tls {
        self.tls.unwrap_or(if self.is_local() && !self.has_files() { Tls::Off } else { Tls::VerifyFull })
    }

    fn has_files(&self) -> bool {
        [&self.root_certificate, &self.certificate, &self.key].into_iter().any(Option::is_some)
    }

    /// Takes files that options of their own name, as libpq calls them: a file is named once.
    pub fn with_files(mut self, named: [(&'static str, Option<&str>); 3]) -> Result<Self> {
        let own = [&mut self.root_certificate, &mut self.certificate, &mut self.key];
        for (own, (name, given)) in own.into_iter().zip(named) {
            let Some(given) = given.map(PathBuf::from) else { continue };
            if own.as_ref().is_some_and(|own| *own != given) {
                let message = format!("option `{name}` and the one of `url` name different files");
                return Err(Error::new(&codes::BAD_VALUE, message).with_hint("Leave one of them out."));
            }
            *own = Some(given);
        }
        if self.tls == Some(Tls::Off) && self.has_files() {
            return Err(bad("option `url` says to use no TLS, and certificates for it are given"));
        }
        if self.certificate.is_some() != self.key.is_some() {
            let message = "a client's certificate and its key belong together, and one of them is given";
            return Err(Error::new(&codes::MISSING_KEY, message)
                .with_hint("`sslcert` names the PEM file of the chain, `sslkey` that of its key."));
        }
        Ok(self)
    }

    /// `host:port/database`
    pub fn shown(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        format!("{}/{}", hosts.join(","), self.database)
    }
}

fn tls(mode: &str) -> Result<Tls> {
    match mode.to_ascii_lowercase().as_str() {
        "disable" => Ok(Tls::Off),
        // Whoever asks for TLS gets one that can be relied on.
        "require" | "verify-ca" | "verify-full" => Ok(Tls::VerifyFull),
        "allow" | "prefer" => Err(Error::new(
            &codes::BAD_VALUE,
            format!("`sslmode={mode}` of option `url` would go on in plain text where the server has no TLS"),
        )
        .with_hint("Write sslmode=verify-full (with sslrootcert=FILE where the system does not know the authority), or sslmode=disable.")),
        _ => Err(bad("`sslmode` of option `url` is none of disable, require, verify-ca, verify-full")),
    }
}

fn password() -> Error {
    Error::new(&codes::BAD_VALUE, "option `url` holds a password")
        .with_hint("A URL is shown in logs and on the page. Give the option `password: ${NAME}` instead, with the password in the environment.")
}

fn hosts_of(text: &str) -> Result<Vec<(String, u16)>> {
    const PORT: u16 = 5432;
    if text.is_empty() {
        return Ok(vec![("localhost".to_owned(), PORT)]);
    }
    let host = |part: &str| {
        let (name, port) = match part.strip_prefix('[') {
            Some(inside) => {
                let (name, after) = inside.split_once(']')?;
                (name.to_owned(), after.strip_prefix(':'))
            }
            None => match part.rsplit_once(':') {
                Some((name, port)) => (decoded(name).ok()?, Some(port)),
                None => (decoded(part).ok()?, None),
            },
        };
        let port = port.filter(|port| !port.is_empty()).map_or(Some(PORT), |port| port.parse().ok())?;
        Some((if name.is_empty() { "localhost".to_owned() } else { name }, port))
    };
    text.split(',')
        .map(|part| host(part).ok_or_else(|| bad("option `url` names a host or port that cannot be read")))
        .collect()
}

/// Without percent signs.
fn decoded(text: &str) -> Result<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| bad("option `url` has a `%` without two hex digits"))?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| bad("option `url` is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jdbcs_and_libpqs_urls_are_read() {
        let address = Address::read("jdbc:postgresql://db.plant:6432/iot?user=ops&ssl=true&currentSchema=raw&reWriteBatchedInserts=true").unwrap();
        assert_eq!(address.shown(), "db.plant:6432/iot");
        assert_eq!((address.user.as_deref(), address.schema.as_deref()), (Some("ops"), Some("raw")));
        assert_eq!(address.tls(), Tls::VerifyFull);
        let address = Address::read("postgresql://a%40b@h1,h2:1,[::1]:7/d%20b?sslmode=disable").unwrap();
        assert_eq!(address.hosts, [("h1".into(), 5432), ("h2".into(), 1), ("::1".into(), 7)]);
        assert_eq!((address.user.as_deref(), &*address.database), (Some("a@b"), "d b"));
        assert_eq!(Address::read("jdbc:postgresql:iot").unwrap().shown(), "localhost:5432/iot");
        assert_eq!(Address::read("postgres://%2Frun%2Fpg/x").unwrap().hosts, [("/run/pg".into(), 5432)]);
    }

    #[test]
    fn without_a_word_on_tls_only_this_machine_is_spoken_to_in_plain_text() {
        for (url, tls) in [
            ("postgresql://localhost/x", Tls::Off),
            ("postgresql://127.0.0.1:1,[::1]/x", Tls::Off),
            ("postgresql://db/x", Tls::VerifyFull),
            ("postgresql://localhost,db/x", Tls::VerifyFull),
            ("postgresql://db/x?sslmode=require", Tls::VerifyFull),
            ("postgresql://localhost/x?sslmode=verify-ca", Tls::VerifyFull),
            ("postgresql://db/x?sslmode=disable", Tls::Off),
            ("postgresql://db/x?ssl=false", Tls::Off),
            ("postgresql://localhost/x?sslrootcert=ca.pem", Tls::VerifyFull),
            ("postgresql://localhost/x?sslcert=me.pem&sslkey=me.key", Tls::VerifyFull),
        ] {
            assert_eq!(Address::read(url).unwrap().tls(), tls, "{url}");
        }
    }

    #[test]
    fn certificates_are_named_once_and_never_for_nothing() {
        let read = |url: &str, named: [Option<&str>; 3]| {
            let names = ["sslrootcert", "sslcert", "sslkey"];
            let named: Vec<_> = names.into_iter().zip(named).collect();
            Address::read(url)?.with_files(named.try_into().unwrap())
        };
        let all = [Some("ca.pem"), Some("me.pem"), Some("me.key")];
        let address = read("postgresql://localhost/x?sslcert=me.pem", all).unwrap();
        assert_eq!(address.key.as_deref(), Some(std::path::Path::new("me.key")));
        assert_eq!((address.tls(), address.root_certificate), (Tls::VerifyFull, Some("ca.pem".into())));
        for (url, named, says) in [
            ("postgresql://h/x?sslcert=other.pem", all, "different files"),
            ("postgresql://h/x?sslmode=disable", all, "no TLS"),
            ("postgresql://h/x?sslmode=disable&sslrootcert=ca.pem", [None; 3], "no TLS"),
            ("postgresql://h/x", [None, Some("me.pem"), None], "belong together"),
            ("postgresql://h/x?sslkey=me.key", [None; 3], "belong together"),
        ] {
            let error = read(url, named).unwrap_err();
            assert!(error.message().contains(says), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_the_url_is_not() {
        for (url, says) in [
            ("postgresql://u:secret@h/x", "password"),
            ("postgresql://h/x?password=secret", "password"),
            ("postgresql://h/x?sslmode=prefer", "plain text"),
            ("postgresql://h/x?sslmode=secret", "sslmode"),
            ("postgresql://h:secret/x", "port"),
            ("postgresql://h/x?surprise=secret", "surprise"),
            ("mysql://h/secret", "no URL"),
            ("postgresql://h/%zz", "%"),
        ] {
            let error = Address::read(url).unwrap_err();
            assert!(error.message().contains(says), "{url}: {error}");
            assert!(!format!("{error} {:?}", error.hint()).contains("secret"), "{error}");
        }
    }
}
