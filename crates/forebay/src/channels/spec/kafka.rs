//! The options of `format: kafka`.

use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

/// A topic of Kafka.
pub static KAFKA: ConnectorSpec = ConnectorSpec {
    name: "kafka",
    kind: ConnectorKind::Channel,
    summary: "A topic of Apache Kafka, of the embedded log, or of anything else that speaks Kafka's protocol: a record for each transition, whose key is the \
              alert's and whose value is a JSON object with `id`, `pipeline`, `channel`, `transition`, `alert`, `rule`, `key`, `event`, `at` (milliseconds since 1970), \
              `severity`, `worst` and `message`. Its timestamp is `at`; its header `forebay-id` is the `id`. Of a storm the first 1,000 transitions are \
              written, and a last record with the event `more` has their `count`. A transaction or a group is not needed to read it.",
    delivery: "By an idempotent producer: what it sends again by itself is written once. A notice that was written as Forebay died comes again, with the same `id`. A record that the topic never takes (too large, or with a NULL key where the topic \
               is compacted) is logged and counted; the others of its notice are written, and the next one is sent.",
    options: &[OptionSpec {
        name: "topic",
        kind: OptionKind::String,
        default: None,
        required: true,
        doc: "The topic. One that is not there is created where the cluster allows that.",
    }],
    prefixes: &["kafka."],
    example: "channels:\n  bus:\n    format: kafka\n    options: { kafka.bootstrap.servers: \"localhost:9092\", topic: alerts }",
};
