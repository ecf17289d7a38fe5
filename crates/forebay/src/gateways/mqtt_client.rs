//! A client of an MQTT broker, as the file tells it.

use std::path::Path;

use forebay_core::config::GatewayConfig;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_gateway::mqtt::client::{Client, Protocol, Server, Settings, filters};
use forebay_gateway::tls;

/// Most bytes of messages that are on their way to the log.
const UNDER_WAY: usize = 4 << 20;

/// What is wrong with it although each option is good by itself; touches nothing.
pub fn check(config: &GatewayConfig) -> Result<()> {
    let options = &config.options;
    let bad = |message: &str, hint: &str| Err(Error::new(&codes::BAD_VALUE, message).with_hint(hint));
    let server = Server::parse(options.text("server").unwrap_or_default())?;
    let has = |name: &str| options.text(name).is_some();
    filters(options.text("subscribe").unwrap_or_default())?;
    let client = options.text("clientId").unwrap_or_default();
    if client.is_empty() || client.len() > 1024 || client.contains('\0') {
        return bad(
            "option `clientId` is empty, or too long",
            "Write a name that no other client of the broker has.",
        );
    }
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
    let seconds = |name: &str| options.duration(name).map_or(0, |it| it.as_secs());
    if !(5..=65_535).contains(&seconds("keepAlive")) {
        return bad("option `keepAlive` is not from 5 seconds to 18 hours", "30 seconds suit most networks.");
    }
    if !(10..=u64::from(u32::MAX)).contains(&seconds("sessionExpiry")) {
        return bad(
            "option `sessionExpiry` is shorter than 10 seconds, or too long",
            "It is how long the broker keeps messages while Forebay is away.",
        );
    }
    if options.size("maxPacketSize").is_some_and(|it| !(1024..=256 << 20).contains(&it)) {
        return bad("option `maxPacketSize` is not from 1KiB to 256MiB", "No packet of MQTT is larger.");
    }
    if config.users.is_some() {
        return bad(
            "`users` are for gateways to which devices come",
            "Leave them out: the broker says who may publish there.",
        );
    }
    Ok(())
}

/// The client; it connects to nobody yet.
///
/// # Errors
/// As [`check`], and `TLS` for files that cannot be used.
pub fn of(config: &GatewayConfig) -> Result<Client> {
    check(config)?;
    let options = &config.options;
    let text = |name: &str| options.text(name).map(str::to_owned);
    let path = |name: &str| options.text(name).map(Path::new);
    let mut server = Server::parse(options.text("server").unwrap_or_default())?;
    if server.is_encrypted {
        server.tls = Some(tls::client_config(path("tlsCa"), path("tlsCert").zip(path("tlsKey")))?);
    }
    let number = |name: &str| options.integer(name);
    Ok(Client::new(Settings {
        name: config.name.clone(),
        server,
        protocol: if options.text("version") == Some("3.1.1") { Protocol::V311 } else { Protocol::V5 },
        client: text("clientId").unwrap_or_default(),
        user: text("user"),
        password: text("password"),
        filters: filters(options.text("subscribe").unwrap_or_default())?,
        qos: number("qos").and_then(|it| it.try_into().ok()).unwrap_or(1),
        expiry: options.duration("sessionExpiry").unwrap_or_default(),
        keep_alive: options.duration("keepAlive").unwrap_or_default(),
        receive_maximum: number("receiveMaximum").and_then(|it| it.try_into().ok()).unwrap_or(256),
        under_way_bytes: UNDER_WAY,
        max_packet: options.size("maxPacketSize").and_then(|it| it.try_into().ok()).unwrap_or(16 << 20),
        drops_retained: options.text("retained") == Some("drop"),
    }))
}
