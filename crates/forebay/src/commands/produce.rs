//! `forebay produce`: lines to records.

use std::io::{BufRead, BufReader};
use std::process::ExitCode;

use forebay_connectors::kafka::{NewRecord, Producer, ProducerConfig};
use forebay_core::Error;
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::error::codes;
use tokio::sync::mpsc;

use crate::cli::{Global, ProduceArgs};
use crate::{broker, talk};

/// Lines that wait between the reader of the input and the producer.
const QUEUE: usize = 1_000;

pub async fn run(global: &Global, args: &ProduceArgs) -> anyhow::Result<ExitCode> {
    let client = broker::connect(global, &args.broker, &[]).await?;
    let config = ProducerConfig::from_client(client.config())?;
    let producer = Producer::new(client, config);
    let (sender, mut lines) = mpsc::channel(QUEUE);
    let input: Box<dyn BufRead + Send> = match &args.file {
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|error| {
                Error::new(&codes::WRONG_USE, "the file with the lines cannot be opened")
                    .at(path.display())
                    .caused_by(error)
                    .with_hint("Check the path after `--file`.")
            })?;
            Box::new(BufReader::new(file))
        }
        None => Box::new(BufReader::new(std::io::stdin())),
    };
    let reader = tokio::task::spawn_blocking(move || read_lines(input, &sender));
    let mut count = 0u64;
    while let Some(line) = lines.recv().await {
        let separator = args.key_separator.as_deref().map(str::as_bytes);
        let (key, value) = match separator.and_then(|separator| split(&line, separator)) {
            Some((key, value)) => (Some(key), value),
            None => (None, line.as_slice()),
        };
        let now = SystemClock.now_ms();
        producer.send(NewRecord { key, ..NewRecord::value(&args.topic, value, now) }).await?;
        count += 1;
    }
    reader.await??;
    producer.flush().await?;
    talk::say(&format!("{count} record(s) written to {}", args.topic));
    Ok(ExitCode::SUCCESS)
}

/// Lines as bytes, without their line break: a record may be anything, also not UTF-8.
fn read_lines(mut input: Box<dyn BufRead + Send>, out: &mpsc::Sender<Vec<u8>>) -> std::io::Result<()> {
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if out.blocking_send(line).is_err() {
            return Ok(());
        }
    }
}

fn split<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    if separator.is_empty() {
        return None;
    }
    let at = line.windows(separator.len()).position(|window| window == separator)?;
    Some((&line[..at], &line[at + separator.len()..]))
}
