//! SCRAM-SHA-256 (RFC 5802, RFC 7677) over tokens: what the file keeps beside a token's hash, and its arithmetic.
//!
//! What must stay true: a name that is not there is answered as one that is, with a salt that stays the same for as long
//! as the file has its first token, so that who tries names learns nothing; every comparison of keys takes constant time.

use forebay_core::config::ScramVerifier;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio_rustls::rustls::crypto::aws_lc_rs;

use super::Person;
use super::secret::Hash;

/// RFC 7677's least, and what PostgreSQL takes: a token cannot be guessed, so more would protect nothing.
const ITERATIONS: u32 = 4_096;
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

/// What the file keeps of a token.
pub(super) fn verifier(token: &str) -> Result<ScramVerifier> {
    let mut salt = [0; SALT];
    let filled = aws_lc_rs::default_provider().secure_random.fill(&mut salt);
    filled.map_err(|_| Error::new(&codes::INTERNAL, "the system gives no random numbers"))?;
    Ok(salted(token, &salt, ITERATIONS))
}

/// The verifier of a password. Tokens are ASCII, so they need no SASLprep.
fn salted(password: &str, salt: &[u8], iterations: u32) -> ScramVerifier {
    let salted: Hash = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations);
    ScramVerifier {
        iterations,
        salt: salt.to_vec(),
        stored_key: Sha256::digest(signed(&salted, &[b"Client Key"])).into(),
        server_key: signed(&salted, &[b"Server Key"]),
    }
}

/// The verifier of a name that has none: nothing fits its keys. `key` is a secret that stays.
pub(super) fn mock(key: &Hash, name: &str) -> ScramVerifier {
    let part = |what: &[u8]| signed(key, &[what, name.as_bytes()]);
    ScramVerifier {
        iterations: ITERATIONS,
        salt: part(b"salt of ").into_iter().take(SALT).collect(),
        stored_key: part(b"stored key of "),
        server_key: part(b"server key of "),
    }
}

/// True if the proof of a client fits: its key, mixed with the signature of what both have said.
pub(crate) fn is_proof(verifier: &ScramVerifier, said: &str, proof: &[u8; 32]) -> bool {
    let signature = signed(&verifier.stored_key, &[said.as_bytes()]);
    let mut key = signature;
    key.iter_mut().zip(proof).for_each(|(byte, proof)| *byte ^= proof);
    Hash::from(Sha256::digest(key)).ct_eq(&verifier.stored_key).into()
}

/// By what the server proves in turn that it knows the client.
pub(crate) fn server_signature(verifier: &ScramVerifier, said: &str) -> Hash {
    signed(&verifier.server_key, &[said.as_bytes()])
}

/// HMAC-SHA-256 of these parts, one behind the other.
fn signed(key: &Hash, parts: &[&[u8]]) -> Hash {
    // HMAC fills shorter keys up with zeros itself, but its door for them can fail.
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(byte, key)| *byte = *key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// What a client that knows the password sends as its proof.
    pub(crate) fn proof(password: &str, verifier: &ScramVerifier, said: &str) -> [u8; 32] {
        let salted =
            pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), &verifier.salt, verifier.iterations);
        let mut key = signed(&salted, &[b"Client Key"]);
        let stored = Hash::from(Sha256::digest(key));
        let signature = signed(&stored, &[said.as_bytes()]);
        key.iter_mut().zip(signature).for_each(|(byte, other)| *byte ^= other);
        key
    }

    /// The example of RFC 7677, section 3.
    #[test]
    fn agrees_with_the_rfc() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = salted("pencil", &salt, 4_096);
        let said = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                    r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                    c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let sent = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let sent: [u8; 32] = sent.try_into().unwrap();
        assert_eq!(proof("pencil", &verifier, said), sent);
        assert!(is_proof(&verifier, said, &sent));
        for bit in 0..256 {
            let mut wrong = sent;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_proof(&verifier, said, &wrong));
        }
        assert!(!is_proof(&verifier, &said.replace("user", "ana"), &sent));
        let signature = STANDARD.encode(server_signature(&verifier, said));
        assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_name_that_is_not_there_has_one_salt_of_its_own() {
        let (one, other) = (mock(&[1; 32], "ana"), mock(&[1; 32], "bob"));
        assert_eq!(one, mock(&[1; 32], "ana"));
        assert_ne!(one.salt, other.salt);
        let real = verifier("fb_x").unwrap();
        assert_eq!((one.salt.len(), one.iterations), (real.salt.len(), real.iterations));
        assert_ne!(real.salt, verifier("fb_x").unwrap().salt, "each token has a salt of its own");
    }
}
