//! The durable object: an alert that is open, or was.

use std::borrow::Cow;

use forebay_core::config::Severity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::key;
use crate::life::{Cause, Event, LevelChange, Life, MOST_LEVELS, NoDataOf, Remark, push_bounded};
use crate::rule::Rule;

/// One alert, in the form in which it is stored and shown. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Its name, the same for its whole life and after restarts: rule, key (`␀` for NULL) and time of opening, and a number
    /// if the key opens more than one in the same millisecond.
    pub id: String,
    /// The rule's name.
    pub rule: String,
    /// The source whose records opened it.
    pub source: String,
    /// The value of the key column as text, of a long one its beginning and a hash; `None` for NULL.
    pub key: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it is open.
    pub state: AlertState,
    /// The timestamp of the record that opened it.
    pub opened_at: i64,
    /// The timestamp of the record that cleared it, or when it ended without one.
    pub cleared_at: Option<i64>,
    /// True if it ended because its rule was not in the file any more.
    #[serde(default)]
    pub rule_removed: bool,
    /// When its newest transition was decided, by the clock of this machine.
    pub seen_at: i64,
    /// What is told of it, made when it opened.
    pub message: String,
    /// The columns that the condition names, with the values at opening.
    pub value: Map<String, Value>,
    /// The same at clearing.
    pub cleared_value: Option<Map<String, Value>>,
    /// What it has been through.
    #[serde(flatten)]
    pub life: Life,
}

/// Whether an alert is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AlertState {
    /// It is.
    Open,
    /// It was.
    Cleared,
}

impl Alert {
    /// The alert that a row of this source opens; `key` is the key as the state holds it, `previous` the newest of the same rule and key that
    /// is remembered.
    pub(crate) fn open(
        (rule, source): (&Rule, &str),
        key: &str,
        at: i64,
        values: &[Value],
        seen_at: i64,
        previous: Option<&Self>,
    ) -> Self {
        let life =
            Life { step: 1, event: Some(Event::Opened), worst: Some(rule.severity), ..Life::default() };
        Self {
            id: id(&rule.name, key, at, previous),
            rule: rule.name.clone(),
            source: source.to_owned(),
            key: key::shown(key),
            severity: rule.severity,
            state: AlertState::Open,
            opened_at: at,
            cleared_at: None,
            rule_removed: false,
            seen_at,
            message: rule.text(key::shown(key).as_deref(), values),
            value: rule.shown(values),
            cleared_value: None,
            life,
        }
    }

    /// The alert of a silence: of `held`, the key as the state holds it, or of a field of it.
    pub(crate) fn silent(
        (rule, source): (&Rule, &str),
        held: &str,
        field: Option<&str>,
        (at, after_ms): (i64, i64),
        seen_at: i64,
        previous: Option<&Self>,
    ) -> Self {
        let mut alert = Self::open((rule, source), held, at, &[], seen_at, None);
        alert.id = id(&rule.name, &key::silence(held, field), at, previous);
        alert.message = rule.silent_text(key::shown(held).as_deref(), field, after_ms);
        alert.life.no_data = Some(NoDataOf { field: field.map(str::to_owned) });
        alert
    }

    /// The same, opened at this level.
    pub(crate) fn first_at(mut self, severity: Severity) -> Self {
        (self.severity, self.life.worst) = (severity, Some(severity));
        self
    }

    /// The same at this level.
    pub(crate) fn at_level(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self.life.worst = Some(severity.max(self.life.worst.unwrap_or(severity)));
        self
    }

    /// The same with the rows that caused it.
    pub(crate) fn caused_by(mut self, rows: Vec<Cause>) -> Self {
        self.life.rows = rows;
        self
    }

    /// The same alert, raised or lowered by a row.
    pub(crate) fn change(
        &self,
        rule: &Rule,
        severity: Severity,
        at: i64,
        values: &[Value],
        seen_at: i64,
    ) -> Self {
        let event = if severity > self.severity { Event::Raised } else { Event::Lowered };
        let mut alert = self.clone().stepped(event, seen_at).at_level(severity);
        let change = LevelChange { at, severity, value: rule.shown(values) };
        push_bounded(&mut alert.life.levels, change, MOST_LEVELS);
        alert
    }

    /// The same alert, cleared by a row.
    pub(crate) fn clear(&self, rule: &Rule, at: i64, values: &[Value], seen_at: i64) -> Self {
        Self {
            state: AlertState::Cleared,
            cleared_at: Some(at),
            cleared_value: Some(rule.shown(values)),
            ..self.clone().stepped(Event::Cleared, seen_at)
        }
    }

