//! The options of the source: Spark's names, Spark's meaning. This table is their only declaration.

use forebay_core::options::{ConnectorKind, ConnectorSpec, OptionKind, OptionSpec};

/// Entry of the Kafka source in the registry.
pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "kafka",
    kind: ConnectorKind::Source,
    summary: "Reads topics of Apache Kafka, of the embedded log, or of anything else that speaks Kafka's protocol.",
    delivery: "Every record exactly once: positions belong to the checkpoint, and a range that is read again gives the \
               same records.",
    options: &[
        optional(
            "subscribe",
            OptionKind::String,
            "Topics to read, separated by commas. Exactly one of `subscribe`, `subscribePattern` and `assign` is needed. A topic that is not there is waited for; a query that ends by itself gives up after seven looks in six seconds.",
        ),
        optional(
            "subscribePattern",
            OptionKind::String,
            "A regular expression; topics whose whole name matches are read, also those that appear later. A query that ends by itself and finds none ends at once, with nothing read.",
        ),
        optional(
            "assign",
            OptionKind::String,
            "Partitions to read, as JSON: `{\"topicA\":[0,1],\"topicB\":[2]}`.",
        ),
        with_default(
            "startingOffsets",
            OptionKind::String,
            "latest",
            "Where a new query starts: `earliest`, `latest` (what arrives from now on; in a topic that the query waited for, everything), or JSON with an offset for each partition, `{\"topicA\":{\"0\":23,\"1\":-2}}`, where -2 is the earliest and -1 the latest. A resumed query goes on from its checkpoint instead; new partitions start at the earliest.",
        ),
        optional(
            "startingTimestamp",
            OptionKind::String,
            "Where a new query starts: at the first record of each partition whose timestamp is at least this many milliseconds since 1970. Wins over `startingOffsetsByTimestamp` and `startingOffsets`.",
        ),
        optional(
            "startingOffsetsByTimestamp",
            OptionKind::String,
            "As `startingTimestamp`, for each partition: `{\"topicA\":{\"0\":1000,\"1\":1000}}`. Wins over `startingOffsets`.",
        ),
        with_default(
            "startingOffsetsByTimestampStrategy",
            OptionKind::OneOf(&["error", "latest"]),
            "error",
            "What to do with a partition that has no record as late as its starting timestamp: fail, or start at the latest.",
        ),
        optional(
            "endingOffsets",
            OptionKind::String,
            "Where a query that ends by itself ends: `latest`, or JSON with an offset for each partition, where -1 is the latest. Refused for queries that run for ever.",
        ),
        optional(
            "endingTimestamp",
            OptionKind::String,
            "Where a query that ends by itself ends: before the first record of each partition whose timestamp is at least this many milliseconds since 1970. Wins over `endingOffsetsByTimestamp` and `endingOffsets`.",
        ),
        optional(
            "endingOffsetsByTimestamp",
            OptionKind::String,
            "As `endingTimestamp`, for each partition. Wins over `endingOffsets`.",
        ),
        with_default(
            "failOnDataLoss",
            OptionKind::Bool,
            "true",
            "Stop when records that were not read yet are gone (retention), or when a topic was deleted and made anew: the checkpoint keeps the ids of topics. `false` goes on with the earliest that is there, in a topic made anew at its beginning, and says so in the log. Brokers older than Kafka 2.8 give no ids: there only a new topic that is shorter than what was read is noticed.",
        ),
        optional(
            "maxOffsetsPerTrigger",
            OptionKind::Integer(1, i64::MAX),
            "Most records of one epoch, shared out over partitions in proportion to what waits in each.",
        ),
        optional(
            "minOffsetsPerTrigger",
            OptionKind::Integer(1, i64::MAX),
            "An epoch waits until this many records are there, but no longer than `maxTriggerDelay`.",
        ),
        with_default(
            "maxTriggerDelay",
            OptionKind::Duration,
            "15 minutes",
            "Longest wait for `minOffsetsPerTrigger`.",
        ),
        with_default("includeHeaders", OptionKind::Bool, "false", "Fill the column `headers`."),
        optional(
            "groupIdPrefix",
            OptionKind::String,
            "Commit each epoch's positions under a consumer group of this name and the subscription, so that lag monitors see them. `kafka.group.id` names the group exactly. Forebay never reads them back, and commits none unless asked. Of a source that a query reads twice, as in a join with itself, the lower position counts; several queries that read one source write over each other's, so one whose lag is to be seen needs a source with a group of its own.",
        ),
        with_default(
            "maxBatchBytes",
            OptionKind::Size,
            "64MiB",
            "Largest record batch once decompressed. A larger one stops the query: it may be a decompression bomb.",
        ),
    ],
    prefixes: &["kafka."],
    example: "sources:\n  iot:\n    format: kafka\n    options:\n      kafka.bootstrap.servers: localhost:9092\n      subscribe: iot_topic\n      startingOffsets: earliest\n",
};

const fn optional(name: &'static str, kind: OptionKind, doc: &'static str) -> OptionSpec {
    OptionSpec { name, kind, default: None, required: false, doc }
}

const fn with_default(
    name: &'static str,
    kind: OptionKind,
    default: &'static str,
    doc: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, default: Some(default), required: false, doc }
}
