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
    /// How far its clock is off; `None` if its source has no event time, or none came from it.
    pub clock: Option<DeviceClock>,
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

/// How far the event times of a device are from its records' own timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceClock {
    /// The median of its last nine, ms; more than 0: ahead.
    pub offset: i64,
    /// The newest, ms.
    pub latest: i64,
    /// What the median says of it.
    pub state: ClockState,
    /// Records that were too far ahead to move a watermark, since its history began.
    pub ahead: u64,
    /// Records that came later than the watermark waits, since its history began.
    pub behind: u64,
}

/// What a clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockState {
    /// Within the bounds.
    Right,
    /// Its times are too far ahead to be believed.
    Ahead,
    /// Its times are too old: its clock is slow, or its records are held up for longer than the watermark waits.
    Behind,
}

/// How far off an event time may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockBounds {
    /// The source's `maxFutureSkew`, ms.
    pub ahead_ms: i64,
    /// The `delay` of its watermark, ms.
    pub behind_ms: i64,
}

impl ClockBounds {
    /// What an offset is.
    pub(crate) fn state(self, offset_ms: i64) -> ClockState {
        match offset_ms {
            ahead if ahead > self.ahead_ms => ClockState::Ahead,
            behind if behind < self.behind_ms.saturating_neg() => ClockState::Behind,
            _ => ClockState::Right,
        }
    }
}

/// The clocks of a source's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clocks {
    /// Devices that are ahead.
    pub ahead: u64,
    /// Devices that are behind.
    pub behind: u64,
    /// Those of them that are furthest off, the furthest first.
    pub worst: Vec<OffClock>,
}

/// A clock that is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OffClock {
    /// Whose.
    pub key: Arc<str>,
    /// By how much, ms; more than 0: ahead.
    pub offset: i64,
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
