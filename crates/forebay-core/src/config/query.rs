//! `queries: NAME:` a SELECT, its sink, its trigger and its checkpoint.

use std::path::PathBuf;
use std::time::Duration;

use super::parse::{Reading, bad_value};
use super::places::OptionPlaces;
use super::raw_options::{self, RawOption};
use super::section::Section;
use super::source::{given_twice, in_options, spec};
use super::yaml::{Entry, Kind};
use super::{QueryConfig, catalog_table, cycle, event_time, keys};
use crate::Zone;
use crate::error::{Error, codes};
use crate::options::{Options, parse_duration, parse_size};
use crate::output_mode::OutputMode;
use crate::trigger::Trigger;

const CHECKPOINT: &str = "checkpointLocation";
const TO_TABLE: &str = "toTable";

/// `stateLimit` if it is not given: 1 GiB.
const STATE_LIMIT: u64 = 1 << 30;

pub(super) fn read(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Option<QueryConfig> {
    let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
    let connector = spec(&section, "format", "sink", reading.registry.sinks, reading);
    section.check(what, &keys::QUERY, &mut reading.problems, |key| in_options(key, &[connector]));

    let options_entry = section.get("options");
    let options_span = options_entry.map_or(entry.key_span, |entry| entry.key_span);
    let mut raw = raw_options::gather(options_entry, what, reading);
    let checkpoint_option = raw_options::take(&mut raw, CHECKPOINT);
    let checkpoint_option = checkpoint_given(&section, checkpoint_option, reading);
    let checkpoint = checkpoint_option.as_ref().and_then(|given| checkpoint(given, reading));
    let to_table = catalog_table::read(&section, TO_TABLE, connector, &raw, reading);
    let is_broken = to_table.is_none() && section.get(TO_TABLE).is_some();
    let to_table = to_table.map(|(name, path)| {
        raw.push(path);
        name
    });
    let with_place = raw.iter().chain(&checkpoint_option);
    let option_places = OptionPlaces::new(with_place, reading.problems.place(options_span), reading);
    let options = match connector {
        // Without its table its options are not whole.
        Some(_) if is_broken => Options::default(),
        Some(connector) => {
            raw_options::parse_all(raw, &[connector], options_span, &[CHECKPOINT], |_| None, reading)
                .pop()
                .unwrap_or_default()
        }
        None => Options::default(),
    };
    let output_mode = output_mode(&section, reading);
    let output_mode_span = section.get("outputMode").map_or(entry.key_span, |entry| entry.value.span);
    let deduplicate = event_time::deduplicate(&section, &keys::QUERY_DEDUPLICATE, reading);
    let cycle = cycle::read(&section, reading);
    let watermark_policy = event_time::policy(&section, reading);
    let state_limit = state_limit(&section, reading);
    let trigger = section.get("trigger").map(|entry| trigger(entry, reading)).unwrap_or_default();
    let (sql, place) = reading.sql(section.get("sql")?)?;
    Some(QueryConfig {
        // The file's, which its reader puts in.
        time_zone: Zone::UTC,
        name: entry.key.clone(),
        sql,
        place,
        format: connector.map(|connector| connector.name.to_owned()).unwrap_or_default(),
        options,
        option_places,
        trigger,
        output_mode,
        output_mode_place: reading.problems.place(output_mode_span),
        deduplicate,
        cycle,
        watermark_policy,
        state_limit,
        checkpoint,
        to_table,
    })
}

/// `checkpointLocation` as a key or, as in Spark, among the options.
fn checkpoint_given(
    section: &Section<'_>,
    option: Option<RawOption>,
    reading: &mut Reading<'_>,
) -> Option<RawOption> {
    let key = section.get(CHECKPOINT).map(|entry| raw_options::read_one(entry, reading));
    match (key, option) {
        (Some(_), Some(option)) => {
            reading.problems.report(option.key_span, given_twice(CHECKPOINT));
            None
        }
        (key, option) => key.or(option),
    }
}

fn checkpoint(given: &RawOption, reading: &mut Reading<'_>) -> Option<PathBuf> {
    let path = given.usable()?;
    if path.trim().is_empty() {
        reading.problems.report(given.key_span, bad_value(CHECKPOINT, path, "the path of a folder"));
        return None;
    }
    Some(PathBuf::from(path))
}

/// Which modes the query's operators allow, the planner knows.
fn output_mode(section: &Section<'_>, reading: &mut Reading<'_>) -> OutputMode {
    let Some(text) = section.text("outputMode", &mut reading.problems) else { return OutputMode::default() };
    OutputMode::parse(text.text).unwrap_or_else(|| {
        let error = bad_value("outputMode", text.text, "`append`, `update` or `complete`");
        reading.problems.report(text.span, error);
        OutputMode::default()
    })
}

fn state_limit(section: &Section<'_>, reading: &mut Reading<'_>) -> u64 {
    let Some(text) = section.text("stateLimit", &mut reading.problems) else { return STATE_LIMIT };
    parse_size(text.text).filter(|bytes| *bytes > 0).unwrap_or_else(|| {
        reading.problems.report(text.span, bad_value("stateLimit", text.text, "a size such as `1GiB`"));
        STATE_LIMIT
    })
}

const TRIGGERS: &str = "`default`, `availableNow`, `once` or `{ processingTime: 1 second }`";

fn trigger(entry: &Entry, reading: &mut Reading<'_>) -> Trigger {
    let (error, span) = match &entry.value.kind {
        Kind::Scalar(word) => match word.as_str() {
            "default" => return Trigger::Default,
            "availableNow" => return Trigger::AvailableNow,
            "once" => return Trigger::Once,
            other => {
                let error = bad_value("trigger", other, TRIGGERS);
                let error = match parse_duration(other) {
                    Some(_) => error.with_hint(format!("Write `trigger: {{ processingTime: {other} }}`.")),
                    None => error,
                };
                (error, entry.value.span)
            }
        },
        _ => return trigger_mapping(entry, reading),
    };
    reading.problems.report(span, error);
    Trigger::Default
}

fn trigger_mapping(entry: &Entry, reading: &mut Reading<'_>) -> Trigger {
    let problems = &mut reading.problems;
    let Some(section) = Section::open(&entry.value, "`trigger`", entry.key_span, problems) else {
        return Trigger::Default;
    };
    section.check("`trigger`", &keys::TRIGGER, problems, |_| None);
    let [only] = section.entries() else {
        let error = Error::new(&codes::BAD_VALUE, "a trigger has exactly one key")
            .with_hint(format!("Write {TRIGGERS}."));
        problems.report(entry.key_span, error);
        return Trigger::Default;
    };
    let is_known = keys::TRIGGER.keys.iter().any(|key| !key.later && key.name == only.key);
    let Some(text) = (if is_known { super::section::text_of(only, problems) } else { None }) else {
        return Trigger::Default;
    };
    let (expected, found) = match only.key.as_str() {
        "processingTime" => ("a duration such as `1 second`", parse_duration(text.text).map(every)),
        "availableNow" => ("`true`", is_true(text.text).then_some(Trigger::AvailableNow)),
        _ => ("`true`", is_true(text.text).then_some(Trigger::Once)),
    };
    found.unwrap_or_else(|| {
        problems.report(text.span, bad_value(&only.key, text.text, expected));
        Trigger::Default
    })
}

/// As in Spark, an interval of zero means as soon as there is data.
fn every(interval: Duration) -> Trigger {
    if interval.is_zero() { Trigger::Default } else { Trigger::ProcessingTime(interval) }
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}
