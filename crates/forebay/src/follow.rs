//! Followers: for each decoded source that is read, the task that keeps what a person sees of it.
//!
//! A run whose queries all end by themselves has none: nobody looks at it, and it should end when its queries do. Nor
//! has one that was told `--no-live`. What must stay true: no change of the file interrupts a follower that it is not about, and one that it is about goes on
//! from where it was.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use forebay_connectors::{formats, sources};
use forebay_core::Result;
use forebay_core::clock::Clock;
use forebay_core::config::{DashboardConfig, Pipeline, SourceConfig, ValueConfig};
use forebay_core::format::BadRecordMode;
use forebay_core::options::Options;
use forebay_core::source::Wanted;
use forebay_live::{Follow, Follower, HISTORY_MS, Layout, Live};
use forebay_log::storage::Log;
use forebay_storage::Door;
use futures::future::join_all;

use crate::load::Loaded;

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
    layout: Layout,
    quiet_after: Option<Duration>,
}

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
    let memory = MEMORY / decoded.len().max(1);
    let wished = decoded.into_iter().map(|(source, value)| {
        let follow = follow(shared, source, value, log_of(source), memory)?;
        let named: Vec<&str> = follow.named.iter().map(String::as_str).collect();
        let of = Followed {
            name: source.name.clone(),
            source: (source.format.clone(), source.options.clone()),
            decoder: (value.format.clone(), value.options.clone(), value.mode),
            schema: Arc::clone(&value.schema),
            layout: Layout::new(&follow.format.schema(), follow.key.as_deref(), &named),
            quiet_after: follow.quiet_after,
        };
        Ok(Wished { of, follow })
    });
    wished.collect()
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
    Ok(Follow {
        pipeline: pipeline.clone(),
        name: source.name.clone(),
        topic: topic(&source.options),
        source: sources::build(&source.format, &options, Wanted::default(), log)?,
        format: formats::build(&ValueConfig { mode, ..value.clone() })?,
        key: key_of(shared.loaded, source),
        named: named(dashboard, &source.name),
        quiet_after: said.and_then(|said| said.quiet_after),
        memory,
        data_dir: shared.data.to_path_buf(),
        door: shared.door.clone(),
        clock: Arc::clone(shared.clock),
    })
}

/// The field that names the devices of a source, as far as the file says: under `dashboard:`, or by the `key:` of its alerts.
pub fn key_of(loaded: &Loaded, source: &SourceConfig) -> Option<String> {
    let said = loaded.pipeline.dashboard.source(&source.name).and_then(|said| said.key.clone());
    said.or_else(|| {
        let of_source =
            loaded.alerts.iter().filter(|alert| alert.plan.source().eq_ignore_ascii_case(&source.name));
        let keys: Vec<String> = of_source.filter_map(|alert| alert.key_field.clone()).collect();
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
