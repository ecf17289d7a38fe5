//! What is typed to write to topics, to read them, and to serve the log that they lie in.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::values::{kafka_address, key_value, rate, share};
use super::{LogServeArgs, OutputFormat, ProduceArgs, examples};

/// Which Kafka to talk to.
#[derive(Clone, Debug, Args)]
pub struct BrokerArgs {
    /// Brokers; the embedded log's address (--kafka) if not given
    #[arg(
        short = 'b',
        long,
        visible_alias = "bootstrap-server",
        env = "FOREBAY_BOOTSTRAP",
        value_name = "HOST:PORT,…"
    )]
    pub bootstrap: Option<String>,
    /// A file of client options as Kafka's own tools take it, such as client.properties; -X comes before it
    #[arg(long, value_name = "FILE")]
    pub client_properties: Option<PathBuf>,
    /// A client option as in the pipeline file, for example -X kafka.security.protocol=SSL
    #[arg(short = 'X', long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

#[derive(Clone, Debug, Args)]
pub struct SimulateArgs {
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// The topic to write to; iot_topic if not given, of the shape fleet raw_telemetry. The shape arduino has a topic for
    /// each sensor
    #[arg(long)]
    pub topic: Option<String>,
    /// Number of devices
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub devices: u32,
    /// Events per second; 0 for as many as go; 20 if not given, of the shape arduino what its sensors measure
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// Stop after this many events (never if not given)
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Make the topic with this many partitions if it is not there
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Compression of the batches
    #[arg(long, default_value = "lz4", value_name = "CODEC", value_parser = ["none", "gzip", "snappy", "lz4", "zstd"])]
    pub compression: String,
    /// The shape of an event; devices where a file of devices or samples is given, else plant
    #[arg(long)]
    pub shape: Option<Shape>,
    /// How values follow each other
    #[arg(long, default_value = "uniform", value_name = "HOW")]
    pub values: Motion,
    /// Play the devices that the JSON files of this folder describe, each file a customer's, or one device alone. A value
    /// is measured around a number, or anywhere from [LOWEST, HIGHEST]; a status is as it stands, or one of a list
    #[arg(long, value_name = "DIR", conflicts_with_all = ["devices", "values"])]
    pub device_files: Option<PathBuf>,
    /// Play the events of this file, one in JSON a line, as they stand and in their order; then end
    #[arg(long, value_name = "FILE", conflicts_with_all = ["devices", "values", "device_files", "late", "fast_clock"])]
    pub samples: Option<PathBuf>,
    /// Events that come late, one in JSON a line: after the last sample; without --samples among those that are made,
    /// as many as --late says (one in twenty if it does not) until there are no more of them
    #[arg(long, value_name = "FILE")]
    pub late_samples: Option<PathBuf>,
    /// Move the event times of samples and late samples, all by as much, so that the first sample is of now
    #[arg(long, requires = "samples")]
    pub shift: bool,
    /// Share of events that are up to an hour old (0 to 1)
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub late: Option<f64>,
    /// Now and then a device is not heard for a minute, and a customer's events are held up and come minutes late (of the
    /// shape devices)
    #[arg(long, conflicts_with = "samples")]
    pub spells: bool,
    /// What goes wrong with vehicles (of the shape fleet), in turns, on one after the other; `all` for each of these
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', conflicts_with = "samples")]
    pub faults: Vec<Fault>,
    /// Write what went wrong to this topic (of the shape fleet): a line of JSON for each fault once it is over, and for each
    /// damaged event, with vehicle and times
    #[arg(long, value_name = "TOPIC", conflicts_with = "samples")]
    pub truth: Option<String>,
    /// Share of events that are cut or altered so that they do not decode
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub corrupt: f64,
    /// Share of events that are sent twice
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub duplicate: f64,
    /// Share of events whose device's clock runs an hour fast
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub fast_clock: f64,
    /// Start of the random numbers; printed, so that a run can be repeated
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Where events go and how many a second, if nothing else is said.
const TOPIC: &str = "iot_topic";
const OF_VEHICLES: &str = "raw_telemetry";
pub const RATE: f64 = 20.0;

impl SimulateArgs {
    /// The topic of events that have none of their own.
    pub fn topic(&self) -> &str {
        let usual = if self.shape == Some(Shape::Fleet) { OF_VEHICLES } else { TOPIC };
        self.topic.as_deref().unwrap_or(usual)
    }

    /// Events a second of devices that have no pace of their own.
    pub fn rate(&self) -> f64 {
        self.rate.unwrap_or(RATE)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// device_id, temperature, humidity, timestamp
    Plant,
    /// 12 fields in nested objects
    Nested,
    /// One event of several devices: eventId, eventOffset, eventPublisher, customerId, data.devices[], eventTime; its key
    /// is the customerId
    Devices,
    /// sensor_id, temperature, humidity, timestamp as text
    Sensors,
    /// One Arduino with three sensors: temperature and humidity to dht_test every two seconds, distance to sr04_test 50 times a
    /// second, movements to pir_test, `online` to status_test
    Arduino,
    /// Vehicles on trips: trip_id, car_id, latitude, longitude, event_timestamp, speed_kmph, fuel_level, engine_temp_c, engine_rpm,
    /// where and when the trip began; its key is car and trip
    Fleet,
}

/// What goes wrong with a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// All of them, in turns
    All,
    /// It drives 150 km/h and more for some seconds
    Overspeed,
    /// Its engine gets hotter than 115 degrees
    Overheat,
    /// Its tank is emptied while it stands
    FuelTheft,
    /// It says that it is at 94 degrees north, or somewhere else that no map has
    GpsInvalid,
    /// It says that it is a thousand kilometres away
    GpsJump,
}

impl Fault {
    /// Those that there are.
    pub const KINDS: [Self; 5] =
        [Self::Overspeed, Self::Overheat, Self::FuelTheft, Self::GpsInvalid, Self::GpsJump];

    /// Its name in the truth.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Overspeed => "overspeed",
            Self::Overheat => "overheat",
            Self::FuelTheft => "fuel_theft",
            Self::GpsInvalid => "gps_invalid",
            Self::GpsJump => "gps_jump",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Motion {
    /// Each by itself, anywhere within its range
    Uniform,
    /// Each device drifts as a machine does; now and then one of them runs hot for some seconds
    Wander,
}

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Serve the embedded log alone, for pipelines and clients in other processes
    Serve {
        /// Where to listen (the same as --kafka)
        #[arg(long, value_name = "ADDR", value_parser = kafka_address)]
        listen: Option<SocketAddr>,
        #[command(flatten)]
        serve: LogServeArgs,
    },
    /// List topics with their partitions and offsets
    Topics {
        #[command(flatten)]
        broker: BrokerArgs,
        /// How to print
        #[arg(long, default_value = "table")]
        format: OutputFormat,
    },
    /// Print the records of a topic as they come
    #[command(after_help = examples::TAIL)]
    Tail {
        #[command(flatten)]
        broker: BrokerArgs,
        /// The topic
        topic: String,
        /// Begin with the oldest record instead of the newest
        #[arg(long)]
        from_beginning: bool,
        /// Stop after this many records
        #[arg(short = 'n', long, value_name = "N")]
        count: Option<u64>,
        /// How to print: table gives the value alone, csv and json all of the record
        #[arg(long, default_value = "table")]
        format: OutputFormat,
    },
    /// Write events from stdin (or a file) to a topic: a record for each line, or one in all
    #[command(after_help = examples::PRODUCE)]
    Produce(ProduceArgs),
}
