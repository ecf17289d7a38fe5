//! A device as it is shown.

use std::sync::Arc;

use serde::Serialize;

use crate::value::Value;

/// A device.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// The value of the source's key, of a long one its beginning and a hash; `""` where it has none.
    pub key: Arc<str>,
    /// Whether it is heard.
    pub state: DeviceState,
    /// The timestamp of its newest record, ms, never later than now.
    pub last_seen: i64,
    /// Messages per second over the last ten seconds.
    pub rate: f64,
    /// Messages since its history began.
    pub count: u64,
    /// One for each field of the layout: the newest that was not null.
    pub values: Vec<Value>,
    /// Means of one field, one for each of the last 60 full seconds, oldest first; empty if none was asked for.
    pub spark: Vec<Option<f64>>,
}

/// Whether a device is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// It sends as it usually does.
    Live,
    /// Nothing came for much longer than usual.
    Quiet,
}

impl DeviceState {
    /// `live` or `quiet`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Quiet => "quiet",
        }
    }
}

/// Devices by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// Those that are heard.
    pub live: u64,
    /// Those that are quiet.
    pub quiet: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.live += other.live;
        self.quiet += other.quiet;
    }
}
