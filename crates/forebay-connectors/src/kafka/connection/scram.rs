//! SCRAM (RFC 5802, RFC 7677): proves that both sides know the password without sending it.
//!
//! ```text
//!  client first   n,,n=USER,r=NONCE
//!  server first   r=NONCE+theirs,s=SALT,i=ROUNDS
//!  client final   c=biws,r=NONCE+theirs,p=PROOF
//!  server final   v=SIGNATURE                      (we check it: the broker must know the password, too)
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

/// Fewer rounds than this make a password easy to guess from what an attacker can provoke; RFC 7677's minimum.
const LEAST_ROUNDS: u32 = 4096;
/// More would only keep us busy (about a second).
const MOST_ROUNDS: u32 = 1_000_000;

/// The hash function of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// One exchange, after the client's first message.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    nonce: String,
    first_bare: String,
}

/// What the server must prove.
#[derive(Debug)]
pub(super) struct Expected(Vec<u8>);

impl Scram {
    /// `nonce` is printable text without commas that nobody used before.
    pub(super) fn new(hash: Hash, username: &str, nonce: String) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={nonce}");
        Self { hash, nonce, first_bare }
    }

    /// The client's first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The client's final message, and what the server's must be.
    pub(super) fn answer(
        &self,
        server_first: &str,
        password: &str,
    ) -> Result<(String, Expected), &'static str> {
        let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=").ok_or("the server sent no nonce")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the server's nonce does not continue ours");
        }
        let salt =
            field("s=").and_then(|salt| STANDARD.decode(salt).ok()).ok_or("the server sent no salt")?;
        let rounds: u32 = field("i=").and_then(|i| i.parse().ok()).ok_or("the server sent no rounds")?;
        if !(LEAST_ROUNDS..=MOST_ROUNDS).contains(&rounds) {
            return Err("the server asks for a number of rounds that is unsafe");
        }
        let salted = self.hash.stretch(password.as_bytes(), &salt, rounds);
        let client_key = self.hash.sign(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = self.hash.sign(&self.hash.digest(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server_key = self.hash.sign(&salted, b"Server Key");
        let expected = Expected(self.hash.sign(&server_key, signed.as_bytes()));
        Ok((format!("{without_proof},p={}", STANDARD.encode(proof)), expected))
    }
}

impl Expected {
    /// True if the server proved that it knows the password. Takes the same time wherever a difference is.
    pub(super) fn matches(&self, server_final: &str) -> bool {
        let signature = server_final.split(',').find_map(|part| part.strip_prefix("v="));
        let Some(signature) = signature.and_then(|text| STANDARD.decode(text).ok()) else { return false };
        let differences = signature.iter().zip(&self.0).fold(0, |all, (a, b)| all | (a ^ b));
        signature.len() == self.0.len() && differences == 0
    }
}

impl Hash {
    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    fn sign(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        // HMAC takes keys of every length; the empty answer of the impossible case matches nothing.
        fn mac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
            mac.update(data);
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, data),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, data),
        }
    }

    fn stretch(self, password: &[u8], salt: &[u8], rounds: u32) -> Vec<u8> {
        match self {
            Self::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, rounds).to_vec(),
            Self::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, rounds).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn agrees_with_the_rfc() {
        let scram = Scram::new(Hash::Sha256, "user", "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, expected) = scram.answer(server, "pencil").unwrap();
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(expected.matches("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!expected.matches("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!expected.matches("e=other-error"));
        assert!(!expected.matches("v="));
    }

    #[test]
    fn a_server_that_cheats_is_refused() {
        let scram = Scram::new(Hash::Sha512, "a,b=c", "mine".into());
        assert_eq!(scram.first(), "n,,n=a=2Cb=3Dc,r=mine");
        for server in [
            "r=other,s=AAAA,i=4096",
            "r=mine,s=AAAA,i=4096",
            "r=mine1,s=AAAA,i=1",
            "r=mine1,s=AAAA,i=4000000000",
            "r=mine1,s=?,i=4096",
            "",
        ] {
            assert!(scram.answer(server, "p").is_err(), "{server}");
        }
    }
}
