//! What the file says of time: `watermark`, `deduplicate`, `multipleWatermarkPolicy` and `timeZone`.
//!
//! What is SQL here, and which columns there are, is checked by whoever plans the queries; where each piece stands is
//! kept for that.

use std::time::Duration;

use super::parse::{Reading, bad_value};
use super::section::{Section, text_of};
use super::yaml::{Entry, Kind, Node};
use super::{DeduplicateConfig, Placed, WatermarkConfig, keys};
use crate::Zone;
use crate::error::{Error, codes};
use crate::event_time::WatermarkPolicy;
use crate::options::{ConnectorSpec, Options, nearest, parse_duration};

/// How far ahead of the clock an event time may be, if the file does not say it: clocks of devices that are set at all
/// are nearer.
const MAX_FUTURE_SKEW: Duration = Duration::from_secs(5 * 60);

/// Most columns of a `deduplicate`: each key is kept with all of them.
const MOST_KEYS: usize = 100;

const A_DURATION: &str = "a duration such as `10 seconds`";

pub(super) fn watermark(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<WatermarkConfig> {
    let entry = section.get("watermark")?;
    let problems = &mut reading.problems;
    let section = Section::open(&entry.value, "`watermark`", entry.key_span, problems)?;
    section.check("`watermark`", &keys::WATERMARK, problems, |_| None);
    let column = section.get("column").and_then(|entry| {
        let text = text_of(entry, &mut reading.problems)?;
        placed("column", text.text, entry, &entry.value, reading)
    });
    let delay = duration(&section, "delay", |_| true, A_DURATION, reading);
    let none = section.text("maxFutureSkew", &mut reading.problems).is_some_and(|text| is_none(text.text));
    let max_future_skew = match section.get("maxFutureSkew") {
        Some(_) if none => None,
        Some(_) => duration(
            &section,
            "maxFutureSkew",
            |_| true,
            "a duration such as `5 minutes`, or `none`",
            reading,
        ),
        None => Some(MAX_FUTURE_SKEW),
    };
    let idle_timeout =
        duration(&section, "idleTimeout", |time| !time.is_zero(), "a duration such as `1 minute`", reading);
    Some(WatermarkConfig { column: column?, delay: delay?, max_future_skew, idle_timeout })
}

/// `deduplicate:` of a query or view; `keys` is the section's list of keys.
pub(super) fn deduplicate(
    section: &Section<'_>,
    spec: &keys::Section,
    reading: &mut Reading<'_>,
) -> Option<DeduplicateConfig> {
    let entry = section.get("deduplicate")?;
    let section = Section::open(&entry.value, "`deduplicate`", entry.key_span, &mut reading.problems)?;
    section.check("`deduplicate`", spec, &mut reading.problems, |_| None);
    let within =
        duration(&section, "within", |time| !time.is_zero(), "a duration such as `10 minutes`", reading);
    let keys = columns(section.get("keys")?, reading)?;
    Some(DeduplicateConfig { keys, within, place: reading.problems.place(entry.key_span) })
}

pub(super) fn policy(section: &Section<'_>, reading: &mut Reading<'_>) -> WatermarkPolicy {
    const KEY: &str = "multipleWatermarkPolicy";
    let Some(text) = section.text(KEY, &mut reading.problems) else { return WatermarkPolicy::default() };
    WatermarkPolicy::parse(text.text).unwrap_or_else(|| {
        reading.problems.report(text.span, bad_value(KEY, text.text, "`min` or `max`"));
        WatermarkPolicy::default()
    })
}

/// The zone, and where the file names it. It has one spelling here, however the file writes it.
pub(super) fn time_zone(file: &Section<'_>, reading: &mut Reading<'_>) -> (Zone, (usize, usize)) {
    let Some(text) = file.text("timeZone", &mut reading.problems) else { return (Zone::UTC, (0, 0)) };
    let place = reading.problems.place(text.span);
    let wanted = text.text.trim();
    let region = Zone::regions().find(|name| name.eq_ignore_ascii_case(wanted));
    match Zone::read(region.unwrap_or(wanted)) {
        // Arrow knows offsets of whole minutes.
        Ok(Zone::Offset(offset)) if offset % 60 != 0 => {}
        Ok(zone) => return (zone, place),
        Err(_) => {}
    }
    let guess = nearest(wanted, Zone::regions());
    let guess = guess.map(|name| format!("Did you mean `{name}`? ")).unwrap_or_default();
    let hint = format!(
        "{guess}Zones have the names of the IANA database, such as `Europe/Berlin` or `UTC`, or are offsets: `+02:00`."
    );
    let error = bad_value("timeZone", wanted, "a time zone").with_hint(hint);
    reading.problems.report(text.span, error);
    (Zone::UTC, place)
}

/// Texts without a zone are read in the pipeline's, where the options of what reads them say nothing else.
pub(super) fn decode_in(zone: Zone, format: &str, options: &mut Options, formats: &[&ConnectorSpec]) {
    const OPTION: &str = "timeZone";
    let declared = |spec: &&&ConnectorSpec| {
        spec.name == format && spec.options.iter().any(|option| option.name == OPTION)
    };
    let Some(spec) = formats.iter().find(declared).filter(|_| !zone.is_utc()) else { return };
    if options.text(OPTION).is_none()
        && let Ok(with) = std::mem::take(options).with(spec, OPTION, &zone.to_string())
    {
        *options = with;
    }
}

/// A list of columns; one alone needs no list.
fn columns(entry: &Entry, reading: &mut Reading<'_>) -> Option<Vec<Placed>> {
    let items = match &entry.value.kind {
        Kind::Sequence(items) => items.as_slice(),
        Kind::Scalar(_) => std::slice::from_ref(&entry.value),
        Kind::Null | Kind::Mapping(_) => &[],
    };
    if items.is_empty() || items.len() > MOST_KEYS {
        let error = Error::new(&codes::BAD_VALUE, format!("`keys` takes from 1 to {MOST_KEYS} columns"))
            .with_hint("Write a list: `keys: [device_id, sequence]`.");
        reading.problems.report(entry.key_span, error);
        return None;
    }
    let mut columns: Vec<Placed> = Vec::new();
    for item in items {
        let Kind::Scalar(text) = &item.kind else {
            let error = Error::new(&codes::BAD_VALUE, "a column is a text").with_hint(KEYS_HINT);
            reading.problems.report(item.span, error);
            return None;
        };
        let column = placed("keys", text, entry, item, reading)?;
        if columns.iter().any(|other| other.text.eq_ignore_ascii_case(&column.text)) {
            let error = Error::new(&codes::BAD_VALUE, format!("the column `{text}` stands twice"))
                .with_hint("Upper and lower case do not matter, as in SQL.");
            reading.problems.report(item.span, error);
        }
        columns.push(column);
    }
    Some(columns)
}

const KEYS_HINT: &str = "Name columns of the SELECT's result, nested ones with dots.";

/// A text that must not be empty, and where it begins.
fn placed(key: &str, text: &str, entry: &Entry, node: &Node, reading: &mut Reading<'_>) -> Option<Placed> {
    if text.trim().is_empty() {
        reading.problems.report(entry.key_span, bad_value(key, text, "a text that is not empty"));
        return None;
    }
    Some(Placed { text: text.to_owned(), place: reading.problems.place(node.span) })
}

/// The duration of a key, if it is there and good.
fn duration(
    section: &Section<'_>,
    key: &str,
    is_good: impl Fn(&Duration) -> bool,
    expected: &str,
    reading: &mut Reading<'_>,
) -> Option<Duration> {
    let text = section.text(key, &mut reading.problems)?;
    let duration = parse_duration(text.text).filter(is_good);
    if duration.is_none() {
        reading.problems.report(text.span, bad_value(key, text.text, expected));
    }
    duration
}

fn is_none(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("none")
}
