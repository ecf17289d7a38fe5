//! MQTT: an end point of our own, and a client of a broker ([`client`]). The end point: devices publish straight to the log, in 3.1.1 and 5.0, and subscribers read what was published.
//!
//! ```text
//!  TCP, TLS, WebSocket ─▶ serve ─▶ handshake ─▶ connection ─▶ intake ─▶ log
//!                                                  ▲             │ has it
//!                                    outbox ◀── session ◀── tree, retained
//! ```
//!
//! What must stay true:
//! - PUBACK and PUBREC with a success are sent only after the log has the message, in the order in which messages came; what the
//!   specification lets a server refuse is refused with a reason, what the log cannot say is not answered at all;
//! - a message with QoS 2 is in the log once for each time the client means it, within a session: its packet id is remembered from
//!   before it is written until its PUBREL, also while the client is away. Sessions live in memory: a restart ends them;
//! - a subscriber gets nothing that the log does not have;
//! - one client cannot take memory or time beyond [`Options`], and no bytes make the server panic.
//!
//! The codec is a library's (`mqtt-proto`), everything above it is here: why, see ARCHITECTURE.md. What a user has to know is in
//! `docs/mqtt.md`. Start reading at `connection.rs`.

mod broker;
pub(crate) mod certificate;
pub mod client;
mod connection;
mod counters;
mod handshake;
mod intake;
mod listen;
mod options;
mod outbox;
mod publisher;
mod refusals;
mod retained;
mod session;
mod stream;
mod subscriber;
#[cfg(test)]
mod tests;
mod topic;
mod tree;
mod wills;
mod wire;

pub use broker::Broker;
pub use counters::Snapshot;
pub use listen::Peer;
pub use options::{Options, Retained};
