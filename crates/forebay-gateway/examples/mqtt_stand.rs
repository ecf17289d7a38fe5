//! The MQTT end point alone, before a log in memory that keeps nothing but counts: what the clients under `tests/clients/mqtt` run against.
//!
//! `cargo run -p forebay-gateway --example mqtt_stand -- 127.0.0.1:1883` prints `ready ADDRESS`, and each second its counters.
//! With `CERTIFICATE KEY` (PEM files) behind the address it speaks TLS, with `CA` behind these it wants certificates of clients.
#![allow(clippy::print_stdout, reason = "an example that talks to scripts")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use forebay_core::clock::SystemClock;
use forebay_gateway::mqtt::{Broker, Options, Retained};
use forebay_gateway::{
    Access, Credentials, Delivery, Denied, Identity, Log, Message, Place, Record, Routed, Routes, delivery,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Says that it has what it was given.
#[derive(Default)]
struct Counts(AtomicI64);

#[async_trait]
impl Log for Counts {
    async fn submit(&self, records: Vec<Record>) -> Vec<Delivery> {
        let first = self.0.fetch_add(i64::try_from(records.len()).unwrap_or(i64::MAX), Ordering::Relaxed);
        let place = |(at, record): (i64, Record)| {
            let (settle, to_come) = delivery();
            settle.settle(Ok(Place { topic: record.topic, partition: 0, offset: first + at }));
            to_come
        };
        (0_i64..).zip(records).map(place).collect()
    }
}

/// One record for each message; `nowhere/` is for what no route takes.
struct Everything;

impl Routes for Everything {
    fn route(&self, message: &Message<'_>) -> Routed {
        if message.topic.starts_with("nowhere/") {
            return Routed::Nowhere;
        }
        Routed::Records(vec![Record {
            topic: "stand".into(),
            key: None,
            value: message.payload.clone(),
            headers: Vec::new(),
            timestamp: message.at,
        }])
    }
}

/// Anybody; with a name only with the password `secret`. `private/NAME` is for who has this name
/// or a certificate of it, the rest of `private/` nobody's.
struct Anybody;

impl Access for Anybody {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Identity, Denied> {
        match (credentials.user, credentials.secret) {
            (None, None) => Ok(Identity(credentials.certificate.unwrap_or("anybody").into())),
            (Some(user), Some(b"secret")) => Ok(Identity(user.into())),
            _ => Err(Denied),
        }
    }

    fn may_publish(&self, who: &Identity, _: &str, topic: &str) -> bool {
        topic.strip_prefix("private/").is_none_or(|rest| *rest == *who.0)
    }

    fn may_subscribe(&self, _: &Identity, _: &str, filter: &str) -> bool {
        !filter.starts_with("private/")
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let options = Options { retained: Retained::State, ..Options::default() };
    let log = Arc::new(Counts::default());
    let broker = Broker::start(options, log, Arc::new(Everything), Arc::new(Anybody), Arc::new(SystemClock));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("ready {}", listener.local_addr()?);
    let told = broker.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Ok(line) = serde_json::to_string(&told.snapshot()) {
                println!("{line}");
            }
        }
    });
    broker.listen(listener, tls()?, std::future::pending()).await;
    Ok(())
}

fn tls() -> std::io::Result<Option<Arc<ServerConfig>>> {
    let files: Vec<String> = std::env::args().skip(2).collect();
    let [certificate, key, ca @ ..] = files.as_slice() else { return Ok(None) };
    let other = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).map_err(|error| other(&error))?.collect();
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| other(&error))?;
    let builder = ServerConfig::builder();
    let builder = match ca.first() {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for ca in CertificateDer::pem_file_iter(ca).map_err(|error| other(&error))? {
                roots.add(ca.map_err(|error| other(&error))?).map_err(|error| other(&error))?;
            }
            let verifier =
                WebPkiClientVerifier::builder(roots.into()).build().map_err(|error| other(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = chain.map_err(|error| other(&error))?;
    Ok(Some(Arc::new(builder.with_single_cert(chain, key).map_err(|error| other(&error))?)))
}
