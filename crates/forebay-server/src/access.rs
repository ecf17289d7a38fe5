//! Who may ask what: the one place where a request is let through or refused.
//!
//! Every route declares the [`Role`] it needs in the table of routes. Without authentication the server listens on
//! loopback only, so whoever reaches it is the person at the machine, or a page in that person's browser. With
//! authentication an asker is whom their token or session names, and nobody else ([`crate::auth`]).
//!
//! What must stay true: no page but our own can change anything or read anything. A name that is rebound to this machine
//! fails the `Host` check; a form or script of another page fails the `Origin` check of whatever is sent, or cannot send the
//! header that changes need without a preflight that nobody answers; the browser's own word about cross-site requests
//! (`Sec-Fetch-Site`) is heeded for everything under `/api`, so that no other page makes this machine compute. A token
//! in a header needs none of this: no browser sends it by itself, and no other page knows it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, header};
use forebay_core::config;

use crate::auth::{Auth, Person};
use crate::problem::Problem;

/// What a request may do, each with what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Nothing is needed: the page's own files, signing in, whether all is well.
    Anyone,
    /// Looks.
    Viewer,
    /// Stops, starts, replays.
    Operator,
    /// Drops records for good, changes what runs.
    Admin,
}

impl Role {
    /// The word in the document.
    pub fn word(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Viewer => config::Role::Viewer.word(),
            Self::Operator => config::Role::Operator.word(),
            Self::Admin => config::Role::Admin.word(),
        }
    }

    /// True if a request of this role changes something.
    pub const fn changes(self) -> bool {
        matches!(self, Self::Operator | Self::Admin)
    }
}

impl From<config::Role> for Role {
    fn from(role: config::Role) -> Self {
        match role {
            config::Role::Viewer => Self::Viewer,
            config::Role::Operator => Self::Operator,
            config::Role::Admin => Self::Admin,
        }
    }
}

/// The header that what changes something must carry: a form cannot send it, a script of another page only after a
/// preflight.
pub(crate) const MEANT: &str = "x-forebay";

/// What a browser must show of a request, so that no page of another site can have sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing: it looks.
    Nothing,
    /// Where it comes from: it sends something, as forms of other pages can.
    Origin,
    /// That its person means it too: it changes something.
    Meant,
}

/// What holds at a listener.
pub(crate) struct Terms {
    /// Who may ask; `None` where whoever reaches the listener is the person at the machine.
    pub auth: Option<Arc<Auth>>,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Whether its address is this machine's own.
    pub loopback: bool,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    /// The person at the machine, where nobody is asked who they are.
    AtTheMachine,
    /// Nobody in particular.
    Nobody,
    /// By the token in a header.
    Token(Person),
    /// By the cookie of a session.
    Session(Person),
}

impl Asker {
    /// What they may do.
    pub fn role(&self) -> Role {
        match self {
            Self::AtTheMachine => Role::Admin,
            Self::Nobody => Role::Anyone,
            Self::Token(person) | Self::Session(person) => person.role.into(),
        }
    }

    /// Whom a token or session names.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::Token(person) | Self::Session(person) => Some(person),
            Self::AtTheMachine | Self::Nobody => None,
        }
    }
}

impl Terms {
    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// The name of the session's cookie. With TLS the prefix makes browsers hold it to this host, this path and TLS.
    pub fn cookie(&self) -> &'static str {
        if self.tls { "__Host-forebay" } else { "forebay" }
    }

    /// Lets a request through that shows what it must, and says who asks.
    pub fn check(
        &self,
        role: Role,
        proof: Proof,
        headers: &HeaderMap,
        peer: IpAddr,
        now_ms: i64,
    ) -> Result<Asker, Problem> {
        self.host(headers)?;
        let asker = self.who(headers, peer, now_ms)?;
        let is_browsers = !matches!(asker, Asker::Token(_));
        if is_browsers && role >= Role::Viewer {
            same_site(headers)?;
        }
        if asker.role() < role {
            return Err(match asker {
                Asker::Nobody => Problem::sign_in("the request carries no token, and no session that lasts"),
                asker => Problem::denied(format!("the role `{}` may not do this", asker.role().word()))
                    .hint(format!("It needs the role `{}`: ask whoever runs Forebay.", role.word())),
            });
        }
        if is_browsers {
            self.shows(proof, headers, matches!(asker, Asker::Session(_)))?;
        }
        Ok(asker)
    }

    /// Refuses a request that does not address this server: on loopback by a name of this machine's own. Elsewhere the
    /// server does not know its names, and need not: what a rebound name would steal is the cookie, and a browser holds
    /// that to the host that set it.
    pub fn host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.loopback {
            return host(headers);
        }
        let host = single(headers, &header::HOST).and_then(|host| host.parse::<Authority>().ok());
        match host.filter(|host| !host.host().is_empty() && !host.as_str().contains('@')) {
            Some(_) => Ok(()),
            None => Err(Problem::denied("the Host header names no host")),
        }
    }

    /// Who asks. A token in a header counts before a cookie, and a wrong one is never passed over for it.
    fn who(&self, headers: &HeaderMap, peer: IpAddr, now_ms: i64) -> Result<Asker, Problem> {
        let Some(auth) = &self.auth else { return Ok(Asker::AtTheMachine) };
        if headers.contains_key(header::AUTHORIZATION) {
            let token = single(headers, &header::AUTHORIZATION).and_then(bearer);
            let token = token
                .ok_or_else(|| Problem::sign_in("the Authorization header is not one `Bearer TOKEN`"))?;
            return auth.by_token(token, peer, now_ms).map(Asker::Token);
        }
        let person = self.session(headers).and_then(|id| auth.by_session(id, now_ms));
        Ok(person.map_or(Asker::Nobody, Asker::Session))
    }

    /// The token that a request shows.
    pub fn token(headers: &HeaderMap) -> Result<&str, Problem> {
        let token = single(headers, &header::AUTHORIZATION).and_then(bearer);
        token.ok_or_else(|| Problem::sign_in("the request carries no header `Authorization: Bearer TOKEN`"))
    }

    /// The id in the session's cookie; none if there are two, of which one may have been planted.
    pub fn session<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut own = pairs.filter(|(name, _)| *name == self.cookie()).map(|(_, value)| value);
        own.next().filter(|_| own.next().is_none())
    }

    /// Refuses what a page of another site could have sent. With a session `Origin` must be there: a browser sends it,
    /// and who is no browser has a token.
    fn shows(&self, proof: Proof, headers: &HeaderMap, by_session: bool) -> Result<(), Problem> {
        if proof == Proof::Nothing {
            return Ok(());
        }
        if headers.contains_key(header::ORIGIN) {
            let host = single(headers, &header::HOST).unwrap_or_default();
            let own = format!("{}://{host}", self.scheme());
            if single(headers, &header::ORIGIN) != Some(own.as_str()) {
                return Err(Problem::denied("the Origin header names another site"));
            }
        } else if by_session {
            return Err(Problem::denied("the Origin header is missing"));
        }
        if proof == Proof::Meant && single(headers, &HeaderName::from_static(MEANT)) != Some("1") {
            return Err(Problem::denied("the header `X-Forebay: 1` is missing"));
        }
        Ok(())
    }
}

