//! What a rule may have beside its condition: `levels`, `matches`, `noData`.

use std::time::Duration;

use super::duration;
use crate::config::parse::{Reading, bad_value, piece};
use crate::config::section::Section;
use crate::config::yaml::Kind;
use crate::config::{LevelConfig, MatchesConfig, NoDataConfig, Placed, Severity, keys, silence};
use crate::error::{Error, codes};
use crate::options::{parse_duration, unknown_name};

/// Most records that `N of M` looks at, that `N within` counts, and fields that are watched: each is remembered for each key.
const MOST_OF: u32 = 64;
const MOST_WITHIN: u32 = 1_000;
const MOST_FIELDS: usize = 16;

/// The levels, the mildest first; `hold` is that of the alert.
pub(super) fn levels(section: &Section<'_>, hold: Duration, reading: &mut Reading<'_>) -> Vec<LevelConfig> {
    let Some(entry) = section.get("levels") else { return Vec::new() };
    for key in ["when", "clear", "severity"] {
        if let Some(other) = section.get(key) {
            let error =
                Error::new(&codes::BAD_VALUE, format!("an alert with `levels` has no `{key}` of its own"))
                    .with_hint("Each level has its `when` and `clear`, and its name is the severity.");
            reading.problems.report(other.key_span, error);
        }
    }
    let Some(levels) = Section::open(&entry.value, "`levels`", entry.key_span, &mut reading.problems) else {
        return Vec::new();
    };
    if levels.entries().is_empty() {
        let error = Error::new(&codes::MISSING_KEY, "`levels` is empty")
            .with_hint("Name severities in it: `levels: { warning: { when: … }, critical: { when: … } }`.");
        reading.problems.report(entry.key_span, error);
    }
    let mut found = Vec::new();
    for level in levels.entries() {
        let Some(severity) = Severity::ALL.into_iter().find(|severity| severity.word() == level.key) else {
            let words = Severity::ALL.map(Severity::word);
            let unknown = unknown_name("severity", &level.key, words.into_iter());
            let error = Error::new(&codes::UNKNOWN_KEY, unknown.message()).with_hint(unknown.hint());
            reading.problems.report(level.key_span, error);
            continue;
        };
        let what = format!("level `{}`", level.key);
        let Some(section) = Section::open(&level.value, &what, level.key_span, &mut reading.problems) else {
            continue;
        };
        section.check(&what, &keys::LEVEL, &mut reading.problems, |_| None);
        let (when, clear) = (piece(&section, "when", reading), piece(&section, "clear", reading));
        let hold = duration(&section, "for", reading).unwrap_or(hold);
        found.extend(when.map(|when| LevelConfig { severity, when, clear, hold }));
    }
    found.sort_by_key(|level| level.severity);
    found
}

/// `3 of 5`, `10 within 1 minute`.
pub(super) fn matches(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<MatchesConfig> {
    let text = section.text("matches", &mut reading.problems)?;
    let found = read_matches(text.text);
    if found.is_none() {
        let expected = "`3 of 5` (at most of 64) or `10 within 1 minute` (at most 1000)";
        reading.problems.report(text.span, bad_value("matches", text.text, expected));
    }
    found
}

fn read_matches(text: &str) -> Option<MatchesConfig> {
    let (count, rest) = text.trim().split_once(char::is_whitespace)?;
    let (word, rest) = rest.trim_start().split_once(char::is_whitespace)?;
    let count: u32 = count.parse().ok().filter(|count| *count > 0)?;
    match word {
        "of" => {
            let of = rest.trim().parse().ok().filter(|of| (count..=MOST_OF).contains(of))?;
            Some(MatchesConfig::OfRows { count, of })
        }
        "within" if count <= MOST_WITHIN => {
            let time = parse_duration(rest).filter(|time| !time.is_zero())?;
            Some(MatchesConfig::Within { count, time })
        }
        _ => None,
    }
}

/// `noData:` as a duration or a mapping.
pub(super) fn no_data(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<NoDataConfig> {
    let entry = section.get("noData")?;
    if !matches!(entry.value.kind, Kind::Mapping(_)) {
        let after = after(section, "noData", reading)?;
        return Some(NoDataConfig { after, fields: Vec::new(), keys: Vec::new() });
    }
    let own = Section::open(&entry.value, "`noData`", entry.key_span, &mut reading.problems)?;
    own.check("`noData`", &keys::NO_DATA, &mut reading.problems, |_| None);
    let after = after(&own, "after", reading);
    let fields: Vec<Placed> = silence::list(&own, "fields", reading)
        .into_iter()
        .map(|text| Placed { text: text.text.to_owned(), place: reading.problems.place(text.span) })
        .collect();
    let keys: Vec<String> =
        silence::list(&own, "keys", reading).into_iter().map(|text| text.text.to_owned()).collect();
    let tell = |key: &str, message: &str, hint: &str, reading: &mut Reading<'_>| {
        let span = own.get(key).map_or(entry.key_span, |entry| entry.key_span);
        reading.problems.report(span, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
    };
    if fields.len() > MOST_FIELDS {
        tell("fields", "`fields` has more than 16 columns", "Divide them among several alerts.", reading);
    }
    if !fields.is_empty() && !keys.is_empty() {
        let hint = "A field is watched from the first record of its key on. Name the keys in an alert without `fields`.";
        tell("keys", "`keys` and `fields` do not go together", hint, reading);
    }
    Some(NoDataConfig { after: after?, fields, keys })
}

fn after(section: &Section<'_>, key: &str, reading: &mut Reading<'_>) -> Option<Duration> {
    let text = section.text(key, &mut reading.problems)?;
    let after = parse_duration(text.text).filter(|after| !after.is_zero());
    if after.is_none() {
        reading.problems.report(text.span, bad_value(key, text.text, "a duration such as `5 minutes`"));
    }
    after
}

/// The condition of an alert that has none: never, if it tells of silence; else it is told that it lacks one.
pub(super) fn without_condition(
    section: &Section<'_>,
    what: &str,
    reading: &mut Reading<'_>,
) -> Option<Placed> {
    if let Some(entry) = section.get("noData").filter(|_| section.get("when").is_none()) {
        return Some(Placed { text: "false".to_owned(), place: reading.problems.place(entry.key_span) });
    }
    if section.get("when").is_none() && section.get("levels").is_none() {
        let spec = keys::ALERT.keys.iter().find(|known| known.name == "when");
        let doc = spec.map_or("", |spec| spec.doc);
        let error = Error::new(&codes::MISSING_KEY, format!("{what} has no `when`"))
            .with_hint(format!("Add `when: …` (SQL condition). {doc}"));
        section.report(error, &mut reading.problems);
    }
    None
}
