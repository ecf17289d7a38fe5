//! Followers: for each decoded source that is read, and each view that the page names, the task that keeps what a person sees
//! of it. A source below such a view is followed by itself only if the page names it too: its records are shown once.
//!
//! A run whose queries all end by themselves has none: nobody looks at it, and it should end when its queries do. Nor
//! has one that was told `--no-live`. What must stay true: no change of the file interrupts a follower that it is not
//! about, and one that it is about goes on from where it was.

mod view;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use forebay_connectors::sources;
use forebay_core::Result;
use forebay_core::clock::{Clock, millis};
use forebay_core::config::{
    DashboardConfig, Pipeline, SourceConfig, TableConfig, ValueConfig, WatermarkConfig,
};
use forebay_core::format::BadRecordMode;
use forebay_core::options::Options;
use forebay_core::source::Wanted;
use forebay_engine::plan::{self, Catalog, Fates, SourceColumns, SourceTime};
use forebay_live::{ClockBounds, EventTimes, Follow, Follower, HISTORY_MS, Layout, Live};
use forebay_log::storage::Log;
use forebay_storage::Door;
use futures::future::join_all;

use self::view::view_of;
use crate::expect;
use crate::json::FromJson;
use crate::load::{Loaded, Watched};

/// Bytes that the seconds in memory may take, of all sources together: 4,000 devices with four fields each.
const MEMORY: usize = 256 << 20;

/// What all followers of a run share.
pub struct Shared<'a> {
    pub loaded: &'a Loaded,
    pub data: &'a Path,
    pub door: &'a Door,
    pub clock: &'a Arc<dyn Clock>,
}

/// A follower that is wanted.
pub struct Wished {
    of: Followed,
    follow: Follow,
}

/// What the file says that decides what a follower does. Where two are equal, the one that runs is left alone.
#[derive(Debug, PartialEq)]
struct Followed {
    name: String,
    source: (String, Options),
    decoder: (String, Options, BadRecordMode),
    schema: SchemaRef,
    /// What its rows are held to.
    expects: Option<String>,
    layout: Layout,
    quiet_after: Option<Duration>,
    watermark: Option<WatermarkConfig>,
    /// If its rows are those of a view.
    view: Option<ViewSaid>,
}

/// How the rows of a view are made, and which column is their event time.
#[derive(Debug, PartialEq)]
struct ViewSaid {
    made_of: Vec<(String, String)>,
    time: Option<String>,
    /// The tables that it joins.
    tables: Vec<TableSaid>,
}

/// Name, format, options, those of the decoder, schema and most memory of a table.
type TableSaid = (String, String, Options, Options, Option<String>, u64);

/// The running followers, in the order of the file.
#[derive(Debug, Default)]
pub struct Followers(Vec<(Followed, Follower)>);

/// What is needed to follow each of these sources that decodes its values. `log_of` gives the embedded log, where a source
/// is to read from that. Nothing is touched yet. Of the memory each gets its part as of now.
pub fn prepare<'s>(
    shared: &Shared<'_>,
    sources: impl Iterator<Item = &'s SourceConfig>,
    log_of: impl Fn(&SourceConfig) -> Option<Log>,
) -> Result<Vec<Wished>> {
    let decoded: Vec<_> = sources.filter_map(|source| Some((source, source.value.as_ref()?))).collect();
    let (watched, dashboard) = (&shared.loaded.watched, &shared.loaded.pipeline.dashboard);
    let is_shown = |source: &SourceConfig| {
        !watched.iter().any(|view| view.source == source.name) || dashboard.names_source(&source.name)
    };
    let of_sources =
        decoded.iter().filter(|(source, _)| is_shown(source)).map(|(source, value)| (*source, *value, None));
    let of_views = watched.iter().filter(|view| can_be_joined(view, shared.loaded)).filter_map(|view| {
        let (source, value) = decoded.iter().find(|(source, _)| source.name == view.source)?;
        Some((*source, *value, Some(view)))
    });
    let all: Vec<_> = of_sources.chain(of_views).collect();
    let memory = MEMORY / all.len().max(1);
    let wished = all.into_iter().map(|(source, value, view)| {
        let follow = follow(shared, source, value, log_of(source), memory)?;
        let follow = match view {
            Some(view) => through(shared, view, source, log_of(source), follow)?,
            None => follow,
        };
        let schema = follow.view.as_ref().map_or_else(|| follow.format.schema(), |view| view.schema.clone());
        let named: Vec<&str> = follow.named.iter().map(String::as_str).collect();
        let of = Followed {
            name: follow.name.clone(),
            source: (source.format.clone(), source.options.clone()),
            decoder: (value.format.clone(), value.options.clone(), value.mode),
            schema: Arc::clone(&value.schema),
            expects: value.expect.said(),
            layout: Layout::new(&schema, follow.key.as_deref(), &named).with_labels(&follow.labels),
            quiet_after: follow.quiet_after,
            watermark: source.watermark.clone(),
            view: view.map(|view| ViewSaid {
                made_of: view.made_of.clone(),
                time: view.config.time.as_ref().map(|time| time.text.clone()),
                tables: tables_of(view, &shared.loaded.pipeline.tables),
            }),
        };
        Ok(Wished { of, follow })
    });
    wished.collect()
}

