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
use forebay_core::scram::{LEAST_ITERATIONS, MOST_ITERATIONS, ScramHash};
use subtle::ConstantTimeEq;

/// One exchange, after the client's first message.
#[derive(Debug)]
pub(super) struct Scram {
    hash: ScramHash,
    nonce: String,
    first_bare: String,
}

/// What the server must prove.
#[derive(Debug)]
pub(super) struct Expected(Vec<u8>);

impl Scram {
    /// `nonce` is printable text without commas that nobody used before.
    pub(super) fn new(hash: ScramHash, username: &str, nonce: String) -> Self {
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
        if !(LEAST_ITERATIONS..=MOST_ITERATIONS).contains(&rounds) {
            return Err("the server asks for a number of rounds that is unsafe");
        }
        let salted = self.hash.stretch(password.as_bytes(), &salt, rounds);
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let proof = self.hash.proof(&salted, &signed);
        let expected = Expected(self.hash.sign(&self.hash.server_key(&salted), &[signed.as_bytes()]));
        Ok((format!("{without_proof},p={}", STANDARD.encode(proof)), expected))
    }
}

impl Expected {
    /// True if the server proved that it knows the password. Takes the same time wherever a difference is.
    pub(super) fn matches(&self, server_final: &str) -> bool {
        let signature = server_final.split(',').find_map(|part| part.strip_prefix("v="));
        let Some(signature) = signature.and_then(|text| STANDARD.decode(text).ok()) else { return false };
        signature.ct_eq(&self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn agrees_with_the_rfc() {
        let scram = Scram::new(ScramHash::Sha256, "user", "rOprNGfwEbeRWgbNEkqO".into());
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
        let scram = Scram::new(ScramHash::Sha512, "a,b=c", "mine".into());
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
