//! The log and its Kafka server alone, for trying clients against it:
//!
//! ```text
//! cargo run -p forebay-log --example serve -- --listen 127.0.0.1:9092 --dir /tmp/log
//! ```
//!
//! Prints `ready ADDRESS` on stderr once it listens, and stops on SIGINT or SIGTERM. `forebay log serve` is the one
//! with options.

use forebay_log::server::{Server, ServerOptions};
use forebay_log::storage::{Log, LogOptions};
use forebay_storage::Door;
use std::error::Error;
use std::io::Write;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut listen = "127.0.0.1:9092".to_owned();
    let mut dir = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => listen = value,
            "--dir" => dir = Some(value),
            other => return Err(format!("unknown argument {other}; known are --listen and --dir").into()),
        }
    }
    let dir = dir.ok_or("--dir is missing: the folder that holds the log")?;

    let log = Log::open(LogOptions::new(dir), Door::new())?;
    let server = Server::bind(listen.parse()?, log.clone(), ServerOptions::default()).await?;
    writeln!(std::io::stderr(), "ready {}", server.local_addr())?;

    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server.run(shutdown.clone()));
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    shutdown.cancel();
    serving.await?;
    log.close().await?;
    Ok(())
}
