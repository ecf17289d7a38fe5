//! The PostgreSQL of a demo: which it is, whether it is there, and what is said of it.
//!
//! What must stay true: a demo without a PostgreSQL is whole without one. Its queries to it are left out then, rather than
//! failing before the eyes of who only wants to look; who names a PostgreSQL wants it, and its queries wait for it.

use std::time::Duration;

use forebay_core::Error;
use forebay_core::config::Pipeline;
use forebay_core::error::codes;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::alerts;

/// The PostgreSQL in the examples, its user, and their password in the file.
pub const EXAMPLE_POSTGRES: &str = "postgresql://localhost:5432/forebay";
pub const EXAMPLE_USER: &str = "forebay";
pub const EXAMPLE_PASSWORD: &str = "${PGPASSWORD}";

/// Names another PostgreSQL.
const VARIABLE: &str = "FOREBAY_DEMO_POSTGRES";

/// The port of a PostgreSQL that names none.
const PORT: &str = "5432";

/// How long a PostgreSQL may take to answer that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is said of it, and the command that asks it, in lines of their own.
pub type Told = (String, String);

/// Where rows go.
pub struct Postgres {
    pub url: String,
    /// It was named, so it is waited for.
    is_wanted: bool,
    /// The environment has its password.
    pub has_password: bool,
}

impl Postgres {
    /// The one of the environment, or that of the examples.
    ///
    /// # Errors
    /// `BAD_VALUE` for what is no address of a PostgreSQL.
    pub fn named() -> Result<Self, Error> {
        let has_password = std::env::var_os("PGPASSWORD").is_some();
        let Ok(url) = std::env::var(VARIABLE) else {
            return Ok(Self { url: EXAMPLE_POSTGRES.to_owned(), is_wanted: false, has_password });
        };
        let named = Self { url, is_wanted: true, has_password };
        if named.host().is_none() {
            let told = format!("`{VARIABLE}` names no PostgreSQL");
            return Err(Error::new(&codes::BAD_VALUE, told)
                .with_hint(format!("Write it as `{EXAMPLE_POSTGRES}`; the user is `{EXAMPLE_USER}`.")));
        }
        Ok(named)
    }

    /// Host and port.
    fn host(&self) -> Option<String> {
        let rest =
            ["postgresql://", "postgres://"].iter().find_map(|scheme| self.url.strip_prefix(scheme))?;
        let place = rest.split(['/', '?']).next()?;
        let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
        let (name, port) = match host.rsplit_once(':') {
            // The colons of an address in brackets are its own.
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, PORT),
        };
        let is_one = !name.is_empty() && port.parse::<u16>().is_ok();
        is_one.then(|| format!("{name}:{port}"))
    }

    /// As it may be printed: without a password.
    fn shown(&self) -> String {
        // Options may hold a password as well.
        let url = self
            .url
            .split_once("password=")
            .map_or(&*self.url, |(before, _)| before.trim_end_matches(['?', '&']));
        let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let Some((who, host)) = rest[..end].rsplit_once('@') else { return url.to_owned() };
        let user = who.split_once(':').map_or(who.to_owned(), |(user, _)| format!("{user}:***"));
        format!("{scheme}://{user}@{host}{}", &rest[end..])
    }

    /// Which queries and alerts run, by name; empty for all of them.
    pub async fn queries(&self, pipeline: &Pipeline) -> Vec<String> {
        if self.is_wanted || !writes(pipeline) || self.is_there().await {
            return Vec::new();
        }
        let others = pipeline.queries.iter().filter(|query| query.format != FORMAT);
        let rules = pipeline.alerts.iter().map(|rule| alerts::query_name(&rule.name));
        others.map(|query| query.name.clone()).chain(rules).collect()
    }

    async fn is_there(&self) -> bool {
        let Some(host) = self.host() else { return false };
        timeout(PATIENCE, TcpStream::connect(host)).await.is_ok_and(|connected| connected.is_ok())
    }

    /// What is said of it where these queries run, with a statement to ask it.
    pub fn told(&self, pipeline: &Pipeline, queries: &[String], psql: &str) -> Told {
        if !writes(pipeline) {
            return Told::default();
        }
        let url = self.shown();
        if !queries.is_empty() {
            let said = format!(
                "No PostgreSQL is at {url}, so the queries `postgres_…` are left out:\n\
                 start one and the demo again ({VARIABLE} names another, PGPASSWORD its password)."
            );
            return (said, String::new());
        }
        let said = format!(
            "The PostgreSQL is {url}, its user `{EXAMPLE_USER}`\n\
             ({VARIABLE} names another, PGPASSWORD its password). What it does not take yet waits for it."
        );
        // The password of the examples is no secret; another is asked for.
        let (before, after) = match self.has_password {
            false => (format!("PGPASSWORD={EXAMPLE_USER} "), ""),
            true => (String::new(), " -W"),
        };
        let psql = format!("\n  {before}psql {url} -U {EXAMPLE_USER}{after} -c '{psql}'");
        (said, psql)
    }
}

/// The format of queries to a PostgreSQL.
const FORMAT: &str = "postgres";

fn writes(pipeline: &Pipeline) -> bool {
    pipeline.queries.iter().any(|query| query.format == FORMAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        for (url, shown) in [
            ("postgresql://localhost:5432/forebay", "postgresql://localhost:5432/forebay"),
            ("postgresql://me@db/x", "postgresql://me@db/x"),
            ("postgresql://db/x?a=b&password=secret&c=d", "postgresql://db/x?a=b"),
            ("postgresql://me:se:c@ret@db:1/x?a=b@c", "postgresql://me:***@db:1/x?a=b@c"),
        ] {
            let named = Postgres { url: url.to_owned(), is_wanted: true, has_password: false };
            assert_eq!(named.shown(), shown);
        }
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (url, host) in [
            ("postgresql://localhost:5432/forebay", Some("localhost:5432")),
            ("postgres://db", Some("db:5432")),
            ("postgresql://me:se:cret@db.example:6432/x?sslmode=require", Some("db.example:6432")),
            ("postgresql://[::1]/x", Some("[::1]:5432")),
            ("postgresql://[::1]:6432/x", Some("[::1]:6432")),
            ("localhost:6290", None),
            ("postgresql://", None),
            ("postgresql://db:port/x", None),
        ] {
            let named = Postgres { url: url.to_owned(), is_wanted: true, has_password: false };
            assert_eq!(named.host().as_deref(), host, "{url}");
        }
    }
}
