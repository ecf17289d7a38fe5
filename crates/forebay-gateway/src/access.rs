//! Who may do what.

use std::fmt;
use std::sync::Arc;

/// What a client says of itself.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// MQTT's user name.
    pub user: Option<&'a str>,
    /// MQTT's password, HTTP's token.
    pub secret: Option<&'a [u8]>,
    /// The common name of the client's certificate, which TLS has proved.
    pub certificate: Option<&'a str>,
    /// MQTT's client id: claimed, not proved.
    pub client: &'a str,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials")
            .field("user", &self.user)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(pub Arc<str>);

/// Not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied;

/// Authentication and access by topic pattern.
pub trait Access: Send + Sync {
    /// Who this is.
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Identity, Denied>;
    /// Whether they may publish to a topic (a name, no wildcards).
    fn may_publish(&self, who: &Identity, client: &str, topic: &str) -> bool;
    /// Whether they may subscribe to a filter (wildcards and all that they match).
    fn may_subscribe(&self, who: &Identity, client: &str, filter: &str) -> bool;
}
