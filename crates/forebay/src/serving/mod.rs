//! What the HTTP server is given to show: handles on the queries, on the quarantine's files, on the tables.

use std::sync::Arc;

use forebay_core::clock::Clock;
use forebay_core::trigger::Trigger;
use forebay_engine::plan::StreamPlan;
use forebay_engine::quarantine;
use forebay_engine::status::QueryStatus;
use forebay_live::{Live, panels};
use forebay_rules::AlertBook;
use forebay_server::Shown;
use forebay_server::shown::reload::RefusedFile;
use forebay_server::shown::{About, AboutAlert, AboutQuery, Channels, Control, Gateways};
use serde_json::json;
use tokio::sync::watch;

use crate::alerts::PlannedAlert;
use crate::cli::Global;
use crate::definition;
use crate::hosting::Hosting;
use crate::load::Loaded;
use crate::work::{self, Work};

mod archives;
mod records;
mod sql;
mod wire;

use archives::Archives;
use records::Files;
pub use records::Indices;
pub use sql::{Statements, Threads};

/// What runs of a file, to be shown.
pub struct Runs<'a> {
    /// The statements over its names.
    pub statements: Statements,
    pub queries: Vec<watch::Receiver<QueryStatus>>,
    pub control: Arc<dyn Control>,
    pub alerts: &'a AlertBook,
    pub channels: &'a Channels,
    pub quarantined: &'a Indices,
    pub refused: watch::Receiver<Option<Arc<RefusedFile>>>,
    pub live: Live,
    pub gateways: Arc<Gateways>,
    /// The log.
    pub hosting: &'a Hosting,
    /// Since when the pipeline runs, milliseconds since 1970.
    pub started_ms: i64,
    pub clock: Arc<dyn Clock>,
}

/// What is shown of a pipeline that runs by this file.
pub fn shown(global: &Global, loaded: &Loaded, runs: Runs<'_>) -> Shown {
    let pipeline = &loaded.pipeline;
    let Runs { statements, live, clock, .. } = runs;
    let queries = pipeline.queries.iter().zip(&loaded.plans).map(|(query, plan)| AboutQuery {
        name: query.name.clone(),
        sql: query.sql.clone(),
        format: query.format.clone(),
        trigger: words(query.trigger),
        sources: plan.as_deref().map(StreamPlan::sources).unwrap_or_default(),
    });
    let bootstraps = pipeline
        .sources
        .iter()
        .filter_map(|source| Some((source.name.clone(), runs.hosting.own_address(source)?.to_string())));
    let rules = loaded.alerts.iter().map(about_alert);
    let about = About {
        title: pipeline.dashboard.title.clone(),
        queries: queries.collect(),
        bootstraps: bootstraps.collect(),
        tables: statements.names(),
        panels: panels(&pipeline.dashboard, &live).iter().map(|panel| json!(panel)).collect(),
        alerts: rules.collect(),
        silences: pipeline.silences.clone(),
    };
    let folder = |work: Work<'_>| quarantine::folder(&global.data, &pipeline.name, &work.folder_name());
    let folders = work::all(loaded).map(|(work, _)| (work.name(), folder(work)));
    Shown {
        pipeline: pipeline.name.as_str().into(),
        version: env!("CARGO_PKG_VERSION"),
        started_ms: runs.started_ms,
        about: Arc::new(about),
        queries: runs.queries.into(),
        devices: Arc::new(live),
        alerts: Arc::new(runs.alerts.clone()),
        channels: runs.channels.clone(),
        quarantine: Arc::new(Files::new(folders.collect(), runs.quarantined.clone())),
        cycles: Arc::new(Archives::new(pipeline, &global.data)),
        sql: Arc::new(statements),
        control: runs.control,
        refused: runs.refused,
        gateways: runs.gateways,
        clock,
    }
}

fn about_alert(planned: &PlannedAlert) -> AboutAlert {
    let alert = &planned.config;
    let when = &alert.when.text;
    AboutAlert {
        name: alert.name.clone(),
        on: alert.on.text.clone(),
        key: alert.key.text.clone(),
        key_fields: planned.key_fields.clone(),
        when: when.clone(),
        clear: alert.clear.as_ref().map_or_else(|| format!("NOT ({when})"), |clear| clear.text.clone()),
        for_ms: u64::try_from(alert.hold.as_millis()).unwrap_or(u64::MAX),
        severity: alert.severity,
    }
}

/// A trigger as the file would say it.
pub fn words(trigger: Trigger) -> String {
    match trigger {
        Trigger::Default => "default".to_owned(),
        Trigger::AvailableNow => "availableNow".to_owned(),
        Trigger::Once => "once".to_owned(),
        Trigger::ProcessingTime(interval) => format!("processingTime: {}", definition::words(interval)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_trigger_reads_as_in_the_file() {
        let every = |millis| words(Trigger::ProcessingTime(Duration::from_millis(millis)));
        assert_eq!(every(1_000), "processingTime: 1 second");
        assert_eq!(every(1_500), "processingTime: 1500 milliseconds");
        assert_eq!(words(Trigger::AvailableNow), "availableNow");
    }
}
