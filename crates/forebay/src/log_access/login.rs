//! The mechanisms of SASL: PLAIN over TLS, SCRAM-SHA-256 and SCRAM-SHA-512 everywhere.
//!
//! What must stay true: a token is taken in the clear only inside of TLS; a name that is not there is answered as one that is, to
//! the end; nobody logs in for somebody else.

use std::sync::Arc;

use forebay_core::config::ScramVerifier;
use forebay_core::scram::{ClientFirst, ScramError, ScramExchange, ScramHash};
use forebay_log::server::access::{Login, Step, User};
use uuid::Uuid;

use super::users::LogUsers;

const PLAIN: &str = "PLAIN";

/// Why most are not let in.
const WRONG: &str = "user and token do not belong together, or the user has none for this mechanism";

/// What is offered.
pub fn mechanisms(is_encrypted: bool) -> Vec<&'static str> {
    let plain = is_encrypted.then_some(PLAIN);
    plain.into_iter().chain(ScramHash::ALL.map(ScramHash::mechanism)).collect()
}

/// Begins with one of them.
pub fn begin(users: &LogUsers, mechanism: &str, is_encrypted: bool) -> Option<Box<dyn Login>> {
    if mechanism == PLAIN && is_encrypted {
        return Some(Box::new(Plain(users.clone())));
    }
    let hash = ScramHash::ALL.into_iter().find(|hash| hash.mechanism() == mechanism)?;
    Some(Box::new(Scram::Waits(users.clone(), hash)))
}

/// RFC 4616: for whom, who, the token, with zeros between.
struct Plain(LogUsers);

impl Login for Plain {
    fn step(&mut self, said: &[u8]) -> Step {
        let mut parts = said.split(|byte| *byte == 0);
        let (Some(for_whom), Some(who), Some(token), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Step::Refused("malformed PLAIN message");
        };
        let Ok(name) = std::str::from_utf8(who) else { return Step::Refused(WRONG) };
        if !for_whom.is_empty() && for_whom != who {
            return Step::Refused("it asks to be somebody else than it is");
        }
        self.0.by_token(name, token).map_or(Step::Refused(WRONG), |user| Step::Known(Vec::new(), user))
    }
}

/// RFC 5802, as far as it has come.
enum Scram {
    Waits(LogUsers, ScramHash),
    Begun { exchange: ScramExchange, verifier: ScramVerifier, user: Option<Arc<User>> },
    Over,
}

impl Login for Scram {
    fn step(&mut self, said: &[u8]) -> Step {
        match std::mem::replace(self, Self::Over) {
            Self::Waits(users, hash) => self.begin(&users, hash, said).unwrap_or_else(refused),
            Self::Begun { exchange, verifier, user } => match (exchange.finish(said, &verifier), user) {
                (Ok(Some(words)), Some(user)) => Step::Known(words.into_bytes(), user),
                (Err(error), _) => refused(error),
                _ => Step::Refused(WRONG),
            },
            Self::Over => Step::Refused("its exchange is over"),
        }
    }
}

impl Scram {
    fn begin(&mut self, users: &LogUsers, hash: ScramHash, said: &[u8]) -> Result<Step, ScramError> {
        let first = ClientFirst::parse(said)?;
        // Kafka has no mechanism that is bound to the channel.
        if !matches!(first.flag, "n" | "y") {
            return Err(ScramError::ChannelBinding);
        }
        let (user, verifier) = users.by_name(hash, &first.name()?);
        let nonce = Uuid::new_v4().simple().to_string();
        let (exchange, answer) = first.answer(&verifier, &nonce, b"");
        // The clients of librdkafka before 2.6.1 are too many to be shut out for a mistake that costs nothing.
        let exchange = exchange.with_doubled_nonce(&first);
        *self = Self::Begun { exchange, verifier, user };
        Ok(Step::Continue(answer.into_bytes()))
    }
}

/// For the server's log; told from a wrong token, so that a client that is wrong itself is found out.
fn refused(error: ScramError) -> Step {
    Step::Refused(match error {
        ScramError::Malformed(why) => why,
        ScramError::AuthorizationIdentity => "it asks to be somebody else than it is",
        ScramError::ChannelBinding => "it wants to be bound to the channel, for which Kafka has no mechanism",
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use forebay_core::config::LogUserConfig;

    use super::super::users::tests::{TOKEN, config};
    use super::*;

    fn users() -> LogUsers {
        let certified =
            LogUserConfig { name: "cert".into(), certificate: Some("c".into()), ..LogUserConfig::default() };
        LogUsers::new(vec![config("ana"), certified], &LogUsers::default())
    }

    fn known(step: Step) -> Option<String> {
        match step {
            Step::Known(_, user) => Some(user.name.clone()),
            _ => None,
        }
    }

    #[test]
    fn plain_needs_tls_and_takes_the_token_of_who_says_it() {
        assert!(begin(&users(), PLAIN, false).is_none() && !mechanisms(false).contains(&PLAIN));
        assert_eq!(mechanisms(true), ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
        let say = |words: String| known(begin(&users(), PLAIN, true).unwrap().step(words.as_bytes()));
        assert_eq!(say(format!("\0ana\0{TOKEN}")).as_deref(), Some("ana"));
        assert_eq!(say(format!("ana\0ana\0{TOKEN}")).as_deref(), Some("ana"));
        for wrong in [
            String::new(),
            format!("bob\0ana\0{TOKEN}"),
            format!("\0bob\0{TOKEN}"),
            format!("\0cert\0{TOKEN}"),
            "\0ana\0".to_owned(),
            format!("\0ana\0{TOKEN}\0"),
            format!("ana\0{TOKEN}"),
        ] {
            assert_eq!(say(wrong.clone()), None, "{wrong:?}");
        }
    }

    /// What a client that has this token comes to; the server's last words if it is let in.
    fn scram(hash: ScramHash, name: &str, token: &str) -> Option<(String, String)> {
        let mut login = begin(&users(), hash.mechanism(), false).unwrap();
        let Step::Continue(answer) = login.step(format!("n,,n={name},r=abc").as_bytes()) else { return None };
        let answer = String::from_utf8(answer).unwrap();
        let field = |name: &str| answer.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
        let salted = hash.stretch(
            token.as_bytes(),
            &STANDARD.decode(field("s=")).unwrap(),
            field("i=").parse().unwrap(),
        );
        let without = format!("c=biws,r={}", field("r="));
        let said = format!("n={name},r=abc,{answer},{without}");
        let last = format!("{without},p={}", STANDARD.encode(hash.proof(&salted, &said)));
        let step = login.step(last.as_bytes());
        assert_eq!(known(login.step(last.as_bytes())), None, "once");
        match step {
            Step::Known(words, user) => Some((user.name.clone(), String::from_utf8(words).unwrap())),
            _ => None,
        }
    }

    #[test]
    fn scram_lets_in_who_has_the_token_and_answers_all_others_alike() {
        for hash in ScramHash::ALL {
            let (name, words) = scram(hash, "ana", TOKEN).unwrap();
            assert!(name == "ana" && words.starts_with("v="));
            for (name, token) in [("ana", "fb_wrong"), ("bob", TOKEN), ("cert", TOKEN)] {
                assert_eq!(scram(hash, name, token), None, "{name}");
            }
            for first in ["p=tls-unique,,n=ana,r=abc", "n,a=bob,n=ana,r=abc", "n,,n=ana", ""] {
                let mut login = begin(&users(), hash.mechanism(), true).unwrap();
                assert!(matches!(login.step(first.as_bytes()), Step::Refused(_)), "{first}");
            }
        }
    }
}
