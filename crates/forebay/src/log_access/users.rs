//! The users of the log, as they were read last.
//!
//! What must stay true: a user that a new file has as it was is the same, so its connections go on; any other is somebody else, so
//! they end. A name that is not there looks like one that is; every comparison of secrets takes constant time.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use forebay_core::config::{LogUserConfig, ScramVerifier, is_token};
use forebay_core::scram::ScramHash;
use forebay_gateway::tls::common_name;
use forebay_log::server::access::{Login, Patterns, Rights, TopicRights, User, Users};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::login;

/// See the module.
#[derive(Clone, Default)]
pub struct LogUsers(Arc<Table>);

#[derive(Default)]
struct Table {
    by_name: HashMap<String, Entry>,
    /// A secret of the file, for what names that are not there are answered.
    mock: [u8; 32],
}

struct Entry {
    config: LogUserConfig,
    user: Arc<User>,
}

impl LogUsers {
    /// These; those that were `before` as they are now stay the same.
    pub fn new(configs: Vec<LogUserConfig>, before: &Self) -> Self {
        let secret = |user: &LogUserConfig| match (&user.sha256, &user.scram, &user.scram512) {
            (Some(hash), _, _) => Some(hash.to_vec()),
            (_, Some(scram), _) | (_, _, Some(scram)) => Some(scram.to_string().into_bytes()),
            (None, None, None) => None,
        };
        let mock = Sha256::digest(configs.iter().find_map(secret).unwrap_or_default()).into();
        let entry = |config: LogUserConfig| {
            let same = before.0.by_name.get(&config.name).filter(|known| known.config == config);
            let user = same.map(|known| Arc::clone(&known.user));
            let user =
                user.unwrap_or_else(|| Arc::new(User { name: config.name.clone(), rights: rights(&config) }));
            (config.name.clone(), Entry { config, user })
        };
        Self(Arc::new(Table { by_name: configs.into_iter().map(entry).collect(), mock }))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.by_name.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.by_name.is_empty()
    }

    /// For the log's server.
    pub fn shared(&self) -> Arc<dyn Users> {
        Arc::new(self.clone())
    }

    /// Whose name and token these are.
    pub(super) fn by_token(&self, name: &str, token: &[u8]) -> Option<Arc<User>> {
        if !is_token(token) {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let found = self.0.by_name.get(name);
        let known = found.and_then(|entry| entry.config.sha256);
        let fits = bool::from(known.unwrap_or(self.0.mock).ct_eq(&hash)) && known.is_some();
        found.filter(|_| fits).map(|entry| Arc::clone(&entry.user))
    }

    /// Who has this name, if anybody, and what is to be proved.
    pub(super) fn by_name(&self, hash: ScramHash, name: &str) -> (Option<Arc<User>>, ScramVerifier) {
        let found = self.0.by_name.get(name);
        let verifier = found.and_then(|entry| match hash {
            ScramHash::Sha256 => entry.config.scram.clone(),
            ScramHash::Sha512 => entry.config.scram512.clone(),
        });
        match verifier {
            Some(verifier) => (found.map(|entry| Arc::clone(&entry.user)), verifier),
            None => (None, ScramVerifier::mock(hash, &self.0.mock, name)),
        }
    }
}

impl Users for LogUsers {
    fn mechanisms(&self, is_encrypted: bool) -> Vec<&'static str> {
        login::mechanisms(is_encrypted)
    }

    fn login(&self, mechanism: &str, is_encrypted: bool) -> Option<Box<dyn Login>> {
        login::begin(self, mechanism, is_encrypted)
    }

    fn by_certificate(&self, certificate: &[u8]) -> Option<Arc<User>> {
        let name = common_name(certificate)?;
        let is = |entry: &&Entry| entry.config.certificate.as_ref() == Some(&name);
        self.0.by_name.values().find(is).map(|entry| Arc::clone(&entry.user))
    }

    fn is_current(&self, user: &Arc<User>) -> bool {
        self.0.by_name.get(&user.name).is_some_and(|entry| Arc::ptr_eq(&entry.user, user))
    }
}

impl fmt::Debug for LogUsers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LogUsers({})", self.len())
    }
}

fn rights(config: &LogUserConfig) -> Rights {
    let patterns = |patterns: &Vec<String>| Patterns::new(patterns.iter().cloned());
    let topics = &config.topics;
    Rights {
        admin: config.admin,
        topics: TopicRights {
            read: patterns(&topics.read),
            write: patterns(&topics.write),
            create: patterns(&topics.create),
            describe: patterns(&topics.describe),
            alter: patterns(&topics.alter),
            delete: patterns(&topics.delete),
        },
        groups: patterns(&config.groups),
        transactional_ids: patterns(&config.transactional_ids),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const TOKEN: &str = "fb_Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Z";

    /// A user who has [`TOKEN`].
    pub fn config(name: &str) -> LogUserConfig {
        let scram = |hash| Some(ScramVerifier::of(hash, TOKEN, &[7; 16], 4_096));
        LogUserConfig {
            name: name.into(),
            sha256: Some(Sha256::digest(TOKEN).into()),
            scram: scram(ScramHash::Sha256),
            scram512: scram(ScramHash::Sha512),
            ..LogUserConfig::default()
        }
    }

    #[test]
    fn who_is_as_before_is_the_same_and_anybody_else_is_no_more() {
        let changed = LogUserConfig { groups: vec!["g".into()], ..config("bob") };
        let before = LogUsers::new(vec![config("ana"), config("bob"), config("eve")], &LogUsers::default());
        let of = |name| Arc::clone(&before.0.by_name[name].user);
        let (ana, bob, eve) = (of("ana"), of("bob"), of("eve"));
        let after = LogUsers::new(vec![config("ana"), changed], &before);
        assert!(after.is_current(&ana) && !after.is_current(&bob) && !after.is_current(&eve));
        assert!(before.is_current(&bob) && before.is_current(&eve));
    }

    #[test]
    fn a_token_lets_in_whose_it_is_and_nobody_else() {
        let other = TOKEN.replace("Zq7Z", "Zq8Z");
        let users = LogUsers::new(
            vec![config("ana"), LogUserConfig { sha256: None, ..config("bob") }],
            &LogUsers::default(),
        );
        let who =
            |name: &str, token: &str| users.by_token(name, token.as_bytes()).map(|user| user.name.clone());
        assert_eq!(who("ana", TOKEN).as_deref(), Some("ana"));
        for (name, token) in
            [("bob", TOKEN), ("eve", TOKEN), ("", TOKEN), ("ana", ""), ("ana", &other), ("ana", &TOKEN[..45])]
        {
            assert_eq!(who(name, token), None, "{name} {token}");
        }
    }
}
