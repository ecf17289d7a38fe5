//! `dashboard: panels:` the panels in their order, each read against its keys and what it shows.

use std::time::Duration;

use super::super::keys;
use super::super::lines::Span;
use super::super::parse::{Reading, bad_value};
use super::super::section::Section;
use super::super::yaml::{Entry, Kind as Node};
use super::check::{check_kind, check_limits, check_map};
use super::find::{find_source, find_source_field, find_view, is_other_view};
use super::{CHARTS, Chart, DRAWN_AS, MOST_PANELS, PanelConfig, SHORTEST_EVERY, Shown, owned};
use crate::error::{Error, codes};
use crate::options::{parse_duration, unknown_name};

pub(super) fn read_panels(entry: &Entry, shown: Shown<'_>, reading: &mut Reading<'_>) -> Vec<PanelConfig> {
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
            read_panel(&section, &what, first, shown, reading)
        })
        .collect()
}

fn read_panel(
    section: &Section<'_>,
    what: &str,
    span: Span,
    shown: Shown<'_>,
    reading: &mut Reading<'_>,
) -> Option<PanelConfig> {
    section.check(what, &keys::PANEL, &mut reading.problems, |_| None);
    let chart = one_of(section, "chart", &CHARTS, reading);
    let (mut source, mut field, mut place) = (None, None, reading.problems.place(span));
    if let Some(text) = section.text("field", &mut reading.problems) {
        place = reading.problems.place(text.span);
        if let Some((view, of)) = find_view(text.text, shown.views) {
            (source, field) = (Some(view.name.clone()), Some(of.to_owned()));
        } else if is_other_view(text, shown, reading) {
            // It was told.
        } else if let Some((of, leaf)) = find_source_field(text, shown, reading) {
            check_kind(chart, &leaf, text.span, reading);
            (source, field) = (Some(of), Some(leaf.name));
        }
    } else if let Some(text) = section.text("source", &mut reading.problems) {
        place = reading.problems.place(text.span);
        source = match find_view(text.text, shown.views) {
            Some((view, _)) => Some(view.name.clone()),
            None if is_other_view(text, shown, reading) => None,
            None => find_source(text, shown, reading).map(|source| source.name.clone()),
        };
    }
    let sql = section.get("sql").and_then(|entry| reading.sql(entry));
    let drawn_as = one_of(section, "as", &DRAWN_AS, reading);
    let every = every(section, reading);
    let panel = PanelConfig {
        chart: chart?,
        title: section.text("title", &mut reading.problems).map(owned),
        source,
        field,
        place,
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
        Chart::Map | Chart::Table | Chart::Events => None,
        Chart::Line | Chart::Bar | Chart::Gauge | Chart::Distribution => Some("field"),
    };
    if let Some(key) = needed.filter(|key| section.get(key).is_none()) {
        let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `{key}`"))
            .with_hint(format!("Without it there is nothing to draw: add `{key}: …`."));
        reading.problems.report(span, error);
    }
    check_limits(section, &panel, reading);
    if panel.chart == Chart::Map {
        check_map(section, &panel, shown, reading);
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
