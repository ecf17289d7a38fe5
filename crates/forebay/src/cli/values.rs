//! What the values of options are: typed once, here, so that a refusal names its option and ends with status 2. The
//! message of a refusal follows the option's name.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use forebay_core::options::{parse_duration, parse_size};
use forebay_core::trigger::Trigger;
use forebay_server::{Postgres, USUAL_POSTGRES};
use tracing_subscriber::EnvFilter;

/// Where the HTTP server listens.
pub(super) fn http_address(text: &str) -> Result<SocketAddr, String> {
    own_address(text, 8080)
}

/// Where health and metrics listen.
pub(super) fn monitor_address(text: &str) -> Result<SocketAddr, String> {
    own_address(text, 9464)
}

/// Where the Postgres wire listens, or `off`.
pub(super) fn postgres_address(text: &str) -> Result<Postgres, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(Postgres::Off);
    }
    own_address(text, USUAL_POSTGRES.port()).map(Postgres::At).map_err(|error| format!("{error}; or `off`"))
}

/// Where the embedded log listens.
pub(super) fn kafka_address(text: &str) -> Result<SocketAddr, String> {
    own_address(text, 9092)
}

/// What clients are told to dial: a host, and a port if it is another than the one they came in on.
pub(super) fn advertised(text: &str) -> Result<(String, Option<u16>), String> {
    let refused =
        || "expected a host or a host and a port, such as plant.example or plant.example:9092".to_owned();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => (text, None),
        Some((host, port)) => (host, Some(port.parse().map_err(|_| refused())?)),
        None => (text, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_host = !host.is_empty() && host.len() <= 255 && host.bytes().all(|byte| byte.is_ascii_graphic());
    is_host.then(|| (host.to_owned(), port)).ok_or_else(refused)
}

/// Where to listen. A name must mean this machine itself; what an IP address is good for is judged where it is used.
fn own_address(text: &str, usual: u16) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let found = text.to_socket_addrs().into_iter().flatten();
    // Where a name has several addresses, that of IPv4, as for a pipeline's `localhost`.
    found.filter(|address| address.ip().is_loopback()).min_by_key(SocketAddr::is_ipv6).ok_or_else(|| {
        format!(
            "expected a loopback address and a port, such as 127.0.0.1:{usual}, localhost:{usual} or [::1]:{usual}"
        )
    })
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| "expected a duration such as \"30 seconds\" or \"1 hour 30 minutes\"".to_owned())
}

/// A time as milliseconds since 1970.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        // Seconds reach this number in the year 5138, milliseconds have passed it in 1973.
        return Ok(if number.abs() < 100_000_000_000 { number * 1000 } else { number });
    }
    let plain = text.replacen(' ', "T", 1);
    let zoned = chrono::DateTime::parse_from_rfc3339(&plain).map(|time| time.timestamp_millis());
    let in_utc = || {
        let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
        forms.iter().find_map(|form| chrono::NaiveDateTime::parse_from_str(&plain, form).ok())
    };
    let read = zoned.ok().or_else(|| Some(in_utc()?.and_utc().timestamp_millis()));
    read.ok_or_else(|| {
        "expected a time such as 2026-11-21T12:00:00Z, or seconds or milliseconds since 1970".to_owned()
    })
}

pub(super) fn size(text: &str) -> Result<usize, String> {
    let bytes = parse_size(text).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| "expected a size such as 512MiB or 2GiB".to_owned())
}

pub(super) fn trigger(text: &str) -> Result<Trigger, String> {
    match text.to_ascii_lowercase().as_str() {
        "availablenow" => Ok(Trigger::AvailableNow),
        "once" => Ok(Trigger::Once),
        "default" => Ok(Trigger::Default),
        _ => parse_duration(text).map(Trigger::ProcessingTime).ok_or_else(|| {
            "expected availableNow, once, default, or an interval such as \"1 second\"".to_owned()
        }),
    }
}

/// Levels, and filters for parts of the program; a misspelt level would be taken for the name of a part.
pub(super) fn log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |part: &str| LEVELS.iter().any(|level| part.eq_ignore_ascii_case(level));
    let is_known = text.split(',').all(|part| part.contains('=') || is_level(part.trim()));
    if is_known && EnvFilter::try_new(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!("expected one of {}, or filters such as forebay_engine=debug,warn", LEVELS.join(", ")))
}

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.to_owned()));
    pair.filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| "expected KEY=VALUE, such as kafka.security.protocol=SSL".to_owned())
}

/// `NAME=VALUE`, or a name alone for a header without a value.
pub(super) fn header(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let told = "expected NAME=VALUE, or NAME for a header without a value".to_owned();
    if name.is_empty() { Err(told) } else { Ok((name.to_owned(), value)) }
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1e9).ok_or_else(|| "expected a number of events a second, 0 to 1000000000".to_owned())
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1.0).ok_or_else(|| "expected a share from 0 (none) to 1 (all), such as 0.05".to_owned())
}

fn number(text: &str, least: f64, most: f64) -> Option<f64> {
    text.trim().parse().ok().filter(|number| (least..=most).contains(number))
}
