//! The gateways of a run: from the file to listeners, from listeners to the log.
//!
//! ```text
//!  file ─▶ check (touches nothing) ─▶ bind (before anything is made) ─▶ start (once the log is there) ─▶ stop (before it goes)
//! ```
//!
//! All gateways write to one log by one idempotent producer. What must stay true: an address that others can reach is opened only
//! for users and behind TLS; `ready` is said when every gateway listens; at the end nothing more is read, and what was read
//! is acknowledged before the log ends. The gateways of a run are those of its start: a file that changes them is taken by the
//! next start.

mod check;
mod log;
mod mqtt;
mod mqtt_client;
mod serial;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::clock::Clock;
use forebay_core::config::{GatewayConfig, Pipeline};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_gateway::http::{Ingest, Limits};
use forebay_gateway::mqtt::client::Client;
use forebay_gateway::serial::Serial;
use forebay_gateway::{Access, Counts, Log, RouteTable, Users};
use forebay_server::shown::gateways::{Gateway, Gateways as Shown, MqttOverWebSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::check::{problems, warnings};
use self::log::KafkaLog;
use self::mqtt::Mqtt;
use crate::talk;

/// How long what was read has to be acknowledged at the end.
const LAST: Duration = Duration::from_secs(10);

/// The gateways, running.
pub struct Gateways {
    configs: Vec<GatewayConfig>,
    log: Option<Arc<KafkaLog>>,
    shown: Arc<Shown>,
    /// The topics to which routes lead, each with its gateway.
    topics: Vec<(String, Arc<str>)>,
    serials: Vec<(Arc<Serial>, Arc<RouteTable>)>,
    mqtt: Vec<Mqtt>,
    clients: Vec<(Arc<Client>, Arc<RouteTable>)>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Gateways {
    /// Puts those of the file together; none where the run is one of a few queries of it, since another has them.
    pub fn new(pipeline: &Pipeline, only: &[String], clock: &Arc<dyn Clock>) -> Result<Self> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut running = Self {
            configs: pipeline.gateways.clone(),
            log: None,
            shown: Arc::new(Shown { ending: stop.clone(), ..Shown::default() }),
            topics: Vec::new(),
            serials: Vec::new(),
            mqtt: Vec::new(),
            clients: Vec::new(),
            clock: Arc::clone(clock),
            tasks,
            stop,
        };
        if pipeline.gateways.is_empty() {
            return Ok(running);
        }
        if !only.is_empty() {
            talk::say("gateways: none, because the run is one of chosen queries (--query)");
            return Ok(running);
        }
        warnings(pipeline).iter().for_each(|warning| talk::say(&format!("warning: {warning}")));
        let log = Arc::new(KafkaLog::new(log::client(pipeline)?)?);
        let (mut http, mut all, mut over) = (BTreeMap::new(), Vec::new(), None);
        for config in &pipeline.gateways {
            let table = RouteTable::new(&config.routes);
            running.topics.extend(table.topics().into_iter().map(|topic| (config.name.clone(), topic)));
            let (table, users) = (Arc::new(table), Arc::new(Users::new(config.users.as_deref())));
            let mut address = None;
            let counts: Arc<dyn Counts> = match config.format.as_str() {
                "http" => {
                    let access: (Arc<dyn Access>, bool) = (users, config.users.is_some());
                    let log: Arc<dyn Log> = Arc::<KafkaLog>::clone(&log);
                    let ingest =
                        Ingest::new(&config.name, table, access, log, Arc::clone(clock), limits(config));
                    let ingest = Arc::new(ingest);
                    http.insert(config.name.clone(), Arc::clone(&ingest));
                    ingest
                }
                "mqtt" => {
                    let log: Arc<dyn Log> = Arc::<KafkaLog>::clone(&log);
                    let mqtt = Mqtt::bind(config, table, users, log, Arc::clone(clock))?;
                    let door = mqtt.door();
                    address = Some(mqtt.address);
                    if config.options.bool("webSocket") && over.is_none() {
                        let has_users = config.users.is_some();
                        over = Some(MqttOverWebSocket { door: Arc::<mqtt::Door>::clone(&door), has_users });
                    }
                    running.mqtt.push(mqtt);
                    door
                }
                "mqttClient" => {
                    let client = Arc::new(mqtt_client::of(config)?);
                    running.clients.push((Arc::clone(&client), table));
                    client
                }
                "serial" => {
                    let serial = Arc::new(serial::of(config));
                    running.serials.push((Arc::clone(&serial), table));
                    serial
                }
                other => {
                    let message = format!(
                        "gateway `{}` is of the format `{other}`, which this program cannot run",
                        config.name
                    );
                    return Err(Error::new(&codes::NOT_YET, message));
                }
            };
            let (name, format) = (config.name.clone(), config.format.clone());
            all.push(Gateway { name, format, address, counts });
        }
        let ending = running.stop.clone();
        running.shown = Arc::new(Shown { http, mqtt: over, all, ending });
        running.log = Some(log);
        Ok(running)
    }

    /// Begins to read, and makes the topics that are missing.
    ///
    /// # Errors
    /// `ADDRESS` where a listener cannot be had.
    pub fn begin(&self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        log.expect(self.topics.clone());
        for (serial, routes) in &self.serials {
            let log: Arc<dyn Log> = Arc::<KafkaLog>::clone(log);
            let (routes, clock) = (Arc::<RouteTable>::clone(routes), Arc::clone(&self.clock));
            self.tasks.spawn(Arc::clone(serial).run(routes, log, clock, self.stop.clone()));
        }
        for (client, routes) in &self.clients {
            let log: Arc<dyn Log> = Arc::<KafkaLog>::clone(log);
            let (routes, clock) = (Arc::<RouteTable>::clone(routes), Arc::clone(&self.clock));
            self.tasks.spawn(Arc::clone(client).run(routes, log, clock, self.stop.clone()));
        }
        for mqtt in &self.mqtt {
            self.tasks.spawn(mqtt.run(self.stop.clone())?);
        }
        Ok(())
    }

    /// What the server shows, and takes posts for.
    pub fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Where they listen, as `ready` says it: ` mqtt=127.0.0.1:1883`, of several each with its name, ` mqtt/hall=…`; nothing for
    /// those of the HTTP server.
    pub fn addresses(&self) -> String {
        let all = &self.shown.all;
        let is_alone = all.iter().filter(|gateway| gateway.address.is_some()).count() == 1;
        let each = all.iter().filter_map(|gateway| {
            let name = if is_alone { String::new() } else { format!("/{}", gateway.name) };
            Some(format!(" {}{name}={}", gateway.format, gateway.address?))
        });
        each.collect()
    }

    /// The refusal of a file whose gateways are others.
    pub fn holds(&self, pipeline: &Pipeline) -> Option<Error> {
        let is_same = self.configs.len() == pipeline.gateways.len()
            && self.configs.iter().zip(&pipeline.gateways).all(|(one, other)| one.is_as(other));
        (!is_same).then(|| {
            Error::new(&codes::NOT_WHILE_RUNNING, "the gateways are others").with_hint(
                "Devices are connected to those of the start: stop the run and start it again, or leave the gateways as they are.",
            )
        })
    }

    /// Ends them: nothing more is read, what was read goes to the log.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        let ended = async {
            self.tasks.wait().await;
            if let Some(log) = &self.log {
                log.flush().await;
            }
        };
        if tokio::time::timeout(LAST, ended).await.is_err() {
            talk::say(
                "gateways: the log did not take all that was read in time; devices that were not answered send again",
            );
        }
    }
}

/// The limits of an HTTP gateway.
fn limits(config: &GatewayConfig) -> Limits {
    let usual = Limits::default();
    let options = &config.options;
    let count =
        |name, usual: usize| options.integer(name).and_then(|it| usize::try_from(it).ok()).unwrap_or(usual);
    Limits {
        body: options.size("maxBody").and_then(|it| usize::try_from(it).ok()).unwrap_or(usual.body),
        messages: count("maxMessages", usual.messages),
        posts: count("maxPosts", usual.posts),
        key_life: options.duration("keyLife").unwrap_or(usual.key_life),
        patience: options.duration("patience").unwrap_or(usual.patience),
        ..usual
    }
}
