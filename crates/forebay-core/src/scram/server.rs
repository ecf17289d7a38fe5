//! The words of SCRAM (RFC 5802) as a server hears and says them.
//!
//! ```text
//! client first   n,,n=USER,r=NONCE                 n, y, or p=TYPE: whether it is bound to the channel
//! server first   r=NONCE+OURS,s=SALT,i=ITERATIONS
//! client final   c=GS2+BINDING,r=NONCE+OURS,p=PROOF
//! server final   v=SIGNATURE
//! ```
//!
//! What must stay true: a client must say again, signed, how it is bound; whatever is not these words is refused. Whether a client
//! may be bound, or must, is its caller's to say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ScramVerifier;

/// Why an exchange ends early. None of these tells anything of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// Other words.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// The client asks to act for somebody else.
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    /// The client is bound to another channel than this one.
    #[error("SCRAM channel binding check failed")]
    ChannelBinding,
}

/// A client's first words.
#[derive(Clone, Copy, Debug)]
pub struct ClientFirst<'a> {
    /// How the client is bound to the channel: `n` or `y` for not at all, else `p=` and the type.
    pub flag: &'a str,
    bare: &'a str,
    name: &'a str,
    nonce: &'a str,
}

/// An exchange whose client has said its first words and was answered.
#[derive(Debug)]
pub struct ScramExchange {
    /// What both have said, without the client's last words.
    said: String,
    nonce: String,
    /// The same as librdkafka wrote it for years, where that is taken.
    doubled: Option<String>,
    /// What the client must say it is bound to.
    channel: String,
}

impl<'a> ClientFirst<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(said: &'a [u8]) -> Result<Self, ScramError> {
        let said = std::str::from_utf8(said).map_err(|_| ScramError::Malformed("it is not UTF-8"))?;
        let mut parts = said.splitn(3, ',');
        let (Some(flag), Some(other), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ScramError::Malformed("its first message is too short"));
        };
        if !other.is_empty() {
            return Err(ScramError::AuthorizationIdentity);
        }
        let mut attributes = bare.split(',');
        let name = attributes.next().and_then(|name| name.strip_prefix("n="));
        let name = name.ok_or(ScramError::Malformed("its first message has no name"))?;
        let is_plain = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r=")).filter(is_plain);
        let nonce = nonce.ok_or(ScramError::Malformed("its first message has no nonce"))?;
        Ok(Self { flag, bare, name, nonce })
    }

    /// Who the client says it is.
    ///
    /// # Errors
    /// `Malformed` for a name with an escape that is none.
    pub fn name(&self) -> Result<String, ScramError> {
        let name = self.name.replace("=2C", ",");
        let is_escaped = name.split("=3D").all(|part| !part.contains('='));
        let name = is_escaped.then(|| name.replace("=3D", "="));
        name.ok_or(ScramError::Malformed("its name has an escape that is none"))
    }

    /// What the client is answered, with `ours` behind its nonce; `bound` is what it must say it is bound to.
    pub fn answer(&self, verifier: &ScramVerifier, ours: &str, bound: &[u8]) -> (ScramExchange, String) {
        let nonce = format!("{}{ours}", self.nonce);
        let answer = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let channel = STANDARD.encode([self.flag.as_bytes(), b",,", bound].concat());
        (ScramExchange { said: format!("{},{answer}", self.bare), nonce, doubled: None, channel }, answer)
    }
}

impl ScramExchange {
    /// Takes the client's own nonce twice before the server's too: so librdkafka wrote it before 2.6.1. The proof covers what was
    /// written and the server's own words, so it is worth as much.
    #[must_use]
    pub fn with_doubled_nonce(self, first: &ClientFirst<'_>) -> Self {
        let doubled = Some(format!("{}{}", first.nonce, self.nonce));
        Self { doubled, ..self }
    }

