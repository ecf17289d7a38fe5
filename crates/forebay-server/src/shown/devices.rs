//! The devices of a pipeline: what each said last, and what it said before.
//!
//! A *device* is a value of its source's key; a *field* is a column, nested ones flattened with dots. Devices know
//! nothing of alerts: the server puts both beside each other.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};
use serde::Serialize;
use tokio::sync::watch;

/// The sources that are followed.
pub trait Devices: Send + Sync {
    /// Each of them, in the order of the file; none in runs that end by themselves.
    fn sources(&self) -> Vec<Arc<dyn Followed>>;

    /// Records that all followers read in the last full second.
    fn rate(&self) -> f64;
}

/// One followed source.
#[async_trait]
pub trait Followed: Send + Sync {
    /// Its name in the file.
    fn name(&self) -> &str;

    /// What it subscribes to, as the file says it.
    fn topic(&self) -> &str;

    /// Its columns as people see them.
    fn layout(&self) -> Arc<Layout>;

    /// Told whenever something changed; the versions only grow.
    fn subscribe(&self) -> watch::Receiver<u64>;

    /// Devices by state, now.
    fn counts(&self) -> Counts;

    /// The devices of a slice, and a view to follow it. Milliseconds for many devices.
    fn view(&self, ask: Ask) -> (Box<dyn View>, Slice);

    /// One device with all its fields. `spark`: the field of its sparkline.
    fn device(&self, key: &str, spark: Option<usize>) -> Option<Device>;

    /// History; unknown keys give series of nothing.
    async fn history(&self, ask: HistoryAsk) -> Result<History>;

    /// The last closed second of these fields, merged over all devices and for each of these keys.
    fn last_second(&self, fields: &[usize], keys: &[&str]) -> LastSecond;

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

/// How a follower stands.
#[derive(Clone, Debug, Default)]
pub struct FollowerStatus {
    /// Records behind the newest; `None` while the source does not answer.
    pub lag: Option<u64>,
    /// What is shown is not now.
    pub behind: bool,
    /// Records that were too old for any history.
    pub too_old: u64,
}

/// The columns of a source as people see them.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// In the order of the schema.
    pub fields: Vec<Field>,
    /// The field that names the device; `None`: the whole source is one device with the key "".
    pub key: Option<usize>,
    /// The field of sparklines when nobody names one.
    pub spark: Option<usize>,
}

impl Layout {
    /// A field by its dotted name, exactly, else without regard to case.
    pub fn field(&self, name: &str) -> Option<usize> {
        let exact = self.fields.iter().position(|field| field.name == name);
        exact.or_else(|| self.fields.iter().position(|field| field.name.eq_ignore_ascii_case(name)))
    }

    /// The same, or the error that lists those that are there.
    pub fn known(&self, name: &str) -> Result<usize> {
        self.field(name).ok_or_else(|| {
            let known = unknown_name("field", name, self.fields.iter().map(|field| field.name.as_str()));
            Error::new(&codes::NO_RESOURCE, known.message()).with_hint(known.hint())
        })
    }
}

/// One column.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its dotted name.
    pub name: String,
    /// Its type in Spark's words.
    pub data_type: String,
    /// What its values are.
    pub kind: Kind,
    /// What it is for.
    pub role: Role,
    /// Of its values.
    pub unit: Option<String>,
    /// What the schema says of it.
    pub description: Option<String>,
}

/// What a field's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the words of the contract")]
pub enum Kind {
    Number,
    Text,
    Bool,
    Time,
}

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the words of the contract")]
pub enum Role {
    Key,
    Value,
    Status,
    Lat,
    Lon,
    Time,
    Other,
}

/// A value: null, a number (times in milliseconds since 1970), true or false, a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "JSON's own kinds")]
pub enum Value {
    #[default]
    Null,
    Number(f64),
    Bool(bool),
    Text(String),
}

/// Whether a device is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the words of the contract")]
pub enum DeviceState {
    Live,
    Quiet,
}

/// One device.
#[derive(Clone, Debug)]
pub struct Device {
    /// The value of its source's key.
    pub key: Arc<str>,
    /// Whether it is heard of.
    pub state: DeviceState,
    /// Its newest record timestamp, milliseconds since 1970.
    pub last_seen: i64,
    /// Messages per second over the last ten.
    pub rate: f64,
    /// Messages since its history began.
    pub count: u64,
    /// One for each field of the layout, the newest that was not null.
    pub values: Vec<Value>,
    /// 60 means of one field, one for each of the last seconds, oldest first; empty if none was asked for.
    pub spark: Vec<Option<f64>>,
}

