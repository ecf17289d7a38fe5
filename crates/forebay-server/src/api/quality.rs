//! `/quality`: how many records were as their sources expect, over time, by rule and by device.
//!
//! A source that several queries read is judged by each of them, so it is there once for each: their counts are never added.

use std::collections::BTreeMap;

use forebay_core::options::unknown_name;
use forebay_core::quality::{ByRule, Judged, MINUTES, Past, Step};
use forebay_engine::status::{Failures, QueryStatus};
use serde_json::{Value, json};

use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::params::Given;
use crate::problem::Problem;

/// How far back an answer goes if nobody says it: as far as there are minutes.
const USUAL_MS: i64 = MINUTES as i64 * 60_000;

/// What is asked.
struct Asked<'a> {
    from: i64,
    to: i64,
    step: Step,
    rule: Option<&'a str>,
    device: Option<&'a str>,
    /// Most devices.
    most: usize,
}

pub(crate) async fn list(ask: Ask) -> Outcome {
    let (given, now) = (&ask.given, ask.state.shown.clock.now_ms());
    let (query, source) = (given.text("query"), given.text("source"));
    let statuses = ask.state.shown.statuses();
    let wanted = |given: &str, name: &str| given.is_empty() || given.eq_ignore_ascii_case(name);
    let queries: Vec<&QueryStatus> = statuses.iter().filter(|status| wanted(query, &status.name)).collect();
    if queries.is_empty() && !query.is_empty() {
        return Err(missing("query", query, statuses.iter().map(|status| &*status.name)));
    }
    let pairs: Vec<(&QueryStatus, &str)> =
        queries.iter().flat_map(|status| sources(status).into_iter().map(|name| (*status, name))).collect();
    if !source.is_empty() && !pairs.iter().any(|(_, name)| wanted(source, name)) {
        return Err(missing("source with expectations", source, pairs.iter().map(|(_, name)| *name)));
    }
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, name)| wanted(source, name)).collect();
    let asked = asked(given, now)?;
    if let Some(rule) = asked.rule
        && !pairs.iter().any(|(status, source)| knows(status, source, rule))
    {
        let rules = pairs.iter().flat_map(|(status, source)| of(status, source));
        return Err(missing("rule", rule, rules.map(|it| &*it.expected.name)));
    }
    let told: Vec<Value> = pairs.iter().map(|(status, source)| told(status, source, &asked)).collect();
    Ok(answer(&json!({ "from": asked.from, "to": asked.to, "step": asked.step.ms(), "sources": told })))
}

fn missing<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let error = unknown_name(what, name, known);
    Problem::missing(error.message()).hint(error.hint())
}

fn asked(given: &Given, now: i64) -> Result<Asked<'_>, Problem> {
    let time = |name: &str| given.all(name).next().and_then(|text| text.parse::<i64>().ok());
    let to = time("to").unwrap_or(now);
    let from = time("from").unwrap_or(to.saturating_sub(USUAL_MS));
    if from >= to {
        return Err(Problem::bad("`from` is not before `to`").hint("Both are milliseconds since 1970."));
    }
    let text = |name: &str| Some(given.text(name)).filter(|text| !text.is_empty());
    // Minutes are kept for a while; what is older, and what is longer, is told in hours.
    let is_near = from >= now.saturating_sub(USUAL_MS + Step::Minute.ms());
    Ok(Asked {
        from,
        to,
        step: if is_near { Step::Minute } else { Step::Hour },
        rule: text("rule"),
        device: text("device"),
        most: given.integer("limit"),
    })
}

/// The sources of a query that have expectations, each once.
fn sources(status: &QueryStatus) -> Vec<&str> {
    let mut names: Vec<&str> = status.expectations.iter().map(|it| &*it.source).collect();
    names.dedup();
    names
}

fn of<'a>(status: &'a QueryStatus, source: &'a str) -> impl Iterator<Item = &'a Failures> {
    status.expectations.iter().filter(move |it| &*it.source == source)
}

