//! The pipeline file: what was typed, checked whole, becomes what it means.
//!
//! [`parse`] reads the YAML text with the place of every key, reports **all** problems at once (line, caret, code,
//! nearest known name), and returns a [`Pipeline`] in which nothing is left to be parsed: options are typed,
//! schemas are Arrow schemas, durations are durations. SQL stays text here; the engine plans it, and
//! [`Problem::within`] finds the place in the file of what it refuses.
//!
//! ```text
//! text ─▶ yaml (tree with places) ─▶ parse, source, table, query, alert (against keys and ConnectorSpecs) ─▶ Pipeline
//!                                              └─▶ problems ─▶ render
//! ```
//!
//! A file with problems still gives a [`Draft`]: whoever plans the SQL and builds the connectors checks what is sound
//! in it, so that one look at a file shows everything that is wrong.
//!
//! What must stay true: nothing in the file is silently ignored, and a file is either taken whole or refused whole.

use std::path::PathBuf;
use std::time::Duration;

use arrow::datatypes::SchemaRef;

use crate::Zone;
use crate::catalog::TableName;
use crate::cycle::Cycle;
use crate::event_time::WatermarkPolicy;
use crate::expectation::OnFail;
use crate::format::BadRecordMode;
use crate::options::{ConnectorSpec, Options};
use crate::output_mode::OutputMode;
use crate::trigger::Trigger;

mod alert;
mod catalog_table;
mod channel;
mod cycle;
mod dashboard;
mod detector;
mod event_time;
mod expect;
mod gateway;
mod key_lines;
pub mod keys;
mod lines;
mod log_users;
mod parse;
mod places;
mod problems;
mod query;
mod raw_options;
mod render;
mod scalar;
mod secrets;
mod section;
mod silence;
mod source;
mod table;
mod testing;
#[cfg(test)]
mod tests;
mod tokens;
mod written;
mod yaml;

pub use crate::scram::ScramVerifier;
pub use crate::silence::{SilenceConfig, SilenceTime, Weekly};
pub use alert::{AlertConfig, LevelConfig, MatchesConfig, Message, NoDataConfig, Severity};
pub use channel::ChannelConfig;
pub use dashboard::{
    Chart, DashboardConfig, DashboardSource, DashboardView, MOST_LABELS, PanelConfig, no_label,
};
pub use expect::{ExpectationConfig, Expectations, GeoBox, RuleConfig};
pub use gateway::{FILTERS, GatewayConfig, Payload, RouteConfig, Target, UserConfig, is_filter};
pub use key_lines::KeyLines;
pub use log_users::{LogUserConfig, TopicPatterns, parse_log_users};
pub use parse::{draft, parse};
pub use places::OptionPlaces;
pub use problems::Problem;
pub use render::{explain, explain_in, render, warn};
pub use scalar::sql_place;
pub use secrets::Lookup;
pub use testing::{
    ExpectConfig, ExpectQuery, GivenConfig, StepConfig, TestConfig, TestRows, moment_us, parse_tests,
};
pub use tokens::{
    Role, TOKEN_NAMES, TOKEN_PREFIX, TokenConfig, expiry, is_token, is_token_name, parse_tokens,
};
pub use written::{Value, Written};

/// The connectors that a file may name.
#[derive(Clone, Copy, Debug)]
pub struct Registry<'a> {
    /// What `sources.NAME.format` may be.
    pub sources: &'a [&'a ConnectorSpec],
    /// What `queries.NAME.format` may be.
    pub sinks: &'a [&'a ConnectorSpec],
    /// What `sources.NAME.value` may be.
    pub formats: &'a [&'a ConnectorSpec],
    /// What `tables.NAME.format` may be.
    pub tables: &'a [&'a ConnectorSpec],
    /// What `gateways.NAME.format` may be.
    pub gateways: &'a [&'a ConnectorSpec],
    /// What `channels.NAME.format` may be.
    pub channels: &'a [&'a ConnectorSpec],
}

impl Registry<'_> {
    /// Option names that a source, or a table, and a decoder of its values both declare, as `source/decoder: name`. Both
    /// stand in one mapping, so there must be none: the binary's tests hold the real registry to that.
    pub fn conflicts(&self) -> Vec<String> {
        let mut conflicts = Vec::new();
        let mut compare = |source: &ConnectorSpec, format: &ConnectorSpec| {
            let names = format.options.iter().map(|option| option.name);
            let both = names.filter(|name| raw_options::declares(source, name));
            conflicts.extend(both.map(|name| format!("{}/{}: {name}", source.name, format.name)));
        };
        for format in self.formats {
            self.sources.iter().for_each(|source| compare(source, format));
            // A table has the decoder of its own name.
            let tables = self.tables.iter().filter(|table| table.name == format.name);
            tables.for_each(|table| compare(table, format));
        }
        conflicts
    }
}