/// False for a view that joins a table which this run has not opened: one that none of its queries needs, and that is not there.
fn can_be_joined(view: &Watched, loaded: &Loaded) -> bool {
    let is_open = |name: &String| loaded.tables.iter().any(|table| table.name().eq_ignore_ascii_case(name));
    let missing = view.plan.tables().into_iter().find(|name| !is_open(name));
    if let Some(table) = &missing {
        tracing::warn!(
            view = view.config.name,
            table,
            "the page does not follow the view: its table is not there"
        );
    }
    missing.is_none()
}

/// What the file says of the tables that a view joins.
fn tables_of(view: &Watched, tables: &[TableConfig]) -> Vec<TableSaid> {
    let names = view.plan.tables();
    let read = tables.iter().filter(|table| names.iter().any(|name| table.name.eq_ignore_ascii_case(name)));
    read.map(|it| {
        let (options, decoder) = (it.options.clone(), it.decoder_options.clone());
        let schema = it.schema.as_ref().map(|(_, text)| text.clone());
        (it.name.clone(), it.format.clone(), options, decoder, schema, it.max_memory)
    })
    .collect()
}

impl Followers {
    /// Follows what is wished and nothing else. Those that are as they were run on; the others end with a last
    /// snapshot, from which the one of the same name goes on.
    pub async fn turn(&mut self, wished: Vec<Wished>) {
        let is_wished = |of: &Followed| wished.iter().any(|wished| wished.of == *of);
        let (mut kept, gone): (Vec<_>, Vec<_>) = self.0.drain(..).partition(|(of, _)| is_wished(of));
        join_all(gone.into_iter().map(|(_, follower)| follower.stop())).await;
        for Wished { of, follow } in wished {
            let running =
                kept.iter().position(|(known, _)| *known == of).map(|index| kept.swap_remove(index));
            self.0.push(running.unwrap_or_else(|| (of, follow.start())));
        }
    }

    /// What they know.
    pub fn live(&self) -> Live {
        Live::new(self.0.iter().map(|(_, follower)| follower.live()).collect())
    }

    /// Ends all of them, each with a last snapshot.
    pub async fn stop(self) {
        join_all(self.0.into_iter().map(|(_, follower)| follower.stop())).await;
    }
}

fn follow(
    shared: &Shared<'_>,
    source: &SourceConfig,
    value: &ValueConfig,
    log: Option<Log>,
    memory: usize,
) -> Result<Follow> {
    let Pipeline { name: pipeline, dashboard, .. } = &shared.loaded.pipeline;
    let said = dashboard.source(&source.name);
    let options = from_a_day_ago(source, shared.clock.now_ms())?;
    // The queries answer for records that do not fit; here they are passed over.
    let mode = match value.mode {
        BadRecordMode::FailFast => BadRecordMode::DropMalformed,
        mode => mode,
    };
    let format = expect::looking_on(&source.name, &ValueConfig { mode, ..value.clone() })?;
    let event_times = match &source.watermark {
        Some(watermark) => event_times(&source.name, watermark, format.schema(), shared.clock)?,
        None => None,
    };
    Ok(Follow {
        pipeline: pipeline.clone(),
        name: source.name.clone(),
        topic: topic(&source.options),
        source: sources::build(&source.format, &options, Wanted::default(), log)?,
        format,
        key: key_of(shared.loaded, source),
        named: named(dashboard, &source.name),
        event_times,
        view: None,
        labels: said.map(|said| said.labels.clone()).unwrap_or_default(),
        quiet_after: said.and_then(|said| said.quiet_after),
        memory,
        data_dir: shared.data.to_path_buf(),
        door: shared.door.clone(),
        clock: Arc::clone(shared.clock),
    })
}

