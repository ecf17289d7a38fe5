//! The options of the sink: Spark's names where Spark has them. This table is their only declaration.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec, Options};
use forebay_core::{Error, Result};

use crate::kafka::{ClientConfig, ProducerConfig, legal_topic};

/// The Kafka sink in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "kafka",
    kind: ConnectorKind::Sink,
    summary: "Writes each row as a record to a topic of Apache Kafka, of the embedded log, or of anything else that speaks \
              Kafka's protocol. The columns are Spark's: `value` (text or binary; NULL is a tombstone), and if they are \
              there `key`, `headers`, `topic` and `partition`; any other is refused, since it would be lost. A key chooses \
              the partition as Java's client does. Every output mode: rows are written as they come.",
    delivery: "Exactly once for readers of committed records (`isolation.level=read_committed`): an epoch is a transaction, \
               which also moves the offset of the group `forebay-<query id>` to the epoch's number + 1; an epoch that is \
               there is not written again, whatever died when. With `exactlyOnce: false` at least once.",
    options: &[
        OptionSpec {
            name: "topic",
            kind: OptionKind::String,
            default: None,
            required: false,
            doc: "The topic of all rows; it wins over a column `topic`. One that is not there is created where the cluster \
                  allows that. Needed unless the query has a column `topic`.",
        },
        OptionSpec {
            name: "exactlyOnce",
            kind: OptionKind::Bool,
            default: Some("true"),
            required: false,
            doc: "Whether epochs are transactions. `false` is for brokers that have none: rows are visible as they are \
                  written, each at least once, and those of an epoch that is repeated come twice.",
        },
        OptionSpec {
            name: "includeHeaders",
            kind: OptionKind::Bool,
            default: Some("true"),
            required: false,
            doc: "Whether a column `headers` is taken, an `ARRAY<STRUCT<key: STRING, value: BINARY>>`. It always is, as in \
                  Spark; `false` refuses a query that has the column.",
        },
        OptionSpec {
            name: "transactionalIdPrefix",
            kind: OptionKind::String,
            default: Some("forebay"),
            required: false,
            doc: "How the names of the transactional id and of the group begin; `-` and the query's id follow. For clusters \
                  whose access lists go by prefixes. It must stay the same while the query lives.",
        },
        OptionSpec {
            name: "failOnUnknownEpoch",
            kind: OptionKind::Bool,
            default: Some("true"),
            required: false,
            doc: "Stop when the checkpoint counts epochs as written and the cluster does not know which was the last: the \
                  group's offset has expired (`offsets.retention.minutes`, 7 days without a run), its topic or the group \
                  was deleted, or it is another cluster. `false` believes the checkpoint; if the run before died in an \
                  epoch, the rows of that one may come twice.",
        },
    ],
    prefixes: &["kafka."],
    example: "queries:\n  hot:\n    sql: SELECT device_id AS key, CAST(temperature AS STRING) AS value FROM iot WHERE temperature > 70\n    format: kafka\n    options:\n      kafka.bootstrap.servers: localhost:9092\n      topic: hot\n",
};

/// Options of a client that mean something to a reader only.
const OF_READERS: &[&str] = &[
    "kafka.group.id",
    "kafka.isolation.level",
    "kafka.check.crcs",
    "kafka.fetch.max.bytes",
    "kafka.max.partition.fetch.bytes",
    "kafka.fetch.max.wait.ms",
    "kafka.fetch.min.bytes",
];

/// How long a batch is tried before the epoch is tried anew. 30 seconds where a producer has 2 minutes: nothing is lost by
/// it, and a person learns of a broker that is away when the engine says that it tries again.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The sink's options, understood.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub client: ClientConfig,
    pub producer: ProducerConfig,
    /// Of all rows; `None` if a column names it.
    pub topic: Option<Arc<str>>,
    pub exactly_once: bool,
    pub headers: bool,
    pub prefix: String,
    pub believe_checkpoint: bool,
}

impl Config {
    /// Reads the parsed options.
    pub fn new(options: &Options) -> Result<Self> {
        if let Some(name) = OF_READERS.iter().find(|name| options.passed_on().contains_key(**name)) {
            return Err(Error::new(&codes::BAD_VALUE, format!("option `{name}` is not for a sink"))
                .with_hint("It tells how records are read. Give it to the source, or leave it out."));
        }
        let client = ClientConfig::from_options(options.passed_on())?;
        let mut producer = ProducerConfig::from_client(&client)?;
        if !options.passed_on().contains_key("kafka.delivery.timeout.ms") {
            producer.delivery_timeout = DELIVERY_TIMEOUT;
        }
        let topic = options.text("topic").map(str::trim);
        if let Some(topic) = topic.filter(|topic| !legal_topic(topic)) {
            return Err(Error::new(
                &codes::BAD_VALUE,
                format!("option `topic`: `{topic}` is no name of a topic"),
            )
            .with_hint("A topic's name has letters, digits, `.`, `_` and `-`, and at most 249 of them."));
        }
        let prefix = options.text("transactionalIdPrefix").unwrap_or_default().trim();
        if prefix.is_empty() || prefix.len() > 200 {
            return Err(Error::new(&codes::BAD_VALUE, "option `transactionalIdPrefix` is empty or too long")
                .with_hint("Give 1 to 200 characters."));
        }
        Ok(Self {
            client,
            producer,
            topic: topic.map(Arc::from),
            exactly_once: options.bool("exactlyOnce"),
            headers: options.bool("includeHeaders"),
            prefix: prefix.to_owned(),
            believe_checkpoint: !options.bool("failOnUnknownEpoch"),
        })
    }

    /// The transactional id of a query, and the name of its group.
    pub fn transactional_id(&self, query_id: &str) -> String {
        format!("{}-{query_id}", self.prefix)
    }
}
