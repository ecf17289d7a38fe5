//! What becomes of a message: the records of the log it is turned into.

use bytes::Bytes;
use forebay_core::Error;

use crate::Record;

/// A message as a device sent it.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The MQTT topic, the path below the gateway's of an HTTP request, the name of a serial line.
    pub topic: &'a str,
    /// The payload, as it came.
    pub payload: Bytes,
    /// Who sent it: MQTT's client id, the name of the token, the port.
    pub from: &'a str,
    /// What came beside it, in order: MQTT 5's user properties, chosen HTTP headers.
    pub properties: &'a [(String, String)],
    /// When it was taken, in milliseconds since 1970.
    pub at: i64,
    /// The protocol says that it may have been sent before.
    pub repeat: bool,
}

/// What becomes of it.
#[derive(Clone, Debug)]
pub enum Routed {
    /// These records; none if the file says that such messages are dropped.
    Records(Vec<Record>),
    /// No route takes this topic.
    Nowhere,
    /// It cannot be made into records, and why: not JSON where JSON is said, a broken Sparkplug frame.
    Wrong(Error),
}

/// A message to devices, which nobody waits for.
#[derive(Clone, Debug)]
pub struct Command {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
}

/// Topic mapping, as the file tells it. The same message gives the same records, but for Sparkplug, whose births are remembered.
pub trait Routes: Send + Sync {
    /// Maps one message.
    fn route(&self, message: &Message<'_>) -> Routed;

    /// What is to be said to devices after that, each once.
    fn commands(&self) -> Vec<Command> {
        Vec::new()
    }
}
