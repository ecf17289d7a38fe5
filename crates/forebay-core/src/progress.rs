//! Progress reports with Spark's field names: what one epoch did, as tools that watch Spark already read it.
//!
//! [`StreamingQueryProgress`] prints the JSON of Spark's class of that name, field by field, and one object more:
//! `forebay`, with the ledger. What must stay true: a report is computed from [`Facts`] alone, so the same epoch
//! gives the same report, and no rate is ever a number that JSON cannot hold.
//!
//! Spark's habits that are kept because tools rely on them: a rate that is not finite is left out; an empty map is
//! left out; the input rate of the first epoch is 0 (nothing came before it); processing is taken to last at least
//! one millisecond; metrics are texts.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event_time::{Survey, Watermark};
use crate::ledger::Ledger;
use crate::position::{Epoch, Positions, to_spark_json};
use crate::sink::Written;
use crate::table::TableVersion;

/// The report of one committed epoch. Serialises to Spark's JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamingQueryProgress {
    /// The query's identity, the same for its whole life.
    pub id: String,
    /// The identity of this run.
    pub run_id: String,
    /// The query's name.
    pub name: Option<String>,
    /// When the epoch began, ISO 8601 in UTC with milliseconds.
    pub timestamp: String,
    /// The number of the epoch.
    pub batch_id: u64,
    /// How long the epoch took, milliseconds.
    pub batch_duration: u64,
    /// Records that were read.
    pub num_input_rows: u64,
    /// Records read, by the time since the epoch before began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_rows_per_second: Option<f64>,
    /// Records read, by the time this epoch took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processed_rows_per_second: Option<f64>,
    /// How long each part took, milliseconds, by Spark's names of the parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub duration_ms: BTreeMap<String, u64>,
    /// Statistics of event time, and the watermark.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_time: BTreeMap<String, String>,
    /// One entry per stateful operator.
    #[serde(default)]
    pub state_operators: Vec<StateOperatorProgress>,
    /// One entry per source.
    pub sources: Vec<SourceProgress>,
    /// The sink.
    pub sink: SinkProgress,
    /// What Spark does not report.
    #[serde(default)]
    pub forebay: ForebayProgress,
}

/// What one source gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceProgress {
    /// `KafkaV2[Subscribe[iot_topic]]`.
    pub description: String,
    /// Where the epoch began, `{"topic":{"0":12}}`. Spark prints null in a query's first epoch; here it is known.
    pub start_offset: Value,
    /// Where it ended: the first offset that it did not read.
    pub end_offset: Value,
    /// The end of the source when the epoch was planned.
    #[serde(default)]
    pub latest_offset: Value,
    /// Records that were read.
    pub num_input_rows: u64,
    /// As in the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_rows_per_second: Option<f64>,
    /// As in the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processed_rows_per_second: Option<f64>,
    /// Spark's `minOffsetsBehindLatest`, `maxOffsetsBehindLatest`, `avgOffsetsBehindLatest`, as texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, String>,
}

/// What the sink took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkProgress {
    /// `DeltaSink[/lake/iot]`.
    pub description: String,
    /// Rows that were written; Spark prints -1 where the sink does not know, and so old reports may.
    #[serde(default)]
    pub num_output_rows: i64,
    /// Bytes and files, as texts, where the sink writes files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, String>,
}

/// What one stateful operator holds, and what the epoch did to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StateOperatorProgress {
    /// `stateStoreSave`, `sessionWindowStateStoreSave`, `dedupe`, `dedupeWithinWatermark`, `symmetricHashJoin`.
    pub operator_name: String,
    /// Keys or rows that it holds.
    pub num_rows_total: u64,
    /// Those that are new or changed.
    pub num_rows_updated: u64,
    /// How long it took to change them.
    pub all_updates_time_ms: u64,
    /// Those that were forgotten.
    pub num_rows_removed: u64,
    /// How long it took to forget them.
    pub all_removals_time_ms: u64,
    /// How long it took to make the changes durable.
    pub commit_time_ms: u64,
    /// What it takes of memory.
    pub memory_used_bytes: u64,
    /// Rows that came too late for it. They are in the table of late rows.
    pub num_rows_dropped_by_watermark: u64,
    /// Parts in which its work was done.
    pub num_shuffle_partitions: u64,
    /// Tables that it keeps.
    pub num_state_store_instances: u64,
    /// What else it counts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_metrics: BTreeMap<String, i64>,
}

