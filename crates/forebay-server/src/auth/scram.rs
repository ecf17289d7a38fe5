//! SCRAM over tokens: what the file keeps beside a token's hash, and who wants to log in by it. The arithmetic is
//! [`forebay_core::scram`]'s.
//!
//! What must stay true: a name that is not there is answered as one that is, with a salt that stays the same for as long
//! as the file has its first token, so that who tries names learns nothing.

use forebay_core::config::ScramVerifier;
use forebay_core::error::codes;
use forebay_core::scram::{LEAST_ITERATIONS, ScramHash};
use forebay_core::{Error, Result};
use tokio_rustls::rustls::crypto::aws_lc_rs;

use super::Person;
use super::secret::Hash;

/// Bytes of a salt, as PostgreSQL has it.
const SALT: usize = 16;

/// Somebody who wants to log in by SCRAM, and what they must prove.
pub(crate) struct Login {
    pub(super) who: Who,
    pub verifier: ScramVerifier,
}

/// Who wants to log in.
pub(super) enum Who {
    Person(Person),
    Expired,
    /// A token whose entry has no verifier.
    Unprepared,
    Nobody,
}

impl Login {
    pub(super) fn new((who, verifier): (Who, Option<ScramVerifier>), mock: ScramVerifier) -> Self {
        Self { who, verifier: verifier.unwrap_or(mock) }
    }
}

/// What the file keeps of a token. It has the fewest iterations that clients take: a token cannot be guessed, so more would
/// protect nothing.
pub(super) fn verifier(hash: ScramHash, token: &str) -> Result<ScramVerifier> {
    let mut salt = [0; SALT];
    let filled = aws_lc_rs::default_provider().secure_random.fill(&mut salt);
    filled.map_err(|_| Error::new(&codes::INTERNAL, "the system gives no random numbers"))?;
    Ok(ScramVerifier::of(hash, token, &salt, LEAST_ITERATIONS))
}

/// The verifier of a name that has none. `key` is a secret that stays.
pub(super) fn mock(key: &Hash, name: &str) -> ScramVerifier {
    ScramVerifier::mock(ScramHash::Sha256, key, name)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a client that knows the password sends as its proof.
    pub(crate) fn proof(password: &str, verifier: &ScramVerifier, said: &str) -> Vec<u8> {
        let hash = verifier.hash;
        hash.proof(&hash.stretch(password.as_bytes(), &verifier.salt, verifier.iterations), said)
    }

    #[test]
    fn each_token_has_a_salt_of_its_own_and_a_name_that_is_not_there_looks_the_same() {
        let real = verifier(ScramHash::Sha256, "fb_x").unwrap();
        assert_ne!(real.salt, verifier(ScramHash::Sha256, "fb_x").unwrap().salt);
        let one = mock(&[1; 32], "ana");
        assert_eq!((one.salt.len(), one.iterations), (real.salt.len(), real.iterations));
    }
}
