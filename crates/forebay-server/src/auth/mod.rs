//! Who asks: the tokens of the file of `--auth`, and the sessions of people who signed in on the page with one.
//!
//! ```text
//! file ──(read anew when it changes)──▶ tokens ──▶ person ◀── sessions ◀── POST /api/v1/session
//!                                          ▲ wrong ones: attempts
//! ```
//!
//! What must stay true: only hashes are kept, so nothing here can show a token or the id of a session, not even in a
//! panic; a person's [`ended`](Person::ended) is cancelled the moment their token is revoked or expires, or their
//! session ends, and every stream that they read ends with it; nobody can end the session of anybody else.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use forebay_core::config::{Role, is_token};
use forebay_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;

mod attempts;
mod file;
pub(crate) mod scram;
mod secret;
mod sessions;

pub use file::{read_tokens, read_users_file};
pub use secret::NewToken;
pub(crate) use sessions::LASTS_SECONDS;

use attempts::Attempts;
use file::{Found, Tokens};
use scram::{Login, Who};
use sessions::Sessions;

/// Somebody who may ask.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// As the file names them.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// Cancelled when they may no longer.
    pub ended: CancellationToken,
}

/// The tokens and sessions of a server.
pub(crate) struct Auth {
    tokens: Tokens,
    sessions: Sessions,
    attempts: Attempts,
}

impl Auth {
    /// Reads the file, which must be sound.
    pub fn open(path: PathBuf, now_ms: i64) -> Result<Self, Error> {
        let tokens = Tokens::open(path, now_ms)?;
        Ok(Self { tokens, sessions: Sessions::default(), attempts: Attempts::default() })
    }

    /// Whose token this is. A wrong one counts against the address it comes from; a right one always passes, so that
    /// nobody can shut out others who share an address.
    pub fn by_token(&self, token: &str, peer: IpAddr, now_ms: i64) -> Result<Person, Problem> {
        self.known(token, peer, now_ms).map(|(person, _)| person)
    }

    /// What somebody of this name must prove; a name that is not known looks like one that is.
    pub fn login(&self, name: &str, now_ms: i64) -> Login {
        Login::new(self.tokens.named(name, now_ms), self.tokens.mock(name))
    }

    /// Who has logged in, if what they proved is right. What is wrong counts against the address it comes from.
    pub fn logged_in(&self, login: Login, is_proved: bool, peer: IpAddr, now_ms: i64) -> Option<Person> {
        let what = match (login.who, is_proved) {
            (Who::Person(person), true) => return Some(person),
            (Who::Expired, true) => "this token has expired",
            (Who::Unprepared, _) => {
                "the entry of this token has no `scram`, which PostgreSQL's clients need; make the token anew"
            }
            _ => "this name and token do not belong together",
        };
        if self.attempts.wrong(peer, now_ms) == attempts::Verdict::Told {
            tracing::warn!(%peer, "{what}");
        }
        None
    }

    /// A nonce for an exchange.
    pub fn nonce() -> Result<String, Error> {
        secret::random_text()
    }

    /// Whose session this is, if it has not ended.
    pub fn by_session(&self, id: &str, now_ms: i64) -> Option<Person> {
        let (token, ended) = self.sessions.find(&secret::hash(id), now_ms)?;
        let person = self.tokens.person(&token, now_ms)?;
        Some(Person { ended, ..person })
    }

    /// Begins a session; its id is for the cookie and nobody else.
    pub fn sign_in(&self, token: &str, peer: IpAddr, now_ms: i64) -> Result<(Person, String), Problem> {
        let (person, hash) = self.known(token, peer, now_ms)?;
        let id = secret::random_text()?;
        let ended = self.sessions.begin(secret::hash(&id), hash, &person.ended, now_ms);
        Ok((Person { ended, ..person }, id))
    }

    /// Ends a session, if it is one.
    pub fn sign_out(&self, id: &str) {
        self.sessions.end(&secret::hash(id));
    }

    /// Ends what is over, and reads the file if it has changed. Reads files, so not for the runtime's workers.
    pub fn refresh(&self, now_ms: i64) {
        self.tokens.refresh(now_ms);
        self.sessions.sweep(now_ms);
    }

    fn known(&self, token: &str, peer: IpAddr, now_ms: i64) -> Result<(Person, secret::Hash), Problem> {
        let hash = secret::hash(token);
        let found = if is_token(token.as_bytes()) { self.tokens.find(&hash, now_ms) } else { Found::Nobody };
        let what = match found {
            Found::Person(person) => return Ok((person, hash)),
            Found::Expired => "this token has expired",
            Found::Nobody => "this token is not known",
        };
        match self.attempts.wrong(peer, now_ms) {
            attempts::Verdict::Told => {
                tracing::warn!(%peer, "{what}");
                Err(Problem::sign_in(what)
                    .hint("Ask whoever runs Forebay for one: `forebay token new` makes it."))
            }
            attempts::Verdict::TooMany { wait_seconds } => {
                Err(Problem::too_many("too many wrong tokens came from this address", wait_seconds))
            }
        }
    }
}
