//! Routes: which messages of a device go where, as pure words of the pipeline file.
//!
//! A device's message has a topic of levels, `plant/oven-7/dht11`. A [`Pattern`] says which topics it takes and names levels; a
//! [`Template`] makes a key, a header or a field out of what the pattern found. Nothing here knows MQTT, HTTP or Kafka: the gateways
//! apply it, the pipeline file is checked with it.
//!
//! What must stay true: matching costs no memory and no more than the topic is long; a template that was taken can be
//! rendered for every topic that its pattern matches.

mod pattern;
mod template;

pub use pattern::{Captures, MOST_LEVELS, Pattern};
pub use template::{Piece, Template};
