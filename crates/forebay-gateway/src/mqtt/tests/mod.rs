//! The end point, and the client of a broker, over streams in memory, a log that can be paused and made to fail, and clients that speak packet by packet.

mod client;
mod client_wire;
mod hall;
mod hostile;
mod inbound;
mod outbound;
mod sessions;
mod sparkplug;
mod stand;
