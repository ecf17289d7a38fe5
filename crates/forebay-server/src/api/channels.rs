//! `GET /api/v1/channels`: who is told of alerts, what they took and refused, and which cannot be reached.

use forebay_core::progress::iso_millis;
use serde_json::{Value, json};

use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::shown::Shown;
use crate::shown::channels::Channel;

pub(crate) async fn list(ask: Ask) -> Outcome {
    Ok(answer(&Value::Array(all(&ask.state.shown))))
}

/// The channels that fail.
pub(crate) fn down(shown: &Shown) -> Vec<Value> {
    all(shown).into_iter().filter(|channel| channel["up"] == json!(false)).collect()
}

fn all(shown: &Shown) -> Vec<Value> {
    let due = shown.alerts.due();
    let one = |(name, channel): (String, Channel)| {
        let refusal = channel.newest_refusal.as_ref();
        json!({
            "name": name,
            "format": channel.format,
            "up": channel.down.is_none(),
            "since": channel.down.as_ref().map(|(since, _)| iso_millis(*since)),
            "why": channel.down.as_ref().map(|(_, why)| why),
            "failures": channel.failures,
            "due": due.get(&name).copied().unwrap_or_default(),
            "taken": channel.taken,
            "refused": channel.refused,
            "newestRefusal": refusal.map(|(why, at)| json!({ "at": iso_millis(*at), "why": why })),
        })
    };
    shown.channels.all().into_iter().map(one).collect()
}
