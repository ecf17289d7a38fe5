//! [`SourceLive`]: what is known of one source. One task writes it, many read it.
//!
//! ```text
//! follower ─▶ devices (RwLock) ─┐            ┌─▶ views, one device, counts
//!          ─▶ history (RwLock) ─┼─ version ──┼─▶ questions of the history (files are read without the lock)
//!          ─▶ tally   (RwLock) ─┤            ├─▶ questions of the labels, likewise
//!          ─▶ status  (Mutex)  ─┘            └─▶ ticks
//! ```
//!
//! The writer holds a lock for some thousand rows at most; readers copy out what they were asked for and sort and compare
//! outside. What must stay true: a reader never waits for an fsync or for files to be read, and the writer never for a
//! reader that does.

use std::sync::Arc;

use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::answer::{History, HistoryAsk, LastSecond, Point, Shares};
use crate::device::{Clocks, Counts, Device, DeviceState};
use crate::devices::{Devices, Row};
use crate::history::{Timeline, Who};
use crate::layout::Layout;
use crate::meter::Meter;
use crate::order::Order;
use crate::status::FollowerStatus;
use crate::tally::{SharesAsk, Tally};

/// Counts of devices are worked out at most so often, ms.
const COUNTS_AGE_MS: i64 = 250;

/// Seconds of a sparkline.
const SPARK_SECONDS: i64 = 60;

/// A second counts as over for charts so long after its end, ms: what is on its way arrives meanwhile.
const GRACE_MS: i64 = 250;

/// Most series of one question.
const MOST_SERIES: usize = 50;

/// When devices were counted, ms, and what came of it.
type Counted = (i64, Counts, Option<Clocks>);

/// What is known of one followed source.
#[derive(Debug)]
pub struct SourceLive {
    name: String,
    /// The source in the file whose records it reads.
    reads: String,
    topic: String,
    layout: Arc<Layout>,
    clock: Arc<dyn Clock>,
    pub(crate) devices: RwLock<Devices>,
    pub(crate) history: RwLock<Timeline>,
    /// Of a source with labels.
    pub(crate) tally: RwLock<Option<Tally>>,
    version: watch::Sender<u64>,
    pub(crate) status: Mutex<FollowerStatus>,
    pub(crate) meter: Mutex<Meter>,
    counts: Mutex<Counted>,
    order: Order,
}

impl SourceLive {
    pub(crate) fn new(
        name: String,
        topic: String,
        layout: Arc<Layout>,
        clock: Arc<dyn Clock>,
        devices: Devices,
        history: Timeline,
        tally: Option<Tally>,
    ) -> Self {
        Self {
            reads: name.clone(),
            name,
            topic,
            layout,
            clock,
            devices: RwLock::new(devices),
            history: RwLock::new(history),
            tally: RwLock::new(tally),
            version: watch::Sender::new(1),
            status: Mutex::default(),
            meter: Mutex::default(),
            counts: Mutex::new((i64::MIN, Counts::default(), None)),
            order: Order::default(),
        }
    }

    /// Its name in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, of the records of this source: the rows are those of a view over it.
    pub(crate) fn over(self, source: String) -> Self {
        Self { reads: source, ..self }
    }

    /// The source in the file whose records it reads: its own name, but for a view.
    pub fn reads(&self) -> &str {
        &self.reads
    }

    /// What it subscribes to, as the file says it.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Its columns.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Tells whenever something changed. Versions only grow; 0 is before everything.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Tells readers that something changed.
    pub(crate) fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    pub(crate) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(crate) fn order(&self) -> &Order {
        &self.order
    }

    /// Its devices by state.
    pub fn counts(&self) -> Counts {
        self.counted(|(_, counts, _)| *counts)
    }

    /// Whose clocks are off; `None` if it has no event time.
    pub fn clocks(&self) -> Option<Clocks> {
        self.counted(|(_, _, clocks)| clocks.clone())
    }

    fn counted<T>(&self, of: impl Fn(&Counted) -> T) -> T {
        let now_ms = self.now_ms();
        let mut cached = self.counts.lock();
        if (0..COUNTS_AGE_MS).contains(&now_ms.saturating_sub(cached.0)) {
            return of(&cached);
        }
        let devices = self.devices.read();
        let total = devices.len() as u64;
        let quiet = devices.all().filter(|(_, row)| devices.is_quiet(row, now_ms)).count() as u64;
        *cached = (now_ms, Counts { total, live: total - quiet, quiet }, devices.clocks());
        of(&cached)
    }

    /// The device of this key with all its fields; `spark` is the index of the field of its sparkline.
    pub fn device(&self, key: &str, spark: Option<usize>) -> Option<Device> {
        let (mut device, id) = {
            let devices = self.devices.read();
            let (place, row) = devices.find(key)?;
            (self.shown(&devices, place, row, self.now_ms()), row.id)
        };
        device.spark = self.sparks(&[id], spark).pop().unwrap_or_default();
        Some(device)
    }

    /// A device as it is shown, without its sparkline.
    pub(crate) fn shown(&self, devices: &Devices, place: usize, row: &Row, now_ms: i64) -> Device {
        Device {
            key: Arc::clone(&row.key),
            state: if devices.is_quiet(row, now_ms) { DeviceState::Quiet } else { DeviceState::Live },
            last_seen: row.last.0,
            rate: row.rate(now_ms),
            count: row.count,
            clock: devices.clock(row),
            values: devices.values(place).to_vec(),
            spark: Vec::new(),
        }
    }

