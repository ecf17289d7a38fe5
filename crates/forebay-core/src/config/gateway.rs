//! `gateways: NAME:` ways by which devices push, where their messages go, and who may send them.
//!
//! What must stay true: a route that is taken can be applied to every message, and is reached by some: one that stands below
//! another that takes all its topics is refused rather than never used.

use std::collections::HashSet;

use super::parse::{Reading, bad_value};
use super::places::OptionPlaces;
use super::section::{Section, Text, text_of};
use super::source::{in_options, spec};
use super::yaml::{Entry, Kind};
use super::{keys, raw_options};
use crate::error::{Error, codes};
use crate::options::Options;
use crate::route::{Pattern, Template};

mod user;

pub use user::{FILTERS, UserConfig, is_filter};

/// Most routes of a gateway: each message is held against them one after the other.
const MOST_ROUTES: usize = 256;
/// Most fields, and most headers, that a route adds.
const MOST_ADDED: usize = 32;

/// `gateways: NAME:`
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Its name.
    pub name: String,
    /// `mqtt`, `http` or `serial`.
    pub format: String,
    /// Its options.
    pub options: Options,
    /// Where messages go: the first that takes a topic counts.
    pub routes: Vec<RouteConfig>,
    /// Who may connect; `None`: whoever reaches it.
    pub users: Option<Vec<UserConfig>>,
    /// Where its options stand in the file.
    pub option_places: OptionPlaces,
    /// Where its name stands in the file.
    pub place: (usize, usize),
}

impl GatewayConfig {
    /// True if the file says the same of both.
    pub fn is_as(&self, other: &Self) -> bool {
        (&self.name, &self.format, &self.options, &self.routes, &self.users)
            == (&other.name, &other.format, &other.options, &other.routes, &other.users)
    }
}

/// `gateways: NAME: routes: PATTERN:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    /// The topics that it takes.
    pub pattern: Pattern,
    /// What becomes of them; `None`: they are dropped.
    pub target: Option<Target>,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The topic of the log.
    pub topic: String,
    /// The record's key.
    pub key: Option<Template>,
    /// What the payload is.
    pub payload: Payload,
    /// The field of a JSON object that a payload becomes that is no JSON.
    pub wrap: Option<String>,
    /// Fields that are added, in this order.
    pub fields: Vec<(String, Template)>,
    /// The field for when it was taken.
    pub received_at: Option<String>,
    /// Headers, in this order.
    pub headers: Vec<(String, Template)>,
    /// Whether MQTT 5's user properties become headers.
    pub properties: bool,
    /// Whether Sparkplug's nodes are asked for their births where these are missed.
    pub rebirth: bool,
}

/// What a payload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// A JSON value.
    #[default]
    Json,
    /// A number alone.
    Number,
    /// Text.
    Text,
    /// Any bytes.
    Binary,
    /// Sparkplug B: a JSON object for each metric.
    Sparkplug,
}

