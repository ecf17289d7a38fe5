//! Who is told of alerts: notices on their way from the rules' journals to the channels of the file.
//!
//! ```text
//!  journal of a rule ─ due ─▶ courier of the channel ─▶ carrier ─ taken ─▶ delivered, in the journal ─▶ forgotten
//!                                  ▲                      │ away, or not now
//!                                  └── a growing pause ◀──┘
//! ```
//!
//! Each channel has a courier of its own ([`courier`]), which sends one notice after the other, in the order of each rule, by the
//! [`carrier`] of its format: [`webhook`], [`alertmanager`], [`kafka`], [`mqtt`], [`email`]. [`target`] is to whom none is sent, [`spec`] what the file says of it.
//! What must stay true: a notice is forgotten only once its channel has taken it, has refused it for good (which is logged), or is
//! in the file no more; what is sent again after a crash has the same id; a channel that is down holds up no other and no query.

mod alertmanager;
mod carrier;
mod courier;
mod email;
mod kafka;
mod mqtt;
mod post;
mod record;
mod spec;
mod target;
mod template;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_core::clock::Clock;
use forebay_core::config::{ChannelConfig, Pipeline, Problem, Severity};
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use forebay_rules::{AlertBook, Attended, notices};
use forebay_server::shown::Channels as Standings;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::carrier::{Around, Carrier};
use self::courier::Courier;
pub use self::spec::SPECS;

/// The channels of a run.
pub struct Channels {
    book: AlertBook,
    clock: Arc<dyn Clock>,
    standings: Standings,
    running: JoinSet<()>,
    stop: CancellationToken,
    /// What they are made of.
    made: Made,
    /// As long as this is there, alerts that end wait a little for what they have to tell.
    _attended: Option<Attended>,
}

/// What couriers are made of: when it is the same, they go on.
#[derive(Default, PartialEq)]
struct Made {
    channels: Vec<(String, String, Options, Vec<String>, Severity)>,
    key_columns: BTreeMap<String, String>,
    log: BTreeMap<String, String>,
}

impl Made {
    fn of(pipeline: &Pipeline) -> Self {
        let of_one = |it: &ChannelConfig| {
            (it.name.clone(), it.format.clone(), it.options.clone(), it.rules.clone(), it.least)
        };
        let key_columns = pipeline.alerts.iter().map(|alert| (alert.name.clone(), alert.key.text.clone()));
        let channels = pipeline.channels.iter().map(of_one).collect();
        Self { channels, key_columns: key_columns.collect(), log: kafka::of_sources(&pipeline.sources) }
    }
}

impl Channels {
    /// Begins to tell by the channels of a file; how they stand is told by `standings`.
    pub fn start(
        pipeline: &Pipeline,
        book: &AlertBook,
        clock: &Arc<dyn Clock>,
        standings: &Standings,
    ) -> Self {
        let mut channels = Self {
            book: book.clone(),
            clock: Arc::clone(clock),
            standings: standings.clone(),
            running: JoinSet::new(),
            stop: CancellationToken::new(),
            made: Made::default(),
            _attended: None,
        };
        channels.begin(pipeline);
        channels
    }

    /// Goes on by another file. What is on its way where it says the same is not interrupted.
    pub async fn turn(&mut self, pipeline: &Pipeline) {
        if self.made != Made::of(pipeline) {
            self.stop().await;
            self.stop = CancellationToken::new();
            self.begin(pipeline);
        }
    }

    /// Ends; what is on its way then comes again with the next start.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
    }

    fn begin(&mut self, pipeline: &Pipeline) {
        self.made = Made::of(pipeline);
        let configs = &pipeline.channels;
        self._attended = (!configs.is_empty()).then(|| self.book.attended());
        let standings = &self.standings;
        standings.begin(configs.iter().map(|config| (config.name.clone(), config.format.clone())));
        let around = Around::new(pipeline, &self.book, &self.clock);
        warnings(pipeline).iter().for_each(|warning| tracing::warn!("{warning}"));
        for config in configs {
            match Carrier::new(config, &around) {
                Ok(carrier) => {
                    let courier =
                        Courier::new(config.name.clone(), carrier, self.book.clone(), standings.clone());
                    self.running.spawn(courier.run(self.stop.clone()));
                }
                // `validate` has looked at all that the file says; what is left is this machine's.
                Err(error) => {
                    tracing::error!(channel = config.name, %error, hint = error.hint(), "a channel tells nobody");
                    standings.failed(&config.name, &error.to_string());
                }
            }
        }
        let names = configs.iter().map(|config| config.name.clone()).collect();
        self.running.spawn(courier::forget_others(names, self.book.clone(), self.stop.clone()));
    }
}

/// How many transitions a notice of a channel lists: a record each where programs read it, else what a person does.
pub fn listed(config: &ChannelConfig) -> usize {
    if matches!(config.format.as_str(), "kafka" | "mqtt") {
        notices::MOST_RECORDS
    } else {
        notices::MOST_LINES
    }
}

/// What is wrong with the channels of a file beyond the form of their options.
pub fn problems(pipeline: &Pipeline, file: &str) -> Vec<Problem> {
    let of_one = |config: &ChannelConfig| {
        let error = check(config, &kafka::of_sources(&pipeline.sources)).err()?;
        let place = || Problem::at(error.clone(), file, config.place, config.name.chars().count());
        Some(config.option_places.problem(error.clone(), file).unwrap_or_else(place))
    };
    pipeline.channels.iter().filter_map(of_one).collect()
}

/// What works and may not be meant.
pub fn warnings(pipeline: &Pipeline) -> Vec<String> {
    pipeline.channels.iter().filter(|it| it.format == "mqtt").filter_map(mqtt::warning).collect()
}

/// Whether a channel can be made of what the file says of it; touches nothing.
fn check(config: &ChannelConfig, log: &BTreeMap<String, String>) -> Result<(), Error> {
    match config.format.as_str() {
        "webhook" => target::of(&config.options).map(drop),
        "alertmanager" => alertmanager::address(&config.options).map(drop),
        "kafka" => kafka::settings(&config.options, log).map(drop),
        "mqtt" => mqtt::check(&config.options).map(drop),
        "email" => email::check(&config.options).map(drop),
        _ => Ok(()),
    }
}