/// The value of a header that is there once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Refuses a request that does not address this machine's loopback.
fn host(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(is_loopback) && headers.get_all(header::HOST).iter().count() == 1 {
        return Ok(());
    }
    Err(Problem::denied("the Host header does not name this machine's loopback address"))
}

/// True for `localhost`, `127.x.x.x` and `[::1]`, each with or without a port, and nothing else around them.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if port.is_some_and(|port| !is_port(port)) {
        return false;
    }
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None if name.eq_ignore_ascii_case("localhost") => true,
        None => name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_pass() {
        for good in [
            "localhost",
            "LocalHost:8080",
            "localhost:8080",
            "127.0.0.1:1",
            "127.8.8.8",
            "[::1]:8080",
            "[::1]",
        ] {
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
            "[::1]evil.example",
            "[::1]evil.example:80",
            "[::1]:80evil.example",
            "[::1",
            "::1",
            "[127.0.0.1]",
            "127.0.0.1:",
            "127.0.0.1:+80",
            "127.0.0.1:65536",
            "127.0.0.1:80:80",
            "evil.example@localhost",
            "localhost/evil.example",
            "localhost.",
            " localhost",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn terms(tls: bool, loopback: bool) -> Terms {
        Terms { auth: None, tls, loopback }
    }

    fn may(terms: &Terms, pairs: &[(&str, &str)]) -> bool {
        terms.check(Role::Operator, Proof::Meant, &headers(pairs), [127, 0, 0, 1].into(), 0).is_ok()
    }

    #[test]
    fn another_port_of_this_machine_is_another_origin() {
        let plain = terms(false, true);
        let asked =
            |origin: &str| may(&plain, &[("host", "127.0.0.1:8080"), ("origin", origin), (MEANT, "1")]);
        assert!(asked("http://127.0.0.1:8080"));
        for foreign in
            ["http://127.0.0.1:8081", "http://localhost:8080", "https://127.0.0.1:8080", "null", ""]
        {
            assert!(!asked(foreign), "{foreign}");
        }
    }

    #[test]
    fn what_must_be_there_once_is_not_there_twice() {
        let plain = terms(false, true);
        let (host, origin, meant) = (("host", "localhost"), ("origin", "http://localhost"), (MEANT, "1"));
        assert!(may(&plain, &[host, origin, meant]));
        for doubled in [host, origin, meant, ("origin", "http://evil.example"), (MEANT, "0")] {
            assert!(!may(&plain, &[host, origin, meant, doubled]), "{doubled:?}");
        }
    }

    #[test]
    fn elsewhere_than_on_loopback_any_one_host_will_do_and_the_origin_is_https() {
        let open = terms(true, false);
        for host in ["plant.example", "plant.example:8443", "10.0.0.7:8443", "[2001:db8::7]:8443"] {
            let own = format!("https://{host}");
            assert!(may(&open, &[("host", host), ("origin", &own), (MEANT, "1")]), "{host}");
            let plain = format!("http://{host}");
            assert!(!may(&open, &[("host", host), ("origin", &plain), (MEANT, "1")]), "{host}");
        }
        for bad in ["", "a b", "user@plant.example", "plant.example/x", "<script>"] {
            assert!(!may(&open, &[("host", bad), (MEANT, "1")]), "{bad}");
        }
        assert!(!may(&open, &[(MEANT, "1")]), "none at all");
        assert!(!may(&terms(true, true), &[("host", "plant.example"), (MEANT, "1")]), "on loopback as ever");
    }

    #[test]
    fn a_planted_second_cookie_is_no_session() {
        let terms = terms(true, false);
        let session = |pairs: &[(&str, &str)]| terms.session(&headers(pairs)).map(str::to_owned);
        assert_eq!(session(&[("cookie", "a=1; __Host-forebay=x; b=2")]).as_deref(), Some("x"));
        assert_eq!(session(&[("cookie", "__Host-forebay=x; __Host-forebay=y")]), None);
        assert_eq!(session(&[("cookie", "__Host-forebay=x"), ("cookie", "__Host-forebay=x")]), None);
        assert_eq!(session(&[("cookie", "forebay=x; x__Host-forebay=y")]), None);
    }
}
