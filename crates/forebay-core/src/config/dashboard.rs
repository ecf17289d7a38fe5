//! `dashboard:` what the page shows and how: its title, which column names the devices, its panels.
//!
//! A field is written `SOURCE.FIELD`, nested ones with dots (`iot.site.pos.lat`), and must be in the source's schema. The
//! columns of a view are known to whoever plans it, who checks what is said of them here; where each stands is kept for that.
//! What must stay true: a panel that is taken can be drawn; the page never learns that a field does not exist.

mod check;
mod find;
mod panel;
mod view;

use std::time::Duration;

use self::find::{find_field, find_source};
use self::panel::read_panels;
pub use self::view::DashboardView;
use super::parse::{Reading, bad_value};
use super::section::{Section, Text};
use super::yaml::Entry;
use super::{SourceConfig, ViewConfig, keys};
use crate::error::{Error, codes};
use crate::options::parse_duration;

/// Most panels: a page with more is not looked at.
const MOST_PANELS: usize = 100;

/// Most labels of a source or view: every combination of their values has a history of its own.
pub const MOST_LABELS: usize = 4;

/// The shortest time after which an SQL panel asks again: each time is a query over tables.
const SHORTEST_EVERY: Duration = Duration::from_secs(1);

/// `dashboard:`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DashboardConfig {
    /// The page's title; `None`: the pipeline's name.
    pub title: Option<String>,
    /// What it says of sources, in the order of the file.
    pub sources: Vec<DashboardSource>,
    /// The views whose rows are followed, in the order of the file.
    pub views: Vec<DashboardView>,
    /// The panels in the order of the file; none: they follow from the schemas.
    pub panels: Vec<PanelConfig>,
}

impl DashboardConfig {
    /// What it says of a source.
    pub fn source(&self, name: &str) -> Option<&DashboardSource> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// True if it says anything of a source itself, or if a panel shows it.
    pub fn names_source(&self, name: &str) -> bool {
        self.source(name).is_some() || self.panels.iter().any(|panel| panel.source.as_deref() == Some(name))
    }
}

/// `dashboard: sources: NAME:`
#[derive(Clone, Debug, PartialEq)]
pub struct DashboardSource {
    /// The source, spelt as under `sources`.
    pub name: String,
    /// The dotted name of the field that names the device; `None`: guessed.
    pub key: Option<String>,
    /// After how long without a message a device is quiet; `None`: by its usual gap.
    pub quiet_after: Option<Duration>,
    /// The dotted names of the fields by whose values devices are told apart.
    pub labels: Vec<String>,
}

/// One of `dashboard: panels:`
#[derive(Clone, Debug, PartialEq)]
pub struct PanelConfig {
    /// How it is drawn.
    pub chart: Chart,
    /// Its title, if given.
    pub title: Option<String>,
    /// The source, spelt as under `sources`, or the view that is followed.
    pub source: Option<String>,
    /// The dotted name of the field, spelt as in the schema; that of a view as the file writes it.
    pub field: Option<String>,
    /// Where the file names the field, the source, or the panel itself: line and column.
    pub place: (usize, usize),
    /// The SELECT of an SQL panel, and where it stands in the file.
    pub sql: Option<(String, (usize, usize))>,
    /// How the rows of the SELECT are drawn.
    pub drawn_as: Option<Chart>,
    /// How often the SELECT is asked again.
    pub every: Option<Duration>,
    /// The unit, instead of the field's own.
    pub unit: Option<String>,
    /// The lower end of the scale.
    pub min: Option<f64>,
    /// The upper end of the scale.
    pub max: Option<f64>,
    /// Where values begin to be worth a look.
    pub warn: Option<f64>,
    /// Where values begin to be bad.
    pub critical: Option<f64>,
    /// True if it stays in view.
    pub pin: bool,
    /// True if it takes the page's whole width.
    pub wide: bool,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Chart {
    /// A number field over time.
    Line,
    /// Counts of a field's values, or rows of an SQL panel.
    Bar,
    /// The newest value against its limits.
    Gauge,
    /// Devices at their places.
    Map,
    /// How a number field's newest values are spread.
    Distribution,
    /// Devices in rows.
    Table,
    /// The rows of a SELECT.
    Sql,
    /// The rows of a SELECT as marks on a timeline: its first column with a time says when.
    Events,
}

const CHARTS: [(&str, Chart); 7] = [
    ("line", Chart::Line),
    ("bar", Chart::Bar),
    ("gauge", Chart::Gauge),
    ("map", Chart::Map),
    ("distribution", Chart::Distribution),
    ("table", Chart::Table),
    ("sql", Chart::Sql),
];

/// What the rows of a SELECT can be drawn as.
const DRAWN_AS: [(&str, Chart); 4] =
    [("table", Chart::Table), ("bar", Chart::Bar), ("line", Chart::Line), ("events", Chart::Events)];

/// Reads `dashboard:`; sources and views are those of the file as far as they could be read.
pub(super) fn read(
    entry: &Entry,
    sources: &[SourceConfig],
    views: &[ViewConfig],
    reading: &mut Reading<'_>,
) -> DashboardConfig {
    let mut config = DashboardConfig::default();
    let Some(section) = Section::open(&entry.value, "`dashboard`", entry.key_span, &mut reading.problems)
    else {
        return config;
    };
    section.check("`dashboard`", &keys::DASHBOARD, &mut reading.problems, |_| None);
    config.title = section.text("title", &mut reading.problems).map(owned);
    if let Some(entry) = section.get("sources") {
        config.sources = read_sources(entry, sources, reading);
    }
    if let Some(entry) = section.get("views") {
        config.views = view::read(entry, views, reading);
    }
    if let Some(entry) = section.get("panels") {
        let named: Vec<&str> = section.get("views").map(view::names).unwrap_or_default();
        let shown = Shown { sources, views: &config.views, others: views, named: &named };
        config.panels = read_panels(entry, shown, reading);
    }
    config
}

/// What a panel can show.
#[derive(Clone, Copy)]
struct Shown<'s> {
    sources: &'s [SourceConfig],
    views: &'s [DashboardView],
    /// All views of the file.
    others: &'s [ViewConfig],
    /// What stands under `views` of `dashboard`, sound or not.
    named: &'s [&'s str],
}

