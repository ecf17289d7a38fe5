//! Every key of the pipeline file, once: the parser refuses what is not here, and the reference prints what is.
//! The JSON Schema is made of the same words: a section's path says where its mapping stands, and a key's kind is read
//! by [`reference::schema`](crate::reference).
//!
//! Connectors' options are not keys: each connector declares its own in a
//! [`ConnectorSpec`](crate::options::ConnectorSpec).

mod alerts;
mod cycle;
mod detectors;
mod event_time;
mod expect;
mod gateways;
mod log_users;
mod page;
mod tables;
mod testing;
mod tokens;

pub use alerts::{ALERT, CHANNEL, LEVEL, NO_DATA, SILENCE};
pub use cycle::CYCLE;
pub use detectors::DETECTOR;
pub use event_time::{QUERY_DEDUPLICATE, VIEW_DEDUPLICATE, WATERMARK};
pub use expect::{EXPECTATION, INVALID};
pub use gateways::{GATEWAY, ROUTE, USER};
pub use log_users::{LOG_USER, LOG_USERS};
pub use page::{DASHBOARD, DASHBOARD_SOURCE, DASHBOARD_VIEW, PANEL};
pub use tables::TABLE;
pub use testing::{EXPECT, EXPECT_QUERY, STEP, TEST};
pub use tokens::{AUTH, TOKEN};

/// One key of a mapping in the file.
#[derive(Debug)]
pub struct KeySpec {
    /// Its name.
    pub name: &'static str,
    /// What it takes, in words.
    pub kind: &'static str,
    /// The default as it would be written.
    pub default: Option<&'static str>,
    /// True if it must be given.
    pub required: bool,
    /// True if it is planned and refused as long as it is not there.
    pub later: bool,
    /// Its entry in the reference.
    pub doc: &'static str,
}

/// A kind of mapping in the file: where it stands, what it is for, its keys.
#[derive(Debug)]
pub struct Section {
    /// Where it stands, for the reference's heading.
    pub path: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [KeySpec],
}

/// All sections, in the order of the reference.
pub static ALL: &[&Section] = &[
    &PIPELINE,
    &SOURCE,
    &INVALID,
    &EXPECTATION,
    &WATERMARK,
    &TABLE,
    &VIEW,
    &VIEW_DEDUPLICATE,
    &QUERY,
    &TRIGGER,
    &QUERY_DEDUPLICATE,
    &ALERT,
    &LEVEL,
    &NO_DATA,
    &SILENCE,
    &CHANNEL,
    &DETECTOR,
    &QUARANTINE,
    &DASHBOARD,
    &DASHBOARD_SOURCE,
    &DASHBOARD_VIEW,
    &PANEL,
    &TEST,
    &STEP,
    &EXPECT,
    &EXPECT_QUERY,
    &CYCLE,
    &GATEWAY,
    &ROUTE,
    &USER,
];

const fn key(
    name: &'static str,
    kind: &'static str,
    default: Option<&'static str>,
    doc: &'static str,
) -> KeySpec {
    KeySpec { name, kind, default, required: false, later: false, doc }
}

const fn required(name: &'static str, kind: &'static str, doc: &'static str) -> KeySpec {
    KeySpec { name, kind, default: None, required: true, later: false, doc }
}

const fn later(name: &'static str, doc: &'static str) -> KeySpec {
    KeySpec { name, kind: "", default: None, required: false, later: true, doc }
}

/// The file itself.
pub static PIPELINE: Section = Section {
    path: "The file",
    doc: "One file is one pipeline: where its data comes from, what is computed, and where the rows go.",
    keys: &[
        required("pipeline", "name", "The pipeline's name. Folders under `--data` and metrics carry it."),
        key(
            "timeZone",
            "time zone",
            Some("UTC"),
            "The zone in which SQL reads and shows times, by its IANA name such as `Europe/Berlin` or as an offset such as \
             `+02:00`: Spark's `spark.sql.session.timeZone`. Texts without a zone are read in it too.",
        ),
        key("gateways", "mapping of names", None, "Ways by which devices push: MQTT, HTTP, a serial line."),
        required("sources", "mapping of names", "The sources, by the names under which queries read them."),
        key(
            "tables",
            "mapping of names",
            None,
            "Tables at rest that queries and views join with the sources, by the names under which SQL reads them.",
        ),
        key(
            "views",
            "mapping of names to SQL",
            None,
            "Shared pieces of SQL, by the names under which queries read them.",
        ),
        required(
            "queries",
            "mapping of names",
            "The queries; each has its own sink, trigger and checkpoint.",
        ),
        key(
            "detectors",
            "mapping of names",
            None,
            "Anomaly models, by the names under which queries and alerts read the rows that they have judged.",
        ),
        key(
            "alerts",
            "mapping of names",
            None,
            "Conditions that open and clear, each for every device by itself.",
        ),
        key("silences", "mapping of names", None, "When nobody is told of alerts, and of which."),
        key("channels", "mapping of names", None, "Who is told of alerts."),
        key(
            "quarantine",
            "mapping",
            None,
            "Bounds of the table of records that could not be decoded or written.",
        ),
        key("dashboard", "mapping", None, "What the page shows that shows the pipeline."),
        key(
            "tests",
            "list of tests",
            None,
            "What `forebay test` tries: records that are given, and the rows and alerts that are to come of them. No run \
             reads it.",
        ),
        later("rules", "Conditions that open and clear; simple ones stand in `alerts`."),
    ],
};

