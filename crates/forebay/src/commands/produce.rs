//! `forebay produce`: events from a file or from stdin become records of a topic.
//!
//! ```text
//!  input ─ a thread reads ─▶ record ─▶ producer ─▶ tally: where each one is
//!                              │          └─ idempotent; tried again until --timeout
//!                              └─ what is no record ends it here, told with its line
//! ```
//!
//! What must stay true: whatever ends it, the last lines say which records are written and which are not known to be,
//! and no record is counted before all in-sync replicas have it. Nothing is sent twice by hand: only the producer, which
//! numbers what it sends, tries again.

mod input;
mod record;
mod tally;

use std::process::ExitCode;
use std::time::Duration;

use forebay_connectors::kafka::{ClientConfig, Delivery, NewRecord, Producer, ProducerConfig};
use forebay_core::Result;
use forebay_core::clock::{Clock, SystemClock};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::input::{Cut, Input, Taken};
use self::record::Maker;
use crate::cli::{Global, ProduceArgs};
use crate::{broker, pipeline, talk};

/// How long a stop waits for what was sent to be written.
const LAST: Duration = Duration::from_secs(3);

/// Records whose outcome may be waited for: more than the producer holds of any size that devices send.
const ON_THE_WAY: usize = 100_000;

pub async fn run(global: &Global, args: &ProduceArgs) -> anyhow::Result<ExitCode> {
    let maker = Maker::new(args)?;
    let input = Input::open(args.file.as_deref())?;
    let reaching = reaching(global, args)?;
    let config = ProducerConfig::from_client(&reaching)?;
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            pipeline::stop_signal().await;
            stop.cancel();
        }
    });
    let connecting = broker::connect_within(reaching, &args.broker, config.delivery_timeout);
    let Some(connected) = stop.run_until_cancelled(connecting).await else {
        talk::say(&format!("stopped while waiting for the log: 0 record(s) written to {}", args.topic));
        return Ok(ExitCode::FAILURE);
    };
    let client = connected?;
    let log = client.config().bootstrap.join(", ");
    Producing { args, maker, log, producer: Producer::new(client, config) }.all(input, stop).await
}

/// How to reach the log. All that is waited for has the limit that the command line names, unless `-X` says otherwise.
fn reaching(global: &Global, args: &ProduceArgs) -> Result<ClientConfig> {
    let millis = |shortest: u64, longest: u64| {
        u64::try_from(args.timeout.as_millis()).unwrap_or(longest).clamp(shortest, longest).to_string()
    };
    // One answer is not waited for longer than usual, yet long enough that it can come.
    let (all, answer, socket) = (millis(0, u32::MAX.into()), millis(1_000, 30_000), millis(1_000, 10_000));
    let mut more = vec![
        ("kafka.delivery.timeout.ms", all.as_str()),
        ("kafka.default.api.timeout.ms", &all),
        ("kafka.request.timeout.ms", &answer),
        ("kafka.socket.connection.setup.timeout.ms", &socket),
    ];
    more.extend(args.compression.as_deref().map(|codec| ("kafka.compression.type", codec)));
    broker::config(global, &args.broker, &more)
}

/// Why no more records are sent.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// There are no more.
    Done,
    /// One that was sent has failed.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

/// One input on its way into a topic.
struct Producing<'a> {
    args: &'a ProduceArgs,
    maker: Maker,
    /// The brokers, for messages.
    log: String,
    producer: Producer,
}

impl Producing<'_> {
    /// Sends all that is in the input, and says what became of it.
    async fn all(&self, input: Input, stop: CancellationToken) -> anyhow::Result<ExitCode> {
        let (name, is_stdin) = (input.name().to_owned(), input.is_stdin());
        let (failed, given_up) = (CancellationToken::new(), CancellationToken::new());
        let (sent, outcomes) = mpsc::channel(ON_THE_WAY);
        let gathering = tally::gather(outcomes, self.log.clone(), failed.clone(), given_up.clone());
        let tally = tokio::spawn(gathering);
        let mut records = input.read(if self.args.whole { Cut::Whole } else { Cut::Lines });
        let mut line = 0;
        let ended = tokio::select! {
            ended = self.send(&mut records, &name, sent, &failed, &mut line) => ended,
            () = stop.cancelled() => Ok(End::Stopped),
        };
        // The reader of the input learns that nobody listens any more.
        drop(records);
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST).await;
        };
        let all_told = tokio::select! {
            flushed = self.producer.flush() => flushed.is_ok(),
            () = patience => false,
        };
        // After a flush each record's outcome is on its way, if not there.
        if !all_told {
            given_up.cancel();
        }
        let tally = tally.await?;
        talk::say(&tally.told(&self.args.topic, &name));
        if matches!(ended, Ok(End::Failed | End::Stopped)) {
            talk::say(&format!("nothing was sent after line {line} of {name}"));
        }
        let is_whole = tally.is_whole();
        let first = tally.failure().map_or(ended, Err);
        // A person who types ends with Ctrl-C.
        let is_done = match first.map_err(|error| broker::for_command(error, &self.args.broker))? {
            End::Done => true,
            End::Stopped => is_stdin,
            End::Failed => false,
        };
        Ok(if is_done && is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Sends records until there are no more, or one of those before has failed; `line` is the last that was sent.
    async fn send(
        &self,
        records: &mut mpsc::Receiver<Result<Taken>>,
        input: &str,
        sent: mpsc::Sender<(u64, Delivery)>,
        failed: &CancellationToken,
        line: &mut u64,
    ) -> Result<End> {
        let args = self.args;
        let headers = args.headers.iter();
        let headers: Vec<(&str, Option<&[u8]>)> =
            headers.map(|(name, value)| (name.as_str(), value.as_deref().map(str::as_bytes))).collect();
        loop {
            let taken = match failed.run_until_cancelled(records.recv()).await {
                None => return Ok(End::Failed),
                Some(None) => return Ok(End::Done),
                Some(Some(taken)) => taken?,
            };
            let made = self.maker.parts(&taken.bytes).map_err(|fault| fault.of(input, taken.line))?;
            let Some(parts) = made else { continue };
            // A place for its outcome first: once it is sent, nothing that a stop could cut off is between it and its count.
            let Ok(place) = sent.reserve().await else { return Ok(End::Failed) };
            let sending = self.producer.send(NewRecord {
                topic: &args.topic,
                partition: args.partition,
                key: parts.key.as_deref(),
                value: parts.value,
                timestamp: SystemClock.now_ms(),
                headers: &headers,
            });
            // The first one asks for the topic; that others wait is told with those before them.
            let delivery =
                if *line == 0 { talk::patiently(&self.log, sending).await? } else { sending.await? };
            place.send((taken.line, delivery));
            *line = taken.line;
        }
    }
}
