//! `/silences`: who is told of nothing until when, by whose word; those of the file beside them.
//!
//! A silence is durable before it is answered. What must stay true: a rule that is not there cannot be silenced, since then another one
//! wakes somebody up.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::config::{Severity, SilenceConfig, SilenceTime};
use forebay_core::options::parse_duration;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::alerts::{kept, remark};
use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::problem::Problem;
use crate::shown::About;
use crate::shown::alerts::{End, Silence, Wish};

/// A silence as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    rules: Vec<String>,
    #[serde(default, deserialize_with = "given")]
    key: Option<Option<String>>,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    severities: Vec<Severity>,
    #[serde(default)]
    all: bool,
    from: Option<i64>,
    until: Option<i64>,
    r#for: Option<String>,
    comment: Option<String>,
}

/// A key that is given, though it may be NULL.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

pub(crate) async fn list(ask: Ask) -> Outcome {
    let shown = &ask.state.shown;
    let now = shown.clock.now_ms();
    let made: Vec<Value> = shown.alerts.silences(now).iter().map(|silence| value(silence, now)).collect();
    let of_file: Vec<Value> = shown.about.silences.iter().map(|silence| of_file(silence, now)).collect();
    Ok(answer(&json!({ "silences": made, "ofFile": of_file })))
}

pub(crate) async fn make(ask: Ask) -> Outcome {
    let asked: Asked = ask.json()?;
    let shown = &ask.state.shown;
    let Asked { rules, key, keys, severities, all, from, until, comment, .. } = asked;
    let end = match (until, asked.r#for.as_deref().map(duration).transpose()?) {
        (Some(_), Some(_)) => return Err(Problem::bad("`for` and `until` are both given")),
        (Some(until), None) => Some(End::At(until)),
        (None, length) => length.map(End::After),
    };
    let rules = rules.iter().map(|rule| known(&shown.about, rule)).collect::<Result<_, _>>()?;
    let wish = Wish { rules, key, keys, severities, all, from, end };
    let (alerts, made) = (Arc::clone(&shown.alerts), remark(&ask, comment));
    let now = made.at;
    let silence = kept(move || alerts.silence(wish, made)).await?;
    tracing::info!(silence = silence.id, by = silence.made.by, until = silence.until, "alerts are silenced");
    Ok(answer(&value(&silence, now)))
}

pub(crate) async fn end(ask: Ask) -> Outcome {
    let (alerts, ended, id) =
        (Arc::clone(&ask.state.shown.alerts), remark(&ask, None), ask.path("id").to_owned());
    let now = ended.at;
    let silence = kept(move || alerts.end_silence(&id, ended)).await?;
    Ok(answer(&value(&silence, now)))
}

fn value(silence: &Silence, now: i64) -> Value {
    let mut value = json!(silence);
    value["state"] = json!(silence.state(now));
    value
}

/// One of the file.
fn of_file(silence: &SilenceConfig, now: i64) -> Value {
    let SilenceConfig { name, rules, keys, severities, time } = silence;
    let (from, until) = match time {
        SilenceTime::Once { from_ms, until_ms } => (Some(from_ms), Some(until_ms)),
        SilenceTime::Weekly(_) => (None, None),
    };
    json!({
        "name": name, "rules": rules, "keys": keys, "severities": severities, "from": from, "until": until,
        "active": time.holds(now),
    })
}

/// The rule of this name, as the file spells it.
fn known(about: &About, name: &str) -> Result<String, Problem> {
    let found = about.alerts.iter().find(|rule| rule.name.eq_ignore_ascii_case(name));
    found.map(|rule| rule.name.clone()).ok_or_else(|| {
        let name: String = name.chars().take(60).collect();
        let names: Vec<&str> = about.alerts.iter().map(|rule| rule.name.as_str()).collect();
        let there = if names.is_empty() {
            "There are none.".into()
        } else {
            format!("There are: {}.", names.join(", "))
        };
        Problem::missing(format!("no alert rule is named `{name}`")).hint(there)
    })
}

fn duration(text: &str) -> Result<Duration, Problem> {
    parse_duration(text).ok_or_else(|| {
        Problem::bad("`for` is no length of time")
            .hint("Write `2 hours`, `30 minutes` or `1 hour 30 minutes`.")
    })
}
