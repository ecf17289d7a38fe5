//! SASL: telling the broker who we are, before anything else is asked of it.

use forebay_core::Result;
use forebay_core::scram::ScramHash;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use super::super::error::not_trusted;
use super::handshake::Handshake;
use super::scram::Scram;
use crate::tls::Secret;

/// How we prove who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka) enum Mechanism {
    /// Sends the password: for use over TLS.
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => ScramHash::Sha256.mechanism(),
            Self::ScramSha512 => ScramHash::Sha512.mechanism(),
        }
    }
}

/// Who we are.
#[derive(Clone, Debug)]
pub(in crate::kafka) struct Credentials {
    pub(in crate::kafka) mechanism: Mechanism,
    pub(in crate::kafka) username: String,
    pub(in crate::kafka) password: Secret,
}

/// Runs the whole exchange.
///
/// # Errors
/// `SOURCE_AUTH` with the broker's words.
pub(super) async fn authenticate(broker: &mut Handshake<'_>, who: &Credentials) -> Result<()> {
    let request =
        SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(who.mechanism.name()));
    let answer = broker.ask(&request).await?;
    if answer.error_code != 0 {
        let offered: Vec<&str> = answer.mechanisms.iter().map(|name| &**name).collect();
        let words = format!("it offers the mechanisms {}, not {}", offered.join(", "), who.mechanism.name());
        return Err(not_trusted(broker.address, words));
    }
    match who.mechanism {
        Mechanism::Plain => {
            let token = format!("\0{}\0{}", who.username, who.password.reveal());
            exchange(broker, token).await.map(drop)
        }
        Mechanism::ScramSha256 => scram(broker, who, ScramHash::Sha256).await,
        Mechanism::ScramSha512 => scram(broker, who, ScramHash::Sha512).await,
    }
}

async fn scram(broker: &mut Handshake<'_>, who: &Credentials, hash: ScramHash) -> Result<()> {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let scram = Scram::new(hash, &who.username, nonce);
    let server_first = exchange(broker, scram.first()).await?;
    let (answer, expected) =
        scram.answer(&server_first, who.password.reveal()).map_err(|why| not_trusted(broker.address, why))?;
    let server_final = exchange(broker, answer).await?;
    if expected.matches(&server_final) {
        Ok(())
    } else {
        Err(not_trusted(broker.address, "the broker could not prove that it knows the password"))
    }
}

async fn exchange(broker: &mut Handshake<'_>, token: String) -> Result<String> {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(token.into_bytes().into());
    let answer = broker.ask(&request).await?;
    if answer.error_code != 0 {
        let words = answer.error_message.as_deref().unwrap_or("it refused the credentials").to_owned();
        return Err(not_trusted(broker.address, words));
    }
    Ok(String::from_utf8_lossy(&answer.auth_bytes).into_owned())
}
