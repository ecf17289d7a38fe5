//! Who is told of alerts: notices on their way from the rules' journals to the channels of the file.
//!
//! ```text
//!  journal of a rule ─ due ─▶ courier of the channel ─▶ webhook ─ taken ─▶ delivered, in the journal ─▶ forgotten
//!                                  ▲                      │ away, or not now
//!                                  └── a growing pause ◀──┘
//! ```
//!
//! Each channel has a courier of its own ([`courier`]), which sends one notice after the other, in the order of each rule.
//! [`webhook`] is how one is sent, [`target`] to whom none is, [`spec`] what the file says of it.
//! What must stay true: a notice is forgotten only once its channel has taken it, has refused it for good (which is logged), or is
//! in the file no more; what is sent again after a crash has the same id; a channel that is down holds up no other and no query.

mod courier;
mod spec;
mod target;
mod webhook;

use std::sync::Arc;

use forebay_core::clock::Clock;
use forebay_core::config::{ChannelConfig, Pipeline, Problem};
use forebay_rules::{AlertBook, Attended};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::courier::Courier;
pub use self::spec::SPECS;
use self::webhook::Webhook;

/// The channels of a run.
pub struct Channels {
    book: AlertBook,
    clock: Arc<dyn Clock>,
    running: JoinSet<()>,
    stop: CancellationToken,
    /// What they are made of.
    configs: Vec<ChannelConfig>,
    /// As long as this is there, alerts that end wait a little for what they have to tell.
    _attended: Option<Attended>,
}

impl Channels {
    /// Begins to tell by the channels of a file.
    pub fn start(pipeline: &Pipeline, book: &AlertBook, clock: &Arc<dyn Clock>) -> Self {
        let (book, clock) = (book.clone(), Arc::clone(clock));
        let (running, stop) = (JoinSet::new(), CancellationToken::new());
        let mut channels = Self { book, clock, running, stop, configs: Vec::new(), _attended: None };
        channels.begin(pipeline);
        channels
    }

    /// Goes on by another file. What is on its way where it says the same is not interrupted.
    pub async fn turn(&mut self, pipeline: &Pipeline) {
        let is_same = self.configs.len() == pipeline.channels.len()
            && self.configs.iter().zip(&pipeline.channels).all(|(was, is)| {
                (&was.name, &was.format, &was.options) == (&is.name, &is.format, &is.options)
            });
        if !is_same {
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
        self.configs.clone_from(&pipeline.channels);
        self._attended = (!self.configs.is_empty()).then(|| self.book.attended());
        for config in &self.configs {
            match Webhook::new(&pipeline.name, config, Arc::clone(&self.clock)) {
                Ok(webhook) => {
                    let courier = Courier::new(config.name.clone(), webhook, self.book.clone());
                    self.running.spawn(courier.run(self.stop.clone()));
                }
                // `validate` has looked at all that the file says; what is left is this machine's.
                Err(error) => {
                    tracing::error!(channel = config.name, %error, hint = error.hint(), "a channel tells nobody");
                }
            }
        }
        let names = self.configs.iter().map(|config| config.name.clone()).collect();
        self.running.spawn(courier::forget_others(names, self.book.clone(), self.stop.clone()));
    }
}

/// What is wrong with the channels of a file beyond the form of their options.
pub fn problems(pipeline: &Pipeline, file: &str) -> Vec<Problem> {
    let of_one = |config: &ChannelConfig| {
        let error = target::of(&config.options).err()?;
        let place = || Problem::at(error.clone(), file, config.place, config.name.chars().count());
        Some(config.option_places.problem(error.clone(), file).unwrap_or_else(place))
    };
    pipeline.channels.iter().filter_map(of_one).collect()
}
