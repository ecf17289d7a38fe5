//! A connection's way from a stranger to a user.
//!
//! ```text
//!   certificate ───────────────────────────────────────────────┐ at the first request
//!   SaslHandshake(mechanism) ─▶ SaslAuthenticate ─▶ … ─────────┴─▶ user ─▶ cut off when the user is no more
//! ```
//!
//! What must stay true: a user is set once, and is current when it is set; who has shown a certificate and logs in besides is who
//! logged in, or nobody. A session lasts as long as its connection (a lifetime of 0, for which KIP-368 has nobody log in again),
//! because a user who may no longer is cut off at once.

use super::needs::{self, Need};
use super::{Guard, Login, Step, User};
use kafka_protocol::messages::ApiKey;
use parking_lot::Mutex;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::sleep;

/// Who is at the other end of a connection.
pub(in crate::server) struct Session {
    guard: Option<Guard>,
    is_encrypted: bool,
    /// Whose certificate was shown.
    shown: Option<Arc<User>>,
    user: OnceLock<Arc<User>>,
    /// The exchange that is under way.
    login: Mutex<Option<Box<dyn Login>>>,
}

/// What a step of SASL comes to.
#[derive(Debug)]
pub(in crate::server) enum Said {
    /// The client is told this.
    On(Vec<u8>),
    /// It is not let in, and why.
    Refused(&'static str),
    /// There is nothing to go on with: no guard, no mechanism chosen, or a user already.
    OutOfTurn,
}

impl Session {
    /// Of a connection before which this guard stands, and which has shown this certificate in TLS.
    pub(in crate::server) fn new(guard: Option<Guard>, certificate: Option<&[u8]>) -> Self {
        let shown = match (&guard, certificate) {
            (Some(guard), Some(certificate)) => guard.users.borrow().by_certificate(certificate),
            _ => None,
        };
        let is_encrypted = guard.as_ref().is_some_and(|guard| guard.tls.is_some());
        Self { guard, is_encrypted, shown, user: OnceLock::new(), login: Mutex::new(None) }
    }

    /// True if this request is served, before anybody looks at what it names.
    pub(in crate::server) fn admits(&self, api: ApiKey) -> bool {
        if self.guard.is_none() || self.user.get().is_some() || needs::is_for_strangers(api) {
            return true;
        }
        self.shown.as_ref().is_some_and(|user| self.become_user(Arc::clone(user)))
    }

    /// True if whoever is there may send requests of every size: nobody asks, they have logged in, or shown a certificate, with
    /// which the first request may be a large one.
    pub(in crate::server) fn is_known(&self) -> bool {
        self.guard.is_none() || self.user.get().is_some() || self.shown.is_some()
    }

    /// True if this request may do that to what is called so.
    pub(in crate::server) fn may(&self, api: ApiKey, need: Need, name: &str) -> bool {
        self.guard.is_none() || self.user.get().is_some_and(|user| needs::may(&user.rights, api, need, name))
    }

    /// The mechanisms that are offered.
    pub(in crate::server) fn mechanisms(&self) -> Vec<&'static str> {
        self.guard
            .as_ref()
            .map(|guard| guard.users.borrow().mechanisms(self.is_encrypted))
            .unwrap_or_default()
    }

    /// The client chooses a mechanism.
    pub(in crate::server) fn choose(&self, mechanism: &str) -> Said {
        let Some(guard) = self.guard.as_ref().filter(|_| self.user.get().is_none()) else {
            return Said::OutOfTurn;
        };
        let login = guard.users.borrow().login(mechanism, self.is_encrypted);
        let is_offered = login.is_some();
        *self.login.lock() = login;
        if is_offered { Said::On(Vec::new()) } else { Said::Refused("its mechanism is not offered") }
    }

    /// The client says something in its mechanism.
    pub(in crate::server) fn hear(&self, said: &[u8]) -> Said {
        let mut under_way = self.login.lock();
        let Some(mut login) = under_way.take() else { return Said::OutOfTurn };
        match login.step(said) {
            Step::Continue(answer) => {
                *under_way = Some(login);
                Said::On(answer)
            }
            Step::Known(answer, user) if self.become_user(Arc::clone(&user)) => Said::On(answer),
            Step::Known(..) => Said::Refused("its user is no more"),
            Step::Refused(why) => Said::Refused(why),
        }
    }

    fn become_user(&self, user: Arc<User>) -> bool {
        let is_current = self.guard.as_ref().is_some_and(|guard| guard.users.borrow().is_current(&user));
        is_current && self.user.set(user).is_ok()
    }

    /// Returns, with the reason, when this connection has to end: nobody logged in in time, or who did is no more.
    pub(in crate::server) async fn ends(&self, patience: Duration) -> &'static str {
        let Some(guard) = &self.guard else { return pending().await };
        let mut users = guard.users.clone();
        let (mut is_fed, mut is_waited_for) = (true, true);
        let late = sleep(patience);
        tokio::pin!(late);
        loop {
            tokio::select! {
                () = &mut late, if is_waited_for => {
                    is_waited_for = false;
                    if self.user.get().is_none() && self.shown.is_none() {
                        return "nobody logged in in time";
                    }
                }
                changed = users.changed(), if is_fed => {
                    is_fed = changed.is_ok();
                    if self.user.get().is_some_and(|user| !users.borrow_and_update().is_current(user)) {
                        return "its user is no more, or has other rights now";
                    }
                }
                else => return pending().await,
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.get().map(|user| user.name.as_str());
        out.debug_struct("Session").field("user", &user).finish_non_exhaustive()
    }
}