/// What Spark does not report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ForebayProgress {
    /// The balance of this epoch.
    pub ledger: Ledger,
    /// The balance of all committed epochs of the query, this one included.
    pub total: Ledger,
    /// Which version of each table at rest its rows were joined with, by the tables' names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, TableVersion>,
}

/// What is known when an epoch is committed; a report needs nothing else.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The query's identity.
    pub id: &'a str,
    /// The identity of this run.
    pub run_id: &'a str,
    /// The query's name.
    pub name: &'a str,
    /// When the epoch began, milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its number.
    pub epoch: Epoch,
    /// When it was committed, milliseconds since 1970.
    pub ended_ms: i64,
    /// When the epoch before it began in this run, if there was one.
    pub previous_ms: Option<i64>,
    /// How long it took to ask the source for its ends.
    pub latest_offset: Duration,
    /// How long it took to make the plan durable.
    pub wal_commit: Duration,
    /// How long it took to read, compute and write.
    pub add_batch: Duration,
    /// How long it took to make the commit durable.
    pub commit_offsets: Duration,
    /// What each input gave, in their order.
    pub sources: &'a [SourceFacts],
    /// The sink's description of itself.
    pub sink: &'a str,
    /// What the sink wrote.
    pub written: Written,
    /// The balance of this epoch.
    pub ledger: &'a Ledger,
    /// The balance of all committed epochs.
    pub total: &'a Ledger,
    /// What the epoch saw of event time, and its watermark; `None` in a query without event time.
    pub event_time: Option<(Survey, Watermark)>,
    /// What its operators did.
    pub state_operators: &'a [StateOperatorProgress],
    /// Which version of each table its rows were joined with.
    pub tables: &'a BTreeMap<String, TableVersion>,
}

/// What is known of one input; its partitions have no number of an input.
#[derive(Clone, Debug, Default)]
pub struct SourceFacts {
    /// The source's description of itself.
    pub description: String,
    /// Where the epoch began.
    pub starts: Positions,
    /// Where it ended.
    pub ends: Positions,
    /// The ends of the source when the epoch was planned.
    pub latest: Positions,
    /// Records that were read of it.
    pub rows: u64,
}

impl StreamingQueryProgress {
    /// The report of an epoch.
    pub fn from_facts(facts: &Facts<'_>) -> Self {
        let took_ms = u64::try_from(facts.ended_ms.saturating_sub(facts.timestamp_ms)).unwrap_or(0);
        let rows = facts.ledger.read;
        let input_rate = |rows| match facts.previous_ms {
            Some(previous) => rate(rows, facts.timestamp_ms.saturating_sub(previous)),
            None => Some(0.0),
        };
        let processed_rate = |rows| rate(rows, i64::try_from(took_ms.max(1)).unwrap_or(i64::MAX));
        let source = |source: &SourceFacts| SourceProgress {
            description: source.description.clone(),
            start_offset: to_spark_json(&source.starts),
            end_offset: to_spark_json(&source.ends),
            latest_offset: to_spark_json(&source.latest),
            num_input_rows: source.rows,
            input_rows_per_second: input_rate(source.rows),
            processed_rows_per_second: processed_rate(source.rows),
            metrics: behind_latest(&source.ends, &source.latest),
        };
        Self {
            id: facts.id.to_owned(),
            run_id: facts.run_id.to_owned(),
            name: Some(facts.name.to_owned()),
            timestamp: iso_millis(facts.timestamp_ms),
            batch_id: facts.epoch.0,
            batch_duration: took_ms,
            num_input_rows: rows,
            input_rows_per_second: input_rate(rows),
            processed_rows_per_second: processed_rate(rows),
            duration_ms: durations(facts, took_ms),
            event_time: facts
                .event_time
                .map(|(seen, watermark)| event_time(&seen, watermark))
                .unwrap_or_default(),
            state_operators: facts.state_operators.to_vec(),
            sources: facts.sources.iter().map(source).collect(),
            sink: SinkProgress {
                description: facts.sink.to_owned(),
                num_output_rows: i64::try_from(facts.written.rows).unwrap_or(i64::MAX),
                metrics: written_metrics(facts.written),
            },
            forebay: ForebayProgress {
                ledger: *facts.ledger,
                total: *facts.total,
                tables: facts.tables.clone(),
            },
        }
    }

