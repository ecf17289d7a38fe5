//! How a channel tells: one of the formats, chosen by the file.
//!
//! What must stay true: whatever a notice is sent by, [`Carrier::send`] says one of the same three things of it, so that a courier knows
//! nothing of formats.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::Result;
use forebay_core::clock::Clock;
use forebay_core::config::{ChannelConfig, Pipeline};
use forebay_core::error::{Error, codes};
use forebay_rules::{AlertBook, Notice};

use super::alertmanager::Alertmanager;
use super::email::Post;
use super::kafka::{self, Topic};
use super::mqtt::Broker;
use super::webhook::Webhook;

/// What came of sending a notice.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Taken,
    /// It never will be, and why.
    Refused(String),
    /// Not now, and why; and for how long the receiver asks to be left alone.
    Later(String, Option<Duration>),
}

/// What carriers are made with beside what the file says of their channel.
pub struct Around {
    /// The pipeline's name.
    pub pipeline: String,
    /// The key column of each rule.
    pub key_columns: BTreeMap<String, String>,
    /// How the log of the sources is reached, if they have one.
    pub log: BTreeMap<String, String>,
    pub book: AlertBook,
    pub clock: Arc<dyn Clock>,
}

impl Around {
    pub fn new(pipeline: &Pipeline, book: &AlertBook, clock: &Arc<dyn Clock>) -> Self {
        let key_columns = pipeline.alerts.iter().map(|alert| (alert.name.clone(), alert.key.text.clone()));
        Self {
            pipeline: pipeline.name.clone(),
            key_columns: key_columns.collect(),
            log: kafka::of_sources(&pipeline.sources),
            book: book.clone(),
            clock: Arc::clone(clock),
        }
    }
}

/// See the module.
pub enum Carrier {
    Webhook(Webhook),
    Alertmanager(Alertmanager),
    Kafka(Topic),
    Mqtt(Broker),
    Email(Box<Post>),
}

impl Carrier {
    /// The carrier of a channel; connects to nobody.
    pub fn new(config: &ChannelConfig, around: &Around) -> Result<Self> {
        match config.format.as_str() {
            "webhook" => Webhook::new(config, around).map(Self::Webhook),
            "alertmanager" => Alertmanager::new(config, around).map(Self::Alertmanager),
            "kafka" => Topic::new(config, around).map(Self::Kafka),
            "email" => Post::new(config, around).map(Box::new).map(Self::Email),
            "mqtt" => Broker::new(config, around).map(Self::Mqtt),
            other => {
                Err(Error::new(&codes::INTERNAL, format!("nothing carries notices to a channel `{other}`")))
            }
        }
    }

    /// Sends a notice once.
    pub async fn send(&mut self, notice: &Notice) -> Sent {
        match self {
            Self::Webhook(webhook) => webhook.send(notice).await,
            Self::Alertmanager(alertmanager) => alertmanager.send(notice).await,
            Self::Kafka(topic) => topic.send(notice).await,
            Self::Email(post) => post.send(notice).await,
            Self::Mqtt(broker) => broker.send(notice).await,
        }
    }

    /// Sends what is to be sent though there is no notice, where the receiver expects that; `None`: nothing was.
    pub async fn tend(&mut self) -> Option<Sent> {
        match self {
            Self::Alertmanager(alertmanager) => alertmanager.tend().await,
            Self::Webhook(_) | Self::Kafka(_) | Self::Mqtt(_) | Self::Email(_) => None,
        }
    }
}