    /// Hears the client's last words; gives the server's, if the client proved that it has the secret.
    ///
    /// # Errors
    /// Where it said something else.
    pub fn finish(self, last: &[u8], verifier: &ScramVerifier) -> Result<Option<String>, ScramError> {
        let last = std::str::from_utf8(last).map_err(|_| ScramError::Malformed("it is not UTF-8"))?;
        let (without, proof) =
            last.rsplit_once(",p=").ok_or(ScramError::Malformed("its last message has no proof"))?;
        let signature = verifier.hash.size();
        let proof = STANDARD.decode(proof).ok().filter(|proof| proof.len() == signature);
        let proof = proof.ok_or(ScramError::Malformed("its proof has another length"))?;
        let mut attributes = without.split(',');
        let channel = attributes.next().and_then(|part| part.strip_prefix("c="));
        if channel.ok_or(ScramError::Malformed("its last message has no channel"))? != self.channel {
            return Err(ScramError::ChannelBinding);
        }
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        if nonce != Some(&self.nonce) && (nonce.is_none() || nonce != self.doubled.as_deref()) {
            return Err(ScramError::Malformed("its nonce is another than the server's"));
        }
        let said = format!("{},{without}", self.said);
        let signature = || format!("v={}", STANDARD.encode(verifier.server_signature(&said)));
        Ok(verifier.is_proof(&said, &proof).then(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LEAST_ITERATIONS, ScramHash};
    use super::*;

    #[test]
    fn who_has_the_secret_is_let_in_by_both_mechanisms_and_nobody_else() {
        for hash in ScramHash::ALL {
            let verifier = ScramVerifier::of(hash, "right", &[7; 16], LEAST_ITERATIONS);
            for (password, is_in) in [("right", true), ("wrong", false), ("", false)] {
                let first = ClientFirst::parse(b"n,,n=a=2Cb=3Dc,r=abc").unwrap();
                assert_eq!((first.flag, first.name().as_deref()), ("n", Ok("a,b=c")));
                let (exchange, answer) = first.answer(&verifier, "xyz", b"");
                assert!(answer.starts_with("r=abcxyz,s=") && answer.ends_with(",i=4096"), "{answer}");
                let said = format!("n=a=2Cb=3Dc,r=abc,{answer},c=biws,r=abcxyz");
                let salted = hash.stretch(password.as_bytes(), &verifier.salt, verifier.iterations);
                let last = format!("c=biws,r=abcxyz,p={}", STANDARD.encode(hash.proof(&salted, &said)));
                let finished = exchange.finish(last.as_bytes(), &verifier).unwrap();
                assert_eq!(finished.is_some(), is_in, "{password}");
            }
        }
    }

    #[test]
    fn a_nonce_that_is_written_twice_is_taken_where_it_is_said_and_proves_as_much() {
        let hash = ScramHash::Sha256;
        let verifier = ScramVerifier::of(hash, "right", &[7; 16], LEAST_ITERATIONS);
        let first = ClientFirst::parse(b"n,,n=ana,r=abc").unwrap();
        let finish = |nonce: &str, password: &str, takes: bool| {
            let (exchange, answer) = first.answer(&verifier, "xyz", b"");
            let exchange = if takes { exchange.with_doubled_nonce(&first) } else { exchange };
            let salted = hash.stretch(password.as_bytes(), &verifier.salt, verifier.iterations);
            let said = format!("n=ana,r=abc,{answer},c=biws,r={nonce}");
            let last = format!("c=biws,r={nonce},p={}", STANDARD.encode(hash.proof(&salted, &said)));
            exchange.finish(last.as_bytes(), &verifier).map(|words| words.is_some())
        };
        assert_eq!(finish("abcxyz", "right", true), Ok(true));
        assert_eq!(finish("abcabcxyz", "right", true), Ok(true));
        assert_eq!(finish("abcabcxyz", "wrong", true), Ok(false));
        assert!(finish("abcabcxyz", "right", false).is_err());
        for other in ["abc", "xyz", "abcabc", "xxxabcxyz", "abcabcabcxyz", ""] {
            assert!(finish(other, "right", true).is_err(), "{other}");
        }
    }

    #[test]
    fn words_that_are_none_are_refused() {
        for first in
            [&b""[..], b"n", b"n,,", b"n,,r=a", b"n,,n=*", b"n,,n=*,r=", b"n,,m=x,n=*,r=a", b"\xff,,"]
        {
            assert!(matches!(ClientFirst::parse(first), Err(ScramError::Malformed(_))), "{first:?}");
        }
        assert_eq!(ClientFirst::parse(b"n,a=x,n=*,r=a").unwrap_err(), ScramError::AuthorizationIdentity);
        for name in ["=", "a=2c", "=2D", "a=3"] {
            let first = format!("n,,n={name},r=abc");
            assert!(ClientFirst::parse(first.as_bytes()).unwrap().name().is_err(), "{name}");
        }
        let verifier = ScramVerifier::of(ScramHash::Sha512, "right", &[7; 16], LEAST_ITERATIONS);
        let good = STANDARD.encode([0; 64]);
        for (last, channel) in [
            (String::new(), false),
            (format!("c=biws,r=abcxyz,p={}", &good[4..]), false),
            (format!("c=biws,r=abcxyy,p={good}"), false),
            (format!("c=eSws,r=abcxyz,p={good}"), true),
            (format!("r=abcxyz,p={good}"), false),
            ("c=biws,r=abcxyz".to_owned(), false),
        ] {
            let (exchange, _) = ClientFirst::parse(b"n,,n=*,r=abc").unwrap().answer(&verifier, "xyz", b"");
            let refused = exchange.finish(last.as_bytes(), &verifier).unwrap_err();
            assert_eq!(refused == ScramError::ChannelBinding, channel, "{last}");
        }
    }
}