/// One YAML file and what runs from it.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name: names folders and metrics.
    pub name: String,
    /// The zone in which SQL reads and shows times: Spark's `spark.sql.session.timeZone`.
    pub time_zone: Zone,
    /// Line and column of [`Self::time_zone`] in the file.
    pub time_zone_place: (usize, usize),
    /// Gateways in the order of the file.
    pub gateways: Vec<GatewayConfig>,
    /// Sources in the order of the file.
    pub sources: Vec<SourceConfig>,
    /// Tables at rest in the order of the file.
    pub tables: Vec<TableConfig>,
    /// Shared views in the order of the file; a view may use sources, tables and earlier views.
    pub views: Vec<ViewConfig>,
    /// Queries in the order of the file.
    pub queries: Vec<QueryConfig>,
    /// Alerts in the order of the file.
    pub alerts: Vec<AlertConfig>,
    /// When nobody is told of them, in the order of the file.
    pub silences: Vec<SilenceConfig>,
    /// Who is told of them, in the order of the file.
    pub channels: Vec<ChannelConfig>,
    /// Bounds of the quarantine.
    pub quarantine: QuarantineConfig,
    /// What the page shows.
    pub dashboard: DashboardConfig,
    /// What `forebay test` tries. No run looks at it.
    pub tests: Vec<TestConfig>,
}

/// A file as far as it could be read.
#[derive(Debug)]
pub struct Draft {
    /// What could be read; `None` if the text is not even a mapping. Parts that are not sound have holes: options that
    /// were refused are missing, and so is an unknown `format`. It must never run while there are problems.
    pub pipeline: Option<Pipeline>,
    /// What is wrong, by place.
    pub problems: Vec<Problem>,
    /// What is wrong with its tests, by place: nothing else depends on them.
    pub test_problems: Vec<Problem>,
    /// Sources, tables and views whose columns are not known: SQL that names them can be parsed and not planned.
    pub unknown: Vec<String>,
    unsound: Vec<(&'static str, String)>,
}

impl Draft {
    /// Everything that is wrong, by place.
    pub fn all_problems(self) -> Vec<Problem> {
        let mut all = [self.problems, self.test_problems].concat();
        all.sort_by_key(|problem| (problem.line, problem.column));
        all
    }

    /// True if nothing is wrong so far with the `source`, `table`, `view`, `query` or `alert` of this name: it can be built.
    pub fn is_sound(&self, what: &str, name: &str) -> bool {
        !self.unsound.iter().any(|(kind, unsound)| *kind == what && unsound == name)
    }
}

/// `sources: NAME: …`
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The name by which queries read it.
    pub name: String,
    /// The connector, `kafka`.
    pub format: String,
    /// The connector's options.
    pub options: Options,
    /// How values are decoded; `None` gives the connector's own columns.
    pub value: Option<ValueConfig>,
    /// Where its options stand in the file, for what only the connector can refuse.
    pub option_places: OptionPlaces,
    /// Its event time, if the file says which it is.
    pub watermark: Option<WatermarkConfig>,
    /// Whose invalid records its rows are, if they are that; then it has no `value`, and reads where the other one reads.
    pub invalid: Option<InvalidConfig>,
}

impl SourceConfig {
    /// What decodes its records: its own decoder, or that of the source whose invalid records it gives.
    pub fn decoder(&self) -> Option<&ValueConfig> {
        self.value.as_ref().or(self.invalid.as_ref().and_then(|invalid| invalid.value.as_ref()))
    }
}

/// `sources: NAME: invalidOf:` the records of another source that give no row there.
#[derive(Clone, Debug)]
pub struct InvalidConfig {
    /// The other source.
    pub of: Placed,
    /// How that one decodes; `None` only in a file that is refused.
    pub value: Option<ValueConfig>,
}

/// `tables: NAME: …`
#[derive(Clone, Debug)]
pub struct TableConfig {
    /// The name by which SQL reads it.
    pub name: String,
    /// How it is kept: `csv`, `json`, `parquet`, `delta`.
    pub format: String,
    /// The format's options, `path` among them.
    pub options: Options,
    /// Those of what decodes its records, if something does.
    pub decoder_options: Options,
    /// The columns, if the file says them, and as it says them.
    pub schema: Option<(SchemaRef, String)>,
    /// Most bytes that its rows may take in memory.
    pub max_memory: u64,
    /// Where its options stand in the file.
    pub option_places: OptionPlaces,
    /// Where its name stands in the file.
    pub place: (usize, usize),
    /// `table`, if given: `path` among the options is its folder then.
    pub of_catalog: Option<TableName>,
}

/// `sources: NAME: watermark:` which time of a row is its event time, and how late rows may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatermarkConfig {
    /// The name of a column or SQL over the source's columns.
    pub column: Placed,
    /// How far behind the newest event time rows may be.
    pub delay: Duration,
    /// How far ahead of the clock an event time may be and still count; `None`: any.
    pub max_future_skew: Option<Duration>,
    /// After how long without a row the source no longer holds the watermark back; `None`: never.
    pub idle_timeout: Option<Duration>,
}

