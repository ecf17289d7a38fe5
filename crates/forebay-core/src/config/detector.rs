//! `detectors: NAME:` an anomaly model that judges each row of a source or view: a view with four more columns.
//!
//! ```text
//!  sources, views ─▶ detector `odd` on `iot`  ─▶  a view `odd` right behind what it watches
//! ```
//!
//! To whoever plans SQL a detector is a view (`SELECT * FROM on`) whose rows pass a model ([`ViewConfig::detector`]), so queries,
//! alerts and the views below it read it by its name. Which kinds there are and what their settings may be is known to who
//! makes the model; which columns there are, to who plans the view. Where each piece stands is kept for both.

use super::parse::{Reading, bad_value, piece};
use super::section::{Section, text_of};
use super::yaml::{Entry, Kind};
use super::{DetectorConfig, Placed, SourceConfig, ViewConfig, keys};
use crate::error::{Error, codes};
use crate::options::unknown_name;

/// Most columns that tell the watched things apart.
const MOST_KEYS: usize = 16;

/// Most columns that one model judges together.
const MOST_COLUMNS: usize = 32;

/// What judges where nobody says: it needs no settings.
const AUTO: &str = "auto";

pub(super) fn read(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Option<DetectorConfig> {
    let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
    section.check(what, &keys::DETECTOR, &mut reading.problems, |_| None);
    let on = piece(&section, "on", reading);
    if on.is_some() {
        check_on(&section, &entry.key, reading);
    }
    let key = match section.get("key") {
        Some(entry) => columns(entry, MOST_KEYS, reading),
        None => Some(Vec::new()),
    };
    let inputs = inputs(&section, what, entry, reading);
    let time = piece(&section, "time", reading);
    let unit = piece(&section, "unit", reading);
    let model = piece(&section, "model", reading);
    let kind = piece(&section, "kind", reading);
    let place = reading.problems.place(entry.key_span);
    let kind = kind.unwrap_or_else(|| Placed { text: AUTO.to_owned(), place });
    let settings = section.get("settings").map(|entry| settings(entry, reading)).unwrap_or_default();
    Some(DetectorConfig {
        name: entry.key.clone(),
        on: on?,
        key: key?,
        columns: inputs?,
        time,
        unit,
        kind,
        settings,
        model,
        place,
    })
}

/// The views of a file with its detectors among them, each right behind what it watches.
pub(super) fn among(
    mut views: Vec<ViewConfig>,
    detectors: Vec<DetectorConfig>,
    sources: &[SourceConfig],
    reading: &mut Reading<'_>,
) -> Vec<ViewConfig> {
    // Those on sources stand first, in the order of the file.
    let mut first = 0;
    for detector in detectors {
        let on = detector.on.text.trim().to_owned();
        let is_on = |name: &str| name.eq_ignore_ascii_case(&on);
        let behind = match views.iter().position(|view| is_on(&view.name)) {
            // Behind those that watch the same.
            Some(at) => {
                let others = views.iter().skip(at + 1);
                let same = |view: &&ViewConfig| {
                    view.detector.as_ref().is_some_and(|other| is_on(other.on.text.trim()))
                };
                at + 1 + others.take_while(same).count()
            }
            None if sources.iter().any(|source| is_on(&source.name)) => first,
            // What it watches is not sound, or stands below it.
            None => {
                reading.unknown.push(detector.name.clone());
                continue;
            }
        };
        first += usize::from(behind <= first);
        let view = ViewConfig {
            name: detector.name.clone(),
            sql: format!("SELECT * FROM `{}`", on.trim_matches('`')),
            place: detector.on.place,
            deduplicate: None,
            detector: Some(detector),
        };
        views.insert(behind.min(views.len()), view);
    }
    views
}

/// Reports what it cannot watch: a name that the file does not have, itself, or a detector below it.
fn check_on(section: &Section<'_>, name: &str, reading: &mut Reading<'_>) {
    let Some(on) = section.text("on", &mut reading.problems) else { return };
    let is_on = |name: &str| name.eq_ignore_ascii_case(on.text.trim());
    let below = reading.detectors.iter().skip_while(|other| !other.eq_ignore_ascii_case(name));
    if below.into_iter().any(|other| is_on(other)) {
        let message = format!("the detector `{}` does not stand above this one", on.text.trim());
        let error = Error::new(&codes::BAD_VALUE, message)
            .with_hint("A detector may watch sources, views, and detectors that stand above it in the file.");
        reading.problems.report(on.span, error);
    } else if !reading.tables.iter().any(|table| is_on(table)) {
        let unknown = unknown_name("source or view", on.text, reading.tables.iter().map(String::as_str));
        let error = Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint());
        reading.problems.report(on.span, error);
    }
}

