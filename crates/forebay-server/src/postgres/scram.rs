//! SCRAM as PostgreSQL has it: which mechanisms are offered, and to what a client may bind itself. The words are
//! [`forebay_core::scram`]'s, the keys [`crate::auth`]'s.
//!
//! ```text
//! client first   n,,n=USER,r=NONCE                 or  p=tls-server-end-point,,n=USER,r=NONCE
//! ```
//!
//! What must stay true: a client that binds itself to the channel is held to the certificate that this very connection was
//! made with; one that could, and was made to believe that the server cannot, is refused (a downgrade by somebody between);
//! the name that counts is that of the start, so the one in here is not looked at.

use forebay_core::scram::{ClientFirst, ScramError, ScramExchange};

use super::sqlstate::{NOT_ALLOWED, PROTOCOL, Refusal};
use crate::auth::scram::Login;

const BARE: &str = "SCRAM-SHA-256";
const PLUS: &str = "SCRAM-SHA-256-PLUS";
/// RFC 5929: the hash of the server's certificate.
const BINDING: &str = "tls-server-end-point";

/// The mechanisms that are offered, best first, as the protocol lists them. `end_point` is what a client may bind itself to.
pub(super) fn mechanisms(end_point: Option<&[u8]>) -> Vec<u8> {
    let plus = end_point.map(|_| PLUS);
    let mut list: Vec<u8> =
        plus.into_iter().chain([BARE]).flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect();
    list.push(0);
    list
}

/// An exchange whose client has said its first words.
pub(super) struct Exchange(ScramExchange);

impl Exchange {
    /// Hears the client's first words; they, and what it is answered.
    pub fn begin(
        mechanism: &str,
        first: &[u8],
        end_point: Option<&[u8]>,
        login: &Login,
        nonce: &str,
    ) -> Result<(Self, String), Refusal> {
        let first = ClientFirst::parse(first).map_err(refusal)?;
        let bound: &[u8] = match (mechanism, first.flag.strip_prefix("p="), end_point) {
            (PLUS, Some(BINDING), Some(end_point)) => end_point,
            (PLUS, Some(_), Some(_)) => {
                return Err(Refusal::new(PROTOCOL, "unsupported SCRAM channel-binding type"));
            }
            (BARE, None, Some(_)) if first.flag == "y" => {
                let message = "SCRAM channel binding negotiation error";
                let hint = "The client can bind itself to the channel and thinks that this server cannot, which it \
                            can: somebody between may have made it think so.";
                return Err(Refusal::new(NOT_ALLOWED, message).hint(hint));
            }
            (BARE, None, _) if matches!(first.flag, "n" | "y") => &[],
            _ => {
                let why = "its channel binding does not belong to its mechanism";
                return Err(refusal(ScramError::Malformed(why)));
            }
        };
        let (exchange, answer) = first.answer(&login.verifier, nonce, bound);
        Ok((Self(exchange), answer))
    }

    /// Hears its last words; the server's, if the client proved that it has the password.
    pub fn finish(self, last: &[u8], login: &Login) -> Result<Option<String>, Refusal> {
        self.0.finish(last, &login.verifier).map_err(refusal)
    }
}

