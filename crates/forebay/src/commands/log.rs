//! `forebay log`: the embedded log for people.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::bail;
use forebay_connectors::kafka::{At, Topics};
use forebay_connectors::sources;
use forebay_core::source::{Envelope, Source, Wanted};
use forebay_core::{Partition, Positions};
use forebay_storage::Door;
use futures::StreamExt;
use serde_json::json;

use crate::cli::{BrokerArgs, Global, LogCommand, LogServeArgs, OutputFormat};
use crate::embedded::Embedded;
use crate::log_access::LogAccess;
use crate::{broker, pipeline, talk};

pub async fn run(global: &Global, command: LogCommand) -> anyhow::Result<ExitCode> {
    match command {
        LogCommand::Serve { listen, serve: args } => {
            serve(global, listen.unwrap_or(global.kafka()), &args).await
        }
        LogCommand::Topics { broker, format } => topics(global, &broker, format).await,
        LogCommand::Tail { broker, topic, from_beginning, count, format } => {
            tail(global, &broker, &topic, from_beginning, count, format).await
        }
        LogCommand::Produce(_) => bail!("`log produce` is the command `produce`"),
    }
}

async fn serve(
    global: &Global,
    address: std::net::SocketAddr,
    args: &LogServeArgs,
) -> anyhow::Result<ExitCode> {
    let access = LogAccess::new(&args.access, args.tls_cert.as_deref(), args.tls_key.as_deref())?;
    let embedded = Embedded::start(&global.data, address, Door::new(), &access).await?;
    talk::say(&format!("ready kafka={}", embedded.address));
    pipeline::stop_signal().await;
    talk::say("stopping");
    embedded.stop().await?;
    Ok(ExitCode::SUCCESS)
}

async fn topics(global: &Global, args: &BrokerArgs, format: OutputFormat) -> anyhow::Result<ExitCode> {
    let client = broker::connect(global, args, &[]).await?;
    let cluster = client.metadata(&Topics::All).await?;
    let partitions: Vec<Partition> = cluster.partitions().collect();
    let ask = |at: At| partitions.iter().map(|partition| (partition.clone(), at)).collect::<BTreeMap<_, _>>();
    let earliest = client.list_offsets(&ask(At::Earliest)).await?;
    let latest = client.list_offsets(&ask(At::Latest)).await?;
    let offset = |found: &BTreeMap<Partition, _>, partition: &Partition| {
        found.get(partition).and_then(|found: &forebay_connectors::kafka::Found| found.offset).unwrap_or(0)
    };
    let mut out = String::new();
    for partition in &partitions {
        let (from, to) = (offset(&earliest, partition), offset(&latest, partition));
        out.push_str(&match format {
            OutputFormat::Json => {
                json!({ "topic": &*partition.topic, "partition": partition.index, "earliest": from, "latest": to })
                    .to_string()
                    + "\n"
            }
            OutputFormat::Csv => format!("{},{},{from},{to}\n", partition.topic, partition.index),
            OutputFormat::Table => format!("{:<40} {:>9} {from:>14} {to:>14}\n", partition.topic, partition.index),
        });
    }
    match format {
        OutputFormat::Json => talk::print(&out)?,
        OutputFormat::Csv => talk::print(&format!("topic,partition,earliest,latest\n{out}"))?,
        OutputFormat::Table if partitions.is_empty() => talk::say("there are no topics"),
        OutputFormat::Table => {
            talk::print(&format!(
                "{:<40} {:>9} {:>14} {:>14}\n{out}",
                "TOPIC", "PARTITION", "EARLIEST", "LATEST"
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn tail(
    global: &Global,
    args: &BrokerArgs,
    topic: &str,
    from_beginning: bool,
    count: Option<u64>,
    format: OutputFormat,
) -> anyhow::Result<ExitCode> {
    let starting = if from_beginning { "earliest" } else { "latest" };
    let mut raw = BTreeMap::from([
        ("kafka.bootstrap.servers".to_owned(), broker::bootstrap(global, args)),
        ("subscribe".to_owned(), topic.to_owned()),
        ("startingOffsets".to_owned(), starting.to_owned()),
        ("failOnDataLoss".to_owned(), "false".to_owned()),
    ]);
    raw.extend(broker::given(args)?);
    let options = broker::source_options("kafka", &raw)?;
    let mut source = sources::build("kafka", &options, Wanted { keys: true, headers: false }, None)?;
    let mut positions = source.start(true).await.map_err(|error| broker::for_command(error, args))?;
    if format == OutputFormat::Csv {
        talk::print("topic,partition,offset,timestamp,key,value\n")?;
    }
    let mut left = count.unwrap_or(u64::MAX);
    let stop = pipeline::stop_signal();
    tokio::pin!(stop);
    while left > 0 {
        tokio::select! {
            () = &mut stop => break,
            moved = read_on(&mut *source, &mut positions, &mut left, format) => moved?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what is there beyond `positions`, then waits for more.
async fn read_on(
    source: &mut dyn Source,
    positions: &mut Positions,
    left: &mut u64,
    format: OutputFormat,
) -> anyhow::Result<()> {
    let available = source.available(positions).await?;
    positions
        .extend(available.new.iter().chain(&available.moved).map(|(partition, at)| (partition.clone(), *at)));
    let ranges = available.ranges(positions);
    if ranges.is_empty() {
        source.wait(positions).await?;
        return Ok(());
    }
    for mut lane in source.read(&ranges, 1).await? {
        while let Some(envelope) = lane.next().await {
            let envelope = envelope?;
            let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(envelope.len());
            talk::print(&lines(&envelope, wanted, format))?;
            *left -= wanted as u64;
            positions.insert(envelope.partition.clone(), envelope.next);
            if *left == 0 {
                return Ok(());
            }
        }
    }
    for range in ranges {
        positions.insert(range.partition, range.to);
    }
    Ok(())
}

fn lines(envelope: &Envelope, count: usize, format: OutputFormat) -> String {
    use arrow::array::Array as _;
    let mut out = String::new();
    for row in 0..count {
        let value =
            (!envelope.values.is_null(row)).then(|| String::from_utf8_lossy(envelope.values.value(row)));
        let key = envelope
            .keys
            .as_ref()
            .filter(|keys| !keys.is_null(row))
            .map(|keys| String::from_utf8_lossy(keys.value(row)).into_owned());
        let (topic, partition) = (&*envelope.partition.topic, envelope.partition.index);
        let (offset, timestamp) = (envelope.offsets[row], envelope.timestamps[row]);
        out.push_str(&match format {
            OutputFormat::Table => talk::one_line(&value.unwrap_or_default()),
            // A missing key or value is an empty cell, an empty one is `""`.
            OutputFormat::Csv => {
                let cell = |text: Option<&str>| text.map(|text| format!("\"{}\"", text.replace('"', "\"\"")));
                let (key, value) = (cell(key.as_deref()), cell(value.as_deref()));
                format!(
                    "{topic},{partition},{offset},{timestamp},{},{}",
                    key.unwrap_or_default(),
                    value.unwrap_or_default()
                )
            }
            OutputFormat::Json => {
                json!({ "topic": topic, "partition": partition, "offset": offset, "timestamp": timestamp, "key": key, "value": value })
                    .to_string()
            }
        });
        out.push('\n');
    }
    out
}
