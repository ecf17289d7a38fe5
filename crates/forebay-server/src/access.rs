//! Who may ask what: the one place where a request is let through or refused.
//!
//! Every route declares the [`Role`] it needs in the table of routes. Without authentication the server listens on
//! loopback only, so whoever reaches it is the person at the machine, or a page in that person's browser. What must
//! stay true: no page but our own can change anything or read anything. A name that is rebound to this machine fails
//! the `Host` check; a form or script of another page fails the `Origin` check, or cannot send the header that changes
//! need without a preflight that nobody answers; the browser's own word about cross-site requests
//! (`Sec-Fetch-Site`) is heeded for everything under `/api`, so that no other page makes this machine compute.

use axum::http::{HeaderMap, header};

use crate::problem::Problem;

/// What a request may do, each with what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Nothing is needed: the page's own files, health, metrics.
    Anyone,
    /// Looks.
    Viewer,
    /// Stops, starts, replays, drops.
    Operator,
}

impl Role {
    /// The word in the document.
    pub fn word(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }

    /// True if a request of this role changes something.
    pub fn changes(self) -> bool {
        self >= Self::Operator
    }
}

/// The header that what changes something must carry: a form cannot send it, a script of another page only after a
/// preflight.
pub(crate) const MEANT: &str = "x-forebay";

/// Refuses a request that may not have this role.
pub(crate) fn check(role: Role, headers: &HeaderMap) -> Result<(), Problem> {
    host(headers)?;
    if role >= Role::Viewer {
        same_site(headers)?;
    }
    if role.changes() {
        origin(headers)?;
        if headers.get(MEANT).is_none_or(|value| value != "1") {
            return Err(Problem::denied("the header `X-Forebay: 1` is missing"));
        }
    }
    Ok(())
}

/// Refuses a request that does not address this machine's loopback.
pub(crate) fn host(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(is_loopback) && headers.get_all(header::HOST).iter().count() == 1 {
        return Ok(());
    }
    Err(Problem::denied("the Host header does not name this machine's loopback address"))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Nothing that a page of another site leads to is answered, frames and links included: asking is computing.
fn same_site(headers: &HeaderMap) -> Result<(), Problem> {
    let is = |name: &str, word: &str| headers.get(name).is_some_and(|value| value == word);
    let foreign = is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site");
    if foreign {
        return Err(Problem::denied("the request comes from a page of another site"));
    }
    Ok(())
}

/// `Origin` must be absent or the server's own: the `Host` that was asked, which is loopback already.
fn origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
    if own.is_some_and(|own| own == host) {
        return Ok(());
    }
    Err(Problem::denied("the Origin header names another site"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_pass() {
        for good in ["localhost", "localhost:8080", "127.0.0.1:1", "127.8.8.8", "[::1]:8080"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[fe80::1]",
            "localhost.evil.example",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn another_port_of_this_machine_is_another_origin() {
        let asked = |origin: &str| {
            let headers = [("host", "127.0.0.1:8080"), ("origin", origin), (MEANT, "1")];
            let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            check(Role::Operator, &HeaderMap::from_iter(headers)).is_ok()
        };
        assert!(asked("http://127.0.0.1:8080"));
        for foreign in
            ["http://127.0.0.1:8081", "http://localhost:8080", "https://127.0.0.1:8080", "null", ""]
        {
            assert!(!asked(foreign), "{foreign}");
        }
    }
}