/// True if a rule is in the file, or was when something failed it.
fn knows(status: &QueryStatus, source: &str, rule: &str) -> bool {
    let past = status.quality.lock();
    of(status, source).any(|it| &*it.expected.name == rule)
        || past.total(source).is_some_and(|total| total.rules.contains_key(rule))
}

fn told(status: &QueryStatus, source: &str, asked: &Asked<'_>) -> Value {
    let past = status.quality.lock();
    let steps = within(&past, source, asked);
    let mut sum = Judged::default();
    steps.values().for_each(|judged| sum.add(judged));
    let points = steps.iter().map(|(at, judged)| {
        json!({
            "at": at, "rows": judged.rows, "failed": failed(judged, asked), "unreadable": judged.unreadable,
            "rules": by_rule(counts_of(judged, asked), asked),
        })
    });
    let named: u64 = sum.worst(asked.rule, usize::MAX).iter().map(|(_, count)| count).sum();
    let all: u64 = match asked.rule {
        Some(rule) => sum.of_rule(rule),
        None => sum.rules.values().sum(),
    };
    let worst = sum.worst(asked.rule, usize::MAX).into_iter();
    let worst = worst.filter(|(key, _)| asked.device.is_none_or(|device| device == *key)).take(asked.most);
    let total = past.total(source).cloned().unwrap_or_default();
    json!({
        "query": &*status.name,
        "source": source,
        "rows": sum.rows,
        "failed": failed(&sum, asked),
        "unreadable": sum.unreadable,
        "rules": rules(status, source, &sum, asked),
        "devices": worst
            .map(|(key, count)| json!({ "key": key, "failed": count, "rules": by_rule(sum.devices.get(key), asked) }))
            .collect::<Vec<_>>(),
        "others": all.saturating_sub(named),
        "total": { "rows": total.rows, "failed": total.failed, "unreadable": total.unreadable },
        "points": points.collect::<Vec<_>>(),
    })
}

/// The steps that lie in the time that is asked for, also in part.
fn within<'a>(past: &'a Past, source: &str, asked: &Asked<'_>) -> BTreeMap<i64, &'a Judged> {
    let first = asked.step.start(asked.from);
    let steps = past.steps(source, asked.step).into_iter().flatten();
    steps.filter(|(at, _)| (first..asked.to).contains(at)).map(|(at, it)| (*at, it)).collect()
}

/// How many failed each rule: of all rows, or of the device that is asked for.
fn counts_of<'a>(judged: &'a Judged, asked: &Asked<'_>) -> Option<&'a ByRule> {
    match asked.device {
        None => Some(&judged.rules),
        Some(device) => judged.devices.get(device),
    }
}

/// Those of the rule that is asked for, or of all.
fn by_rule<'a>(counts: Option<&'a ByRule>, asked: &Asked<'_>) -> BTreeMap<&'a str, u64> {
    let each = counts.into_iter().flatten().map(|(name, count)| (&**name, *count));
    each.filter(|(name, _)| asked.rule.is_none_or(|rule| rule == *name)).collect()
}

/// How many failed: rows, or failures of what is asked for alone.
fn failed(judged: &Judged, asked: &Asked<'_>) -> u64 {
    if asked.device.is_none() && asked.rule.is_none() {
        return judged.failed;
    }
    by_rule(counts_of(judged, asked), asked).values().sum()
}

/// Those of the file in its order, then those that were in it.
fn rules(status: &QueryStatus, source: &str, sum: &Judged, asked: &Asked<'_>) -> Vec<Value> {
    let counts = by_rule(counts_of(sum, asked), asked);
    let count = |name: &str| counts.get(name).copied().unwrap_or(0);
    let wanted = |name: &str| asked.rule.is_none_or(|rule| rule == name);
    let mut told: Vec<Value> = of(status, source)
        .filter(|it| wanted(&it.expected.name))
        .map(|it| {
            json!({
                "name": &*it.expected.name,
                "onFail": it.expected.on_fail.word(),
                "failed": count(&it.expected.name),
                "nanosPerRow": it.spent.nanos_per_row(),
            })
        })
        .collect();
    let gone = counts.keys().filter(|name| !of(status, source).any(|it| &*it.expected.name == **name));
    told.extend(
        gone.map(|name| json!({ "name": name, "onFail": null, "failed": count(name), "nanosPerRow": null })),
    );
    told
}

