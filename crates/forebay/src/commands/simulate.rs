//! `forebay simulate`: devices that measure and send.
//!
//! A log that is down is told once and waited for; a stop ends also that waiting. What must stay true: the last line
//! says how many events were written, and says so if some were not.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use forebay_connectors::kafka::{Client, Delivery, NewRecord, NewTopic, Producer, ProducerConfig};
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::{Global, Motion, SimulateArgs};
use crate::devices::{Devices, Sent};
use crate::{broker, devices, pipeline, talk};

/// How long a stop waits for what was sent to be written.
const LAST: Duration = Duration::from_secs(3);

/// Most devices that remember where they are.
const MOST_WANDER: u32 = 1_000_000;

pub async fn run(global: &Global, args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    if args.values == Motion::Wander && args.devices > MOST_WANDER {
        let error = Error::new(&codes::WRONG_USE, format!("at most {MOST_WANDER} devices wander"));
        return Err(error.with_hint("Leave out `--values wander`, or take fewer `--devices`.").into());
    }
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let devices = Devices::new(args, seed)?;
    let client =
        broker::connect(global, &args.broker, &[("kafka.compression.type", &args.compression)]).await?;
    let own = devices::topics(args.shape);
    if let Some(partitions) = args.partitions {
        for topic in own.unwrap_or(&[args.topic()]) {
            make_topic(&client, topic, partitions).await?;
        }
    }
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            pipeline::stop_signal().await;
            stop.cancel();
        }
    });
    let into = match own {
        Some(topics) => format!("topics {}", topics.join(", ")),
        None => format!("topic {}", args.topic()),
    };
    talk::say(&format!("{} into {into} (seed {seed}); Ctrl-C stops", devices.about()));
    let started = Instant::now();
    let (sent, outcome) = send(client, args, devices, stop).await;
    let done = if outcome.is_ok() { "written" } else { "sent, the newest of them not written" };
    talk::say(&summary(&sent, done, started.elapsed()));
    outcome?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the topic if it is not there yet.
pub async fn make_topic(client: &Client, topic: &str, partitions: i32) -> Result<()> {
    use forebay_connectors::kafka::Topics;
    let named = Topics::Named(vec![topic.to_owned()]);
    let known = client.metadata(&named).await?;
    if known.topics.get(topic).is_some_and(|topic| !topic.partitions.is_empty()) {
        return Ok(());
    }
    client.create_topics(&[NewTopic::new(topic, partitions)]).await
}

/// Sends events until the count is reached, all is played or a stop comes; returns when all of them are written, or
/// why not.
pub async fn send(
    client: Client,
    args: &SimulateArgs,
    mut devices: Devices,
    stop: CancellationToken,
) -> (Sent, Result<()>) {
    let log = client.config().bootstrap.join(", ");
    let producer = match ProducerConfig::from_client(client.config()) {
        Ok(config) => Producer::new(client, config),
        Err(error) => return (Sent::default(), Err(error)),
    };
    let mut sent = Sent::default();
    let (probes, probed) = mpsc::channel(1);
    let made = tokio::select! {
        made = make_and_send(&producer, &mut devices, &mut sent, args, probes, &stop) => made,
        // It ends only with the other, which holds the probes.
        () = watch(probed, &log) => Ok(()),
    };
    let outcome = match made {
        Ok(()) => flush(&producer, &log, &stop).await,
        failed => failed,
    };
    (sent, outcome)
}

/// Waits until everything is written; for a log that is down not much longer than until the stop.
async fn flush(producer: &Producer, log: &str, stop: &CancellationToken) -> Result<()> {
    let given_up = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        flushed = talk::patiently(log, producer.flush()) => flushed,
        () = given_up => Err(Error::new(&codes::SOURCE_UNAVAILABLE, "the newest events were not written")
            .at(log)
            .with_hint("The log did not answer when the simulation was stopped.")),
    }
}

/// Says once that the log does not take what was sent, and once that it does again.
async fn watch(mut probes: mpsc::Receiver<Delivery>, log: &str) {
    while let Some(probe) = probes.recv().await {
        let written = probe.wait();
        tokio::pin!(written);
        if tokio::time::timeout(talk::PATIENCE, &mut written).await.is_err() {
            talk::say(&format!("waiting for {log} …"));
            if written.await.is_ok() {
                talk::say(&format!("{log} answers again"));
            }
        }
    }
}

/// Makes events at the rate that is asked for and counts what is sent. Now and then one of them is a probe of how the log does.
async fn make_and_send(
    producer: &Producer,
    devices: &mut Devices,
    sent: &mut Sent,
    args: &SimulateArgs,
    probes: mpsc::Sender<Delivery>,
    stop: &CancellationToken,
) -> Result<()> {
    let mut value = Vec::with_capacity(512);
    let (started, mut told) = (Instant::now(), Instant::now());
    while !stop.is_cancelled() && args.count.is_none_or(|count| sent.events < count) {
        let Some((event, repeat)) = devices.next(SystemClock.now_ms(), &mut value) else { break };
        // Devices with a pace of their own say when a message is due, the others come at the rate that is asked for.
        let own_pace = if args.rate.is_none() { devices.due() } else { None };
        if let Some(due) = own_pace {
            wait(started, due, stop).await;
        }
        for message in [Some(event), repeat].into_iter().flatten() {
            let topic = devices.topic().unwrap_or(args.topic());
            let record = NewRecord::value(topic, &value, SystemClock.now_ms());
            let delivery = tokio::select! {
                biased;
                delivery = producer.send(NewRecord { key: devices.key(), ..record }) => delivery?,
                () = stop.cancelled() => return Ok(()),
            };
            sent.add(&message);
            // While one is looked after, others need not be.
            let _ = probes.try_send(delivery);
        }
        if own_pace.is_none() && args.rate() > 0.0 {
            wait(started, Duration::from_secs_f64(sent.events as f64 / args.rate()), stop).await;
        }
        if let Some(topic) = &args.truth {
            tell(producer, topic, devices.take_truth(), stop).await?;
        }
        // Looking at the clock for every event would cost more than making it.
        if sent.events.is_multiple_of(1024) && told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            talk::say(&summary(sent, "sent", started.elapsed()));
        }
    }
    match &args.truth {
        // Also at a stop: what was sent stays, and so must what is true of it. A log that is away is told by the flush.
        Some(topic) => {
            let stays = CancellationToken::new();
            let told = tell(producer, topic, devices.end(), &stays);
            tokio::time::timeout(LAST, told).await.unwrap_or(Ok(()))
        }
        None => Ok(()),
    }
}

/// Writes lines of the truth to their topic.
async fn tell(producer: &Producer, topic: &str, lines: Vec<Vec<u8>>, stop: &CancellationToken) -> Result<()> {
    for line in lines {
        tokio::select! {
            biased;
            delivery = producer.send(NewRecord::value(topic, &line, SystemClock.now_ms())) => drop(delivery?),
            () = stop.cancelled() => return Ok(()),
        }
    }
    Ok(())
}

/// Waits until something is due, or for a stop.
async fn wait(started: Instant, due: Duration, stop: &CancellationToken) {
    let ahead = due.saturating_sub(started.elapsed());
    if ahead > Duration::from_millis(1) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(ahead) => {}
        }
    }
}

fn summary(sent: &Sent, done: &str, elapsed: Duration) -> String {
    let rate = sent.messages as f64 / elapsed.as_secs_f64().max(0.001);
    let mut text = format!("{} message(s) {done}, {rate:.0} a second", sent.messages);
    for (count, what) in [
        (sent.hot, "above 70 degrees"),
        (sent.faults, "fault(s) of vehicles"),
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
