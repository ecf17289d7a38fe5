//! What the HTTP server is given to show: handles on the queries, on the quarantine's files, on the tables.

use std::sync::Arc;

use forebay_core::clock::{Clock, SystemClock};
use forebay_core::config::AlertConfig;
use forebay_core::trigger::Trigger;
use forebay_engine::quarantine;
use forebay_live::{Live, panels};
use forebay_rules::AlertBook;
use forebay_server::Shown;
use forebay_server::shown::{About, AboutAlert, AboutQuery};
use serde_json::json;

use crate::cli::Global;
use crate::fleet::Fleet;
use crate::load::Loaded;
use crate::pipeline::own_address;
use crate::work::Work;

mod records;
mod sql;

use records::Files;
use sql::Statements;

/// What is shown of a pipeline that has just been started.
pub fn shown(
    global: &Global,
    loaded: &Loaded,
    fleet: &Fleet,
    alerts: &AlertBook,
    live: Live,
) -> forebay_core::Result<Shown> {
    let pipeline = &loaded.pipeline;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let statements = Statements::new(global, pipeline, Arc::clone(&clock))?;
    let queries = pipeline.queries.iter().map(|query| AboutQuery {
        name: query.name.clone(),
        sql: query.sql.clone(),
        format: query.format.clone(),
        trigger: words(query.trigger),
    });
    let bootstraps = pipeline
        .sources
        .iter()
        .filter_map(|source| Some((source.name.clone(), own_address(source, global.kafka)?.to_string())));
    let rules = loaded.alerts.iter().map(|alert| about_alert(&alert.config));
    let about = About {
        title: pipeline.dashboard.title.clone(),
        queries: queries.collect(),
        bootstraps: bootstraps.collect(),
        tables: statements.names(),
        panels: panels(&pipeline.dashboard, &live).iter().map(|panel| json!(panel)).collect(),
        alerts: rules.collect(),
    };
    let queries = pipeline.queries.iter().map(Work::Query);
    let all = queries.chain(loaded.alerts.iter().map(Work::Alert));
    let folders =
        all.map(|work| (work.name(), quarantine::folder(&global.data, &pipeline.name, &work.folder_name())));
    Ok(Shown {
        pipeline: pipeline.name.as_str().into(),
        version: env!("CARGO_PKG_VERSION"),
        started_ms: clock.now_ms(),
        about: Arc::new(about),
        queries: fleet.statuses().into(),
        devices: Arc::new(live),
        alerts: Arc::new(alerts.clone()),
        quarantine: Arc::new(Files::new(folders.collect())),
        sql: Arc::new(statements),
        control: fleet.control(),
        clock,
    })
}

fn about_alert(alert: &AlertConfig) -> AboutAlert {
    let when = &alert.when.text;
    AboutAlert {
        name: alert.name.clone(),
        on: alert.on.text.clone(),
        key: alert.key.text.clone(),
        when: when.clone(),
        clear: alert.clear.as_ref().map_or_else(|| format!("NOT ({when})"), |clear| clear.text.clone()),
        for_ms: u64::try_from(alert.hold.as_millis()).unwrap_or(u64::MAX),
        severity: alert.severity,
    }
}

/// A trigger as the file would say it.
fn words(trigger: Trigger) -> String {
    match trigger {
        Trigger::Default => "default".to_owned(),
        Trigger::AvailableNow => "availableNow".to_owned(),
        Trigger::Once => "once".to_owned(),
        Trigger::ProcessingTime(interval) => {
            let (count, unit) = match interval.as_millis() {
                millis if millis % 1000 == 0 => (millis / 1000, "second"),
                millis => (millis, "millisecond"),
            };
            let plural = if count == 1 { "" } else { "s" };
            format!("processingTime: {count} {unit}{plural}")
        }
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
