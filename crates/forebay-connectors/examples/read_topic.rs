//! Reads a whole topic from brokers and prints what one record costs: for comparison with other clients.
//!
//! `cargo run --release -p forebay-connectors --example read_topic -- 127.0.0.1:9192 TOPIC [LANES] [OPTION=VALUE …]`

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use forebay_connectors::sources::kafka::{KafkaSource, SPEC};
use forebay_core::options::Options;
use forebay_core::source::{Source, Wanted};
use forebay_core::{Position, PositionRange};
use futures::StreamExt;
use futures::future::join_all;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let bootstrap = arguments.next().ok_or("first argument: host:port of a broker")?;
    let topic = arguments.next().ok_or("second argument: a topic")?;
    let lanes: usize = arguments.next().map_or(Ok(2), |lanes| lanes.parse())?;
    let mut raw = BTreeMap::from([
        ("kafka.bootstrap.servers".to_owned(), bootstrap),
        ("subscribe".to_owned(), topic),
        ("startingOffsets".to_owned(), "earliest".to_owned()),
    ]);
    for pair in arguments {
        let (name, value) = pair.split_once('=').ok_or("further arguments: option=value")?;
        raw.insert(name.to_owned(), value.to_owned());
    }
    let options = Options::parse(&SPEC, &raw).map_err(|problems| format!("{problems:?}"))?;
    let began = Instant::now();
    let mut source = KafkaSource::new(&options, Wanted::default(), None)?;
    let from = source.start(true).await?;
    let ends = source.available(&from).await?.ends;
    let ranges: Vec<PositionRange> = ends
        .into_iter()
        .map(|(partition, to)| {
            let from = from.get(&partition).copied().unwrap_or(Position(0));
            PositionRange { partition, from, to }
        })
        .collect();
    let tasks = source.read(&ranges, lanes).await?.into_iter().map(|mut lane| {
        tokio::spawn(async move {
            let (mut records, mut bytes, mut envelopes) = (0_u64, 0_u64, 0_u64);
            while let Some(envelope) = lane.next().await {
                let envelope = envelope?;
                records += envelope.len() as u64;
                envelopes += 1;
                bytes += envelope.values.views().iter().map(|view| u64::from(*view as u32)).sum::<u64>();
            }
            Ok::<_, forebay_core::Error>((records, bytes, envelopes))
        })
    });
    let (mut records, mut bytes, mut envelopes) = (0, 0, 0);
    for done in join_all(tasks).await {
        let (r, b, e) = done??;
        (records, bytes, envelopes) = (records + r, bytes + b, envelopes + e);
    }
    let (wall, cpu) = (began.elapsed(), cpu_time());
    let per_record = cpu.as_nanos() as f64 / records.max(1) as f64;
    println!("{records} records, {bytes} bytes of values, {envelopes} envelopes");
    println!(
        "{:.2} s wall, {:.2} s CPU, {per_record:.0} ns of CPU per record",
        wall.as_secs_f64(),
        cpu.as_secs_f64()
    );
    Ok(())
}

/// User and system time of this process, as Linux counts it: in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field, the name, may hold blanks; what follows its bracket does not.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
