//! Whether a panel of `dashboard:` can be drawn as it is written: its field's kind, its limits, its map.

use super::super::lines::Span;
use super::super::parse::Reading;
use super::super::section::Section;
use super::find::is_unknown;
use super::{Chart, PanelConfig, Shown};
use crate::error::{Error, codes};
use crate::fields::{self, Coordinate, Kind, Leaf};

/// Lines, gauges and distributions need numbers.
pub(super) fn check_kind(chart: Option<Chart>, leaf: &Leaf, span: Span, reading: &mut Reading<'_>) {
    let needs_number = matches!(chart, Some(Chart::Line | Chart::Gauge | Chart::Distribution));
    if !needs_number || leaf.kind() == Kind::Number {
        return;
    }
    let message = format!("`{}` holds no numbers ({})", leaf.name, leaf.kind().as_str());
    let error = Error::new(&codes::BAD_VALUE, message)
        .with_hint("`bar` counts how often each value occurs; `table` shows the newest ones.");
    reading.problems.report(span, error);
}

/// A scale has two ends, the lower one below; limits are looked at upwards.
pub(super) fn check_limits(section: &Section<'_>, panel: &PanelConfig, reading: &mut Reading<'_>) {
    let mut refuse = |key: &str, message: String, hint: &str| {
        let Some(entry) = section.get(key) else { return };
        let error = Error::new(&codes::BAD_VALUE, message).with_hint(hint);
        reading.problems.report(entry.value.span, error);
    };
    if let (Some(min), Some(max)) = (panel.min, panel.max)
        && min >= max
    {
        refuse(
            "max",
            format!("`max` is {max}, not above `min`, which is {min}"),
            "A scale goes from `min` up to `max`.",
        );
    }
    if let (Some(warn), Some(critical)) = (panel.warn, panel.critical)
        && warn > critical
    {
        let message = format!("`critical` is {critical}, below `warn`, which is {warn}");
        refuse(
            "critical",
            message,
            "Values are marked from `warn` on upwards, and as bad from `critical` on, as Grafana's thresholds are. What \
             is bad when it is low is an alert's, as in `when: level < 5`.",
        );
    }
}

/// A map needs to know where things are.
pub(super) fn check_map(
    section: &Section<'_>,
    panel: &PanelConfig,
    Shown { sources, .. }: Shown<'_>,
    reading: &mut Reading<'_>,
) {
    let named = section.get("source").or_else(|| section.get("field"));
    let source = match (&panel.source, named) {
        (Some(name), _) => sources.iter().find(|source| &source.name == name),
        // What it names was refused already.
        (None, Some(_)) => None,
        // Of sources that could not be read one may be the first.
        (None, None) => sources.first().filter(|_| reading.unknown.is_empty()),
    };
    let Some(source) = source.filter(|source| !is_unknown(&source.name, reading)) else { return };
    let leaves = source.value.as_ref().map_or_else(Vec::new, |value| fields::leaves(&value.schema));
    let has = |coordinate| leaves.iter().any(|leaf| leaf.coordinate() == Some(coordinate));
    let missing = match (has(Coordinate::Latitude), has(Coordinate::Longitude)) {
        (true, true) => return,
        (true, false) => "no longitude",
        (false, true) => "no latitude",
        (false, false) => "neither latitude nor longitude",
    };
    let Some(entry) = named.or_else(|| section.get("chart")) else { return };
    let message = format!("source `{}` has {missing} for a map", source.name);
    let error = Error::new(&codes::BAD_VALUE, message).with_hint(
        "A map needs two number fields, nested or not: one named `lat` or `latitude`, one named `lon`, `lng`, `long` or \
         `longitude`.",
    );
    reading.problems.report(entry.value.span, error);
}
