//! `dashboard:` what the page shows and how: its title, which column names the devices, its panels.
//!
//! A field is written `SOURCE.FIELD`, nested ones with dots (`iot.site.pos.lat`), and must be in the source's schema. What
//! must stay true: a panel that is taken can be drawn; the page never learns that a field does not exist.

mod check;
mod find;

use std::time::Duration;

use self::check::{check_kind, check_limits, check_map};
use self::find::{find_field, find_source, find_source_field};
use super::lines::Span;
use super::parse::{Reading, bad_value};
use super::section::{Section, Text};
use super::yaml::{Entry, Kind as Node};
use super::{SourceConfig, keys};
use crate::error::{Error, codes};
use crate::options::{parse_duration, unknown_name};

/// Most panels: a page with more is not looked at.
const MOST_PANELS: usize = 100;

/// The shortest time after which an SQL panel asks again: each time is a query over tables.
const SHORTEST_EVERY: Duration = Duration::from_secs(1);

/// `dashboard:`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DashboardConfig {
    /// The page's title; `None`: the pipeline's name.
    pub title: Option<String>,
    /// What it says of sources, in the order of the file.
    pub sources: Vec<DashboardSource>,
    /// The panels in the order of the file; none: they follow from the schemas.
    pub panels: Vec<PanelConfig>,
}

