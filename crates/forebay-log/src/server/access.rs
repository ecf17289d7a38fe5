//! Who asks, and what is theirs: the guard of a listener.
//!
//! ```text
//!   accept ─ TLS ─ certificate? ─┐
//!                 SASL ──────────┴─▶ User ─▶ Rights ─▶ needs.rs: may this request do that to this topic?
//! ```
//!
//! A server without a guard serves whoever reaches it, which is this machine alone: [`Server::bind`](super::Server::bind) refuses
//! any other address without TLS and users. Who the users are and what they prove comes in through [`Users`]; the log knows names
//! and rights.
//!
//! **What must stay true:** with a guard nobody gets more than versions and SASL before they are a user; what is not listed in
//! their rights is denied; a user that is no more, or is another under the same name, is cut off at once. Without a guard none of
//! this costs a request more than one comparison.

mod needs;
mod rights;
mod session;

pub(super) use needs::Need;
pub(super) use session::{Said, Session};

pub use rights::{Patterns, Rights, TopicRights};

use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;

/// Somebody who may connect.
#[derive(Clone, Debug)]
pub struct User {
    /// How they are called, in logs too.
    pub name: String,
    /// What they may do.
    pub rights: Rights,
}

/// Who may connect, and how they prove who they are.
pub trait Users: fmt::Debug + Send + Sync {
    /// The mechanisms of SASL that are offered, over TLS or in the clear.
    fn mechanisms(&self, is_encrypted: bool) -> Vec<&'static str>;

    /// Begins to hear somebody who wants to log in by this mechanism; `None` if it is not offered.
    fn login(&self, mechanism: &str, is_encrypted: bool) -> Option<Box<dyn Login>>;

    /// Whose certificate this is, in DER. TLS has checked it.
    fn by_certificate(&self, certificate: &[u8]) -> Option<Arc<User>>;

    /// True as long as this user may go on: the same, with the same proofs and rights.
    fn is_current(&self, user: &Arc<User>) -> bool;
}

/// Somebody who is logging in.
pub trait Login: Send {
    /// Hears what the client says, and answers it.
    fn step(&mut self, said: &[u8]) -> Step;
}

/// How a login goes on.
#[derive(Debug)]
pub enum Step {
    /// The client is to go on from this.
    Continue(Vec<u8>),
    /// It is known, and told this.
    Known(Vec<u8>, Arc<User>),
    /// It is not let in; why is for the server's own log, and never told to the client.
    Refused(&'static str),
}

/// What stands before a server.
#[derive(Clone)]
pub struct Guard {
    /// Certificate and key, and whether clients need a certificate; what is sent counts for connections from then on. `None`:
    /// in the clear, which is for this machine alone.
    pub tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    /// Who may connect; what is sent counts at once.
    pub users: watch::Receiver<Arc<dyn Users>>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guard").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}