/// The same follower, of the rows that a view makes of the source's records.
fn through(
    shared: &Shared<'_>,
    view: &Watched,
    source: &SourceConfig,
    log: Option<Log>,
    follow: Follow,
) -> Result<Follow> {
    let options = from_a_day_ago(source, shared.clock.now_ms())?;
    let config = &view.config;
    Ok(Follow {
        name: config.name.clone(),
        // What the view reads of a record.
        source: sources::build(&source.format, &options, view.plan.only_input()?.wanted(), log)?,
        key: Some(config.key.text.clone()),
        named: named(&shared.loaded.pipeline.dashboard, &config.name),
        event_times: None,
        view: Some(view_of(view, source, &shared.loaded.tables, shared.clock)?),
        labels: config.labels.iter().map(|label| label.text.clone()).collect(),
        quiet_after: config.quiet_after,
        ..follow
    })
}

/// How the event times of a source's rows are computed; `None` if they follow from the record and not from what the
/// device says.
fn event_times(
    name: &str,
    watermark: &WatermarkConfig,
    schema: SchemaRef,
    clock: &Arc<dyn Clock>,
) -> Result<Option<EventTimes>> {
    let mut catalog = Catalog::new();
    catalog.add_source(name, SourceColumns::Decoded(schema))?;
    let (column, delay_ms) = (watermark.column.text.clone(), millis(watermark.delay));
    catalog.set_watermark(name, SourceTime { column, delay_ms });
    let plan = plan::event_time(&catalog, name, Some(&FromJson)).map_err(|error| error.error)?;
    let Some(plan) = plan else { return Ok(None) };
    if plan.only_input()?.wants_envelope() {
        return Ok(None);
    }
    let clock = Arc::clone(clock);
    let of = move |rows: RecordBatch| {
        // What is wrong with a record the queries tell.
        let mut executor = plan.only_input().ok()?.executor(clock.now_ms());
        let times = executor.process(rows, &mut Fates::default()).ok()?;
        times.column(0).as_primitive_opt::<TimestampMicrosecondType>().cloned()
    };
    let ahead_ms = watermark.max_future_skew.map_or(i64::MAX, millis);
    Ok(Some(EventTimes { of: Box::new(of), bounds: ClockBounds { ahead_ms, behind_ms: delay_ms } }))
}

/// The field that names the devices of a source, as far as the file says: under `dashboard:`, or by the `key:` of its alerts.
pub fn key_of(loaded: &Loaded, source: &SourceConfig) -> Option<String> {
    let said = loaded.pipeline.dashboard.source(&source.name).and_then(|said| said.key.clone());
    said.or_else(|| {
        let keys = loaded.alerts.iter().filter_map(|alert| alert.key_fields.get(&source.name).cloned());
        let keys: Vec<String> = keys.collect();
        Layout::suggested_key(&source.value.as_ref()?.schema, &keys)
    })
}

/// The source's options for one who has read nothing yet and never ends: what is a day old and newer, and never less
/// because something is gone.
fn from_a_day_ago(source: &SourceConfig, now_ms: i64) -> Result<Options> {
    let spec = sources::spec(&source.format)?;
    let mut options = source.options.clone();
    for other in [
        "startingOffsets",
        "startingOffsetsByTimestamp",
        "endingOffsets",
        "endingTimestamp",
        "endingOffsetsByTimestamp",
    ] {
        options = options.without(other);
    }
    let start = (now_ms - HISTORY_MS).max(0).to_string();
    options
        .with(spec, "startingTimestamp", &start)?
        .with(spec, "startingOffsetsByTimestampStrategy", "latest")?
        .with(spec, "failOnDataLoss", "false")
}

/// What a source reads, as its options say it.
fn topic(options: &Options) -> String {
    let names = ["subscribe", "subscribePattern", "assign"];
    names.iter().find_map(|name| options.text(name)).unwrap_or_default().to_owned()
}