/// `deduplicate:` only the first row of each key goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeduplicateConfig {
    /// Columns of the SELECT's result; at least one.
    pub keys: Vec<Placed>,
    /// For how long a key is remembered, by event time: Spark's `dropDuplicatesWithinWatermark`. `None`: its
    /// `dropDuplicates`, until the watermark passes the event time if that is a key, else for ever.
    pub within: Option<Duration>,
    /// Where it stands in the file.
    pub place: (usize, usize),
}

/// `value:`, `schema:`, `mode:` and the decoder's options.
#[derive(Clone, Debug)]
pub struct ValueConfig {
    /// The decoder, `json`.
    pub format: String,
    /// The decoder's options.
    pub options: Options,
    /// The columns.
    pub schema: SchemaRef,
    /// The schema as it was written, for the checkpoint's fingerprint and `validate`.
    pub ddl: String,
    /// What becomes of records that do not fit.
    pub mode: BadRecordMode,
    /// What rows are expected to be, beyond their types.
    pub expect: Expectations,
}

impl ValueConfig {
    /// True if records may be set aside.
    pub fn sets_aside(&self) -> bool {
        self.mode == BadRecordMode::Quarantine || self.expect.any(OnFail::Quarantine)
    }
}

/// `views: NAME: SELECT …`
#[derive(Clone, Debug)]
pub struct ViewConfig {
    /// The name by which queries read it.
    pub name: String,
    /// The SELECT.
    pub sql: String,
    /// Where the text begins in the file (line, column), from 1.
    pub place: (usize, usize),
    /// Which rows of the SELECT are left out because their keys were there already.
    pub deduplicate: Option<DeduplicateConfig>,
    /// What judges its rows: then it is an entry of `detectors`.
    pub detector: Option<DetectorConfig>,
}

/// `detectors: NAME: …`
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorConfig {
    /// The name by which queries read it.
    pub name: String,
    /// The source, view or detector whose rows it judges.
    pub on: Placed,
    /// The columns that tell the watched things apart; none: all rows are of one thing.
    pub key: Vec<Placed>,
    /// The columns that are judged, at least one.
    pub columns: Vec<Placed>,
    /// The column with the time of a row; `None` for its event time, else its record's.
    pub time: Option<Placed>,
    /// What the first column is measured in.
    pub unit: Option<Placed>,
    /// Which kind of model judges; where nobody says it, its place is the detector's.
    pub kind: Placed,
    /// Settings of the kind, each with its name's place.
    pub settings: Vec<(Placed, f64)>,
    /// The file of a saved model, for kinds that are trained.
    pub model: Option<Placed>,
    /// Where its name stands in the file.
    pub place: (usize, usize),
}

/// `queries: NAME: …`
#[derive(Clone, Debug)]
pub struct QueryConfig {
    /// The pipeline's zone, in which a sink that writes texts shows times.
    pub time_zone: Zone,
    /// Its name.
    pub name: String,
    /// The SELECT.
    pub sql: String,
    /// Where the SQL text begins in the file (line, column), from 1: its first letter, its quote, or the `|` above
    /// it. [`Problem::within`] and [`sql_place`] find places inside.
    pub place: (usize, usize),
    /// The sink's connector, `delta` or `console`.
    pub format: String,
    /// The sink's options.
    pub options: Options,
    /// Where the sink's options and `checkpointLocation` stand in the file, for what only others can refuse.
    pub option_places: OptionPlaces,
    /// When epochs start.
    pub trigger: Trigger,
    /// Which rows of the result the sink gets.
    pub output_mode: OutputMode,
    /// Where `outputMode` stands in the file, for what only the planner can refuse; the query's name if it is not given.
    pub output_mode_place: (usize, usize),
    /// Which rows of the SELECT are left out because their keys were there already.
    pub deduplicate: Option<DeduplicateConfig>,
    /// How it collects and archives, if it does.
    pub cycle: Option<CycleConfig>,
    /// How the watermarks of several sources become one.
    pub watermark_policy: WatermarkPolicy,
    /// Most bytes that the query's operators may remember.
    pub state_limit: u64,
    /// `checkpointLocation`, if given.
    pub checkpoint: Option<PathBuf>,
    /// `toTable`, if given: `path` among the options is its folder then.
    pub to_table: Option<TableName>,
}

/// `cycle:` of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleConfig {
    /// What it says.
    pub cycle: Cycle,
    /// Where it stands in the file, for what only others can refuse.
    pub place: (usize, usize),
}

/// A text of the file and where it begins (line, column), from 1, as in [`QueryConfig::place`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The text.
    pub text: String,
    /// Where it begins.
    pub place: (usize, usize),
}

/// `quarantine:` the bounds of the table of bad records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineConfig {
    /// Most bytes it may hold.
    pub max_bytes: u64,
    /// How long a record stays; `None` for ever.
    pub retention: Option<Duration>,
    /// What happens at the bound.
    pub when_full: WhenFull,
}

/// What the quarantine does when it is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The queries wait, and health says so: nothing is lost.
    #[default]
    Stop,
    /// The oldest records make room; they are counted.
    DropOldest,
}

impl Default for QuarantineConfig {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, retention: None, when_full: WhenFull::Stop }
    }
}