impl DashboardConfig {
    /// What it says of a source.
    pub fn source(&self, name: &str) -> Option<&DashboardSource> {
        self.sources.iter().find(|source| source.name == name)
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
}

/// One of `dashboard: panels:`
#[derive(Clone, Debug, PartialEq)]
pub struct PanelConfig {
    /// How it is drawn.
    pub chart: Chart,
    /// Its title, if given.
    pub title: Option<String>,
    /// The source, spelt as under `sources`.
    pub source: Option<String>,
    /// The dotted name of the field, spelt as in the schema.
    pub field: Option<String>,
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
const DRAWN_AS: [(&str, Chart); 3] = [("table", Chart::Table), ("bar", Chart::Bar), ("line", Chart::Line)];

/// Reads `dashboard:`; the sources are those of the file as far as they could be read.
pub(super) fn read(entry: &Entry, sources: &[SourceConfig], reading: &mut Reading<'_>) -> DashboardConfig {
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
    if let Some(entry) = section.get("panels") {
        config.panels = read_panels(entry, sources, reading);
    }
    config
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
    let source = find_source(named, sources, reading);
    let section = Section::open(&entry.value, &what, entry.key_span, &mut reading.problems)?;
    section.check(&what, &keys::DASHBOARD_SOURCE, &mut reading.problems, |_| None);
    let quiet_after = section.text("quietAfter", &mut reading.problems).and_then(|text| {
        let duration = parse_duration(text.text).filter(|duration| !duration.is_zero());
        if duration.is_none() {
            let error = bad_value("quietAfter", text.text, "a duration such as `30 seconds`");
            reading.problems.report(text.span, error);
        }
        duration
    });
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
    Some(DashboardSource { name: source.name.clone(), key, quiet_after })
}

fn read_panels(entry: &Entry, sources: &[SourceConfig], reading: &mut Reading<'_>) -> Vec<PanelConfig> {
    let Node::Sequence(items) = &entry.value.kind else {
        let error = Error::new(&codes::BAD_VALUE, "`panels` must be a list")
            .with_hint("Each panel begins with `- `, as in `- { field: iot.temperature, chart: line }`.");
        reading.problems.report(entry.key_span, error);
        return Vec::new();
    };
    if let Some(item) = items.get(MOST_PANELS) {
        let error = Error::new(&codes::BAD_VALUE, format!("more than {MOST_PANELS} panels"))
            .with_hint("A page shows what people look at; the rest is in the tables.");
        reading.problems.report(item.span, error);
    }
    let panels = items.iter().take(MOST_PANELS).enumerate();
    panels
        .filter_map(|(index, item)| {
            let what = format!("panel {}", index + 1);
            let first = Span { start: item.span.start, end: item.span.start + 1 };
            let section = Section::open(item, &what, first, &mut reading.problems)?;
            read_panel(&section, &what, first, sources, reading)
        })
        .collect()
}

fn read_panel(
    section: &Section<'_>,
    what: &str,
    span: Span,
    sources: &[SourceConfig],
    reading: &mut Reading<'_>,
) -> Option<PanelConfig> {
    section.check(what, &keys::PANEL, &mut reading.problems, |_| None);
    let chart = one_of(section, "chart", &CHARTS, reading);
    let (mut source, mut field) = (None, None);
    if let Some(text) = section.text("field", &mut reading.problems) {
        if let Some((of, leaf)) = find_source_field(text, sources, reading) {
            check_kind(chart, &leaf, text.span, reading);
            (source, field) = (Some(of), Some(leaf.name));
        }
    } else if let Some(text) = section.text("source", &mut reading.problems) {
        source = find_source(text, sources, reading).map(|source| source.name.clone());
    }
    let sql = section.get("sql").and_then(|entry| reading.sql(entry));
    let drawn_as = one_of(section, "as", &DRAWN_AS, reading);
    let every = every(section, reading);
    let panel = PanelConfig {
        chart: chart?,
        title: section.text("title", &mut reading.problems).map(owned),
        source,
        field,
        sql,
        drawn_as,
        every,
        unit: section.text("unit", &mut reading.problems).map(owned),
        min: number(section, "min", reading),
        max: number(section, "max", reading),
        warn: number(section, "warn", reading),
        critical: number(section, "critical", reading),
        pin: yes(section, "pin", reading),
        wide: yes(section, "wide", reading),
    };
    let needed = match panel.chart {
        Chart::Sql => Some("sql"),
        Chart::Map | Chart::Table => None,
        Chart::Line | Chart::Bar | Chart::Gauge | Chart::Distribution => Some("field"),
    };
    if let Some(key) = needed.filter(|key| section.get(key).is_none()) {
        let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `{key}`"))
            .with_hint(format!("Without it there is nothing to draw: add `{key}: …`."));
        reading.problems.report(span, error);
    }
    check_limits(section, &panel, reading);
    if panel.chart == Chart::Map {
        check_map(section, &panel, sources, reading);
    }
    Some(panel)
}

fn one_of(
    section: &Section<'_>,
    key: &str,
    words: &[(&str, Chart)],
    reading: &mut Reading<'_>,
) -> Option<Chart> {
    let text = section.text(key, &mut reading.problems)?;
    let found = words.iter().find(|(word, _)| *word == text.text).map(|(_, chart)| *chart);
    if found.is_none() {
        let unknown = unknown_name("chart", text.text, words.iter().map(|(word, _)| *word));
        let error = Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint());
        reading.problems.report(text.span, error);
    }
    found
}

fn every(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<Duration> {
    let text = section.text("every", &mut reading.problems)?;
    let duration = parse_duration(text.text).filter(|duration| *duration >= SHORTEST_EVERY);
    if duration.is_none() {
        let error = bad_value("every", text.text, "a duration of at least `1 second`");
        reading.problems.report(text.span, error);
    }
    duration
}

fn number(section: &Section<'_>, key: &str, reading: &mut Reading<'_>) -> Option<f64> {
    let text = section.text(key, &mut reading.problems)?;
    let number = text.text.parse::<f64>().ok().filter(|number| number.is_finite());
    if number.is_none() {
        reading.problems.report(text.span, bad_value(key, text.text, "a number"));
    }
    number
}

fn yes(section: &Section<'_>, key: &str, reading: &mut Reading<'_>) -> bool {
    let Some(text) = section.text(key, &mut reading.problems) else { return false };
    let yes = text.text.eq_ignore_ascii_case("true");
    if !yes && !text.text.eq_ignore_ascii_case("false") {
        reading.problems.report(text.span, bad_value(key, text.text, "`true` or `false`"));
    }
    yes
}

fn owned(text: Text<'_>) -> String {
    text.text.to_owned()
}
