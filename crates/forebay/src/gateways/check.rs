//! What keeps gateways from running although the file is sound: told by `validate` as by `run`. Touches nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay_core::config::{GatewayConfig, Payload, Pipeline, Problem};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_gateway::tls;

use super::{log, mqtt_client};

/// Largest body that may be asked for: the server keeps 32 MiB for all.
const MOST_BODY: u64 = 16 << 20;
/// Longest time for which a post may wait: the server gives it up after a minute.
const MOST_PATIENCE: Duration = Duration::from_secs(50);

/// What is wrong with the gateways of a file.
pub fn problems(pipeline: &Pipeline, file: &str) -> Vec<Problem> {
    let place = |gateway: &GatewayConfig, error: Error| {
        gateway
            .option_places
            .problem(error.clone(), file)
            .unwrap_or_else(|| Problem::at(error, file, gateway.place, gateway.name.len()))
    };
    let mut found: Vec<Problem> = Vec::new();
    for gateway in &pipeline.gateways {
        found.extend(check(gateway).err().map(|error| place(gateway, error)));
    }
    for (index, gateway) in pipeline.gateways.iter().enumerate() {
        let before = pipeline.gateways.iter().take(index);
        found.extend(
            before.filter_map(|other| apart(other, gateway).err()).next().map(|error| place(gateway, error)),
        );
    }
    if let (Some(first), Err(error)) = (pipeline.gateways.first(), log::client(pipeline)) {
        found.push(place(first, error));
    }
    found
}

/// The rates that drivers and boards know: those of POSIX and Linux, of MIDI, and of the boards whose clocks divide otherwise.
const RATES: [i64; 35] = [
    50, 75, 110, 134, 150, 200, 300, 600, 1_200, 1_800, 2_400, 4_800, 9_600, 14_400, 19_200, 28_800, 31_250,
    38_400, 57_600, 74_880, 76_800, 115_200, 128_000, 230_400, 250_000, 256_000, 460_800, 500_000, 576_000,
    921_600, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 4_000_000,
];

/// What runs, and is hardly meant: told by `validate` and at the start.
pub fn warnings(pipeline: &Pipeline) -> Vec<String> {
    let serial = pipeline.gateways.iter().filter(|gateway| gateway.format == "serial");
    let odd = serial.filter_map(|gateway| {
        let baud = gateway.options.integer("baud").filter(|baud| !RATES.contains(baud))?;
        let near = RATES.into_iter().min_by_key(|rate| rate.abs_diff(baud))?;
        Some(format!(
            "gateway `{}`: `baud: {baud}` is no rate that boards have: is {near} meant? At another rate than the board's nothing readable comes.",
            gateway.name
        ))
    });
    odd.collect()
}

