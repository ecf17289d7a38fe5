//! The file of tokens, and that a change of it counts within a second.
//!
//! What must stay true: a file that cannot be read lets nobody in who was not in already, and shuts nobody out: what was
//! read last stays, and the log says so at level error until it is mended.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_core::config::{self, Role, ScramVerifier, TokenConfig};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::read_regular;
use parking_lot::RwLock;
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use super::Person;
use super::scram::{self, Who};
use super::secret::Hash;
use crate::permissions;

/// The tokens as they were read last.
pub(super) struct Tokens {
    path: PathBuf,
    read: RwLock<Read>,
}

struct Read {
    /// What the file held when it was last looked at, sound or not.
    seen: Option<String>,
    tokens: Vec<Token>,
}

struct Token {
    name: Arc<str>,
    role: Role,
    hash: Hash,
    scram: Option<ScramVerifier>,
    expires_ms: Option<i64>,
    ended: CancellationToken,
}

/// What is known of a token.
pub(super) enum Found {
    Person(Person),
    Expired,
    Nobody,
}

impl Tokens {
    pub fn open(path: PathBuf, now_ms: i64) -> Result<Self> {
        let text = text_of(&path)?;
        let configs = parse(&path, &text)?;
        warn_of_readers(&path);
        if configs.is_empty() {
            tracing::warn!(file = %path.display(), "the file of --auth has no token, so nobody may ask");
        }
        let tokens = configs.into_iter().map(|config| Token::new(config, &[], now_ms)).collect();
        Ok(Self { path, read: RwLock::new(Read { seen: Some(text), tokens }) })
    }

    /// Whose this hash is. Every entry is compared in constant time, and none is left out once one fits.
    pub fn find(&self, hash: &Hash, now_ms: i64) -> Found {
        let read = self.read.read();
        let mut found = Found::Nobody;
        for token in &read.tokens {
            if bool::from(token.hash.ct_eq(hash)) {
                found = if token.is_over(now_ms) { Found::Expired } else { Found::Person(token.person()) };
            }
        }
        found
    }

    /// Who has this name, and what they must prove.
    pub fn named(&self, name: &str, now_ms: i64) -> (Who, Option<ScramVerifier>) {
        let read = self.read.read();
        match read.tokens.iter().find(|token| &*token.name == name) {
            None => (Who::Nobody, None),
            Some(Token { scram: None, .. }) => (Who::Unprepared, None),
            Some(token) if token.is_over(now_ms) => (Who::Expired, token.scram.clone()),
            Some(token) => (Who::Person(token.person()), token.scram.clone()),
        }
    }

    /// What nobody of this name can prove.
    pub fn mock(&self, name: &str) -> ScramVerifier {
        let read = self.read.read();
        scram::mock(&read.tokens.first().map(|token| token.hash).unwrap_or_default(), name)
    }

    /// The person behind a session's token.
    pub fn person(&self, hash: &Hash, now_ms: i64) -> Option<Person> {
        match self.find(hash, now_ms) {
            Found::Person(person) => Some(person),
            Found::Expired | Found::Nobody => None,
        }
    }

    /// Reads the file if it holds something else than before, and ends what has expired.
    pub fn refresh(&self, now_ms: i64) {
        let text = text_of(&self.path);
        let mut read = self.read.write();
        match text {
            Ok(text) if read.seen.as_deref() == Some(text.as_str()) => {}
            Ok(text) => {
                match parse(&self.path, &text) {
                    Ok(configs) => {
                        tracing::info!(file = %self.path.display(), tokens = configs.len(), "the file of tokens was read anew");
                        read.replace(configs, now_ms);
                    }
                    Err(error) => kept(&error),
                }
                read.seen = Some(text);
            }
            // Told once, not each second.
            Err(error) if read.seen.take().is_some() => kept(&error),
            Err(_) => {}
        }
        for token in read.tokens.iter().filter(|token| token.is_over(now_ms)) {
            token.ended.cancel();
        }
    }
}

fn kept(error: &Error) {
    tracing::error!(%error, "the file of tokens cannot be used; the tokens that were read before still count");
}

impl Read {
    fn replace(&mut self, configs: Vec<TokenConfig>, now_ms: i64) {
        let before = std::mem::take(&mut self.tokens);
        self.tokens = configs.into_iter().map(|config| Token::new(config, &before, now_ms)).collect();
        let is_gone = |old: &&Token| self.tokens.iter().all(|new| new.hash != old.hash);
        before.iter().filter(is_gone).for_each(|old| old.ended.cancel());
    }
}

impl Token {
    /// Streams and sessions of a token that was there before go on.
    fn new(config: TokenConfig, before: &[Self], now_ms: i64) -> Self {
        let TokenConfig { name, role, sha256: hash, scram, expires_ms } = config;
        let old = before.iter().find(|old| old.hash == hash && !old.ended.is_cancelled());
        let ended = old.map(|old| old.ended.clone()).unwrap_or_default();
        let token = Self { name: name.into(), role, hash, scram, expires_ms, ended };
        if token.is_over(now_ms) {
            token.ended.cancel();
        }
        token
    }

    fn is_over(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|expires| expires <= now_ms)
    }

    fn person(&self) -> Person {
        Person { name: Arc::clone(&self.name), role: self.role, ended: self.ended.clone() }
    }
}

/// Reads a file of tokens as the server would.
///
/// # Errors
/// `TOKENS` if it cannot be read or others may write to it; else the first of what is wrong in it, with its place.
pub fn read_tokens(path: &Path) -> Result<Vec<TokenConfig>> {
    parse(path, &text_of(path)?)
}

/// The text of a file that says who may use something, as it is.
///
/// # Errors
/// `TOKENS` if it cannot be read or others than its owner may write to it.
pub fn read_users_file(path: &Path) -> Result<String> {
    text_in(path, "file of users")
}

fn text_of(path: &Path) -> Result<String> {
    text_in(path, "file of tokens")
}

fn text_in(path: &Path, what: &str) -> Result<String> {
    let bytes = read_regular(path, permissions::MOST_BYTES);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    let text = text.map_err(|error| {
        Error::new(&codes::TOKENS, format!("the {what} cannot be read")).at(path.display()).caused_by(error)
    })?;
    if permissions::others_may(path, permissions::WRITE) {
        let message = format!("others than its owner may write to the {what}");
        return Err(Error::new(&codes::TOKENS, message)
            .at(path.display())
            .with_hint("Who can write to it can let anybody in. `chmod 600` leaves it to its owner."));
    }
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<Vec<TokenConfig>> {
    config::parse_tokens(text, &path.display().to_string()).map_err(|problems| {
        let more = problems.len().saturating_sub(1);
        let first = problems.into_iter().next().map(|problem| problem.error);
        let first =
            first.unwrap_or_else(|| Error::new(&codes::INTERNAL, "the file was refused without a reason"));
        if more > 0 { first.with_detail(format_args!("and {more} more problems in it")) } else { first }
    })
}

/// Hashes of random tokens let nobody in, so who can read them is no reason to refuse; but names and roles are
/// nobody's business either.
fn warn_of_readers(path: &Path) {
    if permissions::others_may(path, permissions::READ) {
        tracing::warn!(file = %path.display(), "everybody on this machine may read the file of tokens: names, roles and hashes; `chmod 600` leaves it to its owner");
    }
}
