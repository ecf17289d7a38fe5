//! `dashboard: views: NAME:` a shared view whose rows are followed: one that makes rows of an event's devices, say.
//!
//! Which columns a view has is known once it is planned, so names stay as they are written here, each with its place. What
//! must stay true: no view is followed that the file does not name, since each is a reader of its own.

use std::time::Duration;

use super::super::lines::Span;
use super::super::parse::Reading;
use super::super::section::Section;
use super::super::yaml::{Entry, Kind as Node};
use super::super::{Placed, ViewConfig, keys};
use super::{MOST_LABELS, quiet_after};
use crate::error::{Error, codes};
use crate::options::unknown_name;

/// `dashboard: views: NAME:`
#[derive(Clone, Debug, PartialEq)]
pub struct DashboardView {
    /// The view, spelt as under `views`.
    pub name: String,
    /// Where the file names it here: line and column.
    pub place: (usize, usize),
    /// The column that names the device, nested ones with dots.
    pub key: Placed,
    /// The column that says when it happened, by the device's clock.
    pub time: Option<Placed>,
    /// The columns by whose values devices are told apart, at most [`MOST_LABELS`].
    pub labels: Vec<Placed>,
    /// After how long without a message a device is quiet; `None`: by its usual gap.
    pub quiet_after: Option<Duration>,
}

pub(super) fn read(entry: &Entry, views: &[ViewConfig], reading: &mut Reading<'_>) -> Vec<DashboardView> {
    let what = "`views` of `dashboard`";
    let Some(section) = Section::open(&entry.value, what, entry.key_span, &mut reading.problems) else {
        return Vec::new();
    };
    section.entries().iter().filter_map(|entry| read_one(entry, views, reading)).collect()
}

/// What is named there.
pub(super) fn names(entry: &Entry) -> Vec<&str> {
    match &entry.value.kind {
        Node::Mapping(entries) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => Vec::new(),
    }
}

fn read_one(entry: &Entry, views: &[ViewConfig], reading: &mut Reading<'_>) -> Option<DashboardView> {
    let view = views.iter().find(|view| view.name.eq_ignore_ascii_case(&entry.key));
    if view.is_none() && !reading.unknown.iter().any(|name| name.eq_ignore_ascii_case(&entry.key)) {
        let unknown = unknown_name("view", &entry.key, views.iter().map(|view| view.name.as_str()));
        let error = Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint());
        reading.problems.report(entry.key_span, error);
    }
    let what = format!("`dashboard` of view `{}`", entry.key);
    let section = Section::open(&entry.value, &what, entry.key_span, &mut reading.problems)?;
    section.check(&what, &keys::DASHBOARD_VIEW, &mut reading.problems, |_| None);
    let quiet_after = quiet_after(&section, reading);
    let labels = section.get("labels").map(|entry| labels(entry, reading)).unwrap_or_default();
    let time = placed(&section, "time", reading);
    let key = placed(&section, "key", reading)?;
    Some(DashboardView {
        name: view?.name.clone(),
        place: reading.problems.place(entry.key_span),
        key,
        time,
        labels: labels.into_iter().map(|(label, _)| label).collect(),
        quiet_after,
    })
}

fn placed(section: &Section<'_>, key: &str, reading: &mut Reading<'_>) -> Option<Placed> {
    let text = section.text(key, &mut reading.problems)?;
    Some(Placed { text: text.text.to_owned(), place: reading.problems.place(text.span) })
}

/// `labels:` a list of fields, each with its place; one alone needs no list.
pub(super) fn labels(entry: &Entry, reading: &mut Reading<'_>) -> Vec<(Placed, Span)> {
    let items = match &entry.value.kind {
        Node::Sequence(items) => items.as_slice(),
        Node::Scalar(_) => std::slice::from_ref(&entry.value),
        Node::Null | Node::Mapping(_) => &[],
    };
    let hint = "Write a list: `labels: [customerId, status]`.";
    if items.is_empty() || items.len() > MOST_LABELS {
        let message = format!("`labels` takes from 1 to {MOST_LABELS} fields");
        reading.problems.report(entry.key_span, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
        return Vec::new();
    }
    let mut labels: Vec<(Placed, Span)> = Vec::new();
    for item in items {
        let error = match &item.kind {
            Node::Scalar(text) if labels.iter().any(|(known, _)| known.text.eq_ignore_ascii_case(text)) => {
                Error::new(&codes::BAD_VALUE, format!("the label `{text}` stands twice"))
                    .with_hint("Upper and lower case do not matter, as in SQL.")
            }
            Node::Scalar(text) => {
                let label = Placed { text: text.clone(), place: reading.problems.place(item.span) };
                labels.push((label, item.span));
                continue;
            }
            _ => Error::new(&codes::BAD_VALUE, "a label is the name of a field").with_hint(hint),
        };
        reading.problems.report(item.span, error);
    }
    labels
}
