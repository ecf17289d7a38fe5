//! What a server keeps of a secret for SCRAM-SHA-256 (RFC 5802, RFC 7677), written as PostgreSQL writes it:
//!
//! ```text
//! SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>      the last three in Base64
//! ```
//!
//! What must stay true: whoever reads it can check who has the secret and cannot log in with it; no debug print shows it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const MECHANISM: &str = "SCRAM-SHA-256";
/// RFC 7677's least number of iterations, which is PostgreSQL's own too.
const LEAST: u32 = 4_096;
/// More would only keep clients busy.
const MOST: u32 = 1_000_000;
/// Bytes that a salt may have.
const SALT: std::ops::RangeInclusive<usize> = 8..=64;

/// Salt, iterations and keys of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// How often the salted secret is hashed.
    pub iterations: u32,
    /// What it is salted with.
    pub salt: Vec<u8>,
    /// The hash of the key that a client proves to have.
    pub stored_key: [u8; 32],
    /// The key by which the server proves that it knows the client's secret.
    pub server_key: [u8; 32],
}

impl ScramVerifier {
    /// Reads one; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let (mechanism, salted, keys) = (parts.next()?, parts.next()?, parts.next()?);
        let (iterations, salt) = salted.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        if mechanism != MECHANISM || parts.next().is_some() {
            return None;
        }
        let iterations = iterations.parse().ok().filter(|count| (LEAST..=MOST).contains(count))?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| SALT.contains(&salt.len()))?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        Some(Self { iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
    }
}

impl fmt::Display for ScramVerifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, stored) = (STANDARD.encode(&self.salt), STANDARD.encode(self.stored_key));
        let server = STANDARD.encode(self.server_key);
        write!(out, "{MECHANISM}${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ScramVerifier(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read_and_anything_else_is_none() {
        let verifier = ScramVerifier {
            iterations: LEAST,
            salt: vec![7; 16],
            stored_key: [1; 32],
            server_key: [255; 32],
        };
        let text = verifier.to_string();
        assert_eq!(ScramVerifier::parse(&text), Some(verifier.clone()));
        assert_eq!(format!("{verifier:?}"), "ScramVerifier(***)");
        for bad in [
            String::new(),
            text.replace("256$", "512$"),
            text.replace("4096", "1"),
            text.replace("4096", "99999999999"),
            text.replace("4096", "2000000"),
            text.replace("BwcH", "!!!!"),
            format!("{text}$"),
            text[..text.len() - 4].to_owned(),
            "SCRAM-SHA-256$4096:$:".to_owned(),
            "SCRAM-SHA-256$4096".to_owned(),
            text.replace(':', ";"),
        ] {
            assert_eq!(ScramVerifier::parse(&bad), None, "{bad}");
        }
    }
}