fn refusal(error: ScramError) -> Refusal {
    match error {
        ScramError::Malformed(_) => Refusal::new(PROTOCOL, error.to_string()),
        ScramError::AuthorizationIdentity => Refusal::new("0A000", error.to_string()),
        ScramError::ChannelBinding => {
            let hint = "The client sees another certificate than this server's: somebody is between, or something that ends TLS.";
            Refusal::new(NOT_ALLOWED, error.to_string()).hint(hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::auth::scram::tests::proof;
    use crate::tests::sessions::File;

    const HASH: &[u8] = &[9; 32];

    fn talk(
        password: &str,
        mechanism: &str,
        flag: &str,
        end_point: Option<&[u8]>,
        bound: &[u8],
    ) -> Result<bool, String> {
        let file = File::new();
        let password = if password == "right" { file.token("viewer") } else { password.to_owned() };
        let login = file.open().login("viewer", 0);
        let first = format!("{flag},,n=*,r=abc");
        let told = |refusal: Refusal| refusal.message;
        let (exchange, answer) =
            Exchange::begin(mechanism, first.as_bytes(), end_point, &login, "xyz").map_err(told)?;
        assert!(answer.starts_with("r=abcxyz,s=") && answer.ends_with(",i=4096"), "{answer}");
        let channel = STANDARD.encode([flag.as_bytes(), b",,", bound].concat());
        let without = format!("c={channel},r=abcxyz");
        let proof = proof(&password, &login.verifier, &format!("n=*,r=abc,{answer},{without}"));
        let last = format!("{without},p={}", STANDARD.encode(proof));
        Ok(exchange.finish(last.as_bytes(), &login).map_err(told)?.is_some())
    }

    #[test]
    fn who_has_the_password_is_bound_to_the_channel_where_it_can_be() {
        let bound = "p=tls-server-end-point";
        assert_eq!(talk("right", BARE, "n", None, b""), Ok(true));
        assert_eq!(talk("right", BARE, "y", None, b""), Ok(true));
        assert_eq!(talk("right", BARE, "n", Some(HASH), b""), Ok(true));
        assert_eq!(talk("right", PLUS, bound, Some(HASH), HASH), Ok(true));
        assert_eq!(talk("wrong", BARE, "n", None, b""), Ok(false));
        assert_eq!(talk("wrong", PLUS, bound, Some(HASH), HASH), Ok(false));
        for (mechanism, flag, end_point, hash, part) in [
            (BARE, "y", Some(HASH), &b""[..], "negotiation error"),
            (PLUS, bound, Some(HASH), &[8; 32], "check failed"),
            (PLUS, bound, Some(HASH), b"", "check failed"),
            (PLUS, bound, None, HASH, "malformed"),
            (PLUS, "n", Some(HASH), b"", "malformed"),
            (BARE, bound, Some(HASH), HASH, "malformed"),
            (PLUS, "p=tls-unique", Some(HASH), HASH, "channel-binding type"),
            ("PLAIN", "n", None, b"", "malformed"),
        ] {
            let refused = talk("right", mechanism, flag, end_point, hash).unwrap_err();
            assert!(refused.contains(part), "{mechanism} {flag}: {refused}");
        }
        assert_eq!(mechanisms(None), b"SCRAM-SHA-256\0\0");
        assert_eq!(mechanisms(Some(HASH)), b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
    }

    #[test]
    fn words_that_are_none_are_refused() {
        let file = File::new();
        let auth = file.open();
        let login = auth.login("viewer", 0);
        let begin = |first: &[u8]| Exchange::begin(BARE, first, None, &login, "xyz");
        for first in [
            &b""[..],
            b"n",
            b"n,,",
            b"n,a=x,n=*,r=a",
            b"n,,r=a",
            b"n,,n=*",
            b"n,,n=*,r=",
            b"n,,m=x,n=*,r=a",
            b"\xff,,",
        ] {
            assert!(begin(first).is_err(), "{first:?}");
        }
        let good = STANDARD.encode([0; 32]);
        for last in [
            String::new(),
            format!("c=biws,r=abcxyz,p={}", &good[4..]),
            format!("c=biws,r=abcxyy,p={good}"),
            format!("c=eSws,r=abcxyz,p={good}"),
            format!("r=abcxyz,p={good}"),
            "c=biws,r=abcxyz".to_owned(),
        ] {
            let (exchange, _) = begin(b"n,,n=*,r=abc").unwrap_or_else(|_| panic!("a good start"));
            assert!(exchange.finish(last.as_bytes(), &login).is_err(), "{last}");
        }
    }
}
