//! What a person sees of the data itself: the newest values of each device, and what they were in the last day.
//!
//! ```text
//!              ┌────────────── follower (one for each decoded source) ──────────────┐
//! Source ──▶ available ──▶ read ──▶ Format ──▶ columns ──▶ devices   ──┐             │
//!    ▲                                                 └▶ history   ──┴▶ snapshot ──┘ every 10 s, by the Door
//!    └── positions of its own, no checkpoint, no group offsets
//!                                                          │
//!                                                    [`Live`] ──▶ views, ticks, questions (forebay-server)
//! ```
//!
//! A follower reads beside the queries and never in their way: it has a source and positions of its own, takes at most
//! half of one core while it is behind, and if it lags it says so. What it knows is a view of the log, begun anew where
//! it is damaged, and it is exact: positions, devices and history are published in one snapshot, so that after any
//! crash the history has no gap and counts nothing twice.
//!
//! Where to read next: [`layout`] for what a field is, `history` for the buckets, `follower` for the loop, `snapshot` for
//! what is durable, `devices` for whose clock is off, [`SourceLive`] and [`View`] for what readers get.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

mod answer;
mod codec;
mod columns;
mod device;
mod devices;
mod facets;
mod follower;
mod guess;
mod history;
mod intake;
pub mod layout;
mod meter;
mod order;
mod panels;
mod snapshot;
mod source;
mod status;
mod tally;
#[cfg(test)]
mod testing;
mod value;
mod view;

use std::sync::Arc;

pub use answer::{History, HistoryAsk, LastSecond, Point, Series, Share, Shares};
pub use device::{ClockBounds, ClockState, Clocks, Counts, Device, DeviceClock, DeviceState, OffClock};
pub use facets::{Facet, FacetValue, Facets};
pub use follower::{EventTimes, Follow, Follower, HISTORY_MS, Make, Prepare, ViewOf};
pub use history::Range;
pub use intake::ViewRows;
pub use layout::{Field, Kind, Layout, Role};
pub use panels::{Panel, panels};
pub use source::SourceLive;
pub use status::FollowerStatus;
pub use tally::SharesAsk;
pub use value::Value;
pub use view::{Ask, Change, Changes, Slice, Sort, View};

/// The data of a pipeline as people see it. Cheap to clone; a run that follows nothing has no sources.
#[derive(Clone, Debug, Default)]
pub struct Live {
    sources: Arc<[Arc<SourceLive>]>,
}

impl Live {
    /// Of these sources, in their order.
    pub fn new(sources: Vec<Arc<SourceLive>>) -> Self {
        Self { sources: sources.into() }
    }

    /// The followed sources, in the order of the file.
    pub fn sources(&self) -> &[Arc<SourceLive>] {
        &self.sources
    }

    /// The source of this name, upper and lower case alike.
    pub fn source(&self, name: &str) -> Option<&Arc<SourceLive>> {
        self.sources.iter().find(|source| source.name().eq_ignore_ascii_case(name))
    }

    /// Messages of each full second of the last 15 minutes, of all sources together, the newest last; from the first
    /// second in which there were any.
    pub fn rates(&self) -> Vec<u64> {
        let each: Vec<Vec<u64>> = self.readers().map(|source| source.rates()).collect();
        let longest = each.iter().map(Vec::len).max().unwrap_or_default();
        let of = |rates: &Vec<u64>, age: usize| rates.len().checked_sub(age).map_or(0, |index| rates[index]);
        (1..=longest).rev().map(|age| each.iter().map(|rates| of(rates, age)).sum()).collect()
    }

    /// Records that all followers together read in the last full second.
    pub fn rate(&self) -> f64 {
        // A sum of nothing is -0.0.
        self.readers().map(|source| source.rate()).sum::<f64>() + 0.0
    }

    /// Of those that read the same source the first: its records count once.
    fn readers(&self) -> impl Iterator<Item = &Arc<SourceLive>> {
        let is_first = |index: usize| {
            let reads = self.sources[index].reads();
            !self.sources[..index].iter().any(|before| before.reads() == reads)
        };
        self.sources.iter().enumerate().filter(move |(index, _)| is_first(*index)).map(|(_, source)| source)
    }

    /// The devices of all sources by state.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.sources.iter().for_each(|source| counts += source.counts());
        counts
    }
}