fn read_sources(entry: &Entry, sources: &[SourceConfig], reading: &mut Reading<'_>) -> Vec<DashboardSource> {
    let Some(section) =
        Section::open(&entry.value, "`sources` of `dashboard`", entry.key_span, &mut reading.problems)
    else {
        return Vec::new();
    };
    section.entries().iter().filter_map(|entry| read_source(entry, sources, reading)).collect()
}

fn read_source(
    entry: &Entry,
    sources: &[SourceConfig],
    reading: &mut Reading<'_>,
) -> Option<DashboardSource> {
    let what = format!("`dashboard` of source `{}`", entry.key);
    let named = Text { text: &entry.key, span: entry.key_span };
    let source = find_source(named, Shown { sources, views: &[], others: &[], named: &[] }, reading);
    let section = Section::open(&entry.value, &what, entry.key_span, &mut reading.problems)?;
    section.check(&what, &keys::DASHBOARD_SOURCE, &mut reading.problems, |_| None);
    let quiet_after = quiet_after(&section, reading);
    let source = source?;
    let key = section.text("key", &mut reading.problems).and_then(|text| {
        let leaf = find_field(text, text.text, source, reading)?;
        if leaf.can_be_key() {
            return Some(leaf.name);
        }
        let message = format!("`{}` cannot name a device", leaf.name);
        let error = Error::new(&codes::BAD_VALUE, message)
            .with_hint("A device is named by a STRING or by a whole number.");
        reading.problems.report(text.span, error);
        None
    });
    let labels = section.get("labels").map(|entry| view::labels(entry, reading)).unwrap_or_default();
    let labels = labels.into_iter().filter_map(|(label, span)| {
        let leaf = find_field(Text { text: &label.text, span }, &label.text, source, reading)?;
        if leaf.can_be_label() {
            return Some(leaf.name);
        }
        reading.problems.report(span, no_label(&leaf.name));
        None
    });
    let labels = labels.collect();
    Some(DashboardSource { name: source.name.clone(), key, quiet_after, labels })
}

/// Why a field is no label.
pub fn no_label(name: &str) -> Error {
    Error::new(&codes::BAD_VALUE, format!("`{name}` cannot be a label"))
        .with_hint("A label is a STRING, a BOOLEAN or a whole number, with few different values.")
}

fn quiet_after(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<Duration> {
    let text = section.text("quietAfter", &mut reading.problems)?;
    let duration = parse_duration(text.text).filter(|duration| !duration.is_zero());
    if duration.is_none() {
        let error = bad_value("quietAfter", text.text, "a duration such as `30 seconds`");
        reading.problems.report(text.span, error);
    }
    duration
}

fn owned(text: Text<'_>) -> String {
    text.text.to_owned()
}