/// The fields that the page is asked to show.
fn named(dashboard: &DashboardConfig, source: &str) -> Vec<String> {
    let of_source = dashboard.panels.iter().filter(|panel| panel.source.as_deref() == Some(source));
    of_source.filter_map(|panel| panel.field.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn event_times_are_those_of_the_watermark() {
        let schema = forebay_core::ddl::parse("device_id STRING, timestamp INT").unwrap();
        let clock: Arc<dyn Clock> = forebay_core::clock::ManualClock::at(5_000);
        let times = |column: &str| {
            let watermark = WatermarkConfig {
                column: forebay_core::config::Placed { text: column.to_owned(), place: (1, 1) },
                delay: Duration::from_secs(10),
                max_future_skew: Some(Duration::from_secs(300)),
                idle_timeout: None,
            };
            event_times("iot", &watermark, Arc::clone(&schema), &clock).unwrap()
        };
        let mut found = times("timestamp_seconds(timestamp)").unwrap();
        assert_eq!(found.bounds, ClockBounds { ahead_ms: 300_000, behind_ms: 10_000 });
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(arrow::array::StringArray::from(vec!["a", "b"])),
            Arc::new(arrow::array::Int32Array::from(vec![Some(7), None])),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let told: Vec<Option<i64>> = (found.of)(rows).unwrap().iter().collect();
        assert_eq!(told, [Some(7_000_000), None]);
        assert!(times("_kafka.timestamp").is_none(), "that is no device's clock");
    }

    #[test]
    fn a_source_below_a_followed_view_is_followed_by_itself_only_where_the_page_names_it() {
        let text = |more: &str| {
            format!(
                "pipeline: p\nsources: {{s: {{format: kafka, options: {{subscribe: iot, kafka.bootstrap.servers: \"a:1\"}}, value: json, schema: id STRING}}}}\n\
                 views: {{v: SELECT upper(id) AS device FROM s, other: SELECT * FROM s}}\nqueries: {{q: {{sql: SELECT * FROM v, format: console}}}}\n\
                 dashboard: {{views: {{v: {{key: device}}}}{more}}}\n"
            )
        };
        let followed = |more: &str| -> Vec<String> {
            let loaded = crate::load::load(&text(more), "p.yaml", None).ok().unwrap();
            let (door, clock): (Door, Arc<dyn Clock>) =
                (Door::new(), forebay_core::clock::ManualClock::at(5_000));
            let shared = Shared { loaded: &loaded, data: Path::new("."), door: &door, clock: &clock };
            let wished = prepare(&shared, loaded.pipeline.sources.iter(), |_| None).unwrap();
            wished.iter().map(|wished| wished.of.name.clone()).collect()
        };
        assert_eq!(followed(""), ["v"]);
        assert_eq!(followed(", sources: {s: {key: id}}"), ["s", "v"]);
        assert_eq!(followed(", panels: [{source: s, chart: table}]"), ["s", "v"]);
    }

    #[test]
    fn a_follower_reads_the_last_day_whatever_the_queries_options_say() {
        let typed = [
            ("subscribe", "iot"),
            ("startingOffsets", "earliest"),
            ("endingOffsets", "latest"),
            ("failOnDataLoss", "true"),
            ("kafka.bootstrap.servers", "localhost:9"),
        ];
        let typed: BTreeMap<String, String> =
            typed.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let spec = sources::spec("kafka").unwrap();
        let text = "pipeline: p\nsources: {s: {format: kafka, options: {subscribe: iot, kafka.bootstrap.servers: \"a:1\"}}}\n\
                    queries: {q: {sql: SELECT 1, format: console}}\n";
        let lookup = forebay_core::config::Lookup { env: &|_| None, file: &|_| Err(String::new()) };
        let pipeline =
            forebay_core::config::parse(text, "p.yaml", &crate::registry::registry(), &lookup).unwrap();
        let mut source = pipeline.sources[0].clone();
        source.options = Options::parse(spec, &typed).unwrap();
        let options = from_a_day_ago(&source, 100_000_000_000).unwrap();
        assert_eq!(options.text("startingTimestamp"), Some("99913600000"));
        assert_eq!((options.text("startingOffsets"), options.text("endingOffsets")), (None, None));
        assert!(!options.bool("failOnDataLoss"));
        assert_eq!(
            options.passed_on().get("kafka.bootstrap.servers").map(String::as_str),
            Some("localhost:9")
        );
        assert!(sources::build("kafka", &options, Wanted::default(), None).is_ok());
        assert_eq!(topic(&options), "iot");
    }
}
