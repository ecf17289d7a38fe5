//! `forebay demo`: a whole system live, from one file of `examples/`, with simulated devices.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::trigger::Trigger;
use forebay_engine::status::QueryStatus;
use forebay_storage::Door;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::{BrokerArgs, DemoArgs, EmbeddedLog, Global, Motion, Shape, SimulateArgs};
use crate::commands::{simulate, wrong_name};
use crate::devices::Devices;
use crate::pipeline::{self, Overrides};
use crate::runnable::Run;
use crate::{broker, load, standing, talk};

/// A system that can be shown, or is to be.
struct Demo {
    name: &'static str,
    /// What it shows, in one line.
    about: &'static str,
    shows: Shows,
}

enum Shows {
    /// It runs.
    System(&'static System),
    /// It does not run yet: what it needs.
    NotYet(&'static str),
}

/// A system that runs.
struct System {
    /// Its pipeline file.
    file: &'static str,
    /// What the file reads from the data folder, by name; made there if it is missing.
    beside: &'static [(&'static str, &'static str)],
    topic: &'static str,
    shape: Shape,
    devices: u32,
    /// What is to be seen, with commands to try; `{url}`, `{http}`, `{data}` and `{rate}` are filled in.
    tells: &'static str,
}

const PLANT: System = System {
    file: include_str!("../../../../examples/plant.yaml"),
    beside: &[],
    topic: "iot_topic",
    shape: Shape::Plant,
    devices: 3,
    tells: "\
3 simulated devices send {rate} events a second into the embedded log; one in a hundred is damaged on purpose.
Now and then a device runs hot: readings above 70 degrees appear below, a table each second, above 75 an alert
opens. Every reading goes to a Delta table, each device's minutes to another. Ctrl-C stops.
While it runs, in another terminal:
  forebay --http {http} top
  forebay --data {data} query \"SELECT device_id, AVG(temperature) AS avg_temp, MAX(humidity) AS max_humidity FROM delta.\\`data/iot_data\\` GROUP BY device_id\"
  forebay --data {data} quarantine ls
  curl {url}/api/v1/ledger",
};

const DEVICES: System = System {
    file: include_str!("../../../../examples/devices.yaml"),
    beside: &[("registry.csv", include_str!("../../../../examples/devices/registry.csv"))],
    topic: "device_stream",
    shape: Shape::Devices,
    devices: 6,
    tells: "\
6 simulated devices of three customers send {rate} events a second into the embedded log, two devices in most of them; one in a
hundred is damaged on purpose. Each device in an event becomes a row of Delta tables and of PostgreSQL. Without a PostgreSQL the
queries `postgres_…` wait for one, and go on from where they stand once it is there: `{postgres}` (FOREBAY_DEMO_POSTGRES names
another, PGPASSWORD the password of `forebay` in it). Ctrl-C stops.
While it runs, in another terminal:
  forebay --http {http} top
  forebay --data {data} query \"SELECT status, count(*) FROM delta.\\`data/iot_device_events\\` GROUP BY status\"
  forebay --data {data} quarantine ls
  psql {postgres} -U forebay -c 'SELECT * FROM iot_device_events ORDER BY \"eventTime\" DESC LIMIT 10'",
};

/// Every system that can be shown, or is to be.
const DEMOS: &[Demo] = &[
    Demo {
        name: "plant",
        about: "machines' temperature and humidity; hot ones on the screen, alerts, all in a Delta table, their minutes in another",
        shows: Shows::System(&PLANT),
    },
    Demo {
        name: "devices",
        about: "nested events, a row for each device in them, to PostgreSQL and Delta tables: statuses, temperatures, late ones",
        shows: Shows::System(&DEVICES),
    },
    Demo {
        name: "csv-cycle",
        about: "sensors collected into CSV files, merged and archived every two minutes",
        shows: Shows::NotYet("a sink for files, cycles by time"),
    },
    Demo {
        name: "fleet",
        about: "vehicles checked on the way, alerts on speed, heat, fuel and place",
        shows: Shows::NotYet("rules for fields"),
    },
    Demo {
        name: "arduino",
        about: "an Arduino's climate, distance and movement over MQTT to four tables",
        shows: Shows::NotYet("a gateway for MQTT, tables in a catalog"),
    },
];

/// What can be shown and what cannot yet, a line each.
fn listed() -> String {
    let mut text = String::new();
    for Demo { name, about, shows } in DEMOS {
        match shows {
            Shows::System(_) => text.push_str(&format!("{name:<12} {about}\n")),
            Shows::NotYet(why) => text.push_str(&format!("{name:<12} {about} (not yet: needs {why})\n")),
        }
    }
    text
}

/// A system by its name, or why it cannot be shown.
fn system(name: &str) -> Result<(&'static str, &'static System), Error> {
    let runs = |demo: &&Demo| matches!(demo.shows, Shows::System(_));
    match DEMOS.iter().find(|demo| demo.name == name) {
        Some(Demo { name, shows: Shows::System(system), .. }) => Ok((name, system)),
        Some(Demo { shows: Shows::NotYet(why), .. }) => {
            Err(Error::new(&codes::NOT_YET, format!("the demo `{name}` cannot be shown yet: it needs {why}"))
                .with_hint("`forebay demo --list` tells which can."))
        }
        None => Err(wrong_name("demo", name, DEMOS.iter().filter(runs).map(|demo| demo.name))),
    }
}

/// The address in the examples.
const EXAMPLE_ADDRESS: &str = "localhost:9092";

/// The PostgreSQL in the examples, and the password of its user there.
const EXAMPLE_POSTGRES: &str = "postgresql://localhost:5432/forebay";
const EXAMPLE_PASSWORD: &str = "${PGPASSWORD}";

/// Names another PostgreSQL.
const POSTGRES_VARIABLE: &str = "FOREBAY_DEMO_POSTGRES";

/// How often the screen shows new alerts: a table of a few rows reads better than a table for each row.
const SCREEN: Trigger = Trigger::ProcessingTime(Duration::from_secs(1));

/// How often the demo says how it stands.
const REPORT: Duration = Duration::from_secs(5);

pub async fn run(global: &Global, args: &DemoArgs) -> anyhow::Result<ExitCode> {
    if args.list {
        talk::print(&listed())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (name, system) = system(&args.name)?;
    let postgres = std::env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| EXAMPLE_POSTGRES.to_owned());
    let mut text = system.file.replace(EXAMPLE_ADDRESS, &global.kafka().to_string());
    text = text.replace(EXAMPLE_POSTGRES, &postgres);
    if std::env::var_os("PGPASSWORD").is_none() {
        text = text.replace(EXAMPLE_PASSWORD, "forebay");
    }
    let global = Global { data: global.data.join("demo").join(name), ..global.clone() };
    for (file, content) in system.beside {
        let (door, path) = (Door::new(), global.data.join(file));
        if !path.exists() {
            door.create_dir_all(&global.data)?;
            door.write_atomic(&path, content.as_bytes())?;
        }
    }
    let Ok(loaded) = load::load(
        &text,
        name,
        Some(Run { data: &global.data, trigger: Some(SCREEN), needs_tables: true, only: &[] }),
    ) else {
        bail!("the example file is not valid; please report it")
    };
    // A Kafka that listens there is somebody's own: the demo does not write into it.
    let overrides = Overrides {
        embedded_log: EmbeddedLog::Always,
        trigger: Some(SCREEN),
        server: args.server.clone(),
        ..Overrides::default()
    };
    let running = pipeline::start(&global, loaded, &overrides, None).await?;
    // Only now, when it listens, is what this says true.
    introduce(name, system, &global, (&running.url(), &postgres), args.rate);
    let stop = CancellationToken::new();
    let simulated = SimulateArgs {
        broker: BrokerArgs { bootstrap: None, client_properties: None, options: Vec::new() },
        topic: system.topic.to_owned(),
        devices: system.devices,
        rate: args.rate,
        count: None,
        partitions: None,
        compression: "lz4".to_owned(),
        shape: Some(system.shape),
        values: Motion::Wander,
        device_files: None,
        samples: None,
        late_samples: None,
        shift: false,
        late: None,
        corrupt: 0.01,
        duplicate: 0.0,
        fast_clock: 0.0,
        seed: None,
    };
    let made = Devices::new(&simulated, fastrand::u64(..))?;
    let client = broker::connect(&global, &simulated.broker, &[]).await?;
    let devices = tokio::spawn({
        let stop = stop.clone();
        async move { simulate::send(client, &simulated, made, stop).await }
    });
    let reports = tokio::spawn(report(running.statuses(), stop.clone()));
    let ended = async {
        let timer = async {
            match args.duration {
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
        if let Ok((sent, outcome)) = devices.await {
            talk::say(&format!(
                "the devices sent {} events, {} of them damaged on purpose",
                sent.events, sent.corrupt
            ));
            if let Err(error) = outcome {
                talk::error(&error);
            }
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
    };
    let code = running.finish(ended).await?;
    let _ = reports.await;
    Ok(code)
}

fn introduce(name: &str, system: &System, global: &Global, (url, postgres): (&str, &str), rate: f64) {
    let told = system
        .tells
        .replace("{url}", url)
        .replace("{http}", &global.http.to_string())
        .replace("{data}", &global.data.display().to_string())
        .replace("{postgres}", postgres)
        .replace("{rate}", &rate.to_string());
    talk::say(&format!("demo `{name}`: open {url} to see it live.\n{told}"));
}

/// Says every few seconds how it stands.
async fn report(statuses: Vec<watch::Receiver<QueryStatus>>, stop: CancellationToken) {
    let started = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REPORT) => {}
        }
        let stand = statuses.iter().map(|status| standing::now(&status.borrow())).collect::<Vec<_>>();
        talk::say(&format!("[{:>4} s] {}", started.elapsed().as_secs(), stand.join(" | ")));
    }
}