/// `sources: NAME:`
pub static SOURCE: Section = Section {
    path: "`sources.NAME`",
    doc: "Where a query reads. With `value` the columns are those of the schema, and the source's own are under \
          `_kafka`; without it the columns are Spark's: key, value, topic, partition, offset, timestamp, timestampType.",
    keys: &[
        required("format", "name of a source", "The connector."),
        key(
            "options",
            "mapping",
            None,
            "The options of the connector and, beside them, those of the decoder.",
        ),
        key("value", "name of a decoder", None, "How record values are decoded."),
        key(
            "schema",
            "Spark DDL",
            None,
            "The columns of a value: `name TYPE [NOT NULL] [COMMENT 'text'], …`. Needed with `value`.",
        ),
        key(
            "mode",
            "`quarantine`, `PERMISSIVE`, `DROPMALFORMED` or `FAILFAST`",
            Some("quarantine"),
            "What becomes of a record that does not fit: set aside with its raw bytes, or as in Spark. May also stand \
             among the options, as in Spark.",
        ),
        key(
            "expect",
            "list of expectations",
            None,
            "What each row is expected to be beyond its types, and what becomes of one that is not. Needs `value`.",
        ),
        key(
            "watermark",
            "mapping",
            None,
            "Which time of a row is its event time, and how late rows may be: Spark's `withWatermark`.",
        ),
    ],
};

/// `views: NAME:` when it is a mapping.
pub static VIEW: Section = Section {
    path: "`views.NAME`",
    doc: "A SELECT that queries read by its name. `NAME: SELECT …` is short for `NAME: { sql: SELECT … }`. A view may \
          use sources, tables, and views that stand above it.",
    keys: &[
        required("sql", "SQL", "The SELECT."),
        key(
            "deduplicate",
            "mapping",
            None,
            "Of rows with the same keys only the first goes on: Spark's `dropDuplicates`.",
        ),
    ],
};

/// `queries: NAME:`
pub static QUERY: Section = Section {
    path: "`queries.NAME`",
    doc: "One SELECT that runs for ever, and where its rows go: Spark's streaming query.",
    keys: &[
        required("sql", "SQL", "The SELECT, in Spark's dialect, over sources, tables and views."),
        required("format", "name of a sink", "The connector."),
        key(
            "toTable",
            "name of a table",
            None,
            "The table of a catalog that the rows go to, in place of `path`: `catalog.schema.table`, Spark's `toTable`. Of `delta` \
             alone. A shorter name means the schema `default` and the catalog `spark_catalog`.",
        ),
        key("options", "mapping", None, "The options of the connector."),
        key(
            "trigger",
            "`default`, `availableNow`, `once` or mapping",
            Some("default"),
            "When the query looks for new data.",
        ),
        key(
            "outputMode",
            "`append`, `update` or `complete`",
            Some("append"),
            "Which rows of the result an epoch writes, as in Spark: those that are final, those that changed, or the whole. \
             A query has the modes that its operators have.",
        ),
        key(
            "deduplicate",
            "mapping",
            None,
            "Of rows with the same keys only the first is written: Spark's `dropDuplicates` after the SELECT.",
        ),
        key(
            "cycle",
            "mapping",
            None,
            "Files are collected for a time, then merged into one archive, again and again.",
        ),
        key(
            "multipleWatermarkPolicy",
            "`min` or `max`",
            Some("min"),
            "Where several sources have a watermark: the slowest counts, and no row is late because another source is ahead; \
             or the fastest.",
        ),
        key(
            "stateLimit",
            "size",
            Some("1GiB"),
            "Most memory for what the query remembers: open windows, keys, rows that wait for others. At the limit it ends \
             with an error and its checkpoint is whole.",
        ),
        key(
            "checkpointLocation",
            "path",
            Some("a folder of the query's name under `--data`"),
            "What the query needs to go on where it was. May also stand among the options, as in Spark.",
        ),
    ],
};

/// `trigger:` when it is a mapping.
pub static TRIGGER: Section = Section {
    path: "`queries.NAME.trigger`",
    doc: "One of these. `default`, `availableNow` and `once` may also be written as a word: `trigger: availableNow`. \
          The default starts the next epoch as soon as there is data, or, where more queries run in the process than it has cores, up to 100 ms after the last one began.",
    keys: &[
        key(
            "processingTime",
            "duration",
            None,
            "At fixed intervals; an epoch that takes longer delays the next.",
        ),
        key("availableNow", "`true`", None, "Everything that is there at the start, then the query ends."),
        key(
            "once",
            "`true`",
            None,
            "Everything that is there at the start in a single epoch, then the query ends.",
        ),
        later("continuous", "Spark's continuous processing; the default trigger has no waiting time either."),
    ],
};

/// `quarantine:`
pub static QUARANTINE: Section = Section {
    path: "`quarantine`",
    doc: "Records that could not be decoded wait here with their raw bytes until they are replayed or dropped. Each \
          query has its own.",
    keys: &[
        key(
            "maxBytes",
            "size",
            Some("1GiB"),
            "Most bytes it may hold. Looked at before an epoch begins: what one epoch sets aside may go beyond it.",
        ),
        key("retention", "duration or `forever`", Some("forever"), "How long a record stays."),
        key(
            "whenFull",
            "`stop` or `dropOldest`",
            Some("stop"),
            "At the bound: the queries wait and nothing is lost, or the oldest records make room and are counted.",
        ),
    ],
};
