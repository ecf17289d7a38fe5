//! Alerts as Prometheus' Alertmanager wants them: what is open and what just cleared, told again and again.
//!
//! ```text
//!  notice ─▶ all alerts of its rules and keys, as they are now ─┐
//!  every `resend` ─▶ all that is open, what cleared lately ─────┴─▶ POST …/api/v2/alerts
//! ```
//!
//! An Alertmanager knows an alert by its labels, and remembers it only for a while: whoever sends it is to send it again as long as it is
//! firing, and to say until when it may be believed (`endsAt`). So what is sent is never a transition but how things stand, read from the
//! [`AlertBook`]; sending it twice, late or after a crash changes nothing. The numbers are those of Prometheus itself: an alert is sent
//! once a minute, believed four times as long, and its end is told for fifteen minutes. An Alertmanager that was started anew, or one
//! that a notice never reached, so knows the same a minute later.
//!
//! What must stay true: of alerts with the same labels only the newest is told, or an old end would clear what is open again; and
//! one whose severity changed is told as ended under its labels of before, for an Alertmanager takes it for another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use forebay_core::clock::{Clock, millis};
use forebay_core::config::{ChannelConfig, Severity};
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::progress::iso_millis;
use forebay_core::{Error, Result};
use forebay_rules::{Alert, AlertBook, AlertState, Event, Line, Notice};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::carrier::{Around, Sent};
use super::{post, target};

/// An alert is believed for so many resends: three may be lost.
const BELIEVED: i64 = 4;

/// The end of an alert is told for so long, milliseconds.
const ENDED_FOR: i64 = 15 * 60 * 1_000;

/// Most alerts of one request.
const MOST: usize = 500;

/// After so many refusals what is refused is not looked for any more.
const MOST_REFUSALS: usize = 40;

/// The labels of an alert: its name for an Alertmanager.
type Labels = BTreeMap<String, String>;

/// An Alertmanager, and what it hears of.
pub struct Alertmanager {
    client: Client,
    url: Url,
    login: Option<(String, Option<String>)>,
    pipeline: String,
    /// The key column of each rule, as a label.
    key_labels: BTreeMap<String, String>,
    /// The rules of which it hears; none: all.
    rules: Vec<String>,
    least: Severity,
    resend: Duration,
    /// When all is to be told again.
    next: Instant,
    book: AlertBook,
    clock: Arc<dyn Clock>,
}

