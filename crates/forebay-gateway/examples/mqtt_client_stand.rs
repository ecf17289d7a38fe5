//! The client of a broker alone, before a log that is a file of lines, fsynced: what `tests/clients/mqtt/broker.sh` kills.
//!
//! `cargo run -p forebay-gateway --example mqtt_client_stand -- mqtt://127.0.0.1:1893 ID 'FILTERS' FILE 5.0` appends the payload of each message to
//! FILE as a line, and prints its counters each second. With `CA` behind these it trusts that authority, with `CERTIFICATE KEY` behind
//! it (PEM files) it shows a certificate. `MQTT_USER` and `MQTT_PASSWORD` are who it is. SIGTERM ends it in order.
#![allow(clippy::print_stdout, reason = "an example that talks to scripts")]
#![allow(clippy::disallowed_methods, reason = "its log is a file of its own")]

use std::fs::{File, OpenOptions};
use std::io::{Error, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use forebay_core::clock::SystemClock;
use forebay_core::error::codes;
use forebay_gateway::mqtt::client::{Client, Protocol, Server, Settings, filters};
use forebay_gateway::{
    Counts, Delivery, Log, Message, Place, Record, Refusal, Routed, Routes, delivery, tls,
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// One fsync for each batch.
struct Lines(Arc<Mutex<File>>);

#[async_trait]
impl Log for Lines {
    async fn submit(&self, records: Vec<Record>) -> Vec<Delivery> {
        let (settles, deliveries): (Vec<_>, Vec<_>) = records.iter().map(|_| delivery()).unzip();
        let lines = records.iter().flat_map(|record| [&record.value[..], b"\n"]);
        // Written here, so that the order is that of the calls; only the fsync is waited for elsewhere.
        let written = self.0.lock().write_all(&lines.collect::<Vec<_>>().concat());
        let file = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            let written = written.and_then(|()| file.lock().sync_data());
            for settle in settles {
                settle.settle(match &written {
                    Ok(()) => Ok(Place { topic: "stand".into(), partition: 0, offset: -1 }),
                    Err(error) => Err(Refusal::Unknown(
                        forebay_core::Error::new(&codes::LOG_FAILED, "the file").with_detail(error),
                    )),
                });
            }
        });
        deliveries
    }
}

struct Everything;

impl Routes for Everything {
    fn route(&self, message: &Message<'_>) -> Routed {
        Routed::Records(vec![Record {
            topic: "stand".into(),
            key: None,
            value: message.payload.clone(),
            headers: Vec::new(),
            timestamp: message.at,
        }])
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, client, wanted, file, version, more @ ..] = arguments.as_slice() else {
        return Err(Error::other("SERVER ID FILTERS FILE VERSION [CA [CERTIFICATE KEY]]"));
    };
    let mut server = Server::parse(server).map_err(Error::other)?;
    if server.is_encrypted {
        let own = more.get(1).zip(more.get(2)).map(|(one, other)| (Path::new(one), Path::new(other)));
        server.tls = Some(tls::client_config(more.first().map(Path::new), own).map_err(Error::other)?);
    }
    let client = Arc::new(Client::new(Settings {
        name: "stand".to_owned(),
        server,
        protocol: if version == "3.1.1" { Protocol::V311 } else { Protocol::V5 },
        client: client.clone(),
        user: std::env::var("MQTT_USER").ok(),
        password: std::env::var("MQTT_PASSWORD").ok(),
        filters: filters(wanted).map_err(Error::other)?,
        qos: 2,
        expiry: Duration::from_secs(3600),
        keep_alive: Duration::from_secs(5),
        receive_maximum: 100,
        under_way_bytes: 1 << 20,
        max_packet: 1 << 20,
        drops_retained: false,
    }));
    let file = OpenOptions::new().create(true).append(true).open(file)?;
    let log = Arc::new(Lines(Arc::new(Mutex::new(file))));
    let stop = CancellationToken::new();
    let told = Arc::clone(&client);
    tokio::spawn(async move {
        loop {
            let state = told.state();
            println!("{:?} {:?}", state, told.counts());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let ended = stop.clone();
    tokio::spawn(async move {
        if let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            signal.recv().await;
        }
        ended.cancel();
    });
    client.run(Arc::new(Everything), log, Arc::new(SystemClock), stop).await;
    Ok(())
}
