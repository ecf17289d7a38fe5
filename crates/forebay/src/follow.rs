//! Followers: for each decoded source that is read, the task that keeps what a person sees of it.
//!
//! A run whose queries all end by themselves has none: nobody looks at it, and it should end when its queries do. Nor has one
//! that was told `--no-live`.

use std::path::Path;
use std::sync::Arc;

use forebay_connectors::{formats, sources};
use forebay_core::Result;
use forebay_core::clock::Clock;
use forebay_core::config::{DashboardConfig, Pipeline, SourceConfig, ValueConfig};
use forebay_core::format::BadRecordMode;
use forebay_core::options::Options;
use forebay_core::source::Wanted;
use forebay_live::{Follow, Follower, HISTORY_MS, Live};
use forebay_log::storage::Log;
use forebay_storage::Door;
use futures::future::join_all;

/// Bytes that the seconds in memory may take, of all sources together: 6,000 devices with four fields each.
const MEMORY: usize = 256 << 20;

/// What all followers of a run share.
pub struct Shared<'a> {
    pub pipeline: &'a Pipeline,
    pub data: &'a Path,
    pub door: &'a Door,
    pub clock: &'a Arc<dyn Clock>,
}

/// The running followers.
#[derive(Debug, Default)]
pub struct Followers(Vec<Follower>);

/// What is needed to follow each of these sources that decodes its values. `log_of` gives the embedded log, where a source
/// is to read from that. Nothing is touched yet.
pub fn prepare<'s>(
    shared: &Shared<'_>,
    sources: impl Iterator<Item = &'s SourceConfig>,
    log_of: impl Fn(&SourceConfig) -> Option<Log>,
) -> Result<Vec<Follow>> {
    let decoded: Vec<_> = sources.filter_map(|source| Some((source, source.value.as_ref()?))).collect();
    let memory = MEMORY / decoded.len().max(1);
    decoded.into_iter().map(|(source, value)| follow(shared, source, value, log_of(source), memory)).collect()
}

impl Followers {
    /// Starts them.
    pub fn start(follows: Vec<Follow>) -> Self {
        Self(follows.into_iter().map(Follow::start).collect())
    }

    /// What they know.
    pub fn live(&self) -> Live {
        Live::new(self.0.iter().map(Follower::live).collect())
    }

    /// Ends all of them, each with a last snapshot.
    pub async fn stop(self) {
        join_all(self.0.into_iter().map(Follower::stop)).await;
    }
}

fn follow(
    shared: &Shared<'_>,
    source: &SourceConfig,
    value: &ValueConfig,
    log: Option<Log>,
    memory: usize,
) -> Result<Follow> {
    let dashboard = &shared.pipeline.dashboard;
    let said = dashboard.source(&source.name);
    let options = from_a_day_ago(source, shared.clock.now_ms())?;
    // The queries answer for records that do not fit; here they are passed over.
    let mode = match value.mode {
        BadRecordMode::FailFast => BadRecordMode::DropMalformed,
        mode => mode,
    };
    Ok(Follow {
        pipeline: shared.pipeline.name.clone(),
        name: source.name.clone(),
        topic: topic(&source.options),
        source: sources::build(&source.format, &options, Wanted::default(), log)?,
        format: formats::build(&ValueConfig { mode, ..value.clone() })?,
        key: said.and_then(|said| said.key.clone()),
        named: named(dashboard, &source.name),
        quiet_after: said.and_then(|said| said.quiet_after),
        memory,
        data_dir: shared.data.to_path_buf(),
        door: shared.door.clone(),
        clock: Arc::clone(shared.clock),
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