/// `column` or `columns`: one of them.
fn inputs(
    section: &Section<'_>,
    what: &str,
    entry: &Entry,
    reading: &mut Reading<'_>,
) -> Option<Vec<Placed>> {
    match (section.get("column"), section.get("columns")) {
        (Some(one), None) | (None, Some(one)) => columns(one, MOST_COLUMNS, reading),
        (Some(_), Some(both)) => {
            let error = Error::new(&codes::BAD_VALUE, "`column` and `columns` say the same")
                .with_hint("Write `columns: [a, b]` for several, `column: a` for one.");
            reading.problems.report(both.key_span, error);
            None
        }
        (None, None) => {
            let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `column`")).with_hint(
                "Add `column: …`: the number that is judged. `columns: [a, b]` are several together.",
            );
            reading.problems.report(entry.key_span, error);
            None
        }
    }
}

/// A list of columns; one alone needs no list.
fn columns(entry: &Entry, most: usize, reading: &mut Reading<'_>) -> Option<Vec<Placed>> {
    let name = entry.key.as_str();
    let items = match &entry.value.kind {
        Kind::Sequence(items) => items.as_slice(),
        Kind::Scalar(_) => std::slice::from_ref(&entry.value),
        Kind::Null | Kind::Mapping(_) => &[],
    };
    if items.is_empty() || items.len() > most {
        let error = Error::new(&codes::BAD_VALUE, format!("`{name}` takes from 1 to {most} columns"))
            .with_hint(format!("Write `{name}: a`, or a list: `{name}: [a, b]`."));
        reading.problems.report(entry.key_span, error);
        return None;
    }
    let mut found: Vec<Placed> = Vec::new();
    for item in items {
        let text = match &item.kind {
            Kind::Scalar(text) if !text.trim().is_empty() => text.trim(),
            _ => {
                let error = Error::new(&codes::BAD_VALUE, format!("`{name}` names columns"))
                    .with_hint("A column is a word: the name of a column of what is watched.");
                reading.problems.report(item.span, error);
                return None;
            }
        };
        if found.iter().any(|other| other.text.eq_ignore_ascii_case(text)) {
            let error = Error::new(&codes::BAD_VALUE, format!("the column `{text}` stands twice"))
                .with_hint("Upper and lower case do not matter, as in SQL.");
            reading.problems.report(item.span, error);
        }
        found.push(Placed { text: text.to_owned(), place: reading.problems.place(item.span) });
    }
    Some(found)
}

/// `settings:` numbers by their names.
fn settings(entry: &Entry, reading: &mut Reading<'_>) -> Vec<(Placed, f64)> {
    let problems = &mut reading.problems;
    let Some(section) = Section::open(&entry.value, "`settings`", entry.key_span, problems) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in section.entries() {
        let Some(text) = text_of(entry, &mut reading.problems) else { continue };
        match text.text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => {
                let place = reading.problems.place(entry.key_span);
                found.push((Placed { text: entry.key.clone(), place }, value));
            }
            _ => reading.problems.report(text.span, bad_value(&entry.key, text.text, "a number")),
        }
    }
    found
}
