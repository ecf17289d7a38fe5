//! `forebay demo`: a whole system live, from one file of `examples/`, with simulated devices.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use forebay_core::Ledger;
use forebay_core::options::parse_duration;
use forebay_engine::status::QueryStatus;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::{BrokerArgs, DemoArgs, Global, Shape, SimulateArgs};
use crate::commands::simulate;
use crate::pipeline::{self, Overrides};
use crate::{broker, load, talk};

/// The systems that can be shown: name and pipeline file.
const DEMOS: &[(&str, &str)] = &[("plant", include_str!("../../../../examples/plant.yaml"))];

/// The address in the examples.
const EXAMPLE_ADDRESS: &str = "localhost:9092";

/// How often the demo says how it stands.
const REPORT: Duration = Duration::from_secs(5);

pub async fn run(global: &Global, args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let Some((name, text)) = DEMOS.iter().find(|(name, _)| *name == args.name) else {
        let known: Vec<&str> = DEMOS.iter().map(|(name, _)| *name).collect();
        bail!("there is no demo `{}`; there is {}", args.name, known.join(", "));
    };
    let duration =
        args.duration.as_deref().map(|text| parse_duration(text).context("a duration reads \"30 seconds\""));
    let duration = duration.transpose()?;
    let text = text.replace(EXAMPLE_ADDRESS, &global.kafka.to_string());
    let Ok(loaded) = load::load(&text, name) else {
        bail!("the example file is not valid; please report it")
    };
    let global = Global { data: global.data.join("demo").join(name), ..global.clone() };
    introduce(name, &global, args.rate);
    let running = pipeline::start(&global, &loaded, &Overrides::default()).await?;
    let stop = CancellationToken::new();
    let simulated = SimulateArgs {
        broker: BrokerArgs { bootstrap: None, options: Vec::new() },
        topic: "iot_topic".to_owned(),
        devices: 3,
        rate: args.rate,
        count: None,
        partitions: None,
        compression: "lz4".to_owned(),
        shape: Shape::Plant,
        late: 0.0,
        corrupt: 0.01,
        duplicate: 0.0,
        fast_clock: 0.0,
        seed: None,
    };
    let client = broker::connect(&global, &simulated.broker, &[]).await?;
    let devices = tokio::spawn({
        let stop = stop.clone();
        async move { simulate::send(client, &simulated, fastrand::u64(..), stop).await }
    });
    let reports = tokio::spawn(report(running.statuses(), stop.clone()));
    let ended = async {
        let timer = async {
            match duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pipeline::stop_signal() => {}
            () = timer => {}
        }
        // The devices stop first, so that their last events still go through.
        stop.cancel();
        if let Ok(Ok(sent)) = devices.await {
            talk::say(&format!(
                "the devices sent {} events, {} of them damaged on purpose",
                sent.events, sent.corrupt
            ));
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
    };
    let statuses = running.statuses();
    let code = running.finish(ended).await?;
    let _ = reports.await;
    talk::say(&format!("ended: {}", standing(&statuses)));
    Ok(code)
}

fn introduce(name: &str, global: &Global, rate: f64) {
    let data = global.data.display();
    talk::say(&format!(
        "demo `{name}`: 3 simulated devices send {rate} events a second into the embedded log; one in a hundred is damaged on purpose.\n\
         Readings above 70 degrees appear below as they happen; every reading goes to a Delta table. Ctrl-C stops.\n\
         While it runs, in another terminal:\n  \
           forebay --data {data} query \"SELECT device_id, AVG(temperature) AS avg_temp, MAX(humidity) AS max_humidity FROM delta.\\`{data}/data/iot_data\\` GROUP BY device_id\"\n  \
           forebay --data {data} quarantine ls\n  \
           curl http://{}/api/v1/ledger",
        global.http
    ));
}

/// Says every few seconds how it stands.
async fn report(statuses: Vec<watch::Receiver<QueryStatus>>, stop: CancellationToken) {
    let started = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REPORT) => {}
        }
        talk::say(&format!("[{:>4} s] {}", started.elapsed().as_secs(), standing(&statuses)));
    }
}

fn standing(statuses: &[watch::Receiver<QueryStatus>]) -> String {
    let describe = |status: &watch::Receiver<QueryStatus>| {
        let status = status.borrow();
        let Ledger { read, rows_out, filtered, quarantined, .. } = status.ledger;
        let balance = if status.ledger.balances() { "balances" } else { "DOES NOT BALANCE" };
        let mut text = format!(
            "{}: {read} read = {rows_out} out + {filtered} filtered + {quarantined} quarantined ({balance})",
            status.name
        );
        if let Some(error) = status.state.error() {
            text.push_str(&format!(" {}: {error}", status.state.word()));
        }
        text
    };
    statuses.iter().map(describe).collect::<Vec<_>>().join(" | ")
}
