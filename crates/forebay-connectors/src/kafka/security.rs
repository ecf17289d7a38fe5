//! `security.protocol`, `ssl.*` and `sasl.*`: whom we trust, and who we are.
//!
//! Half a configuration is an error, never a reason to talk in the open.

use forebay_core::Error;
use forebay_core::error::codes;

use super::connection::sasl::{Credentials, Mechanism};
use super::jaas;
use super::options::{Given, bad};
use crate::tls::{Secret, TlsFiles};

pub(super) fn security(given: &Given<'_>) -> Result<(Option<TlsFiles>, Option<Credentials>), Error> {
    let protocol = given.text("security.protocol").unwrap_or("PLAINTEXT").to_ascii_uppercase();
    let (with_tls, with_sasl) = match protocol.as_str() {
        "PLAINTEXT" => (false, false),
        "SSL" => (true, false),
        "SASL_PLAINTEXT" => (false, true),
        "SASL_SSL" => (true, true),
        other => {
            return Err(bad("security.protocol", other, "one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"));
        }
    };
    // Half a configuration is a mistake, never a reason to talk in the open.
    let stray = |prefix: &str| given.values.keys().find(|name| name.starts_with(prefix)).copied();
    if !with_tls && let Some(name) = stray("ssl.") {
        return Err(contradiction(name, &protocol, "SSL or SASL_SSL"));
    }
    if !with_sasl && let Some(name) = stray("sasl.") {
        return Err(contradiction(name, &protocol, "SASL_SSL or SASL_PLAINTEXT"));
    }
    let tls = if with_tls { Some(tls_files(given)?) } else { None };
    let sasl = if with_sasl { Some(credentials(given)?) } else { None };
    Ok((tls, sasl))
}

fn contradiction(name: &str, protocol: &str, wanted: &str) -> Error {
    let message = format!("option `kafka.{name}` is given but `kafka.security.protocol` is {protocol}");
    Error::new(&codes::BAD_VALUE, message).with_hint(format!("Set `kafka.security.protocol` to {wanted}."))
}

fn tls_files(given: &Given<'_>) -> Result<TlsFiles, Error> {
    for name in ["ssl.truststore.type", "ssl.keystore.type"] {
        if let Some(kind) = given.text(name).filter(|kind| !kind.eq_ignore_ascii_case("PEM")) {
            return Err(bad(name, kind, "PEM"));
        }
    }
    let algorithm = given.values.get("ssl.endpoint.identification.algorithm").copied().unwrap_or("https");
    if !algorithm.eq_ignore_ascii_case("https") {
        return Err(bad("ssl.endpoint.identification.algorithm", algorithm, "https").with_hint(
            "The broker's name is always verified. Give its certificate the name that you dial.",
        ));
    }
    let text = |name| given.text(name).map(str::to_owned);
    let file = |names: &[&str]| given.first(names).map(Into::into);
    let files = TlsFiles {
        ca_file: file(&["ssl.truststore.location", "ssl.ca.location"]),
        ca_pem: text("ssl.truststore.certificates"),
        // Java keeps chain and key in one PEM file.
        certificate_file: file(&["ssl.certificate.location", "ssl.keystore.location"]),
        certificate_pem: text("ssl.keystore.certificate.chain"),
        key_file: file(&["ssl.key.location", "ssl.keystore.location"]),
        key_pem: given.text("ssl.keystore.key").map(Secret::new),
        names: "The options `kafka.ssl.*` name PEM files: certificate authorities (`kafka.ssl.truststore.location`), and for mTLS a \
                chain and its key (`kafka.ssl.key.location`), or both in one file.",
    };
    Ok(files)
}

fn credentials(given: &Given<'_>) -> Result<Credentials, Error> {
    let name = given.first(&["sasl.mechanism", "sasl.mechanisms"]).unwrap_or_default().to_ascii_uppercase();
    let mechanism = match name.as_str() {
        "PLAIN" => Mechanism::Plain,
        "SCRAM-SHA-256" => Mechanism::ScramSha256,
        "SCRAM-SHA-512" => Mechanism::ScramSha512,
        other => return Err(bad("sasl.mechanism", other, "one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512")),
    };
    let missing = |what: &str| {
        Error::new(&codes::MISSING_KEY, format!("option `kafka.{what}` is missing"))
            .with_hint("Give `kafka.sasl.username` and `kafka.sasl.password`, or `kafka.sasl.jaas.config`.")
    };
    let (username, password) = match given.text("sasl.jaas.config") {
        Some(text) => {
            // The text holds a password, so the error does not repeat it.
            let options = jaas::parse(text).ok_or_else(|| bad("sasl.jaas.config", "***", "Java's form"))?;
            (options.get("username").cloned(), options.get("password").cloned())
        }
        None => {
            (given.text("sasl.username").map(str::to_owned), given.text("sasl.password").map(str::to_owned))
        }
    };
    Ok(Credentials {
        mechanism,
        username: username.ok_or_else(|| missing("sasl.username"))?,
        password: Secret::new(password.ok_or_else(|| missing("sasl.password"))?),
    })
}