/// Refuses what two gateways cannot have both.
fn apart(other: &GatewayConfig, gateway: &GatewayConfig) -> Result<()> {
    if other.format != gateway.format {
        return Ok(());
    }
    let bad = |option: &str, hint: &str| {
        let message = format!("option `{option}` is that of the gateway `{}` already", other.name);
        Err(Error::new(&codes::BAD_VALUE, message).with_hint(hint))
    };
    let of = |name: &str| other.options.text(name).zip(gateway.options.text(name));
    match gateway.format.as_str() {
        // A device file may have several names, by links.
        "serial" if of("port").is_some_and(|(one, two)| device(one) == device(two)) => {
            bad("port", "One gateway reads a port; its routes tell the lines apart.")
        }
        "mqtt" => {
            let addresses = of("listen").and_then(|(one, two)| Some((one.parse().ok()?, two.parse().ok()?)));
            let meets = |(one, two): (SocketAddr, SocketAddr)| {
                let is_any = one.ip().is_unspecified() || two.ip().is_unspecified();
                one.port() != 0 && one.port() == two.port() && (is_any || one.ip() == two.ip())
            };
            if addresses.is_some_and(meets) {
                return bad("listen", "Each gateway needs an address of its own.");
            }
            if other.options.bool("webSocket") && gateway.options.bool("webSocket") {
                return bad(
                    "webSocket",
                    "One MQTT gateway can be at `/mqtt`: write `webSocket: false` for the others.",
                );
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The device file that a name leads to now; where there is none, the name.
fn device(port: &str) -> PathBuf {
    std::fs::canonicalize(port).unwrap_or_else(|_| PathBuf::from(port))
}

/// The same error, with what a gateway's files are.
fn of_files(error: Error) -> Error {
    error.with_hint(
        "The gateway's `tlsCert`, `tlsKey`, `tlsCa` and `clientCa` name PEM files; relative paths begin where Forebay is started, not at `--data`.",
    )
}

fn check(gateway: &GatewayConfig) -> Result<()> {
    let bad = |message: String, hint: &str| Err(Error::new(&codes::BAD_VALUE, message).with_hint(hint));
    let mut targets = gateway.routes.iter().filter_map(|route| route.target.as_ref());
    if targets.any(|target| target.payload == Payload::Sparkplug) {
        if !gateway.format.starts_with("mqtt") {
            return bad(
                format!("a route says `value: sparkplug`, and a gateway `{}` has none", gateway.format),
                "Sparkplug is spoken over MQTT: `format: mqtt`, or `mqttClient`.",
            );
        }
        if gateway.options.text("subscribe").is_some_and(|filters| filters.contains("$share/")) {
            return bad(
                "option `subscribe` shares what routes take as Sparkplug".to_owned(),
                "A node's births say what its other messages mean, so one client needs all of them: subscribe without `$share`.",
            );
        }
    }
    let options = &gateway.options;
    match gateway.format.as_str() {
        "http" => {
            if options.size("maxBody").is_some_and(|it| it == 0 || it > MOST_BODY) {
                return bad(
                    "option `maxBody` is not from 1 byte to 16MiB".to_owned(),
                    "Send less at a time: many small posts are as quick.",
                );
            }
            if options.duration("patience").is_some_and(|it| it.is_zero() || it > MOST_PATIENCE) {
                return bad(
                    "option `patience` is not from 1 ms to 50 seconds".to_owned(),
                    "A post is given up after a minute.",
                );
            }
        }
        "mqtt" => {
            let text = options.text("listen").unwrap_or_default();
            let Ok(address) = text.parse::<SocketAddr>() else {
                return bad(
                    format!("option `listen` is `{text}`, which is no address"),
                    "Write an IP address and a port: `127.0.0.1:1883`.",
                );
            };
            let has_tls = options.text("tlsCert").is_some() && options.text("tlsKey").is_some();
            if options.text("tlsCert").is_some() != options.text("tlsKey").is_some() {
                return bad(
                    "option `tlsCert` and option `tlsKey` come together".to_owned(),
                    "Give both, or neither.",
                );
            }
            let path = |name: &str| options.text(name).map(Path::new);
            if let (Some(certificate), Some(key)) = (path("tlsCert"), path("tlsKey")) {
                tls::server_config(certificate, key, path("clientCa")).map_err(of_files)?;
            }
            let is_guarded = has_tls && gateway.users.is_some();
            if !is_guarded && !address.ip().to_canonical().is_loopback() {
                return Err(Error::new(&codes::ADDRESS, format!("option `listen`: {address} is not a loopback address")).with_hint(
                    "Others could reach it: give the gateway `users`, and `tlsCert` and `tlsKey`. Or listen on 127.0.0.1 or [::1].",
                ));
            }
        }
        "mqttClient" => {
            mqtt_client::check(gateway)?;
            let path = |name: &str| options.text(name).map(Path::new);
            if path("tlsCa").is_some() || path("tlsCert").is_some() {
                tls::client_config(path("tlsCa"), path("tlsCert").zip(path("tlsKey"))).map_err(of_files)?;
            }
        }
        "serial" => {
            let is_csv = options.text("lines") == Some("csv");
            if is_csv != options.text("columns").is_some() {
                return bad(
                    "option `columns` and `lines: csv` come together".to_owned(),
                    "Name the values of a line: `columns: temperature,humidity`.",
                );
            }
            if options.size("maxLine").is_some_and(|it| !(16..=1 << 20).contains(&it)) {
                return bad(
                    "option `maxLine` is not from 16 bytes to 1MiB".to_owned(),
                    "A longer line is left out.",
                );
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    fn loaded(gateways: &str) -> Result<Pipeline, Vec<Problem>> {
        let text = format!(
            "pipeline: p\ngateways:\n{gateways}\nsources:\n  s:\n    format: kafka\n    options: {{ kafka.bootstrap.servers: 'a:1', subscribe: t }}\n\
             queries:\n  q: {{ sql: SELECT value FROM s, format: console }}\n"
        );
        load::load(&text, "p.yaml", None).map(|loaded| loaded.pipeline)
    }

    fn serial(name: &str, port: &str, baud: u32) -> String {
        format!(
            "  {name}:\n    format: serial\n    options: {{ port: {port}, baud: {baud} }}\n    routes: {{ '#': {{ topic: t }} }}\n"
        )
    }

    #[test]
    fn a_rate_that_no_board_has_is_warned_of_and_runs() {
        for (baud, near) in
            [(9_601, Some(9_600)), (115_000, Some(115_200)), (9_600, None), (74_880, None), (250_000, None)]
        {
            let file = loaded(&serial("bench", "/dev/ttyNone", baud)).map_err(|_| "it runs").unwrap();
            let told = warnings(&file);
            assert_eq!(
                told.first().map(|told| told.contains(&format!("is {} meant", near.unwrap_or(0)))),
                near.map(|_| true)
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn two_names_of_one_port_are_one_port() {
        let folder = tempfile::tempdir().unwrap();
        let (port, link) = (folder.path().join("ttyX"), folder.path().join("by-id"));
        forebay_storage::Door::new().write_new(&port, b"").unwrap();
        std::os::unix::fs::symlink(&port, &link).unwrap();
        let both = |other: &Path| {
            let gateways = serial("one", &port.display().to_string(), 9_600)
                + &serial("two", &other.display().to_string(), 9_600);
            loaded(&gateways).map_or_else(|problems| problems.len(), |_| 0)
        };
        assert_eq!((both(&port), both(&link), both(Path::new("/dev/ttyNone"))), (1, 1, 0));
    }
}
