//! SCRAM (RFC 5802, RFC 7677): its arithmetic, and what a server keeps of a secret. The Kafka client, the embedded log's listener
//! and the Postgres wire share it; what a server says and hears is in [`server`].
//!
//! A verifier is written as PostgreSQL writes it:
//!
//! ```text
//! SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>      the last three in Base64
//! ```
//!
//! What must stay true: whoever reads a verifier can check who has the secret and cannot log in with it; no debug print shows
//! it; every comparison of keys takes constant time; nothing ever fits the verifier of a name that is not there.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

mod server;

pub use server::{ClientFirst, ScramError, ScramExchange};

/// RFC 7677's least number of iterations, which is PostgreSQL's and Kafka's own too. Fewer make a password easy to guess.
pub const LEAST_ITERATIONS: u32 = 4_096;
/// More would only keep clients busy (about a second).
pub const MOST_ITERATIONS: u32 = 1_000_000;
/// Bytes that a salt may have.
const SALT: std::ops::RangeInclusive<usize> = 8..=64;
/// Bytes of a salt that is made up, as PostgreSQL has it.
const MOCK_SALT: usize = 16;

/// The hash function of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramHash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramHash {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The mechanism's name in SASL.
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// Bytes of a hash.
    fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The hash of some bytes.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    /// The HMAC of these parts, one behind the other.
    pub fn sign(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        // HMAC takes keys of every length; the empty answer of the impossible case matches nothing.
        fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, parts),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, parts),
        }
    }

    /// The salted password: what both keys are made of. Takes as long as there are iterations.
    pub fn stretch(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
            Self::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec(),
        }
    }

    /// What a client that knows the salted password sends as its proof, of what both have said.
    pub fn proof(self, salted: &[u8], said: &str) -> Vec<u8> {
        let key = self.sign(salted, &[b"Client Key"]);
        let signature = self.sign(&self.digest(&key), &[said.as_bytes()]);
        key.iter().zip(&signature).map(|(key, other)| key ^ other).collect()
    }

    /// What a server that knows the salted password signs with.
    pub fn server_key(self, salted: &[u8]) -> Vec<u8> {
        self.sign(salted, &[b"Server Key"])
    }
}

/// Salt, iterations and keys of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// Of which mechanism it is.
    pub hash: ScramHash,
    /// How often the salted secret is hashed.
    pub iterations: u32,
    /// What it is salted with.
    pub salt: Vec<u8>,
    /// The hash of the key that a client proves to have.
    stored_key: Vec<u8>,
    /// The key by which the server proves that it knows the client's secret.
    server_key: Vec<u8>,
}

impl ScramVerifier {
    /// That of a secret, which is ASCII: others would need SASLprep.
    pub fn of(hash: ScramHash, secret: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = hash.stretch(secret.as_bytes(), salt, iterations);
        Self {
            hash,
            iterations,
            salt: salt.to_vec(),
            stored_key: hash.digest(&hash.sign(&salted, &[b"Client Key"])),
            server_key: hash.server_key(&salted),
        }
    }

    /// That of a name that has none: nothing fits its keys. `key` is a secret that stays, so that the salt of a name does too, and
    /// who tries names learns nothing.
    pub fn mock(hash: ScramHash, key: &[u8], name: &str) -> Self {
        let part = |what: &[u8]| hash.sign(key, &[what, name.as_bytes()]);
        let mut salt = part(b"salt of ");
        salt.truncate(MOCK_SALT);
        Self {
            hash,
            iterations: LEAST_ITERATIONS,
            salt,
            stored_key: part(b"stored key of "),
            server_key: part(b"server key of "),
        }
    }

    /// Reads one; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let (mechanism, salted, keys) = (parts.next()?, parts.next()?, parts.next()?);
        let hash = ScramHash::ALL.into_iter().find(|hash| hash.mechanism() == mechanism)?;
        let (iterations, salt) = salted.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        if parts.next().is_some() {
            return None;
        }
        let is_usual = |count: &u32| (LEAST_ITERATIONS..=MOST_ITERATIONS).contains(count);
        let iterations = iterations.parse().ok().filter(is_usual)?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| SALT.contains(&salt.len()))?;
        let key = |text: &str| STANDARD.decode(text).ok().filter(|key| key.len() == hash.size());
        Some(Self { hash, iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
    }

    /// True if the proof of a client fits: its key, mixed with the signature of what both have said.
    pub fn is_proof(&self, said: &str, proof: &[u8]) -> bool {
        let signature = self.hash.sign(&self.stored_key, &[said.as_bytes()]);
        if proof.len() != signature.len() {
            return false;
        }
        let key: Vec<u8> = signature.iter().zip(proof).map(|(byte, proof)| byte ^ proof).collect();
        self.hash.digest(&key).ct_eq(&self.stored_key).into()
    }

    /// By what the server proves in turn that it knows the client.
    pub fn server_signature(&self, said: &str) -> Vec<u8> {
        self.hash.sign(&self.server_key, &[said.as_bytes()])
    }
}

impl fmt::Display for ScramVerifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, stored) = (STANDARD.encode(&self.salt), STANDARD.encode(&self.stored_key));
        let (mechanism, server) = (self.hash.mechanism(), STANDARD.encode(&self.server_key));
        write!(out, "{mechanism}${}:{salt}${stored}:{server}", self.iterations)
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
        for hash in ScramHash::ALL {
            let verifier = ScramVerifier::of(hash, "fb_x", &[7; 16], LEAST_ITERATIONS);
            assert_eq!(ScramVerifier::parse(&verifier.to_string()), Some(verifier.clone()));
            assert_eq!(format!("{verifier:?}"), "ScramVerifier(***)");
        }
        let text = ScramVerifier::of(ScramHash::Sha256, "fb_x", &[7; 16], LEAST_ITERATIONS).to_string();
        for bad in [
            String::new(),
            text.replace("256$", "512$"),
            text.replace("256$", "1$"),
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

    /// The example of RFC 7677, section 3.
    #[test]
    fn agrees_with_the_rfc() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let hash = ScramHash::Sha256;
        let verifier = ScramVerifier::of(hash, "pencil", &salt, 4_096);
        let said = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                    r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                    c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let sent = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        assert_eq!(hash.proof(&hash.stretch(b"pencil", &salt, 4_096), said), sent);
        assert!(verifier.is_proof(said, &sent));
        for bit in 0..256 {
            let mut wrong = sent.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!verifier.is_proof(said, &wrong));
        }
        assert!(!verifier.is_proof(said, &sent[..31]) && !verifier.is_proof(said, b""));
        assert!(!verifier.is_proof(&said.replace("user", "ana"), &sent));
        let signature = STANDARD.encode(verifier.server_signature(said));
        assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_name_that_is_not_there_has_one_salt_of_its_own_and_no_secret() {
        for hash in ScramHash::ALL {
            let mock = |name: &str| ScramVerifier::mock(hash, &[1; 32], name);
            let (one, other) = (mock("ana"), mock("bob"));
            assert_eq!(one, mock("ana"));
            assert_ne!(one.salt, other.salt);
            let real = ScramVerifier::of(hash, "fb_x", &[7; 16], LEAST_ITERATIONS);
            assert_eq!((one.salt.len(), one.iterations), (real.salt.len(), real.iterations));
            let salted = hash.stretch(b"fb_x", &one.salt, one.iterations);
            assert!(!one.is_proof("said", &hash.proof(&salted, "said")));
            assert!(ScramVerifier::parse(&one.to_string()).is_some(), "it looks like one that is");
        }
    }
}
