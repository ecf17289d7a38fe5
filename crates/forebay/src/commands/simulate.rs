//! `forebay simulate`: devices that measure and send.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use forebay_connectors::kafka::{Client, NewRecord, NewTopic, Producer, ProducerConfig};
use forebay_core::clock::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::cli::{Global, SimulateArgs};
use crate::devices::{Devices, Sent};
use crate::{broker, talk};

pub async fn run(global: &Global, args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let client =
        broker::connect(global, &args.broker, &[("kafka.compression.type", &args.compression)]).await?;
    if let Some(partitions) = args.partitions {
        make_topic(&client, &args.topic, partitions).await?;
    }
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.cancel();
            }
        }
    });
    talk::say(&format!(
        "simulating {} device(s) into topic {} (seed {seed}); Ctrl-C stops",
        args.devices, args.topic
    ));
    let started = Instant::now();
    let sent = send(client, args, seed, stop).await?;
    talk::say(&summary(&sent, started.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// Makes the topic if it is not there yet.
pub async fn make_topic(client: &Client, topic: &str, partitions: i32) -> forebay_core::Result<()> {
    use forebay_connectors::kafka::Topics;
    let named = Topics::Named(vec![topic.to_owned()]);
    let known = client.metadata(&named).await?;
    if known.topics.get(topic).is_some_and(|topic| !topic.partitions.is_empty()) {
        return Ok(());
    }
    client.create_topics(&[NewTopic::new(topic, partitions)]).await
}

/// Sends events until the count is reached or a stop comes; returns when all of them are written.
pub async fn send(
    client: Client,
    args: &SimulateArgs,
    seed: u64,
    stop: CancellationToken,
) -> anyhow::Result<Sent> {
    let config = ProducerConfig::from_client(client.config())?;
    let producer = Producer::new(client, config);
    let mut devices = Devices::new(args, seed);
    let mut value = Vec::with_capacity(512);
    let (started, mut told) = (Instant::now(), Instant::now());
    while !stop.is_cancelled() && args.count.is_none_or(|count| devices.sent.events < count) {
        let (_, times) = devices.next(SystemClock.now_ms(), &mut value);
        for _ in 0..times {
            producer.send(NewRecord::value(&args.topic, &value, SystemClock.now_ms())).await?;
        }
        if args.rate > 0.0 {
            let due = Duration::from_secs_f64(devices.sent.events as f64 / args.rate);
            let ahead = due.saturating_sub(started.elapsed());
            if ahead > Duration::from_millis(1) {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(ahead) => {}
                }
            }
        }
        // Looking at the clock for every event would cost more than making it.
        if devices.sent.events.is_multiple_of(1024) && told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            talk::say(&summary(&devices.sent, started.elapsed()));
        }
    }
    producer.flush().await?;
    Ok(devices.sent)
}

fn summary(sent: &Sent, elapsed: Duration) -> String {
    let rate = sent.messages as f64 / elapsed.as_secs_f64().max(0.001);
    let mut text = format!("{} message(s) written, {rate:.0} a second", sent.messages);
    for (count, what) in [
        (sent.hot, "above 70 degrees"),
        (sent.corrupt, "corrupt"),
        (sent.duplicates, "repeated"),
        (sent.late, "late"),
        (sent.fast, "from a fast clock"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}