/// Devices by state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// Those that are heard of.
    pub live: u64,
    /// The others.
    pub quiet: u64,
}

/// Which devices, in which order.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Part of the key or of a text value, without regard to case; empty: all.
    pub search: String,
    /// Only these.
    pub state: Option<DeviceState>,
    /// Only these keys.
    pub only: Option<Arc<HashSet<String>>>,
    /// The order.
    pub sort: Sort,
    /// The first that is wanted.
    pub offset: usize,
    /// How many are wanted, at most 1,000.
    pub limit: usize,
    /// The field of the sparklines; `None`: no sparklines.
    pub spark: Option<usize>,
}

/// The order of devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Sort {
    #[default]
    Key,
    KeyDescending,
    LastSeen,
    LastSeenDescending,
    Field(usize),
    FieldDescending(usize),
}

impl Sort {
    /// Reads `key`, `-lastSeen`, `temperature`, `-temperature`; empty is `key`.
    pub fn parse(text: &str, layout: &Layout) -> Result<Self> {
        let (name, descends) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        Ok(match (name, descends) {
            ("" | "key", false) => Self::Key,
            ("" | "key", true) => Self::KeyDescending,
            ("lastSeen", false) => Self::LastSeen,
            ("lastSeen", true) => Self::LastSeenDescending,
            (name, false) => Self::Field(layout.known(name)?),
            (name, true) => Self::FieldDescending(layout.known(name)?),
        })
    }
}

/// The rows of a view.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Devices that fit the question.
    pub total: u64,
    /// Which of them is the first row.
    pub offset: usize,
    /// The rows.
    pub devices: Vec<Device>,
}

/// What changed in the rows of a view.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The newest record timestamp among the changed rows.
    pub newest: Option<i64>,
    /// Only rows that differ.
    pub rows: Vec<Change>,
}

/// What changed in one row.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its index in the slice.
    pub index: usize,
    /// Its newest record timestamp.
    pub last_seen: i64,
    /// Messages per second over the last ten.
    pub rate: f64,
    /// Index of the field and its value: only what differs.
    pub values: Vec<(usize, Value)>,
}

/// How far back a history reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Range {
    Minutes15,
    Hours6,
    Hours24,
}

impl Range {
    /// How ranges are written.
    pub const WORDS: [&str; 3] = ["15m", "6h", "24h"];

    /// Reads one of [`WORDS`](Self::WORDS).
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "15m" => Some(Self::Minutes15),
            "6h" => Some(Self::Hours6),
            "24h" => Some(Self::Hours24),
            _ => None,
        }
    }
}

/// Which history.
#[derive(Clone, Debug)]
pub struct HistoryAsk {
    /// The index of a number field.
    pub field: usize,
    /// How far back.
    pub range: Range,
    /// One series for each; none: all devices merged, as one series.
    pub keys: Vec<String>,
    /// Most points of a series.
    pub points: usize,
}

/// `start + i * step` (milliseconds since 1970) begins bucket i.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "said above")]
pub struct History {
    pub start: i64,
    pub step: i64,
    pub series: Vec<Series>,
}

/// The history of one device, or of all merged.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the words of the contract")]
pub struct Series {
    pub key: Option<String>,
    pub min: Vec<Option<f64>>,
    pub mean: Vec<Option<f64>>,
    pub max: Vec<Option<f64>>,
}

/// The last closed second of some fields.
#[derive(Clone, Debug, Default)]
pub struct LastSecond {
    /// Its begin, milliseconds since 1970.
    pub t: i64,
    /// In the order of the fields; in each first all devices, then the keys that were asked for.
    pub charts: Vec<Vec<Point>>,
}

/// One second of one device, or of all merged.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the words of the contract")]
pub struct Point {
    pub key: Option<String>,
    pub min: Option<f64>,
    pub mean: Option<f64>,
    pub max: Option<f64>,
}

/// A run without followers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDevices;

impl Devices for NoDevices {
    fn sources(&self) -> Vec<Arc<dyn Followed>> {
        Vec::new()
    }

    fn rate(&self) -> f64 {
        0.0
    }
}
