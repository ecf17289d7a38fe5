//! `forebay demo`: a whole system live, from one file of `examples/`, with simulated devices.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use forebay_core::Error;
use forebay_core::trigger::Trigger;
use forebay_engine::status::QueryStatus;
use forebay_rules::AlertBook;
use forebay_storage::Door;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::{BrokerArgs, DemoArgs, EmbeddedLog, Fault, Global, Motion, RATE, Shape, SimulateArgs};
use crate::commands::{simulate, wrong_name};
use crate::devices::Devices;
use crate::pipeline::{self, Overrides};
use crate::runnable::Run;
use crate::{broker, load, standing, talk};
use postgres::{EXAMPLE_PASSWORD, EXAMPLE_POSTGRES, EXAMPLE_USER, Postgres, Told};

mod postgres;

/// A system that can be shown.
struct Demo {
    name: &'static str,
    /// What it shows, in one line.
    about: &'static str,
    system: &'static System,
}

/// A system that runs.
struct System {
    /// Its pipeline file.
    file: &'static str,
    /// What the file reads from the data folder, by name; made there if it is missing.
    beside: &'static [(&'static str, &'static str)],
    /// Where events go; `None`: each kind to a topic of its own.
    topic: Option<&'static str>,
    shape: Shape,
    values: Motion,
    devices: u32,
    /// What to ask a PostgreSQL, where it writes to one.
    psql: &'static str,
    /// What is to be seen, with commands to try; `{url}`, `{http}`, `{kafka}`, `{data}`, `{mqtt}` and `{rate}` are filled in.
    tells: &'static str,
}

const PLANT: System = System {
    file: include_str!("../../../../examples/plant.yaml"),
    beside: &[],
    topic: Some("iot_topic"),
    values: Motion::Wander,
    shape: Shape::Plant,
    devices: 3,
    psql: "",
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
    topic: Some("device_stream"),
    values: Motion::Wander,
    shape: Shape::Devices,
    devices: 6,
    psql: "SELECT * FROM iot_device_events ORDER BY \"eventTime\" DESC LIMIT 10",
    tells: "\
6 simulated devices of three customers send {rate} events a second into the embedded log, two devices in most of them.
Each device in an event becomes a row of Delta tables and of PostgreSQL. One event in a hundred is damaged on purpose.
Now and then a device runs hot and says ERROR, which opens an alert after five seconds; a device falls silent for a
minute (the page says so after 30 seconds); a customer's events come minutes late. Ctrl-C stops.
{postgres}
While it runs, in another terminal:
  forebay --http {http} top
  forebay --data {data} query \"SELECT status, count(*) FROM delta.\\`data/iot_device_events\\` GROUP BY status\"
  forebay --data {data} quarantine ls{psql}",
};

const CSV_CYCLE: System = System {
    file: include_str!("../../../../examples/csv-cycle.yaml"),
    beside: &[],
    topic: Some("sensor-data"),
    values: Motion::Wander,
    shape: Shape::Sensors,
    devices: 5,
    psql: "",
    tells: "\
5 simulated sensors send {rate} readings a second into the embedded log; one in a hundred is damaged on purpose and gets into no file.
Every two minutes what was collected under {data}/sensor-data/output becomes one CSV file with a header under
{data}/sensor-data/backup, and the collection goes on with the next reading. Ctrl-C stops; the next start goes on.
While it runs, in another terminal:
  forebay --http {http} top
  ls -l {data}/sensor-data/backup
  forebay --data {data} quarantine ls",
};

const ARDUINO: System = System {
    file: include_str!("../../../../examples/arduino.yaml"),
    beside: &[],
    topic: None,
    values: Motion::Uniform,
    shape: Shape::Arduino,
    devices: 1,
    psql: "",
    tells: "\
A simulated Arduino: temperature and humidity every two seconds, the distance of what stands before it 50 times a second, and movements.
Now and then somebody walks by: a movement, then a distance that falls and rises. One measurement in a hundred is damaged on purpose.
Four topics, four queries, four tables of the catalog `data_pipelines`. A board of your own publishes beside it by MQTT to {mqtt}
(sketches: examples/arduino). Ctrl-C stops.
While it runs, in another terminal:
  forebay --http {http} top
  forebay --data {data} query \"SHOW TABLES IN data_pipelines.kafka_table\"
  forebay --data {data} query \"SELECT * FROM data_pipelines.kafka_table.pir_stream_test ORDER BY timestamp DESC LIMIT 10\"
  mosquitto_pub -L mqtt://{mqtt}/home/pir -q 1 -m 1",
};

