//! The route table of a gateway: what the file says of topics, applied to messages.
//!
//! The first route that takes a topic counts. A payload goes on as it came, byte by byte; only where the route adds fields, or says
//! that the payload is no JSON and becomes a field of an object, other bytes are written, and those that came stand in them
//! as they came. What is not of the kind that the route says (broken JSON, a number that is none) goes on as it came too: the
//! log keeps it, and whoever decodes it sets it aside with all its bytes, as everything else that is broken. Of a payload that is Sparkplug
//! each metric is a JSON object, which then goes the same way.

use std::sync::Arc;

use bytes::Bytes;
use forebay_core::Error;
use forebay_core::config::{Payload, RouteConfig, Target};
use forebay_core::error::codes;
use forebay_core::route::{Captures, Pattern, Template};

use crate::sparkplug::Sparkplug;
use crate::{Command, Message, Record, Routed, Routes};

mod json;

/// The routes of one gateway.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<(Pattern, Option<Made>)>,
    /// The nodes of all routes, where one of them is for such.
    sparkplug: Option<Sparkplug>,
}

/// A target with what is the same for each message made once.
#[derive(Debug)]
struct Made {
    target: Target,
    topic: Arc<str>,
    headers: Vec<(Arc<str>, Template)>,
    /// True if the value is not the payload as it came.
    adds: bool,
}

impl RouteTable {
    /// The table of these routes.
    pub fn new(routes: &[RouteConfig]) -> Self {
        let made = |target: &Target| Made {
            topic: target.topic.as_str().into(),
            headers: target.headers.iter().map(|(name, made)| (name.as_str().into(), made.clone())).collect(),
            adds: !target.fields.is_empty() || target.received_at.is_some() || target.wrap.is_some(),
            target: target.clone(),
        };
        let targets = routes.iter().filter_map(|route| route.target.as_ref());
        let has_sparkplug = targets.clone().any(|target| target.payload == Payload::Sparkplug);
        Self {
            routes: routes
                .iter()
                .map(|route| (route.pattern.clone(), route.target.as_ref().map(made)))
                .collect(),
            sparkplug: has_sparkplug.then(Sparkplug::default),
        }
    }

    /// The topics of the log to which it leads, each once.
    pub fn topics(&self) -> Vec<Arc<str>> {
        let mut topics: Vec<Arc<str>> = self
            .routes
            .iter()
            .filter_map(|(_, made)| made.as_ref())
            .map(|made| Arc::clone(&made.topic))
            .collect();
        topics.sort();
        topics.dedup();
        topics
    }
}

impl Routes for RouteTable {
    fn route(&self, message: &Message<'_>) -> Routed {
        let found =
            self.routes.iter().find_map(|(pattern, made)| Some((pattern.matches(message.topic)?, made)));
        match found {
            None => Routed::Nowhere,
            Some((_, None)) => Routed::Records(Vec::new()),
            Some((captures, Some(made))) => match made.records(message, &captures, self.sparkplug.as_ref()) {
                Ok(records) => Routed::Records(records),
                Err(error) => Routed::Wrong(error),
            },
        }
    }

    fn commands(&self) -> Vec<Command> {
        self.sparkplug.as_ref().map(Sparkplug::commands).unwrap_or_default()
    }
}

impl Made {
    fn records(
        &self,
        message: &Message<'_>,
        captures: &Captures<'_>,
        sparkplug: Option<&Sparkplug>,
    ) -> Result<Vec<Record>, Error> {
        let sparkplug = sparkplug.filter(|_| self.target.payload == Payload::Sparkplug);
        let Some(rows) = sparkplug.and_then(|sparkplug| sparkplug.rows(message, self.target.rebirth)) else {
            return Ok(vec![self.record(message, captures)?]);
        };
        let row = |payload| self.record(&Message { payload, ..message.clone() }, captures);
        rows.into_iter().map(row).collect()
    }

    fn record(&self, message: &Message<'_>, captures: &Captures<'_>) -> Result<Record, Error> {
        let field = |path: &[String]| json::field(&message.payload, path);
        let render = |template: &Template| template.render(captures, message.topic, message.from, field);
        let mut headers: Vec<(Arc<str>, Bytes)> = Vec::with_capacity(self.headers.len());
        if self.target.properties {
            headers.extend(
                message.properties.iter().map(|(name, value)| (name.as_str().into(), value.clone().into())),
            );
        }
        let made = self.headers.iter().filter_map(|(name, template)| Some((name, render(template)?)));
        headers.extend(made.map(|(name, value)| (Arc::clone(name), value.into())));
        Ok(Record {
            topic: Arc::clone(&self.topic),
            key: self.target.key.as_ref().and_then(render).map(Bytes::from),
            value: if self.adds { self.value(message, render)? } else { message.payload.clone() },
            headers,
            timestamp: message.at,
        })
    }

    /// The payload with what is added; as it came where nothing can be added to it.
    fn value(
        &self,
        message: &Message<'_>,
        render: impl Fn(&Template) -> Option<String>,
    ) -> Result<Bytes, Error> {
        let (target, payload) = (&self.target, &message.payload);
        // Where the rest begins, and whether anything follows what is added.
        let inner = match &target.wrap {
            Some(name) => {
                let shown = match target.payload {
                    Payload::Number => json::number(payload).map(str::to_owned),
                    Payload::Binary => Some(json::base64(payload)),
                    Payload::Text | Payload::Json | Payload::Sparkplug => {
                        std::str::from_utf8(payload).ok().map(json::quoted)
                    }
                };
                let Some(shown) = shown else { return Ok(payload.clone()) };
                format!("{}:{shown}}}", json::quoted(name)).into_bytes()
            }
            None => match self.opened(message)? {
                Some(rest) => rest.to_vec(),
                None => return Ok(payload.clone()),
            },
        };
        let mut out = Vec::with_capacity(payload.len() + 64 * (target.fields.len() + 1));
        out.push(b'{');
        for (name, template) in &target.fields {
            // A field that is made of one which is not there is left out.
            let Some(text) = render(template) else { continue };
            json::member(&mut out, name, &json::quoted(&text));
        }
        if let Some(name) = &target.received_at {
            json::member(&mut out, name, &message.at.to_string());
        }
        if json::is_end(&inner) && out.ends_with(b",") {
            out.pop();
        }
        out.extend_from_slice(&inner);
        Ok(out.into())
    }

    /// What follows the brace that opens the payload; `None` if it is no JSON object.
    fn opened<'m>(&self, message: &'m Message<'_>) -> Result<Option<&'m [u8]>, Error> {
        let target = &self.target;
        let names: Vec<&str> = target
            .fields
            .iter()
            .map(|(name, _)| name)
            .chain(&target.received_at)
            .map(String::as_str)
            .collect();
        match json::object(&message.payload, &names) {
            json::Object::None => Ok(None),
            json::Object::Behind(rest) => Ok(Some(rest)),
            json::Object::Has(index) => {
                let name = names.get(index).copied().unwrap_or_default();
                let message = format!("the payload has a field `{name}` already, which the route would add");
                Err(Error::new(&codes::MESSAGE_REFUSED, message)
                    .with_hint("Give the route's field another name, or leave it out."))
            }
        }
    }
}

#[cfg(test)]
mod tests;
