//! A notice as messages to an MQTT broker: one for each transition, with QoS 1, by the gateways' own client.
//!
//! What must stay true: a notice counts as taken once the broker has acknowledged each of its messages, which come in their order.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use forebay_core::config::ChannelConfig;
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use forebay_gateway::mqtt::client::{Message, NotPublished, Protocol, Server, Settings, publish};
use forebay_gateway::tls;
use forebay_rules::{Line, Notice};

use super::carrier::{Around, Sent};
use super::record;
use super::template::Template;

/// A broker that hears of alerts.
pub struct Broker {
    settings: Settings,
    template: Template,
    is_retained: bool,
    patience: Duration,
    pipeline: String,
}

/// What the file says of such a channel.
///
/// # Errors
/// `BAD_VALUE`.
pub fn check(options: &Options) -> Result<(Server, Template)> {
    let bad = |message: &str, hint: &str| Err(Error::new(&codes::BAD_VALUE, message).with_hint(hint));
    let server = Server::parse(options.text("server").unwrap_or_default())?;
    let template = Template::parse(options.text("topic").unwrap_or_default())?;
    let has = |name: &str| options.text(name).is_some();
    if has("password") && !has("user") {
        return bad("option `password` stands without `user`", "Give both, or neither.");
    }
    if has("tlsCert") != has("tlsKey") {
        return bad("option `tlsCert` and option `tlsKey` come together", "Give both, or neither.");
    }
    if !server.is_encrypted && (has("tlsCa") || has("tlsCert")) {
        return bad(
            "option `server` is without TLS, and there are options for it",
            "Write `mqtts://HOST:8883`.",
        );
    }
    if options.text("clientId").is_some_and(|id| id.is_empty() || id.len() > 1024 || id.contains('\0')) {
        return bad(
            "option `clientId` is empty, or too long",
            "Leave it out, or write a name that no other client of the broker has.",
        );
    }
    Ok((server, template))
}

/// What to say of a channel that works, and lets others read its password.
pub fn warning(config: &ChannelConfig) -> Option<String> {
    let (server, _) = check(&config.options).ok()?;
    let host = server.host.as_str();
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let is_open = !server.is_encrypted && !is_here && config.options.text("password").is_some();
    is_open.then(|| {
        format!(
            "channel `{}`: the password goes to `{host}` without TLS, where others can read it: `mqtts://HOST:8883` encrypts it.",
            config.name
        )
    })
}

impl Broker {
    /// The carrier of a channel; connects to nobody.
    pub fn new(config: &ChannelConfig, around: &Around) -> Result<Self> {
        let options = &config.options;
        let (mut server, template) = check(options)?;
        let text = |name: &str| options.text(name).map(str::to_owned);
        let path = |name: &str| options.text(name).map(Path::new);
        if server.is_encrypted {
            server.tls = Some(tls::client_config(path("tlsCa"), path("tlsCert").zip(path("tlsKey")))?);
        }
        let usual = || format!("forebay-{}-{}", around.pipeline, config.name);
        let settings = Settings {
            name: config.name.clone(),
            server,
            protocol: if options.text("version") == Some("3.1.1") { Protocol::V311 } else { Protocol::V5 },
            client: text("clientId").unwrap_or_else(usual),
            user: text("user"),
            password: text("password"),
            filters: Vec::new(),
            qos: 1,
            expiry: Duration::ZERO,
            keep_alive: Duration::from_secs(60),
            receive_maximum: 16,
            under_way_bytes: 0,
            max_packet: 0,
            drops_retained: true,
        };
        let patience = options.duration("timeout").unwrap_or(Duration::from_secs(10));
        let (is_retained, pipeline) = (options.bool("retain"), around.pipeline.clone());
        Ok(Self { settings, template, is_retained, patience, pipeline })
    }

    /// Publishes a message for each transition of a notice.
    pub async fn send(&self, notice: &Notice) -> Sent {
        let message = |line: &Line, payload: Vec<u8>| Message {
            topic: self.template.render(&self.pipeline, &notice.channel, line),
            payload: Bytes::from(payload),
            is_retained: self.is_retained,
        };
        let lines = notice.lines.iter();
        let mut messages: Vec<Message> =
            lines.map(|line| message(line, record::of(&self.pipeline, notice, line))).collect();
        if let Some((line, (_, body))) = notice.lines.last().zip(record::of_unlisted(&self.pipeline, notice))
        {
            messages.push(Message { is_retained: false, ..message(line, body) });
        }
        match publish(&self.settings, &messages, self.patience).await {
            Ok(()) => Sent::Taken,
            Err(NotPublished::Never(error)) => Sent::Refused(error.to_string()),
            Err(NotPublished::Now(error)) => Sent::Later(error.to_string(), None),
        }
    }
}