const FLEET: System = System {
    file: include_str!("../../../../examples/fleet.yaml"),
    beside: &[],
    topic: Some("raw_telemetry"),
    values: Motion::Uniform,
    shape: Shape::Fleet,
    devices: 12,
    psql: "SELECT * FROM alerts ORDER BY event_timestamp DESC LIMIT 10",
    tells: "\
12 simulated vehicles drive around Dhahran and send {rate} reports a second into the embedded log. Every few seconds something goes wrong
with one of them: it drives too fast, its engine overheats, its fuel is stolen, it says that it is where it cannot be. One report in a
hundred is damaged on purpose. Whole reports, damaged ones and alerts go to tables of their own; what really went wrong stands in
the topic `fleet_truth`. Ctrl-C stops.
{postgres}
While it runs, in another terminal:
  forebay --http {http} top
  forebay --data {data} query \"SELECT alert_type, count(*), count(DISTINCT car_id) AS cars FROM delta.\\`data/fleet/alerts\\` GROUP BY alert_type\"
  forebay --kafka {kafka} query \"SELECT CAST(value AS STRING) AS truth FROM kafka.\\`fleet_truth\\`\"
  forebay --data {data} quarantine ls{psql}",
};

/// Every system that can be shown.
const DEMOS: &[Demo] = &[
    Demo {
        name: "plant",
        about: "machines' temperature and humidity; hot ones on the screen, alerts, all in a Delta table, their minutes in another",
        system: &PLANT,
    },
    Demo {
        name: "devices",
        about: "nested events, a row for each device in them, to PostgreSQL and Delta tables: statuses, temperatures, late ones",
        system: &DEVICES,
    },
    Demo {
        name: "csv-cycle",
        about: "sensors collected into CSV files, merged and archived every two minutes",
        system: &CSV_CYCLE,
    },
    Demo {
        name: "fleet",
        about: "vehicles on their trips: reports, damaged reports and alerts on speed, heat, fuel and place, to PostgreSQL and Delta tables",
        system: &FLEET,
    },
    Demo {
        name: "arduino",
        about: "an Arduino's climate, distance and movement to four tables of a catalog; boards may join by MQTT",
        system: &ARDUINO,
    },
];

/// What can be shown, a line each.
fn listed() -> String {
    DEMOS.iter().map(|Demo { name, about, .. }| format!("{name:<12} {about}\n")).collect()
}

/// A system by its name, or why it cannot be shown.
fn system(name: &str) -> Result<(&'static str, &'static System), Error> {
    let found = DEMOS.iter().find(|demo| demo.name == name);
    let found = found.map(|demo| (demo.name, demo.system));
    found.ok_or_else(|| wrong_name("demo", name, DEMOS.iter().map(|demo| demo.name)))
}

/// The address in the examples.
const EXAMPLE_ADDRESS: &str = "localhost:9092";

/// Where the gateway of an example takes MQTT.
const EXAMPLE_MQTT: &str = "127.0.0.1:1883";