    /// The sparklines of devices: means of the last 60 full seconds. Empty ones if no number field was asked for.
    pub(crate) fn sparks(&self, ids: &[u32], field: Option<usize>) -> Vec<Vec<Option<f64>>> {
        let Some(measure) = field.and_then(|field| self.layout.measure_of(field)) else {
            return vec![Vec::new(); ids.len()];
        };
        let end = self.now_ms().div_euclid(1000);
        let history = self.history.read();
        let of = |id: &u32| {
            let seconds = end - SPARK_SECONDS..end;
            seconds
                .map(|second| Some(history.second(second * 1000, Who::Device(*id), measure)?.mean))
                .collect()
        };
        ids.iter().map(of).collect()
    }

    /// The newest second that is over, of these fields (indices in the layout): all devices merged, then each of the keys.
    pub fn last_second(&self, fields: &[usize], keys: &[&str]) -> LastSecond {
        let t = (self.now_ms() - GRACE_MS).div_euclid(1000) * 1000 - 1000;
        let whose = self.whose(keys.iter().copied().take(MOST_SERIES));
        let history = self.history.read();
        let point = |field: usize, who: Who, key: Option<String>| {
            let stat = self.layout.measure_of(field).and_then(|measure| history.second(t, who, measure));
            Point::of(key, stat)
        };
        let chart = |field: &usize| {
            let of_keys =
                keys.iter().zip(&whose).map(|(key, who)| point(*field, *who, Some((*key).to_owned())));
            std::iter::once(point(*field, Who::All, None)).chain(of_keys).collect()
        };
        LastSecond { t, charts: fields.iter().map(chart).collect() }
    }

    /// The history. Files are read on a thread where that may block.
    ///
    /// # Errors
    /// `BAD_VALUE` if the field has no history, or for more than 50 keys.
    pub async fn history(&self, ask: HistoryAsk) -> Result<History> {
        let field = self.layout.fields.get(ask.field);
        let Some(measure) = self.layout.measure_of(ask.field) else {
            let name = field.map_or("", |field| field.name.as_str());
            return Err(Error::new(&codes::BAD_VALUE, format!("field `{name}` has no history"))
                .with_hint("Number fields have one, other than the key and times."));
        };
        if ask.keys.len() > MOST_SERIES {
            let message = format!("{} keys in one question, more than {MOST_SERIES}", ask.keys.len());
            return Err(Error::new(&codes::BAD_VALUE, message).with_hint("Ask for fewer at once."));
        }
        let whose = match ask.keys.is_empty() {
            true => vec![Who::All],
            false => self.whose(ask.keys.iter().map(String::as_str)),
        };
        let gathered = self.history.read().gather(measure, ask.range, ask.points, whose, self.now_ms());
        let buckets = tokio::task::spawn_blocking(|| gathered.read()).await.map_err(|e| {
            Error::new(&codes::INTERNAL, "reading the history ended unexpectedly").caused_by(e)
        })?;
        Ok(History::of(&buckets, ask.keys))
    }

    /// How often each value of a label came. Files are read on a thread where that may block.
    ///
    /// # Errors
    /// `BAD_VALUE` if it asks of a field that is no label.
    pub async fn shares(&self, ask: &SharesAsk) -> Result<Shares> {
        let asked = self.tally.read().as_ref().and_then(|tally| tally.gather(ask, self.now_ms()));
        let Some(asked) = asked else {
            let labels =
                self.layout.labels.iter().map(|label| format!("`{}`", self.layout.fields[*label].name));
            let labels: Vec<String> = labels.collect();
            let hint = match labels.is_empty() {
                true => "It has none: name fields under `labels` in `dashboard`.".to_owned(),
                false => format!("Its labels: {}.", labels.join(", ")),
            };
            let message = format!("only labels of `{}` are counted over time", self.name);
            return Err(Error::new(&codes::BAD_VALUE, message).with_hint(hint));
        };
        tokio::task::spawn_blocking(|| asked.read())
            .await
            .map_err(|e| Error::new(&codes::INTERNAL, "reading the history ended unexpectedly").caused_by(e))
    }

    fn whose<'k>(&self, keys: impl Iterator<Item = &'k str>) -> Vec<Who> {
        let devices = self.devices.read();
        keys.map(|key| devices.find(key).map_or(Who::Nobody, |(_, row)| Who::Device(row.id))).collect()
    }

    /// Messages of each full second of the last 15 minutes by their own timestamps, the newest last; from the first
    /// second in which there were any.
    pub fn rates(&self) -> Vec<u64> {
        let last = (self.now_ms() - GRACE_MS).div_euclid(1000) * 1000 - 1000;
        self.history.read().messages(last)
    }

    /// Records that its follower read in the last full second.
    pub fn rate(&self) -> f64 {
        self.meter.lock().rate(self.now_ms())
    }

    /// How its follower stands.
    pub fn follower(&self) -> FollowerStatus {
        let mut status = self.status.lock().clone();
        status.too_old = self.history.read().too_old();
        status.evicted = self.devices.read().evicted();
        status
    }
}