#[cfg(test)]
mod tests {
    use forebay_core::expectation::{Expected, OnFail, Spent};
    use forebay_core::quality::EpochQuality;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn status() -> QueryStatus {
        let mut status = QueryStatus::new("lake");
        let failures = |name: &str| Failures {
            source: "cars".into(),
            expected: Expected { name: name.into(), on_fail: OnFail::Flag },
            rows: 0,
            spent: Spent { nanos: 300, rows: 100 },
        };
        status.expectations = vec![failures("speed"), failures("fuel")];
        for (at_ms, device, rules) in [
            (100 * HOUR, "a", ByRule::from([("speed".into(), 4), ("gone".into(), 1)])),
            (100 * HOUR + 60_000, "b", ByRule::from([("speed".into(), 2)])),
            (90 * HOUR, "b", ByRule::from([("speed".into(), 8)])),
        ] {
            let mut epoch = EpochQuality { planned_at_ms: at_ms, ..EpochQuality::default() };
            let failed = *rules.values().max().unwrap();
            let devices = BTreeMap::from([(device.into(), rules.clone())]);
            epoch.add("cars", &Judged { rows: 10, failed, unreadable: 1, rules, devices });
            status.quality.lock().add(&epoch);
        }
        status
    }

    fn ask<'a>(from: i64, rule: Option<&'a str>, device: Option<&'a str>) -> Asked<'a> {
        let step = if from < 97 * HOUR { Step::Hour } else { Step::Minute };
        Asked { from, to: 101 * HOUR, step, rule, device, most: 1 }
    }

    #[test]
    fn counts_are_of_the_time_the_rule_and_the_device_that_are_asked_for() {
        let status = status();
        let told = |asked: Asked<'_>| told(&status, "cars", &asked);
        let near = told(ask(98 * HOUR, None, None));
        assert_eq!((&near["rows"], &near["failed"], &near["unreadable"]), (&json!(20), &json!(6), &json!(2)));
        let worst = json!([{ "key": "a", "failed": 5, "rules": { "gone": 1, "speed": 4 } }]);
        assert_eq!(near["devices"], worst);
        let points: Vec<_> = near["points"].as_array().unwrap().iter().map(|it| &it["rules"]).collect();
        assert_eq!(points, [&json!({ "gone": 1, "speed": 4 }), &json!({ "speed": 2 })]);
        assert_eq!((&near["others"], &near["total"]["rows"]), (&json!(0), &json!(30)));
        let rules: Vec<_> = near["rules"].as_array().unwrap().iter().map(|it| &it["failed"]).collect();
        assert_eq!(rules, [6, 0, 1]);
        assert_eq!(near["rules"][0]["nanosPerRow"], 3.0);
        assert_eq!(near["rules"][2]["onFail"], Value::Null, "it is in the file no more");
        let far = told(ask(0, Some("speed"), None));
        assert_eq!((&far["failed"], &far["devices"][0]["key"]), (&json!(14), &json!("b")));
        let hours: Vec<_> = far["points"].as_array().unwrap().iter().map(|it| &it["failed"]).collect();
        assert_eq!(hours, [8, 6]);
        assert_eq!(far["points"][1]["rules"], json!({ "speed": 6 }));
        let device = told(ask(98 * HOUR, None, Some("a")));
        assert_eq!((&device["failed"], &device["rules"][0]["failed"]), (&json!(5), &json!(4)));
        assert_eq!(device["devices"], worst);
        assert_eq!(device["points"][1]["rules"], json!({}), "of this device none");
    }
}