/// Where alerts are posted to.
pub fn address(options: &Options) -> Result<Url> {
    let mut url = target::of(options)?;
    let has_more = url.query().is_some() || url.fragment().is_some() || url.path().contains("/api/");
    if has_more {
        return Err(Error::new(&codes::BAD_VALUE, "option `url` is not the address of an Alertmanager")
            .with_hint("Write `https://HOST:9093`, with the prefix of its path if it has one: `/api/v2/alerts` comes behind it."));
    }
    if options.text("password").is_some() && options.text("user").is_none() {
        return Err(Error::new(&codes::BAD_VALUE, "option `password` stands without `user`")
            .with_hint("Give both, or neither."));
    }
    let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

impl Alertmanager {
    /// The carrier of a channel; connects to nobody.
    pub fn new(config: &ChannelConfig, around: &Around) -> Result<Self> {
        let options = &config.options;
        let url = address(options)?;
        let text = |name: &str| options.text(name).map(str::to_owned);
        let key_labels = around.key_columns.iter().map(|(rule, column)| (rule.clone(), label(column)));
        Ok(Self {
            client: post::client(options, &url)?,
            url,
            login: text("user").map(|user| (user, text("password"))),
            pipeline: around.pipeline.clone(),
            key_labels: key_labels.collect(),
            rules: config.rules.clone(),
            least: config.least,
            resend: options.duration("resend").unwrap_or(Duration::from_secs(60)).max(Duration::from_secs(1)),
            next: Instant::now(),
            book: around.book.clone(),
            clock: Arc::clone(&around.clock),
        })
    }

    /// Tells how the alerts of a notice stand now.
    pub async fn send(&mut self, notice: &Notice) -> Sent {
        let subjects: BTreeSet<(&str, Option<&str>)> =
            notice.lines.iter().map(|line| (line.rule.as_str(), line.key.as_deref())).collect();
        let is_of = |alert: &Alert| subjects.contains(&(alert.rule.as_str(), alert.key.as_deref()));
        let mut told = self.standing(i64::MIN, is_of);
        for line in &notice.lines {
            self.add_forgotten(line, &mut told);
        }
        if notice.count > notice.lines.len() as u64 {
            // Those that are not listed are among all.
            self.next = Instant::now();
        }
        self.post(told.into_values().collect()).await
    }

    /// Tells how all stands, if it is time to.
    pub async fn tend(&mut self) -> Option<Sent> {
        if Instant::now() < self.next {
            return None;
        }
        let since = self.clock.now_ms().saturating_sub(ENDED_FOR);
        let told: Vec<Value> = self.standing(since, |_| true).into_values().collect();
        if told.is_empty() {
            self.next = Instant::now() + self.resend;
            return None;
        }
        let sent = self.post(told).await;
        if matches!(sent, Sent::Taken | Sent::Refused(_)) {
            self.next = Instant::now() + self.resend;
        }
        Some(sent)
    }

    /// Posts all of them; of a request that is refused each half again, until what is refused stands by itself.
    async fn post(&self, told: Vec<Value>) -> Sent {
        let mut waiting: Vec<&[Value]> = told.chunks(MOST).rev().collect();
        let mut refusals = Vec::new();
        while let Some(some) = waiting.pop() {
            let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
            let request = match &self.login {
                Some((user, password)) => request.basic_auth(user, password.as_deref()),
                None => request,
            };
            match post::send(request.body(Value::from(some).to_string())).await {
                Sent::Taken => {}
                Sent::Refused(why) => {
                    if some.len() > 1 && refusals.len() < MOST_REFUSALS {
                        let (first, second) = some.split_at(some.len() / 2);
                        waiting.extend([second, first]);
                    }
                    refusals.push(why);
                }
                later => return later,
            }
        }
        refusals.into_iter().next_back().map_or(Sent::Taken, Sent::Refused)
    }

    /// The alerts that are wanted and open, or that cleared since then (by this machine's clock), each under its labels.
    fn standing(&self, since: i64, is_wanted: impl Fn(&Alert) -> bool) -> BTreeMap<Labels, Value> {
        let cleared = self.book.cleared().into_iter().filter(|alert| alert.seen_at >= since);
        let mut all: Vec<Arc<Alert>> = cleared.chain(self.book.open()).collect();
        all.retain(|alert| self.hears_of(alert) && is_wanted(alert));
        // Of what has the same labels (a key that is NULL, and one without a letter) the last is told: what is open, then the newest.
        all.sort_by_key(|alert| (alert.state == AlertState::Open, alert.opened_at));
        let believed = millis(self.resend).saturating_mul(BELIEVED);
        let until = iso_millis(self.clock.now_ms().saturating_add(believed));
        let mut told = BTreeMap::new();
        for alert in all {
            for (severity, ended) in self.severities(&alert) {
                let labels = self.labels(&alert, severity);
                let ends = ended.map_or_else(|| until.clone(), iso_millis);
                let body = json!({
                    "labels": labels,
                    "annotations": annotations(&alert),
                    "startsAt": iso_millis(alert.opened_at),
                    "endsAt": ends,
                });
                told.insert(labels, body);
            }
        }
        told
    }

    fn hears_of(&self, alert: &Alert) -> bool {
        let is_of = self.rules.is_empty() || self.rules.iter().any(|it| it.eq_ignore_ascii_case(&alert.rule));
        is_of && alert.worst() >= self.least && alert.life.muted.is_none()
    }

    /// The severities under which an alert is known, each with its end; the present one of an open alert has none.
    fn severities(&self, alert: &Alert) -> Vec<(Severity, Option<i64>)> {
        let end = alert.cleared_at.filter(|_| alert.state == AlertState::Cleared);
        let mut found = Vec::new();
        if let Some(change) = alert.life.levels.last() {
            // Ended where it was something else before; where it never was, that is the end of what nobody knew.
            let others = Severity::ALL.into_iter().filter(|severity| *severity != alert.severity);
            found.extend(others.map(|severity| (severity, Some(end.unwrap_or(change.at)))));
        }
        found.push((alert.severity, end));
        found
    }

    fn labels(&self, alert: &Alert, severity: Severity) -> Labels {
        let mut labels = self.plain_labels(&alert.rule, alert.key.as_deref(), severity);
        if let Some(silence) = &alert.life.no_data {
            labels.insert("no_data".to_owned(), silence.field.clone().unwrap_or_else(|| "all".to_owned()));
        }
        labels
    }

    /// An empty label is none for an Alertmanager, and is left out.
    fn plain_labels(&self, rule: &str, key: Option<&str>, severity: Severity) -> Labels {
        let key_label = self.key_labels.get(rule).map_or("key", String::as_str);
        let all = [
            (key_label, key.unwrap_or_default()),
            ("alertname", rule),
            ("pipeline", &self.pipeline),
            ("severity", severity.word()),
        ];
        let all = all.into_iter().filter(|(_, text)| !text.is_empty());
        all.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    /// The end of an alert that the book does not have any more: told with what its notice says.
    fn add_forgotten(&self, line: &Line, told: &mut BTreeMap<Labels, Value>) {
        let labels = self.plain_labels(&line.rule, line.key.as_deref(), line.severity);
        if line.event != Event::Cleared || told.contains_key(&labels) {
            return;
        }
        let at = iso_millis(line.at);
        let body = json!({ "labels": labels, "annotations": { "summary": line.message }, "startsAt": at, "endsAt": at });
        told.insert(labels, body);
    }
}

/// What people read of an alert.
fn annotations(alert: &Alert) -> Labels {
    let mut told = Labels::from([
        ("summary".to_owned(), alert.message.clone()),
        ("alert".to_owned(), alert.id.clone()),
        ("source".to_owned(), alert.source.clone()),
    ]);
    for (name, value) in &alert.value {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        told.insert(format!("value_{}", label(name)), text);
    }
    if let Some(remark) = &alert.life.acknowledged {
        told.insert("acknowledged_by".to_owned(), remark.by.clone());
        if let Some(comment) = &remark.comment {
            told.insert("acknowledged_comment".to_owned(), comment.clone());
        }
    }
    told
}

/// A column's name as one of a label: letters, digits and `_`, and no digit first. One that is ours stands apart.
fn label(column: &str) -> String {
    let mut name: String = column.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let is_ours = matches!(name.as_str(), "alertname" | "pipeline" | "severity" | "no_data");
    if is_ours || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || name.starts_with("__")
    {
        name.insert_str(0, "key_");
    }
    name
}

#[cfg(test)]
mod tests {
    use forebay_core::clock::ManualClock;

    use super::*;
    use crate::channels::record::tests::{line, notice};
    use crate::channels::spec::ALERTMANAGER;

    fn options(url: &str) -> Options {
        let raw = [("url", url), ("allowLocal", "true")];
        let raw: BTreeMap<String, String> =
            raw.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        Options::parse(&ALERTMANAGER, &raw).unwrap()
    }

    fn manager() -> Alertmanager {
        let options = options("http://127.0.0.1:9");
        let url = address(&options).unwrap();
        Alertmanager {
            client: post::client(&options, &url).unwrap(),
            url,
            login: None,
            pipeline: "plant".into(),
            key_labels: BTreeMap::from([("heat".to_owned(), label("site.device-id"))]),
            rules: vec!["Heat".to_owned()],
            least: Severity::Warning,
            resend: Duration::from_secs(60),
            next: Instant::now(),
            book: AlertBook::default(),
            clock: ManualClock::at(1_000),
        }
    }

    fn alert(more: Value) -> Alert {
        let mut alert = json!({
            "id": "heat/press-1/1", "rule": "heat", "source": "iot", "key": "press-1", "severity": "warning", "state": "open", "openedAt": 1,
            "clearedAt": null, "seenAt": 1, "message": "hot", "value": { "t": 71.5 }, "clearedValue": null,
        });
        let all = alert.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        serde_json::from_value(alert).unwrap()
    }

    #[tokio::test]
    async fn an_alert_is_known_by_its_rule_key_and_severity_and_by_its_silence() {
        let manager = manager();
        let labels = |alert: &Alert| json!(manager.labels(alert, alert.severity));
        let expected = json!({ "alertname": "heat", "pipeline": "plant", "severity": "warning", "site_device_id": "press-1" });
        assert_eq!(labels(&alert(json!({}))), expected);
        let silent = labels(&alert(json!({ "noData": { "field": "t" } })));
        assert_eq!(silent["no_data"], "t");
        let of_null = labels(&alert(json!({ "key": null })));
        assert_eq!(of_null.as_object().unwrap().len(), 3, "an empty label is none: {of_null}");
        assert_eq!(
            (label("severity"), label("9x"), label("a b")),
            ("key_severity".into(), "key_9x".into(), "a_b".into())
        );
        let told =
            annotations(&alert(json!({ "acknowledged": { "at": 1, "by": "ana", "comment": "mine" } })));
        assert_eq!(
            (told["summary"].as_str(), told["value_t"].as_str(), told["acknowledged_by"].as_str()),
            ("hot", "71.5", "ana")
        );
    }

    #[tokio::test]
    async fn one_whose_severity_changed_has_ended_under_the_others() {
        let manager = manager();
        let raised =
            json!({ "severity": "critical", "levels": [{ "at": 7, "severity": "critical", "value": {} }] });
        let found = manager.severities(&alert(raised));
        let expected = [(Severity::Info, Some(7)), (Severity::Warning, Some(7)), (Severity::Critical, None)];
        assert_eq!(found, expected);
        let cleared = alert(json!({ "state": "cleared", "clearedAt": 9 }));
        assert_eq!(manager.severities(&cleared), [(Severity::Warning, Some(9))]);
    }

    #[tokio::test]
    async fn it_hears_of_what_its_channel_does() {
        let manager = manager();
        assert!(
            manager.hears_of(&alert(json!({})))
                && manager.hears_of(&alert(json!({ "severity": "critical" })))
        );
        assert!(!manager.hears_of(&alert(json!({ "severity": "info" }))));
        assert!(!manager.hears_of(&alert(json!({ "rule": "other" }))));
        assert!(!manager.hears_of(&alert(json!({ "muted": "silence nights" }))));
        // One that the book has forgotten: its end is told, and nothing else of it.
        let mut told = BTreeMap::new();
        for event in [Event::Opened, Event::Cleared] {
            notice(vec![line(Some("k"), event)], 1)
                .lines
                .iter()
                .for_each(|line| manager.add_forgotten(line, &mut told));
        }
        let [body] = &told.into_values().collect::<Vec<_>>()[..] else { panic!("one") };
        assert_eq!(
            (&body["startsAt"], &body["endsAt"]),
            (&json!("1970-01-01T00:00:00.005Z"), &json!("1970-01-01T00:00:00.005Z"))
        );
    }

    #[test]
    fn an_address_is_that_of_an_alertmanager_with_its_prefix() {
        let of = |url: &str| address(&options(url)).map(|url| url.to_string());
        assert_eq!(of("http://a:9093").unwrap(), "http://a:9093/api/v2/alerts");
        assert_eq!(of("https://a/am/").unwrap(), "https://a/am/api/v2/alerts");
        for url in ["http://a:9093/api/v2/alerts", "http://a/?x=1", "http://a/#x", "ftp://a"] {
            assert!(of(url).is_err(), "{url}");
        }
    }
}