pub(super) fn read(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Option<GatewayConfig> {
    let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
    let connector = spec(&section, "format", "gateway", reading.registry.gateways, reading);
    section.check(what, &keys::GATEWAY, &mut reading.problems, |key| in_options(key, &[connector]));
    let (option_places, options) = raw_options::of_one(&section, entry.key_span, what, connector, reading);
    let routes = section.get("routes").map(|entry| routes(entry, what, reading)).unwrap_or_default();
    let users = section.get("users").map(|entry| user::read(entry, what, reading));
    Some(GatewayConfig {
        name: entry.key.clone(),
        format: connector.map(|connector| connector.name.to_owned()).unwrap_or_default(),
        options: options.unwrap_or_default(),
        routes,
        users,
        option_places,
        place: reading.problems.place(entry.key_span),
    })
}

fn routes(entry: &Entry, what: &str, reading: &mut Reading<'_>) -> Vec<RouteConfig> {
    let what = format!("`routes` of {what}");
    let Some(section) = Section::open(&entry.value, &what, entry.key_span, &mut reading.problems) else {
        return Vec::new();
    };
    let count = section.entries().len();
    if count == 0 || count > MOST_ROUTES {
        let error = Error::new(
            &codes::BAD_VALUE,
            format!("{what} has {count} routes, from 1 to {MOST_ROUTES} are possible"),
        )
        .with_hint("`\"plant/+/dht11\": { topic: dht }` is one; `\"#\"` takes every topic.");
        reading.problems.report(entry.key_span, error);
    }
    let mut routes: Vec<RouteConfig> = Vec::new();
    for entry in section.entries().iter().take(MOST_ROUTES) {
        let pattern = match Pattern::parse(&entry.key) {
            Ok(pattern) => pattern,
            Err(error) => {
                reading.problems.report(entry.key_span, error);
                continue;
            }
        };
        if let Some(above) = routes.iter().find(|above| above.pattern.covers(&pattern)) {
            let message = format!(
                "the route is never used: `{}` above it takes all its topics",
                above.pattern.as_str()
            );
            let error = Error::new(&codes::BAD_VALUE, message)
                .with_hint("The first route that takes a topic counts: put the narrower one first.");
            reading.problems.report(entry.key_span, error);
        }
        let what = format!("route `{}`", entry.key);
        routes.extend(route(entry, &what, pattern, reading));
    }
    routes
}

fn route(entry: &Entry, what: &str, pattern: Pattern, reading: &mut Reading<'_>) -> Option<RouteConfig> {
    let section = Section::open(&entry.value, what, entry.key_span, &mut reading.problems)?;
    section.check(what, &keys::ROUTE, &mut reading.problems, |_| None);
    let is_dropped = yes(&section, "drop", reading);
    let topic = section.text("topic", &mut reading.problems);
    match (topic, is_dropped) {
        (None, true) => return Some(RouteConfig { pattern, target: None }),
        (Some(topic), false) if !is_topic(topic.text) => {
            let error =
                Error::new(&codes::BAD_VALUE, format!("`{}` is no name for a topic", shown(topic.text)))
                    .with_hint("A topic's name has letters, digits, `.`, `_` and `-`, at most 249 of them.");
            reading.problems.report(topic.span, error);
        }
        (Some(_), false) => {}
        (topic, _) => {
            let both = if topic.is_some() { "both `topic` and `drop`" } else { "neither `topic` nor `drop`" };
            let error = Error::new(&codes::MISSING_KEY, format!("{what} has {both}"))
                .with_hint("Add `topic: …`, where such messages go, or `drop: true`.");
            reading.problems.report(entry.key_span, error);
        }
    }
    let key = section.text("key", &mut reading.problems).and_then(|text| template(text, &pattern, reading));
    let payload = payload(&section, reading);
    let wrap = name_of(&section, "as", reading);
    let received_at = name_of(&section, "receivedAt", reading);
    let fields = added(&section, "fields", &pattern, reading);
    let headers = added(&section, "headers", &pattern, reading);
    let target = Target {
        topic: topic.map(|topic| topic.text.to_owned()).unwrap_or_default(),
        key,
        payload,
        wrap,
        fields,
        received_at,
        headers,
        properties: yes(&section, "properties", reading),
        rebirth: yes(&section, "rebirth", reading),
    };
    check_shape(&section, entry, &target, reading);
    Some(RouteConfig { pattern, target: Some(target) })
}

/// Whether what is added has a JSON object to be added to, and no name stands twice.
fn check_shape(section: &Section<'_>, entry: &Entry, target: &Target, reading: &mut Reading<'_>) {
    let is_json = matches!(target.payload, Payload::Json | Payload::Sparkplug);
    let at = |key: &str| section.get(key).map_or(entry.key_span, |entry| entry.key_span);
    let adds = ["fields", "receivedAt"].into_iter().find(|key| section.get(key).is_some());
    let (span, message, hint) = match (&target.wrap, adds) {
        _ if target.rebirth && target.payload != Payload::Sparkplug => (
            at("rebirth"),
            "`rebirth` is for `value: sparkplug`",
            "Leave it out: nobody else is asked for births.",
        ),
        (Some(_), _) if is_json => (
            at("as"),
            "`as` is for payloads that become one field",
            "Leave it out, or say `value: number`, `text` or `binary`.",
        ),
        (None, _) if target.payload == Payload::Number => (
            entry.key_span,
            "a number needs the name of its field",
            "Add `as: distance`: the payload `12.5` becomes `{\"distance\":12.5}`.",
        ),
        (None, Some(key)) if !is_json => (
            at(key),
            "there is no JSON object to which fields could be added",
            "Add `as: NAME`, the field for the payload itself.",
        ),
        _ => {
            let names =
                target.fields.iter().map(|(name, _)| name).chain(&target.wrap).chain(&target.received_at);
            let mut seen = HashSet::new();
            if let Some(twice) = names.into_iter().find(|name| !seen.insert(name.as_str())) {
                let error = Error::new(&codes::BAD_VALUE, format!("the field `{twice}` is added twice"));
                reading.problems.report(entry.key_span, error.with_hint("Give each another name."));
            }
            return;
        }
    };
    reading.problems.report(span, Error::new(&codes::BAD_VALUE, message).with_hint(hint));
}

fn template(text: Text<'_>, pattern: &Pattern, reading: &mut Reading<'_>) -> Option<Template> {
    Template::parse(text.text, pattern).map_err(|error| reading.problems.report(text.span, error)).ok()
}

fn added(
    section: &Section<'_>,
    key: &str,
    pattern: &Pattern,
    reading: &mut Reading<'_>,
) -> Vec<(String, Template)> {
    let Some(entry) = section.get(key) else { return Vec::new() };
    let opened = Section::open(&entry.value, &format!("`{key}`"), entry.key_span, &mut reading.problems);
    let Some(section) = opened else { return Vec::new() };
    if section.entries().len() > MOST_ADDED {
        let error = Error::new(&codes::BAD_VALUE, format!("`{key}` has more than {MOST_ADDED} names"));
        reading.problems.report(entry.key_span, error);
    }
    let mut all = Vec::new();
    for entry in section.entries().iter().take(MOST_ADDED) {
        let Some(text) = text_of(entry, &mut reading.problems) else { continue };
        if entry.key.is_empty() {
            reading.problems.report(entry.key_span, Error::new(&codes::BAD_VALUE, "a name is empty"));
        }
        all.extend(template(text, pattern, reading).map(|template| (entry.key.clone(), template)));
    }
    all
}

fn payload(section: &Section<'_>, reading: &mut Reading<'_>) -> Payload {
    let Some(text) = section.text("value", &mut reading.problems) else { return Payload::default() };
    match text.text {
        "json" => Payload::Json,
        "number" => Payload::Number,
        "text" => Payload::Text,
        "binary" => Payload::Binary,
        "sparkplug" => Payload::Sparkplug,
        other => {
            let error = bad_value("value", other, "`json`, `number`, `text`, `binary` or `sparkplug`");
            reading
                .problems
                .report(text.span, error.with_hint("It says what the payload of such messages is."));
            Payload::default()
        }
    }
}

fn name_of(section: &Section<'_>, key: &str, reading: &mut Reading<'_>) -> Option<String> {
    let text = section.text(key, &mut reading.problems)?;
    if text.text.trim().is_empty() {
        let error = Error::new(&codes::BAD_VALUE, format!("`{key}` names no field"));
        reading.problems.report(text.span, error.with_hint("Write the name of the field."));
    }
    Some(text.text.to_owned())
}

fn yes(section: &Section<'_>, key: &str, reading: &mut Reading<'_>) -> bool {
    let Some(text) = section.text(key, &mut reading.problems) else { return false };
    match text.text {
        "true" => true,
        "false" => false,
        other => {
            reading.problems.report(text.span, bad_value(key, other, "`true` or `false`"));
            false
        }
    }
}

/// Kafka's rule.
fn is_topic(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The entries of a list of texts, or one text alone, with their places.
pub(super) fn list(entry: &Entry) -> Vec<(Option<&str>, super::lines::Span)> {
    let items = match &entry.value.kind {
        Kind::Sequence(items) => items.as_slice(),
        _ => std::slice::from_ref(&entry.value),
    };
    fn text(node: &super::yaml::Node) -> Option<&str> {
        match &node.kind {
            Kind::Scalar(text) => Some(text.as_str()),
            _ => None,
        }
    }
    items.iter().map(|item| (text(item), item.span)).collect()
}

#[cfg(test)]
mod tests;
