//! Gateways take what devices push and cannot be asked for again (MQTT, HTTP, a serial line) and append it to the log.
//!
//! ```text
//!  device ──▶ listener ──▶ access ──▶ routes ──▶ log.submit() ──▶ Delivery ──▶ acknowledgement
//!             (protocol)   (who may)  (topic,     (waits for       (fsynced, or
//!                                      key …)      room)            refused)
//! ```
//!
//! What must stay true:
//! - a device is told that a message is taken only after its [`Delivery`] said so: the log has it, fsynced;
//! - the order in which a device sent is the order in which its messages are submitted;
//! - a log that is slow or away slows devices (nothing is acknowledged, nothing more is read from them); it never drops what was
//!   to be acknowledged. What may be dropped (QoS 0) is counted.
//!
//! This crate knows protocols, not the log: the binary hands it a [`Log`], [`Routes`] and [`Access`].

mod access;
mod doors;
pub mod http;
mod log;
pub mod mqtt;
mod routes;
pub mod serial;
mod sparkplug;
mod specs;
mod table;
pub mod tls;
mod users;

pub use access::{Access, Credentials, Denied, Identity};
pub use doors::{ByteStream, Counts, Peer, State, StreamDoor};
pub use log::{Delivery, Log, Place, Record, Refusal, Settle, delivery};
pub use routes::{Command, Message, Routed, Routes};
pub use specs::SPECS;
pub use table::RouteTable;
pub use users::Users;