    /// The same alert, ended because its rule is gone.
    pub(crate) fn end(&self, now_ms: i64) -> Self {
        Self {
            state: AlertState::Cleared,
            cleared_at: Some(now_ms.max(self.opened_at)),
            rule_removed: true,
            ..self.clone().stepped(Event::Cleared, now_ms)
        }
    }

    /// The same alert, acknowledged.
    pub(crate) fn acknowledge(&self, remark: Remark) -> Self {
        let mut alert = self.clone().stepped(Event::Acknowledged, remark.at);
        alert.life.acknowledged = Some(remark);
        alert
    }

    fn stepped(mut self, event: Event, seen_at: i64) -> Self {
        // One that was opened before transitions were counted had its opening.
        self.life.step = self.life.step.max(1).saturating_add(1);
        self.life.event = Some(event);
        self.seen_at = seen_at;
        self
    }

    /// The name of its newest transition, for ever.
    pub fn transition(&self) -> String {
        format!("{}#{}", self.id, self.life.step.max(1))
    }

    /// Its newest transition.
    pub fn event(&self) -> Event {
        let by_state = if self.state == AlertState::Open { Event::Opened } else { Event::Cleared };
        self.life.event.unwrap_or(by_state)
    }

    /// The worst that it has been.
    pub fn worst(&self) -> Severity {
        self.life.worst.unwrap_or(self.severity).max(self.severity)
    }

    /// Its key as the state holds it.
    pub(crate) fn held_key(&self) -> Cow<'_, str> {
        key::held(self.key.as_deref())
    }

    /// What it is about, as the state holds it: its key, or the silence of it.
    pub(crate) fn subject(&self) -> Cow<'_, str> {
        match &self.life.no_data {
            None => self.held_key(),
            Some(of) => key::silence(&self.held_key(), of.field.as_deref()).into(),
        }
    }

    /// When it opened or its level last changed, by the records.
    pub(crate) fn level_at(&self) -> i64 {
        self.life.levels.last().map_or(self.opened_at, |change| change.at)
    }

    /// The timestamp of the record of its newest transition.
    pub fn changed_at(&self) -> i64 {
        self.cleared_at.unwrap_or_else(|| self.level_at())
    }
}

fn id(rule: &str, key: &str, at: i64, previous: Option<&Alert>) -> String {
    let plain = format!("{rule}/{key}/{at}");
    match previous.filter(|previous| previous.opened_at == at) {
        None => plain,
        Some(previous) => {
            let number = previous.id.strip_prefix(&plain).and_then(|rest| rest.strip_prefix('/'));
            let number: u64 = number.and_then(|number| number.parse().ok()).unwrap_or(1);
            format!("{plain}/{}", number + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rule;

    #[test]
    fn alerts_of_one_millisecond_have_names_of_their_own() {
        let open = |at, previous: Option<&Alert>| Alert::open((&rule(0), "iot"), "d/1", at, &[], 0, previous);
        let first = open(5, None);
        let second = open(5, Some(&first));
        let third = open(5, Some(&second.clear(&rule(0), 5, &[], 0)));
        let later = open(6, Some(&third));
        let ids = [&first.id, &second.id, &third.id, &later.id].map(String::as_str);
        assert_eq!(ids, ["overheat/d/1/5", "overheat/d/1/5/2", "overheat/d/1/5/3", "overheat/d/1/6"]);
    }

    #[test]
    fn an_alert_is_told_with_the_names_that_its_readers_know() {
        let values = [Value::from(71.5), Value::from("hall 3")];
        let open = Alert::open((&rule(0), "iot"), "d1", 5, &values, 9, None);
        let expected = serde_json::json!({
            "id": "overheat/d1/5", "rule": "overheat", "source": "iot", "key": "d1", "severity": "critical",
            "state": "open", "openedAt": 5, "clearedAt": null, "ruleRemoved": false, "seenAt": 9,
            "message": "overheat: d1, temperature 71.5", "value": { "temperature": 71.5 }, "clearedValue": null,
            "step": 1, "event": "opened", "worst": "critical",
        });
        assert_eq!(serde_json::to_value(&open).unwrap(), expected);
        let cleared = open.clear(&rule(0), 7, &[Value::from(60.0), Value::Null], 10);
        let told = serde_json::to_value(&cleared).unwrap();
        assert_eq!(
            (&told["state"], &told["clearedAt"], &told["seenAt"]),
            (&"cleared".into(), &7.into(), &10.into())
        );
        assert_eq!(told["clearedValue"], serde_json::json!({ "temperature": 60.0 }));
        assert_eq!((&told["event"], &told["step"]), (&"cleared".into(), &2.into()));
        assert_eq!(serde_json::from_value::<Alert>(told).unwrap(), cleared);
        let ids = [open.transition(), cleared.transition()];
        assert_eq!(ids, ["overheat/d1/5#1", "overheat/d1/5#2"]);
    }
}
