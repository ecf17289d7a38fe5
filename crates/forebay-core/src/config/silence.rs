//! `silences: NAME:` when nobody is told of alerts, and of which.

use super::alert::known_alerts;
use super::keys;
use super::parse::{Reading, bad_value};
use super::section::{Section, Text};
use super::testing::moment_us;
use super::yaml::{Entry, Kind, Node};
use crate::Zone;
use crate::config::Severity;
use crate::error::{Error, codes};
use crate::silence::{DAY_MINUTES, SilenceConfig, SilenceTime, Weekly};

/// Most names in a list.
const MOST: usize = 100;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn read(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Option<SilenceConfig> {
    let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
    section.check(what, &keys::SILENCE, &mut reading.problems, |_| None);
    let rules = list(&section, "rules", reading);
    known_alerts(&rules, reading);
    let severities = list(&section, "severity", reading).into_iter().filter_map(|text| {
        let found = Severity::ALL.into_iter().find(|it| it.word().eq_ignore_ascii_case(text.text));
        tell_unless(found, text, "severity", "`info`, `warning` or `critical`", reading)
    });
    let severities = severities.collect();
    let keys = list(&section, "keys", reading).into_iter().map(|text| text.text.to_owned()).collect();
    let time = time(&section, entry, reading);
    let rules = rules.into_iter().map(|text| text.text.to_owned()).collect();
    Some(SilenceConfig { name: entry.key.clone(), rules, keys, severities, time: time? })
}

fn time(section: &Section<'_>, entry: &Entry, reading: &mut Reading<'_>) -> Option<SilenceTime> {
    let zone = section.text("zone", &mut reading.problems).and_then(|text| {
        tell_unless(
            Zone::read(text.text.trim()).ok(),
            text,
            "zone",
            "a time zone such as `Europe/Berlin`",
            reading,
        )
    });
    let days = list(section, "days", reading);
    let has_days = section.get("days").is_some();
    let from = section.text("from", &mut reading.problems);
    let until = section.text("until", &mut reading.problems);
    let is_of_day = |text: &Option<Text<'_>>| text.as_ref().is_some_and(|text| minutes(text.text).is_some());
    if has_days || is_of_day(&from) || is_of_day(&until) {
        let mut weekly = Weekly {
            days: [!has_days; 7],
            from: 0,
            until: DAY_MINUTES,
            zone: zone.unwrap_or(reading.time_zone),
        };
        for day in days {
            let known = DAYS.iter().position(|known| {
                let word = day.text.trim();
                word.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(known))
            });
            let known = tell_unless(known, day, "days", "days such as `[sat, sun]`", reading);
            known.into_iter().for_each(|known| weekly.days[known] = true);
        }
        let expected = "a time of the day such as `22:00`";
        if let Some(text) = from
            && let Some(from) = tell_unless(
                minutes(text.text).filter(|from| *from < DAY_MINUTES),
                text,
                "from",
                expected,
                reading,
            )
        {
            weekly.from = from;
        }
        if let Some(text) = until
            && let Some(until) = tell_unless(minutes(text.text), text, "until", expected, reading)
        {
            weekly.until = until;
        }
        return Some(SilenceTime::Weekly(weekly));
    }
    let (Some(from), Some(until)) = (from, until) else {
        let error = Error::new(&codes::MISSING_KEY, "a silence does not say when it is").with_hint(
            "Give `from` and `until` as moments, such as `2026-11-21T08:00:00+01:00`, or as times of the day, such as `22:00`; or `days`.",
        );
        reading.problems.report(entry.key_span, error);
        return None;
    };
    let zone = zone.unwrap_or(reading.time_zone);
    let from_ms = moment("from", from, zone, reading);
    let until_ms = moment("until", until, zone, reading);
    let (from_ms, until_ms) = (from_ms?, until_ms?);
    if until_ms <= from_ms {
        let error = Error::new(&codes::BAD_VALUE, "a silence ends before it begins")
            .with_hint("`until` is later than `from`.");
        reading.problems.report(until.span, error);
        return None;
    }
    Some(SilenceTime::Once { from_ms, until_ms })
}

/// A moment in milliseconds: one that does not say how far it is from UTC is one of the zone's clocks.
fn moment(key: &str, text: Text<'_>, zone: Zone, reading: &mut Reading<'_>) -> Option<i64> {
    let trimmed = text.text.trim();
    let has_date = trimmed.get(..5).is_some_and(|year| year.ends_with('-'));
    let us = moment_us(trimmed, 0).filter(|_| has_date);
    let has_zone =
        trimmed.ends_with(['Z', 'z']) || trimmed.get(10..).is_some_and(|rest| rest.contains(['+', '-']));
    let us = us.map(|us| if has_zone { us } else { zone.instant(us) });
    tell_unless(us, text, key, "a moment such as `2026-11-21T08:00:00+01:00`", reading)
        .map(|us| us.div_euclid(1_000))
}

/// Minutes of the day of `22:00`, and of `24:00`.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| (1..=2).contains(&text.len()));
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|_| minutes.len() == 2)?);
    (minutes < 60 && hours * 60 + minutes <= DAY_MINUTES).then_some(hours * 60 + minutes)
}

/// The texts of a list; one alone needs no list.
pub(super) fn list<'n>(section: &Section<'n>, key: &str, reading: &mut Reading<'_>) -> Vec<Text<'n>> {
    let Some(entry) = section.get(key) else { return Vec::new() };
    let items: &[Node] = match &entry.value.kind {
        Kind::Sequence(items) => items,
        Kind::Scalar(_) => std::slice::from_ref(&entry.value),
        Kind::Null | Kind::Mapping(_) => &[],
    };
    if items.is_empty() || items.len() > MOST {
        let error = Error::new(&codes::BAD_VALUE, format!("`{key}` takes a list of 1 to {MOST} texts"))
            .with_hint(format!("Write `{key}: [one, other]`, or leave it out."));
        reading.problems.report(entry.key_span, error);
        return Vec::new();
    }
    let mut texts = Vec::new();
    for item in items {
        match &item.kind {
            Kind::Scalar(text) if !text.trim().is_empty() => texts.push(Text { text, span: item.span }),
            _ => {
                let error = Error::new(&codes::BAD_VALUE, format!("an item of `{key}` is not a text"))
                    .with_hint(format!("Write `{key}: [one, other]`."));
                reading.problems.report(item.span, error);
            }
        }
    }
    texts
}

/// The value, or it is told what was expected in its place.
fn tell_unless<T>(
    value: Option<T>,
    text: Text<'_>,
    key: &str,
    expected: &str,
    reading: &mut Reading<'_>,
) -> Option<T> {
    if value.is_none() {
        reading.problems.report(text.span, bad_value(key, text.text, expected));
    }
    value
}