/// Where the demo of vehicles writes what went wrong with them.
const TRUTH: &str = "fleet_truth";

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
    let postgres = Postgres::named()?;
    let mut text = system.file.replace(EXAMPLE_ADDRESS, &global.kafka().to_string());
    // In quotes: whatever a name holds, it stays one value of the file.
    text = text.replace(EXAMPLE_POSTGRES, &serde_json::to_string(&postgres.url)?);
    if !postgres.has_password {
        text = text.replace(EXAMPLE_PASSWORD, EXAMPLE_USER);
    }
    let mqtt = mqtt_address(system);
    text = text.replace(EXAMPLE_MQTT, &mqtt);
    let global = Global { data: global.data.join("demo").join(name), ..global.clone() };
    for (file, content) in system.beside {
        let (door, path) = (Door::new(), global.data.join(file));
        if !path.exists() {
            door.create_dir_all(&global.data)?;
            door.write_atomic(&path, content.as_bytes())?;
        }
    }
    let run = Run { data: &global.data, trigger: Some(SCREEN), needs_tables: true, only: &[] };
    let Ok(loaded) = load::load(&text, name, Some(run)) else {
        bail!("the example file is not valid; please report it")
    };
    let queries = postgres.queries(&loaded.pipeline).await;
    let told = postgres.told(&loaded.pipeline, &queries, system.psql);
    // A Kafka that listens there is somebody's own: the demo does not write into it.
    let overrides = Overrides {
        embedded_log: EmbeddedLog::Always,
        queries,
        trigger: Some(SCREEN),
        server: args.server.clone(),
        ..Overrides::default()
    };
    let running = pipeline::start(&global, loaded, &overrides, None).await?;
    // Only now, when it listens, is what this says true.
    let rate = args.rate.unwrap_or(RATE);
    introduce(
        name,
        system,
        &global,
        &[("{url}", &running.url()), ("{mqtt}", &mqtt), ("{rate}", &rate.to_string())],
        &told,
    );
    let stop = CancellationToken::new();
    let is_fleet = system.shape == Shape::Fleet;
    let simulated = SimulateArgs {
        broker: BrokerArgs { bootstrap: None, client_properties: None, options: Vec::new() },
        topic: system.topic.map(str::to_owned),
        devices: system.devices,
        rate: args.rate,
        count: None,
        partitions: None,
        compression: "lz4".to_owned(),
        shape: Some(system.shape),
        values: system.values,
        device_files: None,
        samples: None,
        late_samples: None,
        shift: false,
        late: None,
        spells: matches!(system.shape, Shape::Devices),
        faults: if is_fleet { vec![Fault::All] } else { Vec::new() },
        truth: is_fleet.then(|| TRUTH.to_owned()),
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
    let reports = tokio::spawn(report(running.statuses(), running.alerts(), args.verbose, stop.clone()));
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

/// Where the demo's own gateway listens: as the example, or, where a broker is there already, at any other port.
fn mqtt_address(system: &System) -> String {
    let at = |address: &str| TcpListener::bind(address).and_then(|listener| listener.local_addr());
    let is_wanted = system.file.contains(EXAMPLE_MQTT);
    match at(EXAMPLE_MQTT) {
        Err(_) if is_wanted => {
            at("127.0.0.1:0").map_or_else(|_| EXAMPLE_MQTT.to_owned(), |it| it.to_string())
        }
        _ => EXAMPLE_MQTT.to_owned(),
    }
}

fn introduce(name: &str, system: &System, global: &Global, around: &[(&str, &str)], (postgres, psql): &Told) {
    let mut told = system
        .tells
        .replace("{http}", &global.http.to_string())
        .replace("{kafka}", &global.kafka().to_string())
        .replace("{data}", &global.data.display().to_string())
        .replace("{postgres}", postgres)
        .replace("{psql}", psql);
    for (what, value) in around {
        told = told.replace(what, value);
    }
    let url = around.iter().find(|(what, _)| *what == "{url}").map_or("", |(_, url)| *url);
    talk::say(&format!("demo `{name}`: open {url} to see it live.\n{told}"));
}

/// Says every few seconds how it stands: a line, and of each query one where more is asked for.
async fn report(
    statuses: Vec<watch::Receiver<QueryStatus>>,
    alerts: AlertBook,
    is_verbose: bool,
    stop: CancellationToken,
) {
    let started = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REPORT) => {}
        }
        let now: Vec<QueryStatus> = statuses.iter().map(|status| status.borrow().clone()).collect();
        let together = standing::together(&now, alerts.counts().open);
        talk::say(&format!("[{:>4} s] {together}", started.elapsed().as_secs()));
        for status in now.iter().filter(|_| is_verbose) {
            talk::say(&format!("         {}", standing::now(status)));
        }
    }
}
