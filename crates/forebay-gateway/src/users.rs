//! The users of a gateway: who they are by token or certificate, and which topics are theirs.
//!
//! A secret is a token of 256 random bits (`forebay token new`), of which the file has the SHA-256: nobody finds one by trying, so
//! a plain hash is enough and costs a connection nothing. What has not the form of a token is refused unseen. Without users everybody
//! who reaches the gateway may everything; the wiring lets such a gateway listen on loopback only.

use std::collections::HashMap;
use std::sync::Arc;

use forebay_core::config::{UserConfig, is_token};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Access, Credentials, Denied, Identity};

/// Who may connect.
#[derive(Debug)]
pub struct Users(Option<HashMap<Arc<str>, UserConfig>>);

impl Users {
    /// These users; `None`: everybody, as the user `anonymous`.
    pub fn new(users: Option<&[UserConfig]>) -> Self {
        let by_name = |users: &[UserConfig]| {
            users.iter().map(|user| (Arc::from(user.name.as_str()), user.clone())).collect()
        };
        Self(users.map(by_name))
    }

    /// True if everybody may connect.
    pub fn is_open(&self) -> bool {
        self.0.is_none()
    }

    fn find(&self, is: impl Fn(&UserConfig) -> bool) -> Option<Identity> {
        let users = self.0.as_ref()?;
        users.iter().find(|(_, user)| is(user)).map(|(name, _)| Identity(Arc::clone(name)))
    }

    fn by_token(&self, secret: &[u8]) -> Option<Identity> {
        if !is_token(secret) {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(secret).into();
        self.find(|user| user.sha256.is_some_and(|known| bool::from(known.ct_eq(&hash))))
    }

    fn allows(
        &self,
        who: &Identity,
        filters: impl Fn(&UserConfig) -> &[String],
        is: impl Fn(&str) -> bool,
    ) -> bool {
        let Some(users) = &self.0 else { return true };
        users.get(&who.0).is_some_and(|user| filters(user).iter().any(|filter| is(filter)))
    }
}

impl Access for Users {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Identity, Denied> {
        if self.is_open() {
            return Ok(Identity("anonymous".into()));
        }
        let by_certificate = || {
            let name = credentials.certificate?;
            self.find(|user| user.certificate.as_deref() == Some(name))
        };
        // A secret that is shown must be right, whatever certificate comes with it.
        let found = match credentials.secret {
            Some(secret) => self.by_token(secret),
            None => by_certificate(),
        };
        found.filter(|who| credentials.user.is_none_or(|user| *user == *who.0)).ok_or(Denied)
    }

    fn may_publish(&self, who: &Identity, client: &str, topic: &str) -> bool {
        self.allows(who, |user| &user.publish, |filter| takes(filter, &who.0, client, topic))
    }

    fn may_subscribe(&self, who: &Identity, client: &str, filter: &str) -> bool {
        self.allows(who, |user| &user.subscribe, |own| covers(own, &who.0, client, filter))
    }
}

/// What a level of a filter stands for; `None` for wildcards.
fn word<'a>(level: &'a str, user: &'a str, client: &'a str) -> Option<&'a str> {
    match level {
        "+" | "#" => None,
        "%u" => Some(user),
        "%c" => Some(client),
        word => Some(word),
    }
}

/// True if the filter takes the topic.
fn takes(filter: &str, user: &str, client: &str, topic: &str) -> bool {
    !topic.contains(['+', '#']) && covers(filter, user, client, topic)
}

/// True if every topic that `asked` takes is taken by `filter`.
fn covers(filter: &str, user: &str, client: &str, asked: &str) -> bool {
    if asked.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = asked.split('/');
    for own in filter.split('/') {
        if own == "#" {
            return true;
        }
        match (word(own, user, client), levels.next()) {
            (_, None | Some("#")) => return false,
            (Some(word), Some(level)) if word != level => return false,
            // A name with a wildcard in it would be one.
            (Some(word), Some(_)) if word.contains(['+', '#']) => return false,
            _ => {}
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "fb_Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7Z";

    fn users() -> Users {
        let user = |name: &str, token: Option<&str>, certificate: Option<&str>| UserConfig {
            name: name.into(),
            sha256: token.map(|token| Sha256::digest(token).into()),
            certificate: certificate.map(str::to_owned),
            publish: vec!["plant/%u/#".into(), "c/%c".into()],
            subscribe: vec!["plant/+/state".into()],
        };
        Users::new(Some(&[user("uno", Some(TOKEN), None), user("ca", None, Some("ca.plant"))]))
    }

    fn shown<'a>(
        user: Option<&'a str>,
        secret: Option<&'a str>,
        certificate: Option<&'a str>,
    ) -> Credentials<'a> {
        Credentials { user, secret: secret.map(str::as_bytes), certificate, client: "x" }
    }

    #[test]
    fn who_shows_the_token_or_certificate_is_let_in_and_nobody_else() {
        let users = users();
        let who = |shown: Credentials<'_>| users.authenticate(&shown).map(|who| who.0.to_string()).ok();
        assert_eq!(who(shown(Some("uno"), Some(TOKEN), None)).as_deref(), Some("uno"));
        assert_eq!(who(shown(None, Some(TOKEN), None)).as_deref(), Some("uno"));
        assert_eq!(who(shown(None, None, Some("ca.plant"))).as_deref(), Some("ca"));
        for none in [
            shown(None, None, None),
            shown(Some("uno"), None, None),
            shown(Some("ca"), Some(TOKEN), None),
            shown(Some("uno"), Some(&TOKEN[..45]), None),
            shown(Some("uno"), Some("secret"), Some("ca.plant")),
            shown(Some("uno"), None, Some("ca.plant")),
            shown(None, None, Some("other")),
        ] {
            assert_eq!(who(none), None, "{none:?}");
        }
        assert!(Users::new(None).authenticate(&shown(None, None, None)).is_ok());
        assert!(Users::new(Some(&[])).authenticate(&shown(None, None, None)).is_err());
    }

    #[test]
    fn topics_are_theirs_by_name_and_client() {
        let users = users();
        let who = Identity("uno".into());
        for (client, topic, may) in [
            ("x", "plant/uno/dht11", true),
            ("x", "plant/uno", true),
            ("x", "plant/due/dht11", false),
            ("x", "c/x", true),
            ("x", "c/y", false),
            ("+", "c/+", false),
            ("a/b", "c/a/b", false),
            ("x", "$SYS/x", false),
            ("x", "plant/uno/+", false),
        ] {
            assert_eq!(users.may_publish(&who, client, topic), may, "{client} {topic}");
        }
        for (filter, may) in [
            ("plant/+/state", true),
            ("plant/a/state", true),
            ("plant/#", false),
            ("plant/+/+", false),
            ("#", false),
            ("plant/a/state/x", false),
        ] {
            assert_eq!(users.may_subscribe(&who, "x", filter), may, "{filter}");
        }
        assert!(!users.may_publish(&Identity("stranger".into()), "x", "plant/uno/a"));
        assert!(Users::new(None).may_publish(&Identity("anonymous".into()), "x", "any"));
    }
}
