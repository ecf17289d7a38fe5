//! When the next epoch starts.

use std::time::Duration;

/// When a query looks for new data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// As soon as there is data: no floor.
    #[default]
    Default,
    /// At fixed intervals; an epoch that takes longer delays the next, none is made up for.
    ProcessingTime(Duration),
    /// Everything that is there at the start, in as many epochs as the limits ask for, then stop.
    AvailableNow,
    /// Everything that is there at the start in one epoch, then stop.
    Once,
}

impl Trigger {
    /// True if the query ends by itself.
    pub fn is_bounded(self) -> bool {
        matches!(self, Self::AvailableNow | Self::Once)
    }
}
