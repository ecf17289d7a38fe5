//! The devices of a pipeline: what each said last, and what it said before.
//!
//! The words are [`forebay_live`]'s; the traits stand between, so that tests can show what they like. Devices know
//! nothing of alerts: the server puts both beside each other.

use std::sync::Arc;

use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};
pub use forebay_live::{
    Ask, Change, Changes, ClockState, Clocks, Counts, Device, DeviceClock, DeviceState, Facet, FacetValue,
    Facets, Field, FollowerStatus, History, HistoryAsk, Kind, LastSecond, Layout, OffClock, Point, Range,
    Role, Series, Share, Shares, SharesAsk, Slice, Sort, Value,
};
use forebay_live::{Live, SourceLive};
use tokio::sync::watch;

/// The sources that are followed.
pub trait Devices: Send + Sync {
    /// Each of them, in the order of the file; none in runs that end by themselves.
    fn sources(&self) -> Vec<Arc<dyn Followed>>;

    /// Records that all followers read in the last full second.
    fn rate(&self) -> f64;

    /// Messages of each full second of the last 15 minutes, the newest last; from the first second that had any.
    fn rates(&self) -> Vec<u64>;
}

/// One followed source.
#[async_trait]
pub trait Followed: Send + Sync {
    /// Its name in the file.
    fn name(&self) -> &str;

    /// The source in the file whose records it shows: its own name, but for a view.
    fn reads(&self) -> &str;

    /// What it subscribes to, as the file says it.
    fn topic(&self) -> &str;

    /// Its columns as people see them.
    fn layout(&self) -> Arc<Layout>;

    /// Told whenever something changed; the versions only grow.
    fn subscribe(&self) -> watch::Receiver<u64>;

    /// Devices by state, now.
    fn counts(&self) -> Counts;

    /// Whose clocks are off, now; `None` if the source has no event time.
    fn clocks(&self) -> Option<Clocks>;

    /// The devices of a slice, and a view to follow it. Milliseconds for many devices.
    fn view(self: Arc<Self>, ask: Ask) -> (Box<dyn View>, Slice);

    /// One device with all its fields. `spark`: the field of its sparkline.
    fn device(&self, key: &str, spark: Option<usize>) -> Option<Device>;

    /// How the devices of a question are spread over the values of labels, now. Milliseconds for many devices.
    fn facets(&self, ask: &Ask) -> Facets;

    /// How often each value of a label came.
    async fn shares(&self, ask: SharesAsk) -> Result<Shares>;

    /// History; unknown keys give series of nothing.
    async fn history(&self, ask: HistoryAsk) -> Result<History>;

    /// The last closed second of these fields, merged over all devices and for each of these keys.
    fn last_second(&self, fields: &[usize], keys: &[&str]) -> LastSecond;

    /// Records that its follower read in the last full second.
    fn rate(&self) -> f64;

    /// How its follower stands.
    fn follower(&self) -> FollowerStatus;
}

/// A slice of devices that somebody looks at: remembers what it has shown.
pub trait View: Send {
    /// What changed in the rows since the last call.
    fn changes(&mut self) -> Changes;

    /// Looks again which devices are in the slice, in which order: the rows if that differs, or if `always`.
    fn again(&mut self, always: bool) -> Option<Slice>;
}

/// A field by its name, or the error that lists those that are there.
pub(crate) fn known(layout: &Layout, name: &str) -> Result<usize> {
    layout.field(name).ok_or_else(|| {
        let known = unknown_name("field", name, layout.fields.iter().map(|field| field.name.as_str()));
        Error::new(&codes::NO_RESOURCE, known.message()).with_hint(known.hint())
    })
}

impl Devices for Live {
    fn sources(&self) -> Vec<Arc<dyn Followed>> {
        self.sources().iter().map(|source| Arc::clone(source) as Arc<dyn Followed>).collect()
    }

    fn rate(&self) -> f64 {
        self.rate()
    }

    fn rates(&self) -> Vec<u64> {
        self.rates()
    }
}

#[async_trait]
impl Followed for SourceLive {
    fn name(&self) -> &str {
        self.name()
    }

    fn reads(&self) -> &str {
        self.reads()
    }

    fn topic(&self) -> &str {
        self.topic()
    }

    fn layout(&self) -> Arc<Layout> {
        Arc::clone(self.layout())
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.subscribe()
    }

    fn counts(&self) -> Counts {
        self.counts()
    }

    fn clocks(&self) -> Option<Clocks> {
        self.clocks()
    }

    fn view(self: Arc<Self>, ask: Ask) -> (Box<dyn View>, Slice) {
        let (view, slice) = Self::view(&self, ask);
        (Box::new(view), slice)
    }

    fn device(&self, key: &str, spark: Option<usize>) -> Option<Device> {
        self.device(key, spark)
    }

    fn facets(&self, ask: &Ask) -> Facets {
        self.facets(ask)
    }

    async fn shares(&self, ask: SharesAsk) -> Result<Shares> {
        self.shares(&ask).await
    }

    async fn history(&self, ask: HistoryAsk) -> Result<History> {
        self.history(ask).await
    }

    fn last_second(&self, fields: &[usize], keys: &[&str]) -> LastSecond {
        self.last_second(fields, keys)
    }

    fn rate(&self) -> f64 {
        self.rate()
    }

    fn follower(&self) -> FollowerStatus {
        self.follower()
    }
}

impl View for forebay_live::View {
    fn changes(&mut self) -> Changes {
        self.changes()
    }

    fn again(&mut self, always: bool) -> Option<Slice> {
        self.again(always)
    }
}