    /// When the epoch began, milliseconds since 1970 (from the timestamp; 0 if that is not one).
    pub fn started_ms(&self) -> i64 {
        DateTime::parse_from_rfc3339(&self.timestamp).map_or(0, |at| at.timestamp_millis())
    }

    /// Spark's `progress.json`: one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Records per second, as Spark computes it: not there when it is not finite.
fn rate(rows: u64, millis: i64) -> Option<f64> {
    let rate = rows as f64 / (millis as f64 / 1000.0);
    rate.is_finite().then_some(rate)
}

/// A time in milliseconds since 1970 as ISO 8601, in UTC: `2016-12-14T18:45:24.873Z`.
pub fn iso_millis(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Spark's statistics: `max`, `min` and `avg` if there were any event times, and the `watermark` in any case. Times too
/// far ahead are not in them, as they are not in the watermark.
fn event_time(seen: &Survey, watermark: Watermark) -> BTreeMap<String, String> {
    let parts = [
        ("max", seen.max_ms()),
        ("min", seen.min_ms()),
        ("avg", seen.avg_ms()),
        ("watermark", Some(watermark.0)),
    ];
    parts.into_iter().filter_map(|(name, ms)| Some((name.to_owned(), iso_millis(ms?)))).collect()
}

fn durations(facts: &Facts<'_>, took_ms: u64) -> BTreeMap<String, u64> {
    // A query is planned once and reads lazily: Spark's parts are named, and are zero here.
    let parts = [
        ("latestOffset", facts.latest_offset),
        ("queryPlanning", Duration::ZERO),
        ("getBatch", Duration::ZERO),
        ("walCommit", facts.wal_commit),
        ("addBatch", facts.add_batch),
        ("commitOffsets", facts.commit_offsets),
        ("triggerExecution", Duration::from_millis(took_ms)),
    ];
    let millis = |part: Duration| u64::try_from(part.as_millis()).unwrap_or(u64::MAX);
    parts.into_iter().map(|(name, part)| (name.to_owned(), millis(part))).collect()
}

/// How far the epoch's end lies behind the source's end, over the partitions; the names and texts are those of
/// Spark's Kafka source.
fn behind_latest(ends: &Positions, latest: &Positions) -> BTreeMap<String, String> {
    let behind: Vec<i64> = latest
        .iter()
        .filter_map(|(partition, latest)| Some(latest.0.saturating_sub(ends.get(partition)?.0).max(0)))
        .collect();
    let (Some(min), Some(max)) = (behind.iter().min(), behind.iter().max()) else {
        return BTreeMap::new();
    };
    let average = behind.iter().map(|&count| count as f64).sum::<f64>() / behind.len() as f64;
    BTreeMap::from([
        ("avgOffsetsBehindLatest".to_owned(), format!("{average:?}")),
        ("maxOffsetsBehindLatest".to_owned(), max.to_string()),
        ("minOffsetsBehindLatest".to_owned(), min.to_string()),
    ])
}

fn written_metrics(written: Written) -> BTreeMap<String, String> {
    if written.files == 0 {
        return BTreeMap::new();
    }
    BTreeMap::from([
        ("numOutputBytes".to_owned(), written.bytes.to_string()),
        ("numOutputFiles".to_owned(), written.files.to_string()),
    ])
}

#[cfg(test)]
mod tests;
