//! Where the server listens, and what it must have for that.
//!
//! What must stay true: an address that others than this machine can reach is opened only with authentication and TLS
//! both; that is decided before anything is bound, and for every listener by the same rule.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use forebay_core::clock::{Clock, SystemClock};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use tokio::net::TcpListener;

use crate::tls::TlsFiles;

/// How a server listens.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Page, REST and events.
    pub http: SocketAddr,
    /// Health and metrics by themselves, if they shall not be with the others.
    pub monitor: Option<SocketAddr>,
    /// The Postgres wire.
    pub postgres: Postgres,
    /// The file of tokens; without it whoever reaches the server is the person at the machine.
    pub auth: Option<PathBuf>,
    /// Certificate and key.
    pub tls: Option<TlsFiles>,
    /// The clock of sessions and tokens.
    pub clock: Arc<dyn Clock>,
}

/// Where the Postgres wire usually is. PostgreSQL has 5432 and the ports after it, so this is none of them.
pub const USUAL_POSTGRES: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5455);

/// Whether and where the Postgres wire listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Postgres {
    /// At [`USUAL_POSTGRES`], if that is free.
    #[default]
    Usual,
    /// There, or nothing starts.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl From<SocketAddr> for Listening {
    /// Plain, for this machine alone.
    fn from(http: SocketAddr) -> Self {
        Self {
            http,
            monitor: None,
            postgres: Postgres::Off,
            auth: None,
            tls: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl Listening {
    /// Refuses what must not be opened.
    pub(crate) fn check(&self) -> Result<()> {
        let postgres = match self.postgres {
            Postgres::At(address) => Some(address),
            Postgres::Usual | Postgres::Off => None,
        };
        let open = [("--http", Some(self.http)), ("--monitor", self.monitor), ("--postgres", postgres)];
        let open = open.into_iter().find_map(|(option, address)| {
            address.filter(|address| !is_own(*address)).map(|address| (option, address))
        });
        let missing = match (&self.auth, &self.tls) {
            (Some(_), Some(_)) => return Ok(()),
            (Some(_), None) => "TLS is missing: give `--tls-cert` and `--tls-key`",
            (None, Some(_)) => {
                "Authentication is missing: give `--auth`, a file that `forebay token new` writes"
            }
            (None, None) => {
                "Authentication and TLS are missing: give `--auth` (a file that `forebay token new` writes), `--tls-cert` and `--tls-key`"
            }
        };
        match open {
            None => Ok(()),
            Some((option, address)) => {
                let message = format!("{address} ({option}) is not a loopback address");
                let hint = format!("Others could reach it. {missing}. Or listen on 127.0.0.1 or [::1].");
                Err(Error::new(&codes::ADDRESS, message).with_hint(hint))
            }
        }
    }
}

/// True for an address that only this machine reaches, also where it is written as one of IPv6.
pub(crate) fn is_own(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Listens on an address; `option` names the one by which another can be chosen.
pub(crate) fn bind(address: SocketAddr, option: &str) -> Result<(TcpListener, SocketAddr)> {
    let failed = |e: std::io::Error| {
        let hint = hint(address, option, e.kind());
        Error::new(&codes::ADDRESS, format!("cannot listen on {address}")).caused_by(e).with_hint(hint)
    };
    let listener = crate::connections::listen(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// What helps where an address is not to be had.
fn hint(address: SocketAddr, option: &str, kind: std::io::ErrorKind) -> String {
    let next = address.port().checked_add(1).unwrap_or(u16::MAX - 1);
    let other = format!("for example `{option} {}`", SocketAddr::new(address.ip(), next));
    match kind {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "Another program listens there. Stop it, or choose another address with `{option}`, {other}."
            )
        }
        std::io::ErrorKind::AddrNotAvailable => {
            format!(
                "This machine has no such address. Give one of its own with `{option}`, for example `{option} 127.0.0.1:{}`.",
                address.port()
            )
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("Ports below 1024 need the right to them. Choose a higher one with `{option}`.")
        }
        _ => format!("Choose another address with `{option}`, {other}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_meets_another_program_is_told_the_next_port() {
        let hint =
            |address: &str| hint(address.parse().unwrap(), "--postgres", std::io::ErrorKind::AddrInUse);
        assert!(hint("127.0.0.1:5455").contains("`--postgres 127.0.0.1:5456`"));
        assert!(hint("[::1]:65535").contains("`--postgres [::1]:65534`"));
    }

    #[test]
    fn an_open_address_needs_both_and_is_told_what_is_missing() {
        let files = || TlsFiles { certificate: "c".into(), key: "k".into() };
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.7:1", "[fe80::1]:1", "[::ffff:10.0.0.7]:1"] {
            let mut listening = Listening::from(open.parse::<SocketAddr>().unwrap());
            let hint = |listening: &Listening| listening.check().unwrap_err().hint().to_owned();
            let told = hint(&listening);
            assert!(told.contains("--auth") && told.contains("--tls-key"), "{told}");
            listening.auth = Some("a".into());
            assert!(hint(&listening).contains("--tls-cert") && !hint(&listening).contains("--auth"));
            listening.tls = Some(files());
            listening.check().unwrap();
            listening.auth = None;
            assert!(hint(&listening).contains("--auth") && !hint(&listening).contains("--tls"));
            // The second listener is held to the same.
            let monitor = open.parse().ok();
            let beside = Listening { monitor, ..Listening::from(SocketAddr::from(([127, 0, 0, 1], 1))) };
            assert!(beside.check().unwrap_err().message().contains("--monitor"));
            let postgres = Postgres::At(open.parse().unwrap());
            let beside = Listening { postgres, ..Listening::from(SocketAddr::from(([127, 0, 0, 1], 1))) };
            assert!(beside.check().unwrap_err().message().contains("--postgres"));
        }
        for own in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            Listening::from(own.parse::<SocketAddr>().unwrap()).check().unwrap();
        }
    }
}
